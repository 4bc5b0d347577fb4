#include "kernels/vecmat_f32/vecmat_f32.h"

#include "benchmarks/kernels/vecmat_bench.inl.h"

namespace ponder::bench {

void register_benchmarks() { register_vecmat("f32", "vecmat_f32", kernels::vecmat_f32_impls()); }

}  // namespace ponder::bench
