// The methods of str.
#include <algorithm>
#include <array>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_text.h"
#include "lib/text/jinja_unicode.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

Status no_arguments(Interp& in, std::string_view function, const CallArgs& args) {
  return Status(in.bind(function, args, {}).status());
}

// An argument that is a str, or null when it is missing or none.
Result<const Str*> optional_str(Interp& in, const Value& value, std::string_view what) {
  if (value.is_missing() || value.is_none()) return static_cast<const Str*>(nullptr);
  return in.as_str(value, what);
}

template <Side side>
Result<Value> strip_method(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("strip", args, {"chars"}));
  PONDER_ASSIGN(const Str* chars, optional_str(in, bound[0], "strip"));
  return strip(in, self.str(), chars, side);
}

template <Case to>
Result<Value> case_method(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(no_arguments(in, "this method", args));
  return change_case(in, self.str(), to);
}

// Runs of white space separate; the last part, behind `limit` others, keeps its own.
Result<Value> split_at_space(Interp& in, const Str& text, std::int64_t limit, bool from_right) {
  Values parts;
  const std::string_view s = text.text;
  PONDER_TRY(in.use_bytes(s.size()));
  std::size_t begin = from_right ? 0 : leading_space(s), end = s.size() - (from_right ? trailing_space(s) : 0);
  while (begin < end) {
    PONDER_TRY(in.use());
    const bool is_rest = limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit;
    std::size_t from = begin, to = end;
    if (!is_rest && from_right) {
      for (from = end; from > 0 && trailing_space(s.substr(0, from)) == 0;) {
        --from;
        while (from > 0 && (static_cast<unsigned char>(s[from]) & 0xc0) == 0x80) --from;
      }
    } else if (!is_rest) {
      for (to = begin; to < end && leading_space(s.substr(to, 4)) == 0;) to += utf8::next(s, to).size;
    }
    PONDER_ASSIGN(Value part, in.substring(text, from, to));
    parts.push_back(std::move(part));
    if (is_rest) break;
    if (from_right) {
      end = from - trailing_space(s.substr(0, from));
    } else {
      begin = to + leading_space(s.substr(to));
    }
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return in.sequence(std::move(parts));
}

template <bool from_right>
Result<Value> split(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("split", args, {"sep", "maxsplit"}));
  PONDER_ASSIGN(const Str* separator, optional_str(in, bound[0], "split"));
  std::int64_t limit = -1;
  if (!bound[1].is_missing()) {
    PONDER_ASSIGN(limit, in.as_index(bound[1], "split"));
  }
  const Str& text = self.str();
  if (!separator) return split_at_space(in, text, limit, from_right);
  if (separator->text.empty()) return in.error("split: the separator is empty");
  PONDER_TRY(in.use_bytes(text.text.size()));
  Values parts;
  const std::string& s = text.text;
  const std::size_t n = separator->text.size();
  std::size_t begin = 0, end = s.size();
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    PONDER_TRY(in.use());
    std::size_t at = s.npos;
    if (!from_right) {
      at = find_text(s, separator->text, begin);
    } else {
      at = rfind_text(s, separator->text, end);
    }
    if (at == s.npos) break;
    PONDER_ASSIGN(Value part, from_right ? in.substring(text, at + n, end) : in.substring(text, begin, at));
    parts.push_back(std::move(part));
    if (from_right) {
      end = at;
    } else {
      begin = at + n;
    }
  }
  PONDER_ASSIGN(Value rest, in.substring(text, begin, end));
  parts.push_back(std::move(rest));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return in.sequence(std::move(parts));
}

template <bool from_right>
Result<Value> partition(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("partition", args, {"sep"}, 1));
  PONDER_ASSIGN(const Str* separator, in.as_str(bound[0], "partition"));
  if (separator->text.empty()) return in.error("partition: the separator is empty");
  const Str& text = self.str();
  const std::size_t at = from_right ? rfind_text(text.text, separator->text) : find_text(text.text, separator->text);
  PONDER_ASSIGN(const Value empty, in.string(std::string()));
  if (at == text.text.npos) return in.sequence(from_right ? Values{empty, empty, self} : Values{self, empty, empty}, SequenceKind::tuple);
  PONDER_ASSIGN(Value before, in.substring(text, 0, at));
  PONDER_ASSIGN(Value middle, in.substring(text, at, at + separator->text.size()));  // with the text's provenance
  PONDER_ASSIGN(Value after, in.substring(text, at + separator->text.size(), text.text.size()));
  return in.sequence({before, middle, after}, SequenceKind::tuple);
}

