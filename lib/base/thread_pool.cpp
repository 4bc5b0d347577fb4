#include "lib/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace ponder::core {
namespace {

constexpr int kMaxThreads = 1024;
// Between two ops of one decode step the pool idles for a few microseconds, and a thread waits for another's last task, some 40 us;
// a wake-up from sleep costs about 50.
constexpr auto kSpin = std::chrono::microseconds(100);

void pause_cpu() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits a short while for `ready`; false when it did not come.
template <class Ready>
bool spin_until(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

long process_id() {
#ifdef _WIN32
  return 0;  // no fork
#else
  return static_cast<long>(::getpid());
#endif
}

int available_cores() {
#ifdef __linux__
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) return std::max(1, CPU_COUNT(&cores));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Threads started meanwhile take no signals: those belong to the host's threads.
class SignalsBlocked {
 public:
#ifdef _WIN32
  SignalsBlocked() {}
#else
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
#endif
};

// The gate: which job is on, whether workers may still enter, and how many are inside. One word, so that a worker that
// comes late sees a closed gate and never a job that its caller has already left.
constexpr std::uint64_t kInsideMask = 0xffff;
constexpr std::uint64_t kOpen = 1u << 16;
constexpr std::uint64_t kCallerSleeps = 1u << 17;
constexpr std::uint64_t kStop = 1u << 18;
constexpr int kJobShift = 19;

std::uint64_t job_of(std::uint64_t gate) { return gate >> kJobShift; }

// A loop that the host's executor runs: as many lanes as threads, each taking tasks until none is left. Any one lane would
// do, so that nothing is missing where the executor dropped some.
struct Lanes {
  ThreadPool::Task task;
  void* context;
  std::size_t n_tasks;
  std::atomic<std::size_t> next_task{0};
  std::atomic<std::size_t> n_running{0};

  static void run(void* lanes, std::size_t) {
    auto& self = *static_cast<Lanes*>(lanes);
    self.n_running.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
      const std::size_t i = self.next_task.fetch_add(1, std::memory_order_relaxed);
      if (i >= self.n_tasks) break;
      self.task(self.context, i);
    }
    self.n_running.fetch_sub(1, std::memory_order_release);
  }
};

// Tasks of one thread: successive ones, whose weights lie side by side, so that what the caches fetched ahead is used by the
// thread that fetched it.
struct alignas(64) Span {
  std::atomic<std::size_t> next{0};
  std::size_t end = 0;
};

}  // namespace

struct ThreadPool::State {
  int n_threads = 1;
  Hooks hooks;
  long process = 0;
  std::vector<std::thread> workers;

  std::atomic<bool> busy{false};  // a caller owns the workers
  std::atomic<std::uint64_t> gate{0};

  // The job: written by the owner while the gate is closed and nobody is inside.
  Task task = nullptr;
  void* context = nullptr;
  std::size_t n_tasks = 0;
  int max_workers = 0;
  std::atomic<int> n_entered{0};
  std::vector<Span> spans;  // one per thread; those of the job are the first max_workers + 1

  std::atomic<int> n_sleeping{0};
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;

  // lane: of this thread, among those that work on the job; its own span first, then what is left of the others'.
  void run_tasks(int lane) {
    const int n_lanes = max_workers + 1;
    for (int i = 0; i < n_lanes; ++i) {
      Span& span = spans[static_cast<std::size_t>((lane + i) % n_lanes)];
      for (;;) {
        if (span.next.load(std::memory_order_relaxed) >= span.end) break;
        const std::size_t index = span.next.fetch_add(1, std::memory_order_relaxed);
        if (index >= span.end) break;
        task(context, index);
      }
    }
  }

  bool enter() {
    std::uint64_t seen = gate.load(std::memory_order_acquire);
    while (seen & kOpen)
      if (gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
    return false;
  }

  void leave() {
    const std::uint64_t before = gate.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & kInsideMask) == 1 && (before & kCallerSleeps)) {
      const std::lock_guard lock(mutex);
      done.notify_one();
    }
  }

  void work() {
    std::uint64_t seen_job = 0;
    const auto changed = [&] {
      const std::uint64_t now = gate.load(std::memory_order_seq_cst);
      return job_of(now) != seen_job || (now & kStop);
    };
    for (;;) {
      if (!spin_until(changed)) {
        std::unique_lock lock(mutex);
        n_sleeping.fetch_add(1, std::memory_order_seq_cst);  // before the last look at the gate; see parallel_for
        wake.wait(lock, changed);
        n_sleeping.fetch_sub(1, std::memory_order_seq_cst);
      }
      const std::uint64_t now = gate.load(std::memory_order_acquire);
      if (now & kStop) return;
      seen_job = job_of(now);
      if (!enter()) continue;
      const int lane = n_entered.fetch_add(1, std::memory_order_relaxed);
      if (lane < max_workers) run_tasks(lane + 1);
      leave();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      gate.fetch_or(kStop, std::memory_order_seq_cst);
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }
};

