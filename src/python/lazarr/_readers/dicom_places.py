"""Where DICOM's frames lie: the headers' sizes, places and times, and the order of a series' files."""
from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional

import numpy as np

from .._errors import StoreError
from .file import File
from .places import number


class Slice(NamedTuple):
    """What is known of a file: shape and type of a frame, how many frames, where the first lies."""

    path: str
    syntax: str
    series: str
    shape: tuple[int, int]
    samples: int
    frames: int
    stored: np.dtype
    bits: int
    signed: bool
    slope: float
    intercept: float
    instance: int
    position: Optional[tuple[float, ...]]     # of voxel 0, millimeters
    orientation: Optional[tuple[float, ...]]  # of rows and columns
    spacing: tuple[Any, ...]                  # y, x
    step: Any                                 # between slices, as the header says it
    places: Optional[list[Any]]               # of each frame
    time: Any                                 # milliseconds between frames
    said: dict[str, Any]
    odd: tuple[tuple[str, str], ...]          # (field, why it is left out)


class _Fields:
    """What a header says, looked for in it and in its groups; odd: fields that make no sense."""

    def __init__(self, holders: list[Any]) -> None:
        self._holders = holders
        self.odd: list[tuple[str, str]] = []

    def given(self, name: str) -> Any:
        """The first value of a field; None: there is none, or none that can be read."""
        for h in self._holders:
            try:
                value = getattr(h, name, None)
            except Exception as e:  # pydicom reads a value when it is asked for
                self.left_out(name, f"it can't be read: {type(e).__name__}: {e}"[:200])
                continue
            if value not in (None, ""):
                return value
        return None

    def left_out(self, name: str, why: str) -> None:
        if (name, why) not in self.odd:
            self.odd.append((name, why))

    def number(self, name: str, default: float) -> float:
        value = self.given(name)
        made = number(value)
        if value is not None and made is None:
            self.left_out(name, f"{value!r:.50} is no number: it counts as {default:g}")
        return default if made is None else made

    def reals(self, name: str, n: int) -> Optional[tuple[float, ...]]:
        value = self.given(name)
        made = None if value is None else _reals(value, n)
        if value is not None and made is None:
            self.left_out(name, f"{value!r:.100} aren't {n} numbers")
        return made

    def several(self, name: str, n: int) -> Optional[list[Any]]:
        """At least n values, as they are said."""
        value = self.given(name)
        if value is None:
            return None
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or len(value) < n:
            self.left_out(name, f"{value!r:.100} has less than {n} values")
            return None
        return list(value)


def _whole(ds: Any, name: str, default: Any = None) -> int:
    value = getattr(ds, name, default)
    value = default if value in (None, "") else value
    try:
        return int(value)
    except (TypeError, ValueError):
        raise StoreError(f"its {name} is {value!r:.100}") from None


def _reals(value: Any, n: int) -> Optional[tuple[float, ...]]:
    try:
        made = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return made if len(made) == n and all(map(math.isfinite, made)) else None


def _first(ds: Any, *names: str) -> Any:
    """The dataset behind sequences of these names, of each its first item; None: there is none."""
    for name in names:
        items = getattr(ds, name, None)
        if not items:
            return None
        ds = items[0]
    return ds


def read(ds: Any, path: str, syntax: str) -> Slice:
    if not hasattr(ds, "Rows") or not hasattr(ds, "Columns"):
        raise StoreError("it has no image")
    rows, columns, samples = (_whole(ds, k, 1) for k in ("Rows", "Columns", "SamplesPerPixel"))
    allocated, frames = _whole(ds, "BitsAllocated", 16), _whole(ds, "NumberOfFrames", 1)
    if allocated not in (1, 8, 16, 32, 64) or samples not in (1, 3) or min(rows, columns, frames) < 1:
        raise StoreError(f"it has {frames} frames of {rows} × {columns}, {samples} samples of {allocated} bits")
    signed = _whole(ds, "PixelRepresentation", 0) == 1
    floats = not hasattr(ds, "PixelRepresentation") and not hasattr(ds, "BitsStored") and allocated in (32, 64)
    stored = np.dtype(f"{'f' if floats else 'i' if signed else 'u'}{max(1, allocated // 8)}")
    shared, per = _first(ds, "SharedFunctionalGroupsSequence"), getattr(ds, "PerFrameFunctionalGroupsSequence", None)
    fields = _Fields([ds, *(h for g in (shared, per[0] if per else None) if g is not None for h in (
        _first(g, "PixelMeasuresSequence"), _first(g, "PlanePositionSequence"), _first(g, "PlaneOrientationSequence"),
        _first(g, "PixelValueTransformationSequence")) if h is not None)])
    given = fields.given
    places = None
    if per and len(per) == frames:
        each = [_reals(getattr(_first(g, "PlanePositionSequence"), "ImagePositionPatient", None), 3) for g in per]
        places = each if all(p is not None for p in each) else None
    slope, intercept = fields.number("RescaleSlope", 1), fields.number("RescaleIntercept", 0)
    spacing = fields.several("PixelSpacing", 2) or fields.several("ImagerPixelSpacing", 2) or [None, None]
    said: dict[str, Any] = {}
    for k in ("Modality", "SeriesDescription", "StudyDescription", "PhotometricInterpretation", "RescaleType", "Units",
              "BodyPartExamined", "Manufacturer", "ManufacturerModelName"):
        if given(k) is not None:
            said[k] = str(given(k))
    for k in ("WindowCenter", "WindowWidth", "SeriesNumber"):
        value = given(k)
        if value is not None:
            said[k] = [number(v) for v in value] if isinstance(value, (list, tuple)) or hasattr(value, "append") \
                else number(value)
    step = given("SpacingBetweenSlices") or given("SliceThickness")
    offsets = fields.several("GridFrameOffsetVector", 2) if frames > 1 else None
    if offsets is not None and len(offsets) == frames:
        ends = [number(v) for v in offsets[:2]]
        step = step if ends[0] is None or ends[1] is None else abs(ends[1] - ends[0])
    time = given("FrameTime") if frames > 1 else None
    return Slice(path, syntax, str(getattr(ds, "SeriesInstanceUID", "")), (rows, columns), samples, frames, stored,
                 _whole(ds, "BitsStored", allocated), signed, slope, intercept, int(fields.number("InstanceNumber", 0)),
                 fields.reals("ImagePositionPatient", 3), fields.reals("ImageOrientationPatient", 6),
                 tuple(spacing[:2]), step, places, time, said, tuple(fields.odd))


