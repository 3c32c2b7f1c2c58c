"""What a store may say: names, shapes, dtypes, numbers. Each function returns the normal form or raises
StoreError with the parameter's name in its text; the array's name is put before it by the caller."""
from __future__ import annotations

import difflib
import json
import math
import numbers
import re
from typing import Any, Iterable, Optional, Sequence

import numpy as np

from . import _json, _units
from ._errors import StoreError

MAX_RANK = 8
MAX_ELEMENTS = 2 ** 62
MAX_CHUNK_BYTES = 256 << 20
MAX_PATH = 1024
MAX_NAME = 200
SEGMENT = re.compile(r"[A-Za-z0-9._-]+\Z")
RESERVED = {"zarr.json", "attributes.json", "info", "c", "labels"}


def path(value: Any) -> str:
    if not isinstance(value, str):
        raise StoreError(f"path must be a string, got {value!r}")
    if not value or len(value) > MAX_PATH:
        raise StoreError(f"path must have 1 to {MAX_PATH} characters, got {len(value)}")
    shown = repr(value)
    for name in value.split("/"):
        if not SEGMENT.match(name):
            raise StoreError(f"path {shown}: {name!r} is not a name: one or more of A-Z, a-z, 0-9, "
                             "'.', '_' and '-' between slashes")
        if len(name) > MAX_NAME:
            raise StoreError(f"path {shown}: a name has more than {MAX_NAME} characters")
        if name in (".", "..") or name.startswith((".z", "__")) or name in RESERVED:
            other = "; call it 'cells', say, with kind='labels'" if name == "labels" else ""
            raise StoreError(f"path {shown}: the name {name!r} is reserved (a format or the file "
                             f"system uses it){other}")
    return value


def _integer(name: str, v: Any) -> int:
    if type(v) is int:
        return v
    if isinstance(v, str) and v.isdecimal():  # a JSON manifest's way to say more than 2^53
        v = int(v)
    if isinstance(v, (bool, np.bool_)) or not isinstance(v, numbers.Integral):
        raise StoreError(f"{name} must be integers, got {v!r}")
    return int(v)


def listed(name: str, value: Any, what: str) -> tuple[Any, ...]:
    """A tuple of what a tuple, list, array or text holds.

    >>> listed("axes", "yx", "names")
    ('y', 'x')
    """
    try:
        return tuple(value)
    except TypeError:
        raise StoreError(f"{name} must be {what}, got {value!r}") from None


def truth(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise StoreError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def shape(value: Any) -> tuple[Any, ...]:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = (value,)
    if isinstance(value, str) or not isinstance(value, (tuple, list, np.ndarray)):
        raise StoreError(f"shape must be a tuple of integers, got {value!r}")
    out = tuple(_integer("shape", v) for v in value)
    if len(out) > MAX_RANK:
        raise StoreError(f"shape has {len(out)} axes, the limit is {MAX_RANK}")
    if any(v < 0 for v in out):
        raise StoreError(f"shape must be ≥ 0, got {list(out)}")
    if math.prod(v or 1 for v in out) > MAX_ELEMENTS:
        raise StoreError(f"shape {list(out)} has more than 2^62 elements")
    return out


def chunks(value: Any, array_shape: tuple[Any, ...], dt: np.dtype) -> tuple[Any, ...]:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = (value,) * len(array_shape)
    if isinstance(value, str) or not isinstance(value, (tuple, list, np.ndarray)):
        raise StoreError(f"chunks must be a tuple of integers or one integer, got {value!r}")
    out = tuple(_integer("chunks", v) for v in value)
    if len(out) != len(array_shape):
        raise StoreError(f"chunks {list(out)} must have one number for each of the "
                         f"{len(array_shape)} axes of shape {list(array_shape)}")
    for i, v in enumerate(out):
        if v < 1:
            raise StoreError(f"chunks must be ≥ 1, got {v} on axis {i}")
    size = math.prod(out) * dt.itemsize
    if size > MAX_CHUNK_BYTES:
        raise StoreError(f"chunks {list(out)} of {dt.itemsize}-byte elements are {size} bytes, above "
                         f"the limit of {MAX_CHUNK_BYTES}")
    return out


DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
          "float64", "complex64", "complex128")


def meant(value: Any, allowed: Iterable[Any], others: Optional[dict[str, str]] = None) -> str:
    """": did you mean 'labels'?", of a word that is near one of those that there are, or is called so elsewhere
    ("": by none of them).

    >>> meant("label", ("image", "labels")), meant("nearest", ("edge",), {"nearest": "edge"}), meant(5, ("edge",))
    (": did you mean 'labels'?", ": did you mean 'edge'?", '')
    """
    if not isinstance(value, str):
        return ""
    near = others[value] if others is not None and value in others else \
        next(iter(difflib.get_close_matches(value.lower(), list(allowed), 1)), "")
    return f": did you mean {near!r}?" if near else ""


def dtype(value: Any) -> np.dtype:
    try:
        dt: np.dtype[Any] = np.dtype(value)
    except Exception:
        raise StoreError(f"unknown dtype {value!r}{meant(value, DTYPES)}") from None
    ok = (dt.kind in "biu" and dt.itemsize <= 8 or dt.kind == "f" and dt.itemsize in (2, 4, 8)
          or dt.kind == "c" and dt.itemsize in (8, 16))
    if not ok or dt.shape or dt.names:
        raise StoreError(f"unknown dtype {value!r}: expected bool, (u)int8 to 64, float16, 32, 64 or "
                         "complex64, 128, in either byte order")
    return dt


