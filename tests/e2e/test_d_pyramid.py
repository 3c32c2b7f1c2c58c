"""Levels that the server makes out of the level below: values, counters, failures, memory."""
import sys

import numpy as np
import pytest

import lzr
import pyramids

sys.path.insert(0, str(lzr.PYTHON_DIR))

STORE = """
import os, lazarr, numpy as np
rng = np.random.default_rng(7)
HERE = os.path.dirname(__file__)

def values(dtype, shape):
    d = np.dtype(dtype)
    if d.kind == "b":
        return rng.random(shape) < 0.5
    if d.kind in "iu":
        few = rng.integers(0, 3, shape).astype(d)          # ties, windows of one value
        info = np.iinfo(d)
        any_ = rng.integers(info.min, info.max, shape, d.newbyteorder("="), endpoint=True)
        return np.where(rng.random(shape) < 0.5, few, any_).astype(d)
    v = rng.standard_normal(shape) * 100
    if d.kind == "c":
        return (v + 1j * rng.standard_normal(shape)).astype(d)
    v[rng.random(shape) < 0.01] = np.nan
    return np.where(rng.random(shape) < 0.3, np.round(v / 50), v).astype(d)

CASES = {case!r}
for name, dtype, shape, chunks, axes, factors, levels, how, codec in CASES:
    whole = values(dtype, shape)
    np.save(os.path.join(HERE, name + ".npy"), whole)
    def block(b, whole=whole):
        b.data[...] = whole[b.slices]
    lazarr.array(name, shape=shape, chunks=chunks, dtype=dtype, axes=axes, levels=levels,
                 factors=factors, pyramid=how, compressor=codec and lazarr.Blosc(cname=codec),
                 fill_value=None if np.dtype(dtype).kind == "b" else 7)(block)
"""


def cases():
    out = []
    hows = ("mean", "mode", "max", "min", "stride")
    for i, dtype in enumerate(("|b1", "|u1", "|i1", "<u2", ">i2", "<i4", ">u4", "<u8", ">i8", "<f2",
                               "<f4", ">f8", "<c8", ">c16")):
        for k, how in enumerate(hows):
            if np.dtype(dtype).kind == "c" and how in ("mode", "max", "min"):
                continue
            n = i * 5 + k
            shape, chunks, axes, factors = [
                ((21, 34, 19), (8, 8, 8), "zyx", 2),               # windows cut at each end
                ((33, 47), (10, 7), "yx", [(2, 3), (3, 1)]),       # chunks that no window fits into
                ((2, 9, 26, 30), (1, 4, 8, 16), "czyx", [(1, 1, 2, 2), (1, 2, 2, 2)]),  # anisotropic
                ((16, 16), (64, 64), "yx", 2),                     # a chunk larger than the array
            ][n % 4]
            out.append((f"a{n}", dtype, shape, chunks, axes, factors, 3, how, "lz4" if n % 3 else None))
    return out


@pytest.mark.parametrize("case", cases(), ids=lambda c: f"{c[1]}-{c[7]}")
def test_local_values_are_the_servers(served, case):
    """What array.level(k) gives without a server: the same bits."""
    from lazarr import _levels
    srv, folder = served
    name, _, shape, _, _, factors, _, how, _ = case
    step = factors if isinstance(factors, int) else factors[0]
    step = [step] * len(shape) if isinstance(step, int) else step
    got = _levels.downsample(np.load(folder / f"{name}.npy"), step, how)
    np.testing.assert_array_equal(got, pyramids.read(srv, f"/zarr3/s.zarr/{name}/1"))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pyramid")
    (folder / "s.py").write_text(STORE.replace("{case!r}", repr(cases())))
    with lzr.Server(folder / "s.py", "--workers", "2") as srv:
        yield srv, folder


@pytest.mark.parametrize("case", cases(), ids=lambda c: f"{c[1]}-{c[7]}")
def test_equals_the_reference(served, case):
    srv, folder = served
    name, dtype, shape, chunks, axes, factors, levels, how, _ = case
    want = np.load(folder / f"{name}.npy")
    for level in range(levels):
        got = pyramids.read(srv, f"/zarr3/s.zarr/{name}/{level}")
        assert got.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(got, want)
        step = factors if isinstance(factors, int) else factors[min(level, 1)]
        want = pyramids.downsample(want, [step] * want.ndim if isinstance(step, int) else step, how)


