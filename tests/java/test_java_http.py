"""The contract with Java readers over HTTP, one test a line, J01 to J52, seen by the JDK's own HTTP
client. Lines 47, 50 and 53 are not promised yet, 49 was struck; test_java.py reads by 33, 34, 36,
39, 40 and 42 to 46."""
import re
import time

import lzr
import pytest
from javaclient import Forwarder, JavaError

STORE = """
import lazarr
import numpy as np

@lazarr.array("g/raw", shape=(9, 7), chunks=(4, 4), dtype="uint16", compressor=None)
def raw(block):
    y, x = block.coords()
    return y * 7 + x

@lazarr.array("g/packed", shape=(9, 7), chunks=(4, 4), dtype=">i4", separator="/")
def packed(block):
    y, x = block.coords()
    return y * 7 + x

@lazarr.array("g/deep/zeros", shape=(5,), chunks=2, dtype="float32", fill_value=0)
def zeros(block):
    return 0

@lazarr.array("image", shape=(6, 8, 10), chunks=4, dtype="uint8", axes="zyx", units="nanometer",
              scale=(40, 4, 4))
def image(block):
    return 7

@lazarr.array("film", shape=(2, 3, 8, 10), chunks=(1, 1, 4, 4), dtype="uint8", axes="tcyx")
def film(block):
    return 7

@lazarr.array("bad", shape=(4, 2), chunks=(1, 2), dtype="uint8", compressor=None)
def bad(block):
    if block.start[0] == 2:
        raise ValueError("never this one")
    return 1
"""
SLOW = """
import lazarr
@lazarr.array("slow", shape=(64,), chunks=1, dtype="uint8"{more})
def slow(block):
    gate(block.start[0])
    return block.start[0]
@lazarr.array("pic", shape=(1, 1, 64), chunks=(1, 1, 1), dtype="uint8", axes="zyx")
def pic(block):
    gate(block.start[2])
    return block.start[2]
@lazarr.array("fast", shape=(4,), chunks=4, dtype="uint8")
def fast(block):
    return 1
"""
ROOTS = {"n5": "/n5/s.n5", "zarr2": "/zarr2/s.zarr", "zarr3": "/zarr3/s.zarr"}
KEYS = {"n5": "/0/0", "zarr2": "/0.0", "zarr3": "/c/0/0"}  # of g/raw
DOCUMENTS = {"n5": "/attributes.json", "zarr2": "/.zarray", "zarr3": "/zarr.json"}
FOLDERS = ["", "/g", "/g/deep", "/g/raw", "/g/packed", "/g/deep/zeros", "/image", "/film"]
N5_BLOCK = "/n5/s.n5/g/raw/0/0"
MISSING = ["/x", "/g/x", "/g/raw/99/0", "/g/raw/c/99/0", "/g/raw/99.0", "/g/raw/0/0/0", "/image/s9",
           "/image/9", "/g/raw/.zgroup", "/g/raw/attributes.json.gz", "/favicon.ico"]


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "2") as server:
        yield server


def slow_store(gate, more=""):
    return gate.code + SLOW.format(more=more)


def keys():
    """One URL of every kind in every face."""
    out = []
    for face, root in ROOTS.items():
        out += [f"{root}/g/raw{DOCUMENTS[face]}", f"{root}/g/raw{KEYS[face]}", f"{root}/bad/x"]
        out += [f"{root}{folder}/" for folder in FOLDERS] + [root + m for m in MISSING]
    return out + ["/n5/s.n5/attributes.json", "/n5/s.n5/bad/0/2", "/zarr2/s.zarr/bad/2.0",
                  "/zarr3/s.zarr/zarr.json", "/zarr2/s.zarr/.zgroup", "/zarr2/s.zarr/.zattrs",
                  "/bdv/s/image/dataset.xml", "/bdv/s/image/dataset.n5/attributes.json",
                  "/bdv/s/image/dataset.n5/setup0/timepoint0/s0/0/0/0",
                  "/bdv/s/film/dataset.n5/setup2/timepoint1/s0/attributes.json", "/nowhere",
                  "/n5/other.n5/attributes.json"]


def children(face, folder):
    """What a folder's listing has, by our own knowledge of the store."""
    levels = {"n5": ["s0"], "zarr2": ["0"], "zarr3": ["0"]}[face]
    return {"": ["bad", "film", "g", "image"], "/g": ["deep", "packed", "raw"],
            "/g/deep": ["zeros"], "/image": levels, "/film": levels}.get(folder, [])


