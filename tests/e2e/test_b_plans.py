"""What pipelines and pyramids cost: blocks computed beside the distinct ones that they are made of (pipelines.py), at
budgets of 4 W, 1.25 W and W / 2 with blocks for the workers beside, by one client and by many.

By default a few of all; with LZR_PLANS=all every one (CTest: slow_plans), and a table as bench/README.md has it."""
import os
import time

import pytest

import lzr
from pipelines import ALL

EVERYTHING = os.environ.get("LZR_PLANS") == "all"
BUDGETS = {"4 W": 4, "1.25 W": 1.25, "W / 2": 0.5}
CASES = [(i, budget, workers, clients)
         for i in range(len(ALL)) for budget in BUDGETS for workers in (1, 2, 8) for clients in (1, 16)
         if EVERYTHING or (i + 3 * list(BUDGETS).index(budget) + workers + clients) % 9 == 0]
TABLE = []


@pytest.fixture(scope="module", autouse=True)
def table():
    yield
    if EVERYTHING:
        print("\n| pipeline | budget | workers | clients | distinct | made | refused | s |\n|---|---|---|---|---|---|---|---|")
        for row in TABLE:
            print("| " + " | ".join(map(str, row)) + " |")


@pytest.mark.limit(180)
@pytest.mark.parametrize("i, budget, workers, clients", CASES)
def test_each_block_once(tmp_path, i, budget, workers, clients):
    p = ALL[i]
    (tmp_path / "s.py").write_text(p.text)
    tops = p.tops if clients > 1 else p.tops[:1]
    distinct, most = p.cost(tops)
    size = int(most * BUDGETS[budget]) + (workers * p.block() if BUDGETS[budget] > 1 else 0)
    with lzr.Server([tmp_path / "s.py"], "--workers", str(workers), "--cache", str(size)) as srv:
        start, answers = time.monotonic(), [None] * max(clients, len(tops))

        def ask(k):
            for n in range(k, len(answers), clients):
                t0 = time.monotonic()
                answers[n] = srv.get(p.url(tops[n % len(tops)])), time.monotonic() - t0
        def go():
            """When all that fits has been listed and started."""
            try:
                lzr.wait_until(lambda: srv.metric("gathering") >= len(tops), "all roots have started", 5)
            except AssertionError:
                pass  # what doesn't fit waits, or has been refused
            (tmp_path / "go").touch()
        lzr.together(clients + 1, lambda k: ask(k) if k < clients else go())
        took = time.monotonic() - start
        m = srv.metrics()
        refused = [(r, s) for r, s in answers if r.status != 200]
        made = m["computed_total"] + m["made_total"]
        TABLE.append((p.name, budget, workers, clients, distinct, made, len(refused), f"{took:.1f}"))
        for r, s in refused:
            assert BUDGETS[budget] < 1 and r.status == 500 and "raise --cache" in r.text, r
        if not refused:
            each = sum(p.cost([t])[0] for t in tops)  # as if none shared anything
            assert made <= (1.05 * distinct if BUDGETS[budget] > 1 else each), (made, distinct)
        lzr.wait_until(lambda: all(srv.metric(k) == 0 for k in ("running", "queued", "waiting", "gathering")), "rest")
        assert srv.metric("budget_bytes") <= m["budget_limit_bytes"]


TWO = """
import time, lazarr, numpy as np
@lazarr.array("raw", shape=(256, 256), chunks=16, dtype="float32", axes="yx")
def raw(block):
    time.sleep(0.04)
    return np.full(block.shape, block.index, "f4")
last = raw
for i in range(6):
    def step(block, a):
        time.sleep(0.04)
        return a[block.crop] + 1
    last = lazarr.array(f"f{i}", inputs=[last], halo=2, boundary="edge")(step)
@lazarr.array("all", inputs=[last], shape=(256, 256), chunks=256, dtype="float32", axes="yx")
def all_of_it(block, a):
    return a
@lazarr.array("short", shape=(4096,), chunks=1, dtype="int32", compressor=None)
def short(block):
    time.sleep(0.005)
    return block.index
@lazarr.array("made", inputs=[short])
def made(block, a):
    return a + 1
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("path, own", [("short", 1), ("made", 2)])
def test_a_short_chunk_beside_a_long_plan(tmp_path, workers, path, own):
    """Counted in blocks of the long one, which are 40 ms: what may be 1 s long and one block more."""
    (tmp_path / "s.py").write_text(TWO)
    with lzr.Server([tmp_path / "s.py"], "--workers", str(workers)) as srv:
        huge = srv.begin("/zarr3/s.zarr/all/0/c/0/0", {"User-Agent": "huge"})
        lzr.wait_until(lambda: srv.metric("computed_total") > 5, "it has begun")
        worst = 0
        for i in range(12):
            before = srv.metric("computed_total")
            assert srv.get(f"/zarr2/s.zarr/{path}/{i}", {"User-Agent": "short"}).status == 200
            worst = max(worst, srv.metric("computed_total") - before - own)
        assert not huge.answered()
        assert worst * 0.04 <= (1 + 0.04) * workers, worst
        huge.leave()
        for gauge in ("running", "queued", "waiting", "gathering"):
            srv.wait_metric(gauge, 0)
        m = srv.metrics()
        assert m["computed_total"] < 7 * 256  # what nobody wants any more is let go
        assert m["budget_bytes"] <= m["budget_limit_bytes"]


def test_what_can_never_fit_is_refused_at_once(tmp_path):
    """... before anything of it is computed, and is remembered; what fits is served all the same."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
