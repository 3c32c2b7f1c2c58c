"""Debian's zarr-python 2 reads N5 through its N5FSStore over the arrays of formats.py.
Usage: URL FACE"""
import sys

import formats
import fsspec
import matrix
import numpy as np
import zarr
from zarr.n5 import N5FSStore

url, face = sys.argv[1:3]
report = matrix.Report()
# At the container's root: zarr-python wants its version in each array's own attributes otherwise.
store = N5FSStore(f"{url}/n5/formats_store.n5", mode="r")
for spec in formats.SPECS:
    want = formats.n5(spec)
    if isinstance(want, str):
        report.exclude(spec.name, want)
        continue

    def read():
        return zarr.open_array(store, mode="r", path=spec.name + formats.level(spec)[1])[...]
    if spec.n5 == "lz4":
        report.cannot(spec.name, "zarr-python 2 has no lz4 in N5", read, want)
    else:
        report.check(spec.name, read, want)
report.end({"zarr": zarr.__version__, "fsspec": fsspec.__version__, "numpy": np.__version__})
