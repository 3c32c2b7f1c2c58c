"""Whatever stands still in a worker, while stores are loaded, loaded anew, or the server stops: a child of the store, the
worker, a file that it opens, whoever reads the log, a client. A start ends with its reason, a reload is answered, the
old stores go on, a stop is in time. (test_still.py: what the server itself waits for.)"""
import os
import signal
import subprocess
import time

import pytest

import lzr

# Under way once `begun` is there, for ever.
STILL = {"child": "import subprocess\nsubprocess.run(['sh', '-c', f'touch {here}/begun; kill -STOP $$'])",
         "worker": "open(here + '/begun', 'w').close()\nos.kill(os.getpid(), 19)",
         "open": "open(here + '/begun', 'w').close()\nopen(here + '/pipe')",
         "C": "import ctypes\nopen(here + '/begun', 'w').close()\nctypes.PyDLL(None).sleep(1000)"}
STORE = """
import lazarr, os
here = os.path.dirname(os.path.abspath(__file__))
def stand():
{stand}
if os.path.exists(here + "/hold"):
    stand()
@lazarr.array("plain", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def plain(block):
    return block.index
@lazarr.array("stands", shape=(100,), chunks=(1,), dtype="uint8", timeout=100)
def stands(block):
    stand()
"""
STOP = 15
LOADS = (int(2 * lzr.SLOW), int(15 * lzr.SLOW))  # seconds that a store may take to load, where the first were too few


class World:
    """A store's folder for each way to stand still."""

    def __init__(self, folder, stand):
        self.folder, self.store = folder, folder / "s.py"
        folder.mkdir()
        self.store.write_text(STORE.replace("{stand}", "".join(f"    {line}\n" for line in stand.split("\n"))))
        os.mkfifo(folder / "pipe")

    def stood(self):
        """Whether it came so far, once it is over: a worker's own start may take all of the time."""
        found = (self.folder / "begun").exists()
        (self.folder / "begun").unlink(missing_ok=True)
        return found

    def begun(self):
        lzr.wait_until((self.folder / "begun").exists, f"{self.folder.name}: it stands still")
        (self.folder / "begun").unlink()


@pytest.fixture
def worlds(tmp_path):
    return [World(tmp_path / name, stand) for name, stand in STILL.items()]


def key(array, i):
    return f"/zarr2/s.zarr/{array}/{i}"


def stop_in_time(servers):
    """All at once: how long they took in all."""
    at = time.monotonic()
    for srv in servers:
        srv.process.terminate()
    for srv in servers:
        assert srv.process.wait(STOP * lzr.SLOW) == 0
        srv.stop()
    return time.monotonic() - at


def start(world, *args):
    (world.folder / "hold").touch()
    return subprocess.Popen([lzr.LAZARR, "serve", world.store, "--port", "0", "--workers", "1", *args], text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=lzr.environment(),
                            preexec_fn=lzr._die_with_parent)


def test_loading(worlds):
    """A start ends at --start-timeout, with its reason, and at once when it is told to."""
    for seconds in LOADS:
        late = [start(w, "--start-timeout", str(seconds)) for w in worlds]
        for w, p in zip(worlds, late):
            said = p.communicate(timeout=60 * lzr.SLOW)[1]
            assert p.returncode == 1 and f"took longer than {seconds} s to load the stores" in said, (w.folder.name, said)
        if all([w.stood() for w in worlds]):
            break
    else:
        raise AssertionError(f"no worker came to stand still within {seconds} s")
    told = [start(w) for w in worlds]
    for w in worlds:
        w.begun()
    at = time.monotonic()
    for p in told:
        p.terminate()
    for p in told:
        p.communicate(timeout=STOP * lzr.SLOW)
        assert p.returncode == 0
    assert time.monotonic() - at < 5 * lzr.SLOW


def reloaded(srv, world, seconds):
    """A reload's answer; cached and other chunks come meanwhile."""
    wish = srv.begin("/api/reload", method="POST")
    assert srv.chunk(key("plain", 0)) == b"\0" and srv.chunk(key("plain", 10)) == b"\x0a"
    r = wish.result()
    assert r.status == 500 and f"took longer than {seconds} s to load the stores" in r.text, r
    return world.stood()


@pytest.mark.limit(120)
def test_reloading(serve, worlds):
    """Answered, one after the other; and a stop while another one stands still."""
    for seconds in LOADS:
        servers = [serve(w.store, "--workers", "1", "--start-timeout", str(seconds)) for w in worlds]
        for w, srv in zip(worlds, servers):
            srv.chunk(key("plain", 0))
            (w.folder / "hold").touch()
        stood = []
        lzr.together(len(worlds), lambda i: stood.append(reloaded(servers[i], worlds[i], seconds)))
        if all(stood):
            break
        for w, srv in zip(worlds, servers):
            srv.kill()
            (w.folder / "hold").unlink()
    else:
        raise AssertionError(f"no worker came to stand still within {seconds} s")
    wishes = [srv.begin("/api/reload", method="POST") for srv in servers]
    for i, w in enumerate(worlds):
        def again(i=i, w=w):
            if wishes[i].answered():  # before it came so far
                wishes[i] = servers[i].begin("/api/reload", method="POST")
            return (w.folder / "begun").exists()
        lzr.wait_until(again, f"{w.folder.name}: it stands still again")
    assert all(srv.chunk(key("plain", 11)) == b"\x0b" for srv in servers)
    stop_in_time(servers)


def test_stopping(serve, worlds):
    """In a block, with clients that wait for it; those who ask for others have them until then."""
    servers = [serve(w.store, "--workers", "2") for w in worlds]
    waits = [srv.begin(key("stands", 0)) for srv in servers]
    for w, srv in zip(worlds, servers):
        w.begun()
        assert srv.chunk(key("plain", 1)) == b"\1"
    assert stop_in_time(servers) < 10 * lzr.SLOW
    assert [w.result().status for w in waits] == [503] * len(servers)


LARGE = """
import lazarr
@lazarr.array("plain", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def plain(block):
    print(1000 * "p")
    return block.index
@lazarr.array("large", shape=(1 << 25,), chunks=(1 << 25,), dtype="uint8", compressor=None)
def large(block):
    return 1
"""


@pytest.mark.parametrize("what", ["log reader", "client"])
def test_outside_of_it(serve, tmp_path, what):
    """Nobody reads the log, or a client doesn't read its answer: reloads are answered, and the stop is in time (with the
    client: as test_still.py has it, once what is sent had its 10 s)."""
    (tmp_path / "s.py").write_text(LARGE)
    read, write = os.pipe()
    srv = serve(tmp_path / "s.py", "--workers", "1", **({"stderr": write} if what == "log reader" else {}))
    os.close(write)
    with srv.connect() as lazy:
        if what == "client":
            srv.chunk(key("large", 0))
            lazy.send("GET", key("large", 0))
            assert lazy.sock.recv(1000)
        else:
            for i in range(100):  # more than a pipe holds
                srv.chunk(key("plain", i))
        for _ in range(2):
            assert srv.request("POST", "/api/reload").status == 200
            assert srv.chunk(key("plain", 7)) == b"\7"
        if what == "log reader":
            srv.process.send_signal(signal.SIGHUP)
            lzr.wait_until(lambda: 'lazarr_reloads_total{result="ok"} 3' in srv.get("/metrics").text, "a third reload")
            stop_in_time([srv])
    os.close(read)
