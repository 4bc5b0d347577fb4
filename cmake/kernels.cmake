# ponder_kernel(<op> ISAS avx2 avx512 neon ...): the op's folder under kernels/. Always built: <op>_impls.cpp and
# <op>_ref.cpp; per ISA <op>_<isa>.cpp with that ISA's flags, where the processor has it. Every ISA file is an object
# file of its own without exceptions, RTTI and thread-safe statics; tests/abi looks for weak symbols in them.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(PONDER_ISAS avx2 avx512 avx512vnni avx512bf16)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(PONDER_ISAS neon)
else()
  set(PONDER_ISAS)
endif()
set(ponder_flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
if(MINGW AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Stacks are aligned to 16 bytes on Win64, but GCC spills vectors of 32 and 64 bytes with aligned moves (GCC bug 54412). The
  # assembler (binutils 2.38) writes them as unaligned ones, which cost nothing where the address is aligned.
  list(APPEND ponder_flags_avx2 -Wa,-muse-unaligned-vector-move)
endif()
set(ponder_flags_avx512 ${ponder_flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(ponder_flags_avx512vnni ${ponder_flags_avx512} -mavx512vnni)
set(ponder_flags_avx512bf16 ${ponder_flags_avx512vnni} -mavx512bf16)
set(ponder_flags_neon)

# Those of them that kernels are written for.
set(PONDER_KERNEL_ISAS)
foreach(isa avx2 avx512 avx512vnni avx512bf16 neon)
  if(isa IN_LIST PONDER_ISAS)
    list(APPEND PONDER_KERNEL_ISAS ${isa})
  endif()
endforeach()

foreach(isa ${PONDER_KERNEL_ISAS})
  add_library(ponder_kernels_${isa} OBJECT)
  target_link_libraries(ponder_kernels_${isa} PRIVATE ponder_options)
  target_compile_options(ponder_kernels_${isa} PRIVATE ${ponder_flags_${isa}}
    # GCC's own AVX-512 intrinsics start from an uninitialised vector (_mm512_undefined).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized -Wno-maybe-uninitialized>
    -fno-exceptions -fno-rtti -fno-threadsafe-statics -ffp-contract=off)
endforeach()

function(ponder_kernel op)
  cmake_parse_arguments(arg "" "" "ISAS" ${ARGN})
  set(folder ${PROJECT_SOURCE_DIR}/kernels/${op})
  target_sources(ponder_kernels PRIVATE ${folder}/${op}_impls.cpp ${folder}/${op}_ref.cpp)
  foreach(isa ${arg_ISAS})
    if(isa IN_LIST PONDER_KERNEL_ISAS)
      target_sources(ponder_kernels_${isa} PRIVATE ${folder}/${op}_${isa}.cpp)
    endif()
  endforeach()
endfunction()
