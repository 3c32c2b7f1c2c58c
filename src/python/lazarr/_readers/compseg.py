"""Chunks in the encoding compressed_segmentation, as Neuroglancer's documentation describes it."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np

BITS = (0, 1, 2, 4, 8, 16, 32)


def decode(data: Any, shape: tuple[Any, ...], dtype: np.dtype, box: tuple[Any, ...]) -> np.ndarray:
    """The values of a chunk; shape: channel, z, y, x, box: z, y, x. ValueError where it isn't such a chunk.

    A channel begins with two words for each box: where its table begins (24 bits) and the bits of an index,
    and where its indices begin. An index has its voxel's place in the table."""
    if len(data) % 4:
        raise ValueError("a chunk of compressed_segmentation isn't whole words")
    words = np.frombuffer(data, "<u4")
    out = np.empty(shape, dtype)
    for c in range(shape[0]):
        start = int(_word(words, c))
        _channel(words[start:], out[c], box)
    return out


def _word(words: np.ndarray, i: int) -> int:
    if i >= len(words):
        raise ValueError("a chunk of compressed_segmentation ends too early")
    return int(words[i])


def _channel(words: np.ndarray, out: np.ndarray, box: tuple[Any, ...]) -> None:
    grid = [-(-n // b) for n, b in zip(out.shape, box)]
    voxels = box[0] * box[1] * box[2]
    wide = out.dtype.itemsize // 4
    for i, pos in enumerate(itertools.product(*(range(g) for g in grid))):
        head = _word(words, 2 * i)
        table, bits, at = head & 0xFFFFFF, head >> 24, _word(words, 2 * i + 1)
        if bits not in BITS:
            raise ValueError(f"a box of compressed_segmentation has indices of {bits} bits")
        where = tuple(slice(p * b, min((p + 1) * b, n)) for p, b, n in zip(pos, box, out.shape))
        index: Any = np.zeros(1, np.int64)
        if bits:
            packed = words[at:at + -(-voxels * bits // 32)]
            if len(packed) * 32 < voxels * bits:
                raise ValueError("a chunk of compressed_segmentation ends too early")
            shifts = np.arange(0, 32, bits, dtype=np.uint32)
            index = ((packed[:, None] >> shifts) & np.uint32((1 << bits) - 1)).ravel()[:voxels].astype(np.int64)
        n = int(index.max()) + 1
        values = words[table:table + n * wide]
        if len(values) < n * wide:
            raise ValueError("a table of compressed_segmentation ends too early")
        values = np.ascontiguousarray(values).view(out.dtype.newbyteorder("<"))
        cut = tuple(slice(0, w.stop - w.start) for w in where)
        out[where] = values[index].reshape(box)[cut] if bits else values[0]
