#!/usr/bin/env bash
# Fuzzes each target for some minutes and prints executions and coverage as a table:
#   tests/fuzz/run.sh MINUTES [TARGET...]        e.g. tests/fuzz/run.sh 30, tests/fuzz/run.sh 1 worker
# Starts from tests/corpus/TARGET and keeps what it finds in build-fuzz/corpus/TARGET. A crash ends it with
# the input's path. Needs clang with its libFuzzer and llvm (Debian: clang, libclang-rt-14-dev, llvm).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
minutes=${1:?minutes for each target}
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        targets+=("${name#fuzz_}")
    done
fi

# What each target is there to reach: the lines of these files are its coverage.
declare -A files=(
    [access]="src/http/access.c src/http/public.c src/http/target.c"
    [codec]="store/codec.c store/lz4block.c"
    [json]="store/json_writer.c store/json_span.c"
    [key]="store/keys.c store/catalog.c store/path.c store/face.c store/grid.c"
    [manifest]="store/manifest.c store/manifest_array.c store/manifest_fields.c store/manifest_codecs.c store/json_span.c store/catalog_build.c"
    [range]="src/http/range.c src/http/condition.c src/http/cors.c"
    [target]="src/http/target.c"
    [worker]="src/engine/channel.c src/engine/reply.c src/engine/dispatch.c src/engine/flight.c"
)

build() { # folder, sanitizers, flags
    cmake -S . -B "$1" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS="$3" \
        -DLZR_SANITIZE="$2" >"$1/build.log" 2>&1 &&
        ninja -C "$1" "${targets[@]/#/fuzz_}" >>"$1/build.log" 2>&1 || { tail -n 30 "$1/build.log"; exit 1; }
}
mkdir -p build-fuzz build-cover
build build-fuzz address,undefined,fuzzer-no-link "-O1"
build build-cover "" "-O0 -fprofile-instr-generate -fcoverage-mapping"

# Lines of its files that a target's corpus reaches, in percent.
coverage() {
    local t=$1 profile=build-cover/$1.profraw paths=()
    LLVM_PROFILE_FILE=$profile "build-cover/fuzz/fuzz_$t" "build-fuzz/corpus/$t" >/dev/null
    llvm-profdata merge -o "build-cover/$t.profdata" "$profile"
    for file in ${files[$t]:-}; do [ -f "$file" ] && paths+=("$PWD/$file"); done
    llvm-cov export -summary-only -instr-profile "build-cover/$t.profdata" "build-cover/fuzz/fuzz_$t" "${paths[@]}" |
        /usr/bin/python3 -c 'import json, sys
t = json.load(sys.stdin)["data"][0]["totals"]
print("%.0f %% of %d lines, %.0f %% of branches" % (t["lines"]["percent"], t["lines"]["count"], t["branches"]["percent"]))'
}

printf '| target | executions | a second | edges | corpus | reached of what it is there for |\n|---|---|---|---|---|---|\n'
status=0
for t in "${targets[@]}"; do
    mkdir -p "build-fuzz/corpus/$t" "build-fuzz/crash"
    log=build-fuzz/$t.log
    dictionary=()
    [ -f "tests/fuzz/$t.dict" ] && dictionary=("-dict=tests/fuzz/$t.dict")
    if ! nice -n 19 "build-fuzz/fuzz/fuzz_$t" -max_total_time=$((minutes * 60)) -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -max_len=4096 -artifact_prefix=build-fuzz/crash/ "${dictionary[@]}" \
        "build-fuzz/corpus/$t" "tests/corpus/$t" >"$log" 2>&1; then
        echo "$t FAILED, see $log and build-fuzz/crash:"
        tail -n 40 "$log"
        status=1
        continue
    fi
    cp -n "tests/corpus/$t"/* "build-fuzz/corpus/$t/" 2>/dev/null || true
    printf '| %s | %s | %s | %s | %s | %s |\n' "$t" \
        "$(sed -n 's/stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -n 's/stat::average_exec_per_sec: *//p' "$log")" \
        "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -c6-)" \
        "$(ls "build-fuzz/corpus/$t" | wc -l)" "$(coverage "$t")"
done
exit $status
