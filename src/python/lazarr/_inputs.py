"""Arrays made of arrays: what a block reads of its inputs, and what an array takes over from its first."""
from __future__ import annotations

import copy
import numbers
import types
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence, SupportsIndex, Union

import numpy as np

from . import _check
from ._errors import StoreError

if TYPE_CHECKING:
    from ._array import Array
    from ._typed import Boundary, Halo, Select

MAX_INPUTS = 256
MAX_HALO = 2 ** 31 - 1
MAX_JOB_BYTES = 2 << 30  # of a block with its inputs
BOUNDARIES = ("constant", "edge", "reflect", "symmetric", "wrap")
#: What scipy.ndimage and dask call them. SciPy's "reflect" is "symmetric", which can't be seen.
_SCIPYS = {"mirror": "reflect", "nearest": "edge", "grid-mirror": "symmetric", "grid-wrap": "wrap",
           "grid-constant": "constant", "periodic": "wrap"}
ORDER = "tczyx"


class Input:
    """One input of an array, where more is to be said than which.

    array: an array, or the path of one of the same store, also of one that is defined further down.
    halo: voxels of context around the block, on the axes that follow it: an integer, one per axis of
        the input, or (lower, upper) pairs; voxels of the level that is read. Not given: the array's.
    boundary: what lies outside the input: "constant" (its fill value), "edge", "reflect",
        "symmetric" or "wrap", with numpy.pad's rules. Not given: the array's.
    level: the input's resolution level that the array's level 0 reads.
    select: for each axis of the input which axis of the array it follows (a name, or a number as
        text: "0"), or a fixed part: a slice, or an integer, which also drops the axis from what the
        function sees, as in NumPy. ``...`` stands for axes that follow in their order. Or a dict of
        the axes that don't simply follow: ``{"z": slice(None)}``. Not given: axes follow those of
        their name, or all of them in order. Fixed parts are given in voxels of `level`; on coarser
        levels they are scaled.

    >>> import lazarr, numpy as np
    >>> v = lazarr.source("v", np.arange(24).reshape(4, 3, 2), chunks=2)
    >>> @lazarr.array(inputs=[lazarr.Input(v, select=(slice(None), "0", "1"))])
    ... def projection(block, v):
    ...     return v.max(axis=0)
    >>> projection[...].tolist()
    [[18, 19], [20, 21], [22, 23]]
    """

    __slots__ = ("array", "halo", "boundary", "level", "select", "placed")

    def __init__(self, array: Union[Array, str], *, halo: Optional[Halo] = None,
                 boundary: Optional[Boundary] = None, level: SupportsIndex = 0, select: Optional[Select] = None):
        self.array = array
        self.halo = halo
        self.boundary = boundary
        self.level = level
        self.select = select
        self.placed: Optional[dict[Any, Any]] = None  # as a manifest says it: axes, fixed, drop, levels

    @property
    def found(self) -> Array:
        """The array, once the one that a path means has been looked up."""
        assert not isinstance(self.array, str)
        return self.array

    def __repr__(self) -> str:
        return f"lazarr.Input({getattr(self.array, 'path', self.array)!r})"


def listed(value: Any) -> list[Any]:
    """The parameter inputs: a list of Input whose array is an Array or a path."""
    from ._array import Array
    if value is None:
        return []
    if isinstance(value, (str, Array, Input)) or not isinstance(value, (list, tuple)):
        raise StoreError(f"inputs must be a list of arrays, got {type(value).__name__}")
    if len(value) > MAX_INPUTS:
        raise StoreError(f"inputs: {len(value)} are more than {MAX_INPUTS}")
    out = []
    for v in value:
        v = _from_dict(v) if isinstance(v, dict) else v
        one = v if isinstance(v, Input) else Input(v)
        if not isinstance(one.array, (str, Array)):
            hint = f" {one.array.__name__!r}: is @lazarr.array or @lazarr.source missing above it?" \
                if isinstance(one.array, types.FunctionType) else ""
            if hasattr(one.array, "shape") and hasattr(one.array, "dtype"):
                hint = ': lazarr.source("name", it) makes one of it'
            raise StoreError("inputs must be arrays, paths of arrays or lazarr.Input, "
                             f"got {type(one.array).__name__}{hint}")
        if isinstance(one.array, str):
            one = copy.copy(one)  # its path becomes an array, of this store
        out.append(one)
    return out


