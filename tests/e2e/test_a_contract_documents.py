"""The contract with web and Python readers, what lies where and what documents and chunks say: one test a
line, A28 to A33 and A38 to A49. How requests are answered is in test_a_contract.py."""
import re

import numpy as np

import lzr
from contract_keys import Z2, Z3, N5, PRE, BDV, ARRAYS, GROUPS, KEYS

DIRECTORIES = ["/zarr2", "/zarr3", Z2, Z3, f"{Z2}/grp", f"{Z3}/grp/deep", f"{Z3}/grp/deep/arr",
               f"{Z2}/img", f"{Z3}/img/0", f"{Z2}/ramp", "/n5", N5, f"{N5}/img", f"{N5}/img/s0", "/precomputed",
              PRE, f"{PRE}/img", f"{PRE}/img/0", "/bdv", BDV, f"{BDV}/img", f"{BDV}/img/dataset.n5/setup0"]


def test_A28_directories_without_a_slash(basic):
    """A28 /ds without slash: HEAD -> 301 to /ds/; never 200. GET -> the page of /ds/, its links right."""
    for path in DIRECTORIES:
        r = basic.head(path)
        assert r.status == 301, (path, r)
        assert re.sub(r"^https?://[^/]+", "", r["Location"]) == path + "/", r
        r = basic.get(path)
        assert r.status == 200 and f'<base href="{path.rsplit("/", 1)[1]}/" />' in r.text, path
        assert re.sub("<base .*\n", "", r.text) == basic.get(path + "/").text, path


def test_A29_listings(basic):
    """A29 /ds/ GET -> text/html with plain relative <a href> children, directories ending "/", no
    sort/query links, no absolute http(s) URLs of other hosts in text or comments; entries
    percent-encoded; a missing directory -> 404."""
    want = {"/zarr2": {"basic.zarr/"}, "/zarr3": {"basic.zarr/"},
            Z2: {".zgroup", ".zattrs", ".zmetadata", "grp/", "img/", "seg/", "notes/", "huge/", "fails/",
                 *(a + "/" for a in ARRAYS if "/" not in a)},
            Z3: {"zarr.json", "grp/", "img/", "seg/", "notes/", "huge/", "fails/",
                 *(a + "/" for a in ARRAYS if "/" not in a)},
            f"{Z3}/grp": {"zarr.json", "deep/"}, f"{Z3}/img": {"zarr.json", "0/"},
            f"{Z2}/img": {".zgroup", ".zattrs", ".zmetadata", "0/"}}
    for path in DIRECTORIES:
        r = basic.get(path + "/", {"Accept": "text/html"})
        assert r.status == 200 and r["Content-Type"].startswith("text/html"), path
        hrefs = [h for h in re.findall(r"""<a\s[^>]*href=["']?([^"'> ]+)""", r.text)
                 if h not in ("../", "..")]
        assert len(hrefs) == len(set(hrefs))
        for h in hrefs:
            assert re.fullmatch(r"[A-Za-z0-9._%-]+/?", h), (path, h)
        for url in re.findall(r"https?://[^\s\"'<>]+", r.text):
            assert url.startswith(basic.url), url
        if path in want:
            assert set(hrefs) == want[path], path
        for h in hrefs:  # all that is listed is there
            if h != "huge/" or path not in (Z2, N5, PRE):  # too many chunks in one folder: an error, no shorter list
                assert basic.get(f"{path}/{h}").status == 200, (path, h)
    assert basic.get(f"{Z2}/huge/").status == 500
    for path in ("/zarr2/no.zarr/", f"{Z3}/nope/", f"{Z2}/ramp/0.0/", f"{Z3}/zarr.json/", "/nowhere/"):
        assert basic.get(path).status == 404, path


def test_A30_one_format_a_folder(basic):
    """A30 Each format is mounted under its own prefix; a directory never exposes two of
    .zarray/.zattrs, zarr.json, attributes.json, info, manifest.ocdbt, refs/branch.main/..."""
    families = [{".zarray", ".zattrs", ".zgroup", ".zmetadata"}, {"zarr.json"}, {"attributes.json"},
                {"info"}, {"manifest.ocdbt"}, {"refs/branch.main/ZZZZZZZZ.json"}]
    for path in [*DIRECTORIES, ""]:
        shown = [f for f in families if any(basic.get(f"{path}/{n}").status == 200 for n in f)]
        assert len(shown) <= 1, (path, shown)
        if path in (Z2, f"{Z2}/img", f"{Z2}/ramp"):
            assert shown == families[:1]
        if path in (Z3, f"{Z3}/grp/deep"):
            assert shown == families[1:2]


