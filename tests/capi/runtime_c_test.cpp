// Status names, errors, runtimes: threads, instruction sets, log, executor.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

ponder_status create(const ponder_runtime_params& params, ponder_error& err, Runtime* out = nullptr) {
  ponder_runtime* runtime = reinterpret_cast<ponder_runtime*>(1);  // must be overwritten in any case
  const ponder_status status = ponder_runtime_create(&params, &runtime, &err);
  CHECK((runtime == nullptr) == (status < 0));
  Runtime owner(runtime);
  if (out) *out = std::move(owner);
  return status;
}

// PONDER_MAX_ISA for the length of a scope; the value before is put back.
class MaxIsa {
 public:
  explicit MaxIsa(const char* value) {
    if (const char* before = std::getenv("PONDER_MAX_ISA")) before_ = before, had_ = true;
    if (value) setenv("PONDER_MAX_ISA", value, 1);
    else unsetenv("PONDER_MAX_ISA");
  }
  ~MaxIsa() {
    if (had_) setenv("PONDER_MAX_ISA", before_.c_str(), 1);
    else unsetenv("PONDER_MAX_ISA");
  }

 private:
  std::string before_;
  bool had_ = false;
};

struct Log {
  std::mutex mutex;
  std::vector<std::pair<ponder_log_level, std::string>> lines;
  static void PONDER_CALL write(void* user, ponder_log_level level, const char* message, size_t size) {
    auto& log = *static_cast<Log*>(user);
    const std::lock_guard lock(log.mutex);
    log.lines.emplace_back(level, std::string(message, size));
  }
  bool has(ponder_log_level level, std::string_view part) const {
    for (const auto& [l, text] : lines)
      if (l == level && text.find(part) != text.npos) return true;
    return false;
  }
};

}  // namespace

TEST_CASE("every status has a name of its own, others are unknown") {
  std::set<std::string> names;
  for (ponder_status status = PONDER_E_DEVICE; status <= PONDER_PENDING; ++status) names.insert(ponder_status_name(status));
  names.insert(ponder_status_name(PONDER_E_INTERNAL));
  CHECK(names.size() == 19);
  CHECK(names.count("unknown") == 0);
  CHECK(ponder_status_name(PONDER_E_CONTEXT_FULL) == std::string("context_full"));
  for (ponder_status status : {3, -16, -99, -101, INT32_MAX, INT32_MIN}) CHECK(ponder_status_name(status) == std::string("unknown"));
}

TEST_CASE("the loaded library says its version") {
  CHECK(ponder_version() == std::string(PONDER_VERSION_STRING));
  CHECK(ponder_abi_version() == PONDER_ABI_VERSION);
}

TEST_CASE("freeing NULL and asking NULL is fine") {
  ponder_runtime_free(nullptr);
  ponder_model_free(nullptr);
  ponder_tokenizer_free(nullptr);
  ponder_template_free(nullptr);
  ponder_session_free(nullptr);
  ponder_buffer_free(nullptr);
  ponder_session_cancel(nullptr);
  ponder_session_stop_thinking(nullptr);
  CHECK(ponder_buffer_data(nullptr) == nullptr);
  CHECK(ponder_buffer_size(nullptr) == 0);
  CHECK(ponder_runtime_isa(nullptr) == std::string());
  CHECK(ponder_runtime_threads(nullptr) == 0);
  CHECK(ponder_session_finish_reason(nullptr) == PONDER_FINISH_NONE);
  CHECK(ponder_session_next_channel(nullptr) == PONDER_CHANNEL_ANSWER);
}

TEST_CASE("a runtime without params has a thread per core and says its instruction set") {
  ponder_runtime* handle = nullptr;
  ponder_error err;
  std::memset(&err, 0x55, sizeof err);
  REQUIRE(ponder_runtime_create(nullptr, &handle, &err) == PONDER_OK);
  const Runtime runtime(handle);
  CHECK(err.code == PONDER_OK);
  CHECK(err.message == std::string());
  CHECK(ponder_runtime_threads(handle) >= 1);
  CHECK(std::strlen(ponder_runtime_isa(handle)) > 0);
}

