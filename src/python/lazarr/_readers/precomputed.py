"""Neuroglancer's precomputed volumes: raw and compressed_segmentation chunks are read here, also those that
cloud-volume has packed (.gz, .br); shards and pictures (jpeg, png …) through tensorstore or cloud-volume."""
from __future__ import annotations

import functools
import math
import posixpath
from typing import Any, Optional

import numpy as np

from .. import _levels
from .._errors import StoreError
from . import places, segments, trust, unpack
from .blocks import Blocks
from .compseg import decode
from .file import File
from .tree import join

TYPES = {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32"}
BOX = "compressed_segmentation_block_size"
#: Voxels of such a box: the index of one is unpacked at once.
MAX_BOX = 1 << 22
#: Members of an info that become the image's own parameters.
OWN = ("@type", "type", "data_type", "num_channels", "scales", "segment_properties")


def is_precomputed(f: File) -> bool:
    """A container with an info, and neither Zarr nor N5."""
    if f.tree.exists("info"):
        return not any(f.tree.exists(n) for n in ("zarr.json", ".zgroup", ".zarray", "attributes.json"))
    return bool(f.inner) and f.tree.exists(join(f.inner, "info"))


class Scale:
    """One level as its info describes it, checked; lists in C order: channel, z, y, x. StoreError says what
    makes no sense."""

    def __init__(self, info: dict[Any, Any], scale: Any, index: int):
        if not isinstance(scale, dict):
            raise StoreError("it is no object")
        self.index = index
        self.channels = info.get("num_channels", 1)
        dtype = info.get("data_type")
        if not isinstance(dtype, str) or dtype.lower() not in TYPES:
            raise StoreError(f"its data_type {dtype!r:.100} is none")
        self.dtype = np.dtype(dtype.lower())
        if isinstance(self.channels, bool) or not isinstance(self.channels, int) or self.channels < 1:
            raise StoreError(f"its num_channels {self.channels!r:.100} is none")
        self.size = self._three(scale, "size", 0)
        sizes = scale.get("chunk_sizes")
        self.chunk = self._three({"chunk_sizes": sizes[0] if isinstance(sizes, list) and sizes else sizes},
                                 "chunk_sizes", 1)
        self.offset = self._three(dict(scale, voxel_offset=scale.get("voxel_offset", [0, 0, 0])), "voxel_offset",
                                  None)
        self.encoding = scale.get("encoding", "raw")
        self.sharded = isinstance(scale.get("sharding"), dict)
        key = scale.get("key")
        if not isinstance(key, str) or key.startswith("/"):
            raise StoreError(f"its key {key!r:.100} is none")
        self.key = posixpath.normpath(key)
        box = scale.get(BOX, [8, 8, 8])
        self.box = self._three({BOX: box}, BOX, 1)
        if math.prod(self.box) > MAX_BOX:
            raise StoreError(f"its {BOX} {box!r:.100} is larger than {MAX_BOX} voxels")
        self.bytes = trust.block((self.channels, *self.chunk), self.dtype.itemsize)

    @staticmethod
    def _three(holder: dict[Any, Any], name: str, least: Optional[int]) -> tuple[Any, ...]:
        v = holder.get(name)
        if not isinstance(v, list) or len(v) != 3 or not all(
                isinstance(n, int) and not isinstance(n, bool) and (least is None or n >= least) for n in v):
            raise StoreError(f"its {name} {v!r:.100} isn't three whole numbers that fit")
        return tuple(reversed(v))


class Volume(Blocks):
    """A level as an array-like of axes czyx, or zyx where it has one channel."""

    def __init__(self, tree: Any, path: str, scale: Scale):
        self._tree, self._scale, self._path = tree, scale, join(path, scale.key)
        vars(self).update(tree.said(self._path))
        lead = (scale.channels,) if scale.channels > 1 else ()
        self.shape, self.chunks, self.dtype = lead + scale.size, lead + scale.chunk, scale.dtype

    def _file(self, name: str) -> Optional[Any]:
        limit = unpack.packed_limit(self._scale.bytes)
        data = self._tree.read(name, limit)
        if data is not None:
            return data
        data = self._tree.read(name + ".gz", limit)
        if data is not None:
            return unpack.unpack("gzip", data, limit, {})
        if self._tree.exists(name + ".br"):
            raise StoreError(f"'{name}.br' is packed with brotli, which lazarr doesn't read")
        return None

    def block(self, pos: tuple[Any, ...]) -> Optional[np.ndarray]:
        s = self._scale
        low = [p * c for p, c in zip(pos[-3:], s.chunk)]
        shape = tuple(min(c, n - a) for c, n, a in zip(s.chunk, s.size, low))
        name = "_".join(f"{o + a}-{o + a + n}" for o, a, n in zip(s.offset[::-1], low[::-1], shape[::-1]))
        data = self._file(join(self._path, name))
        if data is None:
            return None  # as its readers take it: all 0
        full = (s.channels, *shape)
        if s.encoding == "compressed_segmentation":
            values = decode(data, full, s.dtype, s.box)
        else:
            size = math.prod(full) * s.dtype.itemsize
            if len(data) != size:
                raise ValueError(f"{name}: a chunk of {len(data)} bytes, where its info says {size}")
            values = np.frombuffer(data, s.dtype.newbyteorder("<")).reshape(full)
        return values if s.channels > 1 else values[0]


def _opener(f: File, path: str, scale: Scale) -> Any:
    """What opens a level."""
    if not scale.sharded and scale.encoding in ("raw", "compressed_segmentation"):
        if scale.encoding != "raw" and scale.dtype.name not in ("uint32", "uint64"):
            raise StoreError(f"its encoding is for uint32 and uint64, and it is {scale.dtype}")
        return functools.partial(Volume, f.tree, path, scale)
    from . import precomputed_by
    return precomputed_by.opener(f, path, scale)


def _scales(f: File, where: str, info: dict[Any, Any]) -> list[Any]:
    """The (description, Scale) of levels that make sense, the finest first; the others are said."""
    given = info.get("scales")
    if not isinstance(given, list) or not given:
        raise StoreError("its info names no scales")
    out: list[Any] = []
    for k, s in enumerate(given):
        try:
            made = Scale(info, s, k)
            if f.tree.leads_out(join(f.inner, made.key)):
                raise StoreError(f"its key '{made.key}' lies outside of the folder that was named")
        except StoreError as e:
            f.left_out(f"{where}: scale {k}", str(e))
            continue
        if out and 0 in made.size and 0 not in out[0][1].size:
            f.left_out(f"{where}: scale {k}", "it has no voxels, and the first one has")
            continue
        if len(out) == _levels.MAX_LEVELS:
            f.left_out(f"{where}: scale {k} and all above", f"lazarr has at most {_levels.MAX_LEVELS} levels")
            break
        out.append((s, made))
    if not out:
        raise StoreError("none of its scales can be read")
    return out


def _numbers(f: File, where: str, given: Any, first: Optional[list[Any]]) -> list[Any]:
    """A resolution in C order; of what makes no sense 1, or the finest level's."""
    listed = given[::-1] if isinstance(given, list) and len(given) == 3 else [None] * 3
    if first is not None:
        for i, v in enumerate(listed):
            made = places.number(v)
            if made is None or made <= 0:
                f.left_out(f"{where}: resolution of {'zyx'[i]}", f"{v!r:.100} is no size: that of the level below "
                           "is taken")
                listed[i] = first[i]
    return places.scale(f, where, listed, "zyx")


def precomputed(f: File) -> None:
    info = f.document(join(f.inner, "info"))
    where = f.inner or "/"
    if info is None:
        raise StoreError(f"there is no info in '{f.inner}'")
    if info.get("@type", "neuroglancer_multiscale_volume") != "neuroglancer_multiscale_volume":
        raise StoreError(f"its info is of {info['@type']!r:.100}, no volume")
    scales = _scales(f, where, info)
    first = scales[0][1]
    sizes: list[Any] = []
    for s, made in scales:
        sizes.append(_numbers(f, f"{where}: scale {made.index}", s.get("resolution"), sizes[0] if sizes else None))
    # Levels begin at their corners, and lazarr counts from the centre of voxel 0 of the finest.
    shifts = [[o * r + (r - r0) / 2 for o, r, r0 in zip(made.offset, size, sizes[0])]
              for (_, made), size in zip(scales, sizes)]
    lead = [1.0] if first.channels > 1 else []
    labels = info.get("type") == "segmentation"
    if labels and first.dtype.kind not in "iu" or labels and first.channels > 1:
        f.left_out(f"{where} as labels", f"they are one channel of integers, and it has {first.channels} of "
                   f"{first.dtype}: it is an image")
        labels = False
    if "type" in info and info["type"] not in ("image", "segmentation"):
        f.left_out(f"{where}: type", f"{info['type']!r:.100} is neither image nor segmentation: it is an image")
    for name in ("mesh", "skeletons"):
        if info.get(name):
            f.left_out(f"{where}: {name}", "lazarr serves voxels")
    kept = f.attributes(where, {k: v for k, v in info.items() if k not in (*OWN, "mesh", "skeletons")})
    named = info.get("segment_properties")
    if named is not None:
        kept.update(segments.properties(f, where, join(f.inner, str(named)), labels))
    openers = [_opener(f, f.inner, made) for _, made in scales]
    encoding = {"precomputed_encoding": "raw" if first.encoding == "raw" else "compressed_segmentation"} \
        if labels and first.encoding in ("raw", "compressed_segmentation") and \
        first.dtype.name in ("uint32", "uint64") else {}
    f.add(f.inner, lambda: [make() for make in openers], axes="czyx" if lead else "zyx", units="nanometer",
          scale=[lead + s for s in sizes], translation=[[0.0] * len(lead) + t for t in shifts],
          kind="labels" if labels else None, attributes=kept, **encoding)
