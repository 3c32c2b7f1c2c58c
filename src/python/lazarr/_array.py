"""Arrays and groups: what a store is made of."""
from __future__ import annotations

import itertools
import math
import os
import sys
import weakref
from collections import OrderedDict
from typing import Any, Callable, Optional, Sequence, Union

import numpy as np

from . import _block, _cast, _check, _inputs, _levels, _local, _spec
from ._block import Block
from ._errors import StoreError
from ._levels import Level
from ._registry import Registry, label

LOCAL_CACHE_BYTES = 64 << 20  # of one array's `array[...]`


class _Current:
    """The registry that decorators add to while a store's file runs. Outside of that (a notebook, a
    test) there is none, and a name may be defined again."""

    def __init__(self) -> None:
        self.registry: Optional[Registry] = None
        #: Which module defines what is defined now: None for the store's file itself (see _imports).
        self.defines: Callable[[object], Optional[str]] = lambda what: None
        # Arrays made while there is none, by path, the latest: what paths as inputs mean there.
        self.loose: "weakref.WeakValueDictionary[str, Array]" = weakref.WeakValueDictionary()

    def add(self, a: "Array") -> None:
        if self.registry is not None:
            self.registry.add(a, self.defines(a))
        else:
            self.loose[a.path] = a

    def add_group(self, path: str, attributes: dict) -> None:
        if self.registry is not None:
            self.registry.add_group(path, attributes, self.defines((path, attributes)))


CURRENT = _Current()


def _next_unsettled(a: "Array") -> Optional["Array"]:
    """The first input of `a` that isn't settled itself; StoreError where one doesn't exist."""
    for one in a._wanted:
        if isinstance(one.array, str):
            found = _find(one.array, a._registry)
            if found is None:
                raise StoreError(f'{label("array", a.path)}: inputs: there is no array '
                                 f'"{one.array}"' + (" in this store" if a._registry else ""))
            one.array = found
        if not one.array._settled:
            return one.array
    return None


def settle(a: "Array") -> None:
    """Finds an array's inputs, theirs first, and puts its parameters into normal form. StoreError for
    an input that isn't there and for a cycle, which it names."""
    trail = [] if a._settled else [a]
    on_trail = set(trail)  # arrays compare as objects
    while trail:
        below = _next_unsettled(trail[-1])
        if below is None:
            done = trail.pop()
            on_trail.discard(done)
            done._settle()
        elif below in on_trail:
            names = [x.path for x in trail[trail.index(below):]] + [below.path]
            raise StoreError(f'{label("array", below.path)}: inputs go in a circle: '
                             f'{" -> ".join(names)}')
        else:
            trail.append(below)
            on_trail.add(below)


def _find(path: str, registry: Optional[Registry]) -> Optional["Array"]:
    """The array that a path means among a store's, or, outside of one, among all."""
    return registry.find(path) if registry is not None else CURRENT.loose.get(path)


def _try_settle(a: "Array") -> None:
    """Settles an array at once where all that it needs is there; else the end of the file does it, and
    the path that isn't there is kept, so that what is made of `a` needn't look through all below it."""
    seen, todo = set(), [a]
    while todo:
        x = todo.pop()
        for one in x._wanted:
            b: Any = one.array
            if isinstance(b, str):
                b = _find(b, x._registry)
            if b is None or b is a:
                a._missing = str(one.array) if b is None else a.path
                return
            if b._settled or b in seen:
                continue
            if b._missing is not None and _find(b._missing, b._registry) is None:
                a._missing = b._missing
                return
            seen.add(b)
            todo.append(b)
    settle(a)


