"""Datasets of the shapes that people have, made anew wherever they are needed: by the store that serves them and by
the readers that compare. Each is a function of no arguments; what needs a newer xarray, dask or cftime isn't in
`all_` where that is missing."""
import numpy as np
import pandas
import xarray as xr


def packed():
    """ERA5 as its archive packs it: 16 bits with a fill value, hours as integers, an ensemble axis in dask's chunks."""
    n = np.random.default_rng(1).integers(-2000, 2000, (40, 7, 12)).astype("f8")
    t2m = n * 0.125 + 273
    t2m[3, 2, 1:5] = np.nan
    ds = xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), t2m, {"units": "K", "long_name": "2 metre temperature"}),
         "tp": (("time", "latitude", "longitude"), np.abs(n).astype("f4"), {"units": "m", "cell_methods": "time: sum"})},
        {"time": pandas.date_range("1999-12-30", periods=40, freq="6h"),
         "latitude": ("latitude", np.linspace(90, -90, 7).astype("f4"), {"units": "degrees_north"}),
         "longitude": ("longitude", np.arange(12, dtype="f4") * 30, {"units": "degrees_east"})},
        {"Conventions": "CF-1.6", "history": "made for a test"})
    ds["t2m"].encoding = {"dtype": "int16", "scale_factor": 0.125, "add_offset": 273.0, "_FillValue": -32767}
    ds["time"].encoding = {"units": "hours since 1900-01-01 00:00:00.0", "calendar": "gregorian", "dtype": "int32"}
    return ds.chunk({"time": 12, "latitude": 4})


def days():
    """Monthly means: days since, bounds, a climatological attribute that is a list, bools and a timedelta."""
    time = pandas.date_range("2001-01-01", periods=14, freq="MS")
    ds = xr.Dataset(
        {"sst": (("time", "x"), np.arange(70, dtype="f4").reshape(14, 5)),
         "valid": (("time", "x"), np.arange(70).reshape(14, 5) % 3 == 0),
         "time_bnds": (("time", "nv"), np.stack([time, time + np.timedelta64(1, "D")], 1)),
         "lag": ("x", np.array([1, 2, 3, 4, 60], "m8[h]").astype("m8[ns]"))},
        {"time": ("time", time, {"bounds": "time_bnds", "standard_name": "time"})},
        {"levels": [1, 2.5, 3], "flag": np.int16(3), "empty": ""})
    ds["time"].encoding = {"units": "days since 1970-01-01", "dtype": "float64"}
    ds["time_bnds"].encoding = {"units": "days since 1970-01-01", "dtype": "float64"}
    return ds


def forecast():
    """Scalar coordinates of every kind; lead times; one missing date."""
    return xr.Dataset(
        {"u10": (("step", "x"), np.arange(12.0).reshape(4, 3)), "seen": ("x", np.array(
            ["2020-01-01", "NaT", "2021-06-01T12:00"], "M8[ns]"))},
        {"step": np.arange(4).astype("m8[h]").astype("m8[ns]"), "height": 10.0, "number": np.int32(3),
         "time": np.datetime64("2024-02-29T18:00", "ns"), "model": "IFS",
         "valid_time": ("step", np.datetime64("2024-02-29T18:00", "ns") + np.arange(4).astype("m8[h]"))})


def curvilinear():
    """An ocean model's grid: places in two dimensions, land masked, a grid mapping."""
    y, x = np.mgrid[0:9, 0:11]
    lat, lon = 50 + y * .5 + x * .01, -20 + x * .7
    temp = np.random.default_rng(2).normal(10, 3, (3, 9, 11)).astype("f4")
    temp[:, y + x > 14] = np.nan
    return xr.Dataset(
        {"thetao": (("time", "y", "x"), temp, {"grid_mapping": "crs", "units": "degC"}),
         "mask": (("y", "x"), (y + x <= 14).astype("i1"), {"flag_values": [0, 1], "flag_meanings": "land sea"}),
         "crs": ((), np.int32(0), {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 39.25})},
        {"nav_lat": (("y", "x"), lat, {"units": "degrees_north"}), "nav_lon": (("y", "x"), lon, {"units": "degrees_east"}),
         "time": np.array(["2010-01-16", "2010-02-15", "2010-03-16"], "M8[ns]")})


