"""Stores of several folders in one server: none sees another folder's modules, working directory, settings or
environment, whatever the number of workers; all of them make progress; a worker changes its folder only when
it has to."""
import itertools
import json
import os
import signal
import struct
import time

import pytest

import lzr

HEAD = """
import os, sys, lazarr, numpy as np
HERE = os.path.dirname(os.path.abspath(__file__))
def image(f):
    return lazarr.array(f.__name__, shape=(2, 2, 2), chunks=(2, 2, 2), dtype="f4", axes="zyx", compressor=None,
                        n5_compressor=None)(f)
"""
# What stores do to their process or take from their folder; N is 1 in the first folder, 2 in the second.
KINDS = """
import helpers
from lib.values import V
import decimal, multiprocessing, warnings

@image
def helper(block):
    return helpers.V

@image
def package(block):
    return V

@image
def lazy(block):
    import late, lib.later
    return late.V if lib.later.V == late.V else -1

os.chdir(HERE)
@image
def chdir(block):
    with open("d.txt") as f:
        return float(f.read())

if N == 1:
    np.seterr(all="raise")
@image
def seterr(block):
    try:
        return 2.0 if np.isinf(np.float64(1) / np.float64(0)) else -1
    except FloatingPointError:
        return 1.0

multiprocessing.set_start_method("spawn" if N == 1 else "fork")
@image
def start_method(block):
    return {"spawn": 1.0, "fork": 2.0}[multiprocessing.get_start_method()]

assert "LZR_TEST_OF" not in os.environ
os.environ["LZR_TEST_OF"] = str(N)
os.environ[f"LZR_TEST_{N}"] = "1"
@image
def environ(block):
    return float(os.environ["LZR_TEST_OF"]) if f"LZR_TEST_{3 - N}" not in os.environ else -1

decimal.getcontext().prec = N
@image
def precision(block):
    return float(len(str(decimal.Decimal(1) / 3)) - 2)

np.three = 3 if N == 1 else 4
@image
def patched(block):
    return np.three - 2.0

@image
def path(block):
    other = os.path.join(os.path.dirname(HERE), "two" if N == 1 else "one")
    return float(N) if other not in sys.path and not any(
        (getattr(m, "__file__", None) or "").startswith(other) for m in list(sys.modules.values())) else -1
"""
ARRAYS = ["helper", "package", "lazy", "chdir", "seterr", "start_method", "environ", "precision", "patched", "path"]
CHUNKS = {"zarr2": "/zarr2/{s}.zarr/{a}/0/0/0/0", "zarr3": "/zarr3/{s}.zarr/{a}/0/c/0/0/0",
          "n5": "/n5/{s}.n5/{a}/s0/0/0/0", "precomputed": "/precomputed/{s}/{a}/0/0-2_0-2_0-2",
          "bdv": "/bdv/{s}/{a}/dataset.n5/setup0/timepoint0/s0/0/0/0"}
BIG = ("n5", "bdv")  # byte order


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        name = name.replace("__", "/", 1) if name.startswith("lib__") else name
        path = folder / (name + ("" if "." in name else ".py"))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def make(folder, n, name="store"):
    v = f"V = {n}.0\n"
    return write(folder, helpers=v, late=v, lib__values=v, lib__later=v, lib__init="",
                 **{"d.txt": str(n), f"{name}{n}": HEAD + f"N = {n}\n" + KINDS}) / f"{name}{n}.py"


def value(srv, face, store, array):
    body = srv.chunk(CHUNKS[face].format(s=store, a=array))
    if face in BIG:
        return set(struct.unpack(">8f", body[-32:]))
    return set(struct.unpack("<8f", body[-32:]))


def plain(n, body="return V"):
    return ("import os, lazarr, helpers\nfrom helpers import V\n"
            "@lazarr.array('a', shape=(400,), chunks=(1,), dtype='f4', compressor=None)\n"
            f"def a(block):\n    {body}\n")


def number(srv, store, i=0, array="a"):
    return struct.unpack("<f", srv.chunk(f"/zarr2/{store}.zarr/{array}/{i}"))[0]


