"""Abandoned too early: a worker's first block of an array is finished, and so is what was dropped before and is asked
for again."""
import os
import signal
import time

import pytest

import lzr
import nginx
from abandon import CANCEL, STORE, cold, fine, goes_on, key, sent, srv, start, warm


def abandoned(srv, gate, k):
    """A block that has begun and that nobody waits for any more."""
    p = srv.begin(k)
    call = gate.next()
    p.leave()
    srv.wait_metric("waiting", 0)
    return call


def looked(srv, other):
    """Others have come and gone since."""
    for _ in range(3):
        p = srv.begin(other)
        srv.wait_metric("waiting", 1)
        p.leave()
        srv.wait_metric("waiting", 0)


def test_a_workers_first_block_is_finished(cold, gate, sent):
    """However many leave: a function that has to load something gets there while somebody pans."""
    call = abandoned(cold, gate, key(1))
    for i in range(2, 12):
        p = cold.begin(key(i))
        cold.wait_metric("waiting", 1)
        p.leave()
        cold.wait_metric("waiting", 0)
    lzr.wait_until(lambda: cold.metric("queued") == 0, "they are out of the queue")
    assert not call.gone(0) and not sent.to(call.pid, CANCEL) and gate.empty()
    call.go()
    cold.wait_metric("encoded_total", 1)
    assert cold.chunk(key(1)) == b"\5"  # its work wasn't lost
    # It is warm now: a later one is interrupted.
    later = abandoned(cold, gate, key(2))
    assert later.gone() and later.pid == call.pid
    cold.wait_metric("cancelled_total", 1)
    m = cold.metrics()
    assert m["interrupted_total"] == 1 and m["worker_starts_total"] == 1 and m["computed_total"] == 1


def test_each_function_has_a_first_block(start, gate):
    """That another function has run warms nothing up; nor has a block that failed."""
    srv = start(gate.code + STORE + """
@lazarr.array("b", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def b(block):
    if gate(block.index) == "raise":
        raise OSError("the model isn't there")
    return 6
""", "--workers", "1")
    warm(srv, gate, key(999))
    abandoned(srv, gate, key(1, "b")).go("raise")
    srv.wait_metric("compute_failures_total", 1)
    call = abandoned(srv, gate, key(2, "b"))
    looked(srv, key(500))
    assert not call.gone(0)
    call.go()
    srv.wait_metric("encoded_total", 2)
    assert abandoned(srv, gate, key(3, "b")).gone()
    srv.wait_metric("dropped_running_total", 1)


def test_each_worker_has_a_first_block(start, gate):
    """Two begin; what the first has learnt is of no use to the second."""
    srv = start(gate.code + STORE, "--workers", "2")
    pending = {i: srv.begin(key(i)) for i in (1, 2)}
    calls = [gate.next() for _ in pending]
    calls[0].go()
    assert pending.pop(int(calls[0].key)).result().status == 200
    pending.popitem()[1].leave()
    srv.wait_metric("waiting", 0)
    assert not calls[1].gone(0)
    calls[1].go()
    srv.wait_metric("encoded_total", 2)
    assert srv.metric("interrupted_total") == 0 and calls[0].pid != calls[1].pid


def test_a_new_worker_has_a_first_block_too(srv, gate):
    call = abandoned(srv, gate, key(1))
    assert call.gone()
    srv.wait_metric("cancelled_total", 1)
    os.kill(call.pid, signal.SIGKILL)
    srv.wait_metric("worker_starts_total", 2)
    srv.wait_metric("workers", 1)
    call = abandoned(srv, gate, key(2))
    looked(srv, key(3))
    assert not call.gone(0)
    call.go()
    srv.wait_metric("encoded_total", 2)


@pytest.mark.parametrize("face", ["zarr3/s.zarr/a/c", "zarr2/s.zarr/a", "n5/s.n5/a"])
def test_what_was_dropped_and_is_asked_for_again_is_finished(srv, gate, face):
    """Whoever gives up sooner than the chunk is there, as a proxy does at its read timeout, and asks again, has it in
    the end, however long the function takes."""
    target = f"/{face}/1"
    first = abandoned(srv, gate, target)
    assert first.gone()
    srv.wait_metric("dropped_running_total", 1)
    again = abandoned(srv, gate, target)
    for _ in range(3):  # and again and again, always too soon
        p = srv.begin(target)
        srv.wait_metric("waiting", 1)
        p.leave()
        srv.wait_metric("waiting", 0)
    assert not again.gone(0) and gate.empty()
    again.go()
    srv.wait_metric("encoded_total", 2)
    assert srv.get(target).status == 200 and gate.empty()
    m = srv.metrics()
    assert m["interrupted_total"] == m["cancelled_total"] == m["dropped_running_total"] == 1
    assert m["computed_total"] == 2


