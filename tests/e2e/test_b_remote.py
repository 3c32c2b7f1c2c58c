"""Containers in zip archives and at URLs, another lazarr among them, precomputed folders, and files named in a
store. What fails there is a failure, never fill values; a busy server is asked again."""
import contextlib
import gzip
import http.server
import json
import os
import subprocess
import zipfile

import numpy as np
import pytest

import lzr
import test_b_pythons

ENVS = lzr.Path(os.environ.get("LZR_ENVS", lzr.ROOT / "build/envs"))
pytestmark = pytest.mark.limit(200)
V = np.random.default_rng(1).integers(0, 60000, (5, 13, 17)).astype("<u2")
PLATE = {"rows": [{"name": "A"}], "columns": [{"name": "1"}],
         "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}


def run(*args):
    return subprocess.run([str(a) for a in (lzr.LAZARR, *args)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60 * lzr.SLOW, env=lzr.environment())


def with_fsspec():
    prefix = ENVS / "py312"
    lzr.need(prefix.is_dir(), "the environment py312 of tests/clients/setup.sh, with fsspec")
    test_b_pythons.worker_for(prefix, 12, 2)
    return "--python", prefix


def document(folder, name, doc):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(doc))


def array2(folder, v, chunk):
    """A Zarr v2 array without compressor."""
    document(folder, ".zarray", {"zarr_format": 2, "shape": v.shape, "chunks": chunk, "dtype": v.dtype.str,
                                 "order": "C", "fill_value": 0, "filters": None, "compressor": None,
                                 "dimension_separator": "/"})
    for pos in np.ndindex(*(-(-n // c) for n, c in zip(v.shape, chunk))):
        part = v[tuple(slice(p * c, p * c + c) for p, c in zip(pos, chunk))]
        full = np.zeros(chunk, v.dtype)
        full[tuple(slice(0, n) for n in part.shape)] = part
        path = folder / "/".join(map(str, pos))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(full.tobytes())


def image2(folder):
    """An OME-Zarr 0.4 of two levels."""
    document(folder, ".zgroup", {"zarr_format": 2})
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    document(folder, ".zattrs", {"multiscales": [{"version": "0.4", "axes": axes, "datasets": [
        {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": [2, 2 ** k, 2 ** k]}]}
        for k in range(2)]}]})
    array2(folder / "0", V, [2, 8, 8])
    array2(folder / "1", V[:, ::2, ::2], [2, 8, 8])
    return folder


def plate2(folder):
    document(folder, ".zgroup", {"zarr_format": 2})
    document(folder, ".zattrs", {"plate": dict(PLATE, version="0.4")})
    document(folder / "A", ".zgroup", {"zarr_format": 2})
    document(folder / "A/1", ".zgroup", {"zarr_format": 2})
    document(folder / "A/1", ".zattrs", {"well": {"version": "0.4", "images": [{"path": "0"}]}})
    image2(folder / "A/1/0")
    return folder


def same(srv, path, want):
    got = lzr.read_array(srv, path)
    assert got.shape == want.shape and np.array_equal(got, want), path


def test_plates_in_both_zarr_faces(open_file, tmp_path):
    srv = open_file(plate2(tmp_path / "p.zarr"))
    four = srv.get("/zarr2/p.zarr/.zattrs").json()
    assert {k: four["plate"][k] for k in PLATE} == PLATE and four["plate"]["version"] == "0.4" and "ome" not in four
    assert srv.get("/zarr2/p.zarr/A/1/.zattrs").json()["well"] == {"version": "0.4", "images": [{"path": "0"}]}
    five = srv.get("/zarr3/p.zarr/zarr.json").json()["attributes"]
    assert five["ome"] == {"version": "0.5", "plate": PLATE} and "plate" not in five
    well = srv.get("/zarr3/p.zarr/A/1/zarr.json").json()["attributes"]
    assert well["ome"] == {"version": "0.5", "well": {"images": [{"path": "0"}]}}
    same(srv, "/zarr2/p.zarr/A/1/0/1", V[:, ::2, ::2])


@pytest.mark.parametrize("name,inside,how", [
    ("a.zarr.zip", "", zipfile.ZIP_STORED), ("a.ozx", "", zipfile.ZIP_DEFLATED),
    ("a.ome.zarr.zip", "a.ome.zarr/", zipfile.ZIP_STORED), ("a.zip", "x/y.zarr/", zipfile.ZIP_DEFLATED)])
def test_archives(open_file, tmp_path, name, inside, how):
    folder = image2(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / name, "w", how) as z:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                z.write(path, inside + str(path.relative_to(folder)))
    srv = open_file(tmp_path / name)
    same(srv, "/zarr2/a.zarr/data/0", V)
    same(srv, "/zarr2/a.zarr/data/1", V[:, ::2, ::2])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    assert srv.get("/zarr3/a.zarr/data/0/c/0/0/0").status in (200, 500)


@pytest.mark.parametrize("content", [b"no archive", b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(99)])
def test_archives_that_are_none(tmp_path, content):
    (tmp_path / "bad.zarr.zip").write_bytes(content)
    r = run("describe", tmp_path / "bad.zarr.zip")
    assert r.returncode == 1 and "bad.zarr.zip: " in r.stderr and "Traceback" not in r.stderr


def test_a_member_that_unpacks_to_more_than_a_chunk_is_refused(open_file, tmp_path):
    folder = image2(tmp_path / "in")
    (folder / "0/0/0/0").write_bytes(bytes(64 << 20))
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                z.write(path, str(path.relative_to(folder)))
    srv = open_file(tmp_path / "a.zarr.zip")
    r = srv.get("/zarr2/a.zarr/data/0/0/0/0")
    assert r.status == 500 and "more than the" in r.text


@contextlib.contextmanager
def web(folder, answers=None, listing=False):
    """A file server. answers: what it says instead of a file, by a text in its path: [status …], one a request."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            for text, said in (answers or {}).items():
                if text in self.path and said:
                    self.send_response(said.pop(0) if len(said) > 1 or said[0] == 503 else said[0])
                    self.send_header("Retry-After", "0")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            super().do_GET()

        def list_directory(self, path):
            return super().list_directory(path) if listing else self.send_error(404)

        def log_message(self, *args):
            pass
    with lzr.served(Handler) as url:
        yield url


def consolidate(folder):
    found = {str(p.relative_to(folder)): json.loads(p.read_text()) for p in folder.rglob(".z*")
             if p.name in (".zgroup", ".zarray", ".zattrs")}
    document(folder, ".zmetadata", {"zarr_consolidated_format": 1, "metadata": found})


@pytest.mark.parametrize("how", ["metadata", "listing", "neither"])
def test_urls(open_file, tmp_path, how):
    plate2(tmp_path / "web/p.zarr")
    if how == "metadata":
        consolidate(tmp_path / "web/p.zarr")
    with web(tmp_path / "web", listing=how == "listing") as url:
        srv = open_file(f"{url}/p.zarr", *with_fsspec())
        same(srv, "/zarr2/p.zarr/A/1/0/0", V)
        same(srv, "/zarr2/p.zarr/A/1/0/1", V[:, ::2, ::2])
        assert srv.get("/zarr3/p.zarr/zarr.json").json()["attributes"]["ome"]["plate"] == PLATE


def test_failures_at_urls(open_file, tmp_path):
    image2(tmp_path / "web/p.zarr")
    os.remove(tmp_path / "web/p.zarr/0/2/1/1")  # there is none: fill values
    answers = {"/0/0/0/0": [500], "/0/0/0/1": [403], "/0/1/0/0": [503, 503, 429], "/1/0/0/0": [418]}
    with web(tmp_path / "web", answers) as url:
        srv = open_file(f"{url}/p.zarr", *with_fsspec())
        for key, status in (("0/0/0/0", 500), ("0/0/0/1", 403), ("1/0/0/0", 418)):
            r = srv.get(f"/zarr2/p.zarr/data/{key}")
            assert r.status == 500 and f"/p.zarr/{key} can't be read" in r.text and str(status) in r.text
        answers["/0/1/0/0"].pop()
        assert srv.get("/zarr2/p.zarr/data/0/1/0/0").status == 200 and answers["/0/1/0/0"] == []
        assert srv.get("/zarr2/p.zarr/data/0/2/1/1").status == 200
        r = run("describe", f"{url}/none.zarr", *with_fsspec())
        assert r.returncode == 1 and "no Zarr array or group" in r.stderr and "Traceback" not in r.stderr, r.stderr
    r = run("describe", f"{url}/p.zarr", *with_fsspec())  # nobody is there any more
    assert r.returncode == 1 and "can't be read" in r.stderr and "Traceback" not in r.stderr, r.stderr


STORE = """
import lazarr, numpy as np
@lazarr.array("a", shape=(4, 6), chunks=(2, 3), dtype="uint16", dims=("u", "v"), attributes={"mine": 1})
def a(block):
    if block.index == 3:
        raise ValueError("never this one")
    return block.index + 1
lazarr.source("img", lambda: np.arange(60.).reshape(3, 4, 5), axes="zyx", scale=(3, 2, 1), units="um", levels=2)
"""


def test_another_lazarr(open_file, tmp_path):
    (tmp_path / "s.py").write_text(STORE)
    first = open_file(tmp_path / "s.py")
    for face in ("zarr2", "zarr3"):
        srv = open_file(f"http://127.0.0.1:{first.port}/{face}/s.zarr", *with_fsspec())
        same(srv, "/zarr2/s.zarr/img/0", np.arange(60.).reshape(3, 4, 5))
        chunks = [srv.get(f"/zarr2/s.zarr/a/{k // 2}.{k % 2}") for k in range(4)]
        assert [r.status for r in chunks] == [200, 200, 200, 500] and "never this one" not in chunks[0].text[:0]
        assert "can't be read" in chunks[3].text
        assert srv.get("/zarr2/s.zarr/a/.zattrs").json()["mine"] == 1
        srv.stop()


def volume(folder, v, chunk=(8, 8, 4), kind="image", pack=False, offset=(3, 2, 1), **more):
    """A precomputed volume, raw; v: z, y, x."""
    size = v.shape[::-1]
    scale = {"key": "full", "size": size, "resolution": [4, 4, 40], "voxel_offset": offset, "chunk_sizes": [chunk],
             "encoding": "raw"}
    document(folder, "info", {"@type": "neuroglancer_multiscale_volume", "type": kind, "data_type": v.dtype.name,
                              "num_channels": 1, "scales": [dict(scale, **more.pop("scale", {}))], **more})
    (folder / "full").mkdir()
    for pos in np.ndindex(*(-(-n // c) for n, c in zip(size, chunk))):
        lo = [p * c for p, c in zip(pos, chunk)]
        hi = [min(a + c, n) for a, c, n in zip(lo, chunk, size)]
        data = v[lo[2]:hi[2], lo[1]:hi[1], lo[0]:hi[0]].tobytes()
        name = "_".join(f"{o + a}-{o + b}" for o, a, b in zip(offset, lo, hi))
        (folder / "full" / (name + ".gz" * pack)).write_bytes(gzip.compress(data) if pack else data)
    return folder


@pytest.mark.parametrize("pack", [False, True])
def test_precomputed_folders(open_file, tmp_path, pack):
    v = volume(tmp_path / "vol", V.astype("<u4"), kind="segmentation", pack=pack, mesh="mesh",
               segment_properties="props")
    document(v / "props", "info", {"@type": "neuroglancer_segment_properties", "inline": {
        "ids": ["1", "7"], "properties": [{"id": "label", "type": "label", "values": ["one", "seven"]},
                                          {"id": "tags", "type": "tags", "tags": ["a", "b"], "values": [[0], [0, 1]]}]}})
    srv = open_file(v)
    same(srv, "/zarr2/vol.zarr/data/0", V.astype("<u4"))
    attrs = srv.get("/zarr2/vol.zarr/data/.zattrs").json()
    t = attrs["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert t[0]["scale"] == [40, 4, 4] and t[1]["translation"] == [40, 8, 12]
    assert attrs["image-label"]["properties"] == [{"label-value": 1, "label": "one", "tags": ["a"]},
                                                  {"label-value": 7, "label": "seven", "tags": ["a", "b"]}]
    assert srv.get("/precomputed/vol/data/info").json()["scales"][0]["voxel_offset"] == [3, 2, 1]


@pytest.mark.parametrize("odd,said", [
    ({"scale": {"encoding": "jpeg"}}, "needs tensorstore or cloud-volume"),
    ({"scale": {"sharding": {"@type": "neuroglancer_uint64_sharded_v1"}}}, "needs tensorstore or cloud-volume"),
    ({"scale": {"key": "../../etc"}}, "lies outside"), ({"scale": {"size": [1, 2]}}, "three whole numbers"),
    ({"scale": {"chunk_sizes": [[9999, 9999, 9999]]}}, "larger than"), ({"data_type": "string"}, "data_type"),
    ({"@type": "neuroglancer_skeletons"}, "no volume"), ({"num_channels": 0}, "num_channels")])
def test_precomputed_folders_that_are_none(tmp_path, odd, said):
    r = run("describe", volume(tmp_path / "vol", V, **odd))
    assert r.returncode == 1 and said in r.stderr and "Traceback" not in r.stderr, r.stderr


@pytest.mark.parametrize("odd,said", [({"resolution": [4, 0, 40]}, "scale of y"), ({"resolution": "4"}, "scale of z")])
def test_an_odd_resolution_counts_as_one(tmp_path, odd, said):
    r = run("describe", volume(tmp_path / "vol", V, scale=odd))
    assert r.returncode == 0 and said in r.stderr
    assert 1.0 in json.loads(r.stdout)["arrays"][0]["levels"][0]["scale"]


def test_shards_through_tensorstore(open_file, tmp_path):
    args = with_fsspec()
    code = """
import sys, numpy as np, tensorstore as ts
v = np.load(sys.argv[1])
t = ts.open({"driver": "neuroglancer_precomputed", "kvstore": {"driver": "file", "path": sys.argv[2]},
    "multiscale_metadata": {"type": "image", "data_type": "uint16", "num_channels": 1},
    "scale_metadata": {"size": v.shape[::-1], "resolution": [1, 2, 3], "voxel_offset": [5, 6, 7], "encoding": "raw",
        "chunk_size": [8, 8, 4], "sharding": {"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1,
            "hash": "identity", "minishard_bits": 1, "shard_bits": 1, "data_encoding": "gzip"}}}, create=True).result()
t[..., 0] = v.T
"""
    np.save(tmp_path / "v.npy", V)
    p = subprocess.run([args[1] / "bin/python", "-c", code, tmp_path / "v.npy", tmp_path / "vol/"],
                       capture_output=True, text=True, timeout=60 * lzr.SLOW)
    assert p.returncode == 0, p.stderr
    srv = open_file(tmp_path / "vol", *args)
    same(srv, "/zarr2/vol.zarr/data/0", V)
    assert srv.get("/precomputed/vol/data/info").json()["scales"][0]["voxel_offset"] == [5, 6, 7]


FILES = """
import functools, lazarr, numpy as np
plain = lazarr.source("plain", "v.npy")
lazarr.source("named", "v.npy", axes="zyx", units="um", scale=(3, 1, 1), levels=2)
lazarr.source("narrow", "v.npy", dtype="float32")
lazarr.source("tight", "v.npy", dtype="uint8")
lazarr.source("z", "deep/p.zarr::A/1/0")
lazarr.source("again", "deep/p.zarr::A/1/0", axes="zyx", channels=None, scale=None, chunks=(5, 8, 8))
lazarr.source("vol", "vol", dtype="int32")
@functools.lru_cache
def weights():
    return lazarr.open("v.npy", dtype="float64")
@lazarr.array(inputs=[plain], dtype="float64")
def twice(block, plain):
    return plain + weights()[block.slices]
"""


def test_files_named_in_a_store(open_file, tmp_path):
    np.save(tmp_path / "v.npy", V)
    plate2(tmp_path / "deep/p.zarr")
    volume(tmp_path / "vol", V)
    (tmp_path / "s.py").write_text(FILES)
    srv = open_file(tmp_path / "s.py", cwd="/")
    root = "/zarr2/s.zarr"
    same(srv, f"{root}/plain", V)
    same(srv, f"{root}/named/0", V)
    same(srv, f"{root}/narrow", V.astype("f4"))
    same(srv, f"{root}/z/1", V[:, ::2, ::2])
    same(srv, f"{root}/again/0", V)
    same(srv, f"{root}/vol/0", V.astype("i4"))
    same(srv, f"{root}/twice", V.astype("f8") * 2)
    r = srv.get(f"{root}/tight/0.0.0")
    assert r.status == 500 and "doesn't fit into uint8" in r.text
    t = srv.get(f"{root}/z/.zattrs").json()["multiscales"][0]
    assert [d["coordinateTransformations"][0]["scale"] for d in t["datasets"]] == [[2, 1, 1], [2, 2, 2]]
    assert t["axes"][0]["unit"] == "micrometer"
    assert srv.get(f"{root}/vol/0/.zarray").json()["dtype"] == "<i4"


@pytest.mark.parametrize("text,said", [("none.npy", "no file"), ("two.zarr", "holds 2 arrays (x, y)"),
                                       ("two.zarr::z", "no Zarr array"), ("bad.npy", "'bad.npy'")])
def test_files_that_cant_be_opened_in_a_store(tmp_path, text, said):
    for n in "xy":
        array2(tmp_path / "two.zarr" / n, V, [2, 8, 8])
    document(tmp_path / "two.zarr", ".zgroup", {"zarr_format": 2})
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "s.py").write_text(f"import lazarr\nlazarr.source('a', {text!r})\n")
    r = run("describe", tmp_path / "s.py")
    assert r.returncode == 1 and 'array "a": ' in r.stderr and said in r.stderr, r.stderr
