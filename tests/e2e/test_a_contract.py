"""The contract with web and Python readers, how requests are answered: one test a line, A01 to A27 and A34
to A37, over the keys of all formats.

Each docstring quotes its line. What lies where and what documents say (A28 to A33, A38 to A49) is in
test_a_contract_documents.py; A10 and A50 to A54, about formats beside Zarr, are in test_a_formats.py; A44
(sharding) and A55 (a bundled viewer) are not yet. tests/lint/contract.py looks that no line is without a test.
"""
import email.utils
import re
import time

import pytest

import lzr
from contract_keys import Z2, Z3, DOCUMENTS, CHUNKS, KEYS, MISSING

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
            # BigDataViewer's document says where it was asked for.
            assert p.result().body.replace(other.url.encode(), basic.url.encode()) == first[k], k
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
            (206, "GET", CHUNKS[0], {"Range": "bytes=0-1"}), (301, "HEAD", f"{Z3}/grp", {}),
            (304, "GET", CHUNKS[0], {"If-None-Match": "*"}), (404, "GET", f"{Z3}/nope", {}),
            (405, "PUT", f"{Z3}/zarr.json", {}), (412, "GET", CHUNKS[0], {"If-Match": '"x"'}),
            (416, "GET", CHUNKS[0], {"Range": "bytes=999999-"}), (500, "GET", f"{Z2}/fails/9", {}),
            (200, "GET", f"{Z3}/", {}), (200, "HEAD", CHUNKS[0], {}), (204, "OPTIONS", CHUNKS[0], {}),
            (404, "HEAD", "/", {}) if srv.head("/").status == 404 else (200, "GET", "/", {})]


def test_A25_cors_on_every_response(basic):
    """A25 Access-Control-Allow-Origin is on every response including 304, 404, 405, 416, 5xx and
    redirects: an allowed Origin echoed, nothing without one (a cache would give a * to every page) or
    for a refused one; Vary: Origin on all."""
    for status, method, target, headers in every_status(basic):
        r = basic.request(method, target, headers)
        assert r.status == status, (target, r)
        assert r["Access-Control-Allow-Origin"] is None, (status, r)
        assert "origin" in (r["Vary"] or "").lower(), (status, r)
        for origin in ORIGINS:
            r = basic.request(method, target, {**headers, "Origin": origin})
            assert r["Access-Control-Allow-Origin"] == origin, (status, r)
            assert "origin" in (r["Vary"] or "").lower(), (status, r)
        for origin in ("https://evil.example", "null", "http://localhost.evil.example",
                       "http://127.0.0.1.evil.example", "https://neuroglancer-demo.appspot.com.evil.io"):
            r = basic.request(method, target, {**headers, "Origin": origin})
            assert r["Access-Control-Allow-Origin"] is None, (status, origin, r)
            assert "origin" in (r["Vary"] or "").lower(), (status, r)


def test_A26_exposed_headers(basic):
    """A26 Access-Control-Expose-Headers lists at least Content-Range, Content-Length,
    Content-Encoding, ETag, Accept-Ranges (or *)."""
    for status, method, target, headers in every_status(basic):
        if method == "OPTIONS":
            continue
        for origin in ORIGINS:
            r = basic.request(method, target, {**headers, "Origin": origin})
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
