"""lazarr.dataset without a server: what arrays it makes, what functions of them get, and what is refused."""
import pickle
import sys

import numpy as np
import pytest

import lazarr
import lzr
from lazarr import StoreError, _encoded, _masks, _renamed, _variables

xr = lzr.need_module("xarray")


def era5(**more):
    values = np.arange(24.0).reshape(2, 3, 4) * 0.5 + 273
    values[1, 1, 1] = np.nan
    ds = xr.Dataset({"t2m": (("time", "lat", "lon"), values, {"units": "K", "long_name": "temperature"})},
                    {"time": np.array(["2001-01-31", "2001-02-01"], "M8[ns]"), "lat": ("lat", [60.0, 50, 40], {
                        "units": "degrees_north"}), "lon": [0, 1, 2, 3], "height": 2.0,
                     "area": (("lat", "lon"), np.ones((3, 4)) * [[1], [2], [3]]), "zone": ("lat", ["a", "b", "ccc"])},
                    {"title": "test"})
    ds["t2m"].encoding = {"dtype": "int16", "scale_factor": 0.5, "add_offset": 273.0, "_FillValue": -9}
    return ds.assign(**more)


def test_variables_are_encoded_arrays():
    d = lazarr.dataset("era5", era5())
    assert set(d) == {"t2m", "time", "lat", "lon", "height", "area", "zone"} and d.path == "era5"
    t = d["t2m"]
    assert (t.path, t.dims, t.shape, t.dtype, t.fill_value) == ("era5/t2m", ("time", "lat", "lon"), (2, 3, 4), "i2", -9)
    assert t[0, 0].tolist() == [0, 1, 2, 3] and t[1, 1, 1] == -9
    assert t.attributes["units"] == "K" and t.attributes["scale_factor"] == 0.5
    assert set(t.attributes["coordinates"].split()) == {"area", "height", "zone"}
    assert d["time"].attributes["units"] == "days since 2001-01-31 00:00:00" and d["time"][...].tolist() == [0, 1]
    assert d["height"].shape == () and float(d["height"][...]) == 2
    assert d["zone"].dims == ("lat", "string3") and d["zone"].shape == (3, 3)
    with pytest.raises(KeyError, match="no 'x'; there are t2m"):
        d["x"]


def test_functions_get_what_is_meant():
    d = lazarr.dataset("era5", era5())
    seen = []

    @lazarr.array("celsius", inputs=[d["t2m"]], chunks=(1, 2, 4))
    def celsius(block, t2m):
        seen.append({n: block.axis(n) for n in ("time", "lat", "lon", "height", "area", "zone")})
        assert block.inputs[0] is t2m and t2m.flags.writeable
        return t2m - 273
    assert celsius.dtype == np.dtype("f8") and np.isnan(celsius.fill_value)
    got = celsius[...]
    np.testing.assert_array_equal(got, era5()["t2m"].values - 273)
    assert celsius.dims == ("time", "lat", "lon")
    assert celsius.attributes == {"units": "K", "long_name": "temperature", "coordinates": "area height zone"}
    last = seen[-1]
    assert last["time"].tolist() == np.array(["2001-02-01"], "M8[ns]").tolist() and last["time"].dtype.kind == "M"
    assert last["lat"].tolist() == [40] and last["lon"].tolist() == [0, 1, 2, 3] and last["height"] == 2
    assert last["area"].tolist() == [[3.0] * 4] and last["zone"].tolist() == ["ccc"]
    assert seen[0]["lat"].tolist() == [60, 50]
    last["lat"][...] = 0  # its own
    celsius.clear()
    assert celsius[1, 2, 0] == 10 and seen[-1]["lat"].tolist() == [40]


