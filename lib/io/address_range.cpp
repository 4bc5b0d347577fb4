#include "lib/io/address_range.h"

#include <algorithm>

#include "lib/base/format.h"
#include "lib/io/system_file.h"

#ifndef _WIN32
#include <sys/mman.h>
#endif

namespace ponder::core {

#ifdef _WIN32

Result<std::shared_ptr<AddressRange>> AddressRange::reserve(std::size_t size_bytes) {
  std::shared_ptr<AddressRange> range(new AddressRange());
  range->data_ = static_cast<std::byte*>(VirtualAlloc(nullptr, size_bytes, MEM_RESERVE, PAGE_NOACCESS));
  if (!range->data_) return fail(Code::out_of_memory, "no room for {} bytes in the address space", size_bytes);
  range->size_bytes_ = size_bytes;
  return range;
}

AddressRange::~AddressRange() {
  if (data_) VirtualFree(data_, 0, MEM_RELEASE);
}

Status AddressRange::commit(std::size_t begin, std::size_t end) {
  end = std::min(end, size_bytes_);
  if (begin >= end || VirtualAlloc(data_ + begin, end - begin, MEM_COMMIT, PAGE_READWRITE)) return {};
  return fail(Code::out_of_memory, "cannot allocate {} bytes", end - begin);
}

#else

Result<std::shared_ptr<AddressRange>> AddressRange::reserve(std::size_t size_bytes) {
  std::shared_ptr<AddressRange> range(new AddressRange());
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void* const data = ::mmap(nullptr, size_bytes, PROT_NONE, flags, -1, 0);
  if (data == MAP_FAILED) return fail(Code::out_of_memory, "no room for {} bytes in the address space", size_bytes);
  range->data_ = static_cast<std::byte*>(data);
  range->size_bytes_ = size_bytes;
  return range;
}

AddressRange::~AddressRange() {
  if (data_) ::munmap(data_, size_bytes_);
}

Status AddressRange::commit(std::size_t begin, std::size_t end) {
  end = std::min(end, size_bytes_);
  const auto page = static_cast<std::size_t>(std::max(::sysconf(_SC_PAGESIZE), 1L));
  begin -= begin % page;
  if (begin >= end || ::mprotect(data_ + begin, end - begin, PROT_READ | PROT_WRITE) == 0) return {};
  return fail(Code::out_of_memory, "cannot allocate {} bytes", end - begin);
}

#endif

}  // namespace ponder::core
