"""TIFF through tifffile: each series of a file is an image with its levels; ::N is the N-th alone."""
from __future__ import annotations

import importlib
import math
import os
from typing import Any

import numpy as np

from .. import _source
from .._errors import StoreError
from . import frames, places, tiff_codecs, tiff_pages, tiff_places, tiff_samples, trust
from .file import File, need, why

#: How a file is opened whose OME-XML isn't to be believed.
NOT_OME = {"is_ome": False, "_multifile": False}


def tiff(f: File) -> None:
    tifffile = need("tifffile")
    tiff_codecs.guard(tifffile)
    try:
        tiff_pages.check(f.path)
        # tifffile goes by the name, and what is called so need not be one.
        named, ndpi = f.lower.endswith(".ndpi"), tiff_pages.is_ndpi(f.path)
        kind = {"is_ndpi": ndpi} if named != ndpi else {}
        with tifffile.TiffFile(f.path, _multifile=False, **kind) as file:
            root = tiff_places.ome(f, file.ome_metadata) if file.is_ome else None
            how = {**how_opened(f, file, root), **kind}
        try:
            file = tifffile.TiffFile(f.path, **how)
            n = len(file.series)
        except Exception as e:
            if root is None:
                raise
            f.left_out("OME-XML", why(e))  # sizes or numbers in it that are none
            root, how = None, {**NOT_OME, **kind}
            file = tifffile.TiffFile(f.path, **how)
            n = len(file.series)
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None
    with file:
        if f.inner and not (f.inner.isdecimal() and int(f.inner) < n):
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
        return NOT_OME
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
        return NOT_OME
    return {"_multifile": True}


def _series(f: File, tifffile: Any, file: Any, i: int, name: str, one: bool, how: dict[Any, Any],
            root: Any) -> None:
    series = file.series[i]
    where = name or f"series {i}"
    missing = sum(page is None for page in series.pages)
    if missing:
        f.left_out(f"{missing} planes of series {i}", "they aren't in the file: their values are 0")
    add = f.add if one else f.try_add
    levels = [(k, level.shape, level.dataoffset, level.dtype, tiff_codecs.check(tifffile, level))
              for k, level in enumerate(series.levels)]
    shape = list(series.shape)
    cut = tiff_samples.without_alpha(f, series, where)
    if cut:
        shape[cut[0]] = cut[1]

    def load() -> Any:
        made = [_level(tifffile, f.path, how, i, *level) for level in levels]
        made = [tiff_samples.first(a, *cut) for a in made] if cut else made
        return made if len(made) > 1 else made[0]

    if int(series.keyframe.photometric) == tiff_samples.PHOTOMETRIC_PALETTE:
        f.left_out(f"{where}: colour map", "the values are served, not the colours that they stand for")
    order, axes = frames.axes_of(series.axes)
    try:
        given = tiff_places.said(file, i, root)
    except Exception as e:
        f.left_out(f"{where}: scale, units and channels", why(e))
        given = tiff_places.Said({}, {}, [], {})
    if order is None:
        letters = series.axes.lower()
        add(name, load if len(levels) == 1 else lambda: load()[0], attributes=given.attributes,
            dims=tuple(letters) if len(set(letters)) == len(letters) else None)
        return
    parameters: dict[Any, Any] = {} if series.keyframe.is_tiled else \
        {"chunks": _source.default_chunks(tuple(shape[j] for j in order), axes)}
    n = shape[order[axes.index("c")]] if "c" in axes else 1
    described = tiff_samples.colours(series, n)
    if described is None and given.channels:
        described = given.channels[:1] if n == 1 else given.channels
        if (file.is_imagej or file.is_geotiff) and len(described) != n:
            described = None  # labels of slices, not of channels
    add(name, load, transpose=order, axes=axes, attributes=given.attributes,
        scale=places.scale(f, where, given.scale, axes), units=places.units(f, where, given.units, axes),
        channels=places.channels(f, where, described, n, series.dtype), fill_value=given.fill, **parameters)


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
