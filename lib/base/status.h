// Status and Result<T>: how every function below the C ABI says that it failed.
//
// A message names the thing, what was found and what was wanted. Building a message may allocate; when that throws,
// std::bad_alloc travels up to capi/guard.h, which turns it into Code::out_of_memory. No function here aborts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ponder::core {

// Numbers are those of ponder_status in ponder.h (checked by static_assert in capi/guard.h).
enum class Code : std::int32_t {
  ok = 0,
  end = 1,        // the reply is complete
  pending = 2,    // a time-sliced step used up its budget; call again
  invalid_argument = -1,
  out_of_memory = -2,
  io = -3,              // the operating system refused a read or write
  not_found = -4,       // a file, folder, tensor or name does not exist
  bad_file = -5,        // a file's content breaks its format
  unsupported = -6,     // valid, but not something this build or version can do
  state = -7,           // the call does not fit what the object has done so far
  context_full = -8,
  cancelled = -9,
  no_tokenizer = -10,   // the checkpoint has no tokenizer files; token ids still work
  bad_template = -11,   // a chat template failed or ran into its limits
  numeric = -12,        // NaN or infinity where a finite number was needed
  buffer_too_small = -13,
  callback = -14,       // a host callback asked to stop with an error
  device = -15,
  internal = -100,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same failure with `where: ` in front, for callers that know the file or tensor the callee did not.
  Status with_prefix(std::string_view where) && {
    if (!ok()) message_.insert(0, std::string(where) + ": ");
    return std::move(*this);
  }

 private:
  Code code_ = Code::ok;
  std::string message_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                // NOLINT: implicit on purpose, `return value;`
  Result(Status status) : status_(std::move(status)) {}       // NOLINT: implicit on purpose, `return {code, text};`
  Result(Code code, std::string message) : status_(code, std::move(message)) {}

  bool ok() const { return value_.has_value(); }
  const Status& status() const& { return status_; }
  Status&& status() && { return std::move(status_); }

  // Only after ok().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace ponder::core

#define PONDER_CONCAT_INNER(a, b) a##b
#define PONDER_CONCAT(a, b) PONDER_CONCAT_INNER(a, b)

// Passes a failed Status up; works in functions that return Status or Result<T>.
#define PONDER_TRY(expr)                                     \
  do {                                                       \
    if (::ponder::core::Status ponder_status_ = (expr); !ponder_status_.ok()) return ponder_status_; \
  } while (0)

// PONDER_ASSIGN(auto file, MappedFile::open(path)): unwraps a Result or passes its failure up.
#define PONDER_ASSIGN(target, expr) PONDER_ASSIGN_INNER(PONDER_CONCAT(ponder_result_, __LINE__), target, expr)
#define PONDER_ASSIGN_INNER(result, target, expr)        \
  auto result = (expr);                                  \
  if (!result.ok()) return std::move(result).status();   \
  target = std::move(result).value()