@pytest.mark.parametrize("dtype,unsigned,limits,stored,want", [
    ("i2", "true", {"valid_range": [0, -6]}, [0, 1, -6, -5, -1], [0, 1, 65530, np.nan, np.nan]),  # GOES-R's own words
    ("i2", "true", {"valid_range": [0, 65530]}, [0, 1, -6, -5, -1], [0, 1, 65530, np.nan, np.nan]),
    ("i1", "true", {"valid_min": 2, "valid_max": -2}, [0, 2, 127, -2, -1], [np.nan, 2, 127, 254, np.nan]),
    ("u1", "false", {"valid_range": [-5, 5]}, [0, 5, 6, 251, 250], [0, 5, np.nan, -5, np.nan]),
    ("u1", "false", {"valid_range": [251, 5]}, [0, 5, 6, 251, 250], [0, 5, np.nan, -5, np.nan])])
def test_the_valid_range_of_unsigned_values(dtype, unsigned, limits, stored, want):
    a = np.array(stored, "i8").astype(dtype)
    decode = _masks.decoder({"_Unsigned": unsigned, **limits}, a.dtype, None)
    np.testing.assert_array_equal(decode(a), np.array(want))


def test_a_halo_is_decoded_too():
    d = lazarr.dataset("era5", era5())

    @lazarr.array(inputs=[d["t2m"]], halo=(0, 0, 1), chunks=(1, 3, 2))
    def ends(block, t2m):
        return np.isnan(t2m).sum(axis=2, keepdims=True) + 0.0 * block.axis("lon")[None, None, :]
    assert ends[0].tolist() == [[1.0] * 4] * 3 and ends[1, 1].tolist() == [2, 2, 2, 2]


def test_an_axis_that_only_the_input_has():
    d = lazarr.dataset("era5", era5())

    @lazarr.array("months", inputs=[lazarr.Input(d["t2m"], select={"time": slice(None)})], shape=(12, 3, 4),
                  chunks=(1, 3, 4), dims=("month", "lat", "lon"))
    def months(block, t2m):
        own = (block.axis("time").astype("M8[M]").astype(int) % 12 == block.start[0])
        return t2m[own].sum(axis=0)[None] if own.any() else np.nan
    assert months[0, 0, 0] == 273 and months[1, 0, 0] == 279 and np.isnan(months[2, 0, 0])
    assert set(months.around.coords) == {"lat", "lon", "height", "area", "zone"}
    assert months.attributes["coordinates"] == "area height zone"

    @lazarr.array("first", inputs=[lazarr.Input(d["t2m"], select={"time": 0})], attributes={"units": "1"})
    def first(block, t2m):
        assert block.axis("time").tolist() == [np.datetime64("2001-01-31", "ns").astype(int)]
        return t2m
    assert first.shape == (3, 4) and first[0, 0] == 273
    assert first.attributes == {"units": "1", "coordinates": "area height zone"}


def test_coordinates_go_on():
    d = lazarr.dataset("era5", era5())

    @lazarr.array("a", inputs=[d["t2m"]])
    def a(block, t):
        return t * 2

    @lazarr.array("b", inputs=[a])
    def b(block, t):
        return t + block.axis("lat")[None, :, None]
    assert b[0, 1, 0] == 2 * 275 + 50 and set(b.around.coords) == set(d) - {"t2m"}
    assert b.attributes["long_name"] == "temperature" and "scale_factor" not in b.attributes
    with pytest.raises(StoreError, match="has no coordinate 'depth'; there are area, height"):
        lazarr.array("deep", inputs=[a])(lambda block, t: block.axis("depth"))[0, 0, 0]


def test_a_source_by_hand_is_an_axis():
    lat = lazarr.source("hand/lat", np.array([1.0, 2, 3]), dims=("lat",))
    t = lazarr.source("hand/t", np.zeros((3, 2)), dims=("lat", "x"))

    @lazarr.array("hand/u", inputs=[t], chunks=(2, 2))
    def u(block, t):
        return t + block.axis("lat")[:, None]
    assert u[:, 0].tolist() == [1, 2, 3] and u.attributes == {} and u.beside("lat") is lat


