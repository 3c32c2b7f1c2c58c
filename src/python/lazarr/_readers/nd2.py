"""Nikon's ND2, through nd2: each position an image, read a frame at a time. Where nd2 isn't there, through bioio."""
from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from .._errors import StoreError
from . import bioio, frames
from .file import File, why
from .tiff_places import Said

FRAME = "CYXS"
MODERN, LEGACY = b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP  "


def nd2(f: File) -> None:
    try:
        library = importlib.import_module("nd2")
    except ImportError as e:
        bioio.instead(f, "ND2", "nd2", str(e))
        return
    with open(f.path, "rb") as head:
        first = head.read(8)
    if first[:4] != MODERN and first != LEGACY:
        raise StoreError("it doesn't begin as an ND2 file does")
    try:
        with library.ND2File(f.path) as file:
            _file(f, library, file)
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None


def _time(file: Any) -> Any:
    """Milliseconds between frames, as the experiment says them; None: it doesn't."""
    for loop in file.experiment:
        p = loop.parameters
        if loop.type == "TimeLoop":
            return p.periodMs
        if loop.type == "NETimeLoop" and len(p.periods) == 1:
            return p.periods[0].periodMs
    return None


def _channels(f: File, file: Any) -> list[Any]:
    out = []
    for c in getattr(file.metadata, "channels", None) or []:
        colour = getattr(c.channel, "color", None)
        out.append({"label": c.channel.name, "color": list(colour)[:3] if colour is not None else None})
    return out


def _file(f: File, library: Any, file: Any) -> None:
    sizes = {k: int(n) for k, n in file.sizes.items()}
    outer = [a for a in sizes if a not in FRAME]
    inner = [a for a in sizes if a in FRAME]
    dtype, path = np.dtype(file.dtype), f.path
    positions = sizes.get("P", 1)
    if f.inner and not (f.inner.isdecimal() and int(f.inner) < positions):
        raise StoreError(f"'::{f.inner}' must be the number of one of its {positions} positions")
    one = positions == 1 or bool(f.inner)
    scale: dict[Any, Any] = {}
    units: dict[Any, Any] = {}

    def said(what: str, get: Any) -> Any:
        try:
            return get()
        except Exception as e:  # one that isn't as the library wants it
            f.left_out(what, why(e))
            return None

    voxel = said("voxel sizes", file.voxel_size)
    if voxel is not None:
        scale = {a: getattr(voxel, a) for a in "xyz" if a != "z" or "Z" in sizes}
        units = {a: "micrometer" for a in scale}
    period = said("times", lambda: _time(file)) if "T" in sizes else None
    if period is not None:
        scale["t"], units["t"] = period, "millisecond"
    channels = said("channels", lambda: _channels(f, file)) or []
    stored = getattr(getattr(file, "_rdr", None), "_frame_offsets", None)  # no public way tells it
    missing = sum(k not in stored for k in range(math.prod(sizes[a] for a in outer))) if isinstance(stored, dict) else 0
    if missing:
        f.left_out(f"{missing} frames", "they aren't in the file: their values are 0")
    each = [a for a in outer if a != "P"]
    shape = tuple(sizes[a] for a in each + inner)
    letters = "".join(each + inner)
    grid = tuple(sizes[a] for a in outer)
    for p in [int(f.inner)] if f.inner else range(positions):
        f.count()

        def load(p: int = p) -> Any:
            again = library.ND2File(path)

            def read(pos: tuple[Any, ...]) -> np.ndarray:
                at = dict(zip(each, map(int, pos)), P=p)
                k = int(np.ravel_multi_index([at[a] for a in outer], grid)) if outer else 0
                return np.asarray(again.read_frame(k)).reshape([sizes[a] for a in inner])
            return frames.Planes(shape, dtype, len(each), read, filename=path)

        frames.image(f, "" if one else f"series{p}", one, letters, shape, dtype, load,
                     Said(scale, units, channels, {}))
