"""Where voxels of each level are, in each format's words: all formats agree (design: placement)."""
import re

import numpy as np
import pytest

import lzr
import pyramids
from levels_images import IMAGES, expected, levels

HERE = lzr.ROOT / "tests" / "e2e"
NANO = {"micrometer": 1000, None: 1}


@pytest.fixture(scope="module")
def srv():
    with lzr.Server(HERE / "levels_store.py", "--workers", "2") as server:
        yield server


@pytest.mark.parametrize("name", IMAGES)
def test_values(srv, name):
    """Every level, from each Zarr face."""
    for k, want in enumerate(expected(name)):
        got = pyramids.read(srv, f"/zarr3/levels_store.zarr/{name}/{k}", edge=name == "cells" and k > 0)
        np.testing.assert_array_equal(got, want)


def ngff(srv, name, face):
    attributes = srv.get(f"/{face}/levels_store.zarr/{name}/"
                         + (".zattrs" if face == "zarr2" else "zarr.json")).json()
    if face == "zarr3":
        attributes = attributes["attributes"]["ome"]
    return attributes["multiscales"][0]


@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
@pytest.mark.parametrize("name", IMAGES)
def test_ngff(srv, name, face):
    m = ngff(srv, name, face)
    want = levels(name)
    assert [d["path"] for d in m["datasets"]] == [str(k) for k in range(len(want))]
    for d, (_, scale, place) in zip(m["datasets"], want):
        t = d["coordinateTransformations"]
        assert [x["type"] for x in t] == ["scale", "translation"]
        np.testing.assert_allclose(t[0]["scale"], scale, rtol=1e-12)
        np.testing.assert_allclose(t[1]["translation"], place, rtol=1e-12, atol=1e-12)
    how = IMAGES[name][3].get("pyramid", "mode" if name == "cells" else "mean")
    assert m.get("type") == (None if how == "each" else how)


@pytest.mark.parametrize("name", IMAGES)
def test_n5(srv, name):
    """N5's own words: a level begins with its first voxel's corner, whatever made it. A level made by
    stride is shown half a window off there; its COSEM transform has it right."""
    want, root = levels(name), f"/n5/levels_store.n5/{name}"
    group = srv.get(f"{root}/attributes.json").json()
    assert group["downsamplingFactors"] == [f.tolist()[::-1] for f, _, _ in want]
    for k, (factor, scale, place) in enumerate(want):
        a = srv.get(f"{root}/s{k}/attributes.json").json()
        assert a["downsamplingFactors"] == factor.tolist()[::-1]
        assert all(isinstance(f, int) for f in a["downsamplingFactors"])
        np.testing.assert_allclose(a["pixelResolution"]["dimensions"], want[0][1][::-1], rtol=1e-12)
        np.testing.assert_allclose(a["resolution"], scale[::-1], rtol=1e-12)
        if len(factor) == 3 and (want[0][2].any() or IMAGES[name][3].get("pyramid") == "stride"):
            np.testing.assert_allclose(a["transform"]["scale"], scale, rtol=1e-12)
            np.testing.assert_allclose(a["transform"]["translate"], place, rtol=1e-12)


@pytest.mark.parametrize("name", IMAGES)
def test_precomputed(srv, name):
    """Whole voxels from the corner: within half a voxel of the level."""
    more, want = IMAGES[name][3], levels(name)
    if "t" in more["axes"]:
        assert srv.get(f"/precomputed/levels_store/{name}/info").status == 404
        return
    info = srv.get(f"/precomputed/levels_store/{name}/info").json()
    assert [s["key"] for s in info["scales"]] == [str(k) for k in range(len(want))]
    nano = NANO[more.get("units")]
    first = want[0][1][::-1]
    for s, (factor, scale, place) in zip(info["scales"], want):
        n = len(factor)
        np.testing.assert_allclose(s["resolution"][:n], scale[::-1] * nano, rtol=1e-9)
        # lazarr's translation is precomputed's corner: all levels are half a finest voxel aside.
        centre = (np.array(s["voxel_offset"][:n]) + 0.5) * scale[::-1] - 0.5 * first
        assert (abs(centre - place[::-1]) <= 0.5 * scale[::-1] + 1e-9).all(), (s, place)


@pytest.mark.parametrize("name", IMAGES)
def test_bdv(srv, name):
    more, want = IMAGES[name][3], levels(name)
    xml = srv.get(f"/bdv/levels_store/{name}/dataset.xml").text
    affine = np.array(re.search(r"<affine>(.*?)</affine>", xml).group(1).split(), float).reshape(3, 4)
    setup = srv.get(f"/bdv/levels_store/{name}/dataset.n5/setup0/attributes.json").json()
    axes = [more["axes"].index(a) if a in more["axes"] else None for a in "xyz"]
    assert len(setup["downsamplingFactors"]) == len(want)
    for factors, (factor, _, place) in zip(setup["downsamplingFactors"], want):
        assert factors == [1 if i is None else factor[i] for i in axes]
        # The viewer's own rule for a level: voxel 0 is (f - 1) / 2 finest voxels in.
        centre = affine[:, :3] @ ((np.array(factors) - 1) / 2) + affine[:, 3]
        if more.get("pyramid") != "stride":
            np.testing.assert_allclose(centre, [0 if i is None else place[i] for i in axes], atol=1e-9)
