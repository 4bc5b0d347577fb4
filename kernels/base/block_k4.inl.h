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

}  // namespace
}  // namespace ponder::kernels