def _from_dict(d: dict[Any, Any]) -> Input:
    """An input of a JSON manifest: the arguments of Input, or what `lazarr describe` prints."""
    for name in d:
        if name not in ("array", "halo", "boundary", "level", "select", "levels", "axes", "fixed",
                        "drop"):
            raise StoreError(f"inputs: unknown member {name!r}")
    if not isinstance(d.get("array"), str):
        raise StoreError(f"inputs: array must be a path, got {d.get('array')!r}")
    select = d.get("select")
    if isinstance(select, (list, dict)):
        pairs = select.items() if isinstance(select, dict) else enumerate(select)
        made = {k: slice(*v) if isinstance(v, list) else v for k, v in pairs}
        select = made if isinstance(select, dict) else tuple(made.values())
    halo = d.get("halo")
    one = Input(d["array"], boundary=d.get("boundary"), level=d.get("level", 0), select=select,
                halo=tuple(tuple(h) if isinstance(h, list) else h for h in halo)
                if isinstance(halo, list) else halo)
    if "axes" in d:
        axes, drop = d["axes"], d.get("drop") or [False] * len(d["axes"])
        fixed: list[Any] = d.get("fixed") or [None] * len(axes)
        one.select = tuple(str(a) if a is not None else int(f[0][0]) if dropped
                           else slice(int(f[0][0]), int(f[0][1]))
                           for a, f, dropped in zip(axes, fixed, drop))
        one.level = (d.get("levels") or [0])[0]
    return one


class Placed(NamedTuple):
    """An input as blocks read it, per axis of the input.

    axes: the own axis that is followed, or None; fixed: None, or for each own level that runs the
    function the (start, stop) read; drop: True where the function doesn't see the axis; halo: (lower,
    upper); levels: the input's level read for each own level that runs the function.
    """

    array: "Array"
    axes: tuple[Any, ...]
    fixed: tuple[Any, ...]
    drop: tuple[Any, ...]
    halo: tuple[Any, ...]
    boundary: str
    levels: tuple[Any, ...]

    def region(self, start: Sequence[int], stop: Sequence[int], k: int) -> list[Any]:
        """(start, stop) per axis of the input for a block of own level k; may lie outside of it."""
        out = []
        for i, (low, high) in enumerate(self.halo):
            a = self.axes[i]
            first, last = self.fixed[i][k] if a is None else (start[a], stop[a])
            out.append((first - low, last + high))
        return out

    def crop(self, shape: Sequence[int], k: int) -> tuple[slice, ...]:
        """Cuts the halo off what the function sees of this input."""
        out = []
        for i, (low, _) in enumerate(self.halo):
            if not self.drop[i]:
                a = self.axes[i]
                n = self.fixed[i][k][1] - self.fixed[i][k][0] if a is None else shape[a]
                out.append(slice(low, low + n))
        return tuple(out)


def _integer(name: str, v: Any) -> int:
    if type(v) is int:
        return v
    if isinstance(v, (bool, np.bool_)) or not isinstance(v, numbers.Integral):
        raise StoreError(f"{name} must be integers, got {v!r}")
    return int(v)


def check_halo(value: Any, follows: Optional[Sequence[bool]] = None) -> tuple[Any, ...]:
    """The parameter halo as (lower, upper) per axis of an input; an integer is for the axes that
    follow. Without `follows` only the numbers are checked.

    >>> check_halo(((1, 2), 3), (True, True))
    ((1, 2), (3, 3))
    """
    def one(v: Any) -> int:
        v = _integer("halo", v)
        if v < 0:
            raise StoreError(f"halo must be ≥ 0, got {v}")
        if v > MAX_HALO:
            raise StoreError(f"halo must be ≤ {MAX_HALO}, got {v}")
        return int(v)

    if not isinstance(value, (tuple, list, np.ndarray)):
        h = one(value)
        return tuple((h, h) if f else (0, 0) for f in follows or ())
    out = []
    for v in value:
        if isinstance(v, (tuple, list, np.ndarray)):
            if len(v) != 2:
                raise StoreError(f"halo must be integers or (lower, upper) pairs, got {v!r}")
            out.append((one(v[0]), one(v[1])))
        else:
            out.append((one(v), one(v)))
    if follows is not None and len(out) != len(follows):
        raise StoreError(f"halo must be one for all or {len(follows)}, one per axis of the input, "
                         f"got {len(out)}")
    return tuple(out)


