"""The engine seen from outside: single flights, order, workers, cancellation, the cache.

Order is made with a gate in user code and with counters, never with sleeps."""
import resource
import signal
import time

import numpy as np
import pytest

import lzr

GATED = """
import lazarr, os, numpy as np
@lazarr.array("a", shape=(20000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    order = gate(block.start[0])
    if order == "raise":
        raise KeyError("told to")
    return block.start[0] % 256
@lazarr.array("packed", shape=(1000,), chunks=(1,), dtype="uint8")
def packed(block):
    gate(block.start[0])
    return block.start[0] % 256
@lazarr.array("large", shape=(4 << 20,), chunks=(1 << 20,), dtype="uint8", compressor=None)
def large(block):
    order = gate(block.index)
    if order == "raise":
        raise KeyError("told to")
    return np.random.default_rng(block.index).integers(0, 256, block.shape, "u1")
"""
CACHES = [(), ("--cache", "0"), ("--cache", "512KiB")]
CACHE_IDS = ["cache", "no-cache", "cache-too-small"]


def key(i, face=3, array="a"):
    return f"/zarr3/s.zarr/{array}/c/{i}" if face == 3 else f"/zarr2/s.zarr/{array}/{i}"


@pytest.mark.parametrize("cache", CACHES, ids=CACHE_IDS)
def test_100_requests_one_computation(serve, gate, cache):
    """100 simultaneous requests for one chunk run the function once, and all 100 get it even when the
    cache is too small to keep it."""
    srv = serve(gate.code + GATED, "--workers", "2", *cache)
    pending = [srv.begin(key(2, 2 + i % 2, "large")) for i in range(100)]
    call = gate.next()
    srv.wait_metric("waiting", 100)
    call.go()
    want = np.random.default_rng(2).integers(0, 256, 1 << 20, "u1").tobytes()
    for p in pending:
        r = p.result()
        assert r.status == 200 and r.body == want
    m = srv.metrics()
    assert m["computed_total"] == m["encoded_total"] == m["flights_total"] == 1
    assert m["joined_total"] == 99 and gate.empty()
    assert m["cache_entries"] == (0 if cache else 1)


@pytest.mark.parametrize("cache", CACHES, ids=CACHE_IDS)
def test_a_failing_flight_fails_all(serve, gate, cache):
    """A failing flight fails them all, with one computation."""
    srv = serve(gate.code + GATED, "--workers", "2", *cache)
    pending = [srv.begin(key(3, 2 + i % 2)) for i in range(100)]
    call = gate.next()
    srv.wait_metric("waiting", 100)
    call.go("raise")
    for p in pending:
        r = p.result()
        assert r.status == 500 and b"KeyError: 'told to'" in r.body
    m = srv.metrics()
    assert m["computed_total"] == m["compute_failures_total"] == 1 and gate.empty()


SLOW_TO_ENCODE = """
import lazarr, numpy as np
@lazarr.array("a", shape=(16 << 20,), chunks=(4 << 20,), dtype="uint8", compressor=lazarr.Zstd(19))
def a(block):
    return np.random.default_rng(1).integers(0, 40, block.shape, "u1")
"""


@pytest.mark.limit(150)
@pytest.mark.parametrize("cache", CACHES[:2], ids=CACHE_IDS[:2])
def test_a_second_request_during_encoding(serve, cache):
    """A second format or a second request during encoding never runs Python twice for one wanted
    chunk."""
    srv = serve(SLOW_TO_ENCODE, "--workers", "2", *cache)
    first = srv.begin("/zarr3/s.zarr/a/c/0")
    srv.wait_metric("computed_total", 1)
    during = [srv.begin("/zarr2/s.zarr/a/0"), srv.begin("/zarr3/s.zarr/a/c/0")]
    srv.wait_metric("joined_total", 2)
    assert srv.metric("encoded_total") == 0, "the encoding was too quick for this test"
    bodies = {p.result(120).body for p in [first, *during]}
    assert len(bodies) == 1
    m = srv.metrics()
    assert m["computed_total"] == m["encoded_total"] == 1


