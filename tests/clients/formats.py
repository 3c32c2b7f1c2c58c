"""What N5, Neuroglancer precomputed and OME-NGFF are tested with: dtype x codec x shape and images of
every kind. Like matrix.py only NumPy is needed, so that the store, the readers and the checks compute
the same values from the position alone.

    formats.SPECS                   the arrays
    formats.values(spec)            all values of one, as the user's function makes them
    formats.levels(spec)            those of each level
    formats.items(face)             what a format shows, level by level: name, key below the store and
                                    values in NumPy's order (precomputed: c, z, y, x); or why there is
                                    nothing
"""
import itertools
from collections import namedtuple

import matrix
import numpy as np

# axes: of an image, None of a plain array. more: what else lazarr.array gets.
Spec = namedtuple("Spec", "name shape chunks dtype n5 axes more")

N5_CODECS = ["raw", "gzip", "zstd", "blosc", "lz4"]
SHAPES = [s for s in matrix.SHAPES if len(s[0]) <= 5]
# x, y, z of labels: below, at and above compressed_segmentation's boxes of 8, and chunks across them.
LABEL_SHAPES = [((1, 1, 1), (8, 8, 8)), ((8, 8, 8), (8, 8, 8)), ((9, 7, 17), (64, 64, 64)),
                ((20, 21, 23), (8, 16, 24)), ((13, 30, 11), (5, 7, 3)), ((2, 40, 40), (1, 32, 32))]
UM = "micrometer"


def _specs():
    out = []

    def add(name, shape, chunks, dtype, n5="gzip", axes=None, **more):
        d = np.dtype(dtype)
        out.append(Spec(name, tuple(shape), tuple(chunks), d if d.str[0] == ">" else d.newbyteorder("<"),
                        n5, axes, more))

    for d in matrix.DTYPES:
        for codec in N5_CODECS:
            add(f"dtype/{d}_{codec}", (13, 10), (5, 4), d, codec)
        add(f"box/{d}", (9, 10, 11), (4, 5, 6), d)
        if np.dtype(d).itemsize > 1:
            for codec in ("raw", "blosc"):
                add(f"big/{d}_{codec}", (9, 6, 5), (4, 4, 4), np.dtype(d).newbyteorder(">").str, codec)
    for shape, chunks in SHAPES:
        name = "x".join(map(str, shape)) or "scalar"
        at = "x".join(map(str, chunks)) or "scalar"
        for d, codec in (("uint8", "raw"), ("int32", "gzip")):
            add(f"shape/s{name}_c{at}_{d}", shape, chunks, d, codec)
    for d in ("uint8", "uint16", "float32"):
        add(f"image/zyx_{d}", (20, 30, 40), (8, 16, 32), d, axes="zyx", units=UM, scale=(2, 0.5, 0.25),
            translation=(10, 20, -30))
    add("image/yx", (33, 47), (16, 16), "uint8", axes="yx", units="nanometer", scale=(4, 8))
    add("image/czyx", (3, 9, 20, 21), (2, 4, 16, 8), "uint16", "zstd", "czyx", units=UM, scale=(1, 3, 2, 1),
        channels=["red", "green", {"label": "blue", "color": "0000FF", "active": False,
                                   "window": {"min": 0, "max": 4095, "start": 100, "end": 2000}}])
    add("image/tczyx", (3, 2, 5, 6, 7), (1, 1, 4, 4, 4), "int16", "raw", "tczyx",
        units=("second", None, UM, UM, UM), scale=(0.5, 1, 3, 2, 1), channels=["a", "b"])
    add("image/tyx", (2, 12, 13), (1, 8, 8), "float64", "blosc", "tyx")
    add("image/cyx", (2, 30, 31), (1, 16, 16), "float32", "gzip", "cyx", channels=["a", "b"])
    add("image/pyramid", (21, 30, 41), (8, 16, 16), "uint16", axes="zyx", units=UM, scale=(2, 0.5, 0.25),
        translation=(10, 20, -30), levels=3)
    add("image/pyramid_f", (2, 30, 41), (1, 16, 16), "float32", "raw", "cyx", channels=["a", "b"], levels=3)
    add("seg/pyramid", (21, 30, 41), (8, 16, 16), "uint32", axes="zyx", units=UM, scale=(2, 0.5, 0.25),
        translation=(10, 20, -30), kind="labels", labels_of="image/pyramid", levels=3)
    for d in ("uint16", "uint32", "uint64"):
        add(f"seg/of_{d}", (20, 30, 40), (8, 16, 32), d, axes="zyx", units=UM, scale=(2, 0.5, 0.25),
            translation=(10, 20, -30), kind="labels", labels_of="image/zyx_uint8")
    for d in ("uint32", "uint64"):
        for i, (shape, chunks) in enumerate(LABEL_SHAPES):
            add(f"seg/{d}_{i}", shape, chunks, d, axes="zyx", kind="labels")
        add(f"seg/many_{d}", (24, 24, 24), (16, 16, 16), d, axes="zyx", kind="labels")
        add(f"seg/one_{d}", (20, 20, 20), (16, 16, 16), d, axes="zyx", kind="labels")
        add(f"seg/channels_{d}", (3, 9, 17, 12), (1, 8, 16, 8), d, axes="czyx", kind="labels")
        add(f"seg/flat_{d}", (30, 41), (16, 16), d, axes="yx", kind="labels")
        add(f"seg/raw_{d}", (20, 20, 20), (16, 16, 16), d, axes="zyx", kind="labels",
            precomputed_encoding="raw")
    # Widened, cast and swapped, in images and in labels.
    add("image/bits", (9, 20, 21), (4, 8, 8), "bool", "raw", "zyx")
    add("image/halves", (3, 9, 20, 21), (2, 4, 8, 8), ">f2", "zstd", "czyx")
    add("image/doubles", (2, 9, 20, 21), (1, 4, 8, 8), "float64", "lz4", "czyx", levels=2)
    add("seg/int64", (20, 21, 23), (8, 16, 24), "int64", "blosc", "zyx", kind="labels")
    add("seg/big", (3, 9, 17, 12), (2, 8, 16, 8), ">u4", "gzip", "czyx", kind="labels", levels=2)
    add("seg/plain", (20, 20, 20), (16, 16, 16), "uint32", precomputed_encoding="compressed_segmentation")
    return out


