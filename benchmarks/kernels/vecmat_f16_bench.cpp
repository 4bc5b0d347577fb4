#include "kernels/vecmat_f16/vecmat_f16.h"

#include "benchmarks/kernels/vecmat_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() { register_vecmat("f16", "vecmat_f16", kernels::vecmat_f16_impls()); }

}  // namespace ponder::bench
