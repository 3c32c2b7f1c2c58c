"""Where a voxel lies, as each reader computes it from each face: ome-zarr-py, tensorstore, the Java
readers and BigDataViewer (tests/java's client), and Neuroglancer in the browser, which must draw every
level's voxels at their places, pixel by pixel. The rule is design 3's: `translation` is the centre of
voxel 0, level k lies (f - 1) / 2 voxels further (strided ones: 0)."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
for folder in "e2e", "java":
    sys.path.insert(0, str(HERE.parent / folder))
import javaclient  # noqa: E402
import levels_images  # noqa: E402
import lzr  # noqa: E402
from browser import Browser  # noqa: E402

NAMES = ("mean", "moved", "strided")
VOXEL = np.array((3, 2, 1))  # z first
ZOOM = 8  # pixels a voxel of level 0
FACES = ("zarr2", "zarr3", "n5", "precomputed")
OUTSIDE = 0x808080
SHADER = """void main() {
  uint v = uint(toRaw(getDataValue()));
  emitRGB(vec3(float((v >> 16u) & 255u), float((v >> 8u) & 255u), float(v & 255u)) / 255.0);
}"""


@pytest.fixture(scope="module")
def srv():
    with lzr.Server(lzr.ROOT / "tests" / "e2e" / "levels_store.py", "--no-access-log") as server:
        yield server
        assert server.metrics()["compute_failures_total"] == 0


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    client = javaclient.Java(tmp_path_factory.mktemp("java"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def python_readers(srv):
    python = lzr.ENVS / "readers" / "bin" / "python"
    lzr.need(python.exists(), "readers (tests/clients/setup.sh makes it)")
    p = subprocess.run([python, HERE / "read_places.py", srv.url, *NAMES], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=50 * lzr.SLOW, env=lzr.environment())
    assert p.returncode == 0, p.stderr.decode()[-3000:]
    return json.loads(p.stdout.decode().splitlines()[-1])


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.close()


def truth(name):
    """[(factor, voxel size, centre of VOXEL)] of each level, by the rule."""
    return [(np.array(f), s, place + s * VOXEL) for f, s, place in levels_images.levels(name)]


def strided(name):
    return levels_images.IMAGES[name][3].get("pyramid") == "stride"


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_ome_zarr_py(python_readers, name):
    for face in "zarr2", "zarr3":
        got = python_readers[f"ome-zarr-py {face}"][name]
        want = truth(name)
        assert len(got) == len(want)
        for g, (_, _, centre) in zip(got, want):
            close(g, centre)


def begin(name, k):
    """Where precomputed's level k should begin: half a voxel of level 0 behind its true corner."""
    (_, first, _), (factor, size, place) = levels_images.levels(name)[0], levels_images.levels(name)[k]
    return place - size / 2 + first / 2


@pytest.mark.parametrize("name", NAMES)
def test_tensorstore(python_readers, name):
    """N5's units have no translation: the image's corner is 0, and so it is of each level.
    Precomputed counts whole voxels from the corner, and begins there where voxel 0 of level 0 has its
    centre, to the next whole voxel of each level. No unit counts as a nanometre there."""
    n5, pre = (python_readers[f"tensorstore {f}"][name] for f in ("n5", "precomputed"))
    unit = 1 if levels_images.IMAGES[name][3].get("units") else 1e-3
    assert len(n5) == len(pre) == len(truth(name))
    for k, (factor, size, _) in enumerate(truth(name)):
        close(n5[k], size * VOXEL)
        whole = np.array(pre[k]) / unit / size - VOXEL
        close(whole, np.rint(whole))
        first = begin(name, k) / size
        assert (abs(whole - first) <= 0.5 + 1e-6).all(), (k, whole, first)


@pytest.mark.parametrize("name", NAMES)
def test_java(srv, java, name):
    """n5-universe's readers of OME-NGFF and of N5, and BigDataViewer. The last one places levels by
    their factors as averages lie; a strided one is (f - 1) / 2 voxels off there."""
    want = truth(name)
    for face in "zarr2", "zarr3", "n5":
        root = f"{srv.url}/{face}/levels_store.{'n5' if face == 'n5' else 'zarr'}"
        found, = java.call("discover", format=face, url=root, path=name)
        assert len(found["levels"]) == len(want)
        for level, (_, _, centre) in zip(found["levels"], want):
            close([s * v + t for s, v, t in zip(level["scale"], VOXEL[::-1], level["translation"])],
                  centre[::-1])
    bdv = java.call("bdv", url=f"{srv.url}/bdv/levels_store/{name}/dataset.xml")
    by_level = {v["level"]: np.array(v["corner"]) for v in bdv["views"]}  # of the voxel (1, 2, 3)
    assert sorted(by_level) == list(range(len(want)))
    for k, (factor, _, centre) in enumerate(want):
        off = (factor - 1) / 2 * want[0][1] if strided(name) else 0
        close(by_level[k], (centre + off)[::-1])


