# Takes the tree as a subproject: its headers work, its tests and its warnings stay at home.
#
# usage: cmake -D generator=G -D compiler=CXX -D work=DIR -P FILE
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH tests)
cmake_path(GET tests PARENT_PATH tree)
set(build ${work}/subproject)
file(REMOVE_RECURSE ${build})
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${build}
                        -G ${generator} -D CMAKE_CXX_COMPILER=${compiler} -D KVSPEC_TREE=${tree}
                        -D CMAKE_EXPORT_COMPILE_COMMANDS=ON
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${build}/outside COMMAND_ERROR_IS_FATAL ANY)

file(READ ${build}/compile_commands.json commands)
foreach(forced -Werror -Wall -Wpedantic)
    string(FIND "${commands}" "${forced}" at)
    if(NOT at EQUAL -1)
        message(FATAL_ERROR "a subproject must not force ${forced}")
    endif()
endforeach()
string(FIND "${commands}" "-ffp-contract=off" at)
if(at EQUAL -1)
    message(FATAL_ERROR "kvspec::spec must carry -ffp-contract=off to its users")
endif()
if(EXISTS ${build}/kvspec/tests)
    message(FATAL_ERROR "a subproject must not configure the tests")
endif()
