#!/usr/bin/python3
"""Maps as time series: `lazarr serve maps.zarr --rechunk time=-1,lat=16,lon=16` beside dask's rechunk of the same
file.

    rechunk.py [ROUNDS [TIMES]]        TIMES 1000; maps of 181 x 360 float32, one a stored chunk (blosc-lz4)

whole: all series. lazarr's are fetched over HTTP by as many threads as cores and written as they come into a folder,
which is a Zarr then; dask rechunks and stores to one (`da.from_zarr(...).rechunk(...).to_zarr(...)`, threads as many
as cores). ten series: ten points at random, one after the other: of lazarr the chunk that has it, decoded; of dask
`array[:, y, x].compute()`; "cold" of a server that has just been started, "again" ten others of one that has read
the whole file. Sides alternate; medians of the rounds, times in seconds.

Needs Debian's python3-dask, python3-zarr, python3-numcodecs."""
import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

import dask
import dask.array as da
import numcodecs
import numpy as np
import zarr

import common

ROUNDS = common.rounds(3)
TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
LAT, LON, TILE = 181, 360, 16
CORES = os.cpu_count()
BASE = "/zarr2/maps.zarr/rechunked/t2m"
numcodecs.blosc.use_threads = False


def make_file(folder):
    """Waves, seasons and noise, as temperatures have them, rounded as packed ones are."""
    g = zarr.open_group(str(folder), "w")
    a = g.create_dataset("t2m", shape=(TIMES, LAT, LON), chunks=(1, LAT, LON), dtype="f4",
                         compressor=numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE), fill_value=np.nan)
    a.attrs["_ARRAY_DIMENSIONS"] = ["time", "lat", "lon"]
    rng = np.random.default_rng(0)
    y, x = np.linspace(90, -90, LAT)[:, None], np.arange(LON)[None]
    for t in range(TIMES):
        noise = rng.standard_normal((LAT, LON), dtype="f4")
        a[t] = np.round(255 + 45 * np.cos(np.radians(y)) ** 2 + 4 * np.sin(np.radians(3 * x) + t / 5) + noise, 2)


class Fetch:
    """Chunks over HTTP, a connection a thread."""

    def __init__(self, port):
        self.port, self.local = port, threading.local()

    def __call__(self, key):
        c = getattr(self.local, "c", None)
        if c is None:
            c = self.local.c = http.client.HTTPConnection("127.0.0.1", self.port)
        c.request("GET", f"{BASE}/{key}")
        r = c.getresponse()
        body = r.read()
        if r.status != 200:
            raise RuntimeError(f"{key}: {r.status} {body[:200]!r}")
        return body


def whole_lazarr(port, out):
    fetch = Fetch(port)
    out.mkdir()

    def one(pos):
        key = ".".join(map(str, pos))
        (out / key).write_bytes(fetch(key))
    grid = itertools.product([0], range(-(-LAT // TILE)), range(-(-LON // TILE)))
    with concurrent.futures.ThreadPoolExecutor(16 * CORES) as pool:
        list(pool.map(one, grid))
    (out / ".zarray").write_bytes(fetch(".zarray"))


def whole_dask(file, out):
    with dask.config.set(scheduler="threads", num_workers=CORES):
        da.from_zarr(str(file), component="t2m").rechunk((TIMES, TILE, TILE)).to_zarr(str(out))


def ten_lazarr(port, points):
    fetch = Fetch(port)
    meta = json.loads(fetch(".zarray"))
    codec = numcodecs.get_codec(meta["compressor"])
    out = []
    for y, x in points:
        block = np.frombuffer(codec.decode(fetch(f"0.{y // TILE}.{x // TILE}")), "f4").reshape(meta["chunks"])
        out.append(block[:, y % TILE, x % TILE])
    return out


def ten_dask(file, points):
    a = da.from_zarr(str(file), component="t2m")
    with dask.config.set(scheduler="threads", num_workers=CORES):
        return [a[:, y, x].compute() for y, x in points]


def timed(work, *args):
    t0 = time.perf_counter()
    got = work(*args)
    return time.perf_counter() - t0, got


def metric(port, name):
    text = common.get(port, "/metrics").decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"lazarr_{name} "))


def one_round(k, folder, file, rows):
    rng = np.random.default_rng(k)
    points = [[(int(rng.integers(LAT)), int(rng.integers(LON))) for _ in range(10)] for _ in range(2)]
    serve = [str(file), "--rechunk", f"time=-1,lat={TILE},lon={TILE}"]
    for side in ("lazarr", "dask") if k % 2 == 0 else ("dask", "lazarr"):
        out = folder / f"{side}{k}.zarr"
        if side == "dask":
            rows["whole", side].append(timed(whole_dask, file, out)[0])
            for which, its in zip(("ten series, cold", "ten series, again"), points):
                seconds, want = timed(ten_dask, file, its)
                rows[which, side].append(seconds)
        else:
            with common.Lazarr(*serve) as srv:
                rows["ten series, cold", side].append(timed(ten_lazarr, srv.port, points[0])[0])
            with common.Lazarr(*serve) as srv:
                rows["whole", side].append(timed(whole_lazarr, srv.port, out)[0])
                rows["decoded"] = metric(srv.port, "copy_decoded_total"), metric(srv.port, "computed_total")
                seconds, got = timed(ten_lazarr, srv.port, points[1])
                rows["ten series, again", side].append(seconds)
    a, b = (zarr.open_array(str(folder / f"{side}{k}.zarr"), mode="r") for side in ("lazarr", "dask"))
    assert a.chunks == b.chunks and all(np.array_equal(a[:, y:y + 60], b[:, y:y + 60]) for y in range(0, LAT, 60))
    assert all(np.array_equal(x, y) for x, y in zip(got, want))
    for side in ("lazarr", "dask"):
        shutil.rmtree(folder / f"{side}{k}.zarr")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lazarr-rechunk-"))
    try:
        file = folder / "maps.zarr"
        make_file(file)
        whats = ("whole", "ten series, cold", "ten series, again")
        rows = {(what, side): [] for what in whats for side in ("lazarr", "dask")}
        for k in range(ROUNDS):
            one_round(k, folder, file, rows)
        print(f"{TIMES} maps of {LAT} x {LON}, {TIMES * LAT * LON * 4 >> 20} MiB; series of {TIMES} x {TILE} x {TILE}; "
              f"for all of them {rows['decoded'][0]:.0f} chunks decoded, {rows['decoded'][1]:.0f} read")
        table = []
        for what in whats:
            mine, its = (common.median(rows[what, side]) for side in ("lazarr", "dask"))
            table.append([what, f"{mine:.2f}", f"{its:.2f}", f"{its / mine:.2f}"])
        common.table(["", "lazarr s", "dask s", "dask / lazarr"], table)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
