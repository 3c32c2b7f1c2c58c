"""OME-Zarr as a data file: each field that makes no sense is left out alone and said, all around it stays."""
import json

import numpy as np
import pytest

import lzr
import lazarr
from lazarr import _readers
from lazarr._readers import zarr_codec, zarr_fill
from lazarr._registry import Registry


@pytest.fixture(autouse=True, scope="module")
def zarr():
    return lzr.need_module("zarr")


ZYX = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
CZYX = [{"name": "c", "type": "channel"}, *ZYX]
GOOD = [{"type": "scale", "scale": [2, .5, .5]}]


def write(folder, attributes=None, shape=None, dtype="|u1", **meta):
    """A Zarr v2 group or array without chunks."""
    folder.mkdir(parents=True, exist_ok=True)
    if shape is None:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
    else:
        (folder / ".zarray").write_text(json.dumps({
            "zarr_format": 2, "shape": shape, "chunks": [max(1, n) for n in shape], "dtype": dtype, "order": "C",
            "fill_value": 0, "filters": None, "compressor": None, "dimension_separator": "/", **meta}))
    if attributes is not None:
        (folder / ".zattrs").write_text(json.dumps(attributes))
    return folder


def image(folder, axes=ZYX, levels=(GOOD,), shape=(4, 8, 8), dtype="|u1", more=None, **scales):
    for k in range(len(levels)):
        write(folder / str(k), shape=[-(-n // 2 ** k) if len(shape) - i <= 2 else n
                                      for i, n in enumerate(shape)], dtype=dtype)
    m = {"version": "0.4", "datasets": [
        {"path": str(k), **({} if t is None else {"coordinateTransformations": t})} for k, t in enumerate(levels)],
        **scales}
    if axes is not None:
        m["axes"] = axes
    return write(folder, {"multiscales": [m], **(more or {})})


def load(folder, inner=""):
    r = Registry()
    _readers.build("s", f"data:{folder}::{inner}", [], r)
    return {a.path: a for a in r.arrays}, r.groups


def one(folder):
    arrays, _ = load(folder)
    assert list(arrays) == ["data"] and arrays["data"].kind != "plain", arrays
    return arrays["data"]


NAN = float("nan")


@pytest.mark.parametrize("given,want,said", [
    ([0, .5, .5], (1, .5, .5), "scale of z"),
    ([NAN, .5, .5], (1, .5, .5), "scale of z"),
    ([2, -1, .5], (2, 1, .5), "scale of y"),
    ([2, None, .5], (2, 1, .5), "scale of y"),
    ([2, "wide", .5], (2, 1, .5), "scale of y"),
    ([2, .5], (2, .5, 1), "scale of x"),
    ([2, .5, .5, 9], (2, .5, .5), "scale 4"),
    ([1e308, .5, 10 ** 400], (1e308, .5, 1), "scale of x"),
])
def test_a_scale_that_is_no_size_is_left_out_alone(tmp_path, capsys, given, want, said):
    a = one(image(tmp_path / "a.zarr", levels=[[{"type": "scale", "scale": given}]]))
    assert a.levels[0].scale == want and a.units == ("micrometer",) * 3
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("steps", [
    "scale", [7], [{"type": "affine", "affine": [[1, 0], [0, 1]]}], [{"type": "scale", "path": "scales/0"}],
    [{"scale": [3, 3, 3]}]])
def test_a_transformation_that_is_none_is_left_out_alone(tmp_path, capsys, steps):
    mixed = steps + GOOD if isinstance(steps, list) else steps
    a = one(image(tmp_path / "a.zarr", levels=[mixed], axes=ZYX))
    assert a.levels[0].scale == ((2, .5, .5) if isinstance(steps, list) else (1, 1, 1))
    assert "coordinateTransformations" in capsys.readouterr().err


def test_sizes_of_coarser_levels_follow_from_the_finest_where_they_make_no_sense(tmp_path, capsys):
    a = one(image(tmp_path / "a.zarr", levels=[GOOD, [{"type": "scale", "scale": [2, 0, 1]}], None,
                                               [{"type": "translation", "translation": [0, NAN, 3]}]]))
    assert [v.scale for v in a.levels] == [(2, .5, .5), (2, 1, 1), (2, 2, 2), (2, 4, 4)]
    assert a.levels[3].translation == (0, 0, 3)
    said = capsys.readouterr().err
    assert all(t in said for t in ("level 1: scale of y", "level 2: scale", "level 3: translation of y"))


@pytest.mark.parametrize("level,said", [
    ({"path": "none"}, "no array 'none'"), ({"path": 5}, "name no arrays"), ("0", "no object"),
    ({"path": "../../.."}, "lies outside"), ({"path": "other"}, "unlike the first")])
def test_a_level_that_is_none_is_left_out_alone(tmp_path, capsys, level, said):
    z = image(tmp_path / "a.zarr", levels=[GOOD, GOOD])
    write(z / "other", shape=[4, 4], dtype="<u2")
    doc = json.loads((z / ".zattrs").read_text())
    doc["multiscales"][0]["datasets"].insert(1, level)
    (z / ".zattrs").write_text(json.dumps(doc))
    arrays, _ = load(z)
    assert len(arrays["data"].levels) == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize("unit", ["\u03bcm", "\u00b5m", "um", "Micrometer", "microns"])
def test_units_in_common_writings(tmp_path, unit):
    a = one(image(tmp_path / "a.zarr", axes=[dict(x, unit=unit) for x in ZYX]))
    assert a.units == ("micrometer",) * 3


@pytest.mark.parametrize("unit,quiet", [("", True), ("furlong", False), (5, False), ("px", True), ([], False)])
def test_an_odd_unit_is_left_out_alone(tmp_path, capsys, unit, quiet):
    a = one(image(tmp_path / "a.zarr", axes=[dict(ZYX[0], unit=unit), *ZYX[1:]]))
    assert a.units == (None, "micrometer", "micrometer")
    assert ("unit of z" in capsys.readouterr().err) is not quiet


@pytest.mark.parametrize("axes,shape,want,order", [
    (None, (1, 1, 4, 8, 9), "tczyx", None), (None, (4, 8, 9), "zyx", None),
    (["y", "x"], (8, 9), "yx", None), (["x", "y", "z"], (9, 8, 4), "zyx", (4, 8, 9)),
    ([{"name": "Y"}, {"name": "X"}, {"name": "channel", "type": "channel"}], (8, 9, 3), "cyx", (3, 8, 9)),
    ([{"name": "time", "type": "time"}, {"name": "y"}, {"name": "x"}], (2, 8, 9), "tyx", None)])
def test_axes_of_all_versions(tmp_path, axes, shape, want, order):
    scale = [{"type": "scale", "scale": list(range(1, len(shape) + 1))}]
    a = one(image(tmp_path / "a.zarr", axes=axes, shape=shape, levels=[scale]))
    assert "".join(a.axes) == want and a.shape == (order or shape)
    if want == "zyx" and order:
        assert a.levels[0].scale == (3, 2, 1)


@pytest.mark.parametrize("axes,units", [
    (["q", "y", "x"], None), (["y", "y", "x"], None), ("zyx!", None), ([{"name": "z"}] * 2, None), (ZYX[:2], None),
    ([{"type": "space", "unit": "nm"}] * 3, ("nanometer",) * 3), ([ZYX[0], ZYX[1], ZYX[1]], ("micrometer",) * 3)])
def test_axes_that_make_no_sense_are_left_out_alone(tmp_path, capsys, axes, units):
    a = one(image(tmp_path / "a.zarr", axes=axes))
    assert a.axes == ("z", "y", "x") and a.levels[0].scale == (2, .5, .5) and a.units == (units or (None,) * 3)
    assert "'/: axes' is left out: " in capsys.readouterr().err


@pytest.mark.parametrize("axis", [{"name": "w", "type": "wavelength"}, {"name": "angle"}, {"name": "q", "type": None}])
def test_an_axis_of_another_type_stands_where_channels_do(tmp_path, capsys, axis):
    step = [{"type": "scale", "scale": [3, 2, .5, .5]}]
    a = one(image(tmp_path / "a.zarr", axes=[axis, *ZYX], shape=(2, 4, 8, 8), levels=[step]))
    assert a.axes == ("c", "z", "y", "x") and a.levels[0].scale == (3, 2, .5, .5)
    assert a.units == (None, *("micrometer",) * 3)
    assert f"axis {axis['name']}' is left out: its type is" in capsys.readouterr().err


def test_arrays_of_more_axes_than_images_have_are_served_and_that_is_said(tmp_path, capsys):
    axes = [{"name": n} for n in "mtczyx"]
    arrays, _ = load(image(tmp_path / "a.zarr", axes=axes, shape=(1, 1, 2, 4, 8, 8)))
    assert arrays["0"].kind == "plain" and "as an image" in capsys.readouterr().err


def test_a_level_without_voxels_is_left_out_alone(tmp_path, capsys):
    z = image(tmp_path / "a.zarr", levels=(GOOD, GOOD, GOOD))
    write(z / "1", shape=(4, 0, 4))
    assert [v.shape for v in load(z)[0]["data"].levels] == [(4, 8, 8), (4, 2, 2)]
    assert "level 1' is left out: it has no voxels" in capsys.readouterr().err


WINDOW = {"start": 0, "end": 200, "min": 0, "max": 255}


@pytest.mark.parametrize("odd,said", [
    ({"window": {"start": 5, "end": 5, "min": 0, "max": 5}}, "window"), ({"window": "wide"}, "window"),
    ({"window": {"start": NAN, "end": 5}}, "window"), ({"color": "puce"}, "color"), ({"color": 255.5}, "color"),
    ({"active": "perhaps"}, "active")])
def test_one_odd_field_of_a_channel_loses_no_other(tmp_path, capsys, odd, said):
    first = {"label": "DAPI", "color": "0000FF", "window": WINDOW, "active": True, **odd}
    omero = {"channels": [first, {"label": "GFP", "color": "#00ff00", "window": WINDOW}], "id": 7,
             "rdefs": {"model": "greyscale"}}
    a = one(image(tmp_path / "a.zarr", axes=CZYX, shape=(2, 4, 8, 8), more={"omero": omero},
                  levels=[[{"type": "scale", "scale": [1, 2, .5, .5]}]]))
    assert [c["label"] for c in a.channels] == ["DAPI", "GFP"] and a.channels[1]["color"] == "00FF00"
    if "color" not in odd:
        assert a.channels[0]["color"] == "0000FF"
    assert a.channels[1]["window"] == WINDOW and a.attributes["omero"]["id"] == 7
    assert f"channel 0: {said}" in capsys.readouterr().err


@pytest.mark.parametrize("omero", [{"channels": [{"label": "one"}]}, {"channels": [{"label": "one"}] * 3},
                                   {"channels": "red"}, "red", {"channels": [None, 5]}])
def test_odd_channels_lose_nothing_else(tmp_path, capsys, omero):
    a = one(image(tmp_path / "a.zarr", axes=CZYX, shape=(2, 4, 8, 8), more={"omero": omero, "mine": 1},
                  levels=[[{"type": "scale", "scale": [1, 2, .5, .5]}]]))
    assert a.axes == ("c", "z", "y", "x") and a.attributes["mine"] == 1 and a.levels[0].scale[1] == 2
    assert "omero" in capsys.readouterr().err


def labels(z, name, dtype="<u4", **label):
    write(z / "labels", {"labels": [name]})
    return image(z / "labels" / name, dtype=dtype, more={"image-label": {"version": "0.4", **label}} if label
                 is not None else None)


def test_labels_keep_colours_and_properties(tmp_path):
    z = image(tmp_path / "a.zarr")
    more = {"colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}],
            "properties": [{"label-value": 1, "area": 4}]}
    labels(z, "nuclei", source={"image": "../../"}, **more)
    arrays, groups = load(z)
    a = arrays["nuclei"]
    assert a.kind == "labels" and a.labels_of == "data" and a.attributes["image-label"] == more and not groups


def test_labels_of_two_images_may_have_one_name(tmp_path):
    z = write(tmp_path / "a.zarr", {})
    write(z / "w")
    for k in range(3):
        labels(image(z / f"w/{k}"), "nuc", source={})
    arrays, _ = load(z)
    found = {a.labels_of: a.path.rpartition("/")[2] for a in arrays.values() if a.kind == "labels"}
    assert found == {f"w/{k}": "nuc" for k in range(3)}


def test_labels_of_floats_are_an_image_and_lists_of_none_are_said(tmp_path, capsys):
    z = image(tmp_path / "a.zarr")
    labels(z, "soft", dtype="<f4", colors=[])
    (z / "labels/.zattrs").write_text('{"labels": ["soft", "gone"]}')
    arrays, _ = load(z)
    assert {a.kind for a in arrays.values()} == {"image"}
    said = capsys.readouterr().err
    assert "as labels" in said and "'gone'" in said


PLATE = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [{"path": "A/1", "rowIndex": 0,
                                                                         "columnIndex": 0}]}


