// xoshiro's small sibling: xoroshiro128++ 1.0 of D. Blackman and S. Vigna ("Scrambled Linear Pseudorandom Number
// Generators", 2019), seeded by splitmix64 as they recommend. 128 bits of state, the same numbers everywhere.
#pragma once

#include <bit>
#include <cstdint>

namespace ponder::core {

inline std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

inline void seed_random(std::uint64_t (&s)[2], std::uint64_t seed) {
  s[0] = splitmix64(seed);
  s[1] = splitmix64(seed);
}

inline std::uint64_t next_random(std::uint64_t (&s)[2]) {
  const std::uint64_t s0 = s[0], result = std::rotl(s0 + s[1], 17) + s0;
  const std::uint64_t s1 = s[1] ^ s0;
  s[0] = std::rotl(s0, 49) ^ s1 ^ (s1 << 21);
  s[1] = std::rotl(s1, 28);
  return result;
}

// In [0, 1): the upper 53 bits.
inline double next_uniform(std::uint64_t (&s)[2]) { return static_cast<double>(next_random(s) >> 11) * 0x1p-53; }

}  // namespace ponder::core
