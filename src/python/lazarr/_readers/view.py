"""What lazarr.open gives: an array-like of a reader's, which itself has slices without steps only, with all of
NumPy's indexing."""
from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

from .. import _opened, _source
from .._indexed import Indexed


class _Blocks(Indexed):
    """The same by blocks: of a step or an index array only those are read that it names."""

    def __init__(self, of: "View", chunks: Optional[Sequence[int]]):
        self._of, self.path, self.shape, self.dtype = of, "file", of.shape, of.dtype
        self.chunks = tuple(chunks) if chunks is not None else \
            _source.default_chunks(of.shape, None, of.dtype.itemsize)

    def _block_at(self, pos: tuple[Any, ...]) -> np.ndarray:
        return self._of._read([slice(p * c, min((p + 1) * c, n)) for p, c, n in zip(pos, self.chunks, self.shape)])


class View:
    """Slices, integers, ``...``, None, lists and arrays of integers or bools, as NumPy takes them: an ndarray of its
    own, or a scalar. What lies in one piece is read at once. order: as transpose has it; None: as the file's."""

    def __init__(self, array: Any, order: Optional[Sequence[int]] = None):
        self._array = array
        self._order = tuple(range(len(array.shape))) if order is None else tuple(order)
        self.shape = tuple(int(array.shape[i]) for i in self._order)
        self.dtype = np.dtype(_source._dtype(array))
        self.ndim = len(self.shape)
        self.opened_files = _opened.said(array)  # for who asks which files belong to it
        own = _source._regular_chunks(array)
        self.chunks = None if own is None else tuple(own[i] for i in self._order)
        self._blocks = _Blocks(self, self.chunks)

    def _read(self, slices: Sequence[slice]) -> np.ndarray:
        inner: list[Any] = [slice(None)] * self.ndim
        for k, i in zip(slices, self._order):
            inner[i] = k
        made: np.ndarray = np.asarray(self._array[tuple(inner)])
        return made.transpose(self._order)

    def __getitem__(self, key: Any) -> Any:
        whole = self._blocks._spelled_out(key)
        if any(isinstance(k, (np.ndarray, bool)) for k in whole):
            return self._blocks[key]
        ranges, final = self._blocks._ranges(whole)
        if any(len(r) > 1 and r.step != 1 for r in ranges):
            return self._blocks[key]
        if all(map(len, ranges)):
            out = self._read([slice(r.start, r.start + len(r)) for r in ranges])
        else:
            out = np.empty([len(r) for r in ranges], self.dtype)
        out = out[(*final, ...)]
        given = key if isinstance(key, tuple) else (key,)
        return out[()] if out.ndim == 0 and not any(k is Ellipsis for k in given) else out

    def __len__(self) -> int:
        return len(self._blocks)

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an ndarray of a file's values is always a copy: copy=None")
        made = np.asarray(self[...])
        return made if dtype is None else made.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<lazarr.open shape={self.shape} dtype={self.dtype}>"
