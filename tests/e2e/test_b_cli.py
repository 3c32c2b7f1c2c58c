"""The commands: describe, get, serve's options, exit statuses."""
import json
import re
import signal
import socket

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("g/a", shape=(10, 6), chunks=(4, 4), dtype="int16", dims=("y", "x"), fill_value=-1,
              attributes={"k": [1, 0.1, "µ"]})
def a(block):
    y, x = block.coords()
    return 10 * y + x
@lazarr.array("fails", shape=(1,), chunks=(1,), dtype="uint8")
def fails(block):
    raise ValueError("on purpose")
@lazarr.array("img", shape=(8, 8), chunks=4, dtype="uint8", axes="yx", units="micrometer")
def img(block):
    return 1
lazarr.group("g", attributes={"note": "x"})
"""


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "s.py"
    path.write_text(STORE)
    return path


def test_describe(store):
    """lazarr describe STORE prints the manifest, as JSON."""
    r = lzr.run("describe", store)
    assert r.returncode == 0 and not r.stderr, r
    doc = json.loads(r.stdout)
    assert doc["store"] == "s" and {"path": "g", "attributes": {"note": "x"}} in doc["groups"]
    arrays = {a["path"]: a for a in doc["arrays"]}
    assert set(arrays) == {"g/a", "fails", "img"}
    a = arrays["g/a"]
    assert a["levels"][0]["shape"] == [10, 6] and a["levels"][0]["chunks"] == [4, 4]
    assert a["dtype"] == "<i2" and a["dims"] == ["y", "x"] and a["attributes"] == {"k": [1, 0.1, "µ"]}
    assert a["fill_value"] == "-1" and a["compressor"]["id"] == "blosc"
    assert arrays["img"]["kind"] == "image"
    assert a["timeout"] == 300 and a["first_timeout"] == 900  # the defaults
    assert lzr.run("describe", store).stdout == r.stdout


def test_a_described_store_can_be_served(store, tmp_path):
    """What describe prints is a manifest: with functions named, it is a store."""
    doc = json.loads(lzr.run("describe", store).stdout)
    (tmp_path / "functions.py").write_text("def f(block):\n    return 3\n")
    for a in doc["arrays"]:
        a["function"] = "functions:f"
    (tmp_path / "m.json").write_text(json.dumps(doc))
    with lzr.Server(store) as one, lzr.Server(tmp_path / "m.json") as two:
        for key in ("g/a/.zarray", "g/a/.zattrs", ".zmetadata", "img/.zattrs", "img/0/.zarray"):
            assert one.get(f"/zarr2/s.zarr/{key}").json() == two.get(f"/zarr2/m.zarr/{key}").json()
        assert two.get("/zarr2/m.zarr/img/0/0/0").status == 200


def test_get_equals_http(store):
    """lazarr get STORE KEY: one key's bytes, as the HTTP server would send them."""
    with lzr.Server(store) as srv:
        for key in ("zarr3/s.zarr/zarr.json", "zarr3/s.zarr/g/a/c/2/1", "zarr2/s.zarr/g/a/0.0",
                    "zarr2/s.zarr/.zmetadata", "zarr3/s.zarr/img/0/c/1/1"):
            r = lzr.run("get", store, key)
            assert r.returncode == 0 and r.stdout == srv.get("/" + key).body and r.stdout, (key, r)


@pytest.mark.parametrize("before", ["/", "http://127.0.0.1:8080/", "https://data.example//",
                                    "http://[::1]:81/t/0123456789abcdef/", "/t/0123456789abcdef/"])
def test_get_takes_the_url_that_was_printed(store, before):
    key = "zarr3/s.zarr/g/a/zarr.json"
    r = lzr.run("get", store, before + key)
    assert r.returncode == 0 and r.stdout == lzr.run("get", store, key).stdout != b"", r
    r = lzr.run("get", store, before + "zarr3/s.zarr/g/none")
    assert r.returncode == 1 and b"no key 'zarr3/s.zarr/g/none'; the folder that is: zarr3/s.zarr/g/" in r.stderr, r


