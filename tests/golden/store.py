"""The conformance set as a lazarr store."""
import os
import sys

import lazarr

sys.path.insert(0, os.path.dirname(__file__))
import arrays  # noqa: E402

CODECS = {None: None, "blosc": lazarr.Blosc, "zstd": lazarr.Zstd, "gzip": lazarr.Gzip}
N5 = {"raw": None, "gzip": lazarr.Gzip(1), "zstd": lazarr.Zstd(3), "blosc": lazarr.Blosc("lz4", 5, "shuffle")}


def add(spec):
    more = dict(spec.more)
    if spec.name.startswith("zarr/"):
        codec = arrays.ZARR_CODECS[spec.codec]
        more["compressor"] = codec and CODECS[codec[0]](*codec[1:])
        more["dims"] = tuple(f"{spec.name.split('/')[1]}_{i}" for i in range(len(spec.shape)))
    elif spec.name.startswith("n5/"):
        more["n5_compressor"] = N5[spec.codec]

    @lazarr.array(spec.name, shape=spec.shape, chunks=spec.chunks, dtype=spec.dtype, axes=spec.axes, **more)
    def compute(block):
        return arrays.values(spec, block.start, block.stop)


for _spec in arrays.SPECS.values():
    add(_spec)
