"""Other chunks of the same data: values through the faces, each stored chunk decoded once, what is refused."""
import gzip
import itertools
import json
import struct
import sys

import numpy as np
import pytest

import lzr

sys.path.insert(0, str(lzr.PYTHON_DIR))

CASES = [  # shape, stored chunks, other chunks, what they become
    ((23,), (5,), (7,), (7,)),
    ((64,), (64,), (3,), (3,)),
    ((12, 17), (1, 17), -1, (12, 17)),
    ((13, 19), (13, 2), {0: 1, "1": -1}, (1, 19)),
    ((7, 11, 13), (1, 11, 13), {0: -1, 1: 3, 2: 5}, (7, 3, 5)),
    ((7, 11, 13), (7, 3, 5), (1, -1, -1), (1, 11, 13)),
    ((9, 10, 11), (4, 3, 5), (3, 4, 20), (3, 4, 20)),  # neither divides the other; one beyond the end
    ((3, 4, 5, 6), (1, 2, 5, 3), (3, 1, 2, 6), (3, 1, 2, 6)),
]
DTYPES = ("<f4", ">i2", "|b1", "<c8", "<u8", "<f8", "|u1", ">f4")

VALUES = """
def values(i, shape, dtype):
    d = np.dtype(dtype)
    v = np.random.default_rng(i).integers(0, 200, shape)
    if d.kind in "fc":
        v = np.where(v % 7 == 0, np.nan, v * (1 + 1j) if d.kind == "c" else v)
    return (v % 2 == 0 if d.kind == "b" else v).astype(d)
"""
exec("import numpy as np" + VALUES)

STORE = "import lazarr, numpy as np, os\n" + VALUES + """
HERE = os.path.dirname(__file__)
for i, (shape, own, other, _) in enumerate(CASES):
    v = values(i, shape, DTYPES[i])
    fill = None if v.dtype.kind == "b" else "NaN" if v.dtype.kind == "f" else 3
    more = dict(chunks=own, fill_value=fill, attributes={"units": "K", "n": i},
                dims=[f"d{k}" for k in range(len(shape))] if i % 2 else None)
    def block(b, v=v):
        return v[b.slices]
    f = lazarr.array(f"f{i}", shape=shape, dtype=v.dtype, compressor=None if i % 3 == 0 else lazarr.Zstd(1),
                     **more)(block)
    memory = lazarr.source(f"m{i}", v, **more)
    def opened(i=i):
        return np.load(os.path.join(HERE, f"n{i}.npy"), mmap_mode="r")
    npy = lazarr.source(f"n{i}", opened, **more)
    for a in (f, memory, npy):
        lazarr.rechunk("r/" + a.path, a, other)
        lazarr.rechunk("back/" + a.path, "r/" + a.path, own)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rechunk")
    for i, (shape, _, _, _) in enumerate(CASES):
        np.save(folder / f"n{i}.npy", values(i, shape, DTYPES[i]))  # noqa: F821
    (folder / "s.py").write_text(f"CASES, DTYPES = {CASES!r}, {DTYPES!r}\n{STORE}")
    with lzr.Server([folder / "s.py"], "--workers", "2") as srv:
        yield srv


def raw(srv, path, meta, pos):
    return lzr.decode(srv.chunk(f"{path}/{meta['dimension_separator'].join(map(str, pos))}"), meta["compressor"])


@pytest.mark.parametrize("kind", ["f", "m", "n"])
@pytest.mark.parametrize("i", range(len(CASES)))
def test_values(served, i, kind):
    """Over a function, an array in memory and a file, and rechunked once more: each bit, also behind the end."""
    shape, own, _, chunks = CASES[i]
    want = values(i, shape, DTYPES[i])  # noqa: F821
    source = served.get(f"/zarr2/s.zarr/{kind}{i}/.zarray").json()
    for path, its in ((f"/zarr2/s.zarr/r/{kind}{i}", chunks), (f"/zarr2/s.zarr/back/{kind}{i}", own)):
        meta = served.get(path + "/.zarray").json()
        assert meta["chunks"] == list(its)
        assert {k: v for k, v in meta.items() if k != "chunks"} == {k: v for k, v in source.items() if k != "chunks"}
        got = lzr.read_array(served, path)
        assert got.dtype == want.dtype and got.tobytes() == want.tobytes()
        last = [-(-n // c) - 1 for n, c in zip(shape, its)]
        fill = np.dtype(meta["dtype"]).type(complex(*meta["fill_value"]) if want.dtype.kind == "c" else meta["fill_value"] or 0)
        edge = np.frombuffer(raw(served, path, meta, last), meta["dtype"]).reshape(its).copy()
        edge[tuple(slice(0, n - p * c) for n, p, c in zip(shape, last, its))] = fill
        assert np.array_equal(edge, np.full(its, fill), equal_nan=edge.dtype.kind in "fc")
    theirs, mine = (served.get(f"/zarr2/s.zarr/{p}{kind}{i}/.zattrs").json() for p in ("", "r/"))
    theirs.pop("lazarr", None), mine.pop("lazarr", None)
    assert mine == theirs and mine["units"] == "K" and mine["n"] == i


@pytest.mark.parametrize("i", [2, 4, 6, 7])
def test_faces(served, i):
    """Zarr v3 has the same bytes; N5 the same values, its own compression and order of axes."""
    shape, _, _, chunks = CASES[i]
    want = values(i, shape, DTYPES[i])  # noqa: F821
    three = served.get(f"/zarr3/s.zarr/r/f{i}/zarr.json").json()
    assert three["chunk_grid"]["configuration"].pop("chunk_shape") == list(chunks)
    source = served.get(f"/zarr3/s.zarr/f{i}/zarr.json").json()
    source["chunk_grid"]["configuration"].pop("chunk_shape")
    for meta in (three, source):
        meta["attributes"].pop("lazarr", None)
    assert three == source
    five = served.get(f"/n5/s.n5/r/f{i}/attributes.json").json() if want.dtype.kind != "b" else None
    for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(shape, chunks))):
        key = "/".join(map(str, pos))
        assert served.chunk(f"/zarr3/s.zarr/r/f{i}/c/{key}") == served.chunk(
            f"/zarr2/s.zarr/r/f{i}/{key.replace('/', '.')}")
        if five is None:
            continue
        data = served.chunk(f"/n5/s.n5/r/f{i}/" + "/".join(map(str, pos[::-1])))
        rank = len(shape)
        extent = struct.unpack(f">{rank}I", data[4:4 + 4 * rank])[::-1]
        assert five["compression"]["type"] == "gzip"
        block = np.frombuffer(gzip.decompress(data[4 + 4 * rank:]), want.dtype.newbyteorder(">"))
        at = tuple(slice(p * c, min(p * c + c, n)) for p, c, n in zip(pos, chunks, shape))
        cut = block.reshape(extent)[tuple(slice(0, a.stop - a.start) for a in at)]
        assert np.array_equal(cut, want[at], equal_nan=want.dtype.kind == "f")


def test_no_worker(served):
    """What the server reads itself no worker takes part in, and what was computed isn't again."""
    with served.delta() as d:
        for kind in "mn":
            lzr.read_array(served, f"/zarr2/s.zarr/r/{kind}6")
        lzr.read_array(served, "/zarr2/s.zarr/f6")
        lzr.read_array(served, "/zarr2/s.zarr/r/f6")
    assert d["computed_total"] <= 3 * 4 * 3


