#include <cmath>

#include "kernels/attend_rows/attend_rows.h"
#include "kernels/base/convert_scalar.inl.h"

namespace ponder::kernels {

namespace {

template <class ReadQuery, class Read>
void attend(const AttendBlock& b) {
  constexpr std::size_t kKeys = 64;  // at a time
  const auto row = [](const void* data, std::size_t stride, std::size_t i) {
    return static_cast<const unsigned char*>(data) + i * stride;
  };
  double p[kKeys];
  for (std::size_t first = 0; first < b.n_keys; first += kKeys) {
    const std::size_t n_keys = b.n_keys - first < kKeys ? b.n_keys - first : kKeys;
    for (std::size_t r = 0; r < b.n_rows; ++r) {
      const unsigned char* query = row(b.queries, b.query_stride_bytes, r);
      const double old_max = double{b.running_max[r]};
      double new_max = old_max, sum = 0;
      for (std::size_t i = 0; i < n_keys; ++i) {
        const unsigned char* key = row(b.keys, b.key_stride_bytes, first + i);
        p[i] = 0;
        for (std::size_t k = 0; k < b.key_dims; ++k) p[i] += double{ReadQuery::at(query, k)} * double{Read::at(key, k)};
        p[i] = double{static_cast<float>(p[i])};
        if (p[i] > new_max) new_max = p[i];
      }
      const double base = new_max == -INFINITY ? 0 : new_max, rescale = std::exp(old_max - base);
      for (std::size_t i = 0; i < n_keys; ++i) {
        p[i] = std::exp(p[i] - base);
        sum += p[i];
      }
      b.running_max[r] = static_cast<float>(new_max);
      b.sum[r] = static_cast<float>(double{b.sum[r]} * rescale + sum);
      float* out = b.out + r * b.out_stride;
      for (std::size_t k = 0; k < b.value_dims; ++k) {
        double total = double{out[k]} * rescale;
        for (std::size_t i = 0; i < n_keys; ++i)
          total += p[i] * double{Read::at(row(b.values, b.value_stride_bytes, first + i), k)};
        out[k] = static_cast<float>(total);
      }
    }
  }
}

}  // namespace

void attend_f32_ref(const AttendBlock& b) { attend<ReadF32, ReadF32>(b); }
void attend_f16_ref(const AttendBlock& b) { attend<ReadF32, ReadF16>(b); }
void attend_bf16_ref(const AttendBlock& b) { attend<ReadF32, ReadBf16>(b); }
void attend_bf16_dots_ref(const AttendBlock& b) { attend<ReadBf16, ReadBf16>(b); }

}  // namespace ponder::kernels
