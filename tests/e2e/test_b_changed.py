"""Data files that change while they are served: chunks that would mix what was with what is are an error that asks for
a reload, whoever reads the file, in workers that had it open and in those that came later. What only looks like a
change (another mode, another link) is none."""
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

import lzr
import test_b_pythons

SAID = "has changed since it was opened"
RELOAD = "reload (SIGHUP, or POST /api/reload) or restart lazarr"

OTHER = """
import os, numpy as np, lazarr
HERE = os.path.dirname(os.path.abspath(__file__))
@lazarr.array("other", shape=(64,), chunks=(1,), dtype="uint8", compressor=None)
def other(block):
    return 5
"""

MAPPED = OTHER + """
@lazarr.source("a", chunks=(2, 8), compressor=None)
def a():
    return np.load(HERE + "/a.npy", mmap_mode="r")
"""

HDF5 = OTHER + """
import h5py
@lazarr.source("a", compressor=None)
def a():
    return h5py.File(HERE + "/a.h5", "r")["d"]
"""

HDF5_GIVEN = OTHER + """
import h5py
lazarr.source("a", h5py.File(HERE + "/a.h5", "r")["d"], compressor=None)
"""

ZARR = OTHER + """
import zarr
@lazarr.source("a", compressor=None)
def a():
    return zarr.open(HERE + "/a.zarr", mode="r")
"""

ZARR_GIVEN = OTHER + """
import zarr
lazarr.source("a", zarr.open(HERE + "/a.zarr", mode="r"), compressor=None)
"""

LIKE = OTHER + """
class Like:
    def __init__(self):
        self.a = np.load(HERE + "/a.npy", mmap_mode="r")
        self.shape, self.dtype = self.a.shape, self.a.dtype
    def __getitem__(self, key):
        return self.a[key]
@lazarr.source("a", chunks=(2, 8), compressor=None)
def a():
    return Like()
"""

PIECES = OTHER + """
class Pieces:
    shape, dtype = (8, 8), np.dtype("u1")
    def __init__(self):
        np.load(HERE + "/0.npy")
    def __getitem__(self, key):
        return np.load(HERE + f"/{key[0].start // 2}.npy")
@lazarr.source("a", chunks=(2, 8), compressor=None)
def a():
    return Pieces()
"""

DERIVED = HDF5.replace("import h5py", "import h5py, functools") + """
src = a
@lazarr.array("b", shape=(8, 8), chunks=(2, 8), dtype="u1", compressor=None)
def b(block):
    return src[block.slices]
"""

VALUES = np.arange(64, dtype="u1").reshape(8, 8)


def write_h5(path, name, values):
    """Whoever has the old one open holds a lock on it."""
    import h5py
    with h5py.File(path.with_name("new.h5"), "w") as f:
        f.create_dataset(name, data=values, chunks=(2, 8), compression="gzip")
    os.replace(path.with_name("new.h5"), path)


def write(folder, values):
    import zarr
    np.save(folder / "a.npy", values)
    for i in range(4):
        np.save(folder / f"{i}.npy", values[2 * i:2 * i + 2])
    write_h5(folder / "a.h5", "d", values)
    shutil.rmtree(folder / "a.zarr", ignore_errors=True)
    zarr.array(values, chunks=(2, 8), store=str(folder / "a.zarr"), compressor=None)


FILES = {"mapped": (MAPPED, "a.npy"), "h5py": (HDF5, "a.h5"), "h5py given": (HDF5_GIVEN, "a.h5"),
         "zarr": (ZARR, "a.zarr/1.0"), "zarr given": (ZARR_GIVEN, "a.zarr/1.0"),
         "zarr metadata": (ZARR, "a.zarr/.zarray"), "like": (LIKE, "a.npy"), "derived": (DERIVED, "a.h5")}


def in_place(path):
    """One byte is another, and nothing else that its author can help."""
    with open(path, "r+b") as f:
        f.seek(-1, 2)
        last = f.read(1)
        f.seek(-1, 2)
        f.write(bytes([last[0] ^ 1]))


