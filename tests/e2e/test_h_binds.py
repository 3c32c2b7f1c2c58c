"""What a server that others reach asks for, where its token comes from, and what it leaves behind."""
import os
import re
import socket
import subprocess

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("g/a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return 7
"""
KEY = "/zarr3/s.zarr/g/a/c/0"
TOKEN = "correct-horse-battery"
SAID = re.compile(r"lazarr: (--host|to keep one|to ask for one)")


def wide(serve, *args, host="0.0.0.0", **more):
    return serve(STORE, "--workers", "1", "--host", host, *args, **more)


def warnings(srv):
    return [line for line in srv.log.splitlines() if SAID.match(line)]


# ------------------------------------------------------------------- a bind that others reach

@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_token_is_made(serve, host):
    srv = wide(serve, host=host)
    assert len(warnings(srv)) == 2 and "--token-file" in warnings(srv)[1] and "--no-token" in warnings(srv)[1]
    token = re.search(r"/t/([A-Za-z0-9_-]{32})/zarr3/s.zarr/g/a", srv.log).group(1)
    assert srv.get(KEY).status == 401 and srv.get("/healthz").status == 200
    assert srv.chunk(f"/t/{token}{KEY}") == b"\7\7"
    assert token not in open(f"/proc/{srv.process.pid}/cmdline").read()
    # Printed URLs name the machine, which 0.0.0.0 doesn't to others.
    assert f"http://{socket.gethostname()}:{srv.port}/t/{token}/" in srv.log
    # In no line of a request; and it is another one each time.
    srv.get(f"/t/{token}/end")
    srv.wait_log(r"GET /t/\*\*\*/end HTTP/1.1\" 404")
    assert not [line for line in srv.log.splitlines() if token in line and "GET " in line]
    srv.stop()
    assert token not in wide(serve).log


def test_no_token(serve):
    srv = wide(serve, "--no-token")
    assert len(warnings(srv)) == 2 and "without a token" in warnings(srv)[0] and "--token-file" in warnings(srv)[1]
    assert srv.chunk(KEY) == b"\7\7"
    assert f"http://{socket.gethostname()}:{srv.port}/zarr3/s.zarr/g/a" in srv.log


@pytest.mark.parametrize("args", [("--no-token",), ()])
def test_names_beyond_loopback(serve, args):
    """DNS rebinding: a page's own name isn't answered, whether a token is asked for or not; addresses and the
    machine's names are."""
    srv = wide(serve, *args)
    port, host = srv.port, socket.gethostname()
    for name in ("evil.example", f"evil.example:{port}", f"{host}.evil.example", "10.0.0.1.evil.example", "2130706433"):
        assert srv.get("/nothing", {"Host": name}).status == 421, name
    for name in (host, f"{host.upper()}:{port}", f"{host.split('.')[0]}.local", "10.1.2.3", f"192.168.7.9:{port}",
                 "[fd00::1]", f"[fd00::1]:{port}", "localhost", f"127.0.0.1:{port}"):
        assert srv.get("/nothing", {"Host": name}).status in (401, 404), name
    srv.wait_log(r"--allow-host evil.example$")
    srv.get("/healthz", {"Host": "[::1:2"})
    assert srv.get("/end", {"Host": "10.1.2.3"}).status in (401, 404)


def test_names_where_a_token_was_given(serve):
    """No page knows it: any name will do."""
    srv = wide(serve, env={"LAZARR_TOKEN": TOKEN})
    assert not warnings(srv)
    assert srv.get(f"/t/{TOKEN}{KEY}", {"Host": "data.example"}).status == 200
    assert srv.get(KEY, {"Host": "data.example"}).status == 401


def test_a_bind_of_this_machine_asks_for_nothing(serve):
    for host in ("127.0.0.1", "localhost"):
        srv = wide(serve, host=host)
        assert not warnings(srv) and "/t/" not in srv.log and srv.chunk(KEY) == b"\7\7"
        srv.stop()


# ----------------------------------------------------------------------------- where it comes from

def test_where_a_token_comes_from(serve, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    for args, env, said in ((("--token", TOKEN), {}, True), (("--token-file", file), {}, False),
                            ((), {"LAZARR_TOKEN": TOKEN}, False),
                            (("--token-file", file), {"LAZARR_TOKEN": "x" * 20}, False)):
        srv = serve(STORE, "--workers", "1", *args, env=env)
        assert srv.get(KEY).status == 401 and srv.chunk(f"/t/{TOKEN}{KEY}") == b"\7\7"
        assert ("can be read in the process list" in srv.log) == said
        assert TOKEN not in srv.log
        assert (TOKEN in open(f"/proc/{srv.process.pid}/cmdline").read()) == said
        for pid in srv.worker_pids():
            assert TOKEN.encode() not in open(f"/proc/{pid}/environ", "rb").read()
        srv.stop()
    srv = serve(STORE, "--workers", "1", "--no-token", env={"LAZARR_TOKEN": TOKEN})
    assert srv.get(KEY).status == 200


@pytest.mark.parametrize("mode, fits", [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o644, False),
                                        (0o620, False), (0o602, False), (0o666, False)])
def test_a_file_that_others_may_read(tmp_path, mode, fits):
    (tmp_path / "s.py").write_text(STORE)
    file = tmp_path / "token"
    file.write_text(("" if fits else TOKEN) + "\n")  # one that fits is refused for what is in it
    file.chmod(mode)
    r = lzr.run("serve", tmp_path / "s.py", "--port", "0", "--token-file", file)
    said = r.stderr.decode()
    assert r.returncode == 2 and len(said.splitlines()) == 1 and TOKEN not in said
    assert ("first line" if fits else "others") in said and str(file) in said
    assert fits or f"chmod 600 '{file}'" in said


def test_a_file_of_another_user_for_our_group(serve, tmp_path):
    """As service managers hand them out: root's, for the group that the server runs in."""
    lzr.need(os.geteuid() == 0, "root, who alone may give a file away,")
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    os.chown(file, 1, os.getegid())
    file.chmod(0o640)
    srv = serve(STORE, "--workers", "1", "--token-file", file)
    assert srv.chunk(f"/t/{TOKEN}{KEY}") == b"\7\7"


@pytest.mark.parametrize("args, env, said", [
    (("--no-token", "--token", TOKEN), {}, "--no-token"), (("--token", "short"), {}, "--token must"),
    ((), {"LAZARR_TOKEN": "with blanks and so on"}, "$LAZARR_TOKEN"), (("--token-file", "/nowhere"), {}, "/nowhere")])
def test_tokens_that_make_no_sense(tmp_path, args, env, said):
    (tmp_path / "s.py").write_text(STORE)
    r = subprocess.run([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", "0", *args], capture_output=True, text=True,
                       env=lzr.environment(**env))
    assert r.returncode == 2 and said in r.stderr and len(r.stderr.splitlines()) == 1
    assert "short" not in r.stderr and "blanks" not in r.stderr and TOKEN not in r.stderr


# -------------------------------------------------------------------------------- what the log has

def test_secrets_that_clients_send(serve):
    """Our token in a Host or an Origin, and other programs' in a query."""
    srv = serve(STORE, "--workers", "1", "--token", TOKEN)
    assert srv.get(KEY, {"Host": f"{TOKEN}.example"}).status == 421
    assert srv.get(KEY, {"Host": TOKEN.upper()}).status == 421
    for origin in (f"http://{TOKEN}.example", f"http://h/t/{TOKEN}/"):
        assert srv.get(f"/t/{TOKEN}{KEY}", {"Origin": origin}).status == 200
    for query in ("token=s3cret", "a=1&access_token=s3cret", "%74oken=s3cret", "next=%2F%3Ftoken%3Ds3cret",
                  "X-Amz-Signature=s3cret&b=2", "api_key=s3cret"):
        srv.get(f"/tree?{query}")
    with srv.connect() as h:
        h.sock.sendall(b"GET http://me:s3cret@127.0.0.1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        h.read("GET")
    srv.get("/end?plain=shown")
    srv.wait_log(r"GET /end\?plain=shown HTTP/1.1\" 401")
    assert "s3cret" not in srv.log and TOKEN not in srv.log.lower()
    srv.wait_log(r"host '\(the token\)' was refused$")
    srv.wait_log(r"a page of \(the token\) may not")
    srv.wait_log(r"GET /tree\?a=1&access_token=\*\*\* HTTP/1.1\" 401")


# -------------------------------------------------------------------------- what it leaves behind

def cores(pid):
    """(soft, hard) limits of core files."""
    line = next(v for v in open(f"/proc/{pid}/limits") if v.startswith("Max core file size"))
    return line.split()[4:6]


def test_core_dumps(serve):
    import resource
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    lzr.need(hard == resource.RLIM_INFINITY or hard > 4096, "a machine that lets processes leave core files")

    def allowed():
        resource.setrlimit(resource.RLIMIT_CORE, (4096, hard))

    srv = serve(STORE, "--workers", "1", inherits=allowed)
    assert cores(srv.process.pid)[0] in ("0", "1")
    assert cores(srv.worker_pids()[0])[1] in ("0", "1")
    srv.stop()
    srv = serve(STORE, "--workers", "1", "--core-dumps", inherits=allowed)
    assert cores(srv.process.pid)[0] == "4096"
    assert cores(srv.worker_pids()[0])[1] in ("0", "1")


def test_root_is_said_once(serve):
    srv = serve(STORE, "--workers", "2")
    assert srv.log.count("running as root") == (os.geteuid() == 0)
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.log.count("running as root") == (os.geteuid() == 0)
