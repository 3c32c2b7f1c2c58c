"""An array of a Zarr folder by the environment's zarr-python, 2 or 3.

zarr-python never sees where it lies: it gets the checked metadata (codecs.py) and reads files through `Folder`
(here, for zarr 2) or Folder3 (zarr3.py), which unpack Zarr v2's chunks themselves, refuse links that lead
out and write nothing.
"""
from __future__ import annotations

import json
from typing import Any, Callable, Iterator, Optional

from collections.abc import MutableMapping

from .._errors import StoreError
from . import codecs, unpack
from .file import need, why
from .tree import join


def reader(tree: Any, path: str, most: int) -> Callable[..., Optional[bytes]]:
    """read(key, start, count): the bytes of a file below the array's folder; None: there is none."""
    def read(key: str, start: int = 0, count: Optional[int] = None) -> Optional[bytes]:
        if any(part in ("", ".", "..") for part in key.split("/")):
            return None
        data: Optional[bytes] = tree.read(join(path, key), most, start, count)
        return data
    return read


class Folder(MutableMapping[Any, Any]):
    """What zarr-python 2 takes for a store: one Zarr v2 array."""

    def __init__(self, read: Callable[..., Optional[bytes]], plan: codecs.Plan):
        self._read, self._packers = read, plan.packers
        self._document = json.dumps(plan.meta).encode()

    def __getitem__(self, key: str) -> bytes:
        if key == ".zarray":
            return self._document
        data = None if key.startswith(".z") or "/.z" in key else self.chunk(key)
        if data is None:
            raise KeyError(key)
        return data

    def chunk(self, key: str) -> Optional[bytes]:
        data: Any = self._read(key)
        if data is None:
            return None
        for p in self._packers:
            data = unpack.unpack(p.kind, data, p.limit, p.config)
        return data if isinstance(data, bytes) else bytes(data)

    def __contains__(self, key: object) -> bool:
        try:
            return self[str(key)] is not None
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter([".zarray"])

    def __len__(self) -> int:
        return 1

    def __setitem__(self, key: str, value: bytes) -> None:
        raise PermissionError("the file is only read")

    def __delitem__(self, key: str) -> None:
        raise PermissionError("the file is only read")


class Opened:
    """The array as an array-like that says which folder or file it is in (_opened asks)."""

    def __init__(self, array: Any, said: dict[Any, Any]):
        self._array = array
        vars(self).update(said)
        self.shape, self.chunks, self.dtype = array.shape, array.chunks, array.dtype

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]


def open_array(where: str, tree: Any, path: str, version: int, meta: dict[Any, Any]) -> Any:
    """The array; StoreError where its metadata name what isn't taken, or zarr-python can't."""
    try:
        plan: Any = codecs.v2(meta) if version == 2 else codecs.v3(meta)
    except StoreError as e:
        raise StoreError(f"'{where}' isn't opened: {e}") from None
    module = need("zarr")
    major = int(module.__version__.split(".")[0])
    if version == 3 and major < 3:
        raise StoreError(f"'{where}' is Zarr v3, which zarr {module.__version__} of this "
                         "environment can't read: pip install 'zarr>=3'")
    try:
        read = reader(tree, path, unpack.packed_limit(plan.most))
        if major < 3:
            return Opened(module.Array(Folder(read, plan), read_only=True), tree.said(path))
        from . import zarr3
        return Opened(zarr3.open_array(read, plan), tree.said(path))
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"'{where}' can't be opened: {why(e)}") from None
