#include "lib/base/thread_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace ponder::core;

namespace {

// Every index once, and what the tasks wrote is visible afterwards.
bool runs_every_task_once(ThreadPool& pool, std::size_t n_tasks, int max_threads = 0) {
  std::vector<int> runs(n_tasks, 0);
  pool.parallel_for(n_tasks, [&](std::size_t i) { ++runs[i]; }, max_threads);
  for (int n : runs)
    if (n != 1) return false;
  return true;
}

}  // namespace

TEST_CASE("thread pool: 1 to 3 threads run every task once") {
  for (int n_threads : {1, 2, 3}) {
    auto pool = ThreadPool::create(n_threads);
    REQUIRE(pool.ok());
    CHECK((*pool)->n_threads() == n_threads);
    bool all = true;
    for (int repeat = 0; repeat < 200; ++repeat)
      for (std::size_t n_tasks : {0, 1, 2, 3, 7, 100}) all &= runs_every_task_once(**pool, n_tasks);
    CHECK(all);
  }
}

TEST_CASE("thread pool: max_threads lowers the threads of one call") {
  auto pool = ThreadPool::create(3);
  REQUIRE(pool.ok());
  for (int max_threads : {1, 2, 3, 100}) CHECK(runs_every_task_once(**pool, 50, max_threads));
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> elsewhere{0};
  (*pool)->parallel_for(50, [&](std::size_t) { elsewhere += std::this_thread::get_id() != caller; }, 1);
  CHECK(elsewhere == 0);
}

TEST_CASE("thread pool: two tasks that wait for each other run at the same time") {
  auto pool = ThreadPool::create(2);
  REQUIRE(pool.ok());
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::atomic<int> arrived{0};
    (*pool)->parallel_for(2, [&](std::size_t) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    REQUIRE(arrived == 2);
  }
}

TEST_CASE("thread pool: four threads may call it at once") {
  auto pool = ThreadPool::create(3);
  REQUIRE(pool.ok());
  std::atomic<bool> all{true};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 300; ++repeat)
        if (!runs_every_task_once(**pool, 20)) all = false;
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(all);
}

TEST_CASE("thread pool: 0 means one thread per available core") {
  auto pool = ThreadPool::create(0);
  REQUIRE(pool.ok());
  CHECK((*pool)->n_threads() >= 1);
  CHECK(runs_every_task_once(**pool, 100));
}

TEST_CASE("thread pool: a senseless number of threads is refused") {
  CHECK(ThreadPool::create(-1).status().code() == Code::invalid_argument);
  CHECK(ThreadPool::create(1 << 20).status().code() == Code::invalid_argument);
}

TEST_CASE("thread pool: pools come and go, used or not") {
  for (int repeat = 0; repeat < 50; ++repeat) {
    auto pool = ThreadPool::create(3);
    REQUIRE(pool.ok());
    if (repeat % 2) CHECK(runs_every_task_once(**pool, 5));
  }
}

#ifndef _WIN32
TEST_CASE("thread pool: after fork the child runs its loops on its own thread") {
  auto pool = ThreadPool::create(3);
  REQUIRE(pool.ok());
  REQUIRE(runs_every_task_once(**pool, 100));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool all = runs_every_task_once(**pool, 100);
    pool->reset();
    ::_exit(all ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(runs_every_task_once(**pool, 100));
}
#endif

TEST_CASE("thread pool: the host's executor gets at most n_threads lanes and every task runs once") {
  struct Host {
    std::size_t n_calls = 0, most_lanes = 0;
    static void run(void* user, std::size_t n_tasks, ThreadPool::Task task, void* context) {
      auto& host = *static_cast<Host*>(user);
      ++host.n_calls;
      host.most_lanes = std::max(host.most_lanes, n_tasks);
      std::vector<std::thread> threads;
      for (std::size_t i = 0; i < n_tasks; ++i) threads.emplace_back([=] { task(context, n_tasks - 1 - i); });
      for (std::thread& thread : threads) thread.join();
    }
  } host;
  ThreadPool::Hooks hooks;
  hooks.executor = Host::run;
  hooks.executor_data = &host;
  auto pool = ThreadPool::create(3, hooks);
  REQUIRE(pool.ok());
  for (std::size_t n_tasks : {0, 1, 2, 3, 100}) CHECK(runs_every_task_once(**pool, n_tasks));
  CHECK(host.n_calls == 3);  // none for no task and for one
  CHECK(host.most_lanes == 3);
  CHECK(runs_every_task_once(**pool, 100, 2));
  CHECK(host.n_calls == 4);
}

TEST_CASE("thread pool: the host is told of each thread that starts") {
  struct Seen {
    std::atomic<int> sum{0};
    static void started(void* user, int index) { static_cast<Seen*>(user)->sum += index; }
  } seen;
  ThreadPool::Hooks hooks;
  hooks.on_start = Seen::started;
  hooks.on_start_data = &seen;
  {
    auto pool = ThreadPool::create(4, hooks);
    REQUIRE(pool.ok());
  }
  CHECK(seen.sum == 1 + 2 + 3);
}
