"""A folder of TIFFs, through tifffile: files whose names differ in numbers only are one image, of which each is read
when a block of it is."""
from __future__ import annotations

import itertools
import os
import re
from typing import Any, Optional

import numpy as np

from .._errors import StoreError
from . import frames, tiff_codecs, tiff_pages, tiff_places, trust
from .file import File, need, why

ENDINGS = (".tif", ".tiff")
#: What names call axes: _z001, -C2, t0003, _ch1.
NAMED = re.compile(r"(?<![A-Za-z])(time|t|channel|ch|c|w|slice|z)[_-]?([0-9]+)(?![A-Za-z0-9]*[A-Za-z])", re.IGNORECASE)
LETTER = {"time": "T", "t": "T", "channel": "C", "ch": "C", "c": "C", "w": "C", "slice": "Z", "z": "Z"}


def names_of(folder: str) -> list[str]:
    """Its TIFFs, numbers in their names by value."""
    found = [n for n in os.listdir(folder) if n.lower().endswith(ENDINGS) and not n.startswith(".")]
    return sorted(found, key=lambda n: ([int(p) if k % 2 else p.lower() for k, p in enumerate(re.split("([0-9]+)", n))], n))


class Group:
    """Files of one image. grid: their numbers, of axes that letters name."""

    def __init__(self, names: list[str]):
        self.names, self.letters = names, ""
        self.grid = np.arange(len(names))
        said = [self._indices(n) for n in names]
        axes = [a for a in said[0] if any(s.get(a) != said[0][a] for s in said)]
        if len(names) < 2 or not axes or any(list(s) != list(said[0]) for s in said):
            return
        values = [sorted({s[a] for s in said}) for a in axes]
        places = {tuple(s[a] for a in axes): k for k, s in enumerate(said)}
        if len(places) != len(names) or len(names) != int(np.prod([len(v) for v in values])):
            return  # not a full grid: their order is all that is known
        self.letters = "".join(axes)
        self.grid = np.array([places[p] for p in itertools.product(*values)]).reshape([len(v) for v in values])

    @staticmethod
    def _indices(name: str) -> dict[str, int]:
        out: dict[str, int] = {}
        for word, digits in NAMED.findall(name.rpartition(".")[0]):
            out.setdefault(LETTER[word.lower()], int(digits))
        return out


def tiff_folder(f: File) -> None:
    tifffile = need("tifffile")
    tiff_codecs.guard(tifffile)
    names = names_of(f.path)
    if len(names) > frames.MAX_PLANES:
        raise StoreError(f"the folder has {len(names)} files")
    groups: dict[str, list[str]] = {}
    for n in names:
        groups.setdefault(re.sub("[0-9]+", "#", n.rpartition(".")[0]), []).append(n)
    if f.inner:
        stems = {_stem(k): v for k, v in groups.items()}
        if f.inner not in stems:
            raise StoreError(f"there is no '{f.inner}' in it: {', '.join(list(stems)[:20])}")
        groups = {f.inner: stems[f.inner]}
    one = len(groups) == 1
    for stem, these in groups.items():
        f.count()
        name = "" if one else _stem(stem)
        try:
            _group(f, tifffile, Group(these), name, one)
        except Exception as e:
            if one:
                raise StoreError(f"'{these[0]}': {why(e)}") from None
            f.left_out(name, why(e))


def _stem(stem: str) -> str:
    """A group's name: that of its files without their numbers."""
    return re.sub("[#_. -]+", "_", stem).strip("_") or "images"


def _path(f: File, name: str) -> str:
    return trust.in_folder(os.path.join(f.path, name), f.path, f.follow)


def _read(f: File, tifffile: Any, name: str) -> Any:
    path = _path(f, name)
    tiff_pages.check(path)
    with tifffile.TiffFile(path, is_ome=False, _multifile=False) as file:
        series = file.series[0]
        tiff_codecs.check(tifffile, series.levels[0])
        trust.block(tuple(int(n) for n in series.shape), np.dtype(series.dtype).itemsize, trust.MAX_WHOLE)
        return series.asarray()


def _group(f: File, tifffile: Any, group: Group, name: str, one: bool) -> None:
    first = _path(f, group.names[0])
    tiff_pages.check(first)
    with tifffile.TiffFile(first, _multifile=False) as file:
        root: Optional[Any] = tiff_places.ome(f, file.ome_metadata) if file.is_ome else None
        said = tiff_places.said(file, 0, root)
    with tifffile.TiffFile(first, is_ome=False, _multifile=False) as file:
        series = file.series[0]
        inner, letters, dtype = tuple(int(n) for n in series.shape), series.axes, np.dtype(series.dtype)
        tiff_codecs.check(tifffile, series.levels[0])
    letters = letters.replace("I", "Z").replace("Q", "Z") if "Z" not in letters else letters
    grid: Any = group.grid
    if len(group.names) == 1:
        grid, outer = group.grid.reshape(()), ""
    else:
        outer = group.letters or ("Z" if "Z" not in letters else "T" if "T" not in letters else "C")
    numbers = group.names
    shape = (*grid.shape, *inner)

    def load() -> Any:
        return frames.Planes(shape, dtype, grid.ndim, lambda pos: _read(f, tifffile, numbers[int(grid[pos])]),
                             folder=f.path)

    frames.image(f, name, one, outer + letters, shape, dtype, load, said)
