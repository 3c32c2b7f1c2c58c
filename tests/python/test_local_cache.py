"""The blocks that `array[...]` keeps: how many bytes, with threads and evictions; when they are forgotten."""
import gc
import threading

import numpy as np
import pytest

import lazarr
from lazarr import _blocks


def held(a):
    """(what the cache counts, what it holds), looked at while nobody uses it."""
    b = a._blocks
    return b.nbytes, sum(v.nbytes for v in b._held.values())


class Checked(_blocks.Blocks):
    """Looks after every change whether it counts what it holds."""

    def check(self):
        with self._lock:
            assert self._nbytes == sum(v.nbytes for v in self._held.values())
            assert self._nbytes <= _blocks.LIMIT or len(self._held) == 1
            self.checked = getattr(self, "checked", 0) + 1

    def put(self, key, block, age):
        super().put(key, block, age)
        self.check()

    def get(self, key):
        got = super().get(key)
        self.check()
        return got

    def clear(self):
        super().clear()
        self.check()


def in_threads(n, work):
    """Runs work(i) in n threads that start together; raises what one of them raised."""
    gate, failed = threading.Barrier(n), []

    def run(i):
        gate.wait(30)
        try:
            work(i)
        except BaseException as e:
            failed.append(e)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    if failed:
        raise failed[0]


def test_two_threads_that_make_one_block_count_it_once():
    gate = threading.Barrier(8)

    @lazarr.array(shape=8, chunks=8, dtype="float64")
    def a(block):
        gate.wait(30)  # all eight compute it: none is kept before the last has begun
        return 1.0
    in_threads(8, lambda i: a[0])
    assert held(a) == (64, 64) and len(a._blocks) == 1


@pytest.mark.parametrize("limit", [0, 64, 1000, 4096])
def test_threads_and_evictions(monkeypatch, limit):
    monkeypatch.setattr(_blocks, "LIMIT", limit)

    @lazarr.array(shape=999, chunks=10, dtype="float64")  # the last block is shorter
    def a(block):
        return block.coords()[0] * 2.0
    a._blocks = Checked()

    def work(i):
        rng = np.random.default_rng(i)
        for _ in range(60):
            at = int(rng.integers(0, 950))
            assert a[at:at + 30].tolist() == list(range(2 * at, 2 * min(at + 30, 999), 2))
            if rng.random() < 0.05:
                a.clear()
    in_threads(6, work)
    counted, there = held(a)
    assert counted == there and a._blocks.checked > 100
    assert counted <= limit or len(a._blocks) == 1
    a.clear()
    assert held(a) == (0, 0)


def test_threads_through_a_chain(monkeypatch):
    """Inputs are evicted while the arrays that are made of them are computed."""
    monkeypatch.setattr(_blocks, "LIMIT", 200)

    @lazarr.array("s", shape=100, chunks=10, dtype="float64")
    def below(block):
        return block.coords()[0]
    arrays = [below]
    for k in range(3):
        arrays.append(lazarr.array(f"a{k}", inputs=[arrays[-1]], halo=2, boundary="edge")(lambda b, x: x + 1))
    for a in arrays:
        a._blocks = Checked()

    def work(i):
        for at in range(i, 100, 7):
            assert arrays[-1][at] == at + 3
            if at % 11 == 0:
                lazarr.clear()
    in_threads(5, work)
    for a in arrays:
        counted, there = held(a)
        assert counted == there


def test_one_thread_through_evictions(monkeypatch):
    monkeypatch.setattr(_blocks, "LIMIT", 100)
    calls = []

    @lazarr.array(shape=(4, 10), chunks=(1, 10), dtype="uint8")
    def a(block):
        calls.append(block.chunk[0])
        return block.chunk[0]
    for i in (0, 1, 2, 3, 0, 3, 1):
        assert a[i, 0] == i
    assert calls == [0, 1, 2, 3] and held(a) == (40, 40)
    monkeypatch.setattr(_blocks, "LIMIT", 20)
    a.clear()
    for i in (0, 1, 0, 2, 1):  # 1 was the least recently used
        a[i]
    assert calls[4:] == [0, 1, 2, 1] and held(a) == (20, 20)


def test_a_block_above_the_limit_is_kept_alone(monkeypatch):
    monkeypatch.setattr(_blocks, "LIMIT", 5)
    a = lazarr.array("a", shape=(2, 10), chunks=(1, 10), dtype="uint8")(lambda b: 1)
    a[0], a[1]
    assert held(a) == (10, 10) and len(a._blocks) == 1


def test_a_block_begun_before_a_clear_is_not_kept():
    begun, go = threading.Event(), threading.Event()
    value = [1.0]

    @lazarr.array(shape=2, chunks=2, dtype="float64")
    def a(block):
        was = value[0]
        begun.set()
        go.wait(30)
        return was
    got = []
    t = threading.Thread(target=lambda: got.append(a[0]))
    t.start()
    assert begun.wait(30)
    value[0] = 2.0
    a.clear()
    go.set()
    t.join(30)
    assert got == [1.0] and held(a) == (0, 0) and a[0] == 2.0


