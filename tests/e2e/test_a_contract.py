"""The contract with web and Python readers: one test a line, A01 to A49, over the keys of all formats.

Each docstring quotes its line. A10 and A50 to A54, about formats beside Zarr, are in
test_a_formats.py; A44 (sharding) and A55 (a bundled viewer) are not yet. tests/lint/contract.py looks
that no line is without a test.
"""
import email.utils
import re
import time

import numpy as np
import pytest

import lzr

Z2, Z3 = "/zarr2/basic.zarr", "/zarr3/basic.zarr"
N5, PRE, BDV = "/n5/basic.n5", "/precomputed/basic", "/bdv/basic"
ARRAYS = ["ramp", "packed", "gz", "zs", "bits", "padded", "scalar", "empty", "line", "u64",
          "img/0", "seg/0", "grp/deep/arr"]
GROUPS = ["", "/grp", "/grp/deep", "/notes", "/img", "/seg"]
DOCUMENTS = ([f"{Z2}/{a}/{d}" for a in ARRAYS for d in (".zarray", ".zattrs")]
             + [f"{Z3}/{a}/zarr.json" for a in ARRAYS]
             + [f"{Z2}{g}/{d}" for g in GROUPS for d in (".zgroup", ".zattrs", ".zmetadata")]
             + [f"{Z3}{g}/zarr.json" for g in GROUPS]
             + [f"{N5}{g}/attributes.json" for g in ("", "/ramp", "/grp/deep", "/img", "/img/s0", "/bits")]
             + [f"{PRE}/{a}/info" for a in ("ramp", "img", "seg", "bits")]
             + [f"{BDV}/img/dataset.xml"]
             + [f"{BDV}/img/dataset.n5{g}/attributes.json" for g in ("", "/setup0", "/setup0/timepoint0",
                                                                     "/setup0/timepoint0/s0")])
CHUNKS = [f"{Z2}/ramp/0.0", f"{Z2}/packed/3.2", f"{Z2}/gz/1.1", f"{Z2}/zs/0.2", f"{Z2}/bits/1.1",
          f"{Z2}/padded/2.1", f"{Z2}/scalar/0", f"{Z2}/line/15", f"{Z2}/img/0/1/1/2",
          f"{Z2}/grp/deep/arr/1", f"{Z3}/ramp/c/0/0", f"{Z3}/packed/c/3/2", f"{Z3}/gz/c/1/1",
          f"{Z3}/zs/c/0/2", f"{Z3}/scalar/c", f"{Z3}/line/c/15", f"{Z3}/img/0/c/1/1/2",
          f"{Z3}/huge/c/33554431/33554431", f"{Z3}/grp/deep/arr/c/1",
          f"{N5}/ramp/0/0", f"{N5}/ramp/2/3", f"{N5}/line/15", f"{N5}/img/s0/2/1/1", f"{N5}/huge/0/7",
          f"{PRE}/ramp/0/0-8_8-16_0-1", f"{PRE}/img/0/32-40_16-30_16-20", f"{PRE}/seg/0/0-16_0-16_0-16",
          f"{BDV}/img/dataset.n5/setup0/timepoint0/s0/0/1/1"]
