"""The world stands still: a file system, a worker, a child, whoever reads the log, a client; while lazarr loads,
serves, reloads, stops. Cached chunks are answered all the same, other arrays are computed, a reload is answered,
and a stop ends within 15 s.

Calls that never return are a library's that is preloaded (still.c). test_frozen.py has the kernel's own."""
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import lzr
from preload import preloaded

CORES = max(2, len(os.sched_getaffinity(0)))
STOP = 15
STORE = """
import lazarr, numpy as np, os
here = os.path.dirname(os.path.abspath(__file__))
def mapped(name):
    return lambda: np.memmap(os.path.join(here, name), dtype="int32", mode="r", shape=(40000,))
far = lazarr.source("far", chunks=100)(mapped("remote/far.bin"))
near = lazarr.source("near", chunks=100)(mapped("near.bin"))
def act(block, *inputs):
    return inputs[0] + 1 if inputs else np.full(4, 7, "float32")
lazarr.array("of_far", inputs=[far], dtype="int32", halo=8, compressor=None)(lambda block, far: far + 1)
lazarr.array("of_near", inputs=[near], dtype="int32", halo=8, compressor=None)(lambda block, near: near + 1)
both = lazarr.array("of_both", inputs=[near, far], dtype="int32", compressor=None)(lambda block, near, far: near + far)
lazarr.array("plain", shape=(4000,), chunks=(4,), dtype="float32", compressor=None, timeout=2)(act)
image = lazarr.source("image", chunks=(32, 32), axes="yx", levels=3)(
    lambda: np.memmap(os.path.join(here, "remote/far.bin"), dtype="uint8", mode="r", shape=(400, 400)))
"""
VALUES = np.arange(40000, dtype="int32")


class Still:
    """A store's folder with remote/ in it, and the calls of its servers and their workers that are held."""

    def __init__(self, folder, store=STORE):
        self.folder, self.flags = folder, folder / "flags"
        self.flags.mkdir()
        (folder / "remote").mkdir()
        VALUES.tofile(folder / "remote/far.bin")
        VALUES.tofile(folder / "near.bin")
        self.store = folder / "s.py"
        self.store.write_text(store)
        self.env = {**preloaded("still"), "STILL": str(self.flags)}

    def hold(self, *calls):
        for call in calls:
            (self.flags / call).touch()

    def let_go(self):
        for flag in self.flags.iterdir():
            flag.unlink()


@pytest.fixture
def still(tmp_path):
    s = Still(tmp_path)
    yield s
    s.let_go()


def key(array, i, face="zarr3"):
    return f"/{face}/s.zarr/{array}/c/{i}"


def soon(srv, target, seconds=1):
    """A chunk that must come within a second."""
    begun = time.monotonic()
    body = srv.chunk(target)
    assert time.monotonic() - begun < seconds * lzr.SLOW, (target, time.monotonic() - begun)
    return body


def others_go_on(srv, i):
    """Cached chunks come, and arrays that have nothing to do with what stands still are computed."""
    soon(srv, key("far", 0))
    soon(srv, key("of_far", 0))
    assert np.frombuffer(soon(srv, key("plain", i), 5), "float32").tolist() == [7] * 4
    assert (np.frombuffer(soon(srv, key("of_near", i), 5), "int32") == VALUES[100 * i:100 * i + 100] + 1).all()
    soon(srv, key("near", i), 5)


def stop_in_time(srv):
    begun = time.monotonic()
    assert srv.stop(timeout=STOP * lzr.SLOW) == 0
    return time.monotonic() - begun


def cpu(pid):
    f = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def warm(srv):
    for array in "far", "of_far", "of_both", "near", "of_near", "plain":
        srv.chunk(key(array, 0))


# ------------------------------------------------------------------------------------- file systems

