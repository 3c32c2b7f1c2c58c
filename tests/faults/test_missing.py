"""What isn't there, or isn't allowed: /proc, /dev, pidfd_open, memfd_create, getrandom. It runs without them, or
names what it lacks; what must hold then: workers are seen to die, are replaced and killed at deadlines."""
import ctypes
import os
import platform
import signal
import struct
import subprocess

import pytest

import lzr

STORE = """
import lazarr, os, numpy as np
@lazarr.source("v", chunks=10)
def v():
    return np.arange(100, dtype="int32")
@lazarr.array("a", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return block.index
@lazarr.array("twice", inputs=["v"], halo=1, compressor=None)
def twice(block, v):
    return 2 * v[1:-1]
@lazarr.array("spin", shape=(100,), chunks=(1,), dtype="uint8", timeout=1)
def spin(block):
    while True:
        pass
@lazarr.array("dies", shape=(100,), chunks=(1,), dtype="uint8")
def dies(block):
    os._exit(3)
"""
ENOSYS, EPERM = 38, 1
CALLS = {"pidfd_open": 434, "pidfd_send_signal": 424, "memfd_create": 319, "getrandom": 318, "sigaltstack": 131,
         "epoll_create1": 291, "eventfd2": 290}


def refuse(error, *names):
    """For a child: these calls fail with this error, as a container's seccomp profile has it."""
    lzr.need(platform.machine() == "x86_64", "x86-64, whose numbers of calls are in the filter")

    def install():
        load, end, refused = (0x20, 0, 0, 0), (0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x50000 | error)
        code = [load]
        for name in names:
            code += [(0x15, 0, 1, CALLS[name]), refused]
        code = b"".join(struct.pack("HBBI", *i) for i in [*code, end])
        libc = ctypes.CDLL(None, use_errno=True)
        text = ctypes.create_string_buffer(code, len(code))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text)), 16)
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:
            os._exit(9)
    return install


@pytest.fixture
def start(tmp_path):
    mine = []
    (tmp_path / "s.py").write_text(STORE)

    def make(*args, inherits=lambda: None, **more):
        mine.append(lzr.Server(tmp_path / "s.py", "--workers", "1", "--no-access-log", *args, inherits=inherits, **more))
        return mine[-1]
    yield make
    for srv in mine:
        srv.kill()


def pid_of(srv):
    return srv.get("/api/workers").json()[0]["pid"]


def check(srv, processes=False):
    """It computes, reads sources, and ends; processes: it sees deaths and kills at deadlines."""
    assert srv.chunk("/zarr2/s.zarr/a/3") == bytes([3])
    assert srv.get("/zarr3/s.zarr/v/c/1").status == 200
    two = srv.chunk("/zarr2/s.zarr/twice/1")
    assert struct.unpack("<10i", two) == tuple(range(20, 40, 2))
    if not processes:
        assert srv.stop() == 0
        return
    r = srv.get("/zarr3/s.zarr/dies/c/1")
    assert r.status == 500 and "status 3" in r.text, r
    assert srv.get("/zarr3/s.zarr/spin/c/1").status == 503  # after its deadline
    srv.wait_metric("worker_kills_total", 1)
    lzr.wait_until(lambda: srv.get("/zarr2/s.zarr/a/5").status == 200, "a worker in its place")
    deaths = srv.metric("worker_deaths_total")
    os.kill(pid_of(srv), signal.SIGKILL)
    srv.wait_metric("worker_deaths_total", deaths + 1)
    assert srv.chunk("/zarr2/s.zarr/a/6") == bytes([6])
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk("/zarr2/s.zarr/a/7") == bytes([7])
    assert srv.stop() == 0


@pytest.mark.parametrize("error, names", [
    (ENOSYS, ["pidfd_open"]), (EPERM, ["pidfd_send_signal"]), (ENOSYS, ["memfd_create"]), (EPERM, ["getrandom"]),
    (EPERM, ["pidfd_open", "pidfd_send_signal", "memfd_create", "getrandom"])], ids=str)
