"""Texts in Zarr: NumPy's of a fixed length, and those of any length as `vlen-utf8` and `vlen-bytes` pack them."""
from __future__ import annotations

import itertools
import math
import re
import struct
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from .._errors import StoreError
from . import codecs, texts, unpack
from .zarr_open import Folder, reader

FIXED = re.compile(r"[<>|=]?[US][1-9]\d{0,5}\Z")
FIXED3 = {"fixed_length_utf32": ("U", 4), "null_terminated_bytes": ("S", 1)}
VARIABLE = {"vlen-utf8": True, "vlen-bytes": False}  # whether they are texts
MAX_CHUNKS = 65536


class Form(NamedTuple):
    """How an array of texts lies in its chunks. dtype: of a fixed length; else codec says which they are."""

    shape: tuple[Any, ...]
    chunks: tuple[Any, ...]
    dtype: Optional[np.dtype]
    codec: str
    key: Callable[[tuple[Any, ...]], str]
    unpacked: Callable[[Callable[..., Optional[bytes]], str], Optional[bytes]]


def form(meta: dict[Any, Any], version: int) -> Optional[Form]:
    """None where it isn't one of texts; StoreError where it is, and can't be read."""
    return _form2(meta) if version == 2 else _form3(meta)


def _form2(meta: dict[Any, Any]) -> Optional[Form]:
    given, filters = meta.get("dtype"), meta.get("filters") or []
    codec, dtype = "", None
    if isinstance(given, str) and FIXED.match(given) and not filters:
        dtype = np.dtype(given)
    elif given == "|O" and isinstance(filters, list) and len(filters) == 1 and isinstance(filters[0], dict) and \
            filters[0].get("id") in VARIABLE:
        codec = filters[0]["id"]
    else:
        return None
    shape, chunks = codecs.integers("shape", meta.get("shape")), codecs.integers("chunks", meta.get("chunks"))
    if meta.get("order", "C") != "C" and len(shape) > 1:
        raise StoreError("its texts lie in the order of Fortran")
    _check(shape, chunks, dtype, meta.get("fill_value"))
    plan = codecs.v2(dict(meta, dtype="|u1", shape=[1], chunks=[_most(chunks, dtype)], filters=None, fill_value=0))
    separator = meta.get("dimension_separator", ".")
    if separator not in (".", "/"):
        raise StoreError(f"its dimension_separator is {separator!r:.20}")
    return Form(shape, chunks, dtype, codec, lambda pos: separator.join(map(str, pos)) or "0",
                lambda read, key: Folder(read, plan).chunk(key))


def _form3(meta: dict[Any, Any]) -> Optional[Form]:
    given, chain = meta.get("data_type"), meta.get("codecs")
    if not isinstance(chain, list) or not chain or not isinstance(given, (str, dict)):
        return None
    name, config = codecs._named(given, "type")
    codec, dtype = "", None
    if name in FIXED3:
        kind, width = FIXED3[name]
        n = config.get("length_bytes")
        if not isinstance(n, int) or not 0 < n < 1 << 20 or n % width:
            raise StoreError(f"its texts are of {n!r:.20} bytes")
        dtype = np.dtype(f"{kind}{n // width}")
    elif name not in ("string", "variable_length_bytes", "bytes"):
        return None
    packing = [codecs._named(c) for c in chain]
    first, its = packing[0]
    if dtype is not None and first == "bytes":
        dtype = dtype.newbyteorder(">" if its.get("endian") == "big" else "<")
    elif dtype is None and first in VARIABLE:
        codec = first
    else:
        raise StoreError(f"codec {first!r:.100} of texts isn't read")
    for kind, _ in packing[1:]:
        if kind not in codecs.V3_PACKERS and kind != "crc32c":
            raise codecs.refused("codec", kind)
    grid, its = codecs._named(meta.get("chunk_grid"), "chunk grid")
    if grid != "regular":
        raise codecs.refused("chunk grid", grid)
    shape, chunks = codecs.integers("shape", meta.get("shape")), codecs.integers("chunk shape", its.get("chunk_shape"))
    _check(shape, chunks, dtype, meta.get("fill_value"))
    keys, its = codecs._named(meta.get("chunk_key_encoding", "default"), "chunk key encoding")
    if keys not in ("default", "v2"):
        raise codecs.refused("chunk key encoding", keys)
    separator = "/" if its.get("separator", "/" if keys == "default" else ".") == "/" else "."

    def key(pos: tuple[Any, ...]) -> str:
        parts = [str(p) for p in pos]
        return separator.join(["c", *parts]) if keys == "default" else separator.join(parts) or "0"

    most = _most(chunks, dtype) + 4 * len(packing)

    def unpacked(read: Callable[..., Optional[bytes]], at: str) -> Optional[bytes]:
        stored = read(at)
        if stored is None:
            return None
        data: Any = stored
        for kind, how in packing[:0:-1]:
            data = data[:-4] if kind == "crc32c" else unpack.unpack(kind, data, most, how)
        return bytes(data)
    return Form(shape, chunks, dtype, codec, key, unpacked)


