"""Datasets as scientists have them, written by the newest xarray and netCDF4, and what xarray makes of the files
themselves. Run by the environment `writers`. Usage: FOLDER"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
rng = np.random.default_rng(4)


def weather():
    """In the shape of ERA5: packed, masked, hours since 1900, coordinates of a curved grid, a grid mapping."""
    time = np.arange("1999-12-30", "2000-01-05", dtype="M8[D]").astype("M8[ns]")
    lat, lon = np.linspace(90, -90, 9), np.arange(0, 360, 30.)
    t2m = 250 + 50 * rng.random((6, 9, 12))
    t2m[:, 2, 3] = np.nan
    grid = {"lon2d": (("lat", "lon"), np.add.outer(lat, lon)), "crs": ((), np.int32(0), {
        "grid_mapping_name": "latitude_longitude", "semi_major_axis": 6378137.0})}
    ds = xr.Dataset({
        "t2m": (("time", "lat", "lon"), t2m, {"units": "K", "long_name": "2 metre temperature", "grid_mapping": "crs"}),
        "tp": (("time", "lat", "lon"), np.where(t2m > 290, np.nan, t2m / 100).astype("f4"), {"units": "m"}),
        "land": (("lat", "lon"), (t2m[0] > 270).astype("i1"), {"flag_values": np.array([0, 1], "i1"),
                                                             "flag_meanings": "sea land"}),
        "lead": (("time",), np.arange(6).astype("m8[h]").astype("m8[ns]")),
        "count": ((), np.int64(7))}, {
        "time": ("time", time, {"standard_name": "time", "axis": "T"}), "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}), **grid}, {"title": "weather", "Conventions": "CF-1.7"})
    ds.t2m.encoding.update(dtype="i2", scale_factor=.002, add_offset=270., _FillValue=np.int16(-32767), chunksizes=(1, 9, 12),
                           zlib=True)
    ds.tp.encoding.update(chunksizes=(6, 3, 4))
    ds.time.encoding.update(units="hours since 1900-01-01", dtype="i4", calendar="gregorian")
    return ds


ds = weather()
ds.to_netcdf(folder / "weather.nc", engine="netcdf4", unlimited_dims=["time"])
ds.to_netcdf(folder / "weather_h5.nc", engine="h5netcdf")
old = ds.drop_vars(["count"])
old.to_netcdf(folder / "weather_3.nc", engine="netcdf4", format="NETCDF3_64BIT", encoding={
    "t2m": {"dtype": "i2", "scale_factor": .002, "add_offset": 270., "_FillValue": np.int16(-32767)}})
calendar = ds[["t2m"]].isel(time=slice(0, 3)).drop_vars(["lon2d", "crs"]).assign_coords(
    time=xr.date_range("2001-02-27", periods=3, calendar="noleap", use_cftime=True))
calendar.t2m.attrs.pop("grid_mapping")
calendar.to_netcdf(folder / "noleap.nc", engine="netcdf4")
xr.DataTree.from_dict({"/fine": ds, "/coarse": ds.isel(lat=slice(0, 9, 4), lon=slice(0, 12, 4))}).to_netcdf(folder / "tree.nc")

said = {}
for name, group in (("weather", None), ("weather_h5", None), ("weather_3", None), ("noleap", None), ("tree", "fine"),
                    ("tree", "coarse")):
    with xr.open_dataset(folder / f"{name}.nc", group=group, decode_timedelta=name != "noleap" or None,
                         decode_times=name != "noleap") as d:
        one = f"{name}/{group}" if group else name
        values = {}
        said[one] = {"variables": {}, "attributes": {k: str(v) for k, v in d.attrs.items()}, "data": sorted(d.data_vars)}
        for v in d.variables:
            a = d[v]
            values[v] = a.values
            said[one]["variables"][v] = {"dims": list(a.dims), "attributes": {
                k: np.asarray(w).tolist() for k, w in a.attrs.items()}}
        np.savez(folder / f"{one.replace('/', '_')}.npz", **values)
(folder / "said.json").write_text(json.dumps(said))