def test_groups_take_over_the_axes_above_them():
    """As a DataTree's do; here the groups by themselves, which older versions of xarray have."""
    top = {"lat": [1.0, 2], "k": ("lat", [7, 8])}
    groups = {"": xr.Dataset({}, top), "in": xr.Dataset({"t": (("lat", "x"), np.zeros((2, 3)))}),
              "in/deep": xr.Dataset({"u": ("lat", [1.0, 1]), "v": ("lat", [1.0, 1])}, {"lat": [5.0, 6]}),
              "other": xr.Dataset({"w": ("lat", [1.0, 1, 1])})}
    before, _encoded.groups = _encoded.groups, lambda thing: groups
    try:
        d = lazarr.dataset("tree", object())
    finally:
        _encoded.groups = before
    assert set(d) == {"lat", "k", "in/t", "in/deep/u", "in/deep/v", "in/deep/lat", "other/w"}
    assert set(d["in/t"].around.coords) == {"lat"} and d["in/t"].around.coords["lat"].values().tolist() == [1, 2]
    assert d["in/deep/u"].around.coords["lat"].values().tolist() == [5, 6] and not d["other/w"].around.coords

    @lazarr.array("tree/in/sum", inputs=[d["in/t"]])
    def total(block, t):
        return t + block.axis("lat")[:, None]
    assert total[:, 0].tolist() == [1, 2] and set(total.around.coords) == {"lat"}


def test_chunks():
    d = lazarr.dataset("era5", era5(), chunks={"time": -1, "lon": 3})
    assert d["t2m"].chunks == (2, 3, 3) and d["lon"].chunks == (3,) and d["zone"].chunks == (3, 3)
    lzr.need_module("dask")
    assert lazarr.dataset("era5", era5().chunk({"lat": 2}))["t2m"].chunks == (2, 2, 4)
    for chunks, what in (({"x": 1}, "no dimension 'x'"), (7, "must be a dict"), ({"lat": 0}, "'lat' must be")):
        with pytest.raises(StoreError, match=f'dataset "era5": chunks.*{what}|dataset "era5": chunks must be a dict'):
            lazarr.dataset("era5", era5(), chunks=chunks)


def test_chunks_above_the_limit_are_cut_and_read_once():
    da = lzr.need_module("dask.array")
    read = []

    def block(block_info=None):
        read.append(1)
        return np.zeros((300, 1024, 1024), "u1")
    a = da.map_blocks(block, chunks=((300, 300), (1024,), (1024,)), dtype="u1", meta=np.zeros((0, 0, 0), "u1"))
    v = lazarr.dataset("large", lambda: xr.Dataset({"v": (("t", "y", "x"), a)}))["v"]
    assert v.chunks == (15, 1024, 1024)
    read.clear()
    for k in range(4):
        assert v[15 * k:15 * k + 15].shape == (15, 1024, 1024)
    assert len(read) == 1


def test_is_lazy():
    dask = lzr.need_module("dask.array")
    read = []

    def block(info):
        read.append(info[None]["chunk-location"])
        return np.full((1, 10), info[None]["chunk-location"][0], "f4")

    def make():
        a = dask.map_blocks(lambda block_info=None: block(block_info), chunks=((1,) * 50, (10,)), dtype="f4",
                            meta=np.zeros((0, 0), "f4"))
        return xr.Dataset({"v": (("t", "x"), a)}, {"t": np.arange(50)})
    d = lazarr.dataset("lazy", make)
    assert not read and d["v"].chunks == (1, 10)
    assert d["v"][7].tolist() == [7.0] * 10 and read == [(7, 0)]


def test_goes_to_other_processes():
    """As dask's schedulers of processes send it."""
    d = lazarr.dataset("sent", era5())
    assert d["lat"].around.variable.values()[0] == 60 and d["t2m"].around.decode is not None
    again = pickle.loads(pickle.dumps(d["t2m"]))
    np.testing.assert_array_equal(again[...], d["t2m"][...])
    assert again.around.coords["lat"].values().tolist() == [60, 50, 40]


def test_opened_once_and_again_after_clear():
    opened = []

    @lazarr.dataset("made")
    def made():
        opened.append(1)
        return xr.Dataset({"a": ("x", [1, 2]), "b": ("x", [len(opened), 4])})
    assert made["a"][...].tolist() == [1, 2] and made["b"][0] == 1 and len(opened) == 1
    lazarr.clear()
    assert made["b"][0] == 2 and made["a"][0] == 1 and len(opened) == 2

    @lazarr.dataset
    def named():
        return made_dataarray()
    assert named.path == "named" and sorted(named) == ["data", "x"]


