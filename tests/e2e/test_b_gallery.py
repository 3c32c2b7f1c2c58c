"""The gallery in examples/, served: chunks read over HTTP equal a whole-array computation that is made here,
without lazarr. examples/nuclei.py, which needs tensorflow, is tested in tests/gallery."""
import importlib.util
import itertools
import json
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

import lzr

T1 = "/usr/share/mricron/templates/ch2.nii.gz"


def example(name):
    return lzr.ROOT / "examples" / f"{name}.py"


@pytest.fixture(scope="module")
def t1():
    lzr.need(os.path.exists(T1), "mricron-data")
    lzr.need(importlib.util.find_spec("nibabel"), "python3-nibabel")
    import nibabel
    return np.asarray(nibabel.load(T1).dataobj).T


def names_of(name):
    """The names that an example defines, without a server."""
    sys.path.insert(0, str(lzr.PYTHON_DIR))
    try:
        return runpy.run_path(str(example(name)))
    finally:
        sys.path.pop(0)


class Served:
    """Chunks of one server's arrays, put together."""

    def __init__(self, srv, store):
        self.srv, self.store = srv, store

    def chunk_slices(self, path, positions=None):
        """(slices of the array, values) of the chunks at these positions, or all."""
        base = f"/zarr2/{self.store}.zarr/{path}"
        meta = self.srv.get(f"{base}/.zarray").json()
        counts = [-(-n // c) for n, c in zip(meta["shape"], meta["chunks"])]
        for pos in positions or itertools.product(*map(range, counts)):
            pos = [p % n for p, n in zip(pos, counts)]  # -1 is the last
            raw = lzr.decode(self.srv.chunk(f"{base}/{meta['dimension_separator'].join(map(str, pos))}"),
                             meta["compressor"])
            at = tuple(slice(p * c, min((p + 1) * c, n))
                       for p, c, n in zip(pos, meta["chunks"], meta["shape"]))
            block = np.frombuffer(raw, meta["dtype"]).reshape(meta["chunks"])
            yield at, block[tuple(slice(0, s.stop - s.start) for s in at)]

    def equals(self, path, want, positions=None):
        n = 0
        for at, got in self.chunk_slices(path, positions):
            assert got.dtype == want.dtype and np.array_equal(got, want[at], equal_nan=True), (path, at)
            n += 1
        assert n
        return n


CORNERS = [(0, 0, 0), (1, 1, 1), (-1, 2, 1), (1, -1, -1)]


def reduced(a, method):
    """One level of a volume by 2: the mean of windows that are cut at the end, halves rounded up."""
    shape = [-(-n // 2) for n in a.shape]
    total, n = np.zeros(shape, "i8"), np.zeros(shape, "i8")
    for move in itertools.product((0, 1), repeat=a.ndim):
        part = a[tuple(slice(m, None, 2) for m in move)]
        at = tuple(slice(0, k) for k in part.shape)
        total[at] += part
        n[at] += 1
    assert method == "mean"
    return ((2 * total + n) // (2 * n)).astype(a.dtype)


@pytest.mark.limit(180)
def test_brain(t1):
    volume = t1.astype("float32")
    with lzr.Server(example("brain"), "--workers", "2") as srv:
        brain = Served(srv, "brain")
        with srv.delta() as d:
            edges = ndimage.gaussian_gradient_magnitude(reduced(reduced(t1, "mean"), "mean").astype("float32"), 2)
            assert brain.equals("edges/2", edges) == 1
        assert d["computed_total"] <= 2 + 48, "the coarsest picture costs no fine blocks of what is derived"
        brain.equals("t1/0", t1, CORNERS)
        brain.equals("t1/1", reduced(t1, "mean"))
        brain.equals("edges/0", ndimage.gaussian_gradient_magnitude(volume, 2), CORNERS)
        brain.equals("gradient/0", np.sqrt(sum(p ** 2 for p in np.gradient(volume))), CORNERS)
        coarse = np.gradient(reduced(t1, "mean").astype("float32"), 2, 2, 2)
        brain.equals("gradient/1", np.sqrt(sum(p ** 2 for p in coarse)), [(0, 0, 0), (1, 1, 1)])


@pytest.mark.limit(240)
def test_regions(t1):
    """Blur, threshold, distance, watershed: each as of the whole volume, across all borders of blocks."""
    climb = names_of("regions")["climb"]
    smooth = ndimage.gaussian_filter(t1.astype("float32"), 2)
    tissue = smooth > 90
    depth = np.minimum(ndimage.distance_transform_edt(np.pad(tissue, 1))[1:-1, 1:-1, 1:-1], 12)
    names = np.where(tissue, climb(smooth, 16) + 1, 0).astype("uint32")
    assert len(np.unique(names)) > 1000 and depth.max() == 12
    with lzr.Server(example("regions"), "--workers", "2") as srv:
        regions = Served(srv, "regions")
        regions.equals("regions/0", names, [(1, 1, 1), (0, 1, 1), (1, 1, 2), (-1, -1, -1)])
        regions.equals("depth/0", depth.astype("float32"), CORNERS)
        regions.equals("tissue/0", tissue.astype("uint8"), CORNERS)
        regions.equals("smooth/0", smooth, CORNERS)


def test_climbing():
    """The watershed's own walk, voxel by voxel."""
    climb = names_of("regions")["climb"]
    height = np.random.default_rng(1).random((7, 6, 5))
    got = climb(height, 4)
    for start in np.ndindex(*height.shape):
        at = start
        for _ in range(4):
            at = max((n for n in itertools.product(*(range(max(0, p - 1), min(s, p + 2))
                                                     for p, s in zip(at, height.shape)))),
                     key=lambda n: height[n])
        assert got[start] == np.ravel_multi_index(at, height.shape)


@pytest.mark.limit(120)
def test_projection(t1):
    with lzr.Server(example("projection"), "--workers", "2") as srv:
        projection = Served(srv, "projection")
        coarse = reduced(t1, "mean")
        projection.equals("axial/0", t1.max(0))
        projection.equals("axial/1", coarse.max(0))
        projection.equals("axial/2", reduced(coarse, "mean").max(0))
        projection.equals("coronal/0", t1.max(1))
        projection.equals("slab/0", t1[80:100].mean(0).astype("float32"))
        projection.equals("slab/1", coarse[40:50].mean(0).astype("float32"))
        projection.equals("profile", t1[:, 108].mean(1).astype("float32"))
        meta = srv.get("/zarr2/projection.zarr/coronal/.zattrs").json()["multiscales"][0]
        assert [a["name"] for a in meta["axes"]] == ["y", "x"]


def test_fractal():
    """Coarse levels by themselves: what a whole coarse volume of the same function gives."""
    with lzr.Server(example("fractal"), "--workers", "2") as srv:
        with srv.delta() as d:
            got = lzr.read_array(srv, "/zarr2/fractal.zarr/julia/6")
        assert got.shape == (64, 64, 64) and d["computed_total"] == 1
        step = 64
        z, y, x = np.meshgrid(*[(np.arange(64) * step + (step - 1) / 2) * (3 / 4096) - 1.5] * 3, indexing="ij")
        a, b, c, w = (v.astype("float32") for v in (x, y, z, np.zeros_like(x)))
        want = np.full(a.shape, 255)
        for i in range(24):
            with np.errstate(all="ignore"):
                out = (a * a + (b * b + c * c + w * w) > 4) & (want == 255)
                want[out] = i * 8
                twice = 2 * a
                a, b, c, w = (a * a - (b * b + c * c + w * w) - np.float32(0.4), twice * b + np.float32(0.6),
                              twice * c + np.float32(0.2), twice * w + np.float32(0.1))
        assert (got == want).mean() > 0.9999 and len(np.unique(got)) > 10
        fine = next(Served(srv, "fractal").chunk_slices("julia/0", [(32, 30, 31)]))[1]
        assert fine.shape == (64, 64, 64)


@pytest.mark.limit(120)
def test_climate():
    """Opened with xarray, as a climate scientist would: dates, labels, units, packed values and all; of 1.5 GB that
    nobody has made only what is asked for."""
    for library in ("xarray", "dask"):
        lzr.need(importlib.util.find_spec(library), f"python3-{library}")
    import xarray
    own = names_of("climate")
    y, x = slice(309, 412), slice(288, 432)
    whole = np.concatenate([own["weather"]({None: {"array-location": [(t, t + 12), (309, 412), (288, 432)]}})
                            for t in range(0, 360, 12)]).astype("f8")
    stored = np.round((whole - 273.15) / 0.002) * 0.002 + 273.15
    usual = stored.reshape(30, 12, 103, 144).mean(0)
    with lzr.Server(example("climate"), "--workers", "2") as srv:
        with xarray.open_zarr(f"{srv.url}/zarr2/climate.zarr", consolidated=True) as data:
            assert data["time"].values[31] == np.datetime64("1993-08-01") and data["t2m"].shape == (360, 721, 1440)
            tile = data.isel(latitude=y, longitude=x)
            assert np.abs(tile["t2m"][:24].values - stored[:24]).max() < 3e-3
            assert np.abs(tile["climatology"].values - usual).max() < 1e-3
            assert np.abs(tile["anomaly"][12:24].values - (stored[12:24] - usual)).max() < 4e-3
            assert np.abs(tile["running"][30].values - stored[24:36].mean(0)).max() < 1e-3
            assert data["anomaly"].attrs == {"units": "K", "long_name": "2 metre temperature", "grid_mapping": "spatial_ref"}
            assert data["anomaly"].dims == ("time", "latitude", "longitude") and "spatial_ref" in data.coords
            warmest = (tile["warmest"].values.astype("M8[D]") - np.datetime64("1970-01-01")).astype(int)
            assert (own["MONTHS"][stored.argmax(0)] == warmest.astype("M8[D]").astype("M8[M]")).mean() > 0.999
        documents = srv.get("/zarr3/climate.zarr/maps/zarr.json").json()["attributes"]
        assert documents["proj:code"] == "EPSG:4326" and len(documents["zarr_conventions"]) == 3
        below = None
        for k, level in enumerate(documents["multiscales"]["layout"]):
            with xarray.open_zarr(f"{srv.url}/zarr2/climate.zarr", group=f"maps/{level['asset']}", consolidated=False) as m:
                got = m["t2m"][5].load()
            a, _, c, _, e, f = level["spatial:transform"]
            assert list(got.shape) == level["spatial:shape"] and set(got.coords) == {
                "time", "latitude", "longitude", "spatial_ref"}
            np.testing.assert_allclose(got["latitude"], f + e * (np.arange(got.shape[0]) + 0.5))
            np.testing.assert_allclose(got["longitude"], c + a * (np.arange(got.shape[1]) + 0.5))
            if below is None:
                assert np.abs(got.values[y, x] - stored[5]).max() < 3e-3
            else:
                n, w = got.shape
                want = below[:2 * n, :2 * w].reshape(n, 2, w, 2).mean(axis=(1, 3))
                assert np.abs(got.values - want).max() < 1e-3
            below = got.values


NUMBERS = (np.ogrid[:100, :1, :1][0] * 7 + np.arange(120)[None, :, None] * 5 + np.arange(140) * 3) % 1000


def array_likes(tmp_path, want, *options):
    """Serves examples/arraylike.py and compares what it has with what it must have."""
    with lzr.Server(example("arraylike"), "--workers", "2", *options,
                    env={"XDG_CACHE_HOME": os.fspath(tmp_path)}) as srv:
        served = Served(srv, "arraylike")
        for path, values in want.items():
            served.equals(path, values)
        doc = json.loads(lzr.run("describe", example("arraylike"), *options,
                                 XDG_CACHE_HOME=os.fspath(tmp_path)).stdout)
        return {a["path"]: a for a in doc["arrays"]}


@pytest.mark.limit(120)
def test_array_likes(tmp_path):
    """memmap, h5py, zarr 2, dask, xarray, tifffile and nibabel: Debian's."""
    for library in ("h5py", "zarr", "dask", "xarray", "tifffile", "nibabel"):
        lzr.need(importlib.util.find_spec(library), f"python3-{library}")
    n = NUMBERS.astype("uint16")
    half = reduced(n, "mean")
    arrays = array_likes(tmp_path, {"memmap/0": n, "memmap/1": half, "hdf5/0": n, "zarr": n, "xarray": n,
                                    "dask": n + np.uint16(1), "tiff/0": n, "tiff/1": half,
                                    "nifti/0": n * 0.5 + 1})
    assert arrays["xarray"]["dims"] == ["time", "lat", "lon"]
    assert arrays["hdf5"]["levels"][0]["chunks"] == arrays["dask"]["levels"][0]["chunks"] == [50, 60, 70]
    assert arrays["zarr"]["levels"][0]["chunks"] == [32, 32, 32]


@pytest.mark.limit(300)
def test_array_likes_of_another_python(tmp_path):
    """zarr 3, xarray and tensorstore, from an environment of Python 3.12."""
    prefix = lzr.ENVS / "py312"
    lzr.need((prefix / "bin" / "python").exists(), f"Python 3.12 with readers ({prefix})")
    lzr.need(lzr.BUILD == lzr.ROOT / "build", "a run on build/, which ./quickstart worker builds into")
    p = subprocess.run([lzr.ROOT / "quickstart", "worker", prefix], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=180, cwd=lzr.ROOT, env=lzr.environment())
    assert p.returncode == 0, p.stdout.decode()
    n = NUMBERS.astype("uint16")
    arrays = array_likes(tmp_path, {"memmap/0": n, "zarr": n, "xarray": n, "tensorstore/0": n}, "--python", prefix)
    assert (tmp_path / "lazarr-arraylike-2" / "data-3.zarr" / "zarr.json").exists()
    assert arrays["tensorstore"]["levels"][0]["chunks"] == [50, 60, 70]
    assert arrays["zarr"]["levels"][0]["chunks"] == [32, 32, 32]
