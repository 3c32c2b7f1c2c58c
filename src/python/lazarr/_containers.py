"""Zarr (v2, v3) and N5 folders as stores: their hierarchy, and OME-NGFF and N5 multiscale groups as images
with their levels. Metadata are read here; the values by zarr-python, N5's by the few lines below."""
from __future__ import annotations

import bz2
import functools
import itertools
import json
import lzma
import os
import zlib
from typing import Any, Iterator, Optional

import numpy as np

from . import _array, _check
from ._errors import StoreError, whose_python
from ._files import File, _group, attributes, need

TIME, SPACE = "time", "space"


def _json(path: str) -> Optional[dict]:
    try:
        with open(path, "rb") as f:
            doc = json.load(f)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise StoreError(f"'{path}' can't be read: {e}") from None
    if not isinstance(doc, dict):
        raise StoreError(f"'{path}' must be a JSON object")
    return doc


class Node:
    """An array or a group in a Zarr folder."""

    def __init__(self, root: str, path: str):
        self.root, self.path = root, path
        self.folder = os.path.join(root, path) if path else root
        v3 = _json(os.path.join(self.folder, "zarr.json"))
        self.version = 2 if v3 is None else 3
        if v3 is not None:
            self.is_array = v3.get("node_type") == "array"
            self.is_group = not self.is_array
            self.meta, self.attributes = v3, v3.get("attributes") or {}
        else:
            array = _json(os.path.join(self.folder, ".zarray"))
            self.is_array, self.meta = array is not None, array or {}
            self.is_group = array is None and os.path.exists(os.path.join(self.folder, ".zgroup"))
            self.attributes = _json(os.path.join(self.folder, ".zattrs")) or {} \
                if array is not None or self.is_group else {}

    def children(self) -> Iterator["Node"]:
        for name in sorted(os.listdir(self.folder)):
            if not name.startswith(".") and os.path.isdir(os.path.join(self.folder, name)):
                node = Node(self.root, f"{self.path}/{name}".lstrip("/"))
                if node.is_array or node.is_group:
                    yield node

    def multiscale(self) -> Optional[dict]:
        """The first multiscale image that a group says it is."""
        ome = self.attributes.get("ome")
        found = (ome if isinstance(ome, dict) else self.attributes).get("multiscales")
        if isinstance(found, list) and found and isinstance(found[0], dict) \
                and isinstance(found[0].get("datasets"), list) and found[0]["datasets"]:
            return found[0]
        return None

    def ome(self, name: str) -> Any:
        ome = self.attributes.get("ome")
        return (ome if isinstance(ome, dict) else self.attributes).get(name)


def zarr(f: File) -> None:
    root = Node(f.path, f.inner)
    if not root.is_array and not root.is_group:
        raise StoreError(f"no Zarr array or group{f' at {f.inner!r}' if f.inner else ''}: neither "
                         "zarr.json nor .zarray nor .zgroup is there")
    if root.is_array:
        _zarr_array(f, root, one=True)
    else:
        _zarr_group(f, root, None)


def _open(node: Node) -> Any:
    """The array by the environment's zarr."""
    module = need("zarr")
    if node.version == 3 and int(module.__version__.split(".")[0]) < 3:
        raise StoreError(f"'{node.path or '/'}' is Zarr v3, which zarr {module.__version__} of this "
                         "environment can't read: pip install 'zarr>=3'")
    try:
        return module.open(node.folder, mode="r")
    except Exception as e:
        raise StoreError(f"'{node.path or '/'}' can't be opened: {e}{whose_python(e)}") from None


def _fill(node: Node) -> Any:
    v = node.meta.get("fill_value")
    return None if v in (None, 0, 0.0, False, "") or isinstance(v, (dict, list)) else v


def _zarr_array(f: File, node: Node, one: bool) -> None:
    kept = dict(node.attributes)
    dims = node.meta.get("dimension_names") or kept.pop("_ARRAY_DIMENSIONS", None)
    if not isinstance(dims, list) or not dims or not all(isinstance(d, str) and d for d in dims) \
            or len(set(dims)) != len(dims):
        dims = None
    (f.add if one else f.try_add)(node.path, lambda: _open(node), attributes=attributes(kept),
                                  dims=dims and tuple(dims), fill_value=_fill(node))


