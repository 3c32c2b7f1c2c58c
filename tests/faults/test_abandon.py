"""Work that nobody waits for any more: dropped, interrupted, killed; what somebody else wants goes on."""
import statistics
import time

import pytest

import lzr
from abandon import CANCEL, STORE, cold, cpu_ns, fine, goes_on, key, sent, spins, srv, start, waits


@pytest.mark.parametrize("what", ["count", "calls", "wait", "numpy"])
def test_cancelled_comes_within_100_ms(srv, gate, sent, what):
    """From the moment in which the server sends its first signal to the first line of `except Cancelled`, both on
    CLOCK_MONOTONIC, 20 times each in loops of bytecode, of calls, in time.sleep and between NumPy's functions of
    some milliseconds.

    Of CPU time, which nobody else on the machine can take from it, each try has 100 ms. On the clock on the wall a
    worker, which runs ten steps behind all others (nice), may have to wait for its turn on a busy machine: there
    the median and the 90th percentile are to be within 100 ms (the figures are in docs/faults.md)."""
    tries, wall, used, whole = 20, [], [], []
    for i in range(tries):
        p = srv.begin(key(i))
        call = gate.next()
        before = len(sent.to(call.pid, CANCEL))
        call.go(what)
        inside = gate.next()
        assert inside.key == "spins"
        inside.go()
        assert inside.gone()
        there = cpu_ns(call.pid)
        if what == "wait":
            lzr.wait_until(lambda: waits(call.pid), "it sleeps")
        else:
            lzr.wait_until(lambda: cpu_ns(call.pid) > there + 10e6, "its loop runs")
        left = time.monotonic_ns()
        p.leave(reset=i % 2 == 0)
        told = gate.next()
        word, at, cpu, cancelled = told.key.split(",")
        assert word == "cancelled" and cancelled == "True" and told.pid == call.pid
        first = sent.to(call.pid, CANCEL)[before]
        wall.append((int(at) - first[0]) / 1e6)
        used.append((int(cpu) - first[1]) / 1e6)
        whole.append((int(at) - left) / 1e6)
        told.go()
        srv.wait_metric("cancelled_total", i + 1)
    figures = f"{what}: " + ", ".join(
        f"{name} {statistics.median(x):.2f} ms, 90th percentile {sorted(x)[tries * 9 // 10]:.2f}, most {max(x):.2f}"
        for name, x in [("wall", wall), ("CPU", used), ("since the client left", whole)])
    print(figures)
    assert min(wall) > 0 and max(used) < 100, figures
    assert statistics.median(wall) < 100 * lzr.SLOW and sorted(wall)[tries * 9 // 10] < 100 * lzr.SLOW, figures
    # That it is sent soon after somebody left is another matter, of the server alone.
    assert statistics.median(whole) < 200 * lzr.SLOW, figures
    assert fine(srv, gate).pid == call.pid  # the same worker
    m = srv.metrics()
    assert m["interrupted_total"] == tries and m["worker_starts_total"] == 1
    assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0
    assert "Cancelled" not in srv.log
    # It isn't remembered: asked for again, it is computed.
    fine(srv, gate, 1)


def test_at_the_gate_itself(srv, gate):
    """A function that waits for a socket."""
    p = srv.begin(key(1))
    call = gate.next()
    p.leave()
    assert call.gone()
    srv.wait_metric("cancelled_total", 1)
    fine(srv, gate)


def test_finish_finishes(srv, gate):
    p = srv.begin(key(1, "finish"))
    call = gate.next()
    p.leave()
    srv.wait_metric("waiting", 0)
    other = srv.begin(key(2))  # behind it
    srv.wait_metric("queued", 1)
    call.go()
    gate.next().go()
    assert other.result().status == 200
    assert srv.chunk(key(1, "finish")) == b"\5"  # from the cache
    m = srv.metrics()
    assert m["interrupted_total"] == 0 and m["computed_total"] == 3


def test_what_somebody_else_wants_goes_on(srv, gate):
    first, second = srv.begin(key(1)), None
    call = gate.next()
    second = srv.begin(key(1))
    srv.wait_metric("waiting", 2)
    first.leave()
    srv.wait_metric("waiting", 1)
    call.go()
    assert second.result().body == b"\5"
    m = srv.metrics()
    assert m["interrupted_total"] == 0 and m["computed_total"] == 2


@pytest.mark.parametrize("order", ["lie", "late"])
def test_who_comes_when_it_is_told_already_gets_a_new_run(srv, gate, order):
    """What a function returns, or raises, once it knows that it is cancelled is not used."""
    p = srv.begin(key(1))
    gate.next().go(order)
    spins(gate)
    p.leave()
    told = gate.next()  # it knows
    again = srv.begin(key(1))
    srv.wait_metric("waiting", 1)
    told.go()
    gate.next().go()
    r = again.result()
    assert r.status == 200 and r.body == b"\5"
    m = srv.metrics()
    assert m["cancelled_total"] == 1 and m["computed_total"] == 2 and m["worker_starts_total"] == 1
    assert m["dropped_running_total"] == 0  # somebody was there in time


@pytest.mark.parametrize("order", ["hold", "swallow"])
def test_what_does_not_react_is_killed(srv, gate, order):
    p = srv.begin(key(1))
    call = gate.next()
    call.go(order)
    spins(gate)
    p.leave()
    srv.wait_metric("abandoned_kills_total", 1)
    srv.wait_log(r"worker 0 is killed: s/a \(chunk 1\) goes on although nobody waits for it")
    assert fine(srv, gate).pid != call.pid
    m = srv.metrics()
    assert m["worker_deaths_total"] == 0 and m["retries_total"] == 0 and m["worker_kills_total"] == 0
    assert m["dropped_running_total"] == 1
    srv.wait_log(r"lazarr: 1 block was dropped while running, as nobody waited any more: s/a, chunk 1, after \S+ s; "
                 "one that is asked for again is finished")


def test_a_waiter_that_comes_before_the_kill_is_served(srv, gate):
    p = srv.begin(key(1))
    call = gate.next()
    call.go("hold")
    spins(gate)
    p.leave()
    srv.wait_metric("interrupted_total", 1)
    other = [srv.begin(key(i)) for i in (2, 3)]
    for _ in other:
        gate.next().go()
    assert [p.result().body for p in other] == [b"\5", b"\5"]
    assert srv.metric("abandoned_kills_total") == 1


def test_the_job_behind_is_not_touched(serve, gate):
    """A quick array's next block is in the worker's pipeline already when the first is abandoned."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    if block.index >= 500:
        gate(block.index)
    return block.index % 256
""", "--workers", "1")
    for i in range(50):
        srv.chunk(key(i))  # so that blocks count as quick
    first, second = srv.begin(key(600)), srv.begin(key(601))
    call = gate.next()
    srv.wait_metric("waiting", 2)
    (first if call.key == "600" else second).leave()
    assert call.gone()
    other = gate.next()
    other.go()
    assert (second if call.key == "600" else first).result().body == bytes([int(other.key) % 256])
    m = srv.metrics()
    assert m["cancelled_total"] == 1 and m["worker_starts_total"] == 1


