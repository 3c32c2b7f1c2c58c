"""What slices of an array-like are: one is tried at the start, where its dtype may say something else."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ._errors import StoreError

#: Libraries whose slices are of the dtype that the array says.
TRUSTED = ("numpy", "h5py", "zarr", "dask", "tensorstore", "nibabel", "xarray", "lazarr")


def _library(a: Any) -> str:
    return type(a).__module__.split(".")[0]


def converts(a: Any) -> bool:
    """Whether an array-like unpacks and masks what it is sliced for, unless told otherwise: netCDF4's."""
    return _library(a) == "netCDF4" and bool(getattr(a, "scale", False) or getattr(a, "mask", False)
                                             or getattr(a, "chartostring", False))


def read(part: Any) -> Any:
    """A slice with its values in memory: dask's, xarray's and tensorstore's are read only when they are asked for."""
    if hasattr(part, "compute"):
        return part.compute()
    return part.read().result() if _library(part) == "tensorstore" else part


def one(a: Any) -> Optional[Any]:
    """A slice of one element; None: there is none, or it can't be read now, which blocks will say."""
    try:
        if not all(int(n) for n in a.shape):
            return None
        part = a[tuple(slice(0, 1) for _ in a.shape)] if len(a.shape) else a[...]
    except Exception:
        return None
    return part if isinstance(part, (np.ndarray, np.generic)) else None


def dims(a: Any) -> Optional[tuple[Any, ...]]:
    """The names of an array-like's axes, as xarray or netCDF4 has them."""
    own = getattr(a, "dims", None) if _library(a) != "netCDF4" else getattr(a, "dimensions", None)
    return own if isinstance(own, tuple) else None


def dtype_of_one(a: Any, said: np.dtype) -> np.dtype:
    """The dtype of an array-like that converts, as a slice has it."""
    part = one(a)
    return said if part is None else part.dtype


def fill_of(a: Any, dt: np.dtype) -> Any:
    """Of an array-like that masks integers: what is under its mask."""
    if converts(a) and dt.kind in "iu":
        for name in ("_FillValue", "missing_value"):
            value = getattr(a, name, None)
            if value is not None and np.ndim(value) == 0:
                return dt.type(value)
    return None


def check(a: Any, said: Any) -> None:
    """StoreError where a slice isn't what shape and dtype say: other axes, other numbers, or texts. Ones that NumPy
    takes over without loss are none, nor are whole pieces: what is only ever asked for by chunks may give them."""
    if _library(a) in TRUSTED or converts(a):
        return
    part = one(a)
    if part is not None and part.ndim != len(a.shape):
        raise StoreError(f"a slice of one element of the source, whose shape is {list(a.shape)}, has the shape "
                         f"{list(part.shape)}")
    if part is None or part.dtype == np.dtype(said) or np.can_cast(part.dtype, said, "safe"):
        return
    raise StoreError(f"the source says that it is {np.dtype(said)}, and its slices are {part.dtype}: give it as "
                     f"what it is (its library may convert when slicing; .astype({str(np.dtype(said))!r}) on reading)")
