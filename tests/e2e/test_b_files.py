"""lazarr serve FILE[::path]: data files as stores, written here with the real libraries; values, levels, axes,
units and attributes as they are in the file."""
import json
import os
import subprocess

import numpy as np
import pytest

import lzr
import test_b_pythons

V = np.random.default_rng(1).integers(0, 60000, (5, 13, 17)).astype("u2")
ENVS = lzr.Path(os.environ.get("LZR_ENVS", lzr.ROOT / "build/envs"))


def run(*args, cwd=None):
    return subprocess.run([str(a) for a in (lzr.LAZARR, *args)], stdin=subprocess.DEVNULL, cwd=cwd,
                          capture_output=True, text=True, timeout=60, env=lzr.environment())


def same(srv, path, want):
    got = lzr.read_array(srv, path)
    assert got.shape == want.shape and got.dtype.newbyteorder("=") == want.dtype.newbyteorder("="), \
        (path, got.shape, got.dtype, want.shape, want.dtype)
    assert np.array_equal(got, want, equal_nan=want.dtype.kind in "fc"), path


def multiscale(srv, path):
    """(axes, units, [(scale, translation) of each level], attributes)"""
    attrs = srv.get(f"{path}/.zattrs").json()
    m = attrs["multiscales"][0]
    places = []
    for d in m["datasets"]:
        t = {t["type"]: t[t["type"]] for t in d["coordinateTransformations"]}
        places.append((t["scale"], t.get("translation", [0] * len(m["axes"]))))
    return "".join(a["name"] for a in m["axes"]), [a.get("unit") for a in m["axes"]], places, attrs


def test_npy(open_file, tmp_path):
    np.save(tmp_path / "my file.npy", V)  # a name that a store can't have
    srv = open_file(tmp_path / "my file.npy")
    same(srv, "/zarr2/my_file.zarr/data", V)
    assert srv.metric("source_reads_total") > 0 and srv.metric("computed_total") == 0
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    r = run("describe", tmp_path / "objects.npy")
    assert r.returncode == 1 and "objects.npy: " in r.stderr and "Object arrays" in r.stderr
    (tmp_path / "bad.npy").write_bytes(b"no array")
    r = run("describe", tmp_path / "bad.npy")
    assert r.returncode == 1 and r.stderr.startswith("lazarr: bad.npy: ")


def test_nifti(open_file, tmp_path):
    import nibabel
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-10, -20, -30]
    a = np.arange(6 * 7 * 8, dtype="i2").reshape(6, 7, 8) - 50
    t = np.arange(6 * 7 * 8 * 2, dtype="f4").reshape(6, 7, 8, 2)

    def save(name, values, **header):
        image = nibabel.Nifti1Image(values, affine)
        image.header.set_xyzt_units("mm", "sec")
        image.header["descrip"] = b"made for a test"
        if values.ndim == 4:
            image.header.set_zooms((2, 3, 4, 1.5))
        if header:
            image.header.set_slope_inter(header["slope"], header["inter"])
        nibabel.save(image, tmp_path / name)

    save("plain.nii", a)
    save("packed.nii.gz", a)
    save("time.nii", t)
    save("scaled.nii", a * 1.0)  # floats as they are
    image = nibabel.Nifti1Image(a.astype("f8") * 0.5 + 3, affine)
    image.header.set_data_dtype("i2")
    nibabel.save(image, tmp_path / "slope.nii")
    srv = open_file(tmp_path / "plain.nii")
    same(srv, "/zarr2/plain.zarr/data/0", a.T)
    axes, units, places, attrs = multiscale(srv, "/zarr2/plain.zarr/data")
    assert axes == "zyx" and units == ["millimeter"] * 3
    assert places == [([4, 3, 2], [-30, -20, -10])]
    assert attrs["nifti"]["affine"] == affine.tolist() and attrs["nifti"]["descrip"].startswith("made")
    assert srv.metric("computed_total") == 0  # uncompressed, unscaled: the server reads it
    srv = open_file(tmp_path / "packed.nii.gz")
    same(srv, "/zarr2/packed.zarr/data/0", a.T)
    srv = open_file(tmp_path / "time.nii")
    same(srv, "/zarr2/time.zarr/data/0", t.transpose(3, 2, 1, 0))
    axes, units, places, _ = multiscale(srv, "/zarr2/time.zarr/data")
    assert axes == "tzyx" and units == ["second"] + ["millimeter"] * 3 and places[0][0] == [1.5, 4, 3, 2]
    srv = open_file(tmp_path / "slope.nii")
    want = np.asarray(nibabel.load(tmp_path / "slope.nii").dataobj)
    assert want.dtype == np.float64 and nibabel.load(tmp_path / "slope.nii").dataobj.slope != 1
    same(srv, "/zarr2/slope.zarr/data/0", want.T)