class _Indexed:
    """NumPy's basic indexing over something that has blocks."""

    path: str
    shape: tuple
    chunks: tuple
    dtype: np.dtype

    def _block_at(self, pos: tuple) -> np.ndarray:
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def counts(self) -> tuple:
        """Chunks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        ranges, drop = self._resolve(key)
        out = np.empty([len(r) for r in ranges], self.dtype)
        if out.size:
            spans = [self._spans(r, c) for r, c in zip(ranges, self.chunks)]
            for combo in itertools.product(*spans):
                block = self._block_at(tuple(p for p, _, _ in combo))
                out[tuple(o for _, _, o in combo)] = block[tuple(s for _, s, _ in combo)]
        out = out[tuple(0 if d else slice(None) for d in drop)]
        return out[()] if out.ndim == 0 else out

    def _resolve(self, key: Any) -> tuple:
        """Basic indexing to one range per axis, and which axes an integer drops."""
        key = key if isinstance(key, tuple) else (key,)
        if sum(k is Ellipsis for k in key) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        if Ellipsis in [k for k in key if k is Ellipsis]:
            at = next(i for i, k in enumerate(key) if k is Ellipsis)
            key = key[:at] + (slice(None),) * (self.ndim - len(key) + 1) + key[at + 1:]
        if len(key) > self.ndim:
            raise IndexError(f"too many indices: {self.path!r} has {self.ndim} axes")
        key = key + (slice(None),) * (self.ndim - len(key))
        ranges, drop = [], []
        for axis, (k, n) in enumerate(zip(key, self.shape)):
            if isinstance(k, slice):
                ranges.append(range(*k.indices(n)))
                drop.append(False)
            elif isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)):
                i = int(k) + (n if k < 0 else 0)
                if not 0 <= i < n:
                    raise IndexError(f"index {k} is out of bounds for axis {axis} with size {n}")
                ranges.append(range(i, i + 1))
                drop.append(True)
            else:
                raise IndexError("only integers, slices and '...' are valid indices, "
                                 f"got {type(k).__name__}")
        return ranges, drop

    @staticmethod
    def _spans(r: range, chunk: int) -> list:
        """(chunk position, slice within the block, slice of the output) for each chunk touched."""
        out, i = [], 0
        while i < len(r):
            pos = r[i] // chunk
            if r.step > 0:
                last = min(len(r), i + ((pos + 1) * chunk - 1 - r[i]) // r.step + 1)
            else:
                last = min(len(r), i + (r[i] - pos * chunk) // -r.step + 1)
            lo, hi = r[i] - pos * chunk, r[last - 1] - pos * chunk
            stop: Optional[int] = hi + (1 if r.step > 0 else -1)
            out.append((pos, slice(lo, None if stop is not None and stop < 0 else stop, r.step),
                        slice(i, last)))
            i = last
        return out

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        a = np.asarray(self[...])
        return a if dtype is None else a.astype(dtype)


class ArrayLevel(_Indexed):
    """One resolution level of an array: shape, chunks, scale, translation, factor and ``[...]``.

    >>> import lazarr, numpy as np
    >>> a = lazarr.source("a", np.arange(16).reshape(4, 4), chunks=4, axes="yx", levels=2)
    >>> a.level(1)[...].tolist(), a.level(1).factor
    ([[3, 5], [11, 13]], (2, 2))
    """

    def __init__(self, a: "Array", k: int):
        self.array, self.level, self.path, self.dtype = a, k, f"{a.path}/{k}", a.dtype
        self.shape, self.chunks, self.scale, self.translation, self.factor = a.levels[k]

    def compute(self, chunk: Sequence[int]) -> np.ndarray:
        """The block at a chunk grid position of this level."""
        return self.array.compute(chunk, self.level)

    def bounds(self, pos: Sequence[int]) -> tuple:
        """Where a chunk's block begins and where it ends, cut to the array."""
        start = tuple(p * c for p, c in zip(pos, self.chunks))
        return start, tuple(min(s + c, n) for s, c, n in zip(start, self.chunks, self.shape))

    def _block_at(self, pos: tuple) -> np.ndarray:
        return self.array._cached(self.level, pos)

    def __repr__(self) -> str:
        return f"<lazarr.ArrayLevel {self.path!r} shape={self.shape} chunks={self.chunks}>"


