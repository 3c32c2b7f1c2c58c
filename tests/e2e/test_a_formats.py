"""The contract's lines about formats: A10 and A50 to A54, one test each that quotes its line; and what
holds for all formats together: nothing is served that no reader can open, Python runs once a chunk,
transcoding keeps nobody else waiting."""
import gzip
import html
import itertools
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lzr

N5, PRE, BDV = "/n5/formats.n5", "/precomputed/formats", "/bdv/formats"
Z2, Z3 = "/zarr2/formats.zarr", "/zarr3/formats.zarr"
N5_TYPES = {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"}
PRE_TYPES = N5_TYPES - {"float64", "int64"}
# name: path of a dataset in N5, shape as NumPy has it, dtype as N5 shows it
DATASETS = {"img/s0": ((20, 30, 40), "uint16"), "img/s1": ((10, 15, 20), "uint16"),
            "seg/s0": ((20, 30, 40), "uint32"), "czyx/s0": ((3, 9, 10, 11), "uint16"),
            "tczyx/s0": ((2, 2, 3, 4, 5), "float32"), "yx/s0": ((33, 47), "int16"),
            "alone/s0": ((8, 8, 8), "uint8"), "line": ((10,), "int32"), "flat": ((9, 7), "uint8"),
            "box": ((5, 6, 7), "uint32"), "deep/er/box": ((5, 6, 7), "float32"),
            "four": ((2, 3, 4, 5), "uint8"), "empty": ((0, 5), "uint8"), "bits": ((9, 7), "uint8"),
            "half": ((9, 7), "float32"), "wide": ((9, 7), "float64"), "long": ((9, 7), "int64")}
# name: x, y, z, channels, dtype in precomputed
VOLUMES = {"img": ((40, 30, 20, 1), "uint16"), "seg": ((40, 30, 20, 1), "uint32"),
           "czyx": ((11, 10, 9, 3), "uint16"), "yx": ((47, 33, 1, 1), "int16"), "alone": ((8, 8, 8, 1), "uint8"),
           "flat": ((7, 9, 1, 1), "uint8"), "box": ((7, 6, 5, 1), "uint32"),
           "deep/er/box": ((7, 6, 5, 1), "float32"), "bits": ((7, 9, 1, 1), "uint8"),
           "half": ((7, 9, 1, 1), "float32"), "wide~float32": ((7, 9, 1, 1), "float32"),
           "long~uint64": ((7, 9, 1, 1), "uint64")}
ABSENT = {"n5": {"scalar": "N5 has no arrays without axes", "cplx": "N5 has no complex64"},
          "precomputed": {"line": "Neuroglancer precomputed has two or three axes",
                          "scalar": "Neuroglancer precomputed has two or three axes",
                          "four": "Neuroglancer precomputed has two or three axes",
                          "tczyx": "Neuroglancer precomputed has no time axis",
                          "empty": "Neuroglancer precomputed has no empty arrays",
                          "cplx": "Neuroglancer precomputed has no complex64",
                          # Where there is a cast view, its URL is the reason.
                          "wide": "/precomputed/formats/wide~float32",
                          "long": "/precomputed/formats/long~uint64"}}


def values(shape, dtype):
    """stores/formats.py's."""
    out = np.zeros((), int)
    for i, n in enumerate(reversed(shape)):
        out = out + (np.arange(n) * (1, 100, 10000, 1000000)[min(i, 3)]).reshape((-1,) + (1,) * i)
    return (out % 65536).astype(dtype)


@pytest.fixture(scope="module")
def srv(request):
    with lzr.Server(lzr.STORES / "formats.py", "--workers", "2") as server:
        yield server
        m = server.metrics()
        assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0


def ancestors(path):
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:i]) for i in range(1, len(parts))] + [""]


def crawl(srv, at):
    """Every document and directory below a directory, through the listings."""
    r = srv.get(f"{at}/")
    assert r.status == 200, at
    for href in re.findall(r'<a\s[^>]*href="([^"]+)"', r.text):
        if href.startswith("."):
            if href in ("../", ".."):
                continue
        if href.endswith("/"):
            yield from crawl(srv, f"{at}/{href[:-1]}")
        else:
            yield f"{at}/{href}"


