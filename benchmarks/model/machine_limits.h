// What this machine can do at best, measured in the same run as the model: the basis of the shares that the benchmark prints.
// Stands alone: the ponder program uses it too.
#pragma once

namespace ponder::bench {

struct MachineLimits {
  double read_bytes_per_s = 0;     // all threads streaming through one large buffer
  double f32_flops_per_s = 0;      // independent fused multiply-adds in registers, 2 operations each
  double bf16_flops_per_s = 0;     // bf16 dot products in registers; 0 where the CPU has none
  double int8_ops_per_s = 0;       // dot products of bytes in registers, 2 operations per multiply-add; 0 without AVX2
  const char* f32_isa = "scalar";  // what f32_flops_per_s was measured with
  const char* int8_isa = "none";

  // The higher one: some CPUs do bf16 dot products at half the rate of their f32 units.
  double peak_flops_per_s() const { return bf16_is_peak() ? bf16_flops_per_s : f32_flops_per_s; }
  const char* peak_name() const { return bf16_is_peak() ? "bf16 peak (avx512bf16)" : "f32 FMA peak"; }

  // The best of two measurements, as one before and one after what is compared with them.
  void raise_to(const MachineLimits& other);

 private:
  bool bf16_is_peak() const { return bf16_flops_per_s > f32_flops_per_s; }
};

// Takes some seconds and 1 GiB, on n_threads threads of its own. avx2_only: as if the CPU had nothing above AVX2.
MachineLimits measure_limits(int n_threads, bool avx2_only = false);

}  // namespace ponder::bench
