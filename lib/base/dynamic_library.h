// Optional modules beside the library, opened at run time. Never unloaded: a module may have started threads, and its code
// must outlive them.
#pragma once

#include <string>

#include "lib/base/status.h"

namespace ponder::core {

// Opens `file` from the folder of the library that this code is part of, then from the folder that the environment variable
// PONDER_BACKEND_DIR names, which must be absolute; never from the current directory. The module's own dependencies take
// precedence over the host's libraries of the same name. Fails with not_found where neither has it.
class DynamicLibrary {
 public:
  static Result<DynamicLibrary> open_module(const std::string& file);
  void* symbol(const char* name) const;  // null: not there

 private:
  explicit DynamicLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace ponder::core
