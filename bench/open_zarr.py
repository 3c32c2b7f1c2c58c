#!/usr/bin/python3
"""Opening a dataset of ERA5's shape (a million times, 721 x 1440) with xarray, times decoded: milliseconds of
`xarray.open_zarr` in a process that has opened it once before; and beside them the first time.

    open_zarr.py [ROUNDS [PYTHON...]]      PYTHON: environments' interpreters with xarray, zarr, fsspec, aiohttp
                                           (/usr/bin/python3)

Goal: the second one takes 100 ms at most, median of 5. "dask": chunks={}, which is open_zarr's default where dask is
installed: it lists a million chunks a variable, whatever store they are in; "local": the same metadata and
coordinates in a folder show what of it is that. "plain": chunks=None."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import common

TIMES = 10 ** 6
STORE = f"""
import lazarr, numpy as np
lazarr.source("time", np.arange({TIMES}, dtype="int32"), dims=("time",), attributes={{
    "units": "hours since 1900-01-01", "calendar": "proleptic_gregorian", "standard_name": "time"}})
lazarr.source("latitude", np.linspace(90, -90, 721, dtype="f4"), dims=("latitude",), attributes={{"units": "degrees_north"}})
lazarr.source("longitude", np.arange(1440, dtype="f4") / 4, dims=("longitude",), attributes={{"units": "degrees_east"}})
for name in ("t2m", "u10", "v10", "msl"):
    lazarr.array(name, shape=({TIMES}, 721, 1440), chunks=(1, 721, 1440), dtype="float32", attributes={{"units": "K"}},
                 dims=("time", "latitude", "longitude"), fill_value="NaN")(lambda block: 273.0)
"""
CLIENT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import xarray
url, n = sys.argv[1], int(sys.argv[2])
took = []
for _ in range(n + 1):
    t0 = time.perf_counter()
    ds = xarray.open_zarr(url, chunks=None if len(sys.argv) > 3 else {})
    took.append((time.perf_counter() - t0) * 1e3)
    assert str(ds.time.values[1])[:13] == "1900-01-01T01" and ds.t2m.shape == (10**6, 721, 1440), ds
print(json.dumps([xarray.__version__, took]))
"""


def mirror(port, folder):
    """The dataset's metadata and coordinates as files: all that opening reads."""
    base = "/zarr2/era.zarr/"
    meta = json.loads(common.get(port, base + ".zmetadata"))
    folder.mkdir()
    (folder / ".zmetadata").write_text(json.dumps(meta))
    for key, document in meta["metadata"].items():
        (folder / key).parent.mkdir(exist_ok=True)
        (folder / key).write_text(json.dumps(document))
    for name in ("time", "latitude", "longitude"):
        its = meta["metadata"][f"{name}/.zarray"]
        for i in range(-(-its["shape"][0] // its["chunks"][0])):
            (folder / name / str(i)).write_bytes(common.get(port, f"{base}{name}/{i}"))


def main():
    rounds = max(5, common.rounds(5))
    pythons = sys.argv[2:] or [common.PYTHON]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder) / "era.py"
        store.write_text(STORE)
        (pathlib.Path(folder) / "client.py").write_text(CLIENT)
        with common.Lazarr(str(store)) as srv:
            mirror(srv.port, pathlib.Path(folder) / "local.zarr")
            for python in pythons:
                for face in ("zarr2", "zarr3", "local"):
                    for lazy in ("dask", "plain"):
                        url = f"http://127.0.0.1:{srv.port}/{face}/era.zarr/" if face != "local" else \
                            f"{folder}/local.zarr"
                        p = subprocess.run([python, f"{folder}/client.py", url, str(rounds),
                                            *(["plain"] if lazy == "plain" else [])],
                                           capture_output=True, text=True, env=common.environment())
                        if p.returncode:
                            why = re.sub(r"\s+", " ", p.stderr.strip().splitlines()[-1])[:60]
                            rows.append([python, face, lazy, why, ""])
                            continue
                        version, took = json.loads(p.stdout.splitlines()[-1])
                        rows.append([f"xarray {version}", face, lazy, f"{took[0]:.0f}",
                                     f"{common.median(took[1:]):.0f}"])
    common.table(["", "face", "chunks", "first ms", "second and later ms, median"], rows)


if __name__ == "__main__":
    main()
