"""What a server is given by whoever starts it: signals, descriptors, limits, timers, cores. Its workers begin clean."""
import os
import resource
import signal
import socket
import struct
import subprocess

import pytest

import lzr

STORE = """
import lazarr, os
def signals(name):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1], 16) for line in f if line.startswith(name + ":"))
@lazarr.array("a", shape=(100,), chunks=(1,), dtype="uint8")
def a(block):
    return block.index
@lazarr.array("large", shape=(100, 500000), chunks=(1, 500000), dtype="uint8", compressor=None)
def large(block):
    return block.index
@lazarr.array("blocked", shape=(1,), chunks=(1,), dtype="uint64", compressor=None)
def blocked(block):
    return signals("SigBlk")
@lazarr.array("ignored", shape=(1,), chunks=(1,), dtype="uint64", compressor=None)
def ignored(block):
    return signals("SigIgn")
"""


def number(srv, name):
    return int.from_bytes(srv.chunk(f"/zarr2/s.zarr/{name}/0"), "little")


def check(srv):
    """It serves, replaces a worker that dies, has clean ones, and ends when it is told to."""
    assert srv.get("/zarr3/s.zarr/a/c/3").status == 200
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    srv.wait_metric("worker_deaths_total", 1)
    for i in range(20):
        assert srv.get(f"/zarr3/s.zarr/a/c/{20 + i}").status == 200
    mask = number(srv, "blocked")
    assert mask == 0, f"a worker's mask is {mask:x}"
    bits = number(srv, "ignored")
    ignored = {n + 1 for n in range(64) if bits >> n & 1} - {32, 33}  # those are the C library's own
    assert ignored == {signal.SIGPIPE, signal.SIGXFSZ}  # as in every Python
    assert srv.stop() == 0


@pytest.fixture
def inherits(tmp_path):
    mine = []
    (tmp_path / "s.py").write_text(STORE)

    def make(before, *args, **more):
        mine.append(lzr.Server(tmp_path / "s.py", *args, inherits=before, **more))
        return mine[-1]
    yield make
    for srv in mine:
        srv.kill()


@pytest.mark.parametrize("name", ["SIGCHLD", "SIGPIPE", "SIGTERM", "SIGXFSZ", "SIGALRM", "SIGUSR1", "SIGINT"])
def test_an_ignored_signal(inherits, name):
    check(inherits(lambda: signal.signal(getattr(signal, name), signal.SIG_IGN), "--workers", "1"))


@pytest.mark.parametrize("name", ["SIGPIPE", "SIGXFSZ"])
def test_a_signal_at_its_default(inherits, name):
    check(inherits(lambda: signal.signal(getattr(signal, name), signal.SIG_DFL), "--workers", "1"))


def test_all_signals_blocked(inherits):
    check(inherits(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)), "--workers", "1"))


def test_a_timer_of_the_former_program(inherits):
    """exec keeps timers: an alarm would end the server, whether it came already or comes before it listens."""
    def before():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # until the server sets its own mask
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    check(inherits(before, "--workers", "1"))


def test_a_client_that_leaves_in_the_middle(inherits):
    """SIGPIPE at its default: writing to a connection that was reset ends nothing."""
    srv = inherits(lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL), "--workers", "1")
    for i in range(5):
        p = srv.begin(f"/zarr3/s.zarr/large/c/{i}/0")
        p.http.sock.recv(1)
        p.leave(reset=True)
    check(srv)


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_closed_descriptors(tmp_path, closed):
    """No socket and no file of the server becomes its standard input, output or error."""
    (tmp_path / "s.py").write_text(STORE)
    port = lzr.free_port()
    shut = " ".join(f"{fd}>&-" for fd in closed)
    p = subprocess.Popen(["/bin/sh", "-c", f'exec "$0" "$@" {shut}', lzr.LAZARR, "serve", tmp_path / "s.py", "--port",
                          str(port), "--workers", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    try:
        def answers():
            try:
                with lzr.Http(port) as h:
                    return h.get("/zarr3/s.zarr/a/c/3")
            except OSError:
                return None
        assert lzr.wait_until(answers, "an answer").status == 200
        for fd in range(3):
            assert os.readlink(f"/proc/{p.pid}/fd/{fd}") == "/dev/null"
        with socket.create_connection(("127.0.0.1", port)) as s:  # what the log would have been written to
            s.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            data = b""
            while more := s.recv(65536):
                data += more
        assert data.startswith(b"HTTP/1.1 404") and b"lazarr: " not in data
        p.send_signal(signal.SIGTERM)
        assert p.wait(15 * lzr.SLOW) == 0
    finally:
        p.kill()
        p.wait()


def test_a_limit_of_files_that_only_asks(inherits):
    """A soft limit is raised to the hard one."""
    srv = inherits(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY)), "--workers", "1")
    assert len(srv.chunk("/zarr3/s.zarr/large/c/1/0")) == 500000
    check(srv)


def test_a_limit_of_files_that_the_log_reaches(inherits, tmp_path):
    """`ulimit -f`, and the log is a file: it ends there, and nothing else does."""
    limit = 1 << 20
    with open(tmp_path / "log", "wb") as log:
        srv = inherits(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)), "--workers", "1", stderr=log)
        with srv.connect() as h:
            for i in range(5000):
                assert h.get("/zarr3/s.zarr/a/c/3?" + 500 * "x").status == 200
        lzr.wait_until(lambda: os.path.getsize(tmp_path / "log") == limit, "a full log")
        check(srv)