KEYS = DOCUMENTS + CHUNKS
MISSING = [f"{Z2}/nope/.zarray", f"{Z2}/nope/.zattrs", f"{Z3}/nope/zarr.json", f"{Z3}/zarr.jso",
           f"{Z2}/ramp/.zattrs/.zarray", f"{Z2}/ramp/.zgroup", f"{Z2}/img/.zarray",
           f"{Z3}/provenance", f"{Z2}/ramp/provenance", f"{Z2}/ramp/0.0/0.0", "/zarr2/no.zarr/.zgroup",
           "/zarr4/basic.zarr/zarr.json", "/favicon.ic", f"{Z3}/img/0/c/0", f"{Z3}/ramp/c",
           f"{Z2}/zarr.json", f"{Z3}/.zgroup", f"{Z3}/ramp/.zarray", f"{Z2}/ramp/c/0/0",
           f"{Z3}/ramp/0.0", f"{N5}/nope/attributes.json", f"{N5}/ramp/0.0", f"{N5}/ramp/3/0",
           f"{N5}/img/0/0/0", f"{N5}/img/0/attributes.json", f"{N5}/scalar/attributes.json",
           f"{N5}/grp/deep/arr/attributes.json", f"{N5}/zarr.json", f"{PRE}/info", f"{PRE}/img/provenance",
           f"{PRE}/line/info", f"{PRE}/img/0/32-48_16-30_16-20", f"{PRE}/img/s0/0-16_0-16_0-16",
           f"{PRE}/img/attributes.json", f"{BDV}/ramp/dataset.xml", f"{BDV}/img/attributes.json",
           f"{BDV}/img/dataset.n5/setup1/attributes.json",
           f"{BDV}/img/dataset.n5/setup0/timepoint1/s0/0/0/0"]

FAILING = """
import lazarr, os, time
@lazarr.array("raises", shape=(9,), chunks=(1,), dtype="uint8")
def raises(block):
    raise ValueError("broken on purpose")
@lazarr.array("dies", shape=(9,), chunks=(1,), dtype="uint8")
def dies(block):
    os._exit(3)
@lazarr.array("hangs", shape=(9,), chunks=(1,), dtype="uint8", timeout=0.5)
def hangs(block):
    if block.start[0] > 0:
        time.sleep(1000)
    return 1
@lazarr.array("wrong", shape=(9,), chunks=(1,), dtype="uint8")
def wrong(block):
    return 300
"""
FAILURES = ["raises", "dies", "hangs", "wrong"]


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """{name: first answer} of a chunk of each failing array."""
    path = tmp_path_factory.mktemp("failing") / "f.py"
    path.write_text(FAILING)
    with lzr.Server(path, "--workers", "2") as srv:
        # A worker's first block is allowed longer: use it up.
        for i in range(6):
            srv.get("/zarr2/f.zarr/hangs/0")
        yield {n: srv.get(f"/zarr2/f.zarr/{n}/1") for n in FAILURES}


def test_A01_404_only_for_keys_that_do_not_exist(basic, failed):
    """A01 404 is sent only for a key that does not exist in the served hierarchy; never for a
    failed, timed-out, cancelled or refused computation. zarr-python 2 also probes below keys:
    404. cloud-volume asks for /provenance: 404 is fine."""
    for key in MISSING:
        assert basic.get(key).status == 404, key
    for key in KEYS:
        assert basic.get(key).status == 200, key
    for name, r in failed.items():
        assert r.status in (500, 503), (name, r)


def test_A02_403_never(failed):
    """A02 403 is never sent for a failed computation."""
    assert {n: r.status for n, r in failed.items()} == {
        "raises": 500, "dies": 500, "hangs": 503, "wrong": 500}


def test_A03_a_failure_is_an_answer(failed):
    """A03 A failed computation never ends as a dropped/reset connection or a short body."""
    for name, r in failed.items():  # lzr.Http raises where a connection ends without an answer
        assert r.complete and r.body and r["Content-Length"] == str(len(r.body)), name


def test_A04_overload_is_503_with_retry_after(serve, gate):
    """A04 Transient overload is 503 or 429; Retry-After may be sent."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("a", shape=(9,), chunks=(1,), dtype="uint8")
def a(block):
    gate(block.index)
    return 5
""", "--workers", "1", "--first-byte", "1")
    r = srv.get("/zarr2/s.zarr/a/3")
    assert r.status == 503 and int(r["Retry-After"]) > 0, r
    call = gate.next()
    call.go()
    assert srv.get("/zarr2/s.zarr/a/3").status == 200
    assert gate.empty() and srv.metric("computed_total") == 1


