#include "kernels/iq3_s/iq3_s.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq3_s/iq3_s_simd.inl.h"
#include "kernels/base/int8_panel_avx2.inl.h"

namespace ponder::kernels {

void iq3_s_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredIq3S>(y, x, n); }
void matmul_iq3_s_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredIq3S>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq3_s_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                       int accumulate) {
  vecmat_blocks<StoredIq3S>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

extern const Int8Kernels iq3_s_int8_avx2 = {dot_int8<BytesOf<StoredIq3S, -15, 15>>, fill_panel<BytesOf<StoredIq3S, -15, 15>>};

}  // namespace ponder::kernels
