/* PONDER_API: a function that the shared library exports. PONDER_CALL: its calling convention. PONDER_NOEXCEPT: no
 * exception ever leaves it. */
#ifndef PONDER_EXPORT_H
#define PONDER_EXPORT_H

#if defined(_WIN32)
#define PONDER_CALL __cdecl
#if defined(PONDER_STATIC)
#define PONDER_API
#elif defined(PONDER_BUILDING)
#define PONDER_API __declspec(dllexport)
#else
#define PONDER_API __declspec(dllimport)
#endif
#else
#define PONDER_CALL
#if defined(PONDER_STATIC)
#define PONDER_API
#else
#define PONDER_API __attribute__((visibility("default")))
#endif
#endif

#if defined(__cplusplus)
#define PONDER_NOEXCEPT noexcept
#else
#define PONDER_NOEXCEPT
#endif

/* A function or field that may still change or go without a new major version. */
#define PONDER_EXPERIMENTAL

#endif
