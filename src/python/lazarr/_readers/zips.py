"""Zarr and N5 in a zip archive (.zarr.zip, .ozx): read where it lies, member by member, nothing is unpacked to
disk."""
from __future__ import annotations

import lzma
import os
import threading
import zipfile
import zlib
from typing import Any, Optional

from .._errors import StoreError
from . import trust

#: Names of an archive that are looked at.
MAX_MEMBERS = 1 << 21


class Zip:
    """An archive's members by keys, as tree.Folder has files. Any thread; opened again in each process."""

    def __init__(self, path: str):
        self.path = path
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as e:
            raise StoreError(f"it is no zip archive that can be read: {e}") from None
        with archive:
            if len(archive.infolist()) > MAX_MEMBERS:
                raise StoreError(f"it holds more than {MAX_MEMBERS} members")
            self._members = {i.filename.strip("/"): i for i in archive.infolist() if not i.is_dir()}
        self._below: dict[Any, Any] = {"": set()}  # the folders in each
        for name in self._members:
            folders = name.split("/")[:-1]
            if len(folders) <= trust.MAX_DEPTH and "/".join(folders) not in self._below:
                for i, n in enumerate(folders):
                    self._below.setdefault("/".join(folders[:i]), set()).add(n)
                self._below.setdefault("/".join(folders), set())
        self.base = self._root()
        self._open: dict[Any, Any] = {}  # by process: descriptors aren't shared
        self._lock = threading.Lock()

    def _root(self) -> str:
        """The folder of the container: the archive itself, or the only one in it, as `zip -r` makes them."""
        folder = ""
        while len(self._below.get(folder, ())) == 1 and not any(
                (f"{folder}/{n}").lstrip("/") in self._members for n in
                (".zgroup", ".zarray", "zarr.json", "attributes.json", "info")):
            folder = f"{folder}/{next(iter(self._below[folder]))}".lstrip("/")
        return folder

    def _key(self, key: str) -> str:
        return f"{self.base}/{key}".strip("/")

    def place(self, key: str) -> str:
        return f"{self.path}/{self._key(key)}"

    def read(self, key: str, limit: int, start: int = 0, count: Optional[int] = None) -> Optional[bytes]:
        member = self._members.get(self._key(key))
        if member is None:
            return None
        if member.file_size > limit and (count is None or member.compress_type != zipfile.ZIP_STORED):
            raise StoreError(f"'{key}' has {member.file_size} bytes, more than the {limit} that it can need")
        at = max(0, member.file_size + start) if start < 0 else start
        size = max(0, member.file_size - at) if count is None else min(count, max(0, member.file_size - at))
        if size > limit:
            raise StoreError(f"'{key}' has {size} bytes, more than the {limit} that it can need")
        with self._lock:
            archive = self._open.get(os.getpid())
            if archive is None:
                archive = self._open[os.getpid()] = zipfile.ZipFile(self.path)
            try:
                with archive.open(member) as f:
                    f.seek(at)
                    data = f.read(size)
            except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error,
                    lzma.LZMAError) as e:  # a damaged one, each compression in its own words
                raise StoreError(f"'{key}' can't be read out of the archive: {e}") from None
        if len(data) != size:
            raise StoreError(f"'{key}' ends too early in the archive")
        return data

    def exists(self, key: str) -> bool:
        return self._key(key) in self._members or self._key(key) in self._below

    def folders(self, key: str) -> Optional[list[Any]]:
        return sorted(n for n in self._below.get(self._key(key), ()) if not n.startswith("."))

    def identity(self, key: str) -> Any:
        if self._key(key) not in self._below:
            raise StoreError(f"'{self.place(key)}' isn't there")
        return key

    def leads_out(self, key: str) -> bool:
        return ".." in key.split("/")

    def said(self, key: str) -> dict[Any, Any]:
        return {"filename": self.path}
