#include "kernels/matmul_fp8/matmul_fp8.h"

#include "benchmarks/kernels/matmul_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() {
  register_matmul("fp8", "matmul_fp8", kernels::matmul_fp8_impls(), {1, 4, 16, 48, 512});
  register_matmul("fp8", "matmul_fp8_fast", kernels::matmul_fp8_fast_impls(), {16, 48, 96, 512}, Peak::bf16);
}

}  // namespace ponder::bench