def _most(chunks: tuple[Any, ...], dtype: Optional[np.dtype]) -> int:
    """The bytes of an unpacked chunk, at most."""
    return texts.MAX_BYTES if dtype is None else math.prod(chunks) * dtype.itemsize


def _check(shape: tuple[Any, ...], chunks: tuple[Any, ...], dtype: Optional[np.dtype], fill: Any) -> None:
    codecs._ranks("shape", shape, chunks)
    each = 1 if dtype is None else dtype.itemsize
    texts.check(shape, each)
    texts.check(chunks, each)
    if 0 in chunks or math.prod(-(-n // c) for n, c in zip(shape, chunks)) > MAX_CHUNKS:
        raise StoreError(f"its texts lie in more than {MAX_CHUNKS} chunks")
    if fill not in (None, "", 0):  # bytes of nothing are "" in base64, too
        raise StoreError(f"its fill value {fill!r:.100} isn't the empty text")


def values(form: Form, tree: Any, path: str) -> np.ndarray:
    """All texts. ValueError for chunks that hold something else."""
    read = reader(tree, path, unpack.packed_limit(texts.MAX_BYTES))
    out: np.ndarray = np.full(form.shape, "" if VARIABLE.get(form.codec) else b"", object) if form.dtype is None \
        else np.zeros(form.shape, form.dtype)
    left = 2 * texts.MAX_BYTES  # of chunks, which may reach beyond the array
    for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(form.shape, form.chunks))):
        key = form.key(pos)
        data = form.unpacked(read, key)
        if data is None:
            continue
        left -= len(data)
        if left < 0:
            raise StoreError(f"its texts are more than {texts.MAX_BYTES >> 20} MiB")
        n = math.prod(form.chunks)
        if form.dtype is None:
            block = np.empty(n, object)
            block[:] = _variable(data, n, VARIABLE[form.codec])
        elif len(data) != n * form.dtype.itemsize:
            raise ValueError(f"{key}: a chunk of {len(data)} bytes, where {n} texts of {form.dtype} were to be")
        else:
            block = np.frombuffer(data, form.dtype)
        at = tuple(slice(p * c, min((p + 1) * c, s)) for p, c, s in zip(pos, form.chunks, form.shape))
        out[at] = block.reshape(form.chunks)[tuple(slice(0, s.stop - s.start) for s in at)]
    return out


def _variable(data: bytes, n: int, as_text: bool) -> list[Any]:
    """The texts of a chunk: their number, then each behind its length.

    >>> _variable(bytes([2, 0, 0, 0, 1, 0, 0, 0, 97, 0, 0, 0, 0]), 2, True)
    ['a', '']
    """
    if len(data) < 4 or struct.unpack_from("<I", data)[0] != n:
        raise ValueError(f"a chunk that doesn't hold the {n} texts that were to be in it")
    out: list[Any] = []
    at = 4
    for _ in range(n):
        if at + 4 > len(data):
            raise ValueError("a chunk of texts that ends too early")
        length = struct.unpack_from("<I", data, at)[0]
        at += 4
        if length > len(data) - at:
            raise ValueError("a chunk of texts that ends too early")
        out.append(data[at:at + length].decode() if as_text else data[at:at + length])
        at += length
    return out
