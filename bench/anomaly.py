#!/usr/bin/python3
"""Climate of one file, as a person looks at it: the first map of an anomaly (each map less the mean of all), and the
anomaly's series at a point that neighbours one that was looked at before; through lazarr and by dask on the same
Zarr.

    anomaly.py [ROUNDS [TIMES]]        TIMES 1000; maps of 181 x 360 float32, one a stored chunk (blosc-lz4)

lazarr serves a store of four arrays: the file's maps, `lazarr.rechunk` of them as series, the mean of each series, and
the anomaly, of maps and of series. Each round starts a server, asks for one map, for the series at a point, then
for that of its neighbour. dask: `(ds - ds.mean("time"))`, then `.isel(time=...)`, `.isel(lat=..., lon=...)`, computed
by as many threads as cores; "mean kept" has the mean in memory already, as a person would keep it. Medians, seconds.

Needs Debian's python3-xarray, python3-dask, python3-zarr, python3-numcodecs."""
import json
import os
import pathlib
import shutil
import sys
import tempfile

sys.argv = [sys.argv[0], *(sys.argv[1:2] or ["3"]), *sys.argv[2:]]
import dask  # noqa: E402
import numcodecs  # noqa: E402
import numpy as np  # noqa: E402
import xarray  # noqa: E402

import common  # noqa: E402
from rechunk import LAT, LON, ROUNDS, TILE, TIMES, make_file, timed  # noqa: E402

STORE = """
import lazarr
t2m = lazarr.source("t2m", {file!r})
series = lazarr.rechunk("series/t2m", t2m, {{"time": -1, "lat": {tile}, "lon": {tile}}})

@lazarr.array(inputs=[lazarr.Input(series, select={{"time": slice(None)}})])
def mean(block, series):
    return series.mean(axis=0, dtype="f8").astype("f4")

@lazarr.array(inputs=[t2m, mean])
def anomaly(block, t2m, mean):
    return t2m - mean

@lazarr.array("series/anomaly", inputs=[series, mean])
def series_anomaly(block, series, mean):
    return series - mean
"""


def chunk(port, path, key):
    base = f"/zarr2/climate.zarr/{path}/"
    meta = json.loads(common.get(port, base + ".zarray"))
    raw = numcodecs.get_codec(meta["compressor"]).decode(common.get(port, base + key))
    return np.frombuffer(raw, meta["dtype"]).reshape(meta["chunks"])


def point(port, y, x):
    return chunk(port, "series/anomaly", f"0.{y // TILE}.{x // TILE}")[:, y % TILE, x % TILE]


def one_round(k, folder, file, rows):
    rng = np.random.default_rng(k)
    t, y, x = int(rng.integers(TIMES)), int(rng.integers(LAT - 1)), int(rng.integers(LON - 1))
    got, want = {}, {}

    def take(side, what, into, work, *args):
        seconds, into[what] = timed(work, *args)
        rows.setdefault((what, side), []).append(seconds)

    def lazarr():
        with common.Lazarr(str(folder / "climate.py")) as srv:
            take("lazarr", "first map", got, lambda: chunk(srv.port, "anomaly", f"{t}.0.0")[0])
            take("lazarr", "a point's series", got, point, srv.port, y, x)
            take("lazarr", "its neighbour's", got, point, srv.port, y + 1, x + 1)

    def by_dask():
        with dask.config.set(scheduler="threads", num_workers=os.cpu_count()):
            ds = xarray.open_zarr(str(file), consolidated=False).t2m
            anomaly = ds - ds.mean("time", dtype="f8").astype("f4")
            take("dask", "first map", want, lambda: anomaly.isel(time=t).values)
            take("dask", "a point's series", want, lambda: anomaly.isel(lat=y, lon=x).values)
            take("dask", "its neighbour's", want, lambda: anomaly.isel(lat=y + 1, lon=x + 1).values)
            kept = ds.mean("time", dtype="f8").astype("f4").compute()
            take("dask, mean kept", "first map", {}, lambda: (ds.isel(time=t) - kept).values)
            take("dask, mean kept", "its neighbour's", {}, lambda: (
                ds.isel(lat=y + 1, lon=x + 1) - kept.isel(lat=y + 1, lon=x + 1)).values)

    for side in (lazarr, by_dask) if k % 2 == 0 else (by_dask, lazarr):
        side()
    for what in got:
        assert np.allclose(got[what], want[what], atol=1e-3), what


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lazarr-anomaly-"))
    try:
        file = folder / "maps.zarr"
        make_file(file)
        (folder / "climate.py").write_text(STORE.format(file=f"{file}::t2m", tile=TILE))
        rows = {}
        for k in range(ROUNDS):
            one_round(k, folder, file, rows)
        print(f"{TIMES} maps of {LAT} x {LON}, {TIMES * LAT * LON * 4 >> 20} MiB")
        table = []
        for what in ("first map", "a point's series", "its neighbour's"):
            cells = [rows.get((what, side)) for side in ("lazarr", "dask", "dask, mean kept")]
            table.append([what, *("" if v is None else f"{common.median(v):.3f}" for v in cells)])
        common.table(["", "lazarr s", "dask s", "dask, mean kept s"], table)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
