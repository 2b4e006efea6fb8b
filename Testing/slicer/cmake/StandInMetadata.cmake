# ${Slicer_EXTENSION_GENERATE_CONFIG}: writes the metadata as CMake understood it. As in Slicer the
# values are passed on without quotes, so a semicolon in one of them cuts it.
function(write_metadata_line name)
  list(LENGTH ARGN pieces)
  if(pieces GREATER 1)
    message(FATAL_ERROR "EXTENSION_${name} holds a semicolon")
  endif()
  file(APPEND "${CMAKE_BINARY_DIR}/metadata.txt" "${name} ${ARGN}\n")
endfunction()

file(WRITE "${CMAKE_BINARY_DIR}/metadata.txt" "NAME ${PROJECT_NAME}\n")
foreach(name HOMEPAGE CONTRIBUTORS DESCRIPTION KEYWORDS ICONURL SCREENSHOTURLS DEPENDS
             README_FILE LICENSE_FILE)
  write_metadata_line(${name} ${EXTENSION_${name}})
endforeach()
