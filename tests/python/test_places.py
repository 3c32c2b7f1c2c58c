"""What files say of their images besides the values: each odd field is left out alone, and said."""
import numpy as np
import pytest

from lazarr import _check, _images, _units
from lazarr._readers import places
from lazarr._readers.file import File


@pytest.fixture
def f(tmp_path):
    return File(str(tmp_path / "a.tif"), "")


MICRO = ["µm", "μm", "um", "UM", "µM", "micron", "microns", "Microns", "MICRON", "MICRONS", "micrometer", "micrometre",
         "Micrometers", "micrometres", " um ", "[um]", "(µm)", "\\u00B5m", "\\u03bcm", "&#181;m", "&micro;m",
         "Âµm", "um/px", "µm per pixel", "microns/pixel", b"\xb5m", "µm".encode()]


@pytest.mark.parametrize("text", MICRO)
def test_all_writings_of_a_micrometer(text):
    assert [_units.named(text, a) for a in "zyx"] == ["micrometer"] * 3


@pytest.mark.parametrize("text,axis,want", [
    ("nm", "x", "nanometer"), ("NM", "z", "nanometer"), ("nanometre", "x", "nanometer"),
    ("mm", "x", "millimeter"), ("MM", "x", "millimeter"), ("Mm", "x", "megameter"), ("M", "x", "meter"),
    ("cm", "y", "centimeter"), ("inch", "x", "inch"), ("inches", "x", "inch"), ("ft", "x", "foot"),
    ("Å", "x", "angstrom"), ("\u212b", "x", "angstrom"), ("Angstroms", "x", "angstrom"), ("A", "x", "angstrom"),
    ("s", "t", "second"), ("sec", "t", "second"), ("Seconds", "t", "second"), ("msec", "t", "millisecond"),
    ("ms", "t", "millisecond"), ("µs", "t", "microsecond"), ("usec", "t", "microsecond"), ("min", "t", "minute"),
    ("hrs", "t", "hour"), ("h", "t", "hour"), ("days", "t", "day"), ("ns", "t", "nanosecond")])
def test_units_in_their_writings(text, axis, want):
    assert _units.named(text, axis) == want
    assert _check.units([text], (axis,)) == (want,)  # as lazarr.source takes them


def test_every_name_is_itself():
    for axis, names in (("x", _units.SPATIAL), ("t", _units.TEMPORAL)):
        for n in names:
            assert _units.named(n, axis) == _units.named(n.upper(), axis) == _units.named(n + "s", axis) == n


@pytest.mark.parametrize("text", [None, "", " ", "pixel", "Pixels", "px", "voxels", "none", "unitless", "a.u.",
                                  "frame", "unknown", b""])
def test_what_says_that_there_is_no_unit(text):
    assert _units.named(text, "x") is None and _units.named(text, "c") is None


@pytest.mark.parametrize("text,axis", [("furlong", "x"), ("s", "x"), ("um", "t"), ("nm", "c"), (3, "x"),
                                       (["um"], "x"), ("u" * 500, "x"), ("\ud800", "z")])
def test_what_is_no_unit(text, axis):
    with pytest.raises(_units.NoUnit):
        _units.named(text, axis)


def test_one_odd_unit_is_left_out_alone(f, capsys):
    assert places.units(f, "/0", ["", "parsnip", "um", "nm"], "czyx") == [None, None, "micrometer", "nanometer"]
    assert capsys.readouterr().err == "a.tif: '/0: unit of z' is left out: 'parsnip' is not a unit of axis z\n"
    assert places.units(f, "/0", {"t": "sec", "x": 5, "y": "um"}, "tyx") == ["second", "micrometer", None]
    assert capsys.readouterr().err.count("\n") == 1
    assert places.units(f, "/0", "micron", "tzyx") == [None] + 3 * ["micrometer"]
    assert places.units(f, "/0", ["um"], "yx") == ["micrometer", None]
    assert places.units(f, "/0", None, "yx") == [None, None]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("odd,said", [
    (0, "0 is no size"), (0.0, "0.0 is no size"), (-2, "-2 is no size"), (float("nan"), "nan is no size"),
    (float("inf"), "inf is no size"), ("wide", "'wide' is no size"), (None, "none is given"),
    (True, "True is no size"), ([1, 2], "[1, 2] is no size"), (10 ** 400, "is no size"), ({}, "{} is no size")])
