"""A source whose file doesn't answer, read by workers (Python opens and slices it): it keeps its own arrays waiting
and nothing else, also where it had all workers, and each of its chunks comes, right, once the file answers."""
import time

import numpy as np
import pytest

import lzr
from preload import preloaded

SOURCE = """
import lazarr, numpy as np, os
here = os.path.dirname(os.path.abspath(__file__))
class File:
    shape, dtype, ndim = (40000,), np.dtype("int32"), 1
    def __getitem__(self, key):
        fd = os.open(os.path.join(here, "remote/far.bin"), os.O_RDONLY)
        try:
            return np.frombuffer(os.pread(fd, 4 * (key[0].stop - key[0].start), 4 * key[0].start), "int32")
        finally:
            os.close(fd)
@lazarr.source("far", chunks=100, compressor=None)
def far():
    return File()
@lazarr.array("of_far", inputs=[far], compressor=None)
def of_far(block, far):
    return far + 1
"""
PLAIN = """
import lazarr
@lazarr.array("plain", shape=(4000,), chunks=(4,), dtype="int32", compressor=None)
def plain(block):
    return block.index
"""
VALUES = np.arange(40000, dtype="int32")


class World:
    def __init__(self, folder):
        self.flags = folder / "flags"
        for name in ("flags", "remote", "other"):
            (folder / name).mkdir()
        VALUES.tofile(folder / "remote/far.bin")
        (folder / "both.py").write_text(SOURCE + PLAIN)
        (folder / "source.py").write_text(SOURCE)
        (folder / "other/plain.py").write_text(PLAIN)
        self.env = {**preloaded("still"), "STILL": str(self.flags)}

    def hold(self, call):
        (self.flags / f"worker.{call}").touch()

    def let_go(self):
        for flag in self.flags.iterdir():
            flag.unlink()


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    yield w
    w.let_go()


def numbers(r):
    assert r.status == 200, r
    return np.frombuffer(r.body, "int32")


def check_all(asked, more):
    for i, pending in asked.items():
        assert (numbers(pending.result()) == VALUES[100 * i:100 * i + 100] + more).all(), i


@pytest.mark.parametrize("call, workers, stores, source, plain", [
    ("read", 2, ["both.py"], "both", "both"), ("open", 2, ["both.py"], "both", "both"),
    ("read", 1, ["both.py"], "both", "both"), ("open", 1, ["both.py"], "both", "both"),
    ("read", 2, ["source.py", "other/plain.py"], "source", "plain")],
    ids=["read", "open", "one, read", "one, open", "two folders"])
def test_it_had_all_workers(serve, world, tmp_path, call, workers, stores, source, plain):
    srv = lzr.Server([tmp_path / s for s in stores], "--workers", str(workers), env=world.env)
    try:
        for i in range(8):
            srv.chunk(f"/zarr3/{source}.zarr/far/c/{i}")
            srv.chunk(f"/zarr3/{plain}.zarr/plain/c/{i}")
        world.hold(call)
        asked = {i: srv.begin(f"/zarr3/{source}.zarr/far/c/{i}") for i in range(10, 16)}
        made = {i: srv.begin(f"/zarr3/{source}.zarr/of_far/c/{i}") for i in range(20, 24)}
        lzr.wait_until(lambda: [w["state"] for w in srv.get("/api/workers").json() if w["folder"] == str(tmp_path)]
                       == ["busy"] * workers, "all workers at it")
        begun = time.monotonic()
        for i in range(10, 20):
            assert numbers(srv.get(f"/zarr3/{plain}.zarr/plain/c/{i}")).tolist() == [i] * 4
            assert time.monotonic() - begun < 5 * lzr.SLOW
        assert srv.log.count("is ended: the source") == 1, srv.log
        world.let_go()
        check_all(asked, 0)
        check_all(made, 1)
        assert srv.metric("worker_deaths_total") == srv.metric("compute_failures_total") == 0
        assert srv.metric("worker_kills_total") == 1
    finally:
        srv.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_slow_is_not_hung(serve, world, tmp_path, workers):
    """Others wait for its blocks' ends as for any; no worker is ended."""
    srv = serve(tmp_path / "both.py", "--workers", str(workers), env=world.env)
    world.hold("slow")
    srv.chunk("/zarr3/both.zarr/far/c/0")
    asked = {i: srv.begin(f"/zarr3/both.zarr/far/c/{i}") for i in range(1, 9)}
    for i in range(8):
        assert numbers(srv.get(f"/zarr3/both.zarr/plain/c/{i}")).tolist() == [i] * 4
    check_all(asked, 0)
    assert "is ended" not in srv.log and srv.metric("worker_starts_total") == workers


def test_one_worker_and_a_slow_source(serve, world, tmp_path):
    """Ended for the others, it has twice the time at its next turn, until it comes: slow isn't hung."""
    srv = serve(tmp_path / "both.py", "--workers", "1", env=world.env)
    for i in range(4):
        srv.chunk(f"/zarr3/both.zarr/far/c/{i}")
    world.hold("read")
    far = srv.begin("/zarr3/both.zarr/far/c/10")
    for turn in range(1, 3):
        lzr.wait_until(lambda: [w["state"] for w in srv.get("/api/workers").json()] == ["busy"], "it is read")
        begun = time.monotonic()
        assert numbers(srv.get(f"/zarr3/both.zarr/plain/c/{turn}")).tolist() == [turn] * 4
        assert time.monotonic() - begun < (2 ** turn + 3) * lzr.SLOW
        assert srv.log.count("is ended: the source") == turn
    world.let_go()
    assert (numbers(far.result()) == VALUES[1000:1100]).all()


def test_nobody_else_waits(serve, world, tmp_path):
    """Where nothing else is asked for, it is only waited for."""
    both = [serve(tmp_path / "both.py", "--workers", str(n), env=world.env) for n in (1, 2)]
    for srv in both:
        for i in range(4):
            srv.chunk(f"/zarr3/both.zarr/far/c/{i}")
    world.hold("read")
    asked = [{i: srv.begin(f"/zarr3/both.zarr/far/c/{i}") for i in range(10, 14)} for srv in both]
    held = time.monotonic()
    lzr.wait_until(lambda: time.monotonic() - held > 3.5, "what would be a stall")
    world.let_go()
    for chunks, srv in zip(asked, both):
        check_all(chunks, 0)
        assert "is ended" not in srv.log


@pytest.mark.parametrize("call", ["read", "open"])
def test_a_read_has_a_deadline(serve, world, tmp_path, call):
    """--read-timeout holds for sources that workers read; one that says its own timeout= has that."""
    text = (tmp_path / "both.py").read_text()
    (tmp_path / "own.py").write_text(text.replace('"far", ', '"far", timeout=900, '))
    default, own = [serve(tmp_path / s, "--workers", "1", "--read-timeout", "1", env=world.env)
                    for s in ("both.py", "own.py")]
    for srv, store in ((default, "both"), (own, "own")):
        srv.chunk(f"/zarr3/{store}.zarr/far/c/0")
    world.hold(call)
    later = own.begin("/zarr3/own.zarr/far/c/1")
    r = default.get("/zarr3/both.zarr/far/c/1")
    assert r.status == 503 and "reading the source took longer than 1 s (--read-timeout)" in r.text, r.text
    assert numbers(default.get("/zarr3/both.zarr/plain/c/1")).tolist() == [1] * 4
    world.let_go()
    assert (numbers(later.result()) == VALUES[100:200]).all()
    assert (numbers(default.get("/zarr3/both.zarr/far/c/2")) == VALUES[200:300]).all()
