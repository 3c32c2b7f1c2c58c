"""What asks whether a server lives and can compute: kubelets and balancers, by whatever name, without a token. And a port
that is taken is told before anything is loaded."""
import os
import signal
import socket
import subprocess

import pytest

import lzr

STORE = """
import lazarr, os
@lazarr.array("a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return 7
"""
TOKEN = "correct-horse-battery"
KUBELET = "10.1.2.3:8080"
WIDE = ("--host", "0.0.0.0", "--allow-host", "data.example")


@pytest.mark.parametrize("args", [(), ("--token", TOKEN), WIDE, (*WIDE, "--token", TOKEN), ("--host", "0.0.0.0", "--no-token")], ids=" ".join)
def test_any_name_without_a_token(serve, args):
    srv = serve(STORE, "--workers", "1", *args)
    for name in (KUBELET, "balancer.example", "evil.example:80", "xn--bcher-kva.example", "[fd00::1]:8080", "a_b", "x" * 200,
                 "", "[fe80::1%25eth0]:8080", "[fe80::1%eth0]", "lazarr:http", "10.1.2.3:", "a b", "x" * 2000, "\xe9"):
        for target, text in (("/healthz", "ok\n"), ("/readyz", "ready\n"), ("/readyz?verbose", "ready\n")):
            r = srv.get(target, {"Host": name, "User-Agent": "kube-probe/1.31"})
            assert r.status == 200 and r.text == text, (name, target, r)
            assert srv.head(target, {"Host": name}).status == 200
    for host in ("", "a b", "lazarr:http"):
        assert srv.get("/metrics", {"Host": host}).status == 400  # elsewhere it makes no sense
    # nothing else is
    for target in ("/metrics", "/api/stats", "/", "/healthz/", "/healthzx", "/readyz/x", "/zarr3/readyz", "/t/x/healthz"):
        r = srv.get(target, {"Host": "evil.example"})
        assert r.status in (401, 404, 421), (target, r)


def test_ready_is_a_worker_that_can_compute(serve, tmp_path):
    srv = serve(STORE, "--workers", "1")
    assert srv.get("/readyz").status == 200
    path = tmp_path / "s.py"
    with open(path, "a") as f:
        f.write("\nos._exit(3)\n")
    os.kill(srv.get("/api/workers").json()[0]["pid"], signal.SIGKILL)
    srv.wait_log(r"it ended with status 3")
    r = srv.get("/readyz", {"Host": KUBELET})
    assert r.status == 503 and r.text == "no worker can compute now\n"
    assert srv.get("/healthz").status == 200
    with open(path, "w") as f:
        f.write(STORE)
    lzr.wait_until(lambda: srv.get("/readyz").status == 200, "a worker")


def run(tmp_path, port, *args, wrap=(), text=STORE):
    (tmp_path / "other.py").write_text(text)
    return subprocess.run([*wrap, lzr.LAZARR, "serve", tmp_path / "other.py", "--port", str(port), *args],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lzr.environment(), timeout=60)


LOADED = "import os\nopen(os.path.join(os.path.dirname(__file__), 'loaded'), 'w').close()\n" + STORE


def check_taken(tmp_path, r):
    assert r.returncode == 1 and b"cannot listen on" in r.stderr and b"another lazarr" in r.stderr, r
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize("reuse, listens", [(True, True), (False, True), (False, False)])
def test_a_port_that_is_taken(tmp_path, reuse, listens):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        s.bind(("127.0.0.1", 0))
        if listens:
            s.listen()
        check_taken(tmp_path, run(tmp_path, s.getsockname()[1], text=LOADED))


@pytest.mark.parametrize("first", ["127.0.0.1", "0.0.0.0", "localhost"])
@pytest.mark.parametrize("second", ["127.0.0.1", "0.0.0.0"])
def test_a_port_of_a_server_that_loads(tmp_path, first, second):
    """From the moment that it is bound nobody else gets it, and it doesn't lose it; who asks meanwhile is refused."""
    gate = lzr.Gate(tmp_path)
    (tmp_path / "s.py").write_text(gate.code + "gate('load')\n" + STORE)
    port = lzr.free_port()
    p = subprocess.Popen([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", str(port), "--host", first, "--workers", "1"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    try:
        call = gate.next()
        check_taken(tmp_path, run(tmp_path, port, "--host", second, text=LOADED))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        call.go()
        gate.close()

        def answer():
            try:
                with lzr.Http(port) as h:
                    return h.get("/zarr2/s.zarr/a/0", {"Host": "localhost"})
            except OSError:
                return None
        assert lzr.wait_until(answer, "an answer").status in (200, 401)
        p.send_signal(signal.SIGTERM)
        assert p.wait(15 * lzr.SLOW) == 0
    finally:
        p.kill()
        p.wait()


def test_a_port_of_a_server_that_just_ended(tmp_path):
    """What is left of its connections doesn't keep the next one from its port."""
    (tmp_path / "s.py").write_text(STORE)
    port = 0
    for _ in range(3):
        with lzr.Server(tmp_path / "s.py", "--workers", "1", port=port) as srv:
            held = [srv.connect() for _ in range(5)]
            for h in held:
                assert h.get("/zarr2/s.zarr/a/0").body == b"\7\7"
            assert srv.stop() == 0  # the server's side ends them: TIME_WAIT is at this port
            port = srv.port
            for h in held:
                h.close()