def _zarr_group(f: File, node: Node, image: Optional[Any]) -> None:
    """image: the image whose labels are in this group, or None."""
    scales = node.multiscale()
    made, levels = None, set()
    if scales is not None:
        made = _image(f, node, scales, image)
        if made is not None:
            levels = {os.path.normpath(d["path"]) for d in scales["datasets"]}
    kept = {k: v for k, v in node.attributes.items()
            if k not in ("multiscales", "omero", "ome", "image-label", "labels")}
    if made is None and kept:
        _group(f, f.names.of(node.path) if node.path else "", attributes(kept))
    for child in node.children():
        name = child.path.rpartition("/")[2]
        if name in levels:
            continue
        if child.is_array:
            _zarr_array(f, child, one=False)
        else:
            _zarr_group(f, child, made if name == "labels" else image)


def _axes(scales: dict, rank: int) -> Optional[tuple]:
    """(axes, units), or None where they aren't what lazarr calls an image's."""
    given = scales.get("axes")
    if given is None:  # OME-NGFF 0.1 and 0.2
        return ("tczyx", None) if rank == 5 else None
    names = [a.get("name") if isinstance(a, dict) else a for a in given]
    units = [a.get("unit") if isinstance(a, dict) else None for a in given]
    try:
        _check.axes(names, rank)
        _check.units(units, tuple(names))
    except StoreError:
        units = [None] * len(names)
        try:
            _check.axes(names, rank)
        except StoreError:
            return None
    return "".join(names), units if any(units) else None


def _places(scales: dict, rank: int) -> tuple:
    """(scale, translation) of each level, with what is said of all of them; None where nothing is."""
    def of(holder: dict) -> tuple:
        scale, translation = [1.0] * rank, [0.0] * rank
        for t in holder.get("coordinateTransformations") or []:
            if isinstance(t.get("scale"), list):
                scale = [a * b for a, b in zip(scale, t["scale"])]
                translation = [a * b for a, b in zip(translation, t["scale"])]
            if isinstance(t.get("translation"), list):
                translation = [a + b for a, b in zip(translation, t["translation"])]
        return scale, translation

    if not any(d.get("coordinateTransformations") for d in scales["datasets"]):
        return None, None
    over, shift = of(scales)
    levels = [of(d) for d in scales["datasets"]]
    return ([[a * b for a, b in zip(s, over)] for s, _ in levels],
            [[a * b + c for a, b, c in zip(t, over, shift)] for _, t in levels])


def _image(f: File, node: Node, scales: dict, image: Optional[Any]) -> Optional[Any]:
    nodes = [Node(node.root, os.path.normpath(f"{node.path}/{d.get('path')}").lstrip("/"))
             for d in scales["datasets"]]
    shape = nodes[0].meta.get("shape")
    if not all(n.is_array for n in nodes) or not isinstance(shape, list):
        f.left_out(node.path, "its multiscales name no arrays")
        return None
    axes = _axes(scales, len(shape))
    if axes is None:
        f.left_out(f"{node.path or '/'} as an image", "its axes are none of t, c, z, y, x in that order")
        return None
    scale, translation = _places(scales, len(shape))
    labels = node.ome("image-label") is not None
    name = node.path
    if labels and image is not None:  # "labels" is a name that formats use: beside their image
        name = f"{os.path.dirname(image.path)}/{node.path.rpartition('/')[2]}".lstrip("/")
    kept = {k: v for k, v in node.attributes.items()
            if k not in ("multiscales", "omero", "ome", "image-label", "labels")}
    channels = (node.ome("omero") or {}).get("channels")
    return f.try_add(name, lambda: [_open(n) for n in nodes], axes=axes[0], units=axes[1], scale=scale,
                     translation=translation, kind="labels" if labels else None,
                     labels_of=image if labels else None, attributes=attributes(kept),
                     channels=_channels(channels), fill_value=_fill(nodes[0]))


