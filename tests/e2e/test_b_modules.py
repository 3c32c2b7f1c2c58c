"""A store is one module, called as `import` would call it: what it imports and what imports it, what it pickles,
the processes that it starts, and the same file without a server all see the same one. Which arrays two stores
have that import one module, and what a store is called whose file's name can't be a name."""
import json
import os
import struct
import subprocess
import sys

import pytest

import lzr

HEAD = "import lazarr, numpy as np, os, sys\n"
A = ("@lazarr.array(shape=(4,), chunks=(4,), dtype='float64', compressor=None, timeout=30, "
     "attributes={'module': __name__, 'file': os.path.basename(__file__)})\n")
VALUE = HEAD + A + "def a(b): return V\n"


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text)
    return folder


def value(body):
    return struct.unpack("<d", body[:8])[0] if len(body) == 32 else body


def got(srv, store, array="a"):
    return value(srv.get(f"/zarr2/{store}.zarr/{array}/0").body)


def attributes(srv, store, array="a"):
    return srv.get(f"/zarr2/{store}.zarr/{array}/.zattrs").json()


def local(folder, code, *args):
    """What code prints in plain Python, with a folder to import from."""
    r = subprocess.run(["/usr/bin/python3", *args, *(["-c", code] if code else [])], cwd=folder, capture_output=True,
                       text=True, timeout=60 * lzr.SLOW, env=lzr.environment(
                           PYTHONPATH=f"{lzr.PYTHON_DIR}:{folder}", PYTHONDONTWRITEBYTECODE="1"))
    assert r.returncode == 0, r
    return r.stdout.strip()


def served(folder, *stores, **more):
    return lzr.Server(stores, "--workers", "1", "--no-access-log", cwd=folder, **more)


PACKAGE = {"__init__.py": "", "utils.py": "V = 7.0\n"}
RELATIVE = "from .utils import V\n" + VALUE


def package(folder, **more):
    return {f"{folder}/{k}": v for k, v in {**PACKAGE, **more}.items()}


