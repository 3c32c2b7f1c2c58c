"""Under a service manager (manager.py): what it is told, the sockets that it hands over, a restart without a gap, and the
units of docs/operations.md."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import lzr
from manager import Manager

STORE = """
import lazarr, os, time
@lazarr.array("a", shape=(4000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    time.sleep(0.001)
    return block.index % 256
@lazarr.array("env", shape=(1,), chunks=(1,), dtype="uint8", compressor=None)
def env(block):
    return sum(name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_")) for name in os.environ)
"""


@pytest.fixture
def manage(tmp_path):
    mine = []
    (tmp_path / "s.py").write_text(STORE)

    def make(*args, **more):
        mine.append(Manager(tmp_path, tmp_path / "s.py", "--workers", "2", "--no-access-log", *args, **more))
        return mine[-1]
    yield make
    for m in mine:
        m.close()


def get(m, target, host="127.0.0.1", headers=()):
    with lzr.Http(m.port, host=host) as h:
        return h.get(target, headers)


def names(m):
    return [k for _, message in m.messages for k in message if k in ("READY", "RELOADING", "STOPPING")]


# ------------------------------------------------------------------------------------ what it is told

@pytest.mark.parametrize("notify", ["path", "abstract"])
def test_ready_reloading_stopping(manage, notify):
    m = manage("--port", "0", notify=notify, hosts=()).start()
    lzr.wait_until(lambda: "listening on" in m.text(), "the line on standard output")
    at = len(m.messages)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    m.process.send_signal(signal.SIGHUP)
    at = m.wait("RELOADING", at)
    told = m.messages[at - 1][1]
    assert before <= int(told["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    at = m.wait("READY", at)
    assert m.stop() == 0
    m.wait("STOPPING", at)
    assert names(m) == ["READY", "RELOADING", "READY", "STOPPING"]


def test_a_reload_that_fails_is_over_too(manage, tmp_path):
    m = manage().start()
    (tmp_path / "s.py").write_text("1 / 0\n")
    at = len(m.messages)
    with lzr.Http(m.port) as h:
        assert h.request("POST", "/api/reload").status == 500
    m.wait("READY", m.wait("RELOADING", at))


def test_the_watchdog_hears_of_it_twice_in_its_time(manage):
    m = manage(watchdog=400_000).start()
    at = len(m.messages)
    for _ in range(4):
        at = m.wait("WATCHDOG", at)
    times = [t for t, message in m.messages if "WATCHDOG" in message]
    assert len(times) >= 4
    m.process.send_signal(signal.SIGSTOP)  # who stands still says nothing
    lzr.wait_until(lambda: open(f"/proc/{m.process.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T", "standstill")
    time.sleep(0.3)
    n = len(m.messages)
    time.sleep(1)
    assert len(m.messages) == n
    m.process.send_signal(signal.SIGCONT)
    m.wait("WATCHDOG", n)
    assert m.stop() == 0


def test_nobody_reads_what_is_notified(manage, tmp_path):
    """Its queue is full: it serves, reloads and ends as ever."""
    m = manage("--port", "0", hosts=(), extra={"NOTIFY_SOCKET": f"{tmp_path}/full"})
    full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.bind(f"{tmp_path}/full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                s.sendto(b"X=1", f"{tmp_path}/full")
    m.notify_name, real = f"{tmp_path}/full", m.notify_name
    m.extra = {}
    m.start(ready=False)
    m.notify_name = real
    m.port = int(lzr.wait_until(lambda: re.search(r"listening on http://\S+?:(\d+)/", m.text()), "listening").group(1))
    with lzr.Http(m.port) as h:
        assert h.get("/zarr2/s.zarr/a/1").body == b"\1"
        assert h.request("POST", "/api/reload").status == 200
    assert m.stop(15 * lzr.SLOW) == 0
    full.close()


@pytest.mark.parametrize("name", ["vsock:2:1234", "notify", "/", "/" + 200 * "x"])
def test_a_notify_socket_that_is_none(tmp_path, name):
    (tmp_path / "s.py").write_text(STORE)
    with lzr.Server(tmp_path / "s.py", "--workers", "1", env={"NOTIFY_SOCKET": name}) as srv:
        srv.wait_log(r"NOTIFY_SOCKET must be a path or @NAME of at most 107 bytes, got ")
        assert srv.chunk("/zarr2/s.zarr/a/1") == b"\1"
        assert srv.stop() == 0


@pytest.mark.parametrize("name", ["/nowhere/notify", "@lzr-nobody", "/dev/null"])
def test_nobody_is_there_to_be_notified(tmp_path, name):
    (tmp_path / "s.py").write_text(STORE)
    with lzr.Server(tmp_path / "s.py", "--workers", "1", env={"NOTIFY_SOCKET": name}) as srv:
        srv.wait_log(r"NOTIFY_SOCKET can't be told: ")
        assert srv.chunk("/zarr2/s.zarr/a/1") == b"\1"
        assert srv.stop() == 0
        assert srv.log.count("can't be told") == 1


# ------------------------------------------------------------------------------- sockets handed over

@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("127.0.0.1", "127.0.0.2", "::1"), ("::1",)], ids=" ".join)
def test_sockets_that_are_handed_over(manage, hosts):
    m = manage("--port", "1", hosts=hosts).start()
    for host in hosts:
        with lzr.Http(m.port, host=host) as h:
            for i in range(3):
                assert h.get(f"/zarr2/s.zarr/a/{i}", {"Host": "localhost"}).body == bytes([i])
    r = get(m, "/zarr2/s.zarr/env/0", hosts[0], {"Host": "localhost"})
    assert r.body == b"\0"
    shown = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    lzr.wait_until(lambda: f"listening on http://{shown}:{m.port}/" in m.text(), "the line on standard output")
    assert m.stop() == 0


def test_sockets_of_another_process(manage):
    """LISTEN_PID is another's, as in what a shell that was activated starts: --port counts."""
    m = manage("--port", "0", hosts=(), extra={"LISTEN_FDS": "1", "LISTEN_PID": "1"}).start()
    lzr.wait_until(lambda: re.search(r"listening on http://127.0.0.1:[1-9]\d*/", m.text()), "a port of its own")


def odd(tmp_path, make, n=1, **more):
    """What is said of a descriptor that is no TCP socket which listens."""
    (tmp_path / "s.py").write_text(STORE)
    fd = make()
    script = 'LISTEN_PID=$$ LISTEN_FDS=%s; export LISTEN_PID LISTEN_FDS; exec "$0" "$@"' % n

    def before():
        os.dup2(fd, 3)
        os.set_inheritable(3, True)
    r = subprocess.run(["/bin/sh", "-c", script, lzr.LAZARR, "serve", tmp_path / "s.py"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env=lzr.environment(), timeout=60, preexec_fn=before, close_fds=False)
    os.close(fd)
    assert r.returncode == 1 and r.stdout.count(b"\n") == 1, r
    return r.stdout.decode()


@pytest.mark.parametrize("kind", ["unix", "datagram", "not listening", "file", "not there", "no number", "too many"])
def test_sockets_that_are_none(tmp_path, kind):
    def make():
        if kind == "unix":
            s = socket.socket(socket.AF_UNIX)
            s.bind(f"/tmp/lzr-odd-{os.getpid()}")
            os.unlink(f"/tmp/lzr-odd-{os.getpid()}")
            s.listen()
        elif kind == "file":
            return os.open("/dev/null", os.O_RDWR)
        else:
            s = socket.socket(type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
            s.bind(("127.0.0.1", 0))
        return s.detach()
    n = {"not there": 60, "no number": "3x", "too many": 1000}.get(kind, 1)
    assert "LISTEN_FDS" in odd(tmp_path, make, n)


# --------------------------------------------------------------------------------- restarts without a gap

class Client(threading.Thread):
    """Busy: it asks on one connection until that ends, then on the next."""

    def __init__(self, m, i, over):
        super().__init__(daemon=True)
        self.m, self.i, self.over, self.right, self.wrong, self.closed = m, i, over, 0, [], 0

    def run(self):
        h, k = None, self.i
        while not self.over.is_set():
            k += 1
            try:
                h = h or lzr.Http(self.m.port)
                r = h.get(f"/zarr2/s.zarr/a/{k * 7 % 4000}")
                if r.status != 200 or r.body != bytes([k * 7 % 4000 % 256]) or not r.complete:
                    self.wrong.append(r)
                else:
                    self.right += 1
                if (r["Connection"] or "").lower() == "close":
                    self.closed += 1
                    h.close()
                    h = None
            except OSError as e:
                self.wrong.append(e)
                h = None


def test_restarts_under_thirty_busy_clients(manage):
    """What was taken in is answered, each connection ends with an answer that says so, what comes meanwhile waits."""
    m = manage().start()
    over = threading.Event()
    clients = [Client(m, 131 * i, over) for i in range(30)]
    for c in clients:
        c.start()
    for _ in range(3):
        lzr.wait_until(lambda: all(c.right >= 3 for c in clients), "answers")
        begun = time.monotonic()
        assert m.stop() == 0
        assert time.monotonic() - begun < 15
        for c in clients:
            c.right = 0
        m.start()
    lzr.wait_until(lambda: all(c.right >= 3 for c in clients), "answers")
    over.set()
    for c in clients:
        c.join(lzr.WAIT)
    wrong = [w for c in clients for w in c.wrong]
    assert wrong == [], (len(wrong), wrong[:3])
    assert sum(c.closed for c in clients) >= 90
    assert m.stop() == 0


def test_what_waits_for_a_chunk_is_answered_by_the_one_that_leaves(manage, tmp_path):
    gate = lzr.Gate(tmp_path)
    m = manage()
    (tmp_path / "s.py").write_text(gate.code + """
import lazarr
@lazarr.array("a", shape=(10,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    gate(block.index)
    return block.index
""")
    m.start()
    waits = lzr.Pending(m.port, "GET", "/zarr2/s.zarr/a/3", ())
    call = gate.next()
    idle = lzr.Http(m.port)
    assert idle.get("/healthz").status == 200
    m.process.send_signal(signal.SIGTERM)
    m.wait("STOPPING")
    r = idle.get("/healthz")  # a kept-alive connection may ask once more
    assert r.status == 200 and r["Connection"] == "close" and idle.closed()
    later = lzr.Pending(m.port, "GET", "/zarr2/s.zarr/a/4", ())  # for the successor
    call.go()
    r = waits.result()
    assert r.status == 200 and r.body == b"\3" and r["Connection"] == "close"
    assert m.process.wait(15 * lzr.SLOW) == 0
    assert not later.answered()
    m.start()
    gate.next().go()
    assert later.result().body == b"\4"
    gate.close()


def test_who_never_ends_does_not_keep_it(manage, tmp_path):
    """A function that hangs and a client that asks nothing more: within 15 s it has ended, and nothing was refused."""
    m = manage()
    (tmp_path / "s.py").write_text("import lazarr, time\n@lazarr.array('a', shape=(10,), chunks=(1,), dtype='uint8')\n"
                                   "def a(block):\n    time.sleep(1000)\n")
    m.start()
    waits = lzr.Pending(m.port, "GET", "/zarr2/s.zarr/a/3", ())
    lzr.wait_until(lambda: "lazarr_running 1" in get(m, "/metrics").text, "a job")
    begun = time.monotonic()
    assert m.stop() == 0 and time.monotonic() - begun < 15
    assert waits.result().status == 503
    with socket.create_connection(("127.0.0.1", m.port)):
        pass  # the manager's socket listens still


# ------------------------------------------------------------------------------------------- the units

def units(folder):
    """The units of docs/operations.md, which name the program that was built."""
    text = (lzr.ROOT / "docs/operations.md").read_text()
    blocks = [b for b in re.findall(r"```ini\n(.*?)```", text, re.S)]
    found = {}
    for b in blocks:
        kind = "socket" if "[Socket]" in b else "service" if "[Service]" in b else None
        if kind:
            found[kind] = folder / f"lazarr.{kind}"
            found[kind].write_text(b.replace("/usr/local/bin/lazarr", str(lzr.LAZARR)))
    return found


def test_the_units_are_right(tmp_path):
    found = units(tmp_path)
    assert set(found) == {"socket", "service"}
    service = found["service"].read_text()
    for line in ("Type=notify", "WatchdogSec=", "Requires=lazarr.socket", "ExecReload="):
        assert line in service, line
    assert "ListenStream=" in found["socket"].read_text()
    for path in found.values():  # what any reader of units takes for one
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"|#.*|\[(Unit|Service|Socket|Install)\]|[A-Z][A-Za-z]+=\S.*", line), line


def test_systemd_takes_the_units(tmp_path):
    tool = lzr.need(lzr.which("systemd-analyze"), "systemd-analyze (Debian's systemd; nothing of it has to run)")
    r = subprocess.run([tool, "verify", "--man=no", *units(tmp_path).values()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60, env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{tmp_path}:"))
    text = "\n".join(line for line in r.stdout.decode().splitlines() if "lazarr" in line)
    assert r.returncode == 0 and text == "", r


def test_the_unit_serves(manage, tmp_path):
    """What the service runs, under a manager that does as the units say."""
    line = re.search(r"^ExecStart=(.*)$", units(tmp_path)["service"].read_text(), re.M).group(1).split()
    assert line[0] == str(lzr.LAZARR) and line[1] == "serve"
    (tmp_path / "token").write_text("correct-horse-battery\n")
    (tmp_path / "token").chmod(0o600)
    at = line.index("--token-file")
    line[at + 1] = str(tmp_path / "token")
    m = manage()
    m.args = (tmp_path / "s.py", "--workers", "1", *line[3:])
    m.start()
    r = get(m, "/t/correct-horse-battery/zarr2/s.zarr/a/1")
    assert r.status == 200
    assert get(m, "/readyz", headers={"Host": "probe.example"}).status == 200
    assert m.stop() == 0
