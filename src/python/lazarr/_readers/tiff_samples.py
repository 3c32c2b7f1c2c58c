"""The samples of a TIFF's pixels: which are red, green and blue, and which is alpha."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np

from .file import File

RGB = [("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF")]
PHOTOMETRIC_RGB, PHOTOMETRIC_PALETTE, PHOTOMETRIC_YCBCR = 2, 3, 6
ALPHA = (1, 2)


class First:
    """The first n along an axis of an array-like."""

    def __init__(self, a: Any, axis: int, n: int):
        self.a, self.axis = a, axis
        self.shape = tuple(n if i == axis else int(m) for i, m in enumerate(a.shape))
        self.dtype = a.dtype
        own = getattr(a, "chunks", None)
        self.chunks = None if own is None else tuple(min(int(c), n) if i == axis else int(c)
                                                     for i, c in enumerate(own))

    def __getitem__(self, key: Any) -> Any:
        return self.a[key]  # blocks are slices within the shape


def first(a: Any, axis: int, n: int) -> Any:
    """The first n along an axis: of a NumPy array or memory map a view."""
    if isinstance(a, np.ndarray):
        return a[tuple(slice(0, n) if i == axis else slice(None) for i in range(a.ndim))]
    return First(a, axis, n)


def without_alpha(f: File, series: Any, where: str) -> Optional[tuple[Any, ...]]:
    """(axis, number) of the samples that aren't alpha, where one is, which is said; None: all are values."""
    page = series.keyframe
    if "S" not in series.axes or not page.extrasamples:
        return None
    extra = [int(e) for e in page.extrasamples]
    n = int(series.shape[series.axes.index("S")])
    if extra[-1] not in ALPHA or n < 2 or len(extra) > 1:
        return None
    f.left_out(f"{where}: alpha", f"sample {n} says how opaque the others are; {n - 1} are channels")
    return series.axes.index("S"), n - 1


def colours(series: Any, n: int) -> Optional[list[Any]]:
    """The channels of a colour image of n samples."""
    page = series.keyframe
    if int(page.photometric) not in (PHOTOMETRIC_RGB, PHOTOMETRIC_YCBCR) or "S" not in series.axes or n < 3:
        return None
    window = {}
    if page.dtype is not None and page.dtype.kind == "u":
        bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
        window = {"window": {"min": 0, "start": 0, "end": 2 ** bits - 1, "max": 2 ** bits - 1}}
    made: list[Any] = [{"label": label, "color": colour, **window} for label, colour in RGB]
    return made + [{"label": str(k), "color": "FFFFFF", "active": False} for k in range(3, n)]
