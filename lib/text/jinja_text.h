// What str methods and filters share: each takes a string apart and keeps the provenance of every piece.
#pragma once

#include "lib/text/jinja_interp.h"

namespace ponder::core::jinja {

// As std::string_view's find and rfind, in linear time whatever the texts are. rfind_text: wholly in front of `end`.
std::size_t find_text(std::string_view text, std::string_view part, std::size_t from = 0);
std::size_t rfind_text(std::string_view text, std::string_view part, std::size_t end = std::string_view::npos);

enum class Side { left, right, both };

// str.strip: white space, or the characters of `chars`.
Result<Value> strip(Interp& in, const Str& text, const Str* chars, Side side);
// str.replace; `count` < 0 replaces all.
Result<Value> replace(Interp& in, const Str& text, const Str& from, const Str& to, std::int64_t count = -1);
// str.splitlines
Result<Values> split_lines(Interp& in, const Str& text, bool keep_ends);
// separator.join(items); every item is printed first when `print_items`, else must be a str.
Result<Value> join(Interp& in, const Str& separator, const Values& items, bool print_items);

enum class Case { upper, lower, title, capitalize, swap };
Result<Value> change_case(Interp& in, const Str& text, Case to);

// Spaces (or `fill`) up to `width` characters: ljust pads on the right.
Result<Value> pad(Interp& in, const Str& text, std::int64_t width, std::string_view fill, Side where);

}  // namespace ponder::core::jinja
