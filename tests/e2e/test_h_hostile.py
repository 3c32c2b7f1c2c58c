"""Every request of hostile.py gets what it should, nothing of it shows up where it has no place, and the
next good request works: on a new connection, and on the same one where that is kept."""
import contextlib
import select
import socket
import threading

import pytest

import lzr
from hostile import CASES, CLOSE, KEY, LEAVE

HALVES = sum(e == LEAVE or isinstance(e, set) and LEAVE in e for _, _, e in CASES)
STORE = """
import lazarr
@lazarr.array("a", shape=(8, 8), chunks=(2, 2), dtype="uint8", compressor=None)
def a(block):
    return 7
"""


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "1") as srv:
        assert srv.chunk(KEY.decode()) == b"\x07" * 4
        yield srv


def what_comes(http, data):
    """The status of the first answer, its Response, or CLOSE."""
    try:
        http.sock.sendall(data)
        r = http.read("HEAD" if data.startswith(b"HEAD") else "GET")
    except (ConnectionError, BrokenPipeError):
        return CLOSE, None
    return r.status, r


def test_there_are_enough():
    assert len(CASES) >= 200 and len({name for name, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize("data, expected", [pytest.param(d, e, id=n) for n, d, e in CASES])
def test_hostile(srv, data, expected):
    with srv.connect(timeout=lzr.WAIT) as h:
        if expected == LEAVE:
            h.sock.sendall(data)
        elif isinstance(expected, set) and LEAVE in expected:
            h.sock.sendall(data)
            if select.select([h.sock], [], [], 0.2)[0]:
                assert h.read().status in expected
        else:
            status, r = what_comes(h, data)
            assert status in (expected if isinstance(expected, set) else {expected}), (status, r)
            if r is not None:
                check(h, r, data)
    assert srv.chunk(KEY.decode()) == b"\x07" * 4
    assert srv.process.poll() is None


def check(http, r, data):
    """No header or body that the client made up; and the connection's state is as it is said to be."""
    names = {n.lower() for n, _ in r.headers}
    assert not names & {"x-injected", "set-cookie"}, r
    assert b"root:" not in r.body and b"<script>" not in r.body
    assert not any(c in v for _, v in r.headers for c in "\r\n\0"), r
    if r["Access-Control-Allow-Origin"] not in (None, "*"):
        assert r["Access-Control-Allow-Origin"] in ("http://localhost", "http://localhost:1")
    if r.status == 301:
        assert r["Location"] in ("/zarr3/?", "http://localhost/zarr3/?") or r["Location"].startswith("/zarr3/?")
    framing = r.status in (405, 413, 417, 505) or (r.status == 400 and (r["Connection"] or "").lower() == "close")
    if framing and not data.startswith((b"GET /api/reload", b"HEAD /api/reload")):
        # Whatever follows is not taken for a request.
        rest = http.buffer
        with contextlib.suppress(ConnectionError):
            while data := http.sock.recv(65536):
                rest += data
        assert not rest and b"HTTP/1.1 4" not in r.body, (rest, r)
    elif (r["Connection"] or "").lower() != "close" and r.version == "HTTP/1.1" and b"HTTP/1.0" not in data:
        # As if nothing had been: the same connection serves.
        assert http.get(KEY.decode(), {"Host": "localhost"}).status == 200


def test_nothing_is_left_behind(srv):
    """After all of it: no request, and no connection but those whose client left in the middle of a head,
    which the library notices only when their time is over."""
    with srv.connect() as h:
        assert h.get("/healthz").status == 200
    lzr.wait_until(lambda: srv.metric("http_connections") <= 1 + HALVES, "the connections to end")
    assert srv.metric("http_suspended") == 0
    assert srv.stop() == 0


def test_a_flood_of_hostile_requests_at_once(tmp_path):
    """Many at once, over and over, while good ones are answered."""
    path = tmp_path / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "1", "--no-access-log") as srv:
        for _ in range(3):
            socks = []
            for _, data, _ in CASES:
                s = socket.create_connection(("127.0.0.1", srv.port))
                s.setblocking(False)
                try:
                    s.send(data)
                except OSError:
                    pass
                socks.append(s)
            assert srv.chunk(KEY.decode()) == b"\x07" * 4
            for s in socks:
                s.close()
        lzr.wait_until(lambda: srv.metric("http_connections") <= 1 + 3 * HALVES, "the connections to end")
        assert srv.stop() == 0


@pytest.mark.limit(120)
def test_it_stops_while_nonsense_comes_in(tmp_path):
    """An orderly end, whatever the library is about to refuse at that moment."""
    path = tmp_path / "s.py"
    path.write_text(STORE)
    nonsense = [b"GET / HTTP/2.7\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / nonsense\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n"]
    for _ in range(6):
        with lzr.Server(path, "--workers", "1", "--no-access-log") as srv:
            ended, begun = threading.Event(), threading.Semaphore(0)

            def knock():
                n = 0
                while not ended.is_set():
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", srv.port), timeout=5) as s:
                        s.sendall(nonsense[n % len(nonsense)])
                        s.recv(4096)
                    n += 1
                    if n == 20:
                        begun.release()

            there = [threading.Thread(target=knock) for _ in range(8)]
            for t in there:
                t.start()
            for _ in there:
                begun.acquire()
            try:
                assert srv.stop() == 0
            finally:
                ended.set()
                for t in there:
                    t.join()