@pytest.fixture
def two(tmp_path):
    return [make(tmp_path / f, n) for n, f in ((1, "one"), (2, "two"))]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_nothing_is_shared(two, workers):
    """Through all faces, each computed anew; a folder at a time, then both at once."""
    with lzr.Server(two, "--workers", workers, "--cache", "0") as srv:
        for face in CHUNKS:
            for n in (1, 2):
                got = {a: value(srv, face, f"store{n}", a) for a in ARRAYS}
                assert got == {a: {float(n)} for a in ARRAYS}, (face, n)
        all_of = list(itertools.product(CHUNKS, (1, 2), ARRAYS))
        waiting = [(n, face, srv.begin(CHUNKS[face].format(s=f"store{n}", a=a))) for face, n, a in all_of]
        for n, face, w in waiting:
            r = w.result()
            assert r.status == 200 and r.body[-4:] == struct.pack(">f" if face in BIG else "<f", n), r
        m = srv.metrics()
        assert m["workers"] == workers and m["worker_deaths_total"] == 0
        assert m["compute_failures_total"] == 0
        assert m["worker_switches_total"] >= 1 if workers == 1 else m["worker_switches_total"] < 40


def folders(srv):
    return [w["folder"] for w in srv.get("/api/workers").json()]


@pytest.mark.parametrize("workers", [1, 2])
def test_all_kinds_of_stores(tmp_path, workers):
    """JSON stores, packages, links and data files: a root has one process, and data files have one of
    their own, which sees nothing of what stores did to theirs."""
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, helpers="V = 1.0\n", s1=plain(1), functions="import helpers\ndef f(block):\n    return helpers.V\n",
          **{"j1.json": json.dumps({"arrays": [{"path": "a", "shape": [4], "chunks": [1], "dtype": "f4",
                                                "compressor": None, "function": "functions:f"}]})})
    write(two, helpers="V = 2.0\n", s2=plain(2))
    write(two / "pkg", helpers="V = 3.0\n", __init__="", s3=plain(3))  # its root is two
    write(two / "inner", helpers="V = 4.0\n", s4=plain(4))  # no package: a root of its own
    links = write(tmp_path / "links", helpers="V = 5.0\n")
    (links / "s5.py").symlink_to(two / "s2.py")  # its root is the link's folder
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "d.zarr/.zarray").write_text(json.dumps(
        {"zarr_format": 2, "shape": [4], "chunks": [1], "dtype": "<f4", "compressor": None, "fill_value": 0,
         "order": "C", "filters": None}))
    for i in range(4):
        (tmp_path / f"d.zarr/{i}").write_bytes(struct.pack("<f", 6))
    stores = [one, two / "s2.py", two / "pkg/s3.py", two / "inner/s4.py", links / "s5.py", tmp_path / "d.zarr"]
    with lzr.Server(stores, "--workers", workers, "--cache", "0") as srv:
        data = srv.get("/zarr2/d.zarr/").text.split('href="')[1].split('"')[0].strip("/")
        for i in range(2):
            assert [number(srv, s, i) for s in ("s1", "j1", "s2", "s4", "s5")] == [1, 1, 2, 4, 5]
            assert number(srv, "s3", i) == 2.0  # `import helpers` from its root, not from its package
            assert set(lzr.read_array(srv, f"/zarr2/d.zarr/{data}")) == {6}
        assert srv.metric("worker_switches_total") >= 4
        assert set(folders(srv)) <= {str(one), str(two), str(two / "inner"), str(links), ""}


def test_one_folder_changes_nothing(tmp_path):
    """However its stores are named on the command line."""
    write(tmp_path / "one", helpers="V = 1.0\n", s1=plain(1), s2=plain(1), s3=plain(1))
    one = tmp_path / "one"
    with lzr.Server([one / "s1.py", one / "../one/s2.py", "./s3.py"], "--workers", 2, cwd=one) as srv:
        assert [number(srv, s) for s in ("s1", "s2", "s3")] == [1, 1, 1]
        m = srv.metrics()
        assert (m["worker_starts_total"], m["worker_switches_total"]) == (2, 0)
        assert folders(srv) == [str(one)] * 2
        shown = srv.get("/api/workers", {"X-Forwarded-For": "1.2.3.4"}).json()
        assert all("folder" not in w for w in shown)


