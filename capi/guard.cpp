#include "capi/guard.h"

#include <algorithm>

namespace ponder::capi {

namespace {

// Bytes of the character that begins `text`, or 0 when it is not valid UTF-8.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t n = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (n == 0 || n > text.size()) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const unsigned char second = byte(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;  // overlong, surrogate
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;  // overlong, beyond U+10FFFF
  return n;
}

}  // namespace

void write_error(ponder_error* err, ponder_status code, std::string_view message) noexcept {
  if (!err) return;
  err->code = code;
  std::size_t at = 0;
  while (!message.empty()) {
    const std::size_t n = message.front() == '\0' ? 0 : utf8_length(message);
    if (at + std::max<std::size_t>(n, 1) >= sizeof err->message) break;
    if (n == 0)
      err->message[at] = '?';
    else
      std::memcpy(err->message + at, message.data(), n);
    at += std::max<std::size_t>(n, 1);
    message.remove_prefix(std::max<std::size_t>(n, 1));
  }
  err->message[at] = '\0';
}

core::Status need(std::initializer_list<Named> arguments) {
  for (const Named& argument : arguments)
    if (!argument.pointer) return {core::Code::invalid_argument, std::string(argument.name) + " must not be NULL"};
  return {};
}

core::Status need_array(const char* name, const void* data, std::size_t size) {
  if (data || size == 0) return {};
  return {core::Code::invalid_argument, std::string(name) + " is NULL, but its length is " + std::to_string(size)};
}

core::Status check_flags(const char* name, std::uint32_t flags, std::uint32_t known) {
  const std::uint32_t unknown = flags & ~known;
  if (unknown == 0) return {};
  const std::uint32_t lowest = unknown & (~unknown + 1);
  return {core::Code::invalid_argument, std::string(name) + ": unknown bit " + std::to_string(lowest)};
}

}  // namespace ponder::capi
