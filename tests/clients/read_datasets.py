"""Opens what datasets_store.py serves with xarray and compares. Usage: URL FACE NAMES ACROSS: "same", or, where the
store's xarray is much older or newer than this one, "old" or "new": timedeltas differ between them."""
import json
import sys
import warnings

import datasets
import numpy as np
import xarray as xr
import zarr

url, face, names, across = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4]
root = f"{url}/{face}/datasets_store.zarr"
wrong, read = {}, []
warnings.simplefilter("error", RuntimeWarning)  # it warns where consolidated metadata are missing


def without_ours(ds):
    for attrs in (ds.attrs, *(v.attrs for v in ds.variables.values())):
        attrs.pop("lazarr", None)
        if across == "new" and str(attrs.get("dtype")).startswith("timedelta64"):
            attrs.pop("dtype")  # newer xarrays say so what they encoded, and this one doesn't know it
    return ds


def equal(name, got, want):
    xr.testing.assert_identical(without_ours(got.load()), want.load())
    for k, v in want.variables.items():
        assert got[k].dims == v.dims, k
        if v.dtype.kind not in "OSUTmM" and not (across == "new" and k == "t2m"):
            assert got[k].dtype.newbyteorder("=") == v.dtype.newbyteorder("="), (k, got[k].dtype, v.dtype)


def check(name):
    path, make = ("given/here", datasets.days) if name == "given" else (name, getattr(datasets, name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        want = make()
        if name == "tree":
            got = xr.open_datatree(f"{root}/{path}", engine="zarr", chunks={})
            for node in want.subtree:
                equal(name, got[node.path].to_dataset(inherit=False), node.to_dataset(inherit=False))
            xr.testing.assert_identical(got.load(), want)
            return
        got = xr.open_zarr(root, group=path, **({"decode_timedelta": True} if across == "old" else {}))
        assert all(v.chunks is not None for v in got.data_vars.values() if v.ndim)
        if across == "new" and name == "forecast":
            got, want = got.drop_vars("seen"), want.drop_vars("seen")  # this xarray has no NaT in integers
        equal(name, got, want)


for name in names:
    try:
        check(name)
        read.append(name)
    except Exception as e:
        wrong[name] = f"{type(e).__name__} in line {e.__traceback__.tb_next.tb_lineno}: {e}"
print(json.dumps({"read": read, "wrong": wrong, "versions": {
    "xarray": xr.__version__, "zarr": zarr.__version__, "numpy": np.__version__}}))
