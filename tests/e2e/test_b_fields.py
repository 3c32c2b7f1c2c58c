"""What the command line says beside a file, and what --op gets of it; masks are alike in all faces. What files say by
themselves is test_b_matrix's."""
import json
import os
import subprocess

import numpy as np
import pytest

import field_files
import lzr
import rows
from test_b_files import run

OPS = "def same(block, data):\n    return data\n"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """(the folder, a server for each file of the netCDF kinds in it, by name)"""
    folder = tmp_path_factory.mktemp("fields")
    names = {row.partition(":")[0] for row in field_files.files(folder)}
    servers = {n: lzr.Server([folder / n], "--workers", "1") for n in names if n.startswith(("cf.", "old."))}
    yield folder, servers
    for s in servers.values():
        s.kill()


def _check_image(attrs, want, name):
    m = attrs["multiscales"][0]
    assert "".join(a["name"] for a in m["axes"]) == want.axes, name
    scale = next(t["scale"] for t in m["datasets"][0]["coordinateTransformations"] if t["type"] == "scale")
    if want.scale is not None:
        assert np.allclose(scale, want.scale), (name, scale)
    if want.units is not None:
        assert [a.get("unit") for a in m["axes"]] == want.units, name
    if want.channels is not None:
        got = attrs["omero"]["channels"]
        assert [(c["label"], c["color"]) for c in got] == want.channels, (name, got)


XARRAY = """
import sys, json, warnings; warnings.simplefilter("ignore")
import numpy as np, xarray as xr
out = {}
for url in sys.argv[1:]:
    d = xr.open_zarr(url, chunks=None)
    out[url] = {"t": np.asarray(d[[n for n in d if n in ("t2m", "t")][0]], "f8").tolist(), "lat": list(d.lat.dims),
                "sel": float(np.nansum(d.sel(lat=d.lat[1])[[n for n in d if n in ("t2m", "t")][0]]))}
print(json.dumps(out))
"""


def test_masks_and_coordinates_are_alike_in_both_faces(datasets):
    """What xarray makes of a packed, masked variable through Zarr v2 and v3."""
    _, others = datasets
    python = lzr.ENVS / "py311/bin/python"
    lzr.need(python.exists(), "the environment py311 of tests/clients/setup.sh")
    urls = {f"{s.url}/{face}/{n.split('.')[0]}.zarr": n for n, s in others.items()
            for face in ("zarr2", "zarr3")}
    r = subprocess.run([python, "-c", XARRAY, *urls], capture_output=True, text=True, timeout=120,
                       env=lzr.environment())
    assert r.returncode == 0, r.stderr[-2000:]
    for url, got in json.loads(r.stdout).items():
        values = np.arange(12).reshape(4, 3)
        want = np.where(values == 5, np.nan, values * .5)
        assert np.array_equal(got["t"], want, equal_nan=True), (urls[url], url)
        assert got["lat"] == ["lat"], url


def test_op_gets_decoded_data_variables(datasets, tmp_path):
    (tmp_path / "ops.py").write_text(OPS)
    folder, _ = datasets
    values = np.arange(12).reshape(4, 3)
    for file, name, low in (("cf.nc", "t2m", 1), ("cf.h5", "t2m", 1), ("old.nc", "t", 0), ("old.cdf", "t", 0)):
        srv = lzr.Server([folder / file], "--workers", "1", "--op", "ops:same", cwd=tmp_path)
        try:
            store = file.split(".")[0]
            got = lzr.read_array(srv, f"/zarr2/{store}.zarr/{name}_same")
            want = np.where((values == 5) | (values < low), np.nan, values * .5)
            assert got.dtype.kind == "f" and np.array_equal(got, want, equal_nan=True), file
            assert srv.get(f"/zarr2/{store}.zarr/lat_same/.zarray").status == 404, "a coordinate is no data"
        finally:
            srv.kill()
    srv = lzr.Server([folder / "old.nc"], "--workers", "1", "--op", "ops:same", "--raw", cwd=tmp_path)
    try:
        assert lzr.read_array(srv, "/zarr2/old.zarr/t_same").dtype == np.dtype(">i2")
        assert srv.get("/zarr2/old.zarr/lat_same/.zarray").status == 200
    finally:
        srv.kill()


V3 = np.arange(60, dtype="u2").reshape(3, 4, 5)


@pytest.mark.parametrize("args,values,want", [
    (["--axes", "zyx", "--scale", "3,1,2", "--units", "um,nm,mm"], V3,
     ("zyx", [3, 1, 2], ["micrometer", "nanometer", "millimeter"])),
    (["--axes", "xzy", "--scale", "3,1,2", "--units", "micron"], V3.transpose(1, 2, 0),
     ("zyx", [1, 2, 3], ["micrometer"] * 3)),
    (["--axes", "cyx", "--channels", "a,b,c", "--scale", ".5"], V3, ("cyx", [1, .5, .5], [None] * 3)),
    (["--axes", "tyx", "--dtype", "float32", "--chunks", "1,2,5"], V3.astype("f4"), ("tyx", [1] * 3, [None] * 3))])
