#!/usr/bin/env bash
# Fuzzes each target for some minutes of CPU time and prints executions and coverage as a table:
#   tests/fuzz/run.sh MINUTES [TARGET...]        e.g. tests/fuzz/run.sh 30, tests/fuzz/run.sh 1 worker
# As many at once as there are processors (JOBS=n for others), below everything else that runs. Starts from
# tests/corpus/TARGET and keeps what it finds in build-fuzz/corpus/TARGET. A second run goes on where the
# first was ended: build-fuzz/done/TARGET counts; remove it to begin anew. A crash ends the target with
# the input's path. Needs clang with its libFuzzer and llvm (Debian: clang, libclang-rt-14-dev, llvm).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
minutes=${1:?minutes of CPU time for each target}
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        targets+=("${name#fuzz_}")
    done
fi

# One target until it has had its time: run.sh MINUTES TARGET with LZR_FUZZ_ONE, called by the one below.
if [ -n "${LZR_FUZZ_ONE:-}" ]; then
    t=${targets[0]} log=build-fuzz/${targets[0]}.log TIMEFORMAT='%U %S'
    runs=0 cpu=0
    [ -f "build-fuzz/done/$t" ] && read -r runs cpu <"build-fuzz/done/$t"
    dictionary=()
    [ -f "tests/fuzz/$t.dict" ] && dictionary=("-dict=tests/fuzz/$t.dict")
    [ "$t" = http ] && dictionary+=(-detect_leaks=0) # its server's threads free what they took a little later
    while left=$((minutes * 60 - ${cpu%.*})) && [ "$left" -gt 0 ]; do
        slice=$((left < 300 ? left : 300)) # of the wall's seconds; how much of the processor that was, time says
        if ! { time chrt --idle 0 "build-fuzz/fuzz/fuzz_$t" -max_total_time="$slice" -timeout=60 -rss_limit_mb=2048 \
            -print_final_stats=1 -max_len=4096 -artifact_prefix=build-fuzz/crash/ "${dictionary[@]}" \
            "build-fuzz/corpus/$t" "tests/corpus/$t" >"$log" 2>&1; } 2>"build-fuzz/$t.time"; then
            echo "$t FAILED, see $log and build-fuzz/crash:" >&2
            tail -n 40 "$log" >&2
            exit 1
        fi
        read -r runs cpu < <(awk -v r="$runs" -v c="$cpu" '/number_of_executed_units/ { r += $2 } NF == 2 && /^[0-9.]+ [0-9.]+$/ { c += $1 + $2 }
            END { printf "%.0f %.1f\n", r, c }' "$log" "build-fuzz/$t.time")
        echo "$runs $cpu" >"build-fuzz/done/$t"
    done
    exit 0
fi

# What each target is there to reach: the lines of these files are its coverage.
declare -A files=(
    [access]="src/http/access.c src/http/mask.c src/http/public.c src/http/target.c"
    [codec]="store/codec.c store/lz4block.c"
    [http]="src/http/badhead.c src/http/longhead.c src/http/headroom.c src/http/tails.c src/http/server.c src/http/admit.c src/http/folder.c src/http/document.c src/http/respond.c src/http/condition.c src/http/cors.c src/http/target.c"
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

mkdir -p build-fuzz/crash build-fuzz/done
for t in "${targets[@]}"; do
    mkdir -p "build-fuzz/corpus/$t"
done
status=0
printf '%s\n' "${targets[@]}" | LZR_FUZZ_ONE=1 xargs -P "${JOBS:-$(nproc)}" -n 1 "$0" "$minutes" || status=1
printf '| target | executions | CPU minutes | a CPU second | edges | corpus | reached of what it is there for |\n|---|---|---|---|---|---|---|\n'
total=0
for t in "${targets[@]}"; do
    read -r runs cpu <"build-fuzz/done/$t" || continue
    total=$((total + runs))
    cp -n "tests/corpus/$t"/* "build-fuzz/corpus/$t/" 2>/dev/null || true
    printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$t" "$runs" "$(awk -v c="$cpu" 'BEGIN { printf "%.1f", c / 60 }')" \
        "$(awk -v r="$runs" -v c="$cpu" 'BEGIN { printf "%.0f", r / (c > 0 ? c : 1) }')" \
        "$(grep -o 'cov: [0-9]*' "build-fuzz/$t.log" | tail -n 1 | cut -c6-)" \
        "$(ls "build-fuzz/corpus/$t" | wc -l)" "$(coverage "$t")"
done
echo "$total executions"
exit $status
