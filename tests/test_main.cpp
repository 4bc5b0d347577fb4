#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

// An allocation that can never succeed is a status here too, as without the sanitizers. Their libraries look these up.
#if defined(__GNUC__)
#define PONDER_SEEN_BY_SANITIZER __attribute__((visibility("default")))
#else
#define PONDER_SEEN_BY_SANITIZER
#endif
extern "C" PONDER_SEEN_BY_SANITIZER const char* __asan_default_options();
extern "C" PONDER_SEEN_BY_SANITIZER const char* __tsan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
