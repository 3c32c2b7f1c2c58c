"""The module without a server under NumPy 2: its docstrings' examples, and random graphs of arrays. Warnings
are errors, so that nothing stands here that NumPy is about to drop."""
import subprocess

import pytest

import lzr

PROGRAM = """
import doctest, importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:]
import numpy as np
import dags, lazarr
assert np.lib.NumpyVersion(np.__version__) >= "2.0.0"
for m in pkgutil.iter_modules(lazarr.__path__, "lazarr."):
    if m.name != "lazarr.testing":  # which is for pytest, that isn't in these environments
        assert doctest.testmod(importlib.import_module(m.name)).failed == 0, m.name
compared = 0
for seed in range(100):
    nodes = dags.make(seed)
    made, want = dags.define(nodes, f"d{seed}"), dags.Reference(nodes)
    for i, (node, a) in enumerate(zip(nodes, made)):
        for k in range(len(node.factors)):
            got = np.asarray(a.level(k)[...])
            assert got.tobytes() == want.level(i, k).astype(node.dtype).tobytes(), (seed, i, k)
            compared += 1
print(compared)
"""


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", ["py312", "py313"])
def test_numpy_2(name):
    python = lzr.ENVS / name / "bin" / "python"
    lzr.need(python.exists(), f"a Python with NumPy 2 ({python}; tests/clients/setup.sh makes it)")
    p = subprocess.run([python, "-W", "error", "-c", PROGRAM, lzr.PYTHON_DIR, lzr.ROOT / "tests/e2e"],
                       stdout=subprocess.PIPE, timeout=110 * lzr.SLOW, env=lzr.environment())
    assert p.returncode == 0, p.stdout.decode()
    assert int(p.stdout.split()[-1]) > 500
