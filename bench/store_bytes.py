"""Chunks of fixed sizes that can't be compressed, for the benchmark of cached chunks."""
import numpy as np

import lazarr

SIZES = {"k4": 4 << 10, "k64": 64 << 10, "k256": 256 << 10, "k512": 512 << 10}


def make(name, size):
    def block(b):
        rng = np.random.default_rng(b.index)
        b.data[...] = rng.integers(0, 256, b.shape, dtype=np.uint8)
    lazarr.array(name, shape=(64 * size,), chunks=(size,), dtype="uint8", compressor=None)(block)


for _name, _size in SIZES.items():
    make(_name, _size)
