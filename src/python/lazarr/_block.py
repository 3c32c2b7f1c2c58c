"""The block that a function is asked for."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence

import numpy as np

from . import _cast
from ._errors import CastError

if TYPE_CHECKING:
    from ._array import Array


def _nobody_cancels() -> bool:
    return False


#: Asked by Block.cancelled; the worker puts its own here.
is_cancelled: Callable[[], bool] = _nobody_cancels


MOST_PLACED = 1 << 24  # voxels of a block in which the one that an error is about is looked for


class BlockData(np.ndarray):
    """A block's array: what is assigned to it must fit, as a returned result must.

    Arithmetic with it gives ordinary arrays.
    """

    _start: Sequence[int] = ()  # the block's first voxel, where this is the block's whole array

    def _where(self, key: Any, shape: Sequence[int]) -> _cast.Where:
        """From a place in a value of `shape` that is written to self[key] to the array's voxel."""
        if len(self._start) == 0 or self.size > MOST_PLACED:
            return None

        def find(place: list[Any]) -> list[Any]:
            voxels = np.arange(self.size).reshape(self.shape)[key]
            value = np.arange(int(np.prod(shape))).reshape(shape)
            same = np.broadcast_to(value, voxels.shape) == value[tuple(place)]
            at = np.unravel_index(voxels[same].reshape(-1)[0], self.shape)
            return [int(s + i) for s, i in zip(self._start, at)]
        return find

    def __setitem__(self, key: Any, value: Any) -> None:
        dt = self.dtype
        if isinstance(value, int) and not isinstance(value, bool):
            _cast.check_python_int(value, dt)
        a = _cast.as_array(value)
        if a.dtype != dt:
            _cast.check_values(a, dt, self._where(key, a.shape))
            with np.errstate(all="ignore"):
                a = a.astype(dt)
        super().__setitem__(key, a)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array is self:  # out=block.data
            return array
        plain = np.asarray(array)
        return plain[()] if return_scalar or plain.ndim == 0 else plain