@lazarr.array("raw", shape=(64, 1 << 20), chunks=(1, 1 << 20), dtype="uint8", compressor=None)
def raw(block): return np.full(block.shape, block.index, "u1")
every = lambda of, n: lazarr.Input(of, select=(slice(0, n), slice(0, 16)))
@lazarr.array("norm", inputs=[every(raw, 64)], shape=(64, 1 << 20), chunks=(1, 1 << 20), dtype="uint8", compressor=None)
def norm(block, a): return np.full(block.shape, a.max(), "u1")
@lazarr.array("mean", inputs=[every(norm, 64)], shape=(16,), chunks=16, dtype="uint8", compressor=None)
def mean(block, a): return a.max(0)
@lazarr.array("few", inputs=[every(norm, 4)], shape=(16,), chunks=16, dtype="uint8", compressor=None)
def few(block, a): return a.max(0)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1", "--cache", "100MiB") as srv:
        assert srv.metric("budget_limit_bytes") < 128 << 20
        for _ in range(2):
            began = time.monotonic()
            r = srv.get("/zarr2/s.zarr/mean/0")
            assert time.monotonic() - began < lzr.SLOW
            assert r.status == 500 and "s/mean: needs about 129 MiB at once, the budget is 100 MiB" in r.text, r
            assert "raise --cache" in r.text
        m = srv.metrics()
        assert m["computed_total"] == 0 and m["remembered_failures_total"] >= 1
        assert srv.get("/zarr2/s.zarr/few/0").status == 200
        assert srv.metric("computed_total") == 64 + 4 + 1


def test_as_many_chunks_as_it_touches(tmp_path):
    """A mean over 8000 frames of one chunk each is no mean over 72018 of them, which would be too many."""
    (tmp_path / "s.py").write_text("""
import lazarr
@lazarr.array("movie", shape=(8000, 4, 8), chunks=(1, 4, 4), dtype="uint16", axes="tyx", compressor=None)
def movie(block): return block.start[0]
@lazarr.array("mean", inputs=[lazarr.Input(movie, select={"t": slice(None)})], dtype="float32", compressor=None)
def mean(block, x): return x.mean(0)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        assert lzr.read_array(srv, "/zarr2/s.zarr/mean/0").tolist() == [[3999.5] * 8] * 4
        assert srv.metric("computed_total") == 2 * 8001


def test_aligned_steps_raise_no_budget(tmp_path):
    """What a block touches is counted as it is: not as 27 chunks of 1 MiB where it is one."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
@lazarr.array("raw", shape=(256, 256, 256), chunks=64, dtype="uint32")
def raw(block): return np.full(block.shape, block.index, "u4")
one = lazarr.array("one", inputs=[raw])(lambda block, x: x)
two = lazarr.array("two", inputs=[one])(lambda block, x: x)
three = lazarr.array("three", inputs=[two])(lambda block, x: x)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1", "--cache", "1MiB") as srv:
        assert srv.metric("budget_limit_bytes") <= 16 << 20
        for i in range(8):
            assert srv.get(f"/zarr2/s.zarr/three/0.0.{i % 4}").status == 200
        assert srv.metric("budget_bytes") <= srv.metric("budget_limit_bytes")


def test_estimates_that_were_too_low(tmp_path):
    """Chunks that compress well are measured first; those that a pipeline needs don't. Nothing is computed without
    end and the budget isn't overdrawn: it is refused, and the next time it is known beforehand."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
@lazarr.array("raw", shape=(96, 1 << 20), chunks=(1, 1 << 20), dtype="uint8")
def raw(block):
    if block.index < 16:
        return np.zeros(block.shape, "u1")
    return np.random.default_rng(block.index).integers(0, 256, block.shape, "u1")
every = lambda of, n: lazarr.Input(of, select=(slice(0, n), slice(0, 16)))
norm = lazarr.array("norm", inputs=[lazarr.Input(raw, halo=((0, 8), (0, 0)), boundary="edge")])(lambda block, a: a[:1])
@lazarr.array("most", inputs=[every(norm, 80)], shape=(16,), chunks=16, dtype="uint8", compressor=None)
def most(block, a): return a.max(0)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1", "--cache", "110MiB") as srv:
        limit = srv.metric("budget_limit_bytes")
        assert limit < 130 << 20
        for i in range(8):
            assert srv.get(f"/zarr2/s.zarr/norm/{i}.0").status == 200  # measured: raw 0..15 and norm 0..7
        r = srv.get("/zarr2/s.zarr/most/0")
        with open(f"/proc/{srv.process.pid}/status") as f:
            highest = next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))
        assert r.status in (200, 500), r
        assert r.status == 200 or "raise --cache" in r.text, r
        assert lzr.SLOW > 1 or highest <= limit + (48 << 20), highest  # sanitizers take more
        m = srv.metrics()
        assert m["computed_total"] <= 2 * (96 + 80 + 1)
        for gauge in ("running", "queued", "waiting", "gathering"):
            srv.wait_metric(gauge, 0)
        assert srv.metric("budget_bytes") <= limit
