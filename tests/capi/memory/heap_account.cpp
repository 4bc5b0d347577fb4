// What the library allocates is what its account says: every byte of the program's heap is counted beside it.
#include <cstdlib>
#include <functional>

#include "tests/capi/adapter_files.h"
#include "tests/capi/memory/own_new.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;

namespace {

constexpr std::int64_t kSmall = 768 << 10;  // what is too small to be counted, of one call

ponder_memory_info memory_of(const Runtime& runtime) {
  ponder_memory_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_runtime_memory(runtime.get(), &info, nullptr) == PONDER_OK);
  CHECK(info.used_bytes == info.weight_bytes + info.kv_bytes + info.scratch_bytes + info.other_bytes);
  return info;
}

Runtime limited(std::int64_t limit) {
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = 2;
  p.memory_limit = limit;
  ponder_runtime* runtime = nullptr;
  REQUIRE(ponder_runtime_create(&p, &runtime, nullptr) == PONDER_OK);
  return Runtime(runtime);
}

// A call, and what it needed at most and keeps, by the heap and by the account (which is without what was mapped).
struct Cost {
  std::int64_t heap_peak, heap_kept, account_peak, account_kept;
};
// `mapped`: bytes that the account counts, but lie in files or in the host's memory.
Cost cost_of(const Runtime& runtime, const std::function<void()>& call, std::int64_t mapped = 0) {
  const std::int64_t used = memory_of(runtime).used_bytes, live = own_new::n_live;
  own_new::n_peak = live;
  call();
  const ponder_memory_info after = memory_of(runtime);
  return {own_new::n_peak - live, own_new::n_live - live, after.peak_bytes - used - mapped, after.used_bytes - used - mapped};
}

// The account covers the heap, and is not a wild guess.
void check_covered(const Cost& cost, std::int64_t at_least, double at_most_times) {
  CAPTURE(cost.heap_peak);
  CAPTURE(cost.heap_kept);
  CAPTURE(cost.account_peak);
  CAPTURE(cost.account_kept);
#if defined(__GLIBC__)
  CHECK(cost.heap_peak >= at_least);
  CHECK(cost.heap_kept <= cost.account_kept + kSmall);
  CHECK(cost.heap_peak <= cost.account_peak + kSmall);
  CHECK(static_cast<double>(cost.account_peak) <= at_most_times * static_cast<double>(cost.heap_peak + kSmall));
#else
  (void)at_least, (void)at_most_times;
#endif
}

// The default model with n more tokens of three or four letters in its tokenizer, and the merges that make them.
Files with_vocabulary(int n) {
  Files files(kTiny);
  const std::string letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  std::string vocabulary, merges;
  int id = 1000;
  std::vector<std::string> pairs;
  const auto add = [&](const std::string& left, const std::string& right) {
    vocabulary += ", \"" + left + right + "\": " + std::to_string(id++);
    merges += (merges.empty() ? "\"" : ", \"") + left + " " + right + "\"";
  };
  for (const char a : letters)
    for (const char b : letters) {
      add({a}, {b});
      pairs.push_back({a, b});
    }
  for (std::size_t i = 0; id < 1000 + n; ++i) add(pairs[i / pairs.size()], pairs[i % pairs.size()]);
  for (auto& [name, bytes] : files.contents) {
    if (name != "tokenizer.json") continue;
    std::size_t at = bytes.find('}', bytes.find("\"vocab\""));
    while (bytes[at + 1] == '"') at = bytes.find('}', at + 1);  // the token '}'
    bytes.insert(at, vocabulary);
    const std::size_t list = bytes.find('[', bytes.find("\"merges\""));
    bytes.insert(list + 1, merges);
  }
  return files;
}

Model random_model(const Runtime& runtime, int vocab_size) {
  std::ifstream in(kTiny + "/config.json");
  std::string config(std::istreambuf_iterator<char>(in), {});
  config.replace(config.find("\"vocab_size\": 264"), 17, "\"vocab_size\": " + std::to_string(vocab_size));
  ponder_model* model = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_model_random(runtime.get(), config.data(), config.size(), "bf16", 1, 7, &model, &err) == PONDER_OK, err.message);
  return Model(model);
}

