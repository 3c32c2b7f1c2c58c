"""Listings: chunks and their folders level by level, in every format, without computing; too many names are an
error. And what copies by listing (wget, fsspec's mapper, kerchunk's way) has the values."""
import itertools
import json
import re
import subprocess
import sys
from urllib.parse import urljoin

import numpy as np
import pytest

import lzr

STORE = """
import lazarr, numpy as np
def fill(b): return np.full(b.shape, 7, "uint8")
for name, shape, chunks, more in [
        ("dots", (10, 7), (4, 4), {}), ("line", (5,), (2,), {}), ("scalar", (), (), {}),
        ("empty", (0, 8), (4, 4), {}), ("most", (100000,), (1,), {}), ("more", (100001,), (1,), {}),
        ("wide", (317, 317), (1, 1), {}), ("deep", (3, 100001), (1, 1), {"separator": "/"}),
        ("far", (1 << 40, 1 << 20), (4, 4), {}), ("nested", (6, 5, 4), (3, 3, 3), {"separator": "/"})]:
    lazarr.array(name, shape=shape, chunks=chunks, dtype="uint8", **more)(fill)
lazarr.array("img", shape=(2, 5, 6, 7), chunks=(1, 4, 4, 4), dtype="uint8", axes="czyx", factors=(1, 2, 2, 2), levels=2,
             translation=(0, -8, 3, 0), units="nanometer", kind="image")(fill)
lazarr.array("g/flat", shape=(5, 6), chunks=(4, 4), dtype="uint8", axes="yx", levels=1)(fill)
lazarr.array("cast", shape=(3, 3), chunks=(2, 2), dtype="float64", axes="yx", levels=1)(fill)
"""


def links(srv, path, status=200):
    """What a page links to, as a browser resolves it: [(name, absolute path)]."""
    r = srv.get(path)
    assert r.status == status, (path, r)
    base = re.search(r'<base href="([^"]+)" />', r.text)
    at = urljoin("http://h" + path, base[1]) if base else "http://h" + path
    out = re.findall(r'<a href="([^"]+)">([^<]*)</a>', r.text)
    assert all(h == text for h, text in out)
    return [(h, urljoin(at, h)[len("http://h"):]) for h, _ in out]


def crawl(srv, path):
    for name, to in links(srv, path):
        if name.endswith("/"):
            yield from crawl(srv, to)
        else:
            yield to


def numbers(counts, join="/"):
    return {join.join(map(str, p)) for p in itertools.product(*map(range, counts))}


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    store = tmp_path_factory.mktemp("folders") / "s.py"
    store.write_text(STORE)
    with lzr.Server(store, "--workers", "1") as server:
        yield server


def ranges(shape, chunk, offset):
    """precomputed's names, x first."""
    axis = [[f"{o + a}-{o + min(a + c, s)}" for a in range(0, s, c)] for s, c, o in zip(shape, chunk, offset)]
    return {"_".join(p) for p in itertools.product(*axis)}


