"""The volume of pyramid.py: a .npy file as an image with levels, computed and as a source."""
import os

import lazarr
import numpy as np

FILE = os.environ["LZR_BENCH_VOLUME"]
LEVELS = int(os.environ["LZR_BENCH_LEVELS"])
volume = np.load(FILE, mmap_mode="r")

lazarr.source("volume", volume, chunks=64, axes="zyx", levels=LEVELS)
