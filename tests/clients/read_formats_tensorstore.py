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
home = {"zarr2": "zarr2/formats_store.zarr", "zarr3": "zarr3/formats_store.zarr",
        "n5": "n5/formats_store.n5", "precomputed": "precomputed/formats_store"}[face]


def open_one(spec):
    """(future, what it should have, how its axes are to be ordered) or None."""
    if face == "precomputed":
        want = formats.precomputed(spec)
        if isinstance(want, str):
            return report.exclude(spec.name, want)
        # x, y, z, channel to channel, z, y, x
        return (ts.open({"driver": "neuroglancer_precomputed", "kvstore": f"{url}/{home}/{want[0]}/"}, read=True),
                want[1], (3, 2, 1, 0))
    if face == "n5":
        want = formats.n5(spec)
        if isinstance(want, str):
            return report.exclude(spec.name, want)
        at = f"{url}/{home}/{spec.name}{formats.level(spec)[1]}/"
        return ts.open({"driver": "n5", "kvstore": at}, read=True), want, tuple(reversed(range(want.ndim)))
    want = formats.values(spec)
    return (ts.open({"driver": {"zarr2": "zarr", "zarr3": "zarr3"}[face],
                     "kvstore": f"{url}/{home}/{spec.name}{formats.level(spec)[0]}/"}, read=True),
            want, tuple(range(want.ndim)))


opened = [(spec, open_one(spec)) for spec in formats.SPECS]
for spec, one in opened:
    if one is not None:
        future, want, order = one

        def read():
            return np.asarray(future.result().read().result()).transpose(order)
        if face == "n5" and spec.n5 == "lz4":
            report.cannot(spec.name, "tensorstore has no lz4 in N5", read, want)
        else:
            report.check(spec.name, read, want)
report.end({"tensorstore": version("tensorstore"), "numpy": np.__version__})