def test_without_a_call(start, error, names):
    srv = start(inherits=refuse(error, *names))
    assert ("memfd_create isn't there or isn't allowed" in srv.log) == ("memfd_create" in names)
    check(srv, names[0].startswith("pidfd"))


def test_without_stacks(start):
    """sigaltstack is for the stacks of what hangs and crashes only."""
    srv = start(inherits=refuse(ENOSYS, "sigaltstack"))
    check(srv, True)
    assert "the stacks of what hangs or crashes can't be shown" in srv.log


@pytest.mark.parametrize("name", ["epoll_create1", "eventfd2"])
def test_what_has_no_other_way_is_named(tmp_path, name):
    (tmp_path / "s.py").write_text(STORE)
    r = subprocess.run([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", "0"], preexec_fn=refuse(EPERM, name), text=True,
                       capture_output=True, timeout=60, env=lzr.environment())
    assert r.returncode == 1 and name.split("_")[0].rstrip("2") in r.stderr, r


def mounts(command):
    """What makes a server run where these mounts are its own."""
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    lzr.need(probe.returncode == 0, "namespaces of mounts (root)")
    return ["unshare", "-m", "sh", "-c", command + ' && exec "$0" "$@"']


def test_without_proc(start):
    srv = start("--worker-memory", "1GiB", wrap=mounts("mount -t tmpfs none /proc"))
    assert "/proc isn't there" in srv.log and "--worker-memory needs /proc" in srv.log
    check(srv, True)


def test_without_proc_started_by_a_relative_path(start, monkeypatch):
    monkeypatch.setattr(lzr, "LAZARR", os.path.relpath(lzr.LAZARR, lzr.BUILD.parent))
    check(start(cwd=lzr.BUILD.parent, wrap=mounts("mount -t tmpfs none /proc")))


def test_without_proc_started_by_its_name(start, monkeypatch):
    monkeypatch.setattr(lzr, "LAZARR", "lazarr")
    check(start(env={"PATH": f"{lzr.BUILD}:{os.environ['PATH']}"}, wrap=mounts("mount -t tmpfs none /proc")))


def test_without_dev(start):
    """No /dev/null, /dev/urandom, /dev/shm, /dev/tty."""
    check(start(wrap=mounts("mount -t tmpfs none /dev")))


def test_without_dev_and_with_descriptors_closed(tmp_path):
    (tmp_path / "s.py").write_text(STORE)
    port = lzr.free_port()
    command = 'mount -t tmpfs none /dev && exec "$0" "$@" 0<&- 1>&- 2>&-'
    mounts("true")
    p = subprocess.Popen(["unshare", "-m", "sh", "-c", command, lzr.LAZARR, "serve", tmp_path / "s.py", "--port", str(port),
                          "--workers", "1"], stdin=subprocess.DEVNULL, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    try:
        def answer():
            try:
                with lzr.Http(port) as h:
                    return h.get("/zarr2/s.zarr/a/3")
            except OSError:
                return None
        assert lzr.wait_until(answer, "an answer").body == bytes([3])
        p.send_signal(signal.SIGTERM)
        assert p.wait(15 * lzr.SLOW) == 0
    finally:
        p.kill()
        p.wait()


def test_without_dev_proc_and_calls(start):
    check(start(inherits=refuse(EPERM, "pidfd_open", "memfd_create"), wrap=mounts(
        "mount -t tmpfs none /dev && mount -t tmpfs none /proc")))


def test_nowhere_for_random_bytes(tmp_path):
    """Neither getrandom nor /dev: both are named."""
    (tmp_path / "s.py").write_text(STORE)
    wrap = mounts("mount -t tmpfs none /dev")
    r = subprocess.run([*wrap, lzr.LAZARR, "serve", tmp_path / "s.py", "--port", "0", "--no-token"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60 * lzr.SLOW, env=lzr.environment(), preexec_fn=refuse(EPERM, "getrandom"))
    assert r.returncode == 1 and b"getrandom" in r.stdout and b"/dev/urandom" in r.stdout, r
