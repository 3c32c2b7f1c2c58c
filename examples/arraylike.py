"""Array-likes on disk, served as they are: a NumPy memory map, an HDF5 dataset and a Zarr array.

The files are small, hold the same numbers, and are made in a folder of the user's cache when they are
missing; several workers may do that at the same time.

    lazarr serve examples/arraylike.py        (needs python3-h5py and python3-zarr)
"""
import os
import shutil
import tempfile

import h5py
import numpy as np
import zarr

import lazarr

FOLDER = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
                      "lazarr-arraylike-1")


def numbers():
    """uint16, 100 × 120 × 140: something with structure, the same every time."""
    z, y, x = np.ogrid[:100, :120, :140]
    return ((z * 7 + y * 5 + x * 3) % 1000).astype("uint16")


def make(folder):
    data = numbers()
    np.save(os.path.join(folder, "data.npy"), data)
    with h5py.File(os.path.join(folder, "data.h5"), "w") as f:
        f.create_dataset("volume", data=data, chunks=(50, 60, 70), compression="gzip")
    z = zarr.open(os.path.join(folder, "data.zarr"), mode="w", shape=data.shape, chunks=(32, 32, 32),
                  dtype=data.dtype)
    z[...] = data


def folder():
    """The folder with the files: made aside and renamed, so that nobody ever sees half of it."""
    if not os.path.isdir(FOLDER):
        os.makedirs(os.path.dirname(FOLDER), exist_ok=True)
        temporary = tempfile.mkdtemp(dir=os.path.dirname(FOLDER))
        make(temporary)
        try:
            os.rename(temporary, FOLDER)
        except OSError:  # another worker was faster
            shutil.rmtree(temporary)
    return FOLDER


@lazarr.source("memmap", axes="zyx", units="micrometer")
def memmap():
    return np.load(os.path.join(folder(), "data.npy"), mmap_mode="r")


@lazarr.source("hdf5", axes="zyx", units="micrometer")
def hdf5():
    return h5py.File(os.path.join(folder(), "data.h5"), "r")["volume"]


@lazarr.source("zarr", dims=("z", "y", "x"))
def zarr_array():
    return zarr.open(os.path.join(folder(), "data.zarr"), mode="r")
