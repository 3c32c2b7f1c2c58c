"""STEPS filters with a halo of 2 over a 256³ float32 volume in chunks of 64, and the maximum projection of their
end: pipeline.py's."""
import os

import lazarr
import numpy as np

STEPS = int(os.environ.get("STEPS", "8"))


@lazarr.array("raw", shape=(256, 256, 256), chunks=64, dtype="float32", axes="zyx")
def raw(block):
    return np.random.default_rng(block.index).random(block.shape, "float32")


def step(block, a):
    return a[block.crop] * 0.5 + a[4:, 4:, 4:] * 0.25 + a[:-4, :-4, :-4] * 0.25


last = raw
for i in range(STEPS):
    last = lazarr.array(f"step{i}", inputs=[last], halo=2, dtype="float32", boundary="reflect")(step)


@lazarr.array("mip", inputs=[lazarr.Input(last, select=(slice(None), "y", "x"), halo=0)], axes="yx",
              shape=(256, 256), chunks=128, dtype="float32")
def mip(block, a):
    return a.max(axis=0)
