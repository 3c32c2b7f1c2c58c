"""Data files as stores: ``lazarr serve FILE[::path]``, without a .py.

Each reader here makes the sources that a user would write by hand: arrays with their levels, axes, units,
places and attributes. What lies uncompressed and at regular distances in its file is a memory map, which
the server reads itself; all else is opened and sliced by the workers. Zarr and N5 are in _containers.
"""
from __future__ import annotations

import importlib
import json
import math
import os
import re
import sys
from typing import Any, Callable, Iterator, Optional, Sequence

import numpy as np

from . import _array, _check, _handover, _manifest, _source, _tell
from ._array import Array, Registry
from ._errors import StoreError, whose_python

#: What each library is for, and the Debian package that has it.
LIBRARIES = {"h5py": ("HDF5", "python3-h5py"), "tifffile": ("TIFF", "python3-tifffile"),
             "nibabel": ("NIfTI", "python3-nibabel"), "zarr": ("Zarr", "python3-zarr"),
             "numcodecs": ("this compression", "python3-numcodecs")}

ROOT = "data"  # the name of an array that is all of its file


def need(module: str) -> Any:
    """A library, or one line that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        what, package = LIBRARIES[module]
        raise StoreError(f"reading {what} needs {module} ({e}): pip install {module}, or apt install "
                         f"{package}{whose_python(e)}") from None


def plain(value: Any) -> Any:
    """An attribute as JSON has it; None for what it can't have (references, objects)."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= 65536 else None
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return None


def attributes(items: Any) -> dict:
    """All attributes that JSON can have."""
    made = {str(k): plain(v) for k, v in dict(items).items()}
    return {k: v for k, v in made.items() if v is not None}


class Names:
    """Paths in a store for names in a file, which may hold anything; no two are one."""

    def __init__(self) -> None:
        self.given: dict = {}
        self.taken: set = set()

    def of(self, name: str) -> str:
        """
        >>> n = Names()
        >>> n.of("/a b/c"), n.of("a_b/c"), n.of("/"), n.of("/a b/d")
        ('a_b/c_', 'a_b/c_2', 'data', 'a_b/d')
        """
        key = name.strip("/")
        if key in self.given:
            return self.given[key]
        made = "/".join(self._segment(s) for s in key.split("/") if s) or ROOT
        if made in self.taken:
            stem = made[:-1] if made.endswith("_") else made
            made = next(f"{stem}_{i}" for i in range(2, 1 << 20) if f"{stem}_{i}" not in self.taken)
        self.taken.add(made)
        self.given[key] = made
        return made

    @staticmethod
    def _segment(s: str) -> str:
        s = re.sub(r"[^A-Za-z0-9._-]", "_", s)[:_check.MAX_NAME - 8]
        if s in _check.RESERVED:
            return s + "_"
        return "x" + s if s.startswith((".", "__")) else s


class File:
    """One data file that is being made a store."""

    def __init__(self, path: str, inner: str):
        self.path, self.inner = path, inner.strip("/")
        self.names = Names()
        self.made: list = []  # the arrays

    @property
    def lower(self) -> str:
        return self.path.rstrip("/").lower()

    def add(self, name: str, opener: Callable[[], Any], **parameters: Any) -> Array:
        """A source; StoreError when lazarr can't hold it."""
        given = {k: v for k, v in parameters.items() if v is not None}
        channels = given.get("channels")
        try:
            a = _source.source(self.names.of(name), opener, **given)
        except StoreError:
            if channels is None:
                raise
            given.pop("channels")  # they are for looks: a file's odd ones are no reason to refuse it
            a = _source.source(self.names.of(name), opener, **given)
        self.made.append(a)
        return a

    def try_add(self, name: str, opener: Callable[[], Any], **parameters: Any) -> Optional[Array]:
        """One of several: what lazarr can't hold is left out, and that is said."""
        try:
            return self.add(name, opener, **parameters)
        except StoreError as e:
            self.left_out(name, str(e))
            return None

    def left_out(self, name: str, why: str) -> None:
        if _handover.CURRENT.mode != _handover.FACTS:
            print(f"{os.path.basename(self.path)}: '{name}' is left out: {why}", file=sys.stderr)


def build(name: str, spec: str, ops: Sequence[str], registry: Registry) -> tuple:
    """Makes the store of "data:FILE::PATH" in the registry. Returns (the file's path, bytes that stand for
    it in digests)."""
    path, _, inner = spec[len("data:"):].rpartition("::")
    f = File(path, inner)
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        reader(f)(f)
        if not f.made:
            raise StoreError(f"no array that lazarr can serve{f' in {inner!r}' if inner else ''}")
        for op in ops:
            add_op(f, op)
    except BaseException as e:
        _tell.failed(e, path)
        raise
    finally:
        _array.CURRENT.registry = previous
    st = os.stat(path)
    return path, json.dumps([spec, list(ops), st.st_size, st.st_mtime_ns]).encode()