def test_A10_ancestors_are_json_or_missing(srv):
    """A10 Every ancestor path /.../attributes.json up to /attributes.json answers 404 or a JSON object
    (neuroglancer N5 reads them all, and what a parent says is inherited)."""
    for face, path in [(N5, f"{N5}/{d}") for d in DATASETS] + [
            (f"{BDV}/img", f"{BDV}/img/dataset.n5/setup0/timepoint0/s0"), (PRE, f"{PRE}/img/0"),
            (Z2, f"{Z2}/img/0"), (Z3, f"{Z3}/img/0")]:
        for a in ancestors(path):
            r = srv.get(f"{a}/attributes.json")
            assert r.status == 404 or isinstance(r.json(), dict), (a, r)
            if a == N5 or (r.status == 200 and a.endswith("/deep")):
                # Nothing that would leak into images below: only an image's own group says such things.
                assert set(r.json()) <= {"n5"}, (a, r.json())


def block(data, meta):
    """An N5 block by hand: mode, axes, extent (all big-endian), then the compressed values."""
    rank = len(meta["dimensions"])
    assert data[:4] == bytes([0, 0, 0, rank])
    extent = tuple(int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank))
    body = data[4 + 4 * rank:]
    body = {"raw": bytes, "gzip": gzip.decompress}[meta["compression"]["type"]](body)
    dtype = np.dtype(meta["dataType"]).newbyteorder(">")
    assert len(body) == dtype.itemsize * np.prod(extent, dtype=int)
    return np.frombuffer(body, dtype).reshape(extent, order="F")


