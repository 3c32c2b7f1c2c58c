"""Each reader of metadata that lazarr parses itself, its first inputs, and what it is given of bytes.

An input is a bundle, a JSON object of a file's parts, where the reader takes several or text: so that a
change of one is mostly still one. What isn't JSON is the main part as it is.
"""
from __future__ import annotations

import atexit
import base64
import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import struct
import tempfile
import warnings
import zipfile
import zlib

import numpy as np

import oracle
from lazarr import StoreError
from lazarr._array import CURRENT, Registry
from lazarr._readers import tiff_codecs, unpack

warnings.simplefilter("ignore")
ROOM = tempfile.mkdtemp(prefix="lzr-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
atexit.register(shutil.rmtree, ROOM, True)
V = np.arange(24, dtype="<u2").reshape(2, 3, 4)


def bundle(data: bytes, main: str) -> dict:
    try:
        doc = json.loads(data)
        if isinstance(doc, dict):
            return doc
    except (ValueError, RecursionError):
        pass
    return {main: {"raw": base64.b64encode(data).decode()}}


def content(part) -> bytes:
    """A part's bytes: {"raw": base64} as they are, all else as JSON."""
    if isinstance(part, dict) and set(part) == {"raw"} and isinstance(part["raw"], str):
        try:
            return base64.b64decode(part["raw"])
        except ValueError:
            return part["raw"].encode("utf-8", "surrogatepass")
    return json.dumps(part).encode()


def raw(data: bytes) -> dict:
    return {"raw": base64.b64encode(data).decode()}


def folder(name: str, main: str):
    """A target for a reader of folders: the bundle's keys are paths."""
    def target(data: bytes) -> None:
        top = os.path.join(ROOM, name)
        shutil.rmtree(top, ignore_errors=True)
        os.mkdir(top)
        for path, part in list(bundle(data, main).items())[:24]:
            where = os.path.normpath(os.path.join(top, path.replace("\0", "")))
            if not where.startswith(top + "/") or len(path) > 200:
                continue
            try:
                os.makedirs(os.path.dirname(where), exist_ok=True)
                with open(where, "wb") as f:
                    f.write(content(part))
            except (OSError, ValueError):
                pass
        oracle.blocks(oracle.read(top))
    return target


def one_file(name: str):
    def target(data: bytes) -> None:
        path = os.path.join(ROOM, name)
        if os.path.exists(path):
            os.remove(path)  # maps of the last one stay as they were
        with open(path, "wb") as f:
            f.write(data)
        oracle.blocks(oracle.read(path))
    return target


def tiff(data: bytes) -> None:
    """A sound TIFF of 2 × 3 × 4 voxels with any description and resolution."""
    import tifffile
    doc = bundle(data, "description")
    text = doc.get("description")
    text = content(text) if not isinstance(text, str) else text.encode("utf-8", "replace")
    numbers = doc.get("resolution")
    numbers = [n & 0xFFFFFFFF for n in numbers if isinstance(n, int)] if isinstance(numbers, list) else []
    numbers = (numbers + [1] * 4)[:4]
    out = io.BytesIO()
    tags = [(270, 2, len(text) + 1, text.replace(b"\0", b" ") + b"\0", True),
            (282, 5, 1, tuple(numbers[:2]), True), (283, 5, 1, tuple(numbers[2:]), True)]
    tifffile.imwrite(out, V, photometric="minisblack", metadata=None, description=None, software=None,
                     extratags=[tags[0]], resolution=None)
    made = bytearray(out.getvalue())
    # tifffile writes resolutions of its own: theirs are overwritten.
    with tifffile.TiffFile(io.BytesIO(bytes(made))) as f:
        for page in f.pages:
            for code, *_, value, _1 in tags[1:]:
                tag = page.tags.get(code)
                if tag is not None:
                    made[tag.valueoffset:tag.valueoffset + 8] = struct.pack("<II", *value)
    one_file("f.tif")(bytes(made))


def geotiff(data: bytes) -> None:
    """A sound TIFF of 3 × 4 pixels of two bands, with any tags of GeoTIFF's and GDAL's."""
    import tifffile
    doc = bundle(data, "gdal")
    tags = []
    for code, name in ((42112, "gdal"), (42113, "nodata"), (34737, "texts")):
        if name in doc:
            text = doc[name].encode("utf-8", "replace") if isinstance(doc[name], str) else content(doc[name])
            text = text.replace(b"\0", b" ")[:8000] + b"\0"
            tags.append((code, 2, len(text), text, True))
    for code, name, kind, most in ((33550, "scale", 12, 1e308), (34736, "doubles", 12, 1e308), (34735, "keys", 3, 65535)):
        numbers = doc.get(name)
        if isinstance(numbers, list) and numbers:
            numbers = [n if isinstance(n, (int, float)) and abs(n) <= most else 0 for n in numbers[:200]]
            tags.append((code, kind, len(numbers), tuple(float(n) if kind == 12 else int(n) & 0xFFFF for n in numbers), True))
    out = io.BytesIO()
    tifffile.imwrite(out, V, planarconfig="separate", photometric="minisblack", metadata=None, extratags=tags)
    one_file("g.tif")(out.getvalue())


def hdf5(data: bytes) -> None:
    """A sound HDF5 of BigDataViewer's, with any XML beside it, resolutions and attributes."""
    import h5py
    doc = bundle(data, "xml")
    path = os.path.join(ROOM, "v.h5")
    if os.path.exists(path):
        os.remove(path)  # the last one is open still
    with h5py.File(path, "w") as f:
        try:
            f["s00/resolutions"] = np.array(doc.get("resolutions"), float)
        except (TypeError, ValueError, OverflowError):
            pass
        for k in range(2):
            f[f"t00000/s00/{k}/cells"] = V[:, ::k + 1, ::k + 1].astype("i2")
        f["d"] = V
        attributes = doc.get("attributes")
        for name, value in list(attributes.items() if isinstance(attributes, dict) else ())[:24]:
            try:
                f["d"].attrs[name] = value if isinstance(value, (str, int, float)) else json.dumps(value)
            except (TypeError, ValueError, OSError, OverflowError, RuntimeError):
                pass
    xml = doc.get("xml")
    with open(os.path.join(ROOM, "v.xml"), "wb") as out:
        out.write(xml.encode("utf-8", "surrogatepass") if isinstance(xml, str) else content(xml))
    oracle.blocks(oracle.read(path))


KINDS = sorted(unpack.NAMES)


def unpacks(data: bytes) -> None:
    """Any bytes as a packed block: never more than the limit."""
    if len(data) < 3:
        return
    kind, limit = KINDS[data[0] % len(KINDS)], data[1] * 16
    try:
        got = unpack.unpack(kind, data[2:], limit, {})
    except StoreError:
        return
    except Exception as e:
        if oracle.is_slip(e):
            raise oracle.Fault("a line of lazarr's own is wrong") from e
        return
    if len(got) > limit:
        raise oracle.Fault(f"{kind}: {len(got)} bytes, more than {limit}")


def pictures(data: bytes) -> None:
    """Any bytes as a compressed picture: its size is found or isn't."""
    for size in (tiff_codecs.jpeg_size, tiff_codecs.jpeg2000_size, tiff_codecs.png_size,
                 tiff_codecs.webp_size):
        n = size(data)
        if n is not None and (not isinstance(n, int) or n < 0):
            raise oracle.Fault(f"{size.__name__}: {n!r}")
    if len(tiff_codecs.packbits(data, out=1 << 16)) > 1 << 16:
        raise oracle.Fault("packbits")


def json_store(data: bytes) -> None:
    """A .json store. Its functions are those that this module has."""
    from lazarr import _manifest
    registry = Registry()
    previous, CURRENT.registry = CURRENT.registry, registry
    try:
        _manifest.load_json(data, registry)
        registry.finish()
        json.loads(_manifest.build(registry, "f", "/f.json", data))
    except StoreError as e:
        oracle.one_line(str(e))
    except ImportError:
        pass  # its author's, with a traceback
    finally:
        CURRENT.registry = previous


def sevens(block, *inputs):
    return np.full(block.shape, 7, block.dtype)


IMAGE = {"version": "0.4", "axes": [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"],
         "datasets": [{"path": p, "coordinateTransformations": [
             {"type": "scale", "scale": [1, s, s]}, {"type": "translation", "translation": [0, t, t]}]}
             for p, s, t in (("0", .5, 0), ("1", 1, .25))]}
V2 = {"zarr_format": 2, "shape": [2, 3, 4], "chunks": [2, 3, 4], "dtype": "<u2", "fill_value": 0, "order": "C",
      "compressor": None, "filters": None}
V3 = {"zarr_format": 3, "node_type": "array", "shape": [2, 3, 4], "data_type": "uint16", "fill_value": 0,
      "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}},
      "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "attributes": {"a": 1},
      "dimension_names": ["z", "y", "x"], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}},
                                                     {"name": "gzip", "configuration": {"level": 1}}]}
