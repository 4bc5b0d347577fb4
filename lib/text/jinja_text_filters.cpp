// Filters on strings, numbers and single values, and the way from a name to a filter.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_parse.h"
#include "lib/text/jinja_text.h"
#include "lib/text/jinja_unicode.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

Result<Value> tojson(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  Interp::JsonStyle style;
  style.ensure_ascii = Interp::truth(bound[0]);
  style.sort_keys = Interp::truth(bound[3]);
  if (!bound[1].is_missing() && !bound[1].is_none()) {
    style.is_indented = true;
    style.item_separator = ",";
    if (bound[1].is_string()) {
      style.indent = bound[1].text();
    } else {
      PONDER_ASSIGN(const std::int64_t n, in.as_index(bound[1], "tojson"));
      PONDER_TRY(in.check_size(static_cast<std::size_t>(std::max<std::int64_t>(n, 0))));
      style.indent.assign(static_cast<std::size_t>(std::max<std::int64_t>(n, 0)), ' ');
    }
  }
  if (!bound[2].is_missing() && !bound[2].is_none()) {
    PONDER_ASSIGN(const Values separators, in.iterate(bound[2]));
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string())
      return in.error("tojson: separators wants two strings");
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  TextBuilder out;
  PONDER_TRY(in.print_json(out, value, style));
  return in.string(std::move(out));
}

Result<Value> default_value(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("default", args, {"default_value", "boolean"}));
  if (!value.is_undefined() && !(Interp::truth(bound[1]) && !Interp::truth(value))) return value;
  if (!bound[0].is_missing()) return bound[0];
  return in.string(std::string());
}

Result<Value> trim(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("trim", args, {"chars"}));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  if (bound[0].is_missing() || bound[0].is_none()) return strip(in, text.str(), nullptr, Side::both);
  PONDER_ASSIGN(const Str* chars, in.as_str(bound[0], "trim"));
  return strip(in, text.str(), chars, Side::both);
}

template <Case to>
Result<Value> case_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("this filter", args, {}).status()));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  return change_case(in, text.str(), to);
}

// Jinja's own: every letter that starts a word (behind blanks or one of -({[<) is a capital, the others are small.
Result<Value> title(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("title", args, {}).status()));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  const Str& s = text.str();
  TextBuilder out;
  bool at_start = true;
  for (std::size_t i = 0; i < s.text.size();) {
    const std::size_t size = utf8::next(s.text, i).size;
    const utf8::Char c = utf8::next(s.text, i);
    PONDER_ASSIGN(const Value character, in.substring(s, i, i + size));
    PONDER_ASSIGN(const Value changed, change_case(in, character.str(), at_start ? Case::upper : Case::lower));
    PONDER_TRY(in.use());
    out.append(changed.str());
    at_start = is_space(c.code) || (c.code < 0x80 && std::string_view("-({[<").find(static_cast<char>(c.code)) != std::string_view::npos);
    i += size;
  }
  return in.string(std::move(out));
}

Result<Value> replace_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("replace", args, {"old", "new", "count"}, 2));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  PONDER_ASSIGN(const Value from, in.to_str(bound[0]));
  PONDER_ASSIGN(const Value to, in.to_str(bound[1]));
  std::int64_t count = -1;
  if (!bound[2].is_missing() && !bound[2].is_none()) {
    PONDER_ASSIGN(count, in.as_index(bound[2], "replace"));
  }
  return replace(in, text.str(), from.str(), to.str(), count);
}

Result<Value> indent(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("indent", args, {"width", "first", "blank"}));
  PONDER_ASSIGN(const Str* text, in.as_str(value, "indent"));
  TextBuilder indention;
  if (bound[0].is_string()) {
    indention.append(bound[0].str());
  } else {
    std::int64_t width = 4;
    if (!bound[0].is_missing()) {
      PONDER_ASSIGN(width, in.as_index(bound[0], "indent"));
    }
    width = std::max<std::int64_t>(width, 0);
    PONDER_TRY(in.check_size(static_cast<std::size_t>(width)));
    indention.append(std::string(static_cast<std::size_t>(width), ' '), false);
  }
  PONDER_ASSIGN(const Value step, in.string(std::move(indention)));
  TextBuilder ended;  // the line break makes a last line of what follows one
  ended.append(*text);
  ended.append("\n", false);
  PONDER_ASSIGN(const Value whole, in.string(std::move(ended)));
  PONDER_ASSIGN(const Values lines, split_lines(in, whole.str(), false));
  TextBuilder out;
  if (Interp::truth(bound[1])) out.append(step.str());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n", false);
    if (i > 0 && (Interp::truth(bound[2]) || !lines[i].text().empty())) out.append(step.str());
    out.append(lines[i].str());
    PONDER_TRY(in.check_size(out.size()));
  }
  return in.string(std::move(out));
}

