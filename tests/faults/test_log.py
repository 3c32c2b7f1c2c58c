"""Nobody reads the log, or standard output: nothing stands still, nothing is lost without being counted, and a stop
is as quick as ever."""
import fcntl
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

import lzr

STORE = """
import lazarr, string
@lazarr.array("good", shape=(100000,), chunks=(1,), dtype="uint8")
def good(block):
    return block.index % 256
@lazarr.array("bad", shape=(100000,), chunks=(1,), dtype="uint8")
def bad(block):
    letters = "".join(string.ascii_letters[int(d)] for d in str(block.index))
    raise ValueError(letters + " " + 6000 * "x")  # each another error, digits aside
@lazarr.array("same", shape=(100000,), chunks=(1,), dtype="uint8")
def same(block):
    raise ValueError(f"no chunk {block.index}")
@lazarr.array("prints", shape=(1000,), chunks=(1,), dtype="uint8")
def prints(block):
    for _ in range(100):
        print(1000 * "p", flush=True)
    return 1
"""
RING = 4 << 20


class Unread:
    """A pipe as a server's stderr; read when the test says so."""

    def __init__(self, flags=0):
        self.read_end, self.write_end = os.pipe()
        if flags:
            fcntl.fcntl(self.write_end, fcntl.F_SETFL, flags)

    def given(self):
        """To be called once the server has it."""
        os.close(self.write_end)

    def read(self, until=None):
        """All until the pattern is found, or the end."""
        data = b""
        while until is None or not re.search(until, data):
            more = os.read(self.read_end, 1 << 20)
            if not more:
                assert until is None, f"ended before {until!r}: {data[-2000:]!r}"
                break
            data += more
        return data.decode()


@pytest.fixture
def unread():
    pipes = []

    def make(flags=0):
        pipes.append(Unread(flags))
        return pipes[-1]
    yield make
    for p in pipes:
        os.close(p.read_end)


def start(tmp_path, pipe, *args):
    (tmp_path / "s.py").write_text(STORE)
    srv = lzr.Server(tmp_path / "s.py", "--workers", "2", *args, stderr=pipe.write_end)
    pipe.given()
    return srv


def fill(srv, first=0, most=4000):
    """Failures until a line of the log is lost; how many there were."""
    with srv.connect(timeout=10 * lzr.SLOW) as h:
        for i in range(most):
            assert h.get(f"/zarr3/s.zarr/bad/c/{first + i}").status == 500
            if i % 20 == 0 and "lazarr_log_lost_total 0\n" not in h.get("/metrics").text:
                return i + 1
    raise AssertionError(f"no line was lost after {most} failures")


@pytest.mark.parametrize("access", [[], ["--no-access-log"]], ids=["access log", "none"])
def test_nothing_waits_for_who_reads_the_log(tmp_path, unread, access):
    """The reader of stderr stands still: failures, misses, cached chunks, metrics and the stop go on."""
    pipe = unread()
    with start(tmp_path, pipe, *access) as srv:
        srv.chunk("/zarr3/s.zarr/good/c/0")
        fill(srv)
        with srv.connect(timeout=10 * lzr.SLOW) as h:
            for key in ("good/c/0", "good/c/1", "same/c/0", "prints/c/0"):
                assert h.get("/zarr3/s.zarr/" + key).status in (200, 500)
            assert h.get("/healthz").status == 200
        began = time.monotonic()
        assert srv.stop() == 0
        assert time.monotonic() - began < 15 * lzr.SLOW


def test_what_is_lost_is_counted_and_said(tmp_path, unread):
    """Once the reader is back: the lines that waited, how many were lost in their place, later ones."""
    pipe = unread()
    with start(tmp_path, pipe, "--no-access-log") as srv:
        n = fill(srv)
        for i in range(10):
            assert srv.get(f"/zarr3/s.zarr/bad/c/{n + i}").status == 500
        lost = int(srv.metric("log_lost_total"))
        assert lost >= 10
        text = pipe.read(b"lines lost.*\n")
        assert srv.get(f"/zarr3/s.zarr/bad/c/{n + 10}").status == 500
        more = pipe.read(b"s/bad: chunk %d: " % (n + 10))
        chunks = [int(c) for c in re.findall(r"^lazarr: s/bad: chunk (\d+): ", text, re.M)]
        assert chunks == list(range(len(chunks)))
        assert len(chunks) + lost == n + 10
        assert f"\nlazarr: {lost} lines lost: the log wasn't read\n" in text
        assert len(text) > RING / 2 and "bad: chunk" in more
        threading.Thread(target=pipe.read, daemon=True).start()
        assert srv.stop() == 0


def test_a_nonblocking_pipe_loses_nothing(tmp_path, unread):
    """Another process may have made the pipe non-blocking: a write that would wait is no loss."""
    pipe = unread(os.O_NONBLOCK)
    with start(tmp_path, pipe, "--no-access-log") as srv:
        for i in range(100):  # far more than a pipe holds, far less than the ring
            assert srv.get(f"/zarr3/s.zarr/bad/c/{i}").status == 500
        text = pipe.read(b"s/bad: chunk 99: ")
        assert re.findall(r"^lazarr: s/bad: chunk (\d+): ", text, re.M) == [str(i) for i in range(100)]
        assert srv.metric("log_lost_total") == 0