def reader(f: File) -> Callable[[File], None]:
    from . import _containers
    if os.path.isdir(f.path):
        return _containers.n5 if _containers.is_n5(f.path) else _containers.zarr
    if f.lower.endswith(".npy"):
        return npy
    if f.lower.endswith((".nii", ".nii.gz")):
        return nifti
    return tiff if f.lower.endswith((".tif", ".tiff")) else hdf5


def add_op(f: File, op: str) -> None:
    """A function of (block, data) beside each array of the file. Its attribute ``lazarr``, a dict, has
    parameters of lazarr.array: halo, dtype, boundary, slots …"""
    for folder in (os.getcwd(), os.path.dirname(os.path.abspath(f.path))):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    function = _manifest._resolve(op, "--op")
    if isinstance(function, Array):
        raise StoreError(f"--op {op}: it must be a function of (block, data), not an array")
    given = getattr(function, "lazarr", {})
    if not callable(function) or not isinstance(given, dict):
        raise StoreError(f"--op {op}: it must be a function of (block, data), and its attribute lazarr, "
                         "if it has one, a dict")
    own = op.rpartition(".")[2].rpartition(":")[2]
    for a in list(f.made):
        path = f.names.of(own if len(f.made) == 1 else f"{a.path}_{own}")
        _array.array(path, **{"inputs": [a], **given})(function)


def npy(f: File) -> None:
    if f.inner:
        raise StoreError(f"a .npy file has nothing inside, got '::{f.inner}'")

    def load() -> np.ndarray:
        try:
            return np.load(f.path, mmap_mode="r", allow_pickle=False)
        except ValueError as e:
            if os.path.getsize(f.path) < 1 << 16:  # an empty array can't be mapped
                return np.load(f.path, allow_pickle=False)
            raise StoreError(f"it can't be read: {e}") from None

    f.add("", load)


NIFTI_UNITS = {"meter": "meter", "mm": "millimeter", "micron": "micrometer", "sec": "second",
               "msec": "millisecond", "usec": "microsecond"}


def nifti(f: File) -> None:
    """x is NIfTI's fastest axis and its first one: served as zyx (tzyx, tczyx), as viewers have it."""
    nibabel = need("nibabel")
    if f.inner:
        raise StoreError(f"a NIfTI file has nothing inside, got '::{f.inner}'")
    try:
        image = nibabel.load(f.path)
    except Exception as e:
        raise StoreError(f"it can't be read: {e}{whose_python(e)}") from None
    header, rank = image.header, len(image.shape)
    zooms = [float(z) if math.isfinite(float(z)) and float(z) > 0 else 1.0 for z in header.get_zooms()]
    space, time = (NIFTI_UNITS.get(u) for u in header.get_xyzt_units()) \
        if hasattr(header, "get_xyzt_units") else (None, None)
    affine = np.asarray(image.affine, float)
    aligned = np.allclose(affine[:3, :3], np.diag(np.abs(np.diag(affine[:3, :3]))))
    origin = [float(v) for v in affine[:3, 3]] if aligned else [0.0] * 3
    order = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 1, 0), 5: (3, 4, 2, 1, 0)}.get(rank)
    kept = attributes({k: header[k] for k in header.keys()
                       if k in ("descrip", "qform_code", "sform_code", "intent_code", "intent_name")})
    kept = {"nifti": dict(kept, affine=affine.tolist())}

    def load() -> Any:
        proxy = nibabel.load(f.path).dataobj
        scaled = (proxy.slope, proxy.inter) != (1.0, 0.0)
        if f.lower.endswith(".gz") or not scaled:
            return _ordinary(np.asanyarray(proxy))  # a map of the file, or, unpacked, in memory
        return proxy

    if order is None:
        f.add("", load, attributes=kept)
        return
    axes = "tczyx" if rank == 5 else "tzyx"[4 - rank:]
    names = "xyztc"
    per = {a: (z, (space if a in "xyz" else time if a == "t" else None), 0.0)
           for a, z in zip(names, zooms)}
    for a, o in zip("xyz", origin):
        if a in per:
            per[a] = (per[a][0], per[a][1], o)
    per.setdefault("c", (1.0, None, 0.0))
    f.add("", load, transpose=order, axes=axes, units=[per[a][1] for a in axes],
          scale=[per[a][0] for a in axes], translation=[per[a][2] for a in axes], attributes=kept)


def _ordinary(a: np.ndarray) -> np.ndarray:
    """The same values as a plain array or memory map."""
    return a if type(a) in (np.ndarray, np.memmap) else np.asarray(a)


# ------------------------------------------------------------------------------------------- HDF5