def with_its_mtime(path):
    before = os.stat(path)
    in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_another(path):
    before = os.stat(path)
    shutil.copy(path, path.with_name("copy"))
    with_its_mtime(path.with_name("copy"))
    os.utime(path.with_name("copy"), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(path.with_name("copy"), path)


CHANGES = {"in place": in_place, "in place, mtime put back": with_its_mtime, "replaced": by_another, "gone": os.unlink}


def chunk(srv, i, name="a"):
    return srv.get(f"/zarr2/s.zarr/{name}/{i}.0")


def restart(srv):
    before = set(srv.kill_workers())
    lzr.wait_until(lambda: srv.metric("workers") > 0 and not before & set(srv.worker_pids()), "a new worker")


@pytest.mark.parametrize("kind, change", [(k, c) for k in FILES for c in CHANGES
                                          if k in ("mapped", "h5py", "zarr") or c == "in place, mtime put back"])
def test_a_file_that_changes(serve, tmp_path, kind, change):
    text, name = FILES[kind]
    write(tmp_path, VALUES)
    srv = serve(text, "--workers", "1")
    array = "b" if kind == "derived" else "a"
    first = chunk(srv, 0, array)
    assert first.body == VALUES[:2].tobytes()
    CHANGES[change](tmp_path / name)
    r = chunk(srv, 1, array)  # by who had it open
    want = SAID if change != "gone" else "can't be opened"
    assert r.status == 500 and want in r.text and os.path.basename(name) in r.text, r.text
    restart(srv)  # by one that comes to it as it is now
    r = chunk(srv, 2, array)
    assert r.status == 500 and want in r.text, r.text
    assert change == "gone" and kind == "mapped" or RELOAD in r.text, r.text
    assert srv.get("/zarr2/s.zarr/other/7").body == b"\x05"  # the rest goes on
    assert chunk(srv, 0, array).body == first.body  # and what is cached
    write(tmp_path, VALUES + 100)
    assert srv.request("POST", "/api/reload").status == 200
    for i in range(4):
        assert chunk(srv, i, array).body == (VALUES + 100)[2 * i:2 * i + 2].tobytes()


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_change(serve, tmp_path, kind):
    """chmod, another link and a read of it change a file's ctime or atime, and nothing that is served."""
    text, name = FILES[kind]
    write(tmp_path, VALUES)
    srv = serve(text, "--workers", "1", "--cache", "0")
    for i, change in enumerate((lambda p: os.chmod(p, 0o600), lambda p: os.link(p, tmp_path / "link"),
                                lambda p: p.read_bytes())):
        change(tmp_path / name)
        r = chunk(srv, i)
        assert r.status == 200 and r.body == VALUES[2 * i:2 * i + 2].tobytes(), r.text
    restart(srv)
    assert chunk(srv, 3).body == VALUES[6:].tobytes()


LOGS = HDF5.replace("import h5py", "import h5py, logging").replace("def a():\n", """def a():
    logging.basicConfig(filename=HERE + "/run.log", level=logging.INFO)
    logging.info("it is opened")
""")


@pytest.mark.parametrize("text", [ZARR, OTHER + 'lazarr.source("a", "a.zarr", compressor=None)\n', HDF5, DERIVED, LOGS],
                         ids=["zarr", "zarr-by-name", "hdf5", "derived", "logs"])
def test_what_lies_beside_the_data_may_change(serve, tmp_path, text):
    """Notes, logs and results in the store's folder are no data, whatever looks into that folder while a source is
    opened: Debian's numcodecs tries to open each folder that modules come from, when zarr is first imported."""
    write(tmp_path, VALUES)
    beside = [tmp_path / name for name in ("notes.txt", "run.log", "old.py")]
    for path in beside:
        path.write_text("before")
    srv = serve(text, "--workers", "1", "--cache", "0", cwd=tmp_path)
    array = "b" if "def b(" in text else "a"
    for i, path in enumerate(beside):
        path.write_text("it goes on")
        r = chunk(srv, i, array)
        assert r.status == 200, r.text
    beside[0].unlink()
    (tmp_path / "result.npy").write_bytes(b"")
    restart(srv)
    assert chunk(srv, 3, array).status == 200


def test_a_file_that_the_store_itself_opens_is_gone(serve, tmp_path):
    """No later worker can load such a store; the answer has the reason."""
    write(tmp_path, VALUES)
    srv = serve(HDF5_GIVEN, "--workers", "1")
    assert chunk(srv, 0).body == VALUES[:2].tobytes()
    os.unlink(tmp_path / "a.h5")
    assert chunk(srv, 1).status == 500
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    r = lzr.wait_until(lambda: (lambda r: r if "a.h5" in r.text else None)(chunk(srv, 2)), "the reason")
    assert r.status == 503 and "reload with SIGHUP" in r.text, r.text
    assert chunk(srv, 0).body == VALUES[:2].tobytes()


@pytest.mark.parametrize("what", ["rewritten", "gone"])
def test_files_that_are_opened_when_they_are_sliced(serve, tmp_path, what):
    """They were never opened before; they lie beside the one that was."""
    write(tmp_path, VALUES)
    srv = serve(PIECES, "--workers", "1")
    assert chunk(srv, 1).body == VALUES[2:4].tobytes()
    restart(srv)
    if what == "rewritten":
        np.save(tmp_path / "2.npy", VALUES[:2])
    else:
        os.unlink(tmp_path / "2.npy")
    r = chunk(srv, 2)
    assert r.status == 500 and (what == "gone" or SAID in r.text and "2.npy" in r.text and RELOAD in r.text), r.text
    assert chunk(srv, 3).body == VALUES[6:].tobytes()


@pytest.mark.parametrize("what", ["written", "removed"])
def test_a_chunk_file_that_comes_or_goes(serve, tmp_path, what):
    """In a folder, no file is the fill value: neither is what isn't there any more, or wasn't."""
    write(tmp_path, VALUES)
    kept = (tmp_path / "a.zarr" / "3.0").read_bytes()
    if what == "written":
        os.unlink(tmp_path / "a.zarr" / "3.0")
    srv = serve(ZARR, "--workers", "1")
    assert chunk(srv, 0).body == VALUES[:2].tobytes()
    if what == "written":
        assert chunk(srv, 3).body == bytes(16)
        (tmp_path / "a.zarr" / "3.0").write_bytes(kept)
        srv = serve(ZARR, "--workers", "1")
        assert chunk(srv, 3).body == VALUES[6:].tobytes()
        (tmp_path / "a.zarr" / "4.0").write_bytes(kept)  # nobody's
        assert chunk(srv, 2).body == VALUES[4:6].tobytes()
    else:
        os.unlink(tmp_path / "a.zarr" / "3.0")
        r = chunk(srv, 3)
        assert r.status == 500 and "3.0" in r.text and RELOAD in r.text, r.text


def test_a_chunk_file_that_came_later(serve, tmp_path):
    write(tmp_path, VALUES)
    kept = (tmp_path / "a.zarr" / "3.0").read_bytes()
    os.unlink(tmp_path / "a.zarr" / "3.0")
    srv = serve(ZARR, "--workers", "1", "--cache", "0")
    assert chunk(srv, 3).body == bytes(16)
    lzr.wait_until(lambda: later_than(tmp_path / "clock", tmp_path / "a.zarr" / ".zarray"), "the clock")
    (tmp_path / "a.zarr" / "3.0").write_bytes(kept)
    r = chunk(srv, 3)
    assert r.status == 500 and SAID in r.text and "3.0" in r.text, r.text


def later_than(probe, path):
    """The files' clock has gone on since path was written, by more than one of its ticks."""
    probe.write_bytes(b"")
    return os.stat(probe).st_mtime_ns > os.stat(path).st_mtime_ns + 20_000_000


@pytest.mark.parametrize("kind", ["mapped", "like"])
def test_large_files_are_sampled(serve, tmp_path, kind):
    """Of more than 64 MiB, both ends and what lies at fixed places between them."""
    a = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "u1", (1024, 1 << 17))
    a[0, :8] = 1
    a.flush()
    srv = serve(FILES[kind][0].replace("chunks=(2, 8)", "chunks=(1, 1 << 17)"), "--workers", "1", "--cache", "0")
    assert chunk(srv, 0).body[:9] == bytes([1] * 8 + [0])
    os.chmod(tmp_path / "a.npy", 0o600)
    assert chunk(srv, 1).status == 200
    with_its_mtime(tmp_path / "a.npy")
    r = chunk(srv, 2)
    assert r.status == 500 and SAID in r.text, r.text


