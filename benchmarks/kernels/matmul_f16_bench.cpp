#include "kernels/matmul_f16/matmul_f16.h"

#include "benchmarks/kernels/matmul_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() {
  register_matmul("f16", "matmul_f16", kernels::matmul_f16_impls(), {1, 4, 16, 48, 512});
}

}  // namespace ponder::bench
