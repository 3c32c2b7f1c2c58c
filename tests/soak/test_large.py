"""A memory-mapped volume of 50 GB, served with a halo and a pyramid by 4 workers within --cache 1GiB (issue 5).

The file is sparse but for some blocks of noise. All of its coarsest level is read, so all of the file is, and
chunks of a derived array with a halo by eight clients meanwhile. What each process has resident at most is
printed, and written to large.json in the build folder. LZR_SOAK_GB makes it smaller.
"""
import json
import os
import queue
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lzr

GB = float(os.environ.get("LZR_SOAK_GB", 50))
SIDE = 3200
SHAPE = (max(128, int(GB * 1e9 / 2 / SIDE / SIDE)), SIDE, SIDE)
LEVELS, FACTOR = 5, 16
CACHE = 1 << 30
STORE = f"""
import lazarr, numpy as np, os
from scipy import ndimage

@lazarr.source("volume", axes="zyx", units="micrometer", chunks=64, levels={LEVELS})
def volume():
    return np.memmap(os.path.dirname(__file__) + "/volume.raw", "<u2", "r", shape={SHAPE})

@lazarr.array("smooth", inputs=[volume], dtype="float32", halo=8, boundary="reflect")
def smooth(block, volume):
    return ndimage.gaussian_filter(volume.astype("f4"), 2, mode="nearest")
"""


