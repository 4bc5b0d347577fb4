#include "kernels/base/isa.h"

#include <cstring>

namespace ponder::kernels {

namespace {
constexpr Isa kAll[] = {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16, Isa::neon};
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::ref: return "ref";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::avx512vnni: return "avx512vnni";
    case Isa::avx512bf16: return "avx512bf16";
    case Isa::neon: return "neon";
  }
  return "?";
}

bool isa_from_name(const char* name, Isa& out) {
  for (Isa isa : kAll)
    if (std::strcmp(name, isa_name(isa)) == 0) {
      out = isa;
      return true;
    }
  return false;
}

bool isa_supported(Isa isa) {
  if (isa == Isa::ref) return true;
#if defined(__x86_64__) && defined(__GNUC__)
  // __builtin_cpu_supports also checks that the operating system saves the registers.
  switch (isa) {
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    case Isa::avx512:
      return isa_supported(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::avx512vnni: return isa_supported(Isa::avx512) && __builtin_cpu_supports("avx512vnni");
    case Isa::avx512bf16: return isa_supported(Isa::avx512vnni) && __builtin_cpu_supports("avx512bf16");
    default: return false;
  }
#elif defined(__aarch64__)
  return isa == Isa::neon;
#else
  return false;
#endif
}

Isa best_isa(Isa cap) {
  Isa best = Isa::ref;
  for (Isa isa : kAll)
    if (isa <= cap && isa_supported(isa)) best = isa;
  return best;
}

Isa highest_isa() { return best_isa(Isa::neon); }

bool bf16_dot_is_fast() {
#if defined(__x86_64__) && defined(__GNUC__)
  return isa_supported(Isa::avx512bf16) && __builtin_cpu_is("amd");
#else
  return false;
#endif
}

}  // namespace ponder::kernels
