"""The arrays of formats.py as a lazarr store."""
import os
import sys

import lazarr

sys.path.insert(0, os.path.dirname(__file__))
import formats  # noqa: E402

N5 = {"raw": None, "gzip": lazarr.Gzip(1), "zstd": lazarr.Zstd(3), "lz4": lazarr.Lz4(),
      "blosc": lazarr.Blosc("lz4", 5, "shuffle")}


def add(spec):
    @lazarr.array(spec.name, shape=spec.shape, chunks=spec.chunks, dtype=spec.dtype, axes=spec.axes,
                  n5_compressor=N5[spec.n5], **spec.more)
    def compute(block):
        return formats.values(spec, block.start, block.stop)


for _spec in formats.SPECS:
    add(_spec)
