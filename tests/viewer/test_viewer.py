"""Neuroglancer itself (npm package, headless Chromium) looks at the brain through every face: what
it draws equals NumPy's slices pixel by pixel, and no request fails but the probes that must."""
import json
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402
import record  # noqa: E402
from browser import Browser  # noqa: E402
from nginx import Nginx  # noqa: E402

BRAIN = Path("/usr/share/mricron/templates")
MM = [0.001, "m"]
GRAY = "void main() { emitGrayscale(toNormalized(getDataValue())); }"
ZOOM = 4  # pixels a voxel
BACKGROUND = 128  # where no layer draws

# What auto-detection asks a folder for; a face answers 200 for its own and 404 for the others.
PROBES = ("refs/branch.main/ZZZZZZZZ.json", "manifest.ocdbt", "attributes.json", "info", ".zarray",
          ".zattrs", "zarr.json")


class Face:
    """Where a face has the brain's arrays, and where Neuroglancer puts them: the corner of voxel 0,
    as {axis: mm}."""

    def __init__(self, name, folder, scheme, pipe, probes, corner, missing=()):
        self.name, self.folder, self.scheme, self.pipe = name, folder, scheme, pipe
        self.probes, self.corner, self._missing = probes, corner, missing

    def path(self, array):
        return f"/{self.name}/{self.folder}/{array}/"

    def source(self, srv, array, form="scheme"):
        url = srv.url + self.path(array)
        return {"scheme": f"{self.scheme}://{url}", "pipe": url + self.pipe, "auto": url,
                "folder": url[:-1]}[form]

    def missing(self, *arrays):
        """The paths that opening the arrays asks for and that aren't there."""
        return {m if m[0] == "/" else self.path(a) + m for m in self._missing for a in arrays}

    def probed(self, array):
        """The paths that auto-detection finds missing."""
        return {self.path(array) + p for p in PROBES if p not in self.probes}


# OME-Zarr's translation is the centre of voxel 0. N5 as Neuroglancer reads it has no translation,
# and its voxel 0 begins at 0. Precomputed counts whole voxels from the corner: a translation of -90
# voxels is the corner, half a voxel from where OME-Zarr has it. So the formats define it.
OME = {"x": -90.5, "y": -126.5, "z": -72.5}
FACES = [
    Face("zarr2", "brain.zarr", "zarr2", "|zarr2:", [".zattrs"], OME, [".zarray"]),
    Face("zarr3", "brain.zarr", "zarr3", "|zarr3:", ["zarr.json"], OME),
    # N5 attributes are inherited: every ancestor is asked for them, up to the server's root.
    Face("n5", "brain.n5", "n5", "|n5:", ["attributes.json"], {"x": 0, "y": 0, "z": 0},
         ["/attributes.json", "/n5/attributes.json"]),
    Face("precomputed", "brain", "precomputed", "|neuroglancer-precomputed:", ["info"],
         {"x": -90, "y": -126, "z": -72}),
]
faces = pytest.mark.parametrize("face", FACES, ids=lambda f: f.name)


@pytest.fixture(scope="module")
def volumes():
    lzr.need((BRAIN / "ch2.nii.gz").exists(), "mricron-data")
    import nibabel
    return {n: np.asarray(nibabel.load(BRAIN / f"{f}.nii.gz").dataobj).T
            for n, f in (("t1", "ch2"), ("aal", "aal"))}


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    print(f"Chromium {b.version}")
    yield b
    b.close()


@pytest.fixture(scope="module")
def srv(volumes):
    with lzr.Server([lzr.ROOT / "tests/e2e/stores/brain.py"], "--no-access-log") as server:
        yield server
        m = server.metrics()
        assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0


def t1(source):
    return {"type": "image", "name": "t1", "source": source, "opacity": 1, "shader": GRAY}


def aal(source):
    return {"type": "segmentation", "name": "aal", "source": source, "selectedAlpha": 1}


def slice_state(layers, corner, at, axes="xyz"):
    """One slice through the middle of voxel at[2]; the panel's centre lies 1/16 voxel inside voxel
    at[0], at[1]'s corner, so that no pixel's centre falls on a voxel's border."""
    off = {axes[0]: 1 / 16, axes[1]: 1 / 16, axes[2]: 1 / 2}
    return {"dimensions": {a: MM for a in axes}, "layers": layers, "layout": "xy",
            "position": [corner[a] + at[i] + off[a] for i, a in enumerate(axes)],
            "crossSectionScale": 1 / ZOOM, "showAxisLines": False, "showDefaultAnnotations": False,
            "showScaleBar": False, "crossSectionBackgroundColor": "#808080",
            "displayDimensions": list(axes)}


