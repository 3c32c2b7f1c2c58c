"""Files of kinds that one library each knows (kind_files.py makes them): values, axes, sizes, places, units and
channels as the library says; what is damaged, hostile or of a library that is missing is one line."""
import json
import os
import shutil
import subprocess

import numpy as np
import pytest

import indices
import lzr
import test_b_pythons

pytestmark = pytest.mark.limit(180)
NAMES = ["plain.mrc", "packed.mrc.gz", "stack.mrcs", "plain.nrrd", "packed.nrrd", "text.nrrd", "apart.nhdr", "colour.nrrd",
         "plain.mgh", "packed.mgz", "movie.mgz", "series", "frames.dcm", "colour.dcm", "IM0001", "cells.czi",
         "colour.czi::0", "colour.czi::1", "mosaic.czi", "leica.lif", "nikon.nd2", "levels.ims", "planes", "numbered",
         "two::0", "two::1", "images.lif::1", "groups::stack_t", "groups::gain", "groups::dark"]
#: The module that each kind needs.
LIBRARIES = {"plain.mrc": "mrcfile", "plain.nrrd": "pynrrd", "frames.dcm": "pydicom", "cells.czi": "czifile",
             "leica.lif": "liffile", "nikon.nd2": "nd2"}


@pytest.fixture(scope="session")
def env():
    where = lzr.ENVS / "files"
    lzr.need(where.is_dir(), "the environment files of tests/clients/setup.sh, with the libraries of all kinds")
    test_b_pythons.worker_for(where, 12, 2)
    return where


