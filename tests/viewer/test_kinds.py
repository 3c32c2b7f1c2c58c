"""Neuroglancer looks at one array of each kind (dtypes, labels, units, channels, time, 2-D) through
every face: what it draws equals NumPy's values pixel by pixel. What it can't read whoever serves
it, and what a face doesn't have, is named in `excluded` and checked to be just that."""
import json
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import kinds  # noqa: E402
import lzr  # noqa: E402
from browser import Browser  # noqa: E402

ZOOM = 8  # pixels a voxel
AT = {"x": 30, "y": 17, "z": 9, "c": 1, "t": 2}  # the voxel in the middle of what is drawn
OFF = 1 / 64  # voxels from the panel's centre to a voxel's corner: no pixel's centre is on a border
BACKGROUND = 0x808080
FACES = ("zarr2", "zarr3", "n5", "precomputed")
UNIT = {"micrometer": (1e-6, "m"), "second": (1, "s"), None: (1, "")}
WIDER = {"bool": "uint8", "float16": "float32"}  # in N5 and precomputed
VIEWS = {"float64": "float32", "int64": "uint64"}  # arrays of a name of their own, in precomputed

# A value as 24 bits of colour.
SHADER = {
    8: "uvec2 w = getDataValue(CHANNEL).value; uint v = w.x ^ (w.y * 40503u);",
    4: "uint v = uint(toRaw(getDataValue(CHANNEL)));",
}


def shader(dtype, channel):
    value = SHADER[8 if dtype.itemsize == 8 else 4].replace("CHANNEL", str(channel))
    parts = ", ".join(f"float((v >> {s}u) & 255u) / 255.0" for s in (16, 8, 0))
    return f"void main() {{ {value} emitRGB(vec3({parts})); }}"


def colour(values):
    """What that shader makes of values."""
    if values.dtype.itemsize == 8:
        w = values.astype("uint64")
        w = (w & np.uint64(0xFFFFFFFF)) ^ ((w >> np.uint64(32)) * np.uint64(40503))
        return (w & np.uint64(0xFFFFFF)).astype("int64")
    return values.astype("int64") & 0xFFFFFF


def excluded(spec, face):
    """Why Neuroglancer can't look at an array through a face, and a part of what is said then: by
    Neuroglancer, or "404" where the face doesn't have it."""
    d, rank = spec.dtype.name, len(spec.shape)
    if face == "precomputed":
        if d in VIEWS:
            return f"precomputed has no {d}; look at {spec.name}~{VIEWS[d]}", "404"
        if spec.axes and "t" in spec.axes:
            return "precomputed has no time", "404"
        if rank not in (2, 3, 4):
            return "precomputed is 3-D", "404"
    elif d in VIEWS and (face, d) != ("zarr2", "int64"):  # which it takes for uint64
        return f"Neuroglancer has no {d}", d
    elif d in WIDER and face != "n5":
        return f"Neuroglancer has no {d}", {"bool": "bool", "float16": "float16"}[d]
    return None


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.close()


