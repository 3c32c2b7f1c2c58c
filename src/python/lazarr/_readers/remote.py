"""Containers at a URL (http, https, s3, gs), read through fsspec as zarr-python does: credentials and endpoints
are those that fsspec's file systems (s3fs, gcsfs; where they are missing obstore's) take from their environment and
configuration. A file that isn't there is one of fill values; every other failure is one, a bucket that isn't there
too, and a server that says 503 or 429 is asked again."""
from __future__ import annotations

import json
import os
import re
import time
from datetime import timedelta
from typing import Any, Optional

from .._errors import StoreError
from . import attributes, trust
from .file import why

#: Seconds that a busy server is waited for, and the longest pause in them.
PATIENCE, PAUSE = 45.0, 10.0
BUSY = (429, 502, 503, 504)
DOCUMENTS = (".zgroup", ".zarray", ".zattrs", ".zmetadata", "zarr.json", "attributes.json", "info")
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
    if cause is not None:
        return _status(cause)
    found = re.search(r"status code: ([0-9]{3})\b", str(e)[:1000])  # obstore's are texts
    return int(found[1]) if found else None


def _why(e: BaseException) -> str:
    """What a library said, without what it tells its developers."""
    said = why(e)
    return said.partition(" Debug source: ")[0][:1000]


def _is_of_bucket(e: BaseException) -> bool:
    """Whether what isn't there is all of the bucket, and not one of its files."""
    return bool(re.search("NoSuchBucket|bucket does not exist", f"{e} {e.__cause__!r}"))


class Obstore:
    """obstore's file system with the part of fsspec's interface that is used here."""

    def __init__(self, scheme: str):
        from obstore.fsspec import FsspecStore
        self._fs: Any = FsspecStore(
            scheme, client_options={"timeout": timedelta(seconds=30), "connect_timeout": timedelta(seconds=10),
                                    "allow_http": True},  # for an endpoint that is given so
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)})

    def cat_file(self, place: str, start: Optional[int], end: Optional[int]) -> bytes:
        if start is not None and end is None:
            end = int(self._fs.info(place)["size"])
            start = max(0, end + start) if start < 0 else start
            if start >= end:
                return b""
        data: bytes = self._fs.cat_file(place, start=start, end=end)
        return data

    def ls(self, place: str, detail: bool) -> Any:
        return self._fs.ls(place, detail=detail)


def _file_system(scheme: str) -> Any:
    """fsspec's for a scheme, else obstore's; StoreError names the packages."""
    try:
        import fsspec
        return fsspec.filesystem(scheme)
    except (ImportError, ValueError) as e:
        missing = e
    if scheme in ("s3", "gs"):
        try:
            return Obstore(scheme)
        except ImportError:
            pass
    others = " or obstore" if scheme in ("s3", "gs") else ""
    raise StoreError(f"reading {scheme}:// needs {PACKAGES[scheme].replace(' ', ' and ')}{others} ({missing}): pip "
                     f"install {PACKAGES[scheme]}") from None


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
        self._there: Optional[str] = None  # a document that was there

    @property
    def fs(self) -> Any:
        made = self._fs.get(os.getpid())
        if made is None:
            scheme = self.path.partition("://")[0].lower()
            made = self._fs[os.getpid()] = _file_system(scheme)
        return made

    def place(self, key: str) -> str:
        return f"{self.path}/{key}".rstrip("/")

    def _ask(self, key: str, start: Optional[int], end: Optional[int]) -> Optional[bytes]:
        tries, until = 0, time.monotonic() + PATIENCE
        while True:
            try:
                data: bytes = self.fs.cat_file(self.place(key), start=start, end=end)
                if key.rpartition("/")[2] in DOCUMENTS:
                    self._there = key
                return data
            except FileNotFoundError as e:
                if _is_of_bucket(e):
                    raise StoreError(f"{self.place(key)} can't be read: {_why(e)}") from None
                if key.rpartition("/")[2] not in DOCUMENTS:
                    self._check_there(key)
                return None
            except StoreError:
                raise
            except Exception as e:
                if _status(e) == 416:
                    return b""
                pause = _pause(e, tries)
                if _status(e) not in BUSY or time.monotonic() + pause > until:
                    raise StoreError(f"{self.place(key)} can't be read: {_why(e)}") from None
            time.sleep(pause)
            tries += 1

    def _check_there(self, key: str) -> None:
        """StoreError where a chunk is missing because all of the container is: then it is none of fill values."""
        there = self._there
        if there is not None and self._ask(there, None, None) is None:
            raise StoreError(f"{self.place(key)} can't be read: {self.place(there)} was there, and isn't any more (the "
                             "bucket, or folder, is gone)")

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
        except FileNotFoundError as e:
            if _is_of_bucket(e):
                raise StoreError(f"{place} can't be listed: {_why(e)}") from None
            return None
        except Exception as e:
            if self.path.lower().startswith("http"):
                return None  # few servers list; what the metadata name is found all the same
            raise StoreError(f"{place} can't be listed: {_why(e)}") from None
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
