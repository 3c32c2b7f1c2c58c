"""What the end-to-end tests stand on: a server process, a raw HTTP client, metrics, a gate.

    srv = Server([store], "--workers", "2")      starts build/lazarr, waits for its "listening" line
    r = srv.get("/zarr3/s.zarr/a/c/0/0")         one request on one connection
    p = srv.begin("/zarr3/s.zarr/a/c/0/0")       sent, not waited for; p.result() waits
    with srv.delta() as d: ...                   d["flights_total"]: how far the counter went
    gate = Gate(folder); gate.code               Python text that gives a store gate(key)

Nothing here sleeps to get an order: tests wait for a gate, a line of the log or a counter.
"""
import contextlib
import ctypes
import http.server
import importlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from started import Started

ROOT = Path(__file__).resolve().parents[2]
STORES = ROOT / "tests/e2e/stores"
BUILD = Path(os.environ.get("LZR_BUILD", ROOT / "build")).resolve()
ENVS = Path(os.environ.get("LZR_ENVS", ROOT / "build" / "envs")).resolve()
LAZARR = BUILD / "lazarr"
PYTHON_DIR = ROOT / "src" / "python"
SLOW = float(os.environ.get("LZR_TEST_SLOW", "1"))  # sanitizer builds set it above 1
CI = os.environ.get("CI") == "true"
WAIT = 20 * SLOW  # how long anything that should happen soon may take


def check_left(last=False):
    """No process is left of a server, or a command, that has ended; last: nor of the suite."""
    Started.check({srv.mark for srv in Server.alive}, 5 * SLOW, last)