@pytest.mark.parametrize("call", ["read", "open", "stat"])
def test_serving(serve, still, call):
    """More reads hang than there are threads of any kind: chunks of that file are 503, at --read-timeout and then
    at once; nothing else notices, and once the file answers it is read again."""
    srv = serve(still.store, "--workers", "2", "--read-timeout", "2", env=still.env)
    warm(srv)
    still.hold(f"server.{call}")
    asked = [srv.begin(key(array, 10 + i)) for i in range(2 * CORES + 2) for array in ("far", "of_far", "of_both")]
    asked.append(srv.begin("/zarr3/s.zarr/image/2/c/0/0"))
    lzr.wait_until(lambda: srv.metric("reads_stalled") >= 2, "stalled reads")
    for i in range(1, 6):
        others_go_on(srv, i)
    for pending in asked:
        r = pending.result()
        assert r.status == 503 and r["Retry-After"], r
        assert "far.bin" in r.text and "--read-timeout" in r.text, r
    m = srv.metrics()
    assert m["threads_left"] == m["read_timeouts_total"] == min(CORES, 16), m
    assert m["worker_deaths_total"] == m["worker_kills_total"] == 0
    begun = time.monotonic()
    assert srv.get(key("far", 99)).status == 503
    assert srv.get(key("of_far", 99)).status == 503
    assert time.monotonic() - begun < 1 * lzr.SLOW  # no thread is given to it any more
    others_go_on(srv, 7)
    still.let_go()
    srv.wait_metric("threads_left", 0)
    srv.wait_metric("reads_stalled", 0)
    assert (np.frombuffer(srv.chunk(key("of_far", 20)), "int32") == VALUES[2000:2100] + 1).all()
    assert (np.frombuffer(srv.chunk(key("of_both", 20)), "int32") == 2 * VALUES[2000:2100]).all()
    srv.chunk("/zarr3/s.zarr/image/2/c/0/0")
    stop_in_time(srv)


def test_slow_is_not_hung(serve, still):
    """Each read takes longer than one that stalls: all chunks come, right, also those that workers compute from
    such a file; meanwhile workers have other work."""
    srv = serve(still.store, "--workers", "1", "--read-timeout", "5", env=still.env)
    warm(srv)
    still.hold("server.slow")
    asked = {(a, i): srv.begin(key(a, i)) for i in range(3, 3 + CORES) for a in ("far", "of_far", "of_both")}
    others_go_on(srv, 1)
    others_go_on(srv, 2)
    wanted = {"far": VALUES, "of_far": VALUES + 1, "of_both": 2 * VALUES}
    with srv.delta() as d:
        for (array, i), pending in asked.items():
            r = pending.result()
            assert r.status == 200, r
            if array != "far":  # which is compressed
                assert (np.frombuffer(r.body, "int32") == wanted[array][100 * i:100 * i + 100]).all(), (array, i)
    assert d["read_timeouts_total"] == d["worker_starts_total"] == 0
    srv.wait_metric("reads_stalled", 0)


def test_all_that_wait_come_when_a_file_answers(serve, still):
    """A file that stands still for a moment, whatever waits for it: more than may stall."""
    srv = serve(still.store, "--workers", "1", "--read-timeout", "60", env=still.env)
    warm(srv)
    still.hold("server.read")
    asked = [(i, srv.begin(key(array, i))) for i in range(10, 12 + 8 * CORES) for array in ("far", "of_far")]
    lzr.wait_until(lambda: srv.metric("reads_stalled") >= CORES, "stalled reads")
    soon(srv, key("near", 1), 5)
    still.let_go()
    for i, pending in asked:
        assert pending.result(lzr.WAIT).status == 200, i
    srv.wait_metric("reads_stalled", 0)
    stop_in_time(srv)


def test_trickling_read_goes_on(serve, still):
    """What takes longer than --read-timeout in all, but answers again and again, is no hung read."""
    srv = serve(still.store, "--workers", "1", "--read-timeout", "0.5", env=still.env)
    still.hold("server.slow")
    assert len(srv.chunk("/zarr3/s.zarr/image/0/c/0/0"))
    assert srv.metric("read_timeouts_total") == 0


def reload_of(srv):
    """POST /api/reload; its answer, and how long that took."""
    begun = time.monotonic()
    r = srv.request("POST", "/api/reload")
    return r, time.monotonic() - begun


@pytest.mark.parametrize("call", ["read", "open"])
def test_reloading(serve, still, call):
    """A source's file hangs: a reload goes on without it, one after the other; its chunks come once it answers."""
    srv = serve(still.store, "--workers", "1", "--read-timeout", "1", env=still.env)
    warm(srv)
    still.hold(f"server.{call}")
    for turn in range(2):
        r, took = reload_of(srv)
        assert r.status == 200 and took < 10 * lzr.SLOW, (r, took)
        soon(srv, key("plain", turn), 5)
        soon(srv, key("of_near", turn), 5)
    assert srv.get(key("far", 3)).status == 503
    still.let_go()
    srv.wait_metric("threads_left", 0)
    srv.chunk(key("far", 3))
    stop_in_time(srv)


