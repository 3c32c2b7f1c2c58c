"""Data files as stores: ``lazarr serve FILE[::path]``, without a .py.

Each reader here, one format a file, makes the sources that a user would write by hand: arrays with their
levels, axes, units, places and attributes. What lies uncompressed and at regular distances in its file is a
memory map, which the server reads itself; all else is opened and sliced by the workers. What a file may make
them do is in trust, codecs and unpack.
"""
from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import sys
from typing import Any, Callable, Sequence

from .. import _array, _files, _manifest, _tell
from .._array import Array
from .._errors import StoreError
from .._registry import Registry
from . import decoded, given, remote, trust
from .file import Enough, File, why


#: How a TIFF begins, whatever it is called: classic and Big, in both byte orders.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: Files of a folder that are looked into for what it is.
MAX_LOOKED = 64


def build(name: str, spec: str, ops: Sequence[str], registry: Registry, follow: bool = False) -> tuple[Any, ...]:
    """Makes the store of "data:FILE::PATH" in the registry. follow: files that it names may lie anywhere.
    Returns (the file's path, bytes that stand for it in digests)."""
    path, _, inner = spec[len("data:"):].rpartition("::")
    said = given.Given([op for op in ops if op.startswith("--")])
    f = File(path, inner, follow, said)
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        _read(f)
        if not f.made and not f.texts:
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
    if not remote.is_url(f.path):
        _files.check_kind(f.path)
    try:
        _reader(f)(f)
    except Enough:
        f.left_out("the rest", f"it holds more than {trust.MAX_OBJECTS} groups and arrays; FILE::PATH "
                   "serves a part of it")
    except StoreError:
        raise
    except Exception as e:  # what a library has against a damaged file is no fault of lazarr's
        raise StoreError(f"it can't be read: {why(e)}") from e


#: Kinds by how their names end: (endings, the module, its function).
ENDINGS = [((".npy",), "npy", "npy"), ((".npz",), "npz", "npz"), ((".nii", ".nii.gz"), "nifti", "nifti"),
           ((".mgh", ".mgz", ".mgh.gz"), "mgh", "mgh"),
           ((".tif", ".tiff", ".btf", ".tf8", ".lsm"), "tiff", "tiff"), ((".czi",), "czi", "czi"),
           ((".nd2",), "nd2", "nd2"), ((".lif", ".lof"), "lif", "lif"), ((".nrrd", ".nhdr"), "nrrd", "nrrd"),
           ((".mrc", ".mrcs", ".ccp4", ".map", ".st", ".rec", ".mrc.gz", ".mrc.bz2", ".map.gz"), "mrc", "mrc"),
           ((".dcm", ".dicom", ".ima"), "dicom", "dicom")]
#: Those that HDF5 has.
HDF5 = (".h5", ".hdf", ".hdf5", ".he5", ".nxs", ".mat", ".h5ad", ".ims", ".nc", ".nc4", ".cdf")


def _reader(f: File) -> Callable[[File], None]:
    """The reader of a file, by its ending, else by how it begins."""
    if os.path.isdir(f.path) or f.lower.endswith((".zip", ".ozx")) or remote.is_url(f.path):
        return _of_container(f)
    with open(f.path, "rb") as file:
        head = file.read(212)
    named = [(module, name) for ends, module, name in ENDINGS if f.lower.endswith(ends)]
    if not named:
        named = [(module, module) for module, found in (
            ("tiff", head[:4] in TIFF), ("netcdf3", head[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05")),
            ("dicom", head[128:132] == b"DICM"), ("czi", head[:10] == b"ZISRAWFILE"),
            ("nrrd", head[:7] == b"NRRD000"), ("mrc", head[208:212] == b"MAP ")) if found]
    if named:
        return _function(*named[0])
    if head[:4] == b"\x89HDF" and not f.inner:
        from . import imaris
        if imaris.is_imaris(f.path):
            return imaris.imaris
    if not f.lower.endswith(HDF5) and head[:4] != b"\x89HDF":
        from . import bioio
        if bioio.is_there():
            return bioio.bioio
    return _function("hdf5", "hdf5")


def _function(module: str, name: str) -> Callable[[File], None]:
    found: Callable[[File], None] = getattr(importlib.import_module(f".{module}", __package__), name)
    return found


def _of_container(f: File) -> Callable[[File], None]:
    """That of a folder, an archive or a URL."""
    from . import n5, precomputed, zarr_folder
    if precomputed.is_precomputed(f):
        return precomputed.precomputed
    if n5.is_n5(f):
        return n5.n5
    if os.path.isdir(f.path) and not any(f.tree.exists(n) for n in (".zgroup", ".zarray", "zarr.json", ".zattrs")):
        from . import dicom, tiff_folder
        if tiff_folder.names_of(f.path):
            return tiff_folder.tiff_folder
        if any(dicom.is_dicom(e.path) for e in itertools.islice(os.scandir(f.path), MAX_LOOKED)):
            return dicom.dicom
    return zarr_folder.zarr


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
