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
for item in formats.items("n5"):
    if item.why:
        report.exclude(item.name, item.why)
        continue

    def read():
        return zarr.open_array(store, mode="r", path=item.key)[...]
    if item.spec.n5 == "lz4":
        report.cannot(item.name, "zarr-python 2 has no lz4 in N5", read, item.want)
    else:
        report.check(item.name, read, item.want)
report.end({"zarr": zarr.__version__, "fsspec": fsspec.__version__, "numpy": np.__version__})
