"""Workers of several Pythons side by side: Debian's 3.11 with NumPy 1.24, a virtual environment of it,
3.12 and 3.13 with NumPy 2, another patch version of 3.11."""
import os
import re
import shutil
import subprocess
from pathlib import Path

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


def worker_for(prefix, minor, numpy, cwd=lzr.ROOT):
    """The worker binary for an interpreter, made (or renewed) by the documented command."""
    lzr.need(lzr.BUILD == lzr.ROOT / "build", "a run on build/, which ./quickstart worker builds into")
    quickstart = lzr.ROOT / "quickstart"
    p = subprocess.run([quickstart, "worker", prefix], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=180, cwd=cwd, env=lzr.environment())
    assert p.returncode == 0, p.stdout.decode()
    assert (lzr.BUILD / f"lazarr-worker-3.{minor}-numpy{numpy}").exists()


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
    if minor != 11:  # Debian's: every build makes it
        worker_for(prefix, minor, numpy)
    srv = serve(STORE, "--workers", "1", "--python", prefix)
    check(srv, minor, numpy)
    srv.wait_log(rf"prefix {prefix} from {prefix}/")


@pytest.fixture
def alone(tmp_path):
    """A lazarr with the worker that every build makes, and no other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("lazarr", "lazarr-worker-3.11"):
        shutil.copy(lzr.BUILD / name, folder / name)
    return folder / "lazarr"


def test_numpy_2_with_a_worker_built_for_1(tmp_path, alone):
    """A worker of the same Python, built with NumPy 1, can't load NumPy 2: that is said in one line
    with the command that helps, or it works (a worker that was built with NumPy 2 loads both)."""
    prefix = prefix_of("py311", "Python 3.11 with NumPy 2")
    store = tmp_path / "s.py"
    store.write_text(STORE)
    r = subprocess.run([alone, "describe", store, "--python", prefix], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=lzr.environment(), timeout=60 * lzr.SLOW, text=True)
    if r.returncode != 0:
        assert re.search(rf"lazarr: NumPy 2\.\S+ of '{prefix}'.*\./quickstart worker {prefix}\n", r.stderr), r


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_chosen_by_the_environment(serve, variable):
    """--python PREFIX, else $VIRTUAL_ENV, else $CONDA_PREFIX."""
    prefix = prefix_of("py311np1", "a virtual environment of 3.11")
    srv = serve(STORE, "--workers", "1", env={variable: str(prefix)})
    check(srv, 11, 1)
    srv.wait_log(rf"prefix {prefix} from")


@pytest.mark.limit(150)
def test_the_reason_is_never_lost(tmp_path, alone):
    """A worker that fails before it has read what the server sent it closes its socket with unread
    data, which the server sees as ECONNRESET before the message that says why: 4 in 100 starts."""
    prefix = prefix_of("py311", "Python 3.11 with NumPy 2")
    store = tmp_path / "s.py"
    store.write_text(STORE)
    if subprocess.run([alone, "describe", store, "--python", prefix], stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE, env=lzr.environment(), timeout=60 * lzr.SLOW).returncode == 0:
        return  # this worker was built with NumPy 2: nothing fails here
    for _ in range(60):
        both = [subprocess.Popen([alone, "serve", store, "--port", "0", "--workers", n, "--python", prefix],
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


def test_a_worker_that_is_not_built_is_named(tmp_path, alone):
    """The error names the command that builds it."""
    prefix = prefix_of("py312", "Python 3.12")
    store = tmp_path / "s.py"
    store.write_text(STORE)
    r = subprocess.run([alone, "serve", store, "--port", "0", "--python", prefix], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=lzr.environment(), timeout=60 * lzr.SLOW)
    assert r.returncode == 1, r
    assert f"quickstart worker {prefix}" in r.stderr.decode() and "3.12" in r.stderr.decode(), r


@pytest.mark.parametrize("name,program", [("py311np1", "bin/python3"), ("py311np1", "bin/python"), ("", "python3")])
def test_python_may_be_the_interpreter(serve, tmp_path, name, program):
    """--python ENV/bin/python3, as other tools take it; relative, and by a link from elsewhere."""
    prefix = Path("/usr/bin") if not name else prefix_of(name, "a virtual environment of 3.11")
    srv = serve(STORE, "--workers", "1", "--python", prefix / program)
    check(srv, 11, 1)
    assert srv.log.count("stores run in Python 3.11.") == 1
    srv.wait_log(rf"lazarr: stores run in Python 3\.11\.\d+ of {prefix if name else '/usr'}, from --python; "
                 "another: --python PREFIX")


def test_relative_prefixes(serve, tmp_path):
    """Taken from the folder in which lazarr is started, and the interpreter's path stays absolute."""
    prefix = prefix_of("py311np1", "a virtual environment of 3.11")
    (tmp_path / "work").mkdir()
    (tmp_path / "env").symlink_to(prefix)
    for given in ("../env", "../env/bin/python3"):
        srv = serve(STORE + "import os\nos.chdir('/')\n", "--workers", "1", "--python", given, cwd=tmp_path / "work")
        check(srv, 11, 1)
        srv.wait_log(rf"prefix {prefix} from|prefix {tmp_path}/env from")
        srv.kill()


