// Functions of the host: what they throw, where they stop a call, and that an executor serves every path.
#include <atomic>
#include <functional>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/capi/capi_fixture.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;

namespace {

using Folder = ponder::test::TemporaryFolder;

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Throws at its n-th call, or asks to stop there.
struct Trap {
  int at = 1;
  bool throws = true, plain = false;
  int n_calls = 0;
  std::int32_t pass() {
    if (++n_calls != at) return 0;
    if (!throws) return 1;
    if (plain) throw 7;
    throw std::runtime_error("the host's own trouble");
  }
  static std::int32_t PONDER_CALL load(void* user, float) { return static_cast<Trap*>(user)->pass(); }
  static std::int32_t PONDER_CALL prefill(void* user, std::size_t, std::size_t) { return static_cast<Trap*>(user)->pass(); }
  static std::int32_t PONDER_CALL imatrix(void* user, std::uint64_t, std::uint64_t) { return static_cast<Trap*>(user)->pass(); }
  static std::int32_t PONDER_CALL token(void* user, const ponder_token_event*) { return static_cast<Trap*>(user)->pass(); }
  static std::int32_t PONDER_CALL sampler(void* user, float*, std::size_t, std::int32_t*) { return static_cast<Trap*>(user)->pass(); }
  static std::int32_t PONDER_CALL quantize(void* user, std::uint64_t, std::uint64_t, const char*) {
    return static_cast<Trap*>(user)->pass();
  }
  static std::int32_t PONDER_CALL tensor(void* user, const char*, ponder_dtype, const void*, const std::int64_t*, std::int32_t) {
    return static_cast<Trap*>(user)->pass();
  }
};

ponder_status load(ponder_runtime* runtime, Trap& trap, ponder_error& err, Model* out, const char* weight_type = nullptr) {
  ponder_model_params p = ponder_model_params_default();
  p.progress = Trap::load;
  p.progress_user_data = &trap;
  p.weight_type = weight_type;
  ponder_model* model = nullptr;
  const ponder_status status = ponder_model_load(runtime, kTiny.c_str(), &p, &model, &err);
  out->reset(model);
  return status;
}

ponder_status quantize(ponder_runtime* runtime, const std::filesystem::path& path, Trap& trap, ponder_error& err) {
  ponder_quantize_params p = ponder_quantize_params_default();
  p.progress = Trap::quantize;
  p.progress_user_data = &trap;
  return ponder_quantize(runtime, kTiny.c_str(), path.string().c_str(), &p, nullptr, &err);
}

ponder_status imatrix(ponder_runtime* runtime, ponder_model* model, const std::filesystem::path& path, Trap& trap, ponder_error& err) {
  const std::string text(300, '7');
  ponder_imatrix_params p = ponder_imatrix_params_default();
  p.chunk_tokens = 64;
  p.progress = Trap::imatrix;
  p.progress_user_data = &trap;
  return ponder_imatrix(runtime, model, text.data(), text.size(), path.string().c_str(), &p, nullptr, &err);
}

// A host's executor, with its mistakes.
struct Executor {
  enum class Way { good, throws_before, throws_half_way, throws_while_others_run, drops_all } way = Way::good;
  std::atomic<int> n_runs{0};
  static void PONDER_CALL run(void* user, std::size_t n_tasks, ponder_task_fn task, void* data) {
    auto& self = *static_cast<Executor*>(user);
    ++self.n_runs;
    switch (self.way) {
      case Way::good:
        for (std::size_t i = n_tasks; i-- > 0;) task(data, i);  // serial and backwards is a valid executor
        return;
      case Way::throws_before: throw std::runtime_error("no threads");
      case Way::throws_half_way: task(data, 0); throw 1;
      case Way::throws_while_others_run: {
        std::atomic<bool> inside{false};
        struct Hand {
          ponder_task_fn task;
          void* data;
          std::atomic<bool>& inside;
        } hand{task, data, inside};
        std::thread other([hand] {
          hand.inside = true;
          hand.task(hand.data, 0);
        });
        while (!inside) std::this_thread::yield();
        other.join();
        throw std::bad_alloc();
      }
      case Way::drops_all: return;
    }
  }
  Runtime runtime(int n_threads = 3) {
    ponder_runtime_params p = ponder_runtime_params_default();
    p.n_threads = n_threads;
    p.executor = run;
    p.executor_user_data = this;
    ponder_runtime* runtime = nullptr;
    ponder_error err;
    REQUIRE_MESSAGE(ponder_runtime_create(&p, &runtime, &err) == PONDER_OK, err.message);
    return Runtime(runtime);
  }
};

}  // namespace

