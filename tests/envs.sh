# Sourced by the setup.sh of a folder of tests: sets here (that folder) and envs, where environments are
# installed ($LZR_ENVS, default: build/envs of the checkout).
# shellcheck shell=sh
here=$(cd "$(dirname "$0")" && pwd)
envs=${LZR_ENVS:-$here/../../build/envs}
mkdir -p "$envs"
envs=$(cd "$envs" && pwd)
# An activated environment would otherwise be taken for the one to build on.
unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH || true

# Two runs at once (ctest -j) must not write to one folder.
exec 9>"$envs/.lock-$(basename "$here")"
flock 9

# What isn't there fails in CI; elsewhere it is said, and its tests are skipped, as loudly.
missing() {
    echo "$(basename "$here")/setup.sh: MISSING: $1" >&2
    if [ "${CI:-}" = true ]; then
        exit 1
    fi
}