SHARD = [{"name": "sharding_indexed", "configuration": {
    "chunk_shape": [1, 3, 4], "codecs": V3["codecs"], "index_location": "end",
    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}}]
N5 = {"dimensions": [4, 3, 2], "blockSize": [4, 3, 2], "dataType": "uint16", "compression": {"type": "raw"}}
BLOCK = raw(struct.pack(">HHIII", 0, 3, 4, 3, 2) + V.astype(">u2").tobytes())
OMERO = {"channels": [{"label": "a", "color": "FF0000", "active": True,
                       "window": {"min": 0, "max": 9, "start": 0, "end": 9}}]}
OME = ('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" '
       'Name="n"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="4" SizeY="3" SizeZ="2" '
       'SizeC="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeXUnit="nm" PhysicalSizeY="2" TimeIncrement="3" '
       'TimeIncrementUnit="ms"><Channel ID="Channel:0:0" Name="c"/><TiffData IFD="0" PlaneCount="2">'
       '<UUID FileName="f.tif">urn:uuid:0</UUID></TiffData></Pixels></Image></OME>')
FLAT = V.tobytes()


SEGMENTS = [5, 7] + [0x0F0F0F0F] * 16
VOLUME = {"@type": "neuroglancer_multiscale_volume", "type": "segmentation", "num_channels": 1, "data_type": "uint16",
          "segment_properties": "props", "scales": [
              {"key": "0", "size": [4, 3, 2], "resolution": [4, 4, 40], "voxel_offset": [0, 0, 0],
               "chunk_sizes": [[4, 3, 2]], "encoding": "raw"},
              {"key": "1", "size": [2, 2, 2], "resolution": [8, 8, 40], "voxel_offset": [0, 0, 0],
               "chunk_sizes": [[2, 2, 2], [1, 1, 1]], "encoding": "raw"}]}


