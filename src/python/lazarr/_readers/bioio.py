"""What lazarr has no reader for, or not the library of, through bioio and whichever of its plugins is installed: each
scene an image, sliced through dask as the plugin gives it. Plugins bound nothing, so it comes last."""
from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from .._errors import StoreError, whose_python
from . import frames
from .file import File, why
from .tiff_places import Said

PLUGINS = {"CZI": "bioio-czi", "ND2": "bioio-nd2", "LIF": "bioio-lif"}


def instead(f: File, what: str, package: str, missing: str) -> None:
    """Reads a file of which the library is missing, or says what to install."""
    plugin = PLUGINS[what]
    try:
        importlib.import_module("bioio")
        importlib.import_module(plugin.replace("-", "_"))
    except ImportError as e:
        raise StoreError(f"reading {what} needs {package}, or bioio with {plugin} ({missing}): pip install "
                         f"{package}{whose_python(e)}") from None
    bioio(f)


def is_there() -> bool:
    return importlib.util.find_spec("bioio") is not None


class Lazy:
    """A scene, of which blocks are computed. letters: those of its axes that are kept; of the others the first."""

    def __init__(self, path: str, scene: int, letters: str, shape: tuple[int, ...], dtype: Any):
        image = importlib.import_module("bioio").BioImage(path)
        image.set_scene(scene)
        self.filename = path
        a = image.dask_data
        order = image.dims.order
        a = a[tuple(slice(None) if d in letters else 0 for d in order)]
        kept = [d for d in order if d in letters]
        self._a = a.transpose([kept.index(d) for d in letters])
        self.shape, self.dtype = tuple(int(n) for n in self._a.shape), np.dtype(self._a.dtype)
        if self.shape != shape or self.dtype != dtype:
            raise StoreError("its scene isn't any more what it was")
        first = [c[0] for c in self._a.chunks]
        self.chunks = tuple(int(n) for n in first) if all(
            len(set(c[:-1])) <= 1 and c[-1] <= c[0] for c in self._a.chunks) else None

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._a[key].compute(scheduler="synchronous"))


def bioio(f: File) -> None:
    try:
        image = importlib.import_module("bioio").BioImage(f.path)
        names = list(image.scenes)
    except Exception as e:
        raise StoreError(f"bioio can't read it: {why(e)}") from None
    if f.inner and not (f.inner.isdecimal() and int(f.inner) < len(names)):
        raise StoreError(f"'::{f.inner}' must be the number of one of its {len(names)} scenes")
    one = len(names) == 1 or bool(f.inner)
    for i in [int(f.inner)] if f.inner else range(len(names)):
        f.count()
        try:
            image.set_scene(i)
            _scene(f, image, i, "" if one else f"series{i}", one)
        except Exception as e:
            if one:
                raise StoreError(f"it can't be read: {why(e)}") from None
            f.left_out(f"series{i}", why(e))


def _scene(f: File, image: Any, i: int, name: str, one: bool) -> None:
    order, data = image.dims.order, image.dask_data
    letters = "".join(a for a, n in zip(order, data.shape) if a in "YXS" or n > 1)
    shape = tuple(int(n) for a, n in zip(order, data.shape) if a in letters)
    dtype, path = np.dtype(data.dtype), f.path
    scale: dict[Any, Any] = {}
    units: dict[Any, Any] = {}
    try:
        sizes = image.physical_pixel_sizes
        scale = {a.lower(): getattr(sizes, a) for a in "ZYX" if a in letters and getattr(sizes, a) is not None}
        units = {a: "micrometer" for a in scale}
        described = getattr(image, "dimension_properties", None)
        for a in "ZYX":
            unit = getattr(getattr(described, a, None), "unit", None)
            if unit and a.lower() in units:
                units[a.lower()] = str(unit)
        step = getattr(image, "time_interval", None)
        if step is not None and "T" in letters:
            scale["t"] = step.total_seconds() if hasattr(step, "total_seconds") else step
            units["t"] = "second"
    except Exception as e:
        f.left_out(f"{name or '/'}: scale and units", why(e))
    names = image.channel_names if "C" in letters or data.shape[order.index("C")] == 1 else None
    frames.image(f, name, one, letters, shape, dtype, lambda: Lazy(path, i, letters, shape, dtype),
                 Said(scale, units, [str(n) for n in names or []], {"name": str(image.current_scene)}))
