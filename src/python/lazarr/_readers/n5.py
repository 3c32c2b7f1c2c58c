"""N5 containers: their hierarchy, their blocks, and groups of s0, s1 … as images (n5_places.py)."""
from __future__ import annotations

import functools
import struct
from typing import Any, Optional

import numpy as np

from .. import _levels
from .._errors import StoreError
from . import codecs, n5_places, trust, unpack, zarr_codec
from .blocks import Blocks
from .file import File
from .tree import join

OWN = ("dimensions", "blockSize", "dataType", "compression", "compressionType", "n5")


def is_n5(f: File) -> bool:
    """A container that is N5, by its name or its metadata, and not Zarr."""
    if any(f.tree.exists(n) for n in ("zarr.json", ".zgroup", ".zarray")):
        return False
    return f.lower.endswith(".n5") or f.tree.exists("attributes.json")


class N5Array(Blocks):
    """An N5 dataset as an array-like, axes in C order (N5 names the fastest first)."""

    def __init__(self, tree: Any, path: str, meta: dict[Any, Any]):
        self._tree, self._path = tree, path
        vars(self).update(tree.said(path))
        try:
            self.shape = codecs.integers("dimensions", meta.get("dimensions"))[::-1]
            self.chunks = codecs.integers("blockSize", meta.get("blockSize"))[::-1]
            if not isinstance(meta.get("dataType"), str) or meta["dataType"] not in codecs.N5_NUMBERS:
                raise StoreError(f"its type, {meta.get('dataType')!r:.100}, is no number's")
            self.dtype = np.dtype(meta["dataType"])
            self.compression = codecs.n5(meta)
            self.bytes = trust.block(self.chunks, self.dtype.itemsize)
        except StoreError as e:
            raise StoreError(f"'{path or '/'}': its attributes.json is no dataset's: {e}") from None
        if len(self.chunks) != len(self.shape):
            raise StoreError(f"'{path or '/'}': blockSize and dimensions don't go together")
        if self.compression == "lz4":
            self._is_lz4()

    def _is_lz4(self) -> None:
        """StoreError where the first block is another lz4 than lz4-java's, which is N5's: there are several."""
        at = 4 + 4 * len(self.shape)
        head = self._tree.read(join(self._path, *("0" for _ in self.shape)), at + 8, 0, at + 8)
        if head and head[:2] == b"\0\0" and len(head) == at + 8 and head[at:] != b"LZ4Block":
            raise StoreError(f"'{self._path or '/'}': its blocks are no lz4 streams as lz4-java writes them")

    def block(self, pos: tuple[Any, ...]) -> Optional[np.ndarray]:
        path = join(self._path, *(str(p) for p in reversed(pos)))
        data = self._tree.read(path, unpack.packed_limit(self.bytes))
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
        if self.compression == "lz4":
            raw = _lz4(raw, size)
        elif self.compression != "raw":
            raw = unpack.unpack(self.compression, raw, size, {})
        if len(raw) != size:
            raise ValueError(f"{path}: a block of {len(raw)} bytes, where its head says {size}")
        return np.frombuffer(raw, self.dtype.newbyteorder(">")).reshape(shape)


def _lz4(data: Any, limit: int) -> bytes:
    """lz4-java's stream of blocks, each with a head of 21 bytes; what it unpacks to, at most limit bytes."""
    out, at, have = [], 0, 0
    while at < len(data):
        magic, kind, packed, size, _ = struct.unpack_from("<8sBiiI", bytes(data[at:at + 21]).ljust(21, b"\0"))
        at += 21
        if magic != b"LZ4Block" or kind & 0xf0 not in (0x10, 0x20) or packed < 0 or size < 0:
            raise ValueError("the block is no lz4 stream as lz4-java writes it")
        if size == 0:
            break
        have += size
        if have > limit:
            raise unpack.too_much(limit)
        part = data[at:at + packed]
        if len(part) != packed:
            raise ValueError("the lz4 stream ends too early")
        at += packed
        out.append(bytes(part) if kind & 0xf0 == 0x10 else
                   bytes(unpack.unpack("lz4", struct.pack("<i", size) + bytes(part), size, {})))
    return b"".join(out)