# A volume whose blocks are their own flat number, chunk by chunk: level k's are means of them.
COUNTED = """
import lazarr, numpy as np
def volume(name, **more):
    @lazarr.array(name, shape=(64, 64, 64), chunks=16, dtype="uint16", axes="zyx", compressor=None, **more)
    def numbers(block):
        if name == "broken" and block.index == 5:
            raise ValueError("no such slice")
        z, y, x = block.coords()
        return (z * 100 + y * 10 + x).astype("u2")
volume("v", levels=3)
volume("broken", levels=3)
volume("deep", levels=7, pyramid="max")
volume("each", levels=3, pyramid="each")
"""


def grid():
    z, y, x = np.ogrid[:64, :64, :64]
    return (z * 100 + y * 10 + x).astype("u2")


def test_what_a_level_costs(serve):
    """Each block below is computed once, each chunk between is made once, and none for another format."""
    srv = serve(COUNTED, "--workers", "2")
    want = pyramids.downsample(pyramids.downsample(grid(), (2, 2, 2), "mean"), (2, 2, 2), "mean")
    with srv.delta() as d:
        body = srv.chunk("/zarr3/s.zarr/v/2/c/0/0/0")
    np.testing.assert_array_equal(np.frombuffer(body, "<u2").reshape(16, 16, 16), want)
    assert (d["computed_total"], d["made_total"], d["transcoded_total"]) == (64, 9, 0)
    with srv.delta() as d:
        assert srv.chunk("/zarr2/s.zarr/v/2/0/0/0") == body
        srv.chunk("/n5/s.n5/v/s2/0/0/0")
        srv.chunk("/precomputed/s/v/2/0-16_0-16_0-16")
        for i in np.ndindex(2, 2, 2):
            srv.chunk("/zarr3/s.zarr/v/1/c/" + "/".join(map(str, i)))
    assert (d["computed_total"], d["made_total"], d["transcoded_total"]) == (0, 0, 2)


def test_each_costs_its_own_chunks(serve):
    srv = serve(COUNTED, "--workers", "1")
    with srv.delta() as d:
        srv.chunk("/zarr3/s.zarr/each/2/c/0/0/0")
    assert (d["computed_total"], d["made_total"]) == (1, 0)


def test_asked_for_by_many_at_once(serve, gate):
    """Thirty clients want a coarse chunk and what it is made of: everything is made once."""
    srv = serve(gate.code + COUNTED.replace("z, y, x = block", "block.index or gate(name); z, y, x = block"),
                "--workers", "1")
    with srv.delta() as d:
        first = srv.begin("/zarr3/s.zarr/v/2/c/0/0/0")
        call = gate.next()  # the worker is busy with the first block
        others = [srv.begin(f"/zarr3/s.zarr/v/{k}/c/0/0/0") for k in (0, 1, 2) for _ in range(10)]
        srv.wait_metric("waiting", 31)
        call.go()
        bodies = {p.result().body for p in [first] + others[20:]}
        assert len(bodies) == 1 and all(p.result().status == 200 for p in others[:20])
    assert (d["computed_total"], d["made_total"]) == (64, 9)


def test_a_block_that_fails_fails_what_is_made_of_it(serve):
    srv = serve(COUNTED, "--workers", "1")
    r = srv.get("/zarr3/s.zarr/broken/2/c/0/0/0")
    assert r.status == 500 and "no such slice" in r.text.splitlines()[0]
    # Block 5 is (0, 1, 1): level 1's chunk (0, 0, 0) is made of it, (1, 0, 0) isn't.
    with srv.delta() as d:
        r = srv.get("/zarr3/s.zarr/broken/1/c/0/0/0")
        assert r.status == 500 and "no such slice" in r.text.splitlines()[0]
    assert d["computed_total"] == 0  # remembered
    fine = pyramids.downsample(grid()[32:, :32, :32], (2, 2, 2), "mean")
    body = srv.chunk("/zarr3/s.zarr/broken/1/c/1/0/0")
    np.testing.assert_array_equal(np.frombuffer(body, "<u2").reshape(16, 16, 16), fine)


@pytest.mark.parametrize("cache", ["0", "300KiB"])
def test_with_little_memory(serve, cache):
    """Seven levels, one worker, a cache that keeps nothing or not enough: still right, and within the
    budget that it says."""
    srv = serve(COUNTED, "--workers", "1", "--cache", cache)
    body = srv.chunk("/zarr3/s.zarr/deep/6/c/0/0/0")
    chunk = np.frombuffer(body, "<u2").reshape(16, 16, 16)
    assert chunk[0, 0, 0] == grid().max() and not chunk.ravel()[1:].any()
    m = srv.metrics()
    assert m["queued"] == 0 and m["running"] == 0
    assert m["budget_bytes"] <= m["budget_limit_bytes"]


