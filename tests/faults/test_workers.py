"""Workers that die, swell, age or can't start. (More of it: tests/e2e/test_b_failures.py.)"""
import os
import re
import resource
import signal
import time

import pytest

import lzr

STORE = """
import lazarr, os, time, ctypes, numpy as np
KEPT = []
def act(block):
    order = gate(block.index)
    if order == "exit":
        os._exit(7)
    if order == "kill":
        os.kill(os.getpid(), 9)
    if order == "segv":
        ctypes.string_at(0)
    if order == "abort":
        os.abort()
    if order == "swell":
        KEPT.append(np.ones(40 << 20, "u1"))
    if order == "hog":
        while True:
            KEPT.append(np.ones(8 << 20, "u1"))
            time.sleep(0.01)
    if order == "too much":
        np.ones(1 << 50, "u1")
    return 5
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return act(block)
"""


def key(i):
    return f"/zarr3/s.zarr/a/c/{i}"


def fine(srv, gate, i):
    p = srv.begin(key(i))
    call = gate.next()
    call.go()
    assert p.result().body == b"\5"
    return call.pid


def quiet(srv):
    m = srv.metrics()
    assert m["running"] == m["queued"] == m["waiting"] == m["slots_pinned"] == 0
    return m


DEATHS = {"exit": "ended with status 7", "kill": "signal 9", "segv": "signal 11", "abort": "signal 6",
          "from outside": "signal 9"}


@pytest.mark.parametrize("how", DEATHS)
def test_a_death_is_retried_once_then_a_500(serve, gate, how):
    """One retry in a fresh worker; the second death is a 500 that is remembered; status, log, counters."""
    srv = serve(gate.code + STORE, "--workers", "1")
    p = srv.begin(key(1))
    for _ in range(2):
        call = gate.next()
        if how == "from outside":
            pid = next(w["pid"] for w in srv.get("/api/workers").json() if w["state"] == "busy")
            assert pid == call.pid
            os.kill(pid, signal.SIGKILL)
        else:
            call.go(how)
    r = p.result()
    assert r.status == 500 and "the worker died twice over this chunk" in r.text and DEATHS[how] in r.text
    srv.wait_log(rf"worker 0 died over s/a, chunk 1: it .*{DEATHS[how]}")
    with srv.delta() as d:
        assert srv.get(key(1)).status == 500
    assert d["remembered_failures_total"] == 1 and d["worker_deaths_total"] == 0
    fine(srv, gate, 2)
    m = quiet(srv)
    assert m["worker_deaths_total"] == 2 and m["retries_total"] == 1 and m["worker_starts_total"] == 3


def test_a_poison_chunk_hurts_no_other(serve, gate):
    """Asked for again and again, it is computed ever more rarely; its neighbours are served."""
    srv = serve(gate.code + STORE.replace("order = gate(block.index)",
                                          'order = "exit" if block.index == 13 else "go"'),
                "--workers", "2")
    statuses = []
    for i in range(100, 160):
        statuses.append(srv.get(key(13)).status)
        assert srv.chunk(key(i)) == b"\5"
    assert set(statuses) == {500}
    m = quiet(srv)
    assert m["worker_deaths_total"] <= 2 * (1 + 60 / 5)  # remembered for 5 s and more
    assert m["remembered_failures_total"] >= 50 / lzr.SLOW


def test_a_memory_hog_is_killed_at_the_hard_limit(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "1", "--worker-memory", "0,300MiB")
    p = srv.begin(key(1))
    gate.next().go("hog")
    gate.next().go("hog")
    r = p.result()
    assert r.status == 500, r
    assert re.search(r"died twice over this chunk: it used \d+ MiB of memory, more than "
                     r"--worker-memory allows \(300 MiB\), and was killed", r.text), r.text
    srv.wait_log(r"worker 0 is killed: it used \d+ MiB of memory")
    fine(srv, gate, 2)
    m = quiet(srv)
    assert m["memory_kills_total"] == 2 and m["worker_deaths_total"] == 2 and m["retries_total"] == 1


def own_bytes(pid):
    """Memory of a process' own, as the server counts it."""
    with open(f"/proc/{pid}/statm") as f:
        _, resident, shared = map(int, f.read().split()[:3])
    return (resident - shared) * os.sysconf("SC_PAGESIZE")


