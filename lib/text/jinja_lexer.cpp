#include "lib/text/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "lib/base/format.h"
#include "lib/text/jinja_unicode.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

constexpr std::size_t kMaxSourceBytes = std::size_t{1} << 20;

// All line breaks as \n, and the last one dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_identifier_start(std::uint32_t c) { return c == '_' || is_alpha(c); }
bool is_identifier_part(std::uint32_t c) { return is_identifier_start(c) || is_digit(c); }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) PONDER_TRY(root());
    add(TokenType::end);
    return std::move(tokens_);
  }

 private:
  enum class Sign { none, minus, plus };

  template <class... Args>
  Status error(fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::bad_template, "line {}: {}", line_, formatted(text, std::forward<Args>(args)...));
  }
  std::string_view rest() const { return source_.substr(at_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }
  void advance(std::size_t n) {
    for (std::size_t i = at_; i < at_ + n; ++i) line_ += source_[i] == '\n';
    at_ += n;
  }
  void skip_space() { advance(leading_space(rest())); }
  Token& add(TokenType type, std::string text = {}) {
    tokens_.push_back({type, line_, std::move(text)});
    return tokens_.back();
  }
  Sign sign() {
    const Sign s = at("-") ? Sign::minus : at("+") ? Sign::plus : Sign::none;
    if (s != Sign::none) advance(1);
    return s;
  }

  // Text up to the next tag, and the tag.
  Status root() {
    std::size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 >= source_.size()) break;
      const char c = source_[tag + 1];
      if (c == '{' || c == '%' || c == '#') break;
    }
    if (tag == source_.npos || tag + 1 >= source_.size()) {
      add(TokenType::data, std::string(rest()));
      advance(rest().size());
      return {};
    }
    const std::string_view text = source_.substr(at_, tag - at_);
    const char kind = source_[tag + 1];
    const char mark = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    add_data(text, mark == '-' ? Sign::minus : mark == '+' ? Sign::plus : Sign::none, kind != '{');
    advance(text.size() + 2);
    sign();
    if (kind == '#') return comment();
    if (kind == '%') {
      bool is_raw = false;
      PONDER_TRY(raw(is_raw));
      if (is_raw) return {};
    }
    add(kind == '{' ? TokenType::variable_begin : TokenType::block_begin);
    return tag_content(kind == '{');
  }

  // Text in front of a tag: "-" strips all white space, lstrip_blocks the blanks between a line's start and a block.
  void add_data(std::string_view text, Sign s, bool may_lstrip) {
    if (s == Sign::minus) {
      text.remove_suffix(trailing_space(text));
    } else if (s == Sign::none && may_lstrip) {
      const std::size_t line_start = text.rfind('\n') + 1;  // npos + 1 is 0
      const std::string_view line = text.substr(line_start);
      if ((line_start > 0 || line_starting_) && leading_space(line) == line.size()) text = text.substr(0, line_start);
    }
    if (!text.empty()) add(TokenType::data, std::string(text));
  }

  // The end of a block or comment, `close` without sign, at the current place.
  bool block_close(std::string_view close) {
    const std::size_t start = at_;
    if (rest().substr(0, 1) == "+" && rest().substr(1).starts_with(close)) {
      advance(1 + close.size());
    } else if (rest().substr(0, 1) == "-" && rest().substr(1).starts_with(close)) {
      advance(1 + close.size());
      skip_space();
    } else if (at(close)) {
      advance(close.size());
      if (at("\n")) advance(1);  // trim_blocks
    } else {
      return false;
    }
    line_starting_ = source_[at_ - 1] == '\n' && at_ > start;
    return true;
  }

  Status comment() {
    std::size_t close = source_.find("#}", at_);
    if (close == source_.npos) return error("a comment has no end, want '#}}'");
    if (close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+')) --close;
    advance(close - at_);
    block_close("#}");
    return {};
  }

  // {% raw %} ... {% endraw %}, behind "{%" and its sign.
  Status raw(bool& is_raw) {
    std::size_t i = at_ + leading_space(rest());
    if (!source_.substr(i).starts_with("raw")) return {};
    i += 3;
    i += leading_space(source_.substr(i));
    const bool strip = source_.substr(i).starts_with("-%}");
    if (!strip && !source_.substr(i).starts_with("%}")) return {};
    is_raw = true;
    advance(i - at_ + (strip ? 3 : 2));
    if (strip) skip_space();
    line_starting_ = source_[at_ - 1] == '\n';
    for (std::size_t open = source_.find("{%", at_); open != source_.npos; open = source_.find("{%", open + 1)) {
      std::size_t j = open + 2;
      const char mark = j < source_.size() ? source_[j] : '\0';
      if (mark == '-' || mark == '+') ++j;
      j += leading_space(source_.substr(j));
      if (!source_.substr(j).starts_with("endraw")) continue;
      j += 6;
      j += leading_space(source_.substr(j));
      const std::string_view end = source_.substr(j);
      if (!end.starts_with("%}") && !end.starts_with("-%}") && !end.starts_with("+%}")) continue;
      add_data(source_.substr(at_, open - at_), mark == '-' ? Sign::minus : mark == '+' ? Sign::plus : Sign::none, true);
      advance(j - at_);
      block_close("%}");
      return {};
    }
    return error("'raw' has no end, want 'endraw'");
  }

  bool variable_close() {
    if (at("-}}")) {
      advance(3);
      skip_space();
    } else if (at("}}")) {
      advance(2);
    } else {
      return false;
    }
    line_starting_ = source_[at_ - 1] == '\n';
    return true;
  }

  Status tag_content(bool is_variable) {
    std::string open;  // the closing brackets that are due
    while (at_ < source_.size()) {
      if (open.empty()) {
        const int line = line_;
        if (is_variable ? variable_close() : block_close("%}")) {
          add(is_variable ? TokenType::variable_end : TokenType::block_end).line = line;
          return {};
        }
      }
      const utf8::Char c = utf8::next(source_, at_);
      if (is_space(c.code)) {
        skip_space();
      } else if (c.code >= '0' && c.code <= '9') {
        PONDER_TRY(number());
      } else if (is_identifier_start(c.code)) {
        std::size_t n = 0;
        for (utf8::Char part = c; is_identifier_part(part.code);) {
          n += part.size;
          if (at_ + n >= source_.size()) break;
          part = utf8::next(source_, at_ + n);
        }
        add(TokenType::name, std::string(rest().substr(0, n)));
        advance(n);
      } else if (c.code == '"' || c.code == '\'') {
        PONDER_TRY(string());
      } else {
        PONDER_TRY(op(open));
      }
    }
    return error("unexpected end of the template inside a tag");
  }

  Status op(std::string& open) {
    static constexpr std::array<std::string_view, 26> kOps = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                              "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                              ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (const std::string_view text : kOps) {
      if (!at(text)) continue;
      if (text == "{" || text == "(" || text == "[") {
        open += text == "{" ? '}' : text == "(" ? ')' : ']';
      } else if (text == "}" || text == ")" || text == "]") {
        if (open.empty() || open.back() != text[0]) return error("unexpected '{}'", text);
        open.pop_back();
      }
      add(TokenType::op, std::string(text));
      advance(text.size());
      return {};
    }
    return error("unexpected character '{}'", rest().substr(0, utf8::next(source_, at_).size));
  }

  // Digits of a base with single underscores between (or, with `leading`, in front of) them.
  std::size_t digits(std::size_t from, int base, bool leading, std::string& out) const {
    std::size_t i = from;
    const auto value = [&](std::size_t k) {
      if (k >= source_.size()) return 99;
      const char c = source_[k];
      return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : 99;
    };
    while (true) {
      if (value(i) < base) {
        out += source_[i++];
      } else if (i < source_.size() && source_[i] == '_' && value(i + 1) < base && (leading || i > from)) {
        ++i;
      } else {
        return i;
      }
    }
  }

  Status number() {
    std::string text;
    std::size_t end = digits(at_, 10, false, text);
    bool is_real = false;
    const bool behind_point = at_ > 0 && source_[at_ - 1] == '.';  // x.0.1 is two lookups
    const auto is_decimal = [&](std::size_t i) { return i < source_.size() && source_[i] >= '0' && source_[i] <= '9'; };
    if (!behind_point) {
      if (end < source_.size() && source_[end] == '.' && is_decimal(end + 1)) {
        text += '.';
        end = digits(end + 1, 10, false, text);
        is_real = true;
      }
      if (end < source_.size() && (source_[end] | 0x20) == 'e') {
        std::size_t i = end + 1;
        const bool has_sign = i < source_.size() && (source_[i] == '+' || source_[i] == '-');
        if (is_decimal(i + has_sign)) {
          text += 'e';
          if (has_sign) text += source_[i++];
          end = digits(i, 10, false, text);
          is_real = true;
        }
      }
    }
    if (is_real) {
      double value = 0;
      const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (code == std::errc::result_out_of_range) value = text.find("e-") != text.npos ? 0 : HUGE_VAL;
      add(TokenType::real).real = value;
      advance(end - at_);
      return {};
    }
    int base = 10;
    if (source_[at_] == '0' && at_ + 1 < source_.size()) {
      const int letter = source_[at_ + 1] | 0x20;
      const int other = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
      std::string other_text;
      const std::size_t other_end = other == 10 ? at_ : digits(at_ + 2, other, true, other_text);
      if (!other_text.empty()) base = other, text = other_text, end = other_end;
    }
    if (base == 10 && text.size() > 1 && text[0] == '0' && text.find_first_not_of('0') != text.npos)
      return error("'{}' is no number: decimal integers do not start with 0", text);
    std::int64_t value = 0;
    const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (code != std::errc()) return error("the integer {} does not fit into 64 bits", text.substr(0, 40));
    add(TokenType::integer).integer = value;
    advance(end - at_);
    return {};
  }

  Status string() {
    const char quote = source_[at_];
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return error("a string has no end, want {}", quote);
    PONDER_ASSIGN(std::string text, unescaped(source_.substr(at_ + 1, end - at_ - 1)));
    add(TokenType::string, std::move(text));
    advance(end + 1 - at_);
    return {};
  }

  Result<std::string> unescaped(std::string_view text) const {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i];  // string() saw to it that one follows
      static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
      if (const std::size_t k = kFrom.find(c); k != kFrom.npos) {
        out += kTo[k];
      } else if (c == '\n') {  // a line that goes on
      } else if (c >= '0' && c <= '7') {
        std::uint32_t value = 0;
        for (int n = 0; n < 3 && i < text.size() && text[i] >= '0' && text[i] <= '7'; ++n, ++i)
          value = value * 8 + static_cast<std::uint32_t>(text[i] - '0');
        --i;
        append_utf8(out, value);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        std::uint32_t value = 0;
        const std::size_t n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        const std::string_view hex = text.substr(i + 1, n);
        const auto [stop, code] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
        if (hex.size() < n || code != std::errc() || stop != hex.data() + n)
          return error("'\\{}' wants {} hexadecimal digits, found '{}'", c, n, hex);
        if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return error("'\\{}{}' is no character", c, hex);
        append_utf8(out, value);
        i += n;
      } else if (c == 'N') {
        return error("'\\N' (a character by name) is not supported");
      } else {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last tag ended with a line break
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  if (source.size() > kMaxSourceBytes)
    return fail(Code::bad_template, "line 1: the template has {} bytes, at most {} are read", source.size(), kMaxSourceBytes);
  if (const std::size_t bad = utf8::first_invalid(source); bad != source.npos)
    return fail(Code::bad_template, "line {}: the template is not valid UTF-8 at byte {}",
                1 + std::count(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(bad), '\n'), bad);
  const std::string text = normalized(source);
  return Lexer(text).run();
}

std::string describe(const Token& token) {
  switch (token.type) {
    case TokenType::data: return "text";
    case TokenType::variable_begin: return "'{{'";
    case TokenType::variable_end: return "'}}'";
    case TokenType::block_begin: return "'{%'";
    case TokenType::block_end: return "'%}'";
    case TokenType::name:
    case TokenType::op: return formatted("'{}'", token.text.substr(0, 60));
    case TokenType::string: return "a string";
    case TokenType::integer: return formatted("{}", token.integer);
    case TokenType::real: return formatted("{}", token.real);
    case TokenType::end: return "the end of the template";
  }
  return "?";
}

}  // namespace ponder::core::jinja
