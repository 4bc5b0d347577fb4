#include "kernels/matmul_f32/matmul_f32.h"

#include "benchmarks/kernels/matmul_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() {
  register_matmul("f32", "matmul_f32", kernels::matmul_f32_impls(), {1, 4, 16, 48, 512});
}

}  // namespace ponder::bench