@pytest.mark.parametrize("name", DATASETS)
def test_A50_n5_datasets(srv, name):
    """A50 N5: dimensions, blockSize, dataType, compression.type in every sN/attributes.json; blocks
    big-endian, mode 0, truncated at edges."""
    shape, dtype = DATASETS[name]
    meta = srv.get(f"{N5}/{name}/attributes.json").json()
    assert meta["dimensions"] == list(reversed(shape)) and meta["dataType"] == dtype
    assert len(meta["blockSize"]) == len(shape) and all(b >= 1 for b in meta["blockSize"])
    assert meta["compression"]["type"] in ("raw", "gzip")
    counts = [-(-n // b) for n, b in zip(meta["dimensions"], meta["blockSize"])]
    got = np.zeros(meta["dimensions"], dtype)
    for pos in itertools.product(*map(range, counts)):
        b = block(srv.chunk(f"{N5}/{name}/{'/'.join(map(str, pos))}"), meta)
        at = tuple(slice(p * n, min(p * n + n, s)) for p, n, s in zip(pos, meta["blockSize"], meta["dimensions"]))
        assert b.shape == tuple(a.stop - a.start for a in at), "not cut to the array"
        got[at] = b
    source = {"bits": "bool", "half": "float16"}.get(name, dtype)
    want = values((20, 30, 40), "uint16") if name == "img/s1" else values(shape, source)
    if name == "img/s1":
        want = (want.reshape(10, 2, 15, 2, 20, 2).sum((1, 3, 5), dtype=int) + 4) // 8
    assert np.array_equal(got, want.astype(dtype).transpose(), equal_nan=dtype[0] == "f")
    for bad in ("0/" * len(shape) + "0", "/".join(["00"] * len(shape)), ".".join(["0"] * len(shape))):
        if len(shape) > 1 or bad not in ("0",):
            assert srv.get(f"{N5}/{name}/{bad}").status == 404, bad
    assert srv.get(f"{N5}/{name}/{'/'.join(map(str, counts))}").status == 404


def test_A50_n5_groups(srv):
    """A50 N5: the group lists downsamplingFactors (array of arrays) so no listing is needed; root
    attributes.json has "n5" version."""
    root = srv.get(f"{N5}/attributes.json").json()
    assert re.fullmatch(r"\d+\.\d+\.\d+", root["n5"]) and set(root) == {"n5"}
    img = srv.get(f"{N5}/img/attributes.json").json()
    assert img["downsamplingFactors"] == [[1, 1, 1], [2, 2, 2]]
    assert img["axes"] == ["x", "y", "z"] and img["units"] == ["um"] * 3
    assert img["resolution"] == [0.25, 0.5, 2]
    assert img["pixelResolution"] == {"unit": "um", "dimensions": [0.25, 0.5, 2]}
    s1 = srv.get(f"{N5}/img/s1/attributes.json").json()
    assert s1["downsamplingFactors"] == [2, 2, 2] and s1["resolution"] == [0.5, 1, 4]
    yx = srv.get(f"{N5}/yx/attributes.json").json()
    assert (yx["axes"], yx["resolution"], yx["units"]) == (["x", "y"], [8, 4], ["nm", "nm"])
    t = srv.get(f"{N5}/tczyx/attributes.json").json()
    assert t["axes"] == ["x", "y", "z", "c", "t"] and t["units"] == ["um", "um", "um", "", "s"]
    # The user's own attributes stand beside the format's, which they can't change.
    own = srv.get(f"{N5}/deep/er/box/attributes.json").json()
    assert own["mine"] == 1 and own["dimensions"] == [7, 6, 5]


@pytest.mark.parametrize("name", VOLUMES)
def test_A51_precomputed(srv, name):
    """A51 precomputed: chunk names use voxel_offset and clipped ends x0-x1_y0-y1_z0-z1; payload is the
    clipped shape, Fortran xyzc, little-endian; info has @type, type, data_type, num_channels,
    scales[key,size,resolution>0,voxel_offset,chunk_sizes,encoding]."""
    shape, dtype = VOLUMES[name]
    info = srv.get(f"{PRE}/{name}/info").json()
    assert info["@type"] == "neuroglancer_multiscale_volume"
    assert info["type"] == ("segmentation" if name == "seg" else "image")
    assert (info["data_type"], info["num_channels"]) == (dtype, shape[3])
    assert len(info["scales"]) == (2 if name == "img" else 1)
    for s in info["scales"]:
        assert all(r > 0 for r in s["resolution"]) and len(s["resolution"]) == 3
        assert all(isinstance(o, int) for o in s["voxel_offset"] + s["size"] + s["chunk_sizes"][0])
    s = info["scales"][0]
    assert s["size"] == list(shape[:3]) and s["encoding"] == ("compressed_segmentation" if name == "seg" else "raw")
    if name in ("img", "seg"):
        assert s["resolution"] == [250, 500, 2000] and s["voxel_offset"] == [-120, 40, 5]
    got = np.zeros(shape, dtype)
    for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(s["size"], s["chunk_sizes"][0]))):
        lo = [p * c for p, c in zip(pos, s["chunk_sizes"][0])]
        hi = [min(a + c, n) for a, c, n in zip(lo, s["chunk_sizes"][0], s["size"])]
        key = "_".join(f"{a + o}-{b + o}" for a, b, o in zip(lo, hi, s["voxel_offset"]))
        data = srv.chunk(f"{PRE}/{name}/{s['key']}/{key}")
        if s["encoding"] == "raw":
            extent = [b - a for a, b in zip(lo, hi)] + [shape[3]]
            got[tuple(slice(a, b) for a, b in zip(lo, hi))] = np.frombuffer(
                data, np.dtype(dtype).newbyteorder("<")).reshape(extent, order="F")
        beyond = [a + c for a, c in zip(lo, s["chunk_sizes"][0])]
        for bad_lo, bad_hi in ((lo, beyond), ([a + 1 for a in lo], hi), (lo, [b - 1 for b in hi])):
            if bad_hi != hi or bad_lo != lo:
                key = "_".join(f"{a + o}-{b + o}" for a, b, o in zip(bad_lo, bad_hi, s["voxel_offset"]))
                assert srv.get(f"{PRE}/{name}/{s['key']}/{key}").status == 404, key
    # 2^64 is no other way to write 0.
    first = "_".join(f"{o}-{min(c, n) + o}" for o, c, n in zip(s["voxel_offset"], s["chunk_sizes"][0], s["size"]))
    assert srv.get(f"{PRE}/{name}/0/{first}").status == 200
    if first.startswith("0-"):
        assert srv.get(f"{PRE}/{name}/0/{2**64}{first[1:]}").status == 404
    if s["encoding"] != "raw":
        return  # tests/clients decodes them with tensorstore and cloud-volume
    source = {"bits": "bool", "half": "float16"}.get(name, dtype)
    want = values(tuple(reversed(shape)), source).astype(dtype)
    assert np.array_equal(got, want.transpose(), equal_nan=dtype[0] == "f")


