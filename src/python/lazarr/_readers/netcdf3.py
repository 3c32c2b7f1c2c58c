"""NetCDF-3 (classic, 64-bit offset, 64-bit data) through SciPy, which maps the file, or netCDF4."""
from __future__ import annotations

import importlib
import warnings
from typing import Any, Callable

import numpy as np

from .._errors import StoreError, whose_python
from . import masks, texts, trust
from .file import File, why

MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")


def netcdf3(f: File) -> None:
    """Each variable an array under its name; the file's attributes are the root's. ::NAME is one variable."""
    with open(f.path, "rb") as file:
        magic = file.read(4)
    variables, attributes, opener = _scipy(f) if magic != MAGIC[2] and _has("scipy.io") else _netcdf4(f)
    if f.inner and f.inner not in variables:
        raise StoreError(f"there is no '{f.inner}' in it")
    kept = f.attributes("/", attributes)
    if kept:
        f.group("", kept)
    for name in [f.inner] if f.inner else sorted(variables):
        f.count()
        shape, dtype, dims, own = variables[name]
        dims = dims if len(set(dims)) == len(dims) and dims else None
        if dtype.kind == "S":
            _texts(f, name, opener(name), shape, dims, own)
            continue
        if dtype.kind not in "iuf":
            f.left_out(name, f"its type, {dtype}, is no number's")
            continue
        if len(own) > trust.MAX_OBJECTS:
            raise StoreError(f"'{name}' has {len(own)} attributes")
        own = f.attributes(name, {k: v for k, v in own.items()
                                  if not (k == "missing_value" and np.size(v) == 1 and v != v)})
        add = f.add if f.inner else f.try_add
        add(name, opener(name), attributes=own, dims=dims,
            fill_value=masks.attribute(f, name, own, dtype))


def _texts(f: File, name: str, load: Callable[[], Any], shape: tuple[Any, ...], dims: Any, own: dict[Any, Any]) -> None:
    """A variable of characters, each a text of one, as xarray takes them for a text."""
    try:
        texts.check(shape)
        texts.add(f, name, lambda: np.array(load()[tuple(slice(0, n) for n in shape)]), dims, f.attributes(name, own))
    except Exception as e:  # whatever a library has against it
        if f.inner:
            raise StoreError(f"'{name}' can't be served: {why(e)}") from None
        f.left_out(name, why(e))


def _has(module: str) -> bool:
    try:
        importlib.import_module(module)
        return True
    except ImportError:
        return False


def _one(value: Any) -> Any:
    """An attribute as netCDF means it: texts without the zero at their end, arrays of one as that one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").rstrip("\0")
    return value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 else value


def _scipy(f: File) -> tuple[Any, ...]:
    warnings.filterwarnings("ignore", message="Cannot close a netcdf_file")  # maps of it are in use
    netcdf_file = importlib.import_module("scipy.io").netcdf_file

    def open_it() -> Any:
        try:
            return netcdf_file(f.path, "r", mmap=True, maskandscale=False)
        except Exception as e:
            raise StoreError(f"it can't be read: {why(e)}") from None

    def values(name: str) -> Callable[[], Any]:
        def load() -> Any:
            file = open_it()  # stays open as long as the map
            lying = file.variables[name].data
            whole = np.memmap(f.path, np.uint8, "r")
            start = lying.__array_interface__["data"][0] - np.frombuffer(file._mm, np.uint8).ctypes.data
            if lying.size == 0 or start < 0 or start >= len(whole):
                return np.array(lying)
            return np.ndarray(lying.shape, lying.dtype, whole, start, lying.strides)
        return load

    file = open_it()
    variables = {n: (tuple(v.shape), np.dtype(v.data.dtype), tuple(v.dimensions),
                     {k: _one(a) for k, a in v._attributes.items()}) for n, v in file.variables.items()}
    return variables, {k: _one(a) for k, a in file._attributes.items()}, values


def _netcdf4(f: File) -> tuple[Any, ...]:
    try:
        module = importlib.import_module("netCDF4")
    except ImportError as e:
        raise StoreError(f"reading NetCDF-3 needs scipy, or netCDF4 ({e}): pip install scipy, or apt install "
                         f"python3-scipy{whose_python(e)}") from None

    def open_it() -> Any:
        try:
            file = module.Dataset(f.path, "r")
        except OSError as e:
            raise StoreError(f"it can't be read: {why(e)}") from None
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        return file

    file = open_it()
    try:
        variables = {n: (tuple(v.shape), np.dtype(v.dtype), tuple(v.dimensions),
                         {k: _one(v.getncattr(k)) for k in v.ncattrs()}) for n, v in file.variables.items()}
        return variables, {k: _one(file.getncattr(k)) for k in file.ncattrs()}, \
            lambda name: lambda: open_it().variables[name]
    finally:
        file.close()
