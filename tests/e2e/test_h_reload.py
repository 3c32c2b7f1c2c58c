"""Reloading: POST /api/reload and SIGHUP load the stores anew beside the old ones, which go on answering
until the new ones are there, and for ever if those can't be loaded. Also who may ask for it."""
import fcntl
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return VALUE
"""
KEY = "/zarr3/s.zarr/a/c/0"


def source(value):
    return STORE.replace("VALUE", str(value))


def write(tmp_path, text):
    """As an editor does it: the file is never half there."""
    (tmp_path / "new").write_text(text)
    os.replace(tmp_path / "new", tmp_path / "s.py")


def reload(srv, headers=()):
    return srv.request("POST", "/api/reload", headers)


def sample(srv, name):
    """A counter with labels, as it stands in /metrics."""
    found = re.search(rf"^lazarr_{re.escape(name)} (\S+)$", srv.get("/metrics").text, re.M)
    return float(found.group(1)) if found else None


def test_reload_by_post(serve, tmp_path):
    srv = serve(source(1), "--workers", "1")
    old = srv.get(KEY)
    assert old.body == b"\x01\x01"
    before = srv.metrics()
    write(tmp_path, source(2) + source(3).replace('"a"', '"b"'))
    r = reload(srv)
    assert r.status == 200 and r.json()["reloaded"] is True and r.json()["arrays"] == 2
    new = srv.get(KEY)
    assert new.body == b"\x02\x02" and new["ETag"] != old["ETag"]
    assert srv.get(KEY, {"If-None-Match": old["ETag"]}).status == 200
    assert srv.get(KEY, {"If-None-Match": new["ETag"]}).status == 304
    assert srv.chunk("/zarr3/s.zarr/b/c/0") == b"\x03\x03"
    srv.wait_metric("editions", 1)  # the old one is closed
    after = srv.metrics()
    for name, value in before.items():
        if name.endswith("_total"):
            assert after[name] >= value, name
    assert after["computed_total"] == before["computed_total"] + 2
    assert sample(srv, 'reloads_total{result="ok"}') == 1
    lzr.wait_until(lambda: len(srv.worker_pids()) == 1, "the old worker's end")
    assert srv.stop() == 0


def test_reload_by_signal_and_a_broken_file(serve, tmp_path):
    srv = serve(source(1), "--workers", "1")
    old = srv.get(KEY)
    write(tmp_path, source(1) + "\nraise ValueError('half written')\n")
    srv.process.send_signal(signal.SIGHUP)
    srv.wait_log(r"reload failed, the stores stay as they were: .*half written")
    srv.wait_log(r"reload: Traceback")
    r = srv.get(KEY)
    assert r.body == old.body and r["ETag"] == old["ETag"]
    assert srv.get(KEY, {"If-None-Match": old["ETag"]}).status == 304
    # The same by POST: the reason and the traceback are in the answer.
    r = reload(srv)
    assert r.status == 500 and r.json()["reloaded"] is False
    assert "half written" in r.json()["error"] and "Traceback" in r.json()["traceback"]
    assert srv.chunk("/zarr3/s.zarr/a/c/1") == b"\x01\x01"  # not cached: the worker is there
    lzr.wait_until(lambda: sample(srv, 'reloads_total{result="failed"}') == 2, "two counted")
    write(tmp_path, source(5))
    srv.process.send_signal(signal.SIGHUP)
    srv.wait_log(r"reloaded: 1 arrays")
    assert srv.chunk(KEY) == b"\x05\x05"
    assert srv.stop() == 0


def test_a_store_that_crashes_or_vanishes_keeps_the_old_one(serve, tmp_path):
    srv = serve(source(1), "--workers", "1")
    for text in ("import os\nos._exit(3)\n", "import lazarr, os\nos.kill(os.getpid(), 11)\n", "x = (\n"):
        write(tmp_path, text)
        assert reload(srv).status == 500
        assert srv.chunk(KEY) == b"\x01\x01"
    os.unlink(tmp_path / "s.py")
    r = reload(srv)
    assert r.status == 500 and "s.py" in r.json()["error"]
    assert srv.chunk("/zarr3/s.zarr/a/c/3") == b"\x01\x01"
    assert srv.metric("editions") == 1


def test_a_request_keeps_the_store_it_began_with(serve, tmp_path, gate):
    """Running, waiting and new requests around a reload: none is lost, each gets one store's bytes."""
    text = gate.code + source("gate('old') and 1")
    srv = serve(text, "--workers", "1")
    first = srv.begin(KEY)
    call = gate.next()
    second = srv.begin("/zarr3/s.zarr/a/c/1")  # waits behind the first
    srv.wait_metric("waiting", 2)
    write(tmp_path, source(2))
    assert reload(srv).status == 200
    assert srv.chunk(KEY) == b"\x02\x02"  # although the old one still computes this key
    assert srv.metric("editions") == 2 and not first.answered()
    call.go()
    gate.next().go()
    assert first.result().body == b"\x01\x01" and second.result().body == b"\x01\x01"
    srv.wait_metric("editions", 1)
    assert srv.chunk(KEY) == b"\x02\x02"
    lzr.wait_until(lambda: len(srv.worker_pids()) == 1, "the old worker's end")


