"""A data file in a store of one's own: what `lazarr serve FILE` opens, as a source's array-like and what the
file says of it (axes, units, places, levels)."""
from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np

from .._errors import StoreError
from . import remote
from .cast import Cast
from .file import File, why


class Found(File):
    """A file of which nothing is served yet: what its reader finds is kept."""

    serves_texts = False  # a source is numbers

    def __init__(self, path: str, inner: str):
        super().__init__(path, inner, follow=True)  # the store's own code names it
        self.found: list[Any] = []  # (name, opener, parameters)

    def add(self, name: str, opener: Callable[[], Any], **parameters: Any) -> Any:
        parameters.pop("key", None)
        path = self.names.of(name)
        self.found.append((path, opener, parameters))
        made = SimpleNamespace(path=path, kind=parameters.get("kind") or (
            "image" if parameters.get("axes") else "plain"))
        self.made.append(made)
        return made

    def group(self, path: str, given: Any) -> None:
        """A store's groups are its own."""


def find(text: str, folder: str) -> tuple[Any, ...]:
    """(what opens it, parameters of lazarr.source, the path) of FILE, FILE::path or a URL; a path is relative to
    the folder. StoreError where it can't be read, or holds several arrays."""
    from . import _read
    path, inner = text, ""
    if not remote.is_url(text):
        path = os.path.join(folder, os.path.expanduser(text))
    if "::" in text and (remote.is_url(text) or not os.path.exists(path)):
        path, _, inner = path.rpartition("::")
    if not remote.is_url(path) and not os.path.exists(path):
        raise StoreError(f"there is no file '{path}'")
    f = Found(os.path.realpath(path) if not remote.is_url(path) else path, inner)
    try:
        _read(f)
    except StoreError as e:
        raise StoreError(f"'{text}': {e}") from None
    if not f.found:
        raise StoreError(f"'{text}': no array that lazarr can serve")
    if len(f.found) > 1:
        names = ", ".join(n for n, _, _ in f.found[:20])
        raise StoreError(f"'{text}' holds {len(f.found)} arrays ({names}): say which one as '{text}::NAME'")
    _, opener, parameters = f.found[0]
    parameters = {k: v for k, v in parameters.items()
                  if k != "labels_of" and (v is not None or k in ("compressor", "n5_compressor"))}

    def opens() -> Any:
        try:
            return opener()
        except StoreError as e:
            raise StoreError(f"'{text}': {e}") from None
        except Exception as e:  # what a library has against it
            raise StoreError(f"'{text}' can't be read: {why(e)}") from e
    return opens, parameters, f.path


class Turned:
    """An array-like with its axes in another order."""

    def __init__(self, array: Any, order: Any):
        self._array, self._order, self.dtype = array, tuple(order), array.dtype
        self.shape = tuple(array.shape[i] for i in order)

    def __getitem__(self, key: Any) -> Any:
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            i = key.index(Ellipsis)
            key = key[:i] + (slice(None),) * (len(self.shape) - len(key) + 1) + key[i + 1:]
        key += (slice(None),) * (len(self.shape) - len(key))
        inner: list[Any] = [None] * len(key)
        for outer, i in enumerate(self._order):
            inner[i] = slice(k, k + 1) if isinstance(k := key[outer], (int, np.integer)) else k
        out = np.asarray(self._array[tuple(inner)]).transpose(self._order)
        return out[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in key)]


def array_of(text: str, folder: str, level: int, dtype: Any) -> Any:
    """What lazarr.open gives of a file that is named relative to a folder."""
    opener, parameters, _ = find(text, folder)
    opened = opener()
    levels = list(opened) if isinstance(opened, (list, tuple)) else [opened]
    if not isinstance(level, int) or not 0 <= level < len(levels):
        raise StoreError(f"'{text}' has {len(levels)} levels, there is no level {level!r}")
    made = levels[level]
    if parameters.get("transpose") is not None:
        made = Turned(made, parameters["transpose"])
    return made if dtype is None else Cast(made, dtype)
