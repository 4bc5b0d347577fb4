// Pattern::simple: the part of regular expressions that the split patterns of tokenizers are made of.
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "lib/base/format.h"
#include "lib/text/pattern_matches.h"
#include "lib/text/unicode_category.h"

namespace ponder::core {
namespace {

constexpr std::size_t kNone = std::string_view::npos, kUnlimited = std::numeric_limits<std::size_t>::max();

// A set of characters.
class CharSet {
 public:
  void add(std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t c = first; c <= last && c < ascii_.size(); ++c) ascii_[c] = true;
    if (last >= ascii_.size()) ranges_.emplace_back(first, last);
  }
  void add_categories(std::uint32_t bits) {
    categories_ |= bits;
    for (std::uint32_t c = 0; c < ascii_.size(); ++c)
      if (bits >> unicode_category(c) & 1) ascii_[c] = true;
  }
  void negate() { negated_ = !negated_; }
  bool has(std::uint32_t c) const {
    if (c < ascii_.size()) return ascii_[c] != negated_;
    const bool in = (categories_ != 0 && (categories_ >> unicode_category(c) & 1)) ||
                    std::any_of(ranges_.begin(), ranges_.end(), [c](const auto& r) { return c >= r.first && c <= r.second; });
    return in != negated_;
  }

 private:
  std::array<bool, 128> ascii_{};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_;  // with characters beyond ASCII
  std::uint32_t categories_ = 0;
  bool negated_ = false;
};

// A set, min to max times, as often as possible.
struct Item {
  CharSet set;
  std::size_t min = 1, max = 1;
};

struct Alternative {
  std::vector<Item> items;
  std::optional<CharSet> not_before;  // (?!x): the text does not go on with one of these
  bool at_line_end = false;           // $: before a newline or the text's end
};

class Parser {
 public:
  explicit Parser(std::string_view source) : source_(source) {}

  Result<std::vector<Alternative>> run() {
    do {
      if (source_.substr(at_).starts_with("(?i:")) {
        PONDER_TRY(literals());
      } else {
        PONDER_TRY(alternative());
      }
    } while (accept("|"));
    if (at_ < source_.size()) return refuse("is not supported");
    return std::move(alternatives_);
  }

