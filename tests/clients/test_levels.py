"""Levels, read by real readers: tensorstore in four formats, zarr-python in two; against NumPy's pyramid
and tensorstore's own. Where voxels lie is tests/e2e/test_d_levels.py's."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
E2E = HERE.parent / "e2e"
sys.path.insert(0, str(E2E))
import lzr  # noqa: E402
import levels_images  # noqa: E402

TENSORSTORE = {"mean": "mean", "mode": "mode", "max": "max", "min": "min", "stride": "stride"}


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    folder, how = tmp_path_factory.mktemp("levels"), {}
    for name, (shape, _, _, more) in levels_images.IMAGES.items():
        for k, v in enumerate(levels_images.expected(name)):
            np.save(folder / f"{name}!{k}.npy", v)
        default = "mode" if more.get("kind") == "labels" else "mean"
        how[name] = {"steps": levels_images.steps(name),
                     "precomputed": len(shape) <= 3,  # the others have times or channels
                     "tensorstore": TENSORSTORE.get(more.get("pyramid", default))}
    (folder / "how.json").write_text(json.dumps(how))
    return folder


@pytest.mark.limit(120)
@pytest.mark.parametrize("env", ["py311", "py313"])
def test_every_level(values, env):
    python = lzr.ENVS / env / "bin" / "python"
    python = lzr.need(python.exists() and python, f"{env} (tests/clients/setup.sh makes it)")
    with lzr.Server(E2E / "levels_store.py", "--no-access-log") as srv:
        p = subprocess.run([python, HERE / "read_levels.py", srv.url, values], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=100 * lzr.SLOW, env=lzr.environment())
        assert p.stdout, p.stderr.decode()[-3000:]
        report = json.loads(p.stdout.decode().splitlines()[-1])
        print(report)
        assert not report["wrong"] and p.returncode == 0
        images, levels = len(levels_images.IMAGES), sum(len(levels_images.levels(n)) for n in levels_images.IMAGES)
        for reader in ("tensorstore zarr", "tensorstore zarr3", "tensorstore n5", "zarr-python zarr2",
                       "zarr-python zarr3"):
            assert report["counts"][reader] == levels
        assert report["counts"]["tensorstore precomputed"] == levels - len(levels_images.levels("stack"))
        assert report["counts"]["tensorstore downsample"] == levels - images - 2  # all but "each"
        m = srv.metrics()
    # However many readers and formats: each block once, each chunk of a C level once.
    blocks = made = 0
    for name, (_, chunks, _, _) in levels_images.IMAGES.items():
        counts = [int(np.prod([-(-n // c) for n, c in zip(v.shape, chunks)]))
                  for v in levels_images.expected(name)]
        blocks += sum(counts) if name == "each" else counts[0]
        made += 0 if name == "each" else sum(counts[1:])
    assert (m["computed_total"], m["made_total"]) == (blocks, made)
