"""What takes its time by design; run by hand or with ctest -L slow."""
import os
import signal
import time

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None, timeout=600)
def a(block):
    return gate("x") and 1
"""


@pytest.mark.limit(180)
def test_a_replaced_store_is_not_waited_for_for_ever(serve, gate):
    """A request that still waits 60 s after a reload gets 503, and what it waited for is closed."""
    srv = serve(gate.code + STORE, "--workers", "1")
    waiting = srv.begin("/zarr3/s.zarr/a/c/0")
    gate.next()
    assert srv.request("POST", "/api/reload").status == 200
    begun = time.monotonic()
    r = waiting.result(120 * lzr.SLOW)
    assert r.status == 503 and r["Retry-After"] and 50 < time.monotonic() - begun
    srv.wait_log("requests still wait for what was reloaded: they are ended")
    srv.wait_metric("editions", 1)
    lzr.wait_until(lambda: len(srv.worker_pids()) == 1, "the old worker's end")
    assert srv.stop() == 0


@pytest.mark.limit(240)
def test_requests_that_came_while_it_stood_still_for_long(serve, gate):
    """Longer than a connection may be idle: they are answered, on kept connections and on new ones."""
    srv = serve(gate.code + STORE, "--workers", "1")
    p = srv.begin("/zarr3/s.zarr/a/c/1")
    gate.next().go()
    assert p.result().status == 200
    there = [srv.connect() for _ in range(20)]
    for h in there[:10]:
        assert h.get("/zarr3/s.zarr/a/c/1").status == 200
    srv.wait_metric("http_connections", 21)
    pids = [srv.process.pid, *srv.worker_pids()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(125)  # LZR_IDLE_US and some: the fault itself
    for h in there:
        h.send("GET", "/zarr3/s.zarr/a/c/1")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert [h.read().body for h in there] == [b"\1\1"] * 20
    assert srv.metric("http_late_total") == 0


@pytest.mark.limit(240)
def test_an_idle_connection_ends(serve, gate):
    """After its 120 s, by the server's own doing: the library's timeout would undo longer ones of the options."""
    srv = serve(gate.code + STORE, "--workers", "1", "--header-timeout", "150")
    kept, silent = srv.connect(), srv.connect()
    assert kept.get("/healthz").status == 200
    begun = time.monotonic()
    assert kept.closed(125 * lzr.SLOW) and 119 < time.monotonic() - begun
    assert srv.metric("http_late_total") == 1 and srv.metric("http_connections") == 2
    assert silent.closed(60 * lzr.SLOW) and 149 < time.monotonic() - begun
    assert srv.metric("http_late_total") == 2
