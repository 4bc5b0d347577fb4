#include "tests/capi/memory/own_files.h"

#if defined(__linux__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

namespace own_files {
namespace {

thread_local long n_left = -1;
thread_local Fault armed = Fault::fail;
thread_local const char* came = nullptr;

// Whether this call is the one; of short writes only writes count.
bool is_it(const char* name, bool writes = false) {
  if (n_left < 0 || (armed == Fault::short_write && !writes)) return false;
  if (n_left-- > 0) return false;
  came = name;
  return true;
}

long failed(int error) {
  errno = error;
  return -1;
}

}  // namespace

void arm(long n, Fault fault) {
  n_left = n;
  armed = fault;
  came = nullptr;
}

std::string disarm() {
  n_left = -1;
  return came ? came : "";
}

}  // namespace own_files

using own_files::failed;
using own_files::is_it;

// NOLINTBEGIN: the C library's names, for the shared library to find
#pragma GCC visibility push(default)
extern "C" {

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & O_CREAT) ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (is_it("open")) return static_cast<int>(failed(EIO));
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
int fstat(int fd, struct stat* info) noexcept {
  if (is_it("fstat")) return static_cast<int>(failed(EIO));
  return ::fstatat(fd, "", info, AT_EMPTY_PATH);
}
void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (fd >= 0 && is_it("mmap")) return reinterpret_cast<void*>(failed(ENOMEM));  // not those of malloc
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, fd, offset));
}
ssize_t write(int fd, const void* bytes, size_t size) {
  if (fd > 2 && is_it("write", true)) {
    if (own_files::armed == own_files::Fault::fail) return failed(ENOSPC);
    size = size > 1 ? size / 2 : size;
  }
  return ::syscall(SYS_write, fd, bytes, size);
}
int fsync(int fd) {
  if (is_it("fsync")) return static_cast<int>(failed(EIO));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int rename(const char* from, const char* to) noexcept {
  if (is_it("rename")) return static_cast<int>(failed(EIO));
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int close(int fd) {
  const long status = ::syscall(SYS_close, fd);
  if (is_it("close")) return static_cast<int>(failed(EIO));  // closed all the same, as Linux does
  return static_cast<int>(status);
}

}  // extern "C"
#pragma GCC visibility pop
// NOLINTEND

#else

namespace own_files {

void arm(long, Fault) {}
std::string disarm() { return ""; }

}  // namespace own_files

#endif
