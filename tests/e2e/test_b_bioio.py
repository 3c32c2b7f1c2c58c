"""bioio: what lazarr has no library for."""
import subprocess

import pytest

import lzr
from test_b_kinds import env, made  # noqa: F401: fixtures

pytestmark = pytest.mark.limit(180)
CODE = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
sys.modules["czifile"] = None
import lazarr
from lazarr._readers import opened
path, want = f"{sys.argv[2]}/cells.czi", np.load(f"{sys.argv[2]}/want/cells.czi.npy")
a = lazarr.open(path)
assert type(opened.find(path, "/")[0]()).__name__ == "Lazy"
assert a.shape == want.shape and a.dtype == want.dtype and (a[...] == want).all()
assert (a[1:2, 0:1, 2:3, 3:9, 4:7] == want[1:2, 0:1, 2:3, 3:9, 4:7]).all()
_, p, _ = opened.find(path, "/")
assert p["axes"] == "tczyx" and p["units"][2:] == ["micrometer"] * 3 and np.allclose(p["scale"], [1, 1, 2, .5, .5]), p
assert [c["label"] for c in p["channels"]] == ["DAPI", "GFP"], p
open(f"{sys.argv[3]}/what.dv", "wb").write(b"of no kind")
try:
    lazarr.open(f"{sys.argv[3]}/what.dv")
except lazarr.StoreError as e:
    assert "bioio can't read it" in str(e) and "\\n" not in str(e), e
"""


def test_a_plugin_reads_it(env, made, tmp_path):  # noqa: F811
    """czifile is hidden, and bioio-czi has another."""
    r = subprocess.run([env / "bin/python", "-c", CODE, lzr.PYTHON_DIR, made[0], tmp_path], capture_output=True,
                       text=True, timeout=100 * lzr.SLOW, env=lzr.environment())
    assert r.returncode == 0, r.stderr
