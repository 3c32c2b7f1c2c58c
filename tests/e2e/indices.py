"""Compares what lazarr.open gives with an ndarray, index by index, in an interpreter of one's own."""
import subprocess

import lzr

CODE = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = sys.argv[1:3]
import numpy as np
import lazarr
mask = lambda v: np.arange(v.size).reshape(v.shape) % 3 == 1
INDICES = [..., (), 0, -1, np.int64(0), slice(1, None), slice(None, None, -1), (..., 0), (0, ..., slice(None, None, 2)),
           (slice(-2, None),), (..., slice(2, 9), slice(7, 1, -2)), (..., slice(5, 2)), (None, ..., slice(0, 10 ** 9)), [0],
           (..., [3, 1, 3], slice(4, 6)), (..., [0, 2], [[1], [2]])]
wrong = []
def same(path, what, got, want):
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype.newbyteorder("=") != want.dtype.newbyteorder("=") or not (got == want).all():
        wrong.append(f"{path}: {what}: {got.dtype} {got.shape}, not {want.dtype} {want.shape}")
def check(path, want=None):
    a = lazarr.open(path)
    v = np.asarray(a) if want is None else want
    same(path, "asarray", a, v)
    for k in INDICES:
        try:
            of = v[k]
        except IndexError:
            continue  # of fewer axes, or shorter ones
        try:
            same(path, k, a[k], of)
        except Exception as e:
            wrong.append(f"{path}: {k}: {type(e).__name__}: {e}")
    same(path, "mask", a[mask(v)], v[mask(v)])
    same(path, "sum", a + 1, v + 1)
    same(path, "cast", lazarr.open(path, dtype="f8")[::-1], v[::-1].astype("f8"))
    for k in (len(v), -len(v) - 1):
        try:
            a[k]
            wrong.append(f"{path}: {k} is no index")
        except IndexError:
            pass
    return path
"""
END = "assert not wrong, chr(10).join(wrong)\nprint(len(done))\n"


def run(python, code, folder, argument=""):
    """How many files `code` has checked, a list `done`; it finds folder and argument in sys.argv[3:]."""
    r = subprocess.run([python, "-c", CODE + code + END, lzr.PYTHON_DIR, lzr.Path(__file__).parent, folder,
                        argument], capture_output=True, text=True, timeout=150 * lzr.SLOW, env=lzr.environment())
    assert r.returncode == 0, r.stderr[-4000:]
    return int(r.stdout.split()[-1])