UDUNITS = {"angstrom", "micrometer", "millimeter", "nanometer", "second", "meter"}  # of those used here


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_A52_ome(srv, face):
    """A52 OME 0.4 on v2 (multiscales[0].version="0.4", separator "/"), OME 0.5 on v3
    (attributes.ome.version="0.5"); >=1 dataset, each with exactly one scale then <=1 translation; units
    from the UDUNITS list; dimension_names = axes names."""
    for name in ("img", "seg", "czyx", "tczyx", "yx", "alone", "img/labels/seg"):
        if face == "zarr2":
            ome = srv.get(f"{Z2}/{name}/.zattrs").json()
            assert ome["multiscales"][0]["version"] == "0.4"
        else:
            ome = srv.get(f"{Z3}/{name}/zarr.json").json()["attributes"]["ome"]
            assert ome["version"] == "0.5" and "version" not in ome["multiscales"][0]
        multiscale, = ome["multiscales"]
        axes = multiscale["axes"]
        assert [a["name"] for a in axes] == list("zyx" if name in ("img/labels/seg", "img", "seg", "alone") else name)
        for a in axes:
            assert a["type"] == {"t": "time", "c": "channel"}.get(a["name"], "space")
            assert "unit" not in a or a["unit"] in UDUNITS and a["name"] != "c"
        assert len(multiscale["datasets"]) == (2 if name == "img" else 1)
        for k, d in enumerate(multiscale["datasets"]):
            assert d["path"] == str(k)
            types = [t["type"] for t in d["coordinateTransformations"]]
            assert types in (["scale"], ["scale", "translation"])
            for t in d["coordinateTransformations"]:
                assert len(t[t["type"]]) == len(axes) and all(type(v) in (int, float) for v in t[t["type"]])
            if face == "zarr2":
                assert srv.get(f"{Z2}/{name}/{k}/.zarray").json()["dimension_separator"] == "/"
            else:
                own = srv.get(f"{Z3}/{name}/{k}/zarr.json").json()
                assert own["dimension_names"] == [a["name"] for a in axes]
        if name == "img":
            scales = [[t[t["type"]] for t in d["coordinateTransformations"]] for d in multiscale["datasets"]]
            assert scales == [[[2, 0.5, 0.25], [10, 20, -30]], [[4, 1, 0.5], [11, 20.25, -29.875]]]


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_A53_omero(srv, face):
    """A53 OMERO channels, when present, each have color (6 hex), window {min,max,start,end}, active
    (bool), label."""
    seen = 0
    for name in ("img", "seg", "czyx", "tczyx", "yx"):
        ome = srv.get(f"{Z2}/{name}/.zattrs").json() if face == "zarr2" else \
            srv.get(f"{Z3}/{name}/zarr.json").json()["attributes"]["ome"]
        for c in ome.get("omero", {"channels": []})["channels"]:
            seen += 1
            assert re.fullmatch("[0-9A-F]{6}", c["color"])
            w = c["window"]
            assert set(w) == {"min", "max", "start", "end"} and w["min"] <= w["start"] < w["end"] <= w["max"]
            assert type(c["active"]) is bool and isinstance(c["label"], str)
    assert seen == 5


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_A54_labels(srv, face):
    """A54 <group>/labels/... metadata of a group without labels -> 404 (napari and vizarr always
    probe). A group with labels lists them, and they say whose they are; elsewhere they don't."""
    home, names = {"zarr2": (Z2, (".zattrs", ".zgroup", ".zarray", ".zmetadata")),
                   "zarr3": (Z3, ("zarr.json",))}[face]
    for name in ("seg", "czyx", "alone", "flat", "box", "deep", "deep/er", "img/labels", "img/labels/seg"):
        for n in ("zarr.json", ".zattrs", ".zgroup", ".zarray"):
            assert srv.get(f"{home}/{name}/labels/{n}").status == 404, (name, n)
    assert srv.get(f"{home}/img/labels/{names[0]}").status == 200

    def attributes(path):
        doc = srv.get(f"{home}/{path}/{names[0]}").json()
        return doc if face == "zarr2" else doc["attributes"]["ome"]
    assert attributes("img/labels")["labels"] == ["seg"]
    assert attributes("img/labels/seg")["image-label"]["source"] == {"image": "../../"}
    assert "source" not in attributes("seg")["image-label"]


