"""Somebody sets the clock of the day, by a day, while everything runs; and all of it stands still for a while.

The clock is a library that is preloaded into the server and its workers (skew.c): what reads CLOCK_REALTIME, or
waits for a time on it, sees it jump when a test says so. CLOCK_MONOTONIC goes on, as it does on a real machine.
On the sanitizer builds, too."""
import contextlib
import email.utils
import mmap
import os
import random
import re
import signal
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

import lzr
from preload import preloaded

DAY = 86400
JUMPS = pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
STORE = """
import lazarr, time
def act(block):
    order = gate(block.index)
    if order == "hang":
        time.sleep(1000)
    if order == "fail":
        raise ValueError("as it was told")
    return block.index % 256
def array(name, **more):
    lazarr.array(name, shape=(1000,), chunks=(1,), dtype="uint8", compressor=None, **more)(act)
array("a")
array("short", timeout=1)
"""
QUICK = """
import lazarr
@lazarr.array("a", shape=(100000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return block.index % 256
"""


def key(i, array="a"):
    return f"/zarr3/s.zarr/{array}/c/{i}"


class Clock:
    """The clock of the day of the servers that are started with its env."""

    def __init__(self, folder):
        path = folder / "skew"
        path.write_bytes(bytes(24))
        self.env = {**preloaded("skew"), "SKEW_FILE": str(path)}
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 24)

    def set(self, seconds):
        """So much later (earlier) than it really is."""
        self.map[0:8] = struct.pack("=q", int(seconds * 1e9))

    @property
    def waits(self):
        """How often something has waited for a time on it."""
        return struct.unpack("=q", self.map[16:24])[0]


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


@pytest.fixture
def start(serve, clock):
    """A server whose clock of the day is `clock`."""
    def started(store, *args):
        srv = serve(store, *args, env=clock.env)
        clock.set(-7 * DAY)
        assert -7 * DAY - 60 < day_of(srv) - time.time() < -7 * DAY + 60 * lzr.SLOW, "it isn't preloaded"
        clock.set(0)
        return srv
    return started


def day_of(srv):
    """The time of day as the server has it, from an answer's Date."""
    return email.utils.parsedate_to_datetime(srv.get("/healthz")["Date"]).timestamp()


def fine(srv, gate, i=500, array="a"):
    """The server computes a chunk as ever."""
    p = srv.begin(key(i, array))
    call = gate.next()
    assert call.key == str(i)
    call.go()
    r = p.result()
    assert r.status == 200 and r.body == bytes([i % 256])
    return call.pid


def quiet(srv):
    m = srv.metrics()
    assert m["running"] == m["queued"] == m["waiting"] == 0
    return m


# --------------------------------------------------------------------------------- the clock is set

@JUMPS
def test_workers_see_it_too(start, clock, jump):
    """What user code makes of the time is its own matter; here it shows that the tests reach workers."""
    srv = start("""
import lazarr, time
@lazarr.array("a", shape=(9,), chunks=(1,), dtype="int64", compressor=None)
def a(block):
    return int(time.time())
""", "--workers", "1")
    for i, ahead in enumerate([0, jump, 0]):
        clock.set(ahead)
        there = int.from_bytes(srv.chunk(key(i)), "little")
        assert abs(there - time.time() - ahead) < 60 * lzr.SLOW


@JUMPS
def test_a_deadline(start, clock, gate, jump):
    """Killed when its second is over: not at once, not a day later."""
    srv = start(gate.code + STORE, "--workers", "1")
    waited = []
    for i, status in ((1, 503), (1, 500)):
        clock.set(0)
        fine(srv, gate, 100 + len(waited), "short")  # a worker's first block has longer
        began = time.monotonic()
        p = srv.begin(key(i, "short"))
        gate.next().go("hang")
        clock.set(jump)
        r = p.result()
        waited.append(time.monotonic() - began)
        assert r.status == status and "took longer than 1 s and was killed" in r.text
        assert waited[-1] >= 1, waited
    assert min(waited) <= 1 + 0.5 * lzr.SLOW, waited
    fine(srv, gate)
    m = quiet(srv)
    assert m["worker_kills_total"] == 2 and m["worker_deaths_total"] == m["retries_total"] == 0


