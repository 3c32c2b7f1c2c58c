#!/usr/bin/python3
"""A Gaussian (sigma 2, radius 8) of a 512³ float32 volume, in the memory of the process that asked: by scipy on
the whole array, through lazarr in blocks with a halo of 8, and by dask's map_overlap from a Zarr on disk, on
the same cores.

    halo.py [ROUNDS [SIDE [CHUNK]]]        SIDE 512, CHUNK 64; 256 for a short run

scipy has the array in memory. lazarr has the plain file as a source; its chunks are computed by as many workers
as there are cores, encoded (blosc-lz4), cached, sent, and decoded by as many threads of this script. "chain":
the source's chunks are computed ones (a copy), so that each region is put together from 27 encoded chunks.
dask has a Zarr of the same chunks and codec, threads as many as cores, and computes into memory; "to Zarr"
stores instead, as a dask user would to look at the result.

Needs Debian's python3-scipy, python3-dask, python3-zarr, python3-numcodecs."""
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
from scipy import ndimage

import common

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS = common.rounds()
SIDE = int(sys.argv[2]) if len(sys.argv) > 2 else 512
CHUNK = int(sys.argv[3]) if len(sys.argv) > 3 else 64
CORES = os.cpu_count()
numcodecs.blosc.use_threads = False


def make_volume():
    """Smooth structures with noise, as microscopes make them."""
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    rng = np.random.default_rng(3)
    out = np.empty((SIDE,) * 3, np.float32)
    for k in range(SIDE):
        out[k] = (110 + 60 * np.sin(k / 23) * np.cos(y[0] / 31) + 40 * np.sin(x[0] / 17 + k / 40)
                  + rng.standard_normal((SIDE, SIDE), dtype=np.float32))
    return out


def gaussian(a):
    return ndimage.gaussian_filter(a, 2, truncate=4)


def read(port, path):
    """All chunks of an array, on as many connections as cores."""
    base = f"/zarr2/store_halo.zarr/{path}/"
    meta = json.loads(common.get(port, base + ".zarray"))
    shape, chunks = meta["shape"], meta["chunks"]
    codec = numcodecs.get_codec(meta["compressor"])
    out = np.empty(shape, meta["dtype"])
    local = threading.local()

    def one(pos):
        if not hasattr(local, "http"):
            local.http = http.client.HTTPConnection("127.0.0.1", port)
        local.http.request("GET", base + meta["dimension_separator"].join(map(str, pos)))
        r = local.http.getresponse()
        body = r.read()
        assert r.status == 200, body[:200]
        block = np.frombuffer(codec.decode(body), meta["dtype"]).reshape(chunks)
        at = tuple(slice(p * c, min((p + 1) * c, n)) for p, c, n in zip(pos, chunks, shape))
        out[at] = block[tuple(slice(0, a.stop - a.start) for a in at)]

    # A little more than cores: a worker never waits for the next request.
    with concurrent.futures.ThreadPoolExecutor(2 * CORES) as pool:
        list(pool.map(one, itertools.product(*(range(-(-n // c)) for n, c in zip(shape, chunks)))))
    return out


def timed(f):
    t0 = time.perf_counter()
    value = f()
    return time.perf_counter() - t0, value


def through_lazarr(file, path, before=None):
    """A fresh server each time: nothing is cached."""
    os.environ.update(HALO_FILE=str(file), HALO_CHUNK=str(CHUNK))
    with common.Lazarr(HERE / "store_halo.py", "--workers", str(CORES), "--cache", "4GiB") as srv:
        if before:
            read(srv.port, before)
        seconds, value = timed(lambda: read(srv.port, path))
        stats = json.loads(common.get(srv.port, "/api/stats"))
    s = stats.get("counters", stats)
    gathered = s.get("gathered_total", 0)
    gather = s.get("gather_us_total", 0) / gathered if gathered else 0
    return seconds, value, gather


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lzr-halo-"))
    try:
        whole = make_volume()
        np.save(folder / "volume.npy", whole)
        z = zarr.open(str(folder / "in.zarr"), "w", shape=whole.shape, chunks=(CHUNK,) * 3, dtype="f4",
                      compressor=numcodecs.Blosc("lz4", 5, 1))
        z[...] = whole
        dask.config.set(scheduler="threads", num_workers=CORES)
        rows, want = [], None
        for turn in range(ROUNDS):
            scipy_s, want = timed(lambda: gaussian(whole))
            lazarr_s, got, gather = through_lazarr(folder / "volume.npy", "smooth")
            assert np.allclose(got, want, atol=1e-3), "lazarr's values"
            chain_s, got, chain_gather = through_lazarr(folder / "volume.npy", "smooth_copy", "copy")
            assert np.allclose(got, want, atol=1e-3), "the chain's values"
            overlap = da.from_zarr(str(folder / "in.zarr")).map_overlap(
                gaussian, depth=8, boundary="reflect", dtype="f4")
            dask_s, got = timed(overlap.compute)
            assert np.allclose(got, want, atol=1e-3), "dask's values"
            del got
            shutil.rmtree(folder / "out.zarr", ignore_errors=True)
            stored_s, _ = timed(lambda: overlap.to_zarr(str(folder / "out.zarr")))
            rows.append([scipy_s, lazarr_s, chain_s, dask_s, stored_s, lazarr_s / scipy_s,
                         chain_s / scipy_s, lazarr_s / dask_s, gather / 1e3, chain_gather / 1e3])
        rows.append([common.median(c) for c in zip(*rows)])
        names = [str(i + 1) for i in range(ROUNDS)] + ["median"]
        print(f"{SIDE}³ float32, chunks of {CHUNK}³, {CORES} cores")
        common.table(["round", "scipy s", "lazarr s", "lazarr, chain s", "dask s", "dask to Zarr s",
                      "lazarr / scipy", "chain / scipy", "lazarr / dask", "gather ms", "chain's gather ms"],
                     [[n] + [f"{v:.2f}" for v in r] for n, r in zip(names, rows)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
