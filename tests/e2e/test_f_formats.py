"""The lines of the readers' contract about N5, precomputed and OME-NGFF documents."""
import itertools
import re

import pytest

STORE = """
import lazarr
import numpy as np

@lazarr.array("deep/image", shape=(5, 20, 21, 22), chunks=(2, 8, 8, 8), dtype="uint16", axes="czyx",
              units="micrometer", scale=(1, 2, 0.5, 0.25), translation=(0, 10, 20, 30), levels=2,
              channels=["a", "b", {"label": "c", "color": "ff8000", "active": False}, "d",
                        {"label": "e", "window": {"min": 1, "max": 9, "start": 2, "end": 8}}])
def image(block):
    return 1

@lazarr.array("labels3", shape=(20, 21, 22), chunks=8, dtype="uint64", axes="zyx", kind="labels",
              units="nanometer", scale=(40, 4, 4), translation=(400, 8, -12))
def labels(block):
    z, y, x = block.coords()
    return (z * 1000 + y * 30 + x).astype("uint64")

@lazarr.array("bare", shape=(6, 7, 8), chunks=4, dtype="float32", axes="zyx")
def bare(block):
    return 1.5

@lazarr.array("parts", shape=(6, 7, 8), chunks=4, dtype="uint32", axes="zyx", kind="labels",
              labels_of="bare")
def parts(block):
    return 1

@lazarr.array("film", shape=(3, 4, 5), chunks=2, dtype="uint8", axes="tyx", units=("second", None, None))
def film(block):
    return 1
"""
IMAGES = {"deep/image": "czyx", "labels3": "zyx", "bare": "zyx", "parts": "zyx", "film": "tyx"}


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    import lzr
    path = tmp_path_factory.mktemp("store") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "2") as server:
        yield server


def test_A10_ancestors_of_an_n5_dataset(srv):
    """A10 Every ancestor's attributes.json, up to the server's root, is 404 or a JSON object, and
    nothing that a child would inherit wrongly stands in one."""
    for path in ("/n5/s.n5/deep/image/s0", "/n5/s.n5/deep/image/s1", "/n5/s.n5/labels3/s0",
                 "/bdv/s/bare/dataset.n5/setup0/timepoint0/s0"):
        parts = path.strip("/").split("/")
        seen = 0
        for n in range(len(parts) + 1):
            r = srv.get("/" + "/".join([*parts[:n], "attributes.json"]))
            assert r.status in (200, 404), r
            if r.status == 200:
                doc = r.json()
                assert isinstance(doc, dict)
                seen += 1
                if path[1] == "n" and not {"dimensions", "downsamplingFactors"} & set(doc):
                    assert not {"axes", "resolution", "units", "pixelResolution"} & set(doc), doc
        assert seen >= 2


