// The memory ceiling, the account of what is in use, and the host's allocator.
#include <cstdlib>
#include <map>
#include <mutex>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

Runtime limited(std::int64_t limit) {
  ponder_runtime_params p = ponder_runtime_params_default();
  p.n_threads = 2;
  p.memory_limit = limit;
  ponder_runtime* runtime = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_runtime_create(&p, &runtime, &err) == PONDER_OK, err.message);
  return Runtime(runtime);
}

ponder_memory_info memory_of(const Runtime& runtime) {
  ponder_memory_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_runtime_memory(runtime.get(), &info, nullptr) == PONDER_OK);
  CHECK(info.used_bytes == info.weight_bytes + info.kv_bytes + info.scratch_bytes + info.other_bytes);
  CHECK(info.peak_bytes >= info.used_bytes);
  return info;
}

ponder_memory_plan plan_of(const Model& model, const ponder_session_params& params = ponder_session_params_default()) {
  ponder_memory_plan plan{};
  plan.struct_size = sizeof plan;
  REQUIRE(ponder_model_plan(model.get(), &params, &plan, nullptr) == PONDER_OK);
  return plan;
}

ponder_status try_load(const Runtime& runtime, Model& out, ponder_error& err, const char* weight_type = nullptr) {
  ponder_model_params p = ponder_model_params_default();
  p.weight_type = weight_type;
  ponder_model* model = nullptr;
  const ponder_status status = ponder_model_load(runtime.get(), kTiny.c_str(), &p, &model, &err);
  out.reset(model);
  return status;
}

ponder_status try_session(const Runtime& runtime, const Model& model, Session& out, ponder_error& err,
                          const ponder_session_params& params = ponder_session_params_default()) {
  ponder_session* session = nullptr;
  const ponder_status status = ponder_session_create(runtime.get(), model.get(), &params, &session, &err);
  out.reset(session);
  return status;
}

// An allocator that counts, checks what it is given back, and refuses one allocation on request.
struct Heap {
  std::mutex mutex;
  std::map<void*, std::size_t> blocks;
  std::size_t n_calls = 0, fail_at = SIZE_MAX, misalign_at = SIZE_MAX, n_bytes = 0;
  bool broken = false, throws = false;

  static void* PONDER_CALL allocate(void* user, std::size_t size, std::size_t alignment) {
    auto& heap = *static_cast<Heap*>(user);
    const std::lock_guard lock(heap.mutex);
    if (heap.n_calls++ == heap.fail_at) {
      if (heap.throws) throw std::bad_alloc();
      return nullptr;
    }
    auto* memory = static_cast<char*>(std::aligned_alloc(alignment, (size + 2 * alignment - 1) / alignment * alignment));
    if (heap.n_calls - 1 == heap.misalign_at) memory += 8;
    heap.blocks[memory] = size;
    heap.n_bytes += size;
    return memory;
  }
  static void PONDER_CALL deallocate(void* user, void* memory, std::size_t size, std::size_t alignment) {
    auto& heap = *static_cast<Heap*>(user);
    const std::lock_guard lock(heap.mutex);
    const auto found = heap.blocks.find(memory);
    if (found == heap.blocks.end() || found->second != size || alignment != 64) heap.broken = true;
    else heap.n_bytes -= size, heap.blocks.erase(found);
    std::free(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(memory) & ~std::uintptr_t{63}));
  }
  Runtime runtime() {
    ponder_runtime_params p = ponder_runtime_params_default();
    p.n_threads = 2;
    p.allocate = allocate;
    p.deallocate = deallocate;
    p.allocator_user_data = this;
    ponder_runtime* runtime = nullptr;
    ponder_error err;
    REQUIRE_MESSAGE(ponder_runtime_create(&p, &runtime, &err) == PONDER_OK, err.message);
    return Runtime(runtime);
  }
};

}  // namespace

