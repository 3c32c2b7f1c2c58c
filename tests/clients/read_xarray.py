"""xarray, through whichever zarr-python it has. Usage: URL EXTRA FACE"""
import sys
import warnings

import matrix
import numpy as np
import xarray
import zarr

url, extra, face = sys.argv[1:4]
report = matrix.Report()
warnings.simplefilter("error", RuntimeWarning)  # it warns where consolidated metadata are missing
groups = {}


def variable(spec):
    folder, name = spec.name.split("/")
    if folder not in groups:
        groups[folder] = xarray.open_zarr(f"{url}/{face}/matrix_store.zarr", group=folder, decode_cf=False,
                                          mask_and_scale=False)
    return groups[folder][name]


def image(at):
    """An image's level is an array in its group; open_zarr opens groups."""
    folder, level = at.rsplit("/", 1)
    return xarray.open_zarr(folder, decode_cf=False, mask_and_scale=False)[level]


for name, at, want, spec in matrix.each(report, url, face, extra):
    if not matrix.can_read(report, spec):
        continue
    report.check(name, lambda: (variable(spec) if spec is not None else image(at)).values, want)
    if spec is not None and name not in report.wrong:
        dims = tuple(f"{name.replace('/', '_')}_{i}" for i in range(want.ndim))
        assert variable(spec).dims == dims, variable(spec).dims

# With all of xarray's decoding: a 0 that nobody declared as fill is data, so integers stay integers.
plain = xarray.open_zarr(f"{url}/{face}/matrix_store.zarr", group="dtype")
for d in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool", "float32"):
    spec = next(s for s in matrix.SPECS if s.name == f"dtype/{d}_blosc")
    report.check(f"decoded: {d}", lambda: plain[f"{d}_blosc"].values, matrix.values(spec))
report.end({"xarray": xarray.__version__, "zarr": zarr.__version__, "numpy": np.__version__})
