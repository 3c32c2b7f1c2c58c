"""A data file in a store of one's own: what `lazarr serve FILE` opens, as a source's array-like and what the
file says of it (axes, units, places, levels)."""
from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np

from .._errors import StoreError
from .._indexed import Indexed
from .._opened import said
from .._source import _dtype, _regular_chunks, default_chunks, values_of
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


class Opened(Indexed):
    """A file's array-like, indexed as an ndarray is (see _indexed), whatever indices its reader takes: that is given
    one slice without a step for each axis. What is read isn't kept.

    name: what messages call it. order: of its axes those of the reader's. It says where it lies as the reader's
    does, so that a source may be made of it.
    """

    def __init__(self, array: Any, name: str, order: Any = None):
        self._array, self.path = array, name
        self._order = tuple(range(len(array.shape))) if order is None else tuple(order)
        self.shape = tuple(int(array.shape[i]) for i in self._order)
        self.dtype = np.dtype(_dtype(array))  # scaled NIfTI says its file's
        own = _regular_chunks(array)
        self.chunks = default_chunks(self.shape, None, self.dtype.itemsize) if own is None else \
            tuple(own[i] for i in self._order)
        self.opened_files = said(array)
        if order is None and getattr(array, "dims", None) is not None:
            self.dims = array.dims

    @property
    def _named(self) -> str:
        return f"'{self.path}'"

    @property
    def _word(self) -> str:
        return "a"

    def _box(self, spans: Any) -> np.ndarray:
        inner: list[Any] = [None] * len(self.shape)
        for span, i in zip(spans, self._order):
            inner[i] = slice(*span)
        return values_of(self._array[tuple(inner)], None).transpose(self._order)

    def _block_at(self, pos: tuple[int, ...]) -> np.ndarray:
        return self._box([(p * c, min(n, p * c + c)) for p, c, n in zip(pos, self.chunks, self.shape)])

    def _narrow(self, ranges: list[range]) -> Any:
        """What is in the box, where that is all that is asked for: chunks that it cuts need not be read whole."""
        if not all(abs(r.step) == 1 or len(r) == 1 for r in ranges):
            return super()._narrow(ranges)
        read = self._box([(min(r), max(r) + 1) for r in ranges])
        return read[tuple(slice(None, None, -1 if r.step < 0 else 1) for r in ranges)]


def array_of(text: str, folder: str, level: int, dtype: Any) -> Any:
    """What lazarr.open gives of a file that is named relative to a folder."""
    opener, parameters, _ = find(text, folder)
    opened = opener()
    levels = list(opened) if isinstance(opened, (list, tuple)) else [opened]
    if not isinstance(level, int) or not 0 <= level < len(levels):
        raise StoreError(f"'{text}' has {len(levels)} levels, there is no level {level!r}")
    made, order = levels[level], parameters.get("transpose")
    if dtype is None and isinstance(made, np.ndarray):
        return made if order is None else made.transpose(order)
    return Opened(made if dtype is None else Cast(made, dtype), text, order)
