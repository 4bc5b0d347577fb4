// Addresses without memory behind them, for a file of which only some parts are read: views into it are in bounds, and
// memory comes for the parts that are asked for.
#pragma once

#include <cstddef>
#include <memory>

#include "lib/base/status.h"

namespace ponder::core {

class AddressRange {
 public:
  static Result<std::shared_ptr<AddressRange>> reserve(std::size_t size_bytes);  // above 0
  ~AddressRange();
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  std::byte* data() const { return data_; }
  // [begin, end) can be written to and read from; zeros at first. What lies around it in its pages too.
  Status commit(std::size_t begin, std::size_t end);

 private:
  AddressRange() = default;
  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace ponder::core
