#include "capi/params.h"

#include "lib/base/format.h"

namespace ponder::capi {

core::Status check_struct_size(const char* type, std::uint32_t size, std::size_t alignment) {
  if (size != 0 && size <= kMaxStructSize && size % alignment == 0) return {};
  return core::fail(core::Code::invalid_argument, "{}: struct_size is {}, want sizeof({}): a multiple of {}, at most {}",
                    type, size, type, alignment, kMaxStructSize);
}

core::Status check_unknown_tail(const char* type, const unsigned char* bytes, std::size_t known, std::size_t size) {
  for (std::size_t i = known; i < size; ++i)
    if (bytes[i] != 0)
      return core::fail(core::Code::unsupported,
                        "{}: struct_size is {}, this library knows {} bytes and the rest is not zero (byte {} is {})", type,
                        size, known, i, bytes[i]);
  return {};
}

}  // namespace ponder::capi
