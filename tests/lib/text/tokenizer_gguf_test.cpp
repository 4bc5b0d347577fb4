// Tokenizers out of GGUF metadata: a file of the llama.cpp project, and the published tokenizer.json files written as GGUF
// here, against the same ids as the originals.
#include "lib/text/tokenizer_gguf.h"

#include "lib/text/chat_template.h"
#include "tests/lib/io/editable_gguf.h"
#include "tests/lib/text/published_tokenizers.h"

using namespace ponder::core;
using ponder::test::EditableGguf;

namespace {

// As llama.cpp's converter writes it: vocabulary by id, holes as unused padding, special added tokens as control.
EditableGguf as_gguf(const std::string& tokenizer_json, std::string_view pre) {
  const Json root = parse_json(tokenizer_json, "tokenizer.json").value();
  const Json& model = *root.find("model");
  std::vector<std::string> tokens, merges;
  std::vector<std::int32_t> types;
  const auto put = [&](std::int64_t id, const std::string& text, std::int32_t type) {
    for (auto i = static_cast<std::int64_t>(tokens.size()); i <= id; ++i) {
      tokens.push_back("[PAD" + std::to_string(i) + "]");
      types.push_back(5);
    }
    tokens[static_cast<std::size_t>(id)] = text;
    types[static_cast<std::size_t>(id)] = type;
  };
  for (const auto& [text, id] : model.find("vocab")->as_object()) put(id.as_int(), text, 1);
  for (const Json& token : root.find("added_tokens")->as_array())
    put(token.find("id")->as_int(), token.find("content")->as_string(), token.find("special")->as_bool() ? 3 : 4);
  put(static_cast<std::int64_t>(tokens.size()) + 2, "[PAD]", 5);
  for (const Json& merge : model.find("merges")->as_array())
    merges.push_back(merge.is_string() ? merge.as_string()
                                       : merge.as_array()[0].as_string() + " " + merge.as_array()[1].as_string());
  EditableGguf file;
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", pre);
  file.set("tokenizer.ggml.tokens", tokens);
  file.set("tokenizer.ggml.token_type", types);
  file.set("tokenizer.ggml.merges", merges);
  return file;
}

Gguf parse(const std::string& bytes) {
  Result<Gguf> gguf = Gguf::parse(*ponder::test::gguf_source(bytes)->open("model.gguf"));
  REQUIRE_MESSAGE(gguf.ok(), gguf.status().message());
  return std::move(gguf).value();
}

Result<std::shared_ptr<const Tokenizer>> load(EditableGguf file) {
  const std::string bytes = file.build();
  return load_gguf_tokenizer(parse(bytes));
}

std::shared_ptr<const Tokenizer> usable(Result<std::shared_ptr<const Tokenizer>> tokenizer) {
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return *tokenizer;
}

// Bytes a, b, c, a blank, "ab", and one token of each other kind.
EditableGguf small(std::string_view pre = "gpt-2") {
  EditableGguf file;
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", pre);
  file.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c", "Ġ", "ab", "<s>", "<think>", "[PAD7]", "1", "é"});
  file.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 1, 1, 3, 4, 5, 1, 4});
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  file.set("tokenizer.ggml.bos_token_id", 5u);
  file.set("tokenizer.ggml.eos_token_id", 0u);
  return file;
}

// "" when the tokenizer loads.
std::string refusal(const EditableGguf& file) {
  const auto tokenizer = load(file);
  return tokenizer.ok() ? "" : tokenizer.status().message();
}

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("gguf tokenizer: llama.cpp's file of the DeepSeek-LLM vocabulary gives the ids of its strings") {
  const auto source = path_source(std::string(PONDER_TEST_BUILD_DATA) + "/tokenizer/deepseek_llm.gguf");
  const auto file = Gguf::parse(*source->open(source->gguf_file()));
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto tokenizer = usable(load_gguf_tokenizer(*file));
  if (!tokenizer) return;
  check_strings(*tokenizer, "deepseek_llm");
  CHECK(tokenizer->bos() == 100000);
  CHECK(tokenizer->eos() == 100001);
  CHECK(tokenizer->add_bos());
  CHECK(tokenizer->bos_text() == "<｜begin▁of▁sentence｜>");
}

