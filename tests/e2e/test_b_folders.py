"""Several stores of which some don't load: the others are served; what failed is named with its reason
wherever stores are listed, and none of its keys looks like something that isn't there. Files of a folder
that define no array are skipped. What ends the start, a reload, `describe` and `get`, and what doesn't."""
import json
import os
import signal
import socket

import pytest

import lzr

GOOD = """
import lazarr
from utils import VALUE
@lazarr.array("a", shape=(8, 8), chunks=(4, 4), dtype="uint8", axes="yx", compressor=None)
def a(block):
    return VALUE
"""
PLAIN = """
import lazarr
@lazarr.array("a", shape=(8,), chunks=(4,), dtype="uint8", compressor=None)
def a(block):
    return 1
"""
# What a file may be that fails: (its name, its text, words of the reason).
BROKEN = {
    "syntax": ("bad.py", "def (\n", ["bad.py:1", "SyntaxError"]),
    "import": ("bad.py", "import there_is_no_such_module\n", ["bad.py", "there_is_no_such_module"]),
    "store_error": ("bad.py", PLAIN.replace("(4,)", "(0,)"), ["bad.py", 'array "a"', "chunks"]),
    "after_an_array": ("bad.py", PLAIN + "raise ValueError('half <way> & on')\n", ["half <way> & on"]),
    "input": ("bad.py", PLAIN.replace("chunks", "inputs=['nowhere'], chunks").replace("block", "block, x"),
              ["nowhere"]),
    "unfinished": ("bad.py", "import lazarr\nlazarr.array('a', shape=(8,), chunks=(4,), dtype='u1')\n",
                   ["never given a function"]),
    "exit": ("bad.py", "import sys\nsys.exit(0)\n", ["SystemExit"]),
    "interrupt": ("bad.py", "raise KeyboardInterrupt\n", ["KeyboardInterrupt"]),
    "memory": ("bad.py", "raise MemoryError('too much')\n", ["MemoryError"]),
    "odd_text": ("bad.py", r"raise ValueError('a\0b \udc80 \"c\" \\ ' + 'x' * 100000 + '\nmore')" + "\n", ["ValueError", "a"]),
    "no_text": ("bad.py", "class Odd(Exception):\n    def __str__(self):\n        raise self\nraise Odd\n", ["Odd"]),
    "json": ("bad.json", '{"arrays": [', ["bad.json", "JSON"]),
    "json_function": ("bad.json", '{"arrays": [{"path": "a"}]}', ["bad.json", "function"]),
    "bytes": ("bad.py", "x = '\udcff'\n", ["bad.py", "SyntaxError"]),
}
KEYS = ["zarr2/bad.zarr/.zgroup", "zarr2/bad.zarr/a/.zarray", "zarr3/bad.zarr/zarr.json", "zarr3/bad.zarr/a/c/0",
        "zarr3/bad.zarr", "zarr3/bad.zarr/", "n5/bad.n5/attributes.json", "n5/bad.n5/a/0", "precomputed/bad/a/info",
        "bdv/bad/a/dataset.xml", "view/bad", "view/bad/a"]
FACES = {"zarr2": ".zarr", "zarr3": ".zarr", "n5": ".n5", "precomputed": "", "bdv": ""}


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "stores", good__py=GOOD, utils__py="VALUE = 7\n")


def failed(srv):
    return {s["store"]: s for s in srv.get("/api/stats").json()["failed_stores"]}


def reload(srv):
    return srv.request("POST", "/api/reload")


def listed(srv, face):
    return [line.split('"')[1].rstrip("/") for line in srv.get(f"/{face}/").text.splitlines() if "<a " in line]