TEST_CASE("what is in use is what the plan says, and nothing when all is freed") {
  const Runtime runtime = limited(0);
  CHECK(memory_of(runtime).used_bytes == 0);
  Model model = load_model(runtime.get());
  const ponder_memory_plan plan = plan_of(model);
  const std::int64_t of_model = memory_of(runtime).used_bytes;
  CHECK(memory_of(runtime).weight_bytes == plan.weight_bytes);
  CHECK(of_model > plan.weight_bytes);
  CHECK(of_model < plan.weight_bytes + plan.other_bytes);
  ponder_error err;
  Session session;
  REQUIRE(try_session(runtime, model, session, err) == PONDER_OK);
  ponder_memory_info info = memory_of(runtime);
  CHECK(info.kv_bytes == plan.kv_bytes);
  CHECK(info.scratch_bytes == plan.scratch_bytes);
  CHECK(info.used_bytes == plan.total_bytes);
  CHECK(info.limit_bytes == 0);
  prompt(session.get());
  generate(session.get());
  CHECK(memory_of(runtime).used_bytes == plan.total_bytes);
  ponder_session* fork = nullptr;
  REQUIRE(ponder_session_fork(session.get(), &fork, &err) == PONDER_OK);
  CHECK(memory_of(runtime).used_bytes == 2 * plan.total_bytes - of_model);
  CHECK(memory_of(runtime).peak_bytes == memory_of(runtime).used_bytes);
  session.reset();  // before its fork
  CHECK(memory_of(runtime).used_bytes == plan.total_bytes);
  ponder_session_free(fork);
  model.reset();
  CHECK(memory_of(runtime).used_bytes == 0);
}

TEST_CASE("a limit of the plan's total is enough, one byte less is not") {
  const Runtime free = limited(0);
  const Model measured = load_model(free.get());
  for (const ponder_kv_type kv_type : {PONDER_KV_F32, PONDER_KV_F16}) {
    ponder_session_params params = ponder_session_params_default();
    params.kv_type = kv_type;
    params.context_length = 300;
    const ponder_memory_plan plan = plan_of(measured, params);
    CHECK(plan.total_bytes == plan.weight_bytes + plan.kv_bytes + plan.scratch_bytes + plan.other_bytes);
    for (const std::int64_t less : {0, 1}) {
      const Runtime runtime = limited(plan.total_bytes - less);
      const Model model = load_model(runtime.get());
      ponder_error err;
      Session session;
      const ponder_status status = try_session(runtime, model, session, err, params);
      if (less == 0) {
        CHECK_MESSAGE(status == PONDER_OK, err.message);
        prompt(session.get());
        CHECK(generate(session.get()).answer == "\\boxed{432}");
      } else {
        check_error(status, err, PONDER_E_OUT_OF_MEMORY,
                    {"memory_limit is " + std::to_string(plan.total_bytes - 1), "in use", std::to_string(plan.scratch_bytes)});
        CHECK(memory_of(runtime).used_bytes < plan.total_bytes - plan.kv_bytes - plan.scratch_bytes);
      }
    }
  }
}

TEST_CASE("a model beyond the limit is refused with the numbers") {
  const Runtime free = limited(0);
  const std::int64_t weights = plan_of(load_model(free.get())).weight_bytes;
  const Runtime runtime = limited(weights - 1);
  Model model;
  ponder_error err;
  check_error(try_load(runtime, model, err), err, PONDER_E_OUT_OF_MEMORY,
              {std::to_string(weights) + " bytes for weights", "0 bytes are in use", std::to_string(weights - 1)});
  CHECK(memory_of(runtime).used_bytes == 0);
  const Files files(kTiny);
  check_error(load_memory(runtime.get(), files.list(), model, err), err, PONDER_E_OUT_OF_MEMORY, {"memory_limit"});
}

TEST_CASE("a conversion counts the new weights, and is refused before any work") {
  const Runtime free = limited(0);
  Model model;
  ponder_error err;
  REQUIRE(try_load(free, model, err, "q8_0") == PONDER_OK);
  const std::int64_t weights = plan_of(model).weight_bytes;
  CHECK(memory_of(free).weight_bytes == weights);
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(model.get(), &info, &err) == PONDER_OK);
  CHECK(weights >= info.weight_bytes);
  const Runtime runtime = limited(weights / 2);
  check_error(try_load(runtime, model, err, "q8_0"), err, PONDER_E_OUT_OF_MEMORY, {"q8_0", "weights", "memory_limit"});
  CHECK(memory_of(runtime).used_bytes == 0);
  CHECK(memory_of(runtime).peak_bytes < weights / 2);
}

TEST_CASE("at the limit, what was made before stays usable") {
  const Runtime free = limited(0);
  const Model measured = load_model(free.get());
  const ponder_memory_plan plan = plan_of(measured);
  const Runtime runtime = limited(plan.total_bytes + 1000);
  const Model model = load_model(runtime.get());
  ponder_error err;
  Session session, second;
  REQUIRE(try_session(runtime, model, session, err) == PONDER_OK);
  prompt(session.get());
  check_error(try_session(runtime, model, second, err), err, PONDER_E_OUT_OF_MEMORY, {"KV cache", "memory_limit"});
  ponder_session* fork = nullptr;
  check_error(ponder_session_fork(session.get(), &fork, &err), err, PONDER_E_OUT_OF_MEMORY, {"memory_limit"});
  CHECK(fork == nullptr);
  std::vector<float> logprobs(question_ids().size());  // needs a cache and scratch of its own
  check_error(ponder_session_prompt_logprobs(session.get(), logprobs.data(), logprobs.size(), &err), err,
              PONDER_E_OUT_OF_MEMORY, {"memory_limit"});
  CHECK(memory_of(runtime).used_bytes == plan.total_bytes);
  CHECK(generate(session.get()).answer == "\\boxed{432}");
  session.reset();
  CHECK(try_session(runtime, model, second, err) == PONDER_OK);
}

