# cmake --install: headers, both libraries, the CMake package (ponder::ponder, ponder::ponder_static), pkg-config files, the
# program with its manual page and completions. Components, one Debian package each: runtime, dev, cli, onednn.
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ponder DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(TARGETS ponder ponder_static EXPORT ponder
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/ponder)
install(EXPORT ponder NAMESPACE ponder:: FILE ponder-targets.cmake DESTINATION ${package_folder} COMPONENT dev)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ponder-config.cmake.in
  ${PROJECT_BINARY_DIR}/ponder-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ponder-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ponder-config.cmake ${PROJECT_BINARY_DIR}/ponder-config-version.cmake
  DESTINATION ${package_folder} COMPONENT dev)

# The .pc files find the prefix from their own place, so that `cmake --install --prefix` and a moved tree work; folders given
# as absolute paths stay where they are.
set(PONDER_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up ${up})
  set(PONDER_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(folder INCLUDEDIR LIBDIR)
  if(IS_ABSOLUTE ${CMAKE_INSTALL_${folder}})
    set(PONDER_PC_${folder} ${CMAKE_INSTALL_${folder}})
  else()
    set(PONDER_PC_${folder} "\${prefix}/${CMAKE_INSTALL_${folder}}")
  endif()
endforeach()
# What the archive needs beside itself.
set(PONDER_PC_RUNTIMES "-lstdc++ -lm -pthread -ldl")
if(WIN32)
  set(PONDER_PC_RUNTIMES "-lstdc++ -pthread")
endif()
foreach(name ponder ponder-static)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endforeach()

if(TARGET ponder_cli)
  install(TARGETS ponder_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cli)
endif()
if(TARGET ponder_manual)
  install(FILES ${PONDER_MANUAL}/ponder.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT cli)
  install(FILES ${PONDER_MANUAL}/ponder.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    RENAME ponder COMPONENT cli)
  install(FILES ${PONDER_MANUAL}/_ponder DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT cli)
  install(FILES ${PONDER_MANUAL}/ponder.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT cli)
endif()
if(PROJECT_IS_TOP_LEVEL)
  include(packages)
endif()
