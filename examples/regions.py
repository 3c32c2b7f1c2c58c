"""A pipeline of labels on a real MRI: blur, threshold, distance transform, watershed.

Each step is an array of its own, computed from the one before it where somebody looks; any of them can
be opened in a viewer. The halos are as wide as each step reaches, so every block equals that part of
what the whole volume would give.

Data: Debian's package mricron-data. Needs python3-nibabel and python3-scipy.

    lazarr serve examples/regions.py
"""
import itertools
import os

import numpy as np
from scipy import ndimage

import lazarr

PATH = "/usr/share/mricron/templates/ch2.nii.gz"
THRESHOLD = 90  # grey and white matter, of a skull-stripped head between 0 and 255
FAR = 12        # distances are known up to here
CLIMB = 16      # steps that a voxel climbs to the summit whose region it belongs to


@lazarr.source("t1", axes="zyx", units="millimeter", translation=(-72, -126, -90))
def t1():
    import nibabel
    if not os.path.exists(PATH):
        raise lazarr.StoreError(f"{PATH} is missing: apt install mricron-data")
    return np.asarray(nibabel.load(PATH).dataobj).T


@lazarr.array("smooth", inputs=[t1], halo=8, boundary="symmetric", dtype="float32")
def smooth(block, image):
    """A Gaussian of 2 voxels, cut off at 4 sigma."""
    return ndimage.gaussian_filter(image.astype("float32"), 2)


@lazarr.array("tissue", inputs=[smooth], dtype="uint8", kind="labels", labels_of=t1)
def tissue(block, image):
    """1 where the blurred image is bright."""
    return image > THRESHOLD


@lazarr.array("depth", inputs=[tissue], halo=FAR, dtype="float32")
def depth(block, inside):
    """How deep within the tissue a voxel lies, up to FAR voxels. Nothing is tissue outside the volume:
    that is the fill value."""
    if inside.all():
        return FAR
    return np.minimum(ndimage.distance_transform_edt(inside), FAR)


def climb(height, steps):
    """For each voxel the flat index of the one it reaches by going to its highest neighbour, `steps`
    (a power of 2) times."""
    best = np.arange(height.size).reshape(height.shape)
    top = height.copy()
    index = np.arange(height.size).reshape(height.shape)
    for move in itertools.product((-1, 0, 1), repeat=height.ndim):
        to = tuple(slice(max(0, -m), n - max(0, m)) for m, n in zip(move, height.shape))
        of = tuple(slice(max(0, m), n - max(0, -m)) for m, n in zip(move, height.shape))
        higher = height[of] > top[to]
        top[to][higher] = height[of][higher]
        best[to][higher] = index[of][higher]
    best = best.ravel()
    for _ in range(steps.bit_length() - 1):
        best = best[best]
    return best.reshape(height.shape)


@lazarr.array("regions", inputs=[smooth, lazarr.Input(tissue, halo=0)], halo=CLIMB + 1, dtype="uint32",
              kind="labels", labels_of=t1)
def regions(block, image, inside):
    """A watershed: each voxel of tissue climbs the blurred image, and is named after where it arrives."""
    reached = np.unravel_index(climb(image, CLIMB)[block.crop], image.shape)
    z, y, x = (r + a - CLIMB - 1 for r, a in zip(reached, block.start))
    _, ny, nx = block.array.shape
    return np.where(inside, (z * ny + y) * nx + x + 1, 0)