@pytest.mark.parametrize("own", [{"plate": dict(PLATE, version="0.4")}, {"plate": PLATE, "mine": [1]},
                                 {"ome": {"version": "0.5", "plate": PLATE}, "mine": [1]},
                                 {"plate": dict(PLATE, version="0.1", field_count=2)}])
def test_plates_and_wells_stay_what_they_are(tmp_path, own):
    z = write(tmp_path / "p.zarr", own)
    write(z / "A")
    write(z / "A/1", {"well": {"version": "0.4", "images": [{"path": "0"}]}})
    image(z / "A/1/0")
    arrays, groups = load(z)
    plate = groups[""]["ome"].pop("plate")
    assert {k: plate[k] for k in PLATE} == PLATE and "version" not in plate and list(arrays) == ["A/1/0"]
    assert groups[""]["ome"] == {"version": "0.5"} and groups[""].get("mine") == own.get("mine")
    assert groups["A/1"] == {"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}}


@pytest.mark.parametrize("own,said", [({"plate": "A1"}, None), ({"ome": {"plate": "A1"}}, "plate"),
                                      ({"ome": 5}, "ome"), ({"omero": {}}, "omero"),
                                      ({"multiscales": {}}, "multiscales"), ({"labels": ["a"]}, "labels")])
def test_odd_groups_keep_their_other_attributes(tmp_path, capsys, own, said):
    z = write(tmp_path / "p.zarr", {**own, "mine": 1})
    write(z / "a", shape=[3])
    _, groups = load(z)
    assert groups[""] == {"mine": 1, **({} if said else own)}
    assert (said or "") in capsys.readouterr().err


def test_layouts_of_bioformats2raw(tmp_path, capsys):
    z = write(tmp_path / "b.zarr", {"bioformats2raw.layout": 3})
    write(z / "OME", {"series": ["0", "1"]})
    (z / "OME/METADATA.ome.xml").write_text("<OME/>")
    for k in "01":
        image(z / k)
    arrays, groups = load(z)
    assert set(arrays) == {"0", "1"} and groups[""]["ome"]["bioformats2raw.layout"] == 3
    assert groups["OME"]["ome"]["series"] == ["0", "1"] and "METADATA.ome.xml" in capsys.readouterr().err


@pytest.mark.parametrize("paths", [["scale0/image", "scale1/image"], ["s/0", "s/1"], ["./a", "b"], ["0", "1/x/y"]])
def test_levels_anywhere_are_served_once(tmp_path, paths):
    z = write(tmp_path / "n.zarr", {"multiscales": [{"version": "0.4", "axes": ZYX, "datasets": [
        {"path": p, "coordinateTransformations": GOOD} for p in paths]}]})
    for k, p in enumerate(paths):
        for parent in list((z / p).parents)[:-len(z.parents) - 1]:
            write(parent)
        write(z / p, shape=[4, 8 >> k, 8 >> k])
    a = one(z)
    assert len(a.levels) == 2


def test_a_link_to_a_level_is_no_second_array(tmp_path):
    z = image(tmp_path / "a.zarr")
    (z / "also").symlink_to("0")
    assert len(one(z).levels) == 1


@pytest.mark.parametrize("kind,given,want", [
    ("float32", "0x7fc00001", "nan"), ("float32", "0x3fc00000", "1.5"), ("float64", "NaN", "nan"),
    ("float16", "0x3c00", "1.0"), ("float64", "-Infinity", "-inf"), ("float32", 2, "2"), ("int8", -3, "-3"),
    ("bool", True, "True"), ("complex64", [1, "0x3fc00000"], "(1+1.5j)"), ("complex128", ["NaN", 2.5], "(nan+2.5j)"),
    ("complex64", ["Infinity", "0x00000000"], "(inf+0j)"), ("uint64", 2 ** 64 - 1, str(2 ** 64 - 1))])
def test_fills_of_zarr3(kind, given, want):
    assert repr(zarr_fill.fill({"data_type": kind, "fill_value": given}, 3)) == want


@pytest.mark.parametrize("kind,given", [("float32", "0x17fc00001"), ("float32", "0x3f80"), ("float32", "much"), ("int8", "3"),
                                        ("complex64", [1, 2, 3]), ("uint8", {}), ("int8", [1])])
def test_fills_that_are_none_are_refused(kind, given):
    with pytest.raises(_readers.StoreError, match="fill value"):
        zarr_fill.fill({"data_type": kind, "fill_value": given}, 3)


@pytest.mark.parametrize("meta,version,want", [
    ({"compressor": None}, 2, None), ({"compressor": {"id": "zstd", "level": 7}}, 2, {"id": "zstd", "level": 7}),
    ({"compressor": {"id": "blosc", "cname": "zlib", "clevel": 2, "shuffle": 2}}, 2,
     {"id": "blosc", "cname": "zlib", "clevel": 2, "shuffle": "bitshuffle"}),
    ({"codecs": [{"name": "bytes"}]}, 3, None),
    ({"codecs": [{"name": "sharding_indexed", "configuration": {"codecs": [
        {"name": "bytes"}, {"name": "gzip", "configuration": {"level": 3}}]}}]}, 3, {"id": "gzip", "level": 3})])
def test_what_is_served_is_packed_as_the_file_is(meta, version, want):
    assert zarr_codec.compressor(meta, version) == {"compressor": want}


@pytest.mark.parametrize("meta,version", [({"compressor": {"id": "bz2"}}, 2), ({"compressor": {"id": "zstd",
                                          "level": "x"}}, 2), ({"codecs": []}, 3), ({}, 3)])
def test_other_codecs_are_lazarrs_own_choice(meta, version):
    assert zarr_codec.compressor(meta, version) == {}


def test_names_of_axes_that_name_none_are_said(tmp_path, capsys):
    z = write(tmp_path / "d.zarr")
    for k, dims in enumerate((["a", "b"], ["a", "a"], ["a"], [None, None], 5)):
        write(z / f"x{k}", {"_ARRAY_DIMENSIONS": dims}, shape=[2, 3])
    arrays, _ = load(z)
    assert [a.dims for a in arrays.values()] == [("a", "b"), None, None, None, None]
    said = capsys.readouterr().err
    assert said.count("names of axes") == 3 and np.all(arrays["x0"][...] == 0)


@pytest.mark.parametrize("name", ["a.zarr", "a.n5", "a"])
def test_a_folder_of_folders_that_is_none_says_so(tmp_path, name):
    """Found by fuzzing: each entry was looked at as a DICOM file, folders too."""
    write(tmp_path / name / "deep", shape=[4])
    (tmp_path / name / "other").mkdir()
    with pytest.raises(lazarr.StoreError, match="no Zarr array or group|no array that lazarr can serve"):
        load(tmp_path / name)