def test_a_need_that_was_dropped_is_finished(start, gate):
    """A block of a derived array is long in coming since what it is made of is."""
    srv = start(gate.code + STORE + """
A = lazarr.array("low", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)(act)
@lazarr.array("b", inputs=[A], compressor=None)
def b(block, x):
    gate("b")
    return x + 1
""", "--workers", "1")
    warm(srv, gate, key(999, "low"))
    assert abandoned(srv, gate, key(1, "b")).gone()
    srv.wait_metric("dropped_running_total", 1)
    call = abandoned(srv, gate, key(1, "b"))
    looked(srv, key(500))
    assert call.key == "1" and not call.gone(0)
    call.go()
    srv.wait_metric("encoded_total", 2)
    p = srv.begin(key(1, "b"))
    call = gate.next()
    assert call.key == "b"
    call.go()
    assert p.result().body == b"\6"


def test_a_root_and_what_it_is_made_of_are_let_go(start, gate):
    """Nothing goes on for a block of a derived array that nobody waits for: neither what it is made of, once it has been
    begun, nor itself."""
    srv = start(gate.code + STORE + """
A = lazarr.array("low", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)(act)
below = A
for i in range(3):
    @lazarr.array(f"b{i}", inputs=[below], compressor=None)
    def b(block, x):
        gate(f"{block.array.path}/{block.index}")
        return x + 1
    below = b
""", "--workers", "1")
    p = srv.begin(key(999, "b2"))
    for _ in range(4):
        gate.next().go()
    assert p.result().body == b"\x08"
    for n, last in enumerate(["1", "b0/2", "b1/3", "b2/4"]):
        p = srv.begin(key(n + 1, "b2"))
        for _ in range(n):
            gate.next().go()
        call = gate.next()
        assert call.key == last
        p.leave()
        assert call.gone(), last
        srv.wait_metric("dropped_running_total", n + 1)
        srv.wait_metric("gathering", 0)
        srv.wait_metric("running", 0)
        assert gate.empty()


def test_what_is_finished_for_nobody_is_there_without_a_cache(start, gate):
    srv = start(gate.code + STORE, "--workers", "1", "--cache", "0")
    warm(srv, gate, key(999))
    assert abandoned(srv, gate, key(1)).gone()
    srv.wait_metric("dropped_running_total", 1)
    again = abandoned(srv, gate, key(1))
    srv.wait_metric("waiting", 0)  # that it has left is known: nobody is answered
    again.go()
    srv.wait_metric("encoded_total", 2)
    assert srv.chunk(key(1)) == b"\5" and gate.empty()


def test_once_somebody_has_got_it_it_is_as_others(start, gate):
    """What is remembered of a drop ends with it: computed anew it is interrupted again."""
    srv = start(gate.code + STORE, "--workers", "1", "--cache", "0")
    warm(srv, gate, key(999))
    for n in (1, 2):
        assert abandoned(srv, gate, key(1)).gone()
        srv.wait_metric("dropped_running_total", n)
        fine(srv, gate, 1)


def test_drops_are_summed_up_in_the_log(srv, gate):
    """A line for the first, one for all that follow in a minute, here at the end."""
    for i in range(5):
        assert abandoned(srv, gate, key(i)).gone()
        srv.wait_metric("dropped_running_total", i + 1)
    assert srv.stop() == 0
    lines = [x for x in srv.log.splitlines() if "dropped while running" in x]
    assert len(lines) == 2 and lines[0].startswith("lazarr: 1 block was") and "s/a, chunk 0" in lines[0]
    assert lines[1].startswith("lazarr: 4 blocks were"), lines


def test_c_code_that_ends_by_itself_keeps_its_worker(start, gate, sent):
    """A call of some seconds that looks at no signals, as its array's blocks are known to take, isn't a hanging one:
    its worker, which is warm, isn't killed for it. (Shielded code stands for it here: it doesn't notice either.)"""
    srv = start(gate.code + """
import lazarr
from lazarr import _cancel
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    with _cancel.shield():
        gate(block.index)
    return 5
""", "--workers", "1")
    takes = 3.0
    p = srv.begin(key(1))
    call, begun = gate.next(), time.monotonic()
    lzr.wait_until(lambda: time.monotonic() > begun + takes, "it has taken as long as it takes", takes + 5)
    call.go()
    assert p.result().status == 200
    call = abandoned(srv, gate, key(2))
    lzr.wait_until(lambda: len(sent.to(call.pid, CANCEL)) > 0, "it is told")
    told = time.monotonic()
    lzr.wait_until(lambda: time.monotonic() > told + 2.5, "what is worth a kill otherwise", 10)
    goes_on(sent, call)
    call.go()
    srv.wait_metric("running", 0)
    assert fine(srv, gate).pid == call.pid
    m = srv.metrics()
    assert m["abandoned_kills_total"] == 0 and m["worker_starts_total"] == 1


def test_behind_a_proxy_that_waits_too_short(srv, gate, tmp_path):
    """nginx gives up after 60 s, here 1: a function that takes longer was answered 504 for ever."""
    with nginx.Nginx(srv.port, tmp_path, read_timeout="1s") as proxy:
        assert proxy.get("/data" + key(1)).status == 504
        assert gate.next().gone()
        srv.wait_metric("dropped_running_total", 1)
        assert proxy.get("/data" + key(1)).status == 504
        call = gate.next()
        srv.wait_metric("waiting", 0)
        assert not call.gone(0)
        call.go()
        srv.wait_metric("encoded_total", 2)
        assert proxy.get("/data" + key(1)).body == b"\5" and gate.empty()
