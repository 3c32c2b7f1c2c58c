"""lazarr serve FILE --rechunk: a file's arrays also in other chunks, as a dataset of their own."""
import json
import time

import numpy as np

import lzr

T, LAT, LON = 20, 8, 9
V = np.arange(T * LAT * LON, dtype="f4").reshape(T, LAT, LON)
V[3, 2] = np.nan
SAID = ("--rechunk", "time=-1,lat=3,2=4")


def hdf5(path):
    import h5py
    with h5py.File(path, "w") as f:
        f.attrs["title"] = "Air"
        for name, n in (("time", T), ("lat", LAT), ("lon", LON)):
            f[name] = np.arange(n) / 2
            f[name].make_scale(name)
        air = f.create_dataset("air", data=V, chunks=(1, LAT, LON), compression="gzip", fillvalue=np.nan)
        air.attrs["units"] = "K"
        for i, name in enumerate(("time", "lat", "lon")):
            air.dims[i].attach_scale(f[name])
        f["crs"] = np.int32(7)


def zarr(path):
    import zarr as library
    g = library.open_group(str(path), "w")
    g.attrs["title"] = "Air"
    for name, dims, v, chunks in (("time", ["time"], np.arange(T) / 2, 1), ("lat", ["lat"], np.arange(LAT) / 2, 8),
                                  ("lon", ["lon"], np.arange(LON) / 2, 9), ("crs", [], np.int32(7), None),
                                  ("air", ["time", "lat", "lon"], V, (1, LAT, LON))):
        a = g.create_dataset(name, data=v, chunks=chunks, fill_value=np.nan if name == "air" else None)
        a.attrs["_ARRAY_DIMENSIONS"] = dims
        if name == "air":
            a.attrs["units"] = "K"
    library.consolidate_metadata(str(path))


def check(srv, name):
    """The group is the file's dataset, each stored chunk read once, and says so in consolidated metadata."""
    z = f"/zarr2/{name}.zarr"
    meta = json.loads(srv.get(f"{z}/rechunked/.zmetadata").body)["metadata"]
    assert {k.split("/")[0] for k in meta if "/" in k} == {"air", "time", "lat", "lon", "crs"}
    assert meta[".zattrs"]["title"] == "Air"
    air = srv.get(f"{z}/air/.zattrs").json(), srv.get(f"{z}/rechunked/air/.zattrs").json()
    for attributes in air:
        attributes.pop("lazarr", None)
    assert air[0] == air[1] and air[0]["units"] == "K" and air[0]["_ARRAY_DIMENSIONS"] == ["time", "lat", "lon"]
    its, mine = srv.get(f"{z}/air/.zarray").json(), srv.get(f"{z}/rechunked/air/.zarray").json()
    assert its.pop("chunks") == [1, LAT, LON] and mine.pop("chunks") == [T, 3, 4] and its == mine
    with srv.delta() as d:
        got = lzr.read_array(srv, f"{z}/rechunked/air")
        assert got.tobytes() == V.tobytes()
    assert d["computed_total"] == T and d["copied_total"] == 9
    for dim, n in (("time", T), ("lat", LAT), ("lon", LON)):
        assert srv.get(f"{z}/rechunked/{dim}/.zarray").json()["chunks"] == [n]
        assert (lzr.read_array(srv, f"{z}/rechunked/{dim}") == np.arange(n) / 2).all()
    assert lzr.read_array(srv, f"{z}/rechunked/crs")[()] == 7


def test_hdf5(open_file, tmp_path):
    hdf5(tmp_path / "air.h5")
    check(open_file(tmp_path / "air.h5", *SAID), "air")


def test_zarr(open_file, tmp_path):
    zarr(tmp_path / "air.zarr")
    check(open_file(tmp_path / "air.zarr", *SAID), "air")


def test_xarray(open_file, tmp_path):
    """Both groups are the file's dataset to xarray; its own chunks of the other one are series."""
    xarray = lzr.need_module("xarray")
    lzr.need_module("aiohttp")
    zarr(tmp_path / "air.zarr")
    srv = open_file(tmp_path / "air.zarr", *SAID)
    want = xarray.open_zarr(str(tmp_path / "air.zarr"))
    for group in (None, "rechunked"):
        got = xarray.open_zarr(f"{srv.url}/zarr2/air.zarr/", group=group, consolidated=True)
        for v in (got, *got.variables.values()):
            v.attrs.pop("lazarr", None)
        xarray.testing.assert_identical(got.load(), want.load())
    assert got.air.encoding["chunks"] == (T, 3, 4)


def test_packed_dataset(tmp_path):
    """A packed variable of lazarr.dataset stays packed, served and local; texts are refused by name."""
    lzr.need_module("xarray")
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np, xarray as xr
ds = xr.Dataset({"t": (("time", "x"), np.arange(12.).reshape(4, 3)), "n": (("x",), np.array(["a", "bb", "c"]))},
                {"time": np.arange(4)})
ds.t.encoding = {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -1}
lazarr.dataset("d", ds)
r = lazarr.rechunk("s/t", "d/t", {"time": -1, "x": 1})
assert r[...].tolist() == (np.arange(12).reshape(4, 3) * 2).tolist()
try:
    lazarr.rechunk("s/n", "d/n", -1)
