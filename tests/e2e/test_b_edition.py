"""One edition runs one code: a worker that is started again after a file of code was edited is never used, however
that file came in, and whoever asks for what it would have computed is told why."""
import os
import py_compile
import signal
import subprocess

import pytest

import lzr

SAID = "has changed since it was loaded; reload with SIGHUP or POST /api/reload"

STORE = """
import lazarr
import brain
@lazarr.array("a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return brain.VALUE
"""
KEY = "/zarr3/s.zarr/a/c/{}"


def put(path, text):
    """As an editor does it: the file is never half there."""
    new = path.with_name("new.tmp")
    new.write_text(text)
    os.replace(new, path)


def kill_all(srv):
    srv.kill_workers()


def is_refused(srv, index, name):
    """A miss is a 503 that names the file, soon."""
    r = srv.get(KEY.format(index))
    assert r.status == 503 and f"{name} {SAID}" in r.text and r["Retry-After"], (r, srv.log[-2000:])


def test_an_edited_module(serve, tmp_path):
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE, "--workers", "1")
    old = srv.get(KEY.format(0))
    assert old.body == b"\x01\x01"
    put(tmp_path / "brain.py", "VALUE = 2\n")
    assert srv.chunk(KEY.format(1)) == b"\x01\x01"  # who has loaded it goes on
    kill_all(srv)
    srv.wait_log(rf"brain\.py: brain\.py {SAID}")
    is_refused(srv, 2, "brain.py")
    assert f"brain.py {SAID}" in srv.get("/").text
    assert any(f"brain.py {SAID}" in w.get("error", "") for w in srv.get("/api/workers").json())
    for i in (0, 1):  # what is cached is as it was, under its tag
        assert srv.chunk(KEY.format(i)) == b"\x01\x01"
    assert srv.get(KEY.format(0), {"If-None-Match": old["ETag"]}).status == 304
    r = srv.request("POST", "/api/reload")
    assert r.status == 200
    new = srv.get(KEY.format(2))
    assert new.body == b"\x02\x02" and srv.chunk(KEY.format(0)) == b"\x02\x02"
    assert SAID not in srv.get("/").text
    assert srv.metric("worker_deaths_total") == 1


def test_requests_that_wait_are_told(serve, tmp_path):
    """Not at their own end: as soon as it is known that nobody can."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE.replace("return", "import os\n    if block.index == 0: os._exit(3)\n    return"),
                "--workers", "1", "--first-byte", "600")
    put(tmp_path / "brain.py", "VALUE = 2\n")
    waits = [srv.begin(KEY.format(i)) for i in range(4)]
    for w in waits:
        r = w.result()
        assert r.status == 503 and f"brain.py {SAID}" in r.text, r


def test_it_is_used_again_when_the_file_is_what_it_was(serve, tmp_path):
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE, "--workers", "1")
    put(tmp_path / "brain.py", "VALUE = 2\n")
    kill_all(srv)
    srv.wait_log(SAID)
    is_refused(srv, 0, "brain.py")
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv.wait_metric("workers", 1)
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    assert SAID not in srv.get("/").text


def test_one_of_two_workers(serve, tmp_path):
    """The other one, which is right, does it all."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE + STORE.replace('"a"', '"b"'), "--workers", "2")
    put(tmp_path / "brain.py", "VALUE = 2\n")
    os.kill(sorted(srv.worker_pids())[0], signal.SIGKILL)
    srv.wait_log(SAID)
    for i in range(4):
        assert srv.chunk(KEY.format(i)) == b"\x01\x01"
    kill_all(srv)
    lzr.wait_until(lambda: srv.metric("workers") == 0, "the last one's end")
    r = srv.get("/zarr3/s.zarr/b/c/0")
    assert r.status == 503 and f"brain.py {SAID}" in r.text, r


LATE = STORE.replace("import brain\n", "").replace("    return", """    if block.index in (0, 3):
        return 7
    import brain
    return""")


