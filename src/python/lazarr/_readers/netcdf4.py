"""What netCDF-4 puts into HDF5 beside values: dimensions as scales, scalars as arrays of one, names of its own."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np

from .file import File

#: Attributes that are HDF5's and netCDF's own.
OWN = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates",
       "_NCProperties", "_nc3_strict", "DIMENSION_LABELS")
#: Attributes that CF has one value of, or one of each end, whoever wrote the file.
SCALARS = ("_FillValue", "missing_value", "scale_factor", "add_offset", "valid_min", "valid_max", "units",
           "calendar", "standard_name", "long_name", "coordinates", "grid_mapping", "bounds", "axis", "positive",
           "cell_methods", "_Unsigned")
PURE = b"This is a netCDF dimension but not a netCDF variable"
HIDDEN = "_nc4_non_coord_"


class Conventions:
    """How one HDF5 file names its dimensions."""

    def __init__(self, f: File, file: Any) -> None:
        self.f = f
        self.is_netcdf = f.lower.endswith((".nc", ".nc4", ".cdf")) or "_NCProperties" in file.attrs
        self._by_number: Optional[dict[Any, Any]] = None

    def attributes(self, given: dict[Any, Any], h5py: Any) -> dict[Any, Any]:
        """A node's attributes without netCDF's own; arrays of one value as that value where they are one."""
        out = {}
        for k, v in given.items():
            if k in OWN:
                continue
            if isinstance(v, h5py.Empty):
                v = "" if v.dtype is None or v.dtype.kind in "SO" else v
            elif isinstance(v, np.ndarray) and v.shape == (1,) and (self.is_netcdf or k in SCALARS):
                v = v[0]
            if k == "missing_value" and isinstance(v, np.floating) and np.isnan(v):
                continue  # it is missing anyway, and JSON has no NaN
            out[k] = v
        return out

    def is_dimension(self, d: Any) -> bool:
        """Whether a dataset is nothing but a dimension's length."""
        name = d.attrs.get("NAME")
        return isinstance(name, (bytes, np.bytes_)) and bytes(name).startswith(PURE)

    def dims(self, d: Any, where: str) -> Optional[tuple[Any, ...]]:
        """Names of the axes: of the scales that are attached to them, or their labels; of a scale its own.
        None: it has none."""
        names: list[Any] = self._own(d) or [self._name(dim) for dim in d.dims]
        if not any(names):
            return None
        taken: set[Any] = set()
        for i, name in enumerate(names):
            if name in taken:
                self.f.left_out(f"{where}: name of axis {i}", f"'{name}' is that of another of its axes")
                name = None
            names[i] = name or f"dim_{i}_{d.shape[i]}"
            taken.add(names[i])
        return tuple(names) if len(taken) == len(names) else None

    def _name(self, dim: Any) -> Optional[str]:
        try:
            if len(dim):
                return plain(dim[0].name)
        except Exception:  # a scale that is damaged, or lies in no group
            pass
        return dim.label or None

    def _own(self, d: Any) -> Optional[list[Any]]:
        """Of a dimension scale, which has no others attached."""
        if d.attrs.get("CLASS") not in (b"DIMENSION_SCALE", "DIMENSION_SCALE") or not d.ndim:
            return None
        if d.ndim == 1:
            return [plain(d.name)]
        ids = d.attrs.get("_Netcdf4Coordinates")
        if ids is None or len(ids) != d.ndim:
            return None
        if self._by_number is None:
            self._by_number = {}
            self._number(d.file, 0)
        return [self._by_number.get(int(n)) for n in ids]

    def _number(self, group: Any, depth: int) -> None:
        """All dimensions by their numbers in the file."""
        for key in group if depth < 20 else ():
            try:
                node = group[key]
                if hasattr(node, "dims"):
                    n = node.attrs.get("_Netcdf4Dimid")
                    if n is not None and len(self._by_number) < 10000:  # type: ignore[arg-type]
                        self._by_number.setdefault(int(n), plain(node.name))  # type: ignore[union-attr]
                else:
                    self._number(node, depth + 1)
            except Exception:
                continue


def plain(name: Optional[str]) -> str:
    """A dataset's own name as netCDF shows it."""
    last = (name or "").rpartition("/")[2]
    return last[len(HIDDEN):] if last.startswith(HIDDEN) else last
