"""The arrays of kinds_store.py, one of each kind that a viewer meets: dtypes, units, channels,
time, labels. Only NumPy is needed, so that the store and the tests compute the same values.

    kinds.SPECS                     {name: Spec}
    kinds.values(spec)              all values of one
"""
from collections import namedtuple

import numpy as np

# axes: of an image; None of a plain array, whose dims are then named zyx.
Spec = namedtuple("Spec", "name shape chunks dtype axes kind units scale translation")

DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
          "float16", "float32", "float64")
SHAPE, CHUNKS = (11, 40, 56), (8, 16, 32)


def _specs():
    out = {}

    def add(name, dtype, axes="zyx", shape=SHAPE, chunks=CHUNKS, kind="image", units=None,
            scale=None, translation=None):
        one, zero = (1.0,) * len(shape), (0.0,) * len(shape)
        out[name] = Spec(name, shape, chunks, np.dtype(dtype), axes, kind, units, scale or one,
                         translation or zero)

    um = ("micrometer",) * 3
    for d in DTYPES:
        add(d, d, units=um, kind="labels" if d == "int64" else "image")
    add("aniso", "uint16", units=um, scale=(2.0, 0.5, 0.25), translation=(10.0, 3.0, -2.0))
    for d in "uint32", "uint64":
        add(f"labels_{d}", d, units=um, kind="labels")
    add("raw_labels", "uint32", units=um, kind="labels")
    add("channels", "uint8", "czyx", (3,) + SHAPE, (2,) + CHUNKS, units=(None,) + um)
    add("movie", "uint8", "tzyx", (4,) + SHAPE, (2,) + CHUNKS, units=("second",) + um,
        scale=(0.5, 1.0, 1.0, 1.0))
    add("flat", "uint8", "yx", SHAPE[1:], CHUNKS[1:], units=um[1:], scale=(0.5, 0.5))
    add("plain", "uint16", None)
    add("plain_flat", "uint8", None, SHAPE[1:], CHUNKS[1:])
    return out


SPECS = _specs()


def values(spec, start=None, stop=None):
    """The values of a spec between two corners: a ramp in every direction, cut to the dtype; labels
    are boxes, some of them 0."""
    start, stop = start or (0,) * len(spec.shape), stop or spec.shape
    index = np.indices([b - a for a, b in zip(start, stop)], dtype="int64")
    index += np.reshape(start, (-1,) + (1,) * len(spec.shape))
    if spec.kind == "labels":
        box = (index[-3] // 4) * 100 + (index[-2] // 7) * 10 + index[-1] // 9
        box[box % 3 == 0] = 0
        big = {"uint32": 40503, "uint64": 2**33 + 977, "int64": -(2**33 + 977)}[spec.dtype.name]
        return (box * big).astype(spec.dtype)
    ramp = sum(i * k for i, k in zip(index[::-1], (3, 11, 37, 101)))
    if spec.dtype.kind == "b":
        return ramp % 5 == 0
    if spec.dtype.kind == "f":
        return (ramp % 2048).astype(spec.dtype)
    bits = spec.dtype.itemsize * 8
    step = {8: 1, 16: 31, 32: 1000003, 64: 2**40 + 12345}[bits]
    stretched = ramp.astype("uint64") * np.uint64(step)
    return (stretched % np.uint64(2**bits - 1)).astype(spec.dtype)
