"""Datasets out of files, through whichever xarray is there, against what write_netcdf.py's xarray made of the files.
Usage: URL FOLDER FACE"""
import importlib.util
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

warnings.simplefilter("ignore")
url, folder, face = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
said = json.loads((folder / "said.json").read_text())
wrong, values, read, plots = [], 0, 0, 0


def same(name, got, want, least=0):
    """Values alike: unpacked numbers to the last bit, NaN where NaN is, dates by what they say."""
    global values
    got = np.asarray(got)
    if got.dtype.kind in "mM":
        got, want = got.astype(f"{got.dtype.kind}8[ns]"), want.astype(f"{want.dtype.kind}8[ns]")
    values += got.size
    if got.shape != want.shape or got.dtype.kind != want.dtype.kind:
        wrong.append(f"{name}: {got.dtype} {got.shape}, not {want.dtype} {want.shape}")
    elif got.dtype.kind == "f":
        # Unpacked to float32 or float64, as each xarray chooses.
        tolerance = least if got.dtype == want.dtype else 1e-6
        if not np.allclose(got, want, rtol=tolerance, atol=0, equal_nan=True):
            wrong.append(f"{name}: values differ: {got.ravel()[:4]}, not {want.ravel()[:4]}")
    elif not np.array_equal(got, want):
        wrong.append(f"{name}: values differ: {got.ravel()[:4]}, not {want.ravel()[:4]}")


def same_plot(name, got, want):
    """What .plot() draws: colours' numbers, the mesh's corners, labels, title."""
    global plots
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    drawn = []
    for a in (got, want):
        figure, axes = pyplot.subplots()
        mesh = a.plot(ax=axes)
        drawn.append((np.ma.filled(mesh.get_array(), np.nan).ravel(), np.asarray(mesh.get_coordinates()), mesh.get_clim(),
                      axes.get_xlabel(), axes.get_ylabel(), sorted(axes.get_title().split(", ")), figure.axes[-1].get_ylabel()))
        pyplot.close(figure)
    plots += 1
    for what, a, b in zip(("colours", "corners", "limits", "x", "y", "title", "bar"), *drawn):
        if not (a == b if isinstance(a, (str, list)) else np.allclose(a, b, rtol=1e-6, equal_nan=True)):
            wrong.append(f"{name}: .plot(): {what}: {a}, not {b}"[:600])


def one(name, want):
    global read
    store, _, group = name.partition("/")
    with np.load(folder / f"{name.replace('/', '_')}.npz") as arrays:
        wanted = {k: arrays[k] for k in arrays}
    how = {"decode_times": False} if store == "noleap" else {"decode_timedelta": True}  # without cftime
    ds = xr.open_zarr(f"{url}/{face}/{store}.zarr", group=group or None, **how)
    read += 1
    if set(ds.variables) != set(want["variables"]) or sorted(ds.data_vars) != want["data"]:
        wrong.append(f"{name}: {sorted(ds.variables)} with {sorted(ds.data_vars)}, not {sorted(want['variables'])} with "
                     f"{want['data']}")
        return
    same(f"{name}: t2m.isel(time=0)", ds.t2m.isel(time=0), wanted["t2m"][0])
    if importlib.util.find_spec("matplotlib") and len(wanted["t2m"].shape) == 3:
        file = xr.Dataset({v: (own["dims"], wanted[v], {k: w[0] if isinstance(w, list) else w for k, w in
                                                       own["attributes"].items()}) for v, own in want["variables"].items()})
        same_plot(name, ds.t2m.isel(time=0), file.set_coords(set(want["variables"]) - set(want["data"])).t2m.isel(time=0))
    for v, own in want["variables"].items():
        if list(ds[v].dims) != own["dims"]:
            wrong.append(f"{name}: dims of {v} {ds[v].dims}, not {own['dims']}")
        got = {k: np.asarray(w).tolist() for k, w in ds[v].attrs.items()}
        # Newer ones tell of a timedelta's own type in an attribute, older ones don't.
        if {k: w for k, w in got.items() if k not in ("dtype", "units")} != {
                k: w for k, w in own["attributes"].items() if k not in ("dtype", "units")}:
            wrong.append(f"{name}: attributes of {v} {got}, not {own['attributes']}")
        same(f"{name}: {v}", ds[v], wanted[v])
    for k, v in want["attributes"].items():
        if str(ds.attrs.get(k)) != v:
            wrong.append(f"{name}: attribute {k} {ds.attrs.get(k)!r}, not {v!r}")
    same(f"{name}: dask's mean", ds.t2m.mean("time").compute(), np.asarray(xr.DataArray(wanted["t2m"]).mean("dim_0")), 1e-14)
    if name == "weather":
        point = ds.t2m.sel(lat=45., lon=60., method="nearest").sel(time=slice("2000-01-01", "2000-01-03"))
        same("weather: sel", point, wanted["t2m"][2:5, 2, 2])


for name, want in said.items():
    try:
        one(name, want)
    except Exception as e:  # noqa: BLE001 - reported
        wrong.append(f"{name}: {type(e).__name__}: {e}"[:600])
versions = {m.__name__: m.__version__ for m in (xr, zarr, np)}
print(json.dumps({"read": read, "values": values, "plots": plots, "wrong": wrong, "versions": versions}))
sys.exit(bool(wrong))