def test_workers_print_though_nobody_reads(tmp_path, unread):
    """What workers print goes the same way: they don't wait either."""
    pipe = unread()
    with start(tmp_path, pipe, "--no-access-log") as srv:
        with srv.connect(timeout=20 * lzr.SLOW) as h:
            for i in range(60):  # 6 MB
                assert h.get(f"/zarr3/s.zarr/prints/c/{i}").status == 200
        lzr.wait_until(lambda: srv.metric("log_lost_total") > 0, "lines lost")
        assert srv.stop() == 0


@pytest.mark.parametrize("stops", ["when it serves", "while it loads"])
def test_nobody_reads_either(tmp_path, stops):
    """Standard output and standard error are full pipes from the start: it serves, and ends within 15 s."""
    (tmp_path / "s.py").write_text(STORE + ("" if stops == "when it serves" else "import time\ntime.sleep(1000)\n"))
    ends = []
    for _ in range(2):
        r, w = os.pipe()
        fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
        os.write(w, 4096 * b"x")
        ends += [r, w]
    port = lzr.free_port()
    p = subprocess.Popen([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", str(port)], stdin=subprocess.DEVNULL,
                         stdout=ends[1], stderr=ends[3], env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    try:
        if stops == "when it serves":
            def answers():
                try:
                    with lzr.Http(port, timeout=10) as h:
                        return h.get("/zarr3/s.zarr/good/c/3").status == 200
                except OSError:
                    return False
            lzr.wait_until(answers, "an answer")
        else:
            lzr.wait_until(lambda: any((t / "children").read_text() for t in Path(f"/proc/{p.pid}/task").iterdir()),
                           "a worker")
        p.send_signal(signal.SIGTERM)
        assert p.wait(15 * lzr.SLOW) == 0
    finally:
        p.kill()
        p.wait()
        for fd in ends:
            os.close(fd)


def test_repeats_are_summed_up(tmp_path, unread):
    """A viewer that asks for failing blocks ten thousand times a minute doesn't fill the disk."""
    pipe = unread()
    with start(tmp_path, pipe) as srv:
        with srv.connect() as h:
            for i in range(10000):
                assert h.get(f"/zarr3/s.zarr/same/c/{i % 50}").status == 500
        threading.Timer(0.1, srv.stop).start()
        text = pipe.read()
    assert text.count("ValueError: no chunk 0") >= 1
    assert "Traceback" in text
    sums = re.findall(r'^lazarr: repeated (\d+) times in \d+ s, the last: (s/same: chunk|127.0.0.1 - - \[-\] "GET /zarr3/s.zarr/same)', text,
                      re.M)
    asked = sum(int(n) for n, what in sums if what.startswith("127")) + len(re.findall(r'^127.*"GET /zarr3/s.zarr/same/', text, re.M))
    failed = sum(int(n) for n, what in sums if what.startswith("s/")) + text.count("lazarr: s/same: chunk ")
    assert asked == 10000 and failed >= 50
    assert len(text) < 16384, len(text)


@pytest.mark.parametrize("head", [
    b"GET /\xff\xc2\x9b31mX\xe2\x82\xac HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://\xff\xc2\x9bX\r\n",
    b"GET http://\xff\xc2\x9bX/healthz HTTP/1.1\r\nHost: localhost\r\n",
    b"G\xff\xc2\x9bT /healthz HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /healthz?\xc3\xb6=\xff HTTP/1.1\r\nHost: localhost\r\n"],
    ids=["target", "origin", "absolute", "method", "query"])
def test_bytes_of_clients_are_escaped(tmp_path, unread, head):
    """What a client sends can't draw on a terminal: bytes above 127 are written as control bytes are."""
    pipe = unread()
    with start(tmp_path, pipe) as srv:
        with srv.connect() as h:
            h.sock.sendall(head + b"Connection: close\r\n\r\n")
            while h.sock.recv(65536):
                pass
        assert srv.get("/healthz?end").status == 200
        text = pipe.read(rb"/healthz\?end")
    assert text.isascii(), text
    # Of a method that isn't known the library keeps no line.
    assert "\\xff" in text or head.startswith(b"G\xff"), text


def test_an_abort_writes_what_waits(tmp_path, unread):
    """Lines that wait when the process aborts are written, if somebody reads them now."""
    pipe = unread()
    with start(tmp_path, pipe) as srv:
        with srv.connect() as h:
            for i in range(3000):
                assert h.get(f"/zarr3/s.zarr/good/c/{i % 10}").status == 200
        srv.process.send_signal(signal.SIGABRT)
        text = pipe.read()
        assert srv.process.wait(lzr.WAIT) == -signal.SIGABRT
    assert text.count("GET /zarr3/s.zarr/good/c/") == 3000


def test_an_abort_does_not_wait_for_who_does_not_read(tmp_path, unread):
    pipe = unread()
    with start(tmp_path, pipe) as srv:
        with srv.connect() as h:
            for i in range(3000):
                assert h.get(f"/zarr3/s.zarr/good/c/{i % 10}").status == 200
        srv.process.send_signal(signal.SIGABRT)
        assert srv.process.wait(lzr.WAIT) == -signal.SIGABRT
