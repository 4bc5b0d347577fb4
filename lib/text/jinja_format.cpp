// "%" formatting and str.format, as far as templates use them: strings keep their provenance, attribute and item lookups
// inside format fields are refused.
#include <charconv>
#include <cmath>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_interp.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

constexpr int kMaxPrecision = 100;

struct Spec {
  std::string fill = " ";
  char align = 0;  // < > ^ =
  char sign = '-';
  bool alternate = false, comma = false;
  std::int64_t width = 0;
  int precision = -1;
  char type = 0;
};

std::string with_commas(const std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

// The number's text without padding; `prefix` takes its sign and base. False: the type does not fit.
bool number_text(const Value& value, const Spec& spec, std::string& prefix, std::string& digits) {
  const char type = spec.type;
  const bool as_integer = type == 'd' || type == 'i' || type == 'u' || type == 'x' || type == 'X' || type == 'o' || type == 'b';
  bool negative = false;
  if (as_integer || (type == 0 && value.is_integral())) {
    std::int64_t n = 0;
    if (value.is_integral()) {
      n = value.as_integer();
    } else if (std::abs(value.as_real()) < 9e18) {
      n = static_cast<std::int64_t>(value.as_real());
    } else {
      return false;
    }
    negative = n < 0;
    const std::uint64_t magnitude = negative ? 0 - static_cast<std::uint64_t>(n) : static_cast<std::uint64_t>(n);
    digits = type == 'x'   ? formatted("{:x}", magnitude)
             : type == 'X' ? formatted("{:X}", magnitude)
             : type == 'o' ? formatted("{:o}", magnitude)
             : type == 'b' ? formatted("{:b}", magnitude)
                           : formatted("{}", magnitude);
    if (spec.comma) digits = with_commas(digits);
    if (spec.alternate && (type == 'x' || type == 'X' || type == 'o' || type == 'b')) prefix = std::string("0") + type;
  } else {
    const double number = value.as_real();
    negative = std::signbit(number) && !std::isnan(number);
    const double magnitude = std::abs(number);
    const int precision = spec.precision < 0 ? 6 : spec.precision;
    switch (type) {
      case 'f':
      case 'F': digits = formatted("{:.{}f}", magnitude, precision); break;
      case 'e': digits = formatted("{:.{}e}", magnitude, precision); break;
      case 'E': digits = formatted("{:.{}E}", magnitude, precision); break;
      case 'g': digits = formatted("{:.{}g}", magnitude, precision); break;
      case 'G': digits = formatted("{:.{}G}", magnitude, precision); break;
      case '%': digits = formatted("{:.{}f}", magnitude * 100, precision) + "%"; break;
      case 0: digits = spec.precision < 0 ? repr_double(magnitude) : formatted("{:.{}g}", magnitude, precision); break;
      default: return false;
    }
    if (spec.comma) {
      const std::size_t point = std::min(digits.find_first_of(".e%"), digits.size());
      digits = with_commas(digits.substr(0, point)) + digits.substr(point);
    }
  }
  if (negative) {
    prefix.insert(0, "-");
  } else if (spec.sign != '-') {
    prefix.insert(0, 1, spec.sign);
  }
  return true;
}

Status append_padded(Interp& in, TextBuilder& out, const Spec& spec, std::string_view prefix, const Str* text,
                     std::string_view digits, char default_align) {
  const auto n = static_cast<std::int64_t>(prefix.size() + (text ? text->length : digits.size()));
  const std::int64_t missing = std::max<std::int64_t>(spec.width - n, 0);
  PONDER_TRY(in.check_size(out.size() + static_cast<std::size_t>(missing)));
  PONDER_TRY(in.use_bytes(static_cast<std::size_t>(missing)));
  const char align = spec.align ? spec.align : default_align;
  const auto pad = [&](std::int64_t count) {
    for (; count > 0; --count) out.append(spec.fill, false);
  };
  const std::int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  pad(left);
  out.append(prefix, false);
  if (align == '=') pad(missing);
  if (text) {
    out.append(*text);
  } else {
    out.append(digits, false);
  }
  if (align == '<' || align == '^') pad(missing - left);
  return {};
}

// Bytes of the first `n` characters.
std::size_t prefix_bytes(const Str& text, std::int64_t n) {
  std::size_t at = 0;
  for (; n > 0 && at < text.text.size(); --n) at += utf8::next(text.text, at).size;
  return at;
}

Status append_text(Interp& in, TextBuilder& out, const Spec& spec, const Value& text) {
  if (spec.precision < 0) return append_padded(in, out, spec, "", &text.str(), "", '<');
  PONDER_ASSIGN(const Value cut, in.substring(text.str(), 0, prefix_bytes(text.str(), spec.precision)));
  return append_padded(in, out, spec, "", &cut.str(), "", '<');
}

// Digits at `at`; false when there are none or too many.
bool read_number(std::string_view text, std::size_t& at, std::int64_t& value) {
  const auto [end, code] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (code != std::errc() || value < 0 || value > (std::int64_t{1} << 40)) return false;
  at = static_cast<std::size_t>(end - text.data());
  return true;
}

bool is_digit(std::string_view text, std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; }

// [[fill]align][sign][#][0][width][,][.precision][type]
bool read_spec(std::string_view text, Spec& spec) {
  std::size_t at = 0;
  if (text.empty()) return true;
  const auto is_align = [&](std::size_t i) { return i < text.size() && std::string_view("<>^=").find(text[i]) != text.npos; };
  const std::size_t first = utf8::next(text, 0).size;
  if (is_align(first)) {
    spec.fill = std::string(text.substr(0, first));
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec.align = text[0];
    at = 1;
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) spec.sign = text[at++];
  if (at < text.size() && text[at] == '#') spec.alternate = true, ++at;
  if (at < text.size() && text[at] == '0') {
    ++at;
    if (!spec.align) spec.align = '=', spec.fill = "0";
  }
  if (is_digit(text, at) && !read_number(text, at, spec.width)) return false;
  if (at < text.size() && text[at] == ',') spec.comma = true, ++at;
  if (at < text.size() && text[at] == '.') {
    std::int64_t precision = 0;
    if (!is_digit(text, ++at) || !read_number(text, at, precision) || precision > (1 << 30)) return false;
    spec.precision = static_cast<int>(precision);
  }
  if (at < text.size()) spec.type = text[at++];
  return at == text.size();
}

Status append_number(Interp& in, TextBuilder& out, const Spec& spec, const Value& value) {
  std::string prefix, digits;
  if (spec.precision > kMaxPrecision) return in.error("format: a precision of {}, at most {} is supported", spec.precision, kMaxPrecision);
  if (!value.is_number() || !number_text(value, spec, prefix, digits))
    return in.error("format: '{}' does not fit a {}", spec.type ? spec.type : '?', type_name(value));
  return append_padded(in, out, spec, prefix, nullptr, digits, '>');
}

}  // namespace

