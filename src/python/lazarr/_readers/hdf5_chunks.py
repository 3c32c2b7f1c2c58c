"""Chunks of HDF5 datasets: which filters are taken, and what they may unpack to.

HDF5's own deflate unpacks a chunk as far as its bytes go, whatever the chunk's size. So lazarr unpacks what
only deflate and shuffle have packed; chunks of other filters are looked at before HDF5 gets them.
"""
from __future__ import annotations

import zlib
from typing import Any, Optional

import numpy as np

from .._errors import StoreError, whose_python
from . import trust, unpack
from .blocks import Blocks

DEFLATE, SHUFFLE, FLETCHER32, SZIP, NBIT, SCALEOFFSET, LZF = 1, 2, 3, 4, 5, 6, 32000
BZIP2, BLOSC, LZ4, BITSHUFFLE, ZFP, ZSTD, BLOSC2 = 307, 32001, 32004, 32008, 32013, 32015, 32026
OWN = {DEFLATE, SHUFFLE, FLETCHER32, SZIP, NBIT, SCALEOFFSET, LZF}
PLUGINS = {BZIP2: "bzip2", BLOSC: "blosc", LZ4: "lz4", BITSHUFFLE: "bitshuffle", ZFP: "zfp", ZSTD: "zstd",
           BLOSC2: "blosc2"}


def filters(d: Any) -> list[Any]:
    """The numbers of a dataset's filters, in the order in which they pack."""
    plist = d.id.get_create_plist()
    return [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]


def as_numpy(h5py: Any, d: Any) -> bool:
    """Whether values lie in the file as NumPy's dtype has them: HDF5 can say numbers that it converts."""
    return bool(h5py.h5t.py_create(d.dtype, logical=True) == d.id.get_type())


def check_filters(h5py: Any, d: Any) -> None:
    """StoreError for chunks that are too large, and for filters that are none of the list or missing."""
    if d.chunks is None:
        return
    trust.block(tuple(int(c) for c in d.chunks), d.dtype.itemsize)
    for n in filters(d):
        if n not in OWN and n not in PLUGINS:
            raise StoreError(f"filter {n} is none of those that a file may name (docs/security.md)")
        if n in PLUGINS and not h5py.h5z.filter_avail(n):
            try:
                import hdf5plugin  # noqa: F401  (registers its filters)
            except ImportError as e:
                raise StoreError(f"filter {PLUGINS[n]} ({n}) needs hdf5plugin: pip install "
                                 f"hdf5plugin{whose_python(e)}") from None


def opened(h5py: Any, path: str, where: str) -> Any:
    """A dataset as an array-like that unpacks no more than its chunks' size."""
    d = h5py.File(path, "r")[where]
    packed = filters(d) if d.chunks else []
    if not packed:
        return d
    if set(packed) <= {DEFLATE, SHUFFLE} and as_numpy(h5py, d):
        return Deflated(d, packed)
    return Checked(d, packed)


class Deflated(Blocks):
    """A dataset of shuffled and deflated chunks."""

    def __init__(self, d: Any, packed: list[Any]) -> None:
        self.d, self.packed, self.filename = d, packed, d.file.filename
        self.shape, self.chunks, self.dtype, self.fill = d.shape, d.chunks, d.dtype, d.fillvalue
        self.bytes = trust.block(tuple(int(c) for c in d.chunks), d.dtype.itemsize)

    def block(self, pos: tuple[Any, ...]) -> Optional[np.ndarray]:
        start = tuple(p * c for p, c in zip(pos, self.chunks))
        try:
            skipped, data = self.d.id.read_direct_chunk(start)
        except Exception:  # it isn't stored, or can't be read: HDF5 knows, and says so
            return self._by_hdf5(start)
        try:
            for i, n in reversed(list(enumerate(self.packed))):
                if skipped >> i & 1:
                    continue
                data = unpack.unpack("zlib", data, self.bytes, {}) if n == DEFLATE else \
                    _unshuffled(data, self.dtype.itemsize)
        except zlib.error:
            if len(data) != self.bytes:
                raise
            return self._by_hdf5(start)  # chunks at the edge may be stored as they are
        if len(data) != self.bytes:
            raise ValueError(f"the chunk at {start} has {len(data)} bytes, not {self.bytes}")
        return np.frombuffer(data, self.dtype).reshape(self.chunks)

    def _by_hdf5(self, start: tuple[Any, ...]) -> np.ndarray:
        return np.asarray(self.d[tuple(slice(s, s + c) for s, c in zip(start, self.chunks))])


def _unshuffled(data: Any, size: int) -> Any:
    """Undoes HDF5's shuffle: all first bytes, all second ones …, and what is left over as it is."""
    n = len(data) // size
    if size == 1 or n < 2:
        return data
    a = np.frombuffer(data, np.uint8)
    out = np.empty(len(a), np.uint8)
    for i in range(size):  # which NumPy does faster than a transposed copy
        out[i:n * size:size] = a[i * n:(i + 1) * n]
    out[n * size:] = a[n * size:]
    return out.data


class Checked:
    """A dataset of chunks that HDF5 unpacks, once what they say of their size has been compared."""

    def __init__(self, d: Any, packed: list[Any]) -> None:
        self.d, self.packed, self.filename = d, packed, d.file.filename
        self.shape, self.chunks, self.dtype = d.shape, d.chunks, d.dtype
        self.bytes = trust.block(tuple(int(c) for c in d.chunks), d.dtype.itemsize)

    def __getitem__(self, key: Any) -> Any:
        key = key if isinstance(key, tuple) else (key,)
        spans = [k.indices(n)[:2] for k, n in zip(key, self.shape)]
        for pos in np.ndindex(*(max(0, -(-b // c) - a // c) for (a, b), c in zip(spans, self.chunks))):
            start = tuple((a // c + p) * c for p, (a, _), c in zip(pos, spans, self.chunks))
            try:
                skipped, data = self.d.id.read_direct_chunk(start)
            except Exception:
                continue  # it isn't stored, or HDF5 says why it can't be read
            self._check(skipped, data)
        return self.d[key]

    def _check(self, skipped: int, data: bytes) -> None:
        """The filter that packed last is the one that what is stored is of."""
        limit = unpack.packed_limit(self.bytes)
        if len(data) > limit:
            raise unpack.too_much(self.bytes)
        last = [n for i, n in enumerate(self.packed) if not skipped >> i & 1]
        if last and last[-1] == FLETCHER32:
            data, last = data[:-4], last[:-1]
        n = last[-1] if last else -1
        if n in (DEFLATE, BZIP2):
            unpack.count("zlib" if n == DEFLATE else "bz2", data, limit)
            return
        says = {BLOSC: lambda: int.from_bytes(data[4:8], "little"),
                SZIP: lambda: int.from_bytes(data[:4], "little"),
                LZ4: lambda: int.from_bytes(data[:8], "big"),
                BITSHUFFLE: lambda: int.from_bytes(data[:8], "big") if len(data) != self.bytes else 0,
                ZSTD: lambda: unpack.zstd_says(data, limit)}.get(n)
        if says is not None and says() > limit:
            raise unpack.too_much(self.bytes)