def test_a_data_file_as_a_store(serve, tmp_path):
    """A worker that comes later can't even list what was in it; the other stores' arrays go on."""
    write(tmp_path, VALUES)
    (tmp_path / "s.py").write_text(OTHER)
    srv = serve([tmp_path / "a.h5", tmp_path / "s.py"], "--workers", "1")
    assert lzr.read_array(srv, "/zarr2/a.zarr/d").tobytes() == VALUES.tobytes()
    write_h5(tmp_path / "a.h5", "e", VALUES[:4])
    restart(srv)
    assert srv.get("/zarr2/s.zarr/other/1").body == b"\x05"
    assert srv.get("/zarr2/a.zarr/d/.zarray").status == 200
    assert srv.request("POST", "/api/reload").status == 200
    assert lzr.read_array(srv, "/zarr2/a.zarr/e").tobytes() == VALUES[:4].tobytes()
    write_h5(tmp_path / "a.h5", "d", VALUES[:4])
    restart(srv)
    r = srv.get("/n5/a.n5/e/0/1")
    assert r.status == 200  # it was read before
    r = srv.get("/zarr2/a.zarr/e/1.1")
    assert r.status == 404


def test_a_data_file_as_a_store_is_an_error_of_its_chunks(serve, tmp_path):
    write(tmp_path, VALUES)
    (tmp_path / "s.py").write_text(OTHER)
    srv = serve([tmp_path / "a.h5", tmp_path / "s.py"], "--workers", "1")
    first = srv.chunk("/zarr2/a.zarr/d/0.0")
    write_h5(tmp_path / "a.h5", "e", VALUES[:4])
    restart(srv)
    r = srv.get("/zarr2/a.zarr/d/1.0")
    assert r.status == 500 and f"a.h5' {SAID}" in r.text and RELOAD in r.text, r.text
    assert srv.chunk("/zarr2/a.zarr/d/0.0") == first
    assert srv.get("/zarr2/s.zarr/other/1").body == b"\x05"


