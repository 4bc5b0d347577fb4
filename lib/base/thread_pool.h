// A small pool for short parallel loops. Work is split by the caller into tasks by shape, never by thread count, so
// results do not depend on how many threads run them.
//
// Any number of threads may call parallel_for at once: the first gets the workers, the others run their loop on their
// own thread. Workers spin briefly, then sleep; an idle pool burns no CPU. After fork() the child has no workers: the
// pool notices and runs every loop on the calling thread.
#pragma once

#include <cstddef>
#include <memory>

#include "lib/base/status.h"

namespace ponder::core {

class ThreadPool {
 public:
  using Task = void (*)(void* context, std::size_t index);

  // How the host takes part. on_start runs on each worker when it starts (name, affinity, priority). With an executor
  // there are no workers: it runs task(context, i) once for every i in [0, n_tasks), n_tasks at most n_threads, on
  // threads of the host, and returns when all are done; several threads may call it at once. Neither should throw: on_start
  // is then over, and what an executor has not done when it returns or throws the calling thread does. But no task may
  // start after that.
  struct Hooks {
    void (*on_start)(void* user_data, int index) = nullptr;  // index from 1; the calling threads are not told
    void* on_start_data = nullptr;
    void (*executor)(void* user_data, std::size_t n_tasks, Task task, void* context) = nullptr;
    void* executor_data = nullptr;
  };

  // n_threads counts the calling thread: 1 starts no worker. 0 means one per available core.
  static Result<std::unique_ptr<ThreadPool>> create(int n_threads) { return create(n_threads, Hooks()); }
  static Result<std::unique_ptr<ThreadPool>> create(int n_threads, const Hooks& hooks);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const;

  // Runs task(context, i) for every i in [0, n_tasks) and returns when all are done. Tasks must not throw and must not
  // call parallel_for. Allocates nothing. `max_threads` > 0 lowers the number of threads for this call.
  void parallel_for(std::size_t n_tasks, Task task, void* context, int max_threads = 0);

  // The same for a callable: pool.parallel_for(n, [&](std::size_t i) { ... });
  template <class F>
  void parallel_for(std::size_t n_tasks, F&& body, int max_threads = 0) {
    using Body = std::remove_reference_t<F>;
    parallel_for(
        n_tasks, [](void* context, std::size_t i) { (*static_cast<Body*>(context))(i); },
        const_cast<void*>(static_cast<const void*>(&body)), max_threads);
  }

 private:
  ThreadPool();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ponder::core