class Array(_Indexed):
    """An array that is computed block by block. Made by `lazarr.array` and `lazarr.source`.

    ``a[...]`` computes what it needs here and now, without a server, with NumPy's basic indexing
    (integers, slices with steps, ``...``); the values are those a server would send.

    path, shape, chunks, dtype, fill_value, dims, axes, units, scale, translation, kind, compressor,
    attributes: what was declared, in normal form.

    >>> import lazarr
    >>> @lazarr.array("ramp", shape=(10,), chunks=4, dtype="uint8")
    ... def ramp(block):
    ...     return block.coords()[0]
    >>> ramp[2:9:3].tolist(), int(ramp[-1])
    ([2, 5, 8], 9)
    """

    # Known once the inputs are: see __getattr__.
    fill_value: np.generic
    dims: Optional[tuple]
    axes: Optional[tuple]
    units: Optional[tuple]
    scale: tuple
    translation: tuple
    levels: "tuple[Level, ...]"
    pyramid: Optional[str]
    inputs: tuple

    def __init__(self, function: Callable[..., Any], path: str, given: dict, *, inputs: Sequence[Any] = (),
                 source: Any = None):
        self.function = function
        self.path = path
        self.source = source
        self.is_source = source is not None
        self.__name__ = getattr(function, "__name__", path)
        self.__doc__ = getattr(function, "__doc__", None) or type(self).__doc__
        self._given = given
        self._wanted = list(inputs)
        self._registry = CURRENT.registry
        self._settled = False
        self._missing: Optional[str] = None  # while an input isn't there yet: a path it waits for
        self._blocks: "OrderedDict[tuple, np.ndarray]" = OrderedDict()
        self._bytes = 0
        try:
            _spec.check_names(given)
        except StoreError as e:
            raise StoreError(f"{label('array', path)}: {e}") from None
        _try_settle(self)
        try:
            self._takes_inputs = _spec.takes(function, len(inputs))
        except StoreError as e:
            raise StoreError(f"{label('array', path)}: {e}") from None

    def _settle(self) -> None:
        try:
            self.__dict__.update(_spec.normal_form(self._given, self._wanted, self.is_source))
        except StoreError as e:
            raise StoreError(f"{label('array', self.path)}: {e}") from None
        self._settled = True

    def __getattr__(self, name: str) -> Any:
        # An input that is defined further down is looked for when something depends on it.
        if name in _spec.SETTLED and not self.__dict__.get("_settled", True):
            settle(self)
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def level(self, k: int) -> ArrayLevel:
        """Resolution level k, 0 being the finest: an array-like with ``[...]``."""
        if not 0 <= k < len(self.levels):
            raise IndexError(f"level {k} of {self.path!r}, which has {len(self.levels)}")
        return ArrayLevel(self, k)

    def __repr__(self) -> str:
        if not self._settled:
            return f"<lazarr.Array {self.path!r}, whose inputs aren't there yet>"
        return (f"<lazarr.Array {self.path!r} shape={self.shape} chunks={self.chunks} "
                f"dtype={self.dtype}>")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The decorated function itself."""
        return self.function(*args, **kwargs)

    def compute(self, chunk: Sequence[int], level: int = 0) -> np.ndarray:
        """The block at a chunk grid position, cut to the array, as an ndarray of the declared dtype.

        Raises IndexError for a position outside the grid, what the function raises, and CastError
        when its result doesn't fit.
        """
        view = self.level(level)
        pos = tuple(int(p) for p in chunk)
        if len(pos) != view.ndim or any(not 0 <= p < n for p, n in zip(pos, view.counts)):
            raise IndexError(f"chunk {pos} is outside the grid {view.counts} of {self.path!r}")
        start, stop = view.bounds(pos)
        if level > 0 and self.pyramid != "each":
            below = self.level(level - 1)
            step = [a // b for a, b in zip(view.factor, below.factor)]
            fine = below[tuple(slice(a * f, b * f) for a, b, f in zip(start, stop, step))]
            return _levels.downsample(np.asarray(fine), step, str(self.pyramid))
        index = 0
        for p, n in zip(pos, view.counts):
            index = index * n + p
        out = np.empty([b - a for a, b in zip(start, stop)], self.dtype)
        block = Block(self, start, out.shape, pos, index, level=level, make_data=lambda: out,
                      fill=self.fill_value,
                      inputs=[_local.gather(p, start, stop, level) for p in self.inputs])
        result = _block.run(self.function, block)
        if result is not None:
            if isinstance(result, np.ndarray) and np.may_share_memory(result, out):
                result = result.copy()
            _cast.assign(out, result, start)
        return out

    def _block_at(self, pos: tuple) -> np.ndarray:
        return self._cached(0, pos)

    def holds(self, level: int, pos: tuple) -> bool:
        """Whether the local cache has a block."""
        return (level, pos) in self._blocks

    def _cached(self, level: int, pos: tuple) -> np.ndarray:
        if (level, pos) not in self._blocks:
            for a, k, at in _local.in_order(self, level, pos):
                got = a.compute(at, k)
                if a is self and (k, at) == (level, pos):
                    return self._keep(level, pos, got)
                a._keep(k, at, got)
        got = self._blocks.pop((level, pos))
        self._blocks[level, pos] = got
        return got

    def _keep(self, level: int, pos: tuple, got: np.ndarray) -> np.ndarray:
        """Puts a block into the local cache; the least recently used ones leave it."""
        if (level, pos) not in self._blocks:
            self._bytes += got.nbytes
        self._blocks[level, pos] = got
        while self._bytes > LOCAL_CACHE_BYTES and len(self._blocks) > 1:
            self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return got


class Pending:
    """A decorator that was made and still has to be applied: in the registry until it has been.

    what: "lazarr.array" or "lazarr.source"; make: called with what is decorated, returns the array.
    """

    def __init__(self, what: str, make: Callable[[Any], "Array"]):
        self._make = make
        self._token = object()
        self._registry = CURRENT.registry
        if self._registry is not None:
            caller = sys._getframe(2)
            self._registry.pending[self._token] = (
                f"{what}(...) in line {caller.f_lineno} of {os.path.basename(caller.f_code.co_filename)}")

    def __call__(self, thing: Any) -> "Array":
        if self._registry is not None:
            self._registry.pending.pop(self._token, None)
        return self._make(thing)


def array(path: Union[str, Callable[..., Any], None] = None, **parameters: Any) -> Any:
    """Makes an array of a function that computes one block of it.

    The function gets a `Block` and returns the block's values (an ndarray of ``block.shape``, where
    an axis may have length 1, or a scalar), or writes them into ``block.data``. They must fit the
    declared dtype: ints that are in range are cast; 300 for uint8, any float for an integer dtype or a
    complex for a float are errors.

    path: its name, "a/b/c" makes groups; default the function's name.
    shape: voxels per axis, slowest first, 0 to 8 axes. chunks: voxels per chunk, one number or one
        per axis, at most 256 MiB. dtype: bool, (u)int8 to 64, float16 to 64, complex64, 128, in
        either byte order. fill_value: what a block's unwritten voxels are (0).
    dims: the axes' names, of a plain array.
    axes: out of "tczyx" in that order: makes it an image (OME-NGFF), with kind "image" or "labels"
        (an integer array all of whose inputs are labels is labels), units (one for the spatial axes, or one per axis), scale (units per voxel, per axis) and
        translation (the centre of voxel 0, in units).
    channels: of an image with axis c, a list of names or of OMERO dicts (label, color, window ...).
    labels_of: of kind "labels", the image (or its path) in whose ``labels/`` they are listed, too.
    compressor: lazarr.Blosc(), Zstd(), Gzip() or None. separator: of a plain array's Zarr v2 keys,
        "." (the default) or "/"; an image's have "/".
    n5_compressor: of N5 and BigDataViewer: the same or lazarr.Lz4(); Gzip(1), since Java readers
        rarely have a native blosc. precomputed_encoding: "raw" or, of uint32 and uint64,
        "compressed_segmentation", the default for labels.
    attributes: a dict of your own.
    levels, factors, pyramid: of an image, how many resolution levels there are, how many voxels
        become one from each to the next (2 on the spatial axes; one number, one per axis, or a list
        of those, one per step) and how: "mean", "mode", "max", "min", "stride", or "each" where the
        function itself computes each level. Default "mean", of labels "mode", of images "each" where
        all inputs have the levels. Labels are never averaged.
    inputs: arrays (or their paths, or lazarr.Input) that it is computed from; the function gets their
        regions after the block. What isn't given is the first input's: shape, chunks, dtype, fill value
        (where the dtype has it), axes, dims, units, scale, translation, levels and factors, channels
        where their axis is the same. halo: voxels of context around the
        block, an integer, one per axis of the input, or (lower, upper) pairs. boundary: what lies
        outside an input, "constant" (its fill value, the default), "edge", "reflect", "symmetric" or
        "wrap", as in numpy.pad. A result as large as the first input's region is trimmed, be it an
        ndarray or another array-like.
    slots: at most so many workers compute this array, always the same ones.
    timeout: seconds before a computation is killed (300; a worker's first block 900).
    on_abandon: what becomes of a running computation that nobody waits for any more: "interrupt"
        (lazarr.Cancelled is raised in it where that saves time, the default) or "finish".
    version, depends: a tag (with files and functions) that makes ETags survive a restart.
    deterministic: False where the same block may come out differently each time. Random numbers are
        the same each time from a generator of the block: ``np.random.default_rng((seed, *block.chunk))``.

    Raises StoreError naming the array, the parameter and the reason.

    >>> import lazarr, numpy as np
    >>> @lazarr.array(shape=(100, 100), chunks=50, dtype="float32", dims=("y", "x"))
    ... def distance(block):
    ...     y, x = block.coords()
    ...     return np.hypot(y - 50, x - 50)
    >>> float(distance[50, 53])
    3.0
    """
    if callable(path) and not isinstance(path, str):
        # @lazarr.array without parentheses, or lazarr.array(f, shape=...) as a call.
        return array(**parameters)(path)

    def decorate(function: Callable[..., Any]) -> Array:
        name = path if path is not None else getattr(function, "__name__", None)
        try:
            checked = _check.path(name)
        except StoreError as e:
            raise StoreError(f"{label('array', name)}: {e}") from None
        if not callable(function):
            raise StoreError(f'array "{checked}": expected a function of one block, '
                             f"got {type(function).__name__}")
        try:
            wanted = _inputs.listed(parameters.get("inputs"))
        except StoreError as e:
            raise StoreError(f"{label('array', checked)}: {e}") from None
        a = Array(function, checked, {k: v for k, v in parameters.items() if k != "inputs"},
                  inputs=wanted)
        CURRENT.add(a)
        return a
    return Pending("lazarr.array", decorate)


def group(path: str, attributes: Optional[dict] = None) -> None:
    """Adds a group, or attributes to one that arrays make; "" is the store's root.

    >>> import lazarr
    >>> lazarr.group("results", attributes={"author": "me"})
    """
    try:
        checked = "" if path == "" else _check.path(path)
        checked_attributes = _check.attributes(attributes)
        CURRENT.add_group(checked, checked_attributes)
    except StoreError as e:
        text = str(e)
        raise StoreError(text if text.startswith("group") else
                         f"{label('group', path)}: {text}") from None
