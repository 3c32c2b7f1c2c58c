"""Damaged copies of a file of each kind: an error line or right data, never an end or a hang of the server.
LZR_FUZZ_FILES copies a kind (12; 1000 with the label fuzz), in processes of their own (fuzz_files.py); those
that made one of these die, and a few others, are then served."""
import json
import os
import random
import shutil
import subprocess

import pytest

import fuzz_files
import lzr
import test_b_pythons

N = int(os.environ.get("LZR_FUZZ_FILES", "12"))
LACKING = {False: {"zarr3"}, True: {"netcdf3"}}  # no zarr 3 in Debian's, no SciPy in the newest
SEED = int(os.environ.get("LZR_FUZZ_SEED", "1"))


@pytest.fixture(params=["debian", "newest"])
def python(request):
    """(an interpreter with the readers, the --python of a server)"""
    if request.param == "debian":
        return "/usr/bin/python3", []
    where = lzr.ENVS / "files"
    lzr.need(where.is_dir(), "the environment files of tests/clients/setup.sh, with the newest readers")
    test_b_pythons.worker_for(where, 12, 2)
    return where / "bin/python", ["--python", where]


def serve(path, key, args):
    """lazarr get, with a deadline for the workers: 0 with bytes, or 1 with a line."""
    r = subprocess.run([lzr.LAZARR, "get", path, key, "--workers", "1", "--start-timeout", "20", *args],
                       capture_output=True, timeout=90 * lzr.SLOW, env=lzr.environment())
    said = r.stderr.decode("utf-8", "replace")
    assert r.returncode in (0, 1), (path, r.returncode, said)
    assert r.returncode == 0 or said.strip().splitlines()[-1].startswith("lazarr: "), (path, said)
    return r


@pytest.mark.limit(3600)
def test_damaged_copies(python, tmp_path):
    interpreter, args = python
    r = subprocess.run([interpreter, lzr.Path(fuzz_files.__file__), tmp_path, str(N), str(SEED)],
                       capture_output=True, text=True, timeout=3600,
                       env=lzr.environment(PYTHONPATH=str(lzr.PYTHON_DIR)))
    assert r.returncode == 0, r.stderr
    done = [json.loads(line) for line in r.stdout.splitlines()]
    print(r.stdout)
    assert {kind["kind"] for kind in done} == set(fuzz_files.KINDS) - LACKING[bool(args)]
    for kind in done:
        assert sum(kind["counts"].values()) == N
        assert set(kind["counts"]) <= {"read", "refused", "unreadable", "died"}, kind
        for path in kind["kept"][:5]:  # a library died of it: the server does not
            serve(path, "zarr2/f.zarr/.zgroup", args)


@pytest.mark.limit(180)
def test_damaged_copies_are_served(python, tmp_path):
    """The whole way for one copy of each kind, and for all the sound ones at once."""
    _, args = python
    good = {}
    for kind, (make, name) in fuzz_files.KINDS.items():
        if kind in LACKING[bool(args)]:
            continue
        good[kind], path = tmp_path / "good" / name, tmp_path / kind / name
        good[kind].parent.mkdir(exist_ok=True)
        path.parent.mkdir()
        make(good[kind])
        (shutil.copytree if good[kind].is_dir() else shutil.copy)(good[kind], path)
        fuzz_files.mutate(path, random.Random(f"{kind} {SEED}"))
        serve(path, f"zarr2/{name.split('.')[0]}.zarr/.zgroup", args)
    with lzr.Server([f"{k}={p}" for k, p in good.items()], "--workers", "1", *args) as srv:
        for kind in good:
            assert srv.get(f"/zarr2/{kind}.zarr/.zgroup").status == 200, kind
