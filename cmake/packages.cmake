# cpack -G DEB: libponder0, libponder-dev, ponder and ponder-onednn; cpack -G TGZ: one archive. For Debian packages configure
# with -DCMAKE_INSTALL_PREFIX=/usr, which also chooses its library folder.
set(CPACK_PACKAGE_NAME ponder)
set(CPACK_PACKAGE_VENDOR "the ponder authors")
set(PONDER_PACKAGE_CONTACT "the ponder authors <ponder@localhost>" CACHE STRING "Who answers for the packages: name and address")
set(CPACK_PACKAGE_CONTACT ${PONDER_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "DeepSeek models as an embeddable library")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/cpack_generators.cmake)
set(CPACK_PACKAGE_FILE_NAME ponder-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})

set(libponder libponder${PONDER_ABI_VERSION})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${libponder})
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libponder-dev)
set(CPACK_DEBIAN_CLI_PACKAGE_NAME ponder)
set(CPACK_DEBIAN_ONEDNN_PACKAGE_NAME ponder-onednn)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLI_PACKAGE_SECTION science)
set(CPACK_DEBIAN_ONEDNN_PACKAGE_SECTION libs)
set(about "Runs DeepSeek V2, V3 and R1 and the R1 distills inside other programs, from
Hugging Face folders and GGUF files as they were published.")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "${about}
This package holds the shared library.")
set(CPACK_COMPONENT_DEV_DESCRIPTION "${about}
This package holds headers for C and C++, the static library, the CMake
package and the pkg-config files.")
set(CPACK_COMPONENT_CLI_DESCRIPTION "${about}
This package holds the program that runs, inspects, converts and measures
models.")
set(CPACK_COMPONENT_ONEDNN_DESCRIPTION "${about}
This package holds the module that multiplies the matrices of long prompts
through oneDNN, on CPUs where that is faster.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CLI_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ONEDNN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# The archive needs the C++ runtime of its compiler, or of another.
string(REGEX MATCH "^[0-9]+" major "${CMAKE_CXX_COMPILER_VERSION}")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${libponder} (= ${PROJECT_VERSION}), libc6-dev, libstdc++-${major}-dev | libstdc++-dev")
# dpkg's trigger runs ldconfig; the empty scripts are there because cpack would write some that call it.
set(debian ${PROJECT_BINARY_DIR}/debian)
file(WRITE ${debian}/triggers "activate-noawait ldconfig\n")
foreach(script postinst postrm)
  file(WRITE ${debian}/${script} "#!/bin/sh\nset -e\n")
  file(CHMOD ${debian}/${script} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endforeach()
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${debian}/triggers ${debian}/postinst ${debian}/postrm)
set(CPACK_DEBIAN_ONEDNN_PACKAGE_CONTROL_EXTRA ${CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA})
set(CPACK_DEBIAN_ONEDNN_PACKAGE_DEPENDS "${libponder} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)

set(CPACK_COMPONENTS_ALL runtime dev)
if(TARGET ponder_cli)
  list(APPEND CPACK_COMPONENTS_ALL cli)
endif()
if(TARGET ponder_onednn)
  list(APPEND CPACK_COMPONENTS_ALL onednn)
endif()
# Each package says under which licence it is, and what changed.
file(READ ${PROJECT_SOURCE_DIR}/LICENSE licence)
string(REGEX REPLACE "\n\n" "\n.\n" indented "${licence}")
string(REGEX REPLACE "\n([^\n])" "\n \\1" indented "${indented}")
string(STRIP "${indented}" indented)
file(WRITE ${PROJECT_BINARY_DIR}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ponder

Files: *
Copyright: 2026 the ponder authors
License: Expat
 ${indented}
")
file(WRITE ${PROJECT_BINARY_DIR}/changelog "ponder (${PROJECT_VERSION}) unstable; urgency=medium

  * See CHANGELOG.md and capi/abi/CHANGELOG.md in the source.

 -- ${CPACK_PACKAGE_CONTACT}  Thu, 01 Jan 2026 00:00:00 +0000
")
find_program(PONDER_GZIP gzip)
if(PONDER_GZIP)
  execute_process(COMMAND ${PONDER_GZIP} -9nc ${PROJECT_BINARY_DIR}/changelog OUTPUT_FILE ${PROJECT_BINARY_DIR}/changelog.gz)
endif()
foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} upper)
  set(folder ${CMAKE_INSTALL_DATAROOTDIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  install(FILES ${PROJECT_BINARY_DIR}/copyright DESTINATION ${folder} COMPONENT ${component})
  if(PONDER_GZIP)
    install(FILES ${PROJECT_BINARY_DIR}/changelog.gz DESTINATION ${folder} COMPONENT ${component})
  endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/libponder-dev COMPONENT dev)
include(CPack)