def test_A05_a_failure_is_remembered(basic):
    """A05 A user-function exception is a 5xx with a short text body; the failure is remembered for
    a few seconds so that retries do not recompute each time."""
    with basic.delta() as d:
        first = basic.get(f"{Z2}/fails/41")
        others = [basic.get(f"{face}") for face in
                  [f"{Z2}/fails/41", f"{Z3}/fails/c/41"] * 10]
    for r in [first, *others]:
        assert r.status == 500 and r["Content-Type"].startswith("text/plain")
        assert b"ValueError: no luck at 41" in r.body and len(r.body) < 8192
    assert d["computed_total"] == 1 and d["compute_failures_total"] == 1
    assert d["remembered_failures_total"] == 20


def test_A06_complete_or_an_error(basic, failed):
    """A06 A chunk that depends on a failed chunk is an error too, never zeros; body once begun is
    complete or the connection is closed with fewer bytes than Content-Length. (Inputs are not yet
    there: what a chunk depends on is its function.)"""
    for key in KEYS:
        r = basic.get(key)
        assert r.status == 200 and r.complete and len(r.body) == int(r["Content-Length"]), key
    for name, r in failed.items():
        assert r.status >= 500 and r.complete, name


def test_A07_keys_never_redirect(basic):
    """A07 Keys never answer 3xx; the sole redirect is directory-without-slash to with slash."""
    for key in KEYS + MISSING:
        for method in ("GET", "HEAD"):
            r = basic.request(method, key)
            assert not 300 <= r.status < 400, (key, r)
            assert r["Location"] is None


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "PROPFIND", "TRACE", "BREW"])
def test_A08_read_only(basic, method):
    """A08 PUT/POST/DELETE/PATCH -> 405 with Allow; PROPFIND -> 405 or a true 207."""
    for target in (f"{Z3}/zarr.json", f"{Z3}/new/zarr.json", f"{Z2}/ramp/0.0", f"{Z2}/", "/"):
        r = basic.request(method, target, body=b"x" if method in ("PUT", "POST", "PATCH") else None)
        assert r.status == 405, (target, r)
        assert {m.strip() for m in r["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


def test_A09_missing_metadata_is_no_page(basic):
    """A09 A missing metadata key is 404, never 200 with HTML."""
    for key in MISSING:
        r = basic.get(key, {"Accept": "text/html"})
        assert r.status == 404 and b"<html" not in r.body.lower(), key


def test_A11_head_is_get_without_a_body(basic):
    """A11 HEAD works on every key with the GET's status and an exact Content-Length, no
    Content-Encoding."""
    for key in KEYS + MISSING + [f"{Z2}/fails/3"]:
        get, head = basic.get(key), basic.head(key)
        assert head.status == get.status, key
        assert head["Content-Encoding"] is None and get["Content-Encoding"] is None
        assert head["Content-Length"] == str(len(get.body)), key
        for name in ("Content-Type", "ETag", "Cache-Control", "Accept-Ranges"):
            assert head[name] == get[name], (key, name)
    with basic.connect() as h:  # no body: the next answer begins right behind
        for key in KEYS:
            h.send("HEAD", key)
            assert h.read("HEAD").status == 200 and h.buffer == b""


def test_A12_head_of_a_chunk(basic):
    """A12 HEAD of a chunk needs no computation when the length is known (raw codec or cached); else
    it computes and caches as design 3 says, and equals the GET that follows. zarrs and ngff-zarr
    send HEAD and then Range: bytes=0-(n-1) for every plain chunk."""
    with basic.delta() as d:
        raw = basic.head(f"{Z2}/huge/77.78")
    assert raw.status == 200 and raw["Content-Length"] == "4096"
    assert d["flights_total"] == 0 and d["computed_total"] == 0
    for key in (f"{Z2}/huge/77.79", f"{Z3}/line/c/9", f"{Z2}/gz/2.2"):
        head = basic.head(key)
        n = int(head["Content-Length"])
        with basic.delta() as d:
            part = basic.get(key, {"Range": f"bytes=0-{n - 1}"})
            again = basic.head(key)
        assert part.status == 206 and len(part.body) == n, key
        assert part["Content-Range"] == f"bytes 0-{n - 1}/{n}"
        assert d["computed_total"] <= (1 if "huge" in key else 0), key
        assert again["Content-Length"] == str(n) and again["ETag"] == head["ETag"] == part["ETag"]
        assert basic.get(key).body == part.body


@pytest.mark.parametrize("key", [f"{Z2}/ramp/1.1", f"{Z3}/packed/c/1/1", f"{Z3}/ramp/zarr.json"])
def test_A13_ranges(basic, key):
    """A13 bytes=a-b, bytes=a-, bytes=-N -> 206, Content-Range: bytes a-b/TOTAL; TOTAL is a number,
    never *."""
    whole = basic.get(key).body
    n = len(whole)
    assert n > 20
    for spec, a, b in [("0-0", 0, 0), ("0-9", 0, 9), ("3-3", 3, 3), (f"0-{n - 1}", 0, n - 1),
                       (f"5-{n + 1000}", 5, n - 1), ("7-", 7, n - 1), (f"{n - 1}-", n - 1, n - 1),
                       ("0-", 0, n - 1), ("-1", n - 1, n - 1), ("-5", n - 5, n - 1),
                       (f"-{n}", 0, n - 1)]:
        for unit in ("bytes", "Bytes"):
            r = basic.get(key, {"Range": f"{unit}={spec}"})
            assert r.status == 206, (spec, r)
            assert r["Content-Range"] == f"bytes {a}-{b}/{n}", spec
            assert r.body == whole[a:b + 1] and r["Content-Length"] == str(b + 1 - a), spec


@pytest.mark.parametrize("key", [f"{Z2}/ramp/1.2", f"{Z3}/packed/c/1/2", f"{Z3}/ramp/zarr.json"])
def test_A14_ranges_beyond_the_end(basic, key):
    """A14 bytes=-N with N > size -> the whole object as 206; first byte >= size -> 416 with
    Content-Range: bytes */TOTAL."""
    whole = basic.get(key).body
    n = len(whole)
    for spec in (f"-{n + 1}", "-99999999999999999999"):
        r = basic.get(key, {"Range": f"bytes={spec}"})
        assert r.status == 206 and r.body == whole, spec
        assert r["Content-Range"] == f"bytes 0-{n - 1}/{n}"
    for spec in (f"{n}-", f"{n}-{n + 5}", "99999999999999999999-", "-0"):
        r = basic.get(key, {"Range": f"bytes={spec}"})
        assert r.status == 416 and r["Content-Range"] == f"bytes */{n}", (spec, r)


def test_A15_a_range_is_never_answered_whole(basic):
    """A15 A ranged request is never answered 200 with the whole body except A16."""
    for key in CHUNKS + DOCUMENTS:
        r = basic.get(key, {"Range": "bytes=1-2"})
        if r.status == 416:  # a document of one or two bytes: {}
            assert int(r["Content-Range"].split("/")[1]) <= 1
        else:
            assert r.status == 206 and len(r.body) in (1, 2), key


def test_A16_many_ranges_get_the_whole(basic):
    """A16 A multi-range request (bytes=a-b, c-d) -> 200 with the whole body, never
    multipart/byteranges."""
    for key in (f"{Z2}/ramp/0.1", f"{Z3}/packed/c/0/1"):
        whole = basic.get(key).body
        for spec in ("0-1,4-5", "0-1, 4-5", "0-0,-1", "1-2,3-", "0-1,0-1"):
            r = basic.get(key, {"Range": f"bytes={spec}"})
            assert r.status == 200 and r.body == whole and r["Content-Range"] is None, spec


def test_A17_no_content_encoding(basic):
    """A17 Responses to range and HEAD requests carry no Content-Encoding even if the request says
    Accept-Encoding: gzip."""
    for key in (f"{Z2}/ramp/0.0", f"{Z2}/gz/0.0", f"{Z3}/zarr.json"):
        for headers in ({"Range": "bytes=0-3"}, {}):
            headers["Accept-Encoding"] = "gzip, deflate, br"
            for r in (basic.get(key, headers), basic.head(key, headers)):
                assert r.status in (200, 206) and r["Content-Encoding"] is None
        assert basic.get(key, {"Accept-Encoding": "gzip"}).body == basic.get(key).body


def test_A18_bytes_never_change(basic, stores):
    """A18 Bytes of one key are identical across requests, threads and restarts while the source is
    unchanged, so that HEAD, Range, Range on a shard agree."""
    keys = CHUNKS + DOCUMENTS
    first = {k: basic.chunk(k) for k in keys}
    with lzr.Server(stores / "basic.py", "--workers", "1", "--cache", "0") as other:
        pending = [other.begin(k) for k in keys]
        for k, p in zip(keys, pending):
            assert p.result().body == first[k], k
        assert other.chunk(f"{Z2}/gz/1.1") == first[f"{Z2}/gz/1.1"]  # made again, without a cache


def test_A19_etags(basic, serve):
    """A19 Strong quoted ETag on every 200/206; If-None-Match -> 304 without computing if the
    version is unchanged; compares weakly (W/ ignored, lists, *); If-Range with another tag ->
    whole 200; If-Match mismatch -> 412; ETag changes when the user bumps the dataset version."""
    for key in KEYS:
        r = basic.get(key)
        tag = r["ETag"]
        assert re.fullmatch(r'"[!-~]+"', tag), (key, tag)
        assert basic.get(key, {"Range": "bytes=0-0"})["ETag"] == tag
        for said in (tag, "W/" + tag, f'"x", {tag}', f'"x",W/{tag} ,"y"', "*"):
            for method in ("GET", "HEAD"):
                r304 = basic.request(method, key, {"If-None-Match": said})
                assert r304.status == 304 and r304["ETag"] == tag and not r304.body, (key, said)
        assert basic.get(key, {"If-None-Match": '"x"'}).status == 200
        assert basic.get(key, {"If-Match": '"x"'}).status == 412
        for said in (tag, f'"x", {tag}', "*"):
            assert basic.get(key, {"If-Match": said}).status == 200, (key, said)
        assert basic.get(key, {"If-Match": "W/" + tag}).status == 412  # If-Match is strong
        r = basic.get(key, {"Range": "bytes=0-0", "If-Range": '"x"'})
        assert r.status == 200 and len(r.body) == int(r["Content-Length"])
        assert basic.get(key, {"Range": "bytes=0-0", "If-Range": tag}).status == 206
    # A 304 computes nothing, also for a chunk that was never made.
    tag = basic.head(f"{Z2}/huge/5.5")["ETag"]
    with basic.delta() as d:
        assert basic.get(f"{Z2}/huge/5.5", {"If-None-Match": tag}).status == 304
    assert d["flights_total"] == 0 and d["computed_total"] == 0

    text = """
import lazarr
@lazarr.array("a", shape=(4,), chunks=(2,), dtype="uint8", version="VERSION")
def a(block):
    return 1
"""
    tags = []
    for version in ("1", "1", "2"):
        srv = serve(text.replace("VERSION", version))
        tags.append(srv.get("/zarr2/s.zarr/a/0")["ETag"])
        srv.stop()
    assert tags[0] == tags[1] != tags[2]


def test_A20_date(basic):
    """A20 Date is a valid RFC 1123 date or absent."""
    for target in (KEYS[0], CHUNKS[0], MISSING[0], "/", "/metrics"):
        date = basic.get(target)["Date"]
        if date is not None:
            assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
            assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 60


def test_A21_requests_do_not_bypass_the_cache(basic):
    """A21 A request's Cache-Control: no-cache/max-age=N/Pragma never bypasses the server's own
    chunk cache."""
    key = f"{Z2}/packed/2.0"
    body = basic.chunk(key)
    with basic.delta() as d:
        for headers in ({"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"},
                        {"Pragma": "no-cache"}, {"Cache-Control": "no-store"}):
            assert basic.get(key, headers).body == body
    assert d["computed_total"] == 0 and d["cache_hits_total"] == 4


def test_A22_cache_control(basic):
    """A22 Default Cache-Control: no-cache + ETag for chunks and metadata."""
    for key in KEYS:
        r = basic.get(key)
        assert r["Cache-Control"] == "no-cache", (key, r)
        assert basic.get(key, {"If-None-Match": r["ETag"]})["Cache-Control"] == "no-cache"


def test_A23_content_length(basic):
    """A23 Content-Length is present on all non-HEAD 200/206 (chunked transfer encoding only for
    listings)."""
    for key in KEYS:
        for headers in ({}, {"Range": "bytes=0-1"}):
            r = basic.get(key, headers)
            assert r["Content-Length"] == str(len(r.body)) and r["Transfer-Encoding"] is None, key


def test_A24_first_byte_in_time(serve, gate):
    """A24 Time to first byte is under 30 s or configurable with an early 503."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("a", shape=(9,), chunks=(1,), dtype="uint8")
def a(block):
    return 6 if gate(block.index) == "go" else 7
""", "--workers", "1", "--first-byte", "1")
    start = time.monotonic()
    r = srv.get("/zarr3/s.zarr/a/c/0")
    assert r.status == 503 and 0.9 < time.monotonic() - start < 10
    # The work went on: the answer is there for the next who asks.
    later = srv.begin("/zarr3/s.zarr/a/c/0")
    srv.wait_metric("waiting", 1)
    gate.next().go()
    assert later.result().status == 200
    assert srv.metric("computed_total") == 1


ORIGINS = ["http://localhost:5173", "http://127.0.0.1:8080", "https://neuroglancer-demo.appspot.com"]


def every_status(srv):
    """Targets with the status that each gives."""
    return [(200, "GET", f"{Z3}/zarr.json", {}), (200, "GET", CHUNKS[0], {}),
            (206, "GET", CHUNKS[0], {"Range": "bytes=0-1"}), (301, "GET", f"{Z3}/grp", {}),
            (304, "GET", CHUNKS[0], {"If-None-Match": "*"}), (404, "GET", f"{Z3}/nope", {}),
            (405, "PUT", f"{Z3}/zarr.json", {}), (412, "GET", CHUNKS[0], {"If-Match": '"x"'}),
            (416, "GET", CHUNKS[0], {"Range": "bytes=999999-"}), (500, "GET", f"{Z2}/fails/9", {}),
            (200, "GET", f"{Z3}/", {}), (200, "HEAD", CHUNKS[0], {}), (204, "OPTIONS", CHUNKS[0], {}),
            (404, "HEAD", "/", {}) if srv.head("/").status == 404 else (200, "GET", "/", {})]


def test_A25_cors_on_every_response(basic):
    """A25 Access-Control-Allow-Origin is on every response including 304, 404, 405, 416, 5xx and
    redirects: * without an Origin, an allowed Origin echoed with Vary: Origin, nothing for a
    refused one."""
    for status, method, target, headers in every_status(basic):
        r = basic.request(method, target, headers)
        assert r.status == status, (target, r)
        assert r["Access-Control-Allow-Origin"] == "*", (status, r)
        for origin in ORIGINS:
            r = basic.request(method, target, {**headers, "Origin": origin})
            assert r["Access-Control-Allow-Origin"] == origin, (status, r)
            assert "origin" in (r["Vary"] or "").lower(), (status, r)
        for origin in ("https://evil.example", "null", "http://localhost.evil.example",
                       "http://127.0.0.1.evil.example", "https://neuroglancer-demo.appspot.com.evil.io"):
            r = basic.request(method, target, {**headers, "Origin": origin})
            assert r["Access-Control-Allow-Origin"] is None, (status, origin, r)


def test_A26_exposed_headers(basic):
    """A26 Access-Control-Expose-Headers lists at least Content-Range, Content-Length,
    Content-Encoding, ETag, Accept-Ranges (or *)."""
    for status, method, target, headers in every_status(basic):
        if method == "OPTIONS":
            continue
        for origin in ({}, {"Origin": ORIGINS[0]}):
            r = basic.request(method, target, {**headers, **origin})
            exposed = {h.strip().lower() for h in (r["Access-Control-Expose-Headers"] or "").split(",")}
            assert "*" in exposed or exposed >= {"content-range", "content-length",
                                                 "content-encoding", "etag", "accept-ranges"}, (status, r)


def test_A27_preflight(basic):
    """A27 OPTIONS on any path -> 204 with Allow-Methods: GET, HEAD, OPTIONS, Allow-Headers echoing,
    Max-Age; unauthenticated."""
    asked = "range, authorization, if-none-match, cache-control, x-mine"
    for target in (CHUNKS[0], f"{Z3}/zarr.json", f"{Z3}/nope", "/", "/nowhere", "*"):
        r = basic.request("OPTIONS", target, {
            "Origin": ORIGINS[0], "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": asked})
        assert r.status == 204 and not r.body, (target, r)
        assert {m.strip() for m in r["Access-Control-Allow-Methods"].split(",")} == {
            "GET", "HEAD", "OPTIONS"}
        allowed = {h.strip().lower() for h in r["Access-Control-Allow-Headers"].split(",")}
        assert allowed >= set(asked.split(", ")), r
        assert int(r["Access-Control-Max-Age"]) > 0
        assert r["Access-Control-Allow-Origin"] == ORIGINS[0]


DIRECTORIES = ["/zarr2", "/zarr3", Z2, Z3, f"{Z2}/grp", f"{Z3}/grp/deep", f"{Z3}/grp/deep/arr",
               f"{Z2}/img", f"{Z3}/img/0", f"{Z2}/ramp", "/n5", N5, f"{N5}/img", f"{N5}/img/s0", "/precomputed",
              PRE, f"{PRE}/img", f"{PRE}/img/0", "/bdv", BDV, f"{BDV}/img", f"{BDV}/img/dataset.n5/setup0"]


def test_A28_directories_without_a_slash(basic):
    """A28 /ds without slash: GET/HEAD -> 301 to /ds/; never 200."""
    for path in DIRECTORIES:
        for method in ("GET", "HEAD"):
            r = basic.request(method, path)
            assert r.status == 301, (path, r)
            assert re.sub(r"^https?://[^/]+", "", r["Location"]) == path + "/", r


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
            assert basic.get(f"{path}/{h}").status == 200, (path, h)
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
        for bad in ("c/00/0", "c/0/00", "c/+1/0", "c/-0/0", "c/-1/0", "c/0", "c/0/0/0", "c/0.0", "c.0.0",
                    "0/0", "0.0", "c/4/0", "c/0/3", "c/0/", "c//0/0", "c/0/0x", "c/0x0/0", "c/ 0/0",
                    "c/%20/0", "c/1e0/0", "C/0/0", "c/18446744073709551616/0", "c/0/18446744073709551616",
                    "c/4294967296/0", "c/%2B1/0", "c/0/0/", "c/..%2f0/0", "c/./0/0", "x/../c/0/0", "c/٠/0"):
            bad = bad.encode().decode("latin-1").replace(" ", "%20")
            r = basic.get(f"{Z3}/ramp/{bad}")
            assert r.status == 404 or (r.status == 400 and "." in bad), (bad, r)
        for bad in ("00.0", "0.00", "+1.0", "-0.0", "0", "0.0.0", "0/0", "4.0", "0.3", "0.", ".0", "0..0",
                    "0.0x", "0,0", "c/0/0", "0.0/"):
            assert basic.get(f"{Z2}/ramp/{bad}").status == 404, bad
        for bad in ("0.0.0", "0/0", "0/0/0/0", "2/0/0"):  # an image's separator is /
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
    assert r.status == 301 and "/grp/" in r["Location"]


def test_A33_s3_probes(basic):
    """A33 GET /?list-type=2&prefix=... (neuroglancer's S3 probe) is 404/400 or text/html, not 200
    text/xml and not 500."""
    query = "?list-type=2&prefix=zarr3%2Fbasic.zarr%2F&delimiter=%2F&encoding-type=url"
    for path in ("/", "/zarr3/", f"{Z3}/"):
        r = basic.get(path + query)
        assert r.status in (400, 404) or (r.status == 200 and r["Content-Type"].startswith("text/html"))


GATED = """
import lazarr
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8")
def a(block):
    gate(block.start[0])
    return block.start[0] % 256
@lazarr.array("quick", shape=(64,), chunks=(64,), dtype="uint8")
def quick(block):
    return 1
"""


def test_A34_a_closed_connection_dequeues(serve, gate):
    """A34 Closing the TCP connection cancels or de-queues that request's work within milliseconds;
    a chunk wanted by another request goes on."""
    srv = serve(gate.code + GATED, "--workers", "1")
    running = srv.begin("/zarr3/s.zarr/a/c/0")
    at = gate.next()
    alone, shared, sharer = (srv.begin(f"/zarr3/s.zarr/a/c/{i}") for i in (1, 2, 2))
    srv.wait_metric("waiting", 4)
    start = time.monotonic()
    alone.leave()
    shared.leave(reset=True)
    srv.wait_metric("waiting", 2)
    srv.wait_metric("dropped_total", 1)
    assert time.monotonic() - start < 1 * lzr.SLOW
    at.go()
    assert running.result().status == 200
    call = gate.next()
    assert call.key == "2"  # 1 was dropped
    call.go()
    assert sharer.result().status == 200
    assert gate.empty() and srv.metric("computed_total") == 2


def test_A35_many_connections_are_queued(serve, gate):
    """A35 Keep-alive works; >= 100 connections with >= 6 pending per browser origin are queued, not
    refused."""
    srv = serve(gate.code + GATED, "--workers", "1")
    pending = [srv.begin(f"/zarr3/s.zarr/a/c/{i}", {"Connection": "keep-alive"}) for i in range(150)]
    srv.wait_metric("waiting", 150)
    for _ in range(150):
        gate.next().go()
    for i, p in enumerate(pending):
        r = p.http.read()
        assert r.status == 200 and r.complete, (i, r)
        r = p.http.get("/zarr3/s.zarr/a/zarr.json")  # the connection is still of use
        assert r.status == 200
        p.http.close()
    assert srv.metric("computed_total") == 150


def test_A36_identical_requests_compute_once(serve, gate):
    """A36 Identical concurrent requests compute once."""
    srv = serve(gate.code + GATED, "--workers", "2")
    pending = [srv.begin(f"/zarr{v}/s.zarr/a/{k}") for v, k in ((2, "7"), (3, "c/7")) for _ in range(10)]
    srv.wait_metric("waiting", 20)
    gate.next().go()
    answers = {p.result().body for p in pending}
    assert len(answers) == 1 and gate.empty()
    assert srv.metric("computed_total") == 1 and srv.metric("encoded_total") == 1


def test_A37_slow_chunks_delay_nothing_else(serve, gate):
    """A37 Slow chunks never delay metadata, HEAD or cached chunks."""
    srv = serve(gate.code + GATED + """
@lazarr.array("raw", shape=(64,), chunks=(32,), dtype="uint8", compressor=None)
def raw(block):
    gate("raw")
    return 1
""", "--workers", "2")
    cached = srv.chunk("/zarr3/s.zarr/quick/c/0")
    pending = [srv.begin(f"/zarr3/s.zarr/a/c/{i}") for i in range(20)]
    calls = [gate.next(), gate.next()]
    srv.wait_metric("waiting", 20)
    start = time.monotonic()
    for _ in range(20):
        assert srv.chunk("/zarr3/s.zarr/quick/c/0") == cached
        assert srv.chunk("/zarr2/s.zarr/quick/0") == cached
        assert srv.head("/zarr3/s.zarr/quick/c/0")["Content-Length"] == str(len(cached))
        assert srv.head("/zarr3/s.zarr/raw/c/1")["Content-Length"] == "32"
        for key in ("zarr.json", "a/zarr.json", ""):
            assert srv.get(f"/zarr3/s.zarr/{key}").status == 200
        assert srv.get("/zarr3/s.zarr/nope").status == 404
    assert time.monotonic() - start < 5 * lzr.SLOW
    assert not any(p.answered() for p in pending)
    for call in calls:
        call.go()


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
