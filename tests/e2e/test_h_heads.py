"""Heads of requests: up to 32 KiB however they are made up and however they come, 431 beyond, always an answer; and
what is said in a long one, or one that comes in parts, counts as in any other."""
import contextlib
import itertools
import re
import select
import socket
import time

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(8, 8), chunks=(4, 4), dtype="uint8")
def a(block):
    return 7
"""
MAX = 32768
KEY = "/zarr3/s.zarr/a/c/0/0"
TOKEN = "correct-horse-battery"
LINE = b"GET " + KEY.encode() + b" HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
PLAIN = LINE + HOST + b"\r\n"


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("heads") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "1") as s:
        yield s


def cookies(n, size):
    """One header of cookies of that size, up to n bytes."""
    return b"Cookie: " + b"; ".join(b"n%05d=%s" % (i, b"v" * (size - 9)) for i in range((n - 12) // size)) + b"\r\n"


def short(n, size):
    """Headers of that size, their ends included."""
    return b"".join(b"X%05d:%s\r\n" % (i, b"v" * (size - 9)) for i in range(n // size))


# What stands between the Host and the end, of n bytes at most.
SHAPES = {
    "one header": lambda n: b"X: " + b"v" * (n - 5) + b"\r\n",
    "headers of 10 bytes": lambda n: short(n, 10),
    "headers of 4 bytes": lambda n: b"a:\r\n" * (n // 4),
    "headers of 100 bytes": lambda n: short(n, 100),
    "cookies of 16 bytes": lambda n: cookies(n, 16),
    "cookies of 40 bytes": lambda n: cookies(n, 40),
    "cookies of 1 byte": lambda n: b"Cookie: " + b"a;" * ((n - 10) // 2) + b"\r\n",
    "cookies without names": lambda n: b"Cookie: " + b"," * (n - 10) + b"\r\n",
    "many cookie headers": lambda n: b"Cookie: a=b\r\n" * (n // 13),
    "three sessions": lambda n: b"".join(b"Cookie: s%d=%s\r\n" % (i, b"c" * (n // 3 - 13)) for i in range(3)),
    "a name": lambda n: b"X" * (n - 3) + b":\r\n",
    "a bit of all": lambda n: cookies(n // 3, 20) + short(n // 3, 12) + b"Y: " + b"v" * (n // 3 - 5) + b"\r\n",
}


def head(shape, n, line=LINE):
    """Exactly n bytes of it."""
    left = n - len(line) - len(HOST) - 2
    middle = SHAPES[shape](left - 20)
    return line + HOST + middle + b"P: " + b"p" * (left - len(middle) - 5) + b"\r\n\r\n"


def long_target(n):
    return head("a bit of all", n, b"GET " + KEY.encode() + b"?" + b"q" * (n - 9000) + b" HTTP/1.1\r\n")


def dribble(h, data, step):
    """In parts; what comes behind a refusal may find a closed door."""
    with contextlib.suppress(ConnectionError):
        for i in range(0, len(data), step):
            h.sock.sendall(data[i:i + step])


WAYS = {"at once": lambda h, data: dribble(h, data, 1 << 30), "in parts": lambda h, data: dribble(h, data, 100),
        "byte by byte": lambda h, data: dribble(h, data, 1)}


def test_each_head_is_as_long_as_it_says():
    for shape in SHAPES:
        for n in (MAX, MAX + 1):
            assert len(head(shape, n)) == n, shape
    assert len(long_target(MAX)) == MAX


@pytest.mark.parametrize("shape, way", [*itertools.product([*SHAPES, "target"], ["at once", "in parts"]),
                                        ("cookies of 16 bytes", "byte by byte"), ("target", "byte by byte")])
def test_a_head_has_32_kib_however_it_is_made_up(srv, shape, way):
    """New connections and kept ones, ordinary heads before and behind."""
    def make(n):
        return long_target(n) if shape == "target" else head(shape, n)
    for n in (MAX, MAX + 1):
        with srv.connect() as h:
            if way != "byte by byte":
                h.sock.sendall(PLAIN)
                assert h.read().status == 200
            WAYS[way](h, make(n))
            r = h.read()
            assert r.status == (200 if n == MAX else 431), (n, r)
            if n > MAX:
                assert "too long" in r.text and h.closed()
                continue
            assert r.body == srv.get(KEY).body
            for data in (PLAIN, make(MAX - 1), PLAIN):
                h.sock.sendall(data)
                assert h.read().status == 200


def test_any_length_is_answered(srv):
    """200 up to the limit, 431 beyond, once in the log each; also where the client sends on and looks later."""
    sizes = [*range(500, 8000, 511), *range(8000, MAX, 3001), MAX - 1, MAX, MAX + 1, MAX + 2, MAX + 3, MAX + 4, MAX + 100,
             36000, 40000, 40960, 41000, 65000, 65536, 66000, 70000, 200000, 1000000]
    before, refused = srv.metric("http_bad_heads_total"), 0
    for shape in ("cookies of 16 bytes", "headers of 4 bytes", "one header"):
        for n in sizes:
            with srv.connect() as h:
                WAYS["at once"](h, head(shape, n))
                assert h.read().status == (200 if n <= MAX else 431), (shape, n)
            refused += n > MAX
    assert srv.metric("http_bad_heads_total") - before == refused
    srv.wait_log(r"a request was refused \(431\): the head is too long")


@pytest.mark.parametrize("n", [32800, 33000, 36863, 40000, 49000, 65000, 65536, 66000, 100000, 900000])
def test_a_target_of_any_length_is_answered(srv, n):
    for parts in (1 << 30, 1000):
        with srv.connect() as h:
            dribble(h, b"GET /" + b"a" * n + b" HTTP/1.1\r\n" + HOST + b"\r\n", parts)
            assert h.read().status in (414, 431)


def test_many_in_a_row(srv):
    """Pipelined, long and short ones, of other targets: each has its answer, in order."""
    targets = {"/healthz": 200, "/zarr3/s.zarr/a/c/9/9": 404, KEY: 200, "/%zz": 400}
    line = [b"GET %s HTTP/1.1\r\n" % t.encode() for t in targets]
    data, wanted = b"", []
    for i in range(12):
        which = i % 3
        data += head(list(SHAPES)[i], (300, 9000, MAX, 700, 20000)[i % 5], line[which]) + (PLAIN if i % 2 else b"")
        wanted += [list(targets.values())[which]] + ([200] if i % 2 else [])
    with srv.connect() as h:
        h.sock.sendall(data + head("one header", 9000, line[3]))
        assert [h.read().status for _ in wanted] == wanted
        assert h.read().status == 400


# Lines that count, and what is answered; in the middle of a long head, and at its end.
SAID = {
    "nothing": ("GET", b"X: y", 200), "a range": ("GET", b"Range: bytes=0-1", 206), "a condition": ("GET", b"If-None-Match: *", 304),
    "a HEAD": ("HEAD", b"X: y", 200), "a preflight": ("OPTIONS", b"Origin: http://localhost:1", 204), "a PUT": ("PUT", b"X: y", 405),
    "a second Host": ("GET", b"Host: localhost", 400), "a body": ("GET", b"Content-Length: 5", 413),
    "no body": ("GET", b"Content-Length: 0", 200), "chunks": ("GET", b"Transfer-Encoding: chunked", 413),
    "a bad length": ("GET", b"Content-Length: +1", 400), "no length": ("GET", b"Content-Length:", 400),
    "a huge length": ("GET", b"Content-Length: " + b"9" * 30, 413), "two lengths": ("GET", b"Content-Length: 0\r\nContent-Length: 0", 400),
    "an expectation": ("GET", b"Expect: 100-continue", 417), "a blank before the colon": ("GET", b"Range : bytes=0-1", 400),
    "a line without a colon": ("GET", b"Range", 400), "an empty name": ("GET", b": y", 400), "a folded line": ("GET", b"X: y\r\n z", 400),
    "a zero byte": ("GET", b"X: a\0b", 400), "a zero byte in a name": ("GET", b"X\0: a", 400), "a bare CR": ("GET", b"X: a\rY: b", 400),
    "a CR before its end": ("GET", b"X: a\r", 400), "a control byte": ("GET", b"X: a\x01", 400), "a name of two words": ("GET", b"A b: c", 400),
    "an end of LF": ("GET", b"X: y\nRange: bytes=0-1", 206), "tabs": ("GET", b"Range:\t bytes=0-1", 206),
    "the end of a connection": ("GET", b"Connection: keep-alive, Close", 200), "in small letters": ("GET", b"rANGE: bytes=0-1", 206),
}
FILL = cookies(9000, 16) + short(9000, 12)


@pytest.mark.parametrize("said", SAID)
def test_what_a_head_says_counts(srv, said):
    method, text, status = SAID[said]
    line = LINE.replace(b"GET", method.encode())
    heads = {"short": line + HOST + text + b"\r\n\r\n", "in the middle": line + HOST + FILL + text + b"\r\n" + FILL[:7000] + b"Y: y\r\n\r\n",
             "at its end": line + HOST + FILL + text + b"\r\n\r\n", "before": line + text + b"\r\n" + HOST + FILL + b"\r\n"}
    for where, data in heads.items():
        for way in ("at once", "in parts") if where != "short" else WAYS:
            with srv.connect() as h:
                WAYS[way](h, data)
                r = h.read(method)
                assert r.status == status, (where, way, r)
                close = 400 <= status or "Close" in text.decode("latin-1")
                assert (r["Connection"] == "close") == close, (where, way, r)
                assert h.closed() if close else h.get(KEY, {"Host": "localhost"}).status == 200, (where, way)


def test_the_host_the_token_and_the_proxy_in_a_long_head(tmp_path):
    path = tmp_path / "s.py"
    path.write_text(STORE)
    post = b"POST /api/reload HTTP/1.1\r\n"
    with lzr.Server(path, "--workers", "1") as srv:
        for data, status in ((LINE + FILL + b"Host: evil.example\r\n\r\n", 421), (LINE + FILL + b"\r\n", 400),
                             (post + HOST + FILL + b"\r\n", 200), (post + HOST + FILL + b"X-Forwarded-For: ::1\r\n\r\n", 403),
                             (post + HOST + FILL + b"Origin: https://evil.example\r\n\r\n", 403)):
            for way in ("at once", "in parts"):
                with srv.connect() as h:
                    WAYS[way](h, data)
                    assert h.read().status == status, data[-60:]
    with lzr.Server(path, "--workers", "1", "--token", TOKEN) as srv:
        for more, status in ((b"", 401), (b"Authorization: Bearer " + TOKEN.encode() + b"\r\n", 200), (b"Authorization: Bearer x\r\n", 401),
                             (b"Authorization: Bearer " + TOKEN.encode() + b"\r\nAuthorization: x\r\n", 400)):
            for way in ("at once", "in parts"):
                with srv.connect() as h:
                    WAYS[way](h, LINE + HOST + FILL + more + b"\r\n")
                    assert h.read().status == status, more


def unread(sock):
    """Bytes that came for this connection and that the server hasn't read."""
    mine = f"{sock.getsockname()[1]:04X}"
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        words = line.split()
        if words[2].endswith(":" + mine):
            return int(words[4].split(":")[1], 16)
    return 0


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_cut_anywhere(srv, end):
    """The second part is sent when the first one has been read, but for what may be the head's end."""
    line = b"GET " + KEY.encode() + b" HTTP/1.1" + end
    data = line + b"Host: localhost" + end + b"X: y" + end + b"Range: bytes=0-1" + end + end
    with srv.connect() as h:
        for cut in [2, *range(len(line) - 2, len(data))]:
            h.sock.sendall(data[:cut])
            lzr.wait_until(lambda: unread(h.sock) <= 4, "the first part to be read")
            h.sock.sendall(data[cut:])
            r = h.read()
            assert (r.status, len(r.body)) == (206, 2), (cut, r)
            assert h.get(KEY, {"Host": "localhost"}).status == 200