def test_A50_n5_documents(srv):
    """A50 dimensions, blockSize, dataType, compression.type in each level; downsamplingFactors of
    the group, so that no listing is needed; the root's version; big-endian blocks, cut at the end."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", srv.get("/n5/s.n5/attributes.json").json()["n5"])
    for name, axes in IMAGES.items():
        group = srv.get(f"/n5/s.n5/{name}/attributes.json").json()
        factors = group["downsamplingFactors"]
        assert all(len(f) == len(axes) for f in factors) and set(factors[0]) == {1}
        for k in range(len(factors)):
            level = srv.get(f"/n5/s.n5/{name}/s{k}/attributes.json").json()
            assert len(level["dimensions"]) == len(level["blockSize"]) == len(axes)
            assert level["compression"]["type"] == "gzip"
            assert level["dataType"] in ("uint8", "uint16", "uint32", "uint64", "float32")
        assert srv.get(f"/n5/s.n5/{name}/s{len(factors)}/attributes.json").status == 404
    import gzip
    import struct
    block = srv.get("/n5/s.n5/labels3/s0/2/2/2").body
    mode, rank, x, y, z = struct.unpack_from(">HHIII", block)
    assert (mode, rank, x, y, z) == (0, 3, 6, 5, 4)  # 22, 21 and 20 voxels in blocks of 8
    values = struct.unpack(f">{6 * 5 * 4}Q", gzip.decompress(block[16:]))
    assert values[1] == 16 * 1000 + 16 * 30 + 17  # x is the fastest


def test_A51_precomputed_documents(srv):
    """A51 info has what readers need; chunk names begin at voxel_offset and end where the volume
    does; the payload is the clipped box, x fastest, little-endian."""
    info = srv.get("/precomputed/s/deep/image/info").json()
    assert info["@type"] == "neuroglancer_multiscale_volume" and info["type"] == "image"
    assert info["data_type"] == "uint16" and info["num_channels"] == 5
    assert len(info["scales"]) == 2
    for name in "deep/image", "labels3", "bare", "parts":
        info = srv.get(f"/precomputed/s/{name}/info").json()
        for scale in info["scales"]:
            assert {"key", "size", "resolution", "voxel_offset", "chunk_sizes",
                    "encoding"} <= set(scale)
            assert all(r > 0 for r in scale["resolution"])
            assert all(isinstance(v, int) for v in scale["voxel_offset"] + scale["size"])
            low = scale["voxel_offset"]
            ends = [range(o, o + n, c) for o, n, c in
                    zip(low, scale["size"], scale["chunk_sizes"][0])]
            for corner in itertools.islice(itertools.product(*ends), 30):
                box = [(a, min(a + c, o + n)) for a, c, o, n in
                       zip(corner, scale["chunk_sizes"][0], low, scale["size"])]
                key = "_".join(f"{a}-{b}" for a, b in box)
                r = srv.get(f"/precomputed/s/{name}/{scale['key']}/{key}")
                assert r.status == 200, key
                if scale["encoding"] == "raw":
                    n = info["num_channels"] * {"uint16": 2, "float32": 4}[info["data_type"]]
                    for a, b in box:
                        n *= b - a
                    assert len(r.body) == n
    scale = srv.get("/precomputed/s/labels3/info").json()["scales"][0]
    assert scale["voxel_offset"] == [-3, 2, 10] and scale["resolution"] == [4, 4, 40]
    assert srv.get("/precomputed/s/labels3/0/-3-6_2-10_10-18").status == 404  # ends beyond the chunk
    assert srv.get("/precomputed/s/film/info").status == 404


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_A52_ome_documents(srv, face):
    """A52 0.4 on Zarr v2 with "/" in keys, 0.5 on v3; each dataset exactly one scale, then at most
    one translation; units of the list; dimension_names are the axes'."""
    for name, axes in IMAGES.items():
        if face == "zarr2":
            ome = srv.get(f"/zarr2/s.zarr/{name}/.zattrs").json()
            assert ome["multiscales"][0]["version"] == "0.4"
        else:
            ome = srv.get(f"/zarr3/s.zarr/{name}/zarr.json").json()["attributes"]["ome"]
            assert ome["version"] == "0.5" and "version" not in ome["multiscales"][0]
        scales, = ome["multiscales"]
        assert "".join(a["name"] for a in scales["axes"]) == axes
        types = {"t": "time", "c": "channel"}
        for a in scales["axes"]:
            assert a["type"] == types.get(a["name"], "space")
            assert a.get("unit", "meter") in ("meter", "micrometer", "nanometer", "second")
            assert a["name"] != "c" or "unit" not in a
        assert len(scales["datasets"]) == (2 if name == "deep/image" else 1)
        for d in scales["datasets"]:
            kinds = [t["type"] for t in d["coordinateTransformations"]]
            assert kinds in (["scale"], ["scale", "translation"])
            for t in d["coordinateTransformations"]:
                assert len(t[t["type"]]) == len(axes)
            base = f"/{face}/s.zarr/{name}/{d['path']}"
            if face == "zarr2":
                assert srv.get(base + "/.zarray").json()["dimension_separator"] == "/"
            else:
                assert srv.get(base + "/zarr.json").json()["dimension_names"] == list(axes)


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_A53_omero_channels(srv, face):
    """A53 Channels have a colour of six digits, a whole window, active, a label."""
    doc = srv.get(f"/{face}/s.zarr/deep/image/" + (".zattrs" if face == "zarr2" else "zarr.json")).json()
    channels = (doc if face == "zarr2" else doc["attributes"]["ome"])["omero"]["channels"]
    assert [c["label"] for c in channels] == list("abcde")
    assert [c["active"] for c in channels] == [True, True, False, True, True]
    for c in channels:
        assert re.fullmatch("[0-9A-F]{6}", c["color"])
        w = c["window"]
        assert set(w) == {"min", "max", "start", "end"}
        assert w["min"] <= w["start"] < w["end"] <= w["max"]
    assert channels[2]["color"] == "FF8000" and channels[4]["window"]["end"] == 8
    for name in "bare", "labels3":  # no channels said: no omero
        doc = srv.get(f"/{face}/s.zarr/{name}/" + (".zattrs" if face == "zarr2" else "zarr.json")).json()
        assert "omero" not in (doc if face == "zarr2" else doc["attributes"]["ome"])


def test_A54_labels_of_none(srv):
    """A54 labels/ of an image without labels is 404 in every form that readers probe; of one with
    labels it is there, and lists them."""
    for image, there in (("deep/image", False), ("labels3", False), ("film", False), ("bare", True)):
        for key in ("zarr3/s.zarr/{}/labels/zarr.json", "zarr2/s.zarr/{}/labels/.zattrs",
                    "zarr2/s.zarr/{}/labels/.zgroup", "zarr3/s.zarr/{}/labels/",
                    "zarr2/s.zarr/{}/labels"):
            want = (200, 301) if there else (404,)
            assert srv.get("/" + key.format(image)).status in want, key
    assert srv.get("/zarr2/s.zarr/bare/labels/.zattrs").json()["labels"] == ["parts"]
    ome = srv.get("/zarr3/s.zarr/bare/labels/zarr.json").json()["attributes"]["ome"]
    assert ome["labels"] == ["parts"]
    for key in ("zarr2/s.zarr/deep/image/labels/.zarray", "zarr3/s.zarr/deep/image/labels/0/zarr.json"):
        assert srv.get("/" + key).status == 404