def test_conditions(serve):
    """A level's chunk has an ETag of its own before it is made, and a 304 makes nothing."""
    srv = serve(COUNTED, "--workers", "1")
    tags = {k: srv.get(f"/zarr3/s.zarr/v/{k}/c/0/0/0")["ETag"] for k in (0, 1, 2)}
    assert len(set(tags.values())) == 3
    with srv.delta() as d:
        r = srv.get("/zarr3/s.zarr/deep/6/c/0/0/0", {"If-None-Match": "*"})
        assert r.status == 304
        assert srv.get("/zarr3/s.zarr/v/2/c/0/0/0", {"If-None-Match": tags[2]}).status == 304
    assert d["computed_total"] == 0 and d["made_total"] == 0


def test_a_costly_coarsest_level_is_said(serve):
    """One line at start-up, naming the array, the number and what to do; nothing where it is cheap."""
    srv = serve("""
import lazarr
def zeros(block, *inputs):
    return 0
big = dict(shape=(1024, 1024), chunks=32, dtype="uint8", axes="yx")
raw = lazarr.array("raw", **big, levels=6)(zeros)
lazarr.array("cheap", **big, levels=5)(zeros)
lazarr.array("each", **big, levels=6, pyramid="each")(zeros)
lazarr.array("derived", inputs=[raw])(zeros)
""", "--workers", "1")
    said = [line for line in srv.log.splitlines() if "coarsest" in line]
    assert len(said) == 2, said
    assert 's/raw: a chunk of its coarsest level takes 1024 blocks, most of "raw"' in said[0]
    assert 'pyramid="each"' in said[0] and "from 513 on" in said[0]
    assert 's/derived: a chunk of its coarsest level takes 1025 blocks, most of "raw"' in said[1]
    with srv.delta() as d:
        srv.chunk("/zarr3/s.zarr/raw/5/c/0/0")
    assert d["computed_total"] == 1024  # as it was said


SOURCES = """
import os, lazarr, numpy as np
HERE = os.path.dirname(__file__)
mapped = np.load(os.path.join(HERE, "v.npy"), mmap_mode="r")
more = dict(chunks=(8, 16, 16), axes="zyx", levels=3)
lazarr.source("file", mapped, **more)
lazarr.source("turned", mapped.T[::-1], **more)
lazarr.source("memory", np.load(os.path.join(HERE, "v.npy")), **more)
lazarr.source("odd", mapped, **more, factors=3, pyramid="max", compressor=None)
"""


@pytest.mark.parametrize("dtype", ["<u2", ">f4"])
def test_a_source_gets_a_pyramid(serve, tmp_path, dtype):
    """One scale in a file or in memory: each level in C, without a worker, and without the level below
    being encoded; from the cache where that level is there."""
    rng = np.random.default_rng(5)
    volume = rng.integers(0, 60000, (26, 35, 44)).astype(dtype)
    np.save(tmp_path / "v.npy", volume)
    srv = serve(SOURCES, "--workers", "1")
    for name, a, factor, how in (("file", volume, 2, "mean"), ("turned", volume.T[::-1], 2, "mean"),
                                 ("memory", volume, 2, "mean"), ("odd", volume, 3, "max")):
        first = pyramids.downsample(a, [factor] * 3, how)
        with srv.delta() as d:
            got = pyramids.read(srv, f"/zarr3/s.zarr/{name}/2")
        np.testing.assert_array_equal(got, pyramids.downsample(first, [factor] * 3, how))
        assert d["computed_total"] == 0 and d["source_reads_total"] == 0
        np.testing.assert_array_equal(pyramids.read(srv, f"/zarr3/s.zarr/{name}/1"), first)
    # The level below from the cache, for a chunk of level 1 that isn't: the same bytes.
    again = serve(SOURCES, "--workers", "1", name="t")
    pyramids.read(again, "/zarr3/t.zarr/file/0")
    np.testing.assert_array_equal(pyramids.read(again, "/zarr3/t.zarr/file/1"),
                                  pyramids.downsample(volume, (2, 2, 2), "mean"))


