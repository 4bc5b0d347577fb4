// Every allocation of a call fails once: the call returns PONDER_E_OUT_OF_MEMORY, harms nothing, and works afterwards.
// The program's own operator new serves the library too.
#include <functional>

#include "tests/capi/adapter_files.h"
#include "tests/capi/memory/own_new.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;
using own_new::n_until_failure;

namespace {

// Calls with the n-th allocation failing, n = 0, `stride`, ... until the call succeeds; gives the number of failures.
int fail_each(long stride, const std::function<ponder_status(ponder_error&)>& call) {
  int n_failures = 0;
  for (long n = 0;; n += stride) {
    ponder_error err;
    n_until_failure = n;
    const ponder_status status = call(err);
    n_until_failure = -1;
    if (status >= 0) return n_failures;
    ++n_failures;
    CHECK_MESSAGE(status == PONDER_E_OUT_OF_MEMORY, "allocation " << n << ": " << err.message);
    CHECK(std::string_view(err.message).find("memory") != std::string_view::npos);
    if (status != PONDER_E_OUT_OF_MEMORY) return n_failures;
  }
}

// Of one of the long calls every `stride`-th allocation fails.
enum class Long { quantize, imatrix, inspect, selftest, load, convert };
void fail_long_call(Long what, long stride) {
  const ponder::test::TemporaryFolder folder;
  const Tiny tiny;
  ponder_error last;
  const std::string output = (folder.path() / "out.gguf").string(), text(300, '7');
  const auto quantize = [&](ponder_error& err) {
    ponder_quantize_params params = ponder_quantize_params_default();
    params.type = "q8_0";
    ponder_buffer* json = nullptr;
    const ponder_status status = ponder_quantize(tiny.runtime.get(), kTiny.c_str(), output.c_str(), &params, &json, &err);
    ponder_buffer_free(json);
    return status;
  };
  const auto imatrix = [&](ponder_error& err) {
    ponder_imatrix_params params = ponder_imatrix_params_default();
    params.chunk_tokens = 64;
    ponder_buffer* json = nullptr;
    const ponder_status status =
        ponder_imatrix(tiny.runtime.get(), tiny.model.get(), text.data(), text.size(), output.c_str(), &params, &json, &err);
    ponder_buffer_free(json);
    return status;
  };
  if (what == Long::quantize || what == Long::imatrix) {
    const std::function<ponder_status(ponder_error&)> call = what == Long::quantize ? std::function<ponder_status(ponder_error&)>(quantize) : imatrix;
    n_until_failure = 100;
    CHECK(call(last) == PONDER_E_OUT_OF_MEMORY);
    n_until_failure = -1;
    CHECK(std::filesystem::is_empty(folder.path()));  // nothing of the file is left
    CHECK(fail_each(stride, call) > 5);
    CHECK(std::filesystem::exists(output));
    std::filesystem::remove(output);
  }
  if (what == Long::inspect)
    CHECK(fail_each(stride, [](ponder_error& err) {
          ponder_buffer* json = nullptr;
          const ponder_status status = ponder_inspect(kTiny.c_str(), nullptr, &json, &err);
          ponder_buffer_free(json);
          return status;
        }) > 5);
  if (what == Long::selftest)
    CHECK(fail_each(stride, [&](ponder_error& err) {
          ponder_buffer* json = nullptr;
          const ponder_status status = ponder_selftest(tiny.runtime.get(), &json, &err);
          ponder_buffer_free(json);
          return status;
        }) > 5);
  if (what == Long::load || what == Long::convert)
    CHECK(fail_each(stride, [&](ponder_error& err) {
            ponder_model_params params = ponder_model_params_default();
            params.weight_type = what == Long::convert ? "q4_k_m" : nullptr;
            ponder_model* model = nullptr;
            const ponder_status status = ponder_model_load(tiny.runtime.get(), kTiny.c_str(), &params, &model, &err);
            ponder_model_free(model);
            return status;
          }) > 5);
}

}  // namespace

TEST_CASE("out of memory: a runtime, a model, a session, a tokenizer") {
  CHECK(fail_each(1, [](ponder_error& err) {
          ponder_runtime_params params = ponder_runtime_params_default();
          params.n_threads = 1;
          ponder_runtime* runtime = nullptr;
          const ponder_status status = ponder_runtime_create(&params, &runtime, &err);
          ponder_runtime_free(runtime);
          return status;
        }) > 2);
  const Tiny tiny;
  CHECK(fail_each(1, [&](ponder_error& err) {
          ponder_session* session = nullptr;
          const ponder_status status = ponder_session_create(tiny.runtime.get(), tiny.model.get(), nullptr, &session, &err);
          ponder_session_free(session);
          return status;
        }) > 10);
  CHECK(fail_each(37, [](ponder_error& err) {
          ponder_tokenizer* tokenizer = nullptr;
          const ponder_status status = ponder_tokenizer_load(kTiny.c_str(), &tokenizer, &err);
          ponder_tokenizer_free(tokenizer);
          return status;
        }) > 5);
}

TEST_CASE("out of memory: loads, conversions, quantisation, an importance matrix, inspection, the self-test") {
  for (const Long what : {Long::quantize, Long::imatrix, Long::inspect, Long::selftest, Long::load, Long::convert})
    fail_long_call(what, 97);
}

TEST_SUITE("full") {
  TEST_CASE("out of memory: every allocation of a quantisation") { fail_long_call(Long::quantize, 1); }
  TEST_CASE("out of memory: every allocation of an importance matrix") { fail_long_call(Long::imatrix, 1); }
  TEST_CASE("out of memory: every allocation of an inspection") { fail_long_call(Long::inspect, 1); }
  TEST_CASE("out of memory: every allocation of the self-test") { fail_long_call(Long::selftest, 1); }
  TEST_CASE("out of memory: every allocation of a load") { fail_long_call(Long::load, 1); }
  TEST_CASE("out of memory: every allocation of a conversion") { fail_long_call(Long::convert, 1); }
}