def test_reloading_of_a_store_that_hangs(serve, tmp_path):
    """The store's own folder doesn't answer: each reload says so, and the old stores go on."""
    still = Still(tmp_path)
    store = tmp_path / "remote" / "s.py"
    store.write_text(STORE.replace('"remote/far.bin"', '"far.bin"').replace('"near.bin"', '"../near.bin"'))
    srv = serve(store, "--workers", "1", "--read-timeout", "1", env=still.env)
    warm(srv)
    still.hold("server.stat")
    for _ in range(2):
        r, took = reload_of(srv)
        assert r.status != 200 and "no answer for 1 s" in r.text and took < 10 * lzr.SLOW, (r, took)
        soon(srv, key("far", 0))
        soon(srv, key("plain", 1), 5)
    stop_in_time(srv)
    still.let_go()


@pytest.mark.parametrize("phase, call", [
    ("serving", "server.read"), ("serving", "server.spawn"), ("reloading", "server.read"), ("reloading", "server.open"),
    ("reloading", "server.stat"), ("reloading", "server.spawn"), ("reloading", "worker.open")])
def test_stopping(serve, still, call, phase):
    """Whatever hangs, with clients that wait for it or a reload that does: a stop ends in time, with status 0."""
    srv = serve(still.store, "--workers", "2", "--read-timeout", "100", env=still.env)
    warm(srv)
    still.hold(call)
    for i in range(2 * CORES):
        srv.begin(key("far", 10 + i))
        srv.begin(key("of_far", 10 + i))
    if call == "server.spawn":
        os.kill(srv.worker_pids()[0], signal.SIGKILL)
    if phase == "reloading":
        srv.begin("/api/reload", method="POST")
        srv.wait_log("reloading the stores")
    soon(srv, key("far", 0))
    stop_in_time(srv)


