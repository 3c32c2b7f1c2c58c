"""Arrays made of arrays: regions, chains, diamonds, budgets, failures, abandonment."""
import itertools
import re

import numpy as np
import pytest

import lzr


@pytest.fixture
def serve(tmp_path):
    def start(text, *args, name="s"):
        path = tmp_path / f"{name}.py"
        path.write_text("import lazarr, numpy as np\n" + text)
        return lzr.Server([path], *args)
    started = []

    def keep(*a, **k):
        started.append(start(*a, **k))
        return started[-1]
    yield keep
    for s in started:
        s.kill()


@pytest.fixture
def gate(tmp_path):
    g = lzr.Gate(tmp_path)
    yield g
    g.close()


def stats(srv, path):
    return next(a for a in srv.get("/api/stats").json()["arrays"] if a["path"] == path)


BASE = """
@lazarr.array(shape=(23, 18, 21), chunks=(8, 5, 7), dtype=">u2", fill_value=9,
              compressor=lazarr.Blosc(cname="lz4"))
def base(block):
    z, y, x = block.coords()
    return (z * 401 + y * 37 + x * 3 + (z * y * x) % 13).astype("u2")
"""


def base():
    z, y, x = np.ogrid[:23, :18, :21]
    return (z * 401 + y * 37 + x * 3 + (z * y * x) % 13).astype("u2")


def pad(a, lower_upper, boundary, fill=0):
    """numpy.pad axis by axis; wrap in its newer sense, at any NumPy."""
    if boundary == "constant":
        return np.pad(a, lower_upper, "constant", constant_values=fill)
    if boundary == "wrap":
        for axis, (lo, up) in enumerate(lower_upper):
            a = np.take(a, np.arange(-lo, a.shape[axis] + up), axis=axis, mode="wrap")
        return a
    return np.pad(a, lower_upper, boundary)


