// The 12 bytes of Q4_K and Q5_K: eight scales and eight minima of six bits (ggml's get_scale_min_k4). Those of g < 4
// are the low six bits of bytes g and g + 4; those of g >= 4 have the low and the high nibble of byte g + 4, and
// above them the two highest bits of bytes g - 4 and g.
#pragma once

#include <cstddef>

namespace ponder::kernels {
namespace {

inline float k4_scale(const unsigned char* p, std::size_t g) {
  return static_cast<float>(g < 4 ? p[g] & 63 : (p[g + 4] & 0xf) | p[g - 4] >> 6 << 4);
}
inline float k4_minimum(const unsigned char* p, std::size_t g) {
  return static_cast<float>(g < 4 ? p[g + 4] & 63 : p[g + 4] >> 4 | p[g] >> 6 << 4);
}
[[maybe_unused]] inline void put_k4(unsigned char* p, const int* scale, const int* minimum) {
  for (std::size_t g = 0; g < 4; ++g) {
    const auto high_scale = static_cast<unsigned>(scale[g + 4]), high_minimum = static_cast<unsigned>(minimum[g + 4]);
    p[g] = static_cast<unsigned char>(static_cast<unsigned>(scale[g]) | high_scale >> 4 << 6);
    p[g + 4] = static_cast<unsigned char>(static_cast<unsigned>(minimum[g]) | high_minimum >> 4 << 6);
    p[g + 8] = static_cast<unsigned char>((high_scale & 0xf) | (high_minimum & 0xf) << 4);
  }
}

}  // namespace
}  // namespace ponder::kernels
