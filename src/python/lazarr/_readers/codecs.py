"""Codecs that a Zarr or N5 file may name: a fixed list. Everything else is left out by name, and compressors
are bounded (see unpack). A library's registry may hold more: ``pickle`` of numcodecs runs what lies in the
chunk, and any package can register one.
"""
from __future__ import annotations

import math
import re
from typing import Any, NamedTuple, Optional

from .._errors import StoreError
from . import trust, unpack

NUMBER = re.compile(r"[<>|=]?[biufc](1|2|4|8|16)\Z")
NUMBERS3 = {"bool": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4,
            "uint64": 8, "float16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16}
N5_NUMBERS = {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"}

#: Compressors of Zarr v2, by their ids in numcodecs: unpacked by lazarr.
PACKERS = frozenset({"blosc", "zstd", "gzip", "zlib", "bz2", "lzma", "lz4"})
#: Filters of numcodecs that make as many bytes as they say.
CHECKSUMS = frozenset({"adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"})
FILTERS = CHECKSUMS | {"delta", "fixedscaleoffset", "quantize", "bitround", "shuffle", "astype", "packbits"}
#: N5's own.
N5 = frozenset({"raw", "gzip", "bzip2", "xz", "blosc", "zstd", "zstandard", "lz4"})
#: Zarr v3's own, beside numcodecs' under the names "numcodecs.ID".
V3_PACKERS = frozenset({"gzip", "zstd", "blosc"})
V3_ARRAY = frozenset({"transpose", "delta", "fixedscaleoffset", "quantize", "bitround", "astype",
                      "packbits"})

#: The name under which zarr-python 3 knows lazarr's bounded compressors.
BOUNDED = "lazarr.bounded"


def refused(what: str, name: Any) -> StoreError:
    return StoreError(f"{what} {name!r:.100} is none of those that a file may name (docs/security.md)")


class Bounded(NamedTuple):
    """A compressor and what it may unpack to."""

    kind: str
    config: dict[Any, Any]
    limit: int


class Plan(NamedTuple):
    """How a Zarr v2 array is read: its metadata without the compressors, and those, the last one first."""

    meta: dict[Any, Any]
    packers: list[Any]
    most: int  # bytes of a chunk's file


def integers(what: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int) or v < 0
                                          for v in value):
        raise StoreError(f"its {what} is no list of integers: {value!r:.100}")
    return tuple(value)


def number(dtype: Any) -> int:
    """The bytes of a v2 dtype that is a number's."""
    if not isinstance(dtype, str) or not NUMBER.match(dtype):
        raise StoreError(f"its type, {dtype!r:.100}, is no number's")
    return int(re.sub(r"\D", "", dtype))


def _id(codec: Any, what: str) -> str:
    if not isinstance(codec, dict) or not isinstance(codec.get("id"), str):
        raise refused(what, codec)
    return str(codec["id"])


def _after(name: str, config: dict[Any, Any], size: int, elements: int) -> int:
    """The most bytes that a filter makes out of so many."""
    for key in ("dtype", "astype", "encode_dtype", "decode_dtype"):
        if config.get(key) is not None:
            number(config[key])
    if name in CHECKSUMS:
        return size + 16
    if name == "packbits":
        return elements // 8 + 16
    wanted = config.get("encode_dtype") if name == "astype" else \
        config.get("astype") or config.get("dtype") if name in ("delta", "fixedscaleoffset", "quantize") \
        else None
    return max(size, elements * number(wanted)) if wanted else size


def v2(meta: dict[Any, Any]) -> Plan:
    """What Zarr v2 metadata name, checked; StoreError says what isn't taken.

    >>> v2({"dtype": "<i4", "shape": [9], "chunks": [4], "compressor": {"id": "gzip", "level": 1}}).packers
    [Bounded(kind='gzip', config={'id': 'gzip', 'level': 1}, limit=16)]
    >>> v2({"dtype": "<i4", "shape": [9], "chunks": [4], "compressor": {"id": "pickle"}})
    Traceback (most recent call last):
    lazarr._errors.StoreError: compressor 'pickle' is none of those that a file may name (docs/security.md)
    """
    chunks = integers("chunks", meta.get("chunks"))
    _ranks("shape", integers("shape", meta.get("shape")), chunks)
    size = trust.block(chunks, number(meta.get("dtype")))
    filters, compressor = meta.get("filters") or [], meta.get("compressor")
    if not isinstance(filters, list):
        raise refused("filters", filters)
    chain = [("filter", c) for c in filters] + ([("compressor", compressor)] if compressor else [])
    kept, packers = [], []
    for what, c in chain:
        name = _id(c, what)
        if name in PACKERS:
            packers.append(Bounded(name, c, size))
            size = unpack.packed_limit(size)
        elif name not in FILTERS:
            raise refused(what, name)
        elif packers:
            raise StoreError(f"filter '{name}' comes behind compressor '{packers[-1].kind}'")
        else:
            size = _after(name, c, size, math.prod(chunks))
            kept.append(c)
    fill = None if meta.get("fill_value") == "" else meta.get("fill_value")  # some writers' way to say none
    return Plan(dict(meta, compressor=None, filters=kept or None, fill_value=fill), packers[::-1], size)


class Plan3(NamedTuple):
    """How a Zarr v3 array is read: its metadata with bounded compressors, and the bytes of a chunk's file."""

    meta: dict[Any, Any]
    most: int


def v3(meta: dict[Any, Any]) -> Plan3:
    """The same for Zarr v3 metadata; what is inside shards, too."""
    itemsize = NUMBERS3.get(meta["data_type"]) if isinstance(meta.get("data_type"), str) else None
    if itemsize is None:
        raise StoreError(f"its type, {meta.get('data_type')!r:.100}, is no number's")
    if meta.get("storage_transformers"):
        raise refused("storage transformers", meta["storage_transformers"])
    grid = meta.get("chunk_grid")
    name, config = _named(grid, "chunk grid")
    if name != "regular":
        raise refused("chunk grid", name)
    chunks = integers("chunk shape", config.get("chunk_shape"))
    _ranks("shape", integers("shape", meta.get("shape")), chunks)
    made, most = _chain(meta.get("codecs"), chunks, itemsize, True)
    # What makes no sense among the names of axes is said where they are read, and is no reason to refuse the values.
    return Plan3(dict(meta, codecs=made, attributes={}, dimension_names=None), most)


def _ranks(what: str, shape: tuple[Any, ...], chunks: tuple[Any, ...]) -> None:
    if len(shape) != len(chunks):
        raise StoreError(f"its {what} of {len(shape)} axes and its chunks of {len(chunks)} don't go together")


def _named(codec: Any, what: str = "codec") -> tuple[Any, ...]:
    """(name, configuration) of a v3 codec."""
    if isinstance(codec, str):
        return codec, {}
    if isinstance(codec, dict) and isinstance(codec.get("name"), str) and \
            isinstance(codec.get("configuration", {}), dict):
        return codec["name"], codec.get("configuration", {})
    raise refused(what, codec)


def _chain(codecs: Any, shape: tuple[Any, ...], itemsize: int, outer: bool) -> tuple[Any, ...]:
    """(a v3 chain with bounded compressors, the bytes of what it makes of a block)."""
    if not isinstance(codecs, list):
        raise refused("codecs", codecs)
    names = [_named(c)[0] for c in codecs]
    sharded = "sharding_indexed" in names
    # A shard is read in parts: its inner chunks are what is unpacked at once.
    size = trust.block(shape, itemsize, 1 << 50 if sharded and outer else trust.MAX_BLOCK)
    made = []
    for c in codecs:
        name, config = _named(c)
        short = name[len("numcodecs."):] if name.startswith("numcodecs.") else None
        if name == "sharding_indexed" and outer:
            inner = integers("inner chunk shape", config.get("chunk_shape"))
            _ranks("shards", shape, inner)
            within, part = _chain(config.get("codecs"), inner, itemsize, False)
            index = config.get("index_codecs")
            if not isinstance(index, list) or any(_named(i)[0] not in ("bytes", "crc32c") for i in index):
                raise refused("index codecs", index)
            parts = math.prod(-(-a // b) for a, b in zip(shape, inner))
            if parts > 1 << 24:
                raise StoreError(f"its shards hold {parts} chunks each")
            size = parts * (part + 16) + 4096
            c = {"name": name, "configuration": dict(config, codecs=within)}
        elif name in V3_PACKERS or short in PACKERS:
            kind = short or name
            c = {"name": BOUNDED, "configuration": {"kind": kind, "limit": size, "config": config}}
            size = unpack.packed_limit(size)
        elif name in ("bytes", "transpose", "crc32c"):
            size += 16 if name == "crc32c" else 0
        elif short in FILTERS:
            size = _after(short, config, size, math.prod(shape))
        else:
            raise refused("codec", name)
        made.append(c)
    return made, size


def n5(meta: dict[Any, Any]) -> str:
    """The name of the compression of an N5 dataset."""
    c: Optional[Any] = meta.get("compression", meta.get("compressionType", "raw"))
    kind = c.get("type") if isinstance(c, dict) else c
    if not isinstance(kind, str) or kind not in N5:
        raise refused("compression", kind)
    return kind