def test_the_order_of_arrival(serve, gate):
    """Inside a burst the order of arrival: viewers ask for the centre first."""
    srv = serve(gate.code + GATED, "--workers", "1")
    pending = [srv.begin(key(0))]
    call = gate.next()
    for n, i in enumerate((50, 10, 40, 20, 30)):
        pending.append(srv.begin(key(i)))
        srv.wait_metric("queued", n + 1)
    order = []
    for _ in range(6):
        order.append(int(call.key))
        call.go()
        call = gate.next() if len(order) < 6 else None
    assert order == [0, 50, 10, 40, 20, 30]
    assert all(p.result().status == 200 for p in pending)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_n_workers_run_n_blocks(serve, gate, n):
    """N workers run N blocks at a time."""
    srv = serve(gate.code + GATED, "--workers", str(n))
    pending = [srv.begin(key(i)) for i in range(2 * n + 1)]
    calls = [gate.next() for _ in range(n)]
    srv.wait_metric("waiting", 2 * n + 1)
    m = srv.metrics()
    assert len({c.pid for c in calls}) == n and m["workers"] == n
    assert m["running"] == n and m["queued"] == n + 1 and gate.empty()
    calls[-1].go()  # one finishes: one more begins, in the same worker
    assert gate.next().pid == calls[-1].pid
    assert gate.empty()
    for c in gate.calls:
        if c is not calls[-1]:
            c.go()
    for _ in range(n):
        gate.next().go()
    assert [p.result().body for p in pending] == [bytes([i]) for i in range(2 * n + 1)]
    m = srv.metrics()
    assert m["computed_total"] == 2 * n + 1 and m["running"] == m["queued"] == m["waiting"] == 0


def test_a_client_that_leaves_while_queued(serve, gate):
    """Work that nobody waits for any more is dropped."""
    srv = serve(gate.code + GATED, "--workers", "1")
    first = srv.begin(key(0))
    call = gate.next()
    leavers = [srv.begin(key(i)) for i in range(1, 51)]
    srv.wait_metric("queued", 50)
    for i, p in enumerate(leavers):
        if i != 24:
            p.leave(reset=i % 2 == 0)
    srv.wait_metric("queued", 1)
    srv.wait_metric("dropped_total", 49)
    call.go()
    assert first.result().status == 200
    call = gate.next()
    assert call.key == "25"
    call.go()
    assert leavers[24].result().body == bytes([25])
    assert gate.empty() and srv.metric("computed_total") == 2
    # Asked for again, it is simply computed.
    p = srv.begin(key(7))
    gate.next().go()
    assert p.result().status == 200


def test_a_half_closed_connection_counts_as_closed(serve, gate):
    """EPOLLRDHUP counts as closed."""
    import socket
    srv = serve(gate.code + GATED, "--workers", "1")
    first = srv.begin(key(0))
    call = gate.next()
    p = srv.begin(key(1))
    srv.wait_metric("queued", 1)
    p.http.sock.shutdown(socket.SHUT_WR)
    srv.wait_metric("queued", 0)
    call.go()
    assert first.result().status == 200


def test_a_client_that_leaves_while_running_hurts_nobody(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "1")
    first, second = srv.begin(key(5)), None
    call = gate.next()
    second = srv.begin(key(5, 2))
    srv.wait_metric("waiting", 2)
    first.leave()
    srv.wait_metric("waiting", 1)
    call.go()
    assert second.result().body == b"\5" and srv.metric("computed_total") == 1


def test_head_and_get_share_a_flight(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "2")
    head, get = srv.begin(key(1, 3, "packed"), method="HEAD"), None
    call = gate.next()
    get = srv.begin(key(1, 2, "packed"))
    srv.wait_metric("waiting", 2)
    assert not head.answered()
    call.go()
    head, get = head.result(), get.result()
    assert head["Content-Length"] == str(len(get.body)) and head.status == 200
    assert srv.metric("computed_total") == 1


def test_head_by_an_impatient_java(serve, gate):
    """User-Agent: Java/... gets 200 without a length after --head-wait, in a way that closes the
    connection rightly; the flight is held, and the GET that follows finds it."""
    srv = serve(gate.code + GATED, "--workers", "1", "--head-wait", "0.3")
    h = srv.connect()
    h.send("HEAD", key(1, 3, "packed"), {"User-Agent": "Java/1.8.0_402"})
    call = gate.next()
    r = h.read("HEAD")
    assert r.status == 200 and r["Content-Length"] is None and h.closed()
    call.go()
    srv.wait_metric("encoded_total", 1)
    get = srv.begin(key(1, 3, "packed"))
    assert get.result().status == 200 and srv.metric("computed_total") == 1
    other = srv.begin(key(2, 3, "packed"), {"User-Agent": "Mozilla"}, "HEAD")
    call = gate.next()
    h.close()
    assert not other.answered()
    call.go()
    assert other.result()["Content-Length"] is not None


def test_cached_chunks_while_all_workers_hang(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "2")
    p = srv.begin(key(9))
    gate.next().go()
    assert p.result().status == 200
    hanging = [srv.begin(key(i)) for i in range(100, 150)]
    gate.next(), gate.next()
    srv.wait_metric("waiting", 50)
    start = time.monotonic()
    with srv.connect() as h:
        for _ in range(200):
            assert h.get(key(9)).body == b"\x09"
    assert time.monotonic() - start < 2 * lzr.SLOW
    assert not any(p.answered() for p in hanging)


