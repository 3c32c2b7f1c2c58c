"""Zarr folders (v2, v3): their hierarchy."""
from __future__ import annotations

import os
from typing import Any, Iterator, Optional

from .._errors import StoreError
from . import attributes, masks, ngff, trust, zarr_open
from .file import File


class Node:
    """An array or a group in a Zarr folder. path may begin with ../ where --follow lets it."""

    def __init__(self, f: File, path: str):
        self.f, self.path = f, path
        self.folder = os.path.join(f.path, path) if path else f.path
        v3 = self._document("zarr.json")
        self.version = 2 if v3 is None else 3
        if v3 is not None:
            self.is_array = v3.get("node_type") == "array"
            self.is_group = not self.is_array
            self.meta, self.attributes = v3, v3.get("attributes") or {}
        else:
            array = self._document(".zarray")
            self.is_array, self.meta = array is not None, array or {}
            self.is_group = array is None and os.path.exists(os.path.join(self.folder, ".zgroup"))
            self.attributes = self._attributes() if array is not None or self.is_group else {}
        if not isinstance(self.attributes, dict):
            self.attributes = {}

    def _document(self, name: str) -> Optional[dict[Any, Any]]:
        return attributes.document(os.path.join(self.folder, name), self.f.path, self.f.follow)

    def _attributes(self) -> dict[Any, Any]:
        try:
            return self._document(".zattrs") or {}
        except StoreError as e:  # what they are of is as good without them
            self.f.left_out(f"{self.path or '/'}: .zattrs", str(e))
            return {}

    @property
    def identity(self) -> tuple[Any, ...]:
        st = os.stat(self.folder)
        return st.st_dev, st.st_ino

    def children(self) -> Iterator["Node"]:
        for name in folders(self.folder):
            path = f"{self.path}/{name}".lstrip("/")
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
        joined = os.path.normpath(os.path.join(self.path, path))
        if not self.f.follow and (joined == ".." or joined.startswith(("../", "/"))):
            raise StoreError(f"its level '{path}' lies outside of the folder that was named: --follow "
                             "reads it")
        return Node(self.f, "" if joined == "." else joined)

    def open(self) -> Any:
        return zarr_open.open_array(self.path or "/", self.f.path, self.folder, self.version, self.meta,
                                    self.f.follow)

    def multiscale(self) -> Optional[dict[Any, Any]]:
        """The first multiscale image that a group says it is."""
        found = self.ome("multiscales")
        if isinstance(found, list) and found and isinstance(found[0], dict) \
                and isinstance(found[0].get("datasets"), list) and found[0]["datasets"]:
            return found[0]
        return None

    def ome(self, name: str) -> Any:
        ome = self.attributes.get("ome")
        return (ome if isinstance(ome, dict) else self.attributes).get(name)

    @property
    def fill(self) -> Any:
        v = self.meta.get("fill_value")
        return None if v in (None, 0, 0.0, False, "") or isinstance(v, (dict, list)) else v


def folders(folder: str) -> list[Any]:
    """The names of the folders in a folder; those that are links come last: what they lead to may be here
    under its own name."""
    try:
        names = [n for n in os.listdir(folder) if not n.startswith(".")]
    except OSError as e:
        raise StoreError(f"'{folder}' can't be listed: {e.strerror}") from None
    found = [n for n in names if os.path.isdir(os.path.join(folder, n))]
    return sorted(found, key=lambda n: (os.path.islink(os.path.join(folder, n)), n))


def zarr(f: File) -> None:
    root = Node(f, f.inner)
    if not f.follow and not trust.below(root.folder, f.path) and ".." in f.inner.split("/"):
        raise StoreError(f"'{f.inner}' lies outside of it")
    if not root.is_array and not root.is_group:
        raise StoreError(f"no Zarr array or group{f' at {f.inner!r}' if f.inner else ''}: neither "
                         "zarr.json nor .zarray nor .zgroup is there")
    if root.is_array:
        _array(f, root, one=True)
        return
    # Each folder once, whatever leads to it. image: the image whose labels are in a group, or None.
    seen: dict[Any, Any] = {}
    todo: list[Any] = [(root, None, 0)]
    while todo:
        node, image, depth = todo.pop()
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
            todo.extend(reversed([(child, its, depth + 1) for child, its in _group(f, node, image)]))


def _array(f: File, node: Node, one: bool) -> None:
    kept = dict(node.attributes)
    dims = node.meta.get("dimension_names") or kept.pop("_ARRAY_DIMENSIONS", None)
    if not isinstance(dims, list) or not dims or not all(isinstance(d, str) and d for d in dims) \
            or len(set(dims)) != len(dims):
        dims = None
    kept = f.attributes(node.path or "/", kept)
    (f.add if one else f.try_add)(node.path, node.open, attributes=kept, dims=dims and tuple(dims),
                                  fill_value=masks.zarr(f, node.path or "/", node.meta, kept, dims))


def _group(f: File, node: Node, image: Optional[Any]) -> Iterator[tuple[Any, ...]]:
    """Serves what a group itself is, and gives (child, the image whose labels it holds) of those in it."""
    scales = node.multiscale()
    made, levels = None, set()
    if scales is not None:
        try:
            made = ngff.image(f, node, scales, image)
        except StoreError as e:
            f.left_out(node.path or "/", str(e))
        if made is not None:
            levels = {os.path.normpath(d["path"]) for d in scales["datasets"]}
    kept = {k: v for k, v in node.attributes.items() if k not in ngff.OWN}
    if made is None and kept:
        f.group(f.names.of(node.path) if node.path else "", kept)
    for child in node.children():
        name = child.path.rpartition("/")[2]
        if name not in levels:
            yield child, made if name == "labels" and child.is_group else image