def made_dataarray(name=None, **coords):
    return xr.DataArray(np.arange(4.0), dims="x", coords={"x": [5, 6, 7, 8], **coords}, name=name, attrs={"units": "m"})


def test_a_dataarray_as_a_source_keeps_what_it_has():
    a = lazarr.source("s/a", made_dataarray(when=np.datetime64("2000-01-01", "ns"), tag=("x", list("wxyz"))))
    assert a.dims == ("x",) and a.attributes == {"units": "m", "coordinates": "tag when"}
    assert not a.fill_given and a.dtype == np.dtype("f8") and set(a.around.coords) == {"x", "when", "tag"}

    @lazarr.array("s/b", inputs=[a], chunks=2)
    def b(block, a):
        assert block.axis("when") == np.datetime64("2000-01-01") and block.axis("tag").dtype.kind in "UO"
        return a + block.axis("x")
    assert b[...].tolist() == [5, 7, 9, 11] and b.attributes == a.attributes

    @lazarr.source("s/other", attributes={"units": "km"})
    def other():
        return made_dataarray("other", k=1)
    assert other.attributes == {"units": "km", "coordinates": "k"}
    image = lazarr.source("s/image", xr.DataArray(np.zeros((3, 4)), dims=("lat", "lon"), coords={"lat": [1, 2, 3]}),
                          axes="yx")
    assert image.around is None
    axis = lazarr.source("s/x", made_dataarray()["x"])
    assert axis[...].tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("values", [np.array(["2000-01-01", "NaT"], "M8[ns]"), np.array(["a", "bcd"]),
                                    np.array([b"a", b"bcd"]), np.array([1, 2], "m8[ns]")])
def test_times_and_texts_of_a_dataarray(values):
    a = lazarr.source("s/when", xr.DataArray(values, dims="n"))
    assert a.shape[0] == 2 and a.around.variable.text == (values.dtype.kind in "US")

    @lazarr.array("s/of", shape=2, chunks=1, dtype="u1", inputs=[lazarr.source("s/n", np.zeros(2), dims=("n",))])
    def of(block, n):
        return 1
    got = a.around.variable.values()
    np.testing.assert_array_equal(got, values)


def test_what_is_refused_is_said():
    index = xr.Dataset({"a": (("x", "y"), np.ones((2, 2)))}, {"x": [1, 2], "y": [3, 4]}).stack(z=("x", "y"))
    for ds, what in ((index, r"variable 'z': xarray can't encode it: .*MultiIndex"),
                     (xr.Dataset({"o": ("x", np.array([{}, 1], object))}), r"variable 'o': "),
                     (xr.Dataset({"o": ("x", np.array(["a", "b\0"], object))}), r"variable 'o': a text .* ends in a NUL"),
                     (xr.Dataset({"v": (("x", "x"), np.eye(2))}), r"bad/v.*differ from each other"),
                     (3, r'dataset "bad": a dataset must be an xarray Dataset.* got int')):
        with pytest.raises(StoreError, match=what):
            lazarr.dataset("bad", ds)
    with pytest.raises(StoreError, match='path comes first'):
        lazarr.dataset(era5())
    with pytest.raises(StoreError, match="dataset \"a b\": path"):
        lazarr.dataset("a b", era5())


