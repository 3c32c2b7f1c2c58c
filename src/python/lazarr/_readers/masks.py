"""Which value of an array means that there is none, as HDF5, netCDF and Zarr say it."""
from __future__ import annotations

import re
from typing import Any, Optional

import numpy as np

from .. import _check, _masks
from .._errors import StoreError
from .file import File


def attribute(f: File, where: str, kept: dict[Any, Any], dtype: Any) -> Any:
    """The value that is missing, as the attribute _FillValue says; one that is none of the dtype is taken
    out of the attributes, which is said. None: nothing is."""
    try:
        return _masks.of_array(kept, None, np.dtype(dtype))
    except StoreError as e:
        f.left_out(f"{where}: attribute _FillValue", str(e).rpartition("_FillValue: ")[2])
        del kept["_FillValue"]
        return None


def zarr(f: File, where: str, meta: dict[Any, Any], kept: dict[Any, Any], dims: Optional[list[Any]]) -> Any:
    """Of a Zarr array: its attribute _FillValue (xarray's, in Zarr v3), else its fill_value. A 0 that stands in
    every v3 array, and in the v2 arrays of writers that don't think of masks, is none: those that do name the
    axes, and write null where nothing is missing."""
    v2 = meta.get("zarr_format") == 2
    try:
        dtype = np.dtype(meta.get("dtype" if v2 else "data_type"))
    except Exception:
        return None  # the array is refused by its type
    said = attribute(f, where, kept, dtype)
    if v2 or said is None:
        fill = meta.get("fill_value")
        if fill is None or not v2 and _is_nothing(fill) or not dims and _is_nothing(fill):
            return said
        try:
            return _check.fill_value(_of_bits(fill, dtype), dtype)
        except StoreError as e:
            f.left_out(f"{where}: fill_value", str(e).partition("fill_value: ")[2] or str(e))
    return said


def _of_bits(fill: Any, dtype: np.dtype) -> Any:
    """Zarr v3's other way to say a float: its bits in hexadecimal digits, the highest first.

    >>> float(_of_bits("0xc61c3c00", np.dtype("f4"))), _of_bits("NaN", np.dtype("f4"))
    (-9999.0, 'NaN')
    """
    if isinstance(fill, list) and len(fill) == 2 and dtype.kind == "c":
        return [_of_bits(v, np.dtype(f"f{dtype.itemsize // 2}")) for v in fill]
    if isinstance(fill, str) and dtype.kind == "f" and re.fullmatch("0x[0-9A-Fa-f]+", fill) \
            and len(fill) == 2 + 2 * dtype.itemsize:
        return np.frombuffer(bytes.fromhex(fill[2:]), dtype.newbyteorder(">"))[0]
    return fill


def _is_nothing(fill: Any) -> bool:
    return fill in (0, False, "") or isinstance(fill, list) and not any(v not in (0, 0.0, "0.0") for v in fill)
