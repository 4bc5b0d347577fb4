#include "kernels/q3_k/q3_k.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/q3_k/q3_k_simd.inl.h"
#include "kernels/base/int8_blocks_avx2.inl.h"

namespace ponder::kernels {

void q3_k_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredQ3K>(y, x, n); }
void matmul_q3_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredQ3K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q3_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks<StoredQ3K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

namespace {

struct BytesQ3K {
  static constexpr std::size_t kElements = 256, kBytes = 110;
  static constexpr int kBits = 3, kZero = 4;
  static constexpr bool kHasMinimum = false;
  void unpack(int v, __m256i (&q)[2]) const {
    const __m256i high = bytes32(blocks), bytes = bytes32(blocks + 32 + v / 2 * 32);
    for (int i = 0; i < 2; ++i) q[i] = _mm256_or_si256(bit_pairs(bytes, v % 2 * 2 + i), move_bit(high, 2 * v + i, 2));
  }
  void unpack_scales(UnitScales& s) const {
    // Scale g: nibble g / 8 of byte g % 8, and above it two bits of byte 8 + g % 4, from bit g / 4 * 2 on.
    const std::uint64_t low = u64_at(blocks + 96), more = u32_at(blocks + 104), high = more | more >> 2 << 32;
    const auto factors = [&](int half) {
      const std::uint64_t codes = (low >> (4 * half) & 0x0f0f0f0f0f0f0f0f) | (high >> (4 * half) & 0x0303030303030303) << 4;
      return sub(from_u8(_mm_cvtsi64_si128(static_cast<long long>(codes))), set1(32));
    };
    const Vec d = set1(half_at(blocks + 108));
    s.scale[0] = mul(factors(0), d);
    s.scale[1] = mul(factors(1), d);
    s.minimum[0] = s.minimum[1] = zero();
  }
  const unsigned char* blocks;
};

}  // namespace

extern const Int8Kernels q3_k_int8_avx2 = {dot_int8<BytesQ3K>, fill_panel<BytesQ3K>};

}  // namespace ponder::kernels
