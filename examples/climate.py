"""Climate variables derived from a dataset: climatology, anomalies, maps at several resolutions.

Monthly means of the 2 m temperature in the shape of ERA5 (30 years, 0.25 degrees: 360 x 721 x 1440), packed into
16 bits as its archive packs them. The dataset is xarray's, in dask's chunks: nothing of it is made before somebody
asks, and then only the chunks that are needed. `era5` stands for whatever xarray opens: a folder of netCDF files, a
Zarr in the cloud, or just a file's name, `lazarr.dataset("", "era5.nc")`. From it: the mean of each calendar month, the
anomaly (what a month differs from that mean), a running mean over a year, the warmest month, and maps at three
resolutions for the web. Open it with

    xarray.open_zarr("http://127.0.0.1:8080/zarr3/climate.zarr")
    xarray.open_zarr("http://127.0.0.1:8080/zarr3/climate.zarr", group="maps/2")      # the coarsest maps

    lazarr serve examples/climate.py        (needs python3-xarray python3-dask)
"""
import numpy as np

import lazarr

MONTHS = np.arange("1991-01", "2021-01", dtype="M8[M]")
LAT, LON = np.linspace(90, -90, 721), np.arange(1440) * 0.25
CHUNKS = (12, 103, 144)

WGS84 = ('GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
         'UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]')


def weather(block_info=None):
    """One chunk of made-up temperatures: latitude, seasons, waves that travel, a trend, and noise."""
    (t0, t1), (y0, y1), (x0, x1) = block_info[None]["array-location"]
    month = np.arange(t0, t1)[:, None, None]
    lat, lon = np.radians(LAT[y0:y1, None]), np.radians(LON[x0:x1])
    season = -15 * np.cos((month % 12 - 0.5) / 6 * np.pi) * np.sin(lat)
    waves = 3 * np.sin(3 * lon + month / 5) * np.cos(lat)
    noise = np.random.default_rng((t0, y0, x0)).normal(0, 1, (t1 - t0, y1 - y0, x1 - x0))
    return (250 + 45 * np.cos(lat) ** 2 + season + waves + 0.002 * month + noise).astype("float32")


@lazarr.dataset("")
def era5():
    import dask.array
    import xarray
    shape = len(MONTHS), len(LAT), len(LON)
    chunks = dask.array.core.normalize_chunks(CHUNKS, shape)
    t2m = dask.array.map_blocks(weather, chunks=chunks, dtype="float32", meta=np.empty((0, 0, 0), "float32"))
    ds = xarray.Dataset(
        {"t2m": (("time", "latitude", "longitude"), t2m, {
            "units": "K", "long_name": "2 metre temperature", "grid_mapping": "spatial_ref"})},
        {"time": ("time", MONTHS.astype("M8[ns]"), {"standard_name": "time"}),
         "latitude": ("latitude", LAT, {"units": "degrees_north", "standard_name": "latitude"}),
         "longitude": ("longitude", LON, {"units": "degrees_east", "standard_name": "longitude"}),
         "spatial_ref": ((), 0, {"grid_mapping_name": "latitude_longitude", "crs_wkt": WGS84})},
        {"Conventions": "CF-1.8", "title": "monthly means in the shape of ERA5, made up"})
    ds["t2m"].encoding = {"dtype": "int16", "scale_factor": 0.002, "add_offset": 273.15, "_FillValue": -32767}
    return ds


T2M = era5["t2m"]
MONTH = lazarr.source("month", np.arange(1, 13), dims=("month",), attributes={"long_name": "calendar month"})


@lazarr.array("climatology", inputs=[lazarr.Input(T2M, select={"time": slice(None)})],
              dims=("month", "latitude", "longitude"), shape=(12, len(LAT), len(LON)), chunks=CHUNKS, dtype="float32")
def climatology(block, t2m):
    """The mean of all Januaries, Februaries ... `t2m` is unpacked, with all times; axis() gives their dates."""
    month = block.axis("time").astype("M8[M]").astype(int) % 12 + 1
    return np.stack([t2m[month == m].mean(axis=0) for m in block.axis("month")]).astype("float32")


