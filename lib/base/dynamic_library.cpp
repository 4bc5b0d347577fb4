#include "lib/base/dynamic_library.h"

#include <cstdlib>

#include "lib/base/format.h"

#ifndef _WIN32
#include <dlfcn.h>
#endif

namespace ponder::core {

#ifdef _WIN32
Result<DynamicLibrary> DynamicLibrary::open_module(const std::string& file) {
  return fail(Code::unsupported, "{}: modules are not supported on Windows yet", file);
}
void* DynamicLibrary::symbol(const char*) const { return nullptr; }
#else
namespace {

const char kHere = 0;  // its address lies in the library that this code is part of

int open_flags() {
  int flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
// The sanitizers' allocators must stay in front of every library.
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  flags |= RTLD_DEEPBIND;
#endif
  return flags;
}

}  // namespace

Result<DynamicLibrary> DynamicLibrary::open_module(const std::string& file) {
  std::string reasons;
  const auto open_in = [&](const std::string& folder) -> void* {
    if (folder.empty() || folder[0] != '/') return nullptr;
    void* handle = ::dlopen((folder + "/" + file).c_str(), open_flags());
    if (!handle) {
      const char* reason = ::dlerror();
      reasons += (reasons.empty() ? "" : "; ") + std::string(reason ? reason : "unknown");
    }
    return handle;
  };
  Dl_info info{};
  if (::dladdr(&kHere, &info) != 0 && info.dli_fname) {
    const std::string path = info.dli_fname;
    if (void* handle = open_in(path.substr(0, path.find_last_of('/') + 1))) return DynamicLibrary(handle);
  }
  if (const char* folder = std::getenv("PONDER_BACKEND_DIR"))
    if (void* handle = open_in(folder)) return DynamicLibrary(handle);
  return fail(Code::not_found, "{}: {}", file, reasons.empty() ? "no folder to look in" : reasons);
}

void* DynamicLibrary::symbol(const char* name) const { return ::dlsym(handle_, name); }
#endif

}  // namespace ponder::core