def values(spec, start=None, stop=None):
    """The values of a box of an array, all of it unless told. Labels come in small boxes, but for those
    of "many", which are all different, and "one", which are all one."""
    if "seg/" not in spec.name or spec.name.startswith("seg/many"):
        return matrix.values(spec, start, stop)
    start, stop = start or (0,) * len(spec.shape), stop or spec.shape
    if spec.name.startswith("seg/one"):
        return np.full([b - a for a, b in zip(start, stop)], np.iinfo(spec.dtype).max, spec.dtype)
    index = np.indices([b - a for a, b in zip(start, stop)], dtype=np.uint64)
    index += np.reshape(np.array(start, np.uint64), (-1,) + (1,) * len(spec.shape))
    box = sum((index[-1 - i] // np.uint64(3 + i)) * np.uint64(7 ** i) for i in range(len(spec.shape)))
    box[box % np.uint64(4) == 0] = 0
    big = {2: 1, 4: 40503, 8: 2**40 + 977}[spec.dtype.itemsize]
    return (box * np.uint64(big)).astype(spec.dtype)


def _reduce(v, how, factors):
    """A level from the one below it, voxel by voxel as the design says it."""
    out = np.empty([-(-n // f) for n, f in zip(v.shape, factors)], v.dtype)
    for at in np.ndindex(out.shape):
        box = v[tuple(slice(i * f, (i + 1) * f) for i, f in zip(at, factors))].ravel()
        if how == "mean" and v.dtype.kind == "f":
            with np.errstate(invalid="ignore"):  # infinities of both signs: NaN
                out[at] = box.astype("f8").sum() / box.size
        elif how == "mean":
            out[at] = (2 * sum(map(int, box)) + box.size) // (2 * box.size)
        else:  # mode
            seen, counts = np.unique(box, return_counts=True)
            out[at] = seen[counts.argmax()]
    return out


def levels(spec):
    out = [values(spec)]
    how = "mode" if spec.more.get("kind") == "labels" else "mean"
    while len(out) < spec.more.get("levels", 1):
        out.append(_reduce(out[-1], how, [2 if a in "zyx" else 1 for a in spec.axes]))
    return out


def image(spec):
    return spec.axes is not None


def _widened(v):
    v = v.astype(v.dtype.newbyteorder("="))
    return v.astype("u1") if v.dtype.kind == "b" else v.astype("f4") if v.dtype == "f2" else v


def absent(spec, face):
    """Why a format doesn't show an array, as the server says it; None where it does."""
    d = spec.dtype.newbyteorder("=")
    if face in ("n5", "bdv"):
        if face == "bdv" and not image(spec):
            return "BigDataViewer shows images only (give it axes=)"
        if d.kind == "c":
            return f"N5 has no {d.name}"
        if not spec.shape:
            return "N5 has no arrays without axes"
    if face == "precomputed":
        if d.kind == "c":
            return f"Neuroglancer precomputed has no {d.name}"
        if image(spec) and "t" in spec.axes:
            return "Neuroglancer precomputed has no time axis"
        if not image(spec) and len(spec.shape) not in (2, 3):
            return "Neuroglancer precomputed has two or three axes"
        if 0 in spec.shape:
            return "Neuroglancer precomputed has no empty arrays"
    return None


def cast(spec):
    """The ending of the name in precomputed under which there is a type that Neuroglancer has."""
    return {"f8": "~float32", "i8": "~uint64"}.get(spec.dtype.newbyteorder("=").str[1:], "")


def _as_precomputed(spec, v):
    v = _widened(v)
    if cast(spec):
        with np.errstate(over="ignore"):
            v = v.astype("f4") if v.dtype.kind == "f" else v.view("u8")
    channels = v.shape[:1] if image(spec) and "c" in spec.axes else ()
    spatial = v.shape[len(channels):]
    return v.reshape((channels or (1,)) + (1,) * (3 - len(spatial)) + spatial)


Item = namedtuple("Item", "name spec level key want why")


def items(face):
    """want is None where the format shows nothing: why says it."""
    for spec in SPECS:
        why = absent(spec, face)
        for k, v in enumerate([None] if why else levels(spec)):
            name = spec.name if k == 0 else f"{spec.name} level {k}"
            if face == "precomputed":
                key, v = spec.name + cast(spec), None if why else _as_precomputed(spec, v)
            else:
                key = spec.name + (f"/{'s' if face == 'n5' else ''}{k}" if image(spec) else "")
                v = v if why or face != "n5" else _widened(v)
            yield Item(name, spec, k, key, v, why)


def encoding(spec):
    """Of the volume's chunks in precomputed."""
    want = spec.more.get("precomputed_encoding")
    labels = spec.more.get("kind") == "labels" and spec.dtype.itemsize >= 4  # int64 as uint64
    return want or ("compressed_segmentation" if labels else "raw")


def chunks(spec):
    """How many chunks the function computes; further levels are made of them."""
    return int(np.prod([-(-s // c) for s, c in zip(spec.shape, spec.chunks)], dtype=int))


SPECS = _specs()
BY_NAME = {s.name: s for s in SPECS}
assert len(BY_NAME) == len(SPECS)
