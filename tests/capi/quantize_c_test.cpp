// ponder_quantize: the file, the report, progress and refusals.
#include <cstddef>
#include <cstdint>
#include <fstream>

#include "tests/capi/capi_fixture.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;

namespace {

class Target {
 public:
  std::string file(const char* name = "model.gguf") const { return (folder_.path() / name).string(); }
  bool empty() const { return std::filesystem::is_empty(folder_.path()); }

 private:
  ponder::test::TemporaryFolder folder_;
};

struct Seen {
  std::uint64_t done = 0, total = 0;
  int calls = 0, stop_at = -1;
  bool named = true;
  static std::int32_t PONDER_CALL call(void* user, std::uint64_t done, std::uint64_t total, const char* tensor) {
    auto* self = static_cast<Seen*>(user);
    self->named = self->named && tensor && *tensor;
    self->done = done, self->total = total;
    return ++self->calls == self->stop_at ? 1 : 0;
  }
};

}  // namespace

TEST_CASE("a model is written as GGUF, reported on, and loads") {
  const Target target;
  const Runtime runtime = make_runtime();
  ponder_error err;
  Seen seen;
  ponder_quantize_params params = ponder_quantize_params_default();
  params.type = "q8_0";
  params.progress = &Seen::call;
  params.progress_user_data = &seen;
  ponder_buffer* json = nullptr;
  REQUIRE_MESSAGE(ponder_quantize(runtime.get(), kTiny.c_str(), target.file().c_str(), &params, &json, &err) == PONDER_OK,
                  err.message);
  const std::string report = text_of(json);
  const std::string bytes = std::to_string(std::filesystem::file_size(target.file()));
  CHECK_MESSAGE(report.starts_with("{\"file_bytes\": " + bytes), report);
  CHECK(report.find("\"Q8_0\": ") != report.npos);
  CHECK(seen.named);
  CHECK(seen.total > 0);
  CHECK(seen.done == seen.total);
  const Model model = load_model(runtime.get(), target.file());
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(model.get(), &info, &err) == PONDER_OK);
  CHECK(info.n_parameters == 1032416);
  CHECK(info.weight_bytes < 1300000);
}

TEST_CASE("weight_type converts while loading: sizes, plan and replies are those of the file that quantize writes") {
  const Target target;
  const Runtime runtime = make_runtime();
  ponder_error err;
  ponder_quantize_params quantize = ponder_quantize_params_default();
  quantize.type = "q8_0";
  REQUIRE(ponder_quantize(runtime.get(), kTiny.c_str(), target.file().c_str(), &quantize, nullptr, &err) == PONDER_OK);
  const Model from_file = load_model(runtime.get(), target.file());
  ponder_model_params params = ponder_model_params_default();
  params.weight_type = "q8_0";
  ponder_model* loaded = nullptr;
  REQUIRE_MESSAGE(ponder_model_load(runtime.get(), kTiny.c_str(), &params, &loaded, &err) == PONDER_OK, err.message);
  const Model in_memory(loaded);
  const auto plan_of = [&](const Model& model) {
    ponder_memory_plan plan{};
    plan.struct_size = sizeof plan;
    CHECK(ponder_model_plan(model.get(), nullptr, &plan, &err) == PONDER_OK);
    return plan;
  };
  CHECK(plan_of(in_memory).weight_bytes == plan_of(from_file).weight_bytes);
  CHECK(plan_of(in_memory).total_bytes - plan_of(in_memory).other_bytes == plan_of(from_file).total_bytes - plan_of(from_file).other_bytes);
  const auto reply = [&](const Model& model) {
    ponder_session* session = nullptr;
    REQUIRE(ponder_session_create(runtime.get(), model.get(), nullptr, &session, &err) == PONDER_OK);
    const Session owner(session);
    const std::string question = "What is 347+85?";
    REQUIRE(ponder_session_prompt(session, question.data(), question.size(), &err) == PONDER_OK);
    return generate(session).answer;
  };
  CHECK(reply(in_memory) == reply(from_file));

  const Files files(kTiny);
  const std::vector<ponder_memory_file> list = files.list();
  REQUIRE(ponder_model_load_memory(runtime.get(), list.data(), list.size(), &params, &loaded, &err) == PONDER_OK);
  CHECK(reply(Model(loaded)) == reply(in_memory));

  params.weight_type = "q9_k";
  check_error(ponder_model_load(runtime.get(), kTiny.c_str(), &params, &loaded, &err), err, PONDER_E_INVALID_ARGUMENT,
              {"weight_type", "q9_k", "q4_k_m"});
  CHECK(loaded == nullptr);
  params.struct_size = offsetof(ponder_model_params, weight_type);  // a caller that does not know it
  REQUIRE(ponder_model_load(runtime.get(), kTiny.c_str(), &params, &loaded, &err) == PONDER_OK);
  CHECK(plan_of(Model(loaded)).weight_bytes > plan_of(from_file).weight_bytes);
}

