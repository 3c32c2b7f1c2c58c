"""Files of which one field makes no sense, made and read by an interpreter that has all libraries:

    odd_files.py FOLDER      prints a line of JSON, {name: [error or null, what was said, {array: what it is}]}

Each function makes files and gives (name, path, ::part) of each. Nothing here is what a writer would write.
"""
import contextlib
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
KINDS = []
V = np.arange(24, dtype="<i2").reshape(2, 3, 4)


def kind(make):
    KINDS.append(make)
    return make


def read(path, inner):
    """What lazarr makes of a file."""
    from lazarr import _readers, _registry
    registry, said = _registry.Registry(), io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            _readers.build("s", f"data:{path}::{inner}", [], registry)
            error = None
        except Exception as e:
            error = f"{type(e).__name__}: {e}"
    made = {}
    for a in registry.arrays:
        made[a.path] = {"axes": a.axes and "".join(a.axes), "dims": a.dims, "scale": a.scale, "units": a.units,
                        "translation": a.translation, "attributes": a.attributes, "channels": a.channels, "levels": a.levels,
                        "fill": repr(a.fill_value), "values": _values(a)}
    return error, said.getvalue(), made


def _values(a):
    try:
        v = np.asarray(a[...])
        return [str(v.dtype), v.tolist()]
    except Exception as e:
        return f"{type(e).__name__}: {e}"


@kind
def hdf5(folder):
    """Names of dimensions that can't be read, or are none: HDF5 itself reads beyond some, and crashes."""
    import h5py
    date = h5py.h5t.UNIX_D32LE  # a type that NumPy has not
    for name, value in (("NAME", None), ("CLASS", None), ("CLASS", np.arange(3)), ("CLASS", "DIMENSION_SCALE"),
                        ("DIMENSION_LABELS", None), ("DIMENSION_LABELS", 5), ("DIMENSION_LABELS", ["a"]),
                        ("DIMENSION_LABELS", np.array([b"a", b"b", b"c"])), ("DIMENSION_LIST", None),
                        ("DIMENSION_LIST", 5), ("DIMENSION_LIST", [5.0, 5.0, 5.0])):
        called = f"{name}_{type(value).__name__}.h5"
        with h5py.File(folder / called, "w") as f:
            d = f.create_dataset("x", data=V)
            f["y"] = np.arange(3)
            if value is None:
                h5py.h5a.create(d.id, name.encode(), date, h5py.h5s.create(h5py.h5s.SCALAR))
            else:
                d.attrs[name] = value
            if name == "CLASS":
                d.attrs["_Netcdf4Coordinates"] = 3
        yield called, called, ""
    with h5py.File(folder / "scale.h5", "w") as f:  # a name in Latin-1
        f["x"], f[b"l\xe4nge"] = V, np.arange(4)
        f[b"l\xe4nge"].make_scale()
        f["x"].dims[2].attach_scale(f[b"l\xe4nge"])
    yield "scale.h5", "scale.h5", ""


@kind
def nifti(folder):
    """Bytes of a header that make no sense."""
    import struct

    import nibabel
    nibabel.save(nibabel.Nifti1Image(V.T, np.diag([2, 3, 4, 1.])), folder / "plain.nii")
    plain = (folder / "plain.nii").read_bytes()
    nan = float("nan")
    for name, changes in (("units.nii", [(123, "<B", 7)]), ("affine.nii", [(280, "<f", nan)]),
                          ("infinite.nii", [(292, "<f", float("inf"))]),
                          ("rotation.nii", [(254, "<h", 0), (252, "<h", 1), (256, "<3f", 5, 5, 5)]),
                          ("sizes.nii", [(254, "<h", 0), (252, "<h", 0), (80, "<2f", nan, -3)])):
        data = bytearray(plain)
        for at, *change in changes:
            struct.pack_into(change[0], data, at, *change[1:])
        (folder / name).write_bytes(data)
        yield name, name, ""
    image = nibabel.Nifti1Image(V.T, np.diag([2, 3, 4, 1.]))
    image.header.set_slope_inter(2, 1)
    nibabel.save(image, folder / "scaled.nii")
    yield "scaled.nii", "scaled.nii", ""
    import lazarr
    opened = lazarr.source("opened", lambda: lazarr.open(folder / "scaled.nii"))
    assert opened.dtype == "f8" and np.array_equal(opened[...], 2 * V + 1)
    image = nibabel.MGHImage(V.T, np.diag([2, 3, 4, 1.]))
    image.header["Pxyz_c"] = nan
    nibabel.save(image, folder / "centre.mgh")
    yield "centre.mgh", "centre.mgh", ""


