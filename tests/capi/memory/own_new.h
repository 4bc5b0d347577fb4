// The program's own operator new, which serves the library too: it fails on request, and counts what is in use.
#pragma once

#include <atomic>
#include <cstdint>

namespace own_new {

extern thread_local long n_until_failure;  // allocations of this thread until they fail, all that follow; -1: never

// Bytes of all threads as malloc rounds them up; of glibc only, else 0.
extern std::atomic<std::int64_t> n_live, n_peak;

}  // namespace own_new
