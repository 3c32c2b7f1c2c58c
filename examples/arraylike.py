"""Array-likes, served as they are: what NumPy, h5py, zarr, dask, xarray, tensorstore, tifffile and nibabel
open. Each source is a function that opens one, called once in each process that needs it.

The files are small, hold the same numbers, and are made in a folder of the user's cache when they are
missing; several workers may do that at the same time. A library that isn't installed is left out.

    lazarr serve examples/arraylike.py        (apt install python3-h5py python3-zarr python3-dask
                                               python3-xarray python3-tifffile python3-nibabel)
"""
import importlib.util
import os
import shutil
import tempfile

import numpy as np

import lazarr

FOLDER = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
                      "lazarr-arraylike-2")
MICROMETER: dict = dict(axes="zyx", units="micrometer")


def numbers():
    """uint16, 100 × 120 × 140: something with structure, the same every time."""
    z, y, x = np.ogrid[:100, :120, :140]
    return ((z * 7 + y * 5 + x * 3) % 1000).astype("uint16")


def made(name, make):
    """The path of a file or folder, made with make(path) where it is missing: aside, and renamed, so
    that nobody ever sees half of it."""
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        os.makedirs(FOLDER, exist_ok=True)
        aside = tempfile.mkdtemp(dir=FOLDER)
        try:
            make(os.path.join(aside, name))
            os.rename(os.path.join(aside, name), path)
        except OSError:
            if not os.path.exists(path):  # else another worker was faster
                raise
        finally:
            shutil.rmtree(aside)
    return path


def have(library):
    return importlib.util.find_spec(library) is not None


@lazarr.source("memmap", levels=3, **MICROMETER)
def memmap():
    """A memory map: the server reads the file itself, and makes the levels. Any array of the right
    kind does: also one in memory."""
    return np.load(made("data.npy", lambda path: np.save(path, numbers())), mmap_mode="r")


if have("h5py"):
    @lazarr.source("hdf5", **MICROMETER)
    def hdf5():
        """An HDF5 dataset, in its own chunks."""
        import h5py

        def make(path):
            with h5py.File(path, "w") as f:
                f.create_dataset("volume", data=numbers(), chunks=(50, 60, 70), compression="gzip")
        return h5py.File(made("data.h5", make), "r")["volume"]

if have("zarr"):
    @lazarr.source("zarr", dims=("z", "y", "x"))
    def zarr_array():
        """A Zarr array, by zarr-python 2 or 3."""
        import zarr

        def make(path):
            z = zarr.open(path, mode="w", shape=(100, 120, 140), chunks=(32, 32, 32), dtype="uint16")
            z[...] = numbers()
        # Each writes what it reads: version 2 knows nothing of format 3.
        return zarr.open(made(f"data-{zarr.__version__.split('.')[0]}.zarr", make), mode="r")

if have("dask"):
    @lazarr.source("dask", dims=("z", "y", "x"))
    def dask_array():
        """A dask array: its graph is computed block by block."""
        import dask.array
        return dask.array.from_array(numbers(), chunks=(50, 60, 70)) + 1

if have("xarray"):
    @lazarr.source("xarray", attributes={"units": "K"})
    def xarray_array():
        """An xarray DataArray: the names of its axes come along."""
        import xarray
        return xarray.DataArray(numbers(), dims=("time", "lat", "lon"), name="air")

if have("tensorstore"):
    @lazarr.source("tensorstore", **MICROMETER)
    def tensorstore_array():
        """A TensorStore of any of its drivers."""
        import tensorstore

        def make(path):
            t = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}, create=True,
                                 dtype="uint16", shape=[100, 120, 140],
                                 chunk_layout=tensorstore.ChunkLayout(chunk_shape=[50, 60, 70])).result()
            t[...] = numbers()
        path = made("data-tensorstore.zarr", make)
        return tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}).result()

if have("tifffile"):
    @lazarr.source("tiff", levels=2, **MICROMETER)
    def tiff():
        """An uncompressed TIFF stack, as a memory map; others with tifffile.imread(path, aszarr=True)."""
        import tifffile
        return tifffile.memmap(made("data.tif", lambda path: tifffile.imwrite(path, numbers())), mode="r")

if have("nibabel"):
    @lazarr.source("nifti", transpose=(2, 1, 0), **MICROMETER)
    def nifti():
        """A NIfTI image, x first in the file: transposed, and scaled as its header says."""
        import nibabel

        def make(path):
            image = nibabel.Nifti1Image(numbers().T, np.eye(4))
            image.header.set_slope_inter(0.5, 1)
            nibabel.save(image, path)
        return nibabel.load(made("data.nii.gz", make)).dataobj
