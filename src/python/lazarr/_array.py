"""Arrays and groups: what a store is made of."""
from __future__ import annotations

import functools
import operator
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional, Sequence, Union, cast

import numpy as np

from . import _block, _cast, _check, _inputs, _levels, _local, _spec, _typed, _variables
from ._block import Block
from ._blocks import Blocks
from ._codecs import Codec
from ._errors import StoreError
from ._indexed import Indexed
from ._inputs import Placed
from ._levels import Level
from ._typed import ArrayParameters
from ._registry import Registry, label

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Current:
    """The registry that decorators add to while a store's file runs. Outside of that (a notebook, a
    test) there is none, and a name may be defined again."""

    def __init__(self) -> None:
        self.registry: Optional[Registry] = None
        #: Which module defines what is defined now: None for the store's file itself (see _imports).
        self.defines: Callable[[object], Optional[str]] = lambda what: None
        # Arrays made while there is none, by path, the latest: what paths as inputs mean there.
        self.loose: "weakref.WeakValueDictionary[str, Array]" = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self._alive: "weakref.WeakSet[Array]" = weakref.WeakSet()

    def made(self, a: "Array") -> None:
        """An array is there, of whatever store."""
        with self._lock:
            self._alive.add(a)

    def alive(self) -> "list[Array]":
        """All arrays that somebody still has."""
        with self._lock:
            return list(self._alive)

    def add(self, a: "Array") -> None:
        if self.registry is not None:
            self.registry.add(a, self.defines(a))
        else:
            self.loose[a.path] = a

    def add_group(self, path: str, attributes: dict[Any, Any]) -> None:
        if self.registry is not None:
            self.registry.add_group(path, attributes, self.defines((path, attributes)))


CURRENT = _Current()


def _next_unsettled(a: "Array") -> Optional["Array"]:
    """The first input of `a` that isn't settled itself; StoreError where one doesn't exist."""
    for one in a._wanted:
        if isinstance(one.array, str):
            found = _find(one.array, a._registry)
            if found is None:
                there = [b.path for b in a._registry.arrays if b is not a] if a._registry is not None else []
                raise StoreError(f'{label("array", a.path)}: inputs: there is no array '
                                 f'"{one.array}"' + (" in this store" if a._registry else "")
                                 + _check.meant(one.array, there))
            one.array = found
        b: Array = one.found
        if not b._settled:
            return b
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


class ArrayLevel(Indexed):
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

    def bounds(self, pos: Sequence[int]) -> tuple[Any, ...]:
        """Where a chunk's block begins and where it ends, cut to the array."""
        start = tuple(p * c for p, c in zip(pos, self.chunks))
        return start, tuple(min(s + c, n) for s, c, n in zip(start, self.chunks, self.shape))

    def _block_at(self, pos: tuple[Any, ...]) -> np.ndarray:
        return self.array._cached(self.level, pos)

    def __dask_tokenize__(self) -> Any:
        return (*self.array.__dask_tokenize__(), self.level)

    def __repr__(self) -> str:
        return f"<lazarr.ArrayLevel {self.path!r} shape={self.shape} chunks={self.chunks}>"


