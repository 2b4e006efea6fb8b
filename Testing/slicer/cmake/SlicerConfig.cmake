# A stand-in for the CMake package of 3D Slicer: enough to configure, build, install and package a
# scripted extension where there is no Slicer build, with the rules of the real macros that decide
# which files end up in the package. Configure with -DSlicer_DIR=Testing/slicer/cmake.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseStandIn.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/StandInMetadata.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/StandInPackage.cmake")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
