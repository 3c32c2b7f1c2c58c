"""Reading whole levels through the Zarr v3 face without a Zarr library, and the reference pyramid:
NumPy, written for being right, window by window."""
import ctypes
import itertools

import numpy as np

_BLOSC = []


def _blosc():
    if not _BLOSC:
        _BLOSC.append(ctypes.CDLL("libblosc.so.1"))
    return _BLOSC[0]


def decode(body, codecs, nbytes):
    for codec in reversed(codecs[1:]):
        assert codec["name"] == "blosc", codec
        out = ctypes.create_string_buffer(nbytes)
        n = _blosc().blosc_decompress_ctx(body, out, ctypes.c_size_t(nbytes), 1)
        assert n == nbytes
        body = out.raw
    assert len(body) == nbytes
    return body


def read(srv, path, connection=None, edge=False):
    """All of the array at path, in the byte order of its codec. Its padding is fill; edge: it repeats the array's edge,
    as that of labels' computed levels does."""
    own = connection or srv.connect()
    meta = own.get(f"{path}/zarr.json").json()
    shape, chunks = meta["shape"], meta["chunk_grid"]["configuration"]["chunk_shape"]
    endian = meta["codecs"][0].get("configuration", {}).get("endian", "little")
    dtype = np.dtype(meta["data_type"]).newbyteorder("<" if endian == "little" else ">")
    full = np.empty(shape, dtype)
    separator = meta["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
    nbytes = int(np.prod(chunks)) * dtype.itemsize
    for at in itertools.product(*(range(-(-s // c)) for s, c in zip(shape, chunks))):
        r = own.get(f"{path}/" + separator.join(map(str, ("c", *at))))
        assert r.status == 200, (path, at, r)
        block = np.frombuffer(decode(r.body, meta["codecs"], nbytes), dtype).reshape(chunks)
        where = tuple(slice(a * c, min((a + 1) * c, s)) for a, c, s in zip(at, chunks, shape))
        inside = tuple(slice(0, w.stop - w.start) for w in where)
        full[where] = block[inside]
        outside = block.copy()
        outside[inside] = meta["fill_value"] if dtype.kind in "biuf" else outside[inside]
        if edge:
            repeated = np.pad(block[inside], [(0, c - (w.stop - w.start)) for c, w in zip(chunks, where)], mode="edge")
            assert (block == repeated).all(), "padding isn't the edge"
        elif dtype.kind in "biuf":
            assert (outside == np.array(meta["fill_value"], dtype)).all(), "padding isn't fill"
    if connection is None:
        own.close()
    return full


def _mean(w):
    if w.dtype.kind in "iub":
        return (2 * sum(map(int, w)) + len(w)) // (2 * len(w))  # Python's // rounds down
    total = 0j if w.dtype.kind == "c" else 0.0
    for v in w.tolist():
        total += v
    return total / len(w)


def _mode(w):
    with np.errstate(invalid="ignore"):
        values, counts = np.unique(w, return_counts=True)  # sorted, NaNs last and as one
    return values[np.argmax(counts)]


_OF = {"mean": _mean, "mode": _mode, "max": np.max, "min": np.min, "stride": lambda w: w[0]}


def downsample(a, step, how):
    """The level above `a`: windows of `step` voxels, cut at the end."""
    shape = tuple(-(-n // s) for n, s in zip(a.shape, step))
    out = np.empty(shape, a.dtype)
    native = a.astype(a.dtype.newbyteorder("="))
    with np.errstate(all="ignore"):
        for at in np.ndindex(*shape):
            window = native[tuple(slice(i * s, (i + 1) * s) for i, s in zip(at, step))]
            out[at] = _OF[how](window.ravel())
    return out
