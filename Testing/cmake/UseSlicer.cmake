# The macros of Slicer that this extension calls. As in Slicer, what is in the lists of a scripted module is copied
# into the build tree at build time, the build tree is installed whole, and a listed file that is missing is an error.

include(CTest)

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_module "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(_module_UNPARSED_ARGUMENTS OR NOT DEFINED _module_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: wrong arguments: ${ARGN}")
  endif()
  set(_module_dir ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
  set(_module_copies)
  foreach(_file IN LISTS _module_SCRIPTS _module_RESOURCES)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${_file})
      message(FATAL_ERROR "slicerMacroBuildScriptedModule: there is no file '${_file}'")
    endif()
    add_custom_command(
      OUTPUT ${_module_dir}/${_file}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${_file}
      COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/${_file} ${_module_dir}/${_file}
      )
    list(APPEND _module_copies ${_module_dir}/${_file})
  endforeach()
  add_custom_target(Copy${_module_NAME} ALL DEPENDS ${_module_copies})
  install(DIRECTORY ${_module_dir}/ DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR} COMPONENT RuntimeLibraries)
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(_test "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  get_filename_component(_test_name ${_test_SCRIPT} NAME_WE)
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${_test_SCRIPT})
    message(FATAL_ERROR "slicer_add_python_unittest: there is no file '${_test_SCRIPT}'")
  endif()
  add_test(NAME py_${_test_TESTNAME_PREFIX}${_test_name} COMMAND ${CMAKE_COMMAND} -E true)
endmacro()
