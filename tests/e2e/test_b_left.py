"""What a function leaves behind: children that go on writing into a block's memory after the function has returned.
Their writes reach nobody else's chunk."""
import os
import re
import signal

import numpy as np
import pytest

import lzr

HEAD = """
import ctypes, multiprocessing, os, platform, signal, sys, time
import numpy as np, lazarr
HERE = os.path.dirname(os.path.abspath(__file__))

def write(data):
    # For ever, or until its worker is gone.
    open(HERE + f"/child{os.getpid()}", "w").close()
    while True:
        data[...] = 0xEE

def fork(data):
    if os.fork() == 0:
        write(data)

def twice(data):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            write(data)
        os._exit(0)
    os.waitpid(child, 0)

def process(data):
    p = multiprocessing.get_context("fork").Process(target=write, args=(data,), daemon=False)
    p.start()
    p._popen = None

def clone(data):
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    if ctypes.PyDLL(None).syscall(number, signal.SIGCHLD, 0, 0, 0, 0) == 0:
        write(data)

def clone_quietly(data):
    # A child whose end nobody is told of, which only __WALL finds.
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    if ctypes.PyDLL(None).syscall(number, 0, 0, 0, 0, 0) == 0:
        write(data)

KEPT = []
def kept(data):
    KEPT.append(data)
    fork(data)

def returns(data):
    os.fork()

def raises(data):
    if os.fork() == 0:
        raise ValueError("in the child")

def leaves(data):
    if os.fork() == 0:
        sys.exit(3)

def runs(data):
    import subprocess
    subprocess.run(["true"], check=True)

@lazarr.array("a", shape=(512, 4096), chunks=(1, 4096), dtype="uint8", compressor=None)
def a(block):
    block.data[...] = block.index % 200
    if block.index == 0:
        WAY(block.data)
    if block.index == 5:
        KEPT.clear()
"""

WRITING = ("fork", "twice", "process", "clone", "clone_quietly", "kept")


def key(i):
    return f"/zarr2/s.zarr/a/{i}.0"


def slots(pid):
    """The inodes of a worker's slots that are mapped."""
    text = open(f"/proc/{pid}/maps").read()
    return set(re.findall(r"(\d+) +/memfd:lazarr-slot", text))


@pytest.mark.parametrize("way", WRITING)
def test_a_child_that_goes_on_writing(serve, tmp_path, way):
    srv = serve(HEAD.replace("WAY(", way + "("), "--workers", "1", "--cache", "0")
    worker = srv.worker_pids()[0]
    srv.chunk(key(300))  # all slots that it was sent before are mapped now
    before = slots(worker)
    try:
        assert srv.get(key(0)).status == 200
        lzr.wait_until(lambda: list(tmp_path.glob("child*")), "the child")
        child = int(next(tmp_path.glob("child*")).name[5:])
        held = slots(child)
        for i in range(1, 200):
            got = np.frombuffer(srv.chunk(key(i)), "u1")
            assert (got == i % 200).all(), (i, np.unique(got))
        after = slots(worker)
        assert len(after) >= 2 and len(before - after) == 1 and before - after <= held, (before, after, held)
        assert srv.worker_pids() == [worker] and srv.metric("worker_deaths_total") == 0
        assert srv.metric("slots_pinned") == 0
    finally:
        for p in tmp_path.glob("child*"):
            os.kill(int(p.name[5:]), signal.SIGKILL)


def test_a_thread_that_goes_on_writing(serve, tmp_path):
    """It keeps a reference, so the slot is pinned as long as it lives."""
    srv = serve(HEAD.replace("WAY(", "import threading; threading.Thread(target=write, daemon=True, args=[")
                .replace("block.data)\n    if block.index == 5", "block.data]).start()\n    if block.index == 5"),
                "--workers", "1", "--cache", "0")
    assert srv.get(key(0)).status == 200
    for i in range(1, 50):
        assert srv.chunk(key(i)) == bytes([i]) * 4096
    assert srv.metric("slots_pinned") == 1 and srv.metric("worker_deaths_total") == 0


@pytest.mark.parametrize("way", ["returns", "raises", "leaves"])
def test_a_child_that_comes_back(serve, tmp_path, way):
    """out of the function, however: it ends, and answers nothing."""
    srv = serve(HEAD.replace("WAY(", way + "("), "--workers", "1", "--cache", "0")
    worker = srv.worker_pids()[0]
    for i in range(8):
        assert srv.chunk(key(i)) == bytes([i]) * 4096
    assert srv.worker_pids() == [worker] and srv.metric("worker_deaths_total") == 0, srv.log


def test_a_program_that_is_run_costs_no_slot(serve):
    srv = serve(HEAD.replace("WAY(", "runs(").replace("block.index == 0", "True"), "--workers", "1", "--cache", "0")
    worker = srv.worker_pids()[0]
    srv.chunk(key(0))
    before = slots(worker)
    for i in range(1, 8):
        assert srv.chunk(key(i)) == bytes([i]) * 4096
    assert slots(worker) == before


def test_every_block_forks(serve):
    """Each of them costs its slot, and there is always another."""
    srv = serve(HEAD.replace("WAY(", "returns(").replace("block.index == 0", "True"), "--workers", "1", "--cache", "0")
    for i in range(24):
        assert srv.chunk(key(i)) == bytes([i]) * 4096
    assert len(slots(srv.worker_pids()[0])) <= 4
    assert srv.metric("worker_deaths_total") == 0
