"""Sources that the server reads itself: NumPy arrays and memory maps, without a worker and without Python
(src/engine/source.h, lazarr/_handover.py)."""
import os
import re
import time

import numpy as np

import lzr

VOLUME = np.arange(9 * 10 * 11, dtype="u2").reshape(9, 10, 11)
# One of each kind: what lies in memory, dense or not, in any order, backwards, repeated.
KINDS = {
    "plain": "VOLUME",
    "turned": "VOLUME.T",
    "fortran": "np.asfortranarray(VOLUME)",
    "backwards": "VOLUME[::-1, 1::3, ::-2]",
    "broadcast": "np.broadcast_to(VOLUME[:, :1, :], (9, 7, 11))",
    "big": "VOLUME.astype('>f8')",
    "complex": "(VOLUME + 1j).astype('c8')",
    "half": "VOLUME[3].astype('f2')",
    "bools": "VOLUME % 3 == 0",
    "line": "np.arange(20, dtype='i8')[::-3]",
    "scalar": "np.array(3.5)",
    "mapped": "np.load(HERE + '/v.npy', mmap_mode='r')",
    "mapped_c": "np.load(HERE + '/v.npy', mmap_mode='c')",
    "mapped_rw": "np.load(HERE + '/v.npy', mmap_mode='r+')[2:, ::-1].transpose(2, 0, 1)",
    "mapped_fortran": "np.load(HERE + '/f.npy', mmap_mode='r')[..., 1:]",
    "raw": "np.memmap(HERE + '/raw', dtype='>i4', mode='r', offset=20, shape=(6, 5), order='F')[1:]",
}
STORE = "import os, numpy as np, lazarr\nHERE = os.path.dirname(__file__)\n" \
    "VOLUME = np.arange(9 * 10 * 11, dtype='u2').reshape(9, 10, 11)\n" \
    "def note(name):\n    open(HERE + '/opened', 'a').write(name + '\\n')\n" + "".join(f"""
@lazarr.source("{name}", chunks=4)
def {name}():
    note("{name}")
    return {what}
""" for name, what in KINDS.items())


def files(folder):
    np.save(folder / "v.npy", VOLUME)
    np.save(folder / "f.npy", np.asfortranarray(VOLUME))
    (folder / "raw").write_bytes(np.arange(40, dtype=">i4").tobytes())


def values(folder):
    scope = {"np": np, "VOLUME": VOLUME, "HERE": str(folder)}
    return {name: np.asarray(eval(what, scope)) for name, what in KINDS.items()}


def test_every_kind_is_read_without_python(serve, tmp_path):
    files(tmp_path)
    srv = serve(STORE, "--workers", "2")
    with srv.delta() as d:
        for name, v in values(tmp_path).items():
            got = lzr.read_array(srv, f"/zarr2/s.zarr/{name}")
            assert got.dtype == v.dtype and got.shape == v.shape and (got == v).all(), name
    assert d["computed_total"] == 0 and d["source_reads_total"] > 100
    # Each function was called once in all, by the worker that then ended.
    opened = (tmp_path / "opened").read_text().split()
    assert sorted(opened) == sorted(KINDS)
    assert srv.metric("worker_starts_total") == 3 and srv.metric("worker_deaths_total") == 0
    assert srv.metric("workers") == 2
    stats = {a["path"]: a for a in srv.get("/api/stats").json()["arrays"]}
    assert stats["plain"]["read"] == 27 and stats["plain"]["computed"] == 0
    assert stats["plain"]["encoded_bytes"] > 0
    in_memory = sum(v.nbytes for k, v in values(tmp_path).items() if not k.startswith(("mapped", "raw")))
    assert in_memory - 2000 < srv.metric("source_bytes") < in_memory + 64 * len(KINDS)