def _channels(given: Any) -> Optional[list]:
    """OMERO channels, with colours as lazarr wants them."""
    if not isinstance(given, list) or not all(isinstance(c, dict) for c in given) or not given:
        return None
    out = []
    for c in given:
        c = dict(c)
        if not isinstance(c.get("label", ""), str):
            c["label"] = str(c["label"])
        if isinstance(c.get("color"), str):
            c["color"] = c["color"].lstrip("#")[:6]
        out.append(c)
    return out


# --------------------------------------------------------------------------------------------- N5

def is_n5(folder: str) -> bool:
    """A folder that is N5, by its name or its metadata, and not Zarr."""
    if os.path.exists(os.path.join(folder, "zarr.json")) or \
            os.path.exists(os.path.join(folder, ".zgroup")) or \
            os.path.exists(os.path.join(folder, ".zarray")):
        return False
    return folder.rstrip("/").lower().endswith(".n5") or \
        os.path.exists(os.path.join(folder, "attributes.json"))


class N5Array:
    """An N5 dataset as an array-like, axes in C order (N5 names the fastest first)."""

    def __init__(self, folder: str, meta: dict):
        self.folder = folder
        try:
            self.shape = tuple(int(n) for n in reversed(meta["dimensions"]))
            self.chunks = tuple(int(n) for n in reversed(meta["blockSize"]))
            self.dtype = np.dtype(meta["dataType"])
        except (KeyError, TypeError, ValueError) as e:
            raise StoreError(f"'{folder}': its attributes.json is no dataset's: {e}") from None
        c = meta.get("compression", meta.get("compressionType", "raw"))
        self.compression = c if isinstance(c, dict) else {"type": c}
        if len(self.chunks) != len(self.shape) or any(c < 1 for c in self.chunks):
            raise StoreError(f"'{folder}': blockSize and dimensions don't go together")

    def _decode(self, data: bytes, where: str) -> bytes:
        kind = self.compression.get("type")
        if kind == "raw":
            return data
        if kind == "gzip":
            return zlib.decompress(data, zlib.MAX_WBITS | 32)
        if kind == "bzip2":
            return bz2.decompress(data)
        if kind == "xz":
            return lzma.decompress(data)
        if kind in ("blosc", "zstd", "zstandard"):
            codec = {"id": "blosc"} if kind == "blosc" else {"id": "zstd"}
            return bytes(need("numcodecs").get_codec(codec).decode(data))
        raise StoreError(f"{where}: compression {kind!r} isn't supported")

    def _block(self, pos: tuple) -> Optional[np.ndarray]:
        path = os.path.join(self.folder, *(str(p) for p in reversed(pos)))
        try:
            with open(path, "rb") as f:
                data = f.read()
        except FileNotFoundError:
            return None  # N5's way to say: all 0
        rank = len(self.shape)
        mode, n = (int.from_bytes(data[i:i + 2], "big") for i in (0, 2))
        if mode not in (0, 1) or n != rank or len(data) < 4 + 4 * rank:
            raise ValueError(f"{path}: no N5 block of {rank} axes")
        shape = tuple(int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in reversed(range(rank)))
        raw = self._decode(data[4 + 4 * rank + (4 if mode == 1 else 0):], path)
        return np.frombuffer(raw, self.dtype.newbyteorder(">")).reshape(shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Slices without steps, as blocks are."""
        key = key if isinstance(key, tuple) else (key,)
        spans = [k.indices(n)[:2] for k, n in zip(key, self.shape)]
        out = np.zeros([max(0, b - a) for a, b in spans], self.dtype)
        grid = [range(a // c, -(-b // c) if b > a else a // c) for (a, b), c in zip(spans, self.chunks)]
        for pos in itertools.product(*grid):
            block = self._block(pos)
            if block is None:
                continue
            to, of = [], []
            for (a, b), p, c, n in zip(spans, pos, self.chunks, block.shape):
                low, high = max(a, p * c), min(b, p * c + n)
                to.append(slice(low - a, max(low, high) - a))
                of.append(slice(low - p * c, max(low, high) - p * c))
            out[tuple(to)] = block[tuple(of)]
        return out


def n5(f: File) -> None:
    folder = os.path.join(f.path, f.inner) if f.inner else f.path
    if not os.path.isdir(folder):
        raise StoreError(f"there is no '{f.inner}' in it")
    _n5_node(f, folder, f.inner, one=True)


OWN = ("dimensions", "blockSize", "dataType", "compression", "compressionType", "n5")
PLACES = ("pixelResolution", "resolution", "units", "downsamplingFactors", "axes", "scales", "offset",
          "multiScale", "multiscales")


def _n5_node(f: File, folder: str, path: str, one: bool) -> None:
    meta = _json(os.path.join(folder, "attributes.json")) or {}
    if "dimensions" in meta:
        rank = len(meta["dimensions"])
        place = _n5_place(meta, {}, rank)
        kept = {k: v for k, v in meta.items() if k not in OWN and not (place and k in PLACES)}
        (f.add if one else f.try_add)(path, lambda: N5Array(folder, meta), attributes=attributes(kept),
                                      **place)
        return
    names = sorted(n for n in os.listdir(folder) if os.path.isdir(os.path.join(folder, n)))
    levels = [n for n in (f"s{k}" for k in range(len(names))) if n in names]
    if levels and levels[0] == "s0" and _n5_levels(f, folder, path, meta, levels):
        names = [n for n in names if n not in levels]
    elif attributes({k: v for k, v in meta.items() if k != "n5"}):
        _group(f, f.names.of(path) if path else "",
               attributes({k: v for k, v in meta.items() if k != "n5"}))
    for name in names:
        _n5_node(f, os.path.join(folder, name), f"{path}/{name}".lstrip("/"), one=False)


def _n5_levels(f: File, folder: str, path: str, meta: dict, names: list) -> bool:
    """s0, s1 … as the levels of an image."""
    metas = [_json(os.path.join(folder, n, "attributes.json")) or {} for n in names]
    if not all("dimensions" in m and len(m["dimensions"]) == len(metas[0]["dimensions"]) for m in metas):
        return False
    rank = len(metas[0]["dimensions"])
    place = _n5_place(metas[0], meta, rank) or _n5_default(rank)
    if not place:
        return False
    first = place.get("scale") or [1.0] * rank
    scales, shifts = [], []
    for k, m in enumerate(metas):
        factors = m.get("downsamplingFactors") or \
            (meta["scales"][k] if isinstance(meta.get("scales"), list) and k < len(meta["scales"])
             else meta["downsamplingFactors"][k] if isinstance(meta.get("downsamplingFactors"), list)
             and k < len(meta["downsamplingFactors"]) and isinstance(meta["downsamplingFactors"][k], list)
             else None)
        if not isinstance(factors, list) or len(factors) != rank:
            scales = []
            break
        down = [float(v) for v in reversed(factors)]
        scales.append([s * d for s, d in zip(first, down)])
        shifts.append([(d - 1) / 2 * s for s, d in zip(first, down)])
    if scales and len(metas) > 1:
        place.update(scale=scales, translation=shifts)
    kept = attributes({k: v for k, v in meta.items() if k not in PLACES and k != "n5"})
    arrays = [functools.partial(N5Array, os.path.join(folder, n), m) for n, m in zip(names, metas)]
    return f.try_add(path, lambda: [make() for make in arrays], attributes=kept, **place) is not None


def _n5_default(rank: int) -> dict:
    return {"axes": "tczyx"[5 - rank:]} if rank in (2, 3) else \
        {"axes": "czyx"} if rank == 4 else {"axes": "tczyx"} if rank == 5 else {}


def _n5_place(meta: dict, group: dict, rank: int) -> dict:
    """axes, units and scale, where a dataset or its group says how large its voxels are."""
    size = meta.get("pixelResolution") or group.get("pixelResolution")
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
        else _n5_default(rank).get("axes", "")
    units = list(reversed(unit)) if isinstance(unit, list) and len(unit) == rank else \
        [unit if a in "zyx" else None for a in axes]
    try:
        _check.axes(axes, rank)
    except StoreError:
        return {}
    place: dict = {"axes": axes, "scale": [float(v) for v in reversed(size)]}
    try:
        units = [u if isinstance(u, str) and u else None for u in units]
        _check.units(units, tuple(axes))
        place["units"] = units
    except StoreError:
        pass  # px and the like: no unit of length
    return place
