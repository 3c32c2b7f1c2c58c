"""A file system that doesn't answer, the kernel's own way: who asks it is beyond any signal. What test_still.py
shows with calls that are held, here with a FUSE mount; needs root and /dev/fuse, and says so where they are
missing."""
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import lzr

HERE = Path(__file__).parent
SIZE = 160000
STORE = """
import lazarr, numpy as np, os
v = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mount", "v.bin")
lazarr.source("far", chunks=(100,))(lambda: np.memmap(v, dtype="uint8", mode="r", shape=(160000,)))
lazarr.array("plain", shape=(4000,), chunks=(4,), dtype="float32", compressor=None)(lambda b: np.full(4, 7, "float32"))
@lazarr.array("reads", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def reads(block):
    with open(v, "rb") as f:
        return f.read(100)[block.index]
@lazarr.array("maps", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def maps(block):
    return np.memmap(v, dtype="uint8", mode="r")[block.index]
@lazarr.array("looks", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=1)
def looks(block):
    return os.stat(v).st_size % 256
"""


class Mount:
    def __init__(self, folder):
        self.path, self.flags = folder / "mount", folder / "flags"
        self.path.mkdir()
        self.flags.mkdir()
        (folder / "s.py").write_text(STORE)
        self.store = folder / "s.py"
        self.daemon = subprocess.Popen(
            ["/usr/bin/python3", HERE / "fuse_still.py", self.path, self.flags, str(SIZE)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=lzr._die_with_parent)
        if self.daemon.stdout.readline() != "mounted\n":
            lzr.need(False, "what a FUSE mount needs (root and /dev/fuse; "
                     + self.daemon.stderr.read().strip().splitlines()[-1] + ")")

    def hold(self, what):
        (self.flags / what).touch()

    def let_go(self):
        for flag in self.flags.iterdir():
            flag.unlink()

    def end(self):
        """Whoever asks has an error then."""
        self.daemon.kill()
        self.daemon.wait()
        self.daemon.stdout.close()
        self.daemon.stderr.close()
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL)


@pytest.fixture
def mount(tmp_path):
    m = Mount(tmp_path)
    yield m
    m.end()


def key(array, i):
    return f"/zarr3/s.zarr/{array}/c/{i}"


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


@pytest.mark.parametrize("array, what", [("reads", "open"), ("maps", "read"), ("looks", "stat")])
def test_a_worker_in_the_kernel(serve, mount, array, what):
    """SIGKILL doesn't end it: it is written off, another one computes in its place."""
    srv = serve(mount.store, "--workers", "1")
    srv.chunk(key("plain", 0))
    pid = srv.worker_pids()[0]
    mount.hold(what)
    assert srv.get(key(array, 1)).status == 503
    srv.wait_log(rf"worker 0 \(process {pid}\) was killed and doesn't go")
    assert state(pid) == "D"
    assert np.frombuffer(srv.chunk(key("plain", 1)), "float32").tolist() == [7] * 4
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # it isn't ours, and still there
    mount.let_go()
    lzr.wait_until(lambda: state(pid) is None, "its end, and that it is waited for")
    assert srv.get(key(array, 2)).status == 200
    assert srv.stop(timeout=15 * lzr.SLOW) == 0


@pytest.mark.parametrize("what", ["read", "stat", "open"])
def test_the_server_in_the_kernel(serve, mount, what):
    """Its threads can't be ended as long as the file system has their requests: all else goes on meanwhile."""
    srv = serve(mount.store, "--workers", "1", "--read-timeout", "1")
    srv.chunk(key("far", 0))
    mount.hold(what)
    asked = [srv.begin(key("far", 1100 + i)) for i in range(5)]
    for i in range(1, 4):
        srv.chunk(key("plain", i))
        srv.chunk(key("far", 0))
    assert [p.result().status for p in asked] == [503] * 5
    mount.let_go()
    srv.wait_metric("threads_left", 0)
    srv.chunk(key("far", 1100))
    assert srv.stop(timeout=15 * lzr.SLOW) == 0


@pytest.mark.parametrize("phase", ["serving", "reloading"])
def test_a_stop_while_the_daemon_stands_still(serve, mount, phase):
    """It has taken no request: signals end who waits, so the process is gone in time."""
    srv = serve(mount.store, "--workers", "1", "--read-timeout", "100")
    srv.chunk(key("far", 0))
    mount.daemon.send_signal(signal.SIGSTOP)
    # A daemon that still runs may take one request before it stops, and who waits for that is beyond signals.
    lzr.wait_until(lambda: state(mount.daemon.pid) == "T", "the daemon to stand still")
    for i in range(5):
        srv.begin(key("far", 1100 + i))
    if phase == "reloading":
        srv.begin("/api/reload", method="POST")
        srv.wait_log("reloading")
    srv.chunk(key("far", 0))
    srv.chunk(key("plain", 1))
    begun = time.monotonic()
    assert srv.stop(timeout=15 * lzr.SLOW) == 0
    assert time.monotonic() - begun < 15 * lzr.SLOW