TEST_CASE("the report may be left out, and params too: the type is then q4_k_m") {
  const Target target;
  const Runtime runtime = make_runtime();
  ponder_error err;
  REQUIRE(ponder_quantize(runtime.get(), kTiny.c_str(), target.file("a").c_str(), nullptr, nullptr, &err) == PONDER_OK);
  ponder_quantize_params params = ponder_quantize_params_default();
  params.type = "Q4_K_M";
  REQUIRE(ponder_quantize(runtime.get(), kTiny.c_str(), target.file("b").c_str(), &params, nullptr, &err) == PONDER_OK);
  const auto text = [&](const char* name) {
    std::ifstream file(target.file(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  CHECK(text("a") == text("b"));
}

TEST_CASE("stopped by progress, nothing is left of the file") {
  const Target target;
  const Runtime runtime = make_runtime();
  ponder_error err;
  for (const int stop_at : {1, 5, 40}) {
    Seen seen;
    seen.stop_at = stop_at;
    ponder_quantize_params params = ponder_quantize_params_default();
    params.progress = &Seen::call;
    params.progress_user_data = &seen;
    check_error(ponder_quantize(runtime.get(), kTiny.c_str(), target.file().c_str(), &params, nullptr, &err), err,
                PONDER_E_CANCELLED);
    CHECK(seen.calls == stop_at);
    CHECK(target.empty());
  }
}

TEST_CASE("an importance matrix is collected on a text, and quantising with it changes the file") {
  const Target target;
  const Tiny tiny;
  ponder_error err;
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::to_string(i * 7) + "+" + std::to_string(i) + "=" + std::to_string(i * 8) + "\n";
  ponder_imatrix_params params = ponder_imatrix_params_default();
  params.chunk_tokens = 64;
  params.max_chunks = 4;
  const std::string matrix = target.file("imatrix.gguf");
  ponder_buffer* json = nullptr;
  REQUIRE_MESSAGE(ponder_imatrix(tiny.runtime.get(), tiny.model.get(), text.data(), text.size(), matrix.c_str(), &params,
                                 &json, &err) == PONDER_OK,
                  err.message);
  CHECK(text_of(json).starts_with("{\"n_chunks\": 4, "));
  ponder_quantize_params with = ponder_quantize_params_default();
  with.type = "q4_0";
  const auto written = [&](const char* name) {
    REQUIRE_MESSAGE(ponder_quantize(tiny.runtime.get(), kTiny.c_str(), target.file(name).c_str(), &with, nullptr, &err) ==
                        PONDER_OK,
                    err.message);
    std::ifstream file(target.file(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string plain = written("plain");
  with.imatrix_path = matrix.c_str();
  CHECK(written("weighted") != plain);

  params.chunk_tokens = -1;
  check_error(ponder_imatrix(tiny.runtime.get(), tiny.model.get(), "1", 1, matrix.c_str(), &params, &json, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"chunk_tokens -1"});
  check_error(ponder_imatrix(tiny.runtime.get(), tiny.model.get(), "1", 1, target.file("no").c_str(), nullptr, &json, &err),
              err, PONDER_E_INVALID_ARGUMENT, {"the text has 1 tokens, want at least a chunk of 511"});
  CHECK_FALSE(std::filesystem::exists(target.file("no")));
}

TEST_CASE("what cannot be quantised is refused by name and leaves nothing") {
  const Target target;
  const Runtime runtime = make_runtime();
  ponder_error err;
  const auto refused = [&](const ponder_quantize_params& params, const std::string& path, const std::string& to,
                           ponder_status status, std::initializer_list<std::string_view> parts) {
    ponder_buffer* json = nullptr;
    check_error(ponder_quantize(runtime.get(), path.c_str(), to.c_str(), &params, &json, &err), err, status, parts);
    CHECK(json == nullptr);
    CHECK(target.empty());
  };
  ponder_quantize_params params = ponder_quantize_params_default();
  refused(params, "/no/such/folder", target.file(), PONDER_E_NOT_FOUND, {"/no/such/folder"});
  refused(params, kTiny, target.file("none/model.gguf"), PONDER_E_NOT_FOUND, {"none/model.gguf"});
  params.type = "q9_k";
  refused(params, kTiny, target.file(), PONDER_E_INVALID_ARGUMENT, {"q9_k", "q4_k_m"});
  params.type = nullptr;
  params.imatrix_path = "/no/such/imatrix.gguf";
  refused(params, kTiny, target.file(), PONDER_E_NOT_FOUND, {"/no/such/imatrix.gguf"});
  const std::string readme = kTiny + "/README.md";
  params.imatrix_path = readme.c_str();
  refused(params, kTiny, target.file(), PONDER_E_BAD_FILE, {"README.md"});
  params.imatrix_path = nullptr;
  params.flags = 1;
  refused(params, kTiny, target.file(), PONDER_E_INVALID_ARGUMENT, {"ponder_quantize_params.flags"});
  params.flags = 0;
  params.struct_size = 0;
  refused(params, kTiny, target.file(), PONDER_E_INVALID_ARGUMENT, {"ponder_quantize_params", "struct_size"});
}
