# What the suites that run under pytest have in common; each folder includes it for itself.
set(LZR_ENVS ${CMAKE_SOURCE_DIR}/build/envs CACHE PATH "where tests/clients/setup.sh puts its environments")
# Debian's own interpreter, never the first in PATH.
set(LZR_PYTEST /usr/bin/python3 -m pytest --tb=short)
set(LZR_TEST_ENVIRONMENT LZR_BUILD=${CMAKE_BINARY_DIR} LZR_ENVS=${LZR_ENVS} PYTHONDONTWRITEBYTECODE=1)

# ctest runs readers beside each other (-j); what counts waits, processes or memory runs alone. To be
# called at the end of a folder whose tests all do.
function(lzr_tests_run_alone)
    get_property(names DIRECTORY PROPERTY TESTS)
    set_property(TEST ${names} PROPERTY RUN_SERIAL TRUE)
endfunction()

# Of these some nevertheless run beside others: they measure nothing.
function(lzr_tests_run_beside)
    set_property(TEST ${ARGN} PROPERTY RUN_SERIAL FALSE)
endfunction()

if(LZR_SANITIZE)
    list(APPEND LZR_TEST_ENVIRONMENT LZR_TEST_SLOW=5) # every deadline in the tests is so much longer
endif()