class Placed:
    """The frames of a series in their order. grid: the numbers of frames, of axes that letters name."""

    def __init__(self, grid: np.ndarray, letters: str, frames: int):
        self.grid, self.letters, self._frames = grid, letters, frames
        self.scale: dict[str, Any] = {}
        self.units: dict[str, Any] = {}
        self.origin: dict[str, Any] = {}
        self.attributes: dict[str, Any] = {}

    def numbers(self, pos: tuple[Any, ...]) -> tuple[int, int]:
        """(which file, which of its frames)"""
        k = int(self.grid[pos])
        return k // self._frames, k % self._frames


def _normal(orientation: Optional[tuple[float, ...]]) -> Any:
    return None if orientation is None else np.cross(orientation[:3], orientation[3:])


def placed(f: File, where: str, slices: list[Slice]) -> Placed:
    """By their places along the normal of the slices, where all have one; else by their numbers."""
    first = slices[0]
    if any(s.frames != first.frames for s in slices):
        raise StoreError(f"{where}: its files have different numbers of frames")
    if len(slices) > 1 and first.frames > 1:
        raise StoreError(f"{where}: its files have several frames each, name one of them")
    normal = _normal(first.orientation)
    points = first.places if first.frames > 1 else [s.position for s in slices]
    total = first.frames * len(slices)
    depth = None
    if normal is not None and points is not None and total > 1 and all(p is not None for p in points):
        depth = np.round(np.asarray(points, float) @ normal, 4)
    instance = np.array([s.instance for s in slices]) if first.frames == 1 else np.arange(total)
    if depth is None:
        order = np.argsort(instance, kind="stable")
        if total == 1:
            out = Placed(np.array(0), "", first.frames)
        else:
            out = Placed(order, "T" if first.time is not None else "Z", first.frames)
        step = first.step
        points = None if total > 1 and first.frames == 1 else points
    else:
        out, step = _by_depth(f, where, depth, instance, first)
        order = out.grid.reshape(-1)
    out.scale = {a: v for a, v in zip("yx", first.spacing) if v is not None}
    out.units = {a: "millimeter" for a in "xyz"}
    if "Z" in out.letters:
        if number(step) is not None or out.scale:
            out.scale["z"] = step
    if first.time is not None and "T" in out.letters:
        out.scale["t"], out.units["t"] = first.time, "millisecond"
    if first.orientation is not None:
        out.attributes["ImageOrientationPatient"] = list(first.orientation)
        begin = points[int(order[0])] if points else first.position
        if begin is not None:
            out.attributes["ImagePositionPatient"] = list(begin)
            if np.allclose(first.orientation, (1, 0, 0, 0, 1, 0)):
                out.origin = {a: v for a, v in zip("xyz", begin) if a != "z" or "Z" in out.letters}
    if not out.scale:
        out.units = {}
    return out


def _by_depth(f: File, where: str, depth: Any, instance: Any, first: Slice) -> tuple[Placed, Any]:
    """(the frames in the order of their places, the step between these)"""
    levels, counts = np.unique(depth, return_counts=True)
    order = np.lexsort((instance, depth))
    n = len(depth)
    if len(set(counts.tolist())) > 1:
        f.left_out(f"{where}: places", "some come more often than others: its files stand in the order of their "
                   "places and numbers")
        return Placed(order, "Z", first.frames), first.step
    steps = np.diff(levels)
    if len(steps) and steps.max() - steps.min() > 0.01 * steps.mean():
        f.left_out(f"{where}: places of z", f"they lie {steps.min():g} to {steps.max():g} apart: the step counts as "
                   f"{np.median(steps):g}")
    step = float(np.median(steps)) if len(steps) else first.step
    if counts[0] == 1:
        return Placed(order, "Z", first.frames), step
    times = order.reshape(len(levels), n // len(levels)).T
    return (Placed(times[:, 0], "T", first.frames), step) if len(levels) == 1 else \
        (Placed(times, "TZ", first.frames), step)
