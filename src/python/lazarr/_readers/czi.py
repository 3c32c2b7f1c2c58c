"""Zeiss's CZI, through czifile: each scene an image, whose blocks are read as regions of it, so that no more than
the tiles below a block is unpacked. Where czifile isn't there, or an old one, through bioio."""
from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .._errors import StoreError
from . import bioio, frames, trust
from .blocks import Blocks
from .file import File, why
from .lif import check_xml
from .tiff_places import Said

TILE = 1024


class Scene(Blocks):
    """A scene as an array-like of its own axes. Opened anew in each process."""

    def __init__(self, path: str, number: int, shape: tuple[int, ...], dtype: Any, letters: str):
        czifile = importlib.import_module("czifile")
        self.filename = path
        self._image = _scenes(czifile.CziFile(path))[number]
        self._letters, self.shape, self.dtype = letters, shape, np.dtype(dtype)
        if tuple(self._image.shape) != shape or np.dtype(self._image.dtype) != self.dtype:
            raise StoreError("its scene isn't any more what it was")
        self._start = dict(zip(self._image.dims, self._image.start))
        self._corner = self._image.bbox[:2]
        self.chunks = tuple(min(n, TILE) if a in "YX" else n if a == "S" else 1 for a, n in zip(letters, shape))

    def block(self, pos: tuple[Any, ...]) -> np.ndarray:
        low = {a: p * c for a, p, c in zip(self._letters, pos, self.chunks)}
        size = {a: min(c, n - low[a]) for a, c, n in zip(self._letters, self.chunks, self.shape)}
        one = {a: int(self._start[a]) + low[a] for a in self._letters if a not in "YXS"}
        x, y = self._corner
        part = self._image(roi=(x + low["X"], y + low["Y"], size["X"], size["Y"]), **one)
        values = np.asarray(part.asarray(maxworkers=1))
        return values.astype(self.dtype, copy=False).reshape([size[a] for a in self._letters])


def _scenes(file: Any) -> list[Any]:
    return list(file.scenes.values())


def czi(f: File) -> None:
    czifile: Any = None
    try:
        czifile = importlib.import_module("czifile")
        missing = "" if hasattr(czifile.CziFile, "scenes") else f"czifile {czifile.__version__} is too old"
    except ImportError as e:
        missing = str(e)
    if missing:
        bioio.instead(f, "CZI", "czifile", missing)
        return
    try:
        with czifile.CziFile(f.path) as file:
            check_xml(file.metadata())
            found = [(i, s) for i, s in enumerate(_scenes(file))]
            if f.inner and not (f.inner.isdecimal() and int(f.inner) < len(found)):
                raise StoreError(f"'::{f.inner}' must be the number of one of its {len(found)} scenes")
            chosen = [found[int(f.inner)]] if f.inner else found
            for i, scene in chosen:
                f.count()
                _scene(f, scene, i, "" if len(chosen) == 1 else f"series{i}", len(chosen) == 1)
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None


def _scene(f: File, scene: Any, i: int, name: str, one: bool) -> None:
    where = name or "/"
    letters, shape = "".join(scene.dims), tuple(int(n) for n in scene.shape)
    dtype = np.dtype(scene.dtype)
    if "Y" not in letters or "X" not in letters or min(shape) < 1:
        raise StoreError(f"{where}: its axes are {letters}")
    trust.block(tuple(min(n, TILE) for a, n in zip(letters, shape) if a in "YX"), dtype.itemsize)
    given = scene.coord_units
    scale = {a.lower(): v for a, v in scene.coord_scales.items() if a in letters}
    units = {a.lower(): given.get(a) for a in scene.coord_scales}
    for a in "xyz":  # it says meters, which are microscopes' least
        if str(units.get(a)) == "meter" and a in scale:
            scale[a], units[a] = float(f"{float(scale[a]) * 1e6:.12g}"), "micrometer"
    channels = []
    for label, more in scene.channels.items():
        colour = more.get("Color")
        if isinstance(colour, str) and len(colour) == 9:
            colour = colour[3:]  # of #AARRGGBB
        channels.append({"label": str(more.get("name") or label), **({"color": colour} if colour else {})})
    path = f.path
    frames.image(f, name, one, letters, shape, dtype, lambda: Scene(path, i, shape, dtype, letters),
                 Said(scale, units, channels, {}), **({} if len(shape) < 2 else {"chunks": _chunks(letters, shape)}))


def _chunks(letters: str, shape: tuple[int, ...]) -> Any:
    """One plane, or tiles of it, in the order of an image's axes; None: they are none of one."""
    order, axes = frames.axes_of(letters)
    return None if order is None else tuple(min(shape[i], TILE) if a in "yx" else 1 for i, a in zip(order, axes))