def test_what_a_file_does_not_say(tmp_path, args, values, want):
    np.save(tmp_path / "v.npy", V3)
    srv = lzr.Server([tmp_path / "v.npy"], "--workers", "1", *args)
    try:
        got = lzr.read_array(srv, "/zarr2/v.zarr/data/0")
        assert got.dtype == values.dtype and np.array_equal(got, values)
        attrs = srv.get("/zarr2/v.zarr/data/.zattrs").json()
        row = rows.Want(values, *want, [("a", "00FF00"), ("b", "FF00FF"), ("c", "00FFFF")]
                               if "--channels" in args else None)
        _check_image(attrs, row, args)
        if "--chunks" in args:
            assert srv.get("/zarr2/v.zarr/data/0/.zarray").json()["chunks"] == [1, 2, 5]
    finally:
        srv.kill()


@pytest.mark.parametrize("args,said", [
    (["--axes", "zz"], "--axes must be"), (["--axes", "zy"], "--axes must be"), (["--axes", "zyxs"], "--axes must be"),
    (["--scale", "0"], "--scale must be"), (["--scale", "1,,2"], "--scale must be"), (["--scale", "nan"], "--scale"),
    (["--chunks", "1.5"], "--chunks must be"), (["--chunks", "-1"], "--chunks must be"), (["--units", ""], "--units"),
    (["--dtype", ""], "--dtype must be")])
def test_wrong_usage(tmp_path, args, said):
    np.save(tmp_path / "v.npy", V3)
    r = run("describe", tmp_path / "v.npy", *args)
    assert r.returncode == 2 and said in r.stderr, r.stderr


@pytest.mark.parametrize("args,said", [
    (["--axes", "yx"], "axes"), (["--dtype", "text"], "unknown dtype"), (["--scale", "2"], "scale needs axes"),
    (["--axes", "zyx", "--units", "parsnip"], "parsnip"), (["--axes", "cyx", "--channels", "a,b"], "channels"),
    (["--axes", "zyxc"], "its axes are said to be 4, and it has 3: [3, 4, 5]"),
    (["--axes", "zyx", "--channels", "a,b"], "(the axes 'zyx' have no c)")])
def test_what_does_not_fit_the_file(tmp_path, args, said):
    np.save(tmp_path / "v.npy", V3)
    r = run("describe", tmp_path / "v.npy", *args)
    assert r.returncode == 1 and said in r.stderr, r.stderr


TREE = """
import sys, warnings; warnings.simplefilter("ignore")
import xarray as xr
for url in sys.argv[1:]:
    t = xr.open_datatree(url, engine="zarr")
    print(sorted(n.path for n in t.subtree), {n.path: {k: v.shape for k, v in n.ds.items()} for n in t.subtree})
"""


def test_a_tree_of_arrays_without_named_axes_opens(open_file, tmp_path):  # noqa: F811
    python = lzr.ENVS / "py311/bin/python"
    lzr.need(python.exists(), "the environment py311 of tests/clients/setup.sh")
    text = "import lazarr, numpy as np\n" + "".join(
        f"lazarr.source({p!r}, np.zeros({s}), attributes={{'labels': [1], 'omero': 2, 'units': 'm', 'ome': 3}})\n"
        for p, s in (("r", (3,)), ("s", (3, 4)), ("q", (5, 4)), ("g/a", (8,)), ("g/b", (8, 3)), ("g/h/a", (2, 2)),
                     ("k/a", (9,)), ("k/r", (3,))))
    (tmp_path / "tree.py").write_text(text)
    srv = open_file(tmp_path / "tree.py")
    for path, face in (("zarr2/tree.zarr/g/a/.zattrs", None), ("zarr3/tree.zarr/g/a/zarr.json", "attributes")):
        doc = srv.get("/" + path).json()
        doc = doc[face] if face else doc
        assert {k: doc.get(k) for k in ("labels", "omero", "units", "ome")} == \
            {"labels": [1], "omero": 2, "units": "m", "ome": 3}
    r = subprocess.run([python, "-c", TREE, f"{srv.url}/zarr2/tree.zarr/", f"{srv.url}/zarr3/tree.zarr/"],
                       capture_output=True, text=True, timeout=120, env=lzr.environment())
    assert r.returncode == 0 and r.stdout.count("'/g/h'") == 4, r.stderr[-1500:] + r.stdout


