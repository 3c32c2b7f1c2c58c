#!/bin/sh
# Installs the readers that tests/clients runs, at the versions pinned in this folder, under
# $LZR_ENVS (default: build/envs of the checkout). Called by CTest before the tests that need it; a
# second run takes a fraction of a second.
#
# Debian's own readers (python3-zarr 2.13, xarray, dask, fsspec, aiohttp) come from apt and are only
# looked for here. Interpreters other than Debian's are found in LZR_TEST_PYTHONS (prefixes,
# separated by colons), else among pyenv's. One that is missing fails where CI=true and is said
# loudly elsewhere; the tests that need it are then skipped, also loudly.
set -eu

. "$(dirname "$0")/../envs.sh"

# The interpreter of a minor version, with a shared libpython as the worker needs one; prints its path.
find_python() {
    (
        IFS=:
        for prefix in ${LZR_TEST_PYTHONS:-}; do
            if [ -x "$prefix/bin/python$1" ]; then
                echo "$prefix/bin/python$1"
                exit 0
            fi
        done
    ) | head -n 1 | grep . && return 0
    for prefix in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".* "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1"; do
        if [ -x "$prefix/bin/python$1" ]; then
            echo "$prefix/bin/python$1"
            return 0
        fi
    done
    return 1
}

# make_env NAME INTERPRETER REQUIREMENTS: each with its hash, that of the wheel for x86-64, as
# "pip install --dry-run --ignore-installed --no-deps -r FILE --report -" says it
make_env() {
    # Without the hashes: what is there stays if only they are new.
    want=$( (echo "$2"; sed 's/ --hash=[^ ]*//g' "$3") | sha256sum)
    if [ "$(cat "$envs/$1/.installed" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    echo "clients/setup.sh: installing $1 (from $(basename "$3"))"
    rm -rf "${envs:?}/$1"
    "$2" -m venv "$envs/$1"
    "$envs/$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$3"
    echo "$want" >"$envs/$1/.installed"
}

make_env py311 /usr/bin/python3 "$here/requirements-3.11.txt"
# For workers: NumPy 1, which a worker that was built with Debian's can load.
make_env py311np1 /usr/bin/python3 "$here/requirements-worker-3.11.txt"
# Another patch version of 3.11 than Debian has, where there is one: a worker must not mix the two.
if python=$(find_python 3.11) && [ "$("$python" -V)" != "$(/usr/bin/python3 -V)" ]; then
    make_env py311other "$python" "$here/requirements-worker-3.11.txt"
fi

for minor in 3.12 3.13; do
    if python=$(find_python "$minor"); then
        make_env "py$(echo "$minor" | tr -d .)" "$python" "$here/requirements-$minor.txt"
        if [ "$minor" = 3.12 ]; then
            make_env readers "$python" "$here/requirements-readers-3.12.txt"
            make_env files "$python" "$here/requirements-files-3.12.txt"
            make_env xr2024 "$python" "$here/requirements-xarray-2024.txt"
            make_env xr2025 "$python" "$here/requirements-xarray-2025.txt"
            make_env writers "$python" "$here/requirements-writers-3.12.txt"
        fi
    else
        missing "no Python $minor in LZR_TEST_PYTHONS nor in pyenv; its tests are skipped"
    fi
done

if command -v npm >/dev/null; then
    want=$(sha256sum <"$here/package-lock.json")
    if [ "$(cat "$envs/node/.installed" 2>/dev/null)" != "$want" ]; then
        echo "clients/setup.sh: installing zarrita.js and its node"
        rm -rf "$envs/node"
        mkdir "$envs/node"
        cp "$here/package.json" "$here/package-lock.json" "$envs/node/"
        (cd "$envs/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        echo "$want" >"$envs/node/.installed"
    fi
else
    missing "npm (apt-get install npm); the zarrita.js tests are skipped"
fi

/usr/bin/python3 -c 'import zarr, xarray, dask.array, fsspec, aiohttp, nibabel' ||
    missing "Debian's readers: apt-get install python3-zarr python3-xarray python3-dask python3-fsspec python3-aiohttp python3-nibabel"
command -v curl >/dev/null || missing "curl"
test -f /usr/share/mricron/templates/ch2.nii.gz || missing "mricron-data (the brain MRI)"
echo "clients/setup.sh: ready in $envs"
