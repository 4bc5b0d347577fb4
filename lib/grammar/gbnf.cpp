#include "lib/grammar/gbnf.h"

#include <map>

#include "lib/base/format.h"
#include "lib/text/utf8.h"

namespace ponder::core::grammar {

namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text) {}

  Result<Syntax> parse() {
    rule("root");
    skip();
    while (at_ < text_.size()) {
      PONDER_TRY(parse_rule());
      PONDER_TRY(out_.check_size("grammar"));
      skip();
    }
    for (const Rule& r : out_.rules)
      if (!r.defined) return fail(Code::invalid_argument, "grammar: rule '{}' is used but not defined", r.name);
    return std::move(out_);
  }

 private:
  Status error(std::string_view wanted) const {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
      ++column;
      if (text_[i] == '\n') ++line, column = 1;
    }
    return fail(Code::invalid_argument, "grammar, line {}, column {}: want {}", line, column, wanted);
  }
  bool has(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  bool take(std::string_view what) {
    if (!has(what)) return false;
    at_ += what.size();
    return true;
  }
  void skip() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        if (at_ == text_.size()) return;
      } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
        return;
      }
    }
  }
  RuleId rule(std::string_view name) {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    const RuleId id = out_.add_rule(std::string(name));
    names_.emplace(name, id);
    return id;
  }
  std::string_view name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  // Whether a name here begins the next rule.
  bool begins_rule() {
    const std::size_t begin = at_;
    (void)name();
    skip();
    const bool begins = has("::=");
    at_ = begin;
    return begins;
  }

  Status parse_rule() {
    const std::string_view rule_name = name();
    if (rule_name.empty()) return error("the name of a rule");
    const RuleId id = rule(rule_name);
    if (out_.rules[id].defined) return error(formatted("'{}' to be defined once", rule_name));
    skip();
    if (!take("::=")) return error("'::='");
    PONDER_ASSIGN(const NodeId body, parse_choice(0));
    out_.define(id, body);
    if (at_ < text_.size() && !is_name_char(text_[at_])) return error("a rule, or a part of one");
    return {};
  }

  Result<NodeId> parse_choice(std::size_t nesting) {
    if (nesting > Syntax::kMaxNesting) return error(formatted("at most {} nested groups", Syntax::kMaxNesting));
    std::vector<NodeId> choices;
    do {
      PONDER_ASSIGN(const NodeId one, parse_sequence(nesting));
      choices.push_back(one);
    } while (take("|"));
    return out_.choice(std::move(choices));
  }

  Result<NodeId> parse_sequence(std::size_t nesting) {
    std::vector<NodeId> parts;
    for (;;) {
      skip();
      if (at_ == text_.size() || text_[at_] == '|' || text_[at_] == ')') break;
      PONDER_TRY(out_.check_size("grammar"));
      NodeId part = 0;
      const char c = text_[at_];
      if (is_name_char(c)) {
        if (begins_rule()) break;
        part = out_.call(rule(name()));
      } else if (c == '"' || c == '\'') {
        PONDER_ASSIGN(part, parse_literal());
      } else if (c == '[') {
        PONDER_ASSIGN(part, parse_class());
      } else if (take(".")) {
        part = out_.chars({{0, kMaxChar}});
      } else if (take("(")) {
        PONDER_ASSIGN(part, parse_choice(nesting + 1));
        if (!take(")")) return error("')'");
      } else {
        return error("a literal, class, group, or the name of a rule");
      }
      PONDER_ASSIGN(part, parse_repeats(part));
      parts.push_back(part);
    }
    return out_.sequence(std::move(parts));
  }

  Result<NodeId> parse_repeats(NodeId part) {
    for (int i = 0;; ++i) {
      if (i > 4) return error("at most 4 repeats of one part");
      if (take("*")) {
        part = out_.repeat(part, 0, kNoLimit);
      } else if (take("+")) {
        part = out_.repeat(part, 1, kNoLimit);
      } else if (take("?")) {
        part = out_.optional(part);
      } else if (take("{")) {
        PONDER_ASSIGN(const std::uint32_t min, number());
        std::uint32_t max = min;
        skip();
        if (take(",")) {
          skip();
          max = kNoLimit;
          if (!has("}")) {
            PONDER_ASSIGN(max, number());
          }
        }
        skip();
        if (!take("}")) return error("'}'");
        if (max < min) return error("a repeat whose most is not below its least");
        part = out_.repeat(part, min, max);
      } else {
        return part;
      }
    }
  }

  Result<std::uint32_t> number() {
    skip();
    std::uint32_t value = 0;
    const std::size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint32_t>(text_[at_] - '0');
      if (value > 1'000'000) return error("a number up to 1000000");
    }
    if (at_ == begin) return error("a number");
    return value;
  }

  Result<std::uint32_t> hex(int n_digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < n_digits; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : ' ';
      const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!letter && !(c >= '0' && c <= '9')) return error(formatted("{} hexadecimal digits", n_digits));
      value = value * 16 + static_cast<std::uint32_t>(letter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    if (value > kMaxChar || (value >= 0xd800 && value <= 0xdfff)) return error("a character, not a surrogate");
    return value;
  }

  // One character of a literal or class.
  Result<std::uint32_t> character() {
    if (at_ == text_.size()) return error("a character");
    if (take("\\")) {
      if (take("n")) return std::uint32_t{'\n'};
      if (take("r")) return std::uint32_t{'\r'};
      if (take("t")) return std::uint32_t{'\t'};
      if (take("x")) return hex(2);
      if (take("u")) return hex(4);
      if (take("U")) return hex(8);
      if (at_ < text_.size() && std::string_view("\\\"'[]-^").find(text_[at_]) != std::string_view::npos)
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text_[at_++]));
      return error("one of \\n \\r \\t \\\\ \\\" \\' \\[ \\] \\- \\^ \\xHH \\uHHHH \\UHHHHHHHH");
    }
    const utf8::Char c = utf8::next(text_, at_);
    if (!c.valid) return error("UTF-8");
    at_ += c.size;
    return c.code;
  }

  Result<NodeId> parse_literal() {
    const char quote = text_[at_++];
    std::string bytes;
    while (at_ < text_.size() && text_[at_] != quote) {
      PONDER_ASSIGN(const std::uint32_t code, character());
      append_utf8(bytes, code);
    }
    if (at_ == text_.size()) return error("the closing quote of a literal");
    ++at_;
    return out_.text(bytes);
  }

  Result<NodeId> parse_class() {
    ++at_;
    const bool negated = take("^");
    CharSet set;
    while (at_ < text_.size() && text_[at_] != ']') {
      PONDER_ASSIGN(const std::uint32_t first, character());
      std::uint32_t last = first;
      if (has("-") && text_.substr(at_, 2) != "-]") {
        ++at_;
        PONDER_ASSIGN(last, character());
        if (last < first) return error("a range that ascends");
      }
      set.push_back({first, last});
    }
    if (at_ == text_.size()) return error("']'");
    ++at_;
    if (negated) set = complement(normalized(std::move(set)));
    return out_.chars(std::move(set));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Syntax out_;
  std::map<std::string, RuleId, std::less<>> names_;
};

}  // namespace

Result<Syntax> parse_gbnf(std::string_view text) {
  constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
  if (text.size() > kMaxBytes) return fail(Code::invalid_argument, "grammar: {} bytes, want at most {}", text.size(), kMaxBytes);
  return GbnfParser(text).parse();
}

}  // namespace ponder::core::grammar
