"""A maximum projection: arrays of fewer axes than what they are computed from.

Each pixel is the brightest voxel along one axis of a brain. An input's `select` says which of its axes
are whole in each block and which follow the block; size, spacing and names of the axes that are left
come from the input, and so do the levels: a coarse projection reads the coarse volume.

Data: Debian's package mricron-data. Needs python3-nibabel.

    lazarr serve examples/projection.py
"""
import os

import numpy as np

import lazarr

PATH = "/usr/share/mricron/templates/ch2.nii.gz"


@lazarr.source("t1", axes="zyx", units="millimeter", translation=(-72, -126, -90), levels=3, chunks=64)
def t1():
    import nibabel
    if not os.path.exists(PATH):
        raise lazarr.StoreError(f"{PATH} is missing: apt install mricron-data")
    return np.asarray(nibabel.load(PATH).dataobj).T


@lazarr.array("axial", inputs=[lazarr.Input(t1, select={"z": slice(None)})])
def axial(block, volume):
    """Looked at along z: an image of y and x."""
    return volume.max(axis=0)


@lazarr.array("coronal", inputs=[lazarr.Input(t1, select=("y", slice(None), "x"))], axes="yx")
def coronal(block, volume):
    """Looked at along y; z takes the place of y."""
    return volume.max(axis=1)


@lazarr.array("slab", inputs=[lazarr.Input(t1, select={"z": slice(80, 100)})], dtype="float32")
def slab(block, volume):
    """The mean of 20 slices."""
    return volume.mean(axis=0)


@lazarr.array("profile", inputs=[lazarr.Input(t1, select=("z", 108, slice(None)))], dtype="float32")
def profile(block, plane):
    """Brightness along z in the plane y = 108: one axis is left, and it is no image any more."""
    return plane.mean(axis=1)