class Block:
    """One block: where it is, and the array to write it into.

    Shapes and places are in voxels of the array at `level`, slowest axis first; a block at the
    array's end is cut to the array.

    data: the block's array (writable, filled with the fill value when first used), or return the
        result instead;
    start, stop, shape: tuples; slices: ``volume[block.slices]`` is this block's part of a volume;
    chunk: position in the chunk grid; index: the same, flat; level, scale: resolution level and its
        voxel size in voxels of level 0;
    coords(): one index array per axis, ready to broadcast; axis("lat"): a coordinate's own values there;
    cancelled: True once nobody waits;
    inputs: what is read of the arrays this one is computed from, halo included: ordinary writable
        arrays, also given to the function behind the block;
    crop: cuts the halo off the first input; crops: off each;
    min, max (inclusive), dim, halo: as in imglib2-cache-python.

    >>> import numpy as np
    >>> b = Block(None, (4,), (4,), (1,), 1, make_data=lambda: np.empty(4, "u1"), fill=0)
    >>> b.data[...] = b.coords()[0]
    >>> b.data.tolist(), b.stop, b.max
    ([4, 5, 6, 7], (8,), (7,))
    """

    __slots__ = ("array", "start", "shape", "chunk", "index", "level", "inputs", "_make", "_fill",
                 "_data")

    def __init__(self, array: Optional["Array"], start: Sequence[int], shape: Sequence[int],
                 chunk: Sequence[int], index: int, *, level: int = 0,
                 make_data: Callable[[], np.ndarray], fill: Any = 0, inputs: Sequence[np.ndarray] = ()):
        self.array = array
        self.start = tuple(start)
        self.shape = tuple(shape)
        self.chunk = tuple(chunk)
        self.index = index
        self.level = level
        self.inputs = list(inputs)
        self._make = make_data
        self._fill = fill
        self._data: Optional[BlockData] = None

    @property
    def data(self) -> np.ndarray:
        """The block's array, writable; what isn't written stays the fill value."""
        if self._data is None:
            plain = self._make()
            plain[...] = self._fill
            self._data = plain.view(BlockData)
            self._data._start = self.start
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        """``block.data = x`` means ``block.data[...] = x``."""
        _cast.assign(np.asarray(self.data), value, self.start)

    @property
    def stop(self) -> tuple[int, ...]:
        """First voxel behind the block, per axis."""
        return tuple(a + n for a, n in zip(self.start, self.shape))

    @property
    def slices(self) -> tuple[slice, ...]:
        """The block's part of an array of the same shape: ``volume[block.slices]``."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.shape))

    def coords(self) -> tuple[np.ndarray, ...]:
        """One int64 array per axis with the voxels' indices, shaped to broadcast.

        >>> b = Block(None, (2, 0), (2, 3), (1, 0), 1, make_data=lambda: None)
        >>> [c.shape for c in b.coords()]
        [(2, 1), (1, 3)]
        """
        rank = len(self.shape)
        return tuple(np.arange(a, a + n).reshape([-1 if i == k else 1 for k in range(rank)])
                     for i, (a, n) in enumerate(zip(self.start, self.shape)))

    def axis(self, name: str) -> np.ndarray:
        """The values of a coordinate in the block's region, decoded: degrees, dates (datetime64), names. Of an
        array of a dataset, or that is computed from one; also a source beside it that is called like its axis.
        Along an axis that only an input has, of the part of it that the block reads (without a halo).

        Raises StoreError where there is no such coordinate.

        >>> import lazarr, numpy as np, xarray
        >>> t = lazarr.source("t", xarray.DataArray(np.zeros((2, 4)), dims=("lat", "lon"), coords={
        ...     "lat": [50.0, 40.0]}), chunks=(1, 4))
        >>> @lazarr.array(inputs=[t])
        ... def weighted(block, t):
        ...     return t + block.axis("lat")[:, None]
        >>> weighted[:, 0].tolist()
        [50.0, 40.0]
        """
        from . import _variables
        return _variables.axis(self, name)

    @property
    def crop(self) -> tuple[slice, ...]:
        """Cuts the halo off the first input, ``t1[block.crop]``: without inputs the whole block."""
        crops = self.crops
        return crops[0] if crops else tuple(slice(0, n) for n in self.shape)

    @property
    def crops(self) -> list[tuple[slice, ...]]:
        """`crop` for each input."""
        placed = self.array.inputs if self.array is not None else ()
        return [p.crop(self.shape, self.level) for p in placed]

    @property
    def scale(self) -> tuple[int, ...]:
        """Level-0 voxels per voxel, per axis."""
        if self.array is None:
            return (1,) * len(self.shape)
        return self.array.levels[self.level].factor

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for this block any more."""
        return is_cancelled()

    @property
    def min(self) -> tuple[int, ...]:
        """First voxel, per axis (imglib2-cache-python's name for start)."""
        return self.start

    @property
    def max(self) -> tuple[int, ...]:
        """Last voxel, inclusive, per axis."""
        return tuple(a + n - 1 for a, n in zip(self.start, self.shape))

    @property
    def dim(self) -> tuple[int, ...]:
        """Voxels per axis (imglib2-cache-python's name for shape)."""
        return self.shape

    @property
    def halo(self) -> tuple[slice, ...]:
        """Slices that cut the halo off the first input: without one, all of it."""
        return self.crop

    def __repr__(self) -> str:
        name = f"{self.array.path!r} " if self.array is not None else ""
        return f"<lazarr.Block {name}start={self.start} shape={self.shape} level={self.level}>"


def run(function: Callable[..., Any], block: Block) -> Any:
    """Calls a function for a block. Returns its result, or None if it wrote block.data. A result as
    large as the first input's region loses its halo, be it an ndarray or what becomes one."""
    if block.array is not None and block.array.decodes and not block.array.copied:
        from . import _variables
        block.inputs = _variables.decoded_inputs(block.array, block.inputs)
    if block.inputs and block.array is not None and block.array._takes_inputs:
        result = function(block, *block.inputs)
    else:
        result = function(block)
    if result is None:
        if block._data is None:
            raise CastError("the function returned None and never wrote block.data")
        return None
    if block._data is not None and result is block._data:
        return None
    if not block.inputs or block.inputs[0].shape == block.shape:
        return result  # there is nothing to trim
    if isinstance(result, (np.generic, bool, int, float, complex)):
        return result
    # xarray, dask, pandas, torch, a list ... become an array
    made = result if isinstance(result, np.ndarray) else _cast.as_array(result)
    if made.shape == block.shape:
        return made
    if made.shape == block.inputs[0].shape:
        return made[block.crop]
    _cast.check_shape(made.shape, block.shape, result, block.inputs[0].shape)
    return made
