"""HDF5: all datasets of a file, or those behind ::path; groups and attributes as they are."""
from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._errors import StoreError
from . import hdf5_chunks, hdf5_images, hdf5_links, masks, netcdf4, texts, trust
from .file import File, need, shown, why


def hdf5(f: File) -> None:
    h5py = need("h5py")
    without_plugins_of(f, h5py)
    try:
        file = h5py.File(f.path, "r")
    except OSError as e:
        with open(f.path, "rb") as data:
            old = data.read(10) == b"MATLAB 5.0"
        raise StoreError("it is MATLAB's format before 7.3, which lazarr doesn't read: save it with -v7.3, or give "
                         "lazarr.source what scipy.io.loadmat reads" if old else
                         f"it can't be opened as HDF5: {e}") from None
    with hdf5_links.Links(f, h5py, file) as links:
        try:
            root = links.find(file, f.inner)
        except KeyError:
            raise StoreError(f"there is no '{f.inner}' in it") from None
        except StoreError as e:
            raise StoreError(f"'{f.inner}': {e}") from None
        if isinstance(root, h5py.Dataset):
            _dataset(f, h5py, links, root, "/" + f.inner, one=True)
        elif isinstance(root, h5py.Group):
            _walk(f, h5py, links, file, root)
        else:
            raise StoreError(f"'{f.inner}' is no group and no dataset")


def without_plugins_of(f: File, h5py: Any) -> None:
    """HDF5 looks for filters, which are code, in the folders of $HDF5_PLUGIN_PATH: relative ones and those
    that came with the file are none."""
    plugins = h5py.h5pl
    folder = os.path.dirname(os.path.realpath(f.path))
    for i in reversed(range(plugins.size())):
        path = os.fsdecode(plugins.get(i))
        if not os.path.isabs(path) or trust.below(path, folder):
            plugins.remove(i)
            f.left_out("HDF5_PLUGIN_PATH", f"plugins of '{path}', beside the file or relative, aren't loaded")


def _walk(f: File, h5py: Any, links: Any, file: Any, root: Any) -> None:
    """Every group and dataset below, by name. Each group is visited once, whatever leads to it: by its own
    name if it has one here."""
    top = f"/{f.inner}" if f.inner else ""
    seen = {links.identity(root): top or "/"}
    todo: list[Any] = [(root, top, 0)]
    late: list[Any] = []  # links by name: what they lead to may have a name of its own
    _group(f, h5py, links, root, top)
    taken = hdf5_images.bigdataviewer(f, h5py, links, file, lambda d, n: _open(f, h5py, links, d, n))
    while todo or late:
        if not todo:
            todo, late = late[::-1], []
        node, name, depth = todo.pop()
        if isinstance(node, h5py.Dataset):
            f.count()
            if name not in taken:
                _dataset(f, h5py, links, node, name, one=False)
            continue
        if isinstance(node, tuple):  # a link that is followed only now
            f.count()
            try:
                node = links.get(*node)
            except (KeyError, OSError, RuntimeError, StoreError) as e:
                f.left_out(name, str(e) if isinstance(e, StoreError) else "it leads to nothing")
                continue
            if isinstance(node, h5py.Dataset):
                _dataset(f, h5py, links, node, name, one=False)
                continue
        if not isinstance(node, h5py.Group):
            continue  # a named type
        if depth:
            first = seen.setdefault(links.identity(node), name)
            if first != name:
                f.left_out(name, f"it is the group that is served as '{first}'")
                continue
            f.count()
            _group(f, h5py, links, node, name)
        if depth >= trust.MAX_DEPTH:
            f.left_out(name, f"what is in it lies deeper than {trust.MAX_DEPTH} groups")
            continue
        below = []
        for key in sorted(node, key=os.fsdecode):  # names that are no UTF-8 come as bytes
            path = f"{name}/{os.fsdecode(key)}"
            if isinstance(hdf5_links.link(h5py, node, key), h5py.HardLink):
                try:
                    below.append((node[key], path, depth + 1))
                except (KeyError, OSError, RuntimeError) as e:
                    f.left_out(path, why(e))
            else:
                late.append(((node, key), path, depth + 1))
        todo.extend(reversed(below))


def _group(f: File, h5py: Any, links: Any, node: Any, name: str) -> None:
    kept = links.conventions.attributes(dict_of(f, node, name), h5py)
    if kept:
        f.group(f.names.of(name) if name else "", kept)


def dict_of(f: File, node: Any, name: str) -> dict[Any, Any]:
    """A node's attributes; those that can't be read are left out, said."""
    made = {}
    for key in sorted(node.attrs, key=os.fsdecode):
        try:
            made[os.fsdecode(key)] = node.attrs[key]
        except Exception as e:  # whatever HDF5 has against a damaged one
            f.left_out(f"{name or '/'}: attribute {os.fsdecode(key)}", why(e))
    return made


