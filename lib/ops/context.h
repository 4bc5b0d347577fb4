// What every op needs: the kernels chosen for this CPU, the thread pool, and the cancel flag. One Context per session;
// used by one thread at a time.
#pragma once

#include <atomic>
#include <memory>

#include "kernels/base/table.h"
#include "lib/base/memory.h"
#include "lib/base/tensor.h"
#include "lib/base/thread_pool.h"
#include "lib/ops/device.h"
#include "lib/ops/low_rank.h"
#include "lib/ops/onednn.h"

namespace ponder::core {

enum class Compute {
  exact,  // f32 activations and accumulation on dequantised weights; same bits for any thread count, chunk size, batch
  // Whatever is quickest; the same bits for any thread count, but not for any chunk size and batch. Sums are f32; on CPUs with
  // fast bf16 dot products (kernels::bf16_dot_is_fast) the activations of long passes are rounded to bf16, and FP8 weights
  // after dequantising (kernels/matmul_bf16/matmul_bf16.h). Activations that meet block-quantised weights are rounded to int8
  // (lib/ops/int8_rows.h); perplexities with it are in docs/performance.md. The router's never. Root mean square of the error over that of the
  // logits, in the fixtures (bf16): below 1e-5 without rounding; with it 1 % in dense models, and as much as the choice of experts
  // tips over between near equals in mixtures (at most 15 % with random weights).
  fast,
};

// Sees the factors of every product of a pass: for importance matrices. On the thread that runs the pass.
class ProductObserver {
 public:
  virtual ~ProductObserver() = default;
  virtual void saw(const Weight& w, const Tensor& x) = 0;  // of a gated pair the gate; up has the same x
};

struct Context {
  const kernels::Table* kernels = nullptr;
  ThreadPool* pool = nullptr;
  int max_threads = 0;  // 0: all of the pool
  Compute compute = Compute::exact;
  const std::atomic<bool>* cancel = nullptr;
  const ops::Onednn* onednn = nullptr;  // fast compute: takes large products with bf16 weights where it is not null

  // Fast compute: room for the activations of a region as int8 (lib/ops/int8_rows.h); of the pass that uses the context.
  kernels::Int8Unit* int8_units = nullptr;
  std::size_t n_int8_units = 0;

  ProductObserver* observer = nullptr;

  // Low-rank additions to the weights (lib/ops/low_rank.h), or null, and room for the projections of a region.
  const ops::LowRanks* low_ranks = nullptr;
  float* low_rank_floats = nullptr;
  std::shared_ptr<Memory> memory = nullptr;  // for what is made to work with it; null: operator new, not counted
  // A device that computes passes whose caches lie there (lib/model/device_forward.h); null: the CPU does.
  std::shared_ptr<ops::Device> device = nullptr;

  bool cancelled() const { return cancel && cancel->load(std::memory_order_relaxed); }
};

}  // namespace ponder::core
