#include "lib/grammar/regex_syntax.h"

#include "lib/base/format.h"
#include "lib/text/utf8.h"

namespace ponder::core::grammar {

namespace {

CharSet digits() { return {{'0', '9'}}; }
CharSet word() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
CharSet space() { return {{'\t', '\r'}, {' ', ' '}, {0xa0, 0xa0}, {0x2028, 0x2029}, {0xfeff, 0xfeff}}; }
CharSet newline() { return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}; }

class RegexParser {
 public:
  RegexParser(std::string_view text, const RegexOptions& options, Syntax& syntax)
      : text_(text), options_(options), out_(syntax) {}

  Result<NodeId> parse() {
    std::vector<NodeId> choices;
    do {
      const bool from_start = take("^");
      PONDER_ASSIGN(const NodeId body, parse_sequence(0));
      const bool to_end = take("$");
      if (at_ < text_.size() && text_[at_] != '|') return error(Code::invalid_argument, "'|' or the end");
      std::vector<NodeId> parts;
      if (options_.search && !from_start) parts.push_back(out_.repeat(any(), 0, kNoLimit));
      parts.push_back(body);
      if (options_.search && !to_end) parts.push_back(out_.repeat(any(), 0, kNoLimit));
      choices.push_back(out_.sequence(std::move(parts)));
    } while (take("|"));
    return out_.choice(std::move(choices));
  }

 private:
  Status error(Code code, std::string_view wanted) const {
    return fail(code, "regular expression, byte {}: want {}", at_ + 1, wanted);
  }
  bool has(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  bool take(std::string_view what) {
    if (!has(what)) return false;
    at_ += what.size();
    return true;
  }
  NodeId set(CharSet chars) { return options_.json_string ? json_chars(normalized(std::move(chars)), out_) : out_.chars(std::move(chars)); }
  NodeId any() { return set({{0, kMaxChar}}); }

  Result<NodeId> parse_choice(std::size_t nesting) {
    std::vector<NodeId> choices;
    do {
      PONDER_ASSIGN(const NodeId one, parse_sequence(nesting));
      choices.push_back(one);
    } while (take("|"));
    return out_.choice(std::move(choices));
  }

  Result<NodeId> parse_sequence(std::size_t nesting) {
    if (nesting > Syntax::kMaxNesting) return error(Code::unsupported, formatted("at most {} nested groups", Syntax::kMaxNesting));
    std::vector<NodeId> parts;
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')') {
      PONDER_TRY(out_.check_size("regular expression"));
      if (has("$") && nesting == 0) break;
      if (has("^") || has("$")) return error(Code::unsupported, "^ and $ at the ends of the whole only");
      NodeId part = 0;
      if (take("(")) {
        if (take("?") && !take(":")) return error(Code::unsupported, "no look-around, flags or named groups, but (?: or (");
        PONDER_ASSIGN(part, parse_choice(nesting + 1));
        if (!take(")")) return error(Code::invalid_argument, "')'");
      } else if (take("[")) {
        PONDER_ASSIGN(part, parse_class());
      } else if (take(".")) {
        part = set(complement(newline()));
      } else if (has("*") || has("+") || has("?") || has("{")) {
        return error(Code::invalid_argument, "something before the repeat");
      } else {
        PONDER_ASSIGN(const CharSet one, parse_atom());
        part = set(one);
      }
      PONDER_ASSIGN(part, parse_repeat(part));
      parts.push_back(part);
    }
    return out_.sequence(std::move(parts));
  }

  Result<NodeId> parse_repeat(NodeId part) {
    if (take("*"))
      part = out_.repeat(part, 0, kNoLimit);
    else if (take("+"))
      part = out_.repeat(part, 1, kNoLimit);
    else if (take("?"))
      part = out_.optional(part);
    else if (take("{")) {
      PONDER_ASSIGN(const std::uint32_t min, number());
      std::uint32_t max = min;
      if (take(",")) {
        max = kNoLimit;
        if (!has("}")) {
          PONDER_ASSIGN(max, number());
        }
      }
      if (!take("}")) return error(Code::invalid_argument, "'}'");
      if (max < min) return error(Code::invalid_argument, "a repeat whose most is not below its least");
      part = out_.repeat(part, min, max);
    } else {
      return part;
    }
    take("?");
    if (has("*") || has("+") || has("?") || has("{")) return error(Code::unsupported, "one repeat, not possessive or of a repeat");
    return part;
  }