def stations():
    """Series of stations: names in several writings, ids as bytes, a name that is empty, counts up to 2^64."""
    names = np.array(["Zürich / Fluntern", "", "Þingvellir", "東京", "a"], dtype=object)
    return xr.Dataset(
        {"rain": (("station", "time"), np.arange(15, dtype="f4").reshape(5, 3)),
         "count": ("station", np.array([0, 1, 2 ** 63, 2 ** 64 - 1, 5], "u8")),
         "wmo": ("station", np.array([b"06660", b"", b"04030", b"47662", b"x"])),
         "instrument": (("station", "time"), np.array([["A", "BB", "CCC"]] * 5))},
        {"station": np.arange(5), "name": ("station", names), "time": [1.5, 2.5, 3.5],
         "network": "Großnetz", "code": ("station", np.array(["CH", "", "IS", "JP", "a"]))})


def names_as_axis():
    """An axis of names, and one without values."""
    return xr.Dataset({"gdp": (("country", "year"), np.arange(6.0).reshape(3, 2)), "n": ((), 7)},
                      {"country": ["Österreich", "Suisse", "España"], "year": ("year", [2020, 2021], {"axis": "T"})})


def levels():
    """Many axes in dask's chunks, uneven ones too; every dtype; complex numbers; big-endian ones; an empty axis."""
    out = {}
    for i, dt in enumerate(("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", ">i4", ">f8")):
        out[f"v{i}"] = (("time", "level", "y", "x"), (np.arange(360) % 100).reshape(3, 4, 5, 6).astype(dt))
    ds = xr.Dataset(out, {"level": ("level", [1000.0, 850, 500, 250], {"positive": "down"}), "time": [0, 1, 2]})
    ds["none"] = (("nothing", "x"), np.zeros((0, 6)))
    return ds.chunk({"time": (1, 2), "y": (2, 3), "level": 3})


def only_coordinates():
    """No data variable; a coordinate of two axes that none has."""
    return xr.Dataset({}, {"lat": [1.0, 2.0], "area": (("lat", "k"), np.ones((2, 3))), "ref": 5}, {"title": "grid"})


def noleap():
    """A calendar of a climate model, which no pandas has, in dates beyond it."""
    import cftime
    return xr.Dataset({"tas": ("time", np.arange(5.0))}, {"time": [
        cftime.DatetimeNoLeap(2299, 2, 26 + d) if d < 3 else cftime.DatetimeNoLeap(2299, 3, d) for d in range(5)]})


def tree():
    """Nested groups, with what they take over from the group above, and an empty one."""
    return xr.DataTree.from_dict({
        "/": xr.Dataset({"orography": (("lat", "lon"), np.arange(6.0).reshape(2, 3))},
                        {"lat": [10.0, 20], "lon": [1.0, 2, 3]}, {"title": "all"}),
        "/surface": xr.Dataset({"t": (("time", "lat", "lon"), np.ones((4, 2, 3), "f4"))},
                               {"time": pandas.date_range("2000", periods=4)}),
        "/surface/daily": xr.Dataset({"tmax": (("day", "lat", "lon"), np.full((2, 2, 3), 7, "i2"))}, {"day": [1, 2]}),
        "/empty": xr.Dataset(attrs={"note": "nothing yet"})})


PLAIN = [days, forecast, curvilinear, stations, names_as_axis, only_coordinates]


def all_():
    """{name: function} of those that this environment can make."""
    found = list(PLAIN)
    try:
        import dask.array  # noqa: F401
        found += [packed, levels]
    except ImportError:
        pass
    try:
        import cftime  # noqa: F401
        found.append(noleap)
    except ImportError:
        pass
    if hasattr(xr, "DataTree"):
        found.append(tree)
    return {f.__name__: f for f in found}
