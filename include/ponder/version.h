/* Version numbers; CMake reads them from here. */
#ifndef PONDER_VERSION_H
#define PONDER_VERSION_H

#define PONDER_VERSION_MAJOR 0
#define PONDER_VERSION_MINOR 1
#define PONDER_VERSION_PATCH 0
#define PONDER_VERSION_STRING "0.1.0"

/* Counts incompatible changes of the binary interface; equals the SOVERSION of the shared library. */
#define PONDER_ABI_VERSION 0

#endif
