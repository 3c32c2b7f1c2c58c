"""Images of which a library reads one plane at a time: slices put together out of planes, and where their axes,
named by letters as microscopes' files have them, stand in an image of t, c, z, y, x."""
from __future__ import annotations

import math
from typing import Any, Callable, Optional, Sequence

import numpy as np

from .. import _source
from .._array import Array
from .._errors import StoreError
from . import places, trust
from .blocks import Blocks
from .file import File
from .tiff_places import Said

#: A plane up to so many bytes is one chunk; larger ones are served in smaller ones.
WHOLE = 16 << 20
#: Planes of one image.
MAX_PLANES = 1 << 24
RGB = [("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF")]


class Planes(Blocks):
    """An array-like whose last axes are a plane, which `read` gives for the indices of the axes before them. The
    last plane is kept. said: what _opened asks of it (filename, folder)."""

    def __init__(self, shape: Sequence[int], dtype: Any, outer: int, read: Callable[[tuple[Any, ...]], Any],
                 **said: Any):
        self.shape, self.dtype = tuple(int(n) for n in shape), np.dtype(dtype)
        self.chunks = (1,) * outer + self.shape[outer:]
        self._outer, self._read = outer, read
        self._kept: Any = (None, None)
        vars(self).update(said)
        check_size(self.shape, self.dtype, outer)

    def block(self, pos: tuple[Any, ...]) -> np.ndarray:
        key = tuple(pos[:self._outer])
        kept, plane = self._kept
        if kept != key:
            plane = np.asarray(self._read(key))
            want = self.shape[self._outer:]
            if plane.shape != want or plane.dtype != self.dtype:
                raise ValueError(f"plane {list(key)} is {list(plane.shape)} of {plane.dtype}, where the file says "
                                 f"{list(want)} of {self.dtype}")
            self._kept = (key, plane)
        return np.asarray(plane.reshape((1,) * self._outer + plane.shape))


def check_size(shape: Sequence[int], dtype: Any, outer: int) -> None:
    """StoreError for planes that are larger than what is read at once, or too many."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biufc":
        raise StoreError(f"its type, {dtype}, is no number's")
    trust.block(tuple(int(n) for n in shape[outer:]), dtype.itemsize)
    if any(int(n) < 1 for n in shape) or math.prod(int(n) for n in shape[:outer]) > MAX_PLANES:
        raise StoreError(f"it can't have the shape {list(shape)!r:.200}")


def axes_of(letters: str) -> tuple[Any, ...]:
    """(order, axes): how axes of these letters become some of t, c, z, y, x. What has no name there (pages, a
    sequence) is z, else c, else t, the last one first; S, samples, is c. (None, ""): they aren't an image's.

    >>> axes_of("TZCYX"), axes_of("IYXS"), axes_of("HYX")
    (((0, 2, 1, 3, 4), 'tczyx'), ((3, 0, 1, 2), 'czyx'), (None, ''))
    """
    free = [a for a in "tcz" if a not in letters.lower().replace("s", "c")]
    named: list[Any] = []
    for letter in reversed(letters):
        axis = "c" if letter == "S" else letter.lower()
        if axis not in "tczyx":
            axis = free.pop() if letter in "QIR" and free else ""
        named.insert(0, axis)
    if not all(named) or len(set(named)) != len(named) or not {"y", "x"} <= set(named):
        return None, ""
    known = [a for a in "tczyx" if a in named]
    return tuple(named.index(a) for a in known), "".join(known)


def colours(n: int, dtype: Any) -> Optional[list[Any]]:
    """The channels of pixels of 3 samples; None: they are others."""
    dtype = np.dtype(dtype)
    if n != 3:
        return None
    end = int(np.iinfo(dtype).max) if dtype.kind == "u" else None
    window = {} if end is None else {"window": {"min": 0, "start": 0, "end": end, "max": end}}
    return [{"label": label, "color": colour, **window} for label, colour in RGB]


def image(f: File, name: str, one: bool, letters: str, shape: Sequence[int], dtype: Any, load: Callable[[], Any],
          said: Said, origin: Optional[dict[str, Any]] = None, **parameters: Any) -> Optional[Array]:
    """One image of a file, or a plain array where the letters of its axes are none of an image's. one: it is all
    of the file, and what is wrong with it an error; else it is left out, said. load: gives the array-like, or
    those of all levels, in the order of the letters. said.scale and units, and the origin: by axis, in lower
    case."""
    where = name or "/"
    if len(letters) != len(shape):
        raise StoreError(f"{where}: it has the axes {letters} and the shape {list(shape)}")
    add = f.add if one else f.try_add
    order, axes = axes_of(letters)
    if order is None:
        low = tuple(letters.lower())
        f.left_out(f"{where} as an image", f"its axes are {letters}")
        return add(name, load, attributes=said.attributes, dims=low if len(set(low)) == len(low) else None, **parameters)
    sizes = [int(shape[i]) for i in order]
    n = sizes[axes.index("c")] if "c" in axes else 1
    described = colours(n, dtype) if "S" in letters and "C" not in letters else said.channels or None
    if "chunks" not in parameters and math.prod(sizes[-2:]) * np.dtype(dtype).itemsize > WHOLE:
        parameters["chunks"] = _source.default_chunks(tuple(sizes), axes)
    if origin:
        parameters["translation"] = places.translation(f, where, {a: origin.get(a, 0.0) for a in axes}, axes)
    return add(name, load, transpose=order, axes=axes, attributes=said.attributes,
               scale=places.scale(f, where, {k: v for k, v in said.scale.items() if k in axes}, axes),
               units=places.units(f, where, said.units, axes),
               channels=places.channels(f, where, described, n, dtype), **parameters)
