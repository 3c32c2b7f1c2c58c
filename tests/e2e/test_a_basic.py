"""What a person sees first: start-up, values, the page, figures."""
import re
import signal

import numpy as np

import lzr

STORE = """
import lazarr, numpy as np
@lazarr.array("a", shape=(10, 7), chunks=(4, 4), dtype="int16")
def a(block):
    y, x = block.coords()
    return 10 * y + x
@lazarr.array("img", shape=(9, 9), chunks=4, dtype="uint8", axes="yx")
def img(block):
    return 3
"""


def test_start_up_says_where(serve):
    srv = serve(STORE)
    assert re.search(rf"lazarr: listening on {srv.url}/", srv.log)
    # One line an array, with URLs that work as they stand.
    for name in ("a", "img"):
        lines = [s for s in srv.log.splitlines() if re.search(rf"/s\.zarr/{name}\b", s)]
        assert lines, srv.log
        urls = re.findall(r"http://[^\s,\"')]+", " ".join(lines))
        assert urls
        for url in urls:
            assert url.startswith(srv.url)
            status = srv.get(url[len(srv.url):]).status
            assert status in (200, 301), url


def test_values_of_both_faces(serve):
    srv = serve(STORE)
    y, x = np.mgrid[:10, :7]
    assert (lzr.read_array(srv, "/zarr2/s.zarr/a") == 10 * y + x).all()
    for i in range(3):
        for j in range(2):
            assert srv.chunk(f"/zarr2/s.zarr/a/{i}.{j}") == srv.chunk(f"/zarr3/s.zarr/a/c/{i}/{j}")
    assert (lzr.read_array(srv, "/zarr2/s.zarr/img/0") == 3).all()
    # Six chunks of a and nine of img: two faces, one computation each.
    assert srv.metric("computed_total") == 15
    assert srv.metric("encoded_total") == 15


def test_an_image_is_a_group_and_a_plain_array_is_not(serve):
    srv = serve(STORE)
    assert srv.get("/zarr3/s.zarr/img/zarr.json").json()["node_type"] == "group"
    assert srv.get("/zarr3/s.zarr/img/0/zarr.json").json()["node_type"] == "array"
    assert srv.get("/zarr3/s.zarr/a/zarr.json").json()["node_type"] == "array"
    assert srv.get("/zarr3/s.zarr/a/0/zarr.json").status == 404
    assert srv.get("/zarr2/s.zarr/img/.zgroup").status == 200
    assert srv.get("/zarr2/s.zarr/img/0/.zarray").status == 200


def test_page(serve):
    """A page at / with the arrays and the URLs to paste (which its script completes with the address
    that the browser asked, so they are right behind any proxy)."""
    srv = serve(STORE)
    r = srv.get("/")
    assert r.status == 200 and r["Content-Type"].startswith("text/html")
    keys = set(re.findall(r"""data-key=['"]([^'"]+)['"]""", r.text))
    assert {"zarr3/s.zarr/a", "zarr2/s.zarr/a", "zarr3/s.zarr/img"} <= {
        re.sub("/(0|)$", "", k) for k in keys}, keys
    for k in keys:
        assert srv.get("/" + k).status in (200, 301), k
    for reader in ("zarr-python", "dask", "tensorstore", "zarrita"):
        assert reader in r.text
    # What comes from outside is no markup.
    r = srv.get("/?<script>x", {"Host": '"><script>x'})
    assert "<script>x" not in r.text