 private:
  Status refuse(std::string_view what) const {
    return fail(Code::unsupported,
                "tokenizer.json: pattern '{}' at byte {}: {} without general regular expressions, and ponder was built with "
                "PONDER_PCRE2=OFF",
                source_, at_, what);
  }
  bool accept(std::string_view text) {
    if (!source_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  bool at_end() const { return at_ >= source_.size(); }

  // (?i:'s|'t): texts, in either case.
  Status literals() {
    at_ += 4;
    do {
      Alternative& literal = alternatives_.emplace_back();
      while (!at_end() && source_[at_] != '|' && source_[at_] != ')') {
        const auto c = static_cast<unsigned char>(source_[at_]);
        const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && c != '\'') return refuse("other than letters in (?i:)");
        Item& item = literal.items.emplace_back();
        item.set.add(c, c);
        if (letter) item.set.add(c ^ 0x20u, c ^ 0x20u);
        if ((c | 0x20) == 's') item.set.add(0x17f, 0x17f);    // LATIN SMALL LETTER LONG S
        if ((c | 0x20) == 'k') item.set.add(0x212a, 0x212a);  // KELVIN SIGN
        ++at_;
      }
      if (literal.items.empty()) return refuse("an empty text");
    } while (accept("|"));
    return accept(")") ? Status() : refuse("an unfinished group");
  }

  Status alternative() {
    Alternative& made = alternatives_.emplace_back();
    while (!at_end() && source_[at_] != '|') {
      if (accept("(?!")) {
        made.not_before.emplace();
        PONDER_TRY(atom(*made.not_before));
        if (!accept(")")) return refuse("a lookahead of more than a character");
        break;
      }
      if (accept("$")) {
        made.at_line_end = true;
        break;
      }
      Item& item = made.items.emplace_back();
      PONDER_TRY(atom(item.set));
      PONDER_TRY(quantifier(item));
    }
    if (made.items.empty()) return refuse("an alternative without characters");
    if (!at_end() && source_[at_] != '|') return refuse("something behind the end of an alternative");
    return {};
  }

  Status quantifier(Item& item) {
    if (accept("?")) item.min = 0;
    else if (accept("*")) item.min = 0, item.max = kUnlimited;
    else if (accept("+")) item.max = kUnlimited;
    else if (accept("{")) {
      PONDER_TRY(number(item.min));
      item.max = item.min;
      if (accept(",")) {
        item.max = kUnlimited;
        if (!at_end() && source_[at_] != '}') PONDER_TRY(number(item.max));
      }
      if (!accept("}") || item.max < item.min) return refuse("a quantifier of another form");
    } else {
      return {};
    }
    if (!at_end() && std::string_view("?*+{").find(source_[at_]) != kNone) return refuse("a lazy or possessive quantifier");
    return {};
  }
  Status number(std::size_t& n) {
    const char* const end = source_.data() + source_.size();
    const auto [next, error] = std::from_chars(source_.data() + at_, end, n);
    if (error != std::errc() || n > 1000) return refuse("a quantifier of another form");
    at_ = static_cast<std::size_t>(next - source_.data());
    return {};
  }

  // One character, class or set.
  Status atom(CharSet& set) {
    if (at_end()) return refuse("nothing to match");
    const char c = source_[at_];
    if (c == '[') return brackets(set);
    if (c == '\\') {
      std::uint32_t code = 0;
      bool single = false;
      PONDER_TRY(escape(set, true, code, single));
      if (single) set.add(code, code);
      return {};
    }
    if (std::string_view("()|.^$*+?{").find(c) != kNone) return refuse("a group, dot, anchor or quantifier here");
    std::uint32_t code = 0;
    PONDER_TRY(plain(code));
    set.add(code, code);
    return {};
  }

  Status plain(std::uint32_t& code) {
    const utf8::Char c = utf8::next(source_, at_);
    if (!c.valid) return refuse("invalid UTF-8");
    code = c.code;
    at_ += c.size;
    return {};
  }

  Status brackets(CharSet& set) {
    ++at_;
    const bool negated = accept("^");
    if (accept("]")) set.add(']', ']');
    while (!at_end() && source_[at_] != ']') {
      if (source_[at_] == '[' || source_.substr(at_).starts_with("&&")) return refuse("sets inside sets");
      std::uint32_t first = 0, last = 0;
      bool single = true;
      PONDER_TRY(source_[at_] == '\\' ? escape(set, false, first, single) : plain(first));
      if (!single) continue;
      last = first;
      if (source_.substr(at_).starts_with("-") && at_ + 1 < source_.size() && source_[at_ + 1] != ']') {
        ++at_;
        PONDER_TRY(source_[at_] == '\\' ? escape(set, false, last, single) : plain(last));
        if (!single || last < first) return refuse("a range of another form");
      }
      set.add(first, last);
    }
    if (!accept("]")) return refuse("an unfinished set");
    if (negated) set.negate();
    return {};
  }

  // A class goes into `set`, which may become its complement where it `can_negate`; a single character into `code`.
  Status escape(CharSet& set, bool can_negate, std::uint32_t& code, bool& single) {
    single = false;
    if (at_ + 1 >= source_.size()) return refuse("a backslash at the end");
    const char c = source_[at_ + 1];
    at_ += 2;
    switch (c) {
      case 's':
      case 'S':  // Oniguruma's
        if (c == 'S' && !can_negate) return refuse("\\S inside a set");
        set.add('\t', '\r'), set.add(0x85, 0x85), set.add_categories(categories_by_name("Z"));
        if (c == 'S') set.negate();
        return {};
      case 'p':
      case 'P': {
        const std::size_t end = source_.substr(at_).starts_with("{") ? source_.find('}', at_) : kNone;
        const std::uint32_t bits = end == kNone ? 0 : categories_by_name(source_.substr(at_ + 1, end - at_ - 1));
        if (bits == 0) return refuse("a property that is no general category");
        at_ = end + 1;
        set.add_categories(c == 'P' ? ~bits : bits);
        return {};
      }
      default: break;
    }
    single = true;
    constexpr std::string_view kNames = "nrtfv", kCodes = "\n\r\t\f\v";
    if (const std::size_t known = kNames.find(c); known != kNone) {
      code = static_cast<unsigned char>(kCodes[known]);
      return {};
    }
    if (c == 'x' || c == 'u') return hex(c, code);
    const bool word = c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (word || static_cast<unsigned char>(c) >= 0x80) return refuse("an escape of another kind");
    code = static_cast<unsigned char>(c);
    return {};
  }

  // \x{1F600}, \x41, \u0041.
  Status hex(char kind, std::uint32_t& code) {
    const bool braces = kind == 'x' && accept("{");
    const std::size_t end = braces ? source_.find('}', at_) : at_ + (kind == 'u' ? 4u : 2u);
    if (end == kNone || end > source_.size()) return refuse("an unfinished number");
    const auto [next, error] = std::from_chars(source_.data() + at_, source_.data() + end, code, 16);
    if (error != std::errc() || next != source_.data() + end || code > 0x10ffff) return refuse("a number of another form");
    at_ = end + (braces ? 1 : 0);
    return {};
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::vector<Alternative> alternatives_;
};

class Simple final : public Pattern {
 public:
  Simple(std::string_view source, std::vector<Alternative> alternatives)
      : source_(source), alternatives_(std::move(alternatives)) {}

  Result<std::unique_ptr<Scratch>> make_scratch() const override { return std::make_unique<Scratch>(); }

  Status find_all(std::string_view text, Scratch&, std::vector<TextSpan>& matches) const override {
    const std::size_t limit = search_limit(text);
    return collect_matches(text, matches, [&](std::size_t at, TextSpan& match, bool& found) -> Status {
      Search search{text, limit};
      while (at <= text.size()) {
        std::size_t run_end = at;
        for (const Alternative& alternative : alternatives_) {
          const std::size_t end = search.match(alternative, 0, at, &run_end);
          if (search.n_left == 0)
            return fail(Code::unsupported, "tokenizer.json: pattern '{}', searched in {} bytes of text: too many steps", source_,
                        text.size());
          if (end == kNone) continue;
          found = true;
          match = {at, end};
          return {};
        }
        // What follows a run of the first set does not fit behind any part of it: no match begins inside of the run either.
        const bool skip = alternatives_.size() == 1 && alternatives_[0].items[0].max == kUnlimited && run_end > at;
        if (skip) at = run_end;
        else at += at < text.size() ? utf8::next(text, at).size : 1;
      }
      return {};
    });
  }

 private:
  struct Search {
    std::string_view text;
    std::size_t n_left;  // steps

    bool step() { return n_left > 0 && --n_left > 0; }
    // The end of a match of the items from `index` on, or kNone. run_end: where the first item's longest run ends.
    std::size_t match(const Alternative& alternative, std::size_t index, std::size_t at, std::size_t* run_end) {
      if (index == alternative.items.size()) return fits_end(alternative, at) ? at : kNone;
      const Item& item = alternative.items[index];
      std::size_t n = 0, end = at;
      while (n < item.max && end < text.size()) {
        const utf8::Char c = utf8::next(text, end);
        if (!item.set.has(c.code)) break;
        end += c.size;
        ++n;
      }
      if (run_end) *run_end = end;
      for (;; --n) {
        if (n < item.min || !step()) return kNone;
        if (const std::size_t found = match(alternative, index + 1, end, nullptr); found != kNone) return found;
        if (n == 0) return kNone;
        do --end;
        while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
      }
    }
    bool fits_end(const Alternative& alternative, std::size_t at) const {
      if (at == text.size()) return true;
      if (alternative.at_line_end) return text[at] == '\n';
      return !alternative.not_before || !alternative.not_before->has(utf8::next(text, at).code);
    }
  };

  std::string source_;
  std::vector<Alternative> alternatives_;
};

}  // namespace

Result<std::shared_ptr<const Pattern>> Pattern::simple(std::string_view source) {
  PONDER_ASSIGN(std::vector<Alternative> alternatives, Parser(source).run());
  return std::shared_ptr<const Pattern>(std::make_shared<Simple>(source, std::move(alternatives)));
}

}  // namespace ponder::core