@pytest.mark.parametrize("kind, workers", [(k, 1) for k in BROKEN] + [(k, 2) for k in ("syntax", "odd_text", "exit")])
def test_one_that_fails(folder, kind, workers):
    name, text, words = BROKEN[kind]
    write(folder, **{name.replace(".", "__"): text})
    with lzr.Server(folder, "--workers", workers) as srv:
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16
        assert b"\7" * 16 in srv.chunk("/n5/good.n5/a/s0/0/0")
        said = failed(srv)
        assert list(said) == ["bad"]
        line = said["bad"]["error"]
        assert "\n" not in line and len(line) < 2100 and all(w in line for w in words), line
        srv.wait_log(r'the store "bad" failed to load, the others are served: ')
        assert "utils.py: skipped, it defines no array" in srv.log
        page = srv.get("/").text
        assert 'id="failed-bad"' in page and "<way>" not in page
        for key in KEYS:
            r = srv.get("/" + key)
            assert r.status == 503 and r["Content-Type"].startswith("text/plain"), (key, r)
            assert line in r.text and "reload" in r.text
            head = srv.head("/" + key)
            assert head.status == 503 and not head.body
        for face, end in FACES.items():
            assert sorted(listed(srv, face)) == sorted(["bad" + end, "good" + end])
            assert srv.get(f"/{face}/utils{end}/").status == 404
            assert srv.get(f"/{face}/bad{end}x/").status == 404
        assert srv.metric("stores_failed") == 1
        assert srv.get("/healthz").status == 200
        assert srv.get("/view/").status in (200, 302, 307)
        assert srv.stop() == 0


def test_named_stores(tmp_path):
    """`lazarr serve a.py b.py` with one of them broken, in either order; a file that was named and defines no
    array has failed; so have data files that can't be read."""
    write(tmp_path, a__py="raise ValueError('no')\n", b__py=PLAIN, c__py="x = 1\n", d__npy="nothing")
    stores = [tmp_path / n for n in ("a.py", "b.py", "c.py", "d.npy")]
    for order in (stores, stores[::-1]):
        with lzr.Server(order, "--workers", 2) as srv:
            assert srv.chunk("/zarr3/b.zarr/a/c/0") == b"\1" * 4
            said = failed(srv)
            assert set(said) == {"a", "c", "d"}
            assert "ValueError: no" in said["a"]["error"] and "defines no array" in said["c"]["error"]
            assert "d.npy" in said["d"]["error"]
            assert {srv.get(f"/zarr2/{n}.zarr/.zgroup").status for n in "acd"} == {503}


@pytest.mark.parametrize("name, text", [
    ("utils__py", "VALUE = 7\n"), ("empty__py", ""), ("groups__py", "import lazarr\nlazarr.group('g')\n"),
    ("settings__json", '{"version": 1}'), ("list__json", "[1]"), ("none__json", '{"arrays": []}')])
def test_a_file_that_defines_no_array(folder, name, text):
    write(folder, **{name: text})
    with lzr.Server(folder, "--workers", 1) as srv:
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16
        assert failed(srv) == {}
        assert listed(srv, "zarr3") == ["good.zarr"]
        assert srv.log.count(f"{name.replace('__', '.')}: skipped, it defines no array") == 1
        assert "failed-" not in srv.get("/").text
        assert srv.metric("stores_failed") == 0


def test_what_is_no_file(folder):
    """A named pipe that nobody writes, a socket, a device: reading one would never end."""
    made = []
    for end in (".py", ".json", ".npy", ".h5", ".nii.gz", ".tif", ".zarr"):
        for kind in ("pipe", "socket", "device"):
            path = folder / f"{kind}-{end.strip('.').replace('.', '-')}{end}"
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "socket":
                with socket.socket(socket.AF_UNIX) as s:
                    s.bind(str(path))
            else:
                os.symlink("/dev/zero", path)
            made.append(path)
    with lzr.Server([folder, *(p for p in made if p.suffix not in (".py", ".json"))], "--workers", 1) as srv:
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16
        said = failed(srv)
        assert set(said) == {p.name.split(".")[0] for p in made}
        assert all("it is no file, but a pipe, a socket or a device" in s["error"] for s in said.values()), said


def status_of(*stores):
    r = lzr.run("serve", *stores, "--port", "0", "--workers", "2")
    return r.returncode, r.stderr.decode()


