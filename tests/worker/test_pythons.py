"""Workers of several Pythons, each built alone as src/worker/CMakeLists.txt allows, in the environments
of tests/clients/setup.sh and in some made here."""
import re
import subprocess

import numpy as np
import pytest

import lzr
from cast_cases import CASES
from test_worker import ONE, array
from wdriver import DONE, PINNED

LOOK = "import os, ssl, sys\n" + array("look", """
print("LOOK", sys.version.split()[0], np.__version__, sys.prefix, sys.executable, np.__file__,
      os.environ.get("LD_LIBRARY_PATH"))
return 1""")
NP1 = int(np.__version__.split(".")[0])


def look(w):
    assert w.refused is None, w.refused
    w.run("look")
    line = [x for x in w.read_log().splitlines() if x.startswith("LOOK")][-1]
    return line.split()[1:]


def need(name):
    prefix = lzr.ENVS / name
    lzr.need((prefix / "bin/python3").exists(), f"{prefix} (tests/clients/setup.sh makes it)")
    return prefix


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(prefix): the worker built alone for a prefix's interpreter; once each."""
    made = {}

    def make(prefix):
        if prefix not in made:
            out = tmp_path_factory.mktemp("worker")
            for command in (["cmake", "-S", lzr.ROOT / "src/worker", "-B", out / "b", "-G", "Ninja",
                             f"-DLZR_PYTHON={prefix}/bin/python3", f"-DLZR_WORKER_OUT={out}"],
                            ["cmake", "--build", out / "b"]):
                p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                                   env=lzr.environment())
                assert p.returncode == 0, p.stdout.decode()
            made[prefix] = next(out.glob("lazarr-worker-3.*"))
        return made[prefix]

    return make


def venv(folder, *arguments):
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", *arguments, folder], check=True,
                   env=lzr.environment())
    return folder


def check_all(worker, binary, prefix, **more):
    """The cases of the cast, a pin, and what the interpreter says of itself."""
    cases = [(f"c{i}", *c) for i, c in enumerate(CASES)]
    w = worker(LOOK + "KEPT = []\n" + array("keep", "KEPT.append(block.data)") +
               array("drop", "KEPT.clear()\nreturn 1") +
               "".join(array(name, f"return {result}", shape, dtype)
                       for name, dtype, shape, result, _ in cases),
               binary=binary, program=prefix / "bin/python3", **more)
    seen = look(w)
    for name, dtype, shape, result, want in cases:
        if want.startswith("np."):
            assert np.array_equal(w.run(name), np.broadcast_to(eval(want), shape).astype(dtype),
                                  equal_nan=np.dtype(dtype).kind in "fc"), result
        else:
            assert want in w.fails(name)[0], result
    m = w.job("keep")
    assert m.type == DONE and m.flags == PINNED
    w.run("drop", 1)
    assert w.unpinned == [0]
    return seen


@pytest.mark.limit(200)
@pytest.mark.parametrize("name,minor", [("py312", 12), ("py313", 13)])
def test_newer_pythons(worker, build, name, minor):
    prefix = need(name)
    binary = build(prefix)
    assert binary.name == f"lazarr-worker-3.{minor}"
    version, numpy, where, executable, file, path = check_all(worker, binary, prefix)
    assert version.startswith(f"3.{minor}.") and numpy.startswith("2.") and path == "None"
    assert where == str(prefix) and executable == f"{prefix}/bin/python3" and file.startswith(where)


def test_a_venv_of_debians(worker):
    prefix = need("py311np1")
    seen = check_all(worker, None, prefix)
    assert seen[0].startswith("3.11.") and seen[2] == str(prefix) and seen[4].startswith(str(prefix))


def test_a_venv_with_the_systems_packages(worker, tmp_path):
    prefix = venv(tmp_path / "e", "--system-site-packages")
    seen = look(worker(LOOK, program=prefix / "bin/python3"))
    assert seen[2] == str(prefix) and seen[4].startswith("/usr/lib/python3/dist-packages")


def test_an_environment_without_numpy(worker, tmp_path):
    """Named, with what to do; Debian's NumPy isn't found from a closed environment."""
    prefix = venv(tmp_path / "e")
    w = worker(ONE, program=prefix / "bin/python3")
    line = w.refused[0]
    assert f"'{prefix}/bin/python3'" in line and "NumPy can't be imported" in line and "pip install" in line


@pytest.mark.limit(120)
def test_numpy_1_and_2(worker, build):
    """Built with NumPy 1, it refuses NumPy 2 and names the command; built with NumPy 2, it runs both."""
    two, one = need("py311"), need("py311np1")
    if NP1 == 1:  # what the ordinary build was made with
        w = worker(ONE, program=two / "bin/python3")
        assert re.search(rf"NumPy 2\.\S+ of '{two}' needs a worker built for it: "
                         rf"run ./quickstart worker {two}$", w.refused[0]), w.refused
    binary = build(two)
    assert check_all(worker, binary, two)[1].startswith("2.")
    assert check_all(worker, binary, one)[1].startswith("1.")


def test_another_patch_version(worker):
    """Debian's worker on the environment's own libpython: its ssl loads, and what user code starts
    doesn't inherit the library path."""
    prefix = lzr.ENVS / "py311other"
    lzr.need((prefix / "bin/python3").exists(), "another patch version of Python 3.11 than Debian's")
    ask = "import sys, sysconfig; print(sys.version.split()[0], sysconfig.get_config_var('LIBDIR'))"
    version, libdir = subprocess.check_output([prefix / "bin/python3", "-c", ask]).decode().split()
    for restore, want in (("", "None"), ("/some/where", "/some/where")):
        seen = look(worker(LOOK, program=prefix / "bin/python3", env={"LD_LIBRARY_PATH": libdir},
                           arguments=("--restore-ld-library-path", restore)))
        assert seen[0] == version and seen[2] == str(prefix) and seen[5] == want


def test_the_wrong_minor_is_refused(worker):
    prefix = need("py312")
    w = worker(ONE, program=prefix / "bin/python3")
    assert "this worker is for Python 3.11" in w.refused[0] and "of 3.12" in w.refused[0]
    assert w.end() != 0


def test_pythonhome(worker, tmp_path):
    """Honoured as an interpreter does: /usr works, nonsense is one line."""
    assert look(worker(LOOK, env={"PYTHONHOME": "/usr"}))[2] == "/usr"
    w = worker(ONE, env={"PYTHONHOME": str(tmp_path)})
    assert w.refused and "Python can't start" in w.refused[0]


def test_the_users_own_site_and_path_do_not_count(worker, tmp_path):
    (tmp_path / "numpy.py").write_text("raise ImportError('from PYTHONPATH')")
    assert look(worker(LOOK, env={"PYTHONPATH": str(tmp_path)}))[1] == np.__version__