WANT = {
    "/zarr2/s.zarr/dots": {".zarray", ".zattrs"} | numbers((3, 2), "."),
    "/zarr2/s.zarr/line": {".zarray", ".zattrs", "0", "1", "2"},
    "/zarr2/s.zarr/scalar": {".zarray", ".zattrs", "0"},
    "/zarr2/s.zarr/empty": {".zarray", ".zattrs"},
    "/zarr2/s.zarr/nested": {".zarray", ".zattrs"} | numbers((2, 2, 2)),
    "/zarr2/s.zarr/img/1": {".zarray", ".zattrs"} | numbers((2, 1, 1, 1)),
    "/zarr3/s.zarr/dots": {"zarr.json"} | {"c/" + n for n in numbers((3, 2))},
    "/zarr3/s.zarr/line": {"zarr.json", "c/0", "c/1", "c/2"},
    "/zarr3/s.zarr/scalar": {"zarr.json", "c"},
    "/zarr3/s.zarr/empty": {"zarr.json"},
    "/zarr3/s.zarr/img/0": {"zarr.json"} | {"c/" + n for n in numbers((2, 2, 2, 2))},
    "/n5/s.n5/dots": {"attributes.json"} | numbers((2, 3)),
    "/n5/s.n5/line": {"attributes.json", "0", "1", "2"},
    "/n5/s.n5/img/s0": {"attributes.json"} | numbers((2, 2, 2, 2)),
    "/bdv/s/img/dataset.n5/setup1/timepoint0/s0": {"attributes.json"} | numbers((2, 2, 2)),
    "/bdv/s/g/flat/dataset.n5/setup0/timepoint0/s0": {"attributes.json"} | numbers((2, 2, 1)),
    "/precomputed/s/img/0": ranges((7, 6, 5), (4, 4, 4), (0, 3, -8)),
    "/precomputed/s/g/flat/0": ranges((6, 5, 1), (4, 4, 1), (0, 0, 0)),
    "/precomputed/s/cast~float32/0": ranges((3, 3, 1), (2, 2, 1), (0, 0, 0)),
}


@pytest.mark.parametrize("path", WANT)
def test_every_chunk_is_listed_and_nothing_else(srv, path):
    with srv.delta() as d:
        found = list(crawl(srv, path + "/"))
        assert len(found) == len(set(found))
        assert {f[len(path) + 1:] for f in found} == WANT[path]
    assert d["flights_total"] == 0  # none is computed for it
    for key in found[:3] + found[-3:]:
        assert srv.get(key).status == 200, key


def test_a_folder_without_its_slash_is_the_same(srv):
    """GET 200 with the same links, wherever it is; HEAD 301, else Java takes it for a file."""
    for path in ("/zarr3", "/zarr3/s.zarr", "/zarr2/s.zarr/g", "/zarr3/s.zarr/dots", "/zarr3/s.zarr/dots/c", "/zarr3/s.zarr/dots/c/2",
                 "/n5/s.n5/img/s0/1/0", "/bdv/s/img", "/precomputed/s/img/0", "/zarr2/s.zarr/nested/0/1", "//zarr3//s.zarr"):
        for query in ("", "?a=/b"):
            assert links(srv, path + query) == links(srv, path + "/" + query), path
        head = srv.head(path)
        assert head.status == 301 and re.fullmatch("/?" + re.escape(path.lstrip("/")) + "/", head["Location"]), path
        assert srv.head(path + "/").status == 200
        assert srv.get(path)["ETag"] != srv.get(path + "/")["ETag"]
    assert srv.get("/zarr3/s.zarr?acl").status == srv.get("/zarr3/s.zarr/dots/c?acl").status == 404


def test_what_is_no_folder(srv):
    for path in ("zarr3/s.zarr/dots/c/3", "zarr3/s.zarr/dots/c/0/0", "zarr3/s.zarr/dots/c/00", "zarr3/s.zarr/dots/0", "zarr2/s.zarr/dots/0",
                 "zarr2/s.zarr/dots/0.0", "zarr3/s.zarr/empty/c", "zarr3/s.zarr/scalar/c", "zarr2/s.zarr/nested/0/1/1", "zarr2/s.zarr/nested/2",
                 "n5/s.n5/dots/2", "n5/s.n5/dots/0/0", "precomputed/s/img/0/0-4", "zarr3/s.zarr/dots/c/+1", "zarr3/s.zarr/c", "zarr3/s.zarr/dots/c/c"):
        assert srv.get(f"/{path}/").status == 404, path
    assert srv.get("/zarr3/s.zarr/dots/c/3").status == 404


