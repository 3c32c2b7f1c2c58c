"""lazarr.dataset in a served store: who opens it and how often, what is read of it, what each face shows, where the
coordinates of what is computed are."""
import json

import numpy as np
import pytest

import lzr

xarray = lzr.need_module("xarray")

HEAD = """
import os, numpy as np, xarray, lazarr
HERE = os.path.dirname(os.path.abspath(__file__))

def note(text):
    with open(HERE + "/log", "a") as f:
        f.write(text + chr(10))
"""

MEMORY = HEAD + """
@lazarr.dataset("obs")
def obs():
    note("opened")
    t = np.arange(120.0).reshape(20, 6)
    return xarray.Dataset({"t": (("time", "station"), t, {"units": "K"}), "n": ("station", np.arange(6, dtype="u8"))},
                          {"time": np.datetime64("2020-02-27", "ns") + np.arange(20) * np.timedelta64(1, "D"),
                           "name": ("station", ["Ürümqi", "b", "", "d", "e", "f"]), "height": 2.0}, {"by": "me"})

@lazarr.array("derived/spring", inputs=[obs["t"]], chunks=(5, 6))
def spring(block, t):
    march = block.axis("time") >= np.datetime64("2020-03-01")
    first = np.array([n[:1] == "Ü" for n in block.axis("name")])
    return np.where(march[:, None], t, -1) + 1000 * first + block.axis("height")

@lazarr.array("derived/again", inputs=[spring], attributes={"units": "1"})
def again(block, t):
    return t / 2

lazarr.source("derived/height", np.float64(7.0)[None], dims=("other",))
"""


def store(tmp_path, text, name="s"):
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    return path


