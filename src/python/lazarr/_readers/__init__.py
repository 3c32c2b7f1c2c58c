"""Data files as stores: ``lazarr serve FILE[::path]``, without a .py.

Each reader here, one format a file, makes the sources that a user would write by hand: arrays with their
levels, axes, units, places and attributes. What lies uncompressed and at regular distances in its file is a
memory map, which the server reads itself; all else is opened and sliced by the workers. What a file may make
them do is in trust, codecs and unpack.
"""
from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any, Callable, Sequence

from .. import _array, _manifest, _tell
from .._array import Array
from .._errors import StoreError
from .._registry import Registry
from . import decoded, given, remote, trust
from .file import Enough, File, why


#: How a TIFF begins, whatever it is called: classic and Big, in both byte orders.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def build(name: str, spec: str, ops: Sequence[str], registry: Registry, follow: bool = False) -> tuple[Any, ...]:
    """Makes the store of "data:FILE::PATH" in the registry. follow: files that it names may lie anywhere.
    Returns (the file's path, bytes that stand for it in digests)."""
    path, _, inner = spec[len("data:"):].rpartition("::")
    said = given.Given([op for op in ops if op.startswith("--")])
    f = File(path, inner, follow, said)
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        _read(f)
        if not f.made:
            raise StoreError(f"no array that lazarr can serve{f' in {inner!r}' if inner else ''}")
        for op in ops:
            if not op.startswith("--"):
                _add_op(f, op)
        if said.rechunk:
            from .rechunked import add
            add(f, said.rechunk, registry)
    except BaseException as e:
        _tell.failed(e, path)
        raise
    finally:
        _array.CURRENT.registry = previous
    return path, json.dumps([spec, list(ops), *_identity(f)]).encode()


def _identity(f: File) -> list[Any]:
    """What stands for a file's content as long as it isn't known to change."""
    if remote.is_url(f.path):
        return [hashlib.sha256(f.tree.read(name, trust.MAX_DOCUMENT) or b"").hexdigest()
                for name in ("zarr.json", ".zmetadata", ".zattrs", ".zarray", "info")]
    st = os.stat(f.path)
    return [st.st_size, st.st_mtime_ns]


def _read(f: File) -> None:
    try:
        _reader(f)(f)
    except Enough:
        f.left_out("the rest", f"it holds more than {trust.MAX_OBJECTS} groups and arrays; FILE::PATH "
                   "serves a part of it")
    except StoreError:
        raise
    except Exception as e:  # what a library has against a damaged file is no fault of lazarr's
        raise StoreError(f"it can't be read: {why(e)}") from e


def _reader(f: File) -> Callable[[File], None]:
    if os.path.isdir(f.path) or f.lower.endswith((".zip", ".ozx")) or remote.is_url(f.path):
        from . import n5, precomputed, zarr_folder
        if precomputed.is_precomputed(f):
            return precomputed.precomputed
        return n5.n5 if n5.is_n5(f) else zarr_folder.zarr
    if f.lower.endswith(".npy"):
        from .npy import npy
        return npy
    if f.lower.endswith((".nii", ".nii.gz")):
        from .nifti import nifti
        return nifti
    with open(f.path, "rb") as file:
        magic = file.read(8)
    if f.lower.endswith((".tif", ".tiff", ".btf", ".tf8", ".lsm")) or magic[:4] in TIFF:
        from .tiff import tiff
        return tiff
    if magic[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05"):
        from .netcdf3 import netcdf3
        return netcdf3
    from .hdf5 import hdf5
    return hdf5


def _add_op(f: File, op: str) -> None:
    """A function of (block, data) beside each array of the file. Its attribute ``lazarr``, a dict, has
    parameters of lazarr.array: halo, dtype, boundary, slots …"""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    beside = os.path.dirname(os.path.abspath(f.path))
    if beside not in sys.path:
        sys.path.append(beside)  # last: what lies beside data is no library
    function = _manifest._resolve(op, "--op")
    if isinstance(function, Array):
        raise StoreError(f"--op {op}: it must be a function of (block, data), not an array")
    parameters = getattr(function, "lazarr", {})
    if not callable(function) or not isinstance(parameters, dict):
        raise StoreError(f"--op {op}: it must be a function of (block, data), and its attribute lazarr, "
                         "if it has one, a dict")
    own = op.rpartition(".")[2].rpartition(":")[2]
    of = list(f.made) if f.given.raw else decoded.variables(f.made)
    for a in of:
        path = f.names.of(own if len(of) == 1 else f"{a.path}_{own}")
        wrapped, more = (function, {}) if f.given.raw else decoded.taking(function, a)
        its: Any = {"inputs": [a], **more, **parameters}
        _array.array(path, **its)(wrapped)