def test_the_python_in_use_is_said(serve, tmp_path):
    """Once at the start, and where a module isn't found in it: while loading, in a function, for a library that a data
    file needs."""
    store = """
import lazarr
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="uint8")
def a(block):
    import no_such_module
@lazarr.array("b", shape=(4,), chunks=(4,), dtype="uint8")
def b(block):
    try:
        import no_such_module
    except ImportError as e:
        raise ImportError("b needs a module") from e
@lazarr.array("other", shape=(4,), chunks=(4,), dtype="uint8")
def other(block):
    raise ImportError("cannot import name 'x' from 'y'")
"""
    srv = serve(store, "--workers", "1")
    said = "in the Python of /usr; another: --python PREFIX"
    assert len(re.findall(r"lazarr: stores run in Python 3\.\d+\.\d+ of /usr; another: --python PREFIX\n", srv.log)) == 1
    assert srv.get("/zarr2/s.zarr/a/0").text.splitlines()[0] == (
        f"ModuleNotFoundError: No module named 'no_such_module' {said}")
    assert srv.get("/zarr2/s.zarr/b/0").text.splitlines()[0] == f"ImportError: b needs a module {said}"
    assert "--python" not in srv.get("/zarr2/s.zarr/other/0").text
    broken = tmp_path / "broken.py"
    broken.write_text("import lazarr\nimport no_such_module\n")
    r = lzr.run("describe", broken)
    assert f"No module named 'no_such_module' {said} (line 2 of broken.py)" in r.stderr.decode(), r
    assert "stores run in" not in r.stderr.decode()  # of serve alone
    env = tmp_path / "env"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", env], check=True, env=lzr.environment())
    r = lzr.run("describe", broken, "--python", env)
    line = r.stderr.decode()
    assert "NumPy can't be imported" in line and str(env) in line and "--python PREFIX" in line