def test_a_worker_beyond_the_soft_limit_is_replaced_after_its_block(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "1", "--worker-memory", "150MiB")
    pids, i = [], 0
    while not pids or own_bytes(pids[0]) <= 150 << 20:
        p = srv.begin(key(i))
        call = gate.next()
        pids.append(call.pid)
        call.go("swell")
        assert p.result().body == b"\5"
        i += 1
        assert i < 12
    assert len(set(pids)) == 1 and i >= 2  # not before
    srv.wait_log("worker 0 is replaced: it has grown beyond the soft limit of --worker-memory")
    assert fine(srv, gate, i) != pids[0]
    m = quiet(srv)
    assert m["worker_recycles_total"] == 1
    assert m["worker_deaths_total"] == m["memory_kills_total"] == m["retries_total"] == 0


def test_a_memory_error_is_an_ordinary_failure(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "1")
    p = srv.begin(key(1))
    gate.next().go("too much")
    r = p.result()
    assert r.status == 500 and "MemoryError" in r.text
    fine(srv, gate, 2)
    assert quiet(srv)["worker_deaths_total"] == 0


def test_a_worker_is_replaced_after_its_jobs(serve):
    srv = serve("""
import lazarr, os
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint32", compressor=None)
def a(block):
    return os.getpid()
""", "--workers", "1", "--worker-jobs", "20")
    pids = [int.from_bytes(srv.chunk(key(i)), "little") for i in range(100)]
    runs = [pids.count(p) for p in dict.fromkeys(pids)]
    assert len(runs) >= 3 and max(runs) <= 21, runs  # one may have been sent ahead
    m = quiet(srv)
    assert m["worker_recycles_total"] >= 2 and m["worker_deaths_total"] == 0


def test_a_worker_is_replaced_at_its_age(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "1", "--worker-age", "1.5")
    first = fine(srv, gate, 1)
    lzr.wait_until(lambda: srv.metric("worker_recycles_total") >= 1, "a replacement")
    srv.wait_metric("workers", 1)
    assert fine(srv, gate, 2) != first
    srv.wait_log("worker 0 is replaced: it has reached the age that --worker-age allows")
    # Not in the middle of a block.
    p = srv.begin(key(3))
    call = gate.next()
    assert not call.gone(2.5)
    call.go()
    assert p.result().body == b"\5" and srv.metric("worker_deaths_total") == 0


def test_a_crash_loop_backs_off(serve, tmp_path):
    """A store that begins to crash its workers: ever longer pauses, requests aren't lost, and it goes on
    once the store is well again."""
    broken = tmp_path / "broken"
    srv = serve(f"""
import lazarr, os
if os.path.exists({str(broken)!r}):
    os._exit(3)
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return 5
""", "--workers", "1", "--first-byte", "2")
    assert srv.chunk(key(0)) == b"\5"
    broken.touch()
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    srv.wait_log(r"worker 0: the worker died while it loaded the stores: it ended with status 3")
    start = time.monotonic()
    r = srv.get(key(1))
    assert r.status == 503 and int(r["Retry-After"]) > 0, r
    assert srv.chunk(key(0)) == b"\5"  # what is cached is served
    lzr.wait_until(lambda: srv.metric("worker_starts_total") >= 6, "some tries", 60 * lzr.SLOW)
    # 0.1 + 0.2 + 0.4 + 0.8 s lie between six starts
    assert time.monotonic() - start > 1
    worker = srv.get("/api/workers").json()[0]
    assert worker["state"] in ("backing off", "starting", "ending")
    assert "died while it loaded the stores" in worker["error"]
    broken.unlink()
    lzr.wait_until(lambda: srv.metric("workers") == 1, "it has recovered", 60 * lzr.SLOW)
    assert srv.chunk(key(1)) == b"\5"
    assert "error" not in srv.get("/api/workers").json()[0]


