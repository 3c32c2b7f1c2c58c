"""HTTP as such, where the contract's lines (test_a_contract*) say nothing: connections, odd and hostile
requests, restarts, conditions in combination, the reserved names."""
import re
import socket

import pytest

import lzr

Z2, Z3 = "/zarr2/basic.zarr", "/zarr3/basic.zarr"
CHUNK = f"{Z3}/packed/c/1/1"

STORE = """
import lazarr
@lazarr.array("a", shape=(4,), chunks=(2,), dtype="uint8"VERSION)
def a(block):
    return VALUE
"""


def test_restart_gives_new_etags(serve):
    """A restart after changed code or data must never answer a false 304: digests hold the server's
    start unless version= is given."""
    seen = []
    for value, version in (("1", ""), ("1", ""), ("2", "")):
        srv = serve(STORE.replace("VERSION", version).replace("VALUE", value))
        r = srv.get("/zarr2/s.zarr/a/0")
        for tag in seen:
            assert srv.get("/zarr2/s.zarr/a/0", {"If-None-Match": tag}).status == 200
            assert srv.get("/zarr2/s.zarr/a/0", {"If-Match": tag}).status == 412
        seen.append(r["ETag"])
        # Metadata's tags are of their bytes: they survive.
        seen_meta = srv.get("/zarr3/s.zarr/a/zarr.json")["ETag"]
        srv.stop()
        again = serve(STORE.replace("VERSION", version).replace("VALUE", value))
        assert again.get("/zarr3/s.zarr/a/zarr.json")["ETag"] == seen_meta
        again.stop()
    assert len(set(seen)) == 3


def test_version_keeps_etags_also_when_code_changes(serve):
    """version= takes the start's place: the user says what is the same."""
    tags = []
    for value, version in (("1", ", version='v1'"), ("1", ", version='v1'"), ("1", ", version='v2'"),
                           ("1", ", version='v1', fill_value=3")):
        srv = serve(STORE.replace("VERSION", version).replace("VALUE", value))
        tags.append(srv.get("/zarr2/s.zarr/a/0")["ETag"])
        if len(tags) == 2:
            assert srv.get("/zarr2/s.zarr/a/0", {"If-None-Match": tags[0]}).status == 304
        srv.stop()
    assert tags[0] == tags[1] and len(set(tags)) == 3


def test_etags_differ_between_chunks(basic):
    tags = [basic.head(f"{Z2}/huge/{i}.{j}")["ETag"] for i in range(10) for j in range(10)]
    assert len(set(tags)) == 100


def test_nondeterministic_arrays_have_tags_of_their_bytes(serve):
    srv = serve("""
import lazarr, itertools
N = itertools.count()
@lazarr.array("a", shape=(4,), chunks=(2,), dtype="uint8", deterministic=False, compressor=None)
def a(block):
    return next(N)
""", "--workers", "1", "--cache", "0")
    one, two = srv.get("/zarr2/s.zarr/a/0"), srv.get("/zarr2/s.zarr/a/0")
    assert one.body != two.body and one["ETag"] != two["ETag"]
    # Computed, compared, and then not sent again, or sent with its own tag.
    r = srv.get("/zarr2/s.zarr/a/0", {"If-None-Match": two["ETag"]})
    assert r.status == 200 and r.body != two.body


def test_conditions_before_ranges(basic):
    tag = basic.head(CHUNK)["ETag"]
    r = basic.get(CHUNK, {"If-None-Match": tag, "Range": "bytes=0-1"})
    assert r.status == 304
    r = basic.get(CHUNK, {"If-Match": '"x"', "Range": "bytes=0-1"})
    assert r.status == 412
    r = basic.get(CHUNK, {"If-Match": tag, "If-None-Match": '"x"', "Range": "bytes=0-1"})
    assert r.status == 206
    r = basic.get(CHUNK, {"If-Range": "W/" + tag, "Range": "bytes=0-1"})  # If-Range is strong
    assert r.status == 200
    r = basic.get(CHUNK, {"If-Range": "Tue, 24 Nov 2026 12:00:00 GMT", "Range": "bytes=0-1"})
    assert r.status == 200
    assert basic.get(f"{Z3}/nope", {"If-None-Match": "*"}).status == 404


