"""The resolution levels of an image: shapes, placement, and how a level is made of the one below."""
from __future__ import annotations

import numbers
from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from . import _check
from ._errors import StoreError

MAX_LEVELS = 32
MAX_FACTOR = 1 << 16  # level-0 voxels per voxel, per step and axis
PYRAMIDS = ("mean", "mode", "max", "min", "stride", "each")
_OTHERS = {"average": "mean", "area": "mean", "majority": "mode", "nearest": "stride", "subsample": "stride",
           "median": ""}


class Level(NamedTuple):
    """Where one level is: `factor` level-0 voxels make one voxel, per axis; `translation` is the
    centre of voxel 0 and `scale` a voxel's size, both in units."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    factor: tuple[int, ...]


def count(value: Any) -> int:
    """The parameter levels."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) \
            or not 1 <= int(value) <= MAX_LEVELS:
        raise StoreError(f"levels must be an integer from 1 to {MAX_LEVELS}, got {value!r}")
    return int(value)


def default_step(axes: Optional[tuple[Any, ...]], shape: Sequence[int]) -> tuple[Any, ...]:
    """2 on the spatial axes, 1 elsewhere and where nothing is left to halve."""
    return tuple(2 if axes and axes[i] in "zyx" and n > 1 else 1 for i, n in enumerate(shape))


def _step(value: Any, axes: Optional[tuple[Any, ...]], rank: int) -> tuple[Any, ...]:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = tuple(int(value) if axes and axes[i] in "zyx" else 1 for i in range(rank))
    if not isinstance(value, (tuple, list)) or len(value) != rank:
        raise StoreError(f"factors must be an integer, {rank} integers, or a list of those, one for "
                         f"each level but the first, got {value!r}")
    for v in value:
        if isinstance(v, bool) or not isinstance(v, numbers.Integral) or not 1 <= int(v) <= MAX_FACTOR:
            raise StoreError(f"factors must be integers from 1 to {MAX_FACTOR}, got {v!r}")
    return tuple(int(v) for v in value)


