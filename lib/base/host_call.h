// Functions of the host are called here, so that what they throw ends here.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace ponder::core {

// f(), which calls the host's function `name`; Code::callback when it throws.
template <class F>
Status call_host(std::string_view name, F&& f) {
  try {
    f();
    return {};
  } catch (const std::exception& e) {
    return {Code::callback, std::string(name) + " threw an exception: " + e.what()};
  } catch (...) {
    return {Code::callback, std::string(name) + " threw an exception"};
  }
}

// A function of the host that says whether to go on (0) or to stop. One that throws stops the call, which then fails with
// Code::callback instead of Code::cancelled.
class HostAsked {
 public:
  explicit HostAsked(std::string_view name) : name_(name) {}
  template <class F>
  bool go_on(F&& f) {
    std::int32_t answer = 1;
    thrown_ = call_host(name_, [&] { answer = f(); });
    return answer == 0;
  }
  // What the call returns that ended with `status`.
  Status status(Status status) const { return status.code() == Code::cancelled && !thrown_.ok() ? thrown_ : status; }

 private:
  std::string_view name_;
  Status thrown_;
};

}  // namespace ponder::core
