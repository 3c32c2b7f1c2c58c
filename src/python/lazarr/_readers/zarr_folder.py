"""Zarr containers (v2, v3), folders, archives and URLs: their hierarchy."""
from __future__ import annotations

import posixpath
from typing import Any, Iterator, Optional

import numpy as np

from .._errors import StoreError
from . import masks, ngff, plates, texts, trust, zarr_codec, zarr_fill, zarr_open, zarr_texts
from .file import File, why
from .tree import join


class Node:
    """An array or a group in a Zarr container. path may begin with ../ where --follow lets it."""

    def __init__(self, f: File, path: str):
        self.f, self.path = f, path
        v3 = self._document("zarr.json")
        self.version = 2 if v3 is None else 3
        if v3 is not None:
            self.is_array = v3.get("node_type") == "array"
            self.is_group = not self.is_array
            self.meta, self.attributes = v3, v3.get("attributes") or {}
        else:
            array = self._document(".zarray")
            self.is_array, self.meta = array is not None, array or {}
            self.is_group = array is None and f.tree.exists(join(path, ".zgroup"))
            self.attributes = self._attributes() if array is not None or self.is_group else {}
        if not isinstance(self.attributes, dict):
            f.left_out(f"{self.where}: attributes", "they are no JSON object")
            self.attributes = {}

    @property
    def where(self) -> str:
        """Its name in what is said of it."""
        return self.path or "/"

    def _document(self, name: str) -> Optional[dict[Any, Any]]:
        return self.f.document(join(self.path, name))

    def _attributes(self) -> dict[Any, Any]:
        try:
            return self._document(".zattrs") or {}
        except StoreError as e:  # what they are of is as good without them
            self.f.left_out(f"{self.where}: .zattrs", str(e))
            return {}

    @property
    def identity(self) -> Any:
        return self.f.tree.identity(self.path)

    def children(self) -> Iterator["Node"]:
        names = self.f.tree.folders(self.path)
        for name in plates.named_in(self) if names is None else names:
            path = join(self.path, name)
            try:
                node = Node(self.f, path)
            except StoreError as e:
                self.f.left_out(path, str(e))
                continue
            if node.is_array or node.is_group:
                yield node

    def level(self, path: Any) -> "Node":
        """A level of the image that this group says it is; StoreError where it lies outside."""
        if not isinstance(path, str):
            raise StoreError("its multiscales name no arrays")
        joined = posixpath.normpath(posixpath.join(self.path, path))
        if not self.f.follow and (joined == ".." or joined.startswith(("../", "/"))):
            raise StoreError(f"its level '{path}' lies outside of the folder that was named: --follow "
                             "reads it")
        return Node(self.f, "" if joined == "." else joined)

    def open(self) -> Any:
        return zarr_open.open_array(self.where, self.f.tree, self.path, self.version, self.meta)

    def ome(self, name: str) -> Any:
        """What OME-Zarr says under a name: in "ome" since 0.5, else beside the other attributes."""
        ome = self.attributes.get("ome")
        return (ome if isinstance(ome, dict) else self.attributes).get(name)

    @property
    def dtype(self) -> np.dtype:
        """StoreError where it is no number's."""
        return zarr_fill.dtype(self.meta, self.version)

    @property
    def fill(self) -> Any:
        return zarr_fill.fill(self.meta, self.version)

    @property
    def compressor(self) -> Any:
        return zarr_codec.compressor(self.meta, self.version)


def zarr(f: File) -> None:
    if f.tree.leads_out(f.inner):
        raise StoreError(f"'{f.inner}' lies outside of it")
    root = Node(f, f.inner)
    if not root.is_array and not root.is_group:
        raise StoreError(f"no Zarr array or group{f' at {f.inner!r}' if f.inner else ''}: neither "
                         "zarr.json nor .zarray nor .zgroup is there")
    if root.is_array:
        _array(f, root, one=True)
        return
    # Each folder once, whatever leads to it. image: the image whose labels are in a group, or None.
    seen: dict[Any, Any] = {}
    levels: set[Any] = set()  # the arrays that images are made of
    todo: list[Any] = [(root, None, 0)]
    while todo:
        node, image, depth = todo.pop()
        if node.is_array and node.identity in levels:
            continue
        first = seen.setdefault(node.identity, node.path)
        if first != node.path:
            f.left_out(node.path, f"it is the folder that is served as '{first or '/'}'")
            continue
        f.count()
        if node.is_array:
            _array(f, node, one=False)
        elif depth >= trust.MAX_DEPTH:
            f.left_out(node.path, f"it lies deeper than {trust.MAX_DEPTH} groups")
        else:
            todo.extend(reversed([(child, its, depth + 1) for child, its in _group(f, node, image, levels)]))


def _dims(f: File, node: Node, given: Any) -> Optional[tuple[Any, ...]]:
    """The names of an array's axes; None where they are none, which is said where it isn't plain."""
    rank = len(node.meta["shape"]) if isinstance(node.meta.get("shape"), list) else 0
    if not given or isinstance(given, list) and all(d is None for d in given):
        return None
    if not isinstance(given, list) or len(given) != rank:
        f.left_out(f"{node.where}: names of axes", f"{given!r:.100} doesn't name its {rank} axes")
        return None
    if not all(isinstance(d, str) and d for d in given) or len(set(given)) != len(given):
        f.left_out(f"{node.where}: names of axes", f"{given!r:.100} aren't all different names")
        return None
    return tuple(given)


def _array(f: File, node: Node, one: bool) -> None:
    kept = dict(node.attributes)
    old = kept.pop("_ARRAY_DIMENSIONS", None)
    try:
        form = zarr_texts.form(node.meta, node.version)
        if form is not None:
            dims = _dims(f, node, node.meta.get("dimension_names") if node.version == 3 else None) or _dims(f, node, old)
            texts.add(f, node.path, lambda: zarr_texts.values(form, f.tree, node.path), dims,
                      f.attributes(node.where, kept))
            return
    except Exception as e:  # chunks may hold anything
        if one:
            raise StoreError(f"its texts can't be read: {why(e)}") from None
        f.left_out(node.where, why(e))
        return
    try:
        fill = zarr_fill.given(node.meta, node.version)
    except StoreError as e:
        if one:
            raise
        f.left_out(node.where, str(e))
        return
    dims = _dims(f, node, node.meta.get("dimension_names") if node.version == 3 else None) or \
        _dims(f, node, old)
    kept = f.attributes(node.where, kept)
    fill = masks.zarr(f, node.where, fill, node.dtype, kept, node.version == 2, bool(dims))
    (f.add if one else f.try_add)(node.path, node.open, attributes=kept, dims=dims, fill_value=fill,
                                  **node.compressor)


def _group(f: File, node: Node, image: Optional[Any], levels: set[Any]) -> Iterator[tuple[Any, ...]]:
    """Serves what a group itself is, and gives (child, the image whose labels it holds) of those in it.
    levels: gets the arrays that an image of it is made of."""
    made = None
    try:
        made = ngff.image(f, node, image, levels)
    except StoreError as e:
        f.left_out(node.where, str(e))
    if made is None:
        kept = plates.attributes(f, node, image)
        if kept:
            f.group(f.names.of(node.path) if node.path else "", kept)
    for child in node.children():
        labels = child.is_group and child.path.rpartition("/")[2] == "labels"
        yield child, made if labels and made is not None and made.kind == "image" else image
