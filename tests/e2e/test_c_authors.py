"""What docs/authors.md and docs/gallery.md show of stores is run as it stands there: tests with pytest, decorators, and
labels, with each NumPy that there is."""
import re
import subprocess

import pytest

import lzr

AUTHORS, GALLERY = ((lzr.ROOT / "docs" / f"{page}.md").read_text() for page in ("authors", "gallery"))

BRAIN = """
import lazarr, numpy as np
SIGMA = 2.0
@lazarr.source("t1", axes="zyx")
def mri(): return np.random.default_rng(0).random((64, 104, 96), "f4") * 100
@lazarr.array(inputs=[mri], dtype="float32", boundary="symmetric")
def edges(block, t1): return t1 / SIGMA / SIGMA
"""
SMOOTH = """
import lazarr, numpy as np
from scipy import ndimage
@lazarr.source("smooth", axes="zyx")
def smooth():
    spots = np.random.default_rng(0).random((70, 130, 64)) > 0.97
    return ndimage.binary_dilation(spots).astype("f4") * 200
"""


def python(folder, *args, python="/usr/bin/python3"):
    """Run as the page says: with the package on PYTHONPATH, from the folder of the store."""
    r = subprocess.run([python, *args], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60 * lzr.SLOW, env=lzr.environment(PYTHONPATH=str(lzr.PYTHON_DIR),
                                                                  PYTHONDONTWRITEBYTECODE="1"))
    return r.returncode, r.stdout.decode()


def test_the_page_says_where_the_package_is(tmp_path):
    said = re.search(r"^export PYTHONPATH=\$PWD/(\S+)", AUTHORS, re.M).group(1)
    assert (lzr.ROOT / said / "lazarr" / "py.typed").exists()
    installed = re.search(r"`(share/lazarr/\S+)` below the prefix of `cmake --install`", AUTHORS).group(1)
    subprocess.run(["cmake", "--install", lzr.BUILD, "--prefix", tmp_path], stdout=subprocess.DEVNULL, check=True)
    assert (tmp_path / installed / "lazarr" / "__init__.py").exists()


@pytest.mark.parametrize("where", ["conftest", "tests", "command"])
def test_a_test_of_a_store(tmp_path, where):
    """In a folder, in a folder below, and with the plugin on the command line."""
    text, = re.findall(r"```python\n(# a test of a brain\.py.*?)```", AUTHORS, re.S)
    conftest, = re.findall(r"`(pytest_plugins = \[.*?\])`", AUTHORS)
    option, = re.findall(r"`(-p lazarr\.testing)`", AUTHORS)
    # What the test left behind is forgotten: this one runs after it.
    text += "\ndef test_what_was_is_again():\n    assert brain.edges[0, 0, 0] == brain.mri[0, 0, 0] / 4\n"
    (tmp_path / "brain.py").write_text(BRAIN)
    (tmp_path / "tests").mkdir()
    (tmp_path / ("tests" if where == "tests" else "") / "test_brain.py").write_text(text)
    if where != "command":
        (tmp_path / "conftest.py").write_text(conftest + "\n")
    more = option.split() if where == "command" else []
    status, said = python(tmp_path, "-m", "pytest", "-q", *more)
    assert status == 0 and "2 passed" in said, said


def test_a_decorator_that_gives_an_argument(tmp_path):
    text, = re.findall(r"```python\n(def configured.*?)```", AUTHORS, re.S)
    (tmp_path / "s.py").write_text("import functools, lazarr\n" + text)
    assert python(tmp_path, "-c", "import s; print(s.a[99])") == (0, "3.0\n")


@pytest.mark.parametrize("named, answer", [
    (None, "RuntimeError: breakpoint() has no terminal in a worker"), ("", "RuntimeError: breakpoint() has no"),
    ("pdb.set_trace", "RuntimeError: breakpoint() has no"), ("0", 7), ("hooks.go_on", 8),
    ("hooks.nothing", "AttributeError: "), ("nomodule.f", "ModuleNotFoundError: No module named 'nomodule'")])