@JUMPS
def test_a_first_byte_and_the_hold_behind_it(start, clock, gate, jump):
    """503 when its second is over; the work goes on for whoever was sent away, for a minute."""
    srv = start(gate.code + STORE, "--workers", "1", "--first-byte", "1", "--cache", "0")
    began = time.monotonic()
    p = srv.begin(key(1))
    call = gate.next()
    clock.set(jump)
    r = p.result()
    took = time.monotonic() - began
    assert r.status == 503 and int(r["Retry-After"]) > 0
    assert 1 <= took < 1 + 5 * lzr.SLOW
    # It is held across a jump. That the supervisor has looked since is shown by another's 503.
    clock.set(0)
    other = srv.begin(key(2))
    srv.wait_metric("queued", 1)
    clock.set(jump)
    assert other.result().status == 503
    m = srv.metrics()
    assert m["interrupted_total"] == 0 and m["dropped_total"] == 0 and m["queued"] == 1
    call.go()
    gate.next().go()
    srv.wait_metric("encoded_total", 2)
    # What it came to is held as well: likewise.
    clock.set(0)
    p = srv.begin(key(3))
    call = gate.next()
    clock.set(jump)
    assert p.result().status == 503
    assert [srv.chunk(key(i)) for i in (1, 2)] == [b"\1", b"\2"]
    assert srv.metric("computed_total") == 2 and gate.empty()
    call.go()
    srv.wait_metric("encoded_total", 3)
    quiet(srv)


@JUMPS
def test_a_failure_is_remembered_for_its_five_seconds(start, clock, gate, jump):
    srv = start(gate.code + STORE, "--workers", "1")
    began = time.monotonic()
    p = srv.begin(key(1))
    gate.next().go("fail")
    assert p.result().status == 500
    clock.set(jump)
    assert srv.get(key(1)).status == 500 and gate.empty()
    if jump > 0:
        return  # and so it goes on
    told = time.monotonic()
    while gate.empty():
        assert time.monotonic() - told < 5 + 5 * lzr.SLOW, "for ever"
        p = srv.begin(key(1))
        lzr.wait_until(lambda: p.answered() or not gate.empty(), "an answer, or another run")
        if p.answered():
            assert p.result().status == 500 and gate.empty()
        time.sleep(0.05)  # asked for now and then
    assert time.monotonic() - began >= 5
    gate.next().go()
    assert p.result().body == b"\1"


@JUMPS
def test_a_worker_s_age(start, clock, jump):
    """Replaced when it is 3 s old (up to a tenth earlier), as the kernel counts."""
    srv = start(QUICK, "--workers", "1", "--worker-age", "3")

    def begun():
        born = {}
        for pid in srv.worker_pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                born[pid] = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return born
    first = begun()
    assert len(first) == 1
    clock.set(jump)
    asked = 0

    def another():
        nonlocal asked
        assert srv.chunk(key(asked)) == bytes([asked % 256])
        asked += 1
        return {pid: at for pid, at in begun().items() if pid not in first}
    second = lzr.wait_until(another, "its successor")
    age = min(second.values()) - min(first.values())
    assert 2.69 <= age <= 3 + 2 * lzr.SLOW, age
    srv.wait_log("worker 0 is replaced: it has reached the age that --worker-age allows")
    assert quiet(srv)["worker_deaths_total"] == 0


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@JUMPS
def test_an_end_that_a_worker_holds_up(start, clock, gate, jump):
    """Told to end, an idle worker can't, since a thread of the store has the GIL: it gets its 2.5 s, no day."""
    srv = start(gate.code + """
import lazarr, threading
def hold():
    gate("hold")
    sum(range(10**12))
@lazarr.array("a", shape=(9,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    threading.Thread(target=hold, daemon=True).start()
    return 5
""", "--workers", "1")
    p = srv.begin(key(1))
    call = gate.next()
    assert p.result().body == b"\5"
    before = cpu_seconds(call.pid)
    call.go()
    lzr.wait_until(lambda: cpu_seconds(call.pid) > before + 0.1, "the thread counts")
    began = time.monotonic()
    srv.process.send_signal(signal.SIGTERM)
    srv.wait_log("stopping")
    for days in range(1, 1000):  # again and again: whatever it waits for, a jump comes meanwhile
        clock.set(jump * days)
        with contextlib.suppress(subprocess.TimeoutExpired):
            srv.process.wait(0.1)
            break
        assert time.monotonic() < began + lzr.WAIT, "it waits for the day"
    assert srv.stop() == 0
    took = time.monotonic() - began
    assert 2.5 <= took <= 2.5 + 5 * lzr.SLOW, took
    assert not Path(f"/proc/{call.pid}").exists()


@JUMPS
def test_an_end_with_requests_under_way(start, clock, gate, jump):
    srv = start(gate.code + STORE, "--workers", "1")
    p = srv.begin(key(1))
    gate.next()
    clock.set(jump)
    srv.process.send_signal(signal.SIGTERM)
    r = p.result()
    assert r.status == 503 and "stopping" in r.text
    clock.set(-jump)
    assert srv.stop(0) == 0


