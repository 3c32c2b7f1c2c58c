"""OME-Zarr 0.4 (zarr2) and 0.5 (zarr3) as its own readers see it: ome-zarr-models validates every document,
ome-zarr-py, ngff-zarr and napari-ome-zarr (without a window) open every image; axes, units, placement
of each level, channels, labels and all values are those of formats.py (read_ngff.py compares)."""
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import formats  # noqa: E402
from test_formats import python, run, srv  # noqa: E402,F401

IMAGES = [s for s in formats.SPECS if formats.image(s)]
faces = pytest.mark.parametrize("face", ["zarr2", "zarr3"])


def client(srv, face, reader):  # noqa: F811
    report = run(face, python("readers"), "read_ngff.py", srv.url, face, reader)
    names = {s.name for s in IMAGES}
    inside = {f"{s.more['labels_of']}/labels/{s.name.split('/')[-1]}" for s in IMAGES if "labels_of" in s.more}
    out = set()
    if reader == "napari-ome-zarr":
        out = {s.name for s in IMAGES if s.more.get("kind") == "labels"} | inside
    assert set(report["excluded"]) == out
    assert report["read"] == len(names | inside) - len(out) >= 10


@faces
@pytest.mark.limit(120)
def test_ome_zarr_models(srv, face):  # noqa: F811
    client(srv, face, "ome-zarr-models")


@faces
@pytest.mark.limit(120)
def test_ome_zarr_py(srv, face):  # noqa: F811
    client(srv, face, "ome-zarr")


@faces
@pytest.mark.limit(120)
def test_ngff_zarr(srv, face):  # noqa: F811
    client(srv, face, "ngff-zarr")


@faces
@pytest.mark.limit(120)
def test_napari_ome_zarr(srv, face):  # noqa: F811
    client(srv, face, "napari-ome-zarr")


def test_the_images_are_what_was_promised():
    """Axes from yx to tczyx, units, placement, channels with windows, labels, levels."""
    assert {s.axes for s in IMAGES} >= {"yx", "cyx", "tyx", "zyx", "czyx", "tczyx"}
    assert any(s.more.get("levels", 1) > 1 and s.more.get("kind") == "labels" for s in IMAGES)
    assert any("window" in c for s in IMAGES for c in s.more.get("channels", []))
