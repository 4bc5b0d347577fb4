#include "lib/text/pattern.h"

#ifdef PONDER_HAVE_PCRE2
#include <pcre2.h>
#endif

#include <algorithm>

#include "lib/base/format.h"
#include "lib/text/pattern_matches.h"
#include "lib/text/unicode_category.h"

namespace ponder::core {

namespace {

class Literal final : public Pattern {
 public:
  explicit Literal(std::string_view text) : text_(text) {}
  Result<std::unique_ptr<Scratch>> make_scratch() const override { return std::make_unique<Scratch>(); }
  Status find_all(std::string_view text, Scratch&, std::vector<TextSpan>& matches) const override {
    return collect_matches(text, matches, [&](std::size_t at, TextSpan& match, bool& found) {
      const std::size_t begin = text.find(text_, at);
      found = begin != text.npos;
      match = {begin, begin + text_.size()};
      return Status();
    });
  }

 private:
  std::string text_;
};

}  // namespace

std::shared_ptr<const Pattern> Pattern::literal(std::string_view text) { return std::make_shared<Literal>(text); }

#ifdef PONDER_HAVE_PCRE2

namespace {

struct Release {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};

std::string error_text(int error) {
  PCRE2_UCHAR message[128] = {};
  pcre2_get_error_message(error, message, sizeof message);
  return reinterpret_cast<const char*>(message);
}

struct RegexScratch final : Pattern::Scratch {
  std::unique_ptr<pcre2_match_data, Release> data;
  std::unique_ptr<pcre2_match_context, Release> context;
};

class Regex final : public Pattern {
 public:
  Status compile(std::string_view source) {
    source_ = source;
    PONDER_ASSIGN(const std::string pattern, to_pcre2(source));
    const std::unique_ptr<pcre2_compile_context, Release> context(pcre2_compile_context_create(nullptr));
    if (!context) return Status(Code::out_of_memory, "no memory for a pattern");
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE offset = 0;
    // Ruby's ^ and $ always stand for the ends of lines.
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                              context.get()));
    if (!code_)
      return fail(Code::unsupported, "tokenizer.json: pattern '{}' (for PCRE2 '{}') at byte {}: {}", source, pattern, offset,
                  error_text(error));
    (void)pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // needs executable memory; slower without
    return {};
  }

  Result<std::unique_ptr<Scratch>> make_scratch() const override {
    auto scratch = std::make_unique<RegexScratch>();
    scratch->data.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    scratch->context.reset(pcre2_match_context_create(nullptr));
    if (!scratch->data || !scratch->context) return Status(Code::out_of_memory, "no memory for matching");
    return std::unique_ptr<Scratch>(std::move(scratch));
  }

  Status find_all(std::string_view text, Scratch& scratch, std::vector<TextSpan>& matches) const override {
    auto& s = static_cast<RegexScratch&>(scratch);
    // The interpreter counts one for each character that it gives back.
    pcre2_set_match_limit(s.context.get(), static_cast<std::uint32_t>(search_limit(text)));
    return collect_matches(text, matches, [&](std::size_t at, TextSpan& match, bool& found) -> Status {
      int n = run(text, at, PCRE2_NO_UTF_CHECK, s);
      if (n == PCRE2_ERROR_JIT_STACKLIMIT) n = run(text, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s);
      found = n > 0;
      if (n == PCRE2_ERROR_NOMATCH) return {};
      if (n <= 0)
        return fail(Code::unsupported, "tokenizer.json: pattern '{}', searched in {} bytes of text: {}", source_, text.size(),
                    error_text(n));
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(s.data.get());
      if (ends[1] < ends[0] || ends[0] < at)  // \K in a lookaround
        return fail(Code::unsupported, "tokenizer.json: pattern '{}' matches backwards", source_);
      match = {ends[0], ends[1]};
      return {};
    });
  }

 private:
  int run(std::string_view text, std::size_t at, std::uint32_t options, RegexScratch& s) const {
    return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, options, s.data.get(),
                       s.context.get());
  }
  std::unique_ptr<pcre2_code, Release> code_;
  std::string source_;
};

}  // namespace

Result<std::shared_ptr<const Pattern>> Pattern::regex(std::string_view source) {
  auto pattern = std::make_shared<Regex>();
  PONDER_TRY(pattern->compile(source));
  return std::shared_ptr<const Pattern>(std::move(pattern));
}

std::string pattern_unicode_version() {
  char version[32] = {};
  const int size = pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, nullptr);
  if (size <= 0 || static_cast<std::size_t>(size) > sizeof version) return {};
  pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
  return version;
}

bool has_regular_expressions() { return true; }

#else

Result<std::shared_ptr<const Pattern>> Pattern::regex(std::string_view source) { return simple(source); }

std::string pattern_unicode_version() { return std::string(unicode_category_version()); }

bool has_regular_expressions() { return false; }

#endif

}  // namespace ponder::core