TEST_CASE("out of memory: calls on a session leave it usable") {
  const ChatTiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  const std::vector<std::int32_t> ids = question_ids();
  const std::string messages = R"([{"role":"user","content":"What is 347+85?"}])";
  CHECK(fail_each(1, [&](ponder_error& err) {
          ponder_session* fork = nullptr;
          const ponder_status status = ponder_session_fork(session.get(), &fork, &err);
          ponder_session_free(fork);
          return status;
        }) > 10);
  ponder_buffer* state = nullptr;
  CHECK(fail_each(1, [&](ponder_error& err) { return ponder_session_save(session.get(), &state, &err); }) > 0);
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_session_restore(session.get(), ponder_buffer_data(state), ponder_buffer_size(state), &err);
        }) > 0);
  ponder_buffer_free(state);
  const ponder::test::TemporaryFolder folder;
  const std::string saved = (folder.path() / "session").string();
  CHECK(fail_each(1, [&](ponder_error& err) { return ponder_session_save_file(session.get(), saved.c_str(), &err); }) > 0);
  CHECK(fail_each(1, [&](ponder_error& err) { return ponder_session_restore_file(session.get(), saved.c_str(), &err); }) > 0);
  std::vector<float> logprobs(64);
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_session_prompt_logprobs(session.get(), logprobs.data(), logprobs.size(), &err);
        }) > 5);
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_session_evaluate(session.get(), ids.data(), ids.size(), nullptr, PONDER_EVALUATE_HIDDEN | PONDER_EVALUATE_MOE,
                                         [](void*, const char*, ponder_dtype, const void*, const std::int64_t*, std::int32_t) { return 0; },
                                         nullptr, &err);
        }) > 5);
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_session_prompt_chat(session.get(), messages.data(), messages.size(), nullptr, 0, 0, nullptr, nullptr, &err);
        }) > 5);
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("out of memory: embeddings, adapters and batches leave the session usable") {
  const Tiny tiny;
  ponder_session_params params = ponder_session_params_default();
  params.flags = PONDER_SESSION_DEFER_PREFILL;
  const Session session = tiny.session(params);
  ponder_error none;
  const ponder_text text{"What is 3+4?", 12};
  std::vector<float> vector(1024);
  std::size_t count = 0;
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_session_embed_texts(session.get(), &text, 1, 0, 0, vector.data(), vector.size(), &count, &err);
        }) > 5);
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(tiny.model.get(), &info, &none) == PONDER_OK);
  const AdapterFiles files(info, 65);
  const auto list = files.list();
  ponder_adapter* adapter = nullptr;
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_adapter_load_memory(tiny.runtime.get(), tiny.model.get(), list.data(), list.size(), &adapter, &err);
        }) > 20);
  const ponder_adapter_use use{adapter, 1, 0};
  CHECK(fail_each(1, [&](ponder_error& err) { return ponder_session_set_adapters(session.get(), &use, 1, &err); }) > 3);
  ponder_adapter_free(adapter);
  REQUIRE(ponder_session_set_adapters(session.get(), nullptr, 0, &none) == PONDER_OK);
  ponder_batch* batch = nullptr;
  CHECK(fail_each(1, [&](ponder_error& err) {
          return ponder_batch_create(tiny.runtime.get(), tiny.model.get(), nullptr, &batch, &err);
        }) > 2);
  CHECK(fail_each(1, [&](ponder_error& err) { return ponder_batch_add(batch, session.get(), 0, &err); }) > 3);
  prompt(session.get());
  std::vector<std::int32_t> ids;
  ponder_batch_event event{};
  event.struct_size = sizeof event;
  for (ponder_status status = PONDER_OK; status != PONDER_END;) {
    (void)fail_each(1, [&](ponder_error& err) { return status = ponder_batch_next(batch, &event, 1, &count, &err); });
    if (status == PONDER_OK && count == 1 && event.token) ids.push_back(event.token->id);
  }
  ponder_batch_free(batch);
  const Session alone = tiny.session();
  prompt(alone.get());
  CHECK(ids == generate(alone.get()).ids);
}

TEST_CASE("a failure that is told while memory is out is told all the same") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_token_event event{};
  event.struct_size = sizeof event;
  ponder_error err;
  n_until_failure = 0;
  const ponder_status status = ponder_session_next(session.get(), &event, &err);  // its message needs memory
  n_until_failure = -1;
  CHECK((status == PONDER_E_STATE || status == PONDER_E_OUT_OF_MEMORY));
  CHECK(err.code == status);
  CHECK(err.message[0] != '\0');
}

TEST_CASE("next, step and generate allocate nothing") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_generate_params p = ponder_generate_params_default();
  p.temperature = 0.6f;
  p.top_p = 0.95f;
  p.n_top_logprobs = 4;
  set_params(session.get(), p);
  prompt(session.get());
  ponder_token_event event{};
  event.struct_size = sizeof event;
  ponder_error err;
  n_until_failure = 0;
  ponder_status status = PONDER_OK;
  for (int i = 0; i < 10 && status == PONDER_OK; ++i) status = ponder_session_next(session.get(), &event, &err);
  if (status == PONDER_OK) status = ponder_session_step(session.get(), 1000000, &event, &err);
  if (status == PONDER_OK) status = ponder_session_generate(session.get(), nullptr, nullptr, &err);
  n_until_failure = -1;
  CHECK_MESSAGE(status == PONDER_OK, err.message);
}
