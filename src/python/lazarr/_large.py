"""Chunks that are larger than lazarr serves: cut into smaller ones, and each is read once for those in it."""
from __future__ import annotations

import math
from typing import Any, Optional, Sequence

import numpy as np

from . import _check, _slices

#: Bytes of the chunks that a larger one is cut into, at most.
PIECE = 16 << 20


def are(chunks: Sequence[int], itemsize: int) -> bool:
    """Whether chunks are larger than what is served as one."""
    return math.prod(chunks) * itemsize > _check.MAX_CHUNK_BYTES


def cut(chunks: Sequence[int], itemsize: int) -> tuple[Any, ...]:
    """Smaller chunks, so many of which make one that none lies in two: the slowest axes are cut first.

    >>> cut((300, 1024, 1024), 1), cut((1, 40000, 20000), 2), cut((7, 9), 1)
    ((15, 1024, 1024), (1, 400, 20000), (7, 9))
    """
    out = [int(c) for c in chunks]
    for i, c in enumerate(out):
        most = PIECE // (itemsize * math.prod(out[i + 1:]) * math.prod(out[:i]) or 1)
        if c > most:
            out[i] = next((d for d in range(max(1, min(most, c)), 0, -1) if c % d == 0), 1)
    return tuple(out)


class Kept:
    """An array-like of large chunks that keeps the one that was read last."""

    def __init__(self, a: Any, chunks: Sequence[int]):
        self.of, self._own = a, tuple(chunks)
        self._at: Optional[tuple[Any, ...]] = None
        self._values: Any = None

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        """Slices without steps that lie in one chunk are of that, the others of the array."""
        at = tuple(k.start // c for k, c in zip(key, self._own))
        if any(k.stop > (p + 1) * c or k.stop <= k.start for k, p, c in zip(key, at, self._own)):
            return self.of[key]
        if at != self._at:
            self._at = self._values = None
            self._values = _slices.read(self.of[tuple(slice(p * c, min((p + 1) * c, int(n)))
                                                      for p, c, n in zip(at, self._own, self.of.shape))])
            self._at = at
        part = self._values[tuple(slice(k.start - p * c, k.stop - p * c)
                                  for k, p, c in zip(key, at, self._own))]
        return part.copy() if isinstance(part, np.ndarray) else part
