"""Which value of an array means that there is none, as HDF5, netCDF and Zarr say it."""
from __future__ import annotations

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


def zarr(f: File, where: str, fill: Any, dtype: np.dtype, kept: dict[Any, Any], v2: bool, named: bool) -> Any:
    """Of a Zarr array: its attribute _FillValue (xarray's, in Zarr v3), else its fill_value, as zarr_fill reads it.
    A 0 that stands in every v3 array, and in the v2 arrays of writers that don't think of masks, is none: those
    that do name the axes (named), and write null where nothing is missing."""
    said = attribute(f, where, kept, dtype)
    if said is not None and not v2:
        return said
    if fill is None or fill == 0 and not (v2 and named):
        return said
    try:
        return _check.fill_value(fill, dtype)
    except StoreError as e:
        f.left_out(f"{where}: fill_value", str(e).partition("fill_value: ")[2] or str(e))
        return said