@JUMPS
def test_connections(start, clock, jump):
    """A kept connection is kept, a silent one ends when its two seconds are over."""
    srv = start(QUICK, "--workers", "1", "--header-timeout", "2")
    kept = srv.connect()
    assert kept.get(key(1)).body == b"\1"
    began = time.monotonic()
    silent = srv.connect()
    srv.wait_metric("http_connections", 3)  # and the one that asks
    clock.set(jump)
    assert kept.get(key(2)).body == b"\2"
    assert silent.closed()
    took = time.monotonic() - began
    assert 2 <= took <= 2 + 5 * lzr.SLOW, took
    assert kept.get(key(3)).body == b"\3"
    clock.set(0)
    assert kept.get(key(4)).body == b"\4"
    assert srv.metric("http_late_total") == 1


@JUMPS
def test_who_waits_for_what_was_reloaded(start, clock, gate, tmp_path, jump):
    """A request that was there before the reload has its minute, and is answered."""
    srv = start(gate.code + STORE, "--workers", "1")
    p = srv.begin(key(1))
    call = gate.next()
    assert srv.request("POST", "/api/reload").status == 200
    clock.set(jump)
    fine(srv, gate)
    # Each reload makes the one who ends old editions look at them again.
    assert srv.request("POST", "/api/reload").status == 200
    fine(srv, gate)
    assert srv.metric("editions") >= 2 and not p.answered()
    call.go()
    assert p.result().body == b"\1"
    clock.set(0)
    srv.wait_metric("editions", 1)
    fine(srv, gate, 501)
    quiet(srv)


def test_a_clock_that_jumps_all_the_time(start, clock):
    """Eight clients read while it jumps to and fro, a hundred times: every byte is right, nothing is lost."""
    srv = start("""
import lazarr, numpy as np
@lazarr.array("a", shape=(64000,), chunks=(64,), dtype="uint16")
def a(block):
    return np.arange(block.start[0], block.stop[0]) % 65521
@lazarr.array("b", inputs=[a])
def b(block, x):
    return x + 1
""", "--workers", "2", "--cache", "64KiB")
    clients, requests, wrong, threads = 8, 250, [], []
    chance = random.Random(6)

    def read(seed):
        rng = random.Random(seed)
        try:
            with srv.connect() as h:
                for i in range(requests):
                    name, at = rng.choice("ab"), rng.randrange(1000)
                    r = h.get(f"/zarr2/s.zarr/{name}/{at}")
                    raw = lzr.decode(r.body, lookup) if r.status == 200 else r
                    want = [(x % 65521) + (name == "b") for x in range(at * 64, at * 64 + 64)]
                    if raw != struct.pack("<64H", *want):
                        wrong.append((name, at, raw))
                    if i % 20 == 0:
                        clock.set(chance.choice([-DAY, 0, DAY, 400 * DAY]))
        except Exception as e:  # noqa: BLE001 - a request without its answer
            wrong.append(e)
    lookup = srv.get("/zarr2/s.zarr/a/.zarray").json()["compressor"]
    for seed in range(clients):
        threads.append(threading.Thread(target=read, args=(seed,)))
        threads[-1].start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    m = quiet(srv)
    assert m["worker_starts_total"] == 2 and m["worker_deaths_total"] == m["worker_kills_total"] == 0
    assert m["compute_failures_total"] == m["http_late_total"] == m["refused_total"] == 0
    assert srv.stop() == 0
    # Every one of them would be something that the tests above had to show.
    assert clock.waits == 0, f"{clock.waits} waits for a time on the clock of the day"


def test_no_source_asks_for_the_day():
    """Deadlines, holds and ages count on CLOCK_MONOTONIC: the day's clock is asked in one place, which gives a
    text for people and no number."""
    clock = (lzr.ROOT / "src/base/clock.c").read_text()
    assert clock.count("CLOCK_REALTIME") == 1 and "void lzr_day_text(" in clock
    for folder in ("src/base", "src/engine", "src/http", "src/cli", "src/worker", "store"):
        for f in (lzr.ROOT / folder).glob("*.c"):
            text = re.sub(r"/\*.*?\*/", "", f.read_text(), flags=re.S)
            for line in text.splitlines():
                if f.name == "clock.c" and f.parent.name == "base" and "clock_gettime(CLOCK_REALTIME, &ts)" in line:
                    continue
                assert not re.search(r"CLOCK_REALTIME|\btime\(|gettimeofday|timespec_get|timedjoin|"
                                     r"mutex_timedlock|sem_timedwait", line), f"{f}: {line.strip()}"
            if "pthread_cond_timedwait" in text:
                assert "pthread_condattr_setclock(&attr, CLOCK_MONOTONIC)" in text, f


# ------------------------------------------------------------------------------- it stands still

def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@contextlib.contextmanager
def suspended(pids, seconds):
    """None of them runs within, nor for so many seconds: the time is the fault itself."""
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    lzr.wait_until(lambda: all(state(pid) == "T" for pid in pids), "all stand still")
    try:
        yield
        time.sleep(max(0, began + seconds - time.monotonic()))
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