def test_a_level_of_no_shape_is_left_out_alone(tmp_path):
    """Found by fuzzing: a level whose shape is no list of integers ended the whole image."""
    shapes = [[[2], 2], ["2", 2], [True, 2], [-1, 2], [2.5, 2], 2, None, {}]
    for k, shape in enumerate(shapes):
        image = tmp_path / "all.zarr" / f"i{k}"
        for level, s in enumerate(([4, 4], shape, [1, 1])):
            (image / str(level)).mkdir(parents=True)
            (image / str(level) / ".zarray").write_text(json.dumps(
                {"zarr_format": 2, "shape": s, "chunks": [1, 1] if level else [4, 4], "dtype": "|u1", "compressor": None,
                 "filters": None, "fill_value": 0, "order": "C"}))
        (image / ".zgroup").write_text('{"zarr_format": 2}')
        (image / ".zattrs").write_text(json.dumps({"multiscales": [{
            "version": "0.4", "axes": [{"name": n, "type": "space"} for n in "yx"], "datasets": [
                {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [1 << level] * 2}]}
                for level in range(3)]}]}))
    (tmp_path / "all.zarr/.zgroup").write_text('{"zarr_format": 2}')
    r = run("describe", tmp_path / "all.zarr")
    assert r.returncode == 0, r.stderr
    arrays = {a["path"]: a for a in json.loads(r.stdout)["arrays"]}
    for k, shape in enumerate(shapes):
        lines = [line for line in r.stderr.splitlines() if f"i{k}" in line and "level 1" in line]
        assert len(lines) == 1 and "shape is no list of integers" in lines[0], (shape, r.stderr)
        assert [level["shape"] for level in arrays[f"i{k}"]["levels"]] == [[4, 4], [1, 1]]


def test_a_level_of_precomputed_without_voxels_is_left_out_alone(tmp_path):
    sizes = [[8, 6, 4], [0, 3, 2], [2, 2, 1]]
    (tmp_path / "vol").mkdir()
    (tmp_path / "vol/info").write_text(json.dumps({
        "@type": "neuroglancer_multiscale_volume", "type": "image", "data_type": "uint8", "num_channels": 1, "scales": [
            {"key": str(k), "size": size, "resolution": [2 ** k] * 3, "voxel_offset": [0, 0, 0], "encoding": "raw",
             "chunk_sizes": [[8, 8, 8]]} for k, size in enumerate(sizes)]}))
    r = run("describe", tmp_path / "vol")
    assert r.returncode == 0 and "scale 1' is left out: it has no voxels" in r.stderr, r.stderr
    assert [v["shape"] for v in json.loads(r.stdout)["arrays"][0]["levels"]] == [[4, 6, 8], [1, 2, 2]]


def test_uint64_of_a_file_that_names_axes_masks_no_0(tmp_path):
    """xarray is its reader, and takes the fill value of Zarr v2 for what is missing; others get a number."""
    for name, dims in (("named", ["x"]), ("bare", None)):
        (tmp_path / "u.zarr" / name).mkdir(parents=True)
        (tmp_path / "u.zarr" / name / ".zarray").write_text(json.dumps(
            {"zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "<u8", "compressor": None, "filters": None,
             "fill_value": None, "order": "C"}))
        (tmp_path / "u.zarr" / name / "0").write_bytes(np.array([0, 1, 2 ** 64 - 1], "<u8").tobytes())
        if dims:
            (tmp_path / "u.zarr" / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": dims}))
    (tmp_path / "u.zarr/.zgroup").write_text('{"zarr_format": 2}')
    with lzr.Server(tmp_path / "u.zarr", "--workers", "1", "--no-access-log") as srv:
        for name, fill in (("named", None), ("bare", 0)):
            assert srv.get(f"/zarr2/u.zarr/{name}/.zarray").json()["fill_value"] == fill
            assert lzr.read_array(srv, f"/zarr2/u.zarr/{name}").tolist() == [0, 1, 2 ** 64 - 1]


def test_more_channels_than_anybody_names(tmp_path):
    """Found by fuzzing: a file of a few bytes that says it has 2³¹ channels and names one had them all made."""
    image = tmp_path / "many.zarr"
    (image / "0").mkdir(parents=True)
    (image / "0/.zarray").write_text(json.dumps(
        {"zarr_format": 2, "shape": [(1 << 31) - 1, 2, 2], "chunks": [1, 2, 2], "dtype": "<u2", "compressor": None,
         "filters": None, "fill_value": 0, "order": "C"}))
    (image / ".zgroup").write_text('{"zarr_format": 2}')
    (image / ".zattrs").write_text(json.dumps({
        "multiscales": [{"version": "0.4", "axes": [{"name": n} for n in "cyx"], "datasets": [{"path": "0"}]}],
        "omero": {"channels": [{"label": "one"}]}}))
    r = run("describe", image)
    assert r.returncode == 0 and "at most 4096 are named" in r.stderr, r.stderr
    assert json.loads(r.stdout)["arrays"][0]["levels"][0]["shape"] == [(1 << 31) - 1, 2, 2]
