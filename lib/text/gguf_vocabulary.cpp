#include "lib/text/gguf_vocabulary.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "lib/base/format.h"
#include "lib/io/json.h"
#include "lib/text/gguf_pre_tokenizers.h"
#include "lib/text/utf8.h"

namespace ponder::core {
namespace {

// The steps of a pre-tokenizer: the regular expression of each Split, and what the others are called here.
constexpr std::string_view kByteLevel = "ByteLevel", kGpt2 = "ByteLevel with its own pattern", kDigits = "single digits";

constexpr std::string_view kNames[] = {"deepseek-v3", "deepseek-llm", "qwen2", "llama-bpe", "gpt-2", "smollm"};

bool flag(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value && value->is_bool() && value->as_bool();
}
std::string_view text(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value && value->is_string() ? std::string_view(value->as_string()) : std::string_view();
}

// A regular expression with characters in place of \r, \n and \x{...}, which some files write and others do not.
std::string plain(std::string_view regex) {
  std::string out;
  for (std::size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] != '\\' || i + 1 == regex.size()) {
      out += regex[i];
      continue;
    }
    const char next = regex[++i];
    const std::size_t end = regex.find('}', i);
    std::uint32_t code = 0;
    if (next == 'r' || next == 'n') {
      out += next == 'r' ? '\r' : '\n';
    } else if (next == 'x' && regex.substr(i + 1).starts_with('{') && end != regex.npos &&
               std::from_chars(regex.data() + i + 2, regex.data() + end, code, 16).ptr == regex.data() + end) {
      utf8::append(out, code);
      i = end;
    } else {
      out += '\\';
      out += next;
    }
  }
  return out;
}

// False: a step that is none of the above.
bool add_steps(const Json& step, std::vector<std::string>& steps) {
  const std::string_view type = text(step, "type");
  if (type == "Sequence") {
    const Json* parts = step.find("pretokenizers");
    if (!parts || !parts->is_array()) return false;
    return std::ranges::all_of(parts->as_array(), [&](const Json& part) { return add_steps(part, steps); });
  }
  if (type == "Split") {
    const Json* pattern = step.find("pattern");
    if (!pattern || text(step, "behavior") != "Isolated" || flag(step, "invert")) return false;
    steps.push_back(plain(text(*pattern, "Regex")));
    return !steps.back().empty();
  }
  if (type == "ByteLevel" && !flag(step, "add_prefix_space")) {
    const Json* own = step.find("use_regex");  // absent: true
    steps.emplace_back(own && !flag(step, "use_regex") ? kByteLevel : kGpt2);
    return true;
  }
  if (type == "Digits" && flag(step, "individual_digits")) {
    steps.emplace_back(kDigits);
    return true;
  }
  return false;
}

bool normalizes_nfc(const Json* normalizer) { return normalizer && text(*normalizer, "type") == "NFC"; }
bool normalizes_nothing(const Json* normalizer) {
  if (!normalizer || normalizer->is_null()) return true;
  const Json* parts = normalizer->find("normalizers");
  return text(*normalizer, "type") == "Sequence" && parts && parts->is_array() && parts->as_array().empty();
}

Result<std::string> name_split(const Json& root, const Json& model, bool has_merges) {
  std::vector<std::string> steps;
  const Json *pre = root.find("pre_tokenizer"), *normalizer = root.find("normalizer");
  const bool nfc = normalizes_nfc(normalizer), ignore_merges = flag(model, "ignore_merges");
  if (pre && add_steps(*pre, steps) && (nfc || normalizes_nothing(normalizer))) {
    for (const std::string_view name : kNames) {
      const std::optional<GgufPreTokenizer> known = gguf_pre_tokenizer(name);
      std::vector<std::string> wanted;
      if (known && add_steps(known->pre_tokenizer, wanted) && steps == wanted && ignore_merges == known->ignore_merges &&
          nfc == known->nfc)
        return std::string(name);
    }
    // Every byte is a token, however the text is split.
    if (!has_merges && !ignore_merges && !nfc) return std::string("gpt-2");
  }
  return fail(Code::unsupported, "tokenizer.json: a pre_tokenizer or normalizer that GGUF has no name for: {}",
              (pre ? dump_json(*pre) : "none").substr(0, 300));
}

bool looks_special(std::string_view content) {  // as llama.cpp's converter decides
  return (content.starts_with("<|") && content.ends_with("|>")) ||
         (content.starts_with("<\uff5c") && content.ends_with("\uff5c>"));
}

Status add_token(GgufVocabulary& out, std::string_view content, const Json* id, GgufTokenType type) {
  if (!id || !id->is_int() || id->as_int() < 0)
    return fail(Code::bad_file, "tokenizer.json: token '{}' has no id", content);
  const auto index = static_cast<std::uint64_t>(id->as_int());
  if (index >= out.tokens.size())
    return fail(Code::unsupported, "tokenizer.json: token '{}' has id {}, the model has {} tokens", content, index,
                out.tokens.size());
  out.tokens[index] = content;
  out.token_types[index] = static_cast<std::int64_t>(type);
  return {};
}

Status add_merge(GgufVocabulary& out, const Json& merge) {
  const auto wrong = [&] {
    return fail(Code::bad_file, "tokenizer.json: merge {}, want two tokens", dump_json(merge).substr(0, 100));
  };
  if (merge.is_string()) {
    if (std::ranges::count(merge.as_string(), ' ') != 1) return wrong();
    out.merges.push_back(merge.as_string());
    return {};
  }
  if (!merge.is_array() || merge.as_array().size() != 2) return wrong();
  const Json &left = merge.as_array()[0], &right = merge.as_array()[1];
  // The alphabet has no blank, so that one can stand between the two.
  if (!left.is_string() || !right.is_string() || left.as_string().find(' ') != std::string::npos ||
      right.as_string().find(' ') != std::string::npos)
    return wrong();
  out.merges.push_back(left.as_string() + " " + right.as_string());
  return {};
}

}  // namespace

Result<GgufVocabulary> read_gguf_vocabulary(std::string_view tokenizer_json, std::size_t n_tokens) {
  PONDER_ASSIGN(const Json root, parse_json(tokenizer_json, "tokenizer.json"));
  const Json* model = root.find("model");
  const Json* vocab = model ? model->find("vocab") : nullptr;
  if (!vocab || !vocab->is_object() || text(*model, "type") != "BPE")
    return fail(Code::unsupported, "tokenizer.json: no BPE vocabulary");
  GgufVocabulary out;
  out.tokens.resize(n_tokens);
  out.token_types.assign(n_tokens, static_cast<std::int64_t>(GgufTokenType::unused));
  for (std::size_t i = 0; i < n_tokens; ++i) out.tokens[i] = formatted("[PAD{}]", i);
  for (const auto& [content, id] : vocab->as_object()) PONDER_TRY(add_token(out, content, &id, GgufTokenType::normal));
  if (const Json* added = root.find("added_tokens"); added && added->is_array())
    for (const Json& token : added->as_array()) {
      const std::string_view content = text(token, "content");
      const bool control = flag(token, "special") || looks_special(content);
      PONDER_TRY(add_token(out, content, token.find("id"), control ? GgufTokenType::control : GgufTokenType::user_defined));
    }
  if (const Json* merges = model->find("merges"); merges && merges->is_array()) {
    out.merges.reserve(merges->as_array().size());
    for (const Json& merge : merges->as_array()) PONDER_TRY(add_merge(out, merge));
  }
  PONDER_ASSIGN(out.pre, name_split(root, *model, !out.merges.empty()));
  return out;
}

}  // namespace ponder::core