def test_J01_head_is_get_without_a_body(srv, java):
    """J01 HEAD on every URL GET is, the same status, no body."""
    for key in keys():
        get = java.plain(srv.url + key, follow=False)
        head = java.plain(srv.url + key, "HEAD", follow=False)
        assert head["status"] == get["status"], key
        assert head["length"] == 0
        if get["status"] == 200:
            assert head["headers"]["content-length"] == str(get["length"]), key


def test_J02_missing_is_404(srv, java):
    """J02 Missing key, chunk, path: 404, never another status, never a page."""
    for root in ROOTS.values():
        for key in MISSING:
            answer = java.plain(srv.url + root + key)
            assert (answer["status"], answer["length"]) == (404, 0), root + key
    with pytest.raises(JavaError, match="no container"):
        java.call("open", format="n5", url=srv.url + "/n5/nothing.n5")


def test_J03_404_keeps_the_connection(srv, java):
    """J03 A 404 has Content-Length: 0: the JDK goes on with the connection."""
    with Forwarder(srv.port) as by:
        answers = java.call("plain", url=f"{by.url}/n5/s.n5/g/raw/9/9", times=50)
        assert {a["headers"]["content-length"] for a in answers} == {"0"}
        assert by.count == 1
        java.call("reads", urls=[by.url + N5_BLOCK, by.url + "/n5/s.n5/nothing"], times=50)
        assert by.count <= 2  # another thread, at most another connection


def test_J04_lengths_are_exact(srv, java):
    """J04 Content-Length is there and exact, of failures too."""
    for key in keys():
        answer = java.plain(srv.url + key, follow=False)
        assert answer["headers"]["content-length"] == str(answer["length"]), key
    answer = java.plain(srv.url + "/n5/s.n5/bad/0/2")
    assert answer["status"] == 500 and "never this one" in answer["text"]


def test_J05_a_connection_a_thread(serve, gate, java):
    """J05 Keep-alive, and as many connections as the client has threads."""
    srv = serve(slow_store(gate), "--workers", "2")
    with Forwarder(srv.port) as by:
        java.begin("reads", threads=8, urls=[f"{by.url}/n5/s.n5/slow/{i}" for i in range(8)])
        lzr.wait_until(lambda: by.count == 8, "eight connections")
        for _ in range(8):
            gate.next().go()
        sizes = {a for a in java.result()["answers"]}
        assert len(sizes) == 1 and sizes.pop().isdigit()
        before = by.count
        java.call("reads", threads=1, times=200, urls=[f"{by.url}/n5/s.n5/slow/0"])
        assert by.count <= before + 1


def test_J06_no_content_encoding(srv, java):
    """J06 The JDK asks for no encoding and gets none."""
    for key in keys():
        assert "content-encoding" not in java.plain(srv.url + key)["headers"]


def test_J07_accept_changes_nothing(srv, java):
    """J07 The JDK's Accept names HTML first: metadata and chunks are still what their path says."""
    for face, root in ROOTS.items():
        for key in (DOCUMENTS[face], KEYS[face]):
            url = f"{srv.url}{root}/g/raw{key}"
            first = java.plain(url)
            assert "html" not in first["headers"]["content-type"]
            for accept in ("*/*", "text/html", "application/json"):
                other = java.plain(url, headers={"Accept": accept})
                assert other["text"] == first["text"]
                assert other["headers"]["content-type"] == first["headers"]["content-type"]


def test_J08_never_behind_python(serve, gate, java):
    """J08 HEAD, metadata and listings are answered at once while every worker is busy."""
    srv = serve(slow_store(gate), "--workers", "2")
    waiting = [srv.begin(f"/zarr3/s.zarr/slow/c/{i}") for i in range(30)]
    gate.next(), gate.next()
    for face, root in ROOTS.items():
        java.call("open", format=face, url=srv.url + root)
        java.call("deepList", format=face, url=srv.url + root, path="")
        assert java.call("exists", url=srv.url + root + "/slow" + DOCUMENTS[face])
        assert java.call("isDirectory", url=srv.url + root)
        assert max(r["ms"] for r in java.requests) < 1000 * lzr.SLOW
    gate.close()
    for w in waiting:
        assert w.result().status == 200