def corner_of(srv, name, face, k):
    """Where Neuroglancer puts the corner of level k, z first, in voxels of level 0 from 0."""
    factor, _, place = levels_images.levels(name)[k]
    size = levels_images.levels(name)[0][1]
    if face.startswith("zarr"):
        return place / size - factor / 2
    if face == "n5":
        return np.zeros(3)
    info = srv.get(f"/precomputed/levels_store/{name}/info").json()
    return np.array(info["scales"][k]["voxel_offset"][::-1]) * factor


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", NAMES)
def test_neuroglancer(browser, srv, name, face):
    """Every level, drawn magnified: each pixel has the value of the voxel that lies there."""
    levels, values = levels_images.levels(name), levels_images.expected(name)
    unit = 1e-9 if face == "precomputed" else 1
    prefix = {"micrometer": (1e-6, "m"), None: (unit, "m" if unit < 1 else "")}
    scale, symbol = prefix[levels_images.IMAGES[name][3].get("units")]
    size = levels[0][1] * scale
    folder = {"n5": "levels_store.n5", "precomputed": "levels_store"}.get(face, "levels_store.zarr")
    for k, (factor, _, _) in enumerate(levels):
        # The slice through the middle of a voxel of this level, a little beside a voxel's corner.
        z = values[k].shape[0] // 2
        corner, all_of = corner_of(srv, name, face, k), corner_of(srv, name, face, 0)
        at = corner + np.array(values[k].shape) // 2 * factor
        position = at + (factor[0] / 2, 1 / 64, 1 / 64)
        reduced = levels[k][1][levels[k][1] > 1.01 * levels[0][1]]
        layer = {"type": "image", "name": "a", "opacity": 1, "blend": "default", "shader": SHADER,
                 "source": f"{face}://{srv.url}/{face}/{folder}/{name}/",
                 # In pixels: what axis of level k that was reduced at all may be as coarse as this.
                 "crossSectionRenderScale":
                 float(max(reduced, default=0.01) / min(levels[0][1]) * ZOOM)}
        state = {"layers": [layer], "layout": "xy", "crossSectionScale": 1 / ZOOM,
                 "dimensions": {a: [s, symbol] for a, s in zip("xyz", size[::-1])},
                 "position": position[::-1].tolist(), "displayDimensions": list("xyz"),
                 "showAxisLines": False, "showDefaultAnnotations": False, "showScaleBar": False,
                 "crossSectionBackgroundColor": "#808080"}
        look = browser.open(state, srv.url, f"place-{name}-{face}-{k}", keep=True)
        assert not look.errors, look.errors
        panel, = look.panels
        got = panel[..., :3].astype(int) @ [65536, 256, 1]
        plane = values[k][z].astype(np.int64) & 0xFFFFFF
        index, inside, outside = [], [], []
        for axis, n in ((1, got.shape[0]), (2, got.shape[1])):
            pixel = min(levels[0][1]) / levels[0][1][axis] / ZOOM  # voxels of level 0 a pixel
            where = position[axis] + (np.arange(n) + 0.5 - n / 2) * pixel
            i = np.floor((where - corner[axis]) / factor[axis]).astype(int)
            index.append(np.clip(i, 0, plane.shape[axis - 1] - 1))
            here = (i >= 0) & (i < plane.shape[axis - 1])
            # Where the last voxel of a level goes beyond level 0, precomputed is cut.
            first = (where >= all_of[axis]) & (where < all_of[axis] + values[0].shape[axis])
            inside.append(here & first)
            outside.append(~here & ~first)
        whole = inside[0][:, None] & inside[1][None, :]
        wrong = (got != plane[np.ix_(*index)]) & whole
        assert not wrong.any(), (k, wrong.sum(), whole.sum(), np.argwhere(wrong)[:4])
        assert whole.mean() > 0.05 and len(np.unique(got[whole])) >= 8
        if k == len(levels) - 1:
            assert (got[outside[0][:, None] | outside[1][None, :]] == OUTSIDE).all()
