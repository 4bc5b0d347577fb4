#include "lib/base/buffer.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

using namespace ponder::core;

TEST_CASE("buffer: memory is aligned to 64 bytes and can be written to its end") {
  for (std::size_t size : {1, 63, 64, 1000}) {
    Result<Buffer> buffer = Buffer::allocate(size);
    REQUIRE(buffer.ok());
    CHECK(reinterpret_cast<std::uintptr_t>(buffer->data()) % Buffer::kAlignment == 0);
    CHECK(buffer->size_bytes() == size);
    for (std::byte& byte : buffer->bytes()) byte = std::byte{1};
  }
}

TEST_CASE("buffer: no bytes need no memory") {
  Result<Buffer> buffer = Buffer::allocate(0);
  REQUIRE(buffer.ok());
  CHECK(buffer->data() == nullptr);
}

TEST_CASE("buffer: too much memory is a status") {
  Result<Buffer> buffer = Buffer::allocate(std::numeric_limits<std::size_t>::max() / 4);
  CHECK_FALSE(buffer.ok());
  CHECK(buffer.status().code() == Code::out_of_memory);
}
