// avx512.inl.h and dot products of bf16 pairs (AVX-512 BF16): 32 bf16 values in a vector, neighbours form a pair.
#pragma once

#include "kernels/base/avx512.inl.h"

namespace ponder::kernels {
namespace {

// acc[i] += a[2i] b[2i] + a[2i + 1] b[2i + 1]; denormal inputs and sums count as 0.
inline Vec dot_pairs(Vec acc, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
inline __m512i round_to_pairs(Vec first, Vec second) {  // ties to even
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

}  // namespace
}  // namespace ponder::kernels
