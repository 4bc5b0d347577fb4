// Many sessions at once, and the same again and again.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

#include "tests/capi/capi_fixture.h"
#include "tests/capi/process_memory.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;

namespace {

using ponder::test::heap_bytes;
using ponder::test::resident_bytes;

// Everything that a host makes and frees.
void one_round(int i) {
  const Runtime runtime = make_runtime(1 + i % 2);
  const Model model = load_model(runtime.get());
  ponder_error err;
  ponder_session *session = nullptr, *fork = nullptr;
  REQUIRE(ponder_session_create(runtime.get(), model.get(), nullptr, &session, &err) == PONDER_OK);
  const Session owner(session);
  prompt(session);
  REQUIRE(ponder_session_fork(session, &fork, &err) == PONDER_OK);
  const Session fork_owner(fork);
  CHECK(generate(session).answer == "\\boxed{432}");
  ponder_buffer* state = nullptr;
  REQUIRE(ponder_session_save(fork, &state, &err) == PONDER_OK);
  CHECK(ponder_session_restore(session, ponder_buffer_data(state), ponder_buffer_size(state), &err) == PONDER_OK);
  ponder_buffer_free(state);
  ponder_tokenizer* tokenizer = nullptr;
  REQUIRE(ponder_tokenizer_load(kTiny.c_str(), &tokenizer, &err) == PONDER_OK);
  ponder_tokenizer_free(tokenizer);
  ponder_model* refused = nullptr;
  CHECK(ponder_model_load(runtime.get(), "/nowhere", nullptr, &refused, &err) == PONDER_E_NOT_FOUND);
}

// The least memory of the last third of n rounds is that of the third before: how far the allocator's own caches have grown
// at one moment is chance.
void check_flat(int n) {
  std::size_t before = SIZE_MAX, after = SIZE_MAX, settled_heap = 0;
  for (int i = 0; i < n; ++i) {
    one_round(i);
    if (i == n / 3) settled_heap = heap_bytes();
    if (i >= n / 3) (i < 2 * n / 3 ? before : after) = std::min(i < 2 * n / 3 ? before : after, resident_bytes());
  }
#if !defined(PONDER_SANITIZED_BUILD)
  // An object forgotten in each round shows in the heap; arenas and pages differ by some MiB from run to run.
  CHECK_MESSAGE(heap_bytes() < settled_heap + 32768, (heap_bytes() - settled_heap) << " bytes of heap more");
  CHECK_MESSAGE(after < before + (4u << 20), (after - before) << " bytes more");
#else
  CHECK(after < SIZE_MAX);
#endif
}

}  // namespace

TEST_CASE("ten threads, each with sessions of one model, answer each on their own") {
  const Tiny tiny;
  std::atomic<int> n_right{0};
  std::vector<std::thread> threads;
  std::vector<Session> sessions;
  for (int i = 0; i < 10; ++i) sessions.push_back(tiny.session());
  for (int i = 0; i < 10; ++i)
    threads.emplace_back([&, i] {
      const int a = 100 + 37 * i, b = 11 + 5 * i;
      ponder_session* session = sessions[static_cast<std::size_t>(i)].get();
      const std::vector<std::int32_t> ids = question_ids("What is " + std::to_string(a) + "+" + std::to_string(b) + "?");
      ponder_error err;
      for (int round = 0; round < 2; ++round) {
        if (ponder_session_prompt_ids(session, ids.data(), ids.size(), nullptr, nullptr, &err) != PONDER_OK) return;
        if (generate(session).answer != "\\boxed{" + std::to_string(a + b) + "}") return;
        ponder_session* fork = nullptr;
        if (ponder_session_fork(session, &fork, &err) != PONDER_OK) return;
        ponder_session_free(fork);
      }
      ++n_right;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(n_right == 10);
}

TEST_CASE("runtimes, models and sessions come and go without memory growing") { check_flat(30); }

// Names without a comma: doctest's CMake script finds no label for others.
TEST_SUITE("full") {
  TEST_CASE("all objects come and go without memory growing for long") { check_flat(600); }
}
