// Where a checkpoint's files come from: a folder, or memory that the host owns (a model inside an application).
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace ponder::core {

class MappedFile;

// Reads parts of a file when they are asked for.
class PartReader {
 public:
  virtual ~PartReader() = default;
  // [offset, offset + size_bytes), which lies in the file, can be read afterwards. One thread at a time.
  virtual Status ensure(std::size_t offset, std::size_t size_bytes) const = 0;
};

// One opened file: its bytes and whatever keeps them alive.
struct FileView {
  std::string name;                     // for messages: the path, or the name inside the memory source
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;    // may be null when the host guarantees the lifetime
  const MappedFile* mapping = nullptr;  // the owner, where the bytes are a file that was mapped
  bool counted = false;                 // the owner is memory that a Memory counts
  std::shared_ptr<const PartReader> parts = nullptr;  // not null: only what it was asked for may be looked at

  Status ensure(std::size_t offset, std::size_t size_bytes) const { return parts ? parts->ensure(offset, size_bytes) : Status(); }

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

// Relative, '/' between parts, no "." or ".." part, no backslash, colon or zero byte.
Status check_file_name(std::string_view name);

class FileSource {
 public:
  virtual ~FileSource() = default;
  // `name` is relative, with '/' between parts; names that leave the source ("../x", absolute) are refused.
  virtual Result<FileView> open(std::string_view name) const = 0;
  virtual bool exists(std::string_view name) const = 0;
  virtual Status check() const { return {}; }  // not_found when there is no such folder: a plainer message than open()'s
  virtual std::string describe() const = 0;  // for messages: the folder or file, or "memory"
  // The GGUF file to load, of a split one any part: the one that was named, or, where there is no config.json, the only
  // one there. Empty: this is no GGUF model.
  virtual std::string gguf_file() const = 0;
};

std::shared_ptr<const FileSource> folder_source(std::filesystem::path folder);
// What a user names: the folder of a checkpoint, or a GGUF file (by its name or by its first bytes).
std::shared_ptr<const FileSource> path_source(const std::filesystem::path& path);

struct MemoryFile {
  std::string name;
  std::span<const std::byte> bytes;  // must outlive every model loaded from it
};
std::shared_ptr<const FileSource> memory_source(std::vector<MemoryFile> files);

}  // namespace ponder::core
