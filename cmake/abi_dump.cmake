# cmake -DABIDW= -DABIDIFF= -DCC= -DINCLUDE= -DSTORED= -DOUT= [-DUPDATE=ON] -P abi_dump.cmake: what ponder.h promises to binaries,
# compared with the stored dump, or stored. abidw reads it from a library that defines every function of the header and does
# nothing: so the dump is the same for any build, compiler setting and sanitizer. That the real library exports the same
# functions is another test.
cmake_policy(VERSION 3.25)
file(MAKE_DIRECTORY ${OUT})
file(READ ${INCLUDE}/ponder/ponder.h text)
string(REGEX MATCHALL "PONDER_API[^;]*PONDER_CALL ponder_[a-z_0-9]+\\([^;]*\\) PONDER_NOEXCEPT" declarations "${text}")
set(stub "#include \"ponder/ponder.h\"\n")
foreach(declaration IN LISTS declarations)
  if(declaration MATCHES "^PONDER_API void PONDER_CALL")
    string(APPEND stub "${declaration} {}\n")
  else()
    string(APPEND stub "${declaration} { return 0; }\n")
  endif()
endforeach()
# Numbered constants are macros, which a dump does not see: an enumeration of them it does.
string(REGEX MATCHALL "\n#define PONDER_[A-Z0-9_]+ -?[0-9]+u?" constants "${text}")
string(APPEND stub "enum ponder_constants {\n")
foreach(constant IN LISTS constants)
  string(REGEX REPLACE "\n#define (PONDER_[A-Z0-9_]+) (.*)" "  value_of_\\1 = \\2,\n" line "${constant}")
  string(APPEND stub "${line}")
endforeach()
string(APPEND stub "};\nvoid ponder_constants(enum ponder_constants constant) {}\n")
file(WRITE ${OUT}/ponder_stub.c "${stub}")

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what}: ${result}\n${output}")
  endif()
endfunction()
run("compiling ponder.h" ${CC} -g -shared -fPIC -w -DPONDER_BUILDING -I${INCLUDE} -Wl,-soname,libponder.so
    -fdebug-prefix-map=${OUT}=. ${OUT}/ponder_stub.c -o ${OUT}/libponder_stub.so)
run("abidw" ${ABIDW} --no-show-locs --no-corpus-path --no-comp-dir-path --out-file ${OUT}/ponder.abi ${OUT}/libponder_stub.so)
if(UPDATE)
  file(COPY_FILE ${OUT}/ponder.abi ${STORED})
  return()
endif()
execute_process(COMMAND ${ABIDIFF} ${STORED} ${OUT}/ponder.abi RESULT_VARIABLE result OUTPUT_VARIABLE report ERROR_VARIABLE report)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "ponder.h is not the ABI that capi/abi/ponder.abi holds:\n${report}\n"
    "If it is meant: say so in capi/abi/CHANGELOG.md, run\n    cmake --build <build folder> --target abi_dump\nand commit capi/abi/ponder.abi.")
endif()