@pytest.mark.parametrize("free", [0, 1])
def test_nothing_waits_behind_a_slow_block_while_a_worker_idles(serve, gate, free):
    """Blocks that were quick so far may be sent to a worker ahead of time; when that worker turns out
    to be slow they are taken back."""
    srv = serve(gate.code + GATED, "--workers", "2")
    for i in range(10):  # a quick array
        p = srv.begin(key(i))
        gate.next().go()
        assert p.result().status == 200
    slow = [srv.begin(key(100)), srv.begin(key(101))]
    calls = [gate.next(), gate.next()]
    third = [srv.begin(key(i)) for i in (102, 103)]
    srv.wait_metric("waiting", 4)
    calls[free].go()
    for _ in range(2):
        call = gate.next(timeout=3 * lzr.SLOW)
        assert call.pid == calls[free].pid
        call.go()
    assert [p.result().status for p in third] == [200, 200]
    assert not slow[0].answered() or not slow[1].answered()
    calls[1 - free].go()
    assert all(p.result().status == 200 for p in slow)
    assert srv.metric("computed_total") == 14


def test_the_queue_has_an_end(serve, gate):
    """At most 10 000 waiting flights; then 503 with Retry-After."""
    need = 11000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lzr.need(hard >= need, f"{need} file descriptors (ulimit -Hn is {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    srv = serve(gate.code + GATED, "--workers", "1", "--no-access-log", nofile=need)
    pending = [srv.begin(key(i)) for i in range(10001)]
    gate.next()
    srv.wait_metric("queued", 10000)
    r = srv.get(key(15000))
    assert r.status == 503 and int(r["Retry-After"]) > 0, r
    assert srv.metric("refused_total") == 1 and srv.metric("queued") == 10000
    for p in pending:
        p.leave()
    srv.wait_metric("queued", 0)
    gate.calls[0].go()  # a worker's first block of an array is finished
    p = srv.begin(key(15000))
    call = gate.next()
    assert call.key == "15000"
    call.go()
    assert p.result().status == 200
    assert srv.metric("worker_deaths_total") == 0


def test_the_cache_is_bounded_and_evicts_the_oldest(serve):
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(1000 << 16,), chunks=(1 << 16,), dtype="uint8", compressor=None)
def a(block):
    return block.index % 256
""", "--workers", "1", "--cache", "8MiB")
    for i in range(300):
        assert srv.chunk(key(i))[0] == i % 256
        if i % 20 == 0:
            srv.chunk(key(0))  # stays wanted
    m = srv.metrics()
    assert m["budget_bytes"] <= m["budget_limit_bytes"] == 8 << 20
    assert 20 < m["cache_entries"] < 128 and m["cache_evictions_total"] >= 300 - 128
    assert m["cache_bytes"] <= 8 << 20
    with srv.delta() as d:
        srv.chunk(key(0))
        srv.chunk(key(299))
        srv.chunk(key(2))
    assert d["cache_hits_total"] == 2 and d["computed_total"] == 1


def test_cache_0_keeps_nothing(serve):
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(9,), chunks=(1,), dtype="uint8")
def a(block):
    return 1
""", "--cache", "0")
    for _ in range(5):
        srv.chunk(key(0))
    m = srv.metrics()
    assert m["computed_total"] == 5 and m["cache_entries"] == 0


def test_blocks_are_shared_memory_without_a_copy(serve):
    """Inputs and outputs are wrapped as NumPy arrays over shared memory without a copy."""
    srv = serve("""
import lazarr, numpy as np
@lazarr.array("a", shape=(64,), chunks=(32,), dtype="uint8", compressor=None)
def a(block):
    at = block.data.__array_interface__["data"][0]
    for line in open("/proc/self/maps"):
        lo, hi = (int(x, 16) for x in line.split()[0].split("-"))
        if lo <= at < hi:
            assert "memfd:" in line and line.split()[1].endswith("s"), line
            block.data[...] = 1
            return
    raise AssertionError("nowhere")
""", "--workers", "1")
    assert srv.chunk(key(0)) == b"\1" * 32


def test_workers_are_polite(serve):
    """Workers run at nice 10; the server doesn't."""
    srv = serve("""
import lazarr, os
@lazarr.array("a", shape=(9,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return os.getpriority(os.PRIO_PROCESS, 0) % 256
""", "--workers", "1")
    import os
    assert srv.chunk(key(0))[0] == min(19, os.getpriority(os.PRIO_PROCESS, srv.process.pid) + 10) % 256


def test_the_default_is_a_worker_a_core(serve):
    import os
    srv = serve("import lazarr\nlazarr.array('a', shape=(1,), chunks=(1,), dtype='u1')(lambda b: 0)\n")
    srv.wait_metric("workers", len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_being_sent(serve, sig):
    """SIGTERM/SIGINT: finish what is being sent, within a limit, exit 0."""
    import socket
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(1 << 26,), chunks=(1 << 26,), dtype="uint8", compressor=None)
def a(block):
    return 7
