"""The checked cast: what a function returns must fit what its array declares.

src/worker/cast.c does the same in C for what is served; tests/python/cast_cases.py holds the cases
that both must pass. A value is never changed silently: it fits, or the error names it and its place.
"""
from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

import numpy as np

from ._errors import CastError

#: From a place in what is checked to the place that an error names.
Where = Optional[Callable[[list[Any]], list[Any]]]

_NAMES = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}


def dtype_name(dt: np.dtype) -> str:
    """"uint16", whatever the byte order."""
    return "bool" if dt.kind == "b" else f"{_NAMES[dt.kind]}{dt.itemsize * 8}"


def _parts(result: Any) -> str:
    """Of several things with an array among them, as `ndimage.label` returns them, what they are; else "".

    >>> _parts((np.zeros(3), 5)), _parts([1, 2])
    ('a tuple (ndarray, int)', '')
    """
    if not isinstance(result, (tuple, list)) or not any(isinstance(one, np.ndarray) for one in result[:100]):
        return ""
    names = [type(one).__name__ for one in result[:4]] + ["..."] * (len(result) > 4)
    return f"a {'tuple' if isinstance(result, tuple) else 'list'} ({', '.join(names)})"


def as_array(result: Any) -> np.ndarray:
    """A result as an ndarray of numbers, or CastError naming what came."""
    if not isinstance(result, np.ndarray):
        what = type(result)
        name = f"{what.__module__}.{what.__qualname__}".replace("builtins.", "")
        try:
            array = np.asarray(result)
        except Exception as e:
            if parts := _parts(result):
                raise CastError(f"expected an array or a scalar, got {parts}: return the one of them that is the "
                                "block's") from e
            raise CastError(f"expected an array or a scalar, got {name}, which can't be converted: "
                            f"{type(e).__name__}: {e}") from e
        if array.dtype.kind == "O" and (parts := _parts(result)):  # NumPy before 1.24
            raise CastError(f"expected an array or a scalar, got {parts}: return the one of them that is the block's")
        if array.dtype.kind not in "biufc":
            raise CastError(f"expected an array or a scalar of numbers, got {name}"
                            f" (dtype {array.dtype})")
        return array
    if result.dtype.kind not in "biufc":
        raise CastError(f"expected numbers, got an array of dtype {result.dtype}")
    if isinstance(result, np.ma.MaskedArray) and np.ma.is_masked(result):
        raise CastError("a masked array has no values under its mask: return result.filled(value)")
    return result.view(np.ndarray)  # np.matrix and its like index differently


def check_shape(shape: Sequence[int], block: Sequence[int], result: Any = None,
                region: Optional[Sequence[int]] = None) -> None:
    """A scalar, or the block's shape, where an axis may have length 1. result: what became an array of this
    shape; region: that of the first input, which would have been cut to the block."""
    if len(shape) == 0:
        return
    if len(shape) != len(block) or any(a not in (b, 1) for a, b in zip(shape, block)):
        or_region = f", of the first input's region {list(region)}," if region is not None else ""
        parts = _parts(result)
        raise CastError(f"expected an array of shape {list(block)} (an axis may be 1){or_region} or a scalar, "
                        f"got {parts + ' of ' if parts else ''}shape {list(shape)}")


def _value_text(v: Any) -> str:
    v = v.item() if isinstance(v, np.generic) else v
    return repr(v) if isinstance(v, (bool, int, float, complex)) else str(v)


def _refuse(a: np.ndarray, bad: np.ndarray, dt: np.dtype, where: Where) -> None:
    """Raises for the first element where bad is True."""
    if not bad.any():
        return
    value, place = _first(a, bad, where)
    raise CastError(f"value {value}{place} does not fit {dtype_name(dt)}")


def _first(a: np.ndarray, bad: np.ndarray, where: Where) -> tuple[Any, ...]:
    """The first element where bad is True, as text, and " at [its place]": "" of a scalar."""
    flat = int(np.argmax(bad.reshape(-1)))
    place = [int(i) for i in np.unravel_index(flat, a.shape)] if a.ndim else []
    if place and where is not None:
        place = where(place)
    return _value_text(a.reshape(-1)[flat]), f" at {place}" if place else ""


