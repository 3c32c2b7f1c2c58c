"""The arrays of the conformance set, shared by what makes the golden files, the store and the test. Values are
those of tests/clients/matrix.py: they follow from name, shape and dtype alone."""
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))
import matrix  # noqa: E402

Spec = namedtuple("Spec", "name shape chunks dtype codec axes more")
SHAPE, CHUNKS = (5, 7), (3, 4)
ZARR_CODECS = {"none": None, "blosc": ("blosc", "lz4", 5, "shuffle"), "zstd": ("zstd", 3), "gzip": ("gzip", 5)}
N5_CODECS = ["raw", "gzip", "zstd", "blosc"]  # lz4: of these only Java writes it as N5's README says
BOX = ((5, 9, 11), (4, 5, 6))  # z, y, x
N5_TYPES = [d for d in matrix.DTYPES if d not in ("bool", "float16") and "complex" not in d]
PRE_TYPES = [d for d in N5_TYPES if d not in ("float64", "int64")]


def _specs():
    out = {}

    def add(name, shape, chunks, dtype, codec, axes=None, **more):
        d = np.dtype(dtype)
        out[name] = Spec(name, shape, chunks, d if d.str[0] == ">" else d.newbyteorder("<"), codec, axes, more)
    for d in matrix.DTYPES:
        for codec in ZARR_CODECS:
            add(f"zarr/{d}_{codec}", SHAPE, CHUNKS, d, codec)
        if np.dtype(d).itemsize > 1:
            add(f"zarr/big_{d}", SHAPE, CHUNKS, ">" + np.dtype(d).str[1:], "none")
    for d, fill in (("uint8", 7), ("int16", -3), ("float32", float("nan")), ("float64", float("-inf")),
                    ("bool", True), ("complex64", 1 - 2j), ("uint64", 2**64 - 1)):
        add(f"zarr/fill_{d}", SHAPE, CHUNKS, d, "none", fill_value=fill)
    add("zarr/line", (7,), (3,), "uint16", "blosc")
    add("zarr/scalar", (), (), "int32", "none")
    for d in N5_TYPES:
        for codec in N5_CODECS:
            add(f"n5/{d}_{codec}", SHAPE, CHUNKS, d, codec)
    add("n5/line", (7,), (3,), "uint16", "gzip")
    add("n5/box", *BOX, "int16", "raw")
    for d in PRE_TYPES:
        add(f"pre/{d}", *BOX, d, "raw", "zyx", scale=(3, 2, 1), units="nanometer", translation=(6, -4, 7))
        add(f"pre/channels_{d}", (2,) + BOX[0], (1,) + BOX[1], d, "raw", "czyx", units="nanometer")
    for d in ("uint32", "uint64"):
        add(f"pre/seg_{d}", (9, 10, 19), (8, 10, 16), d, "compressed_segmentation", "zyx", kind="labels")
    return out


def values(spec, start=None, stop=None):
    """Of segmentations a few labels only, as they have."""
    v = matrix.values(spec, start, stop)
    return v % v.dtype.type(11) if "seg_" in spec.name else v


SPECS = _specs()
