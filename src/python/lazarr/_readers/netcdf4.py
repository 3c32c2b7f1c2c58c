"""What netCDF-4 puts into HDF5 beside values: dimensions as scales, scalars as arrays of one, names of its own."""
from __future__ import annotations

import os
from typing import Any, Optional, Union

import numpy as np

from .file import File, need

SCALES, LABELS = "DIMENSION_LIST", "DIMENSION_LABELS"
#: Attributes that are HDF5's and netCDF's own.
OWN = (SCALES, LABELS, "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties",
       "_nc3_strict")
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

    @staticmethod
    def _said(d: Any, name: str) -> Any:
        """An attribute of HDF5's or netCDF's own; None: it isn't there, or can't be read, which dict_of says."""
        try:
            return d.attrs.get(name)
        except Exception:  # whatever HDF5 has against a damaged one
            return None

    def is_dimension(self, d: Any) -> bool:
        """Whether a dataset is nothing but a dimension's length."""
        name = self._said(d, "NAME")
        return isinstance(name, (bytes, np.bytes_)) and bytes(name).startswith(PURE)

    def dims(self, d: Any, where: str) -> Optional[tuple[Any, ...]]:
        """Names of the axes: of the scales that are attached to them, or their labels; of a scale its own.
        None: it has none."""
        names: list[Any] = self._own(d) or self._attached(d, where)
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

    def _attached(self, d: Any, where: str) -> list[Any]:
        """The names of the scales that are attached to each axis, else their labels, or None. HDF5 believes
        whatever is called like its own attributes, and reads beyond it: they are looked at first."""
        found = {k: self._is(d, k) for k in (SCALES, LABELS)}
        for k in (k for k, fits in found.items() if fits is False):
            self.f.left_out(f"{where}: attribute {k}", f"it isn't HDF5's own for {d.ndim} axes")
        return [self._name(dim, bool(found[SCALES]), bool(found[LABELS])) for dim in d.dims]

    def _is(self, d: Any, name: str) -> Optional[bool]:
        """Whether an attribute is as HDF5 writes it: for each axis references, or a text. None: there is none."""
        h5t = need("h5py").h5t
        try:
            if name not in d.attrs:
                return None
            attribute = d.attrs.get_id(name)
            kind = attribute.get_type()
            if attribute.shape != (d.ndim,):
                return False
            if name == LABELS:
                return isinstance(kind, h5t.TypeStringID) and bool(kind.is_variable_str())
            return isinstance(kind, h5t.TypeVlenID) and bool(kind.get_super() == h5t.STD_REF_OBJ)
        except Exception:  # whatever HDF5 has against a damaged one
            return False

    def _name(self, dim: Any, scales: bool, labels: bool) -> Optional[str]:
        try:
            if scales and len(dim):
                return plain(dim[0].name)
            return labels and dim.label or None
        except Exception:  # a scale that is damaged, or lies in no group; a label that is no text
            return None

    def _own(self, d: Any) -> Optional[list[Any]]:
        """Of a dimension scale, which has no others attached."""
        kind = self._said(d, "CLASS")
        if not isinstance(kind, (bytes, str)) or kind not in (b"DIMENSION_SCALE", "DIMENSION_SCALE") or not d.ndim:
            return None
        if d.ndim == 1:
            return [plain(d.name)]
        ids = self._said(d, "_Netcdf4Coordinates")
        if not isinstance(ids, np.ndarray) or ids.shape != (d.ndim,) or ids.dtype.kind not in "iu":
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


def plain(name: Union[str, bytes, None]) -> str:
    """A dataset's own name as netCDF shows it."""
    last = os.fsdecode(name or "").rpartition("/")[2]
    return last[len(HIDDEN):] if last.startswith(HIDDEN) else last
