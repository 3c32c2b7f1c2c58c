"""Stores that don't load, beside others that do: what the server is told of them in place of a manifest.

A store fails to load, or a file of a folder defines no array, as a helper of the stores beside it does.
Neither keeps the other stores from being served. The loader (see _handover) decides which these are, and
every other worker follows it: one that starts later doesn't run their files at all. Where no store is
left, or the only one fails, loading fails as a whole.
"""
from __future__ import annotations

import json
import os
import sys
from typing import Any, Optional

from . import _handover, _tell
from ._errors import NoArray, StoreError

#: A file that was found in a folder, not named: of those some may be no stores.
FOUND = "found:"

LINE, TRACEBACK = 2000, 20000  # characters of an error that the server is told at most


class Unloaded:
    """The stores of one load that didn't load, in order."""

    def __init__(self, n: int, others: bool = False) -> None:
        """n: stores in all. others: other processes load others, so none of these has to."""
        self.n, self.others = n, others
        self.some = n > 1 or others  # of several, some may fail
        self.failed: list[Any] = []  # (exception, path)
        self.skipped: list[Any] = []  # paths

    def known(self, name: str) -> Optional[str]:
        """The manifest of a store that the loader is known not to have loaded."""
        return _handover.CURRENT.unloaded(name, wait=False) if self.some else None

    def note(self, name: str, path: str, found: bool, e: BaseException) -> str:
        """The manifest of a store that has just failed. Raises e where that ends the load: nothing else is
        to be loaded, or the loader has loaded this one."""
        handover = _handover.CURRENT
        if not self.some:
            raise e
        if handover.mode == _handover.FACTS:
            said = handover.unloaded(name)
            if said is None:
                raise e
            return said
        text = _text(name, path, found, e)
        if found and isinstance(e, NoArray):
            self.skipped.append(path)
        else:
            self.failed.append((e, path))
        handover.drop_store(name, text)
        return text

    def settle(self) -> None:
        """Once all were tried: raises if none has loaded."""
        if self.others or len(self.failed) + len(self.skipped) < self.n:
            return
        if not self.failed:
            raise StoreError(f"{os.path.dirname(self.skipped[0])}: none of the {self.n} .py and .json files "
                             "defines an array")
        for e, path in self.failed[1:]:
            _tell.failed(e, path)
            print(*_tell.describe(e), sep="\n", file=sys.stderr)
        e, path = self.failed[0]
        _tell.failed(e, path)
        raise e


def _text(name: str, path: str, found: bool, e: BaseException) -> str:
    line, trace = _tell.describe(e)
    out = {"lazarr": 1, "store": name, "file": os.path.basename(path), "groups": [], "arrays": []}
    if found and isinstance(e, NoArray):
        out["skipped"] = _plain(line)[:LINE]
    else:
        out["failed"] = _plain(line)[:LINE] or type(e).__name__
        out["traceback"] = _plain(trace)[-TRACEBACK:]
    return json.dumps(out)


def _plain(text: str) -> str:
    """Without what the server's JSON can't hold: half characters and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\\0")