def test_in_turns(tmp_path, gate):
    """One worker, two folders that always have something to do: both go on, and a process isn't started for
    each block."""
    for n in (1, 2):
        write(tmp_path / f"f{n}", helpers=f"V = {n}.0\n", **{f"s{n}": plain(n, "import time\n    time.sleep(.004)\n    return V")})
    with lzr.Server([tmp_path / "f1/s1.py", tmp_path / "f2/s2.py"], "--workers", "1", "--cache", "0") as srv:
        ends = {1: [], 2: []}

        def client(k):
            n = k % 2 + 1
            for i in range(60):
                assert number(srv, f"s{n}", k * 60 + i) == n
                ends[n].append(time.monotonic())
        lzr.together(6, client)
        assert len(ends[1]) == len(ends[2]) == 180
        switches = srv.metric("worker_switches_total")
        # 1.5 s of work: a change or two for want of anything else to do, and one for each second.
        assert 1 <= switches <= 12
        # Nobody waits while a folder that is asked without end is through.
        def flood(stop):
            i = 0
            while not stop:
                assert number(srv, "s1", i % 400) == 1
                i += 1
        stop = []
        threads = [lzr.threading.Thread(target=flood, args=(stop,)) for _ in range(4)]
        for t in threads:
            t.start()
        try:
            begun = time.monotonic()
            assert number(srv, "s2", 399) == 2
            assert time.monotonic() - begun < 15 * lzr.SLOW
        finally:
            stop.append(1)
            for t in threads:
                t.join()


def test_idle_workers_give_way(tmp_path, gate):
    """All workers that idle come to a folder whose blocks take long; those that are used stay."""
    for n in (1, 2):
        write(tmp_path / f"f{n}", helpers=f"V = {n}.0\n",
              **{f"s{n}": gate.code + plain(n, f"gate('s{n}')\n    return V")})
    one, two = str(tmp_path / "f1"), str(tmp_path / "f2")
    with lzr.Server([tmp_path / "f1/s1.py", tmp_path / "f2/s2.py"], "--workers", "3", "--cache", "0") as srv:
        assert sorted(folders(srv)) in ([one, one, two], [one, two, two])
        waiting = [srv.begin(f"/zarr2/s2.zarr/a/{i}") for i in range(3)]
        calls = [gate.next() for _ in range(3)]
        assert folders(srv) == [two] * 3
        # All are busy, with nothing behind that: the first that ends goes to the other folder.
        other = srv.begin("/zarr2/s1.zarr/a/0")
        srv.wait_metric("queued", 1)
        calls.pop().go()
        gate.next().go()
        assert other.result().body == struct.pack("<f", 1)
        assert sorted(folders(srv)) == [one, two, two]
        for c in calls:
            c.go()
        assert all(w.result().status == 200 for w in waiting)
        m = srv.metrics()
        assert m["worker_deaths_total"] == 0 and 2 <= m["worker_switches_total"] <= 4


def test_the_one_used_longest_ago_gives_way(tmp_path):
    """Of several that have idled for as long as a start takes."""
    for n in (1, 2, 3):
        write(tmp_path / f"f{n}", helpers=f"V = {n}.0\n", **{f"s{n}": plain(n)})
    with lzr.Server([tmp_path / f"f{n}/s{n}.py" for n in (1, 2, 3)], "--workers", "2", "--cache", "0") as srv:
        def ask(*numbers):
            """One after the other, with more than a start's time between them."""
            for i, n in enumerate(numbers):
                at = time.monotonic()
                lzr.wait_until(lambda: time.monotonic() - at > 0.7 * lzr.SLOW, "they have idled")
                assert number(srv, f"s{n}", i) == n
            return [int(f[-1]) for f in sorted(folders(srv))]
        assert ask(1, 2) == [1, 2]
        assert ask(1, 3) == [1, 3]
        assert ask(3, 1, 2) == [1, 2]