@pytest.mark.limit(90)
@pytest.mark.parametrize("key,beyond", [
    ("/n5/s.n5/slow/5", "/n5/s.n5/slow/64"), ("/zarr2/s.zarr/slow/5", "/zarr2/s.zarr/slow/64"),
    ("/bdv/s/pic/dataset.n5/setup0/timepoint0/s0/5/0/0",
     "/bdv/s/pic/dataset.n5/setup0/timepoint0/s0/5/1/0")])
def test_J09_head_of_a_slow_chunk(serve, gate, java, key, beyond):
    """J09 HEAD is answered within 5 s, with 200; the GET after it gets the same computation. n5 up
    to 3.5.1 sends this before every block and takes a time-out for "not there"."""
    srv = serve(slow_store(gate), "--workers", "1")
    java.begin("read", url=srv.url + key, old=True)
    call = gate.next()
    srv.wait_log(f"HEAD {key}|{key} .*HEAD")  # its answer; then the GET comes
    srv.wait_metric("http_suspended", 1)
    assert gate.empty() and not java.answered()
    call.go()
    assert java.result()["length"] > 0
    head, get = java.requests
    assert (head["method"], head["status"]) == ("HEAD", 200)
    assert (get["method"], get["status"]) == ("GET", 200)
    assert head["ms"] < 5000
    assert srv.metric("computed_total") == 1
    assert java.call("exists", url=srv.url + beyond) is False
    assert java.requests[0]["ms"] < 1000 * lzr.SLOW
    assert java.call("exists", url=srv.url + key) is True  # cached now
    assert srv.metric("computed_total") == 1


def test_J10_get_waits(serve, gate, java):
    """J10 GET of a chunk has no time limit of 5 s and is answered 200 when it is done."""
    srv = serve(slow_store(gate), "--workers", "1")
    java.begin("read", url=srv.url + "/n5/s.n5/slow/1")
    call = gate.next()
    assert not java.answered(timeout=6)  # a HEAD would have given up
    call.go()
    assert java.result()["length"] > 0
    assert java.statuses() == [200]


def test_J11_queries_are_ignored(srv, java):
    """J11 Unknown query strings are ignored; the client itself loses them between root and key."""
    for key in (N5_BLOCK, "/n5/s.n5/", "/n5/s.n5/attributes.json", "/zarr3/s.zarr/g/raw/c/0/0"):
        plain = java.plain(srv.url + key)
        for query in ("?max-keys=1", "?acl", "?list-type=2&max-keys=1", "?token=%20&x"):
            if query == "?acl" and key.endswith("/"):
                continue  # J13
            for method in ("GET", "HEAD"):
                answer = java.plain(srv.url + key + query, method)
                assert answer["status"] == plain["status"] == 200
                assert method == "HEAD" or answer["text"] == plain["text"]
    lost = java.call("compose", url="http://h/a.n5?token=1", path="x/y z")
    assert lost == "http://h/a.n5/x/y%20z"


def test_J12_J13_J14_not_taken_for_s3(srv, java):
    """J12 no x-amz- header, no bucket listing; J13 /<digits>?acl and /<segment>?acl are 404s, fast;
    J14 no page makes an XML parser fetch a DTD."""
    for root in [*ROOTS.values(), "/bdv/s/image/dataset.n5", "/zarr3/s.zarr/"]:
        probes = java.call("probe", url=srv.url + root)
        assert len(probes) == 3
        for p in probes:
            assert p["taken"] == [] and p["external"] == [], p
            assert p["status"] == 404 or "?max-keys" in p["url"], p
        assert max(r["ms"] for r in java.requests) < 1000 * lzr.SLOW
    for key in keys():
        answer = java.plain(srv.url + key)
        assert not [n for n in answer["headers"] if n.startswith("x-amz-")]
        assert not re.search(r"<(List\w*Result|Error)\b|<!DOCTYPE(?! html>)", answer["text"]), key


def test_J15_ranges(srv, java):
    """J15 bytes=a-b and bytes=a- on chunks: 206 with only those bytes."""
    for key in (N5_BLOCK, "/zarr2/s.zarr/g/raw/0.0", "/zarr3/s.zarr/g/packed/c/1/1"):
        whole = java.plain(srv.url + key)["text"]
        n = len(whole)
        for a, b in ((0, 0), (0, 3), (5, 9), (n - 1, n - 1), (3, None), (0, n - 1), (0, n + 50)):
            answer = java.plain(srv.url + key,
                                headers={"Range": f"bytes={a}-{'' if b is None else b}"})
            last = n - 1 if b is None else min(b, n - 1)
            assert answer["status"] == 206
            assert answer["text"] == whole[a:last + 1]
            assert answer["headers"]["content-range"] == f"bytes {a}-{last}/{n}"


