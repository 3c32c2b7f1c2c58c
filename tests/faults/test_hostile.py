"""Workers that lie (hostile_worker.py): they are ended, the server isn't, and nobody gets wrong bytes."""
import os
import shutil
import sys
from pathlib import Path

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(1000,), chunks=(10,), dtype="uint8", compressor=None, timeout=3)
def a(block):
    return block.index % 256
"""
HERE = Path(__file__).resolve().parent


def key(i):
    return f"/zarr3/s.zarr/a/c/{i}"


def body(i):
    return bytes([i % 256]) * 10


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """hostile(how, always=False): a server whose workers stand behind hostile_worker.py."""
    minor = "%d.%d" % sys.version_info[:2]
    shutil.copy(lzr.BUILD / "lazarr", tmp_path / "lazarr")  # finds its worker beside itself
    shutil.copy(HERE / "hostile_worker.py", tmp_path / f"lazarr-worker-{minor}")
    os.chmod(tmp_path / f"lazarr-worker-{minor}", 0o755)
    monkeypatch.setattr(lzr, "LAZARR", tmp_path / "lazarr")
    (tmp_path / "s.py").write_text(STORE)
    started = []

    def start(how, always=False, workers=1):
        env = {"LZR_HOSTILE": how, "LZR_HOSTILE_STORE": str(tmp_path / "s.py"), "LZR_REAL_WORKER": str(lzr.BUILD / f"lazarr-worker-{minor}")}
        if not always:
            env["LZR_HOSTILE_ONCE"] = str(tmp_path / "done")
        srv = lzr.Server(tmp_path / "s.py", "--workers", workers, "--no-access-log", env=env)
        started.append(srv)
        return srv

    yield start
    for srv in started:
        srv.kill()


BROKEN = ["wrong_seq", "seq_of_nothing", "wrong_slot", "other_slot", "long", "short", "huge", "version",
          "type", "server_type", "ready_again", "manifest_again", "unpinned", "descriptors", "flood",
          "code_nothing", "code_endless", "code_half", "code_relative", "code_long"]


@pytest.mark.parametrize("how", BROKEN)
def test_what_breaks_the_protocol_is_killed_and_the_block_computed_again(hostile, how):
    srv = hostile(how)
    assert srv.chunk(key(1)) == body(1)
    assert srv.chunk(key(13)) == body(13)  # by its successor
    srv.wait_log("worker 0 is killed: it broke the protocol")
    for i in range(2, 12):
        assert srv.chunk(key(i)) == body(i)
    m = srv.metrics()
    assert m["retries_total"] == 1 and m["worker_deaths_total"] == 1
    assert m["running"] == m["queued"] == m["waiting"] == m["slots_pinned"] == 0
    assert srv.process.poll() is None


def test_one_that_has_loaded_another_text(hostile):
    """Its answer counts for nothing, and its death isn't the block's fault."""
    srv = hostile("code_other")
    assert srv.chunk(key(13)) == body(13)
    srv.wait_log(r"s\.py has changed since it was loaded")
    assert srv.metric("retries_total") == srv.metric("worker_deaths_total") == 0
    assert srv.metric("computed_total") == 1


@pytest.mark.parametrize("how", ["wrong_seq", "short", "hang_up"])
def test_one_that_always_lies_is_a_500(hostile, how):
    srv = hostile(how, always=True)
    r = srv.get(key(13))
    assert r.status == 500 and "the worker died twice over this chunk" in r.text, r
    assert srv.chunk(key(1)) == body(1)
    assert srv.metric("worker_deaths_total") == 2


def test_a_manifest_that_is_too_large_is_named(hostile):
    with pytest.raises(AssertionError, match="the manifest is larger than the limit of 64 MiB"):
        hostile("large_manifest")


def test_one_that_hangs_up_but_lives(hostile):
    srv = hostile("hang_up")
    assert srv.chunk(key(13)) == body(13)
    assert srv.metric("worker_deaths_total") == 1


def test_an_answer_given_twice(hostile):
    srv = hostile("twice")
    assert srv.chunk(key(13)) == body(13)
    srv.wait_log("worker 0 is killed: it broke the protocol")
    assert srv.chunk(key(2)) == body(2)


@pytest.mark.parametrize("how", ["flags", "bytes", "truncate", "scribble", "flood_output"])
def test_what_changes_nothing(hostile, how):
    """Sealed slots can't be resized; sizes and times that a worker states aren't believed."""
    srv = hostile(how)
    assert srv.chunk(key(13)) == body(13)
    assert "the slot could be resized" not in srv.log
    for i in range(20, 25):
        assert srv.chunk(key(i)) == body(i)
    assert srv.process.poll() is None
    stats = next(a for a in srv.get("/api/stats").json()["arrays"] if a["path"] == "a")
    assert stats["compute_us"] < 60e6 * lzr.SLOW


@pytest.mark.parametrize("how", ["binary_text", "no_text", "cancelled_unasked"])
def test_a_failure_that_is_a_lie(hostile, how):
    """It is a failure of this chunk, whatever its text."""
    srv = hostile(how)
    r = srv.get(key(13))
    assert r.status == 500 and r["Content-Type"].startswith("text/plain") and len(r.body) < 20000
    assert srv.chunk(key(2)) == body(2)
    assert srv.metric("worker_deaths_total") == 0


def test_one_that_says_nothing_more(hostile):
    srv = hostile("deaf")
    assert srv.chunk(key(1)) == body(1)  # the first block of a worker has longer
    r = srv.get(key(13))
    assert r.status == 503 and "took longer than 3 s" in r.text
    assert srv.chunk(key(13)) == body(13)


def test_one_that_has_begun_what_it_never_answers(hostile):
    """A job sent ahead counts as begun when its slot says so, and what was before it as done; but a worker
    may write there what it likes."""
    srv = hostile("begun", always=True)
    for i in range(20, 30):
        assert srv.chunk(key(i)) == body(i)  # quick ones: the next is sent ahead
    for i in 13, 33, 53, 73:
        with srv.connect() as one, srv.connect() as other:
            one.send("GET", key(i))
            other.send("GET", key(i + 1))
            r = one.read()
            assert r.status == 503 and "took longer than 3 s" in r.text, r
            assert other.read().body == body(i + 1)  # by the next worker
        if "both are begun" in srv.log:
            break
    assert "both are begun" in srv.log  # else it wasn't sent ahead four times
    assert srv.metric("retries_total") == 0
