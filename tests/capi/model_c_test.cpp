// Models: from folders and memory, what they say about themselves, and what they refuse.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

ponder_model_info info_of(const ponder_model* model) {
  ponder_model_info info{};
  info.struct_size = sizeof info;
  ponder_error err;
  REQUIRE(ponder_model_get_info(model, &info, &err) == PONDER_OK);
  CHECK(info.struct_size == sizeof info);
  return info;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a model says what it is") {
  const Tiny tiny;
  const ponder_model_info info = info_of(tiny.model.get());
  CHECK(info.vocab_size == 264);
  CHECK(info.hidden_size == 128);
  CHECK(info.num_hidden_layers == 3);
  CHECK(info.max_position_embeddings == 512);
  CHECK(info.has_tokenizer == 1);
  CHECK(info.has_mtp == 0);
  CHECK(info.bos_token_id == 256);
  CHECK(info.n_eos_token_ids == 1);
  CHECK(info.n_parameters == 1032416);
  CHECK(info.n_active_parameters == 590048);
  CHECK(info.weight_bytes == 2064864);
  CHECK(info.kv_bytes_per_token == 3 * (48 + 16) * 4);
  CHECK(info.fingerprint != 0);
}

TEST_CASE("an older caller's shorter struct is filled as far as it goes, a newer one's tail with zeros") {
  const Tiny tiny;
  ponder_error err;
  ponder_model_info info;
  std::memset(&info, 0x7f, sizeof info);
  info.struct_size = 16;
  REQUIRE(ponder_model_get_info(tiny.model.get(), &info, &err) == PONDER_OK);
  CHECK(info.struct_size == 16);
  CHECK(info.num_hidden_layers == 3);
  CHECK(info.max_position_embeddings == 0x7f7f7f7f);
  alignas(8) unsigned char longer[sizeof info + 64];
  std::memset(longer, 0x7f, sizeof longer);
  const std::uint32_t size = sizeof longer;
  std::memcpy(longer, &size, sizeof size);
  REQUIRE(ponder_model_get_info(tiny.model.get(), reinterpret_cast<ponder_model_info*>(longer), &err) == PONDER_OK);
  for (std::size_t i = sizeof info; i < sizeof longer; ++i) CHECK(longer[i] == 0);
  info.struct_size = 0;
  check_error(ponder_model_get_info(tiny.model.get(), &info, &err), err, PONDER_E_INVALID_ARGUMENT, {"ponder_model_info", "struct_size"});
}

TEST_CASE("a model from memory is the model of the folder") {
  const Tiny tiny;
  const Files files(kTiny);
  Model model;
  ponder_error err;
  REQUIRE_MESSAGE(load_memory(tiny.runtime.get(), files.list(), model, err) == PONDER_OK, err.message);
  CHECK(info_of(model.get()).fingerprint == info_of(tiny.model.get()).fingerprint);
  ponder_session* session = nullptr;
  REQUIRE(ponder_session_create(tiny.runtime.get(), model.get(), nullptr, &session, &err) == PONDER_OK);
  const Session owner(session);
  prompt(session);
  CHECK(generate(session).answer == "\\boxed{432}");
}

TEST_CASE("files in memory: names that leave the folder, NULLs and missing files are refused by name") {
  const Tiny tiny;
  ponder_error err;
  Model model;
  Files files(kTiny);
  std::vector<ponder_memory_file> list = files.list();
  list[1].name = nullptr;
  check_error(load_memory(tiny.runtime.get(), list, model, err), err, PONDER_E_INVALID_ARGUMENT, {"files[1].name"});
  list = files.list();
  list[0].name = "../config.json";
  check_error(load_memory(tiny.runtime.get(), list, model, err), err, PONDER_E_INVALID_ARGUMENT, {"files[0].name", "../config.json"});
  list = files.list();
  list[2].data = nullptr;
  check_error(load_memory(tiny.runtime.get(), list, model, err), err, PONDER_E_INVALID_ARGUMENT, {"files[2].data"});
  check_error(load_memory(tiny.runtime.get(), {}, model, err), err, PONDER_E_NOT_FOUND, {"config.json"});
  files.erase("model.safetensors");
  check_error(load_memory(tiny.runtime.get(), files.list(), model, err), err, PONDER_E_NOT_FOUND, {"model.safetensors"});
  ponder_model* out = nullptr;
  check_error(ponder_model_load_memory(tiny.runtime.get(), nullptr, 3, nullptr, &out, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"files"});
}

