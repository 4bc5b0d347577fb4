#include "lib/text/pre_tokenizer.h"

#ifdef PONDER_HAVE_PCRE2
#include <pcre2.h>
#endif

#include "lib/base/format.h"
#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

// GPT-2's own pattern, which ByteLevel applies when use_regex is true.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool flag(const Json& object, const char* key, bool missing) {
  const Json* value = object.find(key);
  return value && value->is_bool() ? value->as_bool() : missing;
}

std::string type_of(const Json& step) {
  const Json* type = step.find("type");
  return type && type->is_string() ? type->as_string() : dump_json(step);
}

// Blocks in which every character is its own NFC form and combines with nothing before it.
bool nfc_inert(std::uint32_t c) {
  return c < 0x300 || (c >= 0x2010 && c <= 0x2027) || (c >= 0x3001 && c <= 0x3029) || (c >= 0x3041 && c <= 0x3096) ||
         (c >= 0x30a1 && c <= 0x30fa) || (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) ||
         (c >= 0xff01 && c <= 0xff5e) || (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x400 && c <= 0x482) ||
         (c >= 0x391 && c <= 0x3c9);
}

}  // namespace

#ifdef PONDER_HAVE_PCRE2

struct PreTokenizer::Pattern {
  struct Release {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  };
  std::unique_ptr<pcre2_code, Release> code;
  std::string source;

  // Matches become pieces of their own, what lies between stays.
  Status apply(std::string_view text, std::vector<std::string>& out) const {
    const std::unique_ptr<pcre2_match_data, Release> data(pcre2_match_data_create_from_pattern(code.get(), nullptr));
    const std::unique_ptr<pcre2_match_context, Release> context(pcre2_match_context_create(nullptr));
    if (!data || !context) return Status(Code::out_of_memory, "no memory for matching");
    pcre2_set_match_limit(context.get(), 10'000'000);
    std::size_t done = 0, at = 0;
    while (at < text.size()) {
      const int n = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                PCRE2_NO_UTF_CHECK, data.get(), context.get());
      if (n == PCRE2_ERROR_NOMATCH) break;
      if (n < 0) {
        PCRE2_UCHAR message[128] = {};
        pcre2_get_error_message(n, message, sizeof message);
        return fail(Code::unsupported, "pre-tokenizer pattern '{}': {}", source, reinterpret_cast<const char*>(message));
      }
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
      if (ends[1] == ends[0]) {  // an empty match splits nothing
        at += utf8::next(text, at).size;
        continue;
      }
      if (ends[0] > done) out.emplace_back(text.substr(done, ends[0] - done));
      out.emplace_back(text.substr(ends[0], ends[1] - ends[0]));
      done = at = ends[1];
    }
    if (done < text.size()) out.emplace_back(text.substr(done));
    return {};
  }
};

Status PreTokenizer::add_pattern(std::string_view pattern, bool literal) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto compiled = std::make_shared<Pattern>();
  compiled->source = pattern;
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP | (literal ? PCRE2_LITERAL : 0u), &error, &offset, nullptr));
  if (!compiled->code) {
    PCRE2_UCHAR message[128] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return fail(Code::bad_file, "tokenizer.json: pattern '{}' at {}: {}", pattern, offset,
                reinterpret_cast<const char*>(message));
  }
  (void)pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);  // needs executable memory; slower without
  patterns_.push_back(std::move(compiled));
  return {};
}

#else

struct PreTokenizer::Pattern {
  Status apply(std::string_view, std::vector<std::string>&) const { return {}; }
};

Status PreTokenizer::add_pattern(std::string_view, bool) {
  return Status(Code::unsupported,
                "tokenizer.json: its pre_tokenizer needs regular expressions, and ponder was built with PONDER_PCRE2=OFF");
}

#endif

Status PreTokenizer::add_normalizer(const Json& step) {
  if (step.is_null()) return {};
  const std::string type = type_of(step);
  if (type == "NFC") {
    nfc_ = true;
    return {};
  }
  const Json* steps = step.find("normalizers");
  if (type == "Sequence" && steps && steps->is_array()) {
    for (const Json& inner : steps->as_array()) PONDER_TRY(add_normalizer(inner));
    return {};
  }
  return fail(Code::unsupported, "tokenizer.json: normalizer {}, want NFC", type);
}

Status PreTokenizer::add_step(const Json& step) {
  if (step.is_null()) return {};
  const std::string type = type_of(step);
  if (type == "Sequence") {
    const Json* steps = step.find("pretokenizers");
    if (!steps || !steps->is_array())
      return Status(Code::bad_file, "tokenizer.json: pre_tokenizer.pretokenizers is missing, want an array");
    for (const Json& inner : steps->as_array()) PONDER_TRY(add_step(inner));
    return {};
  }
  if (type == "ByteLevel") {
    if (flag(step, "add_prefix_space", false))
      return Status(Code::unsupported, "tokenizer.json: ByteLevel with add_prefix_space");
    return flag(step, "use_regex", true) ? add_pattern(kByteLevelPattern, false) : Status();
  }
  if (type == "Digits" && flag(step, "individual_digits", false)) return add_pattern(R"(\p{N})", false);
  if (type == "Split") {
    const Json *pattern = step.find("pattern"), *behavior = step.find("behavior");
    if (!behavior || !behavior->is_string() || behavior->as_string() != "Isolated" || flag(step, "invert", false))
      return fail(Code::unsupported, "tokenizer.json: Split {}, want behavior Isolated without invert", dump_json(step));
    const Json* regex = pattern ? pattern->find("Regex") : nullptr;
    const Json* literal = pattern ? pattern->find("String") : nullptr;
    if (regex && regex->is_string()) return add_pattern(regex->as_string(), false);
    if (literal && literal->is_string()) return add_pattern(literal->as_string(), true);
    return fail(Code::bad_file, "tokenizer.json: Split pattern {}", pattern ? dump_json(*pattern) : "missing");
  }
  return fail(Code::unsupported, "tokenizer.json: pre_tokenizer {}", type);
}

Result<PreTokenizer> PreTokenizer::create(const Json* normalizer, const Json* pre_tokenizer) {
  PreTokenizer result;
  if (normalizer) PONDER_TRY(result.add_normalizer(*normalizer));
  if (pre_tokenizer) PONDER_TRY(result.add_step(*pre_tokenizer));
  return result;
}

Result<std::vector<std::string>> PreTokenizer::split(std::string_view text) const {
  if (nfc_)
    for (std::size_t i = 0; i < text.size();) {
      const utf8::Char c = utf8::next(text, i);
      if (!nfc_inert(c.code))
        return fail(Code::unsupported, "this tokenizer normalises text (NFC), which ponder cannot do yet for U+{:04X}", c.code);
      i += c.size;
    }
  std::vector<std::string> pieces{std::string(text)}, next;
  for (const auto& pattern : patterns_) {
    next.clear();
    for (const std::string& piece : pieces) PONDER_TRY(pattern->apply(piece, next));
    pieces.swap(next);
  }
  return pieces;
}

}  // namespace ponder::core
