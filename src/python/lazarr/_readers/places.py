"""What files say of their images besides the values: scales, places, units, channels, looked at field by
field. One that makes no sense is left out alone and said, and all around it stays."""
from __future__ import annotations

import math
import re
from typing import Any, Optional, Sequence

import numpy as np

from .. import _images, _units
from .._errors import StoreError
from .file import File

#: Names of colours that files have.
COLOURS = {"red": "FF0000", "green": "00FF00", "blue": "0000FF", "cyan": "00FFFF", "magenta": "FF00FF",
           "yellow": "FFFF00", "white": "FFFFFF", "gray": "FFFFFF", "grey": "FFFFFF", "grays": "FFFFFF",
           "black": "000000", "orange": "FF8000"}

#: Channels that are named, at most: a file of a few bytes can say that it has as many as it likes.
MAX_CHANNELS = 4096


def number(value: Any) -> Optional[float]:
    """A finite number; texts of one count. None: it is none."""
    if isinstance(value, (bool, np.bool_)):
        return None
    one: Any = value
    if isinstance(value, (np.ndarray, list, tuple)) and np.size(value) == 1:
        one = np.ravel(value)[0]  # HDF5's attributes are often arrays of one
    try:
        made = float(one)
    except (TypeError, ValueError, OverflowError):
        return None
    return made if math.isfinite(made) else None


def _each(given: Any, axes: Sequence[str]) -> Optional[list[Any]]:
    """What is given for each axis, of a list, a dict by axis or one value of the spatial axes; None: nothing."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if given is None or isinstance(given, (dict, list, tuple)) and not given:
        return None
    if isinstance(given, dict):
        return [given.get(a) for a in axes]
    if isinstance(given, (list, tuple)):
        return [given[i] if i < len(given) else None for i in range(len(axes))]
    return [given if a in "zyx" else None for a in axes]


def _cut(f: File, where: str, what: str, given: Any, axes: Sequence[str]) -> None:
    if isinstance(given, (list, tuple, np.ndarray)) and len(given) > len(axes):
        f.left_out(f"{where}: {what} {len(axes) + 1} to {len(given)}", f"it has {len(axes)} axes")


def _numbers(f: File, where: str, what: str, given: Any, axes: Sequence[str], noun: str, default: float,
             wanted: str) -> list[Any]:
    """A number for each axis; what is none, or of sizes isn't above 0, counts as the default, which is said.
    wanted: the axes that a dict has to name."""
    each = _each(given, axes)
    if each is None:
        return [default] * len(axes)
    _cut(f, where, what, given, axes)
    out = []
    for axis, value in zip(axes, each):
        made = number(value)
        if made is None or noun == "size" and made <= 0:
            if value is not None or axis in wanted or isinstance(given, (list, tuple)):
                said = "none is given" if value is None else f"{value!r:.100} is no {noun}"
                f.left_out(f"{where}: {what} of {axis}", f"{said}: it counts as {default:g}")
            made = default
        out.append(made)
    return out


def scale(f: File, where: str, given: Any, axes: Sequence[str]) -> list[Any]:
    """Voxel sizes, one for each axis: of a list, a dict by axis, or a number for the spatial axes. 0, NaN,
    negative or missing counts as 1, which is said; not where nothing is given, nor of an axis t or c that a
    dict doesn't name."""
    return _numbers(f, where, "scale", given, axes, "size", 1.0, "zyx")


def translation(f: File, where: str, given: Any, axes: Sequence[str]) -> list[Any]:
    """The places of voxel 0 as `scale` takes sizes; what is no number counts as 0, which is said."""
    return _numbers(f, where, "translation", given, axes, "place", 0.0, "")


def units(f: File, where: str, given: Any, axes: Sequence[str]) -> list[Any]:
    """Units as UDUNITS spells them, one (or None) for each axis: of a list, a dict by axis, or a text for
    the spatial axes. One that is no unit of its axis is left out alone, which is said."""
    out = []
    _cut(f, where, "units", given, axes)
    for axis, value in zip(axes, _each(given, axes) or [None] * len(axes)):
        try:
            out.append(_units.named(value, axis))
        except _units.NoUnit as e:
            f.left_out(f"{where}: unit of {axis}", str(e))
            out.append(None)
    return out


