"""The brain of examples/brain.py with one level an image and little that is computed: what the tests of
readers and viewers were recorded with.
"""
import functools
import os

import numpy as np

import lazarr

FOLDER = "/usr/share/mricron/templates"


def volume(name):
    """A NIfTI file as a NumPy array, slowest axis first (z, y, x)."""
    import nibabel
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        raise lazarr.StoreError(f"{path} is missing: apt install mricron-data")
    return np.asarray(nibabel.load(path).dataobj).T


@lazarr.source("t1", axes="zyx", units="millimeter", translation=(-72, -126, -90))
def t1():
    return volume("ch2.nii.gz")


@lazarr.source("aal", axes="zyx", units="millimeter", translation=(-72, -126, -90), kind="labels",
               labels_of=t1)
def aal():
    return volume("aal.nii.gz")


@functools.cache
def smooth_enough():
    """The image as float32; opened once in each worker."""
    return volume("ch2.nii.gz").astype("float32")


@lazarr.array("gradient", shape=t1.shape, chunks=64, dtype="float32", axes="zyx", units="millimeter",
              translation=t1.translation)
def gradient(block):
    """Gradient magnitude, per voxel. A margin of one voxel around the block makes it seamless."""
    image = smooth_enough()
    grown = tuple(slice(max(a - 1, 0), b + 1) for a, b in zip(block.start, block.stop))
    inner = tuple(slice(a - g.start, b - g.start)
                  for a, b, g in zip(block.start, block.stop, grown))
    parts = np.gradient(image[grown])
    return np.sqrt(sum(p[inner] ** 2 for p in parts))
