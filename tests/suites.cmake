# Writes one add_test per GoogleTest suite of an executable, after it was linked.
#
# The executable itself is asked, so no suite can be forgotten, and ctest shows a line per suite
# and not one per case.
execute_process(COMMAND "${executable}" --gtest_list_tests WORKING_DIRECTORY "${directory}"
                OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${listing}")
set(suites)
foreach(line IN LISTS lines)
    # A suite starts in the first column and ends with a dot: "Name.", "Prefix/Name/0.  # Type".
    if(line MATCHES "^([A-Za-z_][A-Za-z0-9_/]*)\\.( |$)")
        list(APPEND suites "${CMAKE_MATCH_1}")
    endif()
endforeach()
if(NOT suites)
    message(FATAL_ERROR "${executable} lists no test")
endif()
# One entry for all instances of a parameterised suite.
list(TRANSFORM suites REPLACE "/[0-9]+$" "")
list(REMOVE_DUPLICATES suites)
set(text)
foreach(suite IN LISTS suites)
    string(APPEND text "add_test([=[${suite}]=] [=[${executable}]=] [=[--gtest_brief=1]=] "
                       "[=[--gtest_filter=${suite}.*:${suite}/*]=])\n"
                       "set_tests_properties([=[${suite}]=] PROPERTIES TIMEOUT ${timeout} "
                       "WORKING_DIRECTORY [=[${directory}]=])\n")
endforeach()
# The cases are the same in every run, unless whoever runs them asks for others.
string(APPEND text "if(NOT DEFINED ENV{RC_PARAMS})\n"
                   "    set(ENV{RC_PARAMS} seed=1)\nendif()\n")
# Unwinding the stack of every allocation takes a sixth of the time; two frames name the place.
string(APPEND text "if(NOT DEFINED ENV{ASAN_OPTIONS})\n"
                   "    set(ENV{ASAN_OPTIONS} malloc_context_size=2)\nendif()\n")
file(WRITE "${output}" "${text}")