def test_tiff(open_file, tmp_path):
    import tifffile
    tifffile.imwrite(tmp_path / "plain.tif", V)
    tifffile.imwrite(tmp_path / "packed.tif", V, compression="zlib", metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "rgb.tif", np.stack([V[0].astype("u1")] * 3, -1), photometric="rgb")
    tifffile.imwrite(tmp_path / "ij.tif", V[:4].reshape(2, 2, 13, 17), imagej=True, resolution=(2, 4),
                     metadata={"axes": "ZCYX", "spacing": 3.0, "unit": "um"})
    tifffile.imwrite(tmp_path / "ome.ome.tif", V[:4].reshape(2, 2, 13, 17), bigtiff=True, metadata={
        "axes": "CZYX", "PhysicalSizeX": .25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": .5,
        "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 2000, "PhysicalSizeZUnit": "nm",
        "Channel": {"Name": ["DAPI", "GFP"]}})
    base = np.random.default_rng(2).integers(0, 255, (300, 400)).astype("u1")
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as w:
        w.write(base, subifds=2, tile=(64, 64), compression="zlib", metadata={"axes": "YX"})
        w.write(base[::2, ::2], subfiletype=1, tile=(64, 64), compression="zlib")
        w.write(base[::4, ::4], subfiletype=1, tile=(64, 64), compression="zlib")
    with tifffile.TiffWriter(tmp_path / "two.tif") as w:
        w.write(V[0], metadata=None)
        w.write(base, metadata=None)

    srv = open_file([tmp_path / f"{n}.tif" for n in ("plain", "packed", "rgb", "ij", "pyramid", "two")]
                    + [tmp_path / "ome.ome.tif"])
    same(srv, "/zarr2/plain.zarr/data/0", V)  # pages without a name are z
    same(srv, "/zarr2/packed.zarr/data/0", V)
    rgb = np.stack([V[0].astype("u1")] * 3)
    same(srv, "/zarr2/rgb.zarr/data/0", rgb)
    assert multiscale(srv, "/zarr2/rgb.zarr/data")[0] == "cyx"
    ij = V[:4].reshape(2, 2, 13, 17).transpose(1, 0, 2, 3)
    same(srv, "/zarr2/ij.zarr/data/0", ij)
    axes, units, places, _ = multiscale(srv, "/zarr2/ij.zarr/data")
    assert axes == "czyx" and units[1:] == ["micrometer"] * 3 and places[0][0] == [1, 3, .25, .5]
    same(srv, "/zarr2/ome.zarr/data/0", V[:4].reshape(2, 2, 13, 17))
    axes, units, places, attrs = multiscale(srv, "/zarr2/ome.zarr/data")
    assert axes == "czyx" and units == [None, "nanometer", "micrometer", "micrometer"]
    assert places[0][0] == [1, 2000, .5, .25]
    assert [c["label"] for c in attrs["omero"]["channels"]] == ["DAPI", "GFP"]
    for k, step in enumerate((1, 2, 4)):
        same(srv, f"/zarr2/pyramid.zarr/data/{k}", base[::step, ::step])
    assert [p[0] for p in multiscale(srv, "/zarr2/pyramid.zarr/data")[2]] == [[1, 1], [2, 2], [4, 4]]
    same(srv, "/zarr2/two.zarr/series0/0", V[0])
    same(srv, "/zarr2/two.zarr/series1/0", base)
    srv.stop()
    srv = open_file(f"{tmp_path / 'two.tif'}::1")
    same(srv, "/zarr2/two.zarr/data/0", base)