BREAKS = {
    "raises": "raise ValueError('no')\n",
    "dies": "import os\nos._exit(3)\n",
    "is_killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "has_none": "x = 1\n",
    "no_module": "import helpers, there_is_none\n",
}


@pytest.mark.parametrize("kind, workers", [("raises", 3), ("dies", 1), ("is_killed", 3), ("has_none", 1),
                                           ("no_module", 1)])
def test_a_folder_that_fails(tmp_path, kind, workers):
    """It keeps none of the others from being served, is shown with its reason, and loads when it is mended."""
    write(tmp_path / "f1", helpers="V = 1.0\n", s1=plain(1))
    bad = write(tmp_path / "f2", helpers="V = 2.0\n", s2=BREAKS[kind]) / "s2.py"
    write(tmp_path / "f3", helpers="V = 3.0\n", s3=plain(3))
    with lzr.Server([tmp_path / f"f{n}/s{n}.py" for n in (1, 2, 3)], "--workers", workers) as srv:
        assert [number(srv, s) for s in ("s1", "s3")] == [1, 3]
        said = srv.get("/api/stats").json()["failed_stores"]
        assert [s["store"] for s in said] == ["s2"]
        words = {"raises": "ValueError: no", "dies": "status 3", "is_killed": "SIGKILL",
                 "has_none": "defines no array", "no_module": "there_is_none"}
        assert words[kind] in said[0]["error"]
        assert srv.get("/zarr2/s2.zarr/a/0").status == 503
        assert "killed" not in kind or srv.metric("worker_deaths_total") >= 1
        bad.write_text(plain(2))
        assert srv.request("POST", "/api/reload").status == 200
        assert [number(srv, s) for s in ("s1", "s2", "s3")] == [1, 2, 3]
        bad.write_text(BREAKS[kind])  # what was there isn't taken away
        assert srv.request("POST", "/api/reload").status >= 400
        assert [number(srv, s, 1) for s in ("s1", "s3")] == [1, 3]
        if workers == 3:
            assert number(srv, "s2", 1) == 2
        else:  # its process has gone for the others', and what it was can't be started any more
            r = srv.get("/zarr2/s2.zarr/a/1")
            assert r.status == 503 and "reload" in r.text, r
        assert [number(srv, s, 2) for s in ("s1", "s3")] == [1, 3]
        assert srv.stop() == 0


def test_no_folder_loads(tmp_path):
    for n, kind in enumerate(("raises", "dies", "no_module")):
        write(tmp_path / f"f{n}", helpers="", **{f"s{n}": BREAKS[kind]})
    r = lzr.run("serve", *[tmp_path / f"f{n}/s{n}.py" for n in range(3)], "--port", 0, "--workers", 2)
    out = (r.stdout + r.stderr).decode()
    assert r.returncode == 1 and "Traceback" in out
    assert "ValueError: no" in out and "status 3" in out and "there_is_none" in out