def test_names_that_cannot_be_served_are_others(capsys):
    """The whole dataset stands; the original names are kept, also where attributes and functions name them."""
    ds = xr.Dataset({"temp (K)": (("y", "c"), np.ones((2, 3)), {"grid_mapping": "labels", "units": "K"}),
                     "temp_K": ("y", [1, 2]), "größe": ("y", [3.0, 4]), "labels": ((), 5), "zarr.json": ("y", [5, 6])},
                    {"c": ("c", [10.0, 20, 30], {"bounds": "c bnds"}), "name of": ("y", ["a", "b"])})
    d = lazarr.dataset("odd", ds)
    assert set(d) == {"temp__K_", "temp_K", "gr__e", "labels_", "zarr.json_", "c_", "name_of"}
    assert d["temp (K)"] is d["temp__K_"] and d["c"] is d["c_"] and "original_name" not in d["temp_K"].attributes
    assert d["temp (K)"].dims == ("y", "c_") and d["c"].dims == ("c_",)
    assert d["temp (K)"].attributes == {"grid_mapping": "labels_", "units": "K", "original_name": "temp (K)",
                                        "coordinates": "name_of"}
    said = capsys.readouterr().err
    assert said.count("is served as") == 6 and "dataset \"odd\": 'größe' is served as 'gr__e'" in said

    @lazarr.array("odd/sum", inputs=[d["temp (K)"]])
    def added(block, t):
        return t + block.axis("c")[None]
    assert added[1].tolist() == [11, 21, 31]
    with pytest.raises(KeyError, match="has no 'temp'"):
        d["temp"]


def test_groups_whose_names_cannot_be_served(capsys):
    if not hasattr(xr, "DataTree"):
        found = {"": xr.Dataset({"a_b": 1}), "a b": xr.Dataset(), "a b/c": xr.Dataset({"c": 2}), "d": xr.Dataset({"v": 3})}
        made = _renamed.groups(found, lambda text: print(text, file=sys.stderr))
        assert {k: (list(v[0].variables), v[1]) for k, v in made.items()} == {
            "": (["a_b"], ""), "a_b_2": ([], "a b"), "a_b_2/c_": (["c_"], "a b/c"), "d": (["v"], "d")}
    else:
        d = lazarr.dataset("tree", xr.DataTree.from_dict({
            "/": xr.Dataset({"a_b": 1}), "/a b/c": xr.Dataset({"c": 2}), "/d": xr.Dataset({"v": 3})}))
        assert set(d) == {"a_b", "a_b_2/c_/c_", "d/v"} and int(d["a b/c/c"][()]) == 2
    assert "the group 'a b' is served as 'a_b_2'" in capsys.readouterr().err


def test_texts_of_any_length_are_said(capsys):
    """They are served as texts of one length, with equal values; those that have one are served as they are."""
    ds = xr.Dataset({"any": ("x", np.array(["a", "bcd"], object)), "one": ("x", np.array(["a", "bcd"]))})
    lazarr.dataset("d", ds)
    assert capsys.readouterr().err == 'dataset "d": any: its texts of any length are served as ones of 3\n'


def test_attributes_that_json_lacks_are_said(capsys):
    ds = xr.Dataset({"a": ("x", [1.0], {"bad": np.nan, "ok": np.float32(0.5), "more": np.arange(2), "o": object(),
                                        "none": None, "missing_value": np.nan})}, attrs={"inf": float("inf")})
    d = lazarr.dataset("said", ds)
    assert d["a"].attributes == {"ok": 0.5, "more": [0, 1], "none": None}
    said = capsys.readouterr().err
    for part in ('dataset "said": a: attribute bad is left out', "a: attribute o is left out",
                 "/: attribute inf is left out"):
        assert part in said
    assert "missing_value" not in said


BEYOND = {"half": "\ud800", "name \ud800": 1, "deep": eval("[" * 45 + "]" * 45), "long": 10 ** 400,
          "inside": {"a": ["\udfff"]}}


@pytest.mark.parametrize("name", BEYOND)
def test_attributes_that_only_python_reads_are_said(capsys, name):
    """They would end the server's own reading of what a store is."""
    bad = {name: BEYOND[name]}
    ds = xr.Dataset({"a": ("x", [1.0], {**bad, "ok": 1})}, attrs=bad)
    assert lazarr.dataset("said", ds)["a"].attributes == {"ok": 1}
    assert lazarr.source("alone", ds["a"]).attributes == {"ok": 1}
    said = capsys.readouterr().err
    shown = name.replace("\ud800", "\\ud800")
    for part in (f'dataset "said": a: attribute {shown} is', f"/: attribute {shown} is", f'"alone": attribute {shown} is'):
        assert part in said, said
    for declare in (lambda: lazarr.source("s", np.ones(2), attributes=bad), lambda: lazarr.group("g", bad)):
        with pytest.raises(StoreError, match="attributes can't be written as JSON: it "):
            declare()


