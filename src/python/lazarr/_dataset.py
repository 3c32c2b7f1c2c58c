"""Datasets of xarray: each variable and coordinate is an array of a group."""
from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, Union, cast

import numpy as np

from . import _cancel, _calls, _check, _encoded, _handover, _large, _opened, _renamed, _source, _variables
from ._array import CURRENT, Array, Pending
from ._errors import StoreError
from ._files import beside
from ._registry import label
from ._variables import Around, Variable

if TYPE_CHECKING:
    from ._codecs import Codec
    from ._typed import Dependency


class Dataset(Mapping[str, Array]):
    """The arrays of a dataset by the names of its variables, "group/name" of a DataTree's groups: inputs of
    `lazarr.array`. path: its group in the store.

    >>> import lazarr, numpy as np, xarray
    >>> d = lazarr.dataset("d", xarray.Dataset({"t": ("x", np.arange(3.0))}))
    >>> list(d), d["t"][...].tolist()
    (['t'], [0.0, 1.0, 2.0])
    """

    def __init__(self, path: str, arrays: dict[str, Array], originals: Mapping[str, str] = {}) -> None:
        """originals: what is served under another name, by the names that the dataset itself has."""
        self.path = path
        self._arrays = arrays
        self._originals = originals

    def __getitem__(self, name: str) -> Array:
        try:
            return self._arrays[self._originals.get(name, name)]
        except KeyError:
            raise KeyError(f"the dataset has no {name!r}; there are {', '.join(self._arrays) or 'none'}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<lazarr.Dataset {self.path!r}: {', '.join(self._arrays)}>"


if TYPE_CHECKING:
    class DatasetMaker(Dataset):
        """What `dataset` returns, as type checkers see it: a decorator of a function that opens one, or the
        Dataset (see ArrayMaker)."""

        def __call__(self, thing: Any) -> Dataset: ...


class _Opened:
    """A dataset, opened when first needed in each process, and its variables encoded."""

    def __init__(self, thing: Any, folder: str, path: str) -> None:
        self._thing, self._folder, self._path = thing, folder, path
        self._lock = threading.RLock()
        self._made: Optional[dict[str, Any]] = None
        self._form: Optional[dict[str, Any]] = None
        self.files: set[str] = set()

    def __reduce__(self) -> Any:
        return _Opened, (self._thing, self._folder, self._path)  # opened anew where it is needed

    def forget(self) -> None:
        with self._lock:
            self._made = self._form = None

    def _groups(self) -> tuple[dict[str, Any], bool]:
        """(the datasets by their groups, whether their values are as a file has them)."""
        thing = self._thing
        if callable(thing) and not hasattr(thing, "data_vars") and not hasattr(thing, "dims"):
            thing = thing()
        if isinstance(thing, (str, os.PathLike)):
            text = os.fspath(thing)
            return _encoded.of_file(text if "://" in text else os.path.join(self._folder, text)), True
        return _encoded.groups(thing), False

    def _open(self) -> dict[str, Any]:
        """The encoded variables by path below the dataset."""
        with self._lock:
            if self._made is not None:
                return self._made
            with _cancel.shield(), _opened.watch() as paths:
                groups, stored = self._groups()
            made: dict[str, Any] = {}
            left = [_variables.MAX_AXES]
            form: dict[str, Any] = {"groups": {}, "variables": {}}
            for group, (ds, original) in _renamed.groups(groups, self._note).items():
                self.files |= _files(ds)
                self._encode(group, original, ds, stored, made, form, left)
            self.files |= {os.path.abspath(p) for p in paths if _opened._is_data(os.path.abspath(p))}
            self._made, self._form = made, form
            return made

    def _say(self, where: str, what: str, why: str) -> None:
        self._note(f"{where}: {what} is left out: {why}")

    def _note(self, text: str) -> None:
        if _handover.CURRENT.mode != _handover.FACTS:
            print(f'dataset "{self._path}": {text}', file=sys.stderr)

    def _encode(self, group: str, original: str, ds: Any, stored: bool, made: dict[str, Any], form: dict[str, Any],
                left: list[int]) -> None:
        variables, attributes = _encoded.marked(ds, stored)
        form["groups"][group] = _encoded.plain(attributes, functools.partial(self._say, group or "/"))
        coords = _coordinates(ds, variables, stored)
        for name, var in variables.items():
            path = f"{group}/{name}" if group else str(name)
            try:
                e = _encoded.variable(name, var, stored, functools.partial(self._say, path))
            except StoreError as err:
                raise StoreError(f"variable {path!r}: {err}") from err.__cause__
            if e.text and var.dtype.kind not in "SU":
                self._note(f"{path}: its texts of any length are served as ones of {e.values.shape[-1]}")
            made[path] = e.values
            form["variables"][path] = dict(
                _variables.form_of(name, e, name in coords, left), group=group, coordinate=name in coords,
                original="/".join(filter(None, (original, str(var.attrs.get(_renamed.ORIGINAL, name))))))

    def form(self) -> dict[str, Any]:
        """What is told of it: its groups' attributes, and of each variable all but its values."""
        with self._lock:
            self._open()
            assert self._form is not None
            return self._form

    def values(self, path: str) -> Any:
        """A variable's array-like, encoded."""
        a = self._open()[path]
        return a if isinstance(a, np.ndarray) else _Read(a, self.files)


class _Read:
    """What workers slice of a dataset. opened_files: those that were opened for it (`_opened.said`)."""

    def __init__(self, a: Any, files: set[str]) -> None:
        self._a, self.opened_files = a, files
        self.shape, self.dtype = tuple(a.shape), np.dtype(a.dtype)

    def __getitem__(self, key: Any) -> Any:
        return self._a[key]


class _Opener:
    """What opens one variable: a source's function."""

    def __init__(self, of: _Opened, path: str) -> None:
        self._of, self._path = of, path
        self.__name__ = path.rpartition("/")[2]

    def __call__(self) -> Any:
        return self._of.values(self._path)

    def forget(self) -> None:
        self._of.forget()


def _files(ds: Any) -> set[str]:
    """The local files that xarray has opened for a dataset."""
    found = {ds.encoding.get("source"), *(v.encoding.get("source") for v in ds.variables.values())}
    return {os.path.abspath(f) for f in found if isinstance(f, str) and "://" not in f and os.path.exists(f)}


def _coordinates(ds: Any, variables: Any, stored: bool) -> set[str]:
    """The names of a dataset's coordinates. Of a file as it is also those that its attributes say."""
    names = {str(n) for n in ds.coords}
    if stored:
        for attrs in (ds.attrs, *(v.attrs for v in variables.values())):
            text = attrs.get("coordinates")
            names |= set(text.split()) & set(variables) if isinstance(text, str) else set()
    return names


def _chunks(v: Variable, wanted: dict[str, int]) -> tuple[int, ...]:
    """Chunks of a variable: those that are wanted for its axes, else its own, else lazarr's of plain arrays."""
    if v.text:
        per = _source.default_chunks(v.lengths, None, v.dtype.itemsize * v.characters)
    elif v.chunks is not None and len(v.chunks) == len(v.dims):
        per = _large.cut(v.chunks, v.dtype.itemsize) if _is_large(v) else v.chunks
    else:
        per = _source.default_chunks(v.shape, None, v.dtype.itemsize)
    made = [c if d not in wanted else wanted[d] if wanted[d] > 0 else max(1, n)
            for d, n, c in zip(v.dims, v.lengths, per)]
    return (*made, v.characters) if v.text else tuple(made)


def _is_large(v: Variable) -> bool:
    """Whether its own chunks are larger than what is served as one."""
    return v.chunks is not None and len(v.chunks) == len(v.dims) and not v.text and \
        _large.are(v.chunks, v.dtype.itemsize)


def _array(path: str, v: Variable, around: Around, chunks: dict[str, int], options: dict[str, Any]) -> Array:
    """A source that serves a variable; the caller registers it."""
    try:
        src = _source._Source(path, v.opener, None)
        levels = src.levels()
        src.remember()
        if _is_large(v):
            src.large = v.chunks  # each is read once for all that lie in it
        if tuple(levels[0].shape) != v.shape or np.dtype(levels[0].dtype) != v.dtype:
            raise StoreError(f"it is {list(levels[0].shape)} of {levels[0].dtype} now, it was {list(v.shape)} of "
                             f"{v.dtype} when the dataset was looked at: load the store anew")
        given = dict(options, **v.parameters(), shape=v.shape, dtype=v.dtype, chunks=_chunks(v, chunks))
    except StoreError as e:
        raise StoreError(f"{label('array', path)}: {e}") from None
    made = Array(src, path, given, source=src)
    made.around = around
    return made


def beside_of(path: str, v: Variable) -> Array:
    """A coordinate as an array beside another one that it belongs to."""
    return _array(path, v, Around(v, {}, {}), {}, {})


def _coords_of(v: Variable, coords: dict[str, Variable]) -> dict[str, Variable]:
    """Those coordinates that a variable has: none has other dimensions, or of another length."""
    lengths = dict(zip(v.dims, v.lengths))
    return {n: c for n, c in coords.items() if all(lengths.get(d) == m for d, m in zip(c.dims, c.lengths))}


def _axes_above(group: str, axes: dict[str, dict[str, Variable]]) -> dict[str, Variable]:
    """What a group of a DataTree takes over from those that it lies in: the coordinates that are axes."""
    found: dict[str, Variable] = {}
    for above in ("", *("/".join(group.split("/")[:k]) for k in range(1, group.count("/") + 1))):
        if above != group:
            found.update(axes.get(above, {}))
    return found


def _wanted(chunks: Any, form: dict[str, Any]) -> dict[str, int]:
    """The parameter chunks: a dict from dimensions to lengths, -1 the whole dimension."""
    if chunks is None:
        return {}
    if not isinstance(chunks, Mapping):
        raise StoreError(f"chunks must be a dict from dimensions to lengths, got {chunks!r}")
    known = {d for v in form["variables"].values() for d in v["dims"]}
    out = {}
    for d, n in chunks.items():
        if d not in known:
            raise StoreError(f"chunks: the dataset has no dimension {d!r}; there are {', '.join(sorted(known))}")
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 and n != -1:
            raise StoreError(f"chunks: {d!r} must be an integer ≥ 1, or -1 for all of it, got {n!r}")
        out[d] = int(n)
    return out


def _serve(path: str, thing: Any, folder: str, chunks: Any, options: dict[str, Any]) -> Dataset:
    opened = _Opened(thing, folder, path)
    form = _handover.CURRENT.described(path)
    if form is None:
        form = opened.form()
        _handover.CURRENT.describe(path, form)
    wanted = _wanted(chunks, form)
    prefix = f"{path}/" if path else ""
    for group, attributes in form["groups"].items():
        whole = (prefix + group).rstrip("/")
        if attributes or not any(v["group"] == group for v in form["variables"].values()):
            CURRENT.add_group(whole if whole == "" else _check.path(whole), attributes)
    made: dict[str, Array] = {}
    axes: dict[str, dict[str, Variable]] = {}
    for group in form["groups"]:  # the outer ones first
        forms = {k: v for k, v in form["variables"].items() if v["group"] == group}
        variables = {v["name"]: Variable(v, _Opener(opened, k)) for k, v in forms.items()}
        own = {v["name"]: variables[v["name"]] for v in forms.values() if v["coordinate"]}
        axes[group] = {n: c for n, c in own.items() if c.dims == (n,)}
        coords = {**_axes_above(group, axes), **own}
        for k in forms:
            v = variables[forms[k]["name"]]
            around = Around(v, _coords_of(v, coords), _variables.linked(v.attributes, variables), True)
            made[k] = _array(_check.path(prefix + k), v, around, wanted, options)
            CURRENT.add(made[k])
    return Dataset(path, made, {v["original"]: k for k, v in form["variables"].items() if v["original"] != k})


def dataset(path: Any = None, ds: Any = None, *, chunks: Optional[Mapping[str, int]] = None,
            compressor: Union[Codec, dict[str, Any], None, str] = "default", version: Optional[object] = None,
            depends: Optional[Sequence[Dependency]] = None, timeout: Optional[float] = None,
            deterministic: bool = True) -> DatasetMaker:
    """Serves an xarray Dataset (or DataTree, or DataArray) whole: each variable and coordinate is an array of the
    group `path`, with its dimensions and attributes, encoded as xarray's own Zarr backend does. Opened again with
    ``xarray.open_zarr(url, group=path)`` or ``xarray.open_datatree`` it is the same.

    path: a group of the store, "" its root. ds: a Dataset, DataTree or DataArray, a function that returns one, or the
        name of a file or URL that xarray opens, relative to the file of code that says so: its values are served as
        they are stored. ``@lazarr.dataset("era5")`` above a function is the same, and the better way for what is
        large: what lies in memory is then made once, and the server has it; what is lazy (dask's, a file's) is
        opened in each worker and read block by block.
    chunks: lengths by dimension, -1 for all of it: ``{"time": 24, "lat": -1}``. Not given: dask's where they are
        regular, those of the file, else 0.25 to 1 MiB each, short axes whole.
    compressor, version, depends, timeout, deterministic: of each array, as in `lazarr.array`.

    Returns a `lazarr.Dataset`, whose arrays are inputs of others. A function gets packed and masked variables as the
    numbers that are meant, NaN where one is missing; ``block.axis("lat")`` is a coordinate's own values in the block's
    region. What is computed has the dimensions, attributes and coordinates of its first input.

    Texts are served in Zarr only, with the length of the longest. Names that can't be served get "_" for what isn't in
    A-Z, a-z, 0-9, '.', '_' and '-', which is said; the attribute original_name has them, and the returned mapping
    knows both. Raises StoreError for what no Zarr holds (objects, a MultiIndex).

    >>> import lazarr, numpy as np, xarray
    >>> ds = xarray.Dataset({"t2m": (("time", "lat"), np.array([[280, 281], [282, 283.0]]), {"units": "K"})},
    ...                     {"time": np.array(["2024-01-01", "2024-01-02"], "M8[ns]"), "lat": [50.0, 40.0]})
    >>> era5 = lazarr.dataset("era5", ds)
    >>> @lazarr.array("era5/celsius", inputs=[era5["t2m"]])
    ... def celsius(block, t2m):
    ...     return np.where(block.axis("lat")[None] > 45, t2m - 273, np.nan)
    >>> celsius[:, 0].tolist(), celsius.dims, str(era5["time"].attributes["units"])
    ([7.0, 9.0], ('time', 'lat'), 'days since 2024-01-01 00:00:00')
    """
    options: dict[str, Any] = {"version": version, "depends": depends, "timeout": timeout,
                               "deterministic": deterministic}
    if not isinstance(compressor, str):
        options["compressor"] = compressor
    folder = beside(1)

    def make(thing: Any) -> Dataset:
        name = path if isinstance(path, str) else getattr(thing, "__name__", None)
        try:
            checked = "" if name == "" else _check.path(name)
            if callable(thing):
                _calls.refuse(thing)
            return _serve(checked, thing, folder, chunks, options)
        except StoreError as e:
            text = str(e)
            raise StoreError(text if text.startswith(("array", "group")) else f"{label('dataset', name)}: {text}"
                             ) from e.__cause__
    if path is not None and not isinstance(path, str):
        if ds is None and callable(path) and not hasattr(path, "dims"):
            return cast("DatasetMaker", make(path))  # @lazarr.dataset without parentheses
        raise StoreError(f"a dataset's path comes first: lazarr.dataset(\"name\", {type(path).__name__})")
    return cast("DatasetMaker", Pending("lazarr.dataset", cast(Callable[[Any], Any], make)) if ds is None else make(ds))


# ------------------------------------------------------------------------- a DataArray as a source

class _Coordinate:
    """What opens a coordinate of a source's DataArray."""

    def __init__(self, src: Any, name: str, coordinate: str) -> None:
        self._src, self._name, self._coordinate = src, name, coordinate
        self.__name__ = coordinate

    def __call__(self) -> Any:
        self._src.open()
        values = _encoded.parts(self._name, self._src.dataarray)[self._coordinate].values
        return values if isinstance(values, np.ndarray) else _Read(values, set())


def of_dataarray(src: Any, form: dict[str, Any], said: dict[str, Any], transpose: Any) -> Optional[Around]:
    """What belongs to a source that is a DataArray; its attributes and the axis of texts go into `said`. None where
    it is served as an image, or with other axes than its own."""
    if not form or said.get("axes") or said.get("kind") not in (None, "plain") or transpose is not None:
        return None
    name = form["name"]
    all_ = {n: Variable(v, _Coordinate(src, name, n)) for n, v in form["variables"].items()}
    v = all_.pop(name)
    dims = said.get("dims")
    if dims is not None and tuple([dims] if isinstance(dims, str) else dims) != v.dims:
        return None
    if said.get("attributes") is None:
        said["attributes"] = v.attributes
    elif "coordinates" in v.attributes:
        said["attributes"] = {"coordinates": v.attributes["coordinates"], **said["attributes"]}
    if v.text or v.fill is not None and said.get("fill_value") is None:
        said["fill_value"] = v.fill
    said["dims"] = v.parameters()["dims"]
    if v.text:
        said["chunks"] = _chunks(v, {})
    return Around(v, all_, _variables.linked(v.attributes, all_))
