// Numbers and texts of what sessions write to disk, little endian.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "lib/model/loader.h"

namespace ponder::core {

inline std::uint64_t checksum(std::string_view bytes) {
  Fingerprint hash;
  hash.add(bytes);
  return hash.value();
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  template <class T>
  void number(T value) {
    static_assert(sizeof(T) <= 8);
    std::uint64_t bits = 0;
    if constexpr (std::is_same_v<T, float>)
      bits = std::bit_cast<std::uint32_t>(value);
    else if constexpr (std::is_same_v<T, double>)
      bits = std::bit_cast<std::uint64_t>(value);
    else
      bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) out_.push_back(static_cast<char>(bits >> (8 * i)));
  }
  void bytes(std::string_view text) {
    number<std::uint64_t>(text.size());
    out_ += text;
  }
  void raw(const void* data, std::size_t n) { out_.append(static_cast<const char*>(data), n); }

 private:
  std::string& out_;
};

// Reads past the end give zeros and leave ok() false.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  template <class T>
  T number() {
    std::uint64_t bits = 0;
    if (in_.size() < sizeof(T)) {
      ok_ = false;
      return T{};
    }
    for (std::size_t i = 0; i < sizeof(T); ++i) bits |= std::uint64_t{static_cast<unsigned char>(in_[i])} << (8 * i);
    in_.remove_prefix(sizeof(T));
    if constexpr (std::is_same_v<T, float>)
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    else if constexpr (std::is_same_v<T, double>)
      return std::bit_cast<double>(bits);
    else if constexpr (std::is_same_v<T, bool>)
      return bits != 0;
    else
      return static_cast<T>(bits);
  }
  // A count of items of at least `item_bytes` each: never more than the rest can hold.
  std::size_t count(std::size_t item_bytes) {
    const auto n = number<std::uint64_t>();
    if (n <= in_.size() / item_bytes) return static_cast<std::size_t>(n);
    ok_ = false;
    return 0;
  }
  std::string_view raw(std::size_t n) {
    if (n > in_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view part = in_.substr(0, n);
    in_.remove_prefix(n);
    return part;
  }
  std::string_view bytes() { return raw(count(1)); }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace ponder::core