def expected(plane, at, shape, outside):
    """The plane [y, x] as a panel of that shape shows it, centred on at = (x, y)."""
    index = [np.floor(at[i] + 1 / 16 + (np.arange(n) + 0.5 - n / 2) / ZOOM).astype(int)
             for i, n in ((0, shape[1]), (1, shape[0]))]
    inside = [(v >= 0) & (v < n) for v, n in zip(index, plane.shape[::-1])]
    x, y = (np.where(i, v, 0) for v, i in zip(index, inside))
    return np.where(inside[1][:, None] & inside[0][None, :], plane[np.ix_(y, x)], outside)


def check_gray(look, plane, at):
    panel, = look.panels
    want = expected(plane.astype(int), at, panel.shape[:2], BACKGROUND)
    wrong = (panel[..., :3] != want[..., None]).any(-1)
    assert not wrong.any(), (f"{wrong.sum()} of {wrong.size} pixels", np.argwhere(wrong)[:5])
    assert plane.any() and len(np.unique(panel)) > 100  # a brain, not a black square


def check_colours(look, plane, at):
    """Each label has one colour and no two have the same; 0 is not drawn."""
    panel, = look.panels
    want = expected(plane.astype(int), at, panel.shape[:2], 0)
    colour = panel[..., :3].astype(int) @ [65536, 256, 1]
    assert (colour[want == 0] == BACKGROUND * 0x10101).all()
    by_label = {label: set(colour[want == label].tolist()) for label in np.unique(want) if label}
    assert len(by_label) > 20
    assert all(len(c) == 1 for c in by_label.values()), by_label
    assert len(set().union(*by_label.values())) == len(by_label)
    rgb = panel[want != 0][:, :3].astype(int)
    assert (rgb.max(-1) - rgb.min(-1) > 30).mean() > 0.9  # colours, not grays


# The slice z = 80 through the basal ganglia, the panel's centre on voxel (90, 100).
AT = (90, 100, 80)


@faces
def test_image(browser, srv, volumes, face):
    """Every pixel of a slice is NumPy's value, the source given with its scheme."""
    look = browser.open(slice_state([t1(face.source(srv, "t1"))], face.corner, AT), srv.url,
                        f"{face.name}-t1").check(face.missing("t1"))
    check_gray(look, volumes["t1"][AT[2]], AT)


@faces
def test_segmentation(browser, srv, volumes, face):
    look = browser.open(slice_state([aal(face.source(srv, "aal"))], face.corner, AT), srv.url,
                        f"{face.name}-aal").check(face.missing("aal"))
    check_colours(look, volumes["aal"][AT[2]], AT)


@faces
@pytest.mark.parametrize("form", ["auto", "folder", "pipe"])
def test_auto_detection(browser, srv, volumes, face, form):
    """A plain URL, with and without the slash at its end, and one with a format but no scheme."""
    look = browser.open(slice_state([t1(face.source(srv, "t1", form))], face.corner, AT), srv.url)
    probed = [r for r in look.requests if r["method"] == "HEAD"]
    if form == "pipe":
        assert not probed
        look.check(face.missing("t1"))
    else:
        # Without the slash the folder is asked for, answers 301, and the redirect is followed.
        first = [r for r in probed if r["path"] in (face.path("t1")[:-1], face.path("t1"))]
        assert [r["status"] for r in first] == ([301, 200] if form == "folder" else [])
        look.all_requests = [r for r in look.all_requests if r["status"] != 301]
        asked = {r["path"]: r["status"] for r in probed if r not in first}
        assert {p for p, s in asked.items() if s == 404} == face.probed("t1")
        assert {p for p, s in asked.items() if s == 200} == {
            face.path("t1") + p for p in face.probes}
        look.check(face.missing("t1") | face.probed("t1"))
    check_gray(look, volumes["t1"][AT[2]], AT)


@faces
def test_world_position(browser, srv, face):
    """Where Neuroglancer puts voxel 0 and how large it is, in mm, as each format defines it."""
    look = browser.open({"layers": [t1(face.source(srv, "t1")), aal(face.source(srv, "aal"))]},
                        srv.url, f"{face.name}-4panel").check(face.missing("t1", "aal"))
    for name in "t1", "aal":
        p = look.placement[name]
        assert p["units"] == ["m"] * 3
        mm = dict(zip(p["axes"], np.round(np.multiply(p["corner"], 1000), 6)))
        assert mm == face.corner
        assert np.allclose(p["voxel"], 0.001)
        assert dict(zip(p["axes"], p["shape"])) == {"x": 181, "y": 217, "z": 181}
    assert [v[0] for v in look.state["dimensions"].values()] == [0.001] * 3
    assert len(look.panels) == 3
    for panel in look.panels:  # the brain in all three slices, with labels in colour over it
        rgb = panel[..., :3].astype(int)
        assert (rgb.max(-1) - rgb.min(-1) > 60).mean() > 0.03
        assert len(np.unique(rgb)) > 100


