# Installs the build tree into a fresh prefix and builds the outside project against it.
#
# usage: cmake -D built=TREE -D config=CONFIG -D generator=G -D compiler=CXX -D work=DIR -P FILE
set(prefix ${work}/prefix)
file(REMOVE_RECURSE ${prefix} ${work}/package)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${built} --config "${config}" --prefix ${prefix}
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${work}/package
                        -G ${generator} -D CMAKE_CXX_COMPILER=${compiler}
                        -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${work}/package COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${work}/package/outside COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${work}/package/linked COMMAND_ERROR_IS_FATAL ANY)

# Nothing installed may point back into the tree that it came from.
file(GLOB_RECURSE files ${prefix}/*.cmake)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH tests)
cmake_path(GET tests PARENT_PATH tree)
foreach(file ${files})
    file(READ ${file} text)
    string(FIND "${text}" "${tree}/" at)
    if(NOT at EQUAL -1)
        message(FATAL_ERROR "${file} names ${tree}: an installed package must not")
    endif()
endforeach()