def test_J16_a_part_is_one_request(srv, java):
    """J16 A 206 has Accept-Ranges and Accept-Range: n5 4 then asks once, on one connection."""
    key = "/zarr2/s.zarr/g/raw/1.1"
    headers = java.plain(srv.url + key, headers={"Range": "bytes=0-3"})["headers"]
    assert headers["accept-ranges"] == headers["accept-range"] == "bytes"
    with Forwarder(srv.port) as by:
        for offset, length in ((0, 8), (3, 5), (4, 0), (1, 31)):
            java.call("read", url=by.url + key, offset=offset, length=length)
            assert java.statuses() == [206]
        for face in ("zarr2", "zarr3"):
            read = java.call("arrays", format=face, url=by.url + ROOTS[face], paths=["g/raw"],
                             threads=1)["g/raw"]
            assert read["missing"] == 0
            chunks = [a for a in java.asked() if "bytes=" in a]
            assert len(chunks) == 6 and all(a.endswith(" bytes=0-31") for a in chunks)
            assert java.statuses()[-6:] == [206] * 6
        assert by.count <= 3


def test_J17_a_whole_answer_promises_no_range(srv, java):
    """J17 No Accept-Range on a 200 to a request with Range: it would be taken for the part."""
    for key in (N5_BLOCK, "/zarr2/s.zarr/g/raw/0.0", "/zarr3/s.zarr/zarr.json", "/n5/s.n5/",
                "/n5/s.n5/attributes.json", "/zarr2/s.zarr/.zattrs"):
        for value in ("bytes=0-1,4-5", "lines=0-3", "bytes=x-", "bytes=-", "bytes=0-3"):
            answer = java.plain(srv.url + key, headers={"Range": value})
            if answer["status"] == 200:
                assert "accept-range" not in answer["headers"], (key, value)
            else:
                assert answer["status"] in (206, 416), (key, value)
        answer = java.plain(srv.url + key, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
        assert answer["status"] == 200 and "accept-range" not in answer["headers"]


def test_J18_one_404_for_a_part(srv, java):
    """J18 A 404 to a request with Range has Accept-Range, which saves the second 404."""
    for key in ("/zarr2/s.zarr/g/raw/9.9", "/zarr3/s.zarr/g/raw/c/9/9", "/n5/s.n5/g/raw/9/9"):
        with pytest.raises(JavaError, match="NoSuchKey"):
            java.call("read", url=srv.url + key, offset=0, length=8)
        assert java.statuses() == [404]


@pytest.mark.parametrize("more", ["", ", compressor=None"])
def test_J19_one_computation(serve, gate, java, more):
    """J19 Two requests for one key, ranged then whole, HEAD then GET: one call of the function."""
    srv = serve(slow_store(gate, more), "--workers", "1", "--cache", "0")
    for i, face in enumerate(ROOTS):
        for method in ("ranged", "head"):
            n = 2 * i + (method == "head")
            key = {"n5": f"{n}", "zarr2": f"{n}", "zarr3": f"c/{n}"}[face]
            url = f"{srv.url}{ROOTS[face]}/slow/{key}"
            with srv.delta() as d:
                early = srv.begin(url[len(srv.url):], {"Range": "bytes=0-0"}
                                  if method == "ranged" else {},
                                  "GET" if method == "ranged" else "HEAD")
                if not (method == "head" and more and face != "n5"):
                    call = gate.next()
                    java.begin("read", url=url)
                    srv.wait_metric("http_suspended", 2)
                    call.go()
                else:  # the length is known: the HEAD is answered at once
                    assert early.result().status == 200
                    early = None
                    java.begin("read", url=url)
                    gate.next().go()
                assert java.result()["length"] > 0
                assert early is None or early.result().status in (200, 206)
            assert d["computed_total"] == 1, (face, method)


def test_J20_groups_are_directories(srv, java):
    """J20 HEAD <group>/ is 2xx for every group and dataset and the root; else 404."""
    for root in ROOTS.values():
        for folder in FOLDERS:
            assert java.call("isDirectory", url=srv.url + root + folder), root + folder
            assert java.statuses() == [200]
        for folder in ("/x", "/g/x", "/image/s7", "/g/raw/x", "/g/deep/zeros/y"):
            assert java.call("isDirectory", url=srv.url + root + folder) is False
            assert java.statuses() == [404]


@pytest.mark.parametrize("face", ROOTS)
def test_J21_J25_J26_listings(srv, java, face):
    """J21 GET <group> without a slash lists it; J25 with 0, 1 and n children; J26 a recursive list ends
    at the arrays, whose folders of chunks it doesn't go into."""
    for folder in FOLDERS:
        got = java.call("list", url=srv.url + ROOTS[face] + folder)
        if folder in ("/g/raw", "/g/packed", "/g/deep/zeros"):  # arrays: folders of chunks
            assert got == ["c"] if face == "zarr3" else all(n.isdigit() for n in got), got
        else:
            assert sorted(got) == children(face, folder), folder
        assert java.requests[0]["status"] == 200
    nodes = java.call("deepList", format=face, url=srv.url + ROOTS[face], path="")
    level = "image/s0*" if face == "n5" else "image/0*"
    assert sorted(nodes) == sorted(["bad*", "film", level.replace("image", "film"), "g", "g/deep",
                                    "g/deep/zeros*", "g/packed*", "g/raw*", "image", level])


def test_J22_J23_without_a_slash(srv, java):
    """J22 HEAD <group> without a slash is 301 to the same with one (so isFile is false); J23 with a
    Location, always."""
    for face, root in ROOTS.items():
        for folder in FOLDERS:
            url = srv.url + root + folder
            head = java.plain(url, "HEAD", follow=False)
            assert head["status"] == 301 and head["headers"]["location"].endswith(folder + "/"), url
            assert java.call("isFile", url=url) is False
            assert java.call("exists", url=url) is True  # follows it
            get = java.plain(url, follow=False)
            assert get["status"] == 200 or get["headers"]["location"].endswith(folder + "/")
        assert java.call("isFile", url=f"{srv.url}{root}/g/raw{DOCUMENTS[face]}") is True
        assert java.call("isFile", url=f"{srv.url}{root}/g/raw/x") is False


def test_J24_J27_what_a_listing_is(srv, java):
    """J24 one <a href="NAME/">NAME/</a> a child, <a href="NAME">NAME</a> a file, nothing else with
    an href, no link upwards; J27 names need no decoding."""
    for root in [*ROOTS.values(), "/bdv/s/image/dataset.n5"]:
        for folder in FOLDERS if "bdv" not in root else ["", "/setup0", "/setup0/timepoint0"]:
            answer = java.plain(f"{srv.url}{root}{folder}/")
            assert answer["headers"]["content-type"].startswith("text/html")
            links = re.findall(r"<a\b.*?</a>", answer["text"])
            assert len(links) == len(re.findall(r"(?i)href", answer["text"]))
            for link in links:
                m = re.fullmatch(r'<a href="([A-Za-z0-9._-]+/?)">(.*)</a>', link)
                assert m and m.group(1) == m.group(2) and m.group(1) not in ("../", "./"), link


def test_J28_levels_of_an_n5_image(srv, java):
    """J28 The child folders of an N5 image are s0 ... sN-1 and nothing else."""
    for name in ("image", "film"):
        group = java.call("attributes", format="n5", url=srv.url + "/n5/s.n5", path=name)
        levels = [f"s{i}" for i in range(len(group["downsamplingFactors"]))]
        assert sorted(java.call("list", url=f"{srv.url}/n5/s.n5/{name}")) == levels == ["s0"]


def test_J29_one_format_a_root(srv, java):
    """J29 A root serves one format, by which keys it has; detection needs no suffix to be right."""
    mine = {"n5": {"attributes.json"}, "zarr2": {".zgroup", ".zattrs"}, "zarr3": {"zarr.json"}}
    for face, root in ROOTS.items():
        assert java.call("detect", url=srv.url + root) == face
        for key in ("zarr.json", ".zarray", ".zgroup", ".zattrs", "attributes.json"):
            there = java.call("exists", url=f"{srv.url}{root}/{key}")
            assert not there or key in mine[face], (face, key)


def test_J30_with_and_without_a_slash(srv, java):
    """J30 A root works with and without a slash at its end."""
    for face, root in ROOTS.items():
        for end in ("", "/"):
            assert java.call("open", format=face, url=srv.url + root + end)
            assert java.call("nodeExists", format=face, url=srv.url + root + end, path="g/raw")
            assert not java.call("nodeExists", format=face, url=srv.url + root + end, path="no")


def test_J31_J32_n5_documents(srv, java):
    """J31 the root's version has three parts, major 4 at most; J32 a dataset's document."""
    version = java.call("open", format="n5", url=srv.url + "/n5/s.n5")
    assert re.fullmatch(r"[1-4]\.\d+\.\d+", version)
    assert java.asked() == ["GET /n5/s.n5/attributes.json"]  # nothing more is needed
    for path, dims in (("g/raw", [7, 9]), ("g/deep/zeros", [5]), ("image/s0", [10, 8, 6])):
        a = java.call("attributes", format="n5", url=srv.url + "/n5/s.n5", path=path)
        assert a["dimensions"] == dims and len(a["blockSize"]) == len(dims)
        assert isinstance(a["compression"]["type"], str) and "codecs" not in a


def test_J35_J37_blocks(srv, java):
    """J35 keys are x first, beyond the grid is 404; J37 a block of nothing but fill is a block."""
    root = srv.url + "/n5/s.n5"
    for path, at, there in (("g/raw", [1, 2], True), ("g/raw", [2, 1], False),
                            ("g/raw", [0, 3], False), ("g/deep/zeros", [0], True),
                            ("g/deep/zeros", [2], True), ("g/deep/zeros", [3], False)):
        block = java.call("block", format="n5", url=root, path=path, at=at)
        assert (block is not None) == there, (path, at)
    for face in ROOTS:
        read = java.call("arrays", format=face, url=srv.url + ROOTS[face], paths=["g/deep/zeros"])
        assert read["g/deep/zeros"]["missing"] == 0


def test_J38_J41_zarr_2_documents(srv, java):
    """J38 .zarray has all that n5-zarr asks for; J41 .zgroup in the root and in every group."""
    for path in ("g/raw", "g/packed", "g/deep/zeros", "image/0", "film/0"):
        a = java.call("attributes", format="zarr2", url=srv.url + "/zarr2/s.zarr", path=path)
        assert {"zarr_format", "shape", "chunks", "dtype", "compressor", "fill_value", "order",
                "filters", "dimension_separator"} <= set(a)
        assert a["filters"] is None and a["order"] == "C"
    for group in ("", "/g", "/g/deep", "/image", "/film"):
        assert java.call("isFile", url=f"{srv.url}/zarr2/s.zarr{group}/.zgroup")


def test_J48_a_storm_of_retries(srv, java):
    """J48 A remembered failure costs no computation and no wait; other chunks still arrive."""
    bad, good = "/n5/s.n5/bad/0/2", "/n5/s.n5/bad/0/1"
    assert srv.get(bad).status == 500
    with srv.delta() as d:
        started = time.monotonic()
        java.begin("reads", urls=[srv.url + bad], times=3000, threads=2)
        assert srv.get(good).status == 200
        assert time.monotonic() - started < 2 * lzr.SLOW
        answers = java.result()["answers"]
        assert time.monotonic() - started < 6 * lzr.SLOW  # 2 ms each, the JVM's part included
    assert len(answers) == 3000
    assert {a.split(" for ")[0] for a in answers} == {"Refused: 500"}
    assert d["compute_failures_total"] == 0 and d["computed_total"] == 1


def test_J51_bigdataviewer(srv, java):
    """J51 dataset.xml beside dataset.n5; setups, timepoints; levels are 3-D datasets, all there."""
    bdv = java.call("bdv", url=srv.url + "/bdv/s/film/dataset.xml")
    assert len(bdv["views"]) == 6 and all(len(v["dims"]) == 3 for v in bdv["views"])
    nodes = java.call("deepList", format="n5", url=srv.url + "/bdv/s/film/dataset.n5", path="")
    want = [f"setup{s}" for s in range(3)]
    want += [f"setup{s}/timepoint{t}" for s in range(3) for t in range(2)]
    want += [f"setup{s}/timepoint{t}/s0*" for s in range(3) for t in range(2)]
    assert sorted(nodes) == sorted(want)
    setup = java.call("attributes", format="n5", url=srv.url + "/bdv/s/film/dataset.n5",
                      path="setup0")
    assert setup["downsamplingFactors"] == [[1, 1, 1]] and setup["dataType"] == "uint8"


def test_J52_no_attributes_cache(srv, java):
    """J52 attributes_cache.json is 404, and no error."""
    url = srv.url + "/bdv/s/image/dataset.n5/attributes_cache.json"
    assert java.call("exists", url=url) is False
    assert java.plain(url)["status"] == 404
