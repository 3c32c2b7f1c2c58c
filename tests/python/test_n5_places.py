"""N5 as a data file, in the words of its writers: COSEM, Paintera, n5-viewer, WEBKNOSSOS, BigDataViewer."""
import json

import pytest

from lazarr import _readers
from lazarr._registry import Registry

NM = ["nm"] * 3


def write(folder, **attributes):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attributes.json").write_text(json.dumps(attributes))
    return folder


def dataset(folder, shape=(6, 8, 10), dtype="uint16", **more):
    return write(folder, **{"dimensions": list(shape), "blockSize": list(shape), "dataType": dtype,
                            "compression": {"type": "raw"}, **more})


def load(folder, inner=""):
    r = Registry()
    _readers.build("s", f"data:{folder}::{inner}", [], r)
    return {a.path: a for a in r.arrays}, r.groups


def level(a, k=0):
    return a.levels[k].scale, a.levels[k].translation


COSEM = {"axes": ["z", "y", "x"], "units": NM, "scale": [3, 2, 1], "translate": [30, 20, 10]}


@pytest.mark.parametrize("words", [
    {"transform": COSEM}, {"transform": dict(COSEM, ordering="C")},
    {"transform": {k: v[::-1] for k, v in COSEM.items()}},
    {"transform": dict({k: v[::-1] for k, v in COSEM.items()}, ordering="F")},
    {"transform": {"axes": ["z", "y", "x"], "scale": [3, 2, 1], "translate": [30, 20, 10]}, "units": NM},
    {"resolution": [1, 2, 3], "offset": [10, 20, 30], "units": NM},
    {"resolution": [1, 2, 3], "offset": [10, 20, 30], "units": NM, "axes": ["x", "y", "z"]},
    {"pixelResolution": {"dimensions": [1, 2, 3], "unit": "nm"}, "offset": [10, 20, 30]},
    {"pixelResolution": {"dimensions": [1, 2, 3], "unit": NM}, "offset": [10, 20, 30]},
    {"pixelResolution": [1, 2, 3], "units": NM, "offset": [10, 20, 30]}])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_place_in_all_words(tmp_path, words, grouped):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    dataset(z / "em/s0" if grouped else z / "em", **words)
    a = load(z)[0]["em"]
    assert level(a) == ((3, 2, 1), (30, 20, 10)) and a.units == ("nanometer",) * 3 and a.axes == ("z", "y", "x")


GROUPS = [
    ({"scales": [[1, 1, 1], [2, 2, 1]], "pixelResolution": {"dimensions": [1, 2, 3], "unit": "nm"}}, {}, {}),
    ({"downsamplingFactors": [[1, 1, 1], [2, 2, 1]], "resolution": [1, 2, 3], "units": NM}, {}, {}),
    ({"multiScale": True, "resolution": [1, 2, 3], "units": NM}, {}, {"downsamplingFactors": [2, 2, 1]}),
    ({"multiScale": True, "resolution": [1, 2, 3], "units": NM}, {"downsamplingFactors": [1, 1, 1]},
     {"downsamplingFactors": [2, 2, 1]}),
    ({}, {"transform": dict(COSEM, translate=[0, 0, 0])},
     {"transform": dict(COSEM, scale=[3, 4, 2], translate=[0, 1, .5])}),
    ({"multiscales": [{"datasets": [
        {"path": "s0", "transform": dict(COSEM, translate=[0, 0, 0])},
        {"path": "s1", "transform": dict(COSEM, scale=[3, 4, 2], translate=[0, 1, .5])}]}]}, {}, {}),
    ({"multiscales": [{"axes": [{"name": n, "type": "space", "unit": "nanometer"} for n in "zyx"], "datasets": [
        {"path": f"s{k}", "coordinateTransformations": [{"type": "scale", "scale": s}, {"type": "translation",
                                                                                        "translation": t}]}
        for k, (s, t) in enumerate((([3, 2, 1], [0, 0, 0]), ([3, 4, 2], [0, 1, .5])))]}]}, {}, {})]


