#include "lib/io/mapped_file.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "lib/base/format.h"
#include "lib/io/system_file.h"

#ifndef _WIN32
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#endif

namespace ponder::core {

#ifdef _WIN32

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->name_ = to_text(path);
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

void MappedFile::let_go(std::span<const std::byte> part) const {
  if (!part.empty()) VirtualUnlock(const_cast<std::byte*>(part.data()), part.size());  // pages that are not locked leave too
}

#else

namespace {

// Weights are read from end to end for each token: where the file system keeps files in large folios (ext4 since Linux 6.16,
// XFS, Btrfs), a file not yet cached is then read and mapped by 2 MiB, which is worth 7 % of sustained read and 4 % of decode. A hint.
void ask_for_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t size_bytes) {
#ifdef MADV_HUGEPAGE
  constexpr std::size_t kWorthwhileBytes = std::size_t{64} << 20;
  if (size_bytes >= kWorthwhileBytes) ::madvise(data, size_bytes, MADV_HUGEPAGE);
#endif
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->name_ = to_text(path);
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
  ask_for_huge_pages(data, size_bytes);
  file->data_ = static_cast<const std::byte*>(data);
  file->size_bytes_ = size_bytes;
  return std::shared_ptr<const MappedFile>(file);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
}

namespace {

// The hints want a page boundary to begin at. data: of a mapping, which begins at one.
template <class Advise>
void advise(const std::byte* data, std::size_t offset, std::size_t size_bytes, Advise&& hint) {
  const long page = ::sysconf(_SC_PAGESIZE);
  if (page <= 0) return;
  const std::size_t before = offset % static_cast<std::size_t>(page);
  hint(const_cast<std::byte*>(data) + (offset - before), size_bytes + before);
}

}  // namespace

void MappedFile::will_need(std::size_t offset, std::size_t size_bytes) const {
  if (!data_ || offset >= size_bytes_ || size_bytes == 0) return;
  advise(data_, offset, std::min(size_bytes, size_bytes_ - offset),
         [](std::byte* first, std::size_t n) { ::posix_madvise(first, n, POSIX_MADV_WILLNEED); });
}

// Not posix_madvise: glibc takes its POSIX_MADV_DONTNEED for nothing. The mapping is private and never written to, so the
// pages come back from the file as they were.
void MappedFile::let_go(std::span<const std::byte> part) const {
  if (part.empty()) return;
  advise(data_, static_cast<std::size_t>(part.data() - data_), part.size(),
         [](std::byte* first, std::size_t n) { ::madvise(first, n, MADV_DONTNEED); });
}

#endif

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  PONDER_ASSIGN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  if (file->bytes().size() > max_bytes)
    return fail(Code::bad_file, "{}: {} bytes, at most {} are read", file->name(), file->bytes().size(), max_bytes);
  return std::string(file->text());
}

}  // namespace ponder::core
