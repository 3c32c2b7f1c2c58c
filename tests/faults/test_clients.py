"""Clients that dawdle, crowd or vanish, and a system that runs out of descriptors."""
import contextlib
import os
import re
import resource
import select
import socket
import time

import numpy as np
import pytest

import lzr

PLAIN = """
import lazarr
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return block.index % 256
@lazarr.array("large", shape=(1 << 40,), chunks=(8 << 20,), dtype="uint8", compressor=None)
def large(block):
    return block.index % 251
"""
GATED = """
import lazarr
@lazarr.array("a", shape=(20000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    gate(block.index)
    return block.index % 256
"""


def key(i, array="a"):
    return f"/zarr3/s.zarr/{array}/c/{i}"


def small(srv):
    """A connection that takes in little."""
    h = srv.connect()
    h.sock.close()
    h.sock = socket.socket()
    h.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    h.sock.connect(("127.0.0.1", srv.port))
    h.sock.settimeout(60 * lzr.SLOW)
    return h


def test_a_slow_header(serve):
    """A head that comes a byte at a time has a deadline; so has a connection that says nothing."""
    srv = serve(PLAIN, "--workers", "1", "--header-timeout", "1")
    start = time.monotonic()
    silent = srv.connect()
    slow = srv.connect()
    for byte in b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 100000:
        try:
            slow.sock.sendall(bytes([byte]))
        except OSError:
            break
        if select.select([slow.sock], [], [], 0.02)[0]:
            break
        assert time.monotonic() - start < 10 * lzr.SLOW
    assert time.monotonic() - start >= 1
    assert slow.closed() and silent.closed()
    srv.wait_metric("http_late_total", 2)
    kept = srv.connect()  # the second head of a connection, too
    assert kept.get(key(1)).body == b"\1"
    kept.sock.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    start = time.monotonic()
    assert kept.closed() and time.monotonic() - start < 10 * lzr.SLOW
    assert srv.chunk(key(2)) == b"\2"


def test_a_connection_that_waits_for_its_chunk_is_not_late(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "1", "--header-timeout", "0.5", "--send-timeout", "0.5")
    p = srv.begin(key(7))
    call = gate.next()
    for _ in range(3):  # who came later and is late has been ended, three times over
        with srv.connect() as silent:
            assert silent.closed()
    assert srv.metric("http_late_total") == 3 and not call.gone(0) and not p.answered()
    call.go()
    assert p.result().body == b"\7" and srv.metric("http_late_total") == 3


def test_whatever_a_client_leaves_undone_ends(serve):
    """Nothing but these deadlines ends a connection, and none is in a state that has none: also where the library
    answers by itself, or the rest of what was refused never comes."""
    srv = serve(PLAIN, "--workers", "1", "--header-timeout", "0.5", "--send-timeout", "0.5")
    large = key(1, "large")
    assert len(srv.chunk(large)) == 8 << 20
    head = f"GET {key(1)} HTTP/1.1\r\nHost: localhost\r\n".encode()
    much = f"GET {large} HTTP/1.1\r\nHost: localhost\r\n".encode()
    post = b"POST /api/reload HTTP/1.1\r\nHost: localhost\r\n"
    undone = [b"", b"\r\n\r\n", b"GET /x", head, b"\0\1\r\n\r\n", b"GET /\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
              b"GET /" + b"x" * 40000, head + b"A: " + b"y" * 40000, head + b" folded\r\n\r\n",
              b"GET /?" + b"a=b&" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
              head + b"Content-Length: x\r\n\r\n", head + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n",
              post + b"Content-Length: 100000\r\n\r\nabc", head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
              head + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", head + b"\r\n" + head,
              much + b"\r\n", much + b"Connection: close\r\n\r\n", (much + b"\r\n") * 3]
    there = [small(srv) for _ in undone]
    for h, text in zip(there, undone):
        with contextlib.suppress(ConnectionError):  # it has been told what is wrong already
            h.sock.sendall(text)
    srv.wait_metric("http_connections", 1)
    assert srv.metric("http_late_total") >= 8
    for h in there:
        h.sock.close()