Result<Value> truncate(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("truncate", args, {"length", "killwords", "end", "leeway"}));
  PONDER_ASSIGN(const Str* text, in.as_str(value, "truncate"));
  std::int64_t length = 255, leeway = 5;
  if (!bound[0].is_missing()) {
    PONDER_ASSIGN(length, in.as_index(bound[0], "truncate"));
  }
  if (!bound[3].is_missing() && !bound[3].is_none()) {
    PONDER_ASSIGN(leeway, in.as_index(bound[3], "truncate"));
  }
  Value end = bound[2];
  if (end.is_missing()) {
    PONDER_ASSIGN(end, in.string("..."));
  }
  PONDER_ASSIGN(const Str* end_text, in.as_str(end, "truncate"));
  const auto end_length = static_cast<std::int64_t>(end_text->length);
  if (length < end_length || leeway < 0) return in.error("truncate: the length {} is shorter than the end", length);
  const auto size = static_cast<std::int64_t>(text->length);
  if (size <= length || size - length <= leeway) return value;
  PONDER_ASSIGN(Value head, in.slice(value, Value(), Value::integer(length - end_length), Value()));
  if (!Interp::truth(bound[1]))
    if (const std::size_t blank = head.text().rfind(' '); blank != std::string::npos) {
      PONDER_ASSIGN(head, in.substring(head.str(), 0, blank));
    }
  return in.arithmetic(Op::add, head, end);
}

Result<Value> wordcount(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("wordcount", args, {}).status()));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  std::int64_t n = 0;
  bool inside = false;
  for (std::size_t i = 0; i < text.text().size();) {
    const utf8::Char c = utf8::next(text.text(), i);
    const bool is_word = c.code == '_' || is_alpha(c.code) || is_digit(c.code);
    n += is_word && !inside;
    inside = is_word;
    i += c.size;
  }
  return Value::integer(n);
}

Result<Value> escape(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("escape", args, {}).status()));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  TextBuilder out;
  std::size_t hint = 0;
  const std::string& s = text.text();
  for (std::size_t i = 0; i < s.size(); ++i) {
    const std::string_view to = s[i] == '&' ? "&amp;" : s[i] == '<' ? "&lt;" : s[i] == '>' ? "&gt;" : s[i] == '"' ? "&#34;" : s[i] == '\'' ? "&#39;" : "";
    if (to.empty()) {
      out.append(text.str(), i, i + 1);
    } else {
      out.append(to, tainted_at(text.str(), i, hint));
    }
  }
  return in.string(std::move(out));
}

Result<Value> urlencode(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("urlencode", args, {}).status()));
  const auto append = [](TextBuilder& out, const Str& text, bool is_query) {
    std::size_t hint = 0;
    for (std::size_t i = 0; i < text.text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text.text[i]);
      const bool safe = c < 0x80 && (is_alpha(c) || is_digit(c) || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !is_query));
      out.append(safe ? std::string(1, static_cast<char>(c)) : c == ' ' && is_query ? "+" : formatted("%{:02X}", c),
                 tainted_at(text, i, hint));
    }
  };
  TextBuilder out;
  const Dict* dict = value.as<Dict>();
  if (value.is_string() || (!dict && value.kind() != Kind::object)) {
    PONDER_ASSIGN(const Value text, in.to_str(value));
    append(out, text.str(), false);
    return in.string(std::move(out));
  }
  Values pairs;
  if (dict) {
    for (const auto& [key, member] : dict->members) {
      PONDER_ASSIGN(Value pair, in.sequence({key, member}, SequenceKind::tuple));
      pairs.push_back(std::move(pair));
    }
  } else {
    PONDER_ASSIGN(pairs, in.iterate(value));
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    PONDER_ASSIGN(const Values two, in.iterate(pairs[i]));
    if (two.size() != 2) return in.error("urlencode wants pairs, found {} elements", two.size());
    PONDER_ASSIGN(const Value key, in.to_str(two[0]));
    PONDER_ASSIGN(const Value member, in.to_str(two[1]));
    if (i > 0) out.append("&", false);
    append(out, key.str(), true);
    out.append("=", false);
    append(out, member.str(), true);
    PONDER_TRY(in.check_size(out.size()));
  }
  return in.string(std::move(out));
}

