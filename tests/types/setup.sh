#!/bin/sh
# Installs mypy and pyright, at the versions pinned in this folder, under $LZR_ENVS/types (default:
# build/envs of the checkout). Called by CTest before tests/types; a second run takes a fraction of a second.
set -eu

. "$(dirname "$0")/../envs.sh"

want=$(cat "$here/requirements.txt" "$here/package-lock.json" | sha256sum)
if [ "$(cat "$envs/types/.installed" 2>/dev/null)" = "$want" ]; then
    exit 0
fi
echo "types/setup.sh: installing mypy and pyright"
rm -rf "$envs/types"
/usr/bin/python3 -m venv "$envs/types"
"$envs/types/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.txt"
if command -v npm >/dev/null; then
    cp "$here/package.json" "$here/package-lock.json" "$envs/types/"
    (cd "$envs/types" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
else
    missing "npm (apt-get install npm); pyright is skipped"
fi
echo "$want" >"$envs/types/.installed"
echo "types/setup.sh: ready in $envs/types"
