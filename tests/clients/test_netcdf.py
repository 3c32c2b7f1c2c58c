"""Datasets out of netCDF files, from the URL: what xarray 2023 to the newest, dask and zarrita.js make of them equals
what xarray makes of the file itself, values, coordinates, dates and attributes."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402
from test_clients import DEBIAN, NODE, python  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("datasets")
    r = subprocess.run([python("writers"), HERE / "write_netcdf.py", made], capture_output=True, text=True, timeout=100)
    assert r.returncode == 0, r.stderr[-3000:]
    return made


@pytest.fixture(scope="module")
def srv(folder):
    with lzr.Server(sorted(folder.glob("*.nc")), "--workers", "1", "--no-access-log") as server:
        assert "is left out" not in server.log
        yield server


@pytest.mark.limit(200)
@pytest.mark.parametrize("env,face", [("debian", "zarr2"), ("xr2024", "zarr2"), ("xr2025", "zarr2"), ("xr2025", "zarr3"),
                                      ("py311", "zarr2"), ("py311", "zarr3")])
def test_xarray_and_dask(srv, folder, env, face):
    interpreter = DEBIAN if env == "debian" else python(env)
    p = subprocess.run([interpreter, HERE / "read_netcdf.py", srv.url, folder, face], capture_output=True, text=True,
                       timeout=170 * lzr.SLOW, env=lzr.environment())
    lines = p.stdout.splitlines()
    assert lines and lines[-1].startswith("{"), p.stdout[-2000:] + p.stderr[-3000:]
    report = json.loads(lines[-1])
    print(report["versions"], report["read"], "datasets", report["values"], "values")
    assert not report["wrong"] and p.returncode == 0, "\n".join(report["wrong"])
    assert report["read"] == 6 and report["values"] > 5000
    if env == "debian":
        lzr.need(report["plots"] > 0, "matplotlib (python3-matplotlib), for .plot()")
        print(report["plots"], "plots")


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_zarrita(srv, folder, face):
    lzr.need(NODE.exists(), "zarrita.js and its node (tests/clients/setup.sh installs them)")
    p = subprocess.run([NODE, HERE / "read_netcdf.mjs", srv.url, face, lzr.ENVS / "node"], capture_output=True, text=True,
                       timeout=60 * lzr.SLOW, env=lzr.environment())
    assert p.returncode == 0, p.stderr[-2000:]
    got = json.loads(p.stdout)
    with np.load(folder / "weather.npz") as want:
        isel = np.array([np.nan if v is None else v for v in got["isel"]]).reshape(want["t2m"][0].shape)
        assert np.allclose(isel, want["t2m"][0], rtol=1e-12, equal_nan=True)
        assert got["lat"] == want["lat"].tolist()
    assert got["units"] == "K" and got["dims"] == ["time", "lat", "lon"]
