# Where no tests are built, ctest fails and says how to build them. By itself it says "No tests were found" and
# ends with status 0, which a script takes for success.
enable_testing()
file(WRITE ${CMAKE_BINARY_DIR}/no-tests.cmake
    "message(FATAL_ERROR \"no tests are built here: ./quickstart build, or cmake -DBUILD_TESTING=ON (needs cmocka)\")\n")
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_BINARY_DIR}/no-tests.cmake)