TEST_CASE("err may be NULL") {
  CHECK(ponder_runtime_create(nullptr, nullptr, nullptr) == PONDER_E_INVALID_ARGUMENT);
}

TEST_CASE("params of a runtime that make no sense are refused by name") {
  ponder_error err;
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = -1;
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"n_threads", "-1"});
  p = ponder_runtime_params_default();
  p.n_threads = 1 << 20;
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"n_threads"});
  p = ponder_runtime_params_default();
  p.log_level = PONDER_LOG_ERROR + 1;
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"log_level", "5"});
  p = ponder_runtime_params_default();
  p.flags = 4;
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"flags", "4"});
  p = ponder_runtime_params_default();
  p.max_isa = "sse9";
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"max_isa", "sse9", "ref", "avx2", "avx512"});
}

TEST_CASE("max_isa caps the kernels, and the environment counts only without it") {
  ponder_error err;
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = 1;
  Runtime runtime;
  {
    const MaxIsa environment("ref");
    REQUIRE(create(p, err, &runtime) == PONDER_OK);
    CHECK(ponder_runtime_isa(runtime.get()) == std::string("ref"));
  }
  const MaxIsa environment("nonsense");
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"PONDER_MAX_ISA", "nonsense", "ref", "avx2"});
  p.max_isa = "ref";
  REQUIRE(create(p, err, &runtime) == PONDER_OK);
  CHECK(ponder_runtime_isa(runtime.get()) == std::string("ref"));
}

TEST_CASE("an instruction set of another kind of CPU is refused") {
  ponder_error err;
  ponder_runtime_params p = ponder_runtime_params_default();
#if defined(__aarch64__)
  p.max_isa = "avx2";
#else
  p.max_isa = "neon";
#endif
  check_error(create(p, err), err, PONDER_E_INVALID_ARGUMENT, {"max_isa", p.max_isa});
}

TEST_CASE("struct_size: 0, odd sizes and sizes above 4096 are refused, a longer struct with a zero tail is fine") {
  alignas(8) unsigned char bytes[8192] = {};
  ponder_error err;
  const auto attempt = [&](std::uint32_t size) {
    std::memcpy(bytes, &size, sizeof size);
    ponder_runtime* runtime = nullptr;
    const ponder_status status = ponder_runtime_create(reinterpret_cast<ponder_runtime_params*>(bytes), &runtime, &err);
    ponder_runtime_free(runtime);
    return status;
  };
  const std::int32_t one_thread = 1;
  std::memcpy(bytes + 4, &one_thread, sizeof one_thread);
  for (std::uint32_t size : {0u, 1u, 4u, 12u, 71u, 4097u, 8192u, UINT32_MAX})
    check_error(attempt(size), err, PONDER_E_INVALID_ARGUMENT, {"ponder_runtime_params", "struct_size"});
  for (std::uint32_t size : {8u, 16u, std::uint32_t{sizeof(ponder_runtime_params)}, 256u, 4096u}) CHECK(attempt(size) == PONDER_OK);
  for (std::size_t at : {sizeof(ponder_runtime_params), std::size_t{255}}) {
    bytes[at] = 1;
    check_error(attempt(256), err, PONDER_E_UNSUPPORTED, {"ponder_runtime_params", "256"});
    bytes[at] = 0;
  }
}

TEST_CASE("the log gets the runtime's start, load warnings, and nothing below its level") {
  Log log;
  ponder_error err;
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = 2;
  p.log = Log::write;
  p.log_user_data = &log;
  Runtime runtime;
  REQUIRE(create(p, err, &runtime) == PONDER_OK);
  CHECK(log.has(PONDER_LOG_INFO, ponder_runtime_isa(runtime.get())));
  CHECK(log.has(PONDER_LOG_INFO, "2 threads"));
  const Model model = load_model(runtime.get());
  CHECK(log.has(PONDER_LOG_INFO, "DeepseekV3ForCausalLM"));
  for (const auto& [level, text] : log.lines) CHECK(level >= PONDER_LOG_INFO);

  p.log_level = PONDER_LOG_WARNING;
  log.lines.clear();
  REQUIRE(create(p, err, &runtime) == PONDER_OK);
  const Model llama = load_model(runtime.get(), PONDER_TEST_DATA "/models/llama3-tiny");
  for (const auto& [level, text] : log.lines) CHECK(level >= PONDER_LOG_WARNING);
}

