// Q4_K for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_k4.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ4K {
  static constexpr std::size_t kElements = 256, kBytes = 144;
  static constexpr int kGroup = 32, kZero = 0, kLow = 0, kHigh = 15;
  static constexpr bool kHasMinimum = true;
  static void unpack(const unsigned char* block, UnitWeights& w) {
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) w.q[v] = low_then_high_nibbles(bytes32(block + 16 + 32 * v));
    unpack_k4(block, w);
  }
  static constexpr int kNibbleRun = 32;
  static __m512i nibbles_at(const unsigned char* block, int c) { return _mm512_loadu_si512(block + 16 + 64 * c); }
  static __m512i of_codes(__m512i codes) { return codes; }
  static void unpack_scales(const unsigned char* block, UnitWeights& w) { unpack_k4(block, w); }
};

}  // namespace
}  // namespace ponder::kernels