def fill_value(value: Any, dt: np.dtype) -> np.generic:
    """The fill value as a scalar of the dtype's kind; it must fit as a result must."""
    from . import _cast
    if isinstance(value, str):
        value = _fill_text(value, dt)
    elif isinstance(value, (list, tuple)) and dt.kind == "c" and len(value) == 2:
        value = complex(float(value[0]), float(value[1]))
    out = np.zeros((), dt)
    try:
        _cast.assign(out, value)
    except Exception as e:
        raise StoreError(f"fill_value: {e}") from None
    made: np.generic = out[()]  # type: ignore[assignment]  # a scalar: it has no axes
    return made


def _fill_text(value: str, dt: np.dtype) -> Any:
    try:
        if dt.kind in "iu":
            return int(value)
        if dt.kind == "b":
            return {"true": True, "false": False}[value.lower()]
        return complex(value) if dt.kind == "c" else float(value)
    except (ValueError, KeyError):
        raise StoreError(f"fill_value {value!r} is not a {dt.name}") from None


def dims(value: Any, rank: int) -> Optional[tuple[Any, ...]]:
    if value is None:
        return None
    out = (value,) if isinstance(value, str) else listed("dims", value, f"{rank} names")
    if len(out) != rank or not all(isinstance(d, str) and d for d in out):
        raise StoreError(f"dims must be {rank} names, got {value!r}")
    if len(set(out)) != len(out):
        raise StoreError(f"dims must differ from each other, got {list(out)}")
    try:
        _json.check(out)
    except _json.Unfit as e:
        raise StoreError(f"dims {out!a:.100}: {e}") from None
    return out


def axes(value: Any, rank: int) -> Optional[tuple[Any, ...]]:
    if value is None:
        return None
    out = listed("axes", value, "different names out of t, c, z, y, x")
    order = "tczyx"
    if not all(isinstance(a, str) and len(a) == 1 and a in order for a in out) or len(set(out)) != len(out):
        raise StoreError(f"axes must be different names out of t, c, z, y, x, got {value!r}")
    if list(out) != sorted(out, key=order.index):
        raise StoreError(f"axes must stand in the order t, c, z, y, x, got {value!r}: say "
                         f"{''.join(sorted(out, key=order.index))!r}, and transpose the data")
    if len(out) != rank:
        raise StoreError(f"axes {''.join(out)!r} name {len(out)} axes, the shape has {rank}")
    if not {"y", "x"} <= set(out):
        raise StoreError(f"axes must hold y and x at least, got {value!r}")
    return out


def units(value: Any, names: tuple[Any, ...]) -> tuple[Any, ...]:
    """One unit for the spatial axes, or one (or None) for each axis."""
    if value is None:
        return (None,) * len(names)
    if isinstance(value, str):
        out = tuple(value if a in "zyx" else None for a in names)
    else:
        out = listed("units", value, f"one for all spatial axes or {len(names)}")
        if len(out) != len(names):
            raise StoreError(f"units must be one for all spatial axes or {len(names)}, got {value!r}")
    try:
        return tuple(_units.named(u, a) for a, u in zip(names, out))
    except _units.NoUnit as e:
        raise StoreError(f"units: {e} (say micrometer, second …, as UDUNITS spells them)") from None


def reals(name: str, value: Any, rank: int, default: float, positive: bool) -> tuple[Any, ...]:
    if value is None:
        return (default,) * rank
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = (value,) * rank
    try:
        out = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        raise StoreError(f"{name} must be {rank} numbers, got {value!r}") from None
    if len(out) != rank:
        raise StoreError(f"{name} must be {rank} numbers, got {len(out)}")
    if not all(math.isfinite(v) for v in out) or positive and any(v <= 0 for v in out):
        raise StoreError(f"{name} must be finite{' and > 0' if positive else ''}, got {list(out)}")
    return out


def seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value) > 0 \
            or not math.isfinite(value):
        raise StoreError(f"{name} must be a number of seconds > 0, got {value!r}")
    return float(value)


def choice(name: str, value: Any, allowed: Sequence[Any], others: Optional[dict[str, str]] = None) -> Any:
    """others: what other libraries call one of them."""
    if not isinstance(value, str) or value not in allowed:
        raise StoreError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}"
                         f"{meant(value, allowed, others)}")
    return value


def attributes(value: Any) -> dict[Any, Any]:
    """A dict that JSON can say: no NaN, no objects."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise StoreError(f"attributes must be a dict with string keys, got {value!r}")
    try:
        json.dumps(value, allow_nan=False)
        _json.check(value)
    except (TypeError, ValueError, RecursionError) as e:
        raise StoreError(f"attributes can't be written as JSON: {e}") from None
    return dict(value)


def halo(value: Any) -> None:
    """Refused until arrays have inputs; a negative one for what it is."""
    def flat(v: Any) -> Sequence[Any]:
        return [x for part in v for x in flat(part)] if isinstance(v, (tuple, list)) else [v]
    for v in flat(value):
        if not isinstance(v, numbers.Integral) or isinstance(v, bool):
            raise StoreError(f"halo must be integers, got {v!r}")
        if v < 0:
            raise StoreError(f"halo must be ≥ 0, got {v}")
    if any(flat(value)):
        raise StoreError("halo is not supported yet: it needs inputs")