GATED = """
import lazarr, numpy as np
{gate}
@lazarr.array(shape=({n}, 96, 96), chunks=(1, 96, 96), dtype="float32", dims=("time", "lat", "lon"))
def maps(block):
    t, y, x = block.coords()
    gate(int(block.start[0]))
    return (t * 10000 + y * 100 + x).astype("f4")
lazarr.rechunk("series", maps, {{"time": -1, "lat": 16, "lon": 16}})
"""


def series(n):
    t, y, x = np.ogrid[:n, :96, :96]
    return (t * 10000 + y * 100 + x).astype("f4")


def test_decoded_once(gate, tmp_path):
    """A tile of small chunks is asked for: each stored chunk is computed once, and decoded once for all of them."""
    (tmp_path / "s.py").write_text(GATED.format(gate=gate.code, n=9))
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        asked = [(y, x) for y in range(6) for x in range(6)]
        pending = [srv.begin(f"/zarr2/s.zarr/series/0.{y}.{x}") for y, x in asked]
        first = gate.next()
        srv.wait_metric("waiting", len(asked))
        first.go()
        for _ in range(8):
            gate.next().go()
        meta = srv.get("/zarr2/s.zarr/series/.zarray").json()
        for (y, x), p in zip(asked, pending):
            r = p.result()
            assert r.status == 200, r
            got = np.frombuffer(lzr.decode(r.body, meta["compressor"]), "<f4").reshape(9, 16, 16)
            assert (got == series(9)[:, 16 * y:16 * y + 16, 16 * x:16 * x + 16]).all()
        m = srv.metrics()
        assert (m["computed_total"], m["copied_total"], m["copy_decoded_total"]) == (9, 36, 9), m


