"""What levels_store.py serves, for the tests of values and of places: mean and others, anisotropic factors,
voxel sizes that have no short binary form, translations, axes beside z, y and x."""
import numpy as np
import pyramids

#: name -> (shape, chunks, dtype, parameters of lazarr.array)
IMAGES = {
    "mean": ((21, 34, 19), (8, 16, 8), "uint8", dict(axes="zyx", levels=3)),
    "moved": ((12, 40, 50), (8, 16, 16), "uint16",
              dict(axes="zyx", factors=[(1, 2, 2), (2, 2, 2), (3, 2, 1)], units="micrometer",
                   scale=(0.3, 0.1, 0.1), translation=(-6.0, 0.7, 12.3))),
    "strided": ((20, 24, 28), (8, 8, 8), "int16",
                dict(axes="zyx", levels=3, pyramid="stride", scale=(2, 1, 1))),
    "plane": ((50, 61), (16, 16), "float32", dict(axes="yx", levels=4, factors=3)),
    "stack": ((2, 3, 9, 26, 30), (1, 1, 4, 16, 16), "uint16",
              dict(axes="tczyx", levels=3, channels=["r", "g", "b"], units="micrometer",
                   scale=(1, 1, 2.5, 0.5, 0.5))),
    "cells": ((18, 30, 22), (8, 8, 8), "uint32", dict(axes="zyx", kind="labels", levels=3)),
    "highest": ((17, 18, 19), (8, 8, 8), "int8", dict(axes="zyx", levels=3, pyramid="max")),
    "lowest": ((33, 40), (8, 16), "float32", dict(axes="yx", levels=3, pyramid="min")),
    "each": ((16, 20, 24), (8, 8, 8), "uint8", dict(axes="zyx", levels=3, pyramid="each")),
}


def whole(name):
    """Level 0; of "each" every level, by the level's factor."""
    shape, _, dtype, _ = IMAGES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    if name == "cells":
        small = rng.integers(0, 5, [-(-n // 3) for n in shape])
        for axis in range(len(shape)):
            small = small.repeat(3, axis)
        return small[tuple(slice(0, n) for n in shape)].astype(dtype)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(-100 if dtype[0] == "i" else 0, 100, shape).astype(dtype)


def of_level(index, scale):
    """What "each" computes."""
    return sum((i + 1) * v * s for i, (v, s) in enumerate(zip(index, scale))) % 251


def steps(name):
    """The factors from each level to the next."""
    more = IMAGES[name][3]
    factors, axes = more.get("factors", 2), more["axes"]
    per_step = factors if isinstance(factors, list) else [factors] * (more["levels"] - 1)
    return [[f if a in "zyx" else 1 for a in axes] if isinstance(f, int) else list(f) for f in per_step]


def levels(name):
    """Of each level: factor, scale and the centre of voxel 0, from the rule itself."""
    more = IMAGES[name][3]
    n = len(more["axes"])
    scale, place = np.array(more.get("scale", [1] * n), float), np.array(more.get("translation", [0] * n), float)
    factor, out = np.ones(n, int), []
    for step in [[1] * n] + steps(name):
        factor = factor * step
        shift = 0 if more.get("pyramid") == "stride" else (factor - 1) / 2
        out.append((factor, scale * factor, place + shift * scale))
    return out


def expected(name):
    """All levels' values."""
    if name == "each":
        shapes = [IMAGES[name][0]]
        for s in steps(name):
            shapes.append(tuple(-(-a // b) for a, b in zip(shapes[-1], s)))
        return [of_level(np.ogrid[tuple(slice(0, n) for n in s)], f).astype("u1")
                for s, (f, _, _) in zip(shapes, levels(name))]
    more = IMAGES[name][3]
    how = more.get("pyramid", "mode" if more.get("kind") == "labels" else "mean")
    out = [whole(name)]
    for step in steps(name):
        out.append(pyramids.downsample(out[-1], step, how))
    return out
