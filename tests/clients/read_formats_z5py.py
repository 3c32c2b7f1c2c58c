"""z5py over the arrays of formats.py; it reads files only, so the container is fetched first.
Usage: URL FACE FOLDER"""
import sys
from importlib.metadata import version

import formats
import matrix
import mirror
import numpy as np
import z5py

url, face, folder = sys.argv[1:4]
report = matrix.Report()
items = list(formats.items("n5"))
blocks = mirror.n5(f"{url}/n5/formats_store.n5", folder, [i.key for i in items if not i.why])
with z5py.File(folder, mode="r", use_zarr_format=False) as f:
    for item in items:
        if item.why:
            report.exclude(item.name, item.why)
        elif item.spec.n5 == "lz4":
            report.cannot(item.name, "z5py's lz4 is another framing than Java's", lambda: f[item.key][...],
                          item.want)
        else:
            report.check(item.name, lambda: f[item.key][...], item.want)
report.end({"z5py": version("z5py"), "numpy": np.__version__, "blocks": blocks})
