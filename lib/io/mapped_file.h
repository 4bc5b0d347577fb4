// A file mapped read-only into memory. Any thread may read it. The file must not be truncated while it is mapped:
// the operating system then raises a signal that no library can turn into a status.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "lib/base/status.h"
#include "lib/io/output_file.h"  // write_file, beside read_file

namespace ponder::core {

class MappedFile {
 public:
  // An empty file is a valid, empty span. A folder, device or missing file is an error that names it.
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_bytes_}; }
  const std::string& name() const { return name_; }  // the path as given, for messages

  // Asks the OS to read [offset, offset + size) ahead; a hint, never fails.
  void will_need(std::size_t offset, std::size_t size_bytes) const;
  // Takes the pages that hold `part` of bytes() out of this process's memory until they are read again; a hint, never fails.
  void let_go(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
  std::string name_;
};

// A whole small file as a string, e.g. config.json. Files above `max_bytes` are refused.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace ponder::core
