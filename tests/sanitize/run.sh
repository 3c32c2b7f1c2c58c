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
# The thread sanitizer sees nothing in what has no threads: formats, keys, codecs, hostile requests one by one.
pure=none
files=(tests/e2e/test_{a_http,b_engine,b_failures,h_reload,c_inputs,d_pyramid,b_handover,b_slots}.py)
if [ "$preset" = tsan ]; then
    pure='corpus_|unit_(access|catalog|codec|cond|cors|cost|dtype|grid|json|manifest|manifest_graph|oom|plan|public|pyramid|range|reach|strided|target|touched)$'
else
    files+=(tests/e2e/test_{a_basic,a_formats,h_hostile}.py)
fi
"${wrap[@]}" ctest --test-dir "build-$preset" -L unit -E "$pure" -j "$(nproc)" --output-on-failure
LZR_BUILD="$PWD/build-$preset" LZR_TEST_SLOW=4 "${wrap[@]}" "${pytest[@]}" "${files[@]}"