@pytest.mark.parametrize("group,s0,s1", GROUPS)
def test_levels_in_all_words(tmp_path, group, s0, s1):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    write(z / "em", mine=7, **group)
    dataset(z / "em/s0", **s0)
    dataset(z / "em/s1", (3, 4, 10), **s1)
    arrays, _ = load(z)
    a = arrays["em"]
    assert list(arrays) == ["em"] and len(a.levels) == 2 and a.attributes == {"mine": 7}
    assert level(a) == ((3, 2, 1), (0, 0, 0)) and level(a, 1) == ((3, 4, 2), (0, 1, .5))


@pytest.mark.parametrize("odd,said", [
    ({"transform": dict(COSEM, translate=[30, "far", 10])}, "translation of y"),
    ({"transform": dict(COSEM, scale=[3, 0, 1])}, "scale of y"),
    ({"transform": dict(COSEM, units=["nm", "furlong", "nm"])}, "unit of y"),
    ({"transform": dict(COSEM, scale=[3, 2])}, "transform.scale"),
    ({"transform": dict(COSEM, translate=5)}, "transform.translate"),
    ({"transform": COSEM, "offset": "none"}, None)])
def test_an_odd_field_is_left_out_alone(tmp_path, capsys, odd, said):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    dataset(z / "em", mine=1, **odd)
    a = load(z)[0]["em"]
    assert a.kind == "image" and a.levels[0].scale[2] == 1 and a.attributes == {"mine": 1}
    assert a.units[2] == "nanometer" and (said or "") in capsys.readouterr().err


@pytest.mark.parametrize("factors", ["two", [2, 2], [2, 0, 1], [2, None, 1]])
def test_odd_factors_follow_from_the_shapes(tmp_path, capsys, factors):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    write(z / "em", resolution=[1, 2, 3])
    dataset(z / "em/s0")
    dataset(z / "em/s1", (3, 4, 10), downsamplingFactors=factors)
    a = load(z)[0]["em"]
    assert a.levels[1].scale == (3, 4, 2) and "downsamplingFactors of s1" in capsys.readouterr().err


@pytest.mark.parametrize("group,s1,said,scale", [
    ({"downsamplingFactors": "two"}, {}, "em: downsamplingFactors of s1", (6, 4, 2)),
    ({"scales": [1, 2]}, {}, "em: scales of s1", (6, 4, 2)), ({"scales": {"s1": 2}}, {}, "em: scales of s1", (6, 4, 2)),
    ({"multiscales": [{"datasets": 3}]}, {}, "", (6, 4, 2)), ({"multiscales": [{"datasets": [3]}]}, {}, "", (6, 4, 2)),
    ({"multiscales": 3}, {}, "", (6, 4, 2)), ({}, {"dimensions": [1.5, 2, 2]}, "'em/s1' is left out: it is no level", None),
    ({}, {"dimensions": [-3, 4, 5]}, "'em/s1' is left out", None), ({}, {"blockSize": [0, 4, 5]}, "'em/s1'", None),
    ({}, {"compression": {"type": "pickle"}}, "'em/s1' is left out", None)])
def test_odd_words_about_levels_leave_the_others(tmp_path, capsys, group, s1, said, scale):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    write(z / "em", resolution=[1, 2, 3], **group)
    dataset(z / "em/s0")
    dataset(z / "em/s1", (3, 4, 5), **s1)
    arrays = load(z)[0]
    a = arrays["em"]
    assert list(arrays) == ["em"] and level(a)[0] == (3, 2, 1) and said in capsys.readouterr().err
    assert len(a.levels) == (1 if scale is None else 2) and a.levels[-1].scale == (scale or (3, 2, 1))


@pytest.mark.parametrize("where", ["", "group"])
@pytest.mark.parametrize("text", ["{", "[1]", "", "null"])
def test_a_groups_damaged_attributes_cost_nothing_below(tmp_path, capsys, where, text):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    dataset(z / "group/d")
    dataset(z / "group/data/s0")
    dataset(z / "e")
    (z / where / "attributes.json").write_text(text)
    assert sorted(load(z)[0]) == ["e", "group/d", "group/data"]
    assert f"{where or '/'}: attributes' is left out" in capsys.readouterr().err
    (z / "e/attributes.json").write_text(text)
    (z / "e/0").mkdir()
    assert sorted(load(z)[0]) == ["group/d", "group/data"]
    assert "'e' is left out: " in capsys.readouterr().err


