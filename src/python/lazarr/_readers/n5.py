"""N5 folders: their hierarchy, their blocks, and groups of s0, s1 … as images."""
from __future__ import annotations

import functools
import os
from typing import Any, Optional

import numpy as np

from .. import _check, _levels
from .._errors import StoreError
from . import attributes, codecs, trust, unpack
from .blocks import Blocks
from .file import File
from .zarr_folder import folders

OWN = ("dimensions", "blockSize", "dataType", "compression", "compressionType", "n5")
PLACES = ("pixelResolution", "resolution", "units", "downsamplingFactors", "axes", "scales", "offset",
          "multiScale", "multiscales")


def is_n5(folder: str) -> bool:
    """A folder that is N5, by its name or its metadata, and not Zarr."""
    if os.path.exists(os.path.join(folder, "zarr.json")) or \
            os.path.exists(os.path.join(folder, ".zgroup")) or \
            os.path.exists(os.path.join(folder, ".zarray")):
        return False
    return folder.rstrip("/").lower().endswith(".n5") or \
        os.path.exists(os.path.join(folder, "attributes.json"))


class N5Array(Blocks):
    """An N5 dataset as an array-like, axes in C order (N5 names the fastest first)."""

    def __init__(self, f: File, folder: str, meta: dict[Any, Any]):
        self.folder, self.root, self.follow = folder, f.path, f.follow
        where = os.path.relpath(folder, f.path)
        try:
            self.shape = codecs.integers("dimensions", meta.get("dimensions"))[::-1]
            self.chunks = codecs.integers("blockSize", meta.get("blockSize"))[::-1]
            if not isinstance(meta.get("dataType"), str) or meta["dataType"] not in codecs.N5_NUMBERS:
                raise StoreError(f"its type, {meta.get('dataType')!r:.100}, is no number's")
            self.dtype = np.dtype(meta["dataType"])
            self.compression = codecs.n5(meta)
            self.bytes = trust.block(self.chunks, self.dtype.itemsize)
        except StoreError as e:
            raise StoreError(f"'{where}': its attributes.json is no dataset's: {e}") from None
        if len(self.chunks) != len(self.shape):
            raise StoreError(f"'{where}': blockSize and dimensions don't go together")

    def block(self, pos: tuple[Any, ...]) -> Optional[np.ndarray]:
        path = os.path.join(self.folder, *(str(p) for p in reversed(pos)))
        data = trust.read(path, unpack.packed_limit(self.bytes), self.root, self.follow)
        if data is None:
            return None  # N5's way to say: all 0
        rank = len(self.shape)
        mode, n = (int.from_bytes(data[i:i + 2], "big") for i in (0, 2))
        at = 4 + 4 * rank + (4 if mode == 1 else 0)
        if mode not in (0, 1) or n != rank or len(data) < at:
            raise ValueError(f"{path}: no N5 block of {rank} axes")
        shape = tuple(int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in reversed(range(rank)))
        if any(s > c for s, c in zip(shape, self.chunks)):
            raise ValueError(f"{path}: a block of {shape} in an array of blocks of {self.chunks}")
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        raw: Any = memoryview(data)[at:]
        if self.compression != "raw":
            raw = unpack.unpack(self.compression, raw, size, {})
        if len(raw) != size:
            raise ValueError(f"{path}: a block of {len(raw)} bytes, where its head says {size}")
        return np.frombuffer(raw, self.dtype.newbyteorder(">")).reshape(shape)


def n5(f: File) -> None:
    folder = os.path.join(f.path, f.inner) if f.inner else f.path
    if not os.path.isdir(folder) or not f.follow and ".." in f.inner.split("/"):
        raise StoreError(f"there is no '{f.inner}' in it")
    # Each folder once, whatever leads to it.
    seen: dict[Any, Any] = {}
    todo = [(folder, f.inner, True, 0)]
    while todo:
        folder, path, one, depth = todo.pop()
        st = os.stat(folder)
        first = seen.setdefault((st.st_dev, st.st_ino), path)
        if first != path:
            f.left_out(path, f"it is the folder that is served as '{first or '/'}'")
            continue
        f.count()
        try:
            names = _node(f, folder, path, one)
        except StoreError as e:
            if one:
                raise
            f.left_out(path, str(e))
            continue
        if names and depth >= trust.MAX_DEPTH:
            f.left_out(path, f"what is in it lies deeper than {trust.MAX_DEPTH} groups")
            continue
        todo.extend((os.path.join(folder, name), f"{path}/{name}".lstrip("/"), False, depth + 1)
                    for name in reversed(names))


