"""The blocks that `array[...]` has computed and keeps: the local cache, which a server has no part in."""
from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Optional, Tuple

import numpy as np

LIMIT = 64 << 20  # bytes of one array's blocks

Key = Tuple[int, Tuple[int, ...]]  # level, position in the chunk grid


class Blocks:
    """One array's blocks, the least recently used first to go. Any thread may call anything; no lock is
    held while a block is computed, so two threads may compute the same one.

    limit: bytes; None: LIMIT. A single block is kept however large it is. A copy and what is unpickled are
    empty.

    >>> held = Blocks(limit=16)
    >>> for i in range(3):
    ...     held.put((0, (i,)), np.zeros(1), held.age)
    >>> held.nbytes, [(0, (i,)) in held for i in range(3)]
    (16, [False, True, True])
    """

    def __init__(self, limit: Optional[int] = None) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._held: "OrderedDict[Key, np.ndarray[Any, Any]]" = OrderedDict()
        self._nbytes = 0
        self._age = 0

    @property
    def age(self) -> int:
        """How often it was cleared: to be read before a block's computation begins, for `put`."""
        return self._age

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks that it holds."""
        with self._lock:
            return self._nbytes

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def get(self, key: Key) -> Optional[np.ndarray[Any, Any]]:
        """A block, which is then the last to go; None where it isn't there. Not to be written to."""
        with self._lock:
            block = self._held.get(key)
            if block is not None:
                self._held.move_to_end(key)
            return block

    def put(self, key: Key, block: np.ndarray[Any, Any], age: int) -> None:
        """Keeps a block, in the place of an older one with its key. One that was begun before the last
        `clear` isn't kept: it may be of what was there then."""
        with self._lock:
            if age != self._age:
                return
            older = self._held.pop(key, None)
            if older is not None:
                self._nbytes -= older.nbytes
            self._held[key] = block
            self._nbytes += block.nbytes
            while self._nbytes > (LIMIT if self._limit is None else self._limit) and len(self._held) > 1:
                self._nbytes -= self._held.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forgets all blocks, also those that are being computed just now."""
        with self._lock:
            self._held.clear()
            self._nbytes = 0
            self._age += 1

    def __reduce__(self) -> Tuple[Any, ...]:
        return Blocks, (self._limit,)
