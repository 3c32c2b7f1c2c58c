#!/bin/sh
# Installs stardist and tensorflow, at the versions pinned beside this file, under
# $LZR_ENVS/stardist (default: build/envs of the checkout), and trains the network of
# examples/nuclei.py into $LZR_ENVS/nuclei, once. A gigabyte and some minutes, so nothing of
# ./quickstart test.
set -eu

. "$(dirname "$0")/../envs.sh"

want=$(sed 's/ --hash=[^ ]*//g' "$here/requirements.txt" | sha256sum)
if [ "$(cat "$envs/stardist/.installed" 2>/dev/null)" != "$want" ]; then
    echo "gallery/setup.sh: installing stardist and tensorflow"
    rm -rf "$envs/stardist"
    /usr/bin/python3 -m venv "$envs/stardist"
    "$envs/stardist/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.txt"
    echo "$want" >"$envs/stardist/.installed"
fi
if [ ! -e "$envs/nuclei/lazarr-nuclei-1/nuclei/weights_best.h5" ]; then
    echo "gallery/setup.sh: training (some minutes)"
    XDG_CACHE_HOME=$envs/nuclei "$envs/stardist/bin/python" "$here/../../examples/nuclei.py" \
        >"$envs/nuclei-training.log" 2>&1 || { tail -n 20 "$envs/nuclei-training.log"; exit 1; }
fi
echo "gallery/setup.sh: ready in $envs"