ORDERS = pytest.mark.parametrize("server_first", [True, False], ids=["server_first", "workers_first"])


def all_of(srv, server_first):
    """The server's and the workers' processes, in the order in which they stop; they go on the other way."""
    workers = srv.worker_pids()
    return [srv.process.pid, *workers] if server_first else [*workers, srv.process.pid]


@ORDERS
def test_requests_that_wait_for_long_ones_are_answered(start, clock, gate, server_first):
    """Who waited, who asked meanwhile and who comes then; and it is another day, as for a laptop in the morning."""
    srv = start(gate.code + STORE, "--workers", "2")
    kept = srv.connect()
    assert kept.get("/healthz").status == 200
    running = [srv.begin(key(i)) for i in (1, 2)]
    calls = [gate.next(), gate.next()]
    queued = srv.begin(key(3))
    srv.wait_metric("waiting", 3)
    with suspended(all_of(srv, server_first), 3):
        meanwhile = [srv.begin(key(i)) for i in (4, 5)]  # the kernel takes the connection
        kept.send("GET", key(6))
        calls[0].go()
        clock.set(DAY)
    calls[1].go()
    for _ in range(4):
        gate.next().go()
    got = [p.result() for p in [*running, queued, *meanwhile]] + [kept.read()]
    assert [(r.status, r.body) for r in got] == [(200, bytes([i])) for i in range(1, 7)]
    fine(srv, gate)
    m = quiet(srv)
    assert m["worker_starts_total"] == 2 and m["computed_total"] == 7
    assert m["worker_kills_total"] == m["worker_deaths_total"] == m["retries_total"] == 0


@ORDERS
def test_deadlines_that_pass_meanwhile(serve, gate, server_first):
    """CLOCK_MONOTONIC goes on while processes are stopped (not while a machine sleeps): what was to take a second
    at most is over. What hangs is a 503, what was done is served or a 503, and is there when asked again."""
    srv = serve(gate.code + STORE, "--workers", "2")
    for p, call in [(srv.begin(key(i, "short")), gate.next()) for i in (100, 101)]:
        call.go()
        assert p.result().status == 200
    hangs, done = srv.begin(key(1, "short")), srv.begin(key(2, "short"))
    calls = {call.key: call for call in (gate.next(), gate.next())}
    calls["1"].go("hang")
    with suspended(all_of(srv, server_first), 2.5):
        calls["2"].go()
        began = time.monotonic() + 2.5
    r = hangs.result()
    assert r.status == 503 and "took longer than 1 s and was killed" in r.text and r["Retry-After"]
    assert time.monotonic() - began < 5 * lzr.SLOW
    r = done.result()
    assert r.status == 503 or (r.status == 200 and r.body == b"\2"), r
    if r.status == 503:
        assert "took longer than 1 s and was killed" in r.text
        fine(srv, gate, 2, "short")
    assert srv.chunk(key(2, "short")) == b"\2"
    fine(srv, gate)
    m = quiet(srv)
    assert m["worker_deaths_total"] == m["retries_total"] == 0


@ORDERS
def test_a_first_byte_that_is_due_meanwhile(serve, gate, server_first):
    srv = serve(gate.code + STORE, "--workers", "1", "--first-byte", "1")
    p = srv.begin(key(1))
    call = gate.next()
    with suspended(all_of(srv, server_first), 2.5):
        pass
    r = p.result()
    assert r.status == 503 and int(r["Retry-After"]) > 0
    call.go()
    srv.wait_metric("encoded_total", 1)
    assert srv.chunk(key(1)) == b"\1"  # it was held
    assert quiet(srv)["computed_total"] == 1


@ORDERS
def test_heads_that_come_meanwhile(serve, gate, server_first):
    """A client that sent its request in time isn't late because nobody looked."""
    srv = serve(gate.code + STORE, "--workers", "1", "--header-timeout", "3")
    fine(srv, gate, 7)
    there = [srv.connect() for _ in range(50)]
    srv.wait_metric("http_connections", 51)
    with suspended(all_of(srv, server_first), 4):
        for h in there:
            h.send("GET", key(7))
    for h in there:
        assert h.read().body == b"\7"
    assert srv.metric("http_late_total") == 0


def test_a_worker_that_stands_still_is_like_one_that_hangs(serve, gate):
    srv = serve(gate.code + STORE, "--workers", "1")
    fine(srv, gate, 100, "short")
    began = time.monotonic()
    p = srv.begin(key(1, "short"))
    call = gate.next()
    os.kill(call.pid, signal.SIGSTOP)
    r = p.result()
    took = time.monotonic() - began
    assert r.status == 503 and "took longer than 1 s and was killed" in r.text
    assert 1 <= took < 1 + 5 * lzr.SLOW
    assert fine(srv, gate) != call.pid
    assert quiet(srv)["worker_kills_total"] == 1
