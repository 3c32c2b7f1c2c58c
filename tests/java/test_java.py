"""A client of the JDK that asks, decodes and places as the n5, n5-zarr and BigDataViewer readers do
reads arrays of dtype x compression x shape, images and a brain in N5, Zarr v2, Zarr v3 and BDV;
every value equals NumPy's and Python runs once a chunk. What no Java reader reads is named in
cases.py."""
from pathlib import Path

import cases
import levels_images
import lzr
import numpy as np
import pytest
from javaclient import JavaError, array

HERE = Path(__file__).resolve().parent
BRAIN = Path("/usr/share/mricron/templates")
FACES = {"n5": "/n5/{}.n5", "zarr2": "/zarr2/{}.zarr", "zarr3": "/zarr3/{}.zarr"}


@pytest.fixture(scope="module")
def srv():
    with lzr.Server(HERE / "java_store.py", "--no-access-log") as server:
        yield server


@pytest.fixture(scope="module")
def brain():
    lzr.need((BRAIN / "ch2.nii.gz").exists(), "mricron-data")
    with lzr.Server(lzr.ROOT / "examples" / "brain.py", "--no-access-log") as server:
        yield server


def brain_values():
    """What nibabel and NumPy say, independently of lazarr."""
    import nibabel
    t1, aal = (np.asarray(nibabel.load(BRAIN / f"{n}.nii.gz").dataobj).T for n in ("ch2", "aal"))
    parts = np.gradient(t1.astype("float32"))
    return {"t1": t1, "aal": aal, "gradient": np.sqrt(sum(p ** 2 for p in parts))}


def path_in(case, face):
    """Where an array stands: an image's levels are its children."""
    return case.name + ("/s0" if face == "n5" else "/0") * bool(case.image)


def expected(case, face):
    v = cases.values(case)
    v = v.astype(v.dtype.newbyteorder("="))
    if face == "n5":
        v = v.astype(cases.N5_TYPES.get(v.dtype.name, v.dtype))
    return v


def check(got, want, what):
    """One array that Java read: all blocks were there and every value is right."""
    assert "error" not in got, (what, got)
    assert got["missing"] == 0, what
    assert cases.same(array(got), want), what


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", FACES)
def test_every_array(srv, java, face):
    """J33, J34, J36, J39, J40, J42 to J46: types, compressions, codecs, keys and blocks that the
    readers take; what they would misread is refused by them, or told by its type."""
    paths = {path_in(c, face): c for c in cases.CASES}
    read = java.call("arrays", format=face, url=srv.url + FACES[face].format("java_store"),
                     paths=list(paths), threads=4)
    assert set(read) == set(paths)
    out = {p for p, got in read.items() if "error" in got}
    promised = {p: cases.excluded(c, face) for p, c in paths.items() if cases.excluded(c, face)}
    wrong = {p: read[p].get("error") for p in out ^ set(promised)}
    assert not wrong, wrong
    for why in sorted(set(promised.values())):
        print(f"  {face}: {list(promised.values()).count(why)} excluded: {why}")
    total = 0
    for path, case in paths.items():
        if path not in promised:
            want = expected(case, face)
            check(read[path], want, f"{face} {path}")
            total += want.size
    print(f"java {face}: {len(paths) - len(promised)} arrays, {total} values")
    assert total > 250_000


def test_compressions_are_those_asked_for(srv, java):
    """J34 compression.type is one of n5's or of its extra jars; the default is gzip 1."""
    paths = [f"dtype/uint16_{c}" for c in cases.CODECS]
    for path in paths:
        a = java.call("attributes", format="n5", url=srv.url + "/n5/java_store.n5", path=path)
        codec = path.split("_")[1]
        assert a["compression"]["type"] == {"default": "gzip"}.get(codec, codec)
        if codec == "default":
            assert a["compression"]["level"] == 1
        assert "codecs" not in a


@pytest.mark.parametrize("face", FACES)
def test_images_are_found(srv, java, face):
    """n5-universe's discovery: OME-NGFF in Zarr, without a listing; in N5 COSEM's transform, whatever
    axes there are."""
    root = srv.url + FACES[face].format("java_store")
    for name, (shape, _, _, more) in cases.IMAGES.items():
        found = java.call("discover", format=face, url=root, path=f"image/{name}")
        kind = "ngff" if face != "n5" else "cosem"
        assert [f["kind"] for f in found] == [kind], (name, found)
        n, unit = len(shape), more.get("units")
        scale, offset = more.get("scale", (1,) * n), more.get("translation", (0,) * n)
        if kind == "ngff":
            assert f"GET /{face}/java_store.zarr/image/{name}" not in java.asked()
        assert found[0]["axes"] == list(more["axes"])[::-1]
        spatial = {u for u, a in zip(found[0]["units"], found[0]["axes"]) if a in "xyz"}
        assert spatial == {unit if kind == "ngff" else cases.UNITS[unit] or "pixel"}
        level = found[0]["levels"][0]
        assert level["scale"] == list(scale)[::-1]
        assert level["translation"] == list(offset)[::-1]
        assert level["dataset"]["dims"] == list(shape)[::-1]


