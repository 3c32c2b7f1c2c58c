"""The chain of a TIFF's pages, walked once before a library does: each page says where the next one is, and a
chain may lead in a circle, which tifffile follows for ever."""
from __future__ import annotations

import os
from typing import Any, BinaryIO, Optional

from .._errors import StoreError

MAX_PAGES = 1 << 20
NDPI = 65420  # the number of a tag


def _number(file: BinaryIO, at: int, size: int, order: str) -> Optional[int]:
    file.seek(at)
    data = file.read(size)
    return int.from_bytes(data, order) if len(data) == size else None  # type: ignore[arg-type]


def is_ndpi(path: str) -> bool:
    """Whether a classic TIFF is Hamamatsu's NDPI, whatever it is called: its first page has their tag, and its
    offsets 64 bits."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        at = _number(file, 4, 8, "little") if file.read(4) == b"II*\0" else None
        tags = _number(file, at, 2, "little") if at and at < size else None
        return any(_number(file, at + 2 + 12 * i, 2, "little") == NDPI for i in range(tags or 0)) if at else False


def check(path: str) -> None:
    """StoreError for a chain that leads in a circle or has more than MAX_PAGES pages. What is no TIFF at all
    is the library's to refuse."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(4)
        order = {b"II": "little", b"MM": "big"}.get(head[:2])
        if order is None or len(head) < 4:
            return
        big = int.from_bytes(head[2:], order) == 43  # type: ignore[arg-type]
        count, entry, link = (8, 20, 8) if big else (2, 12, 4)
        at = _number(file, 8 if big else 4, link, order)
        seen: set[Any] = set()
        while at and at < size:
            if at in seen:
                raise StoreError("its pages lead in a circle")
            if len(seen) == MAX_PAGES:
                raise StoreError(f"it has more than {MAX_PAGES} pages")
            seen.add(at)
            tags = _number(file, at, count, order)
            if tags is None or at + count + tags * entry > size:
                return
            at = _number(file, at + count + tags * entry, link, order)