def test_a_store_that_begins_to_raise(serve, tmp_path):
    """The last traceback is in /api/workers."""
    broken = tmp_path / "broken"
    srv = serve(f"""
import lazarr, os
def check():
    if os.path.exists({str(broken)!r}):
        raise OSError("the disk is gone: \u00b5")
check()
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return 5
""", "--workers", "1")
    assert srv.chunk(key(0)) == b"\5"
    broken.touch()
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    worker = lzr.wait_until(lambda: next((w for w in srv.get("/api/workers").json() if "error" in w), None),
                            "an error")
    assert "the disk is gone: \u00b5" in worker["error"] and ", in check" in worker["error"]
    broken.unlink()
    lzr.wait_until(lambda: srv.metric("workers") == 1, "it has recovered", 60 * lzr.SLOW)


def test_each_failure_to_load_has_its_own_reason(serve, tmp_path):
    """Not that of a process before it, nor, once one has loaded, any."""
    broken = tmp_path / "broken"

    def say(order):
        (tmp_path / "order").write_text(order)
        (tmp_path / "order").rename(broken)
    srv = serve(f"""
import lazarr, os, time
def order():
    try:
        return open({str(broken)!r}).read()
    except FileNotFoundError:
        return "load"
def check():
    while (now := order()) == "wait":
        time.sleep(0.01)
    if now == "raise":
        raise OSError("the disk is gone")
    if now == "exit":
        os._exit(3)
check()
@lazarr.array("a", shape=(1000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return 5
""", "--workers", "1")
    say("raise")
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    srv.wait_log(r"worker 0: .*the disk is gone")
    say("exit")
    srv.wait_log(r"worker 0: the worker died while it loaded the stores: it ended with status 3")
    lzr.wait_until(lambda: "status 3" in srv.get("/api/workers").json()[0].get("error", ""), "that reason")
    say("raise")
    with srv.connect() as h:
        def error():
            return h.get("/api/workers").json()[0].get("error", "")
        lzr.wait_until(lambda: "Traceback" in error(), "a reason with a traceback")
        soft, hard = resource.prlimit(srv.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(srv.process.pid, resource.RLIMIT_NOFILE, (8, hard))
        lzr.wait_until(lambda: "Too many open files" in error(), "that none can be started")
        assert "Traceback" not in error() and "the disk is gone" not in error()
        resource.prlimit(srv.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    broken.unlink()
    lzr.wait_until(lambda: srv.metric("workers") == 1, "it has recovered", 60 * lzr.SLOW)
    say("wait")
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    w = lzr.wait_until(lambda: [w for w in srv.get("/api/workers").json() if w["state"] == "starting"], "a new one")
    assert "error" not in w[0]
    broken.unlink()
    lzr.wait_until(lambda: srv.metric("workers") == 1, "it has recovered", 60 * lzr.SLOW)


def test_a_store_that_crashes_at_import(tmp_path):
    """At the start it is an error in a line, with the reason."""
    (tmp_path / "s.py").write_text("import os\nos._exit(3)\n")
    r = lzr.run("serve", tmp_path / "s.py", "--port", "0")
    assert r.returncode == 1
    assert b"died while it loaded the stores: it ended with status 3" in r.stderr
    assert len(r.stderr.splitlines()) <= 2, r.stderr


def test_a_worker_can_do_little(serve):
    """no_new_privs, no descriptors but its own, no core files, first to go when memory is short."""
    srv = serve("""
import lazarr, os, resource
@lazarr.array("a", shape=(10,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    assert status["NoNewPrivs"].strip() == "1"
    assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)  # none, also where a program takes them
    assert open("/proc/self/oom_score_adj").read().strip() == "500"
    for fd in os.listdir("/proc/self/fd"):
        try:
            what = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue  # that of the listing itself
        assert what == "/dev/null" or what.startswith(("pipe:", "socket:", "/proc")) or (
            "memfd:" in what), (fd, what)
        if what.startswith("socket:"):
            assert int(fd) == 3, (fd, what)
            assert not os.get_inheritable(3)
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LAZARR_TOKEN"):
        assert name not in os.environ, name
    assert os.environ["HOME_OF_TEST"] == "stays"
    return 1
""", "--workers", "1", env={"NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "1", "LISTEN_PID": "1",
                            "LAZARR_TOKEN": "secret-of-a-test", "HOME_OF_TEST": "stays"})
    assert srv.chunk("/t/secret-of-a-test" + key(1)) == b"\1"