@kind
def nrrd(folder):
    """Lines of a header."""
    for k, lines in enumerate((["spacings: 1 x 3"], ["space directions: (1,0,0) (0,q,0) (0,0,1)"], ["nonsense"],
                               ["spacings: 3 2 1", "spacings: 1 2 3"], ["space origin: (a,b,c)", "spacings: 3 2 1"],
                               ["sizes: 4 q 2"])):
        head = ["NRRD0004", "type: short", "dimension: 3", "endian: little", "encoding: raw", *lines]
        head += [] if "sizes" in lines[0] else ["sizes: 4 3 2"]
        (folder / f"{k}.nrrd").write_bytes("\n".join([*head, "", ""]).encode() + V.tobytes())
        yield f"{k}.nrrd", f"{k}.nrrd", ""


def zarr3(path, **over):
    meta = {"zarr_format": 3, "node_type": "array", "shape": [2, 3, 4], "data_type": "int16", "fill_value": 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "attributes": {}, **over}
    (path / "c/0/0").mkdir(parents=True)
    (path / "zarr.json").write_text(json.dumps(meta))
    (path / "c/0/0/0").write_bytes(V.tobytes())


@kind
def zarr(folder):
    for k, names in enumerate((["a"], [1, 2, 3], "abc", {"a": 1}, ["a", "a", "b"], [])):
        zarr3(folder / f"{k}.zarr", dimension_names=names)
        yield f"{k}.zarr", f"{k}.zarr", ""
    old = folder / "fill.zarr"
    old.mkdir()
    (old / ".zarray").write_text(json.dumps({
        "zarr_format": 2, "shape": [2, 3, 4], "chunks": [2, 3, 4], "dtype": "<i2", "compressor": None, "filters": None,
        "fill_value": "", "order": "C"}))
    (old / "0.0.0").write_bytes(V.tobytes())
    yield "fill.zarr", "fill.zarr", ""


