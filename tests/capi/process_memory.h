// Memory of the process that runs the tests, in bytes.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <fstream>

namespace ponder::test {

inline std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * 4096;
}

// Of all arenas: what was allocated and not freed.
inline std::size_t heap_bytes() {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

}  // namespace ponder::test
