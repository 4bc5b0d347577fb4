// The one place where exceptions end: every C function that can fail runs its body in guarded(). Also the small checks
// that all of them share.
#pragma once

#include <cstring>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "lib/base/host_call.h"
#include "lib/base/status.h"
#include "ponder/ponder.h"

namespace ponder::capi {

#define PONDER_SAME_CODE(c_name, core_name) \
  static_assert(c_name == static_cast<ponder_status>(core::Code::core_name), #c_name)
PONDER_SAME_CODE(PONDER_OK, ok);
PONDER_SAME_CODE(PONDER_END, end);
PONDER_SAME_CODE(PONDER_PENDING, pending);
PONDER_SAME_CODE(PONDER_E_INVALID_ARGUMENT, invalid_argument);
PONDER_SAME_CODE(PONDER_E_OUT_OF_MEMORY, out_of_memory);
PONDER_SAME_CODE(PONDER_E_IO, io);
PONDER_SAME_CODE(PONDER_E_NOT_FOUND, not_found);
PONDER_SAME_CODE(PONDER_E_BAD_FILE, bad_file);
PONDER_SAME_CODE(PONDER_E_UNSUPPORTED, unsupported);
PONDER_SAME_CODE(PONDER_E_STATE, state);
PONDER_SAME_CODE(PONDER_E_CONTEXT_FULL, context_full);
PONDER_SAME_CODE(PONDER_E_CANCELLED, cancelled);
PONDER_SAME_CODE(PONDER_E_NO_TOKENIZER, no_tokenizer);
PONDER_SAME_CODE(PONDER_E_TEMPLATE, bad_template);
PONDER_SAME_CODE(PONDER_E_NUMERIC, numeric);
PONDER_SAME_CODE(PONDER_E_BUFFER_TOO_SMALL, buffer_too_small);
PONDER_SAME_CODE(PONDER_E_CALLBACK, callback);
PONDER_SAME_CODE(PONDER_E_DEVICE, device);
PONDER_SAME_CODE(PONDER_E_INTERNAL, internal);
#undef PONDER_SAME_CODE

static_assert(sizeof(ponder_error) == 512);

// Allocates nothing. The text is cut at a character border; what is no UTF-8, and U+0000, becomes '?'.
void write_error(ponder_error* err, ponder_status code, std::string_view message) noexcept;

template <class F>
ponder_status guarded(ponder_error* err, F&& f) noexcept {
  try {
    const core::Status status = f();
    write_error(err, static_cast<ponder_status>(status.code()), status.message());
    return static_cast<ponder_status>(status.code());
  } catch (const std::bad_alloc&) {
    write_error(err, PONDER_E_OUT_OF_MEMORY, "out of memory");
    return PONDER_E_OUT_OF_MEMORY;
  } catch (const std::length_error&) {
    write_error(err, PONDER_E_OUT_OF_MEMORY, "out of memory: an object beyond the address space");
    return PONDER_E_OUT_OF_MEMORY;
  } catch (const std::exception& e) {
    write_error(err, PONDER_E_INTERNAL, e.what());
    return PONDER_E_INTERNAL;
  } catch (...) {
    write_error(err, PONDER_E_INTERNAL, "an exception of unknown type");
    return PONDER_E_INTERNAL;
  }
}

struct Named {
  const char* name;
  const void* pointer;
};
// invalid_argument naming the first that is NULL.
core::Status need(std::initializer_list<Named> arguments);
// A text or array: NULL only with size 0.
core::Status need_array(const char* name, const void* data, std::size_t size);
// invalid_argument for a bit outside `known`.
core::Status check_flags(const char* name, std::uint32_t flags, std::uint32_t known);

// *out_count is set; buffer_too_small when there are more than `capacity`, but none were asked for when out is NULL.
template <class T, class From>
core::Status write_list(const From& from, T* out, std::size_t capacity, std::size_t* out_count) {
  *out_count = from.size();
  if (!out && capacity == 0) return {};
  if (!out) return {core::Code::invalid_argument, "a NULL array with a capacity above 0"};
  if (from.size() > capacity)
    return {core::Code::buffer_too_small, std::to_string(from.size()) + " elements, but room for " + std::to_string(capacity)};
  std::copy(from.begin(), from.end(), out);
  return {};
}

}  // namespace ponder::capi
