"""Datasets that lazarr.dataset serves are, opened again by xarray, the same: of every shape in datasets.py, in both
Zarr faces, served and read by different versions of xarray, zarr-python and NumPy."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402

DEBIAN = Path("/usr/bin/python3")
PLAIN = ["days", "forecast", "curvilinear", "stations", "names_as_axis", "only_coordinates"]
ALL = [*PLAIN, "packed", "levels", "tree", "given"]


def python(env):
    path = lzr.ENVS / env / "bin" / "python"
    return lzr.need(path.exists() and path, f"{env} (tests/clients/setup.sh makes it)")


@pytest.fixture(scope="module")
def newest():
    python("readers")
    if not (lzr.BUILD / "lazarr-worker-3.12-numpy2").exists():
        lzr.need(lzr.BUILD == lzr.ROOT / "build", "a run on build/, which ./quickstart worker builds into")
        subprocess.run([lzr.ROOT / "quickstart", "worker", lzr.ENVS / "readers"], check=True, timeout=180,
                       env=lzr.environment())
    with lzr.Server([HERE / "datasets_store.py"], "--python", lzr.ENVS / "readers", "--no-access-log") as server:
        yield server


@pytest.fixture(scope="module")
def debian():
    with lzr.Server([HERE / "datasets_store.py"], "--no-access-log") as server:
        yield server


READ = []  # the servers of this run that were read


def read(server, command, face, names, across="same"):
    READ.append(server)
    p = subprocess.run([str(command), "-W", "ignore", "read_datasets.py", server.url, face, ",".join(names), across],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE, timeout=100 * lzr.SLOW,
                       env=lzr.environment(PYTHONPATH=str(HERE)))
    lines = p.stdout.decode().splitlines()
    assert lines and lines[-1].startswith("{"), p.stdout.decode()[-3000:] + p.stderr.decode()[-3000:]
    report = json.loads(lines[-1])
    print(report["versions"], report["read"])
    assert not report["wrong"], "\n".join(f"{k}: {v}" for k, v in report["wrong"].items())
    assert report["read"] == names


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
@pytest.mark.parametrize("env", ["py311", "readers"])
def test_of_the_newest_xarray(newest, env, face):
    read(newest, python(env), face, ALL)


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_of_debians_xarray_read_by_the_newest(debian, face):
    read(debian, python("py311"), face, [n for n in ALL if n != "tree"], "old")


def test_of_the_newest_read_by_debians(newest):
    """xarray 2023.1 on zarr-python 2: it has no DataTree."""
    read(newest, DEBIAN, "zarr2", [n for n in ALL if n != "tree"], "new")


def test_what_lies_in_memory_was_read_by_the_server_and_nothing_failed():
    assert READ
    for server in {s.url: s for s in READ}.values():
        for a in server.get("/api/stats").json()["arrays"]:
            group = a["path"].split("/")[0]
            assert not a["failed"], a
            lazy = group in ("levels", "packed")
            assert a["computed"] > 0 if a["path"] == "packed/t2m" else not a["computed"] or lazy, a
