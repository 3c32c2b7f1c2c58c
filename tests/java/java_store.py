"""The arrays of cases.py as a lazarr store."""
import os
import sys

import lazarr

sys.path.insert(0, os.path.dirname(__file__))
import cases  # noqa: E402

N5 = {"raw": None, "gzip": lazarr.Gzip(6), "zstd": lazarr.Zstd(3), "lz4": lazarr.Lz4(),
      "blosc": lazarr.Blosc("zstd", 5, "bitshuffle")}
ZARR = {"raw": None, "gzip": lazarr.Gzip(6), "zstd": lazarr.Zstd(3), "default": lazarr.Blosc(),
        "blosc": lazarr.Blosc("zstd", 5, "bitshuffle"),
        "lz4": lazarr.Blosc("lz4hc", 5, "noshuffle")}


def add(case):
    more = dict(case.image or {})
    if case.codec != "default":
        more["n5_compressor"] = N5[case.codec]

    @lazarr.array(case.name, shape=case.shape, chunks=case.chunks, dtype=case.dtype,
                  compressor=ZARR[case.codec], **more)
    def compute(block):
        return cases.values(case, block.start, block.stop)


for _case in cases.CASES:
    add(_case)