def ome(path, channels=(), labels="0"):
    """An image with labels, and an array that is no level, in its group."""
    def group(at, said):
        at.mkdir(parents=True, exist_ok=True)
        (at / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": said}}))
    axes = [{"name": a, "type": "space"} for a in "zyx"]
    group(path, {})
    group(path / "im", {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
                        "omero": {"channels": list(channels)}})
    group(path / "im/labels", {"version": "0.5", "labels": ["cells"]})
    group(path / "im/labels/cells", {"version": "0.5", "image-label": {}, "multiscales": [
        {"axes": axes, "datasets": [{"path": labels}]}]})
    for name in ("im/0", "im/labels/cells/0", "im/more"):
        zarr3(path / name)


@kind
def ome_zarr(folder):
    for k, end in enumerate((10 ** 30, -10 ** 30, 10 ** 250)):
        ome(folder / f"window{k}.zarr", [{"label": "a", "window": {"start": 0, "end": end, "min": 0, "max": end}}])
        yield f"window{k}", f"window{k}.zarr", ""
    ome(folder / "labels.zarr", labels="nowhere")
    yield "labels", "labels.zarr", ""


@kind
def archives(folder):
    """Of an archive one member is damaged, packed in each way that there is."""
    import zipfile
    group = folder / "group"
    for name in "ab":
        zarr3(group / name)
    (group / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = folder / f"{how}.zarr.zip"
        with zipfile.ZipFile(path, "w", how) as z:
            for file in sorted(p for p in group.rglob("*") if p.is_file()):
                z.write(file, file.relative_to(group))
            at = z.getinfo("b/zarr.json").header_offset + 30 + len("b/zarr.json")
        data = bytearray(path.read_bytes())
        for k in range(at + 9, at + 29):  # LZMA's begin with 9 bytes of their own
            data[k] ^= 0x5a
        path.write_bytes(data)
        yield path.name, path.name, ""


SECRET = {"inline": {"ids": ["1"], "properties": [{"id": "label", "type": "label", "values": ["hidden"]}]}}


@kind
def precomputed(folder):
    (folder / "outside").mkdir()
    (folder / "outside/info").write_text(json.dumps(SECRET))

    def one(name, data=V.astype("<u4").tobytes(), scale={}, info={}):
        scale = {"key": "k", "size": [4, 3, 2], "chunk_sizes": [[4, 3, 2]], "resolution": [3, 2, 1], "encoding": "raw",
                 "voxel_offset": [0, 0, 0], **scale}
        (folder / name / "k").mkdir(parents=True)
        (folder / name / "info").write_text(json.dumps({
            "type": "segmentation", "data_type": "uint32", "num_channels": 1, "scales": [scale], **info}))
        (folder / name / "k/0-4_0-3_0-2").write_bytes(data)
        return name, name, ""
    yield one("absolute", info={"segment_properties": str(folder / "outside")})
    yield one("above", info={"segment_properties": "../outside"})
    inline = {"ids": ["1"], "properties": [{"id": "label-value", "values": [7]}, {"id": "label", "values": ["a"]}]}
    (folder / "beside/props").mkdir(parents=True)
    (folder / "beside/props/info").write_text(json.dumps({"inline": inline}))
    yield one("beside", info={"segment_properties": "props"})
    (folder / "number/props").mkdir(parents=True)
    (folder / "number/props/info").write_text(json.dumps({"inline": {"ids": ["1"], "properties": 3}}))
    yield one("number", info={"segment_properties": "props"})
    segmented = {"encoding": "compressed_segmentation", "compressed_segmentation_block_size": [4, 3, 2]}
    flat = np.array([1, 2, 2, 7], "<u4").tobytes()  # one box of one value, of no bits
    yield one("flat", flat, segmented)
    yield one("box", flat, {**segmented, "compressed_segmentation_block_size": [1024, 1024, 1024]})


OME = '''<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">%s</OME>'''
IMAGE = '''<Image ID="Image:{k}" Name="{name}"><Pixels ID="Pixels:{k}" DimensionOrder="XYCZT" Type="int16" SizeX="{x}"
SizeY="3" SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="{size}" PhysicalSizeY="{size}"><Channel ID="Channel:{k}:0"
SamplesPerPixel="{samples}"/>{data}</Pixels></Image>'''


@kind
def tiff(folder):
    """OME-XML of more images than the file has planes of, and a description of more channels than there are."""
    import tifffile
    none, first = "", '<TiffData IFD="0" PlaneCount="1"/>'
    for name, images in (
            ("named", [("label", 4, 7, "1", none), ("cells", 4, 2, "1", first)]),
            ("sized", [("", 5, 7, "1", none), ("", 4, 2, "1", first)]),
            ("unknown", [("", 4, 7, "1", none), ("", 4, 2, "1", first)]),
            ("samples", [("a", 4, 2, "\u00b2", first)])):
        text = OME % "".join(IMAGE.format(k=k, name=n, x=x, size=size, samples=samples, data=data)
                             for k, (n, x, size, samples, data) in enumerate(images))
        tifffile.imwrite(folder / f"{name}.ome.tif", V[0], description=text.encode(), metadata=None)
        yield name, f"{name}.ome.tif", ""
    tifffile.imwrite(folder / "ij.tif", V, imagej=True, metadata={"axes": "ZYX"})
    data = (folder / "ij.tif").read_bytes()
    assert b"images=2\nslices=2\n" in data
    (folder / "ij.tif").write_bytes(data.replace(b"images=2\nslices=2\n", b"channels=99999999\n"))
    yield "ij", "ij.tif", ""
    (folder / "squares").mkdir()
    for k in range(2):
        tifffile.imwrite(folder / "squares" / f"{k}\u00b2{k}.tif", V[k])
    yield "squares", "squares", ""
    yield "square", "named.ome.tif", "\u00b2"


@kind
def dicom(folder):
    """Fields of a header that are none, as they are written by hand and by scripts."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian
    for name, fields, was, by in (
            ("slope", {"RescaleSlope": "1.25"}, b"1.25", b"q.25"), ("nan", {"RescaleSlope": "1.25"}, b"1.25", b"nan "),
            ("intercept", {"RescaleIntercept": "1.25"}, b"1.25", b"q.25"),
            ("position", {"ImagePositionPatient": [1.25, 2, 3]}, b"1.25", b"q.25"),
            ("orientation", {"ImageOrientationPatient": [1.25, 0, 0, 0, 1, 0]}, b"1.25", b"q.25"),
            ("spacing", {"PixelSpacing": [1.25, 2]}, b"1.25", b"q.25"), ("one", {"PixelSpacing": 2}, b"", b""),
            ("offsets", {"GridFrameOffsetVector": [1.5]}, b"", b""), ("instance", {"InstanceNumber": "12345"}, b"12345", b"1234q"),
            ("window", {"WindowCenter": "1.25"}, b"1.25", b"q.25"), ("thickness", {"SliceThickness": "1.25"}, b"1.25", b"q.25")):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, 4, 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation, ds.SeriesInstanceUID = 15, 1, "1.2.3"
        for k, v in {"PixelSpacing": [3, 2], **fields}.items():
            setattr(ds, k, v)
        ds.PixelData = V[0].tobytes()
        pydicom.dcmwrite(folder / f"{name}.dcm", ds, enforce_file_format=True)
        data = (folder / f"{name}.dcm").read_bytes()
        assert data.count(was) == 1 or not was
        (folder / f"{name}.dcm").write_bytes(data.replace(was, by) if was else data)
        yield f"{name}.dcm", f"{name}.dcm", ""


@kind
def imaris(folder):
    """Attributes of Imaris, texts of single letters, in other words and of other types."""
    import h5py

    def text(value):
        return np.frombuffer(value.encode(), "S1")
    for k, (where, name, value) in enumerate((
            ("DataSetInfo/Image", "Unit", None), ("DataSetInfo/Image", "Unit", np.arange(3)),
            ("DataSetInfo/Image", "ExtMin0", None), ("DataSetInfo/Image", "ExtMin0", text("abc")),
            ("DataSetInfo/Channel 0", "Name", None), ("DataSetInfo/Channel 0", "Color", None),
            ("DataSetInfo/Channel 0", "Color", text("puce")), ("DataSetInfo/Channel 0", "Color", text("1 0")),
            ("DataSet/ResolutionLevel 0/TimePoint 0/Channel 0", "ImageSizeX", text("q")),
            ("DataSet/ResolutionLevel 1/TimePoint 0/Channel 0/Data", "", "f4"))):
        with h5py.File(folder / f"{k}.ims", "w") as f:
            for r, v in enumerate((V, V[..., ::2])):
                group = f.create_group(f"DataSet/ResolutionLevel {r}/TimePoint 0/Channel 0")
                group["Data"] = v.astype(value) if r and not name else v
                for a, n in zip("ZYX", v.shape):
                    group.attrs[f"ImageSize{a}"] = text(str(n))
            image, channel = f.create_group("DataSetInfo/Image"), f.create_group("DataSetInfo/Channel 0")
            for i, n in enumerate((8, 3, 2)):
                image.attrs[f"ExtMin{i}"], image.attrs[f"ExtMax{i}"] = text("0"), text(str(n))
            image.attrs["Unit"], channel.attrs["Name"], channel.attrs["Color"] = text("um"), text("dna"), text("0 0 1")
            if name:
                f[where].attrs.pop(name)
            if name and value is None:
                h5py.h5a.create(f[where].id, name.encode(), h5py.h5t.UNIX_D32LE, h5py.h5s.create(h5py.h5s.SCALAR))
            elif name:
                f[where].attrs[name] = value
        yield f"{k}.ims", f"{k}.ims", ""
    with h5py.File(folder / "long.ims", "w") as f:  # datasets that nobody asks for aren't opened
        for t in range(9):
            group = f.create_group(f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel 0")
            group.create_dataset("Data", data=V + t, chunks=V.shape, compression="gzip")
        f.create_group("DataSetInfo/Image")
    import lazarr
    from lazarr._readers import hdf5_chunks
    opened, really = [], hdf5_chunks.opened
    hdf5_chunks.opened = lambda *args: opened.append(args[-1]) or really(*args)
    a = lazarr.open(folder / "long.ims")
    assert len(opened) == 1 and np.array_equal(a[7, 0], V + 7) and len(opened) == 2, opened
    hdf5_chunks.opened = really


def main(folder):
    out = {}
    for make in KINDS:
        for name, path, inner in make(folder):
            assert name not in out, name
            out[name] = read(folder / path, inner)
    print(json.dumps(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