def test_imports_are_not_left_half_done(start, gate, sent, tmp_path):
    (tmp_path / "helper_of_s.py").write_text(gate.code + "gate('importing')\nVALUE = 7\n")
    srv = start(gate.code + """
import lazarr, time
time.sleep(3)  # what takes long to start is given longer until it is killed
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    if block.index == 999:
        return 7
    import helper_of_s
    gate(f"imported{block.index}")
    return helper_of_s.VALUE
""", "--workers", "1")
    srv.chunk(key(999))  # so that it may be interrupted
    p = srv.begin(key(1))
    call = gate.next()
    assert call.key == "importing"
    p.leave()
    srv.wait_metric("interrupted_total", 1)
    goes_on(sent, call)
    call.go()
    srv.wait_metric("cancelled_total", 1)
    p = srv.begin(key(2))
    call = gate.next()
    if call.key == "imported1":  # the first run may have come so far before it was told
        call = gate.next()
    assert call.key == "imported2"
    call.go()
    assert p.result().body == b"\7"


def test_sources_are_not_left_half_open(start, gate, sent):
    """What opens a source is shielded: as here, in a function's own block."""
    srv = start(gate.code + """
import lazarr, time
from lazarr import _cancel
time.sleep(3)  # see above
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    if block.index == 999:
        return 7
    with _cancel.shield():
        gate("opening")
        block.array.opened = True
    gate(f"opened{block.index}")
    return 7
""", "--workers", "1")
    srv.chunk(key(999))
    p = srv.begin(key(1))
    call = gate.next()
    assert call.key == "opening"
    p.leave()
    srv.wait_metric("interrupted_total", 1)
    goes_on(sent, call)
    call.go()
    srv.wait_metric("cancelled_total", 1)


def test_a_hold_counts_as_somebody(start, gate, sent):
    """Who was sent away with a 503 is waited for."""
    srv = start(gate.code + STORE, "--workers", "1", "--first-byte", "0.2")
    p = srv.begin(key(999))
    gate.next().go()
    p.result()  # 200, or a 503 on a busy machine
    srv.wait_metric("encoded_total", 1)
    p = srv.begin(key(1))
    call = gate.next()
    r = p.result()
    assert r.status == 503 and int(r["Retry-After"]) > 0
    srv.wait_metric("waiting", 0)
    for i in (2, 3):  # whoever ends holds has looked
        assert srv.get(key(i)).status == 503
    assert not call.gone(0) and not sent.to(call.pid, CANCEL)
    for _ in range(2):
        call.go()
        call = gate.next()
    call.go()
    srv.wait_metric("encoded_total", 4)
    assert [srv.chunk(key(i)) for i in (1, 2, 3)] == [b"\5"] * 3
    assert srv.metric("interrupted_total") == 0


def test_an_interrupted_job_does_not_hurt_the_next_ones(srv, gate):
    """Signals that come late find another job and let it be."""
    for i in range(20):
        p = srv.begin(key(i))
        call = gate.next()
        p.leave()
        assert call.gone()
        fine(srv, gate, 100 + i)
    m = srv.metrics()
    assert m["cancelled_total"] == m["dropped_running_total"] == 20 and m["computed_total"] == 21
    assert m["compute_failures_total"] == 0 and m["worker_starts_total"] == 1
