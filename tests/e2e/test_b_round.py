"""What lazarr writes it reads: each face, copied to disk and served again, gives the same values, axes, scale,
units, translation, dims, kind, labels, channels, attributes and codecs."""
import os
import sys

import numpy as np
import pytest

import lzr
import mirror
import test_b_pythons

sys.path.insert(0, str(lzr.ROOT / "tests/golden"))
import arrays as golden  # noqa: E402

pytestmark = pytest.mark.limit(200)
ENVS = lzr.Path(os.environ.get("LZR_ENVS", lzr.ROOT / "build/envs"))

STORE = """
import lazarr, numpy as np
V = np.random.default_rng(3).integers(0, 60000, (2, 3, 6, 14, 18)).astype("u2")
def add(name, v, **more):
    lazarr.source(name, lambda: v, **more)
CH = [{"label": "DAPI", "color": "0000FF", "window": {"min": 0, "max": 65535, "start": 5, "end": 900}},
      {"label": "GFP", "color": "00FF00"}, {"label": "x", "active": False}]
add("five", V, axes="tczyx", units=["second", None, "micrometer", "micrometer", "micrometer"], chunks=(1, 1, 4, 8, 8),
    scale=(.5, 1, 3, 2, 1), translation=(7, 0, 30, -20, 10), channels=CH, levels=2, attributes={"mine": {"a": 1}},
    n5_compressor=lazarr.Lz4(), compressor=lazarr.Zstd(2))
add("flat", V[0, 0, 0], axes="yx", units="nanometer", scale=(4, 8), translation=(40, -16), chunks=8, levels=2,
    n5_compressor=None, compressor=None)
add("movie", V[:, 0, 0], axes="tyx", units=["second", "micrometer", "micrometer"], chunks=(1, 8, 8),
    n5_compressor=lazarr.Blosc("lz4", 5, "shuffle"), compressor=lazarr.Gzip(2))
add("color", V[0, :, 0], axes="cyx", chunks=(1, 8, 8), n5_compressor=lazarr.Zstd(4))
add("box", V[0, 0], axes="zyx", units="nanometer", scale=(3, 2, 1), translation=(6, -4, 8), chunks=(4, 8, 8), levels=2)
add("g/seg", V[0, 0] % 5 + np.uint32(1), axes="zyx", units="nanometer", scale=(3, 2, 1), translation=(6, -4, 8),
    chunks=(8, 8, 8), kind="labels", labels_of="box", levels=2, attributes={"image-label": {
        "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}], "properties": [{"label-value": 1, "area": 4}]}})
add("table", V[0, 0, 0].astype("f8"), dims=("time", "lat"), chunks=(5, 7), attributes={"long_name": "t"},
    compressor=lazarr.Blosc("zstd", 3, "bitshuffle"), n5_compressor=lazarr.Gzip(3))
lazarr.group("g", {"note": "kept"})
"""
SAME = ("kind", "dtype", "dims", "axes", "units", "attributes", "labels_of", "fill_value")
IMAGES = ("five", "flat", "movie", "color", "box", "g/seg", "table")


def one(a, name):
    """What is compared of an array, for short."""
    if name == "units" and a["kind"] != "plain":
        return [u or None for u in a["units"] or []]
    if name == "attributes":
        # how the copy's levels were made is said of it
        return {k: v for k, v in a["attributes"].items() if (k, v) not in [
            ("multiscales", [{"type": t}]) for t in ("mean", "mode")]}
    return a.get(name)


def compare(before, after, face, skip=()):
    for path, a in before.items():
        b = after["data" if len(after) == 1 and "data" in after else path.replace("g/seg", "seg")
                  if face.startswith("zarr") and a.get("labels_of") else path]
        for name in SAME:
            if name not in skip:
                assert one(a, name) == one(b, name), (face, path, name, one(a, name), one(b, name))
        assert a.get("channels") == b.get("channels") or "channels" in skip, (face, path)
        for k, (v, w) in enumerate(zip(a["levels"], b["levels"])):
            for name in ("shape", "chunks", "scale", "translation"):
                assert v[name] == w[name], (face, path, k, name, v[name], w[name])
        assert len(a["levels"]) == len(b["levels"]), (face, path)
        codec = "n5_compressor" if face == "n5" else "compressor"
        assert a[codec] == b[codec], (face, path, a[codec], b[codec])


def values(srv, again, store, copy, before, after, face):
    for path, a in before.items():
        other = path.replace("g/seg", "seg") if face.startswith("zarr") and a.get("labels_of") else path
        for k in range(len(a["levels"])):
            level = "" if a["kind"] == "plain" else f"/{k}"
            got = lzr.read_array(again, f"/zarr2/{copy}.zarr/{other}{level}")
            want = lzr.read_array(srv, f"/zarr2/{store}.zarr/{path}{level}")
            assert got.dtype.newbyteorder("=") == want.dtype.newbyteorder("="), (path, got.dtype, want.dtype)
            assert np.array_equal(got, want, equal_nan=want.dtype.kind in "fc"), (face, path, k)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    s = tmp_path_factory.mktemp("round") / "s.py"
    s.write_text(STORE)
    srv = lzr.Server(s, "--workers", "1")
    yield s, srv
    srv.kill()