def test_what_a_worker_must_slice_stays_with_it(serve, tmp_path):
    files(tmp_path)
    srv = serve("""
import os, numpy as np, lazarr
HERE = os.path.dirname(__file__)

class Sub(np.ndarray):
    def __getitem__(self, key):
        return np.asarray(self).__getitem__(key) + 1

@lazarr.source("sub", chunks=4)
def sub():
    return np.zeros(9, "u1").view(Sub)

@lazarr.source("written", chunks=4)
def written():
    a = np.load(HERE + "/v.npy", mmap_mode="c")
    a[:] = 7  # the file doesn't have that
    return a

@lazarr.source("mine", chunks=4)
def mine():
    return np.arange(9, dtype="u1")

@lazarr.array("sliced", shape=(9,), chunks=(4,), dtype="u1")
def sliced(block):
    return mine[block.slices] + np.uint8(1)  # the store's own use of it opens it where it is used
""", "--workers", "2")
    with srv.delta() as d:
        assert (lzr.read_array(srv, "/zarr2/s.zarr/sub") == 1).all()
        assert (lzr.read_array(srv, "/zarr2/s.zarr/written") == 7).all()
        assert (lzr.read_array(srv, "/zarr2/s.zarr/sliced") == np.arange(1, 10)).all()
    assert d["source_reads_total"] == 0
    with srv.delta() as d:
        assert (lzr.read_array(srv, "/zarr2/s.zarr/mine") == np.arange(9)).all()
    assert d["source_reads_total"] == 3 and d["computed_total"] == 0


MAPPED = """
import os, numpy as np, lazarr
@lazarr.source("m", chunks=(2, 5), compressor=None)
def m():
    return np.load(os.path.dirname(__file__) + "/m.npy", mmap_mode="r")
@lazarr.source("memory", chunks=4)
def memory():
    return np.arange(4.0)
"""
M = np.arange(60, dtype="i4").reshape(6, 10)


def mapped(serve, folder):
    np.save(folder / "m.npy", M)
    return serve(MAPPED, "--workers", "1", "--cache", "0")


