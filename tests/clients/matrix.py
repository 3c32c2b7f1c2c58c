"""The matrix of arrays that every client reads: dtype x codec x shape x chunk. Only NumPy is needed, so
that the store, each client and the checks compute the same values from the position alone.

    matrix.SPECS                        the arrays
    matrix.values(spec)                 all values of one
    python matrix.py dump FOLDER        the values as raw little-endian files, for clients without NumPy
"""
import json
import os
import sys
from collections import namedtuple

import numpy as np

Spec = namedtuple("Spec", "name shape chunks dtype codec fill separator")
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
          "float32", "float64", "complex64", "complex128"]
CNAMES = ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"]
SHUFFLES = ["noshuffle", "shuffle", "bitshuffle"]
NONE, LZ4 = None, ("blosc", "lz4", 5, "shuffle")
ZSTD, GZIP = ("zstd", 3), ("gzip", 5)
SHAPES = [((), ()), ((1,), (1,)), ((5,), (5,)), ((7,), (3,)), ((3,), (10,)), ((100,), (7,)),
          ((0,), (4,)), ((4, 0), (2, 3)), ((0, 5), (2, 2)), ((17, 19), (8, 8)), ((16, 16), (8, 8)),
          ((5, 6, 7), (2, 3, 4)), ((3, 4, 5), (9, 9, 9)), ((2, 3, 4, 5, 6), (1, 2, 3, 4, 5)),
          ((2,) * 8, (1, 2) * 4), ((3, 1, 2, 1, 2, 1, 2, 3), (2,) * 8)]
FILLS = [("float32", float("nan")), ("float64", float("inf")), ("float32", float("-inf")),
         ("float64", 0.1), ("uint64", 2**64 - 1), ("int64", -2**63), ("uint8", 255), ("bool", True),
         ("int16", -1), ("complex64", 1 - 2j), ("float16", 1.5), ("uint32", 4294967295)]


def _specs():
    out = []

    def add(name, shape, chunks, dtype, codec, fill=None, separator="."):
        out.append(Spec(name, tuple(shape), tuple(chunks), np.dtype(dtype).newbyteorder("<")
                        if not dtype.startswith(">") else np.dtype(dtype), codec, fill, separator))

    for d in DTYPES:
        for c, codec in (("none", NONE), ("blosc", LZ4), ("zstd", ZSTD), ("gzip", GZIP)):
            add(f"dtype/{d}_{c}", (13, 10), (5, 4), d, codec)
    for cname in CNAMES:
        for shuffle in SHUFFLES:
            for d in ("uint16", "float32"):
                add(f"blosc/{cname}_{shuffle}_{d}", (40, 33), (16, 16), d, ("blosc", cname, 5, shuffle))
    for d in DTYPES:
        if np.dtype(d).itemsize > 1:
            for c, codec in (("none", NONE), ("blosc", LZ4)):
                add(f"big/{d}_{c}", (9, 6), (4, 4), np.dtype(d).newbyteorder(">").str, codec)
    for shape, chunks in SHAPES:
        name = "x".join(map(str, shape)) or "scalar"
        at = "x".join(map(str, chunks)) or "scalar"
        for d, codec in (("uint8", NONE), ("int32", LZ4)):
            add(f"shape/s{name}_c{at}_{d}", shape, chunks, d, codec)
    for i, (d, fill) in enumerate(FILLS):
        add(f"fill/{d}_{i}", (6,), (4,), d, LZ4 if i % 2 else NONE, fill)
    for codec in [("blosc", "lz4", 0, "shuffle"), ("blosc", "zstd", 1, "bitshuffle"),
                  ("blosc", "zlib", 9, "shuffle"), ("gzip", 0), ("gzip", 9), ("zstd", 1), ("zstd", 22)]:
        add("level/" + "_".join(map(str, codec)), (300, 200), (128, 200), "int32", codec)
    for shape, chunks in SHAPES[9:14]:
        add("slash/s" + "x".join(map(str, shape)) + "_c" + "x".join(map(str, chunks)), shape, chunks, "int16",
            LZ4, separator="/")
    return out