def test_operators(serve):
    srv = serve(STORE)
    srv.chunk("/zarr2/s.zarr/a/0.0")
    r = srv.get("/healthz")
    assert r.status == 200
    r = srv.get("/metrics")
    assert r["Content-Type"].startswith("text/plain") and "version=0.0.4" in r["Content-Type"]
    names = re.findall(r"^# TYPE (\S+) (\S+)$", r.text, re.M)
    assert ("lazarr_computed_total", "counter") in names
    assert ("lazarr_cache_bytes", "gauge") in names
    assert len(names) == len({n for n, _ in names})
    for line in r.text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) .+|[a-z_]+(\{[^{}]*\})? [0-9.eE+-]+', line), line
    stats = srv.get("/api/stats")
    assert stats.status == 200 and stats["Content-Type"].startswith("application/json")
    assert "computed_total" in stats.text and isinstance(stats.json(), dict)
    m = srv.metrics()
    assert m["computed_total"] == m["encoded_total"] == m["cache_inserts_total"] == 1
    assert m["cache_misses_total"] == 1 and m["cache_entries"] == 1
    assert m["workers"] == m["worker_starts_total"] > 0 and m["worker_deaths_total"] == 0
    assert m["queued"] == m["running"] == m["waiting"] == 0


def test_server_timing(serve):
    """Server-Timing on chunk answers: queue, compute, encode, cache hit or miss."""
    srv = serve(STORE)
    miss, hit = srv.get("/zarr2/s.zarr/a/0.0"), srv.get("/zarr2/s.zarr/a/0.0")
    for word in ("queue", "compute", "encode"):
        assert re.search(rf"\b{word};dur=[0-9.]+", miss["Server-Timing"]), miss
    assert "miss" in miss["Server-Timing"] and "hit" not in miss["Server-Timing"]
    assert "hit" in hit["Server-Timing"] and "miss" not in hit["Server-Timing"]
    assert "compute" not in hit["Server-Timing"] or "compute;dur=0" in hit["Server-Timing"]


def test_access_log_can_be_turned_off(serve):
    srv = serve(STORE)
    srv.chunk("/zarr2/s.zarr/a/1.1")
    srv.get("/zarr2/s.zarr/a/9.9?x=\x01")
    line = srv.wait_log(r"/zarr2/s\.zarr/a/1\.1.* 200 ")
    assert "GET" in line.string
    srv.wait_log(r"/zarr2/s\.zarr/a/9\.9.* 400 ")
    assert "\x01" not in srv.log  # what a client sends can't draw on a terminal
    srv = serve(STORE, "--no-access-log")
    srv.chunk("/zarr2/s.zarr/a/1.1")
    assert srv.stop() == 0
    assert "/a/1.1" not in srv.log and "listening" in srv.log


def test_user_output_goes_to_the_log(serve):
    srv = serve("""
import lazarr, sys
print("the file runs")
@lazarr.array("a", shape=(4,), chunks=(1,), dtype="uint8")
def a(block):
    print("hello from", block.start)
    print("and to stderr", file=sys.stderr)
    return 1
""", "--workers", "1")
    srv.chunk("/zarr2/s.zarr/a/2")
    srv.wait_log(r"hello from \(2,\)")
    srv.wait_log("and to stderr")
    srv.wait_log("the file runs")


def test_block_attributes(serve):
    """What a Block says of itself, as design 1 lists it."""
    srv = serve("""
import lazarr, json
SAID = []
@lazarr.array("a", shape=(10, 7), chunks=(4, 4), dtype="uint8", compressor=None)
def a(block):
    assert block.start == (8, 4) and block.stop == (10, 7) and block.shape == (2, 3), block
    assert block.slices == (slice(8, 10), slice(4, 7))
    assert block.chunk == (2, 1) and block.index == 5
    assert block.level == 0 and tuple(block.scale) == (1, 1)
    assert block.min == (8, 4) and block.max == (9, 6) and block.dim == (2, 3)
    assert block.data.shape == (2, 3) and block.data.dtype == "uint8" and not block.data.any()
    assert block.data.flags.writeable and block.data[block.halo].shape == (2, 3)
    assert block.array is a and block.inputs == () or list(block.inputs) == []
    assert block.cancelled is False and block.data[block.crop].shape == (2, 3)
    y, x = block.coords()
    assert y.tolist() == [[8], [9]] and x.tolist() == [[4, 5, 6]]
    assert __file__.endswith("s.py")
    return y + x
""", "--workers", "1")
    r = srv.get("/zarr2/s.zarr/a/2.1")
    assert r.status == 200, r.text
    assert np.frombuffer(r.body, "u1").reshape(4, 4)[:2, :3].tolist() == [[12, 13, 14], [13, 14, 15]]


