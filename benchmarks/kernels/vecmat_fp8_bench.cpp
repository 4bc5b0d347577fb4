#include "kernels/vecmat_fp8/vecmat_fp8.h"

#include "benchmarks/kernels/vecmat_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() { register_vecmat("fp8", "vecmat_fp8", kernels::vecmat_fp8_impls()); }

}  // namespace ponder::bench
