// The storage types of weights for the matmul and vecmat tests: random matrices with padded rows, and their values.
#pragma once

#include "kernels/base/matrix.h"
#include "lib/base/dtype.h"
#include "tests/kernels/kernel_test.h"

namespace ponder::kernels {

// A matrix of `type`, rows `pad_bytes` further apart than needed, at an odd address where the type's readers allow it.
// f8_e4m3: rows [first_row, first_row + n_rows) of a larger matrix, which own ragged 128 x 128 blocks of scales.
class TestMatrix {
 public:
  TestMatrix(core::DType type, std::size_t n_rows, std::size_t n_cols, Random& random, std::size_t pad_bytes = 3,
             std::size_t first_row = 0)
      : type_(type),
        n_rows_(n_rows),
        n_cols_(n_cols),
        stride_(core::row_bytes(type, n_cols) + pad_bytes),
        first_row_(first_row),
        data_(n_rows == 0 ? 0 : stride_ * (n_rows - 1) + core::row_bytes(type, n_cols), 1),
        scales_((first_row + n_rows + 127) / 128 * ((n_cols + 127) / 128)) {
    for (std::size_t i = 0; i < scales_.size(); ++i) scales_[i] = random.uniform(0.5f, 2.0f) * 0x1p-6f;
    for (std::size_t n = 0; n < n_rows; ++n)
      for (std::size_t k = 0; k < n_cols; ++k) {
        auto code = static_cast<std::uint8_t>(random.bits() >> 24);
        if ((code & 0x7f) == 0x7f) code = 0;
        if (type == core::DType::f8_e4m3)
          set_bits(n, k, code);
        else
          set(n, k, random.uniform(-1, 1));
      }
  }

  void set_bits(std::size_t n, std::size_t k, std::uint32_t bits) {  // little endian, as the kernels and files
    std::memcpy(data_.data() + n * stride_ + core::row_bytes(type_, k), &bits, core::element_bytes(type_));
  }
  void set(std::size_t n, std::size_t k, float value) {  // without the block scale
    switch (type_) {
      case core::DType::f16: return set_bits(n, k, core::f32_to_f16(value));
      case core::DType::bf16: return set_bits(n, k, core::f32_to_bf16(value));
      case core::DType::f8_e4m3: return set_bits(n, k, core::f32_to_f8_e4m3(value));
      default: return set_bits(n, k, std::bit_cast<std::uint32_t>(value));
    }
  }
  float unscaled(std::size_t n, std::size_t k) const {
    const unsigned char* at = data_.data() + n * stride_ + core::row_bytes(type_, k);
    std::uint32_t bits = 0;
    std::memcpy(&bits, at, std::min(core::element_bytes(type_), sizeof bits));
    switch (type_) {
      case core::DType::f16: return core::f16_to_f32(static_cast<std::uint16_t>(bits));
      case core::DType::bf16: return core::bf16_to_f32(static_cast<std::uint16_t>(bits));
      case core::DType::f8_e4m3: return core::f8_e4m3_to_f32(static_cast<std::uint8_t>(bits));
      default: return std::bit_cast<float>(bits);
    }
  }
  float& scale(std::size_t n, std::size_t k) { return scales_[(first_row_ + n) / 128 * scale_stride() + k / 128]; }
  double value(std::size_t n, std::size_t k) const {
    const double scale = type_ == core::DType::f8_e4m3 ? double{scales_[(first_row_ + n) / 128 * scale_stride() + k / 128]} : 1.0;
    return double{unscaled(n, k)} * scale;
  }

  WeightMatrix view() const {
    const bool scaled = type_ == core::DType::f8_e4m3;
    return {data_.data(), stride_, scaled ? scales_.data() : nullptr, scaled ? scale_stride() : 0, first_row_};
  }
  std::size_t n_rows() const { return n_rows_; }
  std::size_t n_cols() const { return n_cols_; }

 private:
  std::size_t scale_stride() const { return (n_cols_ + 127) / 128; }
  core::DType type_;
  std::size_t n_rows_, n_cols_, stride_, first_row_;
  Input<unsigned char> data_;
  Input<float> scales_;
};

}  // namespace ponder::kernels
