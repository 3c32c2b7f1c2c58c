"""Compressions that a TIFF may name, and what a strip or tile of one may unpack to.

tifffile takes any that imagecodecs has; without imagecodecs it unpacks deflate, xz and PackBits as far as the
bytes go. Here the list is fixed, what is streamed is bounded, and what is a picture of its own says its size
in its head, which is compared before it is unpacked.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Iterator, Optional

from .._errors import StoreError
from . import trust, unpack

STREAMS = {8: "zlib", 32946: "zlib", 50013: "zlib", 34925: "lzma"}
PACKBITS = 32773
SIZED = {1, 5, 50000, 34926}        # none, LZW, zstd: imagecodecs unpacks them into the room that is asked for
JPEG, JPEG2000, PNG, WEBP = {6, 7, 33007, 34892}, {33003, 33004, 33005, 34712}, {34933}, {50001, 34927}


class Codecs(Mapping[Any, Any]):
    """tifffile's table of decoders, those that are taken."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __getitem__(self, key: int) -> Callable[..., Any]:
        if key in STREAMS:
            return _stream(STREAMS[key])
        if key == PACKBITS:
            return packbits
        if key in SIZED:
            given: Callable[..., Any] = self.given[key]
            return given
        size = jpeg_size if key in JPEG else jpeg2000_size if key in JPEG2000 else \
            png_size if key in PNG else webp_size if key in WEBP else None
        if size is None:
            raise KeyError(f"compression {int(key)} is none of those that a file may name "
                           "(docs/security.md)")
        return _picture(self.given[key], size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


def guard(tifffile: Any) -> None:
    """Puts the table in the place of tifffile's, once a process."""
    table = tifffile.TIFF
    if not isinstance(table.DECOMPRESSORS, Codecs):
        table.DECOMPRESSORS = Codecs(table.DECOMPRESSORS)


def check(tifffile: Any, level: Any) -> tuple[Any, ...]:
    """(path of the file that a level lies in, its byte order); StoreError where its compression isn't taken."""
    key = level.keyframe
    try:
        tifffile.TIFF.DECOMPRESSORS[int(key.compression)]
    except KeyError as e:
        raise StoreError(str(e.args[0])) from None
    return key.parent.filehandle.path, key.parent.byteorder


def _limit(out: Any) -> int:
    return min(out, trust.MAX_STRIP) if isinstance(out, int) else \
        out.nbytes if hasattr(out, "nbytes") else trust.MAX_STRIP


def _stream(kind: str) -> Callable[..., Any]:
    def decode(data: Any, *_: Any, out: Any = None, **__: Any) -> bytes:
        return bytes(unpack.unpack(kind, data, _limit(out), {}))
    return decode


def packbits(data: Any, *_: Any, out: Any = None, **__: Any) -> bytes:
    """
    >>> packbits(bytes([254, 7, 1, 8, 9]))
    b'\\x07\\x07\\x07\\x08\\t'
    """
    limit, made, i, data = _limit(out), bytearray(), 0, bytes(data)
    while i < len(data) and len(made) <= limit:
        n = data[i]
        if n < 128:
            made += data[i + 1:i + 2 + n]
            i += n + 2
        else:
            if n > 128:
                made += data[i + 1:i + 2] * (257 - n)
            i += 1 if n == 128 else 2
    if len(made) > limit:
        raise unpack.too_much(limit)
    return bytes(made)


def _picture(decode: Callable[..., Any], size: Callable[[bytes], Optional[int]]) -> Callable[..., Any]:
    def checked(data: Any, *args: Any, **more: Any) -> Any:
        n = size(bytes(data))
        if n is None or n > trust.MAX_STRIP:
            raise StoreError("the size of a compressed picture in it " +
                             ("can't be found" if n is None else f"would be {n} bytes"))
        return decode(data, *args, **more)
    return checked


def jpeg_size(data: bytes) -> Optional[int]:
    """The bytes of a JPEG unpacked, at most: width × height × 4 × 2."""
    i = 2
    while i + 9 < len(data):
        if data[i] != 0xFF:
            return None
        mark = data[i + 1]
        if mark == 0xFF:
            i += 1
        elif 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC) or mark == 0xF7:  # JPEG-LS
            return int.from_bytes(data[i + 5:i + 7], "big") * int.from_bytes(data[i + 7:i + 9], "big") * 8
        elif mark in (0x01, *range(0xD0, 0xD9)):
            i += 2
        else:
            i += 2 + int.from_bytes(data[i + 2:i + 4], "big")
    return None


def jpeg2000_size(data: bytes) -> Optional[int]:
    """The same of a JPEG 2000 codestream, in a file of its own or not."""
    i = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    if i < 0 or len(data) < i + 42:
        return None
    x1, y1, x0, y0 = (int.from_bytes(data[i + 8 + 4 * k:i + 12 + 4 * k], "big") for k in range(4))
    return max(0, x1 - x0) * max(0, y1 - y0) * int.from_bytes(data[i + 40:i + 42], "big") * 4


def png_size(data: bytes) -> Optional[int]:
    if data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big") * 8


def webp_size(data: bytes) -> Optional[int]:
    """A WebP has at most 14 bits for each side; those of its first picture are not looked for."""
    return 4 << 28 if data[:4] == b"RIFF" else None
