"""TIFF through tifffile: each series of a file is an image with its levels; ::N is the N-th alone."""
from __future__ import annotations

import importlib
import math
import os
from typing import Any

import numpy as np

from .. import _source
from .._errors import StoreError
from . import tiff_codecs, tiff_pages, tiff_places, trust
from .file import File, need, why


def tiff(f: File) -> None:
    tifffile = need("tifffile")
    tiff_codecs.guard(tifffile)
    try:
        tiff_pages.check(f.path)
        with tifffile.TiffFile(f.path, _multifile=False) as file:
            root = tiff_places.ome(f, file.ome_metadata) if file.is_ome else None
            how = how_opened(f, file, root)
        file = tifffile.TiffFile(f.path, **how)
        n = len(file.series)
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None
    with file:
        if f.inner and not (f.inner.isdigit() and int(f.inner) < n):
            raise StoreError(f"'::{f.inner}' must be the number of one of its {n} series")
        chosen = [int(f.inner)] if f.inner else range(n)
        one = n == 1 or bool(f.inner)
        for i in chosen:
            f.count()
            try:
                _series(f, tifffile, file, i, "" if one else f"series{i}", one, how, root)
            except Exception as e:
                if one:
                    raise StoreError(f"it can't be read: {why(e)}") from None
                f.left_out(f"series{i}", why(e))


def how_opened(f: File, file: Any, root: Any) -> dict[Any, Any]:
    """What tifffile may take from the file: its OME-XML if that is sound, and the other files that it names
    if all of them are to be read."""
    if file.is_ome and root is None:
        return {"is_ome": False, "_multifile": False}
    names = set()
    for e in root.iter() if root is not None else ():
        if str(e.tag).endswith("}UUID") and e.get("FileName"):
            names.add(e.get("FileName"))
    own = os.path.basename(f.path).lower()
    try:
        for name in sorted(n for n in names if n.lower() != own):
            tiff_pages.check(trust.other_file(os.path.join(os.path.dirname(f.path), name), f.path, f.follow))
    except StoreError as e:
        f.left_out("what other files hold of its images", str(e))
        return {"is_ome": False, "_multifile": False}
    return {"_multifile": True}


def _series(f: File, tifffile: Any, file: Any, i: int, name: str, one: bool, how: dict[Any, Any],
            root: Any) -> None:
    series = file.series[i]
    letters = series.axes.replace("S", "c").lower()
    missing = sum(page is None for page in series.pages)
    if missing:
        f.left_out(f"{missing} planes of series {i}", "they aren't in the file: their values are 0")
    add = f.add if one else f.try_add
    levels = [(k, level.shape, level.dataoffset, level.dtype, tiff_codecs.check(tifffile, level))
              for k, level in enumerate(series.levels)]
    tiled = series.keyframe.is_tiled

    def load() -> Any:
        return [_level(tifffile, f.path, how, i, *level) for level in levels]

    order, parameters = _axes(letters)
    if order is None:
        add(name, lambda: load()[0], dims=tuple(letters) if len(set(letters)) == len(letters) else None)
        return
    try:
        scale, units, channels, kept = tiff_places.places(f, file, i, root)
    except Exception as e:
        f.left_out(f"series {i}: scale, units and channels", why(e))
        scale, units, channels, kept = {}, {}, [], {}
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


def _axes(letters: str) -> tuple[Any, ...]:
    """The order that makes axes out of t, c, z, y, x of a series' own; (None, {}): they aren't."""
    known = [a for a in "tczyx" if a in letters]
    if len(set(letters)) != len(letters) or len(known) != len(letters) or not {"y", "x"} <= set(known):
        return None, {}
    return tuple(letters.index(a) for a in known), {"axes": "".join(known)}


def _level(tifffile: Any, path: str, how: dict[Any, Any], i: int, k: int, shape: tuple[Any, ...], offset: Any, dtype: Any,
           where: tuple[Any, ...]) -> Any:
    """One level of a series: a map where it lies in one piece, else sliced through zarr, or in memory.
    where: the file that has it, which may be another one, and its byte order."""
    if offset is not None and math.prod(shape) > 0:
        return np.memmap(where[0], np.dtype(dtype).newbyteorder(where[1]), "r", offset, tuple(shape))
    try:
        zarr = importlib.import_module("zarr")
        file = tifffile.TiffFile(path, **how)  # stays open as long as the store
        store = file.series[i].aszarr(level=k)
    except (ImportError, ValueError):  # no zarr, or one that this tifffile is too new for
        trust.block(tuple(shape), np.dtype(dtype).itemsize, trust.MAX_WHOLE)
        with tifffile.TiffFile(path, **how) as file:
            return file.series[i].levels[k].asarray()
    opened = zarr.open(store, mode="r")
    trust.block(tuple(int(c) for c in opened.chunks), opened.dtype.itemsize,
                trust.MAX_BLOCK if file.series[i].levels[k].keyframe.is_tiled else trust.MAX_STRIP)
    return opened
