// What every op needs: the kernels chosen for this CPU, the thread pool, and the cancel flag. One Context per session;
// used by one thread at a time.
#pragma once

#include <atomic>

#include "kernels/base/table.h"
#include "lib/base/thread_pool.h"

namespace ponder::core {

enum class Compute {
  exact,  // f32 activations and accumulation on dequantised weights; same bits for any thread count, chunk size, batch
  fast,   // whatever is quickest within the documented error
};

struct Context {
  const kernels::Table* kernels = nullptr;
  ThreadPool* pool = nullptr;
  int max_threads = 0;  // 0: all of the pool
  Compute compute = Compute::exact;
  const std::atomic<bool>* cancel = nullptr;

  bool cancelled() const { return cancel && cancel->load(std::memory_order_relaxed); }
};

}  // namespace ponder::core
