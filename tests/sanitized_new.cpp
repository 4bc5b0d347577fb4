// The sanitizers' own operator new stops the program where memory cannot be had; tests of that want std::bad_alloc.
#include "tests/new_hook.h"

bool ponder::core::before_allocation() { return true; }