def test_empty_lines_before_a_request(srv):
    """However many: it is answered, or the connection is closed."""
    for n in (1, 2, 5, 2047, 2048, 2049, 4096, 10240, 14336, 15000, 16380, 16384, 18432, 20480, 24576, 28672, 30720, 32000, 32760, 40960):
        for data in (PLAIN, head("cookies of 16 bytes", 9000), head("headers of 4 bytes", MAX)):
            with srv.connect() as h:
                h.sock.sendall(PLAIN + b"\r\n" * n)
                assert h.read().status == 200
                dribble(h, data + PLAIN, 1 << 30)
                with contextlib.suppress(ConnectionError):
                    status = h.read().status
                    assert status == 200 or (n > 100 and status in (400, 414, 431)), n
    assert srv.get(KEY).status == 200


def test_who_is_late_or_leaves_in_a_head(tmp_path):
    """Half a head ends at --header-timeout, or when its client leaves; and holds up no stop."""
    path = tmp_path / "s.py"
    path.write_text(STORE)
    half = head("cookies of 16 bytes", 20000)[:-1]
    with lzr.Server(path, "--workers", "1", "--header-timeout", "1", "--client-connections", "20") as srv:
        with srv.connect() as h, srv.connect() as late:
            begun = time.monotonic()
            late.sock.sendall(half)
            ended = 0
            with contextlib.suppress(ConnectionError):
                for i in range(200):  # a byte now and then doesn't help
                    h.sock.sendall(b"GET / HTTP/1.1\r\nX: " if i == 0 else b"x")
                    if select.select([h.sock], [], [], 0.1)[0]:
                        ended = time.monotonic()
                        break
            assert 0.9 < ended - begun < 5 * lzr.SLOW
            assert late.closed()
        for leave in (lambda h: h.close(), lambda h: h.sock.shutdown(socket.SHUT_WR)):
            there = [srv.connect() for _ in range(10)]
            for h in there:
                h.sock.sendall(half)
            for h in there:
                leave(h)
            lzr.wait_until(lambda: srv.metric("http_connections") <= 1, "the connections to end")
            for h in there:
                h.close()
        assert srv.metric("http_suspended") == 0
    with lzr.Server(path, "--workers", "1") as srv:
        there = [srv.connect() for _ in range(10)]
        for h in there:
            h.sock.sendall(half)
            lzr.wait_until(lambda: unread(h.sock) <= 4, "the head to be read")
        begun = time.monotonic()
        assert srv.stop() == 0
        assert time.monotonic() - begun < 8 * lzr.SLOW
        for h in there:
            h.close()


def test_each_has_its_line_in_the_log(srv):
    before = srv.log.count('GET /logged HTTP/1.1" 404')
    with srv.connect() as h:
        for way in ("at once", "in parts"):
            WAYS[way](h, head("cookies of 16 bytes", 20000, b"GET /logged HTTP/1.1\r\n"))
            assert h.read().status == 404
        WAYS["in parts"](h, head("cookies of 16 bytes", MAX + 5000, b"GET /logged HTTP/1.1\r\n"))
        assert h.read().status == 431
    srv.wait_log(r'GET /logged( HTTP/1.1)?" 431')
    assert srv.log.count('GET /logged HTTP/1.1" 404') == before + 2
    assert len(re.findall(r'GET /logged( HTTP/1.1)?" 431', srv.log)) == 1