# ------------------------------------------------------------------------ all formats together

@pytest.mark.parametrize("face", ABSENT)
def test_what_a_format_cannot_hold_is_absent(srv, face):
    """404 for its documents and chunks, no entry in a listing, and the reason on the page, or the name
    under which it is shown; at start-up, too, for the first ten arrays."""
    home, names = {"n5": (N5, ("attributes.json", "0", "0/0")),
                   "precomputed": (PRE, ("info", "0/0-4_0-4_0-1"))}[face]
    listing = srv.get(f"{home}/").text
    sections = html.unescape(srv.get("/").text).split("<section")
    said = [line for line in srv.log.splitlines() if line.startswith("formats/")]
    assert len(said) == 10
    for name, why in ABSENT[face].items():
        for n in names:
            assert srv.get(f"{home}/{name}/{n}").status == 404, (name, n)
        assert f'"{name}/"' not in listing
        assert any(f"formats / {name}<" in part and why in part for part in sections), (name, why)
        assert all(why in line for line in said if line.startswith(f"formats/{name} "))
    for name in DATASETS if face == "n5" else VOLUMES:
        assert f'"{name.split("/")[0]}/"' in listing


def test_no_document_that_no_reader_can_open(srv):
    """Whatever the listings show: types that the format has, no empty or missing axes where it has none,
    and the finest level's first chunk is there."""
    documents = [k for home in (N5, PRE, BDV) for k in crawl(srv, home) if k.endswith((".json", "/info", ".xml"))]
    arrays = 0
    for key in documents:
        r = srv.get(key)
        assert r.status == 200, key
        if key.endswith("/info"):
            info = r.json()
            assert info["data_type"] in PRE_TYPES and info["num_channels"] >= 1 and info["scales"]
            for s in info["scales"]:
                assert min(s["size"] + s["chunk_sizes"][0] + s["resolution"]) > 0
                arrays += 1
        elif key.endswith("attributes.json") and "dimensions" in r.json():
            meta = r.json()
            assert meta["dataType"] in N5_TYPES and len(meta["dimensions"]) == len(meta["blockSize"]) >= 1
            assert meta["compression"]["type"] in ("raw", "gzip", "zstd", "blosc", "lz4")
            first = srv.get(key.replace("attributes.json", "/".join("0" * len(meta["dimensions"]))))
            assert first.status == (404 if 0 in meta["dimensions"] else 200), key
            arrays += 1
        elif key.endswith(".xml"):
            assert b"bdv.n5" in r.body
        else:
            assert key.endswith("attributes.json") and isinstance(r.json(), dict), key
    n5 = sum(1 for k in documents if k.startswith(N5) and "dimensions" in srv.get(k).json())
    assert n5 == len(DATASETS) and arrays > n5 + len(VOLUMES)
    infos = {k[len(PRE) + 1:-5] for k in documents if k.endswith("/info")}
    assert infos == set(VOLUMES)


GATED = """
import lazarr
@lazarr.array("a", shape=(8, 8, 8), chunks=8, dtype="uint32", axes="zyx", kind="labels")
def a(block):
    gate("a")
    return block.coords()[0] + 1
@lazarr.array("wide", shape=(2, 8, 8), chunks=(1, 8, 8), dtype="float64")
def wide(block):
    return 1.5
"""
ALL = ["/zarr2/s.zarr/a/0/0/0/0", "/zarr3/s.zarr/a/0/c/0/0/0", "/n5/s.n5/a/s0/0/0/0",
       "/precomputed/s/a/0/0-8_0-8_0-8", "/bdv/s/a/dataset.n5/setup0/timepoint0/s0/0/0/0"]


