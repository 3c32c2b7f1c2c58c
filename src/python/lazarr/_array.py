"""Arrays, sources and groups: what a store is made of."""
from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from typing import Any, Callable, Optional, Sequence, Union

import numpy as np

from . import _block, _cast, _check, _codecs, _images
from ._block import Block
from ._errors import StoreError

LOCAL_CACHE_BYTES = 64 << 20  # of one array's `array[...]`
DEFAULT_TIMEOUT = 300.0
DEFAULT_FIRST_TIMEOUT = 900.0

#: Parameters of later versions, refused by name so that nobody believes they were heard.
NOT_YET = ("inputs", "boundary", "factors", "pyramid", "depends_on", "slots")


def label(kind: str, name: Any) -> str:
    """'array "edges"' for an error's one line, whatever the name is."""
    text = name if isinstance(name, str) else repr(name)
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return f'{kind} "{shown if len(shown) <= 80 else shown[:77] + "..."}"'


class Registry:
    """What one store's file has defined so far."""

    def __init__(self) -> None:
        self.arrays: list["Array"] = []
        self.groups: dict[str, dict] = {}

    def add(self, a: "Array") -> None:
        for other in self.arrays:
            if other.path == a.path:
                raise StoreError(f'array "{a.path}": the path is already that of another array')
            for inner, outer in ((a, other), (other, a)):
                if inner.path.startswith(outer.path + "/"):
                    raise StoreError(f'array "{inner.path}": its path lies inside the array '
                                     f'"{outer.path}"')
        for g in self.groups:
            self._group_clash(g, a.path)
        self.arrays.append(a)

    def add_group(self, path: str, attributes: dict) -> None:
        if path in self.groups:
            raise StoreError(f'group "{path}": the path is already that of another group')
        for a in self.arrays:
            self._group_clash(path, a.path)
        self.groups[path] = attributes

    @staticmethod
    def _group_clash(group: str, array: str) -> None:
        if group == array or group.startswith(array + "/"):
            raise StoreError(f'group "{group}": its path is that of, or lies inside, the array '
                             f'"{array}"')


class _Current:
    """The registry that decorators add to while a store's file runs. Outside of that (a notebook, a
    test) there is none, and a name may be defined again."""

    def __init__(self) -> None:
        self.registry: Optional[Registry] = None

    def add(self, a: "Array") -> None:
        if self.registry is not None:
            self.registry.add(a)


CURRENT = _Current()


class Array:
    """An array that is computed block by block. Made by `lazarr.array` and `lazarr.source`.

    ``a[...]`` computes what it needs here and now, without a server, with NumPy's basic indexing
    (integers, slices with steps, ``...``); the values are those a server would send.

    path, shape, chunks, dtype, fill_value, dims, axes, units, scale, translation, kind, compressor,
    attributes: what was declared, in normal form.

    >>> import lazarr
    >>> @lazarr.array("ramp", shape=(10,), chunks=4, dtype="uint8")
    ... def ramp(block):
    ...     return block.coords()[0]
    >>> ramp[2:9:3].tolist(), ramp[-1]
    ([2, 5, 8], 9)
    """

    def __init__(self, function: Callable[..., Any], path: str, spec: dict, *, source: Any = None):
        self.function = function
        self.path = path
        self.is_source = source is not None
        self.__name__ = getattr(function, "__name__", path)
        self.__doc__ = getattr(function, "__doc__", None) or type(self).__doc__
        self.dtype: np.dtype = spec["dtype"]
        self.shape: tuple = spec["shape"]
        self.chunks: tuple = spec["chunks"]
        self.fill_given: bool = spec["fill_given"]
        self.fill_value: np.generic = spec["fill_value"]
        self.dims: Optional[tuple] = spec["dims"]
        self.axes: Optional[tuple] = spec["axes"]
        self.units: Optional[tuple] = spec["units"]
        self.scale: tuple = spec["scale"]
        self.translation: tuple = spec["translation"]
        self.kind: str = spec["kind"]
        self.separator: str = spec["separator"]
        self.compressor = spec["compressor"]
        self.n5_compressor = spec["n5_compressor"]
        self.precomputed_encoding: Optional[str] = spec["precomputed_encoding"]
        self.channels: Optional[list] = spec["channels"]
        self.labels_of: Optional[str] = spec["labels_of"]
        self.attributes: dict = spec["attributes"]
        self.timeout: float = spec["timeout"]
        self.first_timeout: float = spec["first_timeout"]
        self.on_abandon: str = spec["on_abandon"]
        self.version: Optional[str] = spec["version"]
        self.depends: tuple = spec["depends"]
        self.deterministic: bool = spec["deterministic"]
        self._blocks: "OrderedDict[tuple, np.ndarray]" = OrderedDict()
        self._bytes = 0

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

    def __repr__(self) -> str:
        return (f"<lazarr.Array {self.path!r} shape={self.shape} chunks={self.chunks} "
                f"dtype={self.dtype}>")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The decorated function itself."""
        return self.function(*args, **kwargs)

    def compute(self, chunk: Sequence[int]) -> np.ndarray:
        """The block at a chunk grid position, cut to the array, as an ndarray of the declared dtype.

        Raises IndexError for a position outside the grid, what the function raises, and CastError
        when its result doesn't fit.
        """
        pos = tuple(int(p) for p in chunk)
        if len(pos) != self.ndim or any(not 0 <= p < n for p, n in zip(pos, self.counts)):
            raise IndexError(f"chunk {pos} is outside the grid {self.counts} of {self.path!r}")
        start = tuple(p * c for p, c in zip(pos, self.chunks))
        extent = tuple(min(c, n - s) for c, n, s in zip(self.chunks, self.shape, start))
        index = 0
        for p, n in zip(pos, self.counts):
            index = index * n + p
        out = np.empty(extent, self.dtype)
        block = Block(self, start, extent, pos, index, make_data=lambda: out, fill=self.fill_value)
        result = _block.run(self.function, block)
        if result is not None:
            if isinstance(result, np.ndarray) and np.may_share_memory(result, out):
                result = result.copy()
            _cast.assign(out, result)
        return out

    def _block_at(self, pos: tuple) -> np.ndarray:
        got = self._blocks.pop(pos, None)
        if got is None:
            got = self.compute(pos)
            self._bytes += got.nbytes
        self._blocks[pos] = got
        while self._bytes > LOCAL_CACHE_BYTES and len(self._blocks) > 1:
            self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return got

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


def _normalise(path: str, given: dict) -> dict:
    """All parameters of an array in normal form; StoreError with the array's name before it."""
    try:
        return _normal_form(given)
    except StoreError as e:
        raise StoreError(f'array "{path}": {e}') from None


