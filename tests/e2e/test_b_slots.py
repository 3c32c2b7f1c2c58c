"""slots=N: at most N workers compute an array at once, the same ones while they live."""
import os
import signal

import numpy as np

import lzr

STORE = """
import os, lazarr, numpy as np
@lazarr.array("one", shape=(40,), chunks=(1,), dtype="i4", slots=1, compressor=None)
def one(block):
    return os.getpid()

@lazarr.array("two", shape=(40,), chunks=(1,), dtype="i4", slots=2, compressor=None)
def two(block):
    gate(f"two{block.index}")
    return os.getpid()

@lazarr.array("free", shape=(40,), chunks=(1,), dtype="i4", compressor=None)
def free(block):
    return os.getpid()

@lazarr.array("model", shape=(40,), chunks=(1,), dtype="i4", slots=1, compressor=None)
def model(block):
    return os.getpid()

@lazarr.array("over", inputs=["model"], dtype="i4", compressor=None)
def over(block, model):
    return model
"""


def number(body):
    return int(np.frombuffer(body, "<i4")[0])


def pids(srv, name, indices):
    return {number(srv.chunk(f"/zarr2/s.zarr/{name}/{i}")) for i in indices}


def test_the_same_worker_each_time(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "4", "--cache", "0")
    first = pids(srv, "one", range(20))
    assert len(first) == 1 and first <= set(srv.worker_pids())
    other = pids(srv, "model", range(20))
    assert len(other) == 1 and other != first  # another array's model goes elsewhere
    # All at once: one home each, and nobody else computes them.
    waiting = [srv.begin(f"/zarr2/s.zarr/{name}/{i}") for i in range(20, 40) for name in ("one", "model")]
    got = [number(w.result().body) for w in waiting]
    assert set(got[::2]) == first and set(got[1::2]) == other
    # While it lives: the next one when it dies.
    os.kill(first.pop(), signal.SIGKILL)
    srv.wait_metric("worker_deaths_total", 1)
    srv.wait_metric("workers", 4)
    again = pids(srv, "one", range(10))
    assert len(again) == 1 and again <= set(srv.worker_pids())


def test_no_more_at_once_and_others_go_on(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "4", "--cache", "0")
    waiting = [srv.begin(f"/zarr2/s.zarr/two/{i}") for i in range(8)]
    calls = [gate.next(), gate.next()]
    assert calls[0].pid != calls[1].pid
    srv.wait_metric("queued", 6)
    # Two other workers are idle, and what doesn't need a slot isn't behind what does.
    assert pids(srv, "free", range(10)).isdisjoint({c.pid for c in calls})
    assert gate.empty() and srv.metric("running") == 2
    homes = {c.pid for c in calls}
    for _ in range(6):
        calls.pop(0).go()
        calls.append(gate.next())
        assert calls[-1].pid in homes
    for c in calls:
        c.go()
    assert {number(w.result().body) for w in waiting} == homes


def test_as_an_input(serve, gate):
    """A chunk that needs one of an array with slots waits for its home, without a deadlock, also with one
    worker."""
    for workers in ("1", "3"):
        srv = serve(gate.code + STORE, "--workers", workers)
        waiting = [srv.begin(f"/zarr2/s.zarr/over/{i}") for i in range(40)]
        assert len({number(w.result().body) for w in waiting}) == 1
        srv.stop()


def test_wrong_slots_are_refused(serve, tmp_path):
    import subprocess
    store = tmp_path / "s.py"
    store.write_text(STORE.replace("slots=2", "slots=0"))
    r = subprocess.run([lzr.LAZARR, "describe", store], capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and 'array "two": slots must be' in r.stderr


def test_what_waits_for_a_model_leaves_the_other_workers_to_others(serve, gate):
    """More blocks of a model than may be asked for at once wait for its one worker: chunks that are
    made of other arrays are begun all the same, by the workers that have nothing to do."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("model", shape=(40,), chunks=(1,), dtype="u1", slots=1, compressor=None)
def model(block):
    gate(f"model{block.index}")
    return 1
@lazarr.array("over", inputs=["model"], compressor=None)
def over(block, model):
    return model + 1
@lazarr.array("free", shape=(40,), chunks=(1,), dtype="u1", compressor=None)
def free(block):
    return 3
@lazarr.array("above", inputs=["free"], compressor=None)
def above(block, free):
    return free + 1
""", "--workers", "2")
    waiting = [srv.begin(f"/zarr3/s.zarr/over/c/{i}") for i in range(12)]
    call = gate.next()
    srv.wait_metric("waiting", 12)
    assert srv.begin("/zarr3/s.zarr/above/c/0").result().body == b"\4"
    call.go()
    for _ in range(11):
        gate.next().go()
    assert all(w.result().body == b"\2" for w in waiting)


def test_a_retry_follows_the_home(serve, gate):
    """The worker that dies over a block was the only home, and another one becomes it that has run
    something already: the retry isn't kept waiting for one that hasn't."""
    srv = serve(gate.code + STORE.replace("def model(block):", """def model(block):
    gate(f"model{block.index}")""").replace("def free(block):", """def free(block):
    gate(f"free{block.index}")"""), "--workers", "2", "--cache", "0")
    first = [srv.begin(f"/zarr2/s.zarr/free/{i}") for i in range(2)]
    for call in [gate.next(), gate.next()]:  # both have run something
        call.go()
    for w in first:
        w.result()
    waiting = [srv.begin("/zarr2/s.zarr/model/0")]
    dies = gate.next()
    waiting.append(srv.begin("/zarr2/s.zarr/model/1"))
    srv.wait_metric("queued", 1)
    os.kill(dies.pid, signal.SIGKILL)
    other = gate.next()
    assert other.pid != dies.pid
    other.go()
    again = gate.next(timeout=20)  # 30 s is how long it would wait
    assert again.pid == other.pid
    again.go()
    assert {number(w.result().body) for w in waiting} == {other.pid}
