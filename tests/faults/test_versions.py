"""An upgrade underneath a server that runs: its worker's program, or the package, is of another version. That is said
once, by its name and with what to do; what is cached is served, and a program that is put back is used again."""
import os
import re
import shutil
import signal
import sys

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return block.index
"""
# In the worker's place. Once `upgraded` is there it is that of another version: $how says in which way.
WORKER = """#!/usr/bin/python3 -IS
import os, socket, struct, subprocess, sys
real, folder, how = {real!r}, {folder!r}, {how!r}
args = [real, *sys.argv[1:]]
if not os.path.exists(folder + "/upgraded"):
    os.execv(real, args)
if how == "program":                   # a worker of another release
    args[args.index("--version") + 1] = "9.8.7"
    os.execv(real, args)
if how == "package":                   # the same worker, another package
    args[args.index("--package") + 1] = folder + "/package"
    os.execv(real, args)
server = socket.socket(fileno=3)
if how == "worker's protocol":         # what it says has another form
    server.recv(65536)
    server.send(struct.pack("=IIII", 5, 77, 0, 0) + bytes(192))
    sys.exit(1)
if how == "server's protocol":         # ... or what it is told has
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    packet = bytearray(server.recv(65536))
    packet[4:8] = struct.pack("=I", 77)
    ours.send(packet)
    os.set_inheritable(theirs.fileno(), True)
    status = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" 3<&%d' % theirs.fileno(), *args], close_fds=False).returncode
    os._exit(status)  # its socket closes as it ends, as a real one's does
"""
HOWS = ["program", "package", "worker's protocol", "server's protocol"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """place(how): a folder with a lazarr whose worker can be made another."""
    minor = "%d.%d" % sys.version_info[:2]
    shutil.copy(lzr.BUILD / "lazarr", tmp_path / "lazarr")  # finds its worker beside itself
    monkeypatch.setattr(lzr, "LAZARR", tmp_path / "lazarr")
    (tmp_path / "s.py").write_text(STORE)

    def make(how):
        worker = tmp_path / f"lazarr-worker-{minor}"
        worker.write_text(WORKER.format(real=str(lzr.BUILD / worker.name), folder=str(tmp_path), how=how))
        worker.chmod(0o755)
        shutil.copytree(lzr.PYTHON_DIR, tmp_path / "package")
        init = tmp_path / "package/lazarr/__init__.py"
        init.write_text(re.sub('__version__ = .*', '__version__ = "9.8.7"', init.read_text()))
        return tmp_path
    return make


@pytest.mark.parametrize("how", HOWS)
def test_at_the_start(place, how):
    folder = place(how)
    (folder / "upgraded").touch()
    r = lzr.run("serve", folder / "s.py", "--port", "0", "--workers", "2")
    text = r.stderr.decode()
    assert r.returncode == 1, text
    assert re.search(r"^lazarr: versions differ: .*; restart the server$", text, re.M), text
    assert "makes no sense" not in text and "SIGKILL" not in text


@pytest.mark.parametrize("how", HOWS)
def test_while_it_serves(place, how):
    folder = place(how)
    with lzr.Server(folder / "s.py", "--workers", "1", "--no-access-log") as srv:
        assert srv.chunk("/zarr2/s.zarr/a/3") == bytes([3])
        (folder / "upgraded").touch()
        begun = srv.metric("worker_starts_total")
        os.kill(srv.get("/api/workers").json()[0]["pid"], signal.SIGKILL)
        lzr.wait_until(lambda: srv.metric("worker_starts_total") >= begun + 4, "more tries")
        r = srv.get("/zarr2/s.zarr/a/4")
        assert r.status == 503 and "versions differ" in r.text and "restart the server" in r.text, r
        assert srv.chunk("/zarr2/s.zarr/a/3") == bytes([3])
        lines = [line for line in srv.log.splitlines() if "versions differ" in line]
        own = [line for line in lines if line.startswith("lazarr: versions differ")]
        assert len(own) == 1 and len(lines) <= 2, lines
        r = srv.request("POST", "/api/reload")
        assert r.status == 500 and "versions differ" in r.text, r
        (folder / "upgraded").unlink()  # put back
        lzr.wait_until(lambda: srv.get("/zarr2/s.zarr/a/5").status == 200, "a worker of the right version")
        assert srv.stop() == 0
