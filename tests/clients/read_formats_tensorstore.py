"""tensorstore's drivers zarr, zarr3, n5 and neuroglancer_precomputed over the arrays of formats.py.
Usage: URL FACE"""
import sys
from importlib.metadata import version

import formats
import matrix
import numpy as np
import tensorstore as ts

url, face = sys.argv[1:3]
report = matrix.Report()
HOME = {"zarr2": ("zarr", "zarr2/formats_store.zarr"), "zarr3": ("zarr3", "zarr3/formats_store.zarr"),
        "n5": ("n5", "n5/formats_store.n5"),
        "precomputed": ("neuroglancer_precomputed", "precomputed/formats_store")}
driver, home = HOME[face]


def start(item):
    more = {"scale_index": item.level} if face == "precomputed" else {}
    return ts.open({"driver": driver, "kvstore": f"{url}/{home}/{item.key}/", **more}, read=True)


opened = [(item, None if item.why else start(item)) for item in formats.items(face)]
for item, future in opened:
    if item.why:
        report.exclude(item.name, item.why)
        continue

    def read():
        v = np.asarray(future.result().read().result())
        return v if face in ("zarr2", "zarr3") else v.transpose()  # x (and channel of precomputed) last
    if face == "n5" and item.spec.n5 == "lz4":
        report.cannot(item.name, "tensorstore has no lz4 in N5", read, item.want)
    else:
        report.check(item.name, read, item.want)
report.end({"tensorstore": version("tensorstore"), "numpy": np.__version__})