# files, what is given, the store, its module, where plain Python imports it from
KINDS = {
    "alone": ({"brain.py": "V = 7.0\n" + VALUE}, ["brain.py"], "brain", "brain", "."),
    "package": (package("pkg", **{"store.py": RELATIVE}), ["pkg/store.py"], "store", "pkg.store", "."),
    "package_absolute": (package("pkg", **{"store.py": "from pkg.utils import V\n" + VALUE}), ["pkg/store.py"],
                         "store", "pkg.store", "."),
    "package_above": ({**package("pkg"), **package("pkg/sub", **{"store.py": "from ..utils import V\n" + VALUE})},
                      ["pkg/sub/store.py"], "store", "pkg.sub.store", "."),
    "src": (package("src/pkg", **{"store.py": "import pkg.utils\nV = pkg.utils.V\n" + VALUE}),
            ["src/pkg/store.py"], "store", "pkg.store", "src"),
    "folder_of_a_package": (package("pkg", **{"store.py": RELATIVE}), ["pkg"], "store", "pkg.store", "."),
    "package_itself": (package("pkg", **{"__init__.py": RELATIVE}), ["pkg"], "pkg", "pkg", "."),
    "package_file": (package("pkg", **{"__init__.py": RELATIVE}), ["pkg/__init__.py"], "pkg", "pkg", "."),
    "beside_its_package": ({**package("pkg"), "store.py": "from pkg.utils import V\n" + VALUE}, ["store.py"], "store",
                           "store", "."),
    "m": (package("pkg", **{"store.py": RELATIVE}), ["-m", "pkg.store"], "store", "pkg.store", "."),
    "m_package": (package("pkg", **{"__init__.py": RELATIVE}), ["-m", "pkg"], "pkg", "pkg", "."),
    "m_namespace": ({"ns/store.py": RELATIVE, "ns/utils.py": "V = 7.0\n"}, ["-m", "ns.store"], "store", "ns.store",
                    "."),
    "m_name": (package("pkg", **{"store.py": RELATIVE}), ["-m", "x=pkg.store"], "x", "pkg.store", "."),
    "m_twice": (package("pkg", **{"store.py": RELATIVE}), ["-m", "pkg.store", "again=pkg/store.py"], "again",
                "pkg.store", "."),
    "dots_in_the_path": (package("pkg", **{"store.py": RELATIVE}), ["./pkg/../pkg//store.py"], "store", "pkg.store",
                         "."),
    "package_of_a_later_name": (package("json5x", **{"store.py": RELATIVE}), ["json5x"], "store", "json5x.store", "."),
    "blank": ({"my store.py": "V = 7.0\n" + VALUE}, ["my store.py"], "my_store", "my store", "."),
    "beyond_ascii": ({"größe.py": "V = 7.0\n" + VALUE}, ["größe.py"], "gr__e", "größe", "."),
    # A helper imports the store: its constant, its class, what it changes.
    "constant": ({"circ.py": "V = 7.0\nimport circhelp\n" + HEAD + A + "def a(b): return circhelp.f()\n",
                  "circhelp.py": "import circ\ndef f(): return circ.V\n"}, ["circ.py"], "circ", "circ", "."),
    "its_class": ({"circ.py": "class C: pass\nimport circhelp\n" + HEAD + A
                   + "def a(b): return 7.0 if circhelp.good(C()) else 0.0\n",
                   "circhelp.py": "def good(c):\n    from circ import C\n    return type(c) is C\n"}, ["circ.py"], "circ",
                  "circ", "."),
    "set_by_a_helper": ({"circ.py": "V = 0.0\nimport circhelp\n" + VALUE + "circhelp.set()\n",
                         "circhelp.py": "import circ\ndef set(): circ.V = 7.0\n"}, ["circ.py"], "circ", "circ", "."),
    "sys_modules": ({"circ.py": "V = 7.0\n" + HEAD + A + "def a(b): return sys.modules[__name__].V\n"}, ["circ.py"],
                    "circ", "circ", "."),
    "dataclass": ({"circ.py": "from __future__ import annotations\nimport dataclasses, typing\n@dataclasses.dataclass\n"
                   "class C:\n    v: typing.ClassVar[float] = 7.0\n" + HEAD + A
                   + "def a(b): return C.v if typing.get_type_hints(C) else 0\n"}, ["circ.py"], "circ", "circ", "."),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_is_one_module(tmp_path, kind):
    files, given, store, module, root = KINDS[kind]
    write(tmp_path, files)
    with served(tmp_path, *given) as srv:
        assert got(srv, store) == 7.0, srv.log
        assert attributes(srv, store)["module"] == module
        assert "its module is called" not in srv.log
        assert (f"the store is called '{store}'" in srv.log) == (kind in ("blank", "beyond_ascii"))
        assert not list(tmp_path.rglob("store*.pyc"))
    said = local(tmp_path / root, f"import importlib; s = importlib.import_module({module!r}); print(s.a[0], s.__name__)")
    assert said == f"7.0 {module}"


# Files that are called like libraries, or as no module can be.
OWN_NAME = {
    "random": "import random, tempfile\nV = float(random.randint(7, 7))\n",
    "json": "import json\nV = json.loads('7.0')\n",
    "numpy": "import numpy\nV = float(numpy.float32(7))\n",
    "queue": "import concurrent.futures, queue\nV = 7.0 if queue.Queue else 0\n",
    "lazarr": "import lazarr\nV = 7.0 if lazarr.array else 0\n",
    "typing": "import typing\nV = 7.0 if typing.Any else 0\n",
    "a.b": "V = 7.0\n",
    "v1.0": "import helper\nV = helper.V\n",
}
SPAWN = """
import multiprocessing
def double(x): return 2 * x
class Model:
    v = 7.0
@lazarr.array(shape=(4,), chunks=(4,), dtype='float64', compressor=None, timeout=60)
def child(b):
    with multiprocessing.get_context("spawn").Pool(1) as p:
        return p.map(double, [V])[0]
@lazarr.array(shape=(4,), chunks=(4,), dtype='float64', compressor=None)
def pickled(b):
    import pickle
    return pickle.loads(pickle.dumps(Model())).v
"""


def test_files_called_like_libraries(tmp_path):
    """They have a module name of their own, which is said once; the library keeps its name, also in the processes
    that they start. The others of their folder are called as ever."""
    write(tmp_path, {f"{n}.py": text + VALUE + SPAWN for n, text in OWN_NAME.items()})
    write(tmp_path, {"helper.py": "V = 7.0\n", "other.py": "import random\nV = random.uniform(7, 7)\n" + VALUE})
    with served(tmp_path, ".") as srv:
        for name in OWN_NAME:
            own = "lazarr._named." + name.replace(".", "_")
            assert got(srv, name) == got(srv, name, "pickled") == 7.0, srv.log
            assert attributes(srv, name)["module"] == own and attributes(srv, name)["file"] == name + ".py"
            assert srv.log.count(f"{name}.py: its module is called {own} here") == 1
        for name in ("random", "queue", "a.b"):
            assert got(srv, name, "child") == 14.0, srv.log
        assert got(srv, "other") == 7.0 and attributes(srv, "other")["module"] == "other"
    for name in ("random", "a.b"):
        own = "lazarr._named." + name.replace(".", "_")
        assert local(tmp_path, "import sys; sys.path = [p for p in sys.path[1:] if p != "
                     f"{str(tmp_path)!r}] + [{str(tmp_path)!r}]; import {own}; print({own}.Model.v)") == "7.0"


def test_a_package_called_like_a_library(tmp_path):
    """As a folder `code` with an __init__.py: its relative imports work, and `import code` is Python's."""
    write(tmp_path, package("code", **{"store.py": "import code\nassert code.InteractiveConsole\n" + RELATIVE}))
    write(tmp_path, package("types", **{"store.py": "import types\nassert types.ModuleType\n" + RELATIVE}))
    with served(tmp_path, "code", "t=types/store.py") as srv:
        assert got(srv, "store") == got(srv, "t") == 7.0, srv.log
        assert attributes(srv, "store")["module"] == "lazarr._named.code.store"


COMMON = HEAD + ("@lazarr.array(shape=(4,), chunks=(4,), dtype='float64')\ndef raw(b): return 5.0\n")
USES = "@lazarr.array(inputs=[{}], compressor=None)\ndef a(b, raw): return raw + {}\n"
# How two stores (1 is added in the first, 2 in the second) come by the array of a third file.
SHARED = {
    "from": {"common.py": COMMON, "s.py": HEAD + "from common import raw\n" + USES.format("raw", "NUMBER")},
    "as": {"common.py": COMMON, "s.py": HEAD + "from common import raw as r\n" + USES.format("r", "NUMBER")},
    "module": {"common.py": COMMON, "s.py": HEAD + "import common\n" + USES.format("common.raw", "NUMBER")},
    "star": {"common.py": COMMON, "s.py": "from common import *\n" + HEAD + USES.format("raw", "NUMBER")},
    "path": {"common.py": COMMON, "s.py": HEAD + "import common\n" + USES.format("'raw'", "NUMBER")},
    "for_a_function": {"common.py": COMMON + "def f(): return raw\n",
                       "s.py": HEAD + "from common import f\n" + USES.format("f()", "NUMBER")},
    "not_used": {"common.py": COMMON, "s.py": HEAD + "import common\n" + A + "def a(b): return 5.0 + NUMBER\n"},
    "by_name": {"common.py": COMMON,
                "s.py": HEAD + "import importlib\nc = importlib.import_module('common')\n" + USES.format("c.raw", "NUMBER")},
    "in_a_function": {"common.py": COMMON, "s.py": HEAD + "def get():\n    from common import raw\n    return raw\n"
                      + USES.format("get()", "NUMBER")},
    "through_another": {"common.py": COMMON, "between.py": "import common\n",
                        "s.py": HEAD + "import between\n" + USES.format("between.common.raw", "NUMBER")},
    "package": {"pk/__init__.py": "", "pk/common.py": COMMON,
                "s.py": HEAD + "from pk import common\n" + USES.format("common.raw", "NUMBER")},
    "package_exports": {"pk/__init__.py": "from .common import raw\n", "pk/common.py": COMMON,
                        "s.py": HEAD + "import pk\n" + USES.format("pk.raw", "NUMBER")},
    "made_by_a_call": {"common.py": HEAD + "def make(n):\n"
                       "    return lazarr.array('raw', shape=(4,), chunks=4, dtype='f8')(lambda b: n)\n",
                       "s.py": HEAD + "import common\nr = common.make(5.0)\n" + USES.format("r", "NUMBER")},
    "chain": {"common.py": COMMON + "lazarr.array('two', inputs=[raw])(lambda b, r: r)\n"
              "two2 = lazarr.array('three', inputs=['two'])(lambda b, r: r)\n",
              "s.py": HEAD + "from common import two2\n" + USES.format("two2", "NUMBER")},
    "source": {"common.py": HEAD + "raw = lazarr.source('raw', np.full(4, 5.0), chunks=4)\n",
               "s.py": HEAD + "from common import raw\n" + USES.format("raw", "NUMBER")},
    "source_function": {"common.py": HEAD + "@lazarr.source('raw', chunks=4)\ndef raw(): return np.full(4, 5.0)\n",
                        "s.py": HEAD + "from common import raw\n" + USES.format("raw", "NUMBER")},
    "group": {"common.py": COMMON + "lazarr.group('g', {'x': 1})\n",
              "s.py": HEAD + "from common import raw\n" + USES.format("raw", "NUMBER")},
    "circle": {"common.py": "import second\n" + COMMON, "s.py": HEAD + "import common\n" + A + "def a(b): return 5.0 + NUMBER\n"},
}


@pytest.mark.parametrize("kind", SHARED)
def test_an_array_of_two_stores(tmp_path, kind):
    """Both have it, in the order in which each alone would; the third file may be a store itself."""
    files = dict(SHARED[kind])
    text = files.pop("s.py")
    write(tmp_path, {**files, "first.py": text.replace("NUMBER", "1"), "second.py": text.replace("NUMBER", "2")})
    alone = listed(lzr.run("describe", tmp_path / "second.py"))
    assert "raw" in alone and alone[-1] == "a"
    with lzr.Server([tmp_path / "first.py", tmp_path / "second.py"], "--workers", "1") as srv:
        again = kind in ("from", "source", "source_function")
        for _ in range(1 + again):
            for n, s in enumerate(("first", "second"), 1):
                assert got(srv, s) == 5.0 + n, srv.log
                for path in alone:
                    assert srv.get(f"/zarr2/{s}.zarr/{path}/.zarray").status == 200
                assert (srv.get(f"/zarr2/{s}.zarr/g/.zgroup").status == 200) == (kind == "group")
            assert not again or srv.request("POST", "/api/reload").status == 200
    if kind == "from":
        with lzr.Server(tmp_path, "--workers", "1") as srv:
            assert [got(srv, "first"), got(srv, "second")] == [6.0, 7.0]
            assert srv.get("/zarr2/common.zarr/raw/.zarray").status == 200


def listed(run):
    assert run.returncode == 0, run
    return [a["path"] for a in json.loads(run.stdout)["arrays"]]


def test_stores_that_import_stores(tmp_path):
    """Each has what the other has; of two arrays of one path the file's own is served, and that is said; one that
    is needed and has another's path is refused."""
    write(tmp_path, {
        "one.py": HEAD + "V = 1.0\n" + A + "def a(b): return V\n" + A + "def x(b): return V\n",
        "two.py": HEAD + "from one import V\n" + A + "def a(b): return 10 * V\n",
        "three.py": HEAD + "import one\n@lazarr.array('a', inputs=[one.a], compressor=None)\ndef f(b, v): return v\n",
        "tools.py": "import one\nfrom one import V\n", "exports.py": "from one import x\n",
        "four.py": HEAD + "import two, one\n" + A.replace("array(", "array('y', ") + "def f(b): return one.V + 3\n"})
    with served(tmp_path, ".") as srv:
        assert [got(srv, "one"), got(srv, "two"), got(srv, "two", "x"), got(srv, "four", "y")] == [1, 10, 1, 4]
        assert 'two.py: array "a" of the module one is left out' in srv.log
        assert 'three.py: array "a": the path is already that of another array' in srv.log
        assert "tools.py: skipped, it defines no array" in srv.log and got(srv, "exports", "x") == 1
        assert got(srv, "four") in (1, 10)  # two modules have one, neither is its own
    assert listed(lzr.run("describe", tmp_path / "two.py")) == ["x", "a"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_array_of_a_store_that_fails(tmp_path, workers):
    """What it has imported is the next one's, sources in memory too, in each worker; mended, it is served."""
    common = SHARED["source"]["common.py"] + "more = lazarr.source('more', np.full(4, 9.0), chunks=4)\n"
    write(tmp_path, {
        "common.py": common, "a.py": HEAD + "import common\nmine = lazarr.source('mine', np.ones(4), chunks=4)\n1 / 0\n",
        "b.py": HEAD + "from common import raw\n" + USES.format("raw", "2"), "e.py": "import nothing_there\n"})
    with lzr.Server(tmp_path, "--workers", workers) as srv:
        assert got(srv, "b") == 7.0
        assert srv.get("/zarr3/b.zarr/more/c/0").status == 200
        assert srv.get("/zarr2/a.zarr/a/0").status == 503
        said = {s["store"]: s["error"] for s in srv.get("/api/stats").json()["failed_stores"]}
        assert "division by zero" in said["a"] and "nothing_there" in said["e"]
        (tmp_path / "a.py").write_text(HEAD + "from common import raw\n" + USES.format("raw", "1"))
        (tmp_path / "e.py").write_text("V = 4.0\n" + VALUE)
        assert srv.request("POST", "/api/reload").status == 200
        assert [got(srv, "a"), got(srv, "b"), got(srv, "e")] == [6.0, 7.0, 4.0]


MODEL = HEAD + """
import pickle
class Model:
    def __init__(self, v): self.v = v
def load():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'm.pkl'), 'rb') as f:
        return pickle.load(f)
"""


@pytest.mark.parametrize("at_load", [False, True])
@pytest.mark.parametrize("folder, module", [("", "model"), ("pkg/", "pkg.model"), ("my data/", "model")])
def test_what_is_pickled(tmp_path, folder, module, at_load):
    """By a script, read by the store; by the store, read at another place and by a script."""
    write(tmp_path, {f"{folder}model.py": MODEL + ("M = load()\n" if at_load else "") + A + "def a(b):\n    m = "
                     + ("M" if at_load else "load()") + "\n    return m.v if type(m) is Model else -1\n"
                     + A.replace("array(", "array('w', ") + "def w(b):\n    with open('" + str(tmp_path)
                     + "/own.pkl', 'wb') as f:\n        pickle.dump(Model(3.0), f)\n    return 0.0\n"
                     + A.replace("array(", "array('r', ") + "def r(b):\n    with open('" + str(tmp_path)
                     + "/own.pkl', 'rb') as f:\n        return pickle.load(f).v\n",
                     "other.py": "V = 1.0\n" + VALUE})
    if folder == "pkg/":
        write(tmp_path, {"pkg/__init__.py": ""})
    root = tmp_path if folder != "my data/" else tmp_path / folder
    pkl = tmp_path / folder / "m.pkl"
    pkl.write_bytes(b"(i__main__\nx\n." if not at_load else b"I0\n.")
    local(root, f"import pickle, {module} as m; pickle.dump(m.Model(6.0), open({str(pkl)!r}, 'wb'))")
    with served(tmp_path, f"{folder}model.py") as srv:
        assert got(srv, "model") == 6.0 and got(srv, "model", "w") == 0.0
    with served(tmp_path, "other.py", f"x={folder}model.py") as srv:
        assert got(srv, "x", "r") == 3.0
    assert local(root, f"import {module} as m; print(m.r[0])") == "3.0"


MEMORY = HEAD + """
import joblib
HERE = os.path.dirname(os.path.abspath(__file__))
class Result:
    def __init__(self, v): self.v = v
@joblib.Memory(HERE + "/kept", verbose=0).cache
def slow(x):
    with open(HERE + "/calls", "a") as f:
        f.write("x")
    return Result(2.0 * x)
""" + A + "def a(b): return slow(3).v\n"


def test_what_joblib_keeps(tmp_path):
    """It names a function by its module: what was kept is found at another place, under another name and locally."""
    lzr.need_module("joblib")
    write(tmp_path, {"pkg/__init__.py": "", "pkg/keeps.py": MEMORY, "other.py": "V = 1.0\n" + VALUE})
    with served(tmp_path, "pkg/keeps.py") as srv:
        assert got(srv, "keeps") == 6.0
    with served(tmp_path, "other.py", "x=pkg/keeps.py") as srv:
        assert got(srv, "x") == 6.0
    with served(tmp_path, "-m", "pkg.keeps") as srv:
        assert got(srv, "keeps") == 6.0
    assert local(tmp_path, "import pkg.keeps; print(pkg.keeps.a[0])") == "6.0"
    assert (tmp_path / "pkg/calls").read_text() == "x"


CHILDREN = HEAD + """
import concurrent.futures as cf, multiprocessing as mp
def double(x): return 2.0 * x
def put(q): q.put(double(3))
HERE = mp.current_process().name == "MainProcess"
POOLS = {w: mp.get_context(w).Pool(1) for w in ("spawn", "forkserver")} if HERE else {}
A = dict(shape=(4,), chunks=(4,), dtype='float64', compressor=None, timeout=60)
def make(name, f): lazarr.array(name, **A)(f)
def executor(how):
    with cf.ProcessPoolExecutor(1, mp_context=how and mp.get_context(how)) as p:
        return p.submit(double, 3).result()
def pool(how):
    with mp.get_context(how).Pool(1) as p:
        return p.map(double, [3])[0]
def process(how):
    q = mp.get_context(how).SimpleQueue()
    p = mp.get_context(how).Process(target=put, args=(q,))
    p.start()
    v = q.get()
    p.join()
    return v
for how in ("fork", "spawn", "forkserver"):
    for what in (executor, pool, process):
        make(f"{what.__name__}_{how}", lambda b, what=what, how=how: what(how))
for how in POOLS:
    make("module_" + how, lambda b, how=how: POOLS[how].map(double, [3])[0])
make("default", lambda b: executor(None))
@lazarr.array("dask_processes", **A)
def dask_processes(b):
    import dask.bag
    return dask.bag.from_sequence([1, 3]).map(double).compute(scheduler="processes", num_workers=1)[1]
@lazarr.array("joblib_processes", **A)
def joblib_processes(b):
    import joblib
    return joblib.Parallel(2)(joblib.delayed(double)(x) for x in (1, 3))[1]
"""
WAYS = [f"{what}_{how}" for what in ("executor", "pool", "process") for how in ("fork", "spawn", "forkserver")] \
    + ["module_spawn", "module_forkserver", "default", "dask_processes", "joblib_processes"]


@pytest.mark.parametrize("place", ["par.py", "pkg/par.py", "a b/par.py"])
def test_processes_of_a_store(tmp_path, place):
    """Functions of the store's module in processes that a block function starts, or the file where it isn't a
    child's, with each way to start one."""
    write(tmp_path, {place: CHILDREN})
    if place.startswith("pkg"):
        write(tmp_path, {"pkg/__init__.py": ""})
    ways = WAYS if place == "par.py" else ["pool_spawn", "executor_forkserver", "module_spawn"]
    if ways is WAYS:
        lzr.need_module("dask.bag")
        lzr.need_module("joblib")
    with served(tmp_path, place) as srv:
        for way in ways:
            assert got(srv, "par", way) == 6.0, (way, srv.log)
        assert srv.stop() == 0


def test_a_linked_store(tmp_path):
    """What lies beside the link is found by __file__, what lies beside its file by its real path; modules and
    depends= beside either."""
    here = "os.path.dirname(os.path.abspath(__file__))"
    write(tmp_path, {
        "any.py": HEAD + f"V = float(open({here} + '/v.txt').read())\nimport near, beside\n" + A.replace(
            "array(", "array(depends=['v.txt', 'w.txt'], ") + "def a(b): return V + near.V + beside.V\n",
        "near.py": "V = 10.0\n", "w.txt": "w", "ds1/v.txt": "1", "ds2/v.txt": "2", "ds1/one.py": "-> ../any.py",
        "ds2/two.py": "-> ../any.py", "ds1/beside.py": "V = 100.0\n", "ds2/beside.py": "-> ../ds1/beside.py",
        "real.py": HEAD + "D = os.path.dirname(os.path.realpath(__file__))\nV = float(open(D + '/r.txt').read())\n"
        + A + "def a(b): return V\n", "r.txt": "5", "ds1/real1.py": "-> ../real.py",
        **package("pkg", **{"store.py": "from pkg.utils import V\n" + VALUE}), "ds1/linked.py": "-> ../pkg/store.py",
        "folder": "-> ds1"})
    for i, (name, want) in enumerate([("ds1/one.py", 111), ("ds2/two.py", 112), ("folder/one.py", 111),
                                      ("ds1/real1.py", 5), ("ds1/linked.py", 7)]):
        r = lzr.run("get", f"s={tmp_path / name}", "zarr2/s.zarr/a/0")
        assert value(r.stdout) == want, (name, r)


def test_what_names_the_module(tmp_path):
    """Loggers, tracebacks, errors' types and warnings."""
    write(tmp_path, package("pkg", **{"store.py": HEAD + """
import logging, warnings
logging.basicConfig(format="%(name)s|%(module)s|%(message)s")
logging.getLogger(__name__).warning("hello")
class Odd(Exception): pass
""" + A + "def a(b): raise Odd('no')\n" + A + "def where(b): return float(a.function.__module__ == 'pkg.store')\n"}))
    with served(tmp_path, "pkg/store.py") as srv:
        assert "pkg.store|store|hello" in srv.log
        text = srv.get("/zarr2/store.zarr/a/0").text
        assert text.startswith("pkg.store.Odd: no") and f'File "{tmp_path}/pkg/store.py", line' in text
        assert "importlib" not in text and got(srv, "store", "where") == 1.0
    (tmp_path / "pkg/store.py").write_text("def f():\n    1 / 0\nf()\n")
    said = lzr.run("describe", tmp_path / "pkg/store.py").stderr.decode()
    assert "(line 2 of store.py)" in said and "importlib" not in said and "_modules.py" not in said
    (tmp_path / "pkg/store.py").write_text("def f(:\n")
    said = lzr.run("describe", tmp_path / "pkg/store.py").stderr.decode()
    assert "store.py:1: SyntaxError" in said and "importlib" not in said


@pytest.mark.parametrize("where", ["here", "helper", "package"])
def test_an_exception_that_cannot_be_written_to(tmp_path, where):
    """It stays itself through all imports, and they are Python's own again."""
    odd = ("import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass NoConfig(Exception):\n    key: str\n"
           "raise NoConfig('X_CFG')\n")
    write(tmp_path, {"here.py": odd, "helper.py": "import here\n", "package/__init__.py": "import here\n",
                     "package/store.py": VALUE, "good.py": "import builtins, importlib\ndef own():\n    return type("
                     "builtins.__import__) is type(len) and type(importlib.import_module) is type(own)\n"
                     + HEAD + A + "def a(b): return float(own())\n"})
    bad = "package/store.py" if where == "package" else f"{where}.py"
    with served(tmp_path, bad, "good.py") as srv:
        said = srv.get("/api/stats").json()["failed_stores"][0]["error"]
        assert "NoConfig" in said and "Frozen" not in said and got(srv, "good") == 1.0


def test_names(tmp_path):
    """NAME=STORE of two files of one name, a data file, a path with "="; what can't be a name is made one of, and
    said; no file of a folder ends the start."""
    for n in "12":
        write(tmp_path, {f"202{n}/store.py": f"V = {n}.0\n" + VALUE})
    write(tmp_path, {"x=y.py": "V = 3.0\n" + VALUE, "bad/my store.py": "V = 4.0\n" + VALUE, "bad/数据.py": VALUE,
                     "bad/図.py": "V = 6.0\n" + VALUE, "bad/é.py": "V = 5.0\n" + VALUE, "bad/my-store.py": "V = 7.0\n" + VALUE,
                     "bad/my_store.py": "V = 8.0\n" + VALUE, "bad/" + "n" * 240 + ".py": "V = 9.0\n" + VALUE,
                     "bad/good.json": '{"arrays": []}', "bad/good.py": "V = 10.0\n" + VALUE, "bad/~x.py": "V = 11.0\n" + VALUE})
    with served(tmp_path, "a=2021/store.py", "b=2022/store.py", "x=y.py", "c=x=y.py", "bad") as srv:
        want = {"a": 1, "b": 2, "x_y": 3, "c": 3, "u56f3": 6, "u00e9": 5, "my-store": 7, "n" * 200: 9, "good-2": 10,
                "_x": 11, "my_store": 8, "my_store-2": 4}
        assert {n: got(srv, n) for n in want} == want, srv.log
        assert srv.get("/zarr2/u6570u636e.zarr/a/0").status == 500  # which has no V
        assert f"{tmp_path}/bad/my store.py: the store is called 'my_store-2'; NAME=STORE gives another name" in srv.log
    np_file = tmp_path / "d.npy"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }".ljust(117) + b"\n"
    np_file.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + struct.pack("<4d", 1, 2, 3, 4))
    assert b'"store": "data"' in lzr.run("describe", f"data={np_file}").stdout