def make_file(path):
    """Noise in blocks all over the volume; returns where they are."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as f:
        f.truncate(int(np.prod(SHAPE, dtype=object)) * 2)
    v = np.memmap(path, "<u2", "r+", shape=SHAPE)
    places = [tuple(int(rng.integers(0, n - 100)) for n in SHAPE) for _ in range(24)]
    for z, y, x in places:
        v[z:z + 100, y:y + 100, x:x + 100] = rng.integers(0, 65535, (100, 100, 100))
    v.flush()
    return np.memmap(path, "<u2", "r", shape=SHAPE), places


def memory(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return {k: int(re.search(rf"{k}:\s+(\d+) kB", text).group(1)) / 1024
            for k in ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem")}


def read(srv, keys, clients):
    """All keys by so many clients; {key: bytes} of those that are wanted."""
    todo, failed, kept = queue.Queue(), [], {}
    for k in keys:
        todo.put(k)

    def run():
        with srv.connect() as h:
            h.sock.settimeout(600)
            while True:
                try:
                    key, keep = todo.get_nowait()
                except queue.Empty:
                    return
                r = h.request("GET", key)
                if r.status != 200:
                    failed.append((key, r.status, r.text[:200]))
                    return
                if keep:
                    kept[key] = r.body
    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    return threads, failed, kept


@pytest.mark.limit(1500)
def test_fifty_gigabytes(tmp_path):
    from scipy import ndimage
    volume, places = make_file(tmp_path / "volume.raw")
    (tmp_path / "s.py").write_text(STORE)
    with lzr.Server(tmp_path / "s.py", "--workers", "4", "--cache", "1GiB", "--no-access-log") as srv:
        codec = srv.get("/zarr2/s.zarr/volume/4/.zarray").json()
        grid = [-(-s // c) for s, c in zip(codec["shape"], codec["chunks"])]
        coarse = [(f"/zarr2/s.zarr/volume/4/{z}/{y}/{x}", True) for z in range(grid[0])
                  for y in range(grid[1]) for x in range(grid[2])]
        halo = []
        for z, y, x in places * 8:  # the blocks around each place, in turn
            at = [min(v + int(d), n - 1) // 64 for v, d, n in
                  zip((z, y, x), np.random.default_rng(len(halo)).integers(0, 100, 3), SHAPE)]
            halo.append(("/zarr2/s.zarr/smooth/0/" + "/".join(map(str, at)), True))
        t0 = time.monotonic()
        one, failed, levels = read(srv, coarse, 2)
        two, failed2, blocks = read(srv, halo, 8)
        pids = srv.worker_pids()
        peak = {}
        while any(t.is_alive() for t in one + two):
            time.sleep(0.25)
            for name, pid in [("server", srv.process.pid)] + [(f"worker {i}", p) for i, p in enumerate(pids)]:
                now = memory(pid)
                peak[name] = {k: max(v, peak.get(name, {}).get(k, 0)) for k, v in now.items()}
            assert srv.metric("budget_bytes") <= srv.metric("budget_limit_bytes") * 1.05
        seconds = time.monotonic() - t0
        assert not failed and not failed2, (failed + failed2)[:3]
        m = srv.metrics()
        assert m["worker_deaths_total"] == 0 and srv.worker_pids() and set(pids) == set(srv.worker_pids())
        report = {"bytes": volume.nbytes, "seconds": round(seconds, 1), "cache": CACHE,
                  "peak_MiB": {k: {n: round(x, 1) for n, x in v.items()} for k, v in peak.items()},
                  "chunks": {k: int(m[k]) for k in ("made_total", "computed_total", "cache_evictions_total")}}
        print(json.dumps(report, indent=1))
        (lzr.BUILD / "large.json").write_text(json.dumps(report, indent=1) + "\n")

        # Right all the same: the pyramid's mean of means, and the halo, against NumPy.
        decoded: dict = {}
        for place in places:
            low = [min(v // FACTOR, n // FACTOR - 4) for v, n in zip(place, SHAPE)]  # 4³ voxels of level 4
            want = volume[tuple(slice(v * FACTOR, (v + 4) * FACTOR) for v in low)]
            for _ in range(LEVELS - 1):
                want = mean(want)
            for at in np.ndindex(4, 4, 4):
                where = [v + d for v, d in zip(low, at)]
                key = "/zarr2/s.zarr/volume/4/" + "/".join(str(v // 64) for v in where)
                if key not in decoded:
                    decoded[key] = np.frombuffer(lzr.decode(levels[key], codec["compressor"]),
                                                 "<u2").reshape(64, 64, 64)
                assert decoded[key][tuple(v % 64 for v in where)] == want[at], (key, where)
        meta = srv.get("/zarr2/s.zarr/smooth/0/.zarray").json()
        for key, body in list(blocks.items())[:24]:
            pos = [int(p) for p in key.split("/")[-3:]]
            spans = [(p * 64, min(p * 64 + 64, n)) for p, n in zip(pos, SHAPE)]
            region = np.asarray(volume[tuple(slice(max(a - 8, 0), min(b + 8, n))
                                             for (a, b), n in zip(spans, SHAPE))]).astype("f4")
            region = np.pad(region, [(8 - min(a, 8), 8 - min(n - b, 8)) for (a, b), n in zip(spans, SHAPE)],
                            mode="reflect")
            want = ndimage.gaussian_filter(region, 2, mode="nearest")[8:-8, 8:-8, 8:-8]
            got = np.frombuffer(lzr.decode(body, meta["compressor"]), "<f4").reshape(64, 64, 64)
            assert np.array_equal(got[tuple(slice(0, n) for n in want.shape)], want), key

        # docs/memory.md: the budget, 48 MiB and 64 KiB a connection; workers: Python, SciPy, their blocks.
        assert peak["server"]["VmHWM"] < (CACHE >> 20) + 48 + 2
        for i in range(len(pids)):
            assert peak[f"worker {i}"]["RssAnon"] < 160 and peak[f"worker {i}"]["VmHWM"] < 256


def mean(v):
    """One level: the mean of 2³ voxels (fewer at the end), halves rounded up."""
    v = v.astype("u4")
    n = np.ones(v.shape, "u4")
    for axis in range(3):
        ends = np.arange(0, v.shape[axis], 2)
        v, n = np.add.reduceat(v, ends, axis), np.add.reduceat(n, ends, axis)
    return ((2 * v + n) // (2 * n)).astype("u2")