def test_a_slow_reader_keeps_the_bytes_it_reads(serve, tmp_path):
    """What is being sent belongs to the old store, and stays until its last byte."""
    big = """
import lazarr
@lazarr.array("a", shape=(1 << 25,), chunks=(1 << 25,), dtype="uint8", compressor=None)
def a(block):
    return VALUE
"""
    srv = serve(big.replace("VALUE", "1"), "--workers", "1")
    srv.chunk(KEY)
    with srv.connect() as h:
        h.send("GET", KEY)
        assert h.sock.recv(1000)
        write(tmp_path, big.replace("VALUE", "2"))
        assert reload(srv).status == 200
        assert srv.metric("editions") == 2
        assert srv.chunk(KEY) == b"\x02" * (1 << 25)
        got = 0
        while got < (1 << 25) - 1000:
            data = h.sock.recv(1 << 20)
            assert data and b"\x02" not in data
            got += len(data)
    srv.wait_metric("editions", 1)


def test_reload_under_load(serve, tmp_path):
    """Clients that never pause see every answer whole, from one store or the next, in that order."""
    srv = serve(source(0), "--workers", "2")
    stop, wrong, seen = threading.Event(), [], [set() for _ in range(4)]

    def read(n):
        last = 0
        with srv.connect() as h:
            while not stop.is_set():
                r = h.get(f"/zarr3/s.zarr/a/c/{n}")
                if r.status != 200 or len(r.body) != 2 or len(set(r.body)) != 1 or r.body[0] < last:
                    wrong.append(r)
                    return
                last = r.body[0]
                seen[n].add(last)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    try:
        for value in range(1, 6):
            write(tmp_path, source(value))
            # Those the last reload replaced may still be closing.
            r = lzr.wait_until(lambda: (lambda x: x.status != 503 and x)(reload(srv)), "a reload")
            assert r.status == 200, r
            lzr.wait_until(lambda: wrong or all(value in s for s in seen), f"all to see {value}")
            assert not wrong, wrong
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong
    srv.wait_metric("editions", 1)
    assert sample(srv, 'reloads_total{result="ok"}') == 5
    assert srv.stop() == 0


def test_stop_while_it_reloads(serve, tmp_path):
    """SIGTERM doesn't wait for a store that takes for ever to load, and its POST is answered."""
    srv = serve(source(1), "--workers", "1")
    write(tmp_path, "import time\ntime.sleep(1000)\n")
    wish = srv.begin("/api/reload", method="POST")
    srv.wait_log("reloading the stores")
    assert srv.chunk(KEY) == b"\x01\x01"
    srv.process.send_signal(signal.SIGTERM)
    assert wish.result().status == 503
    assert srv.process.wait(lzr.WAIT) == 0