def _archive(save) -> bytes:
    out = io.BytesIO()
    save(out, whole=V, mask=V > 9)
    return out.getvalue()


def _zips() -> list:
    made = []
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", how) as z:
            z.writestr(".zgroup", '{"zarr_format": 2}')
            z.writestr("a/.zarray", json.dumps(V2))
            z.writestr("a/0.0.0", FLAT)
        made.append(out.getvalue())
    return made


def _npy(a) -> bytes:
    out = io.BytesIO()
    np.save(out, a)
    return out.getvalue()


def _nifti() -> list:
    import nibabel
    made = []
    for kind, name in ((nibabel.Nifti1Image, "g.nii"), (nibabel.Nifti2Image, "h.nii")):
        path = os.path.join(ROOM, name)
        nibabel.save(kind(V.astype("i2"), np.diag([2., 3, 4, 1])), path)
        with open(path, "rb") as f:
            made.append(f.read())
    return made


def _packed() -> list:
    def of(kind: str, data: bytes) -> bytes:
        return bytes([KINDS.index(kind), 3]) + data
    zipped = zlib.compressobj(1, zlib.DEFLATED, 31)
    made = [of("gzip", zipped.compress(FLAT) + zipped.flush()), of("zlib", zlib.compress(FLAT)),
            of("bz2", bz2.compress(FLAT)), of("xz", lzma.compress(FLAT)),
            of("lzma", lzma.compress(FLAT, lzma.FORMAT_ALONE))]
    from numcodecs import LZ4, Blosc, Zstd
    return made + [of("lz4", LZ4().encode(FLAT)), of("zstd", Zstd().encode(FLAT)),
                   of("blosc", Blosc("lz4").encode(FLAT))]


