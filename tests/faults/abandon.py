"""What the tests of work that nobody waits for share: a store whose blocks do as the gate tells them, and what is
seen of its worker."""
import signal
import time
from pathlib import Path

import pytest

import lzr
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


def goes_on(sent, call, signals=5):
    """It stays where it is although it is told again and again."""
    before = len(sent.to(call.pid, CANCEL))
    lzr.wait_until(lambda: len(sent.to(call.pid, CANCEL)) >= before + signals, "more signals")
    assert not call.gone(0)
