"""A brain: the T1 image and the AAL labels that come with MRIcron, and arrays computed from the image.

Each computed array reads the image with some voxels of context around a block (halo), so that no seam
shows, and has its levels: the first zoomed-out picture costs a few coarse blocks, not the volume.

Data: Debian's package mricron-data (181 × 217 × 181 voxels of 1 mm). Needs python3-nibabel and
python3-scipy.

    lazarr serve examples/brain.py
"""
import os

import numpy as np
from scipy import ndimage

import lazarr

FOLDER = "/usr/share/mricron/templates"


def volume(name):
    """A NIfTI file as a NumPy array, slowest axis first (z, y, x)."""
    import nibabel
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        raise lazarr.StoreError(f"{path} is missing: apt install mricron-data")
    return np.asarray(nibabel.load(path).dataobj).T


@lazarr.source("t1", axes="zyx", units="millimeter", translation=(-72, -126, -90), levels=3)
def t1():
    return volume("ch2.nii.gz")


@lazarr.source("aal", axes="zyx", units="millimeter", translation=(-72, -126, -90), kind="labels",
               labels_of=t1, levels=3)
def aal():
    return volume("aal.nii.gz")


@lazarr.array("gradient", inputs=[t1], halo=1, dtype="float32")
def gradient(block, image):
    """Gradient magnitude, per voxel of level 0. Where the volume ends np.gradient takes one-sided
    differences, so what lies outside is cut off."""
    ends = block.array.levels[block.level].shape
    seen = tuple(slice(1 if a == 0 else 0, -1 if b == n else None)
                 for a, b, n in zip(block.start, block.stop, ends))
    inner = tuple(slice(0 if a == 0 else 1, (0 if a == 0 else 1) + n)
                  for a, n in zip(block.start, block.shape))
    parts = np.gradient(image[seen].astype("float32"), *block.scale)
    return np.sqrt(sum(p[inner] ** 2 for p in parts))


@lazarr.array("edges", inputs=[t1], halo=8, boundary="symmetric", dtype="float32")
def edges(block, image):
    """Gradient magnitude of the image blurred by a Gaussian of 2 voxels, which reaches 8 voxels far."""
    return ndimage.gaussian_gradient_magnitude(image.astype("float32"), 2)