def test_second_sigterm_is_at_once(serve, gate):
    """The first lets what is being sent go on, for a while; the second doesn't wait."""
    srv = serve("""
import lazarr
@lazarr.array("a", shape=(1 << 24,), chunks=(1 << 24,), dtype="uint8", compressor=None)
def a(block):
    return 1
""", "--workers", "1")
    srv.chunk(KEY)
    with srv.connect() as h:
        h.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        h.send("GET", KEY)
        assert h.sock.recv(1)
        srv.process.send_signal(signal.SIGTERM)
        srv.wait_log("lazarr: stopping")
        lzr.wait_until(lambda: sigterm_is_default(srv.process.pid), "the second to be heard")
        assert srv.process.poll() is None
        assert srv.stop(signal.SIGTERM, timeout=5 * lzr.SLOW) == -signal.SIGTERM


def test_a_stop_before_it_could_say_that_it_listens(tmp_path, gate):
    """Requests are served by then: nobody reads its standard output, so it stands there, and a stop is as
    orderly as later."""
    (tmp_path / "s.py").write_text(gate.code + STORE.replace("return VALUE", "gate('a'); return 1"))
    port = lzr.free_port()
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    os.write(into, b"x" * fcntl.fcntl(into, fcntl.F_GETPIPE_SZ))
    p = subprocess.Popen([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", str(port), "--workers", "1"], stdout=into,
                         stderr=subprocess.DEVNULL, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    os.close(into)
    try:
        def waits():
            try:
                return lzr.Pending(port, "GET", KEY, ())
            except ConnectionRefusedError:
                return None
        pending = lzr.wait_until(waits, "it listens")
        gate.next()
        p.send_signal(signal.SIGTERM)
        lzr.wait_until(lambda: p.poll() is not None or sigterm_is_default(p.pid), "it is heard")
        assert p.poll() is None
        with open(out, "rb") as f:
            assert b"lazarr: listening on" in f.read()
        assert pending.result().status == 503
        assert p.wait(lzr.WAIT) == 0
    finally:
        p.kill()
        p.wait()


def sigterm_is_default(pid):
    """No thread blocks it any more: some thread of the process has it unblocked and uncaught."""
    for task in (lzr.Path("/proc") / str(pid) / "task").iterdir():
        text = (task / "status").read_text()
        blocked = int(re.search(r"SigBlk:\s+(\w+)", text).group(1), 16)
        if not blocked >> (signal.SIGTERM - 1) & 1:
            return True
    return False


def test_a_page_that_took_a_name_of_ours_may_not_reload(serve):
    """DNS rebinding: where any name is answered, it isn't for what changes something."""
    srv = serve(source(1), "--workers", "1", "--host", "0.0.0.0", "--no-token", "--allow-host", "*")
    evil = {"Host": f"evil.example:{srv.port}", "Origin": f"http://evil.example:{srv.port}"}
    assert srv.get(KEY, {"Host": evil["Host"]}).status == 200
    assert reload(srv, evil).status == 403
    assert reload(srv, {"Origin": f"http://127.0.0.1:{srv.port}", "Host": f"127.0.0.1:{srv.port}"}).status == 200
    assert sample(srv, 'reloads_total{result="ok"}') == 1


@pytest.mark.parametrize("args, name", [
    (("--allow-host", "data.example"), "data.example"),
    (("--public-url", "https://data.example/x"), "data.example"),
    (("--host", "0.0.0.0", "--no-token"), "192.168.1.5:8080"),
])
def test_a_proxy_that_says_nothing_of_itself_is_no_local_peer(serve, args, name):
    """One on this machine that passes the Host on, and no more: what it is asked for isn't a name of this machine's."""
    srv = serve(source(1), "--workers", "1", *args)
    assert srv.get(KEY, {"Host": name}).status == 200
    for target in ("/api/reload", f"http://{name}/api/reload"):
        assert srv.request("POST", target, {"Host": name}).status == 403
    assert srv.request("POST", f"http://{name}/api/reload", {"Host": "localhost"}).status == 403
    with srv.connect() as h:  # no name at all, as HTTP/1.0 allows it
        h.sock.sendall(b"POST /api/reload HTTP/1.0\r\n\r\n")
        assert h.read("POST").status == 403
    assert reload(srv).status == 200
    assert srv.request("POST", "http://localhost/api/reload", {"Host": "localhost"}).status == 200


def test_this_machine_by_either_family(serve):
    """Bound to ::, which also takes IPv4: an address of this machine is one as IPv6 writes it, too."""
    srv = serve(source(1), "--workers", "1", "--host", "::", "--no-token")
    for host in ("::1", "127.0.0.1"):
        with lzr.Http(srv.port, host=host) as h:
            h.host = "localhost"
            assert h.request("POST", "/api/reload").status == 200


def test_a_closed_terminal_stops_it(tmp_path):
    """SIGHUP from a terminal that went away is no wish for a reload."""
    import pty
    import time
    (tmp_path / "s.py").write_text(source(1))
    try:
        pid, master = pty.fork()
    except OSError:  # a root folder without /dev/pts
        pid = lzr.need(None, "a terminal (/dev/pts)")
    if pid == 0:
        os.environ.clear()
        os.environ["PATH"] = "/usr/bin:/bin"
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests with nohup doesn't mean this one
        os.execv(lzr.LAZARR, [str(lzr.LAZARR), "serve", str(tmp_path / "s.py"), "--port", "0", "--workers", "1"])
    said = b""
    while b"listening" not in said:
        said += os.read(master, 4096)
    os.close(master)
    end = time.monotonic() + lzr.WAIT
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < end, "still there"
        time.sleep(0.01)


def test_who_may_reload(serve):
    srv = serve(source(1), "--workers", "1")
    r = srv.get("/api/reload")
    assert r.status == 405 and r["Allow"] == "POST"
    own = f"http://127.0.0.1:{srv.port}"
    assert reload(srv, {"Origin": own}).status == 200
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Origin": "http://localhost:3000"},
                    {"Origin": f"https://127.0.0.1:{srv.port}.evil.example"},
                    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                    {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}, {"Via": "1.1 p"}):
        assert reload(srv, headers).status == 403, headers
    assert srv.request("POST", "/api/reload", body=b"x").status == 413
    for target in ("/api/stats", "/", "/zarr3/s.zarr/a/c/0", "/api/reload/", "/api/reloads"):
        assert srv.request("POST", target).status == 405, target
    assert sample(srv, 'reloads_total{result="ok"}') == 1


def test_reload_with_a_token(serve):
    token = "a-token-of-many-letters"
    srv = serve(source(1), "--workers", "1", "--token", token)
    assert reload(srv).status == 401
    assert srv.request("POST", f"/t/{token}/api/reload").status == 200
    # The token says who asks, also through a proxy; a page of another origin is refused all the same.
    bearer = {"Authorization": f"Bearer {token}"}
    assert reload(srv, {**bearer, "X-Forwarded-For": "10.0.0.1"}).status == 200
    assert reload(srv, {**bearer, "Origin": "http://evil.example"}).status == 403
    assert token not in srv.log


@pytest.mark.parametrize("what", ["port", "python", "store", "no numpy"])
def test_clear_errors_in_one_line(tmp_path, what):
    """What keeps it from serving is one line on stderr, status 1, before a store takes its time."""
    slow = tmp_path / "s.py"
    slow.write_text("import time\ntime.sleep(1000)\n")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        (tmp_path / "env" / "bin").mkdir(parents=True)
        args = {"port": [slow, "--port", port],
                "python": [slow, "--port", 0, "--python", tmp_path / "nowhere"],
                "store": [tmp_path / "missing.py", "--port", 0],
                "no numpy": [slow, "--port", 0, "--python", tmp_path / "env"]}[what]
        r = lzr.run("serve", *args)
    text = r.stderr.decode()
    assert r.returncode == 1 and text.startswith("lazarr: ") and text.count("\n") == 1, text
    assert {"port": str(port), "python": "nowhere", "store": "missing.py", "no numpy": "env"}[what] in text
    assert r.stdout == b""


def test_a_stale_listener_is_told(serve):
    """Another lazarr that still runs on the port is named as what it probably is."""
    srv = serve(source(1), "--workers", "1")
    r = subprocess.run([lzr.LAZARR, "serve", srv.process.args[2], "--port", str(srv.port)],
                       stderr=subprocess.PIPE, env=lzr.environment(), timeout=60 * lzr.SLOW)
    assert r.returncode == 1 and b"is another lazarr running?" in r.stderr
    assert srv.chunk(KEY) == b"\x01\x01"