def test_too_many_names_are_an_error(srv):
    """Never a shorter list; the folder is there all the same, and what it holds too."""
    assert len(links(srv, "/zarr2/s.zarr/most/")) == 100002
    assert len(links(srv, "/zarr3/s.zarr/most/c/")) == len(links(srv, "/zarr3/s.zarr/most/c")) == 100000
    assert len(links(srv, "/zarr3/s.zarr/wide/c/")) == 317
    for path in ("zarr2/s.zarr/more", "zarr3/s.zarr/more/c", "n5/s.n5/more", "zarr2/s.zarr/wide", "zarr2/s.zarr/deep/1", "zarr2/s.zarr/far",
                 "zarr3/s.zarr/far/c", "zarr3/s.zarr/far/c/5", "n5/s.n5/far"):
        for slash in ("", "/"):
            r = srv.get(f"/{path}{slash}")
            assert r.status == 500 and "too many to list" in r.text, path
        assert srv.head(f"/{path}/").status == 200
    assert srv.head("/zarr2/s.zarr/far/.zarray").status == 200
    assert len(links(srv, "/zarr3/s.zarr/deep/c/")) == 3
    r = srv.get("/zarr2/s.zarr/far/")
    assert str((1 << 38) * (1 << 18)) in r.text


def test_wget_copies_an_array(srv, tmp_path):
    lzr.need(lzr.which("wget"), "wget")
    for path in ("zarr2/s.zarr/nested", "zarr3/s.zarr/dots", "n5/s.n5/dots", "precomputed/s/img"):
        got = subprocess.run(["wget", "-q", "-r", "-l", "inf", "-np", "-nH", "-P", tmp_path, f"{srv.url}/{path}/"], timeout=60)
        assert got.returncode == 0, path
        for key in crawl(srv, f"/{path}/"):
            assert (tmp_path / key.lstrip("/")).read_bytes() == srv.get(key).body, key
    got = subprocess.run(["wget", "-q", "-r", "-np", "-nH", "-P", tmp_path, f"{srv.url}/zarr2/s.zarr/more/"], timeout=60)
    assert got.returncode != 0


MAPPER = """
import json, os, sys
import fsspec, zarr
url, out, how = sys.argv[1:]
m = fsspec.get_mapper(url)
if how == "kerchunk":   # as its single_zarr goes about it: documents inline, of chunks where they are
    meta = (".zarray", ".zattrs", ".zgroup", ".zmetadata")
    refs = {k: m[k].decode() if k.rsplit("/", 1)[-1] in meta else [f"{url}/{k}"] for k in m}
    fs = fsspec.filesystem("reference", fo={"version": 1, "refs": refs}, remote_protocol="http")
    a = zarr.open(fs.get_mapper(""), mode="r")
else:
    d = fsspec.get_mapper(out)
    for k in m:
        d[k] = m[k]
    a = zarr.open(out, mode="r")
print(json.dumps([list(a.shape), a[...].min().item(), a[...].max().item()]))
"""


@pytest.mark.parametrize("how, face", [("copy", "zarr2"), ("kerchunk", "zarr2")])
def test_fsspec_s_mapper_has_every_chunk(srv, tmp_path, how, face):
    """Debian's fsspec and zarr."""
    for name, shape in (("dots", [10, 7]), ("nested", [6, 5, 4]), ("img/0", [2, 5, 6, 7])):
        r = subprocess.run(["/usr/bin/python3", "-c", MAPPER, f"{srv.url}/{face}/s.zarr/{name}", str(tmp_path / how / name), how],
                           capture_output=True, text=True, timeout=60)
        if "No module named" in r.stderr:
            return lzr.need(False, "Debian's python3-fsspec, python3-aiohttp and python3-zarr")
        assert r.returncode == 0, r.stderr
        assert json.loads(r.stdout) == [shape, 7, 7], name
    r = subprocess.run(["/usr/bin/python3", "-c", MAPPER, f"{srv.url}/{face}/s.zarr/more", str(tmp_path / "more"), how],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and "500" in r.stderr  # not an array of fill