def test_slow_readers_are_ended_and_bounded(serve):
    """100 clients that don't read, 8 MiB each: the budget bounds what is held for them, others are
    served from the cache, and at the send deadline they are ended."""
    budget = 128 << 20
    srv = serve(PLAIN, "--workers", "1", "--cache", "128MiB", "--send-timeout", "4")
    other = srv.connect(source="127.0.0.2")

    def look():  # what somebody else looks at meanwhile
        return all(other.get(key(i)).body == bytes([i]) for i in range(8))

    slow = [small(srv) for _ in range(100)]
    for i, h in enumerate(slow):
        assert i % 8 or look()
        h.send("GET", key(i, "large"))
    # No room is left for another answer, and none is made by evicting what others read.
    lzr.wait_until(lambda: look() and srv.metric("unsent_bytes") > budget / 2 and srv.metric("http_unread_total") > 0,
                   "answers that nobody reads")
    peak, misses = 0, srv.metric("cache_misses_total")
    for i in range(50):
        assert look()
        if i % 3 == 0:
            peak = max(peak, srv.metric("unsent_bytes"), srv.metric("budget_bytes"))
    # Chunks whose clients were ended are newer than these, and take their place now and then.
    assert srv.metric("cache_misses_total") < misses + 100  # of 400
    assert peak <= budget + (40 << 20), f"{peak / 2**20:.0f} MiB"
    assert srv.rss()["VmRSS"] < budget + (100 << 20) * lzr.SLOW
    # The first are ended at their deadline (12 s here), which makes room for the others' chunks.
    lzr.wait_until(lambda: srv.metric("http_late_total") >= 5, "late ones", 40 * lzr.SLOW)
    for h in slow:
        h.close()
    lzr.wait_until(lambda: srv.metric("unsent_bytes") == 0, "no answer on its way")
    assert srv.chunk(key(500, "large")) == bytes([500 % 251]) * (8 << 20)
    m = srv.metrics()
    assert m["waiting"] == m["queued"] == m["running"] == 0


FILE = """
import lazarr
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return block.index % 256
lazarr.source("large", "large.npy", chunks=(8 << 20,), compressor=None, n5_compressor=None)
"""


@pytest.mark.parametrize("face", ["zarr3", "n5"])
def test_slow_readers_of_what_no_worker_makes(serve, tmp_path, face):
    """The server reads and transcodes itself, at once; not for those who don't read, beyond the budget, and what
    others look at isn't evicted for them."""
    n, budget = 40, 64 << 20
    np.lib.format.open_memmap(tmp_path / "large.npy", "w+", "u1", (n * (8 << 20),)).flush()  # sparse
    srv = serve(FILE, "--workers", "1", "--cache", "64MiB", "--send-timeout", "60",  # two threads make them
                inherits=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]))
    other = srv.connect(source="127.0.0.2")

    def look():  # what somebody else looks at meanwhile
        return all(other.get(key(i)).body == bytes([i]) for i in range(8))

    assert look()
    misses = srv.metric("cache_misses_total")
    slow = [small(srv) for _ in range(n)]
    peak = 0
    for i, h in enumerate(slow):
        h.send("GET", key(i, "large") if face == "zarr3" else f"/n5/s.n5/large/{i}")
    lzr.wait_until(lambda: look() and srv.metric("unsent_bytes") > budget / 2, "answers that nobody reads")
    while srv.metric("http_unread_total") == 0:  # 5 s
        assert look()
        peak = max(peak, srv.metric("unsent_bytes"), srv.metric("budget_bytes"))
    evicted = srv.metric("cache_misses_total") - misses
    assert evicted <= 2 * n  # theirs: none of what others look at
    assert peak <= budget + (48 << 20), f"{peak / 2**20:.0f} MiB"
    for h in slow:
        h.close()
    lzr.wait_until(lambda: srv.metric("unsent_bytes") == 0, "no answer on its way")
    assert len(srv.chunk(key(n - 1, "large"))) == 8 << 20
    m = srv.metrics()
    assert m["waiting"] == m["queued"] == m["running"] == 0


def test_a_reader_that_is_slow_but_in_time(serve):
    srv = serve(PLAIN, "--workers", "1", "--send-timeout", "20")
    h = srv.connect()
    h.send("GET", key(1, "large"))
    got = 0
    while got < 8 << 20:
        data = h.sock.recv(64 << 10)
        assert data
        got += len(data)
        time.sleep(0.01)
    assert srv.metric("http_late_total") == 0