def _dataset(f: File, h5py: Any, links: Any, d: Any, name: str, one: bool) -> None:
    if not one and links.conventions.is_dimension(d):
        return  # its length is that of the axes that it names
    folder, _, last = name.rpartition("/")
    name = f"{folder}/{netcdf4.plain(last)}"
    try:
        if d.shape is not None and h5py.check_string_dtype(d.dtype) is not None:
            return _texts(f, h5py, links, d, name)
        parameters, load = _open(f, h5py, links, d, name)
    except Exception as e:
        if one:
            raise StoreError(f"'{shown(name)}' can't be served: {why(e)}") from None
        f.left_out(name, why(e))
        return
    (f.add if one else f.try_add)(name, load, **parameters)


def _texts(f: File, h5py: Any, links: Any, d: Any, name: str) -> None:
    """A dataset of texts: of any length, or of UTF-8, as texts, others as their bytes."""
    of = h5py.check_string_dtype(d.dtype)
    texts.check(d.shape, of.length or 1)
    links.check_storage(d)
    hdf5_chunks.check_filters(h5py, d)
    kept = links.conventions.attributes(dict_of(f, d, name), h5py)
    path, where = links.place(d)

    def load() -> Any:
        with h5py.File(path, "r") as file:
            found = file[where]
            if of.length is not None:
                return np.asarray((found.asstr() if of.encoding == "utf-8" else found)[()])
            return _in_pieces(found.asstr(), found.shape, max(32, texts.MAX_BYTES // max(1, os.path.getsize(path))))

    texts.add(f, name, load, links.conventions.dims(d, name), f.attributes(name, kept))


def _in_pieces(view: Any, shape: tuple[Any, ...], n: int) -> np.ndarray:
    """Texts of any length, n at once: many may be one long one of the file, which is in memory as often."""
    out: np.ndarray = np.empty(shape, object)
    if not shape or 0 in shape:
        out[()] = view[()] if not shape else out
        return out
    along, left = shape.index(max(shape)), texts.MAX_BYTES
    for at in np.ndindex(*(1 if i == along else m for i, m in enumerate(shape))):
        for start in range(0, shape[along], n):
            where = tuple(slice(start, start + n) if i == along else k for i, k in enumerate(at))
            part = view[where]
            left -= sum(map(len, part))
            if left < 0:
                raise StoreError(f"its texts are more than {texts.MAX_BYTES >> 20} MiB")
            out[where] = part
    return out


def _open(f: File, h5py: Any, links: Any, d: Any, name: str) -> tuple[Any, ...]:
    """(the parameters of a dataset's array, the function that opens it); StoreError says why there is none."""
    if d.shape is None or d.dtype.kind not in "biufc":
        raise StoreError("it is empty" if d.shape is None else f"its type, {d.dtype}, is no number's")
    links.check_storage(d)
    said = links.conventions
    kept = f.attributes(name, said.attributes(dict_of(f, d, name), h5py))
    parameters: dict[Any, Any] = {"attributes": kept, "dims": said.dims(d, name), "fill_value": masks.attribute(f, name, kept, d.dtype)}
    if not said.is_netcdf and "_FillValue" not in kept and d.fillvalue is not None \
            and np.ndim(d.fillvalue) == 0 and np.any(d.fillvalue):
        parameters["fill_value"] = d.fillvalue
    parameters.update(hdf5_images.axistags(f, name, kept, d.ndim))
    path, where = links.place(d)
    segments = links.segments(d)
    if segments and not hdf5_chunks.as_numpy(h5py, d):
        raise StoreError("its values are stored externally, in a form that NumPy has not")
    offset = d.id.get_offset()
    mapped = d.size > 0 and offset is not None and not d.external and d.file.userblock_size == 0 \
        and d.dtype.kind in "iufc" and hdf5_chunks.as_numpy(h5py, d) \
        and d.id.get_create_plist().get_nfilters() == 0
    shape, dtype = d.shape, d.dtype
    if not mapped:
        hdf5_chunks.check_filters(h5py, d)

    def load() -> Any:
        if segments:
            return _external(segments, shape, dtype)
        if mapped:  # contiguous: the server reads it
            return np.memmap(path, dtype, "r", offset or 0, shape or (1,)).reshape(shape)
        return hdf5_chunks.opened(h5py, path, where)

    return parameters, load


def _external(segments: list[Any], shape: tuple[Any, ...], dtype: np.dtype) -> np.ndarray:
    """Values in other files: a map of one, or, of several, all in memory."""
    if len(segments) == 1:
        path, offset, _ = segments[0]
        return np.memmap(path, dtype, "r", offset or 0, shape or (1,)).reshape(shape)
    trust.block((sum(n for _, _, n in segments),), 1, trust.MAX_WHOLE)
    parts = [np.memmap(path, np.uint8, "r", offset, (n,)) for path, offset, n in segments if n]
    return np.concatenate(parts).view(dtype).reshape(shape)