_KNOWN = ("shape", "chunks", "dtype", "fill_value", "dims", "axes", "units", "scale", "translation",
          "kind", "compressor", "n5_compressor", "precomputed_encoding", "channels", "labels_of",
          "attributes", "timeout", "on_abandon", "version", "depends",
          "deterministic", "separator", "levels", "halo") + NOT_YET


def _refuse_later(g: dict) -> None:
    for name in g:
        if name not in _KNOWN:
            raise StoreError(f"unknown parameter {name!r}")
    _check.halo(g.get("halo", 0))
    for name in NOT_YET:
        if g.get(name) is not None and g[name] != []:
            raise StoreError(f"{name} is not supported yet")
    if g.get("levels", 1) != 1:
        raise StoreError(f"levels > 1 is not supported yet, got {g['levels']!r}")


def _normal_form(g: dict) -> dict:
    _refuse_later(g)
    for name in ("shape", "chunks", "dtype"):
        if g.get(name) is None:
            raise StoreError(f"{name} must be given")
    dt = _check.dtype(g["dtype"])
    shape = _check.shape(g["shape"])
    rank = len(shape)
    axes = _check.axes(g.get("axes"), rank)
    kind = _check.choice("kind", g.get("kind") or ("image" if axes else "plain"),
                         ("image", "labels", "plain"))
    if kind != "plain" and axes is None:
        raise StoreError(f"kind {kind!r} needs axes")
    if kind == "labels" and dt.kind not in "iu":
        raise StoreError(f"kind 'labels' needs an integer dtype, got {dt.name}")
    if axes is None:
        for name in ("units", "scale", "translation"):
            if g.get(name) is not None:
                raise StoreError(f"{name} needs axes")
    elif g.get("dims") is not None:
        raise StoreError("dims is for plain arrays; an image's axes are its dims")
    fill = g.get("fill_value")
    separator = "/" if axes else _check.choice("separator", g.get("separator", "."), (".", "/"))
    timeout = g.get("timeout")
    chunks = _check.chunks(g["chunks"], shape, dt)
    return {
        "dtype": dt, "shape": shape, "chunks": chunks,
        "fill_given": fill is not None,
        "fill_value": _check.fill_value(dt.type(0) if fill is None else fill, dt),
        "dims": tuple(axes) if axes else _check.dims(g.get("dims"), rank), "axes": axes,
        "units": _check.units(g.get("units"), axes) if axes else None,
        "scale": _check.reals("scale", g.get("scale"), rank, 1.0, True),
        "translation": _check.reals("translation", g.get("translation"), rank, 0.0, False),
        "kind": kind, "separator": separator,
        "compressor": _codecs.from_config(g.get("compressor", _codecs.Blosc())),
        "n5_compressor": _codecs.from_config(g.get("n5_compressor", _codecs.Gzip(1)), n5=True),
        "precomputed_encoding": _images.precomputed_encoding(g.get("precomputed_encoding"), dt, chunks,
                                                             axes),
        "channels": _images.channels(g.get("channels"), axes, shape, dt, kind),
        "labels_of": _images.labels_of(g.get("labels_of"), kind),
        "attributes": _check.attributes(g.get("attributes")),
        "timeout": _check.seconds("timeout", DEFAULT_TIMEOUT if timeout is None else timeout),
        "first_timeout": DEFAULT_FIRST_TIMEOUT if timeout is None else float(timeout),
        "on_abandon": _check.choice("on_abandon", g.get("on_abandon", "interrupt"),
                                    ("interrupt", "finish")),
        "version": None if g.get("version") is None else str(g["version"]),
        "depends": tuple(g.get("depends") or ()),
        "deterministic": bool(g.get("deterministic", True)),
    }


