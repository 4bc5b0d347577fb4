// The wall clock in the host's time zone, without touching the C library's shared state.
#pragma once

#include <ctime>

namespace ponder::core {

std::tm local_time_now();

}  // namespace ponder::core
