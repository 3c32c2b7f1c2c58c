"""Sources: array-likes that are served as they are."""
from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

from . import _check
from ._array import CURRENT, Array, label
from ._block import Block
from ._errors import StoreError


class _Source:
    """An array-like, opened when first needed in each process, and a function that slices it."""

    def __init__(self, thing: Any, transpose: Optional[Sequence[int]]):
        self._thing = thing
        self._open: Any = None if callable(thing) and not hasattr(thing, "shape") else thing
        self.transpose = None if transpose is None else tuple(transpose)
        self.__name__ = getattr(thing, "__name__", type(thing).__name__)

    def open(self) -> Any:
        if self._open is None:
            self._open = self._thing()
        return self._open

    def check(self) -> None:
        a = self.open()
        for name in ("shape", "dtype", "__getitem__"):
            if not hasattr(a, name):
                raise StoreError(f"a source must be an array-like with shape, dtype and "
                                 f"__getitem__; {type(a).__name__} has no {name}")
        if self.transpose is not None and sorted(self.transpose) != list(range(len(a.shape))):
            raise StoreError(f"transpose must name each of the {len(a.shape)} axes once, "
                             f"got {self.transpose!r}")

    def order(self, values: Sequence[Any]) -> tuple:
        values = tuple(values)
        return values if self.transpose is None else tuple(values[i] for i in self.transpose)

    def __call__(self, block: Block) -> Any:
        a = self.open()
        slices = block.slices
        if self.transpose is None:
            return np.asarray(a[slices])
        inner: list = [None] * len(slices)
        for outer, i in enumerate(self.transpose):
            inner[i] = slices[outer]
        return np.asarray(a[tuple(inner)]).transpose(self.transpose)


def _dtype(a: Any) -> Any:
    """An array-like's dtype as NumPy has it: tensorstore says it in its own way, and nibabel says that
    of the file where what it gives is scaled."""
    dt = getattr(a.dtype, "numpy_dtype", a.dtype)
    if type(a).__module__.split(".")[0] == "nibabel" and \
            (getattr(a, "slope", 1.0), getattr(a, "inter", 0.0)) != (1.0, 0.0):
        return np.dtype("float64")
    return dt


def _dims(a: Any, src: "_Source") -> Optional[tuple]:
    """The names of the axes, where the array-like has them as xarray does."""
    own = getattr(a, "dims", None)
    if not isinstance(own, tuple) or len(own) != len(a.shape) \
            or not all(isinstance(d, str) and d for d in own) or len(set(own)) != len(own):
        return None
    return src.order(own)


def _regular_chunks(a: Any) -> Optional[tuple]:
    """An array-like's own chunks, where they are one size per axis (h5py, zarr, regular dask,
    tensorstore)."""
    own = getattr(a, "chunks", None)
    if own is None and hasattr(a, "chunk_layout"):
        own = getattr(a.chunk_layout.read_chunk, "shape", None)
    if not isinstance(own, (tuple, list)) or len(own) != len(a.shape):
        return None
    out = []
    for c in own:
        if isinstance(c, (tuple, list)):
            if not c or len(set(c[:-1])) > 1 or c[-1] > c[0]:
                return None
            c = c[0]
        if int(c) < 1:
            return None
        out.append(int(c))
    return tuple(out)


def default_chunks(shape: Sequence[int], axes: Any = None) -> tuple:
    """64 per spatial axis in 3-D, 512 in 2-D, 1 elsewhere. Without axes names the last three (or two)
    count as spatial, and a 1-D array gets chunks of 65536.

    >>> default_chunks((5, 100, 900, 900)), default_chunks((900, 900)), default_chunks((9,))
    ((1, 64, 64, 64), (512, 512), (65536,))
    """
    rank = len(shape)
    if rank == 1:
        return (65536,)
    spatial = [a in "zyx" for a in axes] if axes else [i >= rank - 3 for i in range(rank)]
    size = 64 if sum(spatial) == 3 else 512
    return tuple(size if s else 1 for s in spatial)


def source(path: Optional[str] = None, thing: Any = None, /, *,
           transpose: Optional[Sequence[int]] = None, **parameters: Any) -> Any:
    """Serves an array-like (shape, dtype, ``__getitem__``), or what a function opens.

    ``lazarr.source("name", thing)`` with an array, an h5py or zarr dataset, a memory map …, or as a
    decorator of a function that opens one (called once in each process, and the better way for files
    and large arrays). transpose: order of the axes, as in ``numpy.transpose``. Shape and dtype are
    the array-like's; chunks its own regular ones, else 64 per spatial axis in 3-D, 512 in 2-D; the
    names of the axes those of an xarray DataArray. The other parameters are those of `lazarr.array`;
    with levels an image gets a lazy pyramid. Raises StoreError.

    >>> import lazarr, numpy as np
    >>> a = lazarr.source("eye", np.eye(3), chunks=2)
    >>> a[1].tolist()
    [0.0, 1.0, 0.0]
    """
    def make(what: Any) -> Array:
        name = path if path is not None else getattr(what, "__name__", None)
        try:
            checked = _check.path(name)
            src = _Source(what, transpose)
            src.check()
            a = src.open()
            for fixed in ("shape", "dtype"):
                if fixed in parameters:
                    raise StoreError(f"{fixed} is the source's own and can't be given")
            for wrong in ("inputs", "halo", "boundary"):
                if parameters.get(wrong):
                    raise StoreError(f"{wrong} is for arrays, a source has none")
            given = dict(parameters, shape=src.order(a.shape), dtype=_dtype(a))
            if given.get("chunks") is None:
                own = _regular_chunks(a)
                given["chunks"] = src.order(own) if own else \
                    default_chunks(given["shape"], given.get("axes"))
            if given.get("axes") is None and given.get("dims") is None:
                given["dims"] = _dims(a, src)
        except StoreError as e:
            raise StoreError(f"{label('array', name)}: {e}") from None
        given.pop("inputs", None)
        made = Array(src, checked, given, source=src)
        CURRENT.add(made)
        return made
    return make if thing is None else make(thing)
