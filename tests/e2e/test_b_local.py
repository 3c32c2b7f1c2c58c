"""array[...] computes locally, without a server, and equals what is served: for every example."""
import itertools
import subprocess
import sys

import numpy as np
import pytest

import lzr

# examples/nuclei.py needs tensorflow: tests/gallery.
EXAMPLES = sorted(p for p in (lzr.ROOT / "examples").glob("*.py")
                  if not p.name.startswith("_") and p.stem != "nuclei")

# Runs in a process of its own, as a user's pytest would: no server, only the package and the file.
LOCAL = """
import itertools, json, runpy, sys
sys.path.insert(0, sys.argv[1])
import lazarr, numpy as np
names = runpy.run_path(sys.argv[2])
arrays = {a.path: a for a in names.values() if isinstance(a, lazarr.Array)}
out = {}
for path, a in arrays.items():
    counts = [-(-n // c) for n, c in zip(a.shape, a.chunks)]
    if path == "fails":
        continue
    spots = [sorted({0, n // 2, n - 1}) for n in counts] if all(counts) else [[]]
    for pos in list(itertools.product(*spots))[:: max(1, 3 ** len(counts) // 6)]:
        at = tuple(slice(p * c, min((p + 1) * c, n)) for p, c, n in zip(pos, a.chunks, a.shape))
        out[f"{path}|{','.join(map(str, pos))}"] = np.asarray(a[at])
np.savez(sys.argv[3], **{k.replace("/", "!"): v for k, v in out.items()})
print(json.dumps(sorted(arrays)))
"""


def test_there_are_examples():
    assert {"brain", "fractal", "arraylike"} <= {p.stem for p in EXAMPLES}


def test_the_fractal_is_large():
    """A volume of at least 4096^3, of no data at all."""
    with lzr.Server(lzr.ROOT / "examples/fractal.py") as srv:
        metas = srv.get("/zarr2/fractal.zarr/.zmetadata").json()["metadata"]
        shapes = [m["shape"] for k, m in metas.items() if k.endswith(".zarray")]
        assert any(len(s) == 3 and min(s) >= 4096 for s in shapes), shapes


@pytest.mark.limit(240)
@pytest.mark.parametrize("example", [*EXAMPLES, lzr.ROOT / "tests/e2e/stores/basic.py"],
                         ids=lambda p: p.stem)
def test_local_equals_served(tmp_path, example):
    out = tmp_path / "local.npz"
    r = subprocess.run([sys.executable, "-c", LOCAL, lzr.PYTHON_DIR, example, out],
                       stdout=subprocess.PIPE, timeout=120 * lzr.SLOW, env=lzr.environment())
    assert r.returncode == 0
    compared = 0
    with lzr.Server(example) as srv, np.load(out) as local:
        for name in local.files:
            path, pos = name.replace("!", "/").split("|")
            base = f"/zarr2/{example.stem}.zarr/{path}"
            if srv.get(f"{base}/.zarray").status == 404:
                base += "/0"
            meta = srv.get(f"{base}/.zarray").json()
            key = meta["dimension_separator"].join(pos.split(",")) or "0"
            raw = lzr.decode(srv.chunk(f"{base}/{key}"), meta["compressor"])
            chunk = np.frombuffer(raw, meta["dtype"]).reshape(meta["chunks"])
            want = local[name]
            at = tuple(slice(0, n) for n in want.shape)
            assert want.dtype == chunk.dtype
            assert want.tobytes() == np.ascontiguousarray(chunk[at]).tobytes(), name
            compared += 1
    assert compared >= 3
    print(f"{example.stem}: {compared} blocks compared")


def test_local_indexing(tmp_path):
    """Basic indexing as NumPy's, with small and odd chunks."""
    code = f"""
import sys
sys.path.insert(0, {str(lzr.PYTHON_DIR)!r})
import itertools, lazarr, numpy as np
want = np.arange(7 * 5 * 3).reshape(7, 5, 3)
@lazarr.array("a", shape=want.shape, chunks=(3, 2, 2), dtype="int32")
def a(block):
    return want[block.slices]
assert (np.asarray(a) == want).all() and a.dtype == "int32" and a[...].dtype == "int32"
keys = [0, -1, 4, slice(None), slice(1, None), slice(None, None, 2), slice(None, None, -1),
        slice(5, 1, -2), slice(-3, -1), slice(2, 2), slice(100), slice(-100, 100, 3)]
n = 0
for k in itertools.product(keys, repeat=3):
    try:
        w = want[k]
    except IndexError:
        try:
            a[k]
        except IndexError:
            continue
        raise AssertionError(k)
    g = a[k]
    assert np.shape(g) == np.shape(w) and (np.asarray(g) == w).all(), k
    n += 1
for k in (..., (..., 1), (1, ...), (slice(2), ..., 0), 2, (2, 3), ()):
    assert (np.asarray(a[k]) == want[k]).all(), k
for bad in (7, -8, (0, 0, 0, 0), 1.5, "x", [9], (..., ...)):
    try:
        a[bad]
    except (IndexError, TypeError):
        continue
    raise AssertionError(bad)
print(n)
"""
    r = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=lzr.environment(),
                       timeout=60 * lzr.SLOW)
    assert r.returncode == 0 and int(r.stdout) > 1000


def test_local_errors_are_those_of_the_server(serve):
    text = """
import lazarr, numpy as np
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="uint8")
def a(block):
    return np.array([1, 2, 300, 4])
"""
    srv = serve(text)
    r = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(lzr.PYTHON_DIR)!r})\n"
                        + text + "\ntry:\n    a[...]\nexcept lazarr.CastError as e:\n    print(e)\n"],
                       stdout=subprocess.PIPE, env=lzr.environment(), timeout=60)
    said = r.stdout.decode().strip()
    assert "300" in said and said in srv.get("/zarr2/s.zarr/a/0").text


def test_doctests():
    """Docstrings with shapes, dtypes, errors and an example that runs; type hints."""
    code = f"""
import sys
sys.path.insert(0, {str(lzr.PYTHON_DIR)!r})
import doctest, importlib, inspect, pkgutil, lazarr
tried = 0
for m in pkgutil.iter_modules(lazarr.__path__):
    r = doctest.testmod(importlib.import_module("lazarr." + m.name))
    assert r.failed == 0, m.name
    tried += r.attempted
for name in lazarr.__all__:
    thing = getattr(lazarr, name)
    assert inspect.getdoc(thing) and ">>>" in inspect.getdoc(thing), name
for f in (lazarr.array, lazarr.source, lazarr.group):
    hints = f.__annotations__
    assert "return" in hints and len(hints) > 1
print(tried)
"""
    r = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=lzr.environment(),
                       timeout=60 * lzr.SLOW)
    assert r.returncode == 0 and int(r.stdout.split()[-1]) > 15
