// The kernels of every GGUF block type, and random weights of each: for the self-test and the tests of kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"

namespace ponder::core::ops {

struct BlockType {
  DType type;
  kernels::ImplList<kernels::ToF32Fn> to_f32;
  kernels::ImplList<kernels::MatmulFn> matmul;
  kernels::ImplList<kernels::VecmatFn> vecmat;
  kernels::ImplList<const kernels::Int8Kernels> int8;
  std::size_t scales[2];  // where a block has an f16 scale: random bytes there would be NaN now and then
};

#define PONDER_BLOCK_TYPE(name, first_scale, second_scale)                                                  \
  {DType::name, kernels::name##_to_f32_impls(), kernels::matmul_##name##_impls(), kernels::vecmat_##name##_impls(), \
   kernels::name##_int8_impls(), {first_scale, second_scale}}
inline std::vector<BlockType> block_types() {
  return {PONDER_BLOCK_TYPE(q4_0, 0, 0),     PONDER_BLOCK_TYPE(q4_1, 0, 2),    PONDER_BLOCK_TYPE(q5_0, 0, 0),
          PONDER_BLOCK_TYPE(q5_1, 0, 2),     PONDER_BLOCK_TYPE(q8_0, 0, 0),    PONDER_BLOCK_TYPE(q2_k, 80, 82),
          PONDER_BLOCK_TYPE(q3_k, 108, 108), PONDER_BLOCK_TYPE(q4_k, 0, 2),    PONDER_BLOCK_TYPE(q5_k, 0, 2),
          PONDER_BLOCK_TYPE(q6_k, 208, 208), PONDER_BLOCK_TYPE(iq4_nl, 0, 0),  PONDER_BLOCK_TYPE(iq4_xs, 0, 0),
          PONDER_BLOCK_TYPE(iq3_xxs, 0, 0),  PONDER_BLOCK_TYPE(iq3_s, 0, 0),   PONDER_BLOCK_TYPE(iq2_xxs, 0, 0),
          PONDER_BLOCK_TYPE(iq2_xs, 0, 0),   PONDER_BLOCK_TYPE(iq2_s, 0, 0),   PONDER_BLOCK_TYPE(iq1_s, 0, 0),
          PONDER_BLOCK_TYPE(iq1_m, 0, 0)};
}
#undef PONDER_BLOCK_TYPE

// Whether an Int8Panel holds the weights as they are: one scale and no minimum for 32.
inline bool panel_is_exact(DType type) {
  constexpr DType kHeld[] = {DType::q4_0, DType::q5_0, DType::q8_0, DType::iq4_nl, DType::iq4_xs};
  return std::find(std::begin(kHeld), std::end(kHeld), type) != std::end(kHeld);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint32_t bits() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  float uniform(float low, float high) { return low + (high - low) * static_cast<float>(bits() >> 8) * 0x1p-24f; }

 private:
  std::uint64_t state_;
};

// Random codes; scales between 2^-7 and 2^-6 in size.
inline void fill_block(unsigned char* block, const BlockType& type, Random& random) {
  for (std::size_t i = 0; i < block_bytes(type.type); ++i) block[i] = static_cast<unsigned char>(random.bits() >> 24);
  if (type.type == DType::iq1_m) {  // in nibbles, the highest last
    block[55] = static_cast<unsigned char>((block[55] & 0xf) | 0x20);
    return;
  }
  for (const std::size_t at : type.scales) {
    const auto bits = static_cast<std::uint16_t>((random.bits() >> 31) << 15 | 0x2000 | (random.bits() >> 22));
    std::memcpy(block + at, &bits, 2);
  }
}

}  // namespace ponder::core::ops