@lazarr.array("anomaly", inputs=[T2M, lazarr.Input(climatology, select={"month": slice(None)})], dtype="float32")
def anomaly(block, t2m, usual):
    """What each month differs from the mean of its calendar month."""
    month = block.axis("time").astype("M8[M]").astype(int) % 12
    return (t2m - usual[month]).astype("float32")


@lazarr.array("running", inputs=[T2M], halo=((6, 5), 0, 0), boundary="edge", dtype="float32")
def running(block, t2m):
    """Mean over a year around each month; the first and last month stand for those that are missing."""
    total = np.cumsum(t2m, axis=0, dtype="float64")
    total[12:] -= total[:-12].copy()
    return (total[11:] / 12).astype("float32")


@lazarr.array("warmest", inputs=[lazarr.Input(T2M, select={"time": slice(None)})], dtype="int32", attributes={
    "units": "days since 1991-01-01", "long_name": "the warmest month"})
def warmest(block, t2m):
    first = block.axis("time").astype("M8[D]") - np.datetime64("1991-01-01")
    return first.astype("int32")[t2m.argmax(axis=0)]


# Maps for the web, each level half as long: groups as the conventions multiscales, proj and spatial of Zarr
# (GeoZarr) have them. A level is made of the one below it, a month at a time.

def transform(factor):
    """From a pixel's index to degrees: a, b, c, d, e, f of the conventions, the corner of the first pixel."""
    return [0.25 * factor, 0.0, -0.125, 0.0, -0.25 * factor, 90.125]


def half(below, path):
    """A level of half as many latitudes and longitudes: the mean of four pixels, a row left over cut off."""
    times, rows, columns = below.shape[0], below.shape[1] // 2, below.shape[2] // 2

    @lazarr.array(path, shape=(times, rows, columns), chunks=(1, rows, columns), dims=below.dims, dtype="float32",
                  inputs=[lazarr.Input(below, select={"latitude": slice(0, 2 * rows),
                                                      "longitude": slice(0, 2 * columns)})])
    def level(block, fine):
        (_, y, x), (_, ny, nx) = block.start, block.shape
        part = fine[:, 2 * y:2 * (y + ny), 2 * x:2 * (x + nx)]
        return part.reshape(-1, ny, 2, nx, 2).mean(axis=(2, 4))
    return level


def places(group, lat, lon):
    """The coordinates of a level, beside it."""
    lazarr.source(f"{group}/latitude", lat, dims=("latitude",), attributes=era5["latitude"].attributes)
    lazarr.source(f"{group}/longitude", lon, dims=("longitude",), attributes=era5["longitude"].attributes)


@lazarr.array("maps/0/t2m", inputs=[T2M], chunks=(1, len(LAT), len(LON)), dtype="float32")
def whole(block, t2m):
    return t2m.astype("float32")


finest, layout = whole, []
for k in range(3):
    n, m = whole.shape[1] >> k, whole.shape[2] >> k
    if k > 0:
        finest = half(finest, f"maps/{k}/t2m")
        places(f"maps/{k}", LAT[:n << k].reshape(n, -1).mean(1), LON[:m << k].reshape(m, -1).mean(1))
    layout.append({"asset": str(k), "transform": {"scale": [2.0, 2.0] if k else [1.0, 1.0], "translation": [0.0, 0.0]},
                   "spatial:shape": [n, m], "spatial:transform": transform(1 << k),
                   **({"derived_from": str(k - 1)} if k else {})})


def convention(name, repository, uuid):
    where = f"zarr-conventions/{repository}"
    return {"name": name, "uuid": uuid, "spec_url": f"https://github.com/{where}/blob/v1/README.md",
            "schema_url": f"https://raw.githubusercontent.com/{where}/refs/tags/v1/schema.json"}


lazarr.group("maps", attributes={
    "zarr_conventions": [convention("multiscales", "multiscales", "d35379db-88df-4056-af3a-620245f8e347"),
                         convention("proj:", "geo-proj", "f17cb550-5864-4468-aeb7-f3180cfb622f"),
                         convention("spatial", "spatial", "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4")],
    "multiscales": {"layout": layout, "resampling_method": "average"},
    "proj:code": "EPSG:4326", "spatial:dimensions": ["latitude", "longitude"],
    "spatial:bbox": [-0.125, -90.125, 359.875, 90.125]})