def test_a_store_is_found_from_its_root(brain, java):
    """n5-universe, given the container: by listings, every image and nothing else."""
    for face, root in FACES.items():
        found = java.call("discover", format=face, url=brain.url + root.format("brain"), path="")
        assert {f["kind"] for f in found} == {"cosem" if face == "n5" else "ngff"}
        assert {"t1", "aal", "gradient"} <= {f["path"] for f in found}


def test_labels_are_an_image_of_their_own(srv, java):
    """labels_of: n5-universe opens the group below labels/ as a multiscale image, in both Zarrs."""
    for face in ("zarr2", "zarr3"):
        found = java.call("discover", format=face, url=srv.url + FACES[face].format("java_store"),
                          path="image/zyx/labels/parts")
        assert [f["kind"] for f in found] == ["ngff"]
        path = found[0]["levels"][0]["path"]
        read = java.call("arrays", format=face, url=srv.url + FACES[face].format("java_store"),
                         paths=[path])
        case = cases.BY_NAME["image/parts"]
        check(read[path], expected(case, face), path)


@pytest.mark.parametrize("name", cases.IMAGES)
def test_bdv(srv, java, name):
    """J51 dataset.xml, setups of channels, timepoints, every level of each; values and places."""
    shape, chunks, _, more = cases.IMAGES[name]
    axes, case = more["axes"], cases.BY_NAME[f"image/{name}"]
    bdv = java.call("bdv", url=f"{srv.url}/bdv/java_store/image/{name}/dataset.xml", threads=2)
    size = dict(zip(axes, shape))
    space = [(size.get(a, 1)) for a in "xyz"]
    assert bdv["timepoints"] == list(range(size.get("t", 1)))
    assert [s["id"] for s in bdv["setups"]] == list(range(size.get("c", 1)))
    scale = dict(zip(axes, more.get("scale", (1,) * len(axes))))
    translation = dict(zip(axes, more.get("translation", (0,) * len(axes))))
    want = expected(case, "n5")
    for i, a in enumerate("tc"):
        want = want if a in axes else np.expand_dims(want, i)
    want = want if "z" in axes else np.expand_dims(want, 2)
    for setup in bdv["setups"]:
        assert setup["size"] == space
        assert setup["factors"] == [[1, 1, 1]]
        assert setup["unit"] == (cases.UNITS[more.get("units")] or "pixel")
        voxel = [scale.get(a, scale["x"] if a == "z" and "x" in scale else 1) for a in "xyz"]
        assert setup["voxel"] == voxel
    assert len(bdv["views"]) == size.get("t", 1) * size.get("c", 1)
    for view in bdv["views"]:
        check(view, want[view["timepoint"], view["setup"]], (name, view["path"]))
        origin = [translation.get(a, 0) for a in "xyz"]
        assert view["origin"] == pytest.approx(origin)
        assert view["corner"] == pytest.approx(
            [o + v * n for o, v, n in zip(origin, voxel, (1, 2, 3))])


@pytest.mark.limit(200)
def test_python_runs_once_a_chunk(java):
    """Everything in four formats, on a server of its own: a chunk is computed once."""
    readable = [c for c in cases.CASES if not cases.excluded(c, "n5")]
    with lzr.Server(HERE / "java_store.py", "--no-access-log") as srv:
        for name in cases.IMAGES:
            java.call("bdv", url=f"{srv.url}/bdv/java_store/image/{name}/dataset.xml", threads=8)
        for face in ("n5", "zarr2", "zarr3", "n5"):
            java.call("arrays", format=face, url=srv.url + FACES[face].format("java_store"),
                      paths=[path_in(c, face) for c in readable], threads=8)
        m = srv.metrics()
    assert m["computed_total"] == sum(cases.chunks(c) for c in readable)
    assert m["transcoded_total"] > 0
    assert m["compute_failures_total"] == 0


