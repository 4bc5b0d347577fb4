// Files that functions of the host open and read: a checkpoint inside an application's archive or a virtual file system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/memory.h"
#include "lib/io/file_source.h"

namespace ponder::core {

// As ponder_file_system of ponder.h; statuses are numbers of Code.
struct HostFiles {
  void* user_data = nullptr;
  std::int32_t (*open)(void* user_data, const char* name, void** out_file, std::uint64_t* out_size) = nullptr;
  std::int32_t (*read)(void* user_data, void* file, std::uint64_t offset, void* out_bytes, std::size_t size) = nullptr;
  void (*close)(void* user_data, void* file) = nullptr;
  const void* (*map)(void* user_data, void* file) = nullptr;  // may be null; so may its result: then the file is read
};

struct HostFileOptions {
  std::shared_ptr<Memory> memory = nullptr;  // that files are read into, counted as weights; null: operator new
  // The fraction that is read of the weights, never falling; false cancels. On the thread that opens files.
  std::function<bool(float)> progress = {};
  // Of files with weights only the parts that are asked for (FileView::parts) are read, where they cannot be mapped: for who
  // looks at names and shapes.
  bool in_parts = false;
};

// path: a folder of the host ("" is its root), or a GGUF file, by its ending or its first bytes. Which GGUF file a folder
// holds cannot be seen: it has to be named. Files that the host maps stay open while anything lies in them.
Result<std::shared_ptr<const FileSource>> host_source(const HostFiles& files, std::string path, HostFileOptions options = {});

}  // namespace ponder::core
