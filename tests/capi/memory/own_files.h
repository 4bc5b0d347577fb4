// The program's own open, fstat, mmap, write, fsync, rename and close, which serve the library too: one of them fails on
// request, or writes only a part. Linux without a sanitizer; elsewhere own_files::kOwn is false and nothing fails.
#pragma once

#include <string>

namespace own_files {

#if defined(__linux__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
inline constexpr bool kOwn = true;
#else
inline constexpr bool kOwn = false;
#endif

enum class Fault { fail, short_write };

// The n-th call of this thread from here on; -1: none.
void arm(long n, Fault fault = Fault::fail);
// Whether it came; the name of the function.
std::string disarm();

}  // namespace own_files