Result<Value> format_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Value text, in.to_str(value));
  if (!args.named.empty() && !args.positional.empty()) return in.error("format takes positional or named arguments, not both");
  if (!args.named.empty()) {
    PONDER_ASSIGN(Dict * dict, in.make<Dict>());
    for (const auto& [name, member] : args.named) {
      PONDER_ASSIGN(Value key, in.string(std::string(name)));
      PONDER_TRY(in.add_member(*dict, std::move(key), member));
    }
    return format_percent(in, text.str(), Value::object(dict));
  }
  PONDER_ASSIGN(const Value values, in.sequence(args.positional, SequenceKind::tuple));
  return format_percent(in, text.str(), values);
}

// A number's text as Python's int() and float() read it: blanks around, single underscores between digits.
std::string number_text(const Str& text) {
  std::string_view s = text.text;
  s.remove_prefix(leading_space(s));
  s.remove_suffix(trailing_space(s));
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto is_alnum = [&](std::size_t k) { return k < s.size() && std::isalnum(static_cast<unsigned char>(s[k])); };
    if (s[i] == '_' && i > 0 && is_alnum(i - 1) && is_alnum(i + 1)) continue;
    out += s[i];
  }
  if (out.starts_with('+') && !out.starts_with("+-")) out.erase(0, 1);
  return out;
}

bool parse_real(const Str& text, double& value) {
  const std::string s = number_text(text);
  const auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (end != s.data() + s.size() || s.empty() || s.find('(') != s.npos) return false;
  if (code == std::errc::result_out_of_range) value = std::strtod(s.c_str(), nullptr);
  return code != std::errc::invalid_argument;
}

Result<Value> to_int(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("int", args, {"default", "base"}));
  const Value otherwise = bound[0].is_missing() ? Value::integer(0) : bound[0];
  std::int64_t base = 10;
  if (!bound[1].is_missing()) {
    PONDER_ASSIGN(base, in.as_index(bound[1], "int"));
  }
  double real = 0;
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is_real()) {
    real = value.as_real();
  } else if (value.is_string()) {
    if (base < 2 || base > 36) return in.error("int: the base {}, want 2 to 36", base);
    std::string s = number_text(value.str());
    const bool negative = s.starts_with('-');
    std::string digits = s.substr(negative);
    const char* prefix = base == 16 ? "xX" : base == 8 ? "oO" : base == 2 ? "bB" : "";
    if (digits.size() > 2 && digits[0] == '0' && *prefix && (digits[1] == prefix[0] || digits[1] == prefix[1])) digits.erase(0, 2);
    if (negative) digits.insert(0, "-");
    std::int64_t number = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number, static_cast<int>(base));
    if (end == digits.data() + digits.size() && code == std::errc()) return Value::integer(number);
    if (end == digits.data() + digits.size() && code == std::errc::result_out_of_range)
      return in.error("int: {} does not fit into 64 bits", s.substr(0, 40));
    if (!parse_real(value.str(), real)) return otherwise;
  } else {
    return otherwise;
  }
  if (std::isnan(real) || std::isinf(real)) return otherwise;
  if (std::abs(real) >= 9.2e18) return in.error("int: {} does not fit into 64 bits", real);
  return Value::integer(static_cast<std::int64_t>(real));
}

Result<Value> to_float(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("float", args, {"default"}));
  double real = 0;
  if (value.is_number()) return Value::real(value.as_real());
  if (value.is_string() && parse_real(value.str(), real)) return Value::real(real);
  return bound[0].is_missing() ? Value::real(0) : bound[0];
}

