"""What imglib2-cache-python's own tests show of its blocks, with lazarr's: the same vocabulary (data, inputs,
index, min, max, dim, halo) and the same results, here over HTTP and without a server."""
import runpy

import numpy as np

import lzr

STORE = """
import lazarr, numpy as np
VOLUME = np.random.default_rng(3).integers(0, 1000, (13, 11, 9)).astype("int32")
volume = lazarr.source("volume", VOLUME, chunks=(5, 4, 3))

# The mean of each block: one value a block.
@lazarr.array(inputs=[volume], dtype="float64")
def mean(block):
    block.data[...] = np.mean(block.inputs[0])

# A halo comes off again: (lower, upper) as given; an upper halo of 0 leaves everything.
for name, halo in (("both", (2, 3)), ("upper", (0, 3)), ("lower", (2, 0)), ("none", (0, 0))):
    @lazarr.array(f"halo/{name}", inputs=[volume], halo=(halo, halo, halo), boundary="symmetric")
    def there_and_back(block, halo=halo):
        for n, d in zip(block.inputs[0].shape, block.dim):
            assert n == d + sum(halo)
        block.data[...] = block.inputs[0][block.halo]
lazarr.array("halo/mixed", inputs=[volume], halo=((2, 3), (0, 3), (2, 0)))(
    lambda block: block.inputs[0][block.halo])

# Two constant inputs of different dtypes.
one = lazarr.array("one", shape=(20, 30), chunks=(7, 8), dtype="uint8")(lambda block: 1)
half = lazarr.array("half", shape=(20, 30), chunks=(6, 9), dtype="float32")(lambda block: 0.5)

@lazarr.array("sum", inputs=[one, half], dtype="float64", chunks=10)
def total(block):
    a, b = block.inputs
    assert a.dtype == np.uint8 and b.dtype == np.float32
    block.data[...] = a + b

# An input of higher rank, reduced by max.
@lazarr.array("reduced", inputs=[lazarr.Input(volume, select=(slice(None), "0", "1"))])
def reduced(block):
    block.data[...] = block.inputs[0].max(axis=0)

# What min, max, dim and index say.
@lazarr.array(shape=(10, 7), chunks=(4, 4), dtype="int64")
def words(block):
    assert tuple(b - a + 1 for a, b in zip(block.min, block.max)) == tuple(block.dim) == block.data.shape
    return block.index * 1000000 + block.min[0] * 10000 + block.max[0] * 1000 + block.min[1] * 10 + block.max[1]
"""

# Where an aligned input's region lies: in the memory that the server filled, never a copy of it.
REUSE = """
import lazarr, numpy as np
base = lazarr.array("base", shape=(64, 64), chunks=(16, 16), dtype="float32")(
    lambda block: block.index)

@lazarr.array(inputs=[base], dtype="uint64", compressor=None)
def where(block, a):
    assert not a.flags.owndata and a.flags.writeable and a.flags.c_contiguous and (a == block.index).all()
    address = a.__array_interface__["data"][0]
    a[...] = -1  # private: the next block of the same slot must not see it
    assert (a == -1).all()
    return address
"""


def check_all(read):
    v = np.random.default_rng(3).integers(0, 1000, (13, 11, 9)).astype("int32")
    mean = np.empty(v.shape)
    for z in range(0, 13, 5):
        for y in range(0, 11, 4):
            for x in range(0, 9, 3):
                at = np.s_[z:z + 5, y:y + 4, x:x + 3]
                mean[at] = v[at].mean()
    assert np.array_equal(read("mean"), mean)
    for name in ("both", "upper", "lower", "none", "mixed"):
        assert np.array_equal(read(f"halo/{name}"), v), name
    assert (read("sum") == 1.5).all()
    assert np.array_equal(read("reduced"), v.max(axis=0))
    words = read("words")
    assert words[0, 0] == 0 * 10000 + 3 * 1000 + 0 + 3
    assert words[9, 6] == 5 * 1000000 + 8 * 10000 + 9 * 1000 + 40 + 6


def test_served(serve):
    srv = serve(STORE, "--workers", "2")
    check_all(lambda path: lzr.read_array(srv, f"/zarr2/s.zarr/{path}"))


def test_without_a_server(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(lzr.PYTHON_DIR))
    import lazarr._array as module
    (tmp_path / "s.py").write_text(STORE)
    registry = module.Registry()
    monkeypatch.setattr(module.CURRENT, "registry", registry)
    runpy.run_path(str(tmp_path / "s.py"))
    registry.finish()
    check_all(lambda path: registry.find(path)[...])


def test_an_aligned_input_is_not_copied(serve):
    """A worker has two slots, so the 16 blocks' inputs lie at two addresses at most."""
    srv = serve(REUSE, "--workers", "1")
    addresses = {int.from_bytes(srv.chunk(f"/zarr2/s.zarr/where/{y}.{x}")[:8], "little")
                 for y in range(4) for x in range(4)}
    assert 1 <= len(addresses) <= 2 and all(a % 64 == 0 for a in addresses), addresses