ponder_status create(const Runtime& runtime, const Model& model, Session& out, ponder_error& err) {
  ponder_session* session = nullptr;
  const ponder_status status = ponder_session_create(runtime.get(), model.get(), nullptr, &session, &err);
  out.reset(session);
  return status;
}

std::int32_t PONDER_CALL drop(void*, const char*, ponder_dtype, const void*, const std::int64_t*, std::int32_t) { return 0; }

ponder_status evaluate(const Session& session, ponder_error& err) {
  const std::vector<std::int32_t> ids(200, 65);
  return ponder_session_evaluate(session.get(), ids.data(), ids.size(), nullptr, PONDER_EVALUATE_HIDDEN | PONDER_EVALUATE_MOE, drop, nullptr, &err);
}

constexpr int kVocabulary = 20000;

}  // namespace

TEST_CASE("heap: a tokenizer is counted while it is read and as long as it lives") {
  const Runtime runtime = limited(0);
  const Files files = with_vocabulary(60000);
  const auto list = files.list();
  Model model;
  ponder_error err;
  std::int64_t weights = 0;
  {
    const Runtime other = limited(0);
    (void)load_model(other.get());
    ponder_memory_plan plan{};
    plan.struct_size = sizeof plan;
    REQUIRE(ponder_model_plan(load_model(other.get()).get(), nullptr, &plan, &err) == PONDER_OK);
    weights = plan.weight_bytes;
  }
  check_covered(cost_of(runtime, [&] { REQUIRE_MESSAGE(load_memory(runtime.get(), list, model, err) == PONDER_OK, err.message); }, weights),
                4 << 20, 4);
  ponder_tokenizer* tokenizer = nullptr;
  REQUIRE(ponder_model_tokenizer(model.get(), &tokenizer, &err) == PONDER_OK);
  const std::int64_t other = memory_of(runtime).other_bytes;
  CHECK(other > 2 << 20);
  model.reset();
  CHECK(memory_of(runtime).weight_bytes == 0);
  CHECK(memory_of(runtime).other_bytes > other * 9 / 10);
  ponder_tokenizer_free(tokenizer);
  CHECK(memory_of(runtime).used_bytes == 0);
  // The weights fit, the tokenizer does not.
  const Runtime small = limited(weights + (2 << 20));
  check_error(load_memory(small.get(), list, model, err), err, PONDER_E_OUT_OF_MEMORY, {"tokenizer.json", "tables", "memory_limit"});
  CHECK(memory_of(small).used_bytes == 0);
}

TEST_CASE("heap: sessions, their forks and what they save") {
  const Runtime runtime = limited(0);
  Model model;
  check_covered(cost_of(runtime, [&] { model = random_model(runtime, kVocabulary); }), 4 << 20, 1.2);
  ponder_error err;
  Session session;
  check_covered(cost_of(runtime, [&] { REQUIRE(create(runtime, model, session, err) == PONDER_OK); }), 1 << 20, 2);
  prompt(session.get(), std::vector<std::int32_t>(300, 65));
  ponder_generate_params p = ponder_generate_params_default();
  p.dry_multiplier = 1;
  p.repetition_penalty = 1.1f;
  p.temperature = 1;
  check_covered(cost_of(runtime, [&] { REQUIRE(ponder_session_set_params(session.get(), &p, &err) == PONDER_OK); }), 0, 1e9);
  ponder_session* fork = nullptr;
  check_covered(cost_of(runtime, [&] { REQUIRE(ponder_session_fork(session.get(), &fork, &err) == PONDER_OK); }), 1 << 20, 3);
  ponder_session_free(fork);
  ponder_buffer* state = nullptr;
  const std::int64_t before = memory_of(runtime).used_bytes;
  check_covered(cost_of(runtime, [&] { REQUIRE(ponder_session_save(session.get(), &state, &err) == PONDER_OK); }), 100000, 1e9);
  CHECK(memory_of(runtime).used_bytes - before >= static_cast<std::int64_t>(ponder_buffer_size(state)));
  CHECK(ponder_session_restore(session.get(), ponder_buffer_data(state), ponder_buffer_size(state), &err) == PONDER_OK);
  ponder_buffer_free(state);
  CHECK(memory_of(runtime).used_bytes == before);
}

