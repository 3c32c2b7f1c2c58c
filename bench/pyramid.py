#!/usr/bin/python3
"""A mean pyramid of a 512³ uint8 volume: all voxels of the levels above the first, in the memory of the
process that asked, through lazarr and by tensorstore's downsample driver, on the same cores.

    pyramid.py [ROUNDS [SIDE]]        SIDE 512; 256 for a short run

warm: both begin with the volume in 64³ chunks of blosc-lz4, lazarr in its cache, tensorstore in a Zarr v3 on
      disk (in the page cache). lazarr's levels are then reduced, encoded, cached, sent and decoded;
      tensorstore's are read from its driver, each level from the one below in memory.
file: both begin with the plain file, lazarr as a source, tensorstore with the mapped array.

Needs an interpreter with tensorstore (tests/clients/setup.sh makes one)."""
import os
import pathlib
import shutil
import sys
import tempfile
import time

import common

ENVS = pathlib.Path(os.environ.get("LZR_ENVS", common.ROOT / "build" / "envs"))
try:
    import numpy as np
    import tensorstore as ts
except ImportError:
    python = ENVS / "py313" / "bin" / "python"
    if os.environ.get("LZR_BENCH_AGAIN") or not python.exists():
        sys.exit("pyramid.py needs tensorstore: run tests/clients/setup.sh")
    os.execve(python, [str(python), *sys.argv], {**os.environ, "LZR_BENCH_AGAIN": "1"})

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS = common.rounds()
SIDE = int(sys.argv[2]) if len(sys.argv) > 2 else 512
LEVELS = 1 + max(1, (SIDE // 64).bit_length() - 1)  # down to one chunk
CODEC = {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle",
                                            "typesize": 1, "blocksize": 0}}


def make_volume():
    """Smooth structures with a little noise, as microscopes make them."""
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    rng = np.random.default_rng(3)
    out = np.empty((SIDE,) * 3, np.uint8)
    for k in range(SIDE):
        plane = 110 + 60 * np.sin(k / 23) * np.cos(y[0] / 31) + 40 * np.sin(x[0] / 17 + k / 40)
        out[k] = plane + rng.integers(0, 4, (SIDE, SIDE))
    return out


def opened(port, level):
    at = f"http://127.0.0.1:{port}/zarr3/store_pyramid.zarr/volume/{level}/"
    return ts.open({"driver": "zarr3", "kvstore": at}, read=True).result()


def lazarr_levels(port):
    levels = [opened(port, k) for k in range(1, LEVELS)]
    t0 = time.perf_counter()
    values = [level.read().result() for level in levels]
    return time.perf_counter() - t0, values


def tensorstore_levels(base):
    t0 = time.perf_counter()
    values, below = [], base
    for _ in range(1, LEVELS):
        values.append(ts.downsample(below, [2, 2, 2], "mean").read().result())
        below = ts.array(values[-1])
    return time.perf_counter() - t0, values


def server():
    return common.Lazarr(str(HERE / "store_pyramid.py"), "--workers", "2", "--cache", "2GiB")


def check(got, want):
    """Means agree but for halves, which tensorstore rounds to even."""
    assert np.abs(got[0].astype(int) - want[0].astype(int)).max() <= 1
    exact = sum(got[0][a::2, b::2, c::2].astype(int) for a in (0, 1) for b in (0, 1) for c in (0, 1))
    assert (got[1] == (exact + 4) // 8).all()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lazarr-bench-"))
    try:
        volume = make_volume()
        np.save(folder / "volume.npy", volume)
        os.environ.update(LZR_BENCH_VOLUME=str(folder / "volume.npy"), LZR_BENCH_LEVELS=str(LEVELS))
        zarr = ts.open({"driver": "zarr3", "kvstore": f"file://{folder}/base.zarr/", "create": True,
                        "metadata": {"shape": list(volume.shape), "data_type": "uint8",
                                     "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [64] * 3}},
                                     "codecs": [CODEC]}}).result()
        zarr.write(volume).result()
        mapped = np.load(folder / "volume.npy", mmap_mode="r")
        del volume
        rows, ratios = [], {"warm": [], "file": []}
        for r in range(ROUNDS):
            row = [r + 1]
            for kind in ("warm", "file"):
                with server() as lz:
                    if kind == "warm":
                        opened(lz.port, 0).read().result()  # level 0 into the cache
                    ours, got = lazarr_levels(lz.port)
                base = ts.open({"driver": "zarr3", "kvstore": f"file://{folder}/base.zarr/"}, read=True).result() \
                    if kind == "warm" else ts.array(mapped)
                theirs, want = tensorstore_levels(base)
                if r == 0:
                    check(got, want)
                ratios[kind].append(theirs / ours)
                row += [f"{ours * 1e3:.0f}", f"{theirs * 1e3:.0f}", f"{theirs / ours:.2f}"]
            rows.append(row)
        rows.append(["median", "", "", f"{common.median(ratios['warm']):.2f}", "", "",
                     f"{common.median(ratios['file']):.2f}"])
        print(f"mean pyramid of {SIDE}³ uint8, {LEVELS - 1} levels; ratio: how many times as fast as tensorstore")
        common.table(["round", "warm: lazarr ms", "tensorstore ms", "ratio", "file: lazarr ms", "tensorstore ms",
                      "ratio"], rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