TEST_CASE("gguf tokenizer: the published tokenizers as GGUF give the ids of their goldens") {
  for (const auto& known : {std::pair{"deepseek_v3", "deepseek-v3"}, {"deepseek_r1", "deepseek-v3"},
                                  {"qwen2_5", "qwen2"}, {"r1_distill_qwen", "deepseek-r1-qwen"}, {"llama3", "llama-bpe"},
                                  {"r1_distill_llama", "llama3"}}) {
    const std::string name = known.first;
    CAPTURE(name);
    const Json golden = tokenizer_golden(name);
    const auto tokenizer = usable(load(as_gguf(tokenizer_json(golden), known.second)));
    if (!tokenizer) return;
    check_cases(tokenizer, golden);
    if (name == "qwen2_5" || name == "llama3") check_strings(*tokenizer, name);
  }
}

TEST_CASE("gguf tokenizer: control tokens are special, user-defined ones are added, unused ones are none") {
  const auto tokenizer = usable(load(small()));
  if (!tokenizer) return;
  CHECK(tokenizer->encode("ab<s>c", {.parse_special = true}).value() == std::vector<TokenId>{4, 5, 2});
  CHECK(tokenizer->encode("<think>ab", {.parse_special = true}).value() == std::vector<TokenId>{6, 4});
  CHECK(tokenizer->is_special(5));
  CHECK(tokenizer->is_added(6));
  CHECK_FALSE(tokenizer->is_special(6));
  CHECK_FALSE(tokenizer->has_token(7));
  CHECK_FALSE(tokenizer->encode("[PAD7]", {.parse_special = true}).ok());
  CHECK(tokenizer->bos() == 5);
  CHECK(tokenizer->eos() == 0);
  CHECK_FALSE(tokenizer->add_bos());
  CHECK(tokenizer->decode(std::vector<TokenId>{5, 4, 6}, true).value() == "ab<think>");
}

TEST_CASE("gguf tokenizer: a user-defined letter is ordinary text and stands for itself") {
  const auto tokenizer = usable(load(small()));
  if (!tokenizer) return;
  CHECK(tokenizer->encode("abéc", {}).value() == std::vector<TokenId>{4, 9, 2});
  CHECK_FALSE(tokenizer->is_added(9));
  CHECK(tokenizer->find("é") == 9);
  CHECK(tokenizer->decode(std::vector<TokenId>{4, 9}, true).value() == "abé");
  CHECK_FALSE(tokenizer->encode("<think>", {}).ok());  // never in content: its bytes have no tokens here
}

TEST_CASE("gguf tokenizer: smollm takes digits singly, gpt-2 in runs") {
  EditableGguf file = small();
  file.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "1", "2", "12", "Ġ", "Ġ1"});
  file.set("tokenizer.ggml.token_type", std::vector<std::int32_t>(6, 1));
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"1 2", "Ġ 1"});
  const auto gpt2 = usable(load(file));
  if (!gpt2) return;
  CHECK(gpt2->encode("a12 1", {}).value() == std::vector<TokenId>{0, 3, 5});
  file.set("tokenizer.ggml.pre", "smollm");
  CHECK(usable(load(file))->encode("a12 1", {}).value() == std::vector<TokenId>{0, 1, 2, 4, 1});
}

TEST_CASE("gguf tokenizer: BOS is added where the file says so, and for Llama 3 where it says nothing") {
  EditableGguf file = small();
  file.set_flag("tokenizer.ggml.add_bos_token", true);
  if (const auto tokenizer = usable(load(file))) CHECK(tokenizer->add_bos());
  if (const auto tokenizer = usable(load(small("llama-bpe")))) CHECK(tokenizer->add_bos());
  EditableGguf llama = small("llama-bpe");
  llama.set_flag("tokenizer.ggml.add_bos_token", false);
  if (const auto tokenizer = usable(load(llama))) CHECK_FALSE(tokenizer->add_bos());
}

