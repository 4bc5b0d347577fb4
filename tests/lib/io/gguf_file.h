// Writes GGUF files for the tests of the reader, wrong ones too: nothing here checks anything.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/gguf.h"

namespace ponder::test {

class GgufBytes {
 public:
  GgufBytes& integer(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
    return *this;
  }
  GgufBytes& u32(std::uint64_t value) { return integer(value, 4); }
  GgufBytes& u64(std::uint64_t value) { return integer(value, 8); }
  GgufBytes& string(std::string_view value) {
    u64(value.size()).text += value;
    return *this;
  }
  GgufBytes& type(core::GgufType value) { return u32(static_cast<std::uint32_t>(value)); }
  std::string text;
};

// Header, metadata and tensor table of a file, then the data.
class GgufFile {
 public:
  std::uint32_t version = 3, alignment = 32;
  std::uint64_t more_tensors = 0, more_metadata = 0;  // added to the counts: a header that lies
  std::string data;

  GgufFile& value(std::string_view key, core::GgufType type, const GgufBytes& bytes) {
    metadata_.string(key).type(type).text += bytes.text;
    ++n_metadata_;
    return *this;
  }
  GgufFile& string(std::string_view key, std::string_view text) {
    return value(key, core::GgufType::string, GgufBytes().string(text));
  }
  GgufFile& u32(std::string_view key, std::uint32_t number) {
    return value(key, core::GgufType::u32, GgufBytes().u32(number));
  }
  GgufFile& u16(std::string_view key, std::uint32_t number) {
    return value(key, core::GgufType::u16, GgufBytes().integer(number, 2));
  }
  GgufFile& array(std::string_view key, core::GgufType type, std::uint64_t count, const GgufBytes& elements) {
    GgufBytes bytes;
    bytes.type(type).u64(count).text += elements.text;
    return value(key, core::GgufType::array, bytes);
  }
  // dims as in the file: the contiguous one first.
  GgufFile& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims, std::uint32_t type,
                   std::uint64_t offset) {
    tensors_.string(name).u32(dims.size());
    for (std::uint64_t dim : dims) tensors_.u64(dim);
    tensors_.u32(type).u64(offset);
    ++n_tensors_;
    return *this;
  }

  std::string bytes() const {
    GgufBytes file;
    file.text = "GGUF";
    file.u32(version).u64(n_tensors_ + more_tensors).u64(n_metadata_ + more_metadata).text +=
        metadata_.text + tensors_.text;
    if (!data.empty()) file.text.append((alignment - file.text.size() % alignment) % alignment, '\0');
    return file.text + data;
  }

 private:
  GgufBytes metadata_, tensors_;
  std::uint64_t n_metadata_ = 0, n_tensors_ = 0;
};

}  // namespace ponder::test
