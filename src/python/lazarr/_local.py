"""What a server does in C, done here with NumPy for ``array[...]``: an input's region with its halo and
boundary. tests/e2e/test_b_dags.py holds the two to the same values."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._array import Array
    from ._inputs import Placed


def outside(start: int, stop: int, n: int, boundary: str) -> np.ndarray:
    """For each place of [start, stop) the place within [0, n) whose value it has, -1 for the fill
    value; numpy.pad's rules, however far outside. n ≥ 1.

    >>> outside(-3, 5, 3, "reflect").tolist(), outside(-3, 5, 3, "symmetric").tolist()
    ([1, 2, 1, 0, 1, 2, 1, 0], [2, 1, 0, 0, 1, 2, 2, 1])
    """
    i = np.arange(start, stop)
    if boundary == "constant":
        return np.where((i >= 0) & (i < n), i, -1)
    if boundary == "edge" or n == 1:
        return np.clip(i, 0, n - 1)
    if boundary == "wrap":
        return i % n
    if boundary == "symmetric":
        i = i % (2 * n)
        return np.where(i < n, i, 2 * n - 1 - i)
    i = i % (2 * n - 2)
    return np.where(i < n, i, 2 * n - 2 - i)


def gather(p: "Placed", start: tuple, stop: tuple, k: int) -> np.ndarray:
    """An input's region for a block [start, stop) of own level k: what the function is given, an array
    of its own in the machine's byte order."""
    a = p.array
    level = a.level(p.levels[k])
    places = [outside(lo, hi, n, p.boundary)
              for (lo, hi), n in zip(p.region(start, stop, k), level.shape)]
    # Read once what is needed at all: from the first to the last place inside.
    inside = [i[i >= 0] for i in places]
    spans = [slice(int(i.min()), int(i.max()) + 1) if i.size else slice(0, 0) for i in inside]
    part = np.asarray(level[tuple(spans)]).reshape([s.stop - s.start for s in spans])
    out = np.full([len(i) for i in places], a.fill_value, a.dtype.newbyteorder("="))
    if part.size:
        to = np.ix_(*(np.flatnonzero(i >= 0) for i in places))
        out[to] = part[np.ix_(*(i - s.start for i, s in zip(inside, spans)))]
    return out.reshape([len(i) for i, d in zip(places, p.drop) if not d])  # dropped ones are 1 long