def start(still, *args):
    """A server of which nobody waits until it serves."""
    return subprocess.Popen([lzr.LAZARR, "serve", still.store, "--port", "0", "--workers", "1", *args],
                            env=lzr.environment(**still.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            preexec_fn=lzr._die_with_parent)


@pytest.mark.parametrize("call", ["server.read", "server.open", "server.spawn", "worker.open"])
def test_loading(still, call):
    """It hangs while the stores are loaded: a stop ends it at once."""
    still.hold(call)
    p = start(still, "--read-timeout", "100")
    time.sleep(1)  # there is nothing to wait for: it says nothing and does nothing
    assert p.poll() is None
    begun = time.monotonic()
    p.terminate()
    assert p.wait(STOP * lzr.SLOW) == 0 and time.monotonic() - begun < 5 * lzr.SLOW
    p.stderr.close()


def test_loading_goes_on_without_a_file(serve, still):
    """A source's file hangs while it is looked at: the server serves all else."""
    still.hold("server.open")
    srv = serve(still.store, "--workers", "1", "--read-timeout", "1", env=still.env)
    soon(srv, key("plain", 0), 5)
    soon(srv, key("of_near", 0), 5)
    assert srv.get(key("far", 0)).status == 503
    still.let_go()
    srv.wait_metric("threads_left", 0)
    srv.chunk(key("far", 0))


def test_worker_that_cannot_be_started(serve, still):
    """The program itself lies on a file system that hangs: supervision goes on, a reload is answered."""
    srv = serve(still.store, "--workers", "2", "--read-timeout", "1", env=still.env)
    warm(srv)
    still.hold("server.spawn")
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    srv.wait_log("cannot be started.*doesn't answer")
    others_go_on(srv, 1)
    r, took = reload_of(srv)
    assert r.status != 200 and took < 10 * lzr.SLOW, r
    others_go_on(srv, 2)
    used = cpu(srv.process.pid)
    time.sleep(1)
    assert cpu(srv.process.pid) - used < 0.3 * lzr.SLOW
    still.let_go()
    lzr.wait_until(lambda: srv.metric("workers") == 2, "both workers")
    assert reload_of(srv)[0].status == 200
    stop_in_time(srv)


# ------------------------------------------------------------------------------------------- workers

ANSWERS = """
import lazarr, numpy as np
lazarr.array("large", shape=(200000,), chunks=(50000,), dtype="uint8")(lambda block: block.index)
lazarr.array("quick", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)(lambda block: 7)
@lazarr.array("slow", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def slow(block):
    while True:
        pass
"""


def test_an_answer_that_lies_unread(serve, tmp_path):
    """Every codec thread is held up for longer than a block may take: a worker that has answered isn't killed for
    it, one that hasn't is."""
    still = Still(tmp_path, ANSWERS)
    srv = serve(still.store, "--workers", str(CORES + 2), env={**still.env, "STILL_PACK": "50000"})
    still.hold("server.pack")
    large = [srv.begin(f"/zarr3/s.zarr/large/c/{i}") for i in range(CORES)]
    srv.wait_metric("running", 0)
    quick = srv.begin("/zarr3/s.zarr/quick/c/1")
    slow = srv.begin("/zarr3/s.zarr/slow/c/1")
    assert slow.result().status == 503  # which shows that time goes by
    assert not quick.answered()
    time.sleep(1)
    still.let_go()
    assert quick.result().status == 200
    assert all(p.result().status == 200 for p in large)
    assert srv.metric("worker_kills_total") == 1
    assert srv.log.count("beyond its deadline") == 1


@contextlib.contextmanager
def held_by_a_debugger(pid):
    """PTRACE_SEIZE: its end isn't seen until the debugger lets it go."""
    code = ("import ctypes, sys, time\n"
            "r = ctypes.CDLL(None, use_errno=True).ptrace(0x4206, int(sys.argv[1]), None, None)\n"
            "print(r, flush=True); time.sleep(1000)\n")
    p = subprocess.Popen(["/usr/bin/python3", "-c", code, str(pid)], stdout=subprocess.PIPE, text=True,
                         preexec_fn=lzr._die_with_parent)
    try:
        lzr.need(p.stdout.readline().strip() == "0", "the right to trace a process (ptrace)")
        yield p
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


HANGS = """
import lazarr, numpy as np, subprocess, time
lazarr.array("plain", shape=(4000,), chunks=(4,), dtype="float32", compressor=None)(lambda b: np.full(4, 7, "float32"))
@lazarr.array("hangs", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def hangs(block):
    time.sleep(1000)
@lazarr.array("child", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def child(block):
    subprocess.run(["sh", "-c", "kill -STOP $$"])
"""


@pytest.fixture
def hangs(serve, tmp_path):
    (tmp_path / "s.py").write_text(HANGS)
    return lambda *args: serve(tmp_path / "s.py", *args)


def at_rest(srv):
    used = cpu(srv.process.pid)
    time.sleep(1)
    assert cpu(srv.process.pid) - used < 0.3 * lzr.SLOW


@pytest.mark.parametrize("how", ["deadline", "killed", "stopped"])
def test_a_worker_that_a_debugger_holds(hangs, how):
    """It dies and can't be waited for: written off after a second, said once; no time is used up, blocks are
    computed, reloads answered, and the stop is in time."""
    srv = hangs("--workers", "1")
    srv.chunk(key("plain", 0))
    pid = srv.worker_pids()[0]
    with held_by_a_debugger(pid):
        if how == "deadline":
            assert srv.get("/zarr3/s.zarr/hangs/c/0").status == 503
        else:
            os.kill(pid, signal.SIGSTOP if how == "stopped" else signal.SIGKILL)
            if how == "stopped":
                assert srv.get("/zarr3/s.zarr/hangs/c/0").status == 503
        srv.wait_log(rf"worker 0 \(process {pid}\) was killed and doesn't go")
        lzr.wait_until(lambda: srv.metric("workers") == 1, "another worker")
        soon(srv, key("plain", 1), 5)
        at_rest(srv)
        assert reload_of(srv)[0].status == 200
        soon(srv, key("plain", 2), 5)
        assert srv.log.count("doesn't go") == 1
        assert stop_in_time(srv) < 10 * lzr.SLOW


@pytest.mark.parametrize("phase", ["serving", "reloading", "stopping"])
def test_a_worker_that_is_held_when_it_ends(hangs, phase):
    srv = hangs("--workers", "2")
    srv.chunk(key("plain", 0))
    with contextlib.ExitStack() as stack:
        for pid in srv.worker_pids():
            stack.enter_context(held_by_a_debugger(pid))
        if phase == "reloading":
            for _ in range(3):  # each leaves an edition behind, whose workers don't go
                r, took = reload_of(srv)
                assert r.status == 200 and took < 10 * lzr.SLOW, r
            soon(srv, key("plain", 1), 5)
        if phase == "serving":
            srv.kill_workers()
            srv.wait_log("doesn't go")
            soon(srv, key("plain", 1), 5)
        assert stop_in_time(srv) < 10 * lzr.SLOW


@pytest.mark.parametrize("array", ["hangs", "child"])
def test_a_worker_or_its_child_stands_still(hangs, array):
    """SIGSTOP: its block ends at the deadline, and nobody else waits for it."""
    srv = hangs("--workers", "2")
    srv.chunk(key("plain", 0))
    pending = srv.begin(f"/zarr3/s.zarr/{array}/c/0")
    if array == "hangs":
        srv.wait_metric("running", 1)
        for pid in srv.worker_pids()[:1]:
            os.kill(pid, signal.SIGSTOP)
    for i in range(1, 4):
        soon(srv, key("plain", 0))
    assert pending.result().status == 503
    soon(srv, key("plain", 5), 5)
    stop_in_time(srv)


def test_everything_at_once(serve, still):
    """Reads hang, a worker is held by a debugger, another one stands still, nobody reads the log, a client doesn't
    read its answer."""
    read, write = os.pipe()
    srv = serve(still.store, "--workers", "4", "--read-timeout", "100", env=still.env, stderr=write)
    os.close(write)
    warm(srv)
    lazy = srv.connect()
    lazy.send("GET", key("far", 0))
    still.hold("server.read", "server.open", "server.stat")
    pids = srv.worker_pids()
    with held_by_a_debugger(pids[0]):
        os.kill(pids[0], signal.SIGKILL)
        os.kill(pids[1], signal.SIGSTOP)
        for i in range(2 * CORES):
            srv.begin(key("far", 10 + i))
            srv.begin(key("of_far", 10 + i))
        for i in range(1, 4):
            soon(srv, key("far", 0))
            srv.get(key("plain", i))  # by the one that stands still: 503 at its deadline
        soon(srv, key("plain", 9), 10)
        srv.begin("/api/reload", method="POST")
        stop_in_time(srv)
    os.close(read)


# ----------------------------------------------------------------------------------------- process 1

ONE = ["unshare", "-p", "-f", "--mount-proc"]
ORPHANS = """
import lazarr, os, subprocess
@lazarr.array("shell", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def shell(block):
    subprocess.run("sleep 0.05 & exit", shell=True)
    return 1
@lazarr.array("daemon", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def daemon(block):
    subprocess.run(["setsid", "sh", "-c", "sleep 0.1 & exit 0"])
    return 1
@lazarr.array("forks", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def forks(block):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            os._exit(3)
        os._exit(0)
    os.waitpid(pid, 0)
    return 1
@lazarr.array("large", shape=(64, 1024, 1024), chunks=(64, 1024, 1024), dtype="uint8", compressor=None)
def large(block):
    return os.urandom(1)[0]
"""


def as_process_1(serve, folder):
    lzr.need(subprocess.run([*ONE, "true"], stderr=subprocess.DEVNULL).returncode == 0,
             "what makes lazarr process 1 (root or user namespaces, unshare -p)")
    (folder / "s.py").write_text(ORPHANS)
    srv = serve(folder / "s.py", "--workers", "1", wrap=ONE)
    children = Path(f"/proc/{srv.process.pid}/task/{srv.process.pid}/children").read_text().split()
    return srv, int(children[0])


def states_below(pid):
    """Of all its children, of whichever thread."""
    out = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                out.append(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0])
    return out