@pytest.mark.parametrize("value", ["bytes=", "bytes=a-b", "bytes=5-2", "bytes=--5", "bytes=-", "items=0-1",
                                   "bytes 0-1", "bytes=0-1x", "0-1", "bytes=0x1-2", "bytes=1.5-2"])
def test_ranges_that_mean_nothing_are_ignored(basic, value):
    """RFC 9110: an invalid or unknown Range is as if it weren't there, or refused; never a wrong 206."""
    whole = basic.get(CHUNK)
    r = basic.get(CHUNK, {"Range": value})
    assert (r.status == 200 and r.body == whole.body) or r.status in (400, 416), r


def test_head_ignores_range(basic):
    n = len(basic.get(CHUNK).body)
    r = basic.head(CHUNK, {"Range": "bytes=0-1"})
    assert (r.status, r["Content-Length"]) in ((200, str(n)), (206, "2"))


def test_accept_ranges(basic):
    for key in (CHUNK, f"{Z3}/zarr.json"):
        assert basic.get(key)["Accept-Ranges"] == "bytes"


def test_keep_alive_and_pipelining(basic):
    with basic.connect() as h:
        for _ in range(50):
            assert h.get(CHUNK).status == 200
        targets = [CHUNK, f"{Z3}/zarr.json", f"{Z3}/nope", f"{Z2}/packed/3.1", "/healthz"] * 4
        for t in targets:
            h.send("GET", t)
        assert [h.read().status for _ in targets] == [200, 200, 404, 200, 200] * 4
        r = h.get(CHUNK, {"Connection": "close"})
        assert r.status == 200 and h.closed()


def test_http_1_0(basic):
    with basic.connect() as h:
        h.sock.sendall(f"GET {CHUNK} HTTP/1.0\r\n\r\n".encode())
        r = h.read()
        assert r.status == 200 and r.complete and h.closed()


def test_reserved_segments(basic):
    """Path segments that begin with ~ are reserved: 404."""
    for target in ("/zarr3/~v1/basic.zarr/zarr.json", "/zarr3/~/basic.zarr/zarr.json",
                   "/zarr2/~1;a=2/basic.zarr/ramp/0.0", "/~", "/zarr3/~basic.zarr/", f"{Z3}/~x/zarr.json",
                   "/zarr3/%7Ev1/basic.zarr/zarr.json"):
        assert basic.get(target).status == 404, target


@pytest.mark.parametrize("target", [
    "/../etc/passwd", "/zarr3/../../etc/passwd", "/zarr3/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
    f"{Z3}/./zarr.json", f"{Z3}/ramp/../zarr.json", f"{Z3}/zarr.json%00",
    f"{Z3}/%00", f"{Z3}/%", f"{Z3}/%zz", f"{Z3}/%f", f"{Z3}/ramp%2fzarr.jso", f"{Z3}/\x7f",
    "/zarr3/BASIC.zarr/zarr.json", f"{Z3}/{'a' * 3000}", f"{Z3}/{'a/' * 1000}"])
def test_odd_targets_are_not_found(basic, target):
    r = basic.get(target)
    assert r.status in (400, 404, 414), (target, r)
    assert basic.get("/healthz").status == 200


def test_a_long_head_is_refused(basic):
    with basic.connect() as h:
        try:
            r = h.get(CHUNK, {"X-Long": "y" * 1_000_000})
            assert r.status in (400, 413, 414, 431)
        except (ConnectionError, BrokenPipeError):
            pass  # closed in the middle of what it need not read
    assert basic.get(CHUNK).status == 200