TEST_CASE("a checkpoint without tokenizer runs on ids, and what needs text says so") {
  const Tiny tiny;
  ponder_error err;
  Model model;
  Files files(kTiny);
  files.erase("tokenizer.json");
  REQUIRE(load_memory(tiny.runtime.get(), files.list(), model, err) == PONDER_OK);
  CHECK(info_of(model.get()).has_tokenizer == 0);
  CHECK(info_of(model.get()).has_chat_template == 0);
  CHECK(info_of(ChatTiny().model.get()).has_chat_template == 1);
  ponder_tokenizer* tokenizer = nullptr;
  check_error(ponder_model_tokenizer(model.get(), &tokenizer, &err), err, PONDER_E_NO_TOKENIZER, {"tokenizer.json"});
  ponder_template* chat_template = nullptr;
  check_error(ponder_model_template(model.get(), &chat_template, &err), err, PONDER_E_NO_TOKENIZER);
  ponder_session* handle = nullptr;
  REQUIRE(ponder_session_create(tiny.runtime.get(), model.get(), nullptr, &handle, &err) == PONDER_OK);
  const Session session(handle);
  check_error(ponder_session_prompt(handle, "1+1", 3, &err), err, PONDER_E_NO_TOKENIZER, {"tokenizer.json"});
  check_error(ponder_session_prompt_text(handle, "1+1", 3, 0, nullptr, nullptr, &err), err, PONDER_E_NO_TOKENIZER);
  prompt(handle);
  const Reply reply = generate(handle);
  CHECK(reply.status == PONDER_END);
  CHECK(reply.ids.back() == 257);
  CHECK(reply.answer.empty());
}

TEST_CASE("a GGUF file is a model, by its path and from memory") {
  const Tiny tiny;
  const std::string path = PONDER_TEST_DATA "/gguf/v3-tiny.bf16.gguf";
  const Model model = load_model(tiny.runtime.get(), path);
  const ponder_model_info info = info_of(model.get());
  CHECK(info.num_hidden_layers == 3);
  CHECK(info.bos_token_id == 0);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::vector<ponder_memory_file> files{{"any-name.gguf", bytes.data(), bytes.size()}};
  Model of_memory;
  ponder_error err;
  REQUIRE(load_memory(tiny.runtime.get(), files, of_memory, err) == PONDER_OK);
  CHECK(info_of(of_memory.get()).fingerprint == info.fingerprint);
  ponder_tokenizer* tokenizer = nullptr;
  const ponder_status status = ponder_tokenizer_load(path.c_str(), &tokenizer, &err);
  CHECK(status == PONDER_OK);
  CHECK(info.has_tokenizer);
  ponder_tokenizer_free(tokenizer);
  ponder_template* none = nullptr;
  check_error(ponder_template_load(path.c_str(), &none, &err), err, PONDER_E_NOT_FOUND, {"no tokenizer.chat_template"});
}

TEST_CASE("a folder that is not there, and a file that is no model, are told by name") {
  const Tiny tiny;
  ponder_error err;
  ponder_model* model = nullptr;
  check_error(ponder_model_load(tiny.runtime.get(), "/no/such/folder", nullptr, &model, &err), err, PONDER_E_NOT_FOUND,
              {"/no/such/folder"});
  CHECK(model == nullptr);
  check_error(ponder_model_load(tiny.runtime.get(), "", nullptr, &model, &err), err, PONDER_E_NOT_FOUND);
  const std::string config = "{\"architectures\":[\"GPT2LMHeadModel\"]}";
  const std::vector<ponder_memory_file> files{{"config.json", config.data(), config.size()}};
  Model out;
  check_error(load_memory(tiny.runtime.get(), files, out, err), err, PONDER_E_UNSUPPORTED, {"GPT2LMHeadModel"});
}