def check_boundary(value: Any) -> str:
    return str(_check.choice("boundary", value, BOUNDARIES, _SCIPYS))


def check_level(value: Any, a: "Array") -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise StoreError(f"level must be an integer, got {value!r}")
    if not 0 <= int(value) < len(a.levels):
        raise StoreError(f"level must be from 0 to {len(a.levels) - 1}, got {value}")
    return int(value)


class _Follow(NamedTuple):
    name: Optional[str]  # of the own axis; None: the one of the same name, or the next


def _entries(select: Any, names: Optional[tuple[Any, ...]], rank: int) -> list[Any]:
    """select as one _Follow, slice or integer per axis of the input."""
    if select is None:
        return [_Follow(None)] * rank
    if isinstance(select, dict):
        out: list[Any] = [_Follow(None)] * rank
        for key, v in select.items():
            if isinstance(key, str) and names and key in names:
                i = names.index(key)
            elif isinstance(key, str) and not key.isdecimal():
                raise StoreError(f"select: the input has no axis {key!r}"
                                 + (f" ({', '.join(names)})" if names else ""))
            else:
                i = _integer("select: axes", int(key) if isinstance(key, str) else key)
                if not 0 <= i < rank:
                    raise StoreError(f"select: the input has no axis {i}, it has {rank} axes")
            out[i] = _entry(v)
        return out
    if not isinstance(select, (tuple, list)):
        select = (select,)
    given = list(select)
    if sum(v is Ellipsis for v in given) > 1:
        raise StoreError("select can have one ... only")
    for at, v in enumerate(given):
        if v is Ellipsis:
            given[at: at + 1] = [_Follow(None)] * (rank - len(given) + 1)
            break
    if len(given) != rank:
        raise StoreError(f"select must have one entry for each of the input's {rank} axes, "
                         f"got {len(given)}")
    return [_entry(v) for v in given]


def _entry(v: Any) -> Any:
    if isinstance(v, _Follow):
        return v
    if isinstance(v, str):
        return _Follow(v)
    if isinstance(v, slice):
        if v.step not in (None, 1):
            raise StoreError(f"select: slices can't have a step, got {v.step}")
        return v
    if isinstance(v, numbers.Integral) and not isinstance(v, bool):
        return int(v)
    raise StoreError("select must be names of axes, slices or integers, "
                     f"got {'None' if v is None else type(v).__name__}")


def own_axes(one: Input, a: "Array") -> list[Any]:
    """The axes that an array gets from its first input where it names none itself: for each the
    input's axis that follows it, and its name or None."""
    entries = _entries(one.select, a.dims, a.ndim)
    found: dict[Any, Any] = {}
    for i, e in enumerate(entries):
        if isinstance(e, _Follow):
            name = e.name if e.name is not None else a.dims[i] if a.dims else None
            found.setdefault(name if name is not None else i, (i, name))
    out = list(found.values())
    asked = [e.name for e in entries if isinstance(e, _Follow) and e.name is not None]
    if asked and all(n.isdecimal() for n in asked) and len(asked) == sum(
            isinstance(e, _Follow) for e in entries):
        out.sort(key=lambda v: int(v[1]))
        if [int(n) for _, n in out] != list(range(len(out))):
            raise StoreError(f"select: the numbers of the axes must be 0 to {len(out) - 1}")
        out = [(i, a.dims[i] if a.dims else None) for i, _ in out]
    elif a.axes and all(n in ORDER and len(n) == 1 for _, n in out):
        out.sort(key=lambda v: ORDER.index(v[1]))
    return out


