"""What only images have: channels as OMERO describes them, labels of another image."""
from __future__ import annotations

import math
import re
from typing import Any, Optional, Sequence

import numpy as np

from . import _check
from ._errors import StoreError

COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF", "FFFFFF")
BOX = 8  # voxels along each axis of a box of compressed_segmentation


def _number(where: str, value: Any) -> float:
    try:
        fits = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and \
            math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        fits = False
    if not fits:
        raise StoreError(f"channels: {where} must be a finite number, got {value!r}")
    made: float = value.item() if isinstance(value, np.generic) else value
    return made


def _window(given: Any, dt: np.dtype, where: str) -> dict[Any, Any]:
    """min, max, start, end, all of which readers need: what isn't given is the dtype's range, of
    floats 0 to 1."""
    if given is None:
        given = {}
    if not isinstance(given, dict) or set(given) - {"min", "max", "start", "end"}:
        raise StoreError(f"channels: {where} must be a dict of min, max, start and end, got {given!r}")
    low, high = (0.0, 1.0) if dt.kind == "f" else \
        (0, 1) if dt.kind == "b" else (int(np.iinfo(dt).min), int(np.iinfo(dt).max))
    start = _number(f"{where}.start", given.get("start", given.get("min", low)))
    end = _number(f"{where}.end", given.get("end", given.get("max", high)))
    least = _number(f"{where}.min", given.get("min", min(low, start)))
    most = _number(f"{where}.max", given.get("max", max(high, end)))
    if not least <= start < end <= most:
        raise StoreError(f"channels: {where} must have min ≤ start < end ≤ max, got {given!r}")
    return {"min": least, "max": most, "start": start, "end": end}


def for_dtype(given: Sequence[dict[Any, Any]], theirs: np.dtype, own: np.dtype) -> list[Any]:
    """An input's channels as those of an array of another dtype: a window that was all its dtype has,
    or that the own dtype can't have, isn't taken over.

    >>> a = channels([{"label": "a", "window": {"start": 10, "end": 300}}], ("y", "x"), (9, 9),
    ...              np.dtype("uint16"), "image")
    >>> [for_dtype(a, np.dtype("uint16"), np.dtype(d))[0].get("window") for d in ("float32", "uint8")]
    [{'min': 0, 'max': 65535, 'start': 10, 'end': 300}, None]
    """
    out = []
    least, most = _range(own)
    for c in given:
        w = c["window"]
        whole = w == _window(None, theirs, "window")
        if theirs == own or not whole and least <= w["start"] and w["end"] <= most:
            out.append(dict(c, window=dict(w, min=max(least, w["min"]), max=min(most, w["max"]))))
        else:
            out.append({k: v for k, v in c.items() if k != "window"})
    return out


def _range(dt: np.dtype) -> tuple[Any, ...]:
    """The smallest and largest value that a dtype holds."""
    if dt.kind == "b":
        return 0, 1
    if dt.kind in "iu":
        return int(np.iinfo(dt).min), int(np.iinfo(dt).max)
    return float(np.finfo(dt).min), float(np.finfo(dt).max)


def channels(value: Any, axes: Optional[tuple[Any, ...]], shape: Sequence[int], dt: np.dtype,
             kind: str) -> Optional[list[Any]]:
    """A list of names or of OMERO dicts to complete OMERO channels: label, color, active, window."""
    if value is None:
        return None
    if axes is None or kind != "image":
        raise StoreError("channels needs an image (axes)")
    if dt.kind == "c":
        raise StoreError("channels can't be shown of a complex dtype")
    want = shape[axes.index("c")] if "c" in axes else 1
    if isinstance(value, (str, dict)) or not isinstance(value, (list, tuple)) or len(value) != want:
        raise StoreError(f"channels must be a list of {want} names or dicts, got {value!r}"
                         + ("" if "c" in axes else f" (the axes {''.join(axes)!r} have no c)"))
    out = []
    for i, c in enumerate(value):
        c = {"label": c} if isinstance(c, str) else c
        if not isinstance(c, dict) or not all(isinstance(k, str) for k in c):
            raise StoreError(f"channels must be names or dicts, got {c!r}")
        colour = c.get("color", "FFFFFF" if want == 1 else COLOURS[i % len(COLOURS)])
        if not isinstance(colour, str) or not re.fullmatch("[0-9A-Fa-f]{6}", colour):
            raise StoreError(f'channels: color must be six hex digits such as "FF0000", got {colour!r}')
        if not isinstance(c.get("label", ""), str) or not isinstance(c.get("active", True), bool):
            raise StoreError(f"channels: label must be a text and active a bool, got {c!r}")
        own = {k: v for k, v in c.items() if k != "window"}
        try:
            _check.attributes(own)  # members of their own are kept, and written into readers' documents
        except StoreError as e:
            raise StoreError(f"channels: of channel {i}: {e}") from None
        out.append({"label": str(i), "active": True, "coefficient": 1, "family": "linear",
                    "inverted": False, **own, "color": colour.upper(),
                    "window": _window(c.get("window"), dt, f"window of channel {i}")})
    return out


def labels_of(value: Any, kind: str) -> Optional[str]:
    """The path of the image whose labels an array is."""
    if value is None:
        return None
    if kind != "labels":
        raise StoreError("labels_of needs kind='labels'")
    path = getattr(value, "path", value)
    if not isinstance(path, str):
        raise StoreError(f"labels_of must be an image or its path, got {value!r}")
    if getattr(value, "kind", "image") != "image":
        raise StoreError(f'labels_of must be an image, and array "{path}" is {value.kind}')
    return path


def precomputed_encoding(value: Any, dt: np.dtype, chunks: Sequence[int],
                         axes: Optional[tuple[Any, ...]]) -> Optional[str]:
    """None leaves the choice: compressed_segmentation for labels of 32 and 64 bits, else raw."""
    if value is None or _check.choice("precomputed_encoding", value, ("raw", "compressed_segmentation")) == "raw":
        return None if value is None else "raw"
    if dt.name not in ("uint32", "uint64", "int64"):
        raise StoreError(f"precomputed_encoding 'compressed_segmentation' needs uint32 or uint64, "
                         f"got {dt.name}")
    boxes = 1
    for i, n in enumerate(chunks):
        if axes is None or axes[i] in "zyx":
            boxes *= -(-n // BOX)
    if boxes * (2 + BOX**3 // 2 + 2 * BOX**3) >= 2**24:
        raise StoreError("precomputed_encoding 'compressed_segmentation' needs smaller chunks (up to "
                         f"184³ voxels), got {tuple(chunks)}")
    return str(value)
