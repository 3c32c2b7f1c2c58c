"""What takes its time by design; run by hand or with ctest -L slow."""
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