def follow(one: Input, a: "Array", names: Optional[tuple[Any, ...]], rank: int) -> tuple[Any, ...]:
    """Per axis of the input: the own axis it follows, or None; and the fixed part, or None."""
    entries = _entries(one.select, a.dims, a.ndim)
    axes: list[Any] = [None] * a.ndim
    for i, e in enumerate(entries):
        if isinstance(e, _Follow) and e.name is not None:
            if names and e.name in names:
                axes[i] = names.index(e.name)
            elif e.name.isdecimal() and int(e.name) < rank:
                axes[i] = int(e.name)
            else:
                has = ", ".join(names) if names else f"{rank} without names"
                raise StoreError(f"select: the array has no axis {e.name!r} ({has})")
    rest = [i for i, e in enumerate(entries) if isinstance(e, _Follow) and e.name is None]
    if rest and names and a.dims and all(a.dims[i] in names for i in rest):
        for i in rest:
            axes[i] = names.index(a.dims[i])
    elif rest:
        free = [k for k in range(rank) if k not in axes]
        if len(free) != len(rest):
            raise StoreError(f"{len(rest)} of its axes would follow {len(free)} of the array's: say "
                             "with lazarr.Input(..., select=) which axis follows which")
        for i, k in zip(rest, free):
            axes[i] = k
    return tuple(axes), tuple(None if isinstance(e, _Follow) else e for e in entries)


def _fixed(e: Any, a: "Array", i: int, levels: Sequence[int]) -> tuple[Any, ...]:
    """The (start, stop) read of a fixed axis, for each level: whole stays whole, parts are scaled."""
    base = a.levels[levels[0]]
    n = base.shape[i]
    if isinstance(e, int):
        if not -n <= e < n:
            raise StoreError(f"select: index {e} is out of bounds for axis {i} with size {n}")
        start, stop = e % n, e % n + 1
    else:
        start, stop, _ = e.indices(n)
        if stop <= start:
            raise StoreError(f"select: {e.start}:{e.stop} of axis {i} with size {n} is empty")
    out = []
    for k in levels:
        f, m = a.levels[k].factor[i] // base.factor[i], a.levels[k].shape[i]
        if isinstance(e, int):
            out.append((min(start // f, m - 1), min(start // f, m - 1) + 1))
        elif (start, stop) == (0, n):
            out.append((0, m))
        else:
            out.append((min(start // f, m - 1), min(-(-stop // f), m)))
    return tuple(out)


def place(one: Input, a: "Array", names: Optional[tuple[Any, ...]], own_levels: Sequence[Any], runs: int,
          halo: Any, boundary: Any) -> Placed:
    """An input as blocks of the first `runs` levels read it. Raises StoreError where they can't."""
    shape = own_levels[0].shape
    axes, entries = follow(one, a, names, len(shape))
    first = check_level(one.level, a)
    moves = any(k is not None for k in axes)
    if runs > 1 and moves and first + runs > len(a.levels):
        raise StoreError(f"pyramid 'each' needs {first + runs} levels of it, it has {len(a.levels)}")
    levels = tuple(first + k if moves else first for k in range(runs))
    for k, level in enumerate(levels):
        for i, own in enumerate(axes):
            if own is not None and a.levels[level].shape[i] != own_levels[k].shape[own]:
                raise StoreError(
                    f"its axis {i} has length {a.levels[level].shape[i]} at level {level} and the "
                    f"array's axis {own}, which it follows, {own_levels[k].shape[own]}"
                    + (f" at level {k}" if k else ""))
    fixed = tuple(None if axes[i] is not None else _fixed(e, a, i, levels)
                  for i, e in enumerate(entries))
    follows = [k is not None for k in axes]
    if one.halo is None and not moves:
        halo = 0  # a table has no surroundings, whatever the array says of its other inputs
    drop = tuple(isinstance(e, int) for e in entries)
    context = check_halo(halo if one.halo is None else one.halo, follows)
    for i, (d, h) in enumerate(zip(drop, context)):
        if d and h != (0, 0):
            raise StoreError(f"halo of axis {i} must be 0: an integer in select drops the axis; a slice "
                             "keeps it")
    return Placed(a, axes, fixed, drop, context,
                  check_boundary(boundary if one.boundary is None else one.boundary), levels)