""", "--workers", "1")
    h = srv.connect()
    h.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    h.send("GET", key(0))
    assert h._more()  # the head is here, 64 MiB are not
    pids = srv.worker_pids()
    assert pids
    srv.process.send_signal(sig)
    assert h.read().body == b"\7" * (1 << 26)
    h.close()
    assert srv.process.wait(lzr.WAIT) == 0  # no second signal: that one would end it at once
    import os
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_stop_with_hanging_work(serve, gate):
    """Who waits is told, and the server ends all the same."""
    srv = serve(gate.code + GATED, "--workers", "1")
    pending = [srv.begin(key(i)) for i in range(3)]
    gate.next()
    srv.wait_metric("waiting", 3)
    start = time.monotonic()
    assert srv.stop() == 0
    assert time.monotonic() - start < 15 * lzr.SLOW
    for p in pending:
        try:
            assert p.result().status == 503
        except ConnectionError:
            pass


def test_a_killed_server_leaves_no_workers(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "2")
    p = srv.begin(key(0))
    call = gate.next()
    srv.process.kill()
    assert call.gone()
    p.leave()


def test_jobs_reach_a_worker_in_order(serve):
    """Many threads give one worker fast jobs, two at a time; its answers come in the order of its jobs,
    else it would be taken for a broken one. (It was, when messages were sent in another order.)"""
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(1 << 20,), chunks=(64,), dtype="uint16", compressor=None)
def a(block):
    return block.index
""", "--workers", "2")

    def ask(client):
        with srv.connect() as h:
            for i in range(client * 400, (client + 1) * 400):
                assert h.get(key(i)).body == i.to_bytes(2, "little") * 64, i
    lzr.together(24, ask)
    assert srv.metric("worker_deaths_total") == 0 and srv.metric("computed_total") == 24 * 400


def test_clients_that_leave_as_their_result_comes(serve):
    """A client that is gone in the very moment its chunk is ready: the request ends without its handler
    and nothing may know it any more. (The watch did: a crash under load.)"""
    import random
    import socket
    import struct
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(1 << 24,), chunks=(64,), dtype="uint16")
def a(block):
    return block.index % 1000
""", "--workers", "2", "--no-access-log")
    linger = struct.pack("ii", 1, 0)  # close() sends a reset

    def leave(seed):
        rng = random.Random(seed)
        for i in range(700):
            s = socket.create_connection(("127.0.0.1", srv.port))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            s.sendall(f"GET {key(seed * 700 + i)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            for _ in range(rng.randrange(3000)):  # a random moment between asking and being answered
                pass
            s.close()
    lzr.together(8, leave)
    srv.wait_metric("http_suspended", 0)
    assert srv.process.poll() is None and srv.metric("http_gone_total") > 0
    assert srv.chunk(key(5))


def test_new_requests_are_told_while_it_stops(serve):
    """Until the last answer has been sent, who comes gets 503 at once instead of waiting unaccepted."""
    import socket
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(1 << 26,), chunks=(1 << 26,), dtype="uint8", compressor=None)
def a(block):
    return 7
""", "--workers", "1")
    with srv.connect() as h:
        h.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        h.send("GET", key(0))
        assert h._more()  # the head is here, 64 MiB are not
        srv.process.send_signal(signal.SIGTERM)
        srv.wait_log("lazarr: stopping")
        lzr.wait_until(lambda: srv.get("/zarr3/s.zarr/a/zarr.json").status == 503, "503")
        assert srv.process.poll() is None
        assert h.read().body == b"\7" * (1 << 26)
    assert srv.process.wait(lzr.WAIT) == 0


def test_many_stops_under_load(serve, tmp_path):
    """A stop among requests that come and go ends with 0, each time."""
    import threading

    def hammer():
        head = f"GET /zarr3/s.zarr/a/zarr.json HTTP/1.1\r\nHost: 127.0.0.1:{srv.port}\r\n\r\n".encode()
        try:
            while True:
                with srv.connect(timeout=1) as h:
                    h.sock.sendall(head)
                    h.sock.recv(1)
                    h.sock.sendall(head * 60)
        except OSError:
            pass

    for i in range(10):
        srv = serve("import lazarr\nlazarr.array('a', shape=(1,), chunks=(1,), dtype='u1')(lambda b: 0)\n",
                    "--workers", "1")
        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for t in threads:
            t.start()
        lzr.wait_until(lambda: srv.log.count(" 200 ") > 200, "load")
        status = srv.stop()
        for t in threads:
            t.join()
        assert status == 0, srv.log[-500:]
