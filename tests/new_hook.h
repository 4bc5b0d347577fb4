// Replaces operator new of the whole program: `before_allocation` runs before each, and may refuse it. Where neither a
// sanitizer nor another C library stands between, malloc is seen too, which operator new then calls.
// Include it in one file of a program.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace ponder::core {

// False: this allocation fails.
bool before_allocation();

}  // namespace ponder::core

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PONDER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define PONDER_SANITIZED 1
#endif
#endif

namespace ponder::core {

inline void* hooked_new(std::size_t size, std::size_t alignment, bool may_throw) {
  void* memory = nullptr;
  if (before_allocation())
    memory = alignment <= alignof(std::max_align_t)
                 ? std::malloc(size ? size : 1)
                 : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (!memory && may_throw) throw std::bad_alloc();
  return memory;
}

}  // namespace ponder::core

// NOLINTBEGIN: the replaceable functions of the standard
void* operator new(std::size_t n) { return ponder::core::hooked_new(n, 1, true); }
void* operator new[](std::size_t n) { return ponder::core::hooked_new(n, 1, true); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return ponder::core::hooked_new(n, 1, false); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return ponder::core::hooked_new(n, 1, false); }
void* operator new(std::size_t n, std::align_val_t a) {
  return ponder::core::hooked_new(n, static_cast<std::size_t>(a), true);
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return ponder::core::hooked_new(n, static_cast<std::size_t>(a), true);
}
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return ponder::core::hooked_new(n, static_cast<std::size_t>(a), false);
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return ponder::core::hooked_new(n, static_cast<std::size_t>(a), false);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
// NOLINTEND
