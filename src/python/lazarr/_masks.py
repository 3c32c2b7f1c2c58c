"""What attributes of the CF conventions say of an array's values: which are missing, and how they are packed."""
from __future__ import annotations

import base64
import struct
from typing import Any, Callable, Optional

import numpy as np

from . import _check
from ._errors import StoreError

FILL = "_FillValue"
PACKED = ("scale_factor", "add_offset")


def fill_attribute(value: Any, dt: np.dtype) -> np.generic:
    """The attribute _FillValue as a scalar of the dtype: a number, its text, a list of one, or, of floats, what
    xarray writes into Zarr v3: a double in base64. StoreError where it is no such value.

    >>> float(fill_attribute("AAAAAICHw8A=", np.dtype("f4"))), int(fill_attribute([-1], np.dtype("i2")))
    (-9999.0, -1)
    """
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and dt.kind == "f" and len(value) == 12 and value.endswith("="):
        try:
            value = struct.unpack("<d", base64.b64decode(value, validate=True))[0]
        except (ValueError, struct.error):
            pass
    if dt.kind in "iu" and isinstance(value, float) and value == int(value):
        value = int(value)
    if dt.kind == "f" and isinstance(value, (int, float)):
        value = dt.type(value)  # rounded: what the values themselves were
    return _check.fill_value(value, dt)


def _numbers(value: Any) -> list[Any]:
    """The numbers that an attribute holds, in whatever form."""
    out = []
    for v in value if isinstance(value, (list, tuple)) else [value]:
        try:
            out.append(v if isinstance(v, (int, float)) and not isinstance(v, bool) else float(v))
        except (TypeError, ValueError):
            pass
    return out


def _unsigned(attributes: dict[Any, Any], dt: np.dtype) -> Optional[np.dtype]:
    """The dtype that _Unsigned means: netCDF-3 has no unsigned integers."""
    if dt.kind in "iu" and str(attributes.get("_Unsigned", "")).lower() in ("true", "false"):
        kind = "u" if str(attributes["_Unsigned"]).lower() == "true" else "i"
        if kind != dt.kind:
            return np.dtype(f"{dt.byteorder}{kind}{dt.itemsize}")
    return None


def decoded_dtype(attributes: dict[Any, Any], dt: np.dtype) -> np.dtype:
    """The dtype of the decoded values: float32 of 8- and 16-bit integers, as xarray has it unless their offset
    is given, else float64."""
    if dt.kind == "f" and not any(k in attributes for k in PACKED):
        return dt.newbyteorder("=")
    if dt.itemsize <= 2 and dt.kind in "iu" and "add_offset" not in attributes or dt.kind == "f" and dt.itemsize <= 4:
        return np.dtype("float32")
    return np.dtype("float64")


def decoder(attributes: dict[Any, Any], dt: np.dtype, fill: Optional[Any]) -> Optional[Callable[[np.ndarray], np.ndarray]]:
    """A function that makes what the attributes say of values of this dtype: NaN where one is missing or not
    in the valid range, unpacked by scale_factor and add_offset. None: nothing is to be done. fill: the value
    that is missing, besides missing_value.

    >>> unpack = decoder({"scale_factor": 0.5, "add_offset": 1}, np.dtype("i2"), -1)
    >>> unpack(np.array([-1, 2], "i2")).tolist()
    [nan, 2.0]
    """
    if dt.kind not in "iuf":
        return None
    other = _unsigned(attributes, dt)
    scale = (_numbers(attributes.get("scale_factor", [])) + [None])[0]
    offset = (_numbers(attributes.get("add_offset", [])) + [None])[0]
    missing = [v for v in _numbers(attributes.get("missing_value", [])) if v == v]
    if fill is not None and fill == fill:
        missing.append(fill)
    low, high = (_numbers(attributes.get(k, [])) for k in ("valid_min", "valid_max"))
    both = _numbers(attributes.get("valid_range", []))
    if len(both) == 2:
        low, high = low + both[:1], high + both[1:]
    if scale is None and offset is None and not missing and not low and not high:
        return None
    if other is not None:  # netCDF writes the limits of unsigned values as signed ones, too
        low, high = ([_as(v, dt, other) for v in ends] for ends in (low, high))
    made = decoded_dtype(attributes, dt)

    def decode(data: np.ndarray) -> np.ndarray:
        out = np.asarray(data).view(other) if other is not None else np.asarray(data)
        bad = np.zeros(out.shape, bool)
        for v in missing:
            bad |= data == np.asarray(v).astype(data.dtype) if _fits(v, data.dtype) else False
        for v in low:
            bad |= out < v
        for v in high:
            bad |= out > v
        values = out.astype(made)
        if scale is not None:
            values *= scale
        if offset is not None:
            values += offset
        values[bad] = np.nan
        return values
    return decode


def _as(value: Any, dt: np.dtype, other: np.dtype) -> Any:
    """A number of the dtype dt as the other one, of as many bits, means it; one that only the other has is itself.

    >>> _as(-6, np.dtype("i2"), np.dtype("u2")), _as(65530, np.dtype("i2"), np.dtype("u2"))
    (65530, 65530)
    """
    return np.asarray(value).astype(dt).view(other).item() if _fits(value, dt) else value


def _fits(value: Any, dt: np.dtype) -> bool:
    """Whether a dtype has a number as it is, but for the rounding of floats."""
    if dt.kind == "f":
        return True
    info = np.iinfo(dt)
    return bool(info.min <= value <= info.max) and value == int(value)


def of_array(attributes: dict[Any, Any], given: Any, dt: np.dtype) -> Any:
    """The fill value of a plain array: what is given, else what its attribute _FillValue says."""
    if given is not None or FILL not in attributes or attributes[FILL] is None:
        return given
    try:
        return fill_attribute(attributes[FILL], dt)
    except StoreError as e:
        raise StoreError(f"attributes: _FillValue: {e}") from None