def test_a_module_that_a_function_imports(serve, tmp_path):
    """What a worker computed with a module that is another since isn't taken; nor is a worker that hasn't loaded it,
    which nobody can tell from one that will."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(LATE, "--workers", "1")
    assert srv.chunk(KEY.format(1)) == b"\x01\x01"
    put(tmp_path / "brain.py", "VALUE = 2\n")
    kill_all(srv)
    srv.wait_log("ended while idle")
    assert srv.chunk(KEY.format(0)) == b"\x07\x07"
    is_refused(srv, 2, "brain.py")
    is_refused(srv, 3, "brain.py")
    assert srv.chunk(KEY.format(1)) == b"\x01\x01"
    assert srv.metric("computed_total") == 2 and srv.metric("compute_failures_total") == 0
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk(KEY.format(2)) == b"\x02\x02"


def test_a_module_that_only_one_worker_imported(serve, tmp_path, gate):
    """One has loaded the old one and is right; the other loads the new one: its block goes to the first."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(gate.code + LATE.replace("    if block.index in (0, 3)", "    gate(f'b{block.index}')\n"
                                         "    if block.index in (0, 3)"), "--workers", "2")
    first = srv.begin(KEY.format(1))
    gate.next().go()
    assert first.result().body == b"\x01\x01"
    put(tmp_path / "brain.py", "VALUE = 2\n")
    both = [srv.begin(KEY.format(2)), srv.begin(KEY.format(0))]
    calls = [gate.next(), gate.next()]  # one in each worker
    for c in calls:
        c.go()
    gate.close()  # the one that is taken from the wrong worker goes through
    first, second = (b.result() for b in both)
    assert first.body == b"\x01\x01" or (first.status == 503 and SAID in first.text), first
    assert second.body == b"\x07\x07", second


def bytecode_trap(path, text):
    """Rewritten in place, of the same size and with its mtime put back: Python takes its bytecode for it."""
    before = os.stat(path)
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_module_whose_mtime_was_put_back(serve, tmp_path):
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE, "--workers", "1")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    bytecode_trap(tmp_path / "brain.py", "VALUE = 2\n")
    kill_all(srv)
    srv.wait_log(SAID)
    is_refused(srv, 1, "brain.py")
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk(KEY.format(1)) == b"\x02\x02"


def test_a_package_of_the_environment_is_not_local(serve, tmp_path):
    """What is installed isn't edited: only the stores' own code is compared, and hashed."""
    lib = tmp_path / "lib" / "site-packages"
    lib.mkdir(parents=True)
    put(lib / "installed.py", "VALUE = 1\n")
    srv = serve(STORE.replace("import brain", f"import sys; sys.path.append({str(lib)!r}); import installed as brain"),
                "--workers", "1")
    put(lib / "installed.py", "VALUE = 1\n# newer\n")
    kill_all(srv)
    srv.wait_metric("worker_deaths_total", 1)
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"


def test_touched_but_the_same(serve, tmp_path):
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE, "--workers", "1")
    put(tmp_path / "brain.py", "VALUE = 1\n")
    os.chmod(tmp_path / "brain.py", 0o600)
    kill_all(srv)
    srv.wait_metric("worker_deaths_total", 1)
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    assert SAID not in srv.log


def helper_so(path, value):
    """A shared library value() that gives a number."""
    src = path.with_suffix(".c")
    src.write_text(f"int value(void) {{ return {value}; }}\n")
    new = path.with_name("new.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", new, src], check=True)
    os.replace(new, path)