Result<Value> format_percent(Interp& in, const Str& format, const Value& values) {
  const Sequence* tuple = values.as<Sequence>();
  if (tuple && tuple->form != SequenceKind::tuple) tuple = nullptr;
  std::size_t n_used = 0;
  const std::size_t n_given = tuple ? tuple->items.size() : 1;
  TextBuilder out;
  const std::string& text = format.text;
  bool used_names = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t percent = std::min(text.find('%', i), text.size());
    out.append(format, i, percent);
    i = percent;
    if (i == text.size()) break;
    ++i;
    if (i < text.size() && text[i] == '%') {
      out.append(format, i, i + 1);
      ++i;
      continue;
    }
    Value value;
    if (i < text.size() && text[i] == '(') {
      const std::size_t close = text.find(')', i);
      const Dict* dict = values.as<Dict>();
      if (close == text.npos || !dict) return in.error("'%(name)' wants a dict");
      const std::string name = text.substr(i + 1, close - i - 1);
      const Value* found = dict->find(name);
      if (!found) return in.error("'%({})s': the dict has no such key", name);
      value = *found;
      used_names = true;
      i = close + 1;
    }
    Spec spec;
    const auto take = [&]() -> Status {
      if (n_used >= n_given) return in.error("not enough arguments for the format string");
      value = tuple ? tuple->items[n_used] : values;
      ++n_used;
      return {};
    };
    bool zero = false;
    for (; i < text.size() && std::string_view("-+ #0").find(text[i]) != std::string_view::npos; ++i) {
      if (text[i] == '-') spec.align = '<';
      if (text[i] == '+' || (text[i] == ' ' && spec.sign != '+')) spec.sign = text[i];
      if (text[i] == '#') spec.alternate = true;
      if (text[i] == '0') zero = true;
    }
    if (is_digit(text, i) && !read_number(text, i, spec.width)) return in.error("'%': a width that is too large");
    if (i < text.size() && text[i] == '.') {
      std::int64_t precision = 0;
      if (is_digit(text, ++i) && (!read_number(text, i, precision) || precision > (1 << 30)))
        return in.error("'%': a precision that is too large");
      spec.precision = static_cast<int>(precision);
    }
    if (i == text.size()) return in.error("the format string ends inside a '%'");
    spec.type = text[i++];
    if (value.is_missing()) PONDER_TRY(take());
    if (spec.type == 's' || spec.type == 'r') {
      if (!spec.align) spec.align = '>';
      TextBuilder shown;
      if (spec.type == 's') PONDER_TRY(in.print(shown, value));
      if (spec.type == 'r') PONDER_TRY(in.print_repr(shown, value));
      PONDER_ASSIGN(const Value piece, in.string(std::move(shown)));
      PONDER_TRY(append_text(in, out, spec, piece));
    } else if (spec.type == 'c' && value.is_string() && value.str().length == 1) {
      if (!spec.align) spec.align = '>';
      spec.precision = -1;
      PONDER_TRY(append_text(in, out, spec, value));
    } else {
      if (std::string_view("diuxXofFeEgG").find(spec.type) == std::string_view::npos)
        return in.error("'%{}' is no format", spec.type);
      if (value.is_undefined()) return in.error("{}", value.text());
      if (zero && !spec.align) spec.align = '=', spec.fill = "0";
      PONDER_TRY(append_number(in, out, spec, value));
    }
    PONDER_TRY(in.check_size(out.size()));
  }
  if (n_used < n_given && !used_names && (tuple || !values.as<Dict>()))
    return in.error("not all arguments are used by the format string");
  return in.string(std::move(out));
}