ThreadPool::ThreadPool() = default;

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int n_threads, const Hooks& hooks) {
  if (n_threads < 0 || n_threads > kMaxThreads)
    return Status(Code::invalid_argument, "n_threads is " + std::to_string(n_threads) + ", want 0 to " +
                                              std::to_string(kMaxThreads));
  if (n_threads == 0) n_threads = std::min(available_cores(), kMaxThreads);
  std::unique_ptr<ThreadPool> pool(new ThreadPool());
  pool->state_ = std::make_unique<State>();
  State& state = *pool->state_;
  state.process = process_id();  // first: a pool of another process is left to that process's end
  state.n_threads = n_threads;
  state.spans = std::vector<Span>(static_cast<std::size_t>(n_threads));
  state.hooks = hooks;
  if (hooks.executor) return pool;
  state.workers.reserve(static_cast<std::size_t>(n_threads - 1));
  const SignalsBlocked blocked;
  try {
    for (int i = 1; i < n_threads; ++i)
      state.workers.emplace_back([&state, i] {
        try {
          if (state.hooks.on_start) state.hooks.on_start(state.hooks.on_start_data, i);
        } catch (...) {  // the host's mistake
        }
        state.work();
      });
  } catch (const std::system_error& error) {
    return Status(Code::out_of_memory, "cannot start thread " + std::to_string(state.workers.size() + 2) + " of " +
                                           std::to_string(n_threads) + ": " + error.code().message());
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  if (!state_) return;
  if (state_->process == process_id()) {
    state_->stop();
  } else {
    // After fork() the workers do not exist here: they cannot be joined, and locks may be held forever. The memory is
    // left to the child's end.
    static_cast<void>(state_.release());
  }
}

int ThreadPool::n_threads() const { return state_->n_threads; }

void ThreadPool::parallel_for(std::size_t n_tasks, Task task, void* context, int max_threads) {
  State& s = *state_;
  const int n_threads = max_threads > 0 ? std::min(max_threads, s.n_threads) : s.n_threads;
  if (s.hooks.executor && n_tasks > 1 && n_threads > 1) {
    Lanes lanes{task, context, n_tasks};
    try {
      s.hooks.executor(s.hooks.executor_data, std::min<std::size_t>(static_cast<std::size_t>(n_threads), n_tasks),
                       Lanes::run, &lanes);
    } catch (...) {  // the host's mistake; the results are whole all the same
    }
    Lanes::run(&lanes, 0);
    const auto done = [&] { return lanes.n_running.load(std::memory_order_acquire) == 0; };
    while (!spin_until(done)) std::this_thread::yield();
    return;
  }
  if (n_tasks <= 1 || n_threads <= 1 || s.process != process_id() || s.busy.exchange(true, std::memory_order_acquire)) {
    for (std::size_t i = 0; i < n_tasks; ++i) task(context, i);
    return;
  }
  s.task = task;
  s.context = context;
  s.n_tasks = n_tasks;
  s.max_workers = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(n_threads - 1), n_tasks - 1));
  s.n_entered.store(0, std::memory_order_relaxed);
  const auto n_lanes = static_cast<std::size_t>(s.max_workers) + 1;
  for (std::size_t lane = 0, first = 0; lane < n_lanes; ++lane) {
    Span& span = s.spans[lane];
    span.next.store(first, std::memory_order_relaxed);
    span.end = first += n_tasks / n_lanes + (lane < n_tasks % n_lanes);
  }
  const std::uint64_t job = job_of(s.gate.load(std::memory_order_relaxed)) + 1;
  s.gate.store((job << kJobShift) | kOpen, std::memory_order_seq_cst);
  // Either this load sees a worker that went to sleep, or that worker's last look at the gate sees the job.
  const int n_sleeping = s.n_sleeping.load(std::memory_order_seq_cst);
  if (n_sleeping > 0) {
    { const std::lock_guard lock(s.mutex); }
    if (n_sleeping <= s.max_workers) {
      s.wake.notify_all();
    } else {
      for (int i = 0; i < s.max_workers; ++i) s.wake.notify_one();
    }
  }

  s.run_tasks(0);

  s.gate.fetch_and(~kOpen, std::memory_order_acq_rel);
  const auto empty = [&] { return (s.gate.load(std::memory_order_acquire) & kInsideMask) == 0; };
  if (!spin_until(empty)) {
    std::unique_lock lock(s.mutex);
    s.gate.fetch_or(kCallerSleeps, std::memory_order_acq_rel);
    s.done.wait(lock, empty);
  }
  s.busy.store(false, std::memory_order_release);
}

}  // namespace ponder::core