Result<Value> splitlines(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("splitlines", args, {"keepends"}));
  PONDER_ASSIGN(Values lines, split_lines(in, self.str(), Interp::truth(bound[0])));
  return in.sequence(std::move(lines));
}

Result<Value> join_method(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("join", args, {"iterable"}, 1));
  PONDER_ASSIGN(const Values items, in.iterate(bound[0]));
  return join(in, self.str(), items, false);
}

Result<Value> replace_method(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("replace", args, {"old", "new", "count"}, 2));
  PONDER_ASSIGN(const Str* from, in.as_str(bound[0], "replace"));
  PONDER_ASSIGN(const Str* to, in.as_str(bound[1], "replace"));
  std::int64_t count = -1;
  if (!bound[2].is_missing()) {
    PONDER_ASSIGN(count, in.as_index(bound[2], "replace"));
  }
  return replace(in, self.str(), *from, *to, count);
}

template <bool at_end>
Result<Value> affix(Interp& in, const Value& self, const CallArgs& args) {
  const char* name = at_end ? "endswith" : "startswith";
  PONDER_ASSIGN(const Values bound, in.bind(name, args, {"prefix"}, 1));
  Values candidates = {bound[0]};
  if (const Sequence* sequence = bound[0].as<Sequence>(); sequence && sequence->form == SequenceKind::tuple)
    candidates = sequence->items;
  bool found = false;
  for (const Value& candidate : candidates) {
    PONDER_ASSIGN(const Str* part, in.as_str(candidate, name));
    found = found || (at_end ? self.text().ends_with(part->text) : self.text().starts_with(part->text));
  }
  return Value::boolean(found);
}

template <bool at_end>
Result<Value> remove_affix(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind(at_end ? "removesuffix" : "removeprefix", args, {"part"}, 1));
  PONDER_ASSIGN(const Str* part, in.as_str(bound[0], "removeprefix"));
  const std::string& s = self.text();
  if (part->text.empty() || !(at_end ? s.ends_with(part->text) : s.starts_with(part->text))) return self;
  if (at_end) return in.substring(self.str(), 0, s.size() - part->text.size());
  return in.substring(self.str(), part->text.size(), s.size());
}

// find, rfind, index, rindex: positions are code points.
template <bool from_right, bool must_find>
Result<Value> find(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("find", args, {"sub", "start", "end"}, 1));
  PONDER_ASSIGN(const Str* part, in.as_str(bound[0], "find"));
  PONDER_ASSIGN(const Value window, in.slice(self, bound[1], bound[2], Value()));
  const std::string& s = window.text();
  const std::size_t at = from_right ? rfind_text(s, part->text) : find_text(s, part->text);
  if (at == s.npos) return must_find ? Result<Value>(in.error("index: the text was not found")) : Value::integer(-1);
  std::int64_t position = 0;
  for (std::size_t i = 0; i < at; ++position) i += utf8::next(s, i).size;
  if (!bound[1].is_missing() && !bound[1].is_none()) {
    const std::int64_t start = bound[1].as_integer(), length = static_cast<std::int64_t>(self.str().length);
    position += start < 0 ? std::max(start + length, std::int64_t{0}) : start;
  }
  return Value::integer(position);
}

Result<Value> count(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("count", args, {"sub", "start", "end"}, 1));
  PONDER_ASSIGN(const Str* part, in.as_str(bound[0], "count"));
  PONDER_ASSIGN(const Value window, in.slice(self, bound[1], bound[2], Value()));
  if (part->text.empty()) return Value::integer(static_cast<std::int64_t>(window.str().length) + 1);
  std::int64_t n = 0;
  for (std::size_t at = 0; (at = find_text(window.text(), part->text, at)) != std::string::npos; at += part->text.size()) ++n;
  return Value::integer(n);
}