def test_a_file_that_changes_is_an_error_of_its_chunks(serve, tmp_path):
    srv = mapped(serve, tmp_path)
    before = os.stat(tmp_path / "m.npy")
    assert srv.chunk("/zarr2/s.zarr/m/0.0") == M[:2, :5].tobytes()
    with open(tmp_path / "m.npy", "r+b") as f:
        f.seek(-4, 2)
        f.write(b"abcd")
    os.utime(tmp_path / "m.npy", ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
    r = srv.get("/zarr2/s.zarr/m/0.0")
    assert r.status == 500 and "m.npy' has changed" in r.text, r.text
    assert "reload (SIGHUP, or POST /api/reload) or restart lazarr" in r.text, r.text
    assert srv.get("/zarr2/s.zarr/memory/0").status == 200
    # What asks for other chunks meanwhile is told the same, and the process lives.
    assert srv.get("/zarr2/s.zarr/m/2.1").status == 500
    assert srv.metric("workers") == 1 and srv.metric("worker_deaths_total") == 0
    # Loaded again, it is what it is now.
    assert srv.request("POST", "/api/reload").status == 200
    assert srv.chunk("/zarr2/s.zarr/m/2.1")[-4:] == b"abcd"


def test_a_truncated_file_is_an_error_and_no_signal(serve, tmp_path):
    srv = mapped(serve, tmp_path)
    with open(tmp_path / "m.npy", "r+b") as f:
        f.truncate(130)
    for key in ("0.0", "2.1"):
        r = srv.get(f"/zarr2/s.zarr/m/{key}")
        assert r.status == 500 and "shorter now" in r.text, r.text
    assert srv.get("/healthz").status == 200


def test_a_vanished_or_replaced_file_is_an_error(serve, tmp_path):
    srv = mapped(serve, tmp_path)
    os.rename(tmp_path / "m.npy", tmp_path / "away.npy")
    r = srv.get("/zarr2/s.zarr/m/0.0")
    assert r.status == 500 and "can't be opened: No such file" in r.text, r.text
    before = os.stat(tmp_path / "away.npy")
    (tmp_path / "m.npy").write_bytes((tmp_path / "away.npy").read_bytes())
    os.utime(tmp_path / "m.npy", ns=(before.st_atime_ns, before.st_mtime_ns))
    r = srv.get("/zarr2/s.zarr/m/1.0")
    assert r.status == 500 and "has changed" in r.text, r.text
    os.rename(tmp_path / "away.npy", tmp_path / "m.npy")
    assert srv.chunk("/zarr2/s.zarr/m/2.0") == M[4:, :5].tobytes()


def test_etags_change_with_the_file(serve, tmp_path):
    """Size and mtime are part of what a chunk is, also with version=."""
    store = MAPPED.replace("compressor=None", 'compressor=None, version="1"')
    np.save(tmp_path / "m.npy", M)
    def tag():
        srv = serve(store, "--workers", "1")
        tag = srv.head("/zarr2/s.zarr/m/0.0")["ETag"]
        srv.stop()
        return tag
    first = tag()
    assert first == tag()
    before = os.stat(tmp_path / "m.npy")
    os.utime(tmp_path / "m.npy", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert first != tag()


def test_workers_that_come_later_need_no_source(serve, tmp_path):
    """A worker that replaces a dead one is told what is known, and doesn't call the functions."""
    files(tmp_path)
    srv = serve(STORE + """
@lazarr.array("kill", shape=(2,), chunks=(1,), dtype="i4", timeout=60)
def kill(block):
    if block.index == 0 and not os.path.exists(HERE + "/killed"):
        open(HERE + "/killed", "w")
        os._exit(3)
    return 5
""", "--workers", "2")
    assert lzr.decode(srv.chunk("/zarr2/s.zarr/kill/0"), srv.get("/zarr2/s.zarr/kill/.zarray").json()
                      ["compressor"]) == np.int32(5).tobytes()
    srv.wait_metric("workers", 2)
    assert srv.metric("worker_deaths_total") == 1
    assert sorted((tmp_path / "opened").read_text().split()) == sorted(KINDS)
    got = lzr.read_array(srv, "/zarr2/s.zarr/plain")
    assert (got == VOLUME).all()


def test_no_worker_keeps_a_copy(serve, tmp_path):
    """64 MiB of memory that a function made: none of it in the workers, all of it in the server, where
    /metrics shows it beside the budget."""
    srv = serve("""
import numpy as np, lazarr
@lazarr.source("large", chunks=(64, 64, 64))
def large():
    return np.full((64, 1024, 1024), 3, "u1")
@lazarr.array("other", shape=(8,), chunks=(1,), dtype="u1")
def other(block):
    return block.index
""", "--workers", "2", "--cache", "4MiB")
    for i in range(8):
        srv.chunk(f"/zarr2/s.zarr/other/{i}")
    assert srv.metric("source_bytes") == 64 << 20
    sizes = []
    for pid in srv.worker_pids():
        text = open(f"/proc/{pid}/status").read()
        sizes.append(int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)))
    assert len(sizes) == 2 and max(sizes) < 60 << 10, sizes  # kB; Python and NumPy take about 32 MB
    for i in range(16):
        srv.chunk(f"/zarr2/s.zarr/large/0.{i}.0")
    if lzr.SLOW == 1:  # a sanitizer's own memory isn't the server's
        assert srv.rss()["RssAnon"] < 52 << 20, srv.rss()


def test_large_arrays_made_at_import_are_warned_of(serve, tmp_path):
    srv = serve("""
import numpy as np, lazarr
TABLE = np.zeros(64 << 20, "u1")
SMALL = np.zeros(64, "u1")
lazarr.source("direct", np.zeros((65, 1 << 20), "u1"))
@lazarr.source("function")
def function():
    return np.zeros((65, 1 << 20), "u1")
""", "--workers", "2")
    warned = re.findall(r"s\.py: (.*): (\d+) MiB are made while the file runs", srv.log)
    assert sorted(warned) == [("'TABLE'", "64"), ('array "direct"', "65")], srv.log
    assert "lazarr.source" in srv.log


