"""What the tests of data files that aren't trusted share: servers with Debian's libraries and with the newest ones,
and small files."""
import json
import struct

import numpy as np
import pytest

import lzr
import test_b_pythons

SECRET = b"root:x:0:0:SECRET"
HID = np.arange(100, 116, dtype="u1")
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
MOST = 200  # MiB that a worker may have


@pytest.fixture(params=["debian", "newest"])
def prefix(request):
    """The --python of a server."""
    if request.param == "debian":
        return []
    where = lzr.ENVS / "files"
    lzr.need(where.is_dir(), "the environment files of tests/clients/setup.sh, with the newest readers")
    test_b_pythons.worker_for(where, 12, 2)
    return ["--python", where]


@pytest.fixture
def open_file(open_file, prefix):
    """conftest's, with that Python."""
    return lambda what, *args, **more: open_file(what, *args, *prefix, **more)


@pytest.fixture
def refused(prefix):
    """What describe says of a file that is refused, which is one line."""
    def run(what, *args):
        r = lzr.run("describe", what, *args, *prefix)
        said = r.stderr.decode()
        assert r.returncode == 1 and said.startswith("lazarr: ") and "Traceback" not in said, said
        return said
    return run


def zarr2(folder, chunk=b"\0" * 16, **over):
    folder.mkdir(parents=True)
    meta = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<i4", "fill_value": 0, "order": "C",
            "compressor": None, "filters": None}
    (folder / ".zarray").write_text(json.dumps(dict(meta, **over)))
    (folder / "0").write_bytes(chunk)
    return folder


def zarr3(folder, chunk=b"\0" * 16, **over):
    (folder / "c").mkdir(parents=True)
    meta = {"zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "int32", "attributes": {},
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}}, "fill_value": 0,
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}
    (folder / "zarr.json").write_text(json.dumps(dict(meta, **over)))
    (folder / "c/0").write_bytes(chunk)
    return folder


def n5(folder, chunk, size=8, **over):
    (folder / "d").mkdir(parents=True)
    (folder / "attributes.json").write_text('{"n5": "2.0.0"}')
    (folder / "d/attributes.json").write_text(json.dumps(dict(
        {"dimensions": [size], "blockSize": [size], "dataType": "uint8", "compression": {"type": "raw"}},
        **over)))
    (folder / "d/0").write_bytes(struct.pack(">HHI", 0, 1, size) + chunk)
    return folder


def hdf5(tmp_path, make, where="in"):
    import h5py
    for d in ("in/other", "out"):
        (tmp_path / d).mkdir(parents=True, exist_ok=True)
        (tmp_path / d / "secret.txt").write_bytes(SECRET)
        with h5py.File(tmp_path / d / "hid.h5", "w") as f:
            f["hid"] = HID
            f["g/hid"] = HID
            f["long"] = np.arange(1000, dtype="i8")
    with h5py.File(tmp_path / where / "a.h5", "w") as f:
        f["own"] = np.full(64, 7, "u1")
        f["first"] = HID
        make(h5py, f)
    return tmp_path / where / "a.h5"


def served(srv, path):
    """The values of an array of a.h5, or None: it isn't there."""
    if srv.get(f"/zarr2/a.zarr/{path}/.zarray").status == 404:
        return None
    return lzr.read_array(srv, f"/zarr2/a.zarr/{path}")


def ome_zarr(z, path, three):
    scales = [{"version": "0.4", "axes": [{"name": c, "type": "space"} for c in "yx"], "datasets": [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]}]
    (z / "g").mkdir(parents=True)
    for folder, attrs in ((z, {}), (z / "g", {"multiscales": scales})):
        if three:
            attrs = {"ome": dict(attrs, version="0.5")} if attrs else {}
            (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group",
                                                          "attributes": attrs}))
        else:
            (folder / ".zgroup").write_text('{"zarr_format": 2}')
            (folder / ".zattrs").write_text(json.dumps(attrs))


def ome_tiff(path, other, extra=""):
    """An OME-TIFF whose second plane lies in another file."""
    import tifffile
    xml = f"""<?xml version="1.0"?>{extra}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0" Name="n"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4"
SizeZ="2" SizeC="1" SizeT="1"><TiffData IFD="0" FirstZ="0" PlaneCount="1"><UUID FileName="{path.name}"
>urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="{other}"
>urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"""
    tifffile.imwrite(path, np.full((4, 4), 1, "u1"), description=xml, metadata=None)