def n5(f: File) -> None:
    if f.tree.leads_out(f.inner):
        raise StoreError(f"there is no '{f.inner}' in it")
    # Each folder once, whatever leads to it.
    seen: dict[Any, Any] = {}
    todo = [(f.inner, True, 0)]
    while todo:
        path, one, depth = todo.pop()
        try:
            first = seen.setdefault(f.tree.identity(path), path)
        except StoreError:
            raise StoreError(f"there is no '{path}' in it") from None
        if first != path:
            f.left_out(path, f"it is the folder that is served as '{first or '/'}'")
            continue
        f.count()
        try:
            names = _node(f, path, one)
        except StoreError as e:
            if one:
                raise
            f.left_out(path, str(e))
            continue
        if names and depth >= trust.MAX_DEPTH:
            f.left_out(path, f"what is in it lies deeper than {trust.MAX_DEPTH} groups")
            continue
        todo.extend((join(path, name), False, depth + 1) for name in reversed(names))


def _document(f: File, path: str) -> dict[Any, Any]:
    return f.document(join(path, "attributes.json")) or {}


def _node(f: File, path: str, one: bool) -> list[Any]:
    """Serves what a folder itself is; the names of the folders in it that are left."""
    where = path or "/"
    try:
        meta = _document(f, path)
    except StoreError as e:
        below = [n for n in f.tree.folders(path) or [] if not n.isdecimal()]
        if not below:  # a dataset's blocks lie in numbers, and what they are isn't known
            raise
        f.left_out(f"{where}: attributes", str(e))
        return below
    if "dimensions" in meta:
        rank = len(codecs.integers("dimensions", meta["dimensions"]))
        place = n5_places.of_dataset(f, where, meta, rank)
        used = n5_places.OWN if "axes" in place else ("axes",) if "dims" in place else ()
        kept = {k: v for k, v in meta.items() if k not in OWN and k not in used}
        (f.add if one else f.try_add)(path, lambda: N5Array(f.tree, path, meta), **place,
                                      attributes=f.attributes(where, kept), **zarr_codec.n5(meta))
        return []
    names = f.tree.folders(path) or []
    found = set(names)
    stack = [n for n in (f"s{k}" for k in range(len(names))) if n in found]
    if stack and stack[0] == "s0" and levels(f, path, meta, stack):
        return [n for n in names if n not in set(stack)]
    own = {k: v for k, v in meta.items() if k != "n5"}
    if own:
        f.group(f.names.of(path) if path else "", own)
    return names


def levels(f: File, path: str, meta: dict[Any, Any], names: list[Any]) -> bool:
    """s0, s1 … as the levels of an image; those that don't go with s0 are said."""
    where, said = path or "/", meta
    metas: list[Any] = []
    kept: list[str] = []
    for n in names:
        m = _document(f, join(path, n))
        if not isinstance(m.get("dimensions"), list) or kept and (len(m["dimensions"]), m.get("dataType")) != \
                (len(metas[0]["dimensions"]), metas[0].get("dataType")):
            if not kept:
                return False
            f.left_out(join(path, n), "it isn't a level like s0")
            continue
        if kept and 0 in m["dimensions"] and 0 not in metas[0]["dimensions"]:
            f.left_out(join(path, n), "it has no voxels, and s0 has")
            continue
        if kept:
            try:
                N5Array(f.tree, join(path, n), m)
            except StoreError as e:
                f.left_out(join(path, n), f"it is no level: {e}")
                continue
        if len(kept) == _levels.MAX_LEVELS:
            f.left_out(f"{join(path, n)} and all above", f"lazarr has at most {_levels.MAX_LEVELS} levels")
            break
        metas.append(m)
        kept.append(n)
    if path.rpartition("/")[2] == "data" and "painteraData" not in meta:  # Paintera says it of the group around
        try:
            around = _document(f, path.rpartition("/")[0]).get("painteraData")
        except StoreError:  # which is said where that group is looked at
            around = None
        meta = meta if around is None else {**meta, "painteraData": around}
    rank = len(metas[0]["dimensions"])
    place = n5_places.of_levels(f, where, meta, metas, rank, [int(n[1:]) for n in kept])
    if not place:
        return False
    own = {k: v for k, v in said.items() if k not in n5_places.OWN and k not in (*n5_places.LOOKS, "n5")}
    more = n5_places.looks(f, where, meta, metas[0], place)
    labels_of = more.pop("labels_of", None)
    arrays = [functools.partial(N5Array, f.tree, join(path, n), m) for n, m in zip(kept, metas)]
    attributes = {**f.attributes(where, own), **more.pop("attributes", {})}
    made = f.try_add(path, lambda: [make() for make in arrays], attributes=attributes, **place, **more,
                     labels_of=labels_of, **zarr_codec.n5(metas[0]))
    return made is not None