@pytest.fixture(scope="module")
def srv():
    with lzr.Server([HERE / "kinds_store.py"], "--no-access-log") as server:
        yield server
        m = server.metrics()
        assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0
        # Python ran at most once a chunk, whatever the faces; they were converted from one another.
        chunks = {s.name: np.prod([-(-n // c) for n, c in zip(s.shape, s.chunks)])
                  for s in kinds.SPECS.values()}
        assert 0 < m["computed_total"] <= sum(chunks.values())
        assert m["transcoded_total"] > 0


def source(srv, face, name):
    folder = {"zarr2": "kinds_store.zarr", "zarr3": "kinds_store.zarr", "n5": "kinds_store.n5",
              "precomputed": "kinds_store"}[face]
    return f"{face}://{srv.url}/{face}/{folder}/{name}/"


def axes_of(spec, face):
    """[(axis, voxel size, unit, corner of voxel 0 in voxels)] as Neuroglancer has them."""
    out = []
    for i, a in enumerate(spec.axes or "zyx"[-len(spec.shape):]):
        factor, unit = UNIT[spec.units[i] if spec.units else None]
        size, first = spec.scale[i], spec.translation[i] / spec.scale[i]
        if face.startswith("zarr"):
            corner = first - 0.5 if spec.axes else 0  # only images have a translation
            if a == "c":
                a = "c'"
        elif face == "n5":
            corner = 0
            if not spec.axes:
                factor, unit = 1e-9, "m"  # as Neuroglancer takes it
        else:
            corner = round(first)
            if a == "c":
                a = "c^"
            elif not spec.axes:
                factor, unit = 1e-9, "m"
        out.append((a, size * factor, unit, corner))
    if face == "precomputed" and len(spec.shape) == 2:
        out.insert(0, ("z", out[-1][1], out[-1][2], 0))
    return out


def state_of(spec, srv, face, name):
    axes = axes_of(spec, face)
    layer = {"type": "image", "name": "a", "source": source(srv, face, name), "opacity": 1,
             "blend": "default"}
    if any(a == "c'" for a, *_ in axes):
        layer["localDimensions"], layer["localPosition"] = {"c'": [1, ""]}, [AT["c"]]
    dtype = np.dtype(VIEWS.get(spec.dtype.name, spec.dtype))
    layer["shader"] = shader(dtype, AT["c"] if any(a == "c^" for a, *_ in axes) else "")
    shown = [x for x in axes if x[0][-1] not in "'^"]
    shown.sort(key=lambda x: "xyzct".index(x[0]))
    position = [corner + (AT[a] if len(spec.shape) > 2 or a in "xy" else 0)
                + (OFF if a in "xy" else 1 / 2) for a, _, _, corner in shown]
    return {"layers": [layer], "dimensions": {a: [s, u] for a, s, u, _ in shown},
            "position": position, "displayDimensions": [a for a, *_ in shown if a in "xyz"],
            "crossSectionScale": 1 / ZOOM, "layout": "xy", "showAxisLines": False,
            "showDefaultAnnotations": False, "showScaleBar": False,
            "crossSectionBackgroundColor": "#808080"}


def drawn(spec, shape, step):
    """The colours of a panel of that shape; step: (y, x) voxels a pixel."""
    values = kinds.values(spec)
    lead = tuple(AT[a] for a in (spec.axes or "zyx"[-values.ndim:])[:-2])
    plane = colour(values[lead])
    index = [np.floor(AT[a] + OFF + (np.arange(n) + 0.5 - n / 2) * s).astype(int)
             for a, n, s in zip("yx", shape, step)]
    inside = [(v >= 0) & (v < n) for v, n in zip(index, plane.shape)]
    y, x = (np.where(i, v, 0) for v, i in zip(index, inside))
    return np.where(inside[0][:, None] & inside[1][None, :], plane[np.ix_(y, x)], BACKGROUND)


def check(browser, srv, spec, face, name):
    picture = f"{name}-{face}".replace("~", "_")
    look = browser.open(state_of(spec, srv, face, name), srv.url, picture, keep=True)
    missing = {f"/{face}/kinds_store.zarr/{name}/.zarray"} if face == "zarr2" and spec.axes else \
        {"/attributes.json", "/n5/attributes.json"} if face == "n5" else set()
    assert look.missing() <= missing  # what an earlier look found missing isn't asked for again
    look.check(look.missing())
    axes, p = axes_of(spec, face), look.placement["a"]
    at = dict(zip(p["axes"], zip(p["voxel"], p["units"], p["corner"], p["shape"])))
    assert set(at) == {a for a, *_ in axes}
    for a, size, unit, corner in axes:
        assert np.allclose(at[a][0], size) and at[a][1] == unit, (a, at)
        assert np.allclose(at[a][2], corner * size), (a, at)
    panel, = look.panels
    smallest = min(s for a, s, _, _ in axes if a in "xyz")
    step = [smallest / next(s for b, s, _, _ in axes if a == b) / ZOOM for a in "yx"]
    got = panel[..., :3].astype(int) @ [65536, 256, 1]
    want = drawn(spec, got.shape, step)
    wrong = got != want
    assert not wrong.any(), (wrong.sum(), wrong.size, got[wrong][:5], want[wrong][:5])
    assert (want != BACKGROUND).mean() > 0.05


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", kinds.SPECS)
def test_kind(browser, srv, name, face):
    spec = kinds.SPECS[name]
    reason = excluded(spec, face)
    if not reason:
        check(browser, srv, spec, face, name)
        return
    print(f"excluded {name} as {face}: {reason[0]}")
    if reason[1] == "404":
        assert srv.get(f"/precomputed/kinds_store/{name}/info").status == 404
    else:
        look = browser.open(state_of(spec, srv, face, name), srv.url, keep=True)
        assert look.errors and reason[1] in look.errors[0], look.errors


@pytest.mark.parametrize("name", VIEWS)
def test_cast_view(browser, srv, name):
    """float64 as float32, and int64 labels as uint64, the same bits, under names of their own."""
    check(browser, srv, kinds.SPECS[name], "precomputed", f"{name}~{VIEWS[name]}")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", [n for n in kinds.SPECS if "labels" in n])
def test_labels(browser, srv, name, face):
    """As a segmentation: each label has a colour of its own, and 0 is not drawn."""
    spec = kinds.SPECS[name]
    if face == "precomputed":
        info = srv.get(f"/precomputed/kinds_store/{name}/info").json()
        assert info["type"] == "segmentation"
        want = "raw" if name == "raw_labels" else "compressed_segmentation"
        assert [s["encoding"] for s in info["scales"]] == [want] * len(info["scales"])
    state = state_of(spec, srv, face, name)
    layer = {"type": "segmentation", "name": "a", "source": source(srv, face, name),
             "selectedAlpha": 1}
    look = browser.open(state | {"layers": [layer]}, srv.url, keep=True)
    look.check(look.missing())
    got = look.panels[0][..., :3].astype(int) @ [65536, 256, 1]
    want = drawn(spec, got.shape, (1 / ZOOM,) * 2)
    outside = (want == BACKGROUND) | (want == 0)
    assert (got[outside] == BACKGROUND).all()
    labels = np.unique(want[~outside])
    colours = [set(got[want == n].tolist()) for n in labels]
    assert len(labels) > 10 and all(len(c) == 1 for c in colours)
    assert len(set().union(*colours)) == len(labels)


@pytest.mark.parametrize("name", kinds.SPECS)
def test_view_link(browser, srv, name):
    """What /view/ makes of each kind: it opens, lies in the middle of every panel with its borders
    seen, and has gray values or colours that can be told apart."""
    spec = kinds.SPECS[name]
    r = srv.get(f"/view/kinds_store/{name}")
    assert r.status == 302
    state = json.loads(urllib.parse.unquote(r["Location"].split("#!", 1)[1]))
    quiet = {"showAxisLines": False, "showDefaultAnnotations": False, "showScaleBar": False}
    flat = len(spec.shape) == 2
    look = browser.open(state | quiet, srv.url, f"view-{name}", keep=True,
                        size=(1000, 750) if flat else (1000, 800))
    look.check(look.missing(), aborts=True)
    assert len(look.panels) == (1 if flat else 3)
    for panel in look.panels:
        rgb = panel[..., :3].astype(int)
        drawn = rgb @ [65536, 256, 1] != BACKGROUND
        if spec.kind == "labels":
            assert 0.02 < drawn.mean() < 0.9
        else:
            high, wide = drawn.shape
            y, x = np.nonzero(drawn)
            assert drawn[high // 2, wide // 2]
            assert 0 < y.min() and y.max() < high - 1 and 0 < x.min() and x.max() < wide - 1
            assert y.max() - y.min() > high / 3 or x.max() - x.min() > wide / 3 or \
                spec.name == "aniso"
        assert len(np.unique(rgb[drawn], axis=0)) > (1 if name == "bool" else 8)


def test_view_link_of_all(browser, srv):
    """As many as go through one face and into one link; nothing fails."""
    r = srv.get("/view/kinds_store")
    state = json.loads(urllib.parse.unquote(r["Location"].split("#!", 1)[1]))
    look = browser.open(state, srv.url, "view-kinds", keep=True)
    look.check(look.missing(), aborts=True)
    assert len(look.placement) == len(state["layers"]) > 10


def test_the_kinds_are_what_was_promised():
    out = {(s.name, f) for s in kinds.SPECS.values() for f in FACES if excluded(s, f)}
    assert out == {
        ("bool", "zarr2"), ("bool", "zarr3"), ("float16", "zarr2"), ("float16", "zarr3"),
        ("float64", "zarr2"), ("float64", "zarr3"), ("float64", "n5"), ("float64", "precomputed"),
        ("int64", "zarr3"), ("int64", "n5"), ("int64", "precomputed"), ("movie", "precomputed")}
