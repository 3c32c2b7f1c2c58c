"""Workers of several Pythons side by side: Debian's 3.11 with NumPy 1.24, a virtual environment of it,
3.12 and 3.13 with NumPy 2, another patch version of 3.11."""
import os
import re
import shutil
import subprocess

import pytest

import lzr

STORE = """
import lazarr, sys, ssl, numpy as np
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="uint16", compressor=None)
def a(block):
    return np.array([sys.version_info[1], sys.version_info[2], int(np.__version__.split(".")[0]), 7])
@lazarr.array("wide", shape=(100,), chunks=(30,), dtype="uint32")
def wide(block):
    return np.arange(block.start[0], block.stop[0]) + 2**31
@lazarr.array("bad", shape=(1,), chunks=(1,), dtype="uint8")
def bad(block):
    return np.array([300])
KEPT = []
@lazarr.array("keep", shape=(4,), chunks=(1,), dtype="uint8", compressor=None)
def keep(block):
    block.data[...] = 9
    KEPT.append(block.data)
print("prefix", sys.prefix, "from", np.__file__)
"""


def worker_for(prefix, minor):
    """The worker binary for an interpreter, made (or renewed) by the documented command."""
    if minor == 11:
        return  # Debian's: every build makes it
    lzr.need(lzr.BUILD == lzr.ROOT / "build", "a run on build/, which ./quickstart worker builds into")
    quickstart = lzr.ROOT / "quickstart"
    p = subprocess.run([quickstart, "worker", prefix], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=180, cwd=lzr.ROOT, env=lzr.environment())
    assert p.returncode == 0, p.stdout.decode()
    assert (lzr.BUILD / f"lazarr-worker-3.{minor}").exists()


def check(srv, minor, numpy_major):
    got = memoryview(srv.chunk("/zarr2/s.zarr/a/0")).cast("H").tolist()
    assert got[0] == minor and got[2] == numpy_major and got[3] == 7
    want = list(range(2**31, 2**31 + 100))
    assert lzr.read_array(srv, "/zarr2/s.zarr/wide").tolist() == want
    r = srv.get("/zarr2/s.zarr/bad/0")
    assert r.status == 500 and "300" in r.text and "uint8" in r.text
    for i in range(4):
        assert srv.chunk(f"/zarr2/s.zarr/keep/{i}") == b"\x09"
    assert srv.metric("worker_deaths_total") == 0
    return got[1]


def prefix_of(name, what):
    prefix = lzr.ENVS / name
    lzr.need((prefix / "bin" / "python").exists(), f"{what} ({prefix}; tests/clients/setup.sh makes it)")
    return prefix


def test_debian(serve):
    srv = serve(STORE, "--workers", "1")
    check(srv, 11, 1)
    srv.wait_log(r"prefix /usr ")


@pytest.mark.limit(200)
@pytest.mark.parametrize("name,minor,numpy", [("py311np1", 11, 1), ("py312", 12, 2), ("py313", 13, 2)])
def test_environment(serve, name, minor, numpy):
    """--python PREFIX: a virtual environment of Debian's, 3.12 and 3.13 with NumPy 2."""
    prefix = prefix_of(name, f"Python 3.{minor} with NumPy {numpy}")
    worker_for(prefix, minor)
    srv = serve(STORE, "--workers", "1", "--python", prefix)
    check(srv, minor, numpy)
    srv.wait_log(rf"prefix {prefix} from {prefix}/")


def test_numpy_2_with_a_worker_built_for_1(tmp_path):
    """A worker of the same Python, built with NumPy 1, can't load NumPy 2: that is said in one line
    with the command that helps, or it works (a worker that was built with NumPy 2 loads both)."""
    prefix = prefix_of("py311", "Python 3.11 with NumPy 2")
    store = tmp_path / "s.py"
    store.write_text(STORE)
    try:
        with lzr.Server(store, "--workers", "1", "--python", prefix) as srv:
            check(srv, 11, 2)
    except AssertionError as refused:
        assert re.search(rf"lazarr: NumPy 2\.\S+ of '{prefix}'.*\./quickstart worker {prefix}", str(refused))


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_chosen_by_the_environment(serve, variable):
    """--python PREFIX, else $VIRTUAL_ENV, else $CONDA_PREFIX."""
    prefix = prefix_of("py311np1", "a virtual environment of 3.11")
    srv = serve(STORE, "--workers", "1", env={variable: str(prefix)})
    check(srv, 11, 1)
    srv.wait_log(rf"prefix {prefix} from")


