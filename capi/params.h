// The one reader and writer of structs that begin with struct_size. A caller may have been compiled with an older ponder.h
// (a shorter struct: the missing tail reads as zero and is not written) or a newer one (an unknown tail: it must be zero,
// and is written as zero).
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "capi/guard.h"

namespace ponder::capi {

inline constexpr std::uint32_t kMaxStructSize = 4096;

// Any sizeof is a multiple of the alignment, and no field is cut at such a border.
core::Status check_struct_size(const char* type, std::uint32_t size, std::size_t alignment);
core::Status check_unknown_tail(const char* type, const unsigned char* bytes, std::size_t known, std::size_t size);

// NULL reads as all zeros: the default.
template <class T>
core::Status read_params(const char* type, const T* in, T& out) {
  std::memset(&out, 0, sizeof out);
  if (in) {
    std::uint32_t size = 0;
    std::memcpy(&size, in, sizeof size);
    PONDER_TRY(check_struct_size(type, size, alignof(T)));
    const auto* bytes = reinterpret_cast<const unsigned char*>(in);
    PONDER_TRY(check_unknown_tail(type, bytes, sizeof(T), size));
    std::memcpy(&out, bytes, std::min<std::size_t>(size, sizeof(T)));
  }
  out.struct_size = static_cast<std::uint32_t>(sizeof out);
  return {};
}

// Before the work whose result goes to *out.
template <class T>
core::Status check_out(const char* type, const T* out) {
  std::uint32_t size = 0;
  std::memcpy(&size, out, sizeof size);
  return check_struct_size(type, size, alignof(T));
}

// After check_out; struct_size stays as it is.
template <class T>
void write_out(T value, T* out) {
  std::uint32_t size = 0;
  std::memcpy(&size, out, sizeof size);
  value.struct_size = size;
  auto* bytes = reinterpret_cast<unsigned char*>(out);
  std::memcpy(bytes, &value, std::min<std::size_t>(size, sizeof(T)));
  if (size > sizeof(T)) std::memset(bytes + sizeof(T), 0, size - sizeof(T));
}

}  // namespace ponder::capi
