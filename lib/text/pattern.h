// Patterns of tokenizer.json, found in a text. Hugging Face's library runs them with Oniguruma in its Ruby syntax, we with
// PCRE2: regex() translates what the two spell differently and refuses, by name, what it cannot. A build without PCRE2 has
// simple() in its place. Immutable; any number of threads may search, each with a Scratch of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

class Pattern {
 public:
  static Result<std::shared_ptr<const Pattern>> regex(std::string_view source);
  // By a matcher of our own, what the split patterns of DeepSeek, Llama 3, Qwen2 and GPT-2 are made of: alternatives of
  // characters, sets, \s, \S and general categories, repeated greedily, with (?!x) of one character or $ at their end; and
  // (?i:...) of texts. The same matches as regex(). All else is `unsupported`, by name.
  static Result<std::shared_ptr<const Pattern>> simple(std::string_view source);
  static std::shared_ptr<const Pattern> literal(std::string_view text);
  virtual ~Pattern() = default;

  class Scratch {  // what a search needs besides the pattern
   public:
    virtual ~Scratch() = default;
  };
  virtual Result<std::unique_ptr<Scratch>> make_scratch() const = 0;

  // Appends every match in `text` (valid UTF-8), leftmost first, not overlapping. Empty matches count, except right
  // behind another match.
  virtual Status find_all(std::string_view text, Scratch& scratch, std::vector<TextSpan>& matches) const = 0;
};

// Oniguruma's Ruby syntax in, PCRE2's out; for tests.
Result<std::string> to_pcre2(std::string_view source);

// Unicode version of \p{L} and the like, "14.0.0".
std::string pattern_unicode_version();
bool has_regular_expressions();  // with PCRE2; else regex() is simple()

}  // namespace ponder::core