def hdf5(f: File) -> None:
    """All datasets, or those behind ::path; groups and attributes as they are."""
    h5py = need("h5py")
    try:
        file = h5py.File(f.path, "r")
    except OSError as e:
        raise StoreError(f"it can't be opened as HDF5: {e}") from None
    with file:
        try:
            root = file[f.inner] if f.inner else file
        except KeyError:
            raise StoreError(f"there is no '{f.inner}' in it") from None
        if isinstance(root, h5py.Dataset):
            _hdf5_dataset(f, h5py, root, root.name, one=True)
            return
        if root.attrs:
            _group(f, "" if root.name == "/" else f.names.of(root.name), attributes(root.attrs))
        for name, node in _hdf5_walk(h5py, root):
            if isinstance(node, h5py.Dataset):
                _hdf5_dataset(f, h5py, node, name, one=False)
            elif node.attrs:
                _group(f, f.names.of(name), attributes(node.attrs))


def _group(f: File, path: str, given: dict) -> None:
    try:
        _array.group(path, given)
    except StoreError as e:
        f.left_out(f"attributes of {path}", str(e))


def _hdf5_walk(h5py: Any, root: Any) -> Iterator[tuple]:
    """Every group and dataset below, by name; links into other files are left alone."""
    for key in sorted(root):
        if not isinstance(root.get(key, getlink=True), (h5py.HardLink, h5py.SoftLink)):
            continue
        try:
            node = root[key]
        except (KeyError, OSError):
            continue  # a link that leads nowhere
        name = f"{root.name.rstrip('/')}/{key}"
        yield name, node
        if isinstance(node, h5py.Group) and root.get(key, getclass=True, getlink=True) is h5py.HardLink:
            yield from _hdf5_walk(h5py, node)


def _hdf5_dataset(f: File, h5py: Any, d: Any, name: str, one: bool) -> None:
    kept = attributes({k: v for k, v in d.attrs.items()
                       if k not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME",
                                    "_Netcdf4Dimid", "_Netcdf4Coordinates", "_FillValue")})
    if d.shape is None or d.dtype.kind not in "biufc":
        why = "it is empty" if d.shape is None else f"its type, {d.dtype}, is no number's"
        if one:
            raise StoreError(f"'{name}' can't be served: {why}")
        f.left_out(name, why)
        return
    parameters: dict = {"attributes": kept, "dims": _hdf5_dims(d)}
    if d.fillvalue is not None and np.ndim(d.fillvalue) == 0 and np.any(d.fillvalue):
        parameters["fill_value"] = d.fillvalue
    offset = d.id.get_offset()
    mapped = d.size > 0 and offset is not None and not d.external and d.file.userblock_size == 0 \
        and d.dtype.kind in "iufc" and d.id.get_create_plist().get_nfilters() == 0
    shape, dtype, where, path = d.shape, d.dtype, d.name, f.path

    def load() -> Any:
        if mapped:  # contiguous: the server reads it
            return np.memmap(path, dtype, "r", offset, shape or (1,)).reshape(shape)
        return h5py.File(path, "r")[where]

    (f.add if one else f.try_add)(name, load, **parameters)


def _hdf5_dims(d: Any) -> Optional[tuple]:
    """Names of the axes: their labels, or the names of the scales that are attached to them."""
    names = []
    for dim in d.dims:
        name = dim.label
        if not name and len(dim):
            name = dim[0].name.rpartition("/")[2]
        names.append(name)
    return tuple(names) if names and all(names) and len(set(names)) == len(names) else None


# ------------------------------------------------------------------------------------------- TIFF

def tiff(f: File) -> None:
    """Each series of a file is an image with its levels; ::N is the N-th alone."""
    tifffile = need("tifffile")
    try:
        file = tifffile.TiffFile(f.path)
    except Exception as e:
        raise StoreError(f"it can't be read: {e}{whose_python(e)}") from None
    with file:
        if f.inner and not (f.inner.isdigit() and int(f.inner) < len(file.series)):
            raise StoreError(f"'::{f.inner}' must be the number of one of its {len(file.series)} series")
        chosen = [int(f.inner)] if f.inner else range(len(file.series))
        for i in chosen:
            one = len(file.series) == 1 or bool(f.inner)
            _tiff_series(f, tifffile, file, i, "" if one else f"series{i}", one)


