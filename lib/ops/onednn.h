// The optional module libponder-onednn.so. Shared by all sessions of a runtime; any thread.
#pragma once

#include <memory>

#include "kernels/base/onednn_module.h"
#include "lib/base/status.h"

namespace ponder::core::ops {

struct Onednn {
  const ponder_onednn_table* table = nullptr;

  // The module of this build, whether it is faster or not: not_found without it, unsupported where it does not fit.
  static Result<std::shared_ptr<const Onednn>> load();
  // The module where its products are expected to be faster than our own kernels, null otherwise. That is on CPUs with AMX,
  // where it was not measured yet: oneDNN uses its tiles, our kernels do not. Elsewhere it computes with the same dot
  // products as our matmul_bf16_fast: oneDNN 2.6.3 made 65 to 80 GFLOP/s, ours 72 to 83 (avx512bf16) and 113 to 147
  // (avx512, which is taken there), for 128 and 1408 rows of 2048 and 32 to 512 tokens, one thread of Sapphire Rapids.
  static std::shared_ptr<const Onednn> load_if_faster();
};

}  // namespace ponder::core::ops