def test_where_none_loads_the_start_ends(tmp_path):
    write(tmp_path, a__py="raise ValueError('first')\n", b__py="raise KeyError('second')\n", c__py="x = 1\n")
    status, said = status_of(tmp_path / "a.py")
    assert status == 1 and "a.py: ValueError: first" in said and "Traceback" in said
    status, said = status_of(tmp_path / "c.py")
    assert status == 1 and "c.py: the store defines no array" in said
    status, said = status_of(tmp_path)
    assert status == 1 and "ValueError: first" in said and "KeyError: 'second'" in said
    assert "others are served" not in said
    only = write(tmp_path / "only", utils__py="x = 1\n", more__py="y = 1\n")
    status, said = status_of(only)
    assert status == 1 and "none of the 2 .py and .json files defines an array" in said
    one = write(tmp_path / "one", utils__py="x = 1\n", bad__py="raise ValueError('why')\n")
    status, said = status_of(one)
    assert status == 1 and "bad.py: ValueError: why" in said
    alone = write(tmp_path / "alone", utils__py="x = 1\n")
    status, said = status_of(alone)
    assert status == 1 and "utils.py: the store defines no array" in said


def test_a_crash_ends_the_start(folder):
    write(folder, bad__py="import os\nos.abort()\n")
    status, said = status_of(folder)
    assert status == 1 and "died" in said


def test_describe_and_get(folder):
    write(folder, bad__py="raise ValueError('why')\n")
    r = lzr.run("describe", folder)
    assert r.returncode == 1 and json.loads(r.stdout)["store"] == "good" and b"ValueError: why" in r.stderr
    assert lzr.run("get", folder, "zarr3/good.zarr/a/0/c/0/0").stdout == b"\7" * 16
    r = lzr.run("get", folder, "zarr3/bad.zarr/zarr.json")
    assert r.returncode == 1 and not r.stdout and b'"bad" has failed to load' in r.stderr
    r = lzr.run("get", folder / "bad.py", "zarr3/bad.zarr/zarr.json")
    assert r.returncode == 1 and not r.stdout
    os.unlink(folder / "bad.py")
    r = lzr.run("describe", folder)
    assert r.returncode == 0 and json.loads(r.stdout)["store"] == "good"


@pytest.mark.parametrize("workers", [1, 2])
def test_reload_mends_it(folder, workers):
    write(folder, bad__py="raise ValueError('why')\n")
    with lzr.Server(folder, "--workers", workers) as srv:
        assert srv.get("/zarr3/bad.zarr/a/c/0").status == 503
        # What fails still doesn't keep an edit of another from being loaded, which may also be a new one.
        write(folder, utils__py="VALUE = 8\n", worse__py="raise ValueError('new')\n")
        r = reload(srv)
        assert r.status == 200 and r.json()["arrays"] == 1 and r.json()["failed_stores"] == 2
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\x08" * 16
        assert set(failed(srv)) == {"bad", "worse"}
        write(folder, bad__py=PLAIN)
        os.unlink(folder / "worse.py")
        r = reload(srv)
        assert r.status == 200 and r.json()["arrays"] == 2 and "failed_stores" not in r.json()
        assert srv.chunk("/zarr3/bad.zarr/a/c/0") == b"\1" * 4
        assert failed(srv) == {} and "failed-" not in srv.get("/").text
        assert srv.get("/zarr3/worse.zarr/zarr.json").status == 404


@pytest.mark.parametrize("text, why", [("def (\n", "SyntaxError"), ("x = 1\n", "defines no array"),
                                       ("raise ValueError('why')\n", "ValueError: why")])
def test_reload_takes_nothing_away(folder, text, why):
    """A store that was loaded and fails now: the reload fails as a whole, and says why."""
    write(folder, other__py=PLAIN)
    with lzr.Server(folder, "--workers", 2) as srv:
        before = srv.get("/zarr3/other.zarr/a/c/0")
        write(folder, other__py=text, utils__py="VALUE = 9\n")
        r = reload(srv)
        assert r.status == 500 and why in r.json()["error"]
        if "raise" in text:
            assert "Traceback" in r.json()["traceback"]
        srv.process.send_signal(signal.SIGHUP)
        srv.wait_log(rf"reload failed, the stores stay as they were: .*{why}")
        now = srv.get("/zarr3/other.zarr/a/c/0")
        assert (now.status, now.body, now["ETag"]) == (200, before.body, before["ETag"])
        assert failed(srv) == {} and srv.chunk("/zarr3/other.zarr/a/c/1") == b"\1" * 4
        write(folder, other__py=PLAIN)
        assert reload(srv).status == 200
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\x09" * 16