def prefix_for(face):
    if face != "zarr3":
        return ()
    prefix = ENVS / "py312"
    lzr.need(prefix.is_dir(), "the environment py312 of tests/clients/setup.sh, with zarr 3")
    test_b_pythons.worker_for(prefix, 12, 2)
    return "--python", prefix


@pytest.mark.parametrize("face", ["zarr2", "zarr3", "n5"])
def test_images_and_tables(store, tmp_path, face):
    s, srv = store
    before, _ = mirror.describe(s)
    folder = mirror.mirror(srv, face, "s", tmp_path / f"copy{mirror.ENDING[face]}", before)
    after, said = mirror.describe(folder, *prefix_for(face))
    assert "left out" not in said, said
    compare(before, after, face)
    again = lzr.Server(folder, "--workers", "1", *prefix_for(face))
    try:
        values(srv, again, "s", "copy", before, after, face)
        if face.startswith("zarr"):
            assert again.get("/zarr2/copy.zarr/g/.zattrs").json()["note"] == "kept"
            doc = again.get("/zarr2/copy.zarr/box/labels/seg/.zattrs").json()["image-label"]
            assert doc["colors"] and doc["properties"] and doc["source"] == {"image": "../../"}
    finally:
        again.kill()


def source_of(folder, before):
    """A store of its own with each of the volumes as a source."""
    text = "import lazarr\n" + "".join(
        f"lazarr.source({p!r}, {str(folder / p)!r})\n" for p in before)
    s = folder / "again.py"
    s.write_text(text)
    return s


def test_volumes(store, tmp_path):
    s, srv = store
    every, _ = mirror.describe(s)
    before = {p: every[p] for p in ("box", "g/seg", "color")}
    folder = mirror.mirror(srv, "precomputed", "s", tmp_path / "copy", {
        p: dict(a, labels_of=None) for p, a in before.items()})
    again_py = source_of(folder, before)
    after, said = mirror.describe(again_py)
    assert "left out" not in said and {p: a["kind"] for p, a in after.items()} == {
        "box": "image", "g/seg": "labels", "color": "image"}, said
    for p in ("box", "g/seg"):
        for v, w in zip(before[p]["levels"], after[p]["levels"]):
            assert (v["shape"], v["scale"], v["translation"]) == (w["shape"], w["scale"], w["translation"]), p
        assert after[p]["units"] == ["nanometer"] * 3 and len(after[p]["levels"]) == 2
    again = lzr.Server(again_py, "--workers", "1")
    try:
        for p in ("box", "g/seg"):
            for k in range(2):
                got = lzr.read_array(again, f"/zarr2/again.zarr/{p}/{k}")
                assert np.array_equal(got, lzr.read_array(srv, f"/zarr2/s.zarr/{p}/{k}")), (p, k)
        got = lzr.read_array(again, "/zarr2/again.zarr/color/0")
        assert np.array_equal(got[:, 0], lzr.read_array(srv, "/zarr2/s.zarr/color/0"))
    finally:
        again.kill()


@pytest.mark.parametrize("face", ["zarr2", "zarr3", "n5", "precomputed"])
def test_the_golden_arrays(golden_server, tmp_path, face):
    s, srv = golden_server
    kind = {"n5": "n5/", "precomputed": "pre/"}.get(face, "zarr/")
    every, _ = mirror.describe(s)
    before = {p: a for p, a in every.items() if p.startswith(kind)}
    folder = mirror.mirror(srv, face, "store", tmp_path / f"copy{mirror.ENDING[face]}", before)
    if face == "precomputed":
        copy = source_of(folder, before)
    else:
        copy = folder
    after, said = mirror.describe(copy, *prefix_for(face))
    assert "left out" not in said, said
    name = "again" if face == "precomputed" else "copy"
    again = lzr.Server(copy, "--workers", "1", *prefix_for(face))
    try:
        for path, a in before.items():
            spec, b = golden.SPECS[path], after[path]
            want = golden.values(spec)
            level = "/0" if b["kind"] != "plain" else ""
            got = lzr.read_array(again, f"/zarr2/{name}.zarr/{path}{level}")
            assert np.array_equal(got, want, equal_nan=want.dtype.kind in "fc"), path
            assert a["kind"] == b["kind"] and a["dims"] == b["dims"], path
            # Zarr v2 of uint64 has 0 where none is given: readers take null for what they can't read there.
            fill = "0" if face == "zarr2" and "uint64" in path and a["fill_value"] is None else a["fill_value"]
            assert fill == b["fill_value"], path
            if face == "precomputed":
                assert a["levels"][0]["scale"] == b["levels"][0]["scale"], path
                assert a["levels"][0]["translation"] == b["levels"][0]["translation"], path
            else:
                codec = "n5_compressor" if face == "n5" else "compressor"
                assert a[codec] == b[codec] and a["dtype"].lstrip("<>|=") == b["dtype"].lstrip("<>|="), path
    finally:
        again.kill()


@pytest.fixture(scope="module")
def golden_server():
    s = lzr.ROOT / "tests/golden/store.py"
    srv = lzr.Server(s, "--workers", "1")
    yield s, srv
    srv.kill()