TEST_CASE("random weights count too") {
  const Runtime runtime = limited(0);
  const std::string config = [] {
    std::ifstream in(kTiny + "/config.json");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  ponder_model* handle = nullptr;
  ponder_error err;
  REQUIRE(ponder_model_random(runtime.get(), config.data(), config.size(), "bf16", 1, 7, &handle, &err) == PONDER_OK);
  const Model model(handle);
  const std::int64_t weights = memory_of(runtime).weight_bytes;
  CHECK(weights > 0);
  CHECK(weights == plan_of(model).weight_bytes);
  const Runtime small = limited(weights - 1);
  check_error(ponder_model_random(small.get(), config.data(), config.size(), "bf16", 1, 7, &handle, &err), err,
              PONDER_E_OUT_OF_MEMORY, {"weights", "memory_limit"});
  CHECK(handle == nullptr);
  CHECK(memory_of(small).used_bytes == 0);
}

TEST_CASE("a limit below 0 and half an allocator are refused") {
  ponder_error err;
  ponder_runtime* runtime = nullptr;
  ponder_runtime_params p = ponder_runtime_params_default();
  p.memory_limit = -1;
  check_error(ponder_runtime_create(&p, &runtime, &err), err, PONDER_E_INVALID_ARGUMENT, {"memory_limit", "-1"});
  p = ponder_runtime_params_default();
  p.allocate = Heap::allocate;
  check_error(ponder_runtime_create(&p, &runtime, &err), err, PONDER_E_INVALID_ARGUMENT, {"deallocate"});
  p = ponder_runtime_params_default();
  p.deallocate = Heap::deallocate;
  check_error(ponder_runtime_create(&p, &runtime, &err), err, PONDER_E_INVALID_ARGUMENT, {"allocate"});
}

TEST_CASE("the host's allocator gives all large memory, aligned, and gets it back with its size") {
  Heap heap;
  {
    Runtime runtime = heap.runtime();
    Model model;
    ponder_error err;
    REQUIRE_MESSAGE(try_load(runtime, model, err, "q4_k_m") == PONDER_OK, err.message);
    CHECK(static_cast<std::int64_t>(heap.n_bytes) >= memory_of(runtime).weight_bytes);
    const std::size_t weights = heap.n_bytes;
    Session session;
    REQUIRE(try_session(runtime, model, session, err) == PONDER_OK);
    const ponder_memory_plan plan = plan_of(model);
    CHECK(heap.n_bytes - weights == static_cast<std::size_t>(plan.kv_bytes + plan.scratch_bytes));
    runtime.reset();  // the allocator is used as long as anything lives
    model.reset();
    prompt(session.get());
    CHECK(generate(session.get()).ids.size() > 10);
  }
  CHECK(heap.blocks.empty());
  CHECK(!heap.broken);
}

TEST_CASE("an allocator that fails, throws or misaligns once: a status, nothing lost, and the next call works") {
  for (const bool throws : {false, true}) {
    Heap heap;
    heap.throws = throws;
    {
      const Runtime runtime = heap.runtime();
      const Model model = load_model(runtime.get());
      ponder_error err;
      int n_failures = 0;
      for (std::size_t n = 0;; ++n) {
        heap.fail_at = heap.n_calls + n;
        Session session;
        const ponder_status status = try_session(runtime, model, session, err);
        if (status == PONDER_OK) break;
        check_error(status, err, PONDER_E_OUT_OF_MEMORY, {"allocator"});
        CHECK(heap.blocks.empty());
        CHECK(memory_of(runtime).kv_bytes + memory_of(runtime).scratch_bytes == 0);
        ++n_failures;
      }
      CHECK(n_failures > 4);
      heap.fail_at = SIZE_MAX;
      heap.misalign_at = heap.n_calls + 1;
      Session session;
      check_error(try_session(runtime, model, session, err), err, PONDER_E_CALLBACK, {"aligned", "64"});
      REQUIRE(try_session(runtime, model, session, err) == PONDER_OK);
      prompt(session.get());
      CHECK(generate(session.get()).answer == "\\boxed{432}");
    }
    CHECK(heap.blocks.empty());
    CHECK(!heap.broken);
  }
}
