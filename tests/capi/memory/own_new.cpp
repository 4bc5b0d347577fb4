#include "tests/capi/memory/own_new.h"

#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace own_new {

thread_local long n_until_failure = -1;
std::atomic<std::int64_t> n_live{0}, n_peak{0};

namespace {

#if defined(__GLIBC__)
std::int64_t bytes_of(void* memory) { return static_cast<std::int64_t>(malloc_usable_size(memory)); }
#else
std::int64_t bytes_of(void*) { return 0; }
#endif

void* allocate(std::size_t size, std::size_t alignment) {
  if (n_until_failure == 0) throw std::bad_alloc();  // and all that follow, also while the error is handled
  if (n_until_failure > 0) --n_until_failure;
  void* const memory = alignment > alignof(std::max_align_t)
                           ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                           : std::malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  const std::int64_t live = n_live += bytes_of(memory);
  for (std::int64_t peak = n_peak; peak < live && !n_peak.compare_exchange_weak(peak, live);) {
  }
  return memory;
}

void release(void* memory) {
  if (!memory) return;
  n_live -= bytes_of(memory);
  std::free(memory);
}

}  // namespace
}  // namespace own_new

using own_new::allocate;

void* operator new(std::size_t size) { return allocate(size, 0); }
void* operator new[](std::size_t size) { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, static_cast<std::size_t>(alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, static_cast<std::size_t>(alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return allocate(size, 0);
  } catch (...) {
    return nullptr;
  }
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return allocate(size, static_cast<std::size_t>(alignment));
  } catch (...) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { own_new::release(memory); }
void operator delete[](void* memory) noexcept { own_new::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { own_new::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { own_new::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { own_new::release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { own_new::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { own_new::release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { own_new::release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { own_new::release(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { own_new::release(memory); }
