"""A name with several addresses is answered at all of them."""
import contextlib
import os
import socket
import subprocess

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return 7
"""
KEY = "/zarr3/s.zarr/a/c/0"


def with_hosts(tmp_path, text):
    """What runs a program with another /etc/hosts."""
    (tmp_path / "hosts").write_text(text)
    how = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-Urm"]
    tried = subprocess.run([*how, "sh", "-c", 'mount --bind "$0" /etc/hosts', tmp_path / "hosts"], stderr=subprocess.PIPE)
    lzr.need(tried.returncode == 0, f"mount namespaces ({tried.stderr.decode().strip()})")
    return [*how, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', tmp_path / "hosts"]


@pytest.mark.parametrize("hosts, there", [
    ("127.0.0.1 localhost\n::1 localhost\n", ["127.0.0.1", "::1"]),
    ("::1 localhost ip6-localhost\n127.0.0.1 localhost\n127.0.0.1 localhost here\n::1 localhost\n", ["127.0.0.1", "::1"]),
    ("127.0.0.1 localhost\n127.0.0.2 localhost\n127.0.0.3 localhost\n", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
    ("127.0.0.1 localhost\nfd00:dead:beef::1 localhost\n", ["127.0.0.1"]),  # no address of this machine
])
def test_every_address_of_a_name(serve, tmp_path, hosts, there):
    srv = serve(STORE, "--workers", "1", "--host", "localhost", wrap=with_hosts(tmp_path, hosts))
    assert f"listening on http://localhost:{srv.port}/" in srv.log
    with contextlib.ExitStack() as all_:
        for host in there:
            for _ in range(3):
                h = all_.enter_context(srv.connect(host=host))
                for _ in range(3):
                    assert h.get(KEY, {"Host": "localhost"}).body == b"\7\7", host
                r = h.request("POST", "/api/reload", {"Host": "localhost", "Via": "1.1 x"})
                assert r.status == 403
        with srv.connect(host=there[-1]) as h:
            assert "lazarr_http_connections %d" % (3 * len(there) + 1) in h.get("/metrics", {"Host": "localhost"}).text
    for host in {"127.0.0.1", "127.0.0.2", "::1"} - set(there):
        with pytest.raises(OSError):
            srv.connect(host=host, timeout=5)
    assert srv.stop() == 0


def test_a_port_that_is_taken_at_one_of_them(tmp_path):
    """Not half of it: clients would find another program there."""
    wrap = with_hosts(tmp_path, "127.0.0.1 localhost\n127.0.0.2 localhost\n")
    (tmp_path / "s.py").write_text(STORE)
    with socket.socket() as s:
        s.bind(("127.0.0.2", 0))
        s.listen()
        r = subprocess.run([*wrap, lzr.LAZARR, "serve", tmp_path / "s.py", "--host", "localhost", "--port", str(s.getsockname()[1])],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lzr.environment(), timeout=60)
        assert r.returncode == 1 and b"cannot listen on localhost port" in r.stderr and b"another lazarr" in r.stderr