def test_a_name_of_its_own_stays(tmp_path):
    """Whatever other files are called, and whichever comes first: one whose name holds has it."""
    write(tmp_path, {"one/a b.py": "V = 1.0\n" + VALUE, "one/a_b.py": "V = 2.0\n" + VALUE, "a+b.py": "V = 3.0\n" + VALUE,
                     "other.py": "V = 4.0\n" + VALUE})
    for given, want in ((["one/a b.py", "a+b.py", "one/a_b.py"], {"a_b": 2, "a_b-2": 1, "a_b-3": 3}),
                        (["one", "a_b-2=other.py"], {"a_b": 2, "a_b-2": 4, "a_b-3": 1})):
        with served(tmp_path, *given) as srv:
            assert {n: got(srv, n) for n in want} == want, srv.log
            assert "a_b.py: the store is called" not in srv.log


def test_names_that_are_refused(tmp_path):
    write(tmp_path, {"1/s.py": VALUE, "2/s.py": VALUE, "t.py": VALUE})
    for given, words in [
            (["1/s.py", "2/s.py"], ["'s'", "already", "NAME="]), (["ä=t.py"], ["may hold only"]),
            (["~=t.py"], ["may hold only"]), (["a=1"], ["a folder of them"]), (["a=none.py"], ["none.py", "cannot open"]),
            (["a=t.py", "a=1/s.py"], ["'a'", "already"]), (["-m", "none.such"], ["-m none.such", "no such Python file"]),
            (["-m", "t/s"], ["expected a module's name"]), (["-m", "sys"], ["no such Python file"]),
            (["-m", "x=a b"], ["a b"]), (["=t.py"], ["=t.py", "cannot open"])]:
        r = subprocess.run([lzr.LAZARR, "serve", *given, "--port", "0"], cwd=tmp_path, capture_output=True,
                           env=lzr.environment())
        assert r.returncode == 1 and b"listening" not in r.stdout, (given, r)
        line = r.stderr.decode().splitlines()[0]
        assert all(w in line for w in words), (given, line)