def test_hdf5(open_file, tmp_path):
    import h5py
    path = tmp_path / "all.h5"
    with h5py.File(path, "w") as f:
        f.attrs["title"] = "a file"
        d = f.create_dataset("exp/run 1/raw", data=V, chunks=(2, 5, 17), compression="gzip", fillvalue=7)
        d.attrs["gain"] = np.float32(1.5)
        d.attrs["axes"] = ["z", "y", "x"]
        for dim, label in zip(d.dims, ("depth", "row", "column")):
            dim.label = label
        f["exp"].attrs["who"] = "me"
        f["contiguous"] = V.astype(">f4")
        f["scalar"] = 3.5
        f["flags"] = V % 2 == 0
        f["text"] = ["no", "numbers"]
        f["again"] = h5py.SoftLink("/contiguous")
        f["info"] = np.arange(5)
        f["nothing"] = h5py.Empty("f")
    srv = open_file(path)
    same(srv, "/zarr2/all.zarr/exp/run_1/raw", V)
    meta = srv.get("/zarr2/all.zarr/exp/run_1/raw/.zarray").json()
    assert meta["chunks"] == [2, 5, 17] and meta["fill_value"] == 7
    attrs = srv.get("/zarr2/all.zarr/exp/run_1/raw/.zattrs").json()
    assert attrs["gain"] == 1.5 and attrs["axes"] == ["z", "y", "x"]
    assert attrs["_ARRAY_DIMENSIONS"] == ["depth", "row", "column"]
    assert srv.get("/zarr2/all.zarr/.zattrs").json()["title"] == "a file"
    assert srv.get("/zarr2/all.zarr/exp/.zattrs").json()["who"] == "me"
    with srv.delta() as d:
        same(srv, "/zarr2/all.zarr/contiguous", V.astype(">f4"))
        same(srv, "/zarr2/all.zarr/again", V.astype(">f4"))
    assert d["computed_total"] == 0 and d["source_reads_total"] == 2
    same(srv, "/zarr2/all.zarr/scalar", np.array(3.5))
    same(srv, "/zarr2/all.zarr/flags", V % 2 == 0)
    same(srv, "/zarr2/all.zarr/info_", np.arange(5))
    assert srv.get("/zarr2/all.zarr/text/.zarray").json()["dtype"] == "<U7"
    assert srv.log.count("is left out") == 1
    srv.stop()
    srv = open_file(f"{path}::/exp/run 1/raw")
    same(srv, "/zarr2/all.zarr/exp/run_1/raw", V)
    assert srv.get("/zarr2/all.zarr/contiguous/.zarray").status == 404
    srv.stop()
    r = run("describe", f"{path}::/exp/none")
    assert r.returncode == 1 and "all.h5: there is no 'exp/none' in it" in r.stderr
    r = run("get", f"{path}::contiguous", "zarr2/all.zarr/contiguous/.zarray")
    assert r.returncode == 0 and json.loads(r.stdout)["shape"] == list(V.shape)


