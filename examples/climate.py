"""Variables derived from a climate-like data set, with a time axis, for xarray.

Daily air temperature on a grid of two years; from it a running mean over 31 days (context in time), the
mean over all days (an axis less), the anomaly (inputs of different rank), and the warmest day. Open it
with

    xarray.open_zarr("http://127.0.0.1:8080/zarr3/climate.zarr/", consolidated=True)

The data is made up when it is first needed; `air` stands for any DataArray that xarray opens.

    lazarr serve examples/climate.py        (needs python3-xarray)
"""
import functools

import numpy as np

import lazarr

DAYS, LAT, LON = 730, 73, 144


@functools.cache
def dataset():
    """An xarray.Dataset with air(time, lat, lon), in kelvin."""
    import xarray
    lat, lon = np.linspace(90, -90, LAT), np.arange(LON) * 2.5
    day = np.arange(DAYS)
    season = -np.cos((day - 15) / 365 * 2 * np.pi)[:, None, None] * np.sin(np.radians(lat))[None, :, None] * 15
    waves = 4 * np.sin(np.radians(lon * 3)[None, None, :] + day[:, None, None] / 5) * \
        np.cos(np.radians(lat))[None, :, None]
    noise = np.random.default_rng(0).normal(0, 2, (DAYS, LAT, LON))
    air = (255 + 45 * np.cos(np.radians(lat))[None, :, None] ** 2 + season + waves + noise).astype("float32")
    return xarray.Dataset({"air": (("time", "lat", "lon"), air)},
                          {"time": np.datetime64("2023-01-01") + day, "lat": lat, "lon": lon})


# The coordinates, as CF describes them: xarray makes dates of them, and labels.
lazarr.source("time", np.arange(DAYS, dtype="int32"), dims=("time",), attributes={
    "units": "days since 2023-01-01", "calendar": "proleptic_gregorian", "standard_name": "time"})
lazarr.source("lat", np.linspace(90, -90, LAT), dims=("lat",), attributes={
    "units": "degrees_north", "standard_name": "latitude"})
lazarr.source("lon", np.arange(LON) * 2.5, dims=("lon",), attributes={
    "units": "degrees_east", "standard_name": "longitude"})


@lazarr.source("air", chunks=(90, 73, 72), attributes={"units": "K", "long_name": "air temperature"})
def air():
    return dataset()["air"]  # names of the axes included


@lazarr.array("running", inputs=[air], halo=((15, 15), 0, 0), boundary="edge", attributes={
    "units": "K", "long_name": "air temperature, mean of 31 days"})
def running(block, days):
    """Mean over the 15 days before and after; the first and last day stand for those that are missing."""
    total = np.cumsum(days, axis=0, dtype="float64")
    total[31:] -= total[:-31].copy()
    return (total[30:] / 31).astype("float32")


@lazarr.array("mean", inputs=[lazarr.Input(air, select={"time": slice(None)})], attributes={
    "units": "K", "long_name": "air temperature, mean of all days"})
def mean(block, days):
    return days.mean(axis=0, dtype="float64").astype("float32")


@lazarr.array("anomaly", inputs=[running, mean], attributes={
    "units": "K", "long_name": "difference of the running mean from the mean"})
def anomaly(block, days, usual):
    return days - usual


@lazarr.array("warmest", inputs=[lazarr.Input(running, select={"time": slice(None)})], dtype="int32",
              attributes={"units": "days since 2023-01-01", "long_name": "the warmest day"})
def warmest(block, days):
    return days.argmax(axis=0)