def test_breakpoint_in_a_worker(tmp_path, named, answer):
    """It has no terminal, which it says; what is named otherwise (a debugger over the network) is called."""
    assert "`breakpoint()` is an error in a worker" in AUTHORS and "PYTHONBREAKPOINT" in AUTHORS
    (tmp_path / "hooks.py").write_text("def go_on(*args):\n    return 8\n")
    (tmp_path / "s.py").write_text("""
import lazarr
@lazarr.array(shape=(2,), chunks=2, dtype="uint8", compressor=None)
def a(block):
    return breakpoint() or 7
@lazarr.array(shape=(2,), chunks=2, dtype="uint8", compressor=None)
def b(block):
    return 1
""")
    env = {} if named is None else {"PYTHONBREAKPOINT": named}
    with lzr.Server(tmp_path / "s.py", "--workers", "1", env=env) as srv:
        r = srv.get("/zarr2/s.zarr/a/0")
        if isinstance(answer, int):
            assert r.status == 200 and r.body == bytes([answer] * 2)
        else:
            assert r.status == 500 and r.text.startswith(answer), r.text
            assert "in a\n" in r.text and "bdb" not in r.text
        assert srv.get("/zarr2/s.zarr/b/0").body == b"\1\1"
        assert srv.metric("worker_deaths_total") == 0


def test_a_block_by_its_place_in_the_grid(tmp_path):
    (tmp_path / "brain.py").write_text(BRAIN)
    for wrong in ("1", "(0.5, 0, 0)", "None", "'000'", "[[0, 0, 0]]"):
        status, said = python(tmp_path, "-c", f"import brain; brain.edges.compute({wrong})")
        assert status == 1 and "chunk must be 3 integers, its place in the grid (1, 2, 2) of 'edges', got " in said, said
    line = "import brain, numpy as np; print(brain.edges.compute(np.array([0, 1, 1])).shape)"
    assert python(tmp_path, "-c", line) == (0, "(64, 40, 32)\n")


LABELS, = re.findall(r"```python\n(@lazarr\.array\(inputs=\[smooth\].*?)```", GALLERY, re.S)
APART = """
import numpy as np, s
from scipy import ndimage
whole, n = ndimage.label(s.smooth[...] > 150)
assert s.cells.dtype == "u4" and n > 20 and np.array_equal(s.cells[...], whole)
assert s.pieces.chunks == (64, 64, 64) and s.pieces.dtype == "u8"
seen = {}
for place in np.ndindex(2, 3, 1):
    got = s.pieces.compute(place)
    part = tuple(slice(64 * p, 64 * p + k) for p, k in zip(place, got.shape))
    want, m = ndimage.label(whole[part] > 0)
    ids = np.unique(got[got > 0])
    assert len(ids) == m > 0 and np.array_equal(got > 0, want > 0)
    for i in ids:
        assert seen.setdefault(int(i), place) == place
        assert len(np.unique(want[got == i])) == 1
print("apart")
"""
FAR = """
import numpy as np, lazarr, s
far = lazarr.Block(s.pieces, (0,) * 3, (2, 2, 2), (0, 0, 0), 2**34, make_data=lambda: None)
assert s.pieces(far, np.full((2, 2, 2), 200.0)).tolist() == [[[2**34 * 64**3 + 1] * 2] * 2] * 2
print("far")
"""


def test_labels_of_blocks_are_apart(tmp_path):
    (tmp_path / "s.py").write_text(SMOOTH + LABELS)
    (tmp_path / "look.py").write_text(APART)
    assert python(tmp_path, "look.py") == (0, "apart\n")


@pytest.mark.parametrize("name", [None, "py311np1", "py312"])
def test_labels_are_64_bits_in_any_numpy(tmp_path, name):
    """NumPy 1 and 2 differ in what an int32 and a large number make. SciPy isn't in all of these environments: what
    it does is said by a stand-in."""
    binary = "/usr/bin/python3" if name is None else lzr.ENVS / name / "bin" / "python3"
    lzr.need(lzr.Path(binary).exists(), f"{binary} (tests/clients/setup.sh makes it)")
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text("")
    (tmp_path / "scipy" / "ndimage.py").write_text("def label(x): return x.astype('i4'), 1\n"
                                                   "def binary_dilation(x): return x\n")
    (tmp_path / "s.py").write_text(SMOOTH + LABELS)
    assert python(tmp_path, "-W", "error", "-c", FAR, python=str(binary)) == (0, "far\n")