def colour(value: Any) -> Optional[str]:
    """A colour as six hexadecimal digits, of a text (#RGB, RRGGBB, RRGGBBAA, a name) or a list of numbers
    (0 to 255, or floats from 0 to 1). None: it is none.

    >>> [colour(c) for c in ("#ff0000", "0F0", "0000FFff", "Cyan", [255, 0, 255], [1.0, .5, 0.0], "puce")]
    ['FF0000', '00FF00', '0000FF', '00FFFF', 'FF00FF', 'FF8000', None]
    """
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in COLOURS:
            return COLOURS[text.lower()]
        found = re.fullmatch(r"(?:#|0[xX])?([0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})(?:[0-9A-Fa-f]{2})?", text)
        if not found or len(text.lstrip("#")) == 5:
            return None
        return (found[1] if len(found[1]) == 6 else "".join(2 * d for d in found[1])).upper()
    if isinstance(value, (list, tuple, np.ndarray)) and len(value) in (3, 4):
        parts = [-1.0 if p is None else p for p in map(number, value[:3])]
        if not all(0 <= p <= 255 for p in parts):
            return None
        unit = all(p <= 1 for p in parts) and any(isinstance(v, (float, np.floating)) for v in value)
        return "".join(f"{int(p * 255 + .5) if unit else int(p):02X}" for p in parts)
    return None


def _window(f: File, where: str, given: Any, dtype: np.dtype) -> Optional[dict[Any, Any]]:
    """A window's members that make sense together: all, or start and end, or none; what isn't taken is said."""
    if not isinstance(given, dict):
        f.left_out(where, f"{given!r:.100} is no window")
        return None
    kept = {k: number(given[k]) for k in ("min", "max", "start", "end") if given.get(k) is not None}
    odd = [f"{k} {given[k]!r:.50}" for k, v in kept.items() if v is None]
    kept = {k: given[k] if isinstance(given[k], int) else v for k, v in kept.items() if v is not None}
    odd += [f"{k}" for k in given if k not in ("min", "max", "start", "end")]
    if odd:
        f.left_out(where, f"of it {', '.join(map(str, odd))}, which makes no sense there")
    both = {k: v for k, v in kept.items() if k in ("start", "end")}
    for part in (kept, both):
        if not part:
            break
        try:
            _images._window(part, dtype, "window")
        except StoreError:
            continue
        if len(part) < len(kept):
            f.left_out(where, f"of it min and max, which aren't around start and end: {given!r:.150}")
        return part
    if kept:
        f.left_out(where, f"{given!r:.150} is no range")
    return None


def channel(f: File, where: str, given: Any, i: int, dtype: np.dtype) -> dict[Any, Any]:
    """One OMERO channel, or its name, with what of it makes sense."""
    if isinstance(given, (str, bytes)):
        given = {"label": given}
    if not isinstance(given, dict):
        f.left_out(where, f"{given!r:.100} is no channel")
        return {"label": str(i)}
    out: dict[Any, Any] = f.attributes(where, {k: v for k, v in given.items() if k not in ("color", "window", "active")})
    label = out.pop("label", None)
    out = {"label": str(i) if label in (None, "") else label if isinstance(label, str) else str(label), **out}
    if given.get("color") is not None:
        made = colour(given["color"])
        if made is None:
            f.left_out(f"{where}: color", f"{given['color']!r:.100} is no colour")
        else:
            out["color"] = made
    if given.get("active") is not None:
        active = {"true": True, "false": False, 0: False, 1: True}.get(
            given["active"].lower() if isinstance(given["active"], str) else
            given["active"] if isinstance(given["active"], (bool, int)) else None)
        if active is None:
            f.left_out(f"{where}: active", f"{given['active']!r:.100} is neither true nor false")
        else:
            out["active"] = active
    if given.get("window") is not None:
        window = _window(f, f"{where}: window", given["window"], dtype)
        if window is not None:
            out["window"] = window
    return out


def channels(f: File, where: str, given: Any, n: int, dtype: Any) -> Optional[list[Any]]:
    """The n channels of an image as lazarr.source takes them: of OMERO dicts, or names. A field that makes
    no sense is left out alone; so is what there are too many of, and those that are missing are called by
    their number. All of that is said. None: nothing is given, or nothing that is a list."""
    if given is None or isinstance(given, (list, tuple)) and not given:
        return None
    if not isinstance(given, (list, tuple)):
        f.left_out(f"{where}: channels", f"{given!r:.100} is no list")
        return None
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        f.left_out(f"{where}: channels", "complex numbers have no window")
        return None
    if n > MAX_CHANNELS:
        f.left_out(f"{where}: channels", f"it has {n}: at most {MAX_CHANNELS} are named")
        return None
    if len(given) != n:
        f.left_out(f"{where}: channels", f"{len(given)} are described and it has {n}: " + (
            "those above are left out" if len(given) > n else "the others are called by their numbers"))
    return [channel(f, f"{where}: channel {i}", given[i], i, dtype) if i < len(given) else {"label": str(i)}
            for i in range(n)]
