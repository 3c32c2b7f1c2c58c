"""What a server does in C, done here with NumPy for ``array[...]``: an input's region with its halo and
boundary. tests/e2e/test_b_dags.py holds the two to the same values."""
from __future__ import annotations

import itertools
from typing import Any, TYPE_CHECKING, Iterator

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


def _places(p: "Placed", start: tuple[Any, ...], stop: tuple[Any, ...], k: int) -> tuple[Any, ...]:
    """The input's level that is read, the place of each voxel of the region (see `outside`) per axis,
    and from the first to the last place inside."""
    level = p.array.level(p.levels[k])
    places = [outside(lo, hi, n, p.boundary)
              for (lo, hi), n in zip(p.region(start, stop, k), level.shape)]
    inside = [i[i >= 0] for i in places]
    spans = [slice(int(i.min()), int(i.max()) + 1) if i.size else slice(0, 0) for i in inside]
    return level, places, inside, spans


def below(a: "Array", level: int, pos: tuple[Any, ...]) -> list[Any]:
    """(array, level, chunk position) of each chunk that a block is computed from."""
    start, stop = a.level(level).bounds(pos)
    wanted: list[Any] = []
    if level > 0 and a.pyramid != "each":
        view = a.level(level - 1)
        step = [x // y for x, y in zip(a.levels[level].factor, view.factor)]
        wanted.append((view, [slice(x * f, min(y * f, n))
                              for x, y, f, n in zip(start, stop, step, view.shape)]))
    else:
        for p in a.inputs:
            view, _, _, spans = _places(p, start, stop, level)
            wanted.append((view, spans))
    return [(view.array, view.level, at) for view, spans in wanted for at in itertools.product(
        *(range(s.start // c, -(-s.stop // c)) for s, c in zip(spans, view.chunks)))]


def in_order(a: "Array", level: int, pos: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """All blocks that one depends on and that aren't there, before those that need them, itself last:
    chains may be deeper than Python's stack."""
    todo, opened = [(a, level, pos)], set()
    while todo:
        top = todo[-1]
        needs = []
        if top not in opened:
            opened.add(top)
            needs = [n for n in below(*top) if not n[0].holds(*n[1:]) and n not in opened]
        if needs:
            todo.extend(needs)
            continue
        todo.pop()
        if not top[0].holds(*top[1:]):
            yield top


def gather(p: "Placed", start: tuple[Any, ...], stop: tuple[Any, ...], k: int) -> np.ndarray:
    """An input's region for a block [start, stop) of own level k: what the function is given, an array
    of its own in the machine's byte order."""
    a = p.array
    level, places, inside, spans = _places(p, start, stop, k)
    part = np.asarray(level[tuple(spans)]).reshape([s.stop - s.start for s in spans])
    out = np.full([len(i) for i in places], a.fill_value, a.dtype.newbyteorder("="))
    if part.size:
        to = np.ix_(*(np.flatnonzero(i >= 0) for i in places))
        out[to] = part[np.ix_(*(i - s.start for i, s in zip(inside, spans)))]
    return out.reshape([len(i) for i, d in zip(places, p.drop) if not d])  # dropped ones are 1 long