class Array(Indexed):
    """An array that is computed block by block. Made by `lazarr.array` and `lazarr.source`.

    ``a[...]`` computes what it needs here and now, without a server, with NumPy's indexing; the values are
    those a server would send. ``a + 1``, ``a.max()`` and ``np.asarray(a)`` compute all of it. ``a(...)`` calls
    the function that was decorated, which is ``a.function``; signature, docstring and module are its own.

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
    fill_given: bool
    fill_value: np.generic
    dims: Optional[tuple[str, ...]]
    axes: Optional[tuple[str, ...]]
    units: Optional[tuple[Optional[str], ...]]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    kind: str
    separator: str
    compressor: Optional[Codec]
    n5_compressor: Optional[Codec]
    precomputed_encoding: Optional[str]
    channels: Optional[list[Any]]
    labels_of: Optional[str]
    attributes: dict[str, Any]
    timeout: float
    first_timeout: float
    on_abandon: str
    version: Optional[str]
    depends: tuple[Any, ...]
    deterministic: bool
    levels: tuple[Level, ...]
    pyramid: Optional[str]
    inputs: tuple[Placed, ...]
    slots: Optional[int]
    around: "Optional[_variables.Around]"  # of a dataset, or computed from one
    named_by_file: bool = False  # it is plain, and its file names its axes: xarray reads it, as a dataset's
    decodes: bool  # an input is packed or masked: the function gets the numbers that are meant

    def __init__(self, function: Callable[..., Any], path: str, given: dict[Any, Any], *, inputs: Sequence[Any] = (),
                 source: Any = None, copied: bool = False):
        self.function = function
        self.copied = copied  # it is its only input in other chunks: a server runs no function
        self.path = path
        self.source = source
        self.is_source = source is not None
        self._look_like(function if source is None else source.opener)
        self._given = given
        self._wanted = list(inputs)
        self._registry = CURRENT.registry
        self._settled = False
        self._missing: Optional[str] = None  # while an input isn't there yet: a path it waits for
        self._blocks = Blocks()
        self._identity: Optional[str] = None  # of its values, for dask
        try:
            _spec.check_names(given)
        except StoreError as e:
            raise StoreError(f"{label('array', path)}: {e}") from None
        _try_settle(self)
        try:
            self._takes_inputs = _spec.takes(function, len(inputs))
        except StoreError as e:
            raise StoreError(f"{label('array', path)}: {e}") from None
        CURRENT.made(self)

    def _look_like(self, function: Optional[Callable[..., Any]]) -> None:
        """Signature, docstring, name and module are the function's: for help, editors, doctest, pickle."""
        self.__name__ = self.__qualname__ = self.path
        if function is not None:
            functools.update_wrapper(self, function, updated=())
            self.__doc__ = getattr(function, "__doc__", None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By its name where it has one in its module, as functions are: for processes, dask and joblib."""
        found: Any = sys.modules.get(self.__module__)
        for name in self.__qualname__.split("."):
            found = getattr(found, name, None)
        return self.__qualname__ if found is self else super().__reduce_ex__(protocol)

    def _settle(self) -> None:
        try:
            vars(self).update(_spec.normal_form(self._given, self._wanted, self.is_source))
        except StoreError as e:
            raise StoreError(f"{label('array', self.path)}: {e}") from None
        self._settled = True

    if not TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any:
            # An input that is defined further down is looked for when something depends on it.
            if name in _spec.SETTLED and not self.__dict__.get("_settled", True):
                settle(self)
                return self.__dict__[name]
            return super().__getattr__(name)

    def beside(self, name: str) -> "Optional[Array]":
        """The array of this name in the same group, or None."""
        return _find(f"{self.path.rpartition('/')[0]}/{name}".lstrip("/"), self._registry)

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
        """The decorated function itself: what it returns for a block, or what a source's function opens."""
        function = getattr(self, "__wrapped__", None)
        if function is None:
            raise TypeError(f"{label('array', self.path)} is a source without a function: its values are "
                            f"{self._word}[...]")
        return function(*args, **kwargs)

    def clear(self) -> None:
        """Forgets the blocks that ``a[...]`` has computed, and what a source's function has opened: what is
        asked for next is computed with the globals and files of then. Blocks of arrays that are made of
        this one stay; `lazarr.clear` forgets those of all. A server has nothing to do with it.

        >>> import lazarr
        >>> sigma = [1.0]
        >>> @lazarr.array(shape=2, chunks=2, dtype="float32")
        ... def a(block):
        ...     return sigma[0]
        >>> before = a[0]; sigma[0] = 2.0
        >>> kept = a[0]; a.clear()
        >>> float(before), float(kept), float(a[0])
        (1.0, 1.0, 2.0)
        """
        if self.is_source:
            self.source.forget()
        self._blocks.clear()
        self._identity = None

    def __dask_tokenize__(self) -> Any:
        if self._identity is None:
            self._identity = os.urandom(16).hex()
        return "lazarr", self.path, self._identity

    def compute(self, chunk: Sequence[int], level: int = 0) -> np.ndarray:
        """The block at a chunk grid position, cut to the array, as an ndarray of the declared dtype.

        Raises TypeError for what is no position, IndexError for one outside the grid, what the function raises, and CastError
        when its result doesn't fit.
        """
        view = self.level(level)
        try:
            pos = tuple(operator.index(p) for p in chunk)
        except TypeError:
            raise TypeError(f"chunk must be {view.ndim} integers, its place in the grid {view.counts} of "
                            f"{self.path!r}, got {repr(chunk)[:100]}") from None
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

    def _block_at(self, pos: tuple[Any, ...]) -> np.ndarray:
        return self._cached(0, pos)

    def holds(self, level: int, pos: tuple[Any, ...]) -> bool:
        """Whether the local cache has a block."""
        return (level, pos) in self._blocks

    def _cached(self, level: int, pos: tuple[Any, ...]) -> np.ndarray:
        got = self._blocks.get((level, pos))
        if got is not None:
            return got
        for a, k, at in _local.in_order(self, level, pos):
            made: np.ndarray = a._made(k, at)
            if a is self and (k, at) == (level, pos):
                return made
        got = self._blocks.get((level, pos))  # another thread has made it meanwhile
        return got if got is not None else self._made(level, pos)

    def _made(self, level: int, pos: tuple[Any, ...]) -> np.ndarray:
        """A block, computed now, and kept."""
        age = self._blocks.age
        got = self.compute(pos, level)
        self._blocks.put((level, pos), got, age)
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


if TYPE_CHECKING:
    class ArrayMaker(Array):
        """What `array` and `source` return, as type checkers see it: a decorator that makes an Array of a
        function, or, where the function or array-like was given with it, the Array. One type for both:
        of overloads a checker doesn't say which parameter is wrong."""

        def __call__(self, *args: Any, **kwargs: Any) -> Array: ...


def array(path: Union[str, Callable[..., Any], None] = None, **parameters: Unpack[ArrayParameters]) -> ArrayMaker:
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
        (an integer array all of whose inputs are labels is labels), units (one for the spatial axes, or
        one per axis), scale (units per voxel, per axis) and translation (the centre of voxel 0, in
        units).
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
        where their axis is the same.
    halo: voxels of context around the block, an integer, one per axis of the input, or (lower, upper)
        pairs. boundary: what lies outside an input, "constant" (its fill value, the default), "edge",
        "reflect", "symmetric" or "wrap", as in numpy.pad: what SciPy's filters call "reflect", their
        default, is "symmetric". A result as large as the first input's region is trimmed, be it an
        ndarray or another array-like.
    slots: at most so many workers compute this array, always the same ones.
    timeout: seconds before a computation is killed (300; a worker's first block 900; reading a
        source: the server's --read-timeout, 60).
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
        return cast("ArrayMaker", array(**parameters)(path))
    if isinstance(path, str):
        refuse_unknown(path, parameters)

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
    return cast("ArrayMaker", Pending("lazarr.array", decorate))


def refuse_unknown(path: str, parameters: Iterable[str]) -> None:
    """At once: who gives the function by a keyword that isn't there gives none otherwise."""
    try:
        _spec.check_known(parameters)
    except StoreError as e:
        raise StoreError(f"{label('array', path)}: {e}") from None


array.__signature__ = _typed.signature(  # type: ignore[attr-defined]
    array, ArrayParameters, _spec.DEFAULTS)


def group(path: str, attributes: Optional[dict[Any, Any]] = None) -> None:
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


def clear() -> None:
    """Forgets what all arrays' ``[...]`` have computed, and what sources' functions have opened: for a test
    that changes a global of a store's module. `lazarr.testing` has a fixture of it. A server has nothing to
    do with it.

    >>> import lazarr
    >>> half = [0.5]
    >>> @lazarr.array(shape=2, chunks=2, dtype="float32")
    ... def a(block):
    ...     return half[0]
    >>> @lazarr.array(inputs=[a])
    ... def b(block, a):
    ...     return 2 * a
    >>> before = b[0]; half[0] = 1.5; lazarr.clear()
    >>> float(before), float(b[0])
    (1.0, 3.0)
    """
    for a in CURRENT.alive():
        a.clear()