def test_clients_leave(gate, tmp_path):
    """Those who stay get theirs, and nothing is left of those who left while a stored chunk was computed."""
    (tmp_path / "s.py").write_text(GATED.format(gate=gate.code, n=6))
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        asked = [(y, x) for y in range(6) for x in range(6)]
        pending = [srv.begin(f"/zarr2/s.zarr/series/0.{y}.{x}") for y, x in asked]
        calls = [gate.next()]
        srv.wait_metric("waiting", len(asked))
        for p in pending[::2]:
            p.leave()
        srv.wait_metric("waiting", len(asked) // 2)
        calls[0].go()
        for _ in range(5):
            gate.next().go()
        meta = srv.get("/zarr2/s.zarr/series/.zarray").json()
        for (y, x), p in list(zip(asked, pending))[1::2]:
            got = np.frombuffer(lzr.decode(p.result().body, meta["compressor"]), "<f4").reshape(6, 16, 16)
            assert (got == series(6)[:, 16 * y:16 * y + 16, 16 * x:16 * x + 16]).all()
        again = [srv.begin(f"/zarr2/s.zarr/series/0.{y}.{x}") for y, x in asked]  # and all of them once more
        assert all(p.result().status == 200 for p in again)
        srv.wait_metric("gathering", 0)
        assert srv.metric("computed_total") == 6 and srv.metric("waiting") == 0


@pytest.mark.parametrize("cache", ["1GiB", "40MiB", "0"])
def test_one_after_the_other(tmp_path, cache):
    """Neighbours are copied along: whoever asks for one series after the other decodes each stored chunk once, too;
    in a small cache, or none, the values are the same."""
    (tmp_path / "s.py").write_text(GATED.format(gate="def gate(key):\n    pass", n=40))
    with lzr.Server([tmp_path / "s.py"], "--workers", "1", "--cache", cache) as srv:
        assert srv.chunk("/zarr2/s.zarr/series/0.3.2")
        assert (lzr.read_array(srv, "/zarr2/s.zarr/series") == series(40)).all()
        m = srv.metrics()
        if cache != "0":
            assert (m["computed_total"], m["copied_total"], m["copy_decoded_total"]) == (40, 36, 40), m


PIECES = """
import lazarr, numpy as np
{gate}
@lazarr.array(shape=(30, 1024, 1024), chunks=(1, 1024, 1024), dtype="float32")
def maps(block):
    if block.start[0] == 0:
        gate("first")
    block.data[...] = block.start[0] + (np.arange(1024, dtype="f4") * 64)
lazarr.rechunk("series", maps, (-1, 256, 300))
lazarr.rechunk("maps_again", "series", (1, -1, -1))
"""


def test_pieces(gate, tmp_path):
    """More stored chunks than are held at a time: pieces of the chunks that are asked for are made on the way. Each
    stored chunk is computed once, and decoded once."""
    (tmp_path / "s.py").write_text(PIECES.format(gate=gate.code))
    with lzr.Server([tmp_path / "s.py"], "--workers", "1", "--cache", "1GiB") as srv:
        asked = [(y, x) for y in range(4) for x in range(4)]
        pending = [srv.begin(f"/zarr2/s.zarr/series/0.{y}.{x}") for y, x in asked]
        first = gate.next()
        srv.wait_metric("waiting", len(asked))
        first.go()
        meta = srv.get("/zarr2/s.zarr/series/.zarray").json()
        for (y, x), p in zip(asked, pending):
            r = p.result()
            assert r.status == 200, r
            got = np.frombuffer(lzr.decode(r.body, meta["compressor"]), "<f4").reshape(30, 256, 300)
            want = np.arange(30, dtype="f4")[:, None] + np.arange(1024, dtype="f4")[300 * x:300 * x + 300] * 64
            assert (got[:, 0, :want.shape[1]] == want).all() and (got == got[:, :1]).all()
            assert (got[:, :, want.shape[1]:] == 0).all()
        m = srv.metrics()
        assert m["computed_total"] == 30 and m["copy_decoded_total"] == 30, m
        assert m["copied_total"] == 16 + 16 * 8, m  # pieces of four maps each
        again = np.frombuffer(lzr.decode(srv.chunk("/zarr2/s.zarr/maps_again/7.0.0"), meta["compressor"]), "<f4")
        assert (again.reshape(1024, 1024) == 7 + np.arange(1024, dtype="f4") * 64).all()
        names = [a["path"] for a in srv.get("/api/stats").json()["arrays"]]
        assert names == ["maps", "series", "maps_again"]
        assert srv.get("/zarr2/s.zarr/series/1.0.0").status == 404


def test_failures(tmp_path):
    """A stored chunk that fails is said, with the path to it; the others go on."""
    (tmp_path / "s.py").write_text("""
import lazarr
@lazarr.array(shape=(4, 8), chunks=(1, 8), dtype="int32")
def maps(block):
    if block.start[0] == 2:
        raise ValueError("no such day")
    return int(block.start[0])
lazarr.rechunk("pairs", maps, (2, 4))
@lazarr.array(shape=(4, 2048, 1024), chunks=(1, 2048, 1024), dtype="f8")
def large(block):
    if block.start[0] == 2:
        raise ValueError("no such day")
    return int(block.start[0])
lazarr.rechunk("pieces", large, (4, 1024, 1024))
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        assert srv.get("/zarr2/s.zarr/pairs/0.0").status == 200
        r = srv.get("/zarr2/s.zarr/pairs/1.0")
        assert r.status == 500 and "pairs <- maps: ValueError: no such day" in r.text
        r = srv.get("/zarr2/s.zarr/pieces/0.0.0")  # made of pieces, of which nobody hears
        assert r.status == 500 and "pieces <- large: ValueError: no such day" in r.text
        arrays = {a["path"]: a for a in srv.get("/api/stats").json()["arrays"]}
        assert len(arrays["large"]["failures"]) == 1 and arrays["pieces"]["failed"] == 1
        assert [(e["level"], e["chunk"]) for e in arrays["pieces"]["failures"]] == [(0, [0, 0, 0])]


def test_coordinates_follow(tmp_path):
    """In another group the coordinates of the input's group stand beside it: as xarray wants them."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
lazarr.source("era/time", np.arange(40.0), chunks=1, dims=("time",), attributes={"units": "hours since 2000-01-01"})
lazarr.source("era/lat", np.linspace(90, -90, 8), dims=("lat",))
lazarr.source("era/height", np.array(2.0))
t = lazarr.source("era/t2m", np.zeros((40, 8, 6), "f4"), chunks=(1, 8, 6), dims=("time", "lat", "lon"),
                  attributes={"coordinates": "height absent", "units": "K"})
lazarr.rechunk("series/t2m", t, {"time": -1, "lat": 2})
lazarr.rechunk("era/t2m_series", t, {"time": -1})
lazarr.source("own/lat", np.linspace(0, 1, 8), dims=("lat",))
lazarr.rechunk("own/t2m", t, -1)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        paths = {a["path"] for a in srv.get("/api/stats").json()["arrays"]}
        assert {p for p in paths if p.startswith("series/")} == {f"series/{n}" for n in (
            "t2m", "time", "lat", "height")}
        assert srv.get("/zarr2/s.zarr/series/t2m/.zattrs").json()["_ARRAY_DIMENSIONS"] == ["time", "lat", "lon"]
        assert srv.get("/zarr2/s.zarr/series/time/.zarray").json()["chunks"] == [40]
        assert (lzr.read_array(srv, "/zarr2/s.zarr/series/time") == np.arange(40)).all()
        assert lzr.read_array(srv, "/zarr2/s.zarr/series/height")[()] == 2
        assert lzr.read_array(srv, "/zarr2/s.zarr/own/lat")[-1] == 1  # what is there stays


def test_images(tmp_path):
    """An image keeps levels, places, channels; a pyramid over a rechunked array and the other way round."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
v = np.random.default_rng(1).integers(0, 4000, (2, 12, 40, 50)).astype("u2")
image = lazarr.source("image", v, chunks=(1, 1, 40, 50), axes="czyx", levels=2, units="micrometer",
                      scale=(1, 2, 0.5, 0.5), channels=["DAPI", "GFP"])
turned = lazarr.rechunk("turned", image, {"z": -1, "y": 16, "x": 16})
plain = lazarr.source("plain", v[0], chunks=(1, 40, 50), dims=("z", "y", "x"))
cubes = lazarr.rechunk("cubes", plain, 8)
@lazarr.array(inputs=[cubes], axes="zyx", levels=2, pyramid="mean")
def pyramid(block, cubes):
    return cubes
lazarr.rechunk("flat", pyramid, {"z": 1, "y": -1, "x": -1})
ids = lazarr.source("ids", v[0] % 5, chunks=(1, 40, 50), axes="zyx", kind="labels", levels=2)
lazarr.rechunk("id_cubes", ids, 16)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        z = "/zarr2/s.zarr/"
        for mine, its, chunks in (("turned", "image", [1, 12, 16, 16]), ("flat", "pyramid", [1, 40, 50]),
                                  ("id_cubes", "ids", [16] * 3)):
            a, b = (srv.get(f"{z}{p}/.zattrs").json() for p in (mine, its))
            for key in ("multiscales", "omero", "image-label"):
                left, right = (json.loads(json.dumps(x.get(key)).replace(n, "")) for x, n in ((a, mine), (b, its)))
                assert left == right, (mine, key)
            for level in "01":
                assert srv.get(f"{z}{mine}/{level}/.zarray").json()["chunks"] == chunks
                assert (lzr.read_array(srv, f"{z}{mine}/{level}") == lzr.read_array(srv, f"{z}{its}/{level}")).all()


REFUSED = [
    ('t, {"tme": -1}', "chunks: there is no axis 'tme' (time, y)"),
    ("t, {2: 1}", "chunks: there is no axis 2 (time, y)"),
    ('t, {"time": 0}', "chunks must be integers ≥ 1, or -1 for a whole axis, got 0 for 'time'"),
    ('t, {"time": -2}', "got -2 for 'time'"),
    ('t, {"time": 1.5}', "got 1.5 for 'time'"),
    ('t, {"time": True}', "got True for 'time'"),
    ('t, {"time": 1, 0: 2}', "chunks: 'time' and 0 are the same axis"),
    ("t, (1, 2, 3)", "must have one number for each of the 2 axes"),
    ('t, "auto"', "chunks must be a dict by the axes' names or positions"),
    ("t, None", "chunks must be a dict"),
    ("np.zeros(3), 1", "array must be one of lazarr.array or lazarr.source, or its path, got ndarray"),
    ('"nothing", 1', 'there is no array "nothing" above it'),
    ("big, -1", "above the limit of"),
]


@pytest.mark.parametrize("call,said", REFUSED, ids=[c for c, _ in REFUSED])
def test_refused(call, said):
    import lazarr
    t = lazarr.source("t", np.zeros((4, 5)), dims=("time", "y"))
    big = lazarr.array("big", shape=(10**6, 1000), chunks=(1, 1000), dtype="f8")(lambda b: 0)
    with pytest.raises(lazarr.StoreError) as e:
        eval(f'lazarr.rechunk("other", {call})', {"lazarr": lazarr, "np": np, "t": t, "big": big})
    assert str(e.value).startswith('array "other": ') and said in str(e.value)


def test_refused_when_served(tmp_path):
    """What only shows once all is there: paths, and more chunks than one may be copied from."""
    for text, said in (
            ('lazarr.rechunk("t", t, 1)', 'array "t": the path is already that of another array'),
            ('lazarr.rechunk("r", big, (-1, 1))', 'array "r": a chunk of level 0 would be copied from more than 65536')):
        (tmp_path / "s.py").write_text(f"""
import lazarr, numpy as np
t = lazarr.source("t", np.zeros((4, 5)), dims=("time", "y"))
big = lazarr.array("big", shape=(10**6, 2 * 10**6), chunks=(1, 2 * 10**6), dtype="f8")(lambda b: 0)
{text}
""")
        r = lzr.run("describe", tmp_path / "s.py")
        assert r.returncode == 1 and said in r.stderr.decode(), r.stderr.decode()


def test_local():
    """Without a server, by NumPy: the same values."""
    import lazarr
    for i, (shape, own, other, chunks) in enumerate(CASES):
        v = values(i, shape, DTYPES[i])  # noqa: F821
        r = lazarr.rechunk("r", lazarr.source("v", v, chunks=own), other)
        assert r.chunks == chunks and r[...].tobytes() == v.tobytes()


def test_describe_and_json(tmp_path):
    """What describe says is a store again."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
def f(block):
    return block.coords()[0]
a = lazarr.array("a", shape=(9, 8), chunks=(1, 8), dtype="i4", dims=("t", "x"))(f)
lazarr.rechunk("b", a, {"t": -1, "x": 2})
""")
    said = json.loads(lzr.run("describe", tmp_path / "s.py").stdout)
    assert [a["copied"] for a in said["arrays"]] == [False, True]
    said["arrays"][0]["function"] = "s:f"
    (tmp_path / "j.json").write_text(json.dumps(said))
    with lzr.Server([tmp_path / "j.json"], "--workers", "1", cwd=tmp_path) as srv:
        assert srv.get("/zarr2/j.zarr/b/.zarray").json()["chunks"] == [9, 2]
        assert (lzr.read_array(srv, "/zarr2/j.zarr/b") == np.arange(9)[:, None]).all()
