"""cloud-volume over the arrays of formats.py: precomputed, and what it reads of Zarr and N5 images.
Usage: URL FACE"""
import sys
from importlib.metadata import version

import formats
import matrix
import numpy as np
from cloudvolume import CloudVolume

url, face = sys.argv[1:3]
report = matrix.Report()


def read(at):
    """Channel, z, y, x."""
    v = CloudVolume(at, mip=0, fill_missing=False, progress=False, cache=False, bounded=True, parallel=1)
    return np.asarray(v[:]).transpose(3, 2, 1, 0)


def zarr(spec):
    """OME-Zarr images; the levels must be named 0, 1, 2."""
    why = None if spec.axes == "zyx" else "cloud-volume reads Zarr images of axes z, y, x only"
    at = f"zarr://{url}/{face}/formats_store.zarr/{spec.name}"
    return at, formats.values(spec)[None], why


def n5(spec):
    why = None
    if spec.axes != "zyx":
        why = "cloud-volume reads N5 images of axes z, y, x only"
    elif not np.array_equal(formats.n5(spec), formats.n5(spec).byteswap()):
        why = "cloud-volume reads N5 as little-endian"
    return f"n5://{url}/n5/formats_store.n5/{spec.name}", formats.n5(spec)[None], why


for spec in formats.SPECS:
    if face == "precomputed":
        want = formats.precomputed(spec)
        if isinstance(want, str):
            report.exclude(spec.name, want)
        else:
            report.check(spec.name, lambda: read(f"precomputed://{url}/precomputed/formats_store/{want[0]}"),
                         want[1])
    elif formats.image(spec):
        at, want, why = {"zarr2": zarr, "zarr3": zarr, "n5": n5}[face](spec)
        if why:
            report.cannot(spec.name, why, lambda: read(at), want)
        else:
            report.check(spec.name, lambda: read(at), want)
            resolution = CloudVolume(at, progress=False).resolution.tolist()
            # In nanometres; but the numbers of N5 are taken as they are, whatever the unit.
            unit = 1000 if spec.more.get("units") == "micrometer" and face != "n5" else 1
            want = [unit * s for s in reversed(spec.more.get("scale", (1, 1, 1)))]
            assert np.allclose(resolution, want, rtol=1e-9), (spec.name, resolution, want)
report.end({"cloud-volume": version("cloud-volume"), "numpy": np.__version__})
