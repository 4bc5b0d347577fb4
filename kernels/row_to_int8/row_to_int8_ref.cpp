#include <cmath>
#include <limits>

#include "kernels/row_to_int8/row_to_int8.h"

namespace ponder::kernels {

void row_to_int8_ref(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n) {
  for (std::size_t u = 0; u < int8_units(n); ++u) {
    Int8Unit& unit = y[u * y_stride];
    unit = {};
    const std::size_t begin = int8_unit_begin(u, n), own = u * Int8Unit::kElements - begin;
    for (std::size_t i = own; i < Int8Unit::kElements; i += 32) {
      const std::size_t end = i + 32;
      float most = 0;
      bool finite = true;
      for (std::size_t k = i; k < end; ++k) {
        const float a = std::fabs(x[begin + k]);
        finite = finite && a <= std::numeric_limits<float>::max();
        most = a > most ? a : most;
      }
      const float scale = finite ? most * (1.0f / 127.0f) : std::numeric_limits<float>::quiet_NaN();
      const float inverse = most > 0 ? 127.0f / most : 0.0f;
      int sum_32 = 0;
      for (std::size_t g = i / 16; g < end / 16; ++g) {
        int sum = 0;
        for (std::size_t k = 16 * g; finite && k < 16 * g + 16; ++k) {
          unit.q[k] = static_cast<signed char>(std::lrint(x[begin + k] * inverse));
          sum += unit.q[k];
        }
        unit.scale[g] = scale;
        unit.scaled_sum[g] = scale * static_cast<float>(sum);
        sum_32 += sum;
      }
      unit.offset[i / 32] = -128 * sum_32;
      unit.scale_32[i / 32] = scale;
      unit.scaled_sum_32[i / 32] = scale * static_cast<float>(sum_32);
    }
  }
}

}  // namespace ponder::kernels