def values(spec, start=None, stop=None):
    """The values of a box of an array, all of it unless told."""
    start = start or (0,) * len(spec.shape)
    stop = stop or spec.shape
    flat = np.zeros([b - a for a, b in zip(start, stop)], np.uint64)
    stride = 1
    for axis in reversed(range(len(spec.shape))):
        index = np.arange(start[axis], stop[axis], dtype=np.uint64) * np.uint64(stride)
        flat = flat + index.reshape([-1 if i == axis else 1 for i in range(len(spec.shape))])
        stride *= spec.shape[axis]
    salt = sum(ord(c) * 131 ** i for i, c in enumerate(spec.name)) % 2**32
    with np.errstate(over="ignore"):
        h = (np.asarray(flat, np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        h = np.asarray(h ^ (h >> np.uint64(32)))
    kind, size = spec.dtype.kind, spec.dtype.itemsize
    if kind == "b":
        out = h >> np.uint64(63) == 1
    elif kind in "iu":
        out = (h >> np.uint64(64 - 8 * size)).astype(f"u{size}").view(f"{kind}{size}")
    elif kind == "f":
        out = _real(h, size)
    else:
        out = np.empty(h.shape, f"c{size}")
        out.real, out.imag = _real(h, size // 2), _real(~h, size // 2)
    return out.astype(spec.dtype)


def _real(h, size):
    """Numbers of which every type has all digits, and now and then NaN, an infinity, a negative zero."""
    bits = 10 if size == 2 else 20
    out = ((h >> np.uint64(64 - bits)).astype("f8") - 2 ** (bits - 1)) / 8
    special = h % np.uint64(37)
    for k, v in enumerate((float("nan"), float("inf"), float("-inf"), -0.0)):
        out = np.where(special == k, v, out)
    return np.asarray(out).astype(f"f{size}")


def same(got, want):
    """Equal in shape, type and every value; NaN equals NaN; byte order of memory doesn't matter."""
    got = np.asarray(got)
    return (got.shape == want.shape and got.dtype.newbyteorder("=") == want.dtype.newbyteorder("=")
            and np.ascontiguousarray(got.astype(got.dtype.newbyteorder("<"))).tobytes()
            == np.ascontiguousarray(want.astype(want.dtype.newbyteorder("<"))).tobytes()
            or got.shape == want.shape and got.dtype.kind in "fc"
            and got.dtype.newbyteorder("=") == want.dtype.newbyteorder("=")
            and np.array_equal(got, want, equal_nan=True))


SPECS = _specs()
assert len(SPECS) >= 150 and len({s.name for s in SPECS}) == len(SPECS)


class Report:
    """What a client read, and what it can't: every exclusion by name with its reason. The last line
    that a client prints is this as JSON."""

    def __init__(self):
        self.read, self.values, self.excluded, self.wrong = 0, 0, {}, {}

    def check(self, name, read, want):
        """read(): the client's values."""
        try:
            got = read()
        except Exception as e:
            self.wrong[name] = f"{type(e).__name__}: {e}"[:300]
            return
        if same(got, want):
            self.read += 1
            self.values += want.size
        else:
            got = np.asarray(got)
            self.wrong[name] = f"{got.shape} {got.dtype} is not {want.shape} {want.dtype}, or its values"

    def exclude(self, name, reason):
        self.excluded[name] = reason

    def cannot(self, name, reason, read, want):
        """Excludes what the reader gets wrong whoever serves it, having seen that it still does."""
        try:
            if same(read(), want):
                self.wrong[name] = f"is read rightly by now; it was excluded: {reason}"
                return
        except Exception:
            pass
        self.exclude(name, reason)

    def end(self, versions):
        for name, why in self.wrong.items():
            print(f"WRONG {name}: {why}")
        for name, why in self.excluded.items():
            print(f"excluded {name}: {why}")
        print(json.dumps({"versions": versions, "read": self.read, "values": self.values,
                          "excluded": self.excluded, "wrong": self.wrong}))
        sys.exit(1 if self.wrong else 0)


def each(report, url, face, extra):
    """(name, URL of its array, expected values) of the matrix and of `extra`, a folder of .npy files
    whose names are URLs behind the server with '!' for '/'."""
    for spec in SPECS:
        yield spec.name, f"{url}/{face}/matrix_store.zarr/{spec.name}", values(spec), spec
    for file in sorted(os.listdir(extra)) if extra else []:
        path = file[:-4].replace("!", "/")
        yield path, f"{url}/{face}/{path}", np.load(os.path.join(extra, file)), None


def can_read(report, spec):
    """Whether this interpreter's numcodecs can decompress an array; else it is excluded."""
    import numcodecs.blosc
    if spec is None or not spec.codec or spec.codec[0] != "blosc" \
            or spec.codec[1] in numcodecs.blosc.list_compressors():
        return True
    report.exclude(spec.name, f"numcodecs {numcodecs.__version__} was built without {spec.codec[1]}")
    return False


def dump(folder):
    index = []
    for i, spec in enumerate(SPECS):
        v = values(spec)
        v.astype(v.dtype.newbyteorder("<")).tofile(os.path.join(folder, f"{i}.bin"))
        index.append({"name": spec.name, "shape": spec.shape, "dtype": spec.dtype.newbyteorder("=").name,
                      "big": spec.dtype.str[0] == ">", "codec": spec.codec, "file": f"{i}.bin"})
    with open(os.path.join(folder, "index.json"), "w") as f:
        json.dump(index, f)


if __name__ == "__main__":
    if sys.argv[1:2] == ["dump"]:
        dump(sys.argv[2])
    else:
        print(len(SPECS), "arrays")