  Result<std::uint32_t> number() {
    std::uint32_t value = 0;
    const std::size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint32_t>(text_[at_] - '0');
      if (value > 1'000'000) return error(Code::unsupported, "a number up to 1000000");
    }
    if (at_ == begin) return error(Code::invalid_argument, "a number");
    return value;
  }

  Result<std::uint32_t> hex(int n_digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < n_digits; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : ' ';
      const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!letter && !(c >= '0' && c <= '9')) return error(Code::invalid_argument, formatted("{} hexadecimal digits", n_digits));
      value = value * 16 + static_cast<std::uint32_t>(letter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    if (value >= 0xd800 && value <= 0xdfff) return error(Code::unsupported, "no surrogates");
    return value;
  }

  // One character or an escape, inside and outside of classes.
  Result<CharSet> parse_atom() {
    if (at_ == text_.size()) return error(Code::invalid_argument, "a character");
    if (!take("\\")) {
      const utf8::Char c = utf8::next(text_, at_);
      if (!c.valid) return error(Code::invalid_argument, "UTF-8");
      at_ += c.size;
      return CharSet{{c.code, c.code}};
    }
    if (take("d")) return digits();
    if (take("w")) return word();
    if (take("s")) return space();
    if (take("D")) return complement(digits());
    if (take("W")) return complement(word());
    if (take("S")) return complement(space());
    const auto one = [](std::uint32_t code) { return CharSet{{code, code}}; };
    if (take("n")) return one('\n');
    if (take("r")) return one('\r');
    if (take("t")) return one('\t');
    if (take("f")) return one('\f');
    if (take("v")) return one('\v');
    if (has("x") || has("u")) {
      const int n_digits = text_[at_++] == 'x' ? 2 : 4;
      PONDER_ASSIGN(const std::uint32_t code, hex(n_digits));
      return one(code);
    }
    if (take("0") && !(at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9')) return one(0);
    const char c = at_ < text_.size() ? text_[at_] : 'a';
    const bool punctuation = (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`' ) || (c >= '{' && c <= '~');
    if (!punctuation || c == '_') return error(Code::unsupported, "an escape of the supported ones (no \\b, no back references)");
    ++at_;
    return one(static_cast<std::uint32_t>(c));
  }

  Result<NodeId> parse_class() {
    const bool negated = take("^");
    CharSet all;
    while (at_ < text_.size() && text_[at_] != ']') {
      PONDER_ASSIGN(CharSet chars, parse_atom());
      if (has("-") && text_.substr(at_, 2) != "-]") {
        ++at_;
        PONDER_ASSIGN(const CharSet last, parse_atom());
        const bool singles = chars.size() == 1 && chars[0].first == chars[0].last && last.size() == 1 && last[0].first == last[0].last;
        if (!singles || last[0].first < chars[0].first) return error(Code::invalid_argument, "a range that ascends");
        chars[0].last = last[0].first;
      }
      all.insert(all.end(), chars.begin(), chars.end());
    }
    if (at_ == text_.size()) return error(Code::invalid_argument, "']'");
    ++at_;
    all = normalized(std::move(all));
    return set(negated ? complement(all) : all);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  RegexOptions options_;
  Syntax& out_;
};

}  // namespace

NodeId json_chars(const CharSet& set, Syntax& syntax) {
  CharSet plain;
  std::vector<NodeId> choices;
  constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetter = "\"\\bfnrt";
  for (const CharRange& r : set) {
    for (std::uint32_t code = r.first; code <= r.last && code <= '\\'; ++code) {
      const std::size_t at = kShort.find(static_cast<char>(code));
      if (at != kShort.npos)
        choices.push_back(syntax.text(std::string{'\\', kLetter[at]}));
      else if (code < 0x20)
        choices.push_back(syntax.text(formatted("\\u{:04x}", code)));
      else
        plain.push_back({code, code});
    }
    if (r.last > '\\') plain.push_back({std::max<std::uint32_t>(r.first, '\\' + 1), r.last});
  }
  if (!plain.empty()) choices.push_back(syntax.chars(std::move(plain)));
  return syntax.choice(std::move(choices));
}

Result<NodeId> parse_regex(std::string_view text, const RegexOptions& options, Syntax& syntax) {
  constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
  if (text.size() > kMaxBytes)
    return fail(Code::invalid_argument, "regular expression: {} bytes, want at most {}", text.size(), kMaxBytes);
  return RegexParser(text, options, syntax).parse();
}

}  // namespace ponder::core::grammar