def array(path: Union[str, Callable[..., Any], None] = None, /, **parameters: Any) -> Any:
    """Makes an array of a function that computes one block of it.

    The function gets a `Block` and returns the block's values (an ndarray of ``block.shape``, where
    an axis may have length 1, or a scalar), or writes them into ``block.data``. They must fit the
    declared dtype: ints that are in range are cast, 300 for uint8, 1.5 for int32 or a complex for a
    float are errors.

    path: its name, "a/b/c" makes groups; default the function's name.
    shape: voxels per axis, slowest first, 0 to 8 axes. chunks: voxels per chunk, one number or one
        per axis, at most 256 MiB. dtype: bool, (u)int8 to 64, float16 to 64, complex64, 128, in
        either byte order. fill_value: what a block's unwritten voxels are (0).
    dims: the axes' names, of a plain array.
    axes: out of "tczyx" in that order: makes it an image (OME-NGFF), with kind "image" or "labels",
        units (one for the spatial axes, or one per axis), scale (units per voxel, per axis) and
        translation (the centre of voxel 0, in units).
    channels: of an image with axis c, a list of names or of OMERO dicts (label, color, window ...).
    labels_of: of kind "labels", the image (or its path) in whose ``labels/`` they are listed, too.
    compressor: lazarr.Blosc(), Zstd(), Gzip() or None. separator: of Zarr v2 keys, "." or "/".
    n5_compressor: of N5 and BigDataViewer: the same or lazarr.Lz4(); Gzip(1), since Java readers
        rarely have a native blosc. precomputed_encoding: "raw" or, of uint32 and uint64,
        "compressed_segmentation", the default for labels.
    attributes: a dict of your own.
    timeout: seconds before a computation is killed (300; a worker's first block 900).
    version, depends: a tag (with files and functions) that makes ETags survive a restart.
    deterministic: False where the same block may come out differently each time.

    Raises StoreError naming the array, the parameter and the reason.

    >>> import lazarr, numpy as np
    >>> @lazarr.array(shape=(100, 100), chunks=50, dtype="float32", dims=("y", "x"))
    ... def distance(block):
    ...     y, x = block.coords()
    ...     return np.hypot(y - 50, x - 50)
    >>> distance[50, 53]
    3.0
    """
    if callable(path) and not isinstance(path, str):
        return array()(path)  # @lazarr.array without parentheses: the missing shape is reported

    def decorate(function: Callable[..., Any]) -> Array:
        name = path if path is not None else getattr(function, "__name__", None)
        try:
            checked = _check.path(name)
        except StoreError as e:
            raise StoreError(f"{label('array', name)}: {e}") from None
        if not callable(function):
            raise StoreError(f'array "{checked}": expected a function of one block, '
                             f"got {type(function).__name__}")
        a = Array(function, checked, _normalise(checked, parameters))
        CURRENT.add(a)
        return a
    return decorate


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


def _regular_chunks(a: Any) -> Optional[tuple]:
    """An array-like's own chunks, where they are one size per axis (h5py, zarr, regular dask)."""
    own = getattr(a, "chunks", None)
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
    the array-like's; chunks its own regular ones, else 64 per spatial axis in 3-D, 512 in 2-D. The
    other parameters are those of `lazarr.array`. Raises StoreError.

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
            given = dict(parameters, shape=src.order(a.shape), dtype=a.dtype)
            if given.get("chunks") is None:
                own = _regular_chunks(a)
                given["chunks"] = src.order(own) if own else \
                    default_chunks(given["shape"], given.get("axes"))
        except StoreError as e:
            raise StoreError(f"{label('array', name)}: {e}") from None
        made = Array(src, checked, _normalise(checked, given), source=src)
        CURRENT.add(made)
        return made
    return make if thing is None else make(thing)


def group(path: str, attributes: Optional[dict] = None) -> None:
    """Adds a group, or attributes to one that arrays make; "" is the store's root.

    >>> import lazarr
    >>> lazarr.group("results", attributes={"author": "me"})
    """
    try:
        checked = "" if path == "" else _check.path(path)
        checked_attributes = _check.attributes(attributes)
        if CURRENT.registry is not None:
            CURRENT.registry.add_group(checked, checked_attributes)
    except StoreError as e:
        text = str(e)
        raise StoreError(text if text.startswith("group") else
                         f"{label('group', path)}: {text}") from None
