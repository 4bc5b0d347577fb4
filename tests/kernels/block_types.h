// The GGUF block types with their implementations, and random matrices of each.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"
#include "tests/kernels/kernel_test.h"

namespace ponder::kernels {

struct Type {
  core::DType type;
  ImplList<ToF32Fn> to_f32;
  ImplList<MatmulFn> matmul;
  ImplList<VecmatFn> vecmat;
  ImplList<const Int8Kernels> int8;
  std::size_t scales[2];  // where a block has an f16 scale: random bytes there would be NaN now and then
};

inline std::vector<Type> types() {
  return {{core::DType::q4_0, q4_0_to_f32_impls(), matmul_q4_0_impls(), vecmat_q4_0_impls(),
           q4_0_int8_impls(), {0, 0}},
          {core::DType::q4_1, q4_1_to_f32_impls(), matmul_q4_1_impls(), vecmat_q4_1_impls(),
           q4_1_int8_impls(), {0, 2}},
          {core::DType::q5_0, q5_0_to_f32_impls(), matmul_q5_0_impls(), vecmat_q5_0_impls(),
           q5_0_int8_impls(), {0, 0}},
          {core::DType::q5_1, q5_1_to_f32_impls(), matmul_q5_1_impls(), vecmat_q5_1_impls(),
           q5_1_int8_impls(), {0, 2}},
          {core::DType::q8_0, q8_0_to_f32_impls(), matmul_q8_0_impls(), vecmat_q8_0_impls(),
           q8_0_int8_impls(), {0, 0}},
          {core::DType::q2_k, q2_k_to_f32_impls(), matmul_q2_k_impls(), vecmat_q2_k_impls(),
           q2_k_int8_impls(), {80, 82}},
          {core::DType::q3_k, q3_k_to_f32_impls(), matmul_q3_k_impls(), vecmat_q3_k_impls(),
           q3_k_int8_impls(), {108, 108}},
          {core::DType::q4_k, q4_k_to_f32_impls(), matmul_q4_k_impls(), vecmat_q4_k_impls(),
           q4_k_int8_impls(), {0, 2}},
          {core::DType::q5_k, q5_k_to_f32_impls(), matmul_q5_k_impls(), vecmat_q5_k_impls(),
           q5_k_int8_impls(), {0, 2}},
          {core::DType::q6_k, q6_k_to_f32_impls(), matmul_q6_k_impls(), vecmat_q6_k_impls(),
           q6_k_int8_impls(), {208, 208}},
          {core::DType::iq4_nl, iq4_nl_to_f32_impls(), matmul_iq4_nl_impls(), vecmat_iq4_nl_impls(),
           iq4_nl_int8_impls(), {0, 0}},
          {core::DType::iq4_xs, iq4_xs_to_f32_impls(), matmul_iq4_xs_impls(), vecmat_iq4_xs_impls(),
           iq4_xs_int8_impls(), {0, 0}},
          {core::DType::iq3_xxs, iq3_xxs_to_f32_impls(), matmul_iq3_xxs_impls(), vecmat_iq3_xxs_impls(),
           iq3_xxs_int8_impls(), {0, 0}},
          {core::DType::iq3_s, iq3_s_to_f32_impls(), matmul_iq3_s_impls(), vecmat_iq3_s_impls(),
           iq3_s_int8_impls(), {0, 0}},
          {core::DType::iq2_xxs, iq2_xxs_to_f32_impls(), matmul_iq2_xxs_impls(), vecmat_iq2_xxs_impls(),
           iq2_xxs_int8_impls(), {0, 0}},
          {core::DType::iq2_xs, iq2_xs_to_f32_impls(), matmul_iq2_xs_impls(), vecmat_iq2_xs_impls(),
           iq2_xs_int8_impls(), {0, 0}},
          {core::DType::iq2_s, iq2_s_to_f32_impls(), matmul_iq2_s_impls(), vecmat_iq2_s_impls(),
           iq2_s_int8_impls(), {0, 0}},
          {core::DType::iq1_s, iq1_s_to_f32_impls(), matmul_iq1_s_impls(), vecmat_iq1_s_impls(),
           iq1_s_int8_impls(), {0, 0}},
          {core::DType::iq1_m, iq1_m_to_f32_impls(), matmul_iq1_m_impls(), vecmat_iq1_m_impls(),
           iq1_m_int8_impls(), {0, 0}}};
}

template <class Fn>
Fn* reference(ImplList<Fn> list) {
  return list.first[list.count - 1].fn;
}
// matmul_f32 or vecmat_f32 for the same ISA.
template <class Fn>
Fn* of_isa(ImplList<Fn> list, Isa isa) {
  for (const Impl<Fn>& impl : list)
    if (impl.isa == isa) return impl.fn;
  return nullptr;
}

inline void for_each_type(const auto& body) {
  for (const Type& type : types()) {
    INFO("type " << core::dtype_name(type.type));
    body(type);
  }
}

// Random codes; scales between 2^-7 and 2^-6 in size.
inline void fill_block(unsigned char* block, const Type& type, Random& random) {
  for (std::size_t i = 0; i < core::block_bytes(type.type); ++i)
    block[i] = static_cast<unsigned char>(random.bits() >> 24);
  if (type.type == core::DType::iq1_m) {  // in nibbles, the highest last
    block[55] = static_cast<unsigned char>((block[55] & 0xf) | 0x20);
    return;
  }
  for (const std::size_t at : type.scales) {
    const auto bits = static_cast<std::uint16_t>((random.bits() >> 31) << 15 | 0x2000 | (random.bits() >> 22));
    std::memcpy(block + at, &bits, 2);
  }
}

// Rows of whole blocks, 3 bytes apart, that end where their memory ends; and the weights they stand for.
struct BlockMatrix {
  BlockMatrix(const Type& type, std::size_t n_rows, std::size_t n_cols, std::uint64_t seed)
      : row_bytes(core::row_bytes(type.type, n_cols)),
        stride(row_bytes + 3),
        bytes(n_rows == 0 ? 0 : stride * (n_rows - 1) + row_bytes, 1),
        decoded(n_rows * n_cols) {
    Random random(seed);
    for (std::size_t n = 0; n < n_rows; ++n) {
      for (std::size_t at = 0; at < row_bytes; at += core::block_bytes(type.type))
        fill_block(bytes.data() + n * stride + at, type, random);
      reference(type.to_f32)(decoded.data() + n * n_cols, bytes.data() + n * stride, n_cols);
    }
    blocks = {bytes.data(), stride, nullptr, 0, 0};
    plain = {decoded.data(), n_cols * sizeof(float), nullptr, 0, 0};
  }
  std::size_t row_bytes, stride;
  Input<unsigned char> bytes;
  Input<float> decoded;
  WeightMatrix blocks, plain;
};

}  // namespace ponder::kernels
