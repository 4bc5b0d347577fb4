// What this machine can do at best, for 1 to N threads: the rates that every share in docs/performance.md is of.
//   ponder_limits [-t THREADS] [--avx2] [--json]
// -t measures that number of threads alone; --avx2 does as if the CPU had nothing above AVX2.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "benchmarks/model/machine_limits.h"

int main(int argc, char** argv) {
  int only = 0;
  bool avx2_only = false, json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--avx2") == 0) avx2_only = true;
    else if (std::strcmp(argv[i], "--json") == 0) json = true;
    else if (std::strcmp(argv[i], "-t") == 0 && i + 1 < argc) only = std::atoi(argv[++i]);
    else {
      std::fprintf(stderr, "ponder_limits [-t THREADS] [--avx2] [--json]\n");
      return 2;
    }
  }
  const int last = only > 0 ? only : static_cast<int>(std::thread::hardware_concurrency());
  if (json) std::printf("[");
  else std::printf("threads   read GB/s   f32 GFLOP/s      bf16 GFLOP/s   int8 Gop/s\n");
  for (int n = only > 0 ? only : 1; n <= last; ++n) {
    const ponder::bench::MachineLimits l = ponder::bench::measure_limits(n, avx2_only);
    if (json)
      std::printf("%s{\"threads\": %d, \"read_bytes_per_s\": %.6g, \"f32_flops_per_s\": %.6g, \"f32_isa\": \"%s\", "
                  "\"bf16_flops_per_s\": %.6g, \"int8_ops_per_s\": %.6g, \"int8_isa\": \"%s\"}",
                  n > 1 && only == 0 ? ", " : "", n, l.read_bytes_per_s,
                  l.f32_flops_per_s, l.f32_isa, l.bf16_flops_per_s, l.int8_ops_per_s, l.int8_isa);
    else
      std::printf("%7d %11.1f %13.0f (%s) %10.0f %12.0f (%s)\n", n, l.read_bytes_per_s * 1e-9, l.f32_flops_per_s * 1e-9,
                  l.f32_isa, l.bf16_flops_per_s * 1e-9, l.int8_ops_per_s * 1e-9, l.int8_isa);
  }
  if (json) std::printf("]\n");
  return 0;
}
