// acc[i] + the sum over j < 4 of u8 a[4 i + j] times s8 b[4 i + j] (AVX-512 VNNI).
#pragma once

#include <immintrin.h>

namespace ponder::kernels {
namespace {

inline __m512i dot_bytes(__m512i acc, __m512i a, __m512i b) {
#if defined(__GNUC__) && !defined(__clang__)
  // GCC 12 stores every accumulator of a loop of _mm512_dpbusd_epi32 to the stack, a third of the speed.
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
  return acc;
#else
  return _mm512_dpbusd_epi32(acc, a, b);
#endif
}

}  // namespace
}  // namespace ponder::kernels
