"""Unpacking that knows before how much may come, and stops one byte after it.

`unpack` is for compressors that name no sizes or wrong ones: gzip, zlib, bzip2, xz and zstd are streamed
into so much room; blosc and lz4 say their size in a header, which is compared first.
"""
from __future__ import annotations

import bz2
import ctypes
import functools
import lzma
import zlib
from typing import Any, Callable, Union

import numpy as np

from .._errors import StoreError

PIECE = 1 << 20
MAX_MEMBERS = 65536          # of a stream of streams
MAX_XZ_MEMORY = 256 << 20    # what an xz stream may ask for; its strongest preset needs 65 MiB
SIZE_TOO_SMALL = 70          # ZSTD_error_dstSize_tooSmall

Data = Union[bytes, memoryview]


class _Zlib:
    """A zlib stream with the interface that those of bz2 and lzma have."""

    def __init__(self, bits: int) -> None:
        self._d, self._tail = zlib.decompressobj(bits), b""
        self.needs_input = True

    def decompress(self, data: Data, max_length: int) -> bytes:
        out = self._d.decompress(self._tail + bytes(data), max_length)
        self._tail = self._d.unconsumed_tail
        self.needs_input = not self._tail and len(out) < max_length
        return out

    @property
    def eof(self) -> bool:
        return self._d.eof

    @property
    def unused_data(self) -> bytes:
        return self._d.unused_data


def too_much(limit: int) -> StoreError:
    return StoreError(f"a block unpacks to more than its {limit} bytes")


def _stream(make: Callable[[], Any], data: Data, limit: int, keep: bool = True) -> bytes:
    """Streams behind each other, as gzip, bzip2 and xz have them. What isn't a stream behind the first
    is ignored, as their own tools do. keep=False only counts."""
    view, at, have, parts, members = memoryview(data), 0, 0, [], 0
    d = make()
    pending: Data = b""
    while True:
        if d.needs_input and not len(pending):
            if at >= len(view):
                raise ValueError("the compressed bytes end too early")
            pending = view[at:at + PIECE]
            at += len(pending)
        try:
            part = d.decompress(pending, max_length=limit + 1 - have)
        except (OSError, lzma.LZMAError, zlib.error):
            if members:
                break
            raise
        pending = b""
        have += len(part)
        if keep:
            parts.append(part)
        if have > limit:
            raise too_much(limit)
        if d.eof:
            members += 1
            at -= len(d.unused_data)
            while at < len(view) and view[at] == 0:
                at += 1  # padding
            if at >= len(view):
                break
            if members == MAX_MEMBERS:
                raise StoreError(f"a block is more than {MAX_MEMBERS} compressed streams")
            d = make()
    return b"".join(parts)


def _xz(config: dict[Any, Any]) -> Callable[[], Any]:
    """A decompressor's maker for numcodecs' LZMA, whose configuration may name format and filters."""
    form = config.get("format", lzma.FORMAT_XZ)
    if form == lzma.FORMAT_RAW:
        filters = config.get("filters")
        if not isinstance(filters, list) or not all(isinstance(v, dict) for v in filters) or \
                any(not isinstance(v.get("dict_size", 0), int) or
                    v.get("dict_size", 0) > MAX_XZ_MEMORY for v in filters):
            raise StoreError("the filters of lzma make no sense, or want too much memory")
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=MAX_XZ_MEMORY)


@functools.lru_cache(maxsize=None)
def _libzstd() -> Any:
    """The machine's libzstd, which lazarr itself needs: it unpacks into a given room, whatever a frame's
    header says or doesn't say."""
    lib = ctypes.CDLL("libzstd.so.1")
    size = ctypes.c_size_t
    lib.ZSTD_decompress.restype = size
    lib.ZSTD_decompress.argtypes = [ctypes.c_void_p, size, ctypes.c_void_p, size]
    for name in ("ZSTD_isError", "ZSTD_getErrorCode"):
        getattr(lib, name).restype = ctypes.c_int
        getattr(lib, name).argtypes = [size]
    lib.ZSTD_getErrorName.restype = ctypes.c_char_p
    lib.ZSTD_getErrorName.argtypes = [size]
    return lib


def _zstd(data: Data, limit: int) -> Data:
    lib = _libzstd()
    packed, room = np.frombuffer(data, np.uint8), np.empty(limit + 1, np.uint8)
    n = lib.ZSTD_decompress(room.ctypes.data, limit + 1, packed.ctypes.data, len(packed))
    if lib.ZSTD_isError(n):
        if lib.ZSTD_getErrorCode(n) == SIZE_TOO_SMALL:
            raise too_much(limit)
        raise ValueError(f"zstd: {lib.ZSTD_getErrorName(n).decode()}")
    if n > limit:
        raise too_much(limit)
    return room[:n].data


def _numcodecs(kind: str, data: Data, limit: int) -> Data:
    from .file import need
    at, least = (4, 16) if kind == "blosc" else (0, 4)
    if len(data) < least:
        raise ValueError(f"a block of {len(data)} bytes is no {kind}")
    if int.from_bytes(data[at:at + 4], "little") > limit:
        raise too_much(limit)
    return memoryview(need("numcodecs").get_codec({"id": kind}).decode(data)).cast("B")


#: What numcodecs calls them, and N5 (bzip2, xz, zstandard).
NAMES = {"gzip": "gzip", "zlib": "zlib", "bz2": "bz2", "bzip2": "bz2", "lzma": "lzma", "xz": "lzma",
         "zstd": "zstd", "zstandard": "zstd", "blosc": "blosc", "lz4": "lz4"}


def unpack(kind: str, data: Data, limit: int, config: dict[Any, Any]) -> Data:
    """The bytes that `data` unpack to, at most `limit`. kind: one of NAMES. StoreError for more; what the
    libraries raise for what is no such stream.

    >>> bytes(unpack("gzip", zlib.compress(b"12345"), 5, {}))
    b'12345'
    >>> unpack("gzip", zlib.compress(b"12345"), 4, {})
    Traceback (most recent call last):
    lazarr._errors.StoreError: a block unpacks to more than its 4 bytes
    """
    kind = NAMES[kind]
    if kind == "zstd":
        return _zstd(data, limit)
    if kind in ("blosc", "lz4"):
        return _numcodecs(kind, data, limit)
    return _stream(_maker(kind, config), data, limit)


def count(kind: str, data: Data, limit: int) -> None:
    """Raises as `unpack` does, and keeps nothing: for what a library then unpacks itself."""
    _stream(_maker(NAMES[kind], {}), data, limit, keep=False)


def _maker(kind: str, config: dict[Any, Any]) -> Callable[[], Any]:
    return {"gzip": lambda: _Zlib(zlib.MAX_WBITS | 32), "zlib": lambda: _Zlib(zlib.MAX_WBITS | 32),
            "bz2": bz2.BZ2Decompressor}.get(kind) or _xz(config)


def packed_limit(limit: int) -> int:
    """More bytes than this no compressor makes out of `limit`."""
    return limit + limit // 4 + (64 << 10)


def zstd_says(data: Data, limit: int) -> int:
    """The bytes of a zstd frame as its header says them; where it doesn't, they are unpacked to be counted."""
    lib = _libzstd()
    lib.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    lib.ZSTD_getFrameContentSize.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    packed = np.frombuffer(data, np.uint8)
    n = lib.ZSTD_getFrameContentSize(packed.ctypes.data, len(packed))
    if n < 2 ** 64 - 2:  # neither unknown nor an error
        return int(n)
    return len(_zstd(data, limit))