TEST_CASE("heap: results on their way: evaluate, embeddings, an importance matrix of a long text") {
  const ponder::test::TemporaryFolder folder;
  ponder_error err;
  const Runtime runtime = limited(0);
  const Model model = random_model(runtime, kVocabulary);
  Session session;
  REQUIRE(create(runtime, model, session, err) == PONDER_OK);
  check_covered(cost_of(runtime, [&] { REQUIRE_MESSAGE(evaluate(session, err) == PONDER_OK, err.message); }), 16 << 20, 2);
  const std::vector<std::int32_t> ids(3000, 65);
  const std::vector<std::size_t> lengths(3000, 1);
  std::vector<float> vectors(3000 * 128);
  std::size_t count = 0;
  check_covered(cost_of(runtime, [&] {
                  REQUIRE(ponder_session_embed_ids(session.get(), ids.data(), lengths.data(), lengths.size(), 0, 0, vectors.data(),
                                                   vectors.size(), &count, &err) == PONDER_OK);
                }), 3000 * 128 * 4, 1e9);
  const Runtime own = limited(0);  // its peak is that of this call
  const Model tiny = load_model(own.get());
  const std::string text(2 << 20, 'x'), path = (folder.path() / "imatrix.gguf").string();
  ponder_imatrix_params params = ponder_imatrix_params_default();
  params.chunk_tokens = 16;
  params.max_chunks = 1;
  check_covered(cost_of(own, [&] {
                  REQUIRE_MESSAGE(ponder_imatrix(own.get(), tiny.get(), text.data(), text.size(), path.c_str(), &params, nullptr,
                                                 &err) == PONDER_OK, err.message);
                }), 8 << 20, 4);
}

TEST_CASE("heap: what does not fit the ceiling is refused with the numbers, and nothing of it is left") {
  const ponder::test::TemporaryFolder folder;
  const std::string file = (folder.path() / "state").string();
  ponder_error err;
  std::int64_t used = 0;
  {
    const Runtime runtime = limited(0);
    const Model model = random_model(runtime, kVocabulary);
    Session session;
    REQUIRE(create(runtime, model, session, err) == PONDER_OK);
    used = memory_of(runtime).used_bytes;
  }
  const Runtime runtime = limited(used + 50000);
  const Model model = random_model(runtime, kVocabulary);
  Session session;
  REQUIRE_MESSAGE(create(runtime, model, session, err) == PONDER_OK, err.message);
  prompt(session.get(), std::vector<std::int32_t>(100, 65));
  const auto refused = [&](ponder_status status, const char* what) {
    check_error(status, err, PONDER_E_OUT_OF_MEMORY, {what, "tables, logits and results", "memory_limit"});
    CHECK(memory_of(runtime).used_bytes == used);
  };
  ponder_buffer* state = nullptr;
  refused(ponder_session_save(session.get(), &state, &err), "saved session");
  CHECK(state == nullptr);
  refused(ponder_session_save_file(session.get(), file.c_str(), &err), "saved session");
  CHECK(std::filesystem::is_empty(folder.path()));
  const std::vector<std::int32_t> ids(3000, 65);
  const std::vector<std::size_t> lengths(3000, 1);
  std::vector<float> vectors(3000 * 128);
  std::size_t count = 0;
  refused(ponder_session_embed_ids(session.get(), ids.data(), lengths.data(), lengths.size(), 0, 0, vectors.data(), vectors.size(), &count, &err),
          "embeddings");
  ponder_token_event event{};
  event.struct_size = sizeof event;
  CHECK(ponder_session_next(session.get(), &event, &err) == PONDER_OK);
}