def steps(levels: Any, factors: Any, axes: Optional[tuple[Any, ...]], shape: Sequence[int],
          inherited: Sequence[tuple[Any, ...]] = ()) -> list[Any]:
    """The factors from each level to the next, one tuple per level but the first.

    factors: None, an integer (of the spatial axes), one per axis, or a list of those, per step; shape:
    of level 0; inherited: the steps of the first input, used where nothing is said.

    >>> steps(3, None, ("z", "y", "x"), (2, 9, 9))
    [(2, 2, 2), (1, 2, 2)]
    >>> steps(None, [(1, 2, 2), 2], ("z", "y", "x"), (9, 9, 9))
    [(1, 2, 2), (2, 2, 2)]
    """
    rank = len(shape)
    per_step: Sequence[Any] = factors if isinstance(factors, (tuple, list)) and any(
        isinstance(f, (tuple, list)) for f in factors) else ()
    if levels is None:
        n = len(per_step) + 1 if per_step else len(inherited) + 1
        if factors is not None and n == 1:
            raise StoreError("factors needs levels")
    else:
        n = count(levels)
    if n > MAX_LEVELS:
        raise StoreError(f"levels must be an integer from 1 to {MAX_LEVELS}, got {n}")
    if n > 1 and not axes:
        raise StoreError(f"levels > 1 needs axes, got levels={n}")
    if per_step:
        if len(per_step) != n - 1:
            raise StoreError(f"factors has {len(per_step)} steps, {n} levels have {n - 1}")
        return [_step(f, axes, rank) for f in per_step]
    if factors is not None:
        return [_step(factors, axes, rank)] * (n - 1)
    out = list(inherited[: n - 1])
    left = tuple(shape)
    for k in range(n - 1):
        if k == len(out):
            out.append(default_step(axes, left))
        left = tuple(-(-m // f) for m, f in zip(left, out[k]))
    return out


def make(shape: tuple[int, ...], chunks: tuple[int, ...], scale: tuple[float, ...],
         translation: tuple[float, ...], step_list: Sequence[tuple[int, ...]], shifted: bool) -> tuple[Any, ...]:
    """All levels, finest first. A level's shape is rounded up, its chunks are level 0's. shifted: its
    voxel 0 lies in the middle of the level-0 voxels it stands for (of "stride" on the first of them).

    >>> [v.shape for v in make((5, 9), (4, 4), (1.0, 1.0), (0.0, 0.0), [(1, 2), (2, 2)], True)]
    [(5, 9), (5, 5), (3, 3)]
    """
    out = [Level(shape, chunks, scale, translation, (1,) * len(shape))]
    for f in step_list:
        last = out[-1]
        factor = tuple(a * b for a, b in zip(last.factor, f))
        out.append(Level(
            tuple(-(-n // d) for n, d in zip(last.shape, f)), chunks,
            tuple(s * d for s, d in zip(scale, factor)),
            tuple(t + (d - 1) / 2 * s if shifted else t for t, s, d in zip(translation, scale, factor)),
            factor))
    return tuple(out)


def check_pyramid(value: Any, dt: np.dtype, is_source: bool, kind: str) -> Optional[str]:
    """The parameter pyramid; None where nothing was said."""
    if value is None:
        return None
    _check.choice("pyramid", value, PYRAMIDS, _OTHERS)
    if value == "each" and is_source:
        raise StoreError("pyramid 'each' is for functions: a source has one level of its own")
    if value == "mean" and kind == "labels":
        raise StoreError("pyramid 'mean' of labels would make ids that aren't there: labels have 'mode', "
                         "'max', 'min', 'stride' or 'each'; for other integers say kind='image'")
    if value in ("mode", "max", "min") and dt.kind == "c":
        raise StoreError(f"pyramid {value!r} needs real numbers, got {dt.name}")
    return str(value)


def downsample(fine: np.ndarray, step: Sequence[int], method: str) -> np.ndarray:
    """One level from the one below: windows of `step` voxels, cut at the array's end.

    fine: any rank and dtype that lazarr has; the result has the shape rounded up and the same dtype.
    method: "mean" (of integers and bools exact, halves rounded up; of floats summed in float64, NaN
    carried on), "mode" (the smallest of the most frequent; NaNs are one value, the largest), "max",
    "min" (NaN carried on), "stride" (a window's first voxel).

    >>> downsample(np.array([1, 2, 4, 4, 9], "u1"), (2,), "mean").tolist()
    [2, 4, 9]
    >>> downsample(np.array([3, 1, 7, 7, 9], "u1"), (2,), "mode").tolist()
    [1, 7, 9]
    """
    if method == "stride":
        return fine[tuple(slice(None, None, f) for f in step)].copy()
    windows = _windows(fine, step)
    if method == "mean":
        return _mean(fine, windows)
    if method == "mode":
        return _mode(fine, windows)
    out = np.empty([-(-n // f) for n, f in zip(fine.shape, step)], fine.dtype)
    better = np.maximum if method == "max" else np.minimum
    for i, (to, part) in enumerate(windows):
        out[to] = part if i == 0 else better(out[to], part)
    return out


def _windows(fine: np.ndarray, step: Sequence[int]) -> list[Any]:
    """For each place in a window, in C order: the outputs that have it, and its voxels."""
    out = []
    for place in np.ndindex(*step):
        part = fine[tuple(slice(p, None, f) for p, f in zip(place, step))]
        if part.size:
            out.append((tuple(slice(0, n) for n in part.shape), part))
    return out


def _mean(fine: np.ndarray, windows: list[Any]) -> np.ndarray:
    shape = windows[0][1].shape if windows else tuple(0 for _ in fine.shape)
    n = np.zeros(shape, np.int64)
    for to, _ in windows:
        n[to] += 1
    if fine.dtype.kind in "fc":
        wide = np.complex128 if fine.dtype.kind == "c" else np.float64
        total = np.zeros(shape, wide)
        with np.errstate(all="ignore"):
            for to, part in windows:
                total[to] += part
            if wide is np.complex128:
                out = np.empty(shape, wide)
                out.real, out.imag = total.real / n, total.imag / n
                return out.astype(fine.dtype)
            return (total / n).astype(fine.dtype)
    # Quotients and remainders apart: a sum of 64-bit integers would overflow, this can't.
    kind = np.uint64 if fine.dtype.kind == "u" else np.int64
    whole, rest = np.zeros(shape, kind), np.zeros(shape, np.int64)
    for to, part in windows:
        a, m = part.astype(kind), n[to].astype(kind)
        q = a // m
        whole[to] += q
        rest[to] += (a - q * m).astype(np.int64)
    made: np.ndarray = (whole + ((2 * rest + n) // (2 * n)).astype(kind)).astype(fine.dtype)
    return made


def _mode(fine: np.ndarray, windows: list[Any]) -> np.ndarray:
    """Counts each window's values against each other: windows are small."""
    shape = windows[0][1].shape if windows else tuple(0 for _ in fine.shape)
    best = np.zeros(shape, fine.dtype.newbyteorder("="))
    best_n = np.zeros(shape, np.int64)
    nan = fine.dtype.kind == "f"
    for to, mine in windows:
        votes = np.zeros(mine.shape, np.int64)
        for other_to, other in windows:
            both = tuple(slice(0, min(a.stop, b.stop)) for a, b in zip(to, other_to))
            a, b = mine[both], other[both]
            votes[both] += (a == b) | (np.isnan(a) & np.isnan(b)) if nan else a == b
        # A number is smaller than NaN, and NaN is smaller than nothing.
        smaller = (mine < best[to]) | (~np.isnan(mine) & np.isnan(best[to])) if nan else \
            mine < best[to]
        take = (votes > best_n[to]) | (votes == best_n[to]) & smaller
        best[to] = np.where(take, mine, best[to])
        best_n[to] = np.maximum(best_n[to], votes)
    return best.astype(fine.dtype)