@pytest.mark.parametrize("command", [["serve"], ["describe"], ["get", "zarr3"]])
def test_a_store_without_its_ending(store, command):
    """What somebody calls it, after its URL: the file that may be meant is named."""
    first, *rest = command
    r = lzr.run(first, store.with_suffix(""), *rest)
    assert r.returncode == 1 and b"(did you mean " + bytes(store) + b"?): No such file" in r.stderr, r
    r = lzr.run(first, store.with_name("none"), *rest)
    assert r.returncode == 1 and b"No such file or directory" in r.stderr and b"mean" not in r.stderr, r


def test_get_shows_what_the_store_prints(tmp_path):
    """On standard error, beside the bytes, as docs/authors.md says: a store is debugged so. --quiet: it doesn't."""
    (tmp_path / "p.py").write_text(
        "import lazarr\nprint('loading')\n@lazarr.array(shape=(4,), chunks=2, dtype='uint8', compressor=None)\n"
        "def a(block):\n    print('at', block.start[0])\n    return 1\n")
    r = lzr.run("get", tmp_path / "p.py", "zarr2/p.zarr/a/1")
    assert (r.returncode, r.stdout) == (0, b"\1\1")
    assert r.stderr.decode().splitlines() == ["lazarr: worker 0: loading", "lazarr: p/a, chunk 1, worker 0: at 2"]
    r = lzr.run("get", tmp_path / "p.py", "zarr2/p.zarr/a/1", "--quiet")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"\1\1", b"")
    assert "what it prints is on standard error" in (lzr.ROOT / "docs" / "authors.md").read_text()


@pytest.mark.parametrize("key,words", [
    ("zarr3/s.zarr/nope", ["'zarr3/s.zarr/nope'", "the folder that is: zarr3/s.zarr/\n"]),
    ("zarr3/s.zarr/g/a/c/9/9", ["c/9/9", "is: zarr3/s.zarr/g/a/c/\n"]),
    ("zarr3/other.zarr/zarr.json", ["is: zarr3/\n"]),
    ("zarr3/s.zarr/fails/c/0", ["ValueError: on purpose"]),
    ("../s.py", ["keys begin with bdv/, n5/, precomputed/, zarr2/, zarr3/\n"]),
    ("s.zarr/g/a/0.0", ["keys begin with bdv/, n5/"]), ("s/a", ["keys begin with bdv/"])])
def test_get_of_what_is_not_there(store, key, words):
    r = lzr.run("get", store, key)
    assert r.returncode == 1 and r.stdout == b"" and r.stderr, r
    for word in words:
        assert word in r.stderr.decode()


def test_version_and_help():
    r = lzr.run("--version")
    assert r.returncode == 0 and re.fullmatch(rb"lazarr \d+\.\d+\.\d+\S*\n", r.stdout.splitlines(True)[0])
    r = lzr.run("--help")
    assert r.returncode == 0
    for word in (b"serve", b"describe", b"get", b"--port", b"--workers", b"--cache", b"--python"):
        assert word in r.stdout, word


@pytest.mark.parametrize("args, words", [
    (["serve", "s.py", "--worker", "2"], "unknown option '--worker': did you mean '--workers'?"),
    (["serve", "s.py", "--tokenfile=x"], "unknown option '--tokenfile=x': did you mean '--token-file'?"),
    (["serve", "s.py", "--ports", "1"], "did you mean '--port'?"), (["serve", "s.py", "--chnuks", "1"], "mean '--chunks'?"),
    (["serve", "s.py", "--publicurl", "x"], "did you mean '--public-url'?"),
    (["serve", "s.py", "--zz"], "unknown option '--zz' ("), (["serve", "s.py", "-p", "1"], "unknown option '-p' ("),
    (["serve", "s.py", "--" + "x" * 300], "x' ("), (["serve", "s.py", "--nonsense"], "unknown option '--nonsense' ("),
    (["serve", "s.py", "--="], "unknown option '--='"),
    (["serv", "s.py"], "unknown command 'serv': did you mean 'serve'?"), (["describ"], "did you mean 'describe'?"),
    (["version"], "unknown command 'version': did you mean '--version'?"),
    (["brain.py"], "unknown command 'brain.py': to serve a store, lazarr serve brain.py ("),
    (["data.h5::/raw", "--port", "1"], "lazarr serve data.h5::/raw ("), (["list"], "unknown command 'list' (")])