def test_python_runs_once_whatever_the_number_of_formats(serve, gate):
    """Five formats ask for one chunk at the same time: one call, one encoding in Zarr, one N5 block (which
    BigDataViewer shares), one in precomputed. And later: none."""
    srv = serve(gate.code + GATED, "--workers", "2")
    pending = [srv.begin(k) for k in ALL for _ in range(3)]
    call = gate.next()
    lzr.wait_until(lambda: srv.metric("waiting") >= len(pending), "all of them wait")
    call.go()
    answers = [p.result() for p in pending]
    assert all(r.status == 200 and r.complete for r in answers)
    assert gate.empty()
    m = srv.metrics()
    assert (m["computed_total"], m["encoded_total"], m["transcoded_total"]) == (1, 1, 2), m
    n5 = [r.body for r in answers[6:9] + answers[12:]]
    assert len(set(n5)) == 1
    with srv.delta() as d:
        again = [srv.get(k).body for k in ALL for _ in range(3)]
    assert again == [r.body for r in answers]
    assert d["flights_total"] == d["transcoded_total"] == d["computed_total"] == 0
    # One format after the other, with nothing in common but the Zarr chunk.
    with srv.delta() as d:
        for k in ("/n5/s.n5/wide/0/0/0", "/precomputed/s/wide~float32/0/0-8_0-8_0-1", "/zarr3/s.zarr/wide/c/0/0/0",
                  "/zarr2/s.zarr/wide/0.0.0"):
            srv.chunk(k)
    assert (d["computed_total"], d["transcoded_total"]) == (1, 2)


def test_a_failure_is_one_failure_in_all_formats(serve):
    """The function runs once; every format answers with its text, never with anything like data."""
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(8, 8, 8), chunks=8, dtype="uint32", axes="zyx")
def a(block):
    raise ValueError("no luck")
""")
    for key in ALL:
        for method in ("GET", "HEAD"):
            r = srv.request(method, key)
            assert r.status == 500, (key, r)
            assert method == "HEAD" or b"ValueError: no luck" in r.body
    assert srv.metric("computed_total") == 1


@pytest.mark.limit(120)
def test_transcoding_is_off_the_event_loop(serve):
    """While a chunk of 256 MiB is made into N5 with gzip 9, everything else is answered: many connections
    at once, of documents, cached chunks and pages, before that one is."""
    srv = serve("""
import lazarr, numpy as np
@lazarr.array("big", shape=(1 << 28,), chunks=(1 << 28,), dtype="uint8", compressor=None,
              n5_compressor=lazarr.Gzip(9))
def big(block):
    block.data[...] = np.resize(np.arange(8191, dtype="uint32").view("uint8"), 1 << 28)
@lazarr.array("small", shape=(64,), chunks=(64,), dtype="uint8")
def small(block):
    return 1