def test_the_reason_is_never_lost(tmp_path):
    """A worker that fails before it has read what the server sent it closes its socket with unread
    data, which the server sees as ECONNRESET before the message that says why: 4 in 100 starts."""
    prefix = prefix_of("py311", "Python 3.11 with NumPy 2")
    store = tmp_path / "s.py"
    store.write_text(STORE)
    if lzr.run("describe", store, "--python", prefix).returncode == 0:
        return  # this worker was built with NumPy 2: nothing fails here
    for _ in range(60):
        both = [subprocess.Popen([lzr.LAZARR, "serve", store, "--port", "0", "--workers", n, "--python", prefix],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=lzr.environment())
                for n in "12"]
        for p in both:
            said = p.communicate(timeout=30 * lzr.SLOW)[0].decode()
            assert p.returncode == 1 and "quickstart worker" in said, said


def test_python_overrules_the_environment(serve):
    prefix = prefix_of("py311", "a virtual environment of 3.11")
    srv = serve(STORE, "--workers", "1", "--python", "/usr", env={"VIRTUAL_ENV": str(prefix)})
    check(srv, 11, 1)


def test_pythonpath_and_shims_do_not_count(serve, tmp_path):
    """Never the first python3 in PATH."""
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python"):
        shim = tmp_path / "bin" / name
        shim.write_text("#!/bin/sh\nexit 1\n")
        shim.chmod(0o755)
    srv = serve(STORE, "--workers", "1", env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    check(srv, 11, 1)


def test_another_patch_version(serve):
    """Runs on its own libpython (ssl can be imported), or is refused with the reason."""
    prefix = lzr.ENVS / "py311other"
    lzr.need((prefix / "bin/python").exists(), "another patch version of Python 3.11 than Debian's")
    version = subprocess.run([prefix / "bin/python", "-c", "import platform; print(platform.python_version())"],
                             stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    try:
        srv = serve(STORE, "--workers", "1", "--python", prefix)
    except AssertionError as refused:
        assert re.search(rf"3\.11.*{re.escape(version)}|{re.escape(version)}.*3\.11", str(refused))
        return
    assert check(srv, 11, 1) == int(version.split(".")[2])


@pytest.mark.parametrize("what", ["missing", "empty", "broken"])
def test_prefixes_that_are_none(tmp_path, what):
    store = tmp_path / "s.py"
    store.write_text(STORE)
    prefix = tmp_path / "env"
    if what != "missing":
        (prefix / "bin").mkdir(parents=True)
    if what == "broken":
        for name in ("python", "python3"):
            (prefix / "bin" / name).write_text("#!/bin/sh\nexit 3\n")
            (prefix / "bin" / name).chmod(0o755)
    r = lzr.run("serve", store, "--port", "0", "--python", prefix)
    assert r.returncode == 1 and str(prefix) in r.stderr.decode(), r


def test_a_worker_that_is_not_built_is_named(tmp_path):
    """The error names the command that builds it."""
    prefix = prefix_of("py312", "Python 3.12")
    store = tmp_path / "s.py"
    store.write_text(STORE)
    alone = tmp_path / "bin" / "lazarr"  # a server that has no lazarr-worker-3.12 beside it
    alone.parent.mkdir()
    shutil.copy(lzr.LAZARR, alone)
    r = subprocess.run([alone, "serve", store, "--port", "0", "--python", prefix], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=lzr.environment(), timeout=60 * lzr.SLOW)
    assert r.returncode == 1, r
    assert f"quickstart worker {prefix}" in r.stderr.decode() and "3.12" in r.stderr.decode(), r