def test_what_may_be_meant(args, words):
    r = lzr.run(*args)
    assert r.returncode == 2 and r.stdout == b"" and words in r.stderr.decode(), r
    assert r.stderr.count(b"\n") == 1 and len(r.stderr) < 600


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["serve"], ["get"], ["get", "s.py"], ["describe"], ["--nonsense"],
    ["serve", "s.py", "--nonsense"], ["serve", "s.py", "--port"], ["serve", "s.py", "--port", "x"],
    ["serve", "s.py", "--port", "65536"], ["serve", "s.py", "--port", "-1"], ["serve", "s.py", "--port", ""],
    ["serve", "s.py", "--workers", "0"], ["serve", "s.py", "--workers", "-2"],
    ["serve", "s.py", "--workers", "2x"], ["serve", "s.py", "--workers", "1000000"],
    ["serve", "s.py", "--cache", "-1"], ["serve", "s.py", "--cache", "1XB"], ["serve", "s.py", "--cache", ""],
    ["serve", "s.py", "--cache", "99999999999GiB"], ["serve", "s.py", "--first-byte", "soon"],
    ["get", "s.py", "a", "b"]],
    ids=lambda a: "_".join(a) or "nothing")
def test_wrong_usage(store, args):
    """Exit status 2 for wrong usage, before anything is loaded; what is wrong is named."""
    r = lzr.run(*[store if a == "s.py" else a for a in args])
    assert r.returncode == 2 and r.stdout == b"" and r.stderr, r
    if len(args) > 2 and args[2].startswith("--non"):
        assert b"--nonsense" in r.stderr


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals(store, sig):
    """Exit status 0 after an orderly stop."""
    srv = lzr.Server(store)
    srv.chunk("/zarr2/s.zarr/g/a/0.0")
    with srv.connect() as idle:
        idle.get("/healthz")
        assert srv.stop(sig) == 0
    with pytest.raises(ConnectionError):
        srv.get("/")


def test_stop_while_it_starts(tmp_path):
    (tmp_path / "s.py").write_text("import time\ntime.sleep(1000)\n")
    import subprocess
    p = subprocess.Popen([lzr.LAZARR, "serve", tmp_path / "s.py", "--port", "0"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
    try:
        lzr.wait_until(lambda: open(f"/proc/{p.pid}/cmdline").read() and
                       any(t.read_text() for t in lzr.Path(f"/proc/{p.pid}/task").glob("*/children")),
                       "a worker")
        p.send_signal(signal.SIGTERM)
        p.wait(20 * lzr.SLOW)  # whatever it says: it ends
    finally:
        p.kill()
        p.wait()


def test_occupied_port(store):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        r = lzr.run("serve", store, "--port", port)
        assert r.returncode == 1 and str(port) in r.stderr.decode(), r
        assert re.search("(?i)in use", r.stderr.decode())


def test_given_port_and_host(store):
    port = lzr.free_port()
    with lzr.Server(store, port=port) as srv:
        assert srv.port == port
        with pytest.raises(OSError):  # bound to 127.0.0.1 only
            socket.create_connection(("127.0.0.2", port), timeout=2).close()
    r = lzr.run("serve", store, "--port", "0", "--host", "no.such.host.invalid")
    assert r.returncode == 1 and "no.such.host.invalid" in r.stderr.decode()


def test_restart_at_once_on_the_same_port(store):
    port = lzr.free_port()
    for _ in range(3):
        with lzr.Server(store, port=port) as srv:
            srv.chunk("/zarr2/s.zarr/g/a/0.0")
            assert srv.stop() == 0


def test_quiet(store):
    srv = lzr.Server(store, "--quiet")
    srv.chunk("/zarr2/s.zarr/g/a/0.0")
    assert srv.stop() == 0
    assert "GET" not in srv.log  # no access log; where it listens is still said


@pytest.mark.parametrize("size,want", [("0", None), ("64MiB", 64 << 20), ("65536KiB", 64 << 20),
                                       ("67108864", 64 << 20), ("1GiB", 1 << 30)])
def test_cache_sizes(store, size, want):
    with lzr.Server(store, "--cache", size) as srv:
        if want:
            assert srv.metric("budget_limit_bytes") == want
        assert srv.chunk("/zarr2/s.zarr/g/a/0.0")


def test_public_url(store):
    """--public-url is what printed URLs begin with."""
    with lzr.Server(store, "--public-url", "https://data.example/x") as srv:
        assert "https://data.example/x/zarr3/s.zarr/g/a" in srv.log
        assert srv.url + "/zarr3" not in srv.log
