"""What bench/formats.py serves: chunks of fixed bytes for hits, volumes and labels for transcoding, one array for
each round, since a round wants what is cached in Zarr and in nothing else."""
import os

import lazarr
import numpy as np

ROUNDS, SIDE, SHAPE = int(os.environ.get("ROUNDS", "6")), 64, (192, 256, 256)
z, y, x = np.ogrid[:SHAPE[0], :SHAPE[1], :SHAPE[2]]
noise = np.random.default_rng(1).integers(0, 60, SHAPE, dtype="uint16")
VOLUME = (2000 + 1500 * np.sin(z / 30) * np.cos(y / 41) * np.sin(x / 37)).astype("uint16") + noise
LABELS = ((z // 11) * 1000 + (y // 13) * 40 + x // 9).astype("uint32") * (noise % 16 > 0)
N5 = {"gzip": lazarr.Gzip(1), "raw": None, "zstd": lazarr.Zstd(3), "blosc": lazarr.Blosc(), "lz4": lazarr.Lz4()}


def add(name, values, **more):
    @lazarr.array(name, shape=values.shape, chunks=SIDE, dtype=values.dtype, axes="zyx", **more)
    def compute(block):
        return values[block.slices]


for r in range(ROUNDS):
    for name, codec in N5.items():
        add(f"{name}{r}", VOLUME, n5_compressor=codec)
    add(f"seg{r}", LABELS, kind="labels")


def hits(name, side, dtype):
    @lazarr.array(name, shape=(4 * side,) * 3, chunks=side, dtype=dtype, axes="zyx", compressor=None,
                  n5_compressor=None)
    def compute(block):
        return np.random.default_rng(block.index).integers(0, 255, block.shape).astype(dtype)


hits("k4", 16, "uint8")
hits("k32", 32, "uint8")
hits("k256", 64, "uint8")
hits("k512", 64, "uint16")
