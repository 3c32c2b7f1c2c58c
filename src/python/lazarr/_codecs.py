"""How chunks are compressed. Plain descriptions: the compressing is done by the server, in C."""
from __future__ import annotations

from typing import Any, Callable, Optional, Union

from ._errors import StoreError

CNAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")


def _level(codec: str, name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise StoreError(f"{codec}: {name} must be an integer from {low} to {high}, got {value!r}")
    return value


class Codec:
    """What Blosc, Zstd and Gzip have in common: ``config``, a dict for the manifest."""

    __slots__ = ("config",)
    config: dict[Any, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Codec) and self.config == other.config

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.config.items())))

    def __repr__(self) -> str:
        args = ", ".join(f"{k}={v!r}" for k, v in self.config.items() if k != "id")
        return f"lazarr.{type(self).__name__}({args})"


class Blosc(Codec):
    """Blosc: fast compression of binary data, the default.

    cname: "blosclz", "lz4", "lz4hc", "snappy", "zlib" or "zstd"; clevel: 0 to 9; shuffle:
    "noshuffle", "shuffle" (bytes) or "bitshuffle". Raises StoreError for anything else.

    >>> Blosc("zstd", 3)
    lazarr.Blosc(cname='zstd', clevel=3, shuffle='shuffle')
    """

    __slots__ = ()

    def __init__(self, cname: str = "lz4", clevel: int = 5, shuffle: str = "shuffle"):
        if cname not in CNAMES:
            raise StoreError(f"Blosc: cname must be one of {', '.join(CNAMES)}, got {cname!r}")
        if shuffle not in SHUFFLES:
            raise StoreError(f"Blosc: shuffle must be one of {', '.join(SHUFFLES)}, got {shuffle!r}")
        self.config = {"id": "blosc", "cname": cname,
                       "clevel": _level("Blosc", "clevel", clevel, 0, 9), "shuffle": shuffle}


class Zstd(Codec):
    """Zstandard; level 1 to 22 (0 is the library's default, negative ones are faster still).

    >>> Zstd(5)
    lazarr.Zstd(level=5)
    """

    __slots__ = ()

    def __init__(self, level: int = 3):
        self.config = {"id": "zstd", "level": _level("Zstd", "level", level, -131072, 22)}


class Gzip(Codec):
    """Gzip; level 0 to 9.

    >>> Gzip()
    lazarr.Gzip(level=5)
    """

    __slots__ = ()

    def __init__(self, level: int = 5):
        self.config = {"id": "gzip", "level": _level("Gzip", "level", level, 0, 9)}


class Lz4(Codec):
    """LZ4 as N5 has it (lz4-java's block stream): for ``n5_compressor`` only.

    >>> Lz4()
    lazarr.Lz4()
    """

    __slots__ = ()

    def __init__(self) -> None:
        self.config = {"id": "lz4"}


def from_config(value: Any, n5: bool = False) -> Optional[Codec]:
    """A codec from what a user or a JSON manifest gives: None, a codec, or its config as a dict."""
    if isinstance(value, Lz4) and not n5:
        raise StoreError("compressor: Lz4 is for n5_compressor only; Blosc('lz4') is the Zarr way")
    if value is None or isinstance(value, Codec):
        return value
    if isinstance(value, dict):
        kinds: dict[Any, Callable[..., Codec]] = {"blosc": Blosc, "zstd": Zstd, "gzip": Gzip}
        kind = Lz4 if n5 and value.get("id") == "lz4" else kinds.get(value.get("id"))
        if kind is None:
            raise StoreError(f"unknown codec {value.get('id')!r}: expected blosc, zstd or gzip")
        try:
            return kind(**{k: v for k, v in value.items() if k != "id"})
        except TypeError:
            known = {"blosc": "cname, clevel, shuffle", "lz4": "none"}.get(value["id"], "level")
            raise StoreError(f"unknown parameter of codec {value['id']}: it has {known}") from None
    raise StoreError(f"{'n5_' if n5 else ''}compressor must be lazarr.Blosc(...), lazarr.Zstd(...), "
                     f"lazarr.Gzip(...){', lazarr.Lz4()' if n5 else ''} or None, got {value!r}")


Compressor = Union[Codec, dict[Any, Any], None]
