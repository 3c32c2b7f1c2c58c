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
specs = []
for spec in formats.SPECS:
    want = formats.n5(spec)
    if isinstance(want, str):
        report.exclude(spec.name, want)
    else:
        specs.append((spec, want))
blocks = mirror.n5(f"{url}/n5/formats_store.n5", folder, [s.name + formats.level(s)[1] for s, _ in specs])
with z5py.File(folder, mode="r", use_zarr_format=False) as f:
    for spec, want in specs:
        def read():
            return f[spec.name + formats.level(spec)[1]][...]
        if spec.n5 == "lz4":
            report.cannot(spec.name, "z5py's lz4 is another framing than Java's", read, want)
        else:
            report.check(spec.name, read, want)
report.end({"z5py": version("z5py"), "numpy": np.__version__, "blocks": blocks})