TEST_CASE("the self-test passes and reports every kernel") {
  ponder_error err;
  std::size_t n_before = 0;
  for (const char* isa : {"ref", static_cast<const char*>(nullptr)}) {
    const Runtime runtime = make_runtime(1, isa);
    ponder_buffer* json = nullptr;
    REQUIRE_MESSAGE(ponder_selftest(runtime.get(), &json, &err) == PONDER_OK, err.message);
    const std::string report = text_of(json);
    CHECK_MESSAGE(report.find("\"isa\": \"" + std::string(ponder_runtime_isa(runtime.get())) + "\", \"ok\": true, \"n_failed\": 0") != report.npos, report.substr(0, 200));
    for (const char* name : {"matmul_q4_k", "vecmat_fp8", "swiglu", "quantize_iq4_xs"}) CHECK(report.find(name) != report.npos);
    CHECK(report.size() > n_before);
    n_before = report.size();
    CHECK(ponder_selftest(runtime.get(), nullptr, &err) == PONDER_OK);
  }
}

TEST_CASE("two runtimes with different instruction sets live side by side and agree") {
  const Runtime ref = make_runtime(1, "ref"), best = make_runtime(2);
  CHECK(ponder_runtime_isa(ref.get()) == std::string("ref"));
  CHECK(ponder_runtime_threads(ref.get()) == 1);
  CHECK(ponder_runtime_threads(best.get()) == 2);
  const Model model = load_model(ref.get());
  std::vector<std::int32_t> replies[2];
  ponder_runtime* const runtimes[] = {ref.get(), best.get()};
  for (int i = 0; i < 2; ++i) {
    ponder_session* handle = nullptr;
    ponder_error err;
    REQUIRE(ponder_session_create(runtimes[i], model.get(), nullptr, &handle, &err) == PONDER_OK);
    const Session session(handle);
    prompt(handle);
    replies[i] = generate(handle).ids;
  }
  CHECK(replies[0].size() == 50);
  CHECK(replies[0] == replies[1]);
}

TEST_CASE("the host's executor computes, and its thread function sees every thread") {
  struct Host {
    std::atomic<int> n_runs{0};
    static void PONDER_CALL run(void* user, size_t n_tasks, ponder_task_fn task, void* data) {
      ++static_cast<Host*>(user)->n_runs;
      for (size_t i = n_tasks; i-- > 0;) task(data, i);  // serial and backwards is a valid executor
    }
  } host;
  ponder_error err;
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = 3;
  p.executor = Host::run;
  p.executor_user_data = &host;
  Runtime runtime;
  REQUIRE(create(p, err, &runtime) == PONDER_OK);
  const Model model = load_model(runtime.get());
  ponder_session* handle = nullptr;
  REQUIRE(ponder_session_create(runtime.get(), model.get(), nullptr, &handle, &err) == PONDER_OK);
  const Session session(handle);
  prompt(handle);
  CHECK(generate(handle).answer == "\\boxed{432}");
  CHECK(host.n_runs > 0);

  std::atomic<int> started{0};
  p = ponder_runtime_params_default();
  p.n_threads = 4;
  p.on_thread_start = [](void* user, std::int32_t) { ++*static_cast<std::atomic<int>*>(user); };
  p.thread_user_data = &started;
  REQUIRE(create(p, err, &runtime) == PONDER_OK);
  runtime.reset();  // joins them
  CHECK(started == 3);
}

TEST_CASE("a child of fork() answers with what its parent had loaded") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());  // the workers have run
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ponder_error err;
    const std::vector<std::int32_t> ids = question_ids("What is 52-17?");
    bool good = ponder_session_prompt_ids(session.get(), ids.data(), ids.size(), nullptr, nullptr, &err) == PONDER_OK;
    good = good && generate(session.get()).answer == "\\boxed{35}";
    _exit(good ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(generate(session.get()).answer == "\\boxed{432}");  // and the parent goes on
}