Result<Value> abs_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("abs", args, {}).status()));
  if (value.is_undefined()) return in.error("{}", value.text());
  if (!value.is_number()) return in.error("abs wants a number, found {}", type_name(value));
  if (value.is_real()) return Value::real(std::abs(value.as_real()));
  if (value.as_integer() >= 0) return Value::integer(value.as_integer());
  return in.arithmetic(Op::sub, Value::integer(0), value);
}

Result<Value> round_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("round", args, {"precision", "method"}));
  if (value.is_undefined()) return in.error("{}", value.text());
  if (!value.is_number()) return in.error("round wants a number, found {}", type_name(value));
  std::int64_t precision = 0;
  if (!bound[0].is_missing()) {
    PONDER_ASSIGN(precision, in.as_index(bound[0], "round"));
  }
  const std::string method = bound[1].is_string() ? bound[1].text() : "common";
  if (method != "common" && method != "ceil" && method != "floor") return in.error("round: the method '{}', want common, ceil or floor", method.substr(0, 40));
  const double number = value.as_real();
  precision = std::clamp<std::int64_t>(precision, -400, 400);
  if (method != "common") {
    const double scale = std::pow(10.0, static_cast<double>(precision));
    return Value::real((method == "ceil" ? std::ceil(number * scale) : std::floor(number * scale)) / scale);
  }
  if (value.is_integral() && precision >= 0) return Value::integer(value.as_integer());
  if (!std::isfinite(number)) return value;
  if (precision >= 0) return Value::real(std::strtod(formatted("{:.{}f}", number, precision).c_str(), nullptr));
  const double scale = std::pow(10.0, static_cast<double>(-precision));
  const double rounded = std::nearbyint(number / scale) * scale;
  if (value.is_real()) return Value::real(rounded);
  if (std::abs(rounded) >= 9.2e18) return in.error("round: the result does not fit into 64 bits");
  return Value::integer(static_cast<std::int64_t>(rounded));
}

Result<Value> length(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("length", args, {}).status()));
  PONDER_ASSIGN(const std::int64_t n, in.length(value));
  return Value::integer(n);
}

Result<Value> to_string(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("string", args, {}).status()));
  return in.to_str(value);
}

Result<Value> center(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("center", args, {"width"}));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  std::int64_t width = 80;
  if (!bound[0].is_missing()) {
    PONDER_ASSIGN(width, in.as_index(bound[0], "center"));
  }
  return pad(in, text.str(), width, " ", Side::both);
}

Result<Value> attr(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("attr", args, {"name"}, 1));
  PONDER_ASSIGN(const Str* name, in.as_str(bound[0], "attr"));
  if (value.as<Dict>() && !in.method(value, name->text))  // attributes alone, no keys
    return in.undefined(formatted("'dict object' has no attribute '{}'", name->text.substr(0, 80)));
  return in.attribute(value, name->text);
}

constexpr Filter kFilters[] = {
    {"tojson", tojson},
    {"default", default_value},
    {"d", default_value},
    {"trim", trim},
    {"length", length},
    {"count", length},
    {"upper", case_filter<Case::upper>},
    {"lower", case_filter<Case::lower>},
    {"capitalize", case_filter<Case::capitalize>},
    {"title", title},
    {"replace", replace_filter},
    {"string", to_string},
    {"safe", to_string},
    {"int", to_int},
    {"float", to_float},
    {"abs", abs_filter},
    {"round", round_filter},
    {"indent", indent},
    {"truncate", truncate},
    {"wordcount", wordcount},
    {"escape", escape},
    {"e", escape},
    {"forceescape", escape},
    {"urlencode", urlencode},
    {"format", format_filter},
    {"center", center},
    {"attr", attr},
};

}  // namespace

std::span<const Filter> text_filters() { return kFilters; }

const Filter* find_filter(std::string_view name) {
  for (const std::span<const Filter> table : {text_filters(), list_filters()})
    for (const Filter& filter : table)
      if (filter.name == name) return &filter;
  return nullptr;
}

bool has_filter(std::string_view name) { return find_filter(name) != nullptr; }

}  // namespace ponder::core::jinja