@pytest.fixture(scope="session")
def made(env, tmp_path_factory):
    """(the folder of all files, what is expected of each)"""
    folder = tmp_path_factory.mktemp("kinds") / "all"
    r = subprocess.run([env / "bin/python", lzr.Path(__file__).with_name("kind_files.py"), folder], capture_output=True,
                       text=True, timeout=120, env=lzr.environment())
    assert r.returncode == 0, r.stderr
    return folder, json.loads(r.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def srv(env, made):
    """One server of them all."""
    folder, want = made
    assert sorted(want) == sorted(NAMES)
    stores = [f"s{k}={folder}/{n}" for k, n in enumerate(NAMES)]
    server = lzr.Server(stores, "--python", env, "--no-access-log", "--workers", "1")
    yield server
    server.stop()


def describe(env, path, *args, **more):
    r = subprocess.run([lzr.LAZARR, "describe", path, "--python", env, *args], capture_output=True, text=True,
                       timeout=60 * lzr.SLOW, env=lzr.environment(**more))
    assert r.returncode in (0, 1) and "Traceback" not in r.stderr, r.stderr
    return r


@pytest.mark.parametrize("name", NAMES)
def test_each_kind_is_what_its_library_says(srv, made, name):
    folder, want = made
    want, values = want[name], np.load(folder / "want" / f"{name}.npy")
    root = f"/zarr2/s{NAMES.index(name)}.zarr/data"
    attrs = srv.get(f"{root}/.zattrs").json()
    m = attrs["multiscales"][0]
    assert "".join(a["name"] for a in m["axes"]) == want["axes"]
    got = lzr.read_array(srv, f"{root}/0")
    assert got.shape == values.shape and got.dtype.newbyteorder("=") == values.dtype.newbyteorder("=")
    assert np.array_equal(got, values)
    t = {t["type"]: t[t["type"]] for t in m["datasets"][0]["coordinateTransformations"]}
    assert np.allclose(t["scale"], want["scale"], rtol=1e-6)
    assert np.allclose(t.get("translation", [0] * values.ndim), want["translation"] or [0] * values.ndim)
    if want["units"]:
        assert [a.get("unit") for a in m["axes"]] == want["units"]
    if want["channels"]:
        assert [c["label"] for c in attrs["omero"]["channels"]] == want["channels"]
    if name == "levels.ims":
        assert np.array_equal(lzr.read_array(srv, f"{root}/1"), values[..., ::2, ::2])
        assert [c["color"] for c in attrs["omero"]["channels"]] == ["0000FF", "FF8000"]


def test_what_lies_in_one_piece_is_read_by_the_server(env, made):
    for name in ("plain.mrc", "plain.nrrd"):
        level = json.loads(describe(env, made[0] / name).stdout)["arrays"][0]["levels"][0]
        assert level["data"]["file"] == str((made[0] / name).resolve())


SHIPPED = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import lazarr, numpy as np, pydicom
from pydicom.pixels import apply_rescale, pixel_array
for name in sys.argv[2:]:
    path = os.path.join(os.path.dirname(pydicom.__file__), "data/test_files", name)
    a, ds = lazarr.open(path), pydicom.dcmread(path)
    want = apply_rescale(pixel_array(ds), ds)
    if ds.SamplesPerPixel == 3:
        want = np.moveaxis(want, -1, 0)
    assert a.shape == want.shape and (a[...] == want).all(), name
try:
    lazarr.open(path.replace(name, "MR_small_jpeg_ls_lossless.dcm"))
except lazarr.StoreError as e:
    assert "pip install pylibjpeg" in str(e), e
else:
    raise AssertionError("read without a plugin")
"""


def test_files_that_pydicom_ships(env):
    names = ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "rtdose.dcm",
             "SC_rgb_rle_16bit.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_dcmtk_+eb+cy+s2.dcm", "ExplVR_BigEnd.dcm", "liver_1frame.dcm"]
    r = subprocess.run([env / "bin/python", "-c", SHIPPED, lzr.PYTHON_DIR, *names], capture_output=True, text=True,
                       timeout=60 * lzr.SLOW, env=lzr.environment())
    assert r.returncode == 0, r.stderr


STORE = """
import lazarr
for name in ("series", "cells.czi", "nikon.nd2", "planes"):
    lazarr.source(name.partition(".")[0], name)
a = lazarr.open("leica.lif")
@lazarr.array("sum", shape=(3,), dtype="float64", chunks=(1,))
def total(block):
    k = block.slices[0].start
    return [float(a[0:1, 1:2, k:k + 1].sum())]
"""


def test_kinds_named_in_a_store(env, made, open_file):
    folder, _ = made
    (folder / "s.py").write_text(STORE)
    try:
        srv = open_file(folder / "s.py", "--python", env)
        for name in ("series", "cells.czi", "nikon.nd2", "planes"):
            values = np.load(folder / "want" / f"{name}.npy")
            assert np.array_equal(lzr.read_array(srv, f"/zarr2/s.zarr/{name.partition('.')[0]}/0"), values), name
        v = np.load(folder / "want/leica.lif.npy")
        assert np.array_equal(lzr.read_array(srv, "/zarr2/s.zarr/sum"), v[0, 1].sum((1, 2), dtype="f8"))
    finally:
        os.remove(folder / "s.py")


OPEN = """
import json, sys
sys.path.insert(0, sys.argv[1])
import lazarr
said = {}
for path in sys.argv[2:]:
    try:
        said[path] = list(lazarr.open(path).shape)
    except lazarr.StoreError as e:
        said[path] = str(e)
print(json.dumps(said))
"""


def opened(python, paths):
    """What lazarr.open says of each, in one process: a shape, or why there is none."""
    r = subprocess.run([python, "-c", OPEN, lzr.PYTHON_DIR, *paths], capture_output=True, text=True,
                       timeout=60 * lzr.SLOW, env=lzr.environment())
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout.splitlines()[-1])


def test_a_missing_library_is_one_line_that_names_the_package(made):
    """Debian's Python has none of these here."""
    folder, _ = made
    said = opened("/usr/bin/python3", [folder / n for n in LIBRARIES])
    for name, package in LIBRARIES.items():
        assert f"pip install {package}" in said[str(folder / name)] and "\n" not in said[str(folder / name)]
    r = subprocess.run([lzr.LAZARR, "describe", folder / "plain.mrc"], capture_output=True, text=True, timeout=60,
                       env=lzr.environment())
    assert r.returncode == 1 and "pip install mrcfile" in r.stderr and len(r.stderr.strip().splitlines()) == 1


INDEXED = """
folder, names = sys.argv[3], json.loads(sys.argv[4])
done = [check(f"{folder}/{n}", np.load(f"{folder}/want/{n}.npy")) for n in names]
"""


def test_what_is_opened_is_indexed_as_an_ndarray_is(env, made):
    folder, want = made
    assert indices.run(env / "bin/python", INDEXED, folder, json.dumps(sorted(want))) == len(want)


def edited(path, to, *edits):
    """A copy with some bytes replaced: (offset or bytes, bytes) each."""
    data = bytearray(path.read_bytes())
    for at, new in edits:
        at = data.index(at) if isinstance(at, bytes) else at
        data[at:at + len(new)] = new
    to.write_bytes(data)
    return to


HUGE = (1 << 30).to_bytes(4, "little")


HOSTILE = [
    ("plain.mrc", [(0, HUGE)], "declares"), ("plain.mrc", [(12, b"\x63\0\0\0")], "makes no sense"),
    ("plain.mrc", [(92, b"\xff\xff\xff\xff")], "bytes of another follow"), ("packed.mrc.gz", [(20, b"\xff" * 8)], "can't be read"),
    ("plain.nrrd", [(b"30 20 3", b"99 99 9")], "declares"), ("plain.nrrd", [(b"uint16", b"ustuff")], "type"),
    ("packed.nrrd", [(b"gzip", b"hexx")], "isn't read"), ("apart.nhdr", [(b"apart.raw.bz2", b"../raw.raw.b2")], "leads to"),
    ("plain.mgh", [(4, b"\x00\xff\xff\xff")], "can't hold more"), ("movie.mgz", [(12, b"\xff" * 30)], "can't be read"),
    ("frames.dcm", [(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.99")], "transfer syntax"),
    ("frames.dcm", [(128, b"dicm")], "doesn't begin"), ("cells.czi", [(0, b"not a czi")], "can't be read"),
    ("leica.lif", [(0, b"x")], "doesn't begin"), ("nikon.nd2", [(0, b"x")], "doesn't begin"),
    ("leica.lif", [('NumberOfElements="30"'.encode("utf-16-le"), 'NumberOfElements="99"'.encode("utf-16-le"))], "")]


def test_hostile_headers_are_one_line(env, made, tmp_path):
    want = {}
    for k, (name, edits, said) in enumerate(HOSTILE):
        (tmp_path / str(k)).mkdir()
        want[str(edited(made[0] / name, tmp_path / str(k) / name, *edits))] = said
    data = (made[0] / "leica.lif").read_bytes()
    n = 2 * int.from_bytes(data[9:13], "little")
    xml = '<!DOCTYPE a [<!ENTITY b "c">]>'.encode("utf-16-le") + data[13:13 + n]
    (tmp_path / "a.lif").write_bytes(data[:9] + (len(xml) // 2).to_bytes(4, "little") + xml + data[13 + n:])
    want[str(tmp_path / "a.lif")] = "entities"
    for path, said in opened(env / "bin/python", want).items():
        assert isinstance(said, str) and want[path] in said and "\n" not in said, (path, said)
    r = describe(env, next(iter(want)))
    assert r.returncode == 1 and r.stderr.strip().splitlines()[-1].startswith("lazarr: plain.mrc: ")


def test_a_link_out_of_a_folder_of_files_needs_follow(env, made, tmp_path):
    for name in ("series", "numbered"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copytree(made[0] / name, tmp_path / "away" / name)
        for k, n in enumerate(sorted(os.listdir(tmp_path / "away" / name))):
            (folder / n).symlink_to(tmp_path / "away" / name / n)
        r = describe(env, folder)
        assert r.returncode == 1 and "--follow" in r.stderr, r.stderr
    assert describe(env, folder, "--follow").returncode == 0


def test_planes_that_differ_or_go_missing_fail(env, made, tmp_path, open_file):
    folder = tmp_path / "numbered"
    shutil.copytree(made[0] / "numbered", folder)
    (folder / "10.tif").write_bytes((made[0] / "planes/cells_z9_ch0.tif").read_bytes()[:300])
    srv = open_file(folder, "--python", env)
    assert srv.get("/zarr2/numbered.zarr/data/0/0/0/0").status == 200
    r = srv.get("/zarr2/numbered.zarr/data/0/2/0/0")
    assert r.status == 500
    os.remove(folder / "9.tif")
    assert srv.get("/zarr2/numbered.zarr/data/0/1/0/0").status == 500


@pytest.mark.parametrize("entries,said", [(["a.txt"], "no .py or .json"), (["a.txt", "s.py"], None)])
def test_folders_that_are_none_of_these(tmp_path, entries, said):
    for n in entries:
        (tmp_path / n).write_text("import lazarr\n@lazarr.array('a', shape=(1,), chunks=(1,), dtype='u1')\ndef a(b):\n    return b.zeros()\n")
    (tmp_path / "x.tif").write_bytes(b"") if said is None else None
    r = subprocess.run([lzr.LAZARR, "describe", tmp_path], capture_output=True, text=True, timeout=60)
    assert (r.returncode == 1 and said in r.stderr) if said else r.returncode == 0, r.stderr
