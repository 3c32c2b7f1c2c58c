"""The Python module without a server: indexing, blocks, parameters and their errors."""
import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import lazarr


def test_docstrings():
    """Every example in a docstring is true."""
    attempted = 0
    for m in pkgutil.walk_packages(lazarr.__path__, "lazarr."):
        if m.name == "lazarr._readers.zarr3":
            continue  # it is for an environment with zarr 3
        result = doctest.testmod(importlib.import_module(m.name))
        assert result.failed == 0, m.name
        attempted += result.attempted
    assert attempted > 20


def test_everything_public_is_documented():
    for name in lazarr.__all__:
        assert getattr(lazarr, name).__doc__, name


@pytest.mark.parametrize("key", [
    np.s_[...], np.s_[3], np.s_[-1, 2], np.s_[1:7], np.s_[::3, ::-1], np.s_[8:2:-2, 1:12:5],
    np.s_[..., 4], np.s_[2, ..., 0], np.s_[5:5], np.s_[:, 3:4, 1::2], np.s_[-3:, :-2, ::-3],
    np.s_[np.int64(2), 3, 4]])
def test_indexing_is_numpys(key):
    want = np.arange(10 * 13 * 7, dtype="int32").reshape(10, 13, 7)

    @lazarr.array("a", shape=want.shape, chunks=(4, 5, 3), dtype="int32")
    def a(block):
        return want[block.slices]
    got = a[key]
    assert np.array_equal(got, want[key]) and np.shape(got) == np.shape(want[key])
    assert np.asarray(got).dtype == want.dtype


@pytest.mark.parametrize("key", [np.s_[10], np.s_[-11], np.s_[0, 0, 0, 0], np.s_["x"], np.s_[1.5],
                                 np.s_[..., ...]])
def test_other_indices_are_refused(key):
    a = lazarr.source("a", np.zeros((10, 3, 3)))
    with pytest.raises(IndexError):
        a[key]


def test_block():
    seen = []

    @lazarr.array("a", shape=(10, 7), chunks=(4, 4), dtype="uint8", fill_value=9)
    def a(block):
        seen.append(block)
        block.data[0, 0] = 1
    got = a.compute((2, 1))
    assert got.tolist() == [[1, 9, 9], [9, 9, 9]]
    b = seen[0]
    assert (b.start, b.stop, b.shape, b.chunk, b.index) == ((8, 4), (10, 7), (2, 3), (2, 1), 5)
    assert (b.min, b.max, b.dim, b.level, b.scale) == ((8, 4), (9, 6), (2, 3), 0, (1, 1))
    assert b.slices == np.s_[8:10, 4:7] and b.array is a and b.inputs == [] and not b.cancelled
    assert [c.tolist() for c in b.coords()] == [[[8], [9]], [[4, 5, 6]]]
    assert type(b.data + 1) is np.ndarray and type(b.data.sum()) is np.uint64
    with pytest.raises(IndexError):
        a.compute((3, 0))


def test_source_transposed():
    v = np.arange(24).reshape(2, 3, 4)
    s = lazarr.source("s", lambda: v, transpose=(2, 0, 1), chunks=(3, 2, 2))
    assert np.array_equal(s[...], v.transpose(2, 0, 1)) and s.shape == (4, 2, 3)


def test_source_opens_once():
    opened = []

    @lazarr.source("s", chunks=2)
    def s():
        opened.append(1)
        return np.arange(10)
    assert s[...].tolist() == list(range(10)) and opened == [1]


REFUSED = [
    (dict(shape=None), "shape must be given"), (dict(chunks=None), "chunks must be given"),
    (dict(dtype=None), "dtype must be given"), (dict(shape=(-1, 2)), "shape must be ≥ 0"),
    (dict(shape=(2,) * 9, chunks=1), "9 axes"), (dict(shape=(2**40, 2**40)), "2^62"),
    (dict(shape="12"), "shape must be a tuple"), (dict(shape=(1.5, 2)), "shape must be integers"),
    (dict(chunks=(4, 0)), "chunks must be ≥ 1, got 0 on axis 1"), (dict(chunks=(4,)), "one number for each"),
    (dict(chunks=(2**15, 2**14), shape=(2**20, 2**20)), "above the limit"),
    (dict(dtype="U5"), "unknown dtype"), (dict(dtype="nonsense"), "unknown dtype"),
    (dict(dtype="M8[s]"), "unknown dtype"), (dict(dtype="f16"), "unknown dtype"),
    (dict(fill_value=300), "fill_value: value 300"), (dict(dims=("y",)), "dims must be 2 names"),
    (dict(dims=("y", "y")), "differ"), (dict(axes="xy"), "in the order"), (dict(axes="zyx"), "3 axes"),
    (dict(axes="ab"), "out of t, c, z, y, x"), (dict(units="meter"), "units needs axes"),
    (dict(axes="yx", units="parsnip"), "not a unit"), (dict(axes="yx", scale=(1, 0)), "> 0"),
    (dict(axes="yx", scale=(1, 2, 3)), "2 numbers"), (dict(kind="labels"), "needs axes"),
    (dict(axes="yx", kind="labels", dtype="float32"), "integer dtype"), (dict(kind="thing"), "kind must"),
    (dict(compressor="lz4"), "compressor must be"), (dict(compressor={"id": "lzma"}), "unknown codec"),
    (dict(attributes={"a": float("nan")}), "JSON"), (dict(attributes=[1]), "must be a dict"),
    (dict(timeout=0), "timeout"), (dict(timeout="9"), "timeout"), (dict(on_abandon="x"), "on_abandon"),
    (dict(separator="-"), "separator"), (dict(halo=-1), "halo must be ≥ 0, got -1"),
    (dict(halo=((1, -2), 3)), "halo must be ≥ 0, got -2"), (dict(halo=2), "halo needs inputs: say inputs=[...]"),
    (dict(boundary="wrap"), "boundary needs inputs"), (dict(levels=3), "levels > 1 needs axes"),
    (dict(chunk=3), "unknown parameter 'chunk'"),
]


@pytest.mark.parametrize("given,reason", REFUSED)
def test_refused(given, reason):
    parameters = dict(dict(shape=(100, 100), chunks=10, dtype="uint8"), **given)
    with pytest.raises(lazarr.StoreError) as e:
        lazarr.array("edges", **parameters)(lambda b: 0)
    assert str(e.value).startswith('array "edges": ') and reason in str(e.value)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a/../b", ".", "a/.zarray", "zarr.json", "c",
                                  "a/c/b", "labels", "info", "attributes.json", "__x", "~x", "a b", "ä",
                                  "a" * 201, ".zattrs", 5])
def test_refused_paths(path):
    with pytest.raises(lazarr.StoreError):
        lazarr.array(path, shape=1, chunks=1, dtype="u1")(lambda b: 0)


@pytest.mark.parametrize("make,reason", [
    (lambda: lazarr.Blosc("lzo"), "cname"), (lambda: lazarr.Blosc(clevel=10), "clevel"),
    (lambda: lazarr.Blosc(shuffle=True), "shuffle"), (lambda: lazarr.Zstd(23), "level"),
    (lambda: lazarr.Gzip(-1), "level"), (lambda: lazarr.Gzip(True), "level")])
def test_refused_codecs(make, reason):
    with pytest.raises(lazarr.StoreError, match=reason):
        make()
