"""Containers at a URL (http, https, s3, gs), read through fsspec as zarr-python does: credentials and endpoints
are those that fsspec's file systems take from their environment and configuration. A file that isn't there is
one of fill values; every other failure is one, and a server that says 503 or 429 is asked again."""
from __future__ import annotations

import json
import os
import time
from typing import Any, Optional

from .._errors import StoreError
from . import attributes, trust
from .file import why

#: Seconds that a busy server is waited for, and the longest pause in them.
PATIENCE, PAUSE = 60.0, 10.0
BUSY = (429, 502, 503, 504)
PACKAGES = {"http": "fsspec aiohttp", "https": "fsspec aiohttp", "s3": "fsspec s3fs", "gs": "fsspec gcsfs"}


def is_url(path: str) -> bool:
    return path.lower().startswith(tuple(f"{s}://" for s in PACKAGES))


def _status(e: BaseException) -> Optional[int]:
    """The HTTP status of what a library raised; None where it has none."""
    for name in ("status", "code"):
        status = getattr(e, name, None)
        if isinstance(status, int):
            return status
    meta = getattr(e, "response", None)  # botocore
    if isinstance(meta, dict):
        code = meta.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return code if isinstance(code, int) else None
    cause = e.__cause__
    return _status(cause) if cause is not None else None


def _pause(e: BaseException, tries: int) -> float:
    """Seconds until it is asked again: what the server says, else twice as long each time."""
    try:
        said: Any = getattr(e, "headers", {}).get("Retry-After")
        return min(PAUSE, max(0.05, float(said)))
    except (TypeError, ValueError, AttributeError):
        return min(PAUSE, 0.1 * float(2 ** tries))


class Remote:
    """What lies below a URL by keys, as tree.Folder has files. Any thread."""

    def __init__(self, url: str):
        self.path = url.rstrip("/")
        self._fs: dict[Any, Any] = {}  # by process: file systems have threads
        self._documents: Optional[dict[Any, Any]] = None

    @property
    def fs(self) -> Any:
        made = self._fs.get(os.getpid())
        if made is None:
            scheme = self.path.partition("://")[0].lower()
            try:
                import fsspec
                made = self._fs[os.getpid()] = fsspec.filesystem(scheme)
            except (ImportError, ValueError) as e:
                raise StoreError(f"reading {scheme}:// needs {PACKAGES[scheme].replace(' ', ' and ')} ({e}): pip "
                                 f"install {PACKAGES[scheme]}") from None
        return made

    def place(self, key: str) -> str:
        return f"{self.path}/{key}".rstrip("/")

    def _ask(self, key: str, start: Optional[int], end: Optional[int]) -> Optional[bytes]:
        tries, until = 0, time.monotonic() + PATIENCE
        while True:
            try:
                data: bytes = self.fs.cat_file(self.place(key), start=start, end=end)
                return data
            except FileNotFoundError:
                return None
            except StoreError:
                raise
            except Exception as e:
                if _status(e) == 416:
                    return b""
                pause = _pause(e, tries)
                if _status(e) not in BUSY or time.monotonic() + pause > until:
                    raise StoreError(f"{self.place(key)} can't be read: {why(e)}") from None
            time.sleep(pause)
            tries += 1

    def read(self, key: str, limit: int, start: int = 0, count: Optional[int] = None) -> Optional[bytes]:
        known = self._known(key) if start == 0 and count is None else None
        if known is not None:
            return known
        if start == 0 and count is None:
            data = self._ask(key, None, None)
        else:
            data = self._ask(key, start, None if count is None or start < 0 else start + count)
        if data is not None and start < 0 and count is not None:
            data = data[:count]
        if data is not None and len(data) > limit:
            raise StoreError(f"'{self.place(key)}' has {len(data)} bytes, more than the {limit} that it can need")
        return data

    def _consolidated(self) -> dict[Any, Any]:
        """The documents that the root's consolidated metadata hold, by key; {} where it has none."""
        if self._documents is None:
            self._documents = {}
            raw = self._ask(".zmetadata", None, None)
            try:
                if raw is not None:
                    found: Any = attributes.document(raw, self.place(".zmetadata")).get("metadata")
                    self._documents = {k: v for k, v in found.items() if isinstance(v, dict)}
                else:
                    raw = self._ask("zarr.json", None, None) or b"{}"
                    root = attributes.document(raw, self.place("zarr.json"))
                    inline = root.get("consolidated_metadata")
                    found = inline.get("metadata") if isinstance(inline, dict) else None
                    if isinstance(found, dict):
                        self._documents = {f"{k}/zarr.json": v for k, v in found.items() if isinstance(v, dict)}
                        self._documents["zarr.json"] = root
            except (StoreError, AttributeError):
                self._documents = {}  # the root's own reading says what is wrong with it
        return self._documents

    def _known(self, key: str) -> Optional[bytes]:
        if key.rpartition("/")[2] not in (".zgroup", ".zarray", ".zattrs", "zarr.json"):
            return None
        found = self._consolidated().get(key)
        try:
            return None if found is None else json.dumps(found).encode()
        except TypeError:  # an integer of too many digits
            return None

    def exists(self, key: str) -> bool:
        return self.read(key, trust.MAX_DOCUMENT) is not None

    def folders(self, key: str) -> Optional[list[Any]]:
        """From consolidated metadata, else as the file system lists it; None where that can't be had."""
        documents = self._consolidated()
        if documents:
            prefix = f"{key}/" if key else ""
            names = {k[len(prefix):].partition("/")[0] for k in documents
                     if k.startswith(prefix) and "/" in k[len(prefix):]}
            return sorted(names)
        place = self.place(key)
        try:
            found = self.fs.ls(place + "/", detail=False)
        except FileNotFoundError:
            return None
        except Exception as e:
            if self.path.lower().startswith("http"):
                return None  # few servers list; what the metadata name is found all the same
            raise StoreError(f"{place} can't be listed: {why(e)}") from None
        names = set()
        for n in found:
            n = n.rstrip("/")
            last = n.rpartition("/")[2]
            if n.split("://")[-1] == f"{place.split('://')[-1]}/{last}" and last and not last.startswith("."):
                names.add(last)
        return sorted(names) if names or not self.path.lower().startswith("http") else None

    def identity(self, key: str) -> Any:
        return key

    def leads_out(self, key: str) -> bool:
        return ".." in key.split("/")

    def said(self, key: str) -> dict[Any, Any]:
        return {}
