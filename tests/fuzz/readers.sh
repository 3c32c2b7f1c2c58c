#!/usr/bin/env bash
# Fuzzes each reader of metadata for some minutes of CPU time, one after another, below everything else:
#   tests/fuzz/readers.sh MINUTES FOLDER [TARGET...]     e.g. tests/fuzz/readers.sh 30 build-fuzz/readers
# PYTHON is one with atheris (pip install atheris) beside the readers' libraries; without, the system's. Inputs that
# are new are kept in FOLDER/corpus, and those that show a fault in FOLDER. A second run goes on where the first was
# ended: FOLDER/TARGET.done has executions and seconds. Prints a table.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
minutes=${1:?minutes of CPU time for each target} folder=${2:?a folder for what is found}
shift 2
python=${PYTHON:-/usr/bin/python3}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(n5 zarr2 zarr3 ngff tiff npy nifti unpack pictures json_store precomputed hdf5 geotiff npz zip)
mkdir -p "$folder"
status=0
for t in "${targets[@]}"; do
    nice -n 19 "$python" "$here/readers/fuzz.py" "$t" $((minutes * 60)) "$folder" >"$folder/$t.log" 2>&1 || {
        status=1
        echo "$t FAILED, see $folder/$t.log and the inputs beside it" >&2
    }
done
printf '| reader | executions | CPU minutes | edges | corpus |\n|---|---|---|---|---|\n'
for t in "${targets[@]}"; do
    read -r runs cpu <"$folder/$t.done" || continue
    printf '| %s | %s | %s | %s | %s |\n' "$t" "$runs" "$(awk -v c="$cpu" 'BEGIN { printf "%.1f", c / 60 }')" \
        "$(grep -o 'cov: [0-9]*' "$folder/$t.log" | tail -n 1 | cut -c6-)" "$(ls "$folder/corpus/$t" | wc -l)"
done
exit $status