def test_names_of_axes_that_only_python_reads():
    with pytest.raises(StoreError, match=r"dims \('\\ud800',\): it holds half a character"):
        lazarr.source("s", np.ones(2), dims=("\ud800",))


def test_a_dataarray_called_like_a_coordinate(capsys):
    """Of the two the array has the path; alone in a dataset it is called "data"."""
    lat = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("lat", "lon"), coords={"lat": [50, 40], "lon": [1, 2, 3]})
    for path in ("lat", "maps/lat"):
        a = lazarr.source(path, lat)
        assert a.dims == ("lat", "lon") and a[...].tolist() == lat.values.tolist() and set(a.around.coords) == {"lon"}
        assert f"\"{path}\": coordinate 'lat' is left out: the array itself is called so" in capsys.readouterr().err
    d = lazarr.dataset("d", lat.coords["lat"])
    assert sorted(d) == ["data", "lat"] and d["data"][...].tolist() == d["lat"][...].tolist() == [50, 40]
    with pytest.raises(StoreError, match="both called 'data'"):
        lazarr.dataset("d", xr.DataArray([1, 2], dims="x", name="data", coords={"data": ("x", [3, 4])}))


@pytest.mark.parametrize("values", [np.array(["2000-01-01", "NaT"], "M8[ns]"), np.array([1, "NaT"], "m8[s]"),
                                    np.array([1, np.nan]), np.array(["a", "b"]), np.array([1, 2])])
def test_two_arrays_have_one_coordinate(values):
    """Also where it has values that are missing."""
    one, two = (lazarr.source(f"s/a{k}", xr.DataArray(np.zeros(2), dims="x", coords={"x": ("x", values)})) for k in (1, 2))
    other = lazarr.source("s/b", xr.DataArray(np.zeros(2), dims="x", coords={"x": ("x", values[::-1])}))
    mine = one.around.coords["x"]
    assert _variables._same(mine, one, two.around.coords["x"])
    assert not _variables._same(mine, one, other.around.coords["x"])


def test_a_coordinate_that_no_zarr_holds_is_left_out(capsys):
    index = xr.Dataset({"a": (("x", "y"), np.ones((2, 2)))}, {"x": [1, 2], "y": [3, 4]}).stack(z=("x", "y"))["a"]
    objects = made_dataarray(o=("x", np.array([{}, 1, 2, 3], object)), k=1)
    for da, left, coords in ((index, "z", set()), (objects, "o", {"x", "k"})):
        a = lazarr.source("s/a", da)
        assert a[...].tolist() == da.values.tolist() and set(a.around.coords) == coords
        assert f"coordinate '{left}' is left out: xarray can't encode it" in capsys.readouterr().err
        assert left not in a.attributes.get("coordinates", "").split()


def test_a_file_by_its_name(tmp_path):
    lzr.need_module("scipy")
    era5().drop_vars(["zone", "time"]).to_netcdf(tmp_path / "e.nc", engine="scipy")
    d = lazarr.dataset("file", str(tmp_path / "e.nc"))
    assert d["t2m"].dtype.newbyteorder("=") == np.dtype("i2") and d["t2m"].fill_value == -9
    assert d["t2m"][0, 0].tolist() == [0, 1, 2, 3] and "area" in d["t2m"].around.coords

    @lazarr.array("file/less", inputs=[d["t2m"]])
    def less(block, t2m):
        return t2m - block.axis("area")[None]
    assert less[0, 2, 0] == 277 - 3

    @lazarr.dataset("decoded")
    def decoded():
        return xr.open_dataset(tmp_path / "e.nc", engine="scipy")
    assert decoded["t2m"].dtype.newbyteorder("=") == np.dtype("i2")
    np.testing.assert_array_equal(decoded["t2m"][...], d["t2m"][...])
