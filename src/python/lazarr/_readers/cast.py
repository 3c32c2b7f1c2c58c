"""Values read as another dtype."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _slices
from .._errors import StoreError


class Cast:
    """An array-like whose values are read as another dtype; ValueError for one that doesn't fit into it. Of
    floats read as integers the fraction is cut off, as NumPy does it. StoreError for complex numbers as others:
    NumPy would drop half of each."""

    def __init__(self, array: Any, dtype: Any):
        if np.dtype(getattr(array.dtype, "numpy_dtype", array.dtype)).kind == "c" and np.dtype(dtype).kind != "c":
            raise StoreError(f"complex numbers can't be read as {np.dtype(dtype).name}: give the source a.real or abs(a)")
        self._array, self.dtype, self.shape = array, np.dtype(dtype), tuple(array.shape)
        for name in ("chunks", "dims", "folder", "filename"):
            if getattr(array, name, None) is not None:
                setattr(self, name, getattr(array, name))

    def __getitem__(self, key: Any) -> Any:
        values = _slices.read(self._array[key])
        if not isinstance(values, np.ma.MaskedArray):
            values = np.asarray(values)
        to = self.dtype
        if to.kind in "iu" and values.size and values.dtype.kind in "iuf":
            low, high = values.min(), values.max()
            least, most = np.iinfo(to).min, np.iinfo(to).max
            if not (low > least - 1 and high < most + 1):  # also where one is NaN
                bad = low if not low > least - 1 else high
                raise ValueError(f"the value {bad} of the source doesn't fit into {to.name}")
        with np.errstate(over="raise"):
            return values.astype(to)