@pytest.mark.parametrize("halo", [0, 3, ((2, 0), (0, 9), (30, 1))])
@pytest.mark.parametrize("boundary", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_regions(serve, boundary, halo):
    """The function sees the block with its context as numpy.pad would give it, in native order; it
    may write to it, which nobody else sees."""
    srv = serve(BASE + f"""
@lazarr.array(inputs=[base], chunks=(6, 7, 9), dtype="int64", halo={halo!r}, boundary={boundary!r})
def seen(block, t):
    assert t.dtype == np.dtype("=u2") and t.flags.writeable and t.flags.c_contiguous
    weights = np.arange(1, t.size + 1).reshape(t.shape) % 1009
    total = int((t.astype("i8") * weights).sum())
    t[...] = 12345
    return np.full(block.shape, total, "i8")
""", "--workers", "2")
    pairs = np.broadcast_to(halo, (3, 2)) if not isinstance(halo, tuple) else np.array(halo)
    whole = pad(base(), [tuple(p) for p in pairs], boundary, fill=9)
    for turn in range(2):
        got = lzr.read_array(srv, "/zarr2/s.zarr/seen")
    for at in itertools.product(range(0, 23, 6), range(0, 18, 7), range(0, 21, 9)):
        stop = [min(a + c, n) for a, c, n in zip(at, (6, 7, 9), (23, 18, 21))]
        region = whole[tuple(slice(a, b + p.sum()) for a, b, p in zip(at, stop, pairs))].astype("i8")
        weights = np.arange(1, region.size + 1).reshape(region.shape) % 1009
        assert (got[tuple(map(slice, at, stop))] == (region * weights).sum()).all(), at


def test_aligned_grids(serve):
    """Where grids align the region is the chunk, and the result the function's."""
    srv = serve(BASE + """
@lazarr.array(inputs=[base], compressor=None)
def same(block, t):
    return t
""")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/same") == base()).all()
    m = srv.metrics()
    assert m["computed_total"] == 2 * 3 * 4 * 3 and m["gathered_total"] == 3 * 4 * 3


CHAIN = """
previous = lazarr.array("a0", shape=(64,), chunks=(16,), dtype="int64",
                        compressor={codec})(lambda block: block.coords()[0].copy())
for i in range(1, {depth}):
    previous = lazarr.array(f"a{{i}}", inputs=[previous], halo={halo}, boundary="wrap",
                            compressor={codec})(lambda block, t: t[{halo}:len(t)-{halo}] + t[:len(t)-{halo}*2] * {halo})
"""


def chain(depth, halo):
    a = np.arange(64)
    for _ in range(1, depth):
        a = a + np.roll(a, halo) * halo
    return a


@pytest.mark.parametrize("halo", [0, 1])
def test_depth_50_one_worker(serve, halo):
    srv = serve(CHAIN.format(depth=50, halo=halo, codec="None"), "--workers", "1")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/a49") == chain(50, halo)).all()
    m = srv.metrics()
    assert m["computed_total"] == 50 * 4 and m["queued"] == m["running"] == m["gathering"] == 0


def test_depth_300(serve):
    srv = serve(CHAIN.format(depth=300, halo=0, codec="None"), "--workers", "1")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/a299") == np.arange(64)).all()
    assert srv.metric("computed_total") == 300 * 4


def test_width_200_one_worker(serve):
    """200 inputs of one block, of three grids."""
    srv = serve("""
parts = []
for i in range(200):
    parts.append(lazarr.array(f"p{i}", shape=(30, 20), chunks=(5 + i % 3, 20), dtype="uint16")(
        lambda block, i=i: np.full(block.shape, i, "u2") + block.coords()[0].astype("u2")))
@lazarr.array(inputs=parts, chunks=(15, 20), dtype="uint32", compressor=None)
def total(block, *inputs):
    return sum(t.astype("u4") for t in inputs)
""", "--workers", "1")
    want = np.broadcast_to(sum(range(200)) + 200 * np.arange(30)[:, None], (30, 20))
    assert (lzr.read_array(srv, "/zarr2/s.zarr/total") == want).all()
    chunks = sum(-(-30 // (5 + i % 3)) for i in range(200))
    assert srv.metric("computed_total") == chunks + 2


DIAMOND = """
@lazarr.array(shape=(48, 48), chunks=(16, 16), dtype="int32")
def top(block):
    y, x = block.coords()
    return (y * 100 + x).astype("i4")
@lazarr.array(inputs=[top], halo=2, boundary="edge")
def left(block, t):
    return t[2:-2, 2:-2] + t[:-4, 2:-2]
@lazarr.array(inputs=[top], halo=((0, 3), (1, 0)), boundary="reflect")
def right(block, t):
    return t[:-3, 1:] * 2 - t[3:, :-1]
@lazarr.array(inputs=[left, lazarr.Input(right, halo=1)], compressor=None)
def bottom(block, a, b):
    return a + b[1:-1, 1:-1] + b[2:, 2:]
"""


def diamond():
    y, x = np.ogrid[:48, :48]
    top = (y * 100 + x).astype("i4")
    e = np.pad(top, 2, "edge")
    left = e[2:-2, 2:-2] + e[:-4, 2:-2]
    r = np.pad(top, ((0, 3), (1, 0)), "reflect")
    right = r[:-3, 1:] * 2 - r[3:, :-1]
    b = np.pad(right, 1)
    return left + b[1:-1, 1:-1] + b[2:, 2:]


def read_by_many(srv, path, clients):
    """Every client reads the whole array on a connection of its own; all results."""
    results = [None] * clients

    def read(i):
        results[i] = lzr.read_array(srv, path)
    lzr.together(clients, read)
    return results


@pytest.mark.parametrize("workers", [1, 3])
def test_diamond_64_clients(serve, workers):
    srv = serve(DIAMOND, "--workers", str(workers))
    want = diamond()
    for got in read_by_many(srv, "/zarr2/s.zarr/bottom", 64):
        assert (got == want).all()
    m = srv.metrics()
    assert m["computed_total"] == 4 * 9 and m["queued"] == m["running"] == m["waiting"] == 0
    assert m["gathering"] == 0


@pytest.mark.parametrize("cache", ["0", "30000", "100000"])
@pytest.mark.parametrize("workers", [1, 2])
def test_tiny_budgets(serve, cache, workers):
    """Right results whatever the budget; it ends; what is held goes back."""
    srv = serve(DIAMOND + CHAIN.format(depth=12, halo=0, codec="None"), "--workers", str(workers),
                "--cache", cache)
    for got in read_by_many(srv, "/zarr2/s.zarr/bottom", 6):
        assert (got == diamond()).all()
    assert (lzr.read_array(srv, "/zarr2/s.zarr/a11") == np.arange(64)).all()
    m = srv.metrics()
    assert m["queued"] == m["running"] == m["gathering"] == 0
    assert m["budget_bytes"] <= m["budget_limit_bytes"] + 200000


def test_failure_names_its_path(serve):
    srv = serve("""
@lazarr.array(shape=(40,), chunks=(10,), dtype="i4")
def low(block):
    if block.index == 2:
        raise ZeroDivisionError("nothing here")
    return 1
@lazarr.array(inputs=[low])
def b(block, t):
    return t
@lazarr.array("grp/a", inputs=[b], chunks=(20,))
def a(block, t):
    return t
""", "--workers", "1")
    r = srv.get("/zarr2/s.zarr/grp/a/1")
    assert r.status == 500
    assert r.text.splitlines()[0].startswith("grp/a <- b <- low: ZeroDivisionError: nothing here"), r.text
    assert "Traceback" in r.text or "line" in r.text
    assert srv.get("/zarr2/s.zarr/grp/a/0").status == 200
    computed = srv.metric("computed_total")
    for path, text in [("grp/a/1", "grp/a <- b <- low: "), ("b/2", "b <- low: "), ("low/2", "ZeroDivision")]:
        for method in ("GET", "HEAD"):
            r = srv.request(method, f"/zarr2/s.zarr/{path}")
            assert r.status == 500, (path, method)
            assert method == "HEAD" or r.text.startswith(text), r.text
    r = srv.get("/n5/s.n5/grp/a/1")  # through another format as well
    assert r.status == 500 and "a <- b <- low: ZeroDivisionError" in r.text, r
    assert srv.metric("computed_total") == computed  # all of it remembered


def test_a_failure_that_is_remembered_names_its_path_too(serve):
    srv = serve("""
@lazarr.array(shape=(40,), chunks=(10,), dtype="i4")
def low(block):
    raise ZeroDivisionError("nothing here")
@lazarr.array(inputs=[low])
def b(block, t):
    return t
@lazarr.array(inputs=[b])
def a(block, t):
    return t
""", "--workers", "1")
    for path, text in [("low", "Zero"), ("b", "b <- low: Zero"), ("a", "a <- b <- low: Zero")]:
        for _ in range(2):
            r = srv.get(f"/zarr2/s.zarr/{path}/2")
            assert r.status == 500 and r.text.startswith(text), r.text
    assert srv.metric("computed_total") == 1


def test_failure_path_of_a_long_chain_is_cut(serve):
    srv = serve("""
p = lazarr.array("a0", shape=(4,), chunks=(4,), dtype="i4")(lambda block: 1 // 0)
for i in range(1, 60):
    p = lazarr.array(f"a{i}", inputs=[p])(lambda block, t: t)
""", "--workers", "1")
    line = srv.get("/zarr2/s.zarr/a59/0").text.splitlines()[0]
    assert re.match(r"a59 <- a58 <- .*more.* <- a0: ZeroDivisionError", line), line
    assert len(line) < 300


def test_a_crash_is_tried_again_with_the_same_inputs(serve, tmp_path):
    mark = tmp_path / "died"
    srv = serve(f"""
import os
@lazarr.array(shape=(40,), chunks=(10,), dtype="i4")
def low(block):
    return block.coords()[0].astype("i4")
@lazarr.array(inputs=[low], halo=2, boundary="edge")
def b(block, t):
    t += 1
    if not os.path.exists({str(mark)!r}):
        open({str(mark)!r}, "w").close()
        os.kill(os.getpid(), 9)
    return t[2:-2]
""", "--workers", "1")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/b") == np.arange(40) + 1).all()
    m = srv.metrics()
    assert m["retries_total"] == 1 and stats(srv, "low")["computed"] == 4


def test_a_deadline_of_an_input(serve):
    srv = serve("""
import time
@lazarr.array(shape=(4,), chunks=(4,), dtype="i4", timeout=0.3)
def low(block):
    time.sleep(60)
@lazarr.array(inputs=[low])
def b(block, t):
    return t
""", "--workers", "1")
    first = srv.get("/zarr2/s.zarr/b/0")
    assert first.status == 503 and "b <- low: s/low: the function took longer" in first.text, first
    second = srv.get("/zarr2/s.zarr/b/0")
    assert second.status == 500 and "took longer" in second.text, second


def test_abandoned_roots_let_their_needs_go(serve, gate):
    """Only those that nobody else wants."""
    srv = serve(gate.code + """
@lazarr.array(shape=(80,), chunks=(10,), dtype="i4")
def low(block):
    gate(f"c{block.index}")
    return block.index
@lazarr.array(inputs=[low], chunks=(40,))
def b(block, t):
    return t
""", "--workers", "1")
    warm = srv.begin("/zarr2/s.zarr/low/7")  # a worker's first block of an array would not be interrupted
    gate.next().go()
    assert warm.result().status == 200
    first = srv.begin("/zarr2/s.zarr/b/0")
    running = gate.next()
    assert running.key == "c0"
    other = srv.begin("/zarr2/s.zarr/low/1")  # somebody else wants one of its needs
    srv.wait_metric("waiting", 2)
    first.leave()
    srv.wait_metric("waiting", 1)
    lzr.wait_until(lambda: srv.metric("gathering") == 0, "the root is gone")
    assert running.gone()  # interrupted
    nxt = gate.next()
    assert nxt.key == "c1"
    nxt.go()
    assert other.result().status == 200
    srv.wait_metric("running", 0)
    assert gate.empty() and stats(srv, "low")["computed"] == 2 and stats(srv, "b")["computed"] == 0


def test_needs_come_before_later_requests(serve, gate):
    """What a started flight waits for comes before roots; and it is not asked for all at once."""
    srv = serve(gate.code + """
@lazarr.array(shape=(200,), chunks=(10,), dtype="i4", compressor=None)
def low(block):
    gate(f"c{block.index}")
    return block.index
@lazarr.array(inputs=[low], chunks=(100,), compressor=None)
def b(block, t):
    gate(f"b{block.index}")
    return t
@lazarr.array(shape=(10,), chunks=(10,), dtype="i4")
def other(block):
    gate("other")
    return 1
""", "--workers", "1")
    root = srv.begin("/zarr2/s.zarr/b/0")
    calls = [gate.next()]
    late = srv.begin("/zarr2/s.zarr/other/0")
    srv.wait_metric("waiting", 2)
    assert srv.metric("queued") <= 4
    order = []
    for _ in range(12):
        call = calls.pop() if calls else gate.next()
        order.append(call.key)
        call.go()
    # A worker that is free while the last need is encoded takes what there is.
    assert order[:10] == [f"c{i}" for i in range(10)] and set(order[10:]) == {"b0", "other"}
    assert root.result().status == late.result().status == 200


def test_kept_inputs(serve):
    """User code that keeps an input's array keeps its values, whatever is computed afterwards."""
    srv = serve("""
kept = []
@lazarr.array(shape=(4096,), chunks=(512,), dtype="i8")
def low(block):
    return block.coords()[0].copy()
@lazarr.array(inputs=[low], halo=1, boundary="edge", compressor=None)
def b(block, t):
    kept.append((block.start[0], t))
    ok = all(a[1] == start and a[-2] == start + 511 for start, a in kept)
    return t[1:-1] if ok else t[1:-1] * 0 - 1
""", "--workers", "1")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/b") == np.arange(4096)).all()


def test_it_says_what_inputs_took(serve):
    srv = serve("""
import time
@lazarr.array(shape=(8,), chunks=(4,), dtype="i4")
def low(block):
    time.sleep(0.05)
    return 1
@lazarr.array(inputs=[low])
def b(block, t):
    return t
""", "--workers", "1")
    r = srv.get("/zarr2/s.zarr/b/0")
    took = float(re.search(r"inputs;dur=([0-9.]+)", r["Server-Timing"]).group(1))
    compute = float(re.search(r"compute;dur=([0-9.]+)", r["Server-Timing"]).group(1))
    assert took >= 50 and compute < 50, r["Server-Timing"]
    s = stats(srv, "b")
    assert s["computed"] == 1 and s["inputs_us"] >= 50000 and s["encoded_bytes"] > 0


def test_each_level_of_its_own(serve):
    """pyramid="each": level k is made of the inputs' level k, and nothing else is computed."""
    srv = serve("""
@lazarr.array(shape=(64, 64), chunks=(16, 16), dtype="u2", axes="yx", levels=3, pyramid="each")
def base(block):
    y, x = block.coords()
    return (y * 64 + x + 10000 * block.level).astype("u2")
@lazarr.array(inputs=[base], halo=1, boundary="edge", compressor=None)
def twice(block, t):
    assert block.level in (0, 1, 2)
    return t[1:-1, 1:-1] * 2
""", "--workers", "1")
    y, x = np.ogrid[:16, :16]
    assert (lzr.read_array(srv, "/zarr2/s.zarr/twice/2") == 2 * (y * 64 + x + 20000)).all()
    assert srv.metric("computed_total") == 2


@pytest.mark.parametrize("boundary", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_regions_of_sources(serve, tmp_path, kind, boundary):
    """What the server reads itself is read as regions, whatever its strides and byte order, and not
    as chunks."""
    np.save(tmp_path / "v.npy", np.arange(31 * 17, dtype=">i4").reshape(17, 31))
    opened = f"np.load({str(tmp_path / 'v.npy')!r}{', mmap_mode=chr(114)' if kind == 'file' else ''})"
    srv = serve(f"""
@lazarr.source("v", chunks=(7, 5), fill_value=-3)
def v():
    return {opened}.T[::-1]
@lazarr.array(inputs=[v], chunks=(16, 17), halo=((3, 0), (1, 20)), boundary={boundary!r},
              compressor=None, dtype="i8")
def seen(block, t):
    assert t.dtype == np.dtype("=i4")
    return int((t.astype("i8") * (np.arange(t.size).reshape(t.shape) % 101)).sum())
""", "--workers", "1")
    got = lzr.read_array(srv, "/zarr2/s.zarr/seen")
    whole = pad(np.arange(31 * 17).reshape(17, 31).T[::-1], [(3, 0), (1, 20)], boundary, fill=-3)
    for start in (0, 16):
        region = whole[start:min(start + 16, 31) + 3]
        weights = np.arange(region.size).reshape(region.shape) % 101
        assert (got[start:start + 16] == (region * weights).sum()).all()
    assert stats(srv, "v")["read"] == 0


def test_a_source_that_changed(serve, tmp_path):
    np.save(tmp_path / "v.npy", np.arange(40))
    srv = serve(f"""
@lazarr.source("v")
def v():
    return np.load({str(tmp_path / "v.npy")!r}, mmap_mode="r")
@lazarr.array(inputs=[v], chunks=(10,))
def seen(block, t):
    return t
""", "--workers", "1")
    assert srv.get("/zarr2/s.zarr/seen/0").status == 200
    np.save(tmp_path / "v.npy", np.arange(20))
    r = srv.get("/zarr2/s.zarr/seen/3")
    assert r.status == 500 and re.match(r"seen <- v: '.*v.npy' has changed", r.text), r.text


def test_chunks_that_regions_share_are_decoded_once(serve):
    """... while they are kept: in an eighth of the budget at most."""
    text = """
@lazarr.array(shape=(64, 64, 64), chunks=(16, 16, 16), dtype="i4")
def low(block):
    z, y, x = block.coords()
    return (z * 64 + y) * 64 + x
@lazarr.array(inputs=[low], halo=4, boundary="wrap", compressor=None)
def b(block, t):
    return t[4:-4, 4:-4, 4:-4] + t[:-8, 8:, 4:-4]
"""
    a = np.arange(64 ** 3, dtype="i4").reshape(64, 64, 64)
    want = a + np.roll(np.roll(a, 4, 0), -4, 1)
    srv = serve(text, "--workers", "2")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/b") == want).all()
    m = srv.metrics()
    # Two threads that need one at the same time may both decode it.
    assert m["decoded_misses_total"] <= 2 * 64 and m["decoded_hits_total"] >= 64 * 25
    srv = serve(text, "--workers", "2", "--cache", "3MB", name="t")
    assert (lzr.read_array(srv, "/zarr2/t.zarr/b") == want).all()
    m = srv.metrics()
    assert 0 < m["decoded_bytes"] <= m["budget_limit_bytes"] / 8 and m["decoded_misses_total"] > 64


def test_aligned_chunks_are_not_kept_decoded(serve):
    srv = serve(BASE + """
@lazarr.array(inputs=[base])
def same(block, t):
    return t
@lazarr.array(inputs=[base], chunks=(16, 10, 14))
def larger(block, t):
    return t
""")
    for path in ("same", "larger"):
        assert (lzr.read_array(srv, f"/zarr2/s.zarr/{path}") == base()).all()
    assert srv.metric("decoded_misses_total") == 0


@pytest.mark.parametrize("cache", ["0", "10000", "1MB"])
def test_a_chain_with_halo_in_a_tiny_budget(serve, cache):
    """What a chain shares is kept while it is made, whatever the budget: without that each array would
    double or treble the work of the one before."""
    srv = serve("""
previous = lazarr.array("a0", shape=(128,), chunks=(16,), dtype="int64")(lambda block: block.coords()[0].copy())
for i in range(1, 30):
    previous = lazarr.array(f"a{i}", inputs=[previous], halo=1, boundary="edge")(lambda block, t: t[1:-1] + 1)
""", "--workers", "1", "--cache", cache)
    assert (lzr.read_array(srv, "/zarr2/s.zarr/a29") == np.arange(128) + 29).all()
    m = srv.metrics()
    assert m["computed_total"] <= {"0": 4 * 8 * 8 * 30, "10000": 2 * 8 * 30, "1MB": 8 * 30}[cache]
    assert cache != "0" or m["cache_entries"] == 0


@pytest.mark.parametrize("cache", ["0", "200000", "64MB"])
def test_a_storm(serve, tmp_path, cache):
    """Clients that come and go, and workers that die, over a graph: in the end all is right, nothing
    waits, and nothing is held."""
    srv = serve(f"""
import os
def once(name):
    try:
        os.close(os.open(os.path.join({str(tmp_path)!r}, name), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False
@lazarr.array(shape=(60, 50), chunks=(8, 8), dtype="i4")
def low(block):
    if block.index % 11 == 3 and once(f"low{{block.index}}"):
        os.kill(os.getpid(), 9)
    y, x = block.coords()
    return y * 100 + x
@lazarr.array(inputs=[low], halo=3, boundary="reflect", chunks=(10, 12))
def mid(block, t):
    t += 1
    return t[3:-3, 3:-3] + t[:-6, 6:]
@lazarr.array(inputs=[mid, lazarr.Input(low, halo=((2, 0), (0, 0)), boundary="wrap")])
def top(block, a, b):
    if block.index == 7 and once("top"):
        os.kill(os.getpid(), 9)
    return a * 2 - b[:-2]
""", "--workers", "2", "--cache", cache)
    chunks = {"low": (8, 7), "mid": (6, 5), "top": (6, 5)}

    def client(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            path = str(rng.choice(list(chunks)))
            at = ".".join(str(rng.integers(n)) for n in chunks[path])
            if rng.random() < 0.5:
                p = srv.begin(f"/zarr2/s.zarr/{path}/{at}")
                if rng.random() < 0.5:
                    srv.metrics()  # a little later
                p.leave(reset=bool(rng.random() < 0.5))
            else:
                r = srv.get(f"/zarr2/s.zarr/{path}/{at}")
                assert r.status == 200, r
    lzr.together(8, client)
    low = (np.arange(60)[:, None] * 100 + np.arange(50)).astype("i4")
    r = np.pad(low + 1, 3, "reflect")
    mid = r[3:-3, 3:-3] + r[:-6, 6:]
    top = mid * 2 - np.roll(low, 2, 0)
    for path, want in (("low", low), ("mid", mid), ("top", top)):
        assert (lzr.read_array(srv, f"/zarr2/s.zarr/{path}") == want).all(), path
    for gauge in ("running", "queued", "waiting", "gathering"):
        srv.wait_metric(gauge, 0)
    m = srv.metrics()
    assert m["budget_bytes"] <= m["budget_limit_bytes"] + 100000