def test_A31_only_canonical_keys(basic):
    """A31 Only canonical chunk keys exist: c/00/0, +1, -0, wrong rank, wrong separator, index >=
    grid -> 404."""
    assert basic.get(f"{Z3}/ramp/c/3/2").status == basic.get(f"{Z2}/ramp/3.2").status == 200
    with basic.delta() as d:
        for bad in ("c/00/0", "c/0/00", "c/+1/0", "c/-0/0", "c/-1/0", "c/4", "c/0/0/0", "c/0.0", "c.0.0",
                    "0/0", "0.0", "c/4/0", "c/0/3", "c/4/", "c/0/0x", "c/0x0/0", "c/ 0/0",
                    "c/%20/0", "c/1e0/0", "C/0/0", "c/18446744073709551616/0", "c/0/18446744073709551616",
                    "c/4294967296/0", "c/%2B1/0", "c/0/0/", "c/..%2f0/0", "c/./0/0", "x/../c/0/0", "c/٠/0"):
            bad = bad.encode().decode("latin-1").replace(" ", "%20")
            r = basic.get(f"{Z3}/ramp/{bad}")
            assert r.status == 404 or (r.status == 400 and "." in bad), (bad, r)
        for bad in ("00.0", "0.00", "+1.0", "-0.0", "0", "0.0.0", "0/0", "4.0", "0.3", "0.", ".0", "0..0",
                    "0.0x", "0,0", "c/0/0", "0.0/"):
            assert basic.get(f"{Z2}/ramp/{bad}").status == 404, bad
        for bad in ("0.0.0", "0/3", "0/0/0/0", "2/0/0"):  # an image's separator is /
            assert basic.get(f"{Z2}/img/0/{bad}").status == 404, bad
        assert basic.get(f"{Z2}/empty/0.0").status == 404
        assert basic.get(f"{Z3}/empty/c/0/0").status == 404
    assert d["flights_total"] == 0
    r = basic.get(f"{Z3}/ramp/%63/0/%30")  # the same key, spelt with escapes
    assert r.status == 200 and r.body == basic.chunk(f"{Z3}/ramp/c/0/0")


def test_A32_query_strings(basic):
    """A32 A query string (?token) on any key is accepted, does not change the bytes, and is not
    part of the cache key."""
    for key in KEYS:
        plain = basic.get(key)
        with basic.delta() as d:
            for query in ("?token", "?a=1&b=%20", "?", "?x=/../..", "?v=c/0/0"):
                r = basic.get(key + query)
                assert r.status == 200 and r.body == plain.body and r["ETag"] == plain["ETag"]
        assert d["flights_total"] == 0
    assert basic.get(f"{Z3}/nope?zarr.json").status == 404
    r = basic.get(f"{Z3}/grp?token=1")
    assert r.status == 200 and "deep/" in r.text
    r = basic.head(f"{Z3}/grp?token=1")
    assert r.status == 301 and "/grp/" in r["Location"]


def test_A33_s3_probes(basic):
    """A33 GET /?list-type=2&prefix=... (neuroglancer's S3 probe) is 404/400 or text/html, not 200
    text/xml and not 500."""
    query = "?list-type=2&prefix=zarr3%2Fbasic.zarr%2F&delimiter=%2F&encoding-type=url"
    for path in ("/", "/zarr3/", f"{Z3}/"):
        r = basic.get(path + query)
        assert r.status in (400, 404) or (r.status == 200 and r["Content-Type"].startswith("text/html"))


def test_A38_chunks_are_always_full(basic):
    """A38 Chunks are always full chunk_shape, padded with fill_value at the edges."""
    raw = np.frombuffer(basic.chunk(f"{Z3}/padded/c/2/1"), "<i2").reshape(4, 4)
    want = np.full((4, 4), -7)
    want[:2, :1] = [[804], [904]]
    assert (raw == want).all()
    raw = np.frombuffer(basic.chunk(f"{Z2}/ramp/3.2"), "<u2").reshape(8, 8)
    assert (raw[:6, :4] == np.arange(24, 30)[:, None] * 100 + np.arange(16, 20)).all()
    assert not raw[6:].any() and not raw[:, 4:].any()
    meta = basic.get(f"{Z2}/grp/deep/arr/.zarray").json()
    raw = np.frombuffer(lzr.decode(basic.chunk(f"{Z2}/grp/deep/arr/1"), meta["compressor"]), "<c8")
    assert list(raw) == [4 + 4j, 5 + 5j, 1 - 2j, 1 - 2j]


def v3(basic):
    return {a: basic.get(f"{Z3}/{a}/zarr.json").json() for a in ARRAYS}


