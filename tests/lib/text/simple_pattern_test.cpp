// The matcher for builds without PCRE2, beside PCRE2 where there is one: the same matches on random texts.
#include <random>

#include "lib/text/gguf_pre_tokenizers.h"
#include "lib/text/unicode_category.h"
#include "lib/text/utf8.h"
#include "tests/lib/text/published_tokenizers.h"

using namespace ponder::core;

namespace {

void collect_patterns(const Json& value, std::vector<std::string>& out) {
  if (value.is_array())
    for (const Json& element : value.as_array()) collect_patterns(element, out);
  if (!value.is_object()) return;
  for (const auto& [key, member] : value.as_object()) {
    if (key == "Regex") out.push_back(member.as_string());
    else collect_patterns(member, out);
  }
}

// What the tokenizers that ponder knows split by: those of GGUF's names, of the published files, and of ByteLevel and Digits.
std::vector<std::string> known_patterns() {
  std::vector<std::string> patterns{R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", R"(\p{N})",
                                    R"([!-/:-@\[-`{-~\p{P}])", R"(\s)"};
  for (const char* name : {"deepseek-llm", "deepseek-v3", "qwen2", "llama-bpe"})
    collect_patterns(gguf_pre_tokenizer(name)->pre_tokenizer, patterns);
  for (const char* name : {"deepseek_v3", "qwen2_5", "llama3"}) {
    const std::string text = tokenizer_json(tokenizer_golden(name));
    const std::size_t begin = text.find("\"pre_tokenizer\""), end = text.find("\"post_processor\"");
    REQUIRE(end != text.npos);
    const auto part = parse_json("{" + text.substr(begin, text.rfind(',', end) - begin) + "}", name);
    REQUIRE_MESSAGE(part.ok(), part.status().message());
    collect_patterns(*part, patterns);
  }
  return patterns;
}

std::vector<TextSpan> matches_of(const Result<std::shared_ptr<const Pattern>>& pattern, std::string_view text) {
  REQUIRE_MESSAGE(pattern.ok(), pattern.status().message());
  const auto scratch = (*pattern)->make_scratch().value();
  std::vector<TextSpan> matches;
  const Status status = (*pattern)->find_all(text, *scratch, matches);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return matches;
}

bool same(const std::vector<TextSpan>& a, const std::vector<TextSpan>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](TextSpan x, TextSpan y) { return x.begin == y.begin && x.end == y.end; });
}