def log(tmp_path):
    return (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []


def test_memory_is_opened_once_and_axes_need_no_worker_to_open_it(tmp_path):
    with lzr.Server(store(tmp_path, MEMORY), "--workers", "2") as srv:
        root = f"{srv.url}/zarr2/s.zarr"
        with xarray.open_zarr(root, group="derived", consolidated=False, drop_variables=["height"]) as d:
            got = d.load()
        assert log(tmp_path) == ["opened"]
        t = np.arange(120.0).reshape(20, 6)
        want = np.where(np.arange(20)[:, None] >= 3, t, -1) + 2
        want[:, 0] += 1000
        np.testing.assert_array_equal(got["spring"], want)
        np.testing.assert_array_equal(got["again"], want / 2)
        assert got["spring"].attrs == {"units": "K"} and got["again"].attrs == {"units": "1"}
        assert got["time"].values[3] == np.datetime64("2020-03-01") and got["name"].values[0] == "Ürümqi"
        assert "name" in got["again"].coords
        with xarray.open_zarr(root, group="obs", consolidated=False) as d:
            assert set(d.coords) == {"time", "name", "height"} and d.attrs == {"by": "me"}
            assert d["n"].values.tolist() == [0, 1, 2, 3, 4, 5] and d["n"].dtype == np.dtype("u8")
        stats = {a["path"]: a for a in srv.get("/api/stats").json()["arrays"]}
        assert not stats["obs/t"]["computed"] and stats["derived/spring"]["computed"] == 4
        assert "derived/time" in stats and "derived/name" in stats
        r = srv.request("POST", "/api/reload?array=s/derived/spring")  # the others stay what they are
        assert r.status == 200, r
        with xarray.open_zarr(root, group="derived", consolidated=False, drop_variables=["height"]) as d:
            np.testing.assert_array_equal(d["spring"], want)
        assert log(tmp_path) == ["opened"]
        assert 'array "derived/spring": its coordinate "height" is left out: "derived/height" is another' in srv.log


def test_texts_in_each_face(tmp_path):
    with lzr.Server(store(tmp_path, MEMORY), "--workers", "1") as srv:
        doc = srv.get("/zarr2/s.zarr/obs/name/.zarray").json()
        assert (doc["shape"], doc["chunks"], doc["dtype"], doc["fill_value"]) == ([6], [6], "<U6", None)
        assert srv.get("/zarr2/s.zarr/obs/name/.zattrs").json()["_ARRAY_DIMENSIONS"] == ["station"]
        three = srv.get("/zarr3/s.zarr/obs/name/zarr.json").json()
        assert three["data_type"] == {"name": "fixed_length_utf32", "configuration": {"length_bytes": 24}}
        assert three["shape"] == [6] and three["fill_value"] == "" and three["dimension_names"] == ["station"]
        assert three["chunk_grid"]["configuration"]["chunk_shape"] == [6]
        assert srv.chunk("/zarr2/s.zarr/obs/name/0") == srv.chunk("/zarr3/s.zarr/obs/name/c/0")
        for missing in ("/zarr2/s.zarr/obs/name/0.0", "/zarr3/s.zarr/obs/name/c/0/0",
                        "/n5/s.n5/obs/name/attributes.json"):
            assert srv.get(missing).status == 404, missing
        listing = srv.get("/zarr2/s.zarr/obs/name/").text
        assert 'href="0"' in listing and "0.0" not in listing
        assert srv.get("/zarr2/s.zarr/obs/n/.zarray").json()["fill_value"] is None  # xarray would mask the 0
        assert "N5 has no texts" in srv.log


LAZY = HEAD + """
import dask.array

def block(block_info=None):
    note("block" + str(block_info[None]["chunk-location"][0]))
    return np.full((2, 5), block_info[None]["chunk-location"][0], "f4")

@lazarr.dataset("")
def lazy():
    a = dask.array.map_blocks(block, chunks=((2,) * 100, (5,)), dtype="f4", meta=np.zeros((0, 0), "f4"))
    return xarray.Dataset({"v": (("t", "x"), a)}, {"t": np.arange(200)})

@lazarr.array("w", inputs=[lazy["v"]])
def w(block, v):
    return v + block.axis("t")[:, None]
"""


def test_what_is_lazy_is_read_block_by_block(tmp_path):
    lzr.need_module("dask")
    with lzr.Server(store(tmp_path, LAZY), "--workers", "2") as srv:
        assert not [n for n in log(tmp_path) if n.startswith("block")]
        d = xarray.open_zarr(f"{srv.url}/zarr2/s.zarr", consolidated=True)
        assert d["w"][77].values.tolist() == [38.0 + 77] * 5 and d["w"].chunks[0][0] == 2
        assert log(tmp_path) == ["block38"]
        assert d["v"][76].values.tolist() == [38] * 5
        assert log(tmp_path) == ["block38"]  # it was kept


FILE = HEAD + """
era5 = lazarr.dataset("", "era5.nc", chunks={"time": 4})

@lazarr.array("celsius", inputs=[era5["t2m"]])
def celsius(block, t2m):
    return t2m - 273 + 0 * block.axis("lat")[None]
"""


def write(path, offset=0):
    v = np.arange(40.0).reshape(10, 4) * 0.5 + 273 + offset
    v[0, 0] = np.nan
    ds = xarray.Dataset({"t2m": (("time", "lat"), v, {"units": "K"})}, {
        "time": np.datetime64("2000", "ns") + np.arange(10) * np.timedelta64(6, "h"), "lat": [1.0, 2, 3, 4]})
    ds["t2m"].encoding = {"dtype": "int16", "scale_factor": 0.5, "add_offset": 273.0, "_FillValue": -1}
    ds["time"].encoding = {"units": "hours since 1900-01-01", "dtype": "int32"}
    ds.to_netcdf(path, engine="scipy")
    return ds


def test_a_file_by_its_name(tmp_path):
    """Its bytes are served as they are; one that changes fails until a reload."""
    lzr.need_module("scipy")
    write(tmp_path / "era5.nc")
    with lzr.Server(store(tmp_path, FILE), "--workers", "2", "--cache", "0") as srv:
        want = xarray.open_dataset(tmp_path / "era5.nc", engine="scipy").load()
        got = xarray.open_zarr(f"{srv.url}/zarr2/s.zarr", consolidated=True).load()
        np.testing.assert_array_equal(got["celsius"], want["t2m"] - 273)
        xarray.testing.assert_identical(got.drop_vars("celsius"), want)
        assert srv.get("/zarr2/s.zarr/t2m/.zarray").json()["chunks"] == [4, 4]
        write(tmp_path / "new.nc", 1)
        (tmp_path / "new.nc").replace(tmp_path / "era5.nc")
        r = srv.get("/zarr2/s.zarr/t2m/2.0")
        assert r.status == 500 and "has changed since it was opened" in r.text, r
        assert srv.request("POST", "/api/reload").status == 200
        got = xarray.open_zarr(f"{srv.url}/zarr2/s.zarr", consolidated=True).load()
        assert got["celsius"][1, 0] == 3


ARRAYS = HEAD + """
def make(name="b", **coords):
    return xarray.DataArray(np.arange(6.0).reshape(2, 3), dims=("y", "x"), coords={"x": [1, 2, 3], **coords}, name=name,
                            attrs={"units": "m"})

@lazarr.source("g/a")
def a():
    note("opened")
    return make(when=np.datetime64("2000-01-01", "ns"), row=("y", ["u", "vw"]))

lazarr.source("g/b", make())
lazarr.source("g/other", make(x=[1, 2, 4]))
lazarr.source("h/y", np.array([7.0, 8.0]), dims=("y",))
lazarr.source("h/b", make(y=[1.0, 2.0]))
lazarr.source("times", xarray.DataArray(np.array(["2000-01-01", "2020-02-29"], "M8[ns]"), dims="when"))
"""


def test_dataarrays_as_sources(tmp_path):
    with lzr.Server(store(tmp_path, ARRAYS), "--workers", "2") as srv:
        for face in ("zarr2",):
            g = xarray.open_zarr(f"{srv.url}/{face}/s.zarr", group="g", consolidated=False).load()
            assert set(g.coords) == {"x", "when", "row"} and g["a"].attrs == {"units": "m"}
            assert g["x"].values.tolist() == [1, 2, 3] and g["row"].values.tolist() == ["u", "vw"]
            assert g["when"].values == np.datetime64("2000-01-01") and g["a"][1, 2] == 5
            assert set(g["b"].coords) >= {"x"}
            h = xarray.open_zarr(f"{srv.url}/{face}/s.zarr", group="h", consolidated=False).load()
            assert h["y"].values.tolist() == [7, 8]  # what the author has put there
            t = xarray.open_zarr(f"{srv.url}/{face}/s.zarr", consolidated=False)
            assert t["times"].values.astype("M8[D]").astype(str).tolist() == ["2000-01-01", "2020-02-29"]
        assert 'array "g/other": its coordinate "x" is left out: "g/x" is another array' in srv.log


def test_a_manifest_is_the_same_at_each_start(tmp_path):
    """Sets have no order; digests need one."""
    path = store(tmp_path, MEMORY)
    said = [lzr.run("describe", path, PYTHONHASHSEED=str(i)).stdout for i in (1, 2)]
    assert said[0] == said[1] and json.loads(said[0])["arrays"]


@pytest.mark.parametrize("what,text", [
    ("lazarr.dataset('d', 'nothing.nc')", "dataset \"d\": xarray can't open '"),
    ("lazarr.dataset('d')", "lazarr.dataset(...) in line 8 of s.py was never given a function"),
    ("lazarr.array('a', inputs=[lazarr.dataset('d', xarray.Dataset({'v': 1}))['w']])", "the dataset has no 'w'; there are v")])
def test_what_is_wrong_is_said_in_a_line(tmp_path, what, text):
    r = lzr.run("describe", store(tmp_path, HEAD + what))
    assert r.returncode == 1 and text in r.stderr.decode(), r.stderr.decode()
