# cmake -DSTEP=... -P install_test.cmake: installs the build tree into WORK/prefix and builds hosts against it.
cmake_policy(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}: ${result}\n${output}")
  endif()
endfunction()

set(prefix ${WORK}/prefix)
set(source ${CMAKE_CURRENT_LIST_DIR})
set(compilers -DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_CXX_COMPILER=${CXX_COMPILER} -DCMAKE_BUILD_TYPE=Release)

if(STEP STREQUAL "install")
  file(REMOVE_RECURSE ${WORK})
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})

elseif(STEP STREQUAL "package")
  run(${CMAKE_COMMAND} -S ${source}/package -B ${WORK}/package ${compilers} -DCMAKE_PREFIX_PATH=${prefix})
  run(${CMAKE_COMMAND} --build ${WORK}/package)
  foreach(program c_ponder c_ponder_static cpp_ponder cpp_ponder_static)
    run(${WORK}/package/${program} ${MODEL})
  endforeach()
  execute_process(COMMAND ${NM} -D --defined-only ${WORK}/package/libplugin.so OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  if(NOT symbols MATCHES "plugin_ask" OR symbols MATCHES "ponder_|pcre2_|nlohmann|fmt")
    message(FATAL_ERROR "libplugin.so exports more than plugin_ask:\n${symbols}")
  endif()

elseif(STEP STREQUAL "c_only")
  run(${CMAKE_COMMAND} -S ${source}/c_only -B ${WORK}/c_only -DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_PREFIX_PATH=${prefix})
  run(${CMAKE_COMMAND} --build ${WORK}/c_only)
  foreach(program only_ponder only_ponder_static)
    run(${WORK}/c_only/${program} ${MODEL})
  endforeach()

elseif(STEP STREQUAL "version")
  # SameMinorVersion: 0.2 may not be what was asked for as 0.1, and so here the other way round.
  foreach(version 0.2 1.0)
    file(WRITE ${WORK}/version/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(version LANGUAGES C)\n"
      "find_package(ponder ${version} CONFIG)\nif(ponder_FOUND)\nmessage(FATAL_ERROR \"found\")\nendif()\n")
    run(${CMAKE_COMMAND} -S ${WORK}/version -B ${WORK}/version/build --fresh -DCMAKE_C_COMPILER=${C_COMPILER}
        -DCMAKE_PREFIX_PATH=${prefix})
  endforeach()

elseif(STEP STREQUAL "pkg_config")
  set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
  # Shared; the archive beside it; everything static (glibc warns of dlopen, which then finds no module).
  set(flags_of_shared --cflags --libs ponder)
  set(flags_of_archive --cflags --libs ponder-static)
  set(flags_of_static --static --cflags --libs ponder)
  foreach(flavour shared archive static)
    execute_process(COMMAND ${PKG_CONFIG} ${flags_of_${flavour}} OUTPUT_VARIABLE flags
      OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    if(flavour STREQUAL "shared")
      list(APPEND flags -Wl,-rpath,${prefix}/${LIBDIR})
    elseif(flavour STREQUAL "static")
      list(PREPEND flags -static)
    endif()
    run(${C_COMPILER} ${source}/consumer.c -o ${WORK}/pkg_${flavour} ${flags})
    run(${WORK}/pkg_${flavour} ${MODEL})
    execute_process(COMMAND ${NM} -u ${WORK}/pkg_${flavour} OUTPUT_VARIABLE symbols ERROR_QUIET)
    string(FIND "${symbols}" ponder_session_next found)
    if((flavour STREQUAL "shared" AND found EQUAL -1) OR (NOT flavour STREQUAL "shared" AND NOT found EQUAL -1))
      message(FATAL_ERROR "pkg-config ${flags_of_${flavour}}: the wrong library:\n${symbols}")
    endif()
  endforeach()

elseif(STEP STREQUAL "subdirectory")
  run(${CMAKE_COMMAND} -S ${source}/subdirectory -B ${WORK}/subdirectory ${compilers} -DPONDER_SOURCE=${PONDER_SOURCE}
      -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
  cmake_host_system_information(RESULT n_cores QUERY NUMBER_OF_LOGICAL_CORES)  # it builds the whole library
  run(${CMAKE_COMMAND} --build ${WORK}/subdirectory --parallel ${n_cores})
  foreach(program c_ponder c_ponder_static cpp_ponder cpp_ponder_static)
    run(${WORK}/subdirectory/${program} ${MODEL})
  endforeach()

else()
  message(FATAL_ERROR "STEP is '${STEP}'")
endif()
