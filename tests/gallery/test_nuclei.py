"""examples/nuclei.py with the real StarDist: labels predicted per block, over HTTP, against those of the
whole image and against the mask that comes with it."""
import json
import os
import subprocess

import numpy as np
import pytest

import lzr

PREFIX = lzr.ENVS / "stardist"
CACHE = lzr.ENVS / "nuclei"

# In the environment's own Python, without lazarr's server: the whole image at once, each block by hand.
WHOLE = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
m = runpy.run_path(sys.argv[2])
image, chunk, halo = m["image"](), m["CHUNK"], m["HALO"]
padded = np.pad(image, halo, "reflect")
blocks = np.zeros(image.shape, "u4")
for y in range(0, image.shape[0], chunk):
    for x in range(0, image.shape[1], chunk):
        part = m["segment"](padded[y:y + chunk + 2 * halo, x:x + chunk + 2 * halo],
                            np.array([y - halo, x - halo]), image.shape)
        blocks[y:y + chunk, x:x + chunk] = part[halo:-halo, halo:-halo]
whole = m["segment"](image, 0, image.shape)
from stardist.data import test_image_nuclei_2d
from stardist.matching import matching
mask = test_image_nuclei_2d(return_mask=True)[1]
def in_order(a):
    return np.unique(a, return_inverse=True)[1].reshape(a.shape).astype("i4")
def score(a, b):
    return float(matching(in_order(a), in_order(b), thresh=0.5).f1)
served = np.load(sys.argv[3])
np.savez(sys.argv[4], image=image, whole=whole, blocks=blocks, mask=mask)
print("scores", json.dumps({"whole against mask": score(mask, whole), "served against mask": score(mask, served),
      "served against whole": score(whole, served), "objects, whole": len(np.unique(whole)) - 1,
      "objects, served": len(np.unique(served)) - 1}))
"""


@pytest.mark.limit(800)
def test_nuclei(tmp_path):
    lzr.need((PREFIX / "bin/python").exists() and (CACHE / "lazarr-nuclei-1").exists(),
             "stardist and its network (tests/gallery/setup.sh)")
    store = lzr.ROOT / "examples/nuclei.py"
    with lzr.Server(store, "--python", PREFIX, "--workers", "2",
                    env={"XDG_CACHE_HOME": os.fspath(CACHE)}) as srv:
        pending = [srv.begin(f"/zarr2/nuclei.zarr/nuclei/0/{y}/{x}") for y in range(4) for x in range(4)]
        chunks = [p.result(timeout=600) for p in pending]
        assert [r.status for r in chunks] == [200] * 16, chunks
        labels = lzr.read_array(srv, "/zarr2/nuclei.zarr/nuclei/0")
        raw = lzr.read_array(srv, "/zarr2/nuclei.zarr/raw/0")
        coarse = lzr.read_array(srv, "/zarr2/nuclei.zarr/nuclei/2")
        attributes = srv.get("/zarr2/nuclei.zarr/raw/labels/nuclei/.zattrs").json()
    assert labels.shape == raw.shape == (512, 512) and labels.dtype == np.dtype("u4")
    assert coarse.shape == (128, 128) and set(np.unique(coarse)) <= set(np.unique(labels))
    assert attributes["image-label"]["source"]["image"] == "../../"
    np.save(tmp_path / "served.npy", labels)
    p = subprocess.run([PREFIX / "bin/python", "-c", WHOLE, lzr.PYTHON_DIR, store, tmp_path / "served.npy",
                        tmp_path / "whole.npz"], stdout=subprocess.PIPE, timeout=600,
                       env=lzr.environment(XDG_CACHE_HOME=os.fspath(CACHE)))
    assert p.returncode == 0
    scores = json.loads(p.stdout.decode().split("scores ")[1])
    print(scores)
    with np.load(tmp_path / "whole.npz") as whole:
        assert np.array_equal(raw, whole["image"])
        assert (labels == whole["blocks"]).mean() > 0.999, "served blocks are those computed by hand"
        assert ((labels > 0) == (whole["whole"] > 0)).mean() > 0.97
        np.savez(CACHE / "last.npz", served=labels, **whole)
    assert scores["whole against mask"] > 0.8 and scores["served against whole"] > 0.75