Result<Value> format_braces(Interp& in, const Str& format, const CallArgs& args) {
  TextBuilder out;
  const std::string& text = format.text;
  std::size_t next = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t brace = std::min(text.find_first_of("{}", i), text.size());
    out.append(format, i, brace);
    i = brace;
    if (i == text.size()) break;
    if (i + 1 < text.size() && text[i + 1] == text[i]) {
      out.append(format, i, i + 1);
      i += 2;
      continue;
    }
    if (text[i] == '}') return in.error("format: a single '}}'");
    const std::size_t close = text.find('}', i);
    if (close == text.npos) return in.error("format: '{{' without '}}'");
    std::string_view field = std::string_view(text).substr(i + 1, close - i - 1);
    if (field.find('{') != field.npos) return in.error("format: a field inside a field is not supported");
    i = close + 1;
    std::string_view spec_text, conversion;
    if (const std::size_t colon = field.find(':'); colon != field.npos) spec_text = field.substr(colon + 1), field = field.substr(0, colon);
    if (const std::size_t mark = field.find('!'); mark != field.npos) conversion = field.substr(mark + 1), field = field.substr(0, mark);
    if (field.find_first_of(".[") != field.npos) return in.error("format: lookups inside a field are not supported");
    Value value;
    if (field.empty() || is_digit(field, 0)) {
      std::int64_t index = 0;
      std::size_t at = 0;
      if (!field.empty() && (!read_number(field, at, index) || at != field.size())) return in.error("format: the field '{}'", field);
      const std::size_t which = field.empty() ? next++ : static_cast<std::size_t>(index);
      if (which >= args.positional.size()) return in.error("format: there is no argument {}", which);
      value = args.positional[which];
    } else {
      for (const auto& [name, given] : args.named)
        if (name == field) value = given;
      if (value.is_missing()) return in.error("format: there is no argument '{}'", field);
    }
    Spec spec;
    if (!read_spec(spec_text, spec)) return in.error("format: the specification '{}'", spec_text.substr(0, 60));
    if (value.is_number() && !value.is_boolean() && conversion.empty()) {
      PONDER_TRY(append_number(in, out, spec, value));
    } else {
      if (!conversion.empty() && conversion != "r" && conversion != "s") return in.error("format: the conversion '!{}'", conversion);
      if (spec.type != 0 && spec.type != 's') return in.error("format: '{}' does not fit a {}", spec.type, type_name(value));
      TextBuilder shown;
      PONDER_TRY(conversion == "r" ? in.print_repr(shown, value) : in.print(shown, value));
      PONDER_ASSIGN(const Value piece, in.string(std::move(shown)));
      PONDER_TRY(append_text(in, out, spec, piece));
    }
    PONDER_TRY(in.check_size(out.size()));
  }
  return in.string(std::move(out));
}

}  // namespace ponder::core::jinja