def test_a_file_that_changes_is_an_error_of_its_levels(serve, tmp_path):
    volume = np.arange(32 ** 3, dtype="u2").reshape(32, 32, 32)
    np.save(tmp_path / "v.npy", volume)
    srv = serve(SOURCES, "--workers", "1")
    first = srv.get("/zarr3/s.zarr/file/1/c/0/0/0")
    assert first.status == 200
    with open(tmp_path / "v.npy", "r+b") as f:
        f.truncate(60000)
    assert srv.get("/zarr3/s.zarr/file/1/c/0/0/0").body == first.body  # cached
    for key in ("file/1/c/1/0/0", "file/2/c/0/0/0"):
        r = srv.get("/zarr3/s.zarr/" + key)
        assert r.status == 500 and "has changed" in r.text and "shorter" in r.text, r


def test_an_overview_and_fine_chunks_share_the_workers(serve, gate):
    """A coarsest chunk takes 64 blocks, one worker: fine chunks of another client, plain ones and ones with
    inputs of their own, are computed meanwhile, and the overview goes on, too."""
    srv = serve(gate.code + """
import lazarr
big = dict(shape=(64, 64, 64), chunks=16, dtype="uint8", axes="zyx", compressor=None)
@lazarr.array("v", **big, levels=3)
def v(block):
    gate("v")
    return 1
@lazarr.array("plain", **big)
def plain(block):
    gate("plain")
    return 2
@lazarr.array("derived", inputs=[plain], compressor=None)
def derived(block, p):
    gate("derived")
    return p + 1
""", "--workers", "1")
    coarse = srv.begin("/zarr3/s.zarr/v/2/c/0/0/0", {"User-Agent": "overview"})
    calls = [gate.next()]
    fine = [srv.begin(f"/zarr3/s.zarr/{name}/0/c/0/0/{i}", {"User-Agent": "viewer"})
            for name, i in (("plain", 0), ("plain", 1), ("derived", 2), ("derived", 3))]
    srv.wait_metric("waiting", 5)
    order = []
    while len(order) < 64 + 2 + 4:
        call = calls.pop() if calls else gate.next()
        order.append(call.key)
        call.go()
    assert coarse.result().status == 200
    assert {p.result().body for p in fine} == {b"\2" * 4096, b"\3" * 4096}
    ends = [i for i, key in enumerate(order) if key in ("plain", "derived")]
    assert order.index("plain") <= 24, order    # after a run of what had been started
    assert order.index("derived") <= 40, order
    assert ends[-1] < 60, order                 # all of them before the overview is there
    assert order[:10] == ["v"] * 10, order      # which a few requests don't interrupt at once
    assert "v" in order[ends[0]:ends[-1]], order  # and which goes on meanwhile


def test_a_level_of_cached_chunks_waits_for_no_worker(serve, gate):
    """All that it is made of is cached: it is made at once, whatever stands in the queue."""
    srv = serve(gate.code + """
import lazarr
big = dict(shape=(64, 64, 64), chunks=16, dtype="uint8", axes="zyx", compressor=None)
@lazarr.array("v", **big, levels=3)
def v(block):
    return 1
@lazarr.array("slow", **big)
def slow(block):
    gate("slow")
    return 2
""", "--workers", "1")
    for at in np.ndindex(2, 2, 2):
        srv.chunk("/zarr3/s.zarr/v/1/c/" + "/".join(map(str, at)))
    waiting = [srv.begin(f"/zarr3/s.zarr/slow/0/c/0/0/{i}") for i in range(4)]
    gate.next()
    srv.wait_metric("waiting", 4)
    with srv.delta() as d:
        assert srv.chunk("/zarr3/s.zarr/v/2/c/0/0/0") == b"\1" * 4096
    assert d["computed_total"] == 0 and d["made_total"] == 1
    assert not any(p.answered() for p in waiting)


def test_a_zoomed_out_picture_of_a_derived_array(serve):
    """Where the inputs have the levels, the function runs on them: the coarsest picture costs the coarsest
    chunks, not the volume."""
    srv = serve("""
import lazarr
@lazarr.array("raw", shape=(256, 256, 256), chunks=16, dtype="uint8", axes="zyx", levels=4, pyramid="each")
def raw(block):
    return block.level
@lazarr.array("edges", inputs=[raw], dtype="float32", halo=2, boundary="edge", compressor=None)
def edges(block, t):
    assert t.shape == tuple(n + 4 for n in block.shape)
    return t + 10 * block.level
@lazarr.array("cells", inputs=[edges], dtype="uint32", kind="labels", pyramid="each")
def cells(block, t):
    return t.astype("u4")
""", "--workers", "2")
    with srv.delta() as d:
        got = pyramids.read(srv, "/zarr3/s.zarr/edges/3")
    assert got.shape == (32, 32, 32) and (got == 33).all()
    assert d["computed_total"] == 8 + 8 and d["made_total"] == 0  # of raw and of edges; the volume is 4096
    with srv.delta() as d:
        body = srv.chunk("/precomputed/s/cells/3/0-16_0-16_0-16")
    assert body and d["computed_total"] == 1
    assert "coarsest" not in srv.log


