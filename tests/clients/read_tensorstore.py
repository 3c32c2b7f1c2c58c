"""tensorstore's drivers zarr (v2) and zarr3. Usage: URL EXTRA FACE"""
import sys
from importlib.metadata import version

import matrix
import numpy as np
import tensorstore as ts

url, extra, face = sys.argv[1:4]
report = matrix.Report()
driver = {"zarr2": "zarr", "zarr3": "zarr3"}[face]
opened = []
for name, at, want, spec in matrix.each(report, url, face, extra):
    opened.append((name, want, ts.open({"driver": driver, "kvstore": at + "/"}, read=True)))
for name, want, future in opened:
    report.check(name, lambda: np.asarray(future.result()[...].read().result()), want)
report.end({"tensorstore": version("tensorstore"), "numpy": np.__version__})
