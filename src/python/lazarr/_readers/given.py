"""What the command line says of data files: --axes, --scale, --units, --channels, --chunks, --dtype, --raw,
--rechunk."""
from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

import numpy as np

from .. import _check
from .._errors import StoreError
from .cast import Cast


class Given:
    """The options, which hold for each array of a file."""

    def __init__(self, options: Sequence[str]) -> None:
        said = {k: v for k, _, v in (o[2:].partition("=") for o in options)}
        self.raw = "raw" in said
        self.axes: Optional[str] = said.get("axes")
        self.scale = _values(said.get("scale"), float)
        self.chunks = _values(said.get("chunks"), int)
        self.units = _values(said.get("units"), str)
        self.channels = _values(said.get("channels"), str, always=True)
        self.rechunk = _chunks_of_axes(said.get("rechunk"))
        self.dtype = None if "dtype" not in said else _check.dtype(said["dtype"])

    def applied(self, opener: Callable[[], Any], parameters: dict[Any, Any]) -> tuple[Any, ...]:
        """(opener, parameters) of a source with what was said in place of what its file says. Of axes in
        another order than lazarr's the array is transposed."""
        p = dict(parameters)
        if self.axes:
            self._place(p)
        for name in ("scale", "units", "channels", "chunks"):
            value = getattr(self, name)
            if value is not None:
                p[name] = value if name == "channels" else self._ordered(value)
        if isinstance(self.scale, float) and p.get("axes"):  # one number is that of the spatial axes
            p["scale"] = [self.scale if a in "zyx" else 1.0 for a in p["axes"]]
        if self.scale is not None and _is_per_level(p.get("translation")):
            p.pop("translation")  # of the levels: they follow from their shapes
        if self.dtype is not None:
            opener = _casting(opener, self.dtype)
            p = recast(p)
        return opener, p

    def _ordered(self, value: Any) -> Any:
        """What is said for each axis of --axes, in lazarr's order of them."""
        if not self.axes or not isinstance(value, list) or len(value) != len(self.axes):
            return value
        return [v for _, v in sorted(zip(self.axes, value), key=lambda pair: "tczyx".index(pair[0]))]

    def _place(self, p: dict[Any, Any]) -> None:
        """Other axes: what was said of each by its letter stays with it."""
        axes = str(self.axes)
        order = sorted(range(len(axes)), key=lambda i: "tczyx".index(axes[i]))
        made = "".join(axes[i] for i in order)
        old = p.get("axes")
        if old is not None and len(old) != len(axes):
            raise StoreError(f"--axes {axes} names {len(axes)} axes, it has {len(old)}")
        for name, default in (("scale", 1.0), ("translation", 0.0), ("units", None)):
            value = p.pop(name, None)
            if old is not None and isinstance(value, (list, tuple)):
                rows = value if _is_per_level(value) else [value]
                rows = [[dict(zip(old, row)).get(a, default) for a in made] for row in rows]
                p[name] = rows if _is_per_level(value) else rows[0]
        first = p.get("transpose") or range(len(axes))
        if len(first) == len(axes) and (order != sorted(order) or p.get("transpose")):
            p["transpose"] = tuple(first[i] for i in order)
        if p.get("chunks") is not None and len(p["chunks"]) == len(axes):
            p["chunks"] = tuple(p["chunks"][i] for i in order)
        if old is not None and ("c" in old) != ("c" in made) or old and "c" in old and old.index("c") != axes.find("c"):
            p.pop("channels", None)
        p.pop("dims", None)
        p["axes"] = made


def recast(parameters: dict[Any, Any]) -> dict[Any, Any]:
    """Those of a source whose values are read as another dtype: without what was of the old one, its fill and
    its channels' windows.

    >>> recast({"fill_value": -1, "axes": "yx", "channels": ["a", {"label": "b", "window": {"end": 9}}]})
    {'axes': 'yx', 'channels': ['a', {'label': 'b'}]}
    """
    p = {k: v for k, v in parameters.items() if k != "fill_value"}
    if p.get("channels"):
        p["channels"] = [{k: v for k, v in c.items() if k != "window"} if isinstance(c, dict) else c
                         for c in p["channels"]]
    return p


def _is_per_level(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in value)


def _values(text: Optional[str], kind: Callable[[str], Any], always: bool = False) -> Any:
    """One value, or a list of those between commas."""
    if text is None:
        return None
    values = [kind(part.strip()) for part in text.split(",")]
    return values if always or len(values) > 1 else values[0]


def _chunks_of_axes(text: Optional[str]) -> dict[str, int]:
    """``--rechunk time=-1,lat=16`` as a dict; empty: it wasn't said. An axis that is named twice is a StoreError."""
    made: dict[str, int] = {}
    for part in text.split(",") if text else ():
        name, _, n = part.partition("=")
        if name.strip() in made:
            raise StoreError(f"--rechunk names the axis {name.strip()!r} twice")
        made[name.strip()] = int(n)
    return made


def _casting(opener: Callable[[], Any], dtype: np.dtype) -> Callable[[], Any]:
    def opened() -> Any:
        a = opener()
        levels = a if isinstance(a, (list, tuple)) else [a]
        made = [v if np.dtype(v.dtype) == dtype else Cast(v, dtype) for v in levels]
        return made if isinstance(a, (list, tuple)) else made[0]
    return opened