except lazarr.StoreError as e:
    assert "texts" in str(e)
""")
    with lzr.Server([tmp_path / "s.py"], "--workers", "1") as srv:
        got = lzr.read_array(srv, "/zarr2/s.zarr/s/t")
        assert got.dtype == "i2" and (got == np.arange(12).reshape(4, 3) * 2).all()
        assert srv.get("/zarr2/s.zarr/s/t/.zattrs").json()["scale_factor"] == 0.5
        assert (lzr.read_array(srv, "/zarr2/s.zarr/s/time") == np.arange(4)).all()


def test_npy(open_file, tmp_path):
    """What has no names has positions; the server reads it, no worker."""
    np.save(tmp_path / "a.npy", V)
    srv = open_file(tmp_path / "a.npy", "--rechunk", "0=-1,1=2,2=2")
    assert srv.get("/zarr2/a.zarr/rechunked/data/.zarray").json()["chunks"] == [T, 2, 2]
    assert lzr.read_array(srv, "/zarr2/a.zarr/rechunked/data").tobytes() == V.tobytes()
    assert srv.metric("computed_total") == 0


def test_images(open_file, tmp_path):
    import tifffile
    v = np.arange(6 * 40 * 50, dtype="u2").reshape(6, 40, 50)
    tifffile.imwrite(tmp_path / "s.tif", v, compression="zlib", metadata={"axes": "ZYX"})
    srv = open_file(tmp_path / "s.tif", "--axes", "zyx", "--scale", "2,0.5,0.5", "--rechunk", "z=-1,y=16,x=16")
    assert lzr.read_array(srv, "/zarr2/s.zarr/rechunked/data/0").tobytes() == v.tobytes()
    scale = srv.get("/zarr2/s.zarr/rechunked/data/.zattrs").json()["multiscales"][0]["datasets"][0]
    assert scale["coordinateTransformations"][0]["scale"] == [2, 0.5, 0.5]


def test_times_in_tiny_chunks(open_file, tmp_path):
    """Who opens a dataset waits for each chunk of its coordinates: a growing file's many tiny ones are served as one."""
    import h5py
    times = np.arange(5000) / 24
    with h5py.File(tmp_path / "grows.h5", "w") as f:
        f.create_dataset("time", data=times, chunks=(1,), maxshape=(None,))
        f.create_dataset("few", data=times[:12], chunks=(1,))
        f.create_dataset("table", data=np.ones((500, 3)), chunks=(1, 3))
    srv = open_file(tmp_path / "grows.h5")
    for name, chunks in (("time", [5000]), ("few", [1]), ("table", [1, 3])):
        assert srv.get(f"/zarr2/grows.zarr/{name}/.zarray").json()["chunks"] == chunks
    assert (lzr.read_array(srv, "/zarr2/grows.zarr/time") == times).all()


def test_refused(tmp_path):
    hdf5(tmp_path / "air.h5")
    for said, why, status in (
            ("tme=-1", "lazarr: air.h5: --rechunk: no array has an axis 'tme' (time, lat, lon)", 1),
            ("time=1,time=2", "lazarr: --rechunk names the axis 'time' twice", 1),
            ("3=1", "lazarr: air.h5: --rechunk: no array has an axis '3' (time, lat, lon)", 1),
            ("time=1,0=2", "lazarr: air.h5: array \"rechunked/air\": chunks: 'time' and '0' are the same axis", 1),
            ("time", "lazarr: --rechunk must be AXIS=N with commas", 2), ("time=0", "lazarr: --rechunk must be", 2),
            ("time=-2", "lazarr: --rechunk must be", 2), ("=3", "lazarr: --rechunk must be", 2),
            ("time=1.5", "lazarr: --rechunk must be", 2), ("time=1,", "lazarr: --rechunk must be", 2)):
        r = lzr.run("describe", tmp_path / "air.h5", "--rechunk", said)
        err = r.stderr.decode()
        assert (r.returncode, err.startswith(why)) == (status, True) and "Traceback" not in err, (said, err)


def test_stop_while_neighbours_are_copied(tmp_path):
    """What nobody waits for any more doesn't hold up a stop: encoding the neighbours takes as long as encoding
    what they are copied from."""
    (tmp_path / "s.py").write_text("""
import lazarr, numpy as np
@lazarr.array("maps", shape=(4, 1024, 1024), chunks=(4, 1024, 1024), dtype="float32",
              compressor=lazarr.Blosc("zstd", 8))
def maps(block):
    return np.random.default_rng(1).random(block.shape, dtype="float32")
lazarr.rechunk("series", maps, {1: 16, 2: 16})
""")
    srv = lzr.Server(tmp_path / "s.py")
    begun = time.monotonic()
    assert len(srv.chunk("/zarr3/s.zarr/series/c/0/3/5")) > 3000
    came = time.monotonic()
    assert srv.stop() == 0
    assert time.monotonic() - came < (came - begun) / 2
    assert "lazarr is stopping" not in srv.log
