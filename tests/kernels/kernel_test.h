// Shared by the kernel tests: memory with guard bands, fixed random values, the walk over a list of implementations.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/base/impl.h"
#include "lib/ops/kernel_samples.h"

namespace ponder::kernels {

// Sizes around the widths of AVX2 and AVX-512 vectors.
inline constexpr std::size_t kOddSizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 33};

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kDenormal = 0x1p-140f;

using core::ops::Random;

// n elements that end where their memory ends, so that address sanitizers see a read past them, and start `offset_bytes`
// past a cache line.
template <class T>
class Input {
 public:
  explicit Input(std::size_t n, std::size_t offset_bytes = sizeof(T)) : n_(n), offset_(offset_bytes) {
    const std::size_t size = offset_ + n * sizeof(T);
    memory_ = static_cast<std::byte*>(::operator new(size, std::align_val_t{64}));
    std::memset(memory_, 0, size);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() { ::operator delete(memory_, std::align_val_t{64}); }
  T* data() const { return reinterpret_cast<T*>(memory_ + offset_); }
  T& operator[](std::size_t i) const { return data()[i]; }
  std::size_t size() const { return n_; }

 private:
  std::size_t n_, offset_;
  std::byte* memory_;
};

inline void fill(const Input<float>& input, Random& random) {
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = random.uniform(-1, 1);
}

// Output of n elements, unaligned, between guard bands; every byte starts as a pattern that no kernel writes by chance.
template <class T>
class Output {
 public:
  explicit Output(std::size_t n) : n_(n), memory_((n + 2 * kGuard + 1) * sizeof(T), kPattern) {}
  T* data() { return reinterpret_cast<T*>(memory_.data()) + kGuard + 1; }
  const T* data() const { return reinterpret_cast<const T*>(memory_.data()) + kGuard + 1; }
  T& operator[](std::size_t i) { return data()[i]; }
  T operator[](std::size_t i) const { return data()[i]; }
  // Element i still has the pattern.
  bool untouched(std::size_t i) const { return all_pattern((kGuard + 1 + i) * sizeof(T), sizeof(T)); }
  bool guards_intact() const {
    const std::size_t begin = (kGuard + 1) * sizeof(T);
    return all_pattern(0, begin) && all_pattern(begin + n_ * sizeof(T), kGuard * sizeof(T));
  }

 private:
  static constexpr std::size_t kGuard = 64;
  static constexpr unsigned char kPattern = 0xa5;
  bool all_pattern(std::size_t first, std::size_t count) const {
    for (std::size_t i = first; i < first + count; ++i)
      if (memory_[i] != kPattern) return false;
    return true;
  }
  std::size_t n_;
  std::vector<unsigned char> memory_;
};

// body(fn) for every entry that this CPU supports: at least the reference, which only the fast lists lack.
template <class Fn, class Body>
void for_each_supported(ImplList<Fn> list, Body&& body, int at_least = 1) {
  int n_run = 0;
  for (const Impl<Fn>& impl : list) {
    if (!isa_supported(impl.isa)) continue;
    INFO("isa " << isa_name(impl.isa));
    body(impl.fn);
    ++n_run;
  }
  REQUIRE(n_run >= at_least);
}

// Equal bits, or both NaN.
inline bool same_value(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}
inline bool same_bits(const float* a, const float* b, std::size_t n) { return n == 0 || std::memcmp(a, b, n * sizeof(float)) == 0; }

// |got - want| <= tolerance; infinities must be equal, NaN must meet NaN.
inline bool near(float got, double want, double tolerance) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return double{got} == want;
  return std::abs(double{got} - want) <= tolerance;
}

}  // namespace ponder::kernels
