# Third-party libraries. All are private to the library: header-only, or a static archive hidden by the version script.
find_package(Threads REQUIRED)

# ponder_header_library(<package> <target> <header>): a header-only package, by its CMake package, else by its header alone
# (cross builds: -DCMAKE_PREFIX_PATH=FOLDER with FOLDER/include/<header>).
function(ponder_header_library package target header)
  if(NOT CMAKE_CROSSCOMPILING)
    find_package(${package} CONFIG QUIET GLOBAL)
  endif()
  if(TARGET ${target})
    return()
  endif()
  find_path(PONDER_${package}_INCLUDE_DIR ${header})
  if(NOT PONDER_${package}_INCLUDE_DIR)
    message(FATAL_ERROR "${package} was not found: neither its CMake package nor ${header}")
  endif()
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} SYSTEM INTERFACE ${PONDER_${package}_INCLUDE_DIR})
endfunction()
ponder_header_library(fmt fmt::fmt-header-only fmt/format.h)
# Without FMT_HEADER_ONLY: lib/base/format.cpp compiles fmt for all.
add_library(ponder_fmt INTERFACE)
target_include_directories(ponder_fmt SYSTEM INTERFACE $<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>)
ponder_header_library(nlohmann_json nlohmann_json::nlohmann_json nlohmann/json.hpp)

function(ponder_check_choice name)
  if(NOT ${name} MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "${name} is '${${name}}', want AUTO, ON or OFF")
  endif()
endfunction()

ponder_check_choice(PONDER_PCRE2)
ponder_check_choice(PONDER_ONEDNN)
ponder_check_choice(PONDER_CUDA)

set(PONDER_HAVE_PCRE2 OFF)
if(NOT PONDER_PCRE2 STREQUAL "OFF")
  find_path(PCRE2_INCLUDE_DIR pcre2.h)
  # The static archive: its symbols are hidden, and the host may carry another PCRE2.
  find_library(PCRE2_LIBRARY NAMES libpcre2-8.a pcre2-8-static)
  if(PCRE2_INCLUDE_DIR AND PCRE2_LIBRARY)
    set(PONDER_HAVE_PCRE2 ON)
    add_library(ponder_pcre2 INTERFACE)
    target_include_directories(ponder_pcre2 SYSTEM INTERFACE ${PCRE2_INCLUDE_DIR})
    target_link_libraries(ponder_pcre2 INTERFACE ${PCRE2_LIBRARY})
    target_compile_definitions(ponder_pcre2 INTERFACE PCRE2_STATIC PCRE2_CODE_UNIT_WIDTH=8 PONDER_HAVE_PCRE2=1)
  elseif(PONDER_PCRE2 STREQUAL "ON")
    message(FATAL_ERROR "PONDER_PCRE2=ON, but pcre2.h or libpcre2-8.a was not found (Debian: libpcre2-dev)")
  endif()
endif()

include(onednn)
include(cuda)