def check_values(a: Any, dt: np.dtype, where: Where = None) -> None:
    """CastError unless every value of `a` can be a `dt` without becoming another number."""
    src, dst = a.dtype, dt
    if np.can_cast(src, dst, "safe") or a.size == 0 and src.kind == dst.kind:
        return
    if src.kind in "iu" and dst.kind in "iu":
        info = np.iinfo(dst)
        bad = np.zeros(a.shape, bool)
        if src.kind == "i" and dst.kind == "u":
            bad |= a < 0
        if np.iinfo(src).max > info.max:
            bad |= a > src.type(info.max)
        if src.kind == "i" and dst.kind == "i":
            bad |= a < src.type(info.min) if np.iinfo(src).min < info.min else False
        _refuse(a, bad, dst, where)
        return
    if src.kind in "iu" and dst.kind in "fc":
        if dst.kind == "f" and dst.itemsize == 2:  # the only one that integers can overflow
            limit = 65519  # what rounds to the largest float16
            bad = (a > limit) if src.itemsize > 1 else np.zeros(a.shape, bool)
            if src.kind == "i" and src.itemsize > 1:
                bad = bad | (a < -limit)
            _refuse(a, bad, dst, where)
        return
    if src.kind == dst.kind and src.kind in "fc":
        with np.errstate(all="ignore"):
            narrow = a.astype(dst)
        parts = ((a.real, narrow.real), (a.imag, narrow.imag)) if src.kind == "c" else ((a, narrow),)
        bad = np.zeros(a.shape, bool)
        for wide, small in parts:
            bad |= np.isfinite(wide) & ~np.isfinite(small)
        _refuse(a, bad, dst, where)
        return
    if dst.kind == "b" and src.kind in "iu":
        _refuse(a, (a != 0) & (a != 1), dst, where)  # 0 and 1 are what a bool is; anything else isn't
        return
    if src.kind == "f" and dst.kind == "c":
        with np.errstate(all="ignore"):
            _refuse(a, np.isfinite(a) & ~np.isfinite(a.astype(dst).real), dst, where)
        return
    _refuse_kind(a, dst, where)


def _refuse_kind(a: Any, dt: np.dtype, where: Where) -> None:
    """No value of this kind is accepted: a float for integers, a complex for reals, a number for bool."""
    name = dtype_name(dt)
    ways = f"return x > 0 or another comparison, or declare dtype={a.dtype.name!r}" if dt.kind == "b" else \
        f"return x.real or abs(x), or declare dtype={a.dtype.name!r}" if a.dtype.kind == "c" else \
        f"return x.round().astype({name!r}), or declare dtype='float32'"
    example = ""
    if a.size:
        # The place that explains it best: a fraction, a part that would be lost; else the first.
        with np.errstate(all="ignore"):
            lost = a != np.trunc(a) if a.dtype.kind == "f" else \
                a.imag != 0 if a.dtype.kind == "c" else np.zeros(a.shape, bool)
        value, place = _first(a, lost if lost.any() else np.ones(a.shape, bool), where)
        example = f" (value {value}{place}{f' does not fit {name}' if lost.any() else ''})"
    raise CastError(f"it returned {a.dtype.name}, the array is {name}: {ways}{example}")


def check(result: Any, block_shape: Sequence[int], dt: np.dtype,
          start: Sequence[int] = ()) -> np.ndarray:
    """`result` as an ndarray that can be assigned to a block: shape and values checked, not yet cast.
    Errors name voxels of the array where `start`, the block's first voxel, is given.

    >>> check(5, (2, 2), np.dtype("uint8"))
    array(5)
    >>> check(np.array([1, 300]), (2,), np.dtype("uint8"))
    Traceback (most recent call last):
    ...
    lazarr._errors.CastError: value 300 at [1] does not fit uint8
    """
    if isinstance(result, int) and not isinstance(result, bool):
        check_python_int(result, dt)
    a = as_array(result)
    check_shape(a.shape, block_shape, result)
    check_values(a, dt, (lambda place: [s + i for s, i in zip(start, place)]) if len(start) else None)
    return a


def check_python_int(value: int, dt: np.dtype) -> None:
    """A Python integer may be larger than any dtype."""
    if not -2 ** 63 <= value < 2 ** 64:
        raise CastError(f"value {value} does not fit {dtype_name(dt)}")


def assign(target: np.ndarray, result: Any, start: Sequence[int] = ()) -> None:
    """Writes a result into `target` (a block's data) under the checked cast. start: the block's first
    voxel, for errors."""
    a = check(result, target.shape, target.dtype, start)
    with np.errstate(all="ignore"):
        np.copyto(target, a, casting="unsafe")
