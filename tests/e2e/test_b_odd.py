"""Files of which one field makes no sense (odd_files.py makes them): that field is left out alone, in one line with its
place, and all around it is what it is without."""
import json
import subprocess

import numpy as np
import pytest

import lzr

pytestmark = pytest.mark.limit(180)
V = np.arange(24, dtype="i2").reshape(2, 3, 4)


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    """{name: (error, what was said, {array: what it is})}"""
    env = lzr.ENVS / "files"
    lzr.need(env.is_dir(), "the environment files of tests/clients/setup.sh, with the libraries of all kinds")
    folder = tmp_path_factory.mktemp("odd")
    r = subprocess.run([env / "bin/python", lzr.Path(__file__).with_name("odd_files.py"), folder], capture_output=True,
                       text=True, timeout=120 * lzr.SLOW, env=lzr.environment(PYTHONPATH=str(lzr.PYTHON_DIR)))
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout.splitlines()[-1])


def whole(odd, name, path="data", values=V):
    """(an array of a file that is served, its values all there; what was said)"""
    error, said, arrays = odd[name]
    assert error is None, error
    dtype, got = arrays[path]["values"]
    assert np.array_equal(np.array(got, dtype), values), name
    return arrays[path], said


def test_scaled_values(odd):
    """Also as lazarr.open says them (odd_files.py)."""
    whole(odd, "scaled.nii", values=2 * V + 1)


@pytest.mark.parametrize("name,said", [
    ("NAME_NoneType.h5", "/x: attribute NAME"), ("CLASS_NoneType.h5", "/x: attribute CLASS"), ("CLASS_ndarray.h5", ""),
    ("CLASS_str.h5", ""), *((f"DIMENSION_{k}_{v}.h5", f"/x: attribute DIMENSION_{k}") for k, v in (
        ("LABELS", "NoneType"), ("LABELS", "int"), ("LABELS", "list"), ("LABELS", "ndarray"), ("LIST", "NoneType"),
        ("LIST", "int"), ("LIST", "list")))])
def test_dimensions_of_hdf5_that_cannot_be_read(odd, name, said):
    _, log = whole(odd, name, "x")
    whole(odd, name, "y", np.arange(3))
    assert said in log and "'/x' is left out" not in log


def test_names_of_axes_that_are_no_text(odd):
    array, log = whole(odd, "scale.h5", "x")
    assert array["dims"] is None and "/x: names of axes' is left out" in log and "half a character" in log


@pytest.mark.parametrize("name,said,scale,unit", [
    ("units.nii", "header: xyzt_units", [4, 3, 2], None), ("affine.nii", "header: affine", [4, 3, 2], None),
    ("infinite.nii", "header: affine", [4, 3, 2], None), ("rotation.nii", "header: affine", [4, 3, 2], None),
    ("sizes.nii", "scale of x", [4, 3, 1], None), ("centre.mgh", "", [4, 3, 2], "millimeter")])
def test_a_nifti_header(odd, name, said, scale, unit):
    array, log = whole(odd, name)
    assert said in log and array["scale"] == scale and array["units"] in (None, [unit] * 3)
    json.dumps(array["attributes"], allow_nan=False)


@pytest.mark.parametrize("name,said,scale", [
    ("0.nrrd", "header: spacings", [1, 1, 1]), ("1.nrrd", "header: space directions", [1, 1, 1]),
    ("2.nrrd", "header: nonsense", [1, 1, 1]), ("3.nrrd", "header: spacings", [1, 2, 3]),
    ("4.nrrd", "header: space origin", [1, 2, 3])])
def test_lines_of_an_nrrd_header(odd, name, said, scale):
    array, log = whole(odd, name)
    assert said in log and array["scale"] == scale


def test_lines_that_an_nrrd_needs(odd):
    error, _, arrays = odd["5.nrrd"]
    assert "sizes" in error and not arrays


@pytest.mark.parametrize("name", [f"{k}.zarr" for k in range(6)])
def test_names_of_axes_of_zarr(odd, name):
    array, log = whole(odd, name)
    assert array["dims"] is None and (": names of axes" in log or name == "5.zarr")


def test_a_fill_value_that_is_an_empty_text(odd):
    array, log = whole(odd, "fill.zarr")
    assert not log and array["fill"].strip("np.int16()") == "0"


@pytest.mark.parametrize("k", range(3))
def test_windows_beyond_int64(odd, k):
    array, log = whole(odd, f"window{k}", "im")
    assert array["channels"][0]["label"] == "a" and ("window' is left out" in log) == (k == 1)
    whole(odd, f"window{k}", "cells")
    whole(odd, f"window{k}", "im_/more")


