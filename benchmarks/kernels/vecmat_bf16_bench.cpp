#include "kernels/vecmat_bf16/vecmat_bf16.h"

#include "benchmarks/kernels/vecmat_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() { register_vecmat("bf16", "vecmat_bf16", kernels::vecmat_bf16_impls()); }

}  // namespace ponder::bench
