"""lazarr.open: whatever a file is, NumPy's indexing of what it gives is that of its values."""
import itertools
import json

import numpy as np
import pytest

import lazarr

V = np.arange(4 * 5 * 6, dtype="i2").reshape(4, 5, 6)
ALL = slice(None)
KEYS = [0, -1, np.int64(1), (1, 2), (-1, -2, -3), (..., -1), ..., (), (ALL, slice(None, None, 2)), slice(None, None, -1),
        (slice(-1, None), ALL, slice(0, -1)), (0, ..., slice(5, 1, -2)), (None, 0), (ALL, None, 1), slice(9, 12),
        (slice(2, 2), 0), [0, 3], ([0, 2], ALL, [1, 1]), (V[:, 0, 0] > 40, 1), V % 7 == 0, (True, 1), (slice(1, 3), -2, -1),
        (ALL, ALL, slice(1, None, 4))]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{name: what to open}, all of V"""
    folder = tmp_path_factory.mktemp("open")
    chunks = (3, 2, 4)

    def n5(name, **more):
        where = folder / f"{name}.n5"
        where.mkdir()
        (where / "attributes.json").write_text(json.dumps({
            "n5": "2.0.0", "dimensions": V.shape[::-1], "blockSize": chunks[::-1], "dataType": "int16",
            "compression": {"type": "raw"}, **more}))
        for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(V.shape, chunks))):
            part = V[tuple(slice(p * c, (p + 1) * c) for p, c in zip(pos, chunks))]
            at = where.joinpath(*map(str, pos[::-1]))
            at.parent.mkdir(parents=True, exist_ok=True)
            head = b"\0\0\0\3" + b"".join(n.to_bytes(4, "big") for n in part.shape[::-1])
            at.write_bytes(head + part.astype(">i2").tobytes())
        return where
    np.save(folder / "a.npy", V)
    np.save(folder / "f.npy", np.asfortranarray(V))
    turned = {"axes": ["x", "y", "z"], "ordering": "C", "scale": [3, 2, 1]}
    return {"blocks": n5("plain"), "turned": n5("turned", transform=turned), "map": folder / "a.npy",
            "fortran": folder / "f.npy"}


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("name", ["blocks", "turned", "map", "fortran"])
def test_numpys_indexing(files, name, dtype):
    a = lazarr.open(files[name], dtype=dtype)
    v = V.transpose(2, 1, 0) if name == "turned" else V
    v = v if dtype is None else v.astype(dtype)
    assert a.shape == v.shape and a.dtype == v.dtype and len(a) == len(v)
    for key in KEYS:
        try:
            want = v[key]
        except IndexError:  # of the other order
            with pytest.raises(IndexError):
                a[key]
            continue
        got = a[key]
        assert np.shape(got) == want.shape and np.array_equal(got, want), (name, key)
    assert np.array_equal(np.asarray(a), v) and np.asarray(a, "f8").dtype == "f8"
    for key in (4 if name != "turned" else 6, (0, 0, 9), (0, 0, 0, 0), "x", 1.5):
        with pytest.raises(IndexError):
            a[key]


def test_a_step_reads_the_blocks_that_it_names(files, monkeypatch):
    from lazarr._readers import n5
    read, block = [], n5.N5Array.block
    monkeypatch.setattr(n5.N5Array, "block", lambda self, pos: read.append(pos) or block(self, pos))
    a = lazarr.open(files["blocks"])
    a[0, 0, ::5]
    assert sorted(read) == [(0, 0, 0), (0, 0, 1)]
    read.clear()
    a[1:2, 1:4]
    assert len(read) == len(set(read)) == 4


def test_as_a_source_it_keeps_its_files_and_chunks(files):
    opened = lazarr.open(files["turned"])
    assert opened.opened_files == {str(files["turned"])} and opened.chunks == (4, 2, 3)
    a = lazarr.source("a", lambda: lazarr.open(files["turned"]))
    assert a.chunks == (4, 2, 3) and a.dtype == "i2" and np.array_equal(a[...], V.transpose(2, 1, 0))


@pytest.mark.parametrize("dtype", ["float64", "int16", "bool"])
def test_complex_numbers_are_not_halved(tmp_path, dtype):
    np.save(tmp_path / "c.npy", np.array([1 + 2j]))
    with pytest.raises(lazarr.StoreError, match=f"complex numbers can't be read as {dtype}"):
        lazarr.open(tmp_path / "c.npy", dtype=dtype)
    with pytest.raises(lazarr.StoreError, match=f"complex numbers can't be read as {dtype}"):
        lazarr.source("cc", np.array([1 + 2j]), dtype=dtype)
    assert lazarr.open(tmp_path / "c.npy", dtype="complex64")[0] == 1 + 2j
