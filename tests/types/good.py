"""A store and its test as an author with a strict type checker writes them: nothing is to be said of it."""
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import lazarr

Volume = NDArray[np.float32]
everything: dict[str, Any] = {"author": "me"}


@lazarr.source("raw/t1", axes="zyx", units="millimeter", levels=3, chunks=(32, 64, 64), scale=(1, 0.5, np.float32(2)))
def mri() -> NDArray[np.int16]:
    return np.zeros((64, 64, 64), np.int16)


@lazarr.source
def bare() -> NDArray[np.int16]:
    return np.zeros(4, np.int16)


@lazarr.array(inputs=[mri], dtype="float32", halo=((1, 2), 2, 0), boundary="reflect", fill_value=np.nan)
def edges(block: lazarr.Block, t1: Volume) -> Volume:
    assert_type(block.start, tuple[int, ...])
    assert_type(block.slices, tuple[slice, ...])
    assert_type(block.scale, tuple[int, ...])
    return t1 * np.float32(block.level)


@lazarr.array("cells", inputs=(lazarr.Input(mri, select=("z", slice(None), 3), level=1), "raw/t1", edges), kind="labels",
              labels_of=mri, compressor=lazarr.Zstd(3), n5_compressor=None, precomputed_encoding="raw",
              attributes=everything, dtype=np.uint32, pyramid="mode", factors=[(1, 2, 2), 2])
def cells(block: lazarr.Block, *arrays: NDArray[Any]) -> int:
    return 1


@lazarr.array(shape=np.int64(8), chunks=np.array([4]), dtype=np.dtype(">u2"), dims="x", separator="/", slots=1,
              timeout=1.5, on_abandon="finish", version=3, depends=[__file__, len], deterministic=False,
              compressor={"id": "zstd", "level": 1})
def profile(block: lazarr.Block) -> None:
    block.data[...] = 3


def plain(block: lazarr.Block) -> float:
    return 1.0


called = lazarr.array(plain, shape=(4,), chunks=4, dtype="float32", channels=None)
made = lazarr.source("eye", np.eye(3), transpose=(1, 0), fill_value=1 + 2j)


@lazarr.dataset("era5", chunks={"time": 24, "lat": -1}, compressor=lazarr.Zstd(3))
def era5() -> object:
    return None


whole: lazarr.Dataset = lazarr.dataset("whole", object())


@lazarr.array(inputs=[era5["t2m"], whole["group/t"]])
def warm(block: lazarr.Block, t2m: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.asarray(t2m + block.axis("lat")[None, :, None])


two = lazarr.source("two", [np.eye(8), np.eye(4)], axes="yx", scale=[(1, 1), (2, 2)])
turned = lazarr.rechunk("turned", made, {"y": -1, 1: 2})
by_name = lazarr.rechunk("by_name", "two", {"y": -1})
by_place = lazarr.rechunk("by_place", made, (np.int64(-1), 2))
lazarr.group("raw", attributes={"a": 1})

assert_type(edges, lazarr.Array)
assert_type(cells, lazarr.Array)
assert_type(mri, lazarr.Array)
assert_type(turned, lazarr.Array)
one: list[lazarr.Array] = [edges, bare, called, made, two]


def test_edges() -> None:
    edges.clear()
    lazarr.clear()
    assert_type(edges.shape, tuple[int, ...])
    assert_type(edges.dtype, np.dtype[Any])
    assert_type(edges.path, str)
    assert_type(edges.level(1), lazarr.ArrayLevel)
    assert_type(len(edges), int)
    assert_type(edges.units, tuple[str | None, ...] | None)
    assert edges[0, ..., None, [1, 2]].shape == (1,)
    assert (edges + 1).max() == edges.max() and np.mean(edges) > 3 and edges.T.shape == edges.level(0).shape
    assert edges(None, np.ones(3)) is not None and mri() is not None and bare() is not None and edges.function is not None
    assert called[0] == 1.0 and float(made[0, 0]) == 1.0
