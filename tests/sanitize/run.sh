#!/usr/bin/env bash
# Builds the server's side with a sanitizer and runs the unit tests and the end-to-end tests of engine,
# failures and HTTP on it, or only those given:  run.sh asan|tsan [TEST...]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH
preset=$1
wrap=()
# A file is one process' as a whole: sanitized servers take processor time more than they wait.
pytest=(/usr/bin/python3 -m pytest -q -n "$(nproc)" --dist loadfile)
export ASAN_OPTIONS=halt_on_error=1:abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
# The thread sanitizer of this age needs addresses where it expects them.
[ "$preset" = tsan ] && wrap=(setarch "$(uname -m)" -R)
cmake --preset "$preset" >"build-$preset.log" 2>&1 && cmake --build "build-$preset" >>"build-$preset.log" 2>&1 ||
    { tail -n 40 "build-$preset.log"; exit 1; }
rm -f "build-$preset.log"
if [ $# -gt 1 ]; then # these tests only
    LZR_BUILD="$PWD/build-$preset" LZR_TEST_SLOW=4 exec "${wrap[@]}" "${pytest[@]}" "${@:2}"
fi
"${wrap[@]}" ctest --test-dir "build-$preset" -L unit -j "$(nproc)" --output-on-failure
LZR_BUILD="$PWD/build-$preset" LZR_TEST_SLOW=4 "${wrap[@]}" "${pytest[@]}" \
    tests/e2e/test_a_basic.py tests/e2e/test_a_formats.py tests/e2e/test_a_http.py tests/e2e/test_b_engine.py tests/e2e/test_b_failures.py \
    tests/e2e/test_h_reload.py tests/e2e/test_h_hostile.py tests/e2e/test_c_inputs.py tests/e2e/test_d_pyramid.py tests/e2e/test_b_handover.py tests/e2e/test_b_slots.py