# -- what is forgotten -------------------------------------------------------------------------------------

SIGMA = 1.0


@lazarr.array(shape=4, chunks=2, dtype="float64")
def tripled(block):
    return 3 * SIGMA


@lazarr.array(inputs=[tripled], chunks=4)
def of_it(block, x):
    return x + SIGMA


@pytest.fixture(autouse=True)
def nothing_kept():
    lazarr.clear()


def test_a_changed_global_is_seen_after_clear(monkeypatch):
    assert (tripled[0], of_it[0]) == (3.0, 4.0)
    monkeypatch.setitem(globals(), "SIGMA", 2.0)
    assert (tripled[0], of_it[0]) == (3.0, 4.0)  # kept
    tripled.clear()
    assert (tripled[0], of_it[0]) == (6.0, 4.0)  # the other's blocks are its own
    of_it.clear()
    assert of_it[0] == 8.0
    monkeypatch.undo()
    lazarr.clear()
    assert (tripled[0], of_it[0]) == (3.0, 4.0)


def test_clear_reaches_every_array_that_is_alive():
    arrays = [lazarr.array("same", shape=2, chunks=2, dtype="u1")(lambda b: 1) for _ in range(3)]
    image = lazarr.source("v", np.arange(64.).reshape(8, 8), chunks=4, axes="yx", levels=2)
    for a in arrays:
        a[0]
    image.level(1)[0]
    assert all(len(a._blocks) for a in (*arrays, image))
    lazarr.clear()
    assert not any(len(a._blocks) for a in (*arrays, image))


def test_an_array_that_nobody_has_is_gone():
    from lazarr import _array
    lazarr.array("gone", shape=2, chunks=2, dtype="u1")(lambda b: 1)[0]
    gc.collect()
    assert not [a for a in _array.CURRENT.alive() if a.path == "gone"]


def test_a_source_is_opened_anew(tmp_path):
    place = tmp_path / "v.npy"
    np.save(place, np.arange(4))
    opened = []

    @lazarr.source(chunks=2)
    def s():
        opened.append(1)
        return np.load(place)
    assert s[...].tolist() == [0, 1, 2, 3]
    np.save(place, np.arange(4) + 5)
    assert s[...].tolist() == [0, 1, 2, 3] and len(opened) == 1
    s.clear()
    assert s[...].tolist() == [5, 6, 7, 8] and len(opened) == 2
    lazarr.clear()
    assert s[0] == 5 and len(opened) == 3


@pytest.mark.parametrize("other", [np.arange(5), np.arange(4.0), np.zeros((4, 1), int)])
def test_a_source_of_another_shape_says_so(other):
    now = [np.arange(4)]

    @lazarr.source(chunks=2)
    def s():
        return now[0]
    now[0] = other
    s.clear()
    with pytest.raises(lazarr.StoreError, match='array "s": the source gives .* now, it gave .* load the file anew'):
        s[0]
    now[0] = np.arange(4) + 1
    assert s[0] == 1


def test_an_array_in_memory_that_was_changed():
    values = np.arange(4)
    s = lazarr.source("s", values, chunks=2)
    assert s[...].tolist() == [0, 1, 2, 3]
    values[0] = 9
    assert s[0] == 0
    s.clear()
    assert s[0] == 9


def test_the_fixture(tmp_path):
    """A test file as an author writes it: each test sees what it patched, the next one nothing of that."""
    import os
    import subprocess
    import sys
    (tmp_path / "store.py").write_text(
        "import lazarr\nSIGMA = 1.0\n@lazarr.array(shape=2, chunks=2, dtype='f4')\ndef a(block):\n    return 3 * SIGMA\n")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lazarr.testing"]\n')
    (tmp_path / "test_store.py").write_text(
        "import store\nimport lazarr\nimport pytest\n"
        "def test_one(): assert store.a[0] == 3\n"
        "def test_two(monkeypatch):\n    monkeypatch.setattr(store, 'SIGMA', 2.0)\n    assert store.a[0] == 6\n"
        "@pytest.mark.parametrize('s', [1, 2, 5])\n"
        "def test_more(monkeypatch, s):\n    monkeypatch.setattr(store, 'SIGMA', s)\n    assert store.a[0] == 3 * s\n"
        "def test_last(): assert store.a[0] == 3\n")
    package = os.path.dirname(os.path.dirname(lazarr.__file__))
    r = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
                       capture_output=True, text=True, cwd=tmp_path,
                       env={**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{tmp_path}"}, timeout=120)
    assert "6 passed" in r.stdout, r.stdout + r.stderr