TEST_CASE("a message holds no invalid UTF-8 and ends at a character") {
  const Tiny tiny;
  ponder_error err;
  ponder_model* model = nullptr;
  check_error(ponder_model_load(tiny.runtime.get(), "/no/\xff\xc3/folder", nullptr, &model, &err), err,
              PONDER_E_NOT_FOUND, {"/no/?\?/folder"});
  std::string path;
  while (path.size() < 900) path += "/\xe2\x82\xac\xe2\x82\xac";  // euro signs: a cut inside one would show
  ponder_status status = ponder_model_load(tiny.runtime.get(), path.c_str(), nullptr, &model, &err);
  CHECK(status < 0);
  const std::size_t size = std::strlen(err.message);
  CHECK(size >= 500);
  CHECK(size < sizeof err.message);
  std::size_t at = size;
  while (at > 0 && (static_cast<unsigned char>(err.message[at - 1]) & 0xc0) == 0x80) --at;
  CHECK((at == size || size - at == 2));  // whole: lead byte and two more
}

TEST_CASE("progress rises to 1 and can cancel a load") {
  const Tiny tiny;
  struct Seen {
    std::vector<float> fractions;
    float stop_at = 2;
    static std::int32_t PONDER_CALL progress(void* user, float fraction) {
      auto& seen = *static_cast<Seen*>(user);
      seen.fractions.push_back(fraction);
      return fraction >= seen.stop_at;
    }
  } seen;
  ponder_model_params params = ponder_model_params_default();
  params.progress = Seen::progress;
  params.progress_user_data = &seen;
  ponder_error err;
  ponder_model* model = nullptr;
  REQUIRE(ponder_model_load(tiny.runtime.get(), kTiny.c_str(), &params, &model, &err) == PONDER_OK);
  ponder_model_free(model);
  REQUIRE(seen.fractions.size() > 2);
  CHECK(std::is_sorted(seen.fractions.begin(), seen.fractions.end()));
  CHECK(seen.fractions.back() == 1.0f);
  for (float stop_at : {0.0f, 0.3f, 1.0f}) {
    seen = {{}, stop_at};
    check_error(ponder_model_load(tiny.runtime.get(), kTiny.c_str(), &params, &model, &err), err, PONDER_E_CANCELLED);
    CHECK(model == nullptr);
    CHECK(seen.fractions.back() >= stop_at);
  }
}

TEST_CASE("the multi-token-prediction layer can be left out") {
  const Runtime runtime = make_runtime(1);
  const std::string path = PONDER_TEST_DATA "/models/v3-tiny";
  CHECK(info_of(load_model(runtime.get(), path).get()).has_mtp == 1);
  ponder_model_params params = ponder_model_params_default();
  params.flags = PONDER_MODEL_NO_MTP;
  ponder_model* model = nullptr;
  ponder_error err;
  REQUIRE(ponder_model_load(runtime.get(), path.c_str(), &params, &model, &err) == PONDER_OK);
  CHECK(info_of(model).has_mtp == 0);
  ponder_buffer* json = nullptr;
  REQUIRE(ponder_model_load_report(model, &json, &err) == PONDER_OK);
  CHECK(contains(text_of(json), "multi-token prediction"));
  ponder_model_free(model);
  params.flags = 2;
  check_error(ponder_model_load(runtime.get(), path.c_str(), &params, &model, &err), err, PONDER_E_INVALID_ARGUMENT, {"flags", "2"});
}

TEST_CASE("end tokens are a list: count first, then ids, too small an array is left alone") {
  const Tiny tiny;
  ponder_error err;
  std::size_t count = 99;
  CHECK(ponder_model_eos_ids(tiny.model.get(), nullptr, 0, &count, &err) == PONDER_OK);
  CHECK(count == 1);
  std::int32_t ids[2] = {-7, -7};
  CHECK(ponder_model_eos_ids(tiny.model.get(), ids, 2, &count, &err) == PONDER_OK);
  CHECK(ids[0] == 257);
  CHECK(ids[1] == -7);
  ids[0] = -7;
  check_error(ponder_model_eos_ids(tiny.model.get(), ids, 0, &count, &err), err, PONDER_E_BUFFER_TOO_SMALL, {"1", "0"});
  CHECK(ids[0] == -7);
  check_error(ponder_model_eos_ids(tiny.model.get(), nullptr, 2, &count, &err), err, PONDER_E_INVALID_ARGUMENT);
}