@pytest.mark.parametrize("cache", ["1GiB", "0"])
def test_neighbours_in_the_rows_of_a_file(serve, tmp_path, cache):
    """Chunks side by side are read together where they are wanted: in any order, by many at once, and cut
    at the end, each has its own values; and each is made once."""
    rng = np.random.default_rng(6)
    volume = rng.integers(0, 60000, (9, 18, 301)).astype("u2")
    np.save(tmp_path / "v.npy", volume)
    first = pyramids.downsample(volume, (2, 2, 2), "mean")
    second = pyramids.downsample(first, (2, 2, 2), "mean")
    text = """
import os, lazarr, numpy as np
lazarr.source("wide", np.load(os.path.join(os.path.dirname(__file__), "v.npy"), mmap_mode="r"),
              chunks=(4, 8, 8), axes="zyx", levels=3)
"""
    for name, order in (("s", (2, 1)), ("t", (1, 2))):
        srv = serve(text, "--workers", "1", "--cache", cache, name=name)
        with srv.delta() as d:
            for level in order:
                np.testing.assert_array_equal(pyramids.read(srv, f"/zarr3/{name}.zarr/wide/{level}"),
                                              (first, second)[level - 1])
        assert d["computed_total"] == 0 and d["source_reads_total"] == 0
    srv = serve(text, "--workers", "1", "--cache", cache, name="u")
    keys = [(z, y, x) for z in range(2) for y in range(2) for x in range(19)]
    rng.shuffle(keys)
    with srv.delta() as d:
        asked = [srv.begin("/zarr3/u.zarr/wide/1/c/" + "/".join(map(str, key))) for key in keys]
        bodies = {tuple(key): p.result().body for key, p in zip(keys, asked)}
    assert d["made_total"] == len(keys)
    meta = srv.get("/zarr3/u.zarr/wide/1/zarr.json").json()
    for (z, y, x), body in bodies.items():
        chunk = np.frombuffer(pyramids.decode(body, meta["codecs"], 512), "<u2").reshape(4, 8, 8)
        want = first[4 * z:4 * z + 4, 8 * y:8 * y + 8, 8 * x:8 * x + 8]
        np.testing.assert_array_equal(chunk[tuple(slice(0, n) for n in want.shape)], want)


def test_padding_of_labels_holds_no_other_ids(serve):
    """Whoever counts ids in raw chunks finds none at a coarser level that level 0 hasn't: behind the array's end a
    computed level repeats its edge. Level 0 ends as any array does, in fill."""
    srv = serve("""
import lazarr, numpy as np
ids = np.random.default_rng(3).integers(1, 99, (11, 21, 45)).astype("uint32")
@lazarr.array("made", shape=ids.shape, chunks=8, dtype="uint32", axes="zyx", kind="labels", levels=3,
              compressor=None)
def made(b):
    return ids[b.slices]
lazarr.source("source", ids, chunks=8, axes="zyx", kind="labels", levels=3, compressor=None)
lazarr.array("derived", inputs=[made], compressor=None)(lambda b, x: x)
""")
    whole = np.random.default_rng(3).integers(1, 99, (11, 21, 45)).astype("uint32")
    for name in ("made", "source", "derived"):
        assert 0 in np.frombuffer(srv.chunk(f"/zarr3/s.zarr/{name}/0/c/1/2/5"), "uint32")
        for level, shape in ((1, (6, 11, 23)), (2, (3, 6, 12))):
            seen = set()
            for at in np.ndindex(*(-(-n // 8) for n in shape)):
                key = "/".join(map(str, at))
                raw = np.frombuffer(srv.chunk(f"/zarr3/s.zarr/{name}/{level}/c/{key}"), "uint32").reshape(8, 8, 8)
                seen |= set(raw.ravel().tolist())
                inside = tuple(min(8, n - 8 * i) for n, i in zip(shape, at))
                cut = raw[tuple(slice(n) for n in inside)]
                assert (raw == np.pad(cut, [(0, 8 - n) for n in inside], mode="edge")).all(), (name, level, at)
            assert seen <= set(whole.ravel().tolist()), (name, level, seen)
