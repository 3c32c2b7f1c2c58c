"""Where a container (Zarr, N5, precomputed) lies: a folder. zips.py and remote.py have the same for an
archive and for a URL."""
from __future__ import annotations

import os
from typing import Any, Optional

from .._errors import StoreError
from . import trust


def join(*parts: str) -> str:
    """A key out of parts that may be empty."""
    return "/".join(p for p in parts if p)


class Folder:
    """A folder's files by keys that are separated by slashes; "" is the folder. follow: links, and keys that
    begin with ../, may lead out of it. Any thread."""

    def __init__(self, path: str, follow: bool):
        self.path, self.follow = path, follow

    def place(self, key: str) -> str:
        """What a key is called where people read it."""
        return self.local(key)

    def local(self, key: str) -> str:
        """The path of what a key names."""
        return os.path.join(self.path, key) if key else self.path

    def read(self, key: str, limit: int, start: int = 0, count: Optional[int] = None) -> Optional[bytes]:
        """A file's bytes, at most `limit`, or count of them from start (negative: from the end). None: there is
        none. StoreError where it isn't to be read."""
        if self.leads_out(key):
            raise StoreError(f"'{key:.200}' lies outside of the folder that was named: --follow reads it")
        return trust.read(self.local(key), limit, self.path, self.follow, start, count)

    def exists(self, key: str) -> bool:
        return os.path.exists(self.local(key))

    def folders(self, key: str) -> Optional[list[Any]]:
        """The names of the folders in a folder; those that are links come last: what they lead to may be here
        under its own name. None: that can't be told."""
        folder = self.local(key)
        try:
            names = [n for n in os.listdir(folder) if not n.startswith(".")]
        except OSError as e:
            raise StoreError(f"'{folder}' can't be listed: {e.strerror}") from None
        found = [n for n in names if os.path.isdir(os.path.join(folder, n))]
        return sorted(found, key=lambda n: (os.path.islink(os.path.join(folder, n)), n))

    def identity(self, key: str) -> Any:
        """Two keys of one identity are one folder."""
        try:
            st = os.stat(self.local(key))
        except OSError as e:
            raise StoreError(f"'{self.local(key)}' can't be opened: {e.strerror}") from None
        return st.st_dev, st.st_ino

    def leads_out(self, key: str) -> bool:
        """Whether a key lies outside, which only --follow may read: one with .., or an absolute path."""
        return not self.follow and (key.startswith("/") or ".." in key.split("/")) \
            and not trust.below(self.local(key), self.path)

    def said(self, key: str) -> dict[Any, Any]:
        """What an array-like says of the files that it is in (_opened asks)."""
        return {"folder": self.local(key)}
