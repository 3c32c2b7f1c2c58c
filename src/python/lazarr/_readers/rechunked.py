"""``--rechunk``: a data file's arrays once more in other chunks, as a group beside them that is a dataset itself."""
from __future__ import annotations

from typing import Any, Mapping

from .. import _array, _rechunk
from .._array import Array
from .._errors import StoreError
from .._registry import Registry
from . import texts
from .file import File

GROUP = "rechunked"


def add(f: File, chunks: Mapping[str, int], registry: Registry) -> None:
    """All arrays of the file under GROUP: those that have some of the axes in these chunks, coordinates of
    dimensions whole, the others, and texts, as they are. StoreError for an axis that none has."""
    found: list[Any] = [(a, _of(a, chunks)) for a in f.made]
    missing = [name for name in chunks if not any(name in its for _, its in found)]
    if missing:
        names = dict.fromkeys(d for a in f.made for d in a.dims or ())
        raise StoreError(f"--rechunk: no array has an axis {missing[0]!r} "
                         f"({', '.join(names) or 'they have no names: say 0, 1 ...'})")
    group = GROUP
    while any(f"{p}/".startswith(f"{group}/") for p in (*registry.by_path, *registry.groups)):
        group += "_"
    for a, its in found:
        _rechunk.rechunk(f"{group}/{a.path}", a, -1 if _is_coordinate(a) else its)
    for a in f.texts:
        texts.served(f"{group}/{a.path}", a.around.variable)
    for path, attributes in list(registry.groups.items()):
        _array.group(f"{group}/{path}" if path else group, attributes)


def _is_coordinate(a: Array) -> bool:
    """Of a dimension, and small: every reader wants all of it."""
    return a.dims == (a.path.rpartition("/")[2],) and a.shape[0] * a.dtype.itemsize <= _rechunk.MAX_WHOLE


def _of(a: Array, chunks: Mapping[str, int]) -> dict[str, int]:
    """What is said of an array's own axes, by name or position."""
    made: dict[str, int] = {}
    for name, n in chunks.items():
        try:
            _rechunk.axis(name, len(a.shape), a.dims)
        except StoreError:
            continue
        made[name] = n
    return made
