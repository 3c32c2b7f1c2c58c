"""xarray's variables as its own Zarr backend encodes them: times as numbers, packed values, masks, texts.

What lies in memory, what dask has, times and texts are encoded by xarray as a whole (of dask lazily); other
numbers, of a file, block by block when they are read. Nothing here knows lazarr's arrays.
"""
from __future__ import annotations

import importlib
import json
import math
from typing import Any, Callable, NamedTuple, Optional, Sequence

import numpy as np

from . import _json
from ._errors import StoreError

FILL = "_FillValue"
MAX_TEXT = 1 << 30     # bytes of a variable's texts
MAX_TIMES = 256 << 20  # of times whose units xarray must look for among the values

#: A file as it is: its values are encoded already.
AS_STORED = {"mask_and_scale": False, "decode_times": False, "decode_timedelta": False, "decode_coords": False}

Say = Callable[[str, str], None]  # (what, why): it is left out


class Encoded(NamedTuple):
    """An encoded variable: values is an array-like of numbers or bools. text: its last axis is the characters
    of a text (uint32: code points, uint8: bytes), and has no name in dims. fill: what stands for a value that
    is missing, or None. chunks: its own, where they are regular."""

    dims: tuple[str, ...]
    attributes: dict[str, Any]
    fill: Any
    text: bool
    values: Any
    chunks: Optional[tuple[int, ...]]


class Sliced:
    """A variable that isn't in memory, as an array-like: each block is read and encoded by itself."""

    def __init__(self, var: Any, encode: Optional[Callable[[Any], Any]]) -> None:
        self._var, self._encode = var, encode
        self.shape = tuple(var.shape)
        first = var[tuple(slice(0, 1) for _ in var.shape)]
        self.dtype = np.dtype((first if encode is None else encode(first)).dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self._var[key]
        values = np.asarray((part if self._encode is None else self._encode(part)).values)
        if values.dtype != self.dtype:
            raise ValueError(f"these values are encoded as {values.dtype}, the first one as {self.dtype}: "
                             "encoding={'dtype': …} of the variable says as what")
        return values


def xarray() -> Any:
    """The library, or one line that says how to get it."""
    try:
        return importlib.import_module("xarray")
    except ImportError as e:
        raise StoreError(f"a dataset needs xarray ({e}): pip install xarray, or apt install python3-xarray") from None


def _of_xarray(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"xarray.{module}"), name)


def plain(items: Any, say: Say) -> dict[str, Any]:
    """Attributes as JSON has them, by xarray's own rule; say: each that JSON can't have."""
    encode_zarr_attr_value = _of_xarray("backends.zarr", "encode_zarr_attr_value")
    made = {}
    for name, value in dict(items).items():
        try:
            value = encode_zarr_attr_value(value)
            said = json.dumps(value, allow_nan=False)
            _json.check([name, value])
            made[str(name)] = json.loads(said)
        except (TypeError, ValueError, RecursionError) as e:
            if not (name == "missing_value" and isinstance(value, float) and math.isnan(value)):  # NaN is missing
                say(f"attribute {ascii(name)[1:-1] if isinstance(name, str) and not name.isprintable() else name}", str(e))
    return made


def _encode(name: str, var: Any) -> Any:
    encode_zarr_variable = _of_xarray("backends.zarr", "encode_zarr_variable")
    try:
        return encode_zarr_variable(var.copy(deep=False), name=name)
    except StoreError:
        raise
    except Exception as e:  # a MultiIndex, dates that no calendar has, objects …
        raise StoreError(f"xarray can't encode it: {type(e).__name__}: {' '.join(str(e).split())}") from e


def _is_lazy(var: Any) -> bool:
    """Whether the values are neither in memory nor dask's."""
    return var.chunks is None and not getattr(var, "_in_memory", True)


def variable(name: str, var: Any, stored: bool, say: Say) -> Encoded:
    """A variable, encoded. stored: it is as its file has it. Raises StoreError for what Zarr can't hold."""
    chunks = _chunks(var)
    numbers = var.dtype.kind in "biufc"
    if stored and numbers:
        values = Sliced(var, None) if _is_lazy(var) else var.data
        return _finished(name, var.dims, var.attrs, values, chunks, say)
    if _is_lazy(var) and numbers:
        made = _encode(name, var[tuple(slice(0, 1) for _ in var.shape)])
        return _finished(name, var.dims, made.attrs, Sliced(var, lambda part: _encode(name, part)), chunks, say)
    if _is_lazy(var) and var.dtype.kind in "mM" and var.size * 8 > MAX_TIMES:
        raise StoreError(f"its {var.size} times aren't in memory and are too many to look for their units: give it to "
                         "lazarr with dask's chunks, or its file by name")
    made = _encode(name, var)
    if made.dtype.kind in "OSUT":
        said = {k: v for k, v in made.attrs.items() if k != FILL}
        if made.attrs.get(FILL) not in (None, "", b""):
            say(f"attribute {FILL}", "texts have none here")
        return _finished(name, made.dims, said, characters(np.asarray(made.values)), None, say, True)
    return _finished(name, made.dims, made.attrs, made.data, chunks, say)


