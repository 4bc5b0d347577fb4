#include "kernels/matmul_bf16/matmul_bf16.h"

#include "benchmarks/kernels/matmul_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() {
  register_matmul("bf16", "matmul_bf16", kernels::matmul_bf16_impls(), {1, 4, 16, 48, 512});
  register_matmul("bf16", "matmul_bf16_fast", kernels::matmul_bf16_fast_impls(), {16, 48, 96, 512}, Peak::bf16);
}

}  // namespace ponder::bench