def test_what_an_images_group_holds_besides(odd):
    """Labels that are none are arrays; nothing can lie in an image, so they lie beside it."""
    _, log = whole(odd, "labels", "im")
    whole(odd, "labels", "im_/labels_/cells/0")
    assert "im/labels/cells' is left out: its multiscales name no arrays" in log


@pytest.mark.parametrize("how", [0, 8, 12, 14])
def test_a_damaged_member_of_an_archive(odd, how):
    _, log = whole(odd, f"{how}.zarr.zip", "a")
    assert "'b' is left out: 'b/zarr.json' can't be read out of the archive" in log


@pytest.mark.parametrize("name", ["absolute", "above"])
def test_segment_properties_outside_of_the_folder(odd, name):
    array, log = whole(odd, name)
    assert array["attributes"] == {} and "segment_properties" in log and "outside" in log


def test_a_property_that_is_called_as_ids_are(odd):
    array, log = whole(odd, "beside")
    assert array["attributes"] == {"image-label": {"properties": [{"label-value": 1, "label": "a"}]}}
    assert "segment_properties: 'label-value'" in log


def test_properties_that_are_no_list(odd):
    _, log = whole(odd, "number")
    assert "segment_properties' is left out: its properties are no list: 3" in log


def test_boxes_of_compressed_segmentation(odd):
    whole(odd, "flat", values=np.full((2, 3, 4), 7))
    error, log, _ = odd["box"]
    assert "compressed_segmentation_block_size" in log and error


@pytest.mark.parametrize("name,scale,said", [
    ("named", [2, 2], ""), ("sized", [2, 2], ""), ("unknown", [1, 1], "2 images of its OME-XML could be this one"),
    ("samples", [1, 1], "OME-XML")])
def test_an_image_of_ome_xml_without_planes(odd, name, scale, said):
    """Its neighbour's sizes aren't its own."""
    array, log = whole(odd, name, values=V[0])
    assert array["scale"] == scale and (said in log if said else not log), log


def test_more_channels_than_there_are(odd):
    error, _, arrays = odd["ij"]
    assert error is None and all(a["channels"] is None for a in arrays.values())


def test_digits_that_are_no_number(odd):
    whole(odd, "squares")
    assert "must be the number of one of its 1 series" in odd["square"][0]


@pytest.mark.parametrize("name,said,scale", [
    ("slope", "RescaleSlope' is left out: 'q.25' is no number: it counts as 1", [3, 2]),
    ("nan", "RescaleSlope' is left out", [3, 2]), ("intercept", "RescaleIntercept' is left out", [3, 2]),
    ("position", "ImagePositionPatient' is left out", [3, 2]),
    ("orientation", "ImageOrientationPatient' is left out", [3, 2]), ("spacing", "scale of y", [1, 2]),
    ("one", "PixelSpacing' is left out", [1, 1]), ("offsets", "", [3, 2]),
    ("instance", "InstanceNumber' is left out", [3, 2]), ("window", "", [3, 2]), ("thickness", "", [3, 2])])
def test_fields_of_dicom(odd, name, said, scale):
    array, log = whole(odd, f"{name}.dcm", values=V[0])
    assert array["scale"] == scale and said in log, log


@pytest.mark.parametrize("k,said,scale,unit,channel", [
    (0, "Image: Unit", 2, None, ("dna", "0000FF")), (1, "Image: Unit", 2, None, ("dna", "0000FF")),
    (2, "Image: ExtMin0", 1, "micrometer", ("dna", "0000FF")), (3, "scale of x", 1, "micrometer", ("dna", "0000FF")),
    (4, "Channel 0: Name", 2, "micrometer", ("0", "0000FF")), (5, "Channel 0: Color", 2, "micrometer", ("dna", "FFFFFF")),
    (6, "color' is left out: 'puce'", 2, "micrometer", ("dna", "FFFFFF")),
    (7, "color' is left out: '1 0'", 2, "micrometer", ("dna", "FFFFFF")),
    (8, "ImageSizeX", 2, "micrometer", ("dna", "0000FF")), (9, "level 1", 2, "micrometer", ("dna", "0000FF"))])
def test_attributes_of_imaris(odd, k, said, scale, unit, channel):
    array, log = whole(odd, f"{k}.ims", values=V[None, None])
    assert array["scale"] == [1, 1, 1, 1, scale] and array["units"][2:] == [unit] * 3
    assert (array["channels"][0]["label"], array["channels"][0]["color"]) == channel
    assert log.count("is left out") == 1 + (k == 2) and said in log, log
    sizes = [[level[0][4], level[2][4], level[3][4]] for level in array["levels"]]  # shape, scale and place of x
    assert sizes == [[4, scale, 0.5 * scale if k not in (2, 3) else 0], [2, 2 * scale, scale if k not in (2, 3) else .5]
                     ][:1 if k == 9 else 2]
