"""Arrays that are read block by block: slices put together out of whole blocks."""
from __future__ import annotations

import itertools
from typing import Any, Optional

import numpy as np


class Blocks:
    """An array-like of blocks on a regular grid. What derives from it says shape, chunks and dtype, and how
    one block is read."""

    shape: tuple[Any, ...]
    chunks: tuple[Any, ...]
    dtype: np.dtype
    fill: Any = 0

    def block(self, pos: tuple[Any, ...]) -> Optional[np.ndarray]:
        """The block at a grid position; at the upper ends it may be larger or smaller than what the array
        holds of it. None: nothing is stored there."""
        raise NotImplementedError

    def __getitem__(self, key: Any) -> np.ndarray:
        """Slices without steps, as blocks are."""
        key = key if isinstance(key, tuple) else (key,)
        spans = [k.indices(n)[:2] for k, n in zip(key, self.shape)]
        out = np.full([max(0, b - a) for a, b in spans], self.fill, self.dtype)
        grid = [range(a // c, -(-b // c) if b > a else a // c) for (a, b), c in zip(spans, self.chunks)]
        for pos in itertools.product(*grid):
            block = self.block(pos)
            if block is None:
                continue
            to, of = [], []
            for (a, b), p, c, n in zip(spans, pos, self.chunks, block.shape):
                low, high = max(a, p * c), min(b, p * c + min(n, c))
                to.append(slice(low - a, max(low, high) - a))
                of.append(slice(low - p * c, max(low, high) - p * c))
            out[tuple(to)] = block[tuple(of)]
        return out