def test_half_a_voxel(srv):
    """OME-Zarr's corner lies half a voxel before precomputed's: the difference the docs name."""
    ome, pre = (next(f for f in FACES if f.name == n).corner for n in ("zarr3", "precomputed"))
    assert {a: pre[a] - ome[a] for a in ome} == {"x": 0.5, "y": 0.5, "z": 0.5}


def test_a_failure_is_seen(browser, serve):
    """These tests would see it if a chunk were not there: a function that fails, no such array."""
    srv = serve("""
import lazarr
@lazarr.array("bad", shape=(8, 8, 8), chunks=8, dtype="uint8", axes="zyx")
def bad(block):
    raise ValueError("no")
""")
    look = browser.open({"layers": [t1(f"zarr3://{srv.url}/zarr3/s.zarr/bad/")]}, srv.url)
    assert "chunks failed" in look.errors[0]
    assert [r["status"] for r in look.requests if r["path"].endswith("/c/0/0/0")] == [500]
    look = browser.open({"layers": [t1(f"zarr3://{srv.url}/zarr3/s.zarr/none/")]}, srv.url)
    assert look.errors


def test_panning(browser, srv):
    """panning.json is what Neuroglancer asks for: the same requests come again (their order and
    times differ from run to run), nothing fails, and the server has all of it."""
    recorded = json.loads(record.BRAIN.file.read_text())
    look = record.BRAIN.pan(browser, srv).check()
    # What is seen on the way follows from where one pans, what is prefetched beside it from the
    # speed of the machine.
    paths = {path for _, _, path, _ in recorded["requests"]}
    seen = {r["path"] for r in look.requests}
    assert all(p in seen for p in paths if p.endswith("zarr.json"))
    assert len(paths) > 50 and len(paths & seen) > 0.8 * len(paths)
    for path in paths:
        assert srv.get(path).status == 200, path


@pytest.mark.parametrize("tour", record.TOURS.values(), ids=record.TOURS)
def test_recordings(tour):
    """Each is what other tests may take it for: in the order of time, each request of a chunk or a
    document once unless it was taken back before, paths that the store has, a pan that goes on for
    seconds; the slow one has requests that were taken back."""
    recorded = json.loads(tour.file.read_text())
    assert recorded["store"] == f"examples/{tour.store}.py"
    times = [ms for ms, *_ in recorded["requests"]]
    assert times[0] == 0 and times == sorted(times) and times[-1] < 600_000
    assert 0 <= recorded["pan_begins_ms"] + 1000 < recorded["pan_ends_ms"]
    during = [t for t in times if recorded["pan_begins_ms"] <= t <= recorded["pan_ends_ms"]]
    assert len(during) > 40
    seen, back = set(), 0
    for ms, method, path, end in recorded["requests"]:
        assert method == "GET" and path.startswith(f"/zarr3/{tour.store}.zarr/")
        assert path not in seen, path
        if end is None:
            seen.add(path)
        else:
            assert end >= ms
            back += 1
    assert (back > 20) == (tour is record.JULIA)


@pytest.fixture(scope="module")
def viewing(browser, volumes):
    with lzr.Server([lzr.ROOT / "tests/e2e/stores/brain.py"], "--neuroglancer", browser.client.url,
                    "--no-access-log") as server:
        yield server


def view(srv, path):
    """What a /view link redirects to: the viewer's address, and the state."""
    r = srv.get(path)
    assert r.status in (302, 307), r
    address, state = r["Location"].split("#!", 1)
    return address, json.loads(urllib.parse.unquote(state))


def test_view_link(browser, viewing):
    """/view/brain in the browser: the redirect is followed, and the brain is there, whole and in
    the middle, labels in colour over it."""
    address, state = view(viewing, "/view/brain")
    assert address == browser.client.url
    assert {x["name"]: x["type"] for x in state["layers"]} == {
        "t1": "image", "aal": "segmentation", "gradient": "image"}
    look = browser.open(f"{viewing.url}/view/brain", viewing.url, "view-brain", size=(1000, 800))
    first = look.all_requests[0]
    assert first["status"] in (302, 307)
    look.all_requests.remove(first)
    look.check(look.missing(), aborts=True)
    assert not {p for p in look.missing() if not p.endswith((".zarray", ".zattrs"))}
    assert {(p["corner"][0], p["units"][0]) for p in look.placement.values()} == {
        (look.placement["t1"]["corner"][0], "m")}  # all layers through one face
    panels = [p[..., :3].astype(int) for p in look.panels]
    assert len(panels) == 3
    assert any((p.max(-1) - p.min(-1) > 60).mean() > 0.03 for p in panels)
    fitted(panels)


