"""Sources: array-likes that are served as they are."""
from __future__ import annotations

import math
import numbers
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, cast

import numpy as np

from . import _calls, _cancel, _check, _encoded, _handover, _large, _opened, _slices, _spec, _typed
from ._array import CURRENT, Array, Pending, refuse_unknown
from ._block import Block
from ._errors import CastError, StoreError
from ._files import beside, readers
from ._levels import Level
from ._registry import label
from ._typed import Parameters

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Unpack

    from ._array import ArrayMaker


MAX_PLAIN_CHUNK = 1 << 20  # bytes, where a plain array's chunks aren't said
TINY_CHUNK = 1 << 16  # bytes; more of them than these along a plain array's only axis are served as one
TINY_CHUNKS = 16


class _Source:
    """An array-like, or one for each level, opened when first needed in each process, and a function
    that slices it."""

    def __init__(self, path: str, thing: Any, transpose: Optional[Sequence[int]], dtype: Any = None):
        self.path = path
        self._thing = thing
        self._by_function = callable(thing) and not hasattr(thing, "shape")
        if self._by_function:
            _calls.refuse(thing)
        self._open: Optional[list[Any]] = None
        self._dtype = None if dtype is None else _check.dtype(dtype)  # what values are read as
        self._kept: dict[int, Any] = {}
        self.large: Optional[tuple[int, ...]] = None  # its own chunks, where they are larger than those served
        self.transpose = None if transpose is None else _check.listed(
            "transpose", transpose, "the order of the axes")
        self.data: list[Any] = []  # of each level: where the server reads it, or None
        self.files: Optional[_opened.Files] = None  # that a worker reads, as the loader found them
        self._told: Optional[dict[Any, Any]] = None  # what the loader knows of it
        self.__name__ = getattr(thing, "__name__", type(thing).__name__)
        self.dataarray: Any = None  # what it has opened, where that is xarray's
        self._was: Optional[list[Any]] = None  # shape and dtype of each level, when they were first opened

    @property
    def opener(self) -> Optional[Callable[..., Any]]:
        """The author's function that opens it, where there is one."""
        return self._thing if self._by_function else None

    def open(self) -> list[Any]:
        opened = self._open  # another thread may forget it meanwhile
        if opened is None:
            with _cancel.shield():  # a file must not be left half open
                things = self._thing() if self._by_function else self._thing
            opened = [self._as(_unmasked(a)) for a in (
                things if isinstance(things, (list, tuple)) else [things])]
            if len(opened) == 1 and self._dtype is None and _encoded.is_dataarray(opened[0]):
                self.dataarray = opened[0]
                opened = [_encoded.numbers(opened[0])]
            self._same_as_before(opened)
            self._open = opened
        return opened

    def _as(self, a: Any) -> Any:
        if self._dtype is None or not hasattr(a, "dtype") or _dtype(a) == self._dtype:
            return a
        return readers("cast").Cast(a, self._dtype)

    def forget(self) -> None:
        """What a function has opened is opened anew when it is next needed."""
        if self._by_function:
            self._open, self._kept = None, {}
            if hasattr(self._thing, "forget"):
                self._thing.forget()

    def _same_as_before(self, opened: list[Any]) -> None:
        """StoreError for another shape or dtype than those that were declared. What is no array-like is
        told later."""
        if not all(hasattr(a, "shape") and hasattr(a, "dtype") for a in opened):
            return
        for a in opened:
            if a.shape is None or a.dtype is None:  # HDF5's of nothing
                raise StoreError(f"the source holds nothing: its shape is {a.shape!r}, its dtype {a.dtype!r}")
        now = [(tuple(a.shape), _dtype(a)) for a in opened]
        if self._was is not None and now != self._was:
            said = [" and ".join(f"{list(shape)} of {dt}" for shape, dt in one) for one in (now, self._was)]
            raise StoreError(f"{label('array', self.path)}: the source gives {said[0]} now, it gave {said[1]} when "
                             "the file was loaded: load the file anew")
        self._was = now

    def held(self) -> list[Any]:
        """The NumPy arrays that it was given as they are, not by a function."""
        return [] if self._by_function else [a for a in self.open() if isinstance(a, np.ndarray)]

    def levels(self) -> list[Any]:
        """The array-likes, or what another worker knows of them (see _handover): shape and dtype."""
        asked = _handover.CURRENT.ask(self.path)
        known: list[Any] = []
        if asked is not None:
            known, self.files = asked
            self.data = [k.data for k in known]
            if self.data[0] is not None or _handover.CURRENT.mode == _handover.LOADER or self._has_changed():
                return known
        if _handover.CURRENT.mode != _handover.LOADER:
            opened = self.open()
            self._check(opened)
            if asked is None:
                _slices.check(opened[0], _dtype(opened[0]))
                self.data = [None] * len(opened)
                return opened
            return known  # as it was, whatever it is by now
        return self._open_for_all()

    def remember(self) -> None:
        self._told = _handover.CURRENT.told(self.path)

    def share(self) -> None:
        """It is also a source of the store that is being loaded."""
        _handover.CURRENT.share(self.path, self._told)

    def _open_for_all(self) -> list[Any]:
        """What the loader does: it opens the source, and says what it has found."""
        current, started = _handover.CURRENT, _opened.now_ns()
        with _opened.watch() as paths:
            opened = self.open()
        self._check(opened)
        _slices.check(opened[0], _dtype(opened[0]))
        # Also where the server has the values: a function that slices the array opens it once more.
        self.files = _opened.Files.of(started, paths, opened)
        told = current.tell(self.path, opened, self._by_function, self.files)
        self.data = told if told is not None else [None] * len(opened)
        if told is None:
            current.tell_files(self.path, [_handover.Facts(
                tuple(a.shape), np.dtype(_dtype(a)), None, _regular_chunks(a), _slices.dims(a))
                for a in opened], self.files)
        elif self._by_function:
            self._open = None  # the server has it
        return opened

    def _has_changed(self) -> bool:
        """Its files aren't any more what the loader opened: they are left alone, blocks say why."""
        return self.files is not None and self.files.changed() is not None

    def _check(self, opened: list[Any]) -> None:
        if not opened:
            raise StoreError("a source must be an array-like or a list of them, got none")
        for a in opened:
            for name in ("shape", "dtype", "__getitem__"):
                if not hasattr(a, name):
                    raise StoreError(f"a source must be an array-like with shape, dtype and "
                                     f"__getitem__; {type(a).__name__} has no {name}")
            if len(a.shape) != len(opened[0].shape) or _dtype(a) != _dtype(opened[0]):
                raise StoreError(f"the levels of a source must have one rank and dtype, got "
                                 f"{opened[0].shape} of {_dtype(opened[0])} and {a.shape} of {_dtype(a)}")
        rank = len(opened[0].shape)
        if self.transpose is not None and len(self.transpose) != rank:  # --axes makes one
            raise StoreError(f"its axes are said to be {len(self.transpose)}, and it has {rank}: {list(opened[0].shape)}")
        if self.transpose is not None and not (all(isinstance(i, numbers.Integral) for i in self.transpose) and
                                               sorted(self.transpose) == list(range(rank))):
            raise StoreError(f"transpose must name each of the {rank} axes once, "
                             f"got {self.transpose!r}")

    def order(self, values: Sequence[Any]) -> tuple[Any, ...]:
        values = tuple(values)
        return values if self.transpose is None else tuple(values[i] for i in self.transpose)

    def __call__(self, block: Block) -> Any:
        if self.files is None:
            return self._read(block)
        self.files.check()
        paths = _opened.RECORDER.begin()
        try:
            values = self._read(block)
            if _handover._is_mapped(values):
                values = np.array(values)  # read now, not when the file may be another
        finally:
            _opened.RECORDER.end(paths)
        self.files.check(paths)
        return values

    def _sliced(self, level: int) -> Any:
        """The array-like of a level, as blocks are sliced from it."""
        a = self.open()[level]
        if self.large is None or isinstance(a, np.ndarray):
            return a
        kept = self._kept.get(level)
        if kept is None or kept.of is not a:
            kept = _large.Kept(a, self.large)
            self._kept = {level: kept}  # one of them: they are large
        return kept

    def _read(self, block: Block) -> Any:
        a = self._sliced(block.level)
        slices = block.slices
        if self.transpose is None:
            return values_of(a[slices], block.array)
        inner: list[Any] = [None] * len(slices)
        for outer, i in enumerate(self.transpose):
            inner[i] = slices[outer]
        return values_of(a[tuple(inner)], block.array).transpose(self.transpose)


