// windows.h without min, max and what nobody needs. Include it where _WIN32 is defined.
#pragma once

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX  // libstdc++ defines it too
#define NOMINMAX
#endif
#include <windows.h>
