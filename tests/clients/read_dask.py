"""dask.array.from_zarr, one task a chunk. Usage: URL EXTRA FACE"""
import sys

import dask
import dask.array as da
import matrix
import numpy as np
import zarr

url, extra, face = sys.argv[1:4]
report = matrix.Report()
for name, at, want, spec in matrix.each(report, url, face, extra):
    if not matrix.can_read(report, spec):
        continue
    if spec is not None:
        report.check(name, lambda: da.from_zarr(f"{url}/{face}/matrix_store.zarr", component=name).compute(),
                     want)
    else:
        report.check(name, lambda: da.from_zarr(at).compute(), want)
report.end({"dask": dask.__version__, "zarr": zarr.__version__, "numpy": np.__version__})