@pytest.mark.parametrize("array", ["shell", "daemon", "forks"])
def test_process_1_waits_for_orphans(serve, tmp_path, array):
    srv, one = as_process_1(serve, tmp_path)
    for i in range(10):
        srv.chunk(key(array, i))
    lzr.wait_until(lambda: len(states_below(one)) == 1 and "Z" not in states_below(one), "one worker and no zombie")
    os.kill(one, signal.SIGTERM)
    assert srv.process.wait(STOP * lzr.SLOW) == 0


@pytest.mark.parametrize("first, second", [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")])
def test_process_1_ends_at_a_second_signal(serve, tmp_path, first, second):
    srv, one = as_process_1(serve, tmp_path)
    reader = srv.connect()
    reader.send("GET", "/zarr3/s.zarr/large/c/0/0/0")
    reader.sock.recv(100)  # and then it reads no more
    os.kill(one, getattr(signal, f"SIG{first}"))
    srv.wait_log("stopping")
    begun = time.monotonic()
    os.kill(one, getattr(signal, f"SIG{second}"))
    status = srv.process.wait(STOP * lzr.SLOW)
    assert time.monotonic() - begun < 2 * lzr.SLOW
    assert status == 128 + getattr(signal, f"SIG{second}")


def test_a_second_signal_ends_any_other_process_by_itself(serve, tmp_path):
    (tmp_path / "s.py").write_text(ORPHANS)
    srv = serve(tmp_path / "s.py", "--workers", "1")
    reader = srv.connect()
    reader.send("GET", "/zarr3/s.zarr/large/c/0/0/0")
    reader.sock.recv(100)
    srv.process.terminate()
    srv.wait_log("stopping")
    assert srv.stop() == -signal.SIGTERM