// Texts of what patterns tell apart: letters, digits, blanks and line ends of all sorts, marks, symbols, contractions, and any
// character at all.
class Texts {
 public:
  explicit Texts(std::uint32_t seed) : random_(seed) {}
  std::string next() {
    std::string text;
    for (int n = below(40); n >= 0; --n) {
      const int kind = below(12);
      for (int repeat = below(4) == 0 ? below(8) : 0; repeat >= 0; --repeat) add(kind, text);
    }
    return text;
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  void add(int kind, std::string& text) {
    static constexpr const char* kPieces[] = {"'s", "'T", "'re", "'VE", "'\xc5\xbf", "'ll", "don't", "\r\n", "\n", "\r", "\t", " ", "  ",
                                              "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\xa8", "\xc2\x85", "\xe1\xa0\x8e", "!", "?!", "(", ")", "_",
                                              "123", "7", "\xef\xbc\x91", "\xe4\xb8\xad", "\xe3\x81\x82", "\xe3\x82\xa2", "\xed\x95\x9c", "e\xcc\x81",
                                              "$", "+", "^", "`", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xe2\x80\x8d", "A", "z", "\xc3\x9f", "\xe0\xa4\x95\xe0\xa5\x8d"};
    if (kind < 7) text += kPieces[below(static_cast<int>(std::size(kPieces)))];
    else if (kind < 9) text += static_cast<char>(below(128));
    else {
      auto code = static_cast<std::uint32_t>(random_() % (kind == 9 ? 0x3000u : kind == 10 ? 0x20000u : 0x110000u));
      if (code >= 0xd800 && code < 0xe000) code = 0xd7ff;
      utf8::append(text, code);
    }
  }
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("simple patterns: every known split pattern is one, and finds what PCRE2 finds in random texts") {
  const std::vector<std::string> patterns = known_patterns();
  CHECK(patterns.size() > 18);
  std::vector<Result<std::shared_ptr<const Pattern>>> simple, regex;
  for (const std::string& pattern : patterns) {
    CAPTURE(pattern);
    simple.push_back(Pattern::simple(pattern));
    CHECK_MESSAGE(simple.back().ok(), simple.back().status().message());
    regex.push_back(Pattern::regex(pattern));
  }
  if (pattern_unicode_version().substr(0, 3) != unicode_category_version().substr(0, 3)) {
    MESSAGE("PCRE2 has another Unicode version: ", pattern_unicode_version());
    return;
  }
  Texts texts(1);
  std::size_t n_matches = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string text = texts.next();
    for (std::size_t k = 0; k < patterns.size(); ++k) {
      const auto found = matches_of(simple[k], text);
      n_matches += found.size();
      if (same(found, matches_of(regex[k], text))) continue;
      CAPTURE(patterns[k]);
      CAPTURE(text);
      FAIL_CHECK("other matches than PCRE2's");
    }
  }
  CHECK(n_matches > 100000);
}

TEST_CASE("simple patterns: all characters are in the categories where PCRE2 has them") {
  if (pattern_unicode_version().substr(0, 3) != unicode_category_version().substr(0, 3)) return;
  std::string text;
  for (std::uint32_t code = 0; code < 0x110000; ++code)
    if (code < 0xd800 || code > 0xdfff) utf8::append(text, code);
  std::size_t n_seen = 0, n_wrong = 0;
  for (std::size_t i = 0; i < kCategoryNames.size(); i += 2) {
    const std::string name(kCategoryNames.substr(i, 2));
    CAPTURE(name);
    CHECK(categories_by_name(name) == 1u << (i / 2));
    const auto runs = matches_of(Pattern::regex("\\p{" + name + "}+"), text);
    CHECK(runs.empty() == (name == "Cs"));  // which UTF-8 does not have
    for (const TextSpan& run : runs)
      for (std::size_t at = run.begin; at < run.end; ++n_seen) {
        const utf8::Char c = utf8::next(text, at);
        n_wrong += unicode_category(c.code) != i / 2;
        at += c.size;
      }
  }
  CHECK(n_seen == 0x110000 - 0x800);
  CHECK(n_wrong == 0);
  CHECK(categories_by_name("L") == 0x1f);
  CHECK(categories_by_name("Zs") == 1u << 22);
  for (const char* name : {"", "u", "LL", "Latin", "X"}) CHECK(categories_by_name(name) == 0);
}

TEST_CASE("simple patterns: quantifiers, sets and ends, by hand") {
  const auto find = [](std::string_view pattern, std::string_view text) {
    std::string out;
    for (const TextSpan& match : matches_of(Pattern::simple(pattern), text)) {
      out += '[';
      out += text.substr(match.begin, match.end - match.begin);
      out += ']';
    }
    return out;
  };
  CHECK(find("a", "banana") == "[a][a][a]");
  CHECK(find("a?n", "banana nn") == "[an][an][n][n]");
  CHECK(find("[0-9]{1,3}", "1234567") == "[123][456][7]");
  CHECK(find("[0-9]{2}", "12345") == "[12][34]");
  CHECK(find("x{2,}", "xxxx x xx") == "[xxxx][xx]");
  CHECK(find("a*ab", "aaab ab b") == "[aaab][ab]");
  CHECK(find(R"(\s+(?!\S)|\s+)", "a   b  ") == "[  ][ ][  ]");
  CHECK(find(R"(\s+$)", "a  \nb ") == "[  ][ ]");
  CHECK(find(R"([^\s\p{L}]+)", "ab1-2 c!") == "[1-2][!]");
  CHECK(find(R"([\]\-^a]+)", "x]-^ay") == "[]-^a]");
  CHECK(find("(?i:'s|'ll)", "it'S they'll '") == "['S]['ll]");
  CHECK(find(R"(\x{4e2d}|\x41|\u0042)", "A\xe4\xb8\xad" "B") == "[A][\xe4\xb8\xad][B]");
  CHECK(find("b*", "abb") == "[][bb]");
}

TEST_CASE("simple patterns: everything else is refused by name, and a costly search ends") {
  for (const char* pattern : {"(a)", "a|(b)", "a.", "^a", "a+?", "a++", "\\w", "\\d", "\\bx", "[[:alpha:]]", "[a&&b]", "\\p{Han}", "(?<=a)b",
                              "a(?!bc)", "a(?=b)", "a|", "", "[a", "a{,3}", "a{2,1}", "\\", "(?i:a", "[z-a]", "\\x{110000}", "(?!a)", "a$b", "[\\S]"}) {
    CAPTURE(pattern);
    const auto refused = Pattern::simple(pattern);
    REQUIRE(!refused.ok());
    CHECK(refused.status().code() == Code::unsupported);
    CHECK(refused.status().message().find("PONDER_PCRE2") != std::string::npos);
  }
  const std::string blanks(300000, ' ');
  const auto pattern = Pattern::simple(R"(\s+$)");
  CHECK(matches_of(pattern, blanks + "x").empty());
  CHECK(matches_of(pattern, blanks).size() == 1);
  const auto cubic = Pattern::simple(R"(\s*\s*\s*x)");
  const auto scratch = (*cubic)->make_scratch().value();
  std::vector<TextSpan> none;
  const Status status = (*cubic)->find_all(blanks, *scratch, none);
  CHECK(status.code() == Code::unsupported);
  CHECK(status.message().find("too many steps") != std::string::npos);
}
