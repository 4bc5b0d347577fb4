// Regular expressions, the part that describes regular languages: literals, ., classes with ranges, ^ and \d \w \s \D \W
// \S, ( ), (?: ), |, *, +, ?, {m}, {m,}, {m,n} (a lazy ? behind them changes nothing), ^ and $ at the ends of an
// alternative of the whole, escapes \n \r \t \f \v \0 \xHH \uHHHH and of every punctuation mark. No back references,
// look-around, \b or flags: these are an error. `.` is any character but a newline.
#pragma once

#include "lib/grammar/grammar_syntax.h"

namespace ponder::core::grammar {

struct RegexOptions {
  // The expression's text stands inside a JSON string: what must be escaped there is written with its shortest escape.
  bool json_string = false;
  // It may be found anywhere in the text unless ^ and $ say otherwise (JSON Schema's pattern); else it is the whole text.
  bool search = false;
};

// Appends to `syntax`. invalid_argument or unsupported: with the position.
Result<NodeId> parse_regex(std::string_view text, const RegexOptions& options, Syntax& syntax);

// A set of characters inside of a JSON string.
NodeId json_chars(const CharSet& set, Syntax& syntax);

}  // namespace ponder::core::grammar
