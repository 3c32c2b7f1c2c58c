"""Stores of several folders in one server: none sees another folder's modules, working directory, settings or
environment, whatever the number of workers; all of them make progress; a worker changes its folder only when
it has to."""
import itertools
import json
import os
import signal
import struct
import time

import pytest

import lzr

HEAD = """
import os, sys, lazarr, numpy as np
HERE = os.path.dirname(os.path.abspath(__file__))
def image(f):
    return lazarr.array(f.__name__, shape=(2, 2, 2), chunks=(2, 2, 2), dtype="f4", axes="zyx", compressor=None,
                        n5_compressor=None)(f)
"""
# What stores do to their process or take from their folder; N is 1 in the first folder, 2 in the second.
KINDS = """
import helpers
from lib.values import V
import decimal, multiprocessing, warnings

@image
def helper(block):
    return helpers.V

@image
def package(block):
    return V

@image
def lazy(block):
    import late, lib.later
    return late.V if lib.later.V == late.V else -1

os.chdir(HERE)
@image
def chdir(block):
    with open("d.txt") as f:
        return float(f.read())

if N == 1:
    np.seterr(all="raise")
@image
def seterr(block):
    try:
        return 2.0 if np.isinf(np.float64(1) / np.float64(0)) else -1
    except FloatingPointError:
        return 1.0

multiprocessing.set_start_method("spawn" if N == 1 else "fork")
@image
def start_method(block):
    return {"spawn": 1.0, "fork": 2.0}[multiprocessing.get_start_method()]

assert "LZR_TEST_OF" not in os.environ
os.environ["LZR_TEST_OF"] = str(N)
os.environ[f"LZR_TEST_{N}"] = "1"
@image
def environ(block):
    return float(os.environ["LZR_TEST_OF"]) if f"LZR_TEST_{3 - N}" not in os.environ else -1

decimal.getcontext().prec = N
@image
def precision(block):
    return float(len(str(decimal.Decimal(1) / 3)) - 2)

np.three = 3 if N == 1 else 4
@image
def patched(block):
    return np.three - 2.0

@image
def path(block):
    other = os.path.join(os.path.dirname(HERE), "two" if N == 1 else "one")
    return float(N) if other not in sys.path and not any(
        (getattr(m, "__file__", None) or "").startswith(other) for m in list(sys.modules.values())) else -1
"""
ARRAYS = ["helper", "package", "lazy", "chdir", "seterr", "start_method", "environ", "precision", "patched", "path"]
CHUNKS = {"zarr2": "/zarr2/{s}.zarr/{a}/0/0/0/0", "zarr3": "/zarr3/{s}.zarr/{a}/0/c/0/0/0",
          "n5": "/n5/{s}.n5/{a}/s0/0/0/0", "precomputed": "/precomputed/{s}/{a}/0/0-2_0-2_0-2"}


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        name = name.replace("__", "/", 1) if name.startswith("lib__") else name
        path = folder / (name + ("" if "." in name else ".py"))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def make(folder, n, name="store"):
    v = f"V = {n}.0\n"
    return write(folder, helpers=v, late=v, lib__values=v, lib__later=v, lib__init="",
                 **{"d.txt": str(n), f"{name}{n}": HEAD + f"N = {n}\n" + KINDS}) / f"{name}{n}.py"


def value(srv, face, store, array):
    body = srv.chunk(CHUNKS[face].format(s=store, a=array))
    if face == "n5":
        return set(struct.unpack(">8f", body[-32:]))
    return set(struct.unpack("<8f", body[-32:]))


def plain(n, body="return V"):
    return ("import os, lazarr, helpers\nfrom helpers import V\n"
            "@lazarr.array('a', shape=(400,), chunks=(1,), dtype='f4', compressor=None)\n"
            f"def a(block):\n    {body}\n")


def number(srv, store, i=0, array="a"):
    return struct.unpack("<f", srv.chunk(f"/zarr2/{store}.zarr/{array}/{i}"))[0]


@pytest.fixture
def two(tmp_path):
    return [make(tmp_path / f, n) for n, f in ((1, "one"), (2, "two"))]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_nothing_is_shared(two, workers):
    """Through all faces, each computed anew; a folder at a time, then both at once."""
    with lzr.Server(two, "--workers", workers, "--cache", "0") as srv:
        for face in CHUNKS:
            for n in (1, 2):
                got = {a: value(srv, face, f"store{n}", a) for a in ARRAYS}
                assert got == {a: {float(n)} for a in ARRAYS}, (face, n)
        all_of = list(itertools.product(CHUNKS, (1, 2), ARRAYS))
        waiting = [(n, face, srv.begin(CHUNKS[face].format(s=f"store{n}", a=a))) for face, n, a in all_of]
        for n, face, w in waiting:
            r = w.result()
            assert r.status == 200 and r.body[-4:] == struct.pack(">f" if face == "n5" else "<f", n), r
        m = srv.metrics()
        assert m["workers"] == workers and m["worker_deaths_total"] == 0
        assert m["compute_failures_total"] == 0
        assert m["worker_switches_total"] >= 1 if workers == 1 else m["worker_switches_total"] < 40