@pytest.mark.parametrize("bad", [{"properties": "\ud800"}, {"colors": [{"a": "\udfff"}]}])
def test_what_labels_say_is_json(tmp_path, capsys, bad):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    write(z / "seg", **{"image-label": {"ok": 1, **bad}})
    dataset(z / "seg/s0", dtype="uint64")
    a = load(z)[0]["seg"]
    assert a.kind == "labels" and a.attributes == {"image-label": {"ok": 1}}
    assert f"seg: image-label: attribute {[*bad][0]}' is left out" in capsys.readouterr().err


def test_painteras_groups_say_what_their_data_are(tmp_path):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    for name, kind in (("vol", "label"), ("raw", "raw")):
        write(z / name, painteraData={"type": kind}, maxId=9)
        write(z / name / "data", multiScale=True, resolution=[1, 2, 3], offset=[10, 20, 30])
        for k in range(2):
            dataset(z / name / f"data/s{k}", (6 >> k, 8 >> k, 10 >> k), "uint64", downsamplingFactors=[2 ** k] * 3)
    arrays, groups = load(z)
    assert {p: a.kind for p, a in arrays.items()} == {"vol/data": "labels", "raw/data": "image"}
    assert level(arrays["vol/data"]) == ((3, 2, 1), (30, 20, 10)) and len(arrays["vol/data"].levels) == 2
    assert groups["vol"]["painteraData"] == {"type": "label"} and arrays["vol/data"].attributes == {}


def test_a_level_without_voxels_is_left_out_alone(tmp_path, capsys):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    for k, shape in enumerate(((6, 8, 10), (0, 4, 5), (1, 2, 3))):
        dataset(z / f"em/s{k}", shape, resolution=[1, 2, 3])
    assert [v.shape for v in load(z)[0]["em"].levels] == [(10, 8, 6), (3, 2, 1)]
    assert "em/s1' is left out: it has no voxels" in capsys.readouterr().err


def test_painteras_labels(tmp_path, capsys):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    write(z / "seg", painteraData={"type": "label"}, maxId=9)
    dataset(z / "seg/s0", dtype="uint64")
    write(z / "soft", painteraData={"type": "label"})
    dataset(z / "soft/s0", dtype="float32")
    write(z / "sets", isLabelMultiset=True)
    dataset(z / "sets/s0", dtype="uint8")
    arrays, _ = load(z)
    assert {p: a.kind for p, a in arrays.items()} == {"seg": "labels", "soft": "image"}
    assert arrays["seg"].attributes["maxId"] == 9
    said = capsys.readouterr().err
    assert "soft as labels" in said and "sets of labels" in said


@pytest.mark.parametrize("names,want", [(["x", "y", "c"], None), (["t", "u"], ("u", "t")), (["a", "a"], None),
                                        ([1, 2], None)])
def test_names_of_a_plain_datasets_axes(tmp_path, names, want):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    dataset(z / "d", (4, 5), axes=names, units=["m", "s"])
    a = load(z)[0]["d"]
    assert a.kind == "plain" and a.dims == want and a.attributes["units"] == ["m", "s"]


@pytest.mark.parametrize("block", [b"\x1f\x8b" + bytes(30), bytes(30), b"LZ4block" + bytes(22)])
def test_another_lz4_than_n5s_is_said_at_the_start(tmp_path, block):
    z = write(tmp_path / "a.n5", n5="2.0.0")
    dataset(z / "d", compression={"type": "lz4", "blockSize": 65536})
    (z / "d/0/0").mkdir(parents=True)
    (z / "d/0/0/0").write_bytes(bytes([0, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0, 8, 0, 0, 0, 10]) + block)
    with pytest.raises(_readers.StoreError, match="lz4-java"):
        load(z, "d")
