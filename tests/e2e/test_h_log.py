"""The access log: nginx's combined format or JSON, what clients may put into it, files that are rotated, and the signals of
programs that rotate them."""
import datetime
import fcntl
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return block.index
@lazarr.array("bad", shape=(100,), chunks=(1,), dtype="uint8")
def bad(block):
    raise ValueError("kaputt \\x1b[31m \\xe9 \\"quoted\\"\\nsecond line")
"""
KEY = "/zarr2/s.zarr/a/1"
TOKEN = "correct-horse-battery"
# As goaccess, awstats and fail2ban read it.
COMBINED = re.compile(r'(?P<client>\S+) - (?P<user>\S+) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"(?P<method>[A-Z-]+) (?P<target>\S+)(?: (?P<protocol>HTTP/\d\.\d))?" (?P<status>\d{3}) (?P<bytes>\d+) '
                      r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)"')
# Headers that a client may send, and what stands of them in the text format.
HEADERS = [
    ({}, "-", "-"),
    ({"User-Agent": "curl/8.5.0", "Referer": "http://127.0.0.1/x?y=1"}, "http://127.0.0.1/x?y=1", "curl/8.5.0"),
    ({"User-Agent": 'a" 200 1 "b" "c\\'}, "-", r'a\x22 200 1 \x22b\x22 \x22c\x5c'),
    ({"User-Agent": "x\xff\xc2\x9b31m"}, "-", r"x\xff\xc2\x9b31m"),
    ({"User-Agent": f"bot {TOKEN}", "Referer": f"http://h/t/{TOKEN}/x"}, None, None),
    ({"Referer": "http://h/x?access_token=abc&z=1"}, "http://h/x?access_token=***&z=1", "-"),
    ({"User-Agent": "y" * 3000, "Referer": "http://" + "z" * 3000}, None, None),
]


def lines_of(srv_or_text):
    text = srv_or_text if isinstance(srv_or_text, str) else srv_or_text.log
    return [m for m in map(COMBINED.fullmatch, text.splitlines()) if m]


def near(when):
    return abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()) < 60 * lzr.SLOW


def test_combined(serve):
    srv = serve(STORE, "--workers", "1", "--token", TOKEN)
    auth = {"Authorization": f"Bearer {TOKEN}"}
    with srv.connect() as h:  # of one connection they come in order
        for headers, _, _ in HEADERS:
            h.get(KEY, {**auth, **headers})
        h.request("HEAD", KEY, auth)
        h.get(f"/t/{TOKEN}/nothing?sig=1")
        h.sock.sendall(b"GET /old HTTP/1.0\r\n\r\n")
        assert h.read().status == 401
    srv.wait_log('"GET /old ')
    found = lines_of(srv)
    assert len(found) == len(HEADERS) + 3
    assert TOKEN not in srv.log.split("listening on")[1]
    for m, (_, referer, agent) in zip(found, HEADERS):
        assert m["client"] == "127.0.0.1" and m["method"] == "GET" and m["target"] == KEY and m["protocol"] == "HTTP/1.1"
        assert m["status"] == "200" and m["bytes"] == "1" and m.string.isascii()
        assert near(datetime.datetime.strptime(m["time"], "%d/%b/%Y:%H:%M:%S %z"))
        if agent is not None:
            assert (m["referer"], m["agent"]) == (referer, agent)
    head, token, old = found[-3:]
    assert head["method"] == "HEAD" and head["bytes"] == "0"
    assert token["target"] == "/t/***/nothing?sig=***" and token["status"] == "404"
    assert old["protocol"] == "HTTP/1.0" and old["status"] == "401"


@pytest.mark.parametrize("said, client", [
    ("203.0.113.9", "203.0.113.9"), ("evil, 203.0.113.9", "203.0.113.9"), ("10.0.0.1,  2001:db8::7", "2001:db8::7"),
    ('x" y', "127.0.0.1"), ("", "127.0.0.1"), ("203.0.113.9, unknown", "127.0.0.1"),
    ("203.0.113.9:4711", "203.0.113.9"), ('for=evil, for="[2001:db8::7]:4711";proto=https', "2001:db8::7"), ("for=_hidden", "127.0.0.1")])
def test_the_client_behind_a_proxy(serve, said, client):
    srv = serve(STORE, "--workers", "1")
    srv.get("/end", {"Forwarded" if "for=" in said else "X-Forwarded-For": said})
    srv.wait_log('"GET /end ')
    assert lines_of(srv)[-1]["client"] == client


def test_json(serve):
    srv = serve(STORE, "--workers", "1", "--token", TOKEN, "--log-format", "json", stderr=subprocess.PIPE)
    text = []
    reader = threading.Thread(target=lambda: text.append(srv.process.stderr.read().decode("utf-8")))  # strict
    reader.start()
    auth = {"Authorization": f"Bearer {TOKEN}"}
    with srv.connect() as h:  # of one connection they come in order
        for headers, _, _ in HEADERS:
            assert h.get(KEY, {**auth, **headers}).status == 200
    for i in range(3):
        assert srv.get(f"/zarr2/s.zarr/bad/{i}", auth).status == 500
    srv.get("/\xff\xe9\"\\%41?key=secret", auth)
    with srv.connect() as h:
        h.sock.sendall(b"nonsense\r\n\r\n")
        h.closed()
    srv.get("/", {"Host": "evil\xff.example"})
    srv.process.send_signal(signal.SIGUSR2)
    assert srv.stop() == 0
    reader.join(lzr.WAIT)
    objects = [json.loads(line) for line in text[0].splitlines()]
    assert all(near(datetime.datetime.strptime(o["time"], "%Y-%m-%dT%H:%M:%S%z")) for o in objects)
    asked = [o for o in objects if "client" in o]
    said = [o for o in objects if "client" not in o]
    assert all(set(o) == {"time", "level", "message"} for o in said)
    assert {o["level"] for o in said} >= {"error", "info"}
    assert any("kaputt" in o["message"] and "Traceback" in o["message"] and "\x1b" not in o["message"] for o in said)
    keys = {"time", "client", "method", "target", "protocol", "status", "bytes", "ms", "hit", "referer", "agent"}
    assert all(set(o) == keys for o in asked)
    ours = [o for o in asked if o["target"] == KEY]
    assert [o["hit"] for o in ours] == [False] + [True] * (len(HEADERS) - 1)
    assert ours[2]["agent"] == 'a" 200 1 "b" "c\\' and ours[3]["agent"] == r"x\xff\xc2\x9b31m"
    assert all(o["ms"] >= 0 and o["status"] == 200 and o["bytes"] == 1 for o in ours)
    assert any(o["target"] == r'/\xff\xe9"\%41?key=***' for o in asked), [o["target"] for o in asked]
    assert TOKEN not in text[0]


# ---------------------------------------------------------------------------------------- rotation

def test_a_file_that_is_rotated(serve, tmp_path):
    """Under load: each request is a whole line in one of the files, in order."""
    path = tmp_path / "access.log"
    srv = serve(STORE, "--workers", "1", "--log-file", path)
    assert "GET" not in srv.log and oct(path.stat().st_mode)[-3:] in ("640", "600")
    n, over = [0], threading.Event()

    def ask():
        with srv.connect() as h:
            while not over.is_set():
                assert h.get(f"/{n[0]}").status == 404
                n[0] += 1
    t = threading.Thread(target=ask)
    t.start()
    for i in range(4):
        before = n[0]
        os.rename(path, tmp_path / f"access.log.{i}")
        srv.process.send_signal(signal.SIGUSR1)
        lzr.wait_until(lambda: n[0] > before + 50 and path.exists(), "requests and another file")
    over.set()
    t.join()
    assert srv.stop() == 0
    files = [*(tmp_path / f"access.log.{i}" for i in range(4)), path]
    text = [f.read_text() for f in files]
    assert all(t.endswith("\n") for t in text)
    assert [int(m["target"][1:]) for t in text for m in lines_of(t) if m["target"][1:].isdigit()] == list(range(n[0]))


def test_a_file_that_can_not_be_opened_again(serve, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    srv = serve(STORE, "--workers", "1", "--log-file", folder / "log")
    os.rename(folder, tmp_path / "gone")
    srv.process.send_signal(signal.SIGUSR1)
    old = tmp_path / "gone/log"
    lzr.wait_until(lambda: "can't be opened again, the old one goes on: No such file" in old.read_text(), "a line")
    assert srv.get("/end").status == 404
    lzr.wait_until(lambda: "GET /end" in old.read_text(), "a line in the old file")
    folder.mkdir()
    srv.process.send_signal(signal.SIGUSR1)
    lzr.wait_until(lambda: (folder / "log").exists(), "another file")
    assert srv.stop() == 0


@pytest.mark.parametrize("kind", ["no folder", "a folder", "a pipe that nobody reads", "not allowed", "empty", "format"])
def test_files_that_can_not_be(tmp_path, kind):
    (tmp_path / "s.py").write_text(STORE)
    path = tmp_path / "log"
    args = ["--log-file", path]
    if kind == "no folder":
        args[1] = tmp_path / "nowhere/log"
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a pipe that nobody reads":
        os.mkfifo(path)
    elif kind == "not allowed":
        args[1] = "/proc/version/log"
    elif kind == "empty":
        args[1] = ""
    else:
        args = ["--log-format", "xml"]
    r = lzr.run("serve", tmp_path / "s.py", "--port", "0", *args)
    assert r.returncode == (2 if kind in ("empty", "format") else 1) and b"--log-f" in r.stderr and r.stderr.count(b"\n") == 1, r


def test_a_file_that_is_the_log_of_a_pipe(serve, tmp_path):
    """A collector's named pipe."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    srv = serve(STORE, "--workers", "1", "--log-file", path)
    for i in range(5):
        srv.get(f"/{i}")
    assert srv.stop() == 0
    text = os.read(fd, 65536).decode()
    os.close(fd)
    assert len(lines_of(text)) == 5


