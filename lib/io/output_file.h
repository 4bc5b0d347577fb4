// Files that appear whole or not at all: written under a temporary name beside the target, then renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "lib/base/status.h"

namespace ponder::core {

// Where a writer's bytes go, in order. One thread at a time.
class OutputFile {
 public:
  // Ends an output that was not committed: nothing of it is left.
  virtual ~OutputFile() = default;
  virtual Status write(std::span<const std::byte> bytes) = 0;
  // Under its name, and on the disk unless the file does not need that; the file that was there before is replaced. Nothing
  // may be written afterwards.
  virtual Status commit() = 0;
};

// The temporary file is made at once, so that a folder that cannot be written to is found before the work is done.
// on_disk: commit() waits for the disk. Without it the file may have any content after a power failure.
Result<std::unique_ptr<OutputFile>> create_file(const std::filesystem::path& path, bool on_disk = true);

// A whole file at once.
Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace ponder::core