def test_reload_of_one_array(folder):
    write(folder, bad__py="raise ValueError('why')\n", other__py=PLAIN)
    with lzr.Server(folder, "--workers", 2) as srv:
        kept = srv.get("/zarr3/other.zarr/a/c/0")["ETag"]
        assert srv.request("POST", "/api/reload?array=good/a").status == 200
        assert srv.get("/zarr3/other.zarr/a/c/0")["ETag"] == kept
        assert srv.get("/zarr3/bad.zarr/a/c/0").status == 503
        assert srv.request("POST", "/api/reload?array=bad/a").status == 404


@pytest.mark.parametrize("workers", [1, 2])
def test_new_workers_leave_it_alone(folder, tmp_path, workers):
    """A worker that takes another's place doesn't run what failed, which may have been mended or be worse now."""
    runs = tmp_path / "runs"
    bad = f"import os\nopen({str(runs)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    write(folder, bad__py=bad + "raise ValueError('why')\n")
    with lzr.Server(folder, "--workers", workers) as srv:
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16
        ran = runs.read_text().split()
        assert 1 <= len(ran) <= workers
        for text in (PLAIN, "import os\nos.abort()\n"):
            write(folder, bad__py=bad + text)
            starts = srv.metric("worker_starts_total")
            srv.kill_workers()
            lzr.wait_until(lambda: srv.metric("worker_starts_total") >= starts + workers
                           and srv.metric("workers") == workers, "new workers")
            key = {PLAIN: "0/1"}.get(text, "1/1")
            assert srv.chunk(f"/zarr3/good.zarr/a/0/c/{key}") == b"\7" * 16
            assert "ValueError: why" in failed(srv)["bad"]["error"]
        assert runs.read_text().split() == ran


def test_fails_in_the_loader_only(folder, tmp_path):
    """What another worker makes of a file that failed in the loader counts for nothing."""
    write(folder, bad__py=f"import os\ntry:\n    os.mkdir({str(tmp_path / 'once')!r})\n"
                          "except FileExistsError:\n    pass\nelse:\n    raise ValueError('once')\n" + PLAIN)
    with lzr.Server(folder, "--workers", 1) as srv:
        assert "ValueError: once" in failed(srv)["bad"]["error"]
        os.kill(srv.worker_pids()[0], signal.SIGKILL)
        srv.wait_metric("worker_deaths_total", 1)
        srv.wait_metric("workers", 1)
        assert srv.get("/zarr3/bad.zarr/a/c/0").status == 503
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16
        assert reload(srv).json()["arrays"] == 2


def test_what_it_opened_is_given_back(folder):
    """A source in memory of a store that fails then, before and behind one that is served."""
    text = ("import lazarr, numpy as np\n@lazarr.source('s', chunks=(1 << 20,))\ndef s():\n"
            "    return np.full(SIZE, 3, np.uint8)\n")
    fails = text.replace("SIZE", "32 << 20") + PLAIN.replace("(4,)", "(0,)")
    write(folder, a_first__py=fails, mid__py=text.replace("SIZE", "1 << 20"), z_last__py=fails)
    with lzr.Server(folder, "--workers", 2) as srv:
        assert set(failed(srv)) == {"a_first", "z_last"}
        assert srv.metric("source_bytes") <= 2 << 20
        assert b"\3" in srv.chunk("/zarr3/mid.zarr/s/c/0")
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16
    for gone in ("mid.py",):
        os.unlink(folder / gone)
    with lzr.Server(folder, "--workers", 2) as srv:
        assert srv.metric("source_bytes") == 0
        assert srv.chunk("/zarr3/good.zarr/a/0/c/0/0") == b"\7" * 16


def test_who_sees_the_traceback(folder):
    """As of a chunk that fails: the line is for all, code and paths are for this machine."""
    write(folder, bad__py="secret = 1\nraise ValueError('why') # secret\n")
    with lzr.Server(folder, "--workers", 1, "--public-url", "http://h.example/") as srv:
        here, there = {}, {"X-Forwarded-For": "203.0.113.9"}
        for target in ("/", "/api/stats", "/zarr3/bad.zarr/zarr.json"):
            assert "ValueError: why" in srv.get(target, there).text
            assert "# secret" not in srv.get(target, there).text, target
            assert "# secret" in srv.get(target, here).text, target