""", "--cache", "2GiB", "--workers", "1")
    for key in ("/n5/s.n5/small/0", "/zarr3/s.zarr/small/c/0"):
        srv.chunk(key)
    pending = srv.begin("/n5/s.n5/big/0")
    lzr.wait_until(lambda: srv.metric("encoded_total") == 2, "the Zarr chunk is there", 60 * lzr.SLOW)
    answered, lock = [], threading.Lock()

    def ask(key):
        r = srv.get(key)
        with lock:
            answered.append((key, r.status, pending.answered()))
    keys = ["/n5/s.n5/small/0", "/zarr3/s.zarr/small/c/0", "/n5/s.n5/big/attributes.json", "/healthz",
            "/n5/s.n5/", "/zarr2/s.zarr/big/.zarray"]
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(ask, keys * 8))
    late = [a for a in answered if a[2]]
    assert not late and {a[1] for a in answered} == {200}, late
    r = pending.result(100 * lzr.SLOW)
    assert r.status == 200 and r.complete and r.body[:8] == b"\0\0\0\1" + (1 << 28).to_bytes(4, "big")


@pytest.mark.limit(120)
@pytest.mark.parametrize("cache", ["0", "64KiB"])
def test_the_same_bytes_whatever_is_evicted(srv, cache, stores):
    """Every document's chunks in every format, by many connections in any order, from a server that keeps
    nothing or next to nothing: the bytes of one that keeps all."""
    import random
    keys = [f"{Z3}/{n}/{c}" for n, c in (("img/0", "c/1/0/1"), ("img/1", "c/0/0/0"), ("czyx/0", "c/1/1/0/1"),
                                         ("box", "c/1/1/1"), ("seg/0", "c/2/1/1"))]
    keys += [f"{N5}/{n}" for n in ("img/s0/1/0/2", "img/s1/0/0/1", "czyx/s0/1/0/1/1", "box/1/1/2", "half/1/2",
                                   "seg/s0/0/1/0", "tczyx/s0/2/1/1/1/0", "wide/0/0")]
    for name in ("img", "seg", "czyx", "wide~float32", "half"):
        for s in srv.get(f"{PRE}/{name}/info").json()["scales"]:
            for i in range(min(3, -(-s["size"][0] // s["chunk_sizes"][0][0]))):
                lo = [i * s["chunk_sizes"][0][0], 0, 0]
                hi = [min(a + c, n) for a, c, n in zip(lo, s["chunk_sizes"][0], s["size"])]
                keys.append(f"{PRE}/{name}/{s['key']}/" + "_".join(
                    f"{a + o}-{b + o}" for a, b, o in zip(lo, hi, s["voxel_offset"])))
    keys += [f"{BDV}/tczyx/dataset.n5/setup{c}/timepoint{t}/s0/1/1/0" for c in (0, 1) for t in (0, 1)]
    want = {k: srv.chunk(k) for k in keys}
    order = keys * 12
    random.Random(cache).shuffle(order)
    with lzr.Server(stores / "formats.py", "--workers", "2", "--cache", cache) as other:
        with ThreadPoolExecutor(12) as pool:
            wrong = [k for k, got in zip(order, pool.map(other.get, order))
                     if got.status != 200 or got.body != want[k]]
        m = other.metrics()
    assert not wrong, wrong[:5]
    assert m["compute_failures_total"] == m["worker_deaths_total"] == 0
    assert m["computed_total"] > len(keys) or cache != "0"
    assert m["waiting"] == m["queued"] == m["running"] == 0


def test_lengths_that_are_known_need_no_computation(serve, gate):
    """A12 in the other formats: HEAD of raw precomputed chunks and of raw N5 blocks, cut ones too."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("a", shape=(9, 10, 11), chunks=8, dtype="float16", n5_compressor=None)
def a(block):
    gate("a")
    return 1
""", "--workers", "1")
    for key, n in (("/precomputed/s/a/0/0-8_0-8_0-8", 4 * 512), ("/precomputed/s/a/0/8-11_8-10_8-9", 4 * 6),
                   ("/n5/s.n5/a/0/0/0", 16 + 4 * 512), ("/n5/s.n5/a/1/1/1", 16 + 4 * 6)):
        r = srv.head(key)
        assert r.status == 200 and r["Content-Length"] == str(n), (key, r)
    assert gate.empty() and srv.metric("flights_total") == 0
    pending = srv.begin("/n5/s.n5/a/1/1/1")
    gate.next().go()
    assert len(pending.result().body) == 16 + 4 * 6


def test_documents_are_json_for_everybody(srv):
    """No NaN, no duplicate keys, the right type; the same at every request."""
    def pairs(found):
        assert len({k for k, _ in found}) == len(found), found
        return dict(found)
    for home in (N5, PRE):
        for key in (k for k in crawl(srv, home) if k.endswith((".json", "/info"))):
            r = srv.get(key)
            assert r["Content-Type"].startswith("application/json"), key
            json.loads(r.body, object_pairs_hook=pairs, parse_constant=lambda c: pytest.fail(c))
            assert srv.get(key).body == r.body
