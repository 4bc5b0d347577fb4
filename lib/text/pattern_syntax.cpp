// Oniguruma's Ruby syntax as PCRE2 writes it. Only what differs is touched.
#include <algorithm>

#include "lib/base/format.h"
#include "lib/text/pattern.h"

namespace ponder::core {

namespace {

// Members of Oniguruma's \s, \w and \h (UTF-8), to stand inside brackets. PCRE2's own \s has U+180E besides, and its \w lacks
// marks and connectors.
constexpr std::string_view kSpace = R"(\t-\r\x{85}\p{Z})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kHex = "0-9A-Fa-f";

class Translator {
 public:
  explicit Translator(std::string_view source) : source_(source) {}

  Result<std::string> run() {
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '\\') PONDER_TRY(escape(false));
      else if (c == '[') PONDER_TRY(brackets());
      else if (c == '{') PONDER_TRY(braces());
      else if (source_.substr(at_).starts_with("(?")) PONDER_TRY(group());
      else take();
    }
    return std::move(out_);
  }

 private:
  void take(std::size_t n = 1) {
    out_ += source_.substr(at_, n);
    at_ += n;
  }
  Status refuse(std::string_view what) const {
    return fail(Code::unsupported, "tokenizer.json: pattern '{}' at byte {}: {}", source_, at_, what);
  }

  Status escape(bool in_brackets) {
    if (at_ + 1 >= source_.size()) return refuse("a backslash at the end");
    const char c = source_[at_ + 1];
    std::string_view members;
    switch (c) {
      case 's': case 'S': members = kSpace; break;
      case 'w': case 'W': members = kWord; break;
      case 'h': case 'H': members = kHex; break;
      case 'b': case 'B':
        if (!in_brackets) return refuse("word boundaries are not supported");
        break;
      case 'u':
        if (at_ + 6 > source_.size()) return refuse("\\u wants four digits");
        out_ += formatted("\\x{{{}}}", source_.substr(at_ + 2, 4));
        at_ += 6;
        return {};
      default: break;
    }
    if (members.empty()) {
      take(2);
      if (std::string_view("pPxo").find(c) != std::string_view::npos && at_ < source_.size() && source_[at_] == '{')
        take(std::min(source_.find('}', at_), source_.size() - 1) + 1 - at_);
      return {};
    }
    const bool negated = c >= 'A' && c <= 'Z';
    if (negated && in_brackets) return refuse("\\S, \\W and \\H inside brackets are not supported");
    at_ += 2;
    if (in_brackets) out_ += members;
    else out_ += formatted("[{}{}]", negated ? "^" : "", members);
    return {};
  }

  Status brackets() {
    take();
    if (at_ < source_.size() && source_[at_] == '^') take();
    if (at_ < source_.size() && source_[at_] == ']') take();
    while (at_ < source_.size() && source_[at_] != ']') {
      const std::string_view rest = source_.substr(at_);
      if (rest.starts_with("&&")) return refuse("intersections of sets are not supported");
      if (rest.starts_with("[:")) {
        const std::size_t end = rest.find(":]");
        if (end == rest.npos) return refuse("an unfinished [:name:]");
        take(end + 2);
      } else if (rest[0] == '[') {
        return refuse("sets inside sets are not supported");
      } else if (rest[0] == '\\') {
        PONDER_TRY(escape(true));
      } else {
        take();
      }
    }
    if (at_ < source_.size()) take();
    return {};
  }

  // {n,m}: what follows it means another thing in Ruby ({n,m}+ repeats, {n}? makes optional), and {,m} is literal in PCRE2.
  Status braces() {
    std::size_t end = at_ + 1;
    while (end < source_.size() && (source_[end] == ',' || (source_[end] >= '0' && source_[end] <= '9'))) ++end;
    if (end < source_.size() && source_[end] == '}' && end > at_ + 1) {
      if (source_[at_ + 1] == ',') return refuse("{,m} is not supported, want {0,m}");
      if (end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '?'))
        return refuse("a quantifier behind {n,m} is not supported");
      take(end + 1 - at_);
      return {};
    }
    take();
    return {};
  }

  // (?imx-imx) and (?imx-imx:...): Ruby's m lets the dot match line ends, as PCRE2's s does.
  Status group() {
    std::size_t end = at_ + 2;
    while (end < source_.size() && std::string_view("imx-").find(source_[end]) != std::string_view::npos) ++end;
    if (end == at_ + 2 || end >= source_.size() || (source_[end] != ':' && source_[end] != ')')) {
      take(2);
      return {};
    }
    if (source_[end] == ')' && at_ != 0) return refuse("options in the middle of a pattern are not supported");
    for (; at_ <= end; ++at_) out_ += source_[at_] == 'm' ? 's' : source_[at_];
    return {};
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> to_pcre2(std::string_view source) { return Translator(source).run(); }

}  // namespace ponder::core
