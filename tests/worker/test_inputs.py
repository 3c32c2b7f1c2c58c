"""A job's inputs as the worker sees them: private, writable, pinned; and texts that make no sense."""
import os
import socket

import numpy as np
import pytest

from wdriver import CONTROL, DONE, FAILED, JOB, PINNED, SLOT, UNPINNED, Worker, pack, pack_input

STORE = """
base = lazarr.array("base", shape=(64, 64), chunks=(64, 64), dtype=">u2")(lambda block: 0)
flat = lazarr.array("flat", shape=(64,), chunks=(64,), dtype="c16")(lambda block: 0)
"""
ONE = STORE + """
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="i8",
              inputs=[lazarr.Input(base, select=(0, slice(0, 4)), boundary="wrap")])
def a(block, t):
    assert t.flags.writeable and t.flags.c_contiguous and t.flags.aligned
    assert t.dtype == np.dtype("=u2"), t.dtype
    total = int(t.astype("i8").sum())
    t += 1000
    return total
"""
INPUTS = 1 << 16


@pytest.fixture
def worker(tmp_path):
    started = []

    def start(store, inputs=INPUTS, **more):
        w = Worker("import lazarr, numpy as np\n" + store, folder=tmp_path, slots=0, **more)
        started.append(w)
        w.add_slot(4096, inputs)
        w.add_slot(4096, inputs)
        return w
    yield start
    for w in started:
        w.close()


def region(k=0):
    return np.arange(24, dtype="u2").reshape(4, 6) + np.uint16(k)


def test_values_are_the_servers_and_stay_so(worker):
    """What a job writes to its input is its own: the next one sees what the server wrote, also where
    the server wrote nothing new."""
    w = worker(ONE)
    for k in range(3):
        text = w.slots[0].put(region(k))
        assert w.run("a", inputs=text).tolist() == [int(region(k).sum())] * 4
        assert w.run("a", inputs=text).tolist() == [int(region(k).sum())] * 4
        at = w.slots[0].size + CONTROL
        assert w.slots[0].map[at:at + 48] == region(k).tobytes()  # the server's side is as it was


def test_a_kept_input_pins_the_slot(worker):
    w = worker(STORE + """
kept = []
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="i8", inputs=[lazarr.Input(base, select=(0, slice(0, 4)))])
def a(block, t):
    kept.append(t)
    return sum(int(k.astype("i8").sum()) for k in kept)
@lazarr.array("b", shape=(4,), chunks=(4,), dtype="i8")
def b(block):
    n = sum(int(k.astype("i8").sum()) for k in kept)
    kept.clear()
    return n
""")
    m = w.job("a", 0, inputs=w.slots[0].put(region()))
    assert m.type == DONE and m.flags == PINNED
    m = w.job("a", 1, inputs=w.slots[1].put(region(5)))
    assert m.flags == PINNED
    w.add_slot(4096, INPUTS)
    assert w.run("b", 2).tolist() == [int(region().sum() + region(5).sum())] * 4
    while len(w.unpinned) < 2:
        m = w.receive()
        assert m.type == UNPINNED
        w.unpinned.append(m.slot)
    assert sorted(w.unpinned) == [0, 1]


def test_many_inputs_of_other_ranks(worker):
    w = worker(STORE + """
@lazarr.array("a", shape=(3,), chunks=(3,), dtype="c16",
              inputs=[lazarr.Input(flat, select=(slice(0, 2),)), lazarr.Input(base, select=(5, 7))] * 100)
def a(block, *inputs):
    assert len(inputs) == 200
    assert [t.shape for t in inputs[:2]] == [(2,), ()] and inputs[1].dtype == np.dtype("=u2")
    return sum(complex(t.sum()) for t in inputs)
""")
    parts = [np.array([i, 1j * i]) if i % 2 == 0 else np.array(i, "u2") for i in range(200)]
    w.add_slot(4096, 1 << 16)
    got = w.run("a", 2, inputs=w.slots[2].put(*parts))
    assert (got == sum(complex(p.sum()) for p in parts)).all()


def test_a_failure_keeps_no_input(worker):
    w = worker(STORE + """
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="i8", inputs=[lazarr.Input(base, select=(0, slice(0, 4)))])
def a(block, t):
    raise ValueError(str(int(t[0, 1])))
""")
    for k in range(3):
        m = w.job("a", inputs=w.slots[0].put(region(k)))
        assert m.type == FAILED and f"ValueError: {k + 1}".encode() in m.text and m.flags == 0


NONSENSE = {
    "no text": b"",
    "half an input": pack_input(0, (4, 6))[:40],
    "one too many": pack_input(0, (4, 6)) * 2,
    "offset beyond": pack_input(INPUTS + 64, (4, 6)),
    "offset unaligned": pack_input(8, (4, 6)),
    "offset overflows": pack_input((1 << 64) - 64, (4, 6)),
    "region beyond": pack_input(INPUTS - 64, (8, 8)),
    "extent overflows": pack_input(0, (1 << 32, 1 << 32)),
    "extent is negative": pack_input(0, (1 << 63,)),
    "rank": pack_input(0, (4, 6), rank=9),
    "huge": pack_input(0, (1 << 40,)),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_ends_it_with_a_line(worker, what):
    w = worker(ONE)
    i, _, _ = w.arrays["a"]
    w.slots[0].claim(1)
    w.send(JOB, NONSENSE[what], seq=1, array=i, rank=1, slot=0, size=32, start=(0,), extent=(4,))
    assert w.end() == 1, w.log
    assert "lazarr-worker: a job that makes no sense" in w.log and "Traceback" not in w.log


def test_inputs_without_memory(worker):
    """A slot that has none: only inputs of no bytes fit."""
    w = worker(ONE, inputs=0)
    i, _, _ = w.arrays["a"]
    w.slots[0].claim(1)
    w.send(JOB, pack_input(0, (4, 6)), seq=1, array=i, rank=1, slot=0, size=32, start=(0,), extent=(4,))
    assert w.end() == 1, w.log


def test_a_slot_shorter_than_it_says(worker):
    w = worker(ONE)
    fd = os.memfd_create("slot")
    os.ftruncate(fd, 4096 + CONTROL + 4096)
    socket.send_fds(w.socket, [pack(SLOT, slot=7, size=4096, total=8192)], [fd])
    os.close(fd)
    assert w.end() == 1 and "a slot that makes no sense" in w.log, w.log