TEST_CASE("gguf tokenizer: what cannot be run is refused by name") {
  CHECK(mentions(refusal(small("grok-2")), "model.gguf: tokenizer.ggml.pre 'grok-2' is not supported"));
  CHECK(mentions(refusal(small("default")), "tokenizer.ggml.pre 'default' is not supported"));
  EditableGguf file = small();
  file.metadata.erase("tokenizer.ggml.pre");
  CHECK(mentions(refusal(file), "tokenizer.ggml.pre: missing"));
  file = small();
  file.set("tokenizer.ggml.model", "llama");
  CHECK(mentions(refusal(file), "tokenizer.ggml.model 'llama' is not supported"));
  file = small();
  file.metadata.clear();
  CHECK(load(file).status().code() == Code::no_tokenizer);
}

TEST_CASE("gguf tokenizer: malformed arrays are errors that name their key") {
  const auto with = [](const char* key, auto value) {
    EditableGguf file = small();
    file.set(key, value);
    return refusal(file);
  };
  using Strings = std::vector<std::string>;
  using Numbers = std::vector<std::int32_t>;
  CHECK(mentions(with("tokenizer.ggml.tokens", 3u), "tokenizer.ggml.tokens: u32 3, wanted an array of strings"));
  CHECK(mentions(with("tokenizer.ggml.tokens", Strings{}), "tokenizer.ggml.tokens: an array of 0 string"));
  CHECK(mentions(with("tokenizer.ggml.tokens", Numbers{1}), "tokenizer.ggml.tokens: an array of 1 i32"));
  CHECK(mentions(with("tokenizer.ggml.token_type", Numbers{1, 1}), "tokenizer.ggml.token_type: an array of 2 i32, wanted an array of 10"));
  CHECK(mentions(with("tokenizer.ggml.token_type", Numbers{1, 1, 1, 1, 1, 3, 4, 5, 9, 1}), "tokenizer.ggml.token_type: element 8 is 9"));
  CHECK(mentions(with("tokenizer.ggml.tokens", Strings{"a", "a", "c", "d", "e", "f", "g", "h", "i", "j"}), "token 'a' is in tokenizer.ggml.tokens twice"));
  CHECK(mentions(with("tokenizer.ggml.merges", Strings{"ab"}), "tokenizer.ggml.merges: 'ab', wanted two tokens"));
  CHECK(mentions(with("tokenizer.ggml.merges", Strings{"a b c"}), "tokenizer.ggml.merges: 'a b c', wanted two tokens"));
  CHECK(mentions(with("tokenizer.ggml.merges", Strings{"b b"}), "merge 'b' 'b' names a token that tokenizer.ggml.tokens lacks"));
  CHECK(mentions(with("tokenizer.ggml.merges", "a b"), "tokenizer.ggml.merges: 'a b', wanted an array of strings"));
  CHECK(mentions(with("tokenizer.ggml.bos_token_id", 10u), "tokenizer.ggml.bos_token_id: u32 10, wanted the id of one of 10 tokens"));
  CHECK(mentions(with("tokenizer.ggml.add_bos_token", 1u), "tokenizer.ggml.add_bos_token: u32 1, wanted true or false"));
  CHECK(mentions(with("tokenizer.chat_template", 1u), "tokenizer.chat_template: u32 1, wanted a string"));
}

TEST_CASE("gguf tokenizer: the chat template of the metadata renders, one for tools beside it") {
  EditableGguf file = small();
  const auto bare = file.build();
  CHECK(ChatTemplate::load(parse(bare)).status().code() == Code::not_found);
  file.set("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}");
  file.set("tokenizer.chat_template.tool_use", "tools: {{ messages[0].content }}");
  const auto bytes = file.build();
  const auto chat = ChatTemplate::load(parse(bytes));
  REQUIRE_MESSAGE(chat.ok(), chat.status().message());
  ChatInput input;
  input.messages = Json::Array{Json(Json::Object{{"role", "user"}, {"content", "hi"}})};
  input.bos_token = "<s>";
  CHECK((*chat)->render(input)->text == "<s>hi");
  input.tools = Json::Array{};
  CHECK((*chat)->render(input)->text == "tools: hi");
}
