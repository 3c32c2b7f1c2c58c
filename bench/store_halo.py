"""What bench/halo.py and bench/gather.py serve: a float32 volume on disk, a Gaussian of it with a halo of 8,
and one of a computed copy, whose chunks have to be decoded for each region."""
import os

import numpy as np
from scipy import ndimage

import lazarr

CHUNK = int(os.environ.get("HALO_CHUNK", "64"))


@lazarr.source("volume", chunks=(CHUNK,) * 3)
def volume():
    return np.load(os.environ["HALO_FILE"], mmap_mode="r")


@lazarr.array("smooth", inputs=[volume], halo=8, boundary="symmetric")
def smooth(block, t):
    return ndimage.gaussian_filter(t, 2, truncate=4)


@lazarr.array("copy", inputs=[volume])
def copy(block, t):
    return t


@lazarr.array("smooth_copy", inputs=[copy], halo=8, boundary="symmetric")
def smooth_copy(block, t):
    return ndimage.gaussian_filter(t, 2, truncate=4)