def environment(**more):
    """This process' environment without what would choose another Python for the workers."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "LD_PRELOAD")}
    env.update(more)
    return env


def wait_until(condition, what, timeout=WAIT):
    """Polls until condition() is true and returns its value; fails the test otherwise."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s for: {what}"
        time.sleep(0.005)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run(*args, timeout=60, **env):
    """build/lazarr ARGS to its end: a CompletedProcess with bytes."""
    return subprocess.run([LAZARR, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout * SLOW, env=environment(**{Started.VARIABLE: Started.mark()}, **env),
                          preexec_fn=_die_with_parent)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ------------------------------------------------------------------------------------------ HTTP

class Response:
    def __init__(self, version, status, reason, headers, body, complete):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers    # [(name, value)] as they came
        self.body = body
        self.complete = complete  # the body was as long as promised

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def __getitem__(self, name):
        """The one value of a header, or None; two of one name fail."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} {len(values)} times"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        def no_constant(name):
            raise AssertionError(f"{name} is not JSON")
        return json.loads(self.body, parse_constant=no_constant)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class Http:
    """One connection. Sends exactly what it is told to and reads exactly what HTTP/1.1 says."""

    def __init__(self, port, timeout=60 * SLOW, host="127.0.0.1", source=None):
        self.sock = socket.create_connection((host, port), timeout, source and (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.host = f"{host}:{port}"

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, method, target, headers=(), body=None):
        lines = [f"{method} {target} HTTP/1.1"]
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if not any(n.lower() == "host" for n, _ in headers):
            lines.append(f"Host: {self.host}")
        lines += [f"{n}: {v}" for n, v in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def _more(self):
        data = self.sock.recv(1 << 20)
        self.buffer += data
        return bool(data)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                raise ConnectionError(f"closed in the middle of a head: {self.buffer!r}")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, n):
        """n bytes, or fewer where the peer closed."""
        parts, have = [self.buffer], len(self.buffer)
        while have < n:
            data = self.sock.recv(min(1 << 20, n - have))
            if not data:
                break
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
        self.buffer = data[n:]
        return data[:n]

    def read(self, method="GET"):
        if not self.buffer and not self._more():
            raise ConnectionError("closed without an answer")
        while True:
            version, status, *reason = self._line().split(" ", 2)
            headers = []
            while True:
                line = self._line()
                if not line:
                    break
                name, value = line.split(":", 1)
                headers.append((name, value.strip()))
            if status != "100":
                break
        r = Response(version, int(status), " ".join(reason), headers, b"", True)
        if method == "HEAD" or r.status in (204, 304):
            return r
        if (r["Transfer-Encoding"] or "").lower() == "chunked":
            assert r["Content-Length"] is None
            parts = []
            while True:
                n = int(self._line().split(";")[0], 16)
                if n == 0:
                    while self._line():
                        pass
                    break
                parts.append(self._exactly(n))
                assert self._line() == ""
            r.body = b"".join(parts)
        elif r["Content-Length"] is not None:
            n = int(r["Content-Length"])
            r.body = self._exactly(n)
            r.complete = len(r.body) == n
        else:
            while self._more():
                pass
            r.body, self.buffer = self.buffer, b""
        return r

    def request(self, method, target, headers=(), body=None):
        self.send(method, target, headers, body)
        return self.read(method)

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    def closed(self, timeout=WAIT):
        """Whether the peer closes now, without sending anything more."""
        self.sock.settimeout(timeout)
        try:
            return not self.buffer and self.sock.recv(1) == b""
        except (ConnectionError, socket.timeout):
            return False


class Pending:
    """A request that was sent; its answer is read when asked for."""

    def __init__(self, port, method, target, headers):
        self.http, self.method = Http(port), method
        self.http.send(method, target, headers)

    def answered(self):
        poll = select.poll()  # select knows only small numbers
        poll.register(self.http.sock, select.POLLIN)
        return bool(self.http.buffer or poll.poll(0))

    def result(self, timeout=60 * SLOW):
        self.http.sock.settimeout(timeout)
        try:
            return self.http.read(self.method)
        finally:
            self.http.close()

    def leave(self, reset=False):
        """Closes the connection while the answer is waited for."""
        if reset:
            self.http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.http.close()


# ---------------------------------------------------------------------------------------- server

class Server:
    alive = []  # all that were started and not stopped; conftest ends them
    stopped = []  # by stop(), in the test that runs

    def __init__(self, stores, *args, env=None, port=0, cwd=None, nofile=None, stderr=subprocess.STDOUT,
                 inherits=lambda: None, wrap=()):
        """stderr: a descriptor that the test reads itself. inherits: called in the process before it
        becomes the server. wrap: what runs it."""
        stores = [stores] if isinstance(stores, (str, os.PathLike)) else list(stores)
        command = [*wrap, LAZARR, "serve", *stores, "--port", port, *args]
        def before():
            _die_with_parent()
            if nofile:
                import resource
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
            inherits()
        self.mark = Started.mark()
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=stderr, env=environment(**{Started.VARIABLE: self.mark}, **(env or {})), cwd=cwd, preexec_fn=before,
            start_new_session=True)
        self.lines, self._news = [], threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        Server.alive.append(self)
        line = self.wait_log(r"lazarr: listening on http://\S+:(\d+)/", 60 * SLOW)
        self.port = int(line.group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.lines.append(None)  # the end
            self._news.notify_all()

    @property
    def log(self):
        with self._news:
            return "\n".join(line for line in self.lines if line is not None)

    def wait_log(self, pattern, timeout=WAIT, start=0):
        """The match of the first line from `start` on in which pattern is found."""
        end, i = time.monotonic() + timeout, start
        with self._news:
            while True:
                for line in self.lines[i:]:
                    if line is None:
                        raise AssertionError(f"ended before /{pattern}/; it said:\n"
                                             + "\n".join(self.lines[:-1]))
                    found = re.search(pattern, line)
                    if found:
                        return found
                i = len(self.lines)
                left = end - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    said = "\n".join(line for line in self.lines if line is not None)
                    raise AssertionError(f"no line with /{pattern}/; it said:\n{said}")

    def stop(self, sig=signal.SIGTERM, timeout=WAIT):
        """Asks it to end and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {timeout} s of signal {sig}; it said:\n{self.log}")
        self.wait_end()
        if self in Server.alive:
            Server.alive.remove(self)
            Server.stopped.append(self)
            Started.ended.add(self.mark)
        return status

    def wait_end(self):
        """Until all that it said has been read; it has ended, and so have its workers, or soon will."""
        self._reader.join(WAIT)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self in Server.alive:
            Server.alive.remove(self)
            Started.ended.add(self.mark)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    # requests

    def connect(self, **more):
        return Http(self.port, **more)

    def request(self, method, target, headers=(), body=None):
        with Http(self.port) as h:
            return h.request(method, target, headers, body)

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    def head(self, target, headers=()):
        return self.request("HEAD", target, headers)

    def begin(self, target, headers=(), method="GET"):
        return Pending(self.port, method, target, headers)

    def chunk(self, target):
        """A chunk's bytes; anything but 200 fails."""
        r = self.get(target)
        assert r.status == 200, (target, r)
        assert r.complete
        return r.body

    # what it says of itself

    def metrics(self):
        """{"computed_total": 3, ...}: samples without labels, without the lazarr_ prefix."""
        r = self.get("/metrics")
        assert r.status == 200
        out = {}
        for line in r.text.splitlines():
            m = re.match(r"lazarr_(\w+) (\S+)$", line)
            if m:
                out[m.group(1)] = float(m.group(2))
        return out

    def metric(self, name):
        return self.metrics()[name]

    def wait_metric(self, name, value, timeout=WAIT):
        wait_until(lambda: self.metric(name) == value, f"lazarr_{name} == {value}; is "
                   f"{self.metric(name)}", timeout)

    @contextlib.contextmanager
    def delta(self):
        class Delta(dict):
            pass
        before, d = self.metrics(), Delta()
        yield d
        after = self.metrics()
        d.update({k: v - before.get(k, 0) for k, v in after.items()})

    def kill_workers(self):
        """Those that are there; one that ends by itself meanwhile, as of an old edition, is none. Their pids."""
        pids = self.worker_pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def worker_pids(self):
        """The children that are workers: each leads a group in the server's session. (Others are what dead
        parents left.)"""
        pids = []
        for p in Path("/proc").iterdir():
            if p.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    _, parent, group, session = (p / "stat").read_text().rsplit(")", 1)[1].split()[:4]
                    if int(parent) == self.process.pid and group == p.name != session:
                        pids.append(int(p.name))
        return pids

    def rss(self):
        """Resident bytes of the server, the most there were, and what of them is its own (not shared memory)."""
        s = (Path("/proc") / str(self.process.pid) / "status").read_text()
        return {k: int(re.search(rf"{k}:\s+(\d+) kB", s).group(1)) * 1024
                for k in ("VmRSS", "VmHWM", "RssAnon", "RssFile", "RssShmem")}


# ------------------------------------------------------------------------------------------ gate

class Left(Exception):
    """A caller was interrupted before it had said its line."""


class Call:
    """One call of gate(key) in a store, blocked until it is let go."""

    def __init__(self, sock):
        sock.settimeout(WAIT)
        data = b""
        while not data.endswith(b"\n"):
            more = sock.recv(4096)
            if not more:
                raise Left(data)
            data += more
        self.key, pid = data.decode().rsplit(" ", 1)
        self.pid, self.sock = int(pid), sock

    def go(self, order="go"):
        """Lets it return `order`: "go" by convention; stores may act on others."""
        self.sock.sendall(order.encode() + b"\n")

    def gone(self, timeout=WAIT):
        """Whether the calling process ends (or left the call) within the time."""
        self.sock.settimeout(timeout)
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True
        except (socket.timeout, BlockingIOError):
            return False


class Gate:
    """A place in user code where the test decides when it goes on, and how.

    A store that begins with gate.code has gate(key): it tells the test that it is there and
    returns the word that the test answers. When the gate closes, every caller gets "go"."""

    def __init__(self, folder):
        self.path = os.path.join(os.fspath(folder), "gate")
        # A path of a Unix socket has room for 107 bytes; pytest's folders can be longer.
        if len(self.path) > 100:
            self.path = f"/tmp/lzr-gate-{os.getpid()}-{id(self):x}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(512)
        self.calls = []
        self.code = f"""
import os, socket
def gate(key):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect({self.path!r})
        s.sendall(f"{{key}} {{os.getpid()}}\\n".encode())
        return s.makefile().readline().strip() or "go"
    except OSError:
        return "go"
    finally:
        s.close()
"""

    def next(self, timeout=WAIT):
        """The next call, in the order in which they came."""
        self.listener.settimeout(timeout)
        call = None
        while call is None:
            try:
                call = Call(self.listener.accept()[0])
            except Left:
                continue
            except socket.timeout:
                raise AssertionError(f"nothing reached the gate within {timeout} s") from None
        self.calls.append(call)
        return call

    def empty(self):
        """Nobody is at the gate who was not taken by next()."""
        return not select.select([self.listener], [], [], 0)[0]

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.close()
            os.unlink(self.path)
        for call in self.calls:
            call.sock.close()


def decode(data, compressor):
    """Encoded chunk bytes to raw ones, with Debian's numcodecs: no code of lazarr takes part."""
    if compressor is None:
        return bytes(data)
    import numcodecs
    return bytes(numcodecs.get_codec(compressor).decode(data))


def read_array(srv, path, face="zarr2"):
    """A whole array over HTTP by hand, for small ones: metadata, all chunks, the edges cut."""
    import itertools

    import numpy as np
    meta = srv.get(f"{path}/.zarray").json()
    shape, chunks = meta["shape"], meta["chunks"]
    out = np.empty(shape, meta["dtype"])
    for pos in itertools.product(*(range(-(-s // c)) for s, c in zip(shape, chunks))):
        key = meta["dimension_separator"].join(map(str, pos)) or "0"
        raw = decode(srv.chunk(f"{path}/{key}"), meta["compressor"])
        block = np.frombuffer(raw, meta["dtype"]).reshape(chunks)
        at = tuple(slice(p * c, min((p + 1) * c, s)) for p, c, s in zip(pos, chunks, shape))
        out[at] = block[tuple(slice(0, a.stop - a.start) for a in at)]
    return out


def together(n, work):
    """work(0) … work(n-1), each in a thread of its own; raises what the first of them to fail raised."""
    errors = []

    def one(i):
        try:
            work(i)
        except BaseException as e:  # noqa: BLE001 - raised below
            errors.append(e)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def served(handler):
    """An HTTP server of the test's own, by its handler's class: its URL."""
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    s.daemon_threads = True
    t = threading.Thread(target=s.serve_forever, daemon=True)
    t.start()
    try:
        yield f"http://127.0.0.1:{s.server_port}"
    finally:
        s.shutdown()
        s.server_close()
        t.join()


def need(found, what):
    """A tool a test needs: in CI its absence fails, elsewhere the skip is loud (conftest -rs)."""
    import pytest
    if not found:
        if CI:
            pytest.fail(f"{what} is missing and CI=true")
        pytest.skip(f"NOT TESTED, missing: {what}", allow_module_level=True)
    return found


def need_module(name):
    """A library that a test needs, imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return need(None, name)


def which(name):
    return shutil.which(name)
