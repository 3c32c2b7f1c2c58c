"""A volume of 4096³ voxels that needs no data at all: the quaternion Julia set.

Each voxel is the number of steps (times 8) until z² + c leaves the sphere of radius 2; c is fixed and
the volume is the slice w = 0 of quaternion space. It has seven levels, and the function computes each
of them itself (pyramid="each"): a coarse picture costs no more than a fine one.

    lazarr serve examples/fractal.py
"""
import numpy as np

import lazarr

SIZE = 4096
STEPS = 24
C = (-0.4, 0.6, 0.2, 0.1)


@lazarr.array("julia", shape=(SIZE, SIZE, SIZE), chunks=64, dtype="uint8", axes="zyx",
              units="micrometer", levels=7, pyramid="each")
def julia(block):
    # A voxel of level k stands for 2^k voxels along each axis, and lies in their middle.
    z, y, x = (((c * s + (s - 1) / 2) * (3 / SIZE) - 1.5).astype("float32")
               for c, s in zip(block.coords(), block.scale))
    shape = block.shape
    a, b, c = (np.broadcast_to(v, shape).ravel() for v in (x, y, z))
    w = np.zeros(a.size, "float32")
    out = np.full(a.size, 255, "uint8")
    alive = np.arange(a.size)
    for step in range(STEPS):
        aa, rest = a * a, b * b + c * c + w * w
        gone = aa + rest > 4
        out[alive[gone]] = step * 8
        keep = ~gone
        if not keep.any():
            break
        alive, a, b, c, w, aa, rest = (v[keep] for v in (alive, a, b, c, w, aa, rest))
        twice = 2 * a
        a, b, c, w = aa - rest + C[0], twice * b + C[1], twice * c + C[2], twice * w + C[3]
    return out.reshape(shape)