def _tiff_series(f: File, tifffile: Any, file: Any, i: int, name: str, one: bool) -> None:
    series = file.series[i]
    letters = series.axes.replace("S", "c").lower()
    add = f.add if one else f.try_add
    levels = [(k, level.shape, level.dataoffset, level.dtype) for k, level in enumerate(series.levels)]
    tiled = series.keyframe.is_tiled

    def load() -> Any:
        return [_tiff_level(tifffile, f.path, i, *level) for level in levels]

    order, parameters = _tiff_axes(letters)
    if order is None:
        add(name, lambda: load()[0], dims=tuple(letters) if len(set(letters)) == len(letters) else None)
        return
    scale, units, channels, kept = _tiff_places(tifffile, file, i)
    axes = parameters["axes"]
    if not tiled:
        shape = tuple(series.shape[j] for j in order)
        parameters["chunks"] = _source.default_chunks(shape, axes)
    if channels and "c" not in axes:
        channels = channels[:1]
    add(name, load if len(levels) > 1 else lambda: load()[0], transpose=order, attributes=kept,
        scale=[scale.get(a, 1.0) for a in axes], units=[units.get(a) for a in axes],
        channels=channels if len(channels) == (series.shape[letters.index("c")] if "c" in axes else 1)
        else None, **parameters)


def _tiff_axes(letters: str) -> tuple:
    """The order that makes axes out of t, c, z, y, x of a series' own; (None, {}): they aren't."""
    known = [a for a in "tczyx" if a in letters]
    if len(set(letters)) != len(letters) or len(known) != len(letters) or not {"y", "x"} <= set(known):
        return None, {}
    return tuple(letters.index(a) for a in known), {"axes": "".join(known)}


def _tiff_level(tifffile: Any, path: str, i: int, k: int, shape: tuple, offset: Any, dtype: Any) -> Any:
    """One level of a series: a map where it lies in one piece, else sliced through zarr, or in memory."""
    if offset is not None and math.prod(shape) > 0:
        with tifffile.TiffFile(path) as file:
            order = file.byteorder
        return np.memmap(path, np.dtype(dtype).newbyteorder(order), "r", offset, tuple(shape))
    try:
        zarr = importlib.import_module("zarr")
        file = tifffile.TiffFile(path)  # stays open as long as the store
        return zarr.open(file.series[i].aszarr(level=k), mode="r")
    except ImportError:
        with tifffile.TiffFile(path) as file:
            return file.series[i].levels[k].asarray()


def _tiff_places(tifffile: Any, file: Any, i: int) -> tuple:
    """(scale by axis, units by axis, channel names, attributes) as OME or ImageJ say them."""
    if file.is_ome and file.ome_metadata:
        return _ome_places(file.ome_metadata, i)
    meta = attributes(file.imagej_metadata or {}) if file.is_imagej else {}
    scale, units = {}, {}
    if file.is_imagej:
        unit = {"micron": "micrometer", "um": "micrometer", "\\u00B5m": "micrometer",
                "\u00b5m": "micrometer"}.get(str(meta.get("unit")), meta.get("unit"))
        unit = unit if unit in _check.SPATIAL_UNITS or unit in _check.UNIT_SHORT else None
        for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
            value = file.pages[0].tags.get(tag)
            if value is not None and value.value[0] > 0 and unit:
                scale[axis] = value.value[1] / value.value[0]
        if isinstance(meta.get("spacing"), (int, float)) and meta["spacing"] > 0:
            scale["z"] = float(meta["spacing"])
        if isinstance(meta.get("finterval"), (int, float)) and meta["finterval"] > 0:
            scale["t"], units["t"] = float(meta["finterval"]), "second"
        units.update({a: unit for a in "zyx"} if unit else {})
    names = meta.get("Labels")
    kept = {k: v for k, v in meta.items() if k not in ("Overlays", "ROI", "LUTs", "IJMetadata")}
    shaped = file.shaped_metadata
    if shaped:
        kept.update(attributes(shaped[0]))
    return scale, units, names if isinstance(names, list) else [], {"tiff": kept} if kept else {}


def _ome_places(text: str, i: int) -> tuple:
    from xml.etree import ElementTree
    scale: dict = {}
    units: dict = {}
    names: list = []
    try:
        images = [e for e in ElementTree.fromstring(text).iter() if e.tag.endswith("}Image")]
        pixels = next(e for e in images[i] if e.tag.endswith("}Pixels"))
    except (ElementTree.ParseError, IndexError, StopIteration):
        return scale, units, names, {}
    for axis in "XYZ":
        size = pixels.get(f"PhysicalSize{axis}")
        if size is not None and float(size) > 0:
            scale[axis.lower()] = float(size)
            unit = pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")
            unit = _check.UNIT_SHORT.get(unit, unit)
            if unit in _check.SPATIAL_UNITS:
                units[axis.lower()] = unit
    step = pixels.get("TimeIncrement")
    if step is not None and float(step) > 0:
        scale["t"] = float(step)
        unit = _check.UNIT_SHORT.get(pixels.get("TimeIncrementUnit", "s"))
        if unit in _check.TIME_UNITS:
            units["t"] = unit
    for n, e in enumerate(e for e in pixels if e.tag.endswith("}Channel")):
        names.append(e.get("Name") or str(n))
    kept = {"ome_name": images[i].get("Name")} if images[i].get("Name") else {}
    return scale, units, names, kept