TEST_CASE("on_token that throws ends the call, and a later one goes on where it was") {
  const Tiny tiny;
  const Session session = tiny.session(), plain = tiny.session();
  prompt(plain.get());
  const std::vector<std::int32_t> whole = generate(plain.get()).ids;
  prompt(session.get());
  ponder_error err;
  Trap trap;
  trap.at = 5;
  check_error(ponder_session_generate(session.get(), Trap::token, &trap, &err), err, PONDER_E_CALLBACK,
              {"on_token", "the host's own trouble"});
  trap = Trap();
  trap.plain = true;
  check_error(ponder_session_generate(session.get(), Trap::token, &trap, &err), err, PONDER_E_CALLBACK, {"on_token"});
  CHECK(generate(session.get()).answer == "\\boxed{432}");
  std::vector<std::int32_t> ids(4096);
  std::size_t n = 0;
  REQUIRE(ponder_session_tokens(session.get(), ids.data(), ids.size(), &n, &err) == PONDER_OK);
  CHECK(std::vector<std::int32_t>(ids.begin() + static_cast<long>(question_ids().size()), ids.begin() + static_cast<long>(n)) == whole);
}

TEST_CASE("progress that throws ends a prompt, and the next prompt reuses what was computed") {
  const ChatTiny tiny;
  const Session session = tiny.session();
  const std::vector<std::int32_t> ids = question_ids();
  const std::string messages = R"([{"role":"user","content":"What is 347+85?"}])";
  ponder_error err;
  for (int way = 0; way < 4; ++way) {
    CAPTURE(way);
    Trap trap;
    ponder_status status = PONDER_OK;
    switch (way) {
      case 0: status = ponder_session_prompt_ids(session.get(), ids.data(), ids.size(), Trap::prefill, &trap, &err); break;
      case 1: status = ponder_session_append_ids(session.get(), ids.data(), ids.size(), Trap::prefill, &trap, &err); break;
      case 2: status = ponder_session_prompt_text(session.get(), "12+30", 5, 0, Trap::prefill, &trap, &err); break;
      default:
        status = ponder_session_prompt_chat(session.get(), messages.data(), messages.size(), nullptr, 0, 0, Trap::prefill,
                                            &trap, &err);
    }
    check_error(status, err, PONDER_E_CALLBACK, {"progress", "the host's own trouble"});
  }
  prompt(session.get());
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("a sampler and a receiver of tensors that throw end their calls") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  const std::vector<std::int32_t> ids = question_ids();
  ponder_error err;
  Trap trap;
  check_error(ponder_session_evaluate(session.get(), ids.data(), ids.size(), nullptr, 0, Trap::tensor, &trap, &err), err,
              PONDER_E_CALLBACK, {"on_tensor", "the host's own trouble"});
  trap = Trap();
  ponder_generate_params p = ponder_generate_params_default();
  p.sampler = Trap::sampler;
  p.sampler_user_data = &trap;
  set_params(session.get(), p);
  ponder_token_event event{};
  event.struct_size = sizeof event;
  check_error(ponder_session_next(session.get(), &event, &err), err, PONDER_E_CALLBACK, {"sampler", "the host's own trouble"});
  set_params(session.get(), ponder_generate_params_default());
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("progress that throws or stops at any of its calls ends a load, a conversion, a quantisation, an importance matrix") {
  const Folder folder;
  const Tiny tiny;
  ponder_error err;
  Model model;
  const std::function<ponder_status(Trap&)> calls[] = {
      [&](Trap& trap) { return load(tiny.runtime.get(), trap, err, &model); },
      [&](Trap& trap) { return load(tiny.runtime.get(), trap, err, &model, "q4_0"); },
      [&](Trap& trap) { return quantize(tiny.runtime.get(), folder.path() / "model.gguf", trap, err); },
      [&](Trap& trap) { return imatrix(tiny.runtime.get(), tiny.model.get(), folder.path() / "imatrix.gguf", trap, err); }};
  for (std::size_t i = 0; i < std::size(calls); ++i) {
    CAPTURE(i);
    Trap counting;
    counting.at = -1;
    REQUIRE_MESSAGE(calls[i](counting) == PONDER_OK, err.message);
    CHECK(counting.n_calls > 2);
    for (const char* name : {"model.gguf", "imatrix.gguf"}) std::filesystem::remove(folder.path() / name);
    for (int n = 1; n <= counting.n_calls; n += std::max(1, counting.n_calls / 7))
      for (const bool throws : {true, false}) {
        Trap trap;
        trap.at = n;
        trap.throws = throws;
        const ponder_status status = calls[i](trap);
        check_error(status, err, throws ? PONDER_E_CALLBACK : PONDER_E_CANCELLED);
        CHECK(trap.n_calls == n);  // and it is not asked again
        if (i < 2) CHECK(model == nullptr);
      }
    CHECK(std::filesystem::is_empty(folder.path()));
  }
  const Session session = tiny.session();
  prompt(session.get());
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("a log and a thread function that throw are passed over") {
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = 3;
  p.log = [](void*, ponder_log_level, const char*, std::size_t) { throw std::runtime_error("no paper"); };
  p.log_level = PONDER_LOG_DEBUG;
  p.on_thread_start = [](void*, std::int32_t) { throw 3; };
  ponder_runtime* handle = nullptr;
  ponder_error err;
  REQUIRE(ponder_runtime_create(&p, &handle, &err) == PONDER_OK);
  const Runtime runtime(handle);
  const Model model = load_model(handle);
  ponder_session* s = nullptr;
  REQUIRE(ponder_session_create(handle, model.get(), nullptr, &s, &err) == PONDER_OK);
  const Session session(s);
  prompt(s);
  CHECK(generate(s).answer == "\\boxed{432}");
}

TEST_CASE("an executor that throws or drops tasks changes no result") {
  const Tiny tiny;
  for (const Executor::Way way : {Executor::Way::good, Executor::Way::throws_before, Executor::Way::throws_half_way,
                                  Executor::Way::throws_while_others_run, Executor::Way::drops_all}) {
    CAPTURE(static_cast<int>(way));
    Executor executor;
    executor.way = way;
    const Runtime runtime = executor.runtime();
    ponder_session* handle = nullptr;
    ponder_error err;
    REQUIRE(ponder_session_create(runtime.get(), tiny.model.get(), nullptr, &handle, &err) == PONDER_OK);
    const Session session(handle);
    prompt(handle);
    CHECK(generate(handle).answer == "\\boxed{432}");
    CHECK(executor.n_runs > 0);
  }
}

TEST_CASE("conversions, quantisations and importance matrices run on the host's executor, with the same bits") {
  const Folder folder;
  const Tiny tiny;
  Executor executor;
  const Runtime runtime = executor.runtime();
  ponder_error err;
  Trap none;
  none.at = -1;
  Model converted, plain;
  REQUIRE_MESSAGE(load(runtime.get(), none, err, &converted, "q4_0") == PONDER_OK, err.message);
  CHECK(executor.n_runs.exchange(0) > 0);
  REQUIRE(load(tiny.runtime.get(), none, err, &plain, "q4_0") == PONDER_OK);
  ponder_model_info infos[2] = {};
  for (int i = 0; i < 2; ++i) {
    infos[i].struct_size = sizeof infos[i];
    REQUIRE(ponder_model_get_info(i ? plain.get() : converted.get(), &infos[i], &err) == PONDER_OK);
  }
  CHECK(infos[0].fingerprint == infos[1].fingerprint);

  REQUIRE_MESSAGE(quantize(runtime.get(), folder.path() / "a.gguf", none, err) == PONDER_OK, err.message);
  CHECK(executor.n_runs.exchange(0) > 0);
  REQUIRE(quantize(tiny.runtime.get(), folder.path() / "b.gguf", none, err) == PONDER_OK);
  CHECK(read(folder.path() / "a.gguf") == read(folder.path() / "b.gguf"));

  REQUIRE_MESSAGE(imatrix(runtime.get(), tiny.model.get(), folder.path() / "c.gguf", none, err) == PONDER_OK, err.message);
  CHECK(executor.n_runs.exchange(0) > 0);
  REQUIRE(imatrix(tiny.runtime.get(), tiny.model.get(), folder.path() / "d.gguf", none, err) == PONDER_OK);
  CHECK(read(folder.path() / "c.gguf") == read(folder.path() / "d.gguf"));
}