def test_m_for_all_commands(tmp_path):
    write(tmp_path, package("pkg", **{"store.py": RELATIVE}))

    def run(*args):
        return subprocess.run([lzr.LAZARR, *args], cwd=tmp_path, capture_output=True, env=lzr.environment())
    assert listed(run("describe", "-m", "pkg.store")) == ["a"]
    assert value(run("get", "-m", "pkg.store", "zarr2/store.zarr/a/0").stdout) == 7.0
    assert value(run("get", "zarr2/y.zarr/a/0", "-m", "y=pkg.store").stdout) == 7.0
    assert b"BigDataViewer" in run("bdv", "-m", "pkg.store", "a").stderr
    for wrong in (["describe", "-m", "pkg.store", "pkg/store.py"], ["get", "-m", "pkg.store"], ["serve", "-m"],
                  ["get", "-m", "pkg.store", "pkg/store.py", "key"], ["describe", "-m", "a", "-m", "b"]):
        assert run(*wrong).returncode == 2, wrong


def test_pytest_beside_a_store(tmp_path):
    """`python -m pytest` in the folder of a store, or of the package that it is in, imports the same module."""
    write(tmp_path, {**package("pkg", **{"store.py": RELATIVE, "test_in.py": "from pkg.store import a\nfrom . import store\n"
                     "def test_it(): assert a[0] == 7.0 and store.a is a and a.function.__module__ == 'pkg.store'\n"}),
                     "brain.py": "V = 7.0\n" + VALUE, "test_brain.py":
                     "import brain\ndef test_it(): assert brain.a[0] == 7.0 and brain.__name__ == 'brain'\n"})
    r = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, text=True,
                       capture_output=True, env=lzr.environment(PYTHONPATH=str(lzr.PYTHON_DIR)))
    assert r.returncode == 0 and "2 passed" in r.stdout, r.stdout


def test_edits_of_all_that_it_imports(tmp_path):
    """Files of the package, of its folder and beside a link's file are the edition's: none is used in two texts."""
    write(tmp_path, {**package("pkg", **{"store.py": HEAD + "from . import utils\nimport beside\n" + A
                                         + "def a(b):\n    from . import late\n    return utils.V\n"}),
                     "pkg/late.py": "V = 1.0\n", "beside.py": "V = 1.0\n", "real/any.py": HEAD + "import near\n" + A
                     + "def a(b): return near.V\n", "real/near.py": "V = 3.0\n", "link.py": "-> real/any.py"})
    with lzr.Server([tmp_path / "pkg/store.py", tmp_path / "link.py"], "--workers", "1") as srv:
        assert [got(srv, "store"), got(srv, "link")] == [7.0, 3.0]
        for name, store, text in (("pkg/utils.py", "store", "V = 8.0\n"), ("real/near.py", "link", "V = 4.0\n")):
            (tmp_path / name).write_text(text)
            srv.kill_workers()
            srv.wait_log(f"{tmp_path}/{name}: .* has changed since it was loaded")
            assert srv.request("POST", "/api/reload").status == 200
            assert got(srv, store) == float(text[4:7])