TEST_CASE("inspect and the memory plan tell what a session will reserve") {
  const Tiny tiny;
  ponder_error err;
  ponder_session_params params = ponder_session_params_default();
  params.context_length = 100;
  params.compute = PONDER_COMPUTE_EXACT;
  ponder_memory_plan plan{};
  plan.struct_size = sizeof plan;
  REQUIRE(ponder_model_plan(tiny.model.get(), &params, &plan, &err) == PONDER_OK);
  CHECK(plan.context_length == 100);
  CHECK(plan.weight_bytes == 2064864);
  CHECK(plan.kv_bytes == 128 * 3 * 64 * 4);
  CHECK(plan.total_bytes == plan.weight_bytes + plan.kv_bytes + plan.scratch_bytes + plan.other_bytes);
  ponder_session_stats stats{};
  stats.struct_size = sizeof stats;
  REQUIRE(ponder_session_get_stats(tiny.session(params).get(), &stats, &err) == PONDER_OK);
  CHECK(stats.kv_bytes == plan.kv_bytes);
  CHECK(stats.scratch_bytes == plan.scratch_bytes);
  params.kv_type = PONDER_KV_BF16;
  REQUIRE(ponder_model_plan(tiny.model.get(), &params, &plan, &err) == PONDER_OK);
  CHECK(plan.kv_bytes == 128 * 3 * 64 * 2);
  params.context_length = 513;
  check_error(ponder_model_plan(tiny.model.get(), &params, &plan, &err), err, PONDER_E_INVALID_ARGUMENT, {"context_length", "513", "512"});

  ponder_buffer* json = nullptr;
  REQUIRE(ponder_inspect(kTiny.c_str(), nullptr, &json, &err) == PONDER_OK);
  const std::string text = text_of(json);
  for (const char* part : {"\"architecture\": \"DeepseekV3ForCausalLM\"", "\"parameters\": 1032416", "\"active_parameters\": 590048",
                           "\"weight_bytes\": 2064864", "\"memory_plan\"", "\"context_length\": 512", "\"warnings\": []"})
    CHECK_MESSAGE(contains(text, part), part);
  const Files files(kTiny);
  const std::vector<ponder_memory_file> list = files.list();
  REQUIRE(ponder_inspect_memory(list.data(), list.size(), nullptr, &json, &err) == PONDER_OK);
  CHECK(text_of(json) == text);
  check_error(ponder_inspect("/no/such/folder", nullptr, &json, &err), err, PONDER_E_NOT_FOUND, {"/no/such/folder"});
  CHECK(json == nullptr);
}

TEST_CASE("the checkpoint's own sampling comes from generation_config.json") {
  const Tiny tiny;
  ponder_error err;
  ponder_generate_params p{};
  p.struct_size = sizeof p;
  REQUIRE(ponder_model_generate_params(tiny.model.get(), &p, &err) == PONDER_OK);
  CHECK(p.temperature == 0);  // do_sample is false
  CHECK(p.max_new_tokens == 160);
  Files files(kTiny);
  for (auto& [name, bytes] : files.contents)
    if (name == "generation_config.json") bytes = R"({"eos_token_id": [257, 10], "do_sample": true, "temperature": 0.6, "top_p": 0.95})";
  Model model;
  REQUIRE(load_memory(tiny.runtime.get(), files.list(), model, err) == PONDER_OK);
  REQUIRE(ponder_model_generate_params(model.get(), &p, &err) == PONDER_OK);
  CHECK(p.temperature == 0.6f);
  CHECK(p.top_p == 0.95f);
  CHECK(p.top_k == 0);
  CHECK(p.max_new_tokens == 0);
  CHECK(info_of(model.get()).n_eos_token_ids == 2);
}

TEST_CASE("a random model has the geometry of its config and refuses what it cannot be") {
  const Runtime runtime = make_runtime(2);
  std::ifstream in(kTiny + "/config.json");
  const std::string config((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  ponder_error err;
  ponder_model* handle = nullptr;
  REQUIRE(ponder_model_random(runtime.get(), config.data(), config.size(), "fp8", 2, 1, &handle, &err) == PONDER_OK);
  Model model(handle);
  CHECK(info_of(handle).num_hidden_layers == 2);
  CHECK(info_of(handle).has_tokenizer == 0);
  check_error(ponder_model_random(runtime.get(), config.data(), config.size(), "int4", 2, 1, &handle, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"dtype", "int4", "bf16"});
  check_error(ponder_model_random(runtime.get(), config.data(), config.size(), "f32", -1, 1, &handle, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"n_layers", "-1"});
  check_error(ponder_model_random(runtime.get(), "{", 1, "f32", 0, 1, &handle, &err), err, PONDER_E_INVALID_ARGUMENT, {"config_json"});
}