def test_ways_to_give_a_result(serve):
    srv = serve("""
import lazarr, numpy as np
def way(f):
    lazarr.array(f.__name__, shape=(6,), chunks=(4,), dtype=">i4", fill_value=9, compressor=None)(f)
@way
def scalar(block): return 5
@way
def zero_d(block): return np.array(5)
@way
def written(block): block.data[:] = 5
@way
def set_data(block): block.data = np.full(block.shape, 5)
@way
def returned_data(block):
    block.data[...] = 5
    return block.data
@way
def array(block): return np.full(block.shape, 5, "u1")
@way
def one(block): return np.array([5])
@way
def listed(block): return [5] * block.shape[0]
@way
def view_of_data(block):
    block.data[...] = np.arange(1, 1 + block.shape[0])
    return block.data[::-1] * 0 + 5
@way
def strided(block): return np.full((block.shape[0], 2), 5.0)[:, 0].astype("i8")
@way
def partly(block): block.data[0] = 5
""", "--workers", "1")
    for name in ("scalar", "zero_d", "written", "set_data", "returned_data", "array", "one", "listed",
                 "view_of_data", "strided"):
        for chunk, n in ((0, 4), (1, 2)):
            got = np.frombuffer(srv.chunk(f"/zarr2/s.zarr/{name}/{chunk}"), ">i4")
            assert got.tolist() == [5] * n + [9] * (4 - n), name
    # What is not written stays fill.
    assert np.frombuffer(srv.chunk("/zarr2/s.zarr/partly/0"), ">i4").tolist() == [5, 9, 9, 9]


def test_a_view_of_block_data_that_is_returned_overlaps(serve):
    """The result may be another view of the very memory it is written to."""
    srv = serve("""
import lazarr, numpy as np
@lazarr.array("a", shape=(8,), chunks=(8,), dtype="u1", compressor=None)
def a(block):
    d = np.asarray(block.data)
    d[...] = np.arange(8)
    return d[::-1]
""", "--workers", "1")
    assert list(srv.chunk("/zarr2/s.zarr/a/0")) == [7, 6, 5, 4, 3, 2, 1, 0]


def test_neighbours_and_cwd(tmp_path):
    """The store's folder is importable, wherever the server was started."""
    (tmp_path / "helper.py").write_text("VALUE = 41\n")
    (tmp_path / "elsewhere").mkdir()
    store = tmp_path / "n.py"
    store.write_text("import helper, lazarr\n@lazarr.array('a', shape=(1,), chunks=(1,), dtype='u1',"
                     "compressor=None)\ndef a(block):\n    return helper.VALUE\n")
    with lzr.Server("../n.py", cwd=tmp_path / "elsewhere") as srv:
        assert srv.chunk("/zarr2/n.zarr/a/0") == b"\x29"
        assert srv.stop(signal.SIGINT) == 0


def test_several_stores_and_a_folder(tmp_path):
    text = "import lazarr\n@lazarr.array('a', shape=(1,), chunks=(1,), dtype='u1', compressor=None)\n" \
           "def a(block):\n    return %d\n"
    (tmp_path / "folder").mkdir()
    for i, name in enumerate(("folder/x", "folder/y", "z")):
        (tmp_path / f"{name}.py").write_text(text % i)
    (tmp_path / "functions.py").write_text("def four(block):\n    return 4\n")
    (tmp_path / "m.json").write_text('{"arrays": [{"path": "a", "shape": [1], "chunks": [1], '
                                     '"dtype": "uint8", "compressor": null, "function": "functions:four"}]}')
    with lzr.Server([tmp_path / "folder", tmp_path / "z.py", tmp_path / "m.json"]) as srv:
        assert [srv.chunk(f"/zarr3/{n}.zarr/a/c/0")[0] for n in "xyzm"] == [0, 1, 2, 4]
        assert {*re.findall(r'href="?([a-z]\.zarr/)', srv.get("/zarr3/").text)} == {
            "x.zarr/", "y.zarr/", "z.zarr/", "m.zarr/"}