def _document(f: File, folder: str) -> dict[Any, Any]:
    return attributes.document(os.path.join(folder, "attributes.json"), f.path, f.follow) or {}


def _node(f: File, folder: str, path: str, one: bool) -> list[Any]:
    """Serves what a folder itself is; the names of the folders in it that are left."""
    meta = _document(f, folder)
    if "dimensions" in meta:
        rank = len(codecs.integers("dimensions", meta["dimensions"]))
        place = place_of(meta, {}, rank)
        kept = {k: v for k, v in meta.items() if k not in OWN and not (place and k in PLACES)}
        (f.add if one else f.try_add)(path, lambda: N5Array(f, folder, meta),
                                      attributes=f.attributes(path or "/", kept), **place)
        return []
    names = folders(folder)
    found = set(names)
    stack = [n for n in (f"s{k}" for k in range(len(names))) if n in found]
    own = {k: v for k, v in meta.items() if k != "n5"}
    if stack and stack[0] == "s0" and levels(f, folder, path, meta, stack):
        return [n for n in names if n not in set(stack)]
    if own:
        f.group(f.names.of(path) if path else "", own)
    return names


def levels(f: File, folder: str, path: str, meta: dict[Any, Any], names: list[Any]) -> bool:
    """s0, s1 … as the levels of an image."""
    metas = [_document(f, os.path.join(folder, n)) for n in names]
    ranks = [len(m["dimensions"]) if isinstance(m.get("dimensions"), list) else 0 for m in metas]
    if not ranks[0] or ranks != ranks[:1] * len(ranks) or len(names) > _levels.MAX_LEVELS:
        return False
    rank = len(metas[0]["dimensions"])
    place = place_of(metas[0], meta, rank) or default_axes(rank)
    if not place:
        return False
    first = place.get("scale") or [1.0] * rank
    scales: list[Any] = []
    shifts: list[Any] = []
    for k, m in enumerate(metas):
        factors = m.get("downsamplingFactors") or \
            (meta["scales"][k] if isinstance(meta.get("scales"), list) and k < len(meta["scales"])
             else meta["downsamplingFactors"][k] if isinstance(meta.get("downsamplingFactors"), list)
             and k < len(meta["downsamplingFactors"]) and isinstance(meta["downsamplingFactors"][k], list)
             else None)
        if not isinstance(factors, list) or len(factors) != rank or not all(
                isinstance(v, (int, float)) and not isinstance(v, bool) for v in factors):
            scales = []
            break
        down = [float(v) for v in reversed(factors)]
        scales.append([s * d for s, d in zip(first, down)])
        shifts.append([(d - 1) / 2 * s for s, d in zip(first, down)])
    if scales and len(metas) > 1:
        place.update(scale=scales, translation=shifts)
    kept = f.attributes(path or "/", {k: v for k, v in meta.items() if k not in PLACES and k != "n5"})
    arrays = [functools.partial(N5Array, f, os.path.join(folder, n), m) for n, m in zip(names, metas)]
    return f.try_add(path, lambda: [make() for make in arrays], attributes=kept, **place) is not None


def default_axes(rank: int) -> dict[Any, Any]:
    return {"axes": "tczyx"[5 - rank:]} if rank in (2, 3) else \
        {"axes": "czyx"} if rank == 4 else {"axes": "tczyx"} if rank == 5 else {}


def place_of(meta: dict[Any, Any], group: dict[Any, Any], rank: int) -> dict[Any, Any]:
    """axes, units and scale, where a dataset or its group says how large its voxels are."""
    size: Any = meta.get("pixelResolution") or group.get("pixelResolution")
    unit: Any = None
    if isinstance(size, dict):
        size, unit = size.get("dimensions"), size.get("unit")
    if not size:
        size, unit = meta.get("resolution") or group.get("resolution"), \
            meta.get("units") or group.get("units")
    names = meta.get("axes") or group.get("axes")
    if not isinstance(size, list) or len(size) != rank or \
            not all(isinstance(v, (int, float)) and v > 0 for v in size):
        return {}
    axes = "".join(str(n) for n in reversed(names)) if isinstance(names, list) and len(names) == rank \
        else default_axes(rank).get("axes", "")
    units = list(reversed(unit)) if isinstance(unit, list) and len(unit) == rank else \
        [unit if a in "zyx" else None for a in axes]
    try:
        _check.axes(axes, rank)
    except StoreError:
        return {}
    place: dict[Any, Any] = {"axes": axes, "scale": [float(v) for v in reversed(size)]}
    try:
        units = [u if isinstance(u, str) and u else None for u in units]
        _check.units(units, tuple(axes))
        place["units"] = units
    except StoreError:
        pass  # px and the like: no unit of length
    return place