def like_condas(prefix, base):
    """A copy of an interpreter's prefix as conda's are: moved, with a libpython that the interpreter doesn't use and that
    sysconfig knows nothing of."""
    minor = subprocess.check_output([base / "bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                                    text=True).strip()
    shutil.copytree(base / "lib" / f"python{minor}", prefix / "lib" / f"python{minor}", copy_function=os.symlink,
                    ignore=shutil.ignore_patterns("test", "__pycache__", "site-packages", "ensurepip", "idlelib"))
    (prefix / "bin").mkdir()
    (prefix / "include").mkdir()
    (prefix / "include" / f"python{minor}").symlink_to(base / "include" / f"python{minor}")
    for file in (f"bin/python{minor}", f"lib/libpython{minor}.so.1.0"):
        shutil.copy(base / file, prefix / file)
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(f"python{minor}")
    config = next((prefix / "lib" / f"python{minor}").glob("_sysconfigdata_*.py"))
    names = {}
    exec(config.read_text(), names)
    there = names["build_time_vars"]
    there.update(Py_ENABLE_SHARED=0, LIBDIR="/home/builder/placeholder/lib", LDLIBRARY=f"libpython{minor}.a",
                 INSTSONAME=f"libpython{minor}.a")
    config.unlink()
    config.write_text(f"build_time_vars = {there!r}\n")
    return minor


def base_of(minor):
    """An interpreter with a prefix of its own, among LZR_TEST_PYTHONS or pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [Path(p) for p in os.environ.get("LZR_TEST_PYTHONS", "").split(":") if p]
    found = [p for p in places + sorted(root.glob(f"{minor}.*")) if (p / f"bin/python{minor}").exists() and
             list((p / "lib").glob(f"libpython{minor}.so.1.0"))]
    lzr.need(found, f"a Python {minor} in LZR_TEST_PYTHONS or in pyenv")
    return found[0]


@pytest.mark.limit(240)
@pytest.mark.parametrize("minor,env,numpy", [("3.12", "py312", 2), ("3.11", "py311other", 1)])
def test_prefixes_like_condas(serve, tmp_path, minor, env, numpy):
    """Py_ENABLE_SHARED=0 and a libpython3.X.so.1.0 all the same (simulated: conda isn't here): it runs on that."""
    base, env = base_of(minor), prefix_of(env, f"Python {minor}")
    prefix = tmp_path / "conda env"  # with a space
    prefix.mkdir()
    assert like_condas(prefix, base) == minor
    (prefix / "lib" / f"python{minor}" / "site-packages").symlink_to(env / "lib" / f"python{minor}" / "site-packages")
    ask = "import sys, sysconfig; print(sys.prefix, sysconfig.get_config_var('Py_ENABLE_SHARED'))"
    assert subprocess.check_output([prefix / "bin/python3", "-c", ask], text=True).strip() == f"{prefix} 0"
    if minor != "3.11":
        worker_for(prefix, int(minor[2:]), numpy)
    srv = serve(STORE + f"""
import os
maps = open("/proc/self/maps").read()
print("libpython", sorted({{line.split(None, 5)[5] for line in maps.splitlines() if "libpython{minor}" in line}}))
""", "--workers", "1", env={"CONDA_PREFIX": str(prefix)})
    check(srv, int(minor[2:]), numpy)
    srv.wait_log(re.escape(f"libpython ['{prefix}/lib/libpython{minor}.so.1.0']"))
    srv.wait_log(re.escape(f"of {prefix}, from $CONDA_PREFIX; another: --python PREFIX"))


@pytest.mark.limit(240)
def test_a_worker_for_another_311_leaves_the_default_one_alone(serve, tmp_path):
    """./quickstart worker PREFIX, here relative and from another folder, for a 3.11 that isn't Debian's and for one
    with NumPy 2: each has its own, and plain lazarr runs as before."""
    other, two = prefix_of("py311other", "another 3.11"), prefix_of("py311", "Python 3.11 with NumPy 2")
    own = lzr.BUILD / "lazarr-worker-3.11"
    before = own.read_bytes()
    worker_for(f"{other.name}/bin/python3", 11, 1, cwd=other.parent)
    worker_for(two.name, 11, 2, cwd=two.parent)
    assert own.read_bytes() == before
    for args, numpy, prefix in (((), 1, "/usr"), (("--python", other), 1, other), (("--python", two), 2, two),
                                (("--python", prefix_of("py311np1", "a venv")), 1, lzr.ENVS / "py311np1")):
        srv = serve(STORE, "--workers", "1", *args)
        check(srv, 11, numpy)
        srv.wait_log(rf"prefix {prefix} from")
        srv.kill()


@pytest.mark.limit(240)
def test_installed(tmp_path, serve):
    """After cmake --install: the same, the workers that were built for other Pythons among it."""
    two = prefix_of("py311", "Python 3.11 with NumPy 2")
    if lzr.BUILD == lzr.ROOT / "build":
        worker_for(two, 11, 2)
    p = subprocess.run(["cmake", "--install", lzr.BUILD, "--prefix", tmp_path / "to"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env=lzr.environment())
    assert p.returncode == 0, p.stdout.decode()
    installed = tmp_path / "to" / "bin" / "lazarr"
    store = tmp_path / "s.py"
    store.write_text(STORE)

    def describe(*args):
        return subprocess.run([installed, "describe", store, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=lzr.environment(), timeout=60 * lzr.SLOW, text=True)

    for args in ((), ("--python", "/usr/bin/python3"), ("--python", prefix_of("py311np1", "a venv"))):
        r = describe(*args)
        assert r.returncode == 0 and '"wide"' in r.stdout, r
    r = describe("--python", two)
    if (lzr.BUILD / "lazarr-worker-3.11-numpy2").exists():
        assert r.returncode == 0, r
    else:
        assert f"./quickstart worker {two}" in r.stderr, r


def test_a_libpython_in_the_library_path_is_not_taken(serve):
    """LD_LIBRARY_PATH with another 3.11 in it, as an environment module or an activated prefix sets it."""
    lib = base_of("3.11") / "lib"
    srv = serve(STORE + "import os\nprint('left', os.environ.get('LD_LIBRARY_PATH'))\n", "--workers", "1",
                env={"LD_LIBRARY_PATH": str(lib)})
    check(srv, 11, 1)
    srv.wait_log(f"left {lib}$")  # what it starts sees it as it was
