"""Which of the files that are open while a source is opened are its data (`_opened`)."""
import os
import time

import numpy as np
import pytest

import lazarr
from lazarr import _opened

PACKAGE = os.path.dirname(lazarr.__file__)


def files(*paths):
    found = _opened.Files.of(time.time_ns(), set(map(str, paths)), [])
    return [] if found is None else sorted([*found.near, *found.far])


@pytest.mark.parametrize("inside", ["", "_readers", "_readers/__pycache__", "_readers/masks.py", "py.typed"])
def test_lazarrs_own_modules_are_no_data(inside):
    """They are imported when the first file of a kind is opened, maybe by another thread."""
    assert files(os.path.join(PACKAGE, inside)) == []


@pytest.mark.parametrize("inside", ["__pycache__", "__pycache__/m.cpython-311.pyc", "__pycache__/m.cpython-311.pyc.1406"])
def test_what_python_keeps_is_no_data(tmp_path, inside):
    (tmp_path / "__pycache__").mkdir()
    for name in ("m.cpython-311.pyc", "m.cpython-311.pyc.1406"):
        (tmp_path / "__pycache__" / name).write_bytes(b"1")
    assert files(tmp_path / inside) == []


def test_a_folder_is_its_data(tmp_path):
    (tmp_path / "d" / "__pycache__").mkdir(parents=True)
    (tmp_path / "d" / "__pycache__" / "m.pyc").write_bytes(b"1")
    (tmp_path / "d" / "a.dat").write_bytes(b"1")
    assert files(tmp_path / "d") == [str(tmp_path / "d" / "a.dat")]


def test_a_folder_that_is_tried_as_a_file_is_no_data(tmp_path, monkeypatch):
    """Who looks for plug-ins tries each entry of sys.path, "" among them, as a zip file. One that is held open is. What is only written, a log, is none either."""
    monkeypatch.chdir(tmp_path)
    for name in ("code", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("x")
    np.save("a.npy", np.zeros(3))
    with _opened.watch() as opened:
        for name in ("", ".", "code", str(tmp_path / "code"), str(tmp_path)):
            with pytest.raises(OSError):
                open(name, "rb")
        np.load("a.npy")
        fd = os.open("data", os.O_RDONLY)
        log = open("run.log", "a")
    os.close(fd)
    log.close()
    assert files(*opened) == [str(tmp_path / "a.npy"), str(tmp_path / "data" / "x.txt")]