def _finished(name: str, dims: Any, attrs: Any, values: Any, chunks: Any, say: Say, text: bool = False) -> Encoded:
    attributes = dict(attrs)
    fill = attributes.pop(FILL, None)
    if isinstance(fill, (np.ndarray, list, tuple)) and np.size(fill) == 1:
        fill = np.ravel(fill)[0]
    if fill is not None:
        fill = _number(fill, np.dtype(values.dtype), say)
    if isinstance(values, np.generic):
        values = np.asarray(values)
    return Encoded(tuple(str(d) for d in dims), plain(attributes, say), fill, text, values, chunks)


def _number(fill: Any, dt: np.dtype, say: Say) -> Any:
    """A fill value as JSON has it; None, said, where it is none of the dtype."""
    try:
        made = np.asarray(fill).astype(dt)
        if dt.kind in "iu" and made != np.asarray(fill):
            raise ValueError
        value = made.item()
        return value if dt.kind != "c" else [value.real, value.imag]
    except (TypeError, ValueError, OverflowError):
        say(f"attribute {FILL}", f"{fill!r} is no {dt.name}")
        return None


def characters(values: np.ndarray, most: int = MAX_TEXT) -> np.ndarray:
    """Texts as arrays of their characters, an axis more: code points, or bytes. StoreError for what holds something
    else, or more than `most` bytes.

    >>> characters(np.array(["ab", "c"])).tolist()
    [[97, 98], [99, 0]]
    """
    flat = values.reshape(-1)
    kind = values.dtype.kind
    if kind == "O":
        kinds = {type(v) for v in flat}
        if not all(issubclass(k, (str, bytes)) for k in kinds) or any(issubclass(k, bytes) for k in kinds) and \
                any(issubclass(k, str) for k in kinds):
            names = ", ".join(sorted(k.__name__ for k in kinds))
            raise StoreError(f"it holds objects ({names}); texts or numbers can be served")
        kind = "S" if any(issubclass(k, bytes) for k in kinds) else "U"
    kind = "S" if kind == "S" else "U"
    length = max([1, *(len(v) for v in flat)]) if values.dtype.kind in "OT" else \
        max(1, values.dtype.itemsize // (1 if kind == "S" else 4))
    width = 1 if kind == "S" else 4
    if flat.size * length * width > most:
        raise StoreError(f"its {flat.size} texts of up to {length} characters take more than {most >> 20} MiB")
    fixed = values.astype(f"{'<' if kind == 'U' else '|'}{kind}{length}")
    if values.dtype.kind == "O" and any(a != b for a, b in zip(fixed.reshape(-1).tolist(), flat.tolist())):
        raise StoreError("a text of it ends in a NUL, which no format of texts here keeps")
    shape = (*values.shape, length)
    if not flat.size:
        return np.zeros(shape, f"<u{width}")
    return np.ascontiguousarray(fixed).view(f"<u{width}").reshape(shape)


def texts(characters: np.ndarray) -> np.ndarray:
    """The other way round.

    >>> texts(np.array([[97, 98], [99, 0]], "<u4")).tolist()
    ['ab', 'c']
    """
    n = characters.shape[-1]
    kind = f"<U{n}" if characters.dtype.itemsize == 4 else f"|S{n}"
    made: np.ndarray = np.ascontiguousarray(characters).view(kind).reshape(characters.shape[:-1])
    return made


def _chunks(var: Any) -> Optional[tuple[int, ...]]:
    """A variable's own chunks: dask's where they are regular, else those of its file."""
    if var.chunks is not None:
        if any(not c or len(set(c[:-1])) > 1 or c[-1] > c[0] or not c[0] for c in var.chunks):
            return None
        return tuple(int(c[0]) for c in var.chunks)
    for key in ("chunks", "chunksizes"):
        own = var.encoding.get(key)
        if isinstance(own, (tuple, list)) and len(own) == len(var.shape) and \
                all(isinstance(c, (int, np.integer)) and c > 0 for c in own):
            return tuple(int(c) for c in own)
    return None


def is_dataarray(thing: Any) -> bool:
    return type(thing).__module__.split(".")[0] == "xarray" and hasattr(thing, "coords") and \
        hasattr(thing, "to_dataset") and not hasattr(thing, "data_vars")


def groups(thing: Any) -> dict[str, Any]:
    """The datasets of a Dataset, a DataArray or a DataTree, by their paths below it: "" is its own. StoreError for
    anything else."""
    xr = xarray()
    if is_dataarray(thing):
        name = thing.name if isinstance(thing.name, str) and thing.name not in thing.coords else "data"
        if name in thing.coords:
            raise StoreError(f"its values and a coordinate of it are both called {name!r}: da.rename(...)")
        return {"": thing.to_dataset(name=name)}
    if isinstance(thing, xr.Dataset):
        return {"": thing}
    if hasattr(xr, "DataTree") and isinstance(thing, xr.DataTree):
        top = thing.path.rstrip("/")
        return {node.path[len(top):].strip("/"): node.to_dataset(inherit=False) for node in thing.subtree}
    raise StoreError(f"a dataset must be an xarray Dataset, DataTree or DataArray, a file that xarray opens, or a "
                     f"function that returns one, got {type(thing).__name__}")


def of_file(path: str) -> dict[str, Any]:
    """The datasets of a file, or of a URL, by their paths in it: values, times and masks as they are stored.
    StoreError where xarray can't open it."""
    xr = xarray()
    try:
        if hasattr(xr, "open_groups"):
            try:
                found = xr.open_groups(path, **AS_STORED)
                return {name.strip("/"): ds for name, ds in found.items()}
            except NotImplementedError:
                pass  # of formats without groups
        return {"": xr.open_dataset(path, **AS_STORED)}
    except Exception as e:
        raise StoreError(f"xarray can't open {path!r}: {type(e).__name__}: {' '.join(str(e).split())}") from e


def marked(ds: Any, stored: bool) -> tuple[Any, Any]:
    """(variables, attributes) of a dataset, with the attributes `coordinates` that say which are coordinates."""
    if stored:
        return ds.variables, ds.attrs
    encode_dataset_coordinates = _of_xarray("conventions", "encode_dataset_coordinates")
    variables, attributes = encode_dataset_coordinates(ds)
    for of, was in ((attributes, ds.attrs), *((v.attrs, {**ds.variables[n].attrs, **ds.variables[n].encoding})
                                              for n, v in variables.items())):
        if "coordinates" in of and "coordinates" not in was:  # of older versions in the order of a set
            of["coordinates"] = " ".join(sorted(of["coordinates"].split(" ")))
    return variables, attributes


def is_time(attributes: dict[str, Any]) -> bool:
    """Whether encoded values are times or timedeltas."""
    units = attributes.get("units")
    return isinstance(units, str) and " since " in units or str(attributes.get("dtype", "")).startswith("timedelta64")


def decoded(name: str, dims: Sequence[str], values: np.ndarray, attributes: dict[str, Any], fill: Any,
            text: bool) -> np.ndarray:
    """Encoded values as xarray decodes them: dates, unpacked numbers, texts."""
    if text:
        return texts(values)
    if fill is None and not is_time(attributes) and not {"scale_factor", "add_offset", "_Unsigned", "missing_value",
                                                         "dtype"} & set(attributes):
        return np.asarray(values)
    xr = xarray()
    attrs = dict(attributes)
    if fill is not None:
        attrs[FILL] = values.dtype.type(complex(*fill) if isinstance(fill, list) else fill)
    var = xr.conventions.decode_cf_variable(name, xr.Variable(tuple(dims), values, attrs))
    return np.asarray(var.values)


# ------------------------------------------------------------------------- a DataArray as a source

def _quiet(what: str, why: str) -> None:
    pass


def numbers(da: Any) -> Any:
    """A DataArray as a source's array-like: itself, or encoded where it holds times or texts."""
    return da if da.dtype.kind in "biufc" else variable(str(da.name), da.variable, False, _quiet).values


def _without(da: Any, names: set[Any]) -> Any:
    """A DataArray without some of its coordinates, and without those that share an index with one."""
    for n in list(names):
        try:
            names |= set(da.xindexes.get_all_coords(n))
        except (AttributeError, KeyError, ValueError):  # it is no index, or xarray an older one
            pass
    return da.drop_vars(names)


def parts(name: str, da: Any, say: Say = _quiet) -> dict[str, Encoded]:
    """A DataArray and its coordinates, encoded, by their names. Its own numbers stay what they are: decoded. A
    coordinate that has its name, or that no Zarr holds, is left out; StoreError where it is the array itself."""
    if name in da.coords:
        say(f"coordinate {name!r}", "the array itself is called so")
        da = _without(da, {name})
    variables, _ = marked(da.to_dataset(name=name), False)
    made: dict[str, Encoded] = {}
    bad = set()
    for n, var in variables.items():
        if not isinstance(n, str):
            continue
        if n == name and var.dtype.kind in "biufc":
            made[n] = Encoded(tuple(str(d) for d in var.dims), plain(var.attrs, say), None, False, var, None)
            continue
        try:
            made[n] = variable(n, var, False, say if n == name else _of_coordinate(n, say))
        except StoreError as e:
            if n == name:
                raise
            say(f"coordinate {n!r}", str(e))
            bad.add(n)
    return parts(name, _without(da, bad)) if bad else made


def _of_coordinate(name: str, say: Say) -> Say:
    return lambda what, why: say(f"{what} of coordinate {name!r}", why)


def form(name: str, da: Any, say: Say) -> dict[str, Any]:
    """What is told of a DataArray and of its coordinates to those who don't open it."""
    from . import _variables
    if name in da.coords and da.ndim == 1 and da.dims == (name,):
        return {}  # an axis itself
    left = [_variables.MAX_AXES]
    return {"name": name, "variables": {n: _variables.form_of(n, e, n != name, left)
                                        for n, e in parts(name, da, say).items()}}
