"""Other chunks of the same data: maps as time series, slices as cubes, without a copy."""
from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union

import numpy as np

from . import _check
from ._array import CURRENT, Array, _find
from ._errors import StoreError
from ._inputs import Input
from ._registry import Registry, label

if TYPE_CHECKING:
    from ._typed import Rechunks

#: A coordinate of so many bytes at most is one chunk where a rechunked array takes it along.
MAX_WHOLE = 4 << 20


def _same(block: Any, values: np.ndarray) -> np.ndarray:
    """What a block is where no server copies it."""
    return values


def rechunk(path: str, array: Union[Array, str], chunks: Rechunks) -> Array:
    """The same array in other chunks: of a stack of maps whole time series, of slices cubes. Nothing is
    copied to disk; chunks are cut out of the array's own as they are asked for, by the server, without
    Python.

    path: its name, as in `lazarr.array`. array: an array of the store, defined above, or its path.
    chunks: voxels per axis, -1 for a whole one: a dict by the axes' names or positions, whose other axes
        keep their chunks; or one number an axis, or one for all. At most 256 MiB a chunk.

    All else is the array's: shape, dtype, fill value, dims, attributes, compressor; of an image axes, units,
    scale, translation, channels and levels, too. In another group than the array's, its coordinates (plain
    arrays beside it that have a dimension's name, or that its attribute ``coordinates`` names) stand beside
    it as well, so that xarray opens either group.

    Chunks that are asked for at the same time are cut together: each of the array's own is computed or read,
    and decoded, once for all of them. What is held meanwhile are the chunks asked for and a few of the array's
    own, however many those are. A series through all maps needs each of them all the same: the first ones of
    a large file take as long as reading it.

    Raises StoreError for axes that aren't there and numbers that make no sense.

    >>> import lazarr, numpy as np
    >>> maps = lazarr.source("t2m", np.arange(24.).reshape(4, 2, 3), chunks=(1, 2, 3), dims=("time", "lat", "lon"))
    >>> series = lazarr.rechunk("series/t2m", maps, {"time": -1, "lat": 1, "lon": 1})
    >>> series.chunks, series.dims, series[:, 0, 1].tolist()
    ((4, 1, 1), ('time', 'lat', 'lon'), [1.0, 7.0, 13.0, 19.0])
    """
    try:
        checked = _check.path(path)
        a = _given(array)
        made = Array(_same, checked, _parameters(a, chunks), inputs=[Input(a)], copied=True)
    except StoreError as e:
        text = str(e)
        raise StoreError(text if text.startswith('array "') else f"{label('array', path)}: {text}") from None
    CURRENT.add(made)
    return made


def _given(array: Any) -> Array:
    if isinstance(array, str):
        found = _find(array, CURRENT.registry)
        if found is None:
            raise StoreError(f'there is no array "{array}" above it')
        array = found
    if not isinstance(array, Array):
        raise StoreError(f"array must be one of lazarr.array or lazarr.source, or its path, got "
                         f"{type(array).__name__}")
    array.shape  # settles it; StoreError where an input isn't there
    if _is_text(array):
        raise StoreError(f'"{array.path}" holds texts, which aren\'t served in other chunks')
    return array


def _is_text(a: Array) -> bool:
    """A variable of texts, whose last axis is their characters."""
    return a.around is not None and bool(getattr(getattr(a.around, "variable", None), "text", False))


def _parameters(a: Array, chunks: Any) -> dict[str, Any]:
    """The parameters of an array that is `a` in other chunks."""
    made: dict[str, Any] = {
        "chunks": of_axes(chunks, a.shape, a.chunks, a.dims), "attributes": dict(a.attributes), "kind": a.kind,
        "dtype": a.dtype, "compressor": a.compressor, "n5_compressor": a.n5_compressor, "version": "lazarr.rechunk"}
    if a.fill_given:
        made["fill_value"] = a.fill_value
    if a.axes is None:
        made.update(separator=a.separator, dims=a.dims)
    elif len(a.levels) > 1:
        made.update(levels=len(a.levels), pyramid="each")
    if a.channels:
        made["channels"] = a.channels
    return made


def of_axes(chunks: Any, shape: Sequence[int], own: Sequence[int], dims: Optional[Sequence[str]]) -> tuple[int, ...]:
    """Chunks per axis out of what was given: by name or position, -1 for all of an axis.

    >>> of_axes({"time": -1, 2: 16}, (365, 180, 360), (1, 180, 360), ("time", "lat", "lon"))
    (365, 180, 16)
    >>> of_axes(-1, (3, 0), (1, 1), None)
    (3, 1)
    """
    if isinstance(chunks, Mapping):
        out: list[Any] = list(own)
        seen: dict[int, Any] = {}
        for name, n in chunks.items():
            i = axis(name, len(shape), dims)
            if i in seen:
                raise StoreError(f"chunks: {seen[i]!r} and {name!r} are the same axis")
            seen[i], out[i] = name, _length(n, shape[i], repr(name))
        return tuple(out)
    if isinstance(chunks, numbers.Integral) and not isinstance(chunks, (bool, np.bool_)):
        chunks = (chunks,) * len(shape)
    if isinstance(chunks, str) or not isinstance(chunks, (tuple, list, np.ndarray)):
        raise StoreError("chunks must be a dict by the axes' names or positions, one number per axis or one for "
                         f"all, got {chunks!r}")
    if len(chunks) != len(shape):
        raise StoreError(f"chunks {list(chunks)} must have one number for each of the {len(shape)} axes of shape "
                         f"{list(shape)}")
    return tuple(_length(n, shape[i], f"axis {i}") for i, n in enumerate(chunks))


def axis(name: Any, rank: int, dims: Optional[Sequence[str]]) -> int:
    """The axis of a name, or of a position, which may be text. StoreError where there is none."""
    if isinstance(name, str) and dims and name in dims:
        return list(dims).index(name)
    position: Any = int(name) if isinstance(name, str) and name.isascii() and name.isdigit() else name
    if isinstance(position, numbers.Integral) and not isinstance(position, (bool, np.bool_)) and 0 <= int(position) < rank:
        return int(position)
    has = ", ".join(dims) if dims else f"it has {rank}, without names"
    raise StoreError(f"chunks: there is no axis {name!r} ({has})")


def _length(n: Any, length: int, where: str) -> int:
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, numbers.Integral) or not (int(n) == -1 or int(n) >= 1):
        raise StoreError(f"chunks must be integers ≥ 1, or -1 for a whole axis, got {n!r} for {where}")
    return max(1, int(length)) if n == -1 else int(n)


def coordinates(a: Array, registry: Registry) -> list[Array]:
    """The coordinates of a rechunked array that its group lacks: copies of those beside its input."""
    of = a.inputs[0].array
    group, beside = (p.rpartition("/")[0] for p in (a.path, of.path))
    if group == beside or a.axes or not a.dims:
        return []
    said = " ".join(str(a.attributes.get(k, "")) for k in ("coordinates", "grid_mapping", "bounds")).replace(":", " ")
    made = []
    for name in dict.fromkeys([*a.dims, *said.split()]):
        b = registry.by_path.get(f"{beside}/{name}" if beside else name)
        path = f"{group}/{name}" if group else name
        if b is None or b is of or b.axes or _is_text(b) or path in registry.by_path or not set(b.dims or ()) <= set(a.dims):
            continue
        whole = math.prod(b.shape) * b.dtype.itemsize <= MAX_WHOLE
        made.append(Array(_same, path, _parameters(b, -1 if whole else {}), inputs=[Input(b)], copied=True))
    return made
