"""Axes, units and coordinateTransformations of OME-Zarr 0.1 to 0.5, field by field."""
from __future__ import annotations

import math
from typing import Any, Optional

from . import places
from .file import File

#: What axes are called where it isn't by one letter.
NAMES = {"time": "t", "frame": "t", "channel": "c", "channels": "c", "depth": "z", "height": "y", "width": "x"}
TYPES = {"time": "t", "channel": "c"}
#: Of versions that name none, by rank.
DEFAULT = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}


def axes(f: File, where: str, scales: dict[Any, Any], rank: int) -> Optional[list[Any]]:
    """Letters of the axes in the file's order; None where they are no image's, which is said."""
    given = scales.get("axes")
    if given is None and rank in DEFAULT:  # OME-NGFF 0.1 and 0.2
        if rank != 5:
            f.left_out(f"{where}: axes", f"none are named: they count as {DEFAULT[rank]}")
        return list(DEFAULT[rank])
    if not isinstance(given, list) or len(given) != rank:
        return _default(f, where, rank, f"{given!r:.100} don't name the {rank} of its arrays")
    out: list[Any] = []
    for one in given:
        kind = one.get("type") if isinstance(one, dict) else None
        name = one.get("name") if isinstance(one, dict) else one
        name = name.strip().lower() if isinstance(name, str) else ""
        letter = NAMES.get(name, name)
        if letter not in ("t", "c", "z", "y", "x"):
            letter = TYPES.get(kind.lower(), "") if isinstance(kind, str) else ""
        out.append(letter)
    _of_other_type(f, where, given, out)
    if "" in out or len(set(out)) != rank or not {"y", "x"} <= set(out):
        names = [one.get("name") if isinstance(one, dict) else one for one in given]
        return _default(f, where, rank, f"{names!r:.100} aren't different ones out of t, c, z, y, x with y and x "
                        "among them")
    return out


def _default(f: File, where: str, rank: int, why: str) -> Optional[list[Any]]:
    """What axes count as that make no sense, said; None where so many are no image's."""
    if rank not in DEFAULT:
        f.left_out(f"{where} as an image", f"its axes {why}")
        return None
    f.left_out(f"{where}: axes", f"{why}: they count as {DEFAULT[rank]}")
    return list(DEFAULT[rank])


def _of_other_type(f: File, where: str, given: list[Any], letters: list[Any]) -> None:
    """OME-Zarr 0.4 lets an axis of another type stand where channels do: it is c, which is said."""
    if letters.count("") == 1 and "c" not in letters:
        one = given[letters.index("")]
        kind = one.get("type") if isinstance(one, dict) else None
        if kind not in ("space", "time") and isinstance(one, dict) and isinstance(one.get("name"), str):
            letters[letters.index("")] = "c"
            f.left_out(f"{where}: axis {one['name']}"[:200], f"its type is {kind!r:.100}: it is served as c")


def units(f: File, where: str, scales: dict[Any, Any], letters: list[Any]) -> list[Any]:
    """The unit of each axis, or None."""
    given = scales.get("axes")
    if not isinstance(given, list) or len(given) != len(letters):
        return [None] * len(letters)
    return places.units(f, where, [a.get("unit") if isinstance(a, dict) else None for a in given], letters)


def _transformations(f: File, where: str, holder: dict[Any, Any]) -> list[Any]:
    """(kind, values) of the transformations that are understood, in order; the others are said."""
    given = holder.get("coordinateTransformations")
    if given is None:
        return []
    if not isinstance(given, list):
        f.left_out(f"{where}: coordinateTransformations", f"{given!r:.100} is no list")
        return []
    out = []
    for t in given:
        kind = t.get("type") if isinstance(t, dict) else None
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or not isinstance(t.get(kind), (list, int, float)):
            f.left_out(f"{where}: coordinateTransformations", f"{t!r:.150} is no scale and no translation that "
                       "is written here")
            continue
        out.append((kind, t[kind]))
    return out


def _sizes(f: File, where: str, given: Any, letters: list[Any], factors: list[Any]) -> list[Any]:
    """A scale; of what makes no sense in it `factors`, sizes that follow from the first level."""
    if not isinstance(given, list):
        return places.scale(f, where, given, letters)
    out = list(given[:len(letters)]) + [None] * (len(letters) - len(given))
    for i, axis in enumerate(letters):
        made = places.number(out[i])
        if factors[i] is not None and (made is None or made <= 0):
            said = "none is given" if out[i] is None else f"{out[i]!r:.100} is no size"
            f.left_out(f"{where}: scale of {axis}", f"{said}: the shapes and the first level say {factors[i]:g}")
            out[i] = factors[i]
    return places.scale(f, where, out + given[len(letters):], letters)


def _of(f: File, where: str, holder: dict[Any, Any], letters: list[Any], factors: list[Any]) -> tuple[Any, ...]:
    """(scale, translation) that a dataset, or all of an image, is given; (None, …) without a scale."""
    scale: Optional[list[Any]] = None
    shift = [0.0] * len(letters)
    for kind, values in _transformations(f, where, holder):
        if kind == "scale":
            sizes = _sizes(f, where, values, letters, factors)
            scale = [a * b for a, b in zip(scale or [1.0] * len(letters), sizes)]
            shift = [a * b for a, b in zip(shift, sizes)]
            factors = [None] * len(letters)
        else:
            shift = [a + b for a, b in zip(shift, places.translation(f, where, values, letters))]
    return scale, shift


def places_of(f: File, where: str, scales: dict[Any, Any], datasets: list[Any], shapes: list[Any], letters: list[Any]) -> tuple[Any, ...]:
    """(scale, translation) of each level, with what is said of all of them; (None, None) where nothing is
    said: the shapes tell."""
    rank = len(letters)
    if not any(d.get("coordinateTransformations") for d in (scales, *datasets)):
        return None, None
    over, all_shift = _of(f, where, scales, letters, [None] * rank)
    over = over or [1.0] * rank
    out_scale, out_shift = [], []
    first: Optional[list[Any]] = None
    for k, (d, shape) in enumerate(zip(datasets, shapes)):
        at = f"{where}: level {k}"
        follow: list[Any] = [None] * rank if first is None else [
            s * max(1, round(a / b)) if b else s for s, a, b in zip(first, shapes[0], shape)]
        scale, shift = _of(f, at, d, letters, follow)
        if scale is None:
            if len(datasets) > 1 and any(e.get("coordinateTransformations") for e in datasets):
                f.left_out(f"{at}: scale", "none is given: " + (
                    "it counts as 1" if first is None else "it follows from the shapes and the first level"))
            scale = [1.0 if v is None else v for v in follow]
        first = first or scale
        out_scale.append([_sane(a * b) for a, b in zip(scale, over)])
        out_shift.append([v if math.isfinite(v) else 0.0 for v in
                          (a * b + c for a, b, c in zip(shift, over, all_shift))])
    return out_scale, out_shift


def _sane(size: float) -> float:
    """A product of sizes: beyond what a float holds it says nothing."""
    return size if math.isfinite(size) and size > 0 else 1.0
