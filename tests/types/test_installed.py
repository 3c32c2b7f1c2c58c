"""What is installed, by CMake and by pip, has all modules and says that it is typed."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENV = pathlib.Path(os.environ.get("LZR_ENVS") or ROOT / "build" / "envs") / "types"
FILES = sorted(str(p.relative_to(ROOT / "src/python")) for p in (ROOT / "src/python/lazarr").rglob("*")
               if p.suffix == ".py" or p.name == "py.typed")


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc")


def test_there_is_something_to_install():
    assert "lazarr/py.typed" in FILES and "lazarr/testing.py" in FILES and len(FILES) > 40


def test_cmake(tmp_path):
    build = os.environ.get("LZR_BUILD") or ROOT / "build"
    subprocess.run(["cmake", "--install", build, "--prefix", tmp_path], check=True, stdout=subprocess.DEVNULL, timeout=120)
    assert files(tmp_path / "share/lazarr/python") == FILES


def test_pip(tmp_path):
    """The command that pip's back end runs, without a network."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src/python", source, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([ENV / "bin/python", "-c", "import setuptools; setuptools.setup()", "-q", "build_py", "--build-lib",
                    tmp_path / "made"], cwd=source, check=True, timeout=120)
    assert files(tmp_path / "made") == FILES


def test_a_checker_takes_the_installed_package(tmp_path):
    """A typed package that is none for want of py.typed would be skipped: mypy says so."""
    shutil.copytree(ROOT / "src/python/lazarr", tmp_path / "env/lib/lazarr", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "use.py").write_text("import lazarr\nlazarr.group('g', atributes={})\nreveal_type(lazarr.source)\n")
    for there in (True, False):
        if not there:
            (tmp_path / "env/lib/lazarr/py.typed").unlink()
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\nPYTHONPATH={tmp_path}/env/lib exec {ENV}/bin/python \"$@\"\n")
        python.chmod(0o755)
        r = subprocess.run([ENV / "bin/python", "-m", "mypy", "--cache-dir", tmp_path / f"cache{there}", "--python-executable",
                            python, "use.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert ("atributes" in r.stdout) == there, r.stdout