# ----------------------------------------------------------------------------------------- signals

def test_signals_of_other_programs(serve):
    srv = serve(STORE, "--workers", "1")
    for _ in range(3):
        srv.process.send_signal(signal.SIGUSR1)
        srv.wait_log("SIGUSR1 opens --log-file again, and none was given")
        srv.process.send_signal(signal.SIGUSR2)
        srv.wait_log("SIGUSR2 means nothing here and is ignored")
    assert srv.get(KEY).status == 200
    assert srv.stop(signal.SIGQUIT) == 0 and "lazarr: stopping" in srv.log


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGQUIT"])
def test_signals_while_it_loads(tmp_path, gate, name):
    (tmp_path / "s.py").write_text(gate.code + "gate('load')\n" + STORE)
    p = subprocess.Popen([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", "0", "--workers", "1"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    try:
        call = gate.next()
        p.send_signal(getattr(signal, name))
        if name == "SIGQUIT":
            assert p.wait(lzr.WAIT) == 0
            return
        call.go()
        gate.close()
        for line in p.stdout:
            if b"listening on" in line:
                break
        p.send_signal(signal.SIGTERM)
        assert p.wait(lzr.WAIT) == 0
    finally:
        p.kill()
        p.wait()


# ---------------------------------------------------------------------- a stderr that doesn't wait

def full_pipe():
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
    fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
    return r, w


def slowly(fd, end, into):
    while not end.is_set() or into[-1:] != [b""]:
        time.sleep(0.01)
        into.append(os.read(fd, 1024))
        if into[-1] == b"":
            return


@pytest.mark.parametrize("command", ["serve", "describe"])
def test_a_stderr_that_does_not_wait_loses_nothing(tmp_path, command):
    """Somebody has made it O_NONBLOCK, and its reader is slow: all of a long traceback is there."""
    deep = "\n".join(f"def f{i}():\n    f{i + 1}()  # {'x' * 100}" for i in range(40))
    (tmp_path / "s.py").write_text(f"{deep}\ndef f40():\n    raise ValueError('the end of it')\nf0()\n")
    r, w = full_pipe()
    into, end = [], threading.Event()
    t = threading.Thread(target=slowly, args=(r, end, into))
    t.start()
    p = subprocess.Popen([lzr.LAZARR, command, tmp_path / "s.py"], stdout=subprocess.DEVNULL, stderr=w, env=lzr.environment())
    os.close(w)
    assert p.wait(lzr.WAIT) == 1
    end.set()
    t.join()
    os.close(r)
    text = b"".join(into).decode()
    assert text.count("in f") == 41 and text.rstrip().endswith("ValueError: the end of it"), text[-300:]
