#include "lib/io/mapped_file.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <system_error>

#include "lib/base/format.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace ponder::core {
namespace {

std::string path_text(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

// A name beside `path` that no other write of this or another process uses at the same time.
std::filesystem::path temporary_path(const std::filesystem::path& path, unsigned long process) {
  static std::atomic<unsigned> counter{0};
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}-{}.tmp", process, counter.fetch_add(1, std::memory_order_relaxed));
  return temporary;
}

#ifdef _WIN32

Status system_failure(std::string_view name, std::string_view doing) {
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

Status system_failure(std::string_view name, std::string_view doing) {
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

Status write_all(int fd, std::span<const std::byte> bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_failure(name, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

#endif

}  // namespace

#ifdef _WIN32

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->name_ = path_text(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return fail(Code::io, "{}: a folder, not a file", file->name_);
  Handle handle(CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                            FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!handle.valid()) return system_failure(file->name_, "open");
  if (GetFileType(handle.get()) != FILE_TYPE_DISK) return fail(Code::io, "{}: not a regular file", file->name_);
  LARGE_INTEGER size;
  if (!GetFileSizeEx(handle.get(), &size)) return system_failure(file->name_, "read the size");
  if (static_cast<std::uint64_t>(size.QuadPart) > std::numeric_limits<std::size_t>::max())
    return fail(Code::io, "{}: {} bytes do not fit the address space", file->name_, size.QuadPart);
  if (size.QuadPart == 0) return std::shared_ptr<const MappedFile>(file);
  Handle mapping(CreateFileMappingW(handle.get(), nullptr, PAGE_READONLY, 0, 0, nullptr));
  if (!mapping.valid()) return system_failure(file->name_, "map");
  const void* data = MapViewOfFile(mapping.get(), FILE_MAP_READ, 0, 0, 0);
  if (!data) return system_failure(file->name_, "map");
  file->data_ = static_cast<const std::byte*>(data);
  file->size_bytes_ = static_cast<std::size_t>(size.QuadPart);
  return std::shared_ptr<const MappedFile>(file);
}

MappedFile::~MappedFile() {
  if (data_) UnmapViewOfFile(data_);
}

void MappedFile::will_need(std::size_t, std::size_t) const {}

Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::string name = path_text(path);
  const std::filesystem::path temporary = temporary_path(path, GetCurrentProcessId());
  Handle handle(CreateFileW(temporary.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!handle.valid()) return system_failure(name, "create a temporary file beside it");
  Status status;
  while (status.ok() && !bytes.empty()) {
    DWORD written = 0;
    const auto part = static_cast<DWORD>(std::min(bytes.size(), std::size_t{1} << 30));
    if (!WriteFile(handle.get(), bytes.data(), part, &written, nullptr)) status = system_failure(name, "write");
    bytes = bytes.subspan(written);
  }
  if (status.ok() && !FlushFileBuffers(handle.get())) status = system_failure(name, "write");
  if (!handle.close() && status.ok()) status = system_failure(name, "close");
  if (status.ok() &&
      !MoveFileExW(temporary.c_str(), path.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
    status = system_failure(name, "rename its temporary file");
  if (!status.ok()) DeleteFileW(temporary.c_str());
  return status;
}

#else

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->name_ = path_text(path);
  // O_NONBLOCK: opening a pipe must not wait for its writer; it has no effect on regular files.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return system_failure(file->name_, "open");
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return system_failure(file->name_, "read the size");
  if (S_ISDIR(info.st_mode)) return fail(Code::io, "{}: a folder, not a file", file->name_);
  if (!S_ISREG(info.st_mode)) return fail(Code::io, "{}: not a regular file", file->name_);
  if (static_cast<std::uint64_t>(info.st_size) > std::numeric_limits<std::size_t>::max())
    return fail(Code::io, "{}: {} bytes do not fit the address space", file->name_, info.st_size);
  const auto size_bytes = static_cast<std::size_t>(info.st_size);
  if (size_bytes == 0) return std::shared_ptr<const MappedFile>(file);
  void* data = ::mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) return system_failure(file->name_, "map");
  file->data_ = static_cast<const std::byte*>(data);
  file->size_bytes_ = size_bytes;
  return std::shared_ptr<const MappedFile>(file);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
}

void MappedFile::will_need(std::size_t offset, std::size_t size_bytes) const {
  if (!data_ || offset >= size_bytes_ || size_bytes == 0) return;
  size_bytes = std::min(size_bytes, size_bytes_ - offset);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (page <= 0) return;
  const std::size_t before = offset % static_cast<std::size_t>(page);  // the hint wants a page boundary
  ::posix_madvise(const_cast<std::byte*>(data_) + (offset - before), size_bytes + before, POSIX_MADV_WILLNEED);
}

Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::string name = path_text(path);
  const std::filesystem::path temporary = temporary_path(path, static_cast<unsigned long>(::getpid()));
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd.valid()) return system_failure(name, "create a temporary file beside it");
  Status status = write_all(fd.get(), bytes, name);
  if (status.ok() && ::fsync(fd.get()) != 0) status = system_failure(name, "write");
  if (!fd.close() && status.ok()) status = system_failure(name, "close");
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    status = system_failure(name, "rename its temporary file");
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

#endif

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  PONDER_ASSIGN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  if (file->bytes().size() > max_bytes)
    return fail(Code::bad_file, "{}: {} bytes, at most {} are read", file->name(), file->bytes().size(), max_bytes);
  return std::string(file->text());
}

}  // namespace ponder::core