def test_a_limit_of_files_that_forbids_to_compute(tmp_path):
    """Blocks are in shared memory, which counts as a file: that is said at once, and says what to do."""
    (tmp_path / "s.py").write_text(STORE)
    r = subprocess.run(["/bin/bash", "-c", 'ulimit -f 100; exec "$0" "$@"', lzr.LAZARR, "serve", tmp_path / "s.py",
                        "--port", "0", "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60 * lzr.SLOW, env=lzr.environment())
    text = r.stderr.decode()
    assert r.returncode == 1 and text.count("\n") == 1, (r, text)
    assert "ulimit -f" in text and "100 KiB" in text


def test_as_many_workers_as_cores_it_may_use(inherits):
    """taskset gives it one: one worker, and the log says why."""
    core = min(os.sched_getaffinity(0))
    srv = inherits(lambda: os.sched_setaffinity(0, {core}))
    assert len(srv.worker_pids()) == 1
    assert srv.wait_log(r"^lazarr: 1 worker: this process may use 1 core \(1 by affinity")


def test_as_many_workers_as_slurm_gave_it(inherits):
    srv = inherits(lambda: None, env={"SLURM_CPUS_ON_NODE": "1"})
    assert len(srv.worker_pids()) == 1
    assert srv.wait_log(r"^lazarr: 1 worker: this process may use 1 core \(.*SLURM_CPUS_ON_NODE is 1\)")


def test_more_workers_than_cores_if_told(inherits):
    core = min(os.sched_getaffinity(0))
    srv = inherits(lambda: os.sched_setaffinity(0, {core}), "--workers", "3")
    assert len(srv.worker_pids()) == 3
    assert srv.wait_log(r"^lazarr: 3 workers \(--workers\): this process may use 1 core ")


@pytest.mark.parametrize("args, version, limit, line, budget", [
    ((), 2, 600 << 20, r"--cache is 300 MiB: half of the 600 MiB", 300 << 20),
    ((), 1, 1 << 30, r"--cache is 512 MiB: half of the 1024 MiB", 512 << 20),
    ((), 2, 4 << 30, None, 1 << 30),
    (("--cache", "500MiB"), 2, 600 << 20, r"--cache of 500 MiB is more than half of the 600 MiB", 500 << 20),
    (("--cache", "200MiB"), 1, 600 << 20, None, 200 << 20)])
def test_the_memory_of_its_control_group(inherits, tmp_path, args, version, limit, line, budget):
    """Half of it at most, unless told; the limit is that of a group above its own."""
    where = tmp_path / "cg"
    (where / "pod/c").mkdir(parents=True)
    (where / "pod" / ("memory.max" if version == 2 else "memory.limit_in_bytes")).write_text(f"{limit}\n")
    (where / "pod/c" / ("memory.max" if version == 2 else "memory.limit_in_bytes")).write_text(
        "max\n" if version == 2 else "9223372036854771712\n")
    (tmp_path / "cgroup").write_text("0::/pod/c\n" if version == 2 else "3:memory:/pod/c\n0::/\n")
    kind = "cgroup2 cgroup2 rw" if version == 2 else "cgroup cgroup rw,memory"
    (tmp_path / "mountinfo").write_text(f"32 22 0:28 / {where} rw - {kind}\n")
    lzr.need(subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0, "namespaces of mounts (root)")
    script = 'mount -t tmpfs none /proc && mkdir /proc/self && cp "$0"/cgroup "$0"/mountinfo /proc/self && exec "$@"'
    srv = inherits(lambda: None, "--workers", "1", *args, wrap=["unshare", "-m", "sh", "-c", script, tmp_path])
    assert srv.metric("budget_limit_bytes") == budget
    said = [text for text in srv.log.splitlines() if "control group allows" in text]
    assert len(said) == (line is not None) and (line is None or line in said[0]), said


def test_workers_go_before_the_server_when_memory_is_short(inherits):
    """oom_score_adj: above the server's, whatever that is below 1000."""
    for mine in (0, 300, 900, 950, 999):
        def before():
            with open("/proc/self/oom_score_adj", "w") as f:
                f.write(str(mine))
        srv = inherits(before, "--workers", "1")
        score = int(open(f"/proc/{srv.worker_pids()[0]}/oom_score_adj").read())
        assert int(open(f"/proc/{srv.process.pid}/oom_score_adj").read()) == mine < score <= 1000
        assert mine > 0 or score == 500
        srv.kill()


@pytest.mark.parametrize("soft, hard", [(1024, 4096), (256, 4096), (4096, 4096), (5000, 5000)])
def test_the_limit_of_descriptors_of_stores(inherits, tmp_path, soft, hard):
    """The server raises its own; stores' code has what it was started with."""
    (tmp_path / "s.py").write_text(STORE + """
import resource, subprocess
@lazarr.array("limit", shape=(3,), chunks=(3,), dtype="uint64", compressor=None)
def limit(block):
    child = subprocess.run(["sh", "-c", "ulimit -Sn"], stdout=subprocess.PIPE)
    block.data[...] = [*resource.getrlimit(resource.RLIMIT_NOFILE), int(child.stdout)]
""")
    srv = inherits(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)), "--workers", "1")
    assert struct.unpack("<3Q", srv.chunk("/zarr2/s.zarr/limit/0")) == (soft, hard, soft)
    text = open(f"/proc/{srv.process.pid}/limits").read()
    assert f"{hard}" in next(x for x in text.splitlines() if x.startswith("Max open files")).split()[3]
