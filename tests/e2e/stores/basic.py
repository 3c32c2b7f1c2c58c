"""A little of everything, for tests that only read. values() of each is what NumPy says."""
import lazarr
import numpy as np


def ramp_values(start, stop):
    """The array's value at (y, x) is 100 y + x."""
    y = np.arange(start[0], stop[0])[:, None]
    x = np.arange(start[1], stop[1])[None, :]
    return 100 * y + x


@lazarr.array("ramp", shape=(30, 20), chunks=(8, 8), dtype="uint16", compressor=None,
              dims=("y", "x"), attributes={"note": "raw", "exact": 0.1, "big": 12345678901234567890})
def ramp(block):
    return ramp_values(block.start, block.stop)


@lazarr.array("packed", shape=(30, 20), chunks=(8, 8), dtype="int32")
def packed(block):
    block.data[...] = ramp_values(block.start, block.stop)


@lazarr.array("gz", shape=(30, 20), chunks=(8, 8), dtype="float32", compressor=lazarr.Gzip(6))
def gz(block):
    return ramp_values(block.start, block.stop)


@lazarr.array("zs", shape=(30, 20), chunks=(8, 8), dtype=">u2", compressor=lazarr.Zstd(3))
def zs(block):
    return ramp_values(block.start, block.stop)


@lazarr.array("bits", shape=(30, 20), chunks=(16, 16), dtype="bool")
def bits(block):
    return ramp_values(block.start, block.stop) % 3 == 0


@lazarr.array("padded", shape=(10, 5), chunks=(4, 4), dtype="int16", fill_value=-7, compressor=None)
def padded(block):
    return ramp_values(block.start, block.stop)


@lazarr.array("scalar", shape=(), chunks=(), dtype="int32", compressor=None)
def scalar(block):
    return 7


@lazarr.array("empty", shape=(0, 5), chunks=(4, 4), dtype="uint8")
def empty(block):
    raise AssertionError("an empty array has no blocks")


@lazarr.array("line", shape=(1000,), chunks=(64,), dtype="float64")
def line(block):
    return np.arange(block.start[0], block.stop[0]) / 8


@lazarr.array("img", shape=(20, 30, 40), chunks=16, dtype="uint8", axes="zyx", units="micrometer",
              scale=(2, 0.5, 0.5))
def img(block):
    return np.indices(block.shape).sum(0) + sum(block.start)


@lazarr.array("seg", shape=(20, 30, 40), chunks=16, dtype="uint32", axes="zyx", kind="labels",
              compressor=None)
def seg(block):
    return np.indices(block.shape).max(0)


@lazarr.array("grp/deep/arr", shape=(6,), chunks=(4,), dtype="complex64", fill_value=1 - 2j)
def arr(block):
    return np.arange(block.start[0], block.stop[0]) * (1 + 1j)


@lazarr.array("u64", shape=(5,), chunks=(2,), dtype="uint64", compressor=None)
def u64(block):
    return np.arange(block.start[0], block.stop[0], dtype="uint64") + np.uint64(2**64 - 10)


@lazarr.array("huge", shape=(1 << 31, 1 << 31), chunks=(64, 64), dtype="uint8", compressor=None)
def huge(block):
    return (block.start[0] // 64 + block.start[1] // 64) % 251


@lazarr.array("fails", shape=(100,), chunks=(1,), dtype="uint8")
def fails(block):
    raise ValueError(f"no luck at {block.start[0]}")


lazarr.group("notes", attributes={"who": "µ", "list": [1, 2.5, None, True]})
