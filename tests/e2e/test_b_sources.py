"""lazarr.source: array-likes and functions that open them, sliced per block by a worker."""
import numpy as np

import lzr

STORE = """
import os, lazarr, numpy as np
HERE = os.path.dirname(__file__)
VOLUME = np.arange(5 * 6 * 7, dtype="u2").reshape(5, 6, 7)
OPENED = []

lazarr.source("array", VOLUME, chunks=(2, 3, 4))
lazarr.source("turned", VOLUME, chunks=(4, 3, 2), transpose=(2, 1, 0))
lazarr.source("swapped", VOLUME, chunks=4, transpose=(1, 2, 0))
lazarr.source("fortran", np.asfortranarray(VOLUME), chunks=4)
lazarr.source("strided", VOLUME[::2, ::-1, 1:], chunks=2)
lazarr.source("big", VOLUME.astype(">f8"), chunks=4)
lazarr.source("scalar", np.array(3.5))
lazarr.source("none", np.zeros((0, 4), "i2"))
lazarr.source("defaults/three", np.zeros((200, 100, 65), "u1"))
lazarr.source("defaults/two", np.zeros((600, 20), "u1"))
lazarr.source("defaults/four", np.zeros((2, 9, 9, 9), "u1"))
lazarr.source("defaults/image", np.zeros((200, 100, 65), "u1"), axes="zyx")
lazarr.source("defaults/plane", np.zeros((600, 20), "u1"), axes="yx")
lazarr.source("defaults/channels", np.zeros((2, 9, 9, 9), "u1"), axes="czyx")
lazarr.source("image", VOLUME, chunks=4, axes="zyx", units="micrometer")

@lazarr.source("memmap", chunks=4)
def memmap():
    return np.load(os.path.join(HERE, "v.npy"), mmap_mode="r")

@lazarr.source("h5")
def h5():
    import h5py
    return h5py.File(os.path.join(HERE, "v.h5"), "r")["v"]

@lazarr.source("zarr")
def zarr_array():
    import zarr
    return zarr.open(os.path.join(HERE, "v.zarr"), mode="r")

@lazarr.source("dask")
def dask_array():
    import dask.array
    return dask.array.from_array(VOLUME, chunks=(2, 3, 7)) + 1

class Odd:
    shape, dtype = (6, 4), np.dtype("i4")
    def __getitem__(self, key):
        return (np.arange(24).reshape(6, 4)[key]).tolist()
lazarr.source("odd", Odd(), chunks=(4, 4))

class Breaks:
    shape, dtype = (6,), np.dtype("i4")
    def __getitem__(self, key):
        raise OSError("the disk is gone")
lazarr.source("breaks", Breaks(), chunks=(4,))

class Lies:
    shape, dtype = (6,), np.dtype("i4")
    def __getitem__(self, key):
        return np.zeros(3, "i4")
lazarr.source("lies", Lies(), chunks=(4,))

@lazarr.source("once", chunks=1)
def once():
    OPENED.append(1)
    return np.arange(9, dtype="u1")

@lazarr.array("opened", shape=(9,), chunks=(1,), dtype="u1", compressor=None)
def opened(block):
    return len(OPENED)
"""
VOLUME = np.arange(5 * 6 * 7, dtype="u2").reshape(5, 6, 7)


def test_sources(serve, tmp_path):
    import h5py
    import zarr
    np.save(tmp_path / "v.npy", VOLUME)
    with h5py.File(tmp_path / "v.h5", "w") as f:
        f.create_dataset("v", data=VOLUME, chunks=(2, 2, 7))
    zarr.save_array(str(tmp_path / "v.zarr"), VOLUME, chunks=(3, 3, 3))
    srv = serve(STORE, "--workers", "2")
    want = {"array": VOLUME, "turned": VOLUME.T, "swapped": VOLUME.transpose(1, 2, 0), "fortran": VOLUME,
            "strided": VOLUME[::2, ::-1, 1:], "big": VOLUME.astype(">f8"), "scalar": np.array(3.5),
            "none": np.zeros((0, 4), "i2"), "memmap": VOLUME, "h5": VOLUME, "zarr": VOLUME,
            "dask": VOLUME + 1, "image/0": VOLUME, "odd": np.arange(24, dtype="i4").reshape(6, 4)}
    for name, v in want.items():
        got = lzr.read_array(srv, f"/zarr2/s.zarr/{name}")
        assert got.dtype == v.dtype and got.shape == v.shape and (got == v).all(), name

    def chunks(name):
        return srv.get(f"/zarr2/s.zarr/{name}/.zarray").json()["chunks"]

    # Its own regular chunks, or of an image 64 per spatial axis in 3-D, 512 in 2-D, 1 elsewhere.
    assert chunks("h5") == [2, 2, 7] and chunks("zarr") == [3, 3, 3] and chunks("dask") == [2, 3, 7]
    assert chunks("defaults/image/0") == [64, 64, 64] and chunks("defaults/plane/0") == [512, 512]
    assert chunks("defaults/channels/0") == [1, 64, 64, 64]
    # Of a plain array up to 1 MiB, short axes whole.
    assert chunks("defaults/three") == [128, 100, 65] and chunks("defaults/two") == [600, 20]
    assert chunks("defaults/four") == [2, 9, 9, 9]


def test_a_source_that_fails_is_an_error(serve, tmp_path):
    store = STORE.split("@lazarr.source(\"memmap\"")[0] + "class Odd" + STORE.split("class Odd")[1]
    srv = serve(store, "--workers", "1")
    r = srv.get("/zarr2/s.zarr/breaks/0")
    assert r.status == 500 and "OSError: the disk is gone" in r.text
    r = srv.get("/zarr2/s.zarr/lies/0")
    assert r.status == 500 and "[3]" in r.text and "[4]" in r.text
    for i in range(9):
        assert srv.get(f"/zarr2/s.zarr/once/{i}").status == 200
    assert srv.chunk("/zarr2/s.zarr/opened/0") == b"\0"  # opened by the worker that handed it over
