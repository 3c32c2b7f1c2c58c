"""The compressor of a Zarr or N5 array as lazarr's own, so that what is served is packed as the file is."""
from __future__ import annotations

from typing import Any, Optional

from .. import _codecs
from .._errors import StoreError

SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


def _made(kind: Any, config: dict[Any, Any]) -> Optional[dict[Any, Any]]:
    """A codec's description as lazarr.source takes it; None where lazarr has no such codec."""
    if kind == "blosc":
        shuffle = config.get("shuffle", "shuffle")
        made = {"id": "blosc", "cname": config.get("cname", "lz4"), "clevel": config.get("clevel", 5),
                "shuffle": SHUFFLES.get(shuffle, "shuffle") if isinstance(shuffle, int) else shuffle}
    elif kind in ("zstd", "zstandard", "gzip"):
        level = config.get("level", 3 if kind != "gzip" else 5)
        made = {"id": "gzip" if kind == "gzip" else "zstd", "level": 5 if level == -1 else level}
    else:
        return None
    try:
        _codecs.from_config(made)
    except (StoreError, TypeError):
        return None
    return made


def compressor(meta: dict[Any, Any], version: int) -> dict[Any, Any]:
    """The parameter for lazarr.source, if there is one: {"compressor": …}."""
    if version == 2:
        c = meta.get("compressor")
        if c is None and not meta.get("filters"):
            return {"compressor": None}
        made = _made(c.get("id"), c) if isinstance(c, dict) else None
        return {"compressor": made} if made else {}
    chain = _inner(meta.get("codecs"))
    if [n for n, _ in chain if n not in ("transpose", "crc32c")] == ["bytes"]:
        return {"compressor": None}
    for name, config in chain:
        made = _made(name, config)
        if made:
            return {"compressor": made}
    return {}


def _inner(codecs: Any) -> list[Any]:
    """The codecs that chunks are packed with, those in shards where there are shards: (name, configuration)."""
    out: list[Any] = []
    for c in codecs if isinstance(codecs, list) else []:
        name = c if isinstance(c, str) else c.get("name") if isinstance(c, dict) else None
        config = c.get("configuration") if isinstance(c, dict) else None
        config = config if isinstance(config, dict) else {}
        if name == "sharding_indexed":
            return _inner(config.get("codecs"))
        out.append((name, config))
    return out


def n5(meta: dict[Any, Any]) -> dict[Any, Any]:
    """The same of an N5 dataset: {"n5_compressor": …}."""
    c = meta.get("compression", meta.get("compressionType", "raw"))
    kind, config = (c.get("type"), c) if isinstance(c, dict) else (c, {})
    if kind == "raw":
        return {"n5_compressor": None}
    if kind == "lz4":
        return {"n5_compressor": {"id": "lz4"}}
    if kind == "gzip" and config.get("useZlib"):
        return {}
    made = _made(kind, config)
    return {"n5_compressor": made} if made else {}