@pytest.mark.limit(300)
def test_brain(brain, java):
    """examples/brain.py in every face and in BDV; the three images lie at the same places."""
    values = brain_values()
    with brain.delta() as d:
        for face, root in FACES.items():
            level = "s0" if face == "n5" else "0"
            read = java.call("arrays", format=face, url=brain.url + root.format("brain"),
                             paths=[f"{name}/{level}" for name in values])
            for name, want in values.items():
                check(read[f"{name}/{level}"], want, (face, name))
        for name, want in values.items():
            bdv = java.call("bdv", url=f"{brain.url}/bdv/brain/{name}/dataset.xml")
            check(bdv["views"][-1], want, ("bdv", name))
            assert bdv["views"][-1]["origin"] == pytest.approx([-90, -126, -72])
            assert bdv["views"][-1]["corner"] == pytest.approx([-89, -124, -69])
            assert {s["unit"] for s in bdv["setups"]} == {"mm"}
    assert d["computed_total"] == 36 + 8 + 1  # the gradient's levels; the sources are read in C


@pytest.mark.parametrize("name", ["t1", "aal", "gradient"])
def test_places_agree(brain, java, name):
    """Voxel (1, 2, 3) of each level lies where NGFF, N5 and BDV agree that it does."""
    bdv = java.call("bdv", url=f"{brain.url}/bdv/brain/{name}/dataset.xml")
    by_level = {v["level"]: v["corner"] for v in bdv["views"]}
    for face, root in FACES.items():
        found = java.call("discover", format=face, url=brain.url + root.format("brain"), path=name)
        assert len(found[0]["levels"]) == len(by_level)
        for i, level in enumerate(found[0]["levels"]):
            place = [s * v + t for s, v, t in zip(level["scale"], (1, 2, 3), level["translation"])]
            assert place == pytest.approx(by_level[i]), (face, i)
    assert by_level[0] == pytest.approx([-89, -124, -69])


def test_every_level(java):
    """Images with levels: each is found, lies where the rule says, and has NumPy's values; in BDV too."""
    with lzr.Server(lzr.ROOT / "tests" / "e2e" / "levels_store.py", "--no-access-log") as srv:
        for name, (_, _, _, more) in levels_images.IMAGES.items():
            values, levels = levels_images.expected(name), levels_images.levels(name)
            strided = more.get("pyramid") == "stride"
            for face, root in FACES.items():
                url = srv.url + root.format("levels_store")
                prefix = "s" if face == "n5" else ""
                read = java.call("arrays", format=face, url=url,
                                 paths=[f"{name}/{prefix}{k}" for k in range(len(values))])
                for k, want in enumerate(values):
                    check(read[f"{name}/{prefix}{k}"], want, (face, name, k))
                found = java.call("discover", format=face, url=url, path=name)
                assert len(found) == 1 and len(found[0]["levels"]) == len(levels), (face, name)
                for got, (_, scale, place) in zip(found[0]["levels"], levels):
                    assert got["scale"] == pytest.approx(scale[::-1]), (face, name)
                    assert got["translation"] == pytest.approx(place[::-1]), (face, name)
            bdv = java.call("bdv", url=f"{srv.url}/bdv/levels_store/{name}/dataset.xml", threads=2)
            axes = [more["axes"].index(a) if a in more["axes"] else None for a in "xyz"]
            assert {v["level"] for v in bdv["views"]} == set(range(len(levels)))
            for view in bdv["views"]:
                want = values[view["level"]]
                if "t" in more["axes"]:
                    want = want[view["timepoint"]]
                if "c" in more["axes"]:
                    want = want[view["setup"]]
                want = want if "z" in more["axes"] else want[None]
                check(view, want, (name, view["path"]))
                place = levels[view["level"]][2]
                if not strided:  # BDV can't say it: docs/levels.md
                    assert view["origin"] == pytest.approx([0 if i is None else place[i] for i in axes])


def test_old_n5_reads_blocks(srv, java):
    """n5 up to 3.5.1: a HEAD before every GET; the same values (J09)."""
    for codec in cases.CODECS:
        case = cases.BY_NAME[f"dtype/uint16_{codec}"]
        read = java.call("arrays", format="n5", url=srv.url + "/n5/java_store.n5", old=True,
                         paths=[case.name])
        check(read[case.name], expected(case, "n5"), case.name)
        asked = java.asked()
        assert len(asked) == 2 * len([a for a in asked if a.startswith("HEAD")])


def test_n5_refuses_what_it_can_not_show(srv, java):
    """Complex numbers and rank 0 are absent from N5: no node, not in any list."""
    root = srv.url + "/n5/java_store.n5"
    nodes = {n.rstrip("*") for n in java.call("deepList", format="n5", url=root, path="")}
    for case in cases.CASES:
        there = case.name in nodes
        assert there == (cases.excluded(case, "n5") is None), case.name
        if not there:
            assert java.call("nodeExists", format="n5", url=root, path=case.name) is False
    with pytest.raises(JavaError, match="NotADataset"):
        java.call("block", format="n5", url=root, path="dtype/complex64_raw", at=[0, 0])