Result<Value> format(Interp& in, const Value& self, const CallArgs& args) { return format_braces(in, self.str(), args); }

template <Side where>
Result<Value> justify(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("justify", args, {"width", "fillchar"}, 1));
  PONDER_ASSIGN(const std::int64_t width, in.as_index(bound[0], "justify"));
  std::string_view fill = " ";
  if (!bound[1].is_missing()) {
    PONDER_ASSIGN(const Str* given, in.as_str(bound[1], "justify"));
    if (given->length != 1) return in.error("the fill character must be one character");
    fill = given->text;
  }
  return pad(in, self.str(), width, fill, where);
}

Result<Value> zfill(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("zfill", args, {"width"}, 1));
  PONDER_ASSIGN(const std::int64_t width, in.as_index(bound[0], "zfill"));
  const Str& text = self.str();
  const bool has_sign = !text.text.empty() && (text.text[0] == '-' || text.text[0] == '+');
  PONDER_ASSIGN(const Value digits, in.substring(text, has_sign, text.text.size()));
  PONDER_ASSIGN(const Value padded, pad(in, digits.str(), std::max<std::int64_t>(width, 0) - has_sign, "0", Side::left));
  TextBuilder out;
  out.append(text, 0, has_sign);
  out.append(padded.str());
  return in.string(std::move(out));
}

// is...(): all characters fit and there is one.
template <bool (*fits)(std::uint32_t)>
Result<Value> all_characters(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(no_arguments(in, "this method", args));
  const std::string& s = self.text();
  PONDER_TRY(in.use_bytes(s.size()));
  for (std::size_t i = 0; i < s.size();) {
    const utf8::Char c = utf8::next(s, i);
    if (!c.valid || !fits(c.code)) return Value::boolean(false);
    i += c.size;
  }
  return Value::boolean(!s.empty());
}

bool is_alnum(std::uint32_t c) { return is_alpha(c) || is_digit(c); }

Result<Value> only_ascii(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(no_arguments(in, "isascii", args));
  return Value::boolean(self.str().is_ascii());
}

template <bool (*right)(std::uint32_t), bool (*wrong)(std::uint32_t)>
Result<Value> case_is(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(no_arguments(in, "this method", args));
  const std::string& s = self.text();
  PONDER_TRY(in.use_bytes(s.size()));
  bool any = false;
  for (std::size_t i = 0; i < s.size();) {
    const utf8::Char c = utf8::next(s, i);
    if (c.valid && wrong(c.code)) return Value::boolean(false);
    any = any || (c.valid && right(c.code));
    i += c.size;
  }
  return Value::boolean(any);
}

constexpr NativeFunction kMethods[] = {
    {"split", split<false>},
    {"rsplit", split<true>},
    {"strip", strip_method<Side::both>},
    {"lstrip", strip_method<Side::left>},
    {"rstrip", strip_method<Side::right>},
    {"startswith", affix<false>},
    {"endswith", affix<true>},
    {"replace", replace_method},
    {"upper", case_method<Case::upper>},
    {"lower", case_method<Case::lower>},
    {"casefold", case_method<Case::lower>},
    {"title", case_method<Case::title>},
    {"capitalize", case_method<Case::capitalize>},
    {"swapcase", case_method<Case::swap>},
    {"join", join_method},
    {"find", find<false, false>},
    {"rfind", find<true, false>},
    {"index", find<false, true>},
    {"rindex", find<true, true>},
    {"count", count},
    {"format", format},
    {"splitlines", splitlines},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"ljust", justify<Side::right>},
    {"rjust", justify<Side::left>},
    {"center", justify<Side::both>},
    {"zfill", zfill},
    {"isdigit", all_characters<is_digit>},
    {"isdecimal", all_characters<is_digit>},
    {"isnumeric", all_characters<is_digit>},
    {"isalpha", all_characters<is_alpha>},
    {"isalnum", all_characters<is_alnum>},
    {"isspace", all_characters<is_space>},
    {"isascii", only_ascii},
    {"isupper", case_is<is_upper, is_lower>},
    {"islower", case_is<is_lower, is_upper>},
};

}  // namespace

std::span<const NativeFunction> str_methods() { return kMethods; }

}  // namespace ponder::core::jinja