def write_ngff(folder, version, create):
    """An OME-NGFF image with two levels, channels and labels; create(path, values) writes an array."""
    image = {"multiscales": [{
        "version": version, "name": "cells", "axes": [
            {"name": "c", "type": "channel"}, {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"}],
        "datasets": [
            {"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [1, .5, .25]}]},
            {"path": "half", "coordinateTransformations": [
                {"type": "scale", "scale": [1, 1, .5]}, {"type": "translation", "translation": [0, 3, 4]}]}]}],
        "omero": {"channels": [
            {"label": "red", "color": "FF0000", "window": {"min": 0, "max": 65535, "start": 5, "end": 900},
             "active": True},
            {"label": "green", "color": "00FF00", "window": {"min": 0, "max": 65535, "start": 0, "end": 9},
             "active": True}]}}
    labels = {"multiscales": [{
        "version": version, "axes": image["multiscales"][0]["axes"][1:], "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [.5, .25]}]}]}],
        "image-label": {"version": version, "source": {"image": "../../"}}}
    create("full", V[:2])
    create("half", V[:2, ::2, ::2])
    create("labels/nuclei/0", (V[0] % 5).astype("u4"))
    create("more/table", np.arange(12, dtype="f8").reshape(3, 4))
    return {"": dict(image, mine={"a": 1}), "labels": {"labels": ["nuclei"]}, "labels/nuclei": labels,
            "more": {"who": "me"}}


def check_ngff(srv, store):
    root = f"/zarr2/{store}.zarr/data"
    same(srv, f"{root}/0", V[:2])
    same(srv, f"{root}/1", V[:2, ::2, ::2])
    axes, units, places, attrs = multiscale(srv, root)
    assert axes == "cyx" and units == [None, "micrometer", "micrometer"] and attrs["mine"] == {"a": 1}
    assert places == [([1, .5, .25], [0, 0, 0]), ([1, 1, .5], [0, 3, 4])]
    assert [c["label"] for c in attrs["omero"]["channels"]] == ["red", "green"]
    assert attrs["omero"]["channels"][0]["window"]["end"] == 900
    same(srv, f"{root}/labels/nuclei/0", (V[0] % 5).astype("u4"))
    same(srv, f"/zarr2/{store}.zarr/more/table", np.arange(12, dtype="f8").reshape(3, 4))
    assert srv.get(f"/zarr2/{store}.zarr/more/.zattrs").json()["who"] == "me"


def test_zarr_v2(open_file, tmp_path):
    import zarr
    z = zarr.open(str(tmp_path / "one.zarr"), mode="w", shape=V.shape, chunks=(2, 6, 17), dtype="<u2",
                  fill_value=3)
    z[:3] = V[:3]
    z.attrs.update(_ARRAY_DIMENSIONS=["z", "y", "x"], gain=2)
    srv = open_file(tmp_path / "one.zarr")
    same(srv, "/zarr2/one.zarr/data", z[:])
    meta = srv.get("/zarr2/one.zarr/data/.zarray").json()
    assert meta["chunks"] == [2, 6, 17] and meta["fill_value"] == 3
    assert srv.get("/zarr2/one.zarr/data/.zattrs").json() == {"_ARRAY_DIMENSIONS": ["z", "y", "x"], "gain": 2}
    srv.stop()

    def create(path, values):
        g = zarr.open_group(str(tmp_path / "ngff"), mode="a")  # a container, whatever its name
        g.create_dataset(path, data=values, chunks=(4,) * values.ndim, dimension_separator="/")
    for path, attrs in write_ngff(tmp_path, "0.4", create).items():
        zarr.open_group(str(tmp_path / "ngff"), mode="a").require_group(path).attrs.update(attrs)
    srv = open_file(tmp_path / "ngff")
    check_ngff(srv, "ngff")
    srv.stop()
    srv = open_file(f"{tmp_path / 'ngff'}::more")
    same(srv, "/zarr2/ngff.zarr/more/table", np.arange(12, dtype="f8").reshape(3, 4))


def test_zarr_v3(open_file, tmp_path):
    prefix = ENVS / "py312"
    lzr.need(prefix.is_dir(), "the environment py312 of tests/clients/setup.sh, with zarr 3")
    test_b_pythons.worker_for(prefix, 12, 2)
    code = tmp_path / "write.py"
    np.save(tmp_path / "v.npy", V)
    code.write_text("""
import sys, json, numpy as np, zarr
sys.path.insert(0, sys.argv[1])
V = np.load(sys.argv[2] + "/v.npy")
exec(open(sys.argv[1] + "/test_b_files.py").read().split("def write_ngff")[1].join(
    ["def write_ngff", ""]).split("def check_ngff")[0])
root = sys.argv[2] + "/v3.zarr"
zarr.open_group(root, mode="w", zarr_format=3)
def create(path, values):
    zarr.create_array(root, name=path, data=values, chunks=(4,) * values.ndim, zarr_format=3)
for path, attrs in write_ngff(None, "0.5", create).items():
    own = {k: attrs.pop(k) for k in ("multiscales", "omero", "image-label", "labels") if k in attrs}
    g = zarr.open_group(root, path=path, mode="a", zarr_format=3)
    g.attrs.update(dict(attrs, ome=dict(own, version="0.5")))
""")
    p = subprocess.run([prefix / "bin/python", code, lzr.Path(__file__).parent, tmp_path],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    srv = open_file(tmp_path / "v3.zarr", "--python", prefix)
    check_ngff(srv, "v3")
    srv.stop()
    r = run("describe", tmp_path / "v3.zarr")  # Debian's zarr 2 can't
    assert r.returncode == 1 and "is Zarr v3" in r.stderr and "pip install 'zarr>=3'" in r.stderr


def test_n5(open_file, tmp_path):
    import numcodecs
    import zarr
    import zarr.n5
    root = tmp_path / "vol.n5"
    g = zarr.group(zarr.n5.N5Store(str(root)), overwrite=True)
    for name, codec in (("gzip", numcodecs.GZip(1)), ("raw", None), ("bz2", numcodecs.BZ2(1)),
                        ("lzma", numcodecs.LZMA(preset=1))):
        d = g.create_dataset(f"by/{name}", shape=V.shape, chunks=(2, 6, 8), dtype="u2", compressor=codec)
        d[:4] = V[:4]  # and nothing in the rest
    for k in range(2):
        v = V[:, ::2 ** k, ::2 ** k]
        g.create_dataset(f"img/s{k}", data=v, chunks=(2, 6, 8), compressor=numcodecs.GZip(1))
    own = json.loads((root / "img/attributes.json").read_text()) \
        if (root / "img/attributes.json").exists() else {}
    (root / "img/attributes.json").write_text(json.dumps(dict(
        own, pixelResolution={"unit": "um", "dimensions": [.5, .5, 2.0]}, author="me",
        scales=[[1, 1, 1], [2, 2, 1]])))
    srv = open_file(root)
    want = V.copy()
    want[4:] = 0
    for name in ("gzip", "raw", "bz2", "lzma"):
        same(srv, f"/zarr2/vol.zarr/by/{name}", want)
    assert srv.get("/zarr2/vol.zarr/by/raw/.zarray").json()["chunks"] == [2, 6, 8]
    same(srv, "/zarr2/vol.zarr/img/0", V)
    same(srv, "/zarr2/vol.zarr/img/1", V[:, ::2, ::2])
    axes, units, places, attrs = multiscale(srv, "/zarr2/vol.zarr/img")
    assert axes == "zyx" and units == ["micrometer"] * 3 and attrs["author"] == "me"
    assert places == [([2, .5, .5], [0, 0, 0]), ([2, 1, 1], [0, .25, .25])]
    srv.stop()
    srv = open_file(f"{root}::by/raw")
    same(srv, "/zarr2/vol.zarr/by/raw", want)


def test_op(open_file, tmp_path):
    from scipy import ndimage
    np.save(tmp_path / "v.npy", V)
    (tmp_path / "imports.py").write_text("import nowhere\n")
    (tmp_path / "mymodule.py").write_text("""
import numpy as np
from scipy import ndimage
def smooth(block, data):
    return ndimage.uniform_filter(data.astype("f4"), 3, mode="nearest")
smooth.lazarr = {"halo": 1, "boundary": "edge", "dtype": "float32", "chunks": 5}
def negative(block, data):
    return 65535 - data
ordinary = 3
""")
    srv = open_file(tmp_path / "v.npy", "--op", "mymodule:smooth", "--op", "mymodule:negative", cwd=tmp_path)
    same(srv, "/zarr2/v.zarr/negative", 65535 - V)
    got = lzr.read_array(srv, "/zarr2/v.zarr/smooth")
    want = ndimage.uniform_filter(V.astype("f4"), 3, mode="nearest")
    assert got.dtype == want.dtype and np.allclose(got, want, rtol=1e-5)
    for op, text in (("mymodule:none", "has no 'none'"), ("nomodule:f", "v.npy: --op: there is no module 'nomodule'"),
                     ("mymodule.py:smooth", "there is no module 'mymodule.py': say mymodule:smooth\n"),
                     ("imports:f", "v.npy: ModuleNotFoundError: No module named 'nowhere' in"),
                     ("mymodule:ordinary", "must be a function of (block, data)")):
        r = run("describe", tmp_path / "v.npy", "--op", op, cwd=tmp_path)
        assert r.returncode == 1 and text in r.stderr, r.stderr
    assert run("describe", tmp_path / "v.npy", "--op", "nocolon").returncode == 2
    (tmp_path / "s.py").write_text("")
    r = run("describe", tmp_path / "s.py", "--op", "a:b")
    assert r.returncode == 1 and "lazarr: --op is for data files, and none is given: 'a:b'" in r.stderr
    for option, value in (("axes", "zyx"), ("scale", "2"), ("units", "um"), ("channels", "a,b"), ("chunks", "4"),
                          ("dtype", "uint8")):
        r = run("describe", tmp_path / "s.py", f"--{option}", value)
        assert r.returncode == 1 and f"lazarr: --{option} is for data files, and none is given: '{value}'" in r.stderr
    r = run("describe", tmp_path / "s.py", "--raw")
    assert r.returncode == 1 and "lazarr: --raw is for data files, and none is given\n" in r.stderr


def test_what_is_missing_is_said_in_one_line(tmp_path):
    import h5py
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f["a"] = 1
    prefix = ENVS / "py311np1"
    lzr.need(prefix.is_dir(), "the environment py311np1 of tests/clients/setup.sh")
    r = run("describe", tmp_path / "x.h5", "--python", prefix)
    assert r.returncode == 1 and r.stderr.count("\n") <= 2, r.stderr
    assert "x.h5: reading HDF5 needs h5py" in r.stderr and "apt install python3-h5py" in r.stderr
    (tmp_path / "bad.tif").write_bytes(b"nothing")
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "text.txt").write_text("x")
    for name, text in (("bad.tif", "bad.tif: it can't be read"), ("empty.zarr", "no Zarr array or group"),
                       ("text.txt", "not a store: expected"), ("none.h5", "No such file"),
                       ("x.h5::/b", "there is no 'b' in it"), ("text.txt::b", "'::' is for data files")):
        r = run("describe", tmp_path / name)
        assert r.returncode == 1 and text in r.stderr and "Traceback" not in r.stderr, r.stderr


@pytest.mark.limit(120)
def test_a_tifffile_that_is_too_new_for_the_zarr_there_is(tmp_path):
    """tifffile since 2025 refuses zarr-python 2 when it is asked for tiles; the file is then read as without zarr."""
    import tifffile
    env = tmp_path / "env"
    p = subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages", env],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=lzr.environment())
    lzr.need(p.returncode == 0, "python3-venv")
    packages, = env.glob("lib/python*/site-packages")
    (packages / "newer.pth").write_text("import newer\n")
    (packages / "newer.py").write_text("""
import importlib.abc, importlib.util, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "tifffile.tifffile":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            def aszarr(self, *args, **more):
                raise ValueError("zarr 2.13.6 < 3 is not supported")
            module.TiffPageSeries.aszarr = aszarr
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Finder())
""")
    values = np.arange(40 * 50, dtype="u2").reshape(40, 50)
    tifffile.imwrite(tmp_path / "packed.tif", values, compression="zlib")
    with lzr.Server(tmp_path / "packed.tif", "--python", env, "--no-access-log") as srv:
        got = lzr.read_array(srv, "/zarr2/packed.zarr/data/0")
    assert (got == values).all()
