# ponder_layer(<name> [DEPENDS layer...] [PRIVATE library...]): one folder of lib/ as a static library. Every .cpp file in
# the folder belongs to it, so a new file needs no line here.
function(ponder_layer name)
  cmake_parse_arguments(arg "" "" "DEPENDS;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/${name}/*.cpp)
  add_library(ponder_${name} STATIC ${sources})
  set_target_properties(ponder_${name} PROPERTIES LINKER_LANGUAGE CXX)
  foreach(layer ${arg_DEPENDS})
    target_link_libraries(ponder_${name} PUBLIC ponder_${layer})
  endforeach()
  target_link_libraries(ponder_${name} PRIVATE ponder_options fmt::fmt-header-only ${arg_PRIVATE})
  set_property(GLOBAL APPEND PROPERTY PONDER_LAYERS ponder_${name})
  set_property(GLOBAL APPEND PROPERTY PONDER_PRIVATE_LIBRARIES ${arg_PRIVATE})
endfunction()
