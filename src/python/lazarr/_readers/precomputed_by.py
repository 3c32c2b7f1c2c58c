"""Levels of a precomputed volume whose chunks only a library reads (shards; jpeg, png and other pictures):
through tensorstore, or where that is missing cloud-volume."""
from __future__ import annotations

import functools
import importlib
import os
from typing import Any

import numpy as np

from .._errors import StoreError, whose_python
from . import trust
from .file import File
from .tree import join


class ByTensorstore:
    """axes czyx, or zyx of one channel."""

    def __init__(self, path: str, scale: Any, said: dict[Any, Any]):
        ts: Any = importlib.import_module("tensorstore")
        kvstore = {"driver": "file", "path": path.rstrip("/") + "/"} if "://" not in path else path + "/"
        t = ts.open({"driver": "neuroglancer_precomputed", "kvstore": kvstore, "scale_index": scale.index},
                    open=True, read=True).result()
        t = t[ts.d[:].translate_to[0]].transpose([3, 2, 1, 0])
        self._t = t if scale.channels > 1 else t[0]
        vars(self).update(said)
        lead = (scale.channels,) if scale.channels > 1 else ()
        self.shape, self.chunks, self.dtype = lead + scale.size, lead + scale.chunk, scale.dtype
        if tuple(self._t.shape) != self.shape:
            raise StoreError(f"tensorstore finds the shape {list(self._t.shape)}, and its info says "
                             f"{list(self.shape)}")

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._t[key].read().result())


class ByCloudVolume:
    """The same through cloud-volume."""

    def __init__(self, path: str, scale: Any, said: dict[Any, Any]):
        cloudvolume: Any = importlib.import_module("cloudvolume")
        self._v = cloudvolume.CloudVolume(path if "://" in path else f"file://{path}", mip=scale.index,
                                          fill_missing=True, progress=False, bounded=True, parallel=1)
        self._scale = scale
        vars(self).update(said)
        lead = (scale.channels,) if scale.channels > 1 else ()
        self.shape, self.chunks, self.dtype = lead + scale.size, lead + scale.chunk, scale.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        box = tuple(slice(k.start + o, k.stop + o) for k, o in zip(key[-3:], self._scale.offset))
        values = np.asarray(self._v[box[::-1]]).transpose(3, 2, 1, 0)
        return np.asarray(values[key[0]] if self._scale.channels > 1 else values[0])


def _inside(f: File, folder: str) -> None:
    """Libraries follow links: none of a folder may lead out of what was named."""
    if f.follow or "://" in f.path:
        return
    for where in (folder, os.path.dirname(folder)):
        with os.scandir(where) as found:
            for e in found:
                if e.is_symlink() and not trust.below(e.path, f.path):
                    raise StoreError(f"'{e.name}' is a link that leads out of the folder that was named: --follow "
                                     "reads it")
                if where == folder and e.name.endswith((".gz", ".br")) and "-" in e.name:
                    raise StoreError(f"'{e.name}' is packed once more, which lazarr reads of encoding raw and "
                                     "compressed_segmentation only")


def opener(f: File, path: str, scale: Any) -> Any:
    """What opens a level; StoreError where no library for it is there."""
    what = "shards" if scale.sharded else f"encoding {scale.encoding!r:.50}"
    root, folder = f.tree.place(path), f.tree.place(join(path, scale.key))
    if not hasattr(f.tree, "local") and "://" not in f.path:
        raise StoreError(f"a scale with {what} can't be read out of an archive")
    if os.path.isdir(folder):
        _inside(f, folder)
    said = f.tree.said(join(path, scale.key))
    missing: Exception = ImportError()
    for module, make in (("tensorstore", ByTensorstore), ("cloudvolume", ByCloudVolume)):
        try:
            importlib.import_module(module)
        except ImportError as e:
            missing = e
            continue
        return functools.partial(make, root, scale, said)
    raise StoreError(f"reading precomputed with {what} needs tensorstore or cloud-volume ({missing}): pip install "
                     f"tensorstore{whose_python(missing)}") from None
