"""Functions that don't end: killed at their deadline, with their Python stack in the log."""
import re
import time

import pytest

import lzr

STORE = """
import lazarr, time
def deep_inside(order):
    if order == "hang":
        time.sleep(1000)
    if order == "hold":
        sum(range(10**12))
    if order == "spin":
        while True:
            pass
    if order == "deaf":
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def a(block):
    deep_inside(gate(block.index))
    return 5
"""


def key(i):
    return f"/zarr3/s.zarr/a/c/{i}"


@pytest.mark.parametrize("order", ["hang", "hold", "spin", "deaf"])
def test_killed_with_its_stack_in_the_log(serve, gate, order):
    srv = serve(gate.code + STORE, "--workers", "1")
    p = srv.begin(key(0))  # a worker's first block has longer
    gate.next().go()
    assert p.result().status == 200
    waited = []
    for status in (503, 500):
        if status == 500:  # the new worker's first block is another
            p = srv.begin(key(10))
            gate.next().go()
            assert p.result().status == 200
        start = time.monotonic()
        p = srv.begin(key(1))
        gate.next().go(order)
        r = p.result()
        waited.append(time.monotonic() - start)
        assert r.status == status, r
        assert "took longer than 1 s and was killed" in r.text
        assert (r["Retry-After"] is not None) == (status == 503)
    assert 1 <= min(waited) <= 1 + 0.5 * lzr.SLOW, waited
    srv.wait_log(r"worker 0 is at s/a, chunk 1, beyond its deadline; its stacks:")
    srv.wait_log(r'worker 0: +File ".*s\.py", line \d+ in deep_inside')
    srv.wait_log(r"s/a: the function took longer than 1 s and was killed \(chunk 1\)")
    with srv.delta() as d:
        assert srv.get(key(1)).status == 500  # remembered
    assert d["remembered_failures_total"] == 1
    p = srv.begin(key(2))
    gate.next().go()
    assert p.result().body == b"\5"
    m = srv.metrics()
    assert m["worker_kills_total"] == 2 and m["worker_deaths_total"] == 0 and m["retries_total"] == 0
    assert m["running"] == m["queued"] == m["waiting"] == 0


def test_a_crash_leaves_its_stack_too(serve, gate):
    srv = serve("""
import lazarr, ctypes
def deep_inside():
    ctypes.string_at(0)
@lazarr.array("a", shape=(10,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    if block.index == 1:
        deep_inside()
    return 5
""", "--workers", "1")
    r = srv.get(key(1))
    assert r.status == 500 and re.search("signal 11|SIGSEGV", r.text)
    srv.wait_log(r"Fatal Python error: Segmentation fault")
    srv.wait_log(r'File ".*s\.py", line 4 in deep_inside')
    srv.wait_log(r"worker 0 died over s/a, chunk 1: it was ended by signal 11")
    assert srv.get(key(2)).status == 200
    m = srv.metrics()
    assert m["worker_deaths_total"] == 2 and m["retries_total"] == 1


def test_a_deadline_with_others_behind_it(serve, gate):
    """Those that wait for the same worker are served by its successor."""
    srv = serve(gate.code + STORE, "--workers", "1")
    p = srv.begin(key(0))
    gate.next().go()
    p.result()
    late = srv.begin(key(1))
    gate.next().go("hang")
    others = [srv.begin(key(i)) for i in range(2, 6)]
    srv.wait_metric("waiting", 5)
    assert late.result().status == 503
    for _ in others:
        gate.next().go()
    assert [p.result().body for p in others] == [b"\5"] * 4
