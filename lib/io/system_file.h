// What mapped_file.cpp and output_file.cpp share: handles of the operating system that close themselves, and its errors.
#pragma once

#include <string_view>
#include <system_error>

#include "lib/base/format.h"
#include "lib/io/path_text.h"

#ifdef _WIN32
#include "lib/base/win32.h"
#else
#include <unistd.h>

#include <cerrno>
#endif

namespace ponder::core {

#ifdef _WIN32

inline Status system_failure(std::string_view name, std::string_view doing) {
  const DWORD error = GetLastError();
  const bool missing = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
  return fail(missing ? Code::not_found : Code::io, "{}: cannot {}: {}", name, doing,
              std::system_category().message(static_cast<int>(error)));
}

class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  ~Handle() { close(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  bool valid() const { return handle_ != nullptr && handle_ != INVALID_HANDLE_VALUE; }
  HANDLE get() const { return handle_; }
  bool close() {
    const bool closed = !valid() || CloseHandle(handle_) != 0;
    handle_ = nullptr;
    return closed;
  }

 private:
  HANDLE handle_;
};

#else

inline Status system_failure(std::string_view name, std::string_view doing) {
  const int error = errno;
  const bool missing = error == ENOENT || error == ENOTDIR;
  return fail(missing ? Code::not_found : Code::io, "{}: cannot {}: {}", name, doing,
              std::generic_category().message(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  bool close() {
    const bool closed = fd_ < 0 || ::close(fd_) == 0;
    fd_ = -1;
    return closed;
  }

 private:
  int fd_;
};

#endif

}  // namespace ponder::core