def test_one_odd_scale_counts_as_1(f, capsys, odd, said):
    assert places.scale(f, "/", [odd, .5, 2], "zyx") == [1.0, .5, 2.0]
    err = capsys.readouterr().err
    assert err.startswith("a.tif: '/: scale of z' is left out: ") and said in err and "counts as 1\n" in err


def test_scales_in_their_forms(f, capsys):
    assert places.scale(f, "/", np.array([3., 2.]), "yx") == [3.0, 2.0]
    assert places.scale(f, "/", ["3", "2.5"], "yx") == [3.0, 2.5]
    assert places.scale(f, "/", {"x": .5, "y": .25}, "tcyx") == [1.0, 1.0, .25, .5]
    assert places.scale(f, "/", .5, "tzyx") == [1.0, .5, .5, .5]
    assert places.scale(f, "/", None, "yx") == places.scale(f, "/", [], "yx") == [1.0, 1.0]
    assert capsys.readouterr().err == ""
    assert places.scale(f, "/", [2.], "yx") == [2.0, 1.0]
    assert places.scale(f, "/", [2., 3., 4.], "yx") == [2.0, 3.0]
    assert places.scale(f, "/", {"x": .5}, "tyx") == [1.0, 1.0, .5]
    assert capsys.readouterr().err.count("\n") == 3


def test_one_odd_translation_counts_as_0(f, capsys):
    assert places.translation(f, "/", [float("nan"), -5, 0], "zyx") == [0.0, -5.0, 0.0]
    assert places.translation(f, "/", {"x": "7"}, "yx") == [0.0, 7.0]
    assert capsys.readouterr().err == \
        "a.tif: '/: translation of z' is left out: nan is no place: it counts as 0\n"


@pytest.mark.parametrize("field,odd,said", [
    ("window", {"start": 5, "end": 5, "min": 0, "max": 5}, "channel 0: window'"),
    ("window", "wide", "channel 0: window'"), ("window", {"start": 9, "end": 1}, "channel 0: window'"),
    ("window", {"start": float("nan"), "end": "x"}, "channel 0: window'"),
    ("color", "puce", "channel 0: color'"), ("color", 7, "channel 0: color'"),
    ("color", "12345", "channel 0: color'"), ("active", "perhaps", "channel 0: active'"),
    ("own", {1, 2}, "channel 0: attribute own'")])
def test_one_odd_field_of_a_channel_is_left_out_alone(f, capsys, field, odd, said):
    good = {"label": "DAPI", "color": "0000FF", "window": {"start": 0, "end": 200, "min": 0, "max": 255}}
    made = places.channels(f, "/", [{**good, field: odd}, good], 2, "u1")
    assert made[1] == good and made[0] == {k: v for k, v in good.items() if k != field}
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and said in err, err
    assert _images.channels(made, ("c", "y", "x"), (2, 4, 4), np.dtype("u1"), "image")


def test_channels_in_their_forms(f, capsys):
    assert places.channels(f, "/", ["a", {"label": 5, "color": "#00f", "active": 1}], 2, "u2") == \
        [{"label": "a"}, {"label": "5", "color": "0000FF", "active": True}]
    assert places.channels(f, "/", None, 2, "u2") is None and places.channels(f, "/", [], 2, "u2") is None
    assert capsys.readouterr().err == ""
    assert [c["label"] for c in places.channels(f, "/", ["a"], 2, "u2")] == ["a", "1"]
    assert [c["label"] for c in places.channels(f, "/", ["a", "b", "c"], 2, "u2")] == ["a", "b"]
    assert [c["label"] for c in places.channels(f, "/", ["a", 7, "c"], 3, "u2")] == ["a", "1", "c"]
    assert places.channels(f, "/", "abc", 2, "u2") is None
    assert places.channels(f, "/", ["a"], 1, "c8") is None
    assert capsys.readouterr().err.count("\n") == 5


def test_a_window_keeps_what_of_it_makes_sense(f, capsys):
    given = {"start": 10, "end": 300, "min": 20, "max": 100, "gamma": 2}
    assert places.channels(f, "/", [{"window": given}], 1, "u2")[0]["window"] == {"start": 10, "end": 300}
    assert capsys.readouterr().err.count("\n") == 2