#: name: (what takes the bytes, its first inputs, whether they are bundles)
TARGETS = {
    "n5": (folder("f.n5", "attributes.json"), lambda: [
        {"attributes.json": {"n5": "2.5.0", **N5}, "0/0/0": BLOCK},
        {"attributes.json": {"n5": "2.5.0", "who": "x"}, "g/attributes.json": {
            "pixelResolution": {"unit": "um", "dimensions": [.5, .5, 2.0]}, "scales": [[1, 1, 1], [2, 2, 1]],
            "axes": ["x", "y", "z"]}, "g/s0/attributes.json": {**N5, "downsamplingFactors": [1, 1, 1]},
         "g/s1/attributes.json": {**N5, "dimensions": [2, 2, 2], "downsamplingFactors": [2, 2, 1]},
         "g/s0/0/0/0": BLOCK},
        {"attributes.json": {"resolution": [4, 4, 40], "units": ["nm", "nm", "nm"], **N5,
                             "compression": {"type": "gzip", "level": 1}}, "0/0/0": raw(
                                 struct.pack(">HHIII", 0, 3, 4, 3, 2) + gzip.compress(FLAT))}], True),
    "zarr2": (folder("f.zarr", ".zarray"), lambda: [
        {".zarray": V2, ".zattrs": {"a": [1, 2.5, "x", None], "_ARRAY_DIMENSIONS": ["z", "y", "x"]},
         "0.0.0": raw(FLAT)},
        {".zgroup": {"zarr_format": 2}, ".zattrs": {"a": 1}, "a/.zarray": dict(
            V2, compressor={"id": "zlib", "level": 1}, filters=[{"id": "delta", "dtype": "<u2"}],
            dimension_separator="/", fill_value="NaN", dtype="<f4"), "a/0/0/0": raw(zlib.compress(FLAT * 2))},
        {".zarray": dict(V2, compressor={"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1},
                         filters=[{"id": "fixedscaleoffset", "offset": 0, "scale": 2, "dtype": "<u2",
                                   "astype": "<u1"}, {"id": "packbits"}, {"id": "crc32"}])},
        {".zarray": dict(V2, filters=[{"id": "quantize", "digits": 2, "dtype": "<f4", "astype": "<f2"}, {
            "id": "lzma", "format": 3, "filters": [{"id": 33, "dict_size": 4096}]}])}], True),
    "zarr3": (folder("g.zarr", "zarr.json"), lambda: [
        {"zarr.json": V3}, {"zarr.json": dict(V3, codecs=SHARD)},
        {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {
            "version": "0.5", "multiscales": [IMAGE], "omero": OMERO}}}, "0/zarr.json": V3, "1/zarr.json": V3},
        {"zarr.json": dict(V3, codecs=["bytes", {"name": "numcodecs.zlib", "configuration": {"level": 1}},
                                       {"name": "numcodecs.delta", "configuration": {"dtype": "<u2"}}])}],
        True),
    "ngff": (folder("h.zarr", ".zattrs"), lambda: [
        {".zgroup": {"zarr_format": 2}, ".zattrs": {"multiscales": [IMAGE], "omero": OMERO}, "0/.zarray": V2,
         "1/.zarray": dict(V2, shape=[2, 2, 2]), "0/0.0.0": raw(FLAT)},
        {".zgroup": {"zarr_format": 2}, "img/.zgroup": {"zarr_format": 2}, "img/.zattrs": {
            "multiscales": [dict(IMAGE, coordinateTransformations=[{"type": "scale", "scale": [1, 2, 3]}])],
            "x": 1}, "img/0/.zarray": V2, "img/1/.zarray": dict(V2, shape=[2, 2, 2]),
         "img/labels/.zgroup": {"zarr_format": 2}, "img/labels/.zattrs": {"labels": ["l"]},
         "img/labels/l/.zgroup": {"zarr_format": 2}, "img/labels/l/.zattrs": {
             "image-label": {"version": "0.4"}, "multiscales": [dict(IMAGE, datasets=IMAGE["datasets"][:1])]},
         "img/labels/l/0/.zarray": V2},
        {".zgroup": {}, ".zattrs": {"multiscales": [{"datasets": [{"path": "a"}]}]}, "a/.zarray": dict(
            V2, shape=[1, 1, 2, 3, 4], chunks=[1, 1, 2, 3, 4])}], True),
    "tiff": (tiff, lambda: [
        {"description": OME, "resolution": [1, 1, 1, 1]},
        {"description": "ImageJ=1.11a\nimages=2\nslices=2\nunit=um\nspacing=2.0\nfinterval=0.5\nloop=false\n"
                        "min=0.0\nmax=9.0\n", "resolution": [3, 1, 3, 1]},
        {"description": '{"shape": [2, 3, 4], "axes": "ZYX", "a": 1}', "resolution": [1, 1, 1, 1]},
        {"description": "a\u00b5\n", "resolution": [72, 1, 72, 1]}], True),
    "npy": (one_file("f.npy"), lambda: [_npy(V), _npy(np.asfortranarray(V)), _npy(V[:0]), _npy(V.view([("a", "u2")]))],
            False),
    "nifti": (one_file("f.nii"), _nifti, False),
    "npz": (one_file("f.npz"), lambda: [_archive(np.savez), _archive(np.savez_compressed)], False),
    "zip": (one_file("f.zarr.zip"), _zips, False),
    "precomputed": (folder("vol", "info"), lambda: [
        {"info": VOLUME, "0/0-4_0-3_0-2": raw(FLAT), "1/0-2_0-2_0-2": raw(FLAT[:16]), "props/info": {
            "@type": "neuroglancer_segment_properties", "inline": {"ids": ["1", "2"], "properties": [
                {"id": "label", "type": "label", "values": ["a", "b"]},
                {"id": "n", "type": "number", "data_type": "uint8", "values": [1, 2]}]}}},
        {"info": dict(VOLUME, data_type="uint32", scales=[{
            "key": "s", "size": [16, 8, 8], "resolution": [4, 4, 40], "voxel_offset": [0, 0, 0],
            "chunk_sizes": [[16, 8, 8]], "encoding": "compressed_segmentation",
            "compressed_segmentation_block_size": [8, 8, 8]}]),
         "s/0-16_0-8_0-8": raw(struct.pack("<41I", 1, 4 | 1 << 24, 6, 22 | 1 << 24, 24, *SEGMENTS, *SEGMENTS))},
        {"info": dict(VOLUME, type="image", num_channels=2)}], True),
    "geotiff": (geotiff, lambda: [
        {"gdal": '<GDALMetadata><Item sample="0" role="description">a</Item><Item sample="1" role="description">b'
                 '</Item></GDALMetadata>', "nodata": "7", "scale": [30.0, 30.0, 0.0],
         "keys": [1, 1, 0, 3, 1024, 0, 1, 1, 1026, 34737, 4, 0, 2057, 34736, 1, 0], "doubles": [6378137.0],
         "texts": "UTM|"}], True),
    "hdf5": (hdf5, lambda: [
        {"resolutions": [[1, 1, 1], [2, 2, 1]], "attributes": {"axistags": json.dumps({"axes": [
            {"key": a, "typeFlags": 2, "resolution": 2.0, "description": ""} for a in "zyx"]}), "unit": "nm",
            "element_size_um": [1, 2, 3], "DIMENSION_LABELS": "zyx"},
         "xml": "<SpimData><ViewSetups><ViewSetup><id>0</id><voxelSize><unit>um</unit><size>0.5 0.5 2</size>"
                "</voxelSize></ViewSetup></ViewSetups></SpimData>"}], True),
    "unpack": (unpacks, _packed, False),
    "pictures": (pictures, lambda: [
        bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080003000401011100ffda"),
        bytes.fromhex("ff4fff51002f0000000000040000000300000000000000000000000400000003000000000000000000010701"
                      "01ff52"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\4\0\0\0\3\x08\2\0\0\0",
        b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0", bytes([254, 7, 1, 8, 9])], False),
    "json_store": (json_store, lambda: [
        {"arrays": [{"path": "a", "function": "targets:sevens", "shape": [6, 6], "chunks": [4, 4],
                     "dtype": "uint8", "axes": "yx"},
                    {"path": "g/b", "function": "targets:sevens", "inputs": ["a"], "halo": [1, 1],
                     "boundary": "reflect", "dtype": "float32", "attributes": {"x": [1, "y"]}}],
         "groups": {"g": {"who": "me"}}}], True),
}


def first_inputs(name: str) -> list:
    """As bytes."""
    _, make, bundles = TARGETS[name]
    return [json.dumps(v).encode() if bundles else v for v in make()]


def run(name: str, data: bytes) -> None:
    """One input of one target. Raises where a fault shows."""
    with oracle.bounded():
        TARGETS[name][0](data)