LIBRARIES = {
    "zarr 3": ZARR.replace("mode=\"r\"", "mode=\"r\", zarr_format=3"),
    "zarr 3, a member of a group": OTHER + """
import zarr
@lazarr.source("a", compressor=None)
def a():
    return zarr.open_group(HERE + "/group.zarr", mode="r")["x/a"]
""",
    "tensorstore": OTHER + """
import tensorstore
@lazarr.source("a", compressor=None)
def a():
    return tensorstore.open({"driver": "zarr3", "kvstore": "file://" + HERE + "/a.zarr"}, read=True).result()
""",
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_libraries(serve, tmp_path, library):
    """Some of them open files in C, on threads of their own, only when sliced, or as members of a group."""
    prefix = lzr.ENVS / "py312"
    python = prefix / "bin" / "python"
    lzr.need(python.exists(), "the environment py312 of tests/clients/setup.sh, with zarr 3")
    test_b_pythons.worker_for(prefix, 12, 2)

    def fill(values):
        subprocess.run([python, "-c", f"""
import numpy as np, shutil, zarr
v = np.frombuffer(bytes.fromhex("{values.tobytes().hex()}"), "u1").reshape(8, 8)
for name, path in (("a.zarr", ""), ("group.zarr", "x/a")):
    shutil.rmtree(name, ignore_errors=True)
    how = dict(shape=(8, 8), chunks=(2, 8), dtype="u1", compressors=None)
    a = zarr.open_group(name, mode="w", zarr_format=3).create_array(path, **how) if path else \\
        zarr.create_array(name, **how)
    a[...] = v
"""], check=True, cwd=tmp_path)

    fill(VALUES)
    srv = serve(LIBRARIES[library], "--workers", "1", "--python", prefix)
    folder = tmp_path / ("group.zarr/x/a" if "group" in library else "a.zarr")
    assert chunk(srv, 0).body == VALUES[:2].tobytes()
    os.chmod(folder / "c/1/0", 0o600)
    assert chunk(srv, 1).body == VALUES[2:4].tobytes()
    with_its_mtime(folder / "c/2/0")
    r = chunk(srv, 2)
    assert r.status == 500 and SAID in r.text and "c/2/0" in r.text, r.text
    restart(srv)
    assert chunk(srv, 3).status == 500
    fill(VALUES + 100)
    assert srv.request("POST", "/api/reload").status == 200
    assert chunk(srv, 3).body == (VALUES + 100)[6:].tobytes()
    os.unlink(folder / "c/1/0")
    r = chunk(srv, 1)
    assert r.status == 500 and "c/1/0" in r.text and RELOAD in r.text, r.text


SLICED = OTHER + """
@lazarr.source("a", chunks=(2, 8), compressor=None)
def a():
    return np.load(HERE + "/a.npy", mmap_mode="r")
@lazarr.source("m", chunks=(2, 8), compressor=None)
def m():
    return np.load(HERE + "/a.npy")
mapped, memory = a, m
@lazarr.array("b", shape=(8, 8), chunks=(2, 8), dtype="u1", compressor=None)
def b(block):
    return mapped[block.slices]
@lazarr.array("e", shape=(8, 8), chunks=(2, 8), dtype="u1", compressor=None)
def e(block):
    return memory[block.slices]
"""


def test_functions_that_slice_what_the_server_reads(serve, tmp_path):
    """They open it in their worker, perhaps long after the server has."""
    write(tmp_path, VALUES)
    srv = serve(SLICED, "--workers", "1")
    for a in "be":
        assert chunk(srv, 0, a).body == VALUES[:2].tobytes()
    with_its_mtime(tmp_path / "a.npy")
    for i in (1, 3):
        for a in "be":
            r = chunk(srv, i, a)
            assert r.status == 500 and f"a.npy' {SAID}" in r.text and RELOAD in r.text, r.text
        restart(srv)
    assert chunk(srv, 2, "m").body == VALUES[4:6].tobytes()  # this was in memory


def test_a_store_that_computes_from_a_changed_source(serve, tmp_path):
    """What is made of its chunks in C fails with the same words."""
    write(tmp_path, VALUES)
    srv = serve(HDF5 + """
@lazarr.array("made", inputs=[a], dtype="u1", halo=1, compressor=None)
def made(block, x):
    return x[1:-1, 1:-1]
""", "--workers", "1")
    assert srv.get("/zarr2/s.zarr/made/0.0").status == 200
    in_place(tmp_path / "a.h5")
    r = srv.get("/zarr2/s.zarr/made/3.0")
    assert r.status == 500 and f"a.h5' {SAID}" in r.text, r.text