@pytest.mark.parametrize("name", ["t1", "gradient"])
def test_view_link_of_one(browser, viewing, name):
    """One image: a range in which something can be told apart, also of floats."""
    look = browser.open(f"{viewing.url}/view/brain/{name}", viewing.url, f"view-{name}",
                        size=(1000, 800))
    look.all_requests.pop(0)
    look.check(look.missing(), aborts=True)
    assert [x["name"] for x in look.state["layers"]] == [name]
    panels = [p[..., :3].astype(int) for p in look.panels]
    fitted(panels)
    for p in panels:
        inner = p[p.shape[0] * 2 // 5:p.shape[0] * 3 // 5, p.shape[1] * 2 // 5:p.shape[1] * 3 // 5]
        assert inner.std() > 8 and len(np.unique(inner)) > 30
        assert (inner.min(-1) > 250).mean() < 0.2  # not saturated


def fitted(panels):
    """What is drawn fills a good part of each panel and ends before its borders."""
    for p in panels:
        drawn = (p != BACKGROUND).any(-1)
        drawn[:60, :] &= False  # buttons' shadows and the like are no data
        y, x = np.nonzero(drawn)
        high, wide = drawn.shape
        assert max((y.max() - y.min()) / high, (x.max() - x.min()) / wide) > 0.4
        assert x.min() > 0 and x.max() < wide - 1 and y.max() < high - 1


def test_view_behind_nginx(browser, volumes, tmp_path):
    """The link through the real nginx, under a path: Neuroglancer reads all of it through there."""
    with lzr.Server([lzr.ROOT / "tests/e2e/stores/brain.py"], "--neuroglancer", browser.client.url,
                    "--no-access-log") as server, Nginx(server.port, tmp_path) as proxy:
        look = browser.open(f"{proxy.url}/view/brain", proxy.origin, "view-nginx", size=(1000, 800))
        look.all_requests.pop(0)
        look.check(look.missing(), aborts=True)
        asked = [r["url"] for r in look.all_requests if not r["url"].startswith(browser.client.url)]
        assert len(asked) > 30 and all(u.startswith(proxy.url + "/") for u in asked), asked
    fitted([p[..., :3].astype(int) for p in look.panels])


@pytest.mark.parametrize("name", ["line", "four", "five", "all_axes", "one_channel", "single_plane",
                                  "coarse", "spaces"])
def test_view_link_of_odd_ones(browser, serve, name):
    """Ranks that Neuroglancer rarely meets, all five axes, a channel or a plane alone, levels, and
    names of axes that need escaping: the link opens and something is drawn."""
    srv = serve("""
import lazarr
def add(name, *shape, **more):
    more.setdefault("chunks", 8)
    @lazarr.array(name, shape=shape, dtype="uint8", **more)
    def compute(block):
        return sum(block.coords()) * 7 % 200 + 20
add("line", 40)
add("four", 3, 9, 10, 11)
add("five", 2, 3, 9, 10, 11)
add("all_axes", 2, 3, 9, 10, 11, axes="tczyx", channels=["a", "b", "c"],
    units=("second", None, "micrometer", "micrometer", "micrometer"), scale=(0.5, 1, 2, 1, 1))
add("one_channel", 1, 9, 10, 11, axes="czyx", channels=[{"label": "only", "color": "00FF00"}])
add("single_plane", 1, 30, 40, axes="zyx", units="nanometer", scale=(50, 4, 4))
add("coarse", 64, 64, 64, axes="zyx", levels=3, chunks=16)
add("spaces", 9, 10, 11, dims=("a b", 'q"t', "\u00e9"))
""")
    r = srv.get(f"/view/s/{name}")
    assert r.status == 302
    state = json.loads(urllib.parse.unquote(r["Location"].split("#!", 1)[1]))
    # Without a place in its state a view begins where the page's last one was: a page of its own.
    look = browser.open(state, srv.url, f"view-odd-{name}", keep="position" in state)
    look.check(look.missing(), aborts=True)
    for panel in look.panels:
        rgb = panel[..., :3].astype(int)
        assert len(np.unique(rgb[panel.shape[0] // 3:-panel.shape[0] // 3], axis=0)) > 2


def test_view_of_nothing(viewing):
    assert viewing.get("/view/none").status == 404
    assert viewing.get("/view/brain/none").status == 404


def test_view_behind_a_public_url(volumes):
    """The state names the address that the public sees."""
    with lzr.Server([lzr.ROOT / "tests/e2e/stores/brain.py"], "--public-url",
                    "https://example.org/data/") as server:
        _, state = view(server, "/view/brain")
    for layer in state["layers"]:
        source = layer["source"]
        url = source if isinstance(source, str) else source["url"]
        assert "https://example.org/data/" in url
        assert server.url not in url
