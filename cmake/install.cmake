# cmake --install: headers, both libraries, the CMake package (ponder::ponder, ponder::ponder_static) and ponder.pc.
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ponder DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ponder ponder_static EXPORT ponder
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/ponder)
install(EXPORT ponder NAMESPACE ponder:: FILE ponder-targets.cmake DESTINATION ${package_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ponder-config.cmake.in
  ${PROJECT_BINARY_DIR}/ponder-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ponder-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ponder-config.cmake ${PROJECT_BINARY_DIR}/ponder-config-version.cmake
  DESTINATION ${package_folder})

# The .pc file finds the prefix from its own place, so that `cmake --install --prefix` and a moved tree work; folders given
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
configure_file(${PROJECT_SOURCE_DIR}/cmake/ponder.pc.in ${PROJECT_BINARY_DIR}/ponder.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ponder.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET ponder_cli)
  install(TARGETS ponder_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