def _unmasked(a: Any) -> Any:
    """A masked array without its mask, where that hides nothing; StoreError where it does."""
    if not isinstance(a, np.ma.MaskedArray):
        return a
    if np.ma.is_masked(a):
        raise StoreError("a masked array has no values under its mask: give the source "
                         "array.filled(value)")
    return a.data


def values_of(part: Any, of: Optional[Array]) -> np.ndarray:
    """What slicing an array-like gave, as an ndarray. What is masked there (netCDF4 does that) becomes
    the array's fill value where one was declared, else NaN; CastError where there is neither."""
    part = _slices.read(part)  # not by np.asarray: dask's way to an ndarray forgets a mask
    if not isinstance(part, np.ma.MaskedArray):
        return np.asarray(part)
    if not np.ma.is_masked(part):
        return part.data
    if of is not None and of.fill_given:
        return part.filled(of.fill_value)
    if part.dtype.kind in "fc":
        return part.filled(np.nan)
    raise CastError(f"the source gives masked values and {part.dtype} has no NaN: "
                    "lazarr.source(..., fill_value=) says what they become")


def _factor(n: int, below: int, first: int, step: int) -> int:
    """Level-0 voxels per voxel along an axis of n voxels, from `first` at level 0; `below` of them and
    the factor `step` are the level below's. Twice as many as that where it fits, rounded up or down.

    >>> [_factor(n, 10, 10, 1) for n in (5, 3, 4, 10)], _factor(3, 5, 10, 2)
    ([2, 3, 3, 1], 4)
    """
    if n == below:
        return step
    for times in (2, 3, 4, 5, 6, 7, 8):
        f = step * times
        if n in (-(-first // f), first // f):
            return f
    return max(1, round(first / n)) if n else step


def _own_levels(made: Array, shapes: list[Any], scales: Optional[list[Any]], translations: Optional[list[Any]]) -> tuple[Any, ...]:
    """Where the levels of a source lie that has them itself. What isn't said follows from the shapes
    (see _factor); voxels are centred on those of level 0 that they stand for."""
    first = made.levels[0]
    out = [first]
    for k, shape in enumerate(shapes[1:], 1):
        if scales is not None:
            scale = _check.reals("scale", scales[k], made.ndim, 1.0, True)
            if any(s / f > _check.MAX_ELEMENTS for s, f in zip(scale, first.scale)):
                raise StoreError(f"the scale of level {k}, {list(scale)}, can't be that of a level of {list(first.scale)}")
            factor = tuple(max(1, round(s / f)) for s, f in zip(scale, first.scale))
        else:
            factor = tuple(_factor(*v) for v in zip(shape, out[-1].shape, first.shape, out[-1].factor))
            scale = tuple(s * f for s, f in zip(first.scale, factor))
        if translations is not None:
            translation = _check.reals("translation", translations[k], made.ndim, 0.0, False)
        else:
            translation = tuple(t + (s - f) / 2 for t, s, f in
                                zip(first.translation, scale, first.scale))
        out.append(Level(_check.shape(shape), first.chunks, scale, translation, factor))
    return tuple(out)


def _per_level(name: str, value: Any, n: int) -> Optional[list[Any]]:
    """scale and translation may be lists with one entry a level."""
    if not isinstance(value, (list, tuple)) or not any(isinstance(v, (list, tuple)) for v in value):
        return None
    if len(value) != n:
        raise StoreError(f"{name} must have one entry for each of the {n} levels, got {len(value)}")
    return list(value)


def _dtype(a: Any) -> Any:
    """An array-like's dtype as NumPy has it: tensorstore says it in its own way, and nibabel says that
    of the file where what it gives is scaled."""
    dt = getattr(a.dtype, "numpy_dtype", a.dtype)
    if _slices.converts(a):
        return _slices.dtype_of_one(a, np.dtype(dt))
    if type(a).__module__.split(".")[0] == "nibabel" and \
            (getattr(a, "slope", 1.0), getattr(a, "inter", 0.0)) != (1.0, 0.0):
        return np.dtype("float64")
    return dt


def _dims(a: Any, src: "_Source") -> Optional[tuple[Any, ...]]:
    """The names of the axes, where the array-like has them as xarray does."""
    own = _slices.dims(a)
    if own is None or len(own) != len(a.shape) \
            or not all(isinstance(d, str) and d for d in own) or len(set(own)) != len(own):
        return None
    return src.order(own)


def _regular_chunks(a: Any) -> Optional[tuple[Any, ...]]:
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


def _gathered(own: tuple[Any, ...], shape: Sequence[int], itemsize: int) -> tuple[Any, ...]:
    """The chunks that a plain array of one axis is served in, of its own ones: several of them as one where they are
    many and tiny. Files that grow have their times so, and who opens a dataset waits for each chunk.

    >>> _gathered((512,), (1000000,), 8), _gathered((512,), (4000,), 8), _gathered((1, 9), (900, 9), 4)
    ((131072,), (512,), (1, 9))
    """
    if len(own) != 1 or shape[0] <= TINY_CHUNKS * own[0] or own[0] * itemsize > TINY_CHUNK:
        return own
    whole = -(-shape[0] // own[0])
    return (own[0] * min(whole, MAX_PLAIN_CHUNK // (own[0] * itemsize)),)


def default_chunks(shape: Sequence[int], axes: Any = None, itemsize: int = 1) -> tuple[Any, ...]:
    """Of images 64 per spatial axis in 3-D, 512 in 2-D, 1 elsewhere. Of plain arrays 0.25 to 1 MiB a
    chunk (less where the array has less): short axes whole, the others in powers of two, as equal as
    can be and the last ones longer. itemsize: bytes of an element.

    >>> default_chunks((5, 100, 900, 900), "czyx"), default_chunks((900, 900), "yx")
    ((1, 64, 64, 64), (512, 512))
    >>> default_chunks((300000, 3), None, 4), default_chunks((5, 100, 900, 900), None, 2)
    ((65536, 3), (5, 32, 32, 64))
    """
    if axes:
        spatial = [a in "zyx" for a in axes]
        size = 64 if sum(spatial) == 3 else 512
        return tuple(size if s else 1 for s in spatial)
    whole = tuple(max(1, int(n)) for n in shape)
    most = max(1, MAX_PLAIN_CHUNK // itemsize)
    edge = 1
    while edge < max(whole, default=1) and math.prod(min(n, 2 * edge) for n in whole) <= most:
        edge *= 2
    out = [min(n, edge) for n in whole]
    for i in reversed(range(len(out))):
        longer = out[:i] + [min(whole[i], 2 * edge)] + out[i + 1:]
        if math.prod(longer) <= most:
            out = longer
    return tuple(out)


def source(path: Any = None, thing: Any = None, *,
           transpose: Optional[Sequence[int]] = None, dtype: Optional[npt.DTypeLike] = None,
           **parameters: Unpack[Parameters]) -> ArrayMaker:
    """Serves an array-like (shape, dtype, ``__getitem__``), or what a function opens.

    ``lazarr.source("name", thing)`` with an array, an h5py or zarr dataset, a memory map …, or as a
    decorator (with or without parentheses) of a function that opens one: the better way for files
    and large arrays. NumPy arrays and memory maps are handed to the server, which reads them without
    a worker; the function is then called once in all. Others are opened and sliced by each worker.

    A text or path instead is a data file, a part of one (``"data.h5::/raw"``) or a URL, relative to the
    file of code that says so: what ``lazarr serve FILE`` opens, with the axes, units, places, levels and
    attributes that it finds there, where the parameters say nothing else. dtype: what values are read
    as; one that doesn't fit fails the block.

    A list of array-likes, finest first, are the levels of an image that has them itself; scale and
    translation may then be lists with an entry for each, and otherwise follow from the shapes.

    transpose: order of the axes, as in ``numpy.transpose``. Shape and dtype are the array-like's;
    chunks its own regular ones, else of an image 64 per spatial axis in 3-D, 512 in 2-D, of a plain
    array 0.25 to 1 MiB each, short axes whole; the names of the axes, the attributes and, beside it,
    the coordinates those of an xarray DataArray (`lazarr.dataset` serves a whole Dataset). The other
    parameters are those of `lazarr.array`; with levels an image gets a lazy pyramid. Raises StoreError.

    >>> import lazarr, numpy as np
    >>> a = lazarr.source("eye", np.eye(3), chunks=2)
    >>> a[1].tolist()
    [0.0, 1.0, 0.0]
    >>> b = lazarr.source("two", [np.zeros((9, 8)), np.ones((4, 4))], axes="yx")
    >>> b.levels[1].factor, float(b.level(1)[3, 3])
    ((2, 2), 1.0)
    """
    bare = thing is None and path is not None and not isinstance(path, str)
    if bare and (hasattr(path, "shape") or not callable(path)):
        raise StoreError("a source's path comes first: "
                         f"lazarr.source(\"name\", {type(path).__name__})")

    if isinstance(path, str):
        refuse_unknown(path, parameters)
    folder = beside(1)

    def make(what: Any) -> Array:
        name = path if isinstance(path, str) else getattr(what, "__name__", None)
        try:
            checked = _check.path(name)
            if "shape" in parameters:
                raise StoreError("shape is the source's own and can't be given")
            for wrong in ("inputs", "halo", "boundary"):
                theirs = parameters.get(wrong)
                if isinstance(theirs, np.ndarray) or theirs:
                    raise StoreError(f"{wrong} is for arrays, a source has none")
            said: dict[str, Any] = dict(parameters)
            order = transpose
            if isinstance(what, (str, os.PathLike)):
                what, said, order = _of_file(os.fspath(what), said, transpose, folder, dtype)
            src = _Source(checked, what, order, dtype)
            levels = src.levels()
            src.remember()
            around = _around(src, checked, said, order)
            given = _given(src, levels, said)
            scales, translations = (_per_level(k, given.get(k), len(levels))
                                    for k in ("scale", "translation"))
            given.update({k: v[0] for k, v in (("scale", scales), ("translation", translations)) if v})
        except StoreError as e:
            raise StoreError(f"{label('array', name)}: {e}") from None
        made = Array(src, checked, given, source=src)
        if around is not None:
            made.around = around
        if len(levels) > 1:
            try:
                made.levels = _own_levels(made, [src.order(a.shape) for a in levels], scales,
                                          translations)
            except StoreError as e:
                raise StoreError(f"{label('array', name)}: {e}") from None
            made.pyramid = "each"
        CURRENT.add(made)
        return made
    if bare:
        return cast("ArrayMaker", make(path))  # @lazarr.source without parentheses
    return cast("ArrayMaker", Pending("lazarr.source", make) if thing is None else make(thing))


#: What a file says of its image, which doesn't go with other axes.
_OF_AXES = ("axes", "units", "scale", "translation", "channels", "kind", "dims")


def _of_file(text: str, said: dict[str, Any], transpose: Optional[Sequence[int]], folder: str,
             dtype: Any) -> tuple[Any, ...]:
    """(what opens a file, the parameters, the order of axes): the file's own where nothing else is said."""
    opener, found, _ = readers("opened").find(text, folder)
    if dtype is not None:  # the source casts
        found = readers("given").recast(found)
    theirs = found.pop("transpose", None)
    axes = said.get("axes")
    if transpose is not None or said.get("dims") is not None or \
            axes is not None and "".join(axes) != found.get("axes"):
        found = {k: v for k, v in found.items() if k not in _OF_AXES}
        theirs = transpose
    return opener, {**found, **{k: v for k, v in said.items()
                                if v is not None or k in ("compressor", "n5_compressor")}}, theirs


def _around(src: _Source, path: str, said: dict[str, Any], transpose: Any) -> Any:
    """What a DataArray brings along as a plain array, coordinates and attributes; the latter go into `said` where it
    has none. None: it is no DataArray, or an image."""
    form = _handover.CURRENT.described(path)
    if form is None and src.dataarray is not None:
        def say(what: str, why: str) -> None:
            if _handover.CURRENT.mode != _handover.FACTS:
                print(f"{label('array', path)}: {what} is left out: {why}", file=sys.stderr)
        form = _encoded.form(path.rpartition("/")[2], src.dataarray, say)
        _handover.CURRENT.describe(path, form)
    if form is None:
        return None
    from . import _dataset
    return _dataset.of_dataarray(src, form, said, transpose)


source.__signature__ = _typed.signature(  # type: ignore[attr-defined]
    source, Parameters, _spec.DEFAULTS)


def _given(src: _Source, levels: list[Any], parameters: dict[Any, Any]) -> dict[Any, Any]:
    """The parameters of a source's array, with what the array-like says itself."""
    a = levels[0]
    given = dict(parameters, shape=src.order(a.shape), dtype=_dtype(a), axes=parameters.get("axes"))
    if given["axes"] is not None:
        given["axes"] = _check.axes(given["axes"], len(a.shape))
    if given.get("fill_value") is None:
        given["fill_value"] = _slices.fill_of(a, np.dtype(given["dtype"]))
    if given.get("chunks") is None:
        own = _regular_chunks(a)
        size = _check.dtype(given["dtype"]).itemsize
        if own and _large.are(own, size):
            src.large, own = own, _large.cut(own, size)
        elif own and given.get("axes") is None:
            own = _gathered(own, a.shape, size)
        given["chunks"] = src.order(own) if own else default_chunks(given["shape"], given.get("axes"), size)
    if given.get("axes") is None and given.get("dims") is None:
        given["dims"] = _dims(a, src)
    if len(levels) > 1:
        if given.get("axes") is None:
            raise StoreError("a source with levels needs axes")
        said = given.pop("levels", None)
        for name in ("factors", "pyramid"):
            if given.pop(name, None) is not None and said is None:
                raise StoreError(f"{name} is for sources of one level, this one has {len(levels)}")
        if said is not None and (not isinstance(said, numbers.Integral) or said != len(levels)):
            raise StoreError(f"levels must be {len(levels)}, those that the source has, got {said!r}")
    given.pop("inputs", None)
    return given
