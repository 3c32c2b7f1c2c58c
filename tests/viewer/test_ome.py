"""ome-zarr.js, in Node and in Chromium, opens OME-Zarr images through zarr2 (0.4) and zarr3 (0.5):
what it says of them and the pixels it renders are those of NumPy."""
import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import kinds  # noqa: E402
import lzr  # noqa: E402
from browser import ENV, NODE, Browser  # noqa: E402

BRAIN = Path("/usr/share/mricron/templates")
OME = {"zarr2": ("0.4", 2), "zarr3": ("0.5", 3)}
faces = pytest.mark.parametrize("face", OME)


@pytest.fixture(scope="module")
def t1():
    lzr.need((BRAIN / "ch2.nii.gz").exists(), "mricron-data")
    import nibabel
    return np.asarray(nibabel.load(BRAIN / "ch2.nii.gz").dataobj).T


@pytest.fixture(scope="module")
def srv(t1):
    with lzr.Server([lzr.ROOT / "tests/e2e/stores/brain.py", HERE / "kinds_store.py"],
                    "--no-access-log") as server:
        yield server
        m = server.metrics()
        assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.close()


class Image:
    """An image as ome-zarr.js has it in Node, with the planes asked for."""

    def __init__(self, srv, face, path, *slices):
        lzr.need((ENV / ".built").exists(), "ome-zarr.js (tests/viewer/setup.sh installs it)")
        url = f"{srv.url}/{face}/{path}"
        p = subprocess.run([NODE, HERE / "read_ome_zarr.mjs", ENV, url, *map(json.dumps, slices)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=50 * lzr.SLOW,
                           env=lzr.environment())
        assert p.returncode == 0, p.stderr.decode()[-3000:]
        self.report = json.loads(p.stdout)
        self.planes = [pixels(x["data"], x) for x in self.report["planes"]]
        self.missing = {u[len(url):] for _, u, status in self.report["asked"] if status == 404}
        assert {s for _, _, s in self.report["asked"]} <= {200, 404}


def pixels(text, size):
    return np.frombuffer(base64.b64decode(text), "u1").reshape(size["height"], size["width"], 4)


def missing(face, labels):
    """What is asked for and isn't there: the other version's documents, labels of an image that has
    none."""
    out = {"/.zattrs", "/.zgroup"} if face == "zarr3" else set()
    if labels:
        return out
    names = {"zarr2": (".zattrs", ".zgroup"), "zarr3": ("zarr.json",)}[face]
    return out | {f"/labels/{n}" for n in names}


def stretched(plane, channel):
    """A plane as it is rendered in gray: from the channel's window (without one, from the plane's
    own least and greatest value) to 0…255, rounded down."""
    w = channel.get("window", {})
    low, high = w.get("start"), w.get("end")
    if low is None or high is None:
        low, high = plane.min(), plane.max()
    v = (plane.astype(float) - low) / (float(high) - low)
    return np.floor(np.clip(v, 0, 1) * 255).astype(int)


@faces
def test_brain_in_node(srv, t1, face):
    image = Image(srv, face, "brain.zarr/t1", {"z": 80}, {"z": 20})
    r = image.report
    assert (r["ome"], r["zarr"]) == OME[face]
    assert r["axes"] == [{"name": a, "type": "space", "unit": "millimeter"} for a in "zyx"]
    assert r["scales"][0] == [1, 1, 1] and r["shapes"][0] == [181, 217, 181]
    assert image.missing == missing(face, labels=True)
    for plane, z in zip(image.planes, (80, 20)):
        want = stretched(t1[z], r["channels"][0])
        assert (plane[..., :3] == want[..., None]).all() and (plane[..., 3] == 255).all()
        assert len(np.unique(want)) > 100


@faces
def test_brain_in_the_browser(browser, srv, t1, face):
    """What an application shows: the middle slice as a PNG."""
    look = browser.show(f"{srv.url}/{face}/brain.zarr/t1", 217, srv.url, f"ome-zarr.js-{face}")
    look.check({f"/zarr3/brain.zarr/t1{p}" for p in ("/.zattrs", "/.zgroup")}
               if face == "zarr3" else ())
    plane, = look.panels
    name = ".zattrs" if face == "zarr2" else "zarr.json"
    doc = srv.get(f"/{face}/brain.zarr/t1/{name}").json()
    attributes = doc if face == "zarr2" else doc["attributes"]["ome"]
    channel = attributes.get("omero", {"channels": [{}]})["channels"][0]
    want = stretched(t1[90], channel)
    assert (plane[..., :3] == want[..., None]).all()


@faces
def test_channels(srv, face):
    """Channels in their colours, each from its window; of several the brightest counts."""
    image = Image(srv, face, "kinds_store.zarr/channels", {"z": 5})
    r = image.report
    assert [(c["label"], c["active"]) for c in r["channels"]] == [
        ("red", True), ("green", True), ("blue", True)]
    values = kinds.values(kinds.SPECS["channels"])[:, 5]
    want = np.zeros(values.shape[1:] + (3,), int)
    for plane, c in zip(values, r["channels"]):
        assert set(c["window"]) == {"min", "max", "start", "end"}
        rgb = np.array([int(c["color"][i:i + 2], 16) for i in (0, 2, 4)])
        want = np.maximum(want, stretched(plane, c)[..., None] * rgb // 255)
    assert (image.planes[0][..., :3] == want).all()
    assert image.missing == missing(face, labels=False)


@faces
def test_labels(srv, face):
    """The image's labels group names its labels. ome-zarr.js 0.0.19 asks for the right document of
    0.5 but looks for the names where 0.4 has them: excluded, and checked to be so."""
    image = Image(srv, face, "kinds_store.zarr/uint8")
    if face == "zarr2":
        assert image.report["labels"] == ["labels_uint32"]
    else:
        print("excluded labels of 0.5: ome-zarr.js reads `labels`, not `ome.labels`")
        assert image.report["labels"] == []
        doc = srv.get("/zarr3/kinds_store.zarr/uint8/labels/zarr.json").json()
        assert doc["attributes"]["ome"]["labels"] == ["labels_uint32"]
    assert image.missing == missing(face, labels=True)
    labels = Image(srv, face, "kinds_store.zarr/uint8/labels/labels_uint32", {"z": 5}).planes[0]
    values = kinds.values(kinds.SPECS["labels_uint32"])[5]
    assert (labels[..., :3] == stretched(values, {})[..., None]).all()
