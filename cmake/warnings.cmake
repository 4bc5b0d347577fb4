# ponder_options: what every target of ours compiles with. Properties only; nothing leaks to users of the library.
add_library(ponder_options INTERFACE)
target_compile_options(ponder_options INTERFACE
  $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -ffp-contract=off>
  $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>
  # Copies inside std::string that cannot be (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${PONDER_WERROR}>:-Werror>)
target_include_directories(ponder_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
# Files compiled with different -m flags must agree on how Eigen aligns its memory.
target_compile_definitions(ponder_options INTERFACE EIGEN_MAX_ALIGN_BYTES=64)
if(PONDER_SANITIZE)
  target_compile_options(ponder_options INTERFACE -fsanitize=${PONDER_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(ponder_options INTERFACE -fsanitize=${PONDER_SANITIZE})
  if(PONDER_SANITIZE MATCHES "undefined")
    target_compile_options(ponder_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()
if(PONDER_BUILD_FUZZERS)
  target_compile_options(ponder_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
