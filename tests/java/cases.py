"""The arrays that the Java client reads: dtype x compression x shape, and images. Only NumPy, so
that the store and the checks compute the same values from the position alone."""
from collections import namedtuple

import numpy as np

Case = namedtuple("Case", "name shape chunks dtype codec image")
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128"]
UNITS = {"nanometer": "nm", "micrometer": "um", "millimeter": "mm", None: ""}  # as N5 writes them
N5_TYPES = {"bool": "uint8", "float16": "float32"}  # shown widened
CODECS = ["raw", "gzip", "zstd", "blosc", "lz4", "default"]
SHAPES = [((7,), (3,)), ((3,), (10,)), ((100,), (7,)), ((0,), (4,)), ((4, 0), (2, 3)),
          ((17, 19), (8, 8)), ((16, 16), (8, 8)), ((5, 6, 7), (2, 3, 4)), ((3, 4, 5), (9, 9, 9)),
          ((40, 50, 60), (16, 32, 64)), ((3, 4, 5, 6), (2, 2, 3, 4)),
          ((2, 3, 4, 5, 6), (1, 2, 3, 4, 5)), ((), ())]
IMAGES = {  # name: shape, chunks, dtype, what lazarr.array gets
    "zyx": ((20, 30, 40), (8, 16, 32), "uint16",
            dict(axes="zyx", units="micrometer", scale=(2, 0.5, 0.25), translation=(10, 20, 30))),
    "yx": ((33, 47), (16, 16), "uint8", dict(axes="yx", units="nanometer", scale=(4, 8))),
    "czyx": ((2, 9, 10, 11), (1, 4, 8, 8), "float32",
             dict(axes="czyx", units="micrometer", scale=(1, 3, 2, 1), channels=["red", "green"])),
    "tczyx": ((3, 2, 5, 6, 7), (1, 1, 4, 4, 4), "int16",
              dict(axes="tczyx", scale=(1, 1, 3, 2, 1), channels=["a", "b"])),
    "tyx": ((2, 12, 13), (1, 8, 8), "float64", dict(axes="tyx")),
    "parts": ((20, 30, 40), (16, 16, 16), "uint64",
              dict(axes="zyx", units="micrometer", scale=(2, 0.5, 0.25), translation=(10, 20, 30),
                   kind="labels", labels_of="image/zyx")),
}


def _cases():
    out = [Case(f"dtype/{d}_{c}", (13, 10), (5, 4), np.dtype(d).newbyteorder("<"), c, None)
           for d in DTYPES for c in CODECS]
    out += [Case(f"big/{d}_{c}", (9, 6), (4, 4), np.dtype(d).newbyteorder(">"), c, None)
            for d in DTYPES if np.dtype(d).itemsize > 1 for c in ("raw", "blosc", "gzip")]
    for i, (shape, chunks) in enumerate(SHAPES):
        name = "x".join(map(str, shape)) or "scalar"
        at = "x".join(map(str, chunks)) or "scalar"
        for d, codec in (("uint8", CODECS[i % 6]), ("int32", CODECS[(i + 1) % 6])):
            out.append(Case(f"shape/s{name}_c{at}_{d}", shape, chunks, np.dtype(d), codec, None))
    out += [Case(f"image/{name}", shape, chunks, np.dtype(d), CODECS[i % 6], more)
            for i, (name, (shape, chunks, d, more)) in enumerate(IMAGES.items())]
    return out


def values(case, start=None, stop=None):
    """The values of a box of an array, all of it unless told."""
    start, stop = start or (0,) * len(case.shape), stop or case.shape
    n = np.zeros([b - a for a, b in zip(start, stop)], np.uint64)
    for i, (a, b, size) in enumerate(zip(start, stop, case.shape)):
        along = np.arange(a, b, dtype=np.uint64)
        n = n * np.uint64(size) + along.reshape([-1] + [1] * (len(case.shape) - i - 1))
    salt = np.uint64(sum(map(ord, case.name)))
    with np.errstate(over="ignore"):
        h = (n + salt) * np.uint64(0xD1342543DE82EF95)
        h = np.asarray((h ^ (h >> np.uint64(31))) * np.uint64(0x9E6C63D0876A9A47))
    kind, size = case.dtype.kind, case.dtype.itemsize
    if kind == "b":
        return h >> np.uint64(63) == 1
    if kind in "iu":
        return (h >> np.uint64(64 - 8 * size)).astype(f"u{size}").view(f"{kind}{size}") \
            .astype(case.dtype)
    if kind == "f":
        return real(h).astype(case.dtype)
    out = np.empty(h.shape, f"c{size}")
    out.real, out.imag = real(h), real(~h)
    return out.astype(case.dtype)


def real(h):
    """Numbers that even float16 holds, and now and then NaN, an infinity, a negative zero."""
    out = (h >> np.uint64(54)).astype("f8") / 8 - 64
    for k, v in enumerate((float("nan"), float("inf"), float("-inf"), -0.0)):
        out = np.where(h % np.uint64(41) == k, v, out)
    return out


def same(got, want):
    """Equal in shape, type, every value and every zero's sign; NaN equals NaN."""
    if got.shape != want.shape or got.dtype.newbyteorder("=") != want.dtype.newbyteorder("="):
        return False
    if want.dtype.kind == "f":
        signs = np.isnan(want) | (np.signbit(got) == np.signbit(want))
        return np.array_equal(got, want, equal_nan=True) and bool(signs.all())
    return np.array_equal(got, want)


def chunks(case):
    """How many chunks an array has."""
    return int(np.prod([-(-s // c) for s, c in zip(case.shape, case.chunks)], dtype=int))


def excluded(case, face):
    """Why no Java reader reads this array in this face; None where it does."""
    d = case.dtype.newbyteorder("=").name
    if d.startswith("complex"):
        return "no Java reader has complex numbers"
    if not case.shape:
        return "n5 has no arrays of rank 0"
    if face != "n5" and d in ("bool", "float16"):
        return f"n5-zarr has no {d}"
    return None


CASES = _cases()
BY_NAME = {c.name: c for c in CASES}
assert len(BY_NAME) == len(CASES)