def test_A39_v3_codecs(basic):
    """A39 v3 codecs are objects {"name","configuration"}, never bare strings; bytes has endian for
    multi-byte types and omits it for 1-byte ones; order is a->a*, a->b, b->b*."""
    order = {"bytes": 0, "blosc": 1, "gzip": 1, "zstd": 1}
    for name, meta in v3(basic).items():
        codecs = meta["codecs"]
        for c in codecs:
            assert set(c) <= {"name", "configuration"} and isinstance(c["name"], str)
            assert isinstance(c.get("configuration", {}), dict)
        assert [order[c["name"]] for c in codecs] == sorted(order[c["name"]] for c in codecs)
        endian = codecs[0].get("configuration", {}).get("endian")
        if meta["data_type"] in ("uint8", "int8", "bool"):
            assert endian is None, name
        else:
            assert endian == ("big" if name == "zs" else "little"), name
    assert v3(basic)["packed"]["codecs"][1] == {"name": "blosc", "configuration": {
        "cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0}}


def test_A40_v3_top_level_keys(basic):
    """A40 v3 metadata has no unknown top-level key unless an object with "must_understand": false;
    storage_transformers absent or []."""
    known = {"zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding",
             "fill_value", "codecs", "attributes", "dimension_names", "storage_transformers"}
    docs = list(v3(basic).values()) + [basic.get(f"{Z3}{g}/zarr.json").json() for g in GROUPS]
    for meta in docs:
        assert meta["zarr_format"] == 3
        assert meta.get("storage_transformers", []) == []
        for key, value in meta.items():
            assert key in known or value["must_understand"] is False, key
        if meta["node_type"] == "array":
            assert known - {"storage_transformers"} <= set(meta)
        else:
            assert meta["node_type"] == "group" and isinstance(meta["attributes"], dict)


def test_A41_v3_fill_values(basic):
    """A41 v3 fill_value present, never null; floats as numbers or "NaN"/"Infinity"/"-Infinity";
    integers JSON integers; bool true/false; complex [re,im]. (All types: test_a_metadata.)"""
    for name, meta in v3(basic).items():
        fill, kind = meta["fill_value"], meta["data_type"]
        if kind == "bool":
            assert fill is False
        elif "int" in kind:
            assert type(fill) is int, name
        elif "complex" in kind:
            assert fill == [1, -2]
        else:
            assert type(fill) in (int, float) and fill == 0
    assert v3(basic)["padded"]["fill_value"] == -7


def test_A42_v2_documents(basic):
    """A42 v2 filters is null (not []); compressor complete (blosc: cname, clevel, shuffle,
    blocksize; gzip/zlib/zstd: level); 1-byte dtypes written |u1,|i1,|b1."""
    docs = {a: basic.get(f"{Z2}/{a}/.zarray").json() for a in ARRAYS}
    for name, meta in docs.items():
        assert meta["filters"] is None and meta["order"] == "C" and meta["zarr_format"] == 2
    assert docs["packed"]["compressor"] == {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1,
                                            "blocksize": 0}
    assert docs["gz"]["compressor"] == {"id": "gzip", "level": 6}
    assert docs["zs"]["compressor"]["id"] == "zstd" and docs["zs"]["compressor"]["level"] == 3
    assert docs["ramp"]["compressor"] is None
    assert [docs[a]["dtype"] for a in ("ramp", "packed", "gz", "zs", "bits", "img/0", "u64",
                                      "grp/deep/arr")] == [
        "<u2", "<i4", "<f4", ">u2", "|b1", "|u1", "<u8", "<c8"]


def test_A43_v2_fill_values(basic):
    """A43 v2 fill_value is null where xarray is a client and 0 is real data, a number otherwise:
    always a number for images, labels and uint64."""
    fills = {a: basic.get(f"{Z2}/{a}/.zarray").json()["fill_value"] for a in ARRAYS}
    assert fills["ramp"] is None and fills["line"] is None and fills["bits"] is None
    assert fills["img/0"] == 0 and fills["seg/0"] == 0 and fills["u64"] == 0
    assert fills["padded"] == -7 and fills["grp/deep/arr"] == [1, -2]


def test_A45_0d_arrays(basic):
    """A45 0-d arrays: v2 key 0; v3 default encoding key c."""
    assert np.frombuffer(basic.chunk(f"{Z2}/scalar/0"), "<i4") == [7]
    assert basic.chunk(f"{Z3}/scalar/c") == basic.chunk(f"{Z2}/scalar/0")
    for bad in (f"{Z2}/scalar/1", f"{Z2}/scalar/0.0", f"{Z3}/scalar/0", f"{Z3}/scalar/c/0"):
        assert basic.get(bad).status == 404, bad
    meta = basic.get(f"{Z3}/scalar/zarr.json").json()
    assert meta["shape"] == [] and meta["chunk_grid"]["configuration"]["chunk_shape"] == []
    assert meta["dimension_names"] == []


def test_A46_groups_and_dimension_names(basic):
    """A46 v2 groups have .zgroup at every level and .zattrs (404 allowed); v2 arrays
    _ARRAY_DIMENSIONS; v3 arrays dimension_names with one entry per dimension (nulls break xarray)."""
    for g in GROUPS:
        assert basic.get(f"{Z2}{g}/.zgroup").json() == {"zarr_format": 2}
        assert basic.get(f"{Z2}{g}/.zattrs").status in (200, 404)
    for a in ARRAYS:
        meta = basic.get(f"{Z3}/{a}/zarr.json").json()
        names = meta["dimension_names"]
        assert len(names) == len(meta["shape"]) == len(set(names))
        assert all(isinstance(n, str) and n for n in names)
        assert basic.get(f"{Z2}/{a}/.zattrs").json()["_ARRAY_DIMENSIONS"] == names
    assert basic.get(f"{Z3}/ramp/zarr.json").json()["dimension_names"] == ["y", "x"]
    assert basic.get(f"{Z3}/img/0/zarr.json").json()["dimension_names"] == ["z", "y", "x"]


def test_A47_consolidated_metadata(basic):
    """A47 .zmetadata and v3 group consolidated_metadata are complete (every descendant) and agree
    with the separate documents."""
    every = [*ARRAYS, "huge", "fails"]
    groups = [g[1:] for g in GROUPS[1:]]
    for g in GROUPS:
        inside = [n for n in every + groups if not g or n.startswith(g[1:] + "/")]
        cut = len(g)
        doc = basic.get(f"{Z2}{g}/.zmetadata").json()
        assert doc["zarr_consolidated_format"] == 1
        want = {".zgroup", ".zattrs"}
        for n in inside:
            want |= {f"{n[cut:]}/{'.zarray' if n in every else '.zgroup'}", f"{n[cut:]}/.zattrs"}
        got = doc["metadata"]
        assert {k for k in got if not k.endswith(".zattrs")} == {
            k for k in want if not k.endswith(".zattrs")}
        assert set(got) <= want
        for key, value in got.items():
            assert basic.get(f"{Z2}{g}/{key}").json() == value, key
        doc = basic.get(f"{Z3}{g}/zarr.json").json()["consolidated_metadata"]
        assert doc["kind"] == "inline" and doc["must_understand"] is False
        assert set(doc["metadata"]) == {n[cut:] for n in inside}
        for n, value in doc["metadata"].items():
            own = basic.get(f"{Z3}{g}/{n}/zarr.json").json()
            own.pop("consolidated_metadata", None)
            value = dict(value)
            value.pop("consolidated_metadata", None)
            assert value == own, n


def test_A48_levels_have_one_dtype_and_rank(basic):
    """A48 Metadata of the multiscale group's members all have one dtype and rank."""
    for image in ("img", "seg"):
        ms = basic.get(f"{Z3}/{image}/zarr.json").json()["attributes"]["ome"]["multiscales"][0]
        metas = [basic.get(f"{Z3}/{image}/{d['path']}/zarr.json").json() for d in ms["datasets"]]
        assert metas and len({(m["data_type"], len(m["shape"])) for m in metas}) == 1
        assert len(metas[0]["shape"]) == len(ms["axes"]) == 3
        v2 = basic.get(f"{Z2}/{image}/.zattrs").json()["multiscales"][0]
        assert [d["path"] for d in v2["datasets"]] == [d["path"] for d in ms["datasets"]] == ["0"]


def test_A49_what_neuroglancer_lacks_is_said(serve):
    """A49 An array whose dtype neuroglancer lacks (float64, float16, bool, int64 as v3, complex) has
    a cast view for neuroglancer or is flagged at start-up."""
    text = "import lazarr\n"
    lacks = ["float64", "float16", "bool", "int64", "complex64"]
    for dtype in [*lacks, "uint8", "float32"]:
        text += f"lazarr.array('v_{dtype}', shape=(4, 4, 4), chunks=4, dtype='{dtype}', axes='zyx')(" \
                "lambda block: 0)\n"
    srv = serve(text)
    said = [line for line in srv.log.splitlines() if "neuroglancer" in line.lower()]
    for dtype in lacks:
        assert any(f"v_{dtype}" in line for line in said), (dtype, srv.log)
    assert not any("v_uint8" in line or "v_float32" in line for line in said if "lack" in line)