def test_reload(tmp_path):
    """Of one array: the other folders' stay as they were. Code that changes in a folder is that folder's."""
    body = "return V"
    source = ("\n@lazarr.source('x', chunks=(1,), compressor=None)\ndef x():\n    import numpy as np\n"
              "    with open(os.path.join(os.path.dirname(__file__), 'd.txt')) as f:\n"
              "        return np.full(4, float(f.read()), 'f4')\n")
    for n in (1, 2):
        write(tmp_path / f"f{n}", helpers=f"V = {n}.0\n", **{"d.txt": str(n), f"s{n}": plain(n, body) + source})
    with lzr.Server([tmp_path / "f1/s1.py", tmp_path / "f2/s2.py"], "--workers", "1") as srv:
        assert [number(srv, s, 0, a) for s in ("s1", "s2") for a in "ax"] == [1, 1, 2, 2]
        (tmp_path / "f1/d.txt").write_text("10")
        (tmp_path / "f2/d.txt").write_text("20")
        r = srv.request("POST", "/api/reload?array=s2/x")
        assert r.status == 200, r
        assert [number(srv, s, 1, a) for s in ("s1", "s2") for a in "ax"] == [1, 1, 2, 20]
        # An edit without a reload: who loads it is refused, the other folder goes on.
        (tmp_path / "f1/helpers.py").write_text("V = 100.0\n")
        assert number(srv, "s2", 2) == 2  # the worker is that folder's now, at the latest
        r = srv.get("/zarr2/s1.zarr/a/3")
        assert r.status == 503 and "has changed" in r.text, r
        assert number(srv, "s2", 3) == 2 and number(srv, "s1", 0) == 1
        assert srv.get("/zarr2/s1.zarr/a/4").status == 503 and number(srv, "s2", 4) == 2
        assert srv.request("POST", "/api/reload").status == 200
        assert [number(srv, s, 5, a) for s in ("s1", "s2") for a in "a"] == [100, 2]
        assert [number(srv, s, 1, "x") for s in ("s1", "s2")] == [10, 20]


def test_pipelines_and_slots(tmp_path):
    """Arrays of others, levels, slots and deaths, in three folders at once with two workers."""
    store = """
import os, lazarr, numpy as np, helpers
@lazarr.array("base", shape=(64, 64), chunks=(16, 16), dtype="f4", axes="yx", levels=2, compressor=None)
def base(block):
    return helpers.V
@lazarr.array("over", inputs=["base"], halo=3, compressor=None)
def over(block, base):
    return base * 10 + helpers.V
@lazarr.array("one", inputs=["over"], slots=1, compressor=None)
def one(block, over):
    if block.index == 3 and not os.path.exists(os.path.join(os.path.dirname(__file__), "died")):
        open(os.path.join(os.path.dirname(__file__), "died"), "w").close()
        os._exit(1)
    return over * 10 + helpers.V
"""
    for n in (1, 2, 3):
        write(tmp_path / f"f{n}", helpers=f"V = {n}.0\n", **{f"s{n}": store})
    with lzr.Server([tmp_path / f"f{n}/s{n}.py" for n in (1, 2, 3)], "--workers", "2", "--worker-jobs", "30") as srv:
        def client(n):
            for a, want in (("one", 111 * n), ("over", 11 * n), ("base", n)):
                for level, size in ((0, 4), (1, 2)):
                    keys = [f"/zarr2/s{n}.zarr/{a}/{level}/{y}/{x}" for y in range(size) for x in range(size)]
                    for w in [srv.begin(k) for k in keys]:
                        r = w.result()
                        assert r.status == 200 and set(struct.unpack("<256f", r.body)) == {want}, r
        lzr.together(3, lambda i: client(i + 1))
        m = srv.metrics()
        assert m["worker_deaths_total"] == 3 and m["queued"] == 0 and m["compute_failures_total"] == 0


def test_a_folder_that_no_longer_comes_to_an_end(tmp_path):
    """Its start is given up when another folder waits, and is tried again later and for longer; the one worker
    serves the others meanwhile, and its own again when it is what it was."""
    for n in (1, 2):
        write(tmp_path / f"f{n}", helpers=f"V = {n}.0\n", **{f"s{n}": plain(n)})
    with lzr.Server([tmp_path / f"f{n}/s{n}.py" for n in (1, 2)], "--workers", "1") as srv:
        assert [number(srv, s) for s in ("s2", "s1")] == [2, 1]
        (tmp_path / "f2/helpers.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")
        hung = srv.begin("/zarr2/s2.zarr/a/1")
        lzr.wait_until(lambda: srv.get("/api/workers").json()[0]["state"] == "starting", "a start")
        assert number(srv, "s1", 1) == 1
        assert "worker 0 is killed: it loads for longer than usual" in srv.log
        (tmp_path / "f2/helpers.py").write_text("V = 2.0\n")
        assert hung.result().body == struct.pack("<f", 2)
        assert [number(srv, s, 2) for s in ("s1", "s2")] == [1, 2]