def test_levels_of_a_source(serve, tmp_path):
    np.save(tmp_path / "v.npy", VOLUME)
    srv = serve("""
import os, numpy as np, lazarr
V = np.load(os.path.dirname(__file__) + "/v.npy", mmap_mode="r")

class Like:  # an array-like of the workers
    def __init__(self, a):
        self.a, self.shape, self.dtype = a, a.shape, a.dtype
    def __getitem__(self, key):
        return self.a[key]

@lazarr.source("read", chunks=4, axes="zyx", units="micrometer", scale=(1, .5, .5))
def read():
    return [V, V[:, ::2, ::2], np.ascontiguousarray(V[::2, ::4, ::4])]

@lazarr.source("sliced", chunks=4, axes="zyx", scale=[(1, 1, 1), (2, 2, 2)],
               translation=[(0, 0, 0), (.25, .25, .25)])
def sliced():
    return [Like(V), Like(V[:8:2, ::2, :10:2])]  # rounded down

@lazarr.array("twice", inputs=[sliced])
def twice(block, sliced):
    return sliced * np.uint16(2)
""", "--workers", "2")
    want = {"read/0": VOLUME, "read/1": VOLUME[:, ::2, ::2], "read/2": VOLUME[::2, ::4, ::4],
            "sliced/0": VOLUME, "sliced/1": VOLUME[:8:2, ::2, :10:2]}
    for name, v in want.items():
        got = lzr.read_array(srv, f"/zarr2/s.zarr/{name}")
        assert got.shape == v.shape and (got == v).all(), name
    sets = srv.get("/zarr2/s.zarr/read/.zattrs").json()["multiscales"][0]["datasets"]
    placed = [{t["type"]: t[t["type"]] for t in s["coordinateTransformations"]} for s in sets]
    assert [p["scale"] for p in placed] == [[1, .5, .5], [1, 1, 1], [2, 2, 2]]
    assert [p.get("translation", [0, 0, 0]) for p in placed] == [[0, 0, 0], [0, .25, .25], [.5, .75, .75]]
    # What is computed from it has its levels, rounded and placed as they are.
    for k in range(2):
        got = lzr.read_array(srv, f"/zarr2/s.zarr/twice/{k}")
        assert (got == want[f"sliced/{k}"] * 2).all()
    twice = srv.get("/zarr2/s.zarr/twice/.zattrs").json()["multiscales"][0]["datasets"]
    assert twice == srv.get("/zarr2/s.zarr/sliced/.zattrs").json()["multiscales"][0]["datasets"]
    sets = srv.get("/zarr2/s.zarr/sliced/.zattrs").json()["multiscales"][0]["datasets"]
    assert sets[1]["coordinateTransformations"][1]["translation"] == [.25, .25, .25]


def test_a_slow_loader_and_one_that_fails(serve, tmp_path):
    """Others wait for it while they load; what it says when it fails is what the user is told."""
    import subprocess
    store = tmp_path / "s.py"
    store.write_text("""
import numpy as np, lazarr
@lazarr.source("bad")
def bad():
    raise ValueError("no such volume")
""")
    r = subprocess.run([lzr.LAZARR, "serve", store, "--port", "0", "--workers", "3"], timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 1 and b"no such volume" in r.stdout
    assert r.stdout.count(b"ValueError: no such volume\n") == 1  # its traceback, once


def test_what_describe_prints_is_a_store(tmp_path):
    """Also of a source with levels and of files, whose places are found anew."""
    import json
    import subprocess
    np.save(tmp_path / "v.npy", VOLUME)
    (tmp_path / "m.py").write_text("""
import os, numpy as np, lazarr
V = np.load(os.path.dirname(__file__) + "/v.npy", mmap_mode="r")
def levels():
    return [V, V[:, ::2, ::2]]
def one():
    return V.T
""")
    (tmp_path / "s.py").write_text("""
import lazarr, m
lazarr.source("own", chunks=4, axes="zyx", scale=(2, 1, 1))(m.levels)
lazarr.source("pyramid", chunks=4, axes="zyx", levels=2)(m.one)
""")

    def describe(name):
        r = subprocess.run([lzr.LAZARR, "describe", tmp_path / name], capture_output=True, text=True,
                           timeout=60, stdin=subprocess.DEVNULL)
        assert r.returncode == 0, r.stderr
        return json.loads(r.stdout)
    first = describe("s.py")
    for a, function in zip(first["arrays"], ("levels", "one")):
        a["source"] = f"m:{function}"
    (tmp_path / "j.json").write_text(json.dumps(first))
    again = describe("j.json")
    for a, b in zip(first["arrays"], again["arrays"]):
        assert a["levels"] == b["levels"] and a["pyramid"] == b["pyramid"] and b["levels"][0]["data"]
