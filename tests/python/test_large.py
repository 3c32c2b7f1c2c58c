"""Chunks of a file that are larger than lazarr serves."""
import math

import numpy as np
import pytest

import lazarr
from lazarr import _check, _large


class Counted:
    """An array-like of large chunks that counts what is read of it."""

    def __init__(self, values, chunks):
        self.values, self.chunks, self.reads = values, chunks, []
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key):
        self.reads.append(key)
        return self.values[key]


@pytest.mark.parametrize("chunks,itemsize", [((300, 1024, 1024), 1), ((1, 40000, 20000), 2), ((1 << 28, 3), 8),
                                             ((268435459,), 4), ((17, 23, 4001, 499), 8), ((2, 1 << 29), 1)])
def test_they_are_cut_where_none_lies_in_two(chunks, itemsize):
    made = _large.cut(chunks, itemsize)
    assert _large.are(chunks, itemsize) and math.prod(made) * itemsize <= _large.PIECE
    assert all(c % m == 0 for c, m in zip(chunks, made))


def test_each_is_read_once_for_the_small_ones_in_it(monkeypatch):
    monkeypatch.setattr(_check, "MAX_CHUNK_BYTES", 1000)
    monkeypatch.setattr(_large, "PIECE", 200)
    values = np.arange(2 * 20 * 30, dtype="u2").reshape(2, 20, 30)[::-1]
    for transpose in (None, (2, 0, 1)):
        like = Counted(values, (2, 10, 30))
        a = lazarr.source("a", like, transpose=transpose)
        assert a.chunks == ((1, 2, 30) if transpose is None else (30, 1, 2))
        want = values if transpose is None else values.transpose(transpose)
        del like.reads[:]
        for region in np.ndindex(*(-(-n // c) for n, c in zip(a.shape, a.chunks))):
            key = tuple(slice(p * c, min((p + 1) * c, n)) for p, c, n in zip(region, a.chunks, a.shape))
            assert np.array_equal(a[key], want[key])
        assert len(like.reads) <= 4  # of two chunks, which the order of the axes goes through twice
        assert np.array_equal(a[...], want)  # across them