@pytest.mark.parametrize("text", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0\1\2\3\r\n\r\n",
                                  b"GET /zarr3/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                                  b"GET / HTTP/1.1\r\n\r\n", b"GET  /  HTTP/1.1\r\nHost: a\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_what_is_no_http_hurts_nobody(basic, text):
    h = basic.connect(timeout=2)
    h.sock.sendall(text)
    h.sock.shutdown(socket.SHUT_WR)
    try:
        while h._more():
            pass
    except (ConnectionError, socket.timeout):
        pass
    assert not h.buffer or re.match(rb"HTTP/1\.[01] [2345]\d\d ", h.buffer)
    h.close()
    assert basic.get(CHUNK).status == 200


def test_a_request_with_a_body_is_refused_cleanly(basic):
    with basic.connect() as h:
        r = h.request("PUT", f"{Z3}/zarr.json", body=b"x" * 100_000)
        assert r.status == 405
        # The connection is either at the next request, or closed: never in the middle of the body.
        try:
            assert h.get(CHUNK).status == 200
        except ConnectionError:
            pass
    r = basic.request("GET", CHUNK, body=b"hello")
    assert r.status in (200, 400, 413)


def test_slow_reader_gets_all(serve):
    srv = serve("""
import lazarr, numpy as np
@lazarr.array("a", shape=(1 << 24,), chunks=(1 << 24,), dtype="uint8", compressor=None)
def a(block):
    return np.arange(1 << 24, dtype="u4").astype("u1")
""", "--workers", "1")
    want = bytes(range(256)) * (1 << 16)
    h = srv.connect()
    h.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    h.send("GET", "/zarr2/s.zarr/a/0")
    assert srv.chunk("/zarr2/s.zarr/a/0") == want  # others go on meanwhile
    assert h.read().body == want
    r = srv.get("/zarr2/s.zarr/a/0", {"Range": "bytes=1000000-2000000"})
    assert r.body == want[1000000:2000001]
    h.close()


def test_content_types(basic):
    assert basic.get(f"{Z3}/zarr.json")["Content-Type"] == "application/json"
    assert basic.get(f"{Z2}/ramp/.zarray")["Content-Type"] == "application/json"
    assert basic.get(CHUNK)["Content-Type"] == "application/octet-stream"
    for key in (CHUNK, f"{Z3}/", "/"):
        assert basic.get(key)["X-Content-Type-Options"] in (None, "nosniff")


def test_allow_origin_option(serve):
    text = STORE.replace("VERSION", "").replace("VALUE", "1")
    srv = serve(text, "--allow-origin", "https://my.site")
    r = srv.get("/zarr2/s.zarr/a/0", {"Origin": "https://my.site"})
    assert r["Access-Control-Allow-Origin"] == "https://my.site"
    assert srv.get("/zarr2/s.zarr/a/0", {"Origin": "https://my.site.evil"})[
        "Access-Control-Allow-Origin"] is None
    srv.stop()
    srv = serve(text, "--allow-origin", "*")
    r = srv.get("/zarr2/s.zarr/a/0", {"Origin": "https://any.where"})
    assert r["Access-Control-Allow-Origin"] in ("*", "https://any.where")


def test_the_same_chunk_through_ten_connections_at_once(basic):
    pending = [basic.begin(f"{Z2}/huge/1000.{i // 10}") for i in range(100)]
    for i, p in enumerate(pending):
        r = p.result()
        assert r.status == 200 and r.body == bytes([(1000 + i // 10) % 251]) * 4096


def test_occupied_memory_is_not_shown(basic):
    """A chunk's padding and an unwritten block are fill, never what the slot held before."""
    for i in range(40):
        basic.chunk(f"{Z2}/huge/{i + 200}.250")
    raw = basic.chunk(f"{Z2}/padded/2.1")
    assert raw.count(b"\xf9\xff") >= 14
    assert lzr.read_array(basic, f"{Z2}/padded").tolist() == [
        [100 * y + x for x in range(5)] for y in range(10)]