def test_10_000_idle_connections(serve):
    need = 10600
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lzr.need(hard >= need, f"{need} file descriptors (ulimit -Hn is {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    srv = serve(PLAIN, "--workers", "1", nofile=need + 1000)
    before = srv.rss()["VmRSS"]
    idle = [socket.create_connection(("127.0.0.1", srv.port)) for _ in range(10000)]
    srv.wait_metric("http_connections", 10001)
    start = time.monotonic()
    with srv.connect() as h:
        for i in range(200):
            assert h.get(key(i)).body == bytes([i])
    assert time.monotonic() - start < 5 * lzr.SLOW
    taken = (srv.rss()["VmRSS"] - before) / 10000
    print(f"{taken:.0f} bytes an idle connection")
    assert taken < 20000 * lzr.SLOW
    for s in idle:
        s.close()
    srv.wait_metric("http_connections", 1)
    assert srv.chunk(key(999)) == bytes([999 % 256])


def test_one_address_has_so_many_connections(serve):
    """--client-connections: what is beyond them is closed, said once, and counted; others are served."""
    srv = serve(PLAIN, "--workers", "1", "--client-connections", "5")
    with srv.connect() as h:
        assert h.get(key(1)).body == b"\1"
        idle = [socket.create_connection(("127.0.0.1", srv.port)) for _ in range(4)]
        count = lambda name: int(re.search(rf"^lazarr_{name} (\d+)$", h.get("/metrics").text, re.M).group(1))
        lzr.wait_until(lambda: count("http_connections") == 5, "all are open")
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", srv.port)) as more:
                more.settimeout(lzr.WAIT)
                assert more.recv(1) == b""
        srv.wait_log(r"127\.0\.0\.1 has as many connections .* \(--client-connections allows more\)")
        lzr.wait_until(lambda: count("http_connections") == 5, "they have left")
        assert count("http_crowded_total") == 3 and srv.log.count("--client-connections") == 1
        assert h.get(key(2)).body == b"\2"
        idle.pop().close()
        lzr.wait_until(lambda: count("http_connections") == 4, "one has left")
        assert srv.chunk(key(3)) == b"\3"
        for s in idle:
            s.close()


def test_this_machine_has_any_number_of_connections(serve):
    """A proxy's are many clients': without the option more than half of all may be from here."""
    srv = serve(PLAIN, "--workers", "1", nofile=64)  # 32 connections
    idle = [socket.create_connection(("127.0.0.1", srv.port)) for _ in range(20)]
    srv.wait_metric("http_connections", 21)
    assert srv.metric("http_crowded_total") == 0
    for s in idle:
        s.close()


def busy(srv, seconds=0.5):
    """CPU seconds a second of the server over a while."""
    def used():
        fields = open(f"/proc/{srv.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    a, t = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - a) / (time.monotonic() - t)


def test_descriptors_run_out(serve, gate):
    """With 64 descriptors: connections beyond the limit wait, nothing spins, and it recovers; a worker
    that dies meanwhile is started again."""
    srv = serve(gate.code + GATED, "--workers", "2", nofile=64)
    crowd = []
    for _ in range(100):
        s = socket.socket()
        s.settimeout(5)
        with contextlib.suppress(OSError):
            s.connect(("127.0.0.1", srv.port))
        crowd.append(s)
    count = lambda: len(os.listdir(f"/proc/{srv.process.pid}/fd"))
    assert count() <= 64
    assert busy(srv) < 0.5, "it spins"
    for s in crowd[:90]:
        s.close()
    p = srv.begin(key(3))
    call = gate.next()
    call_pid = call.pid
    os.kill(call_pid, 9)
    again = gate.next()
    assert again.pid != call_pid
    again.go()
    assert p.result().body == b"\3"
    for s in crowd:
        s.close()
    srv.wait_metric("workers", 2)
    srv.wait_metric("http_connections", 1)
    assert srv.metric("worker_deaths_total") == 1


def test_clients_that_leave_are_not_kept(serve, gate):
    """Gone while they wait: their flights are dropped and no descriptor stays in CLOSE_WAIT."""
    srv = serve(gate.code + GATED, "--workers", "1")
    count = lambda: len(os.listdir(f"/proc/{srv.process.pid}/fd"))
    first = srv.begin(key(0))
    call = gate.next()
    before = count()
    waiting = [srv.begin(key(i)) for i in range(1, 200)]
    srv.wait_metric("waiting", 200)
    for i, p in enumerate(waiting):
        p.leave(reset=i % 2 == 0)
    srv.wait_metric("waiting", 1)
    lzr.wait_until(lambda: count() <= before + 2, "their descriptors are closed")
    assert srv.metric("dropped_total") == 199
    call.go()
    assert first.result().status == 200 and gate.empty()


def test_clients_that_leave_with_their_last_byte(serve):
    """Bytes and the end of what a client says, in one packet: it is answered, and its connection doesn't stay in
    CLOSE_WAIT until a deadline."""
    srv = serve(PLAIN, "--workers", "1")
    assert srv.chunk(key(7)) == b"\7"  # cached: whoever waits for a worker and has said all counts as gone
    asks = f"GET {key(7)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for text, body in ((asks, b"\7"), (asks * 3, b"\7"), (b"GET", None), (asks + b"GET /", b"\7"), (asks[:-2], None)):
        with srv.connect() as h:
            h.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            h.sock.sendall(text)
            h.sock.shutdown(socket.SHUT_WR)
            for _ in range(text.count(asks)):
                assert h.read().body == body
            assert h.closed(), text
        for _ in range(20):
            with srv.connect() as h:
                h.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                h.sock.sendall(text)
        srv.wait_metric("http_connections", 1)
    with srv.connect() as h, srv.connect() as other:  # of one that had been idle for a while, too
        assert h.get(key(7)).body == b"\7"
        other.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        other.sock.sendall(b"GET")
        other.sock.shutdown(socket.SHUT_WR)
        assert other.closed()  # at the third look; so h has been looked at
        h.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        h.sock.sendall(b"GET")
        h.sock.shutdown(socket.SHUT_WR)
        assert h.closed()
    assert srv.metric("http_late_total") == 0


def test_a_half_closed_reader_gets_all_of_it(serve):
    """Who has said all may take its time to read."""
    srv = serve(PLAIN, "--workers", "1")
    h = small(srv)
    h.sock.sendall(f"GET {key(1, 'large')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert h.sock.recv(1)
    h.sock.shutdown(socket.SHUT_WR)
    time.sleep(1)  # longer than the server takes to notice
    got = 0
    while data := h.sock.recv(1 << 20):
        got += len(data)
    assert got > 8 << 20


def test_everything_is_answered_while_all_workers_are_shut(serve, gate):
    """1000 misses queued, every worker at a gate: cached chunks, metadata, HEADs of known length and
    figures are answered all the same. (How fast: bench/latency.py.)"""
    srv = serve(gate.code + GATED + """
@lazarr.array("packed", shape=(100,), chunks=(10,), dtype="uint8")
def packed(block):
    return 3
""", "--workers", "2")
    cached = srv.chunk(key(0, "packed"))
    hanging = []
    for i in range(1000):
        hanging.append(srv.begin(key(i)))
    gate.next(), gate.next()
    srv.wait_metric("waiting", 1000)
    with srv.connect() as h:
        for i in range(100):
            assert h.get(key(0, "packed")).body == cached
            assert h.get("/zarr3/s.zarr/a/zarr.json").status == 200
            assert h.request("HEAD", key(5000 + i))["Content-Length"] == "1"  # raw: length known
            assert h.request("HEAD", key(0, "packed"))["Content-Length"] == str(len(cached))
            etag = h.get(key(0, "packed"))["ETag"]
            assert h.get(key(0, "packed"), {"If-None-Match": etag}).status == 304
            assert h.get("/healthz").status == 200
    assert srv.metric("waiting") == 1000 and not any(p.answered() for p in hanging)
    for p in hanging:
        p.leave()


@pytest.mark.parametrize("face", ["zarr3/s.zarr/a/c", "n5/s.n5/a"])
def test_a_full_queue_is_shared(serve, gate, face):
    """Who comes to a queue that another client has filled gets a place; the other loses its last. A chunk of a format
    that is made from another takes a place as that one does."""
    def key(i):
        return f"/{face}/{i}"
    need = 11000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lzr.need(hard >= need, f"{need} file descriptors (ulimit -Hn is {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    srv = serve(gate.code + GATED, "--workers", "1", nofile=need)
    greedy = [srv.begin(key(i), {"User-Agent": "greedy"}) for i in range(10001)]
    call = gate.next()
    srv.wait_metric("queued", 10000)
    r = srv.get(key(15000), {"User-Agent": "greedy"})
    assert r.status == 503 and int(r["Retry-After"]) > 0
    modest = [srv.begin(key(15000 + i), {"User-Agent": "modest"}) for i in range(3)]
    srv.wait_metric("refused_total", 4)
    lost = lzr.wait_until(lambda: [p for p in greedy if p.answered()], "who lost its place")
    lzr.wait_until(lambda: len([p for p in greedy if p.answered()]) == 3, "three have")
    assert all(p.result().status == 503 for p in lost)
    assert srv.metric("queued") == 10000
    # They take turns now: the modest one is served among the first.
    served = []
    for _ in range(8):
        call.go()
        call = gate.next()
        served.append(int(call.key))
    assert len([i for i in served if i >= 15000]) == 3, served
    for p in greedy + modest:
        p.leave()