WAYS = {
    "the store itself": ("s.py", STORE.replace("brain.VALUE", "1").replace("import brain\n", ""),
                         STORE.replace("brain.VALUE", "2").replace("import brain\n", "")),
    "a package's __init__": ("lib/__init__.py", "VALUE = 1", "VALUE = 2"),
    "a module of a package": ("lib/sub.py", "VALUE = 1", "VALUE = 2"),
    "a module of a module": ("deep.py", "VALUE = 1", "VALUE = 2"),
    "elsewhere on the path": ("more/far.py", "VALUE = 1", "VALUE = 2"),
    "by its file": ("by_file.txt.py", "VALUE = 1", "VALUE = 2"),
    "a dependency": ("words.txt", "1", "2"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_file_of_code(serve, tmp_path, way):
    name, one, two = WAYS[way]
    texts = {"lib/__init__.py": "VALUE = 0", "lib/sub.py": "VALUE = 0", "deep.py": "VALUE = 0", "more/far.py": "VALUE = 0",
             "by_file.txt.py": "VALUE = 0", "words.txt": "0", "brain.py": "import deep\nVALUE = deep.VALUE\n",
             "s.py": """
import os, sys, importlib.util, lazarr
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(HERE + "/more")
import brain, far, lib
from lib import sub
spec = importlib.util.spec_from_file_location("by_file", HERE + "/by_file.txt.py")
by_file = importlib.util.module_from_spec(spec)
spec.loader.exec_module(by_file)
@lazarr.array("a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None, depends=["words.txt"])
def a(block):
    return brain.VALUE + far.VALUE + lib.VALUE + sub.VALUE + by_file.VALUE + int(open(HERE + "/words.txt").read())
"""}
    texts[name] = one
    for n, t in texts.items():
        (tmp_path / n).parent.mkdir(exist_ok=True)
        put(tmp_path / n, t)
    srv = serve(tmp_path / "s.py", "--workers", "1")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    put(tmp_path / name, two)
    kill_all(srv)
    srv.wait_log(SAID)
    is_refused(srv, 1, name.rpartition("/")[2])
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk(KEY.format(1)) == b"\x02\x02"


@pytest.mark.parametrize("late", [False, True])
def test_a_shared_library(serve, tmp_path, late):
    helper_so(tmp_path / "helper.so", 1)
    load = "ctypes.CDLL(os.path.dirname(os.path.abspath(__file__)) + '/helper.so')"
    text = "import os, ctypes\n" + (STORE.replace("import brain", "" if late else f"HELPER = {load}")
                                    .replace("brain.VALUE", f"({load} if {late} else HELPER).value()"))
    srv = serve(text, "--workers", "1")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    helper_so(tmp_path / "helper.so", 2)
    kill_all(srv)
    srv.wait_metric("worker_deaths_total", 1)
    is_refused(srv, 1, "helper.so")
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk(KEY.format(1)) == b"\x02\x02"


def test_a_link_to_another_file(serve, tmp_path):
    put(tmp_path / "one.txt", "VALUE = 1\n")
    put(tmp_path / "two.txt", "VALUE = 2\n")
    os.symlink("one.txt", tmp_path / "brain.py")
    srv = serve(STORE, "--workers", "1")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    os.symlink("two.txt", tmp_path / "link")
    os.replace(tmp_path / "link", tmp_path / "brain.py")
    kill_all(srv)
    srv.wait_log(SAID)
    is_refused(srv, 1, "brain.py")


@pytest.mark.parametrize("way", ["replaced", "beside", "module", "bytecode"])
def test_a_module_becomes_another_file(serve, tmp_path, way):
    """A package takes a module's place, or a module a package's: no file that was loaded has changed."""
    files = {"module": tmp_path / "brain.py", "package": tmp_path / "brain" / "__init__.py"}
    (tmp_path / "brain").mkdir()
    put(files["package" if way == "module" else "module"], "VALUE = 1\n")
    srv = serve(STORE, "--workers", "1")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    if way == "module":
        put(files["module"], "VALUE = 2\n")
        files["package"].unlink()
    elif way == "bytecode":
        put(tmp_path / "later.py", "VALUE = 2\n")
        py_compile.compile(str(tmp_path / "later.py"), str(tmp_path / "brain.pyc"))
        files["module"].unlink()
    else:
        put(files["package"], "VALUE = 2\n")
        if way == "replaced":
            files["module"].unlink()
    kill_all(srv)
    srv.wait_log(SAID)
    is_refused(srv, 1, "brain")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk(KEY.format(1)) == b"\x02\x02"


def test_two_files_of_one_place(serve, tmp_path):
    """Both are loaded, each by its name, by every worker: none is refused."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    (tmp_path / "brain").mkdir()
    put(tmp_path / "brain" / "__init__.py", "import os, runpy\nVALUE = runpy.run_path(__file__[:-12] + '.py')['VALUE']\n"
        "import importlib.util as u\nS = u.spec_from_file_location('other', __file__[:-12] + '.py')\n"
        "M = u.module_from_spec(S)\nS.loader.exec_module(M)\nVALUE = M.VALUE\n")
    srv = serve(STORE, "--workers", "1")
    for i in range(3):
        assert srv.chunk(KEY.format(i)) == b"\x01\x01"
        kill_all(srv)


def test_a_module_that_is_gone(serve, tmp_path):
    """The log and the answer have Python's own words, and what to do."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE, "--workers", "1")
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    os.unlink(tmp_path / "brain.py")
    kill_all(srv)
    r = lzr.wait_until(lambda: (lambda r: r if "brain" in r.text else None)(srv.get(KEY.format(1))), "the reason")
    assert r.status == 503 and "No module named 'brain'" in r.text and "reload with SIGHUP" in r.text, r
    assert "No module named 'brain'" in srv.get("/").text
    assert srv.chunk(KEY.format(0)) == b"\x01\x01"
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv.wait_metric("workers", 1)
    assert srv.chunk(KEY.format(1)) == b"\x01\x01"


def test_a_manifest_in_json_and_two_stores(serve, tmp_path):
    """Two folders with a module of one name; the functions of a manifest are in a third."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "code.py", "def f(block):\n    return 1\n")
    put(tmp_path / "m.json", """{"arrays": [{"path": "a", "function": "code:f", "shape": [8], "chunks": [2],
        "dtype": "uint8", "compressor": null}]}""".replace("code:f", "code_f:f"))
    os.rename(tmp_path / "code.py", tmp_path / "code_f.py")
    put(tmp_path / "two" / "other.py", STORE.replace("import brain\n", "").replace("brain.VALUE", "3"))
    srv = serve([tmp_path / "m.json", tmp_path / "two" / "other.py"], "--workers", "1")
    assert srv.chunk("/zarr3/m.zarr/a/c/0") == b"\x01\x01"
    put(tmp_path / "code_f.py", "def f(block):\n    return 2\n")
    kill_all(srv)
    srv.wait_log(f"code_f.py {SAID}")
    r = srv.get("/zarr3/m.zarr/a/c/1")
    assert r.status == 503 and f"code_f.py {SAID}" in r.text, r
    put(tmp_path / "m.json", (tmp_path / "m.json").read_text() + " ")
    put(tmp_path / "code_f.py", "def f(block):\n    return 1\n")
    srv.wait_log(f"m.json {SAID}")


def test_workers_that_are_replaced_by_count(serve, tmp_path):
    """--worker-jobs: the edition ends with a reason, not with a mixture."""
    put(tmp_path / "brain.py", "VALUE = 1\n")
    srv = serve(STORE.replace("shape=(8,)", "shape=(64,)"), "--workers", "2", "--worker-jobs", "4")
    got = set()
    for i in range(32):
        if i == 4:
            put(tmp_path / "brain.py", "VALUE = 2\n")
        r = srv.get(KEY.format(i))
        assert r.body == b"\x01\x01" or (r.status == 503 and SAID in r.text), r
        got.add(r.status)
    assert got == {200, 503}
