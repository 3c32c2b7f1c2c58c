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


HOME = {"zarr2": "zarr://%s/zarr2/formats_store.zarr", "zarr3": "zarr://%s/zarr3/formats_store.zarr",
        "n5": "n5://%s/n5/formats_store.n5", "precomputed": "precomputed://%s/precomputed/formats_store"}


def open_volume(item):
    key = item.key if face == "precomputed" else item.spec.name
    return CloudVolume(f"{HOME[face] % url}/{key}", mip=item.level, fill_missing=False, progress=False,
                       cache=False, bounded=True, parallel=1)


def cannot(item):
    """Images whose levels are named 0, 1, 2 (N5: s0 …), of three axes."""
    if face == "precomputed":
        return None
    if item.spec.axes != "zyx":
        return f"cloud-volume reads {'N5' if face == 'n5' else 'Zarr'} images of axes z, y, x only"
    if face == "n5" and not np.array_equal(item.want, item.want.byteswap()):
        return "cloud-volume reads N5 as little-endian"
    return None


for item in formats.items(face):
    if face != "precomputed" and not formats.image(item.spec):
        continue
    if item.why:
        report.exclude(item.name, item.why)
        continue
    want = item.want if face == "precomputed" else item.want[None]

    def read():
        return np.asarray(open_volume(item)[:]).transpose(3, 2, 1, 0)
    if cannot(item):
        report.cannot(item.name, cannot(item), read, want)
        continue
    report.check(item.name, read, want)
    # In nanometres; but the numbers of N5 are taken as they are, whatever the unit.
    unit = 1000 if item.spec.more.get("units") == "micrometer" and face != "n5" else 1
    if item.spec.axes == "zyx":
        got = open_volume(item).resolution
        scale = np.array(item.spec.more.get("scale", (1, 1, 1))[::-1]) * unit * 2 ** item.level
        assert np.allclose(got, scale, rtol=1e-9), (item.name, got, scale)
report.end({"cloud-volume": version("cloud-volume"), "numpy": np.__version__})
