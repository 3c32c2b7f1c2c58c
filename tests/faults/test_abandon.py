"""Work that nobody waits for any more: dropped, interrupted, killed; what somebody else wants goes on, and so do a
worker's first block of an array and what was dropped before."""
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

import lzr
import nginx
from preload import Sent

CANCEL = signal.SIGRTMIN + 5  # LZR_SIGNAL_CANCEL
STORE = """
import lazarr, time
import numpy as np
A, B = np.random.default_rng(1).random(200_000), np.random.default_rng(2).random((300, 300))
def spin(what="spin"):
    gate("spins")  # inside of what catches Cancelled
    if what == "wait":
        time.sleep(1000)
    a, b, n = A, B, 0
    while what == "numpy":
        a, b = np.sort(a)[::-1], b @ B / 150
    while what == "calls":
        n = max(n, len(str(n))) + 1
    while True:
        pass
def act(block):
    order = gate(block.index)
    if order == "spin":
        try:
            spin()
        except lazarr.Cancelled:
            gate("cancelled")
            raise
    if order in ("wait", "numpy", "calls", "count"):
        try:
            spin(order)
        except lazarr.Cancelled:
            at, cpu = time.monotonic_ns(), time.process_time_ns()
            gate(f"cancelled,{at},{cpu},{block.cancelled}")
            raise
    if order in ("hold", "swallow"):
        there = []
        while True:
            try:
                if not there:
                    there.append(1)
                    gate("spins")
                if order == "hold":  # the GIL, in C: no signal is looked at
                    sum(range(10**12))
                while True:
                    pass
            except BaseException:
                pass
    if order == "lie":
        try:
            spin()
        except lazarr.Cancelled:
            gate("lying")
            return 99
    if order == "late":
        try:
            spin()
        except lazarr.Cancelled:
            gate("cleaning up")
            raise ValueError("an own error in its place")
    return 5
def array(name, **more):
    lazarr.array(name, shape=(1000,), chunks=(1,), dtype="uint8", compressor=None, **more)(act)
array("a")
array("finish", on_abandon="finish")
"""


def key(i, array="a"):
    return f"/zarr3/s.zarr/{array}/c/{i}"


@pytest.fixture
def sent(tmp_path):
    return Sent(tmp_path)


@pytest.fixture
def start(serve, sent):
    """A server of which `sent` knows the signals to its workers."""
    return lambda *args: serve(*args, env=sent.env)


@pytest.fixture
def cold(start, gate):
    """A server whose worker has computed nothing yet: the first block of an array is never interrupted."""
    return start(gate.code + STORE, "--workers", "1")


@pytest.fixture
def srv(cold, gate):
    """A server whose worker has computed a block of array a."""
    warm(cold, gate, key(999))
    return cold


def warm(srv, gate, *keys):
    for k in keys:
        p = srv.begin(k)
        gate.next().go()
        assert p.result().status == 200


def spins(gate):
    """The function is where it catches Cancelled."""
    call = gate.next()
    assert call.key == "spins"
    call.go()


def fine(srv, gate, i=500):
    """The server computes a chunk as ever."""
    p = srv.begin(key(i))
    call = gate.next()
    assert call.key == str(i)
    call.go()
    assert p.result().body == b"\5"
    m = srv.metrics()
    assert m["running"] == m["queued"] == m["waiting"] == 0
    return call


def waits(pid):
    """The process' main thread waits for something, as in time.sleep."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def cpu_ns(pid):
    """CPU time that a process has used (clock_getcpuclockid)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


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


def goes_on(sent, call, signals=5):
    """It stays where it is although it is told again and again."""
    before = len(sent.to(call.pid, CANCEL))
    lzr.wait_until(lambda: len(sent.to(call.pid, CANCEL)) >= before + signals, "more signals")
    assert not call.gone(0)


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
    takes = 3.0 * lzr.SLOW
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
