"""What a data file may make lazarr do (docs/security.md): no code, no other files, no memory without end, no
walk without end. With Debian's libraries and with the newest ones."""
import bz2
import functools
import json
import lzma
import os
import pickle
import struct
import subprocess
import zlib

import numpy as np
import pytest

import lzr
import test_b_pythons

SECRET = b"root:x:0:0:SECRET"
HID = np.arange(100, 116, dtype="u1")
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
def open_file(prefix):
    mine = []

    def start(what, *args, **more):
        srv = lzr.Server(what, *args, *prefix, "--workers", "1", **more)
        mine.append(srv)
        return srv
    yield start
    for srv in mine:
        srv.kill()


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


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# --------------------------------------------------------------------------------------- no code

GZIP = {"id": "gzip", "level": 1}
V2_CODE = {
    "compressor": {"compressor": {"id": "pickle"}},
    "filter": {"filters": [{"id": "pickle"}]},
    "behind another": {"filters": [{"id": "delta", "dtype": "<i4"}, {"id": "pickle"}], "compressor": GZIP},
    "objects": {"dtype": "|O", "filters": [{"id": "pickle"}]},
    "json": {"dtype": "|O", "filters": [{"id": "json2"}]},
    "msgpack": {"dtype": "|O", "filters": [{"id": "msgpack2"}]},
    "object in a filter": {"filters": [{"id": "astype", "encode_dtype": "|O", "decode_dtype": "<i4"}]},
    "a filter that others registered": {"filters": [{"id": "grib"}]},
    "no name": {"compressor": {"id": ["pickle"]}},
    "packed between": {"filters": [GZIP, {"id": "delta", "dtype": "<i4"}]},
}


def test_zarr2_names_codecs_of_the_list_only(open_file, refused, tmp_path):
    mark, z = tmp_path / "ran", tmp_path / "g.zarr"
    for i, over in enumerate(V2_CODE.values()):
        zarr2(z / f"a{i}", pickle.dumps(Touch(mark)), **over)
    zarr2(z / "good", np.arange(4, dtype="<i4").tobytes())
    (z / ".zgroup").write_text('{"zarr_format": 2}')
    srv = open_file(z)
    for i, kind in enumerate(V2_CODE):
        line = next(v for v in srv.log.splitlines() if f"'a{i}' is left out" in v)
        assert "none of those that a file may name" in line or "is no number's" in line \
            or "comes behind compressor" in line, (kind, line)
        assert srv.get(f"/zarr2/g.zarr/a{i}/0").status == 404, kind
    assert lzr.read_array(srv, "/zarr2/g.zarr/good").tolist() == [0, 1, 2, 3]
    assert "'pickle' is none of those" in refused(f"{z}::a0")
    assert not mark.exists()


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
V3_CODE = {
    "bytes": [BYTES, {"name": "numcodecs.pickle"}],
    "array": [{"name": "numcodecs.json2"}],
    "sharded": [{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [2], "codecs": [BYTES, {"name": "numcodecs.pickle"}], "index_codecs": [BYTES]}}],
    "index": [{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [2], "codecs": [BYTES], "index_codecs": [BYTES, {"name": "numcodecs.pickle"}]}}],
    "texts": [{"name": "vlen-utf8"}],
    "shards in shards": [{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [2], "index_codecs": [BYTES], "codecs": [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [1], "codecs": [BYTES], "index_codecs": [BYTES]}}]}}],
}


def test_zarr3_names_codecs_of_the_list_only(prefix, tmp_path):
    z = tmp_path / "g.zarr"
    for i, codecs in enumerate(V3_CODE.values()):
        zarr3(z / f"a{i}", codecs=codecs)
    zarr3(z / "string", data_type="string")
    zarr3(z / "stored", storage_transformers=[{"name": "odd"}])
    (z / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    said = lzr.run("describe", z, *prefix).stderr.decode()
    for name in [f"a{i}" for i in range(len(V3_CODE))] + ["stored"]:
        line = next(v for v in said.splitlines() if f"'{name}' is left out" in v)
        assert "none of those that a file may name" in line, line
    assert "'string' is left out" in said and "is no number's" in said and "Traceback" not in said


def test_n5_and_npy_hold_no_objects(refused, open_file, tmp_path):
    n5(tmp_path / "a.n5", b"12345678", dataType="object")
    assert "no array" in refused(tmp_path / "a.n5")
    assert "is no number's" in refused(f"{tmp_path / 'a.n5'}::d")
    n5(tmp_path / "b.n5", b"12345678", compression={"type": "pickle"})
    assert "'pickle'" in refused(f"{tmp_path / 'b.n5'}::d")
    mark = tmp_path / "ran"
    (tmp_path / "p.npy").write_bytes(pickle.dumps(Touch(mark)))
    np.savez(tmp_path / "z.npz", a=np.array([Touch(mark)], object))
    os.rename(tmp_path / "z.npz", tmp_path / "z.npy")
    np.save(tmp_path / "o.npy", np.array([Touch(mark)], object))
    with np.errstate(all="ignore"):
        np.save(tmp_path / "s.npy", np.zeros(3, [("a", "i4"), ("b", "O")]))
    for name in "pzos":
        refused(tmp_path / f"{name}.npy")
    assert not mark.exists()


def test_modules_beside_a_file_are_no_libraries(open_file, tmp_path):
    """A folder from elsewhere may hold numpy.py, h5py.py …: neither there nor where lazarr was started."""
    import h5py
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["x"] = HID
    for name in ("h5py", "numcodecs", "tifffile", "zarr", "nibabel", "hdf5plugin", "secrets", "fractions"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "mine.py").write_text("import fractions\ndef f(block, x):\n    return x + 1\n")
    away = tmp_path / "away"
    away.mkdir()
    srv = open_file(tmp_path / "a.h5", cwd=tmp_path)
    assert lzr.read_array(srv, "/zarr2/a.zarr/x").tolist() == HID.tolist()
    srv = open_file(tmp_path / "a.h5", "--op", "mine:f", cwd=away)
    assert lzr.read_array(srv, "/zarr2/a.zarr/f").tolist() == (HID + 1).tolist()
    assert not (tmp_path / "ran").exists()


def test_plugins_of_hdf5_beside_a_file_are_not_loaded(open_file, tmp_path):
    import h5py
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["x"] = HID
    srv = open_file(tmp_path / "a.h5", env={"HDF5_PLUGIN_PATH": f"/usr/lib/none:{tmp_path}/plugins:plugins"})
    assert srv.log.count("'HDF5_PLUGIN_PATH' is left out") == 2 and "'/usr/lib/none'" not in srv.log


def test_a_filter_of_hdf5_that_is_not_known_is_left_out(open_file, tmp_path):
    import h5py
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["x"] = HID
        space, plist = h5py.h5s.create_simple((16,)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((16,))
        plist.set_filter(31999, h5py.h5z.FLAG_OPTIONAL, (1,))
        h5py.h5d.create(f.id, b"odd", h5py.h5t.NATIVE_UINT8, space, plist)
    srv = open_file(tmp_path / "a.h5")
    assert "'/odd' is left out: filter 31999" in srv.log
    assert srv.get("/zarr2/a.zarr/x/0").status == 200


# --------------------------------------------------------------------------------- no other files

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


def links(folder):
    def make(h5py, f):
        f["direct"] = h5py.ExternalLink(f"{folder}/hid.h5", "/hid")
        f["soft"] = h5py.SoftLink("/direct")
        f["group"] = h5py.ExternalLink(f"{folder}/hid.h5", "/g")
        f["within"] = h5py.SoftLink("/group/hid")
        f["none"] = h5py.ExternalLink(f"{folder}/none.h5", "/g")
        f["text"] = h5py.ExternalLink(f"{folder}/secret.txt", "/g")
        f["circle"] = h5py.SoftLink("/circle")
        f["nowhere"] = h5py.SoftLink("/x/y/z")
    return make


NAMES = ("direct", "soft", "group/hid", "within")


def test_links_into_files_below(open_file, tmp_path):
    srv = open_file(hdf5(tmp_path, links("other")))
    for name in NAMES:
        assert served(srv, name).tolist() == HID.tolist(), name
    for name in ("none", "text", "circle", "nowhere"):
        assert f"'/{name}' is left out" in srv.log, name
    for name in ("out", "soft", "group"):
        path = {"out": "direct"}.get(name, name)
        one = open_file(f"{tmp_path / 'in/a.h5'}::/{path}")
        got = served(one, path if name != "group" else "group/hid")
        assert got.tolist() == HID.tolist(), name


@pytest.mark.parametrize("how", ["dots", "absolute", "symlink", "folder"])
def test_links_that_lead_out_need_follow(open_file, refused, tmp_path, how):
    folder = {"dots": "../out", "absolute": str(tmp_path / "out"), "symlink": "near", "folder": "far"}[how]
    path = hdf5(tmp_path, links(folder))
    if how == "symlink":
        (tmp_path / "in/near").mkdir()
        os.symlink(tmp_path / "out/hid.h5", tmp_path / "in/near/hid.h5")
    if how == "folder":
        os.symlink(tmp_path / "out", tmp_path / "in/far")
    srv = open_file(path)
    for name in NAMES:
        assert served(srv, name) is None, name
    for name in ("direct", "soft", "group", "within"):
        assert f"'/{name}' is left out: it leads to" in srv.log and "--follow" in srv.log, name
    assert "--follow" in refused(f"{path}::/direct")
    srv = open_file(path, "--follow")
    for name in NAMES:
        assert served(srv, name).tolist() == HID.tolist(), name


def test_external_storage_needs_follow(open_file, tmp_path):
    def make(h5py, f):
        for i, where in enumerate((tmp_path / "out/secret.txt", "../out/secret.txt", "other/secret.txt",
                                   tmp_path / "in/other/secret.txt")):
            f.create_dataset(f"e{i}", (17,), "u1", external=[(str(where), 0, 17)])
        f.create_dataset("two", (10,), "u1", external=[("other/secret.txt", 0, 5),
                                                       ("../out/secret.txt", 12, 5)])
        f.create_dataset("short", (1000,), "u1", external=[("other/secret.txt", 0, 1000)])
    path = hdf5(tmp_path, make)
    srv = open_file(path)
    for name in ("e0", "e1", "e2", "e3", "two", "short"):
        assert served(srv, name) is None and f"'/{name}' is left out" in srv.log, name
    srv = open_file(path, "--follow", cwd="/")
    for i in range(4):
        assert served(srv, f"e{i}").tobytes() == SECRET
    assert served(srv, "two").tobytes() == SECRET[:5] + SECRET[12:]
    assert served(srv, "short") is None and "'/short' is left out" in srv.log


def test_virtual_datasets(open_file, tmp_path):
    import h5py

    def make(h5py, f):
        f["mine"] = HID
        f.create_dataset("raw", (16,), "u1", external=[(str(tmp_path / "out/secret.txt"), 0, 16)])
        f["away"] = h5py.ExternalLink("../out/hid.h5", "/hid")
        for name, file, source in (("here", ".", "mine"), ("below", "other/hid.h5", "hid"),
                                   ("out", "../out/hid.h5", "hid"), ("full", str(tmp_path / "out/hid.h5"), "hid"),
                                   ("missing", "other/no.h5", "hid"), ("empty", "other/hid.h5", "no"),
                                   ("text", ".", "raw"), ("linked", ".", "away"), ("ofout", ".", "out"),
                                   ("self", ".", "self")):
            layout = h5py.VirtualLayout((16,), "u1")
            layout[:] = h5py.VirtualSource(file, source, (16,))
            f.create_virtual_dataset(name, layout)
    path = hdf5(tmp_path, make)
    srv = open_file(path)
    for name in ("here", "below"):
        assert served(srv, name).tolist() == HID.tolist(), name
    for name in ("out", "full", "missing", "empty", "text", "linked", "ofout", "self"):
        assert served(srv, name) is None and f"'/{name}' is left out: it is virtual" in srv.log, name
    srv = open_file(path, "--follow")
    for name in ("here", "below", "out", "full", "linked", "ofout"):
        assert served(srv, name).tolist() == HID.tolist(), name
    for name in ("missing", "empty"):
        assert served(srv, name) is None, name


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


@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize("path", ["../../outside.zarr", "x/../../../outside.zarr", "absolute"])
def test_levels_outside_need_follow(open_file, refused, prefix, tmp_path, path, three):
    if three and not prefix:
        return  # Debian's zarr can't
    out = tmp_path / "outside.zarr"
    if three:
        zarr3(out, b"OUTSID", shape=[2, 3], data_type="uint8", chunk_key_encoding={"name": "v2"},
              chunk_grid={"name": "regular", "configuration": {"chunk_shape": [2, 3]}})
    else:
        zarr2(out, shape=[2, 3], chunks=[2, 3], dtype="|u1")
    (out / "0.0").write_bytes(b"OUTSID")
    ome_zarr(tmp_path / "in.zarr", str(out) if path == "absolute" else path, three)
    assert "lies outside of the folder that was named" in refused(tmp_path / "in.zarr")
    srv = open_file(tmp_path / "in.zarr", "--follow")
    assert lzr.read_array(srv, "/zarr2/in.zarr/g/0").tobytes() == b"OUTSID"
    assert "lies outside" in refused(f"{tmp_path / 'in.zarr'}::../outside.zarr")


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_files_that_are_links_out_need_follow(open_file, refused, prefix, tmp_path, kind):
    if kind == "zarr3" and not prefix:
        return
    (tmp_path / "secret.txt").write_bytes(SECRET[:16])
    block = tmp_path / "block"
    block.write_bytes(struct.pack(">HHI", 0, 1, 8) + SECRET[:8])
    make = {"zarr2": lambda p: zarr2(p, dtype="|u1", shape=[16], chunks=[16]),
            "zarr3": lambda p: zarr3(p, data_type="uint8", shape=[16], chunk_grid={
                "name": "regular", "configuration": {"chunk_shape": [16]}}),
            "n5": lambda p: n5(p, b"")}[kind]
    end = ".n5" if kind == "n5" else ".zarr"
    z = make(tmp_path / f"a{end}")
    chunk = z / {"zarr2": "0", "zarr3": "c/0", "n5": "d/0"}[kind]
    chunk.unlink()
    os.symlink(block if kind == "n5" else tmp_path / "secret.txt", chunk)
    url = "/zarr2/a.zarr/" + ("d/0" if kind == "n5" else "data/0")
    srv = open_file(z)
    r = srv.get(url)
    assert r.status == 500 and b"SECRET"[:4] not in r.body and "--follow" in r.text
    srv.stop()
    srv = open_file(z, "--follow")
    assert lzr.read_array(srv, url[:-2]).tobytes().startswith(SECRET[:8])
    srv.stop()
    # A pipe is no file, and nobody waits for one.
    chunk.unlink()
    os.mkfifo(chunk)
    srv = open_file(z, "--follow")
    assert srv.get(url).status == 500
    # A folder that is a link is data that somebody put there.
    chunk.unlink()
    os.rename(z, tmp_path / f"elsewhere{end}")
    (tmp_path / f"b{end}").mkdir()
    if kind == "n5":
        (tmp_path / "b.n5/attributes.json").write_text('{"n5": "2.0.0"}')
    else:
        (tmp_path / "b.zarr/.zgroup").write_text('{"zarr_format": 2}')
    os.symlink(tmp_path / f"elsewhere{end}", tmp_path / f"b{end}/linked")
    (tmp_path / f"elsewhere{end}" / os.path.relpath(chunk, z)).write_bytes(
        block.read_bytes() if kind == "n5" else SECRET[:16])
    srv = open_file(tmp_path / f"b{end}")
    path = "linked/d" if kind == "n5" else "linked"
    assert lzr.read_array(srv, f"/zarr2/b.zarr/{path}").tobytes().startswith(SECRET[:8])


def ome_tiff(path, other, extra=""):
    """An OME-TIFF whose second plane lies in another file."""
    import tifffile
    xml = f"""<?xml version="1.0"?>{extra}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0" Name="n"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4"
SizeZ="2" SizeC="1" SizeT="1"><TiffData IFD="0" FirstZ="0" PlaneCount="1"><UUID FileName="{path.name}"
>urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="{other}"
>urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"""
    tifffile.imwrite(path, np.full((4, 4), 1, "u1"), description=xml, metadata=None)


def test_tiff_names_other_files(open_file, tmp_path):
    import tifffile
    for d in ("in/sub", "out"):
        (tmp_path / d).mkdir(parents=True)
        tifffile.imwrite(tmp_path / d / "b.tif", np.full((4, 4), 2, "u1"), metadata=None, description=(
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            'UUID="urn:uuid:2"></OME>'))
    os.symlink(tmp_path / "out/b.tif", tmp_path / "in/link.tif")
    want = np.stack([np.full((4, 4), v, "u1") for v in (1, 2)])
    for other, good in (("sub/b.tif", True), ("../out/b.tif", False), (str(tmp_path / "out/b.tif"), False),
                        ("link.tif", False)):
        path = tmp_path / "in/a.ome.tif"
        ome_tiff(path, other)
        for args in ((), ("--follow",)):
            srv = open_file(path, *args)
            got = lzr.read_array(srv, "/zarr2/a.zarr/data/0")
            if good or args:
                assert np.array_equal(got.reshape(want.shape), want), (other, args)
            else:
                assert np.array_equal(got.reshape(4, 4), want[0]) and "--follow" in srv.log, other
            srv.stop()


# ------------------------------------------------------------------------------------ no bombs

@functools.lru_cache(maxsize=None)
def bomb(kind):
    """400 MiB of zeros, packed; or what says it is."""
    return BOMBS[kind]()


def stream(c, n=400):
    return b"".join(c.compress(b"\0" * (1 << 20)) for _ in range(n)) + c.flush()


def gzipped():
    return stream(zlib.compressobj(9, zlib.DEFLATED, 31))


def zstd(n=400):
    import ctypes
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_compress.restype = ctypes.c_size_t
    lib.ZSTD_compress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
                                  ctypes.c_int]
    out = ctypes.create_string_buffer(1 << 20)
    zeros = bytes(n << 20)
    size = lib.ZSTD_compress(out, len(out), zeros, len(zeros), 1)
    return out.raw[:size]


BOMBS = {"gzip": gzipped, "zlib": lambda: stream(zlib.compressobj(9)),
         "bzip2": lambda: stream(bz2.BZ2Compressor()),
         "xz": lambda: stream(lzma.LZMACompressor(preset=0)), "zstd": zstd,
         "blosc": lambda: struct.pack("<BBBBIII", 2, 1, 0, 1, 400 << 20, 1 << 20, 64) + bytes(48),
         "lz4": lambda: struct.pack("<I", 400 << 20) + bytes(64),
         "twice": lambda: zlib.compress(bomb("zlib"), 9),
         "members": lambda: zlib.compressobj(9, zlib.DEFLATED, 31).flush() * 3000}


def most_memory(srv):
    """MiB that a worker ever had."""
    high = 0
    for pid in srv.worker_pids():
        with open(f"/proc/{pid}/status") as f:
            high = max(high, *(int(v.split()[1]) >> 10 for v in f if v.startswith("VmHWM")))
    assert high > 0
    return high


def test_n5_blocks_unpack_to_what_they_say(open_file, tmp_path):
    z = tmp_path / "a.n5"
    z.mkdir()
    (z / "attributes.json").write_text('{"n5": "2.0.0"}')
    kinds = [k for k in BOMBS if k not in ("zlib", "lz4", "twice")]
    for kind in kinds:  # a file that is larger than a block can be is refused for that
        for size in (60000, 1 << 30):
            n5(z / f"{kind}{size}", bomb(kind)[:size],
               compression={"type": "gzip" if kind == "members" else kind})
    srv = open_file(z)
    for kind in kinds:
        for size in (60000, 1 << 30):
            r = srv.get(f"/zarr2/a.zarr/{kind}{size}/d/0")
            assert r.status == 500, (kind, r)
            assert "more than" in r.text or kind == "members", (kind, r)
    assert most_memory(srv) < MOST


def test_zarr2_chunks_unpack_to_what_they_say(open_file, tmp_path):
    names = {"bzip2": "bz2", "xz": "lzma", "members": "gzip", "twice": "zlib"}
    for kind in BOMBS:
        z = tmp_path / f"{kind}.zarr"
        zarr2(z, bomb(kind)[:65000], compressor={"id": names.get(kind, kind)},
              filters=[{"id": "zlib"}] if kind == "twice" else None)
    zarr2(tmp_path / "filter.zarr", bomb("zlib")[:65000], filters=[{"id": "zlib"}])
    srv = open_file([tmp_path / f"{k}.zarr" for k in (*BOMBS, "filter")])
    for kind in (*BOMBS, "filter"):
        r = srv.get(f"/zarr2/{kind}.zarr/data/0")
        assert r.status == 500, (kind, r)
    assert most_memory(srv) < MOST


@pytest.mark.parametrize("sharded", [False, True])
def test_zarr3_chunks_unpack_to_what_they_say(open_file, prefix, tmp_path, sharded):
    if not prefix:
        return
    inner = [BYTES, {"name": "gzip", "configuration": {"level": 1}}]
    data = bomb("gzip")[:60000]
    codecs = inner
    if sharded:
        codecs = [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [4], "codecs": inner, "index_codecs": [BYTES]}}]
        data += struct.pack("<QQ", 0, len(data))
    srv = open_file(zarr3(tmp_path / "a.zarr", data, codecs=codecs))
    r = srv.get("/zarr2/a.zarr/data/0")
    assert r.status == 500 and most_memory(srv) < MOST and "more than its 16 bytes" in r.text, r


def raw_chunks(path, chunk, n=1 << 20, shuffle=False, fletcher=False, shape=None):
    import h5py
    with h5py.File(path, "w") as f:
        d = f.create_dataset("x", (n,), "u2", chunks=(n,), compression="gzip", shuffle=shuffle,
                             fletcher32=fletcher)
        d.id.write_direct_chunk((0,), chunk)


def test_hdf5_chunks_unpack_to_what_they_say(open_file, tmp_path):
    kinds = ("deflate", "shuffle", "fletcher32")
    for kind in kinds:
        raw_chunks(tmp_path / f"{kind}.h5", bomb("zlib") + bytes(4 if kind == "fletcher32" else 0),
                   shuffle=kind == "shuffle", fletcher=kind == "fletcher32")
    srv = open_file([tmp_path / f"{k}.h5" for k in kinds])
    for kind in kinds:
        r = srv.get(f"/zarr2/{kind}.zarr/x/0")
        assert r.status == 500 and "unpacks to more than" in r.text, r
    assert most_memory(srv) < MOST


def test_hdf5_chunks_as_the_library_reads_them(open_file, tmp_path):
    """What lazarr unpacks itself is what h5py reads: all dtypes, shuffled, at edges, not stored."""
    import h5py
    r = np.random.default_rng(3)
    want = {}
    with h5py.File(tmp_path / "a.h5", "w") as f:
        for dt in ("u1", "<i2", ">i4", "<u8", ">f4", "<f8", "<f2", "?", "<c8"):
            for how in ({}, {"shuffle": True}, {"fletcher32": True}, {"scaleoffset": 0}):
                if "scaleoffset" in how and np.dtype(dt).kind not in "iu":
                    continue
                name = f"{np.dtype(dt).name}_{'b' if dt[0] == '>' else 'l'}_{''.join(how) or 'plain'}"
                v = r.integers(0, 2 if dt == "?" else 100, (7, 11)).astype(dt)
                d = f.create_dataset(name, (7, 11), dt, chunks=(4, 5), compression="gzip", **how)
                d[:4] = v[:4]  # and nothing in the rest
                want[name] = d[...]
        f.create_dataset("lzf", data=np.arange(77), chunks=(10,), compression="lzf")
        want["lzf"] = np.arange(77)
    srv = open_file(tmp_path / "a.h5")
    for name, v in want.items():
        assert np.array_equal(lzr.read_array(srv, f"/zarr2/a.zarr/{name}"), v), name


def test_hdf5_numbers_that_numpy_has_not_are_converted(open_file, tmp_path):
    """Twelve bits of sixteen, uncompressed: nothing that can be mapped."""
    import h5py
    with h5py.File(tmp_path / "a.h5", "w") as f:
        t = h5py.h5t.STD_U16LE.copy()
        t.set_precision(12)
        t.set_offset(4)
        d = h5py.Dataset(h5py.h5d.create(f.id, b"x", t, h5py.h5s.create_simple((8,))))
        d[...] = np.arange(8) * 500
        want = d[...]
    assert want.tolist() == (np.arange(8) * 500).tolist()
    srv = open_file(tmp_path / "a.h5")
    assert lzr.read_array(srv, "/zarr2/a.zarr/x").tolist() == want.tolist()


def test_tiff_tiles_unpack_to_what_they_say(open_file, tmp_path):
    bombs = {"deflate": (8, bomb("zlib")), "xz": (34925, bomb("xz")), "bits": (32773, b"\x81\0" * 300000)}
    for name, (key, data) in bombs.items():
        tags = [(256, 16), (257, 32), (258, 8), (259, key), (262, 1), (277, 1), (322, 16), (323, 16)]
        many = [(324, (256, 256)), (325, (len(data),) * 2)]  # both tiles are the same bytes
        head = struct.pack("<2sHIH", b"II", 42, 8, len(tags) + len(many))
        at = 10 + 12 * (len(tags) + len(many)) + 4
        head += b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in tags)
        head += b"".join(struct.pack("<HHII", t, 4, 2, at + 8 * i) for i, (t, _) in enumerate(many))
        head += bytes(4) + b"".join(struct.pack("<II", *v) for _, v in many)
        (tmp_path / f"{name}.tif").write_bytes(head.ljust(256, b"\0") + data)
    srv = open_file([tmp_path / f"{n}.tif" for n in bombs])
    for name in bombs:
        r = srv.get(f"/zarr2/{name}.zarr/data/0/0/0")
        assert r.status == 500 or len(r.body) < 4096, (name, r)
    assert most_memory(srv) < MOST


def test_tiff_compressions_are_a_list(refused, tmp_path):
    import tifffile
    for key in (34887, 48124, 50002, 65000):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.zeros((16, 16), "u1"), compression="zlib", metadata=None)
        with tifffile.TiffFile(path, mode="r+b") as t:
            t.pages[0].tags["Compression"].overwrite(key)
        refused(path)


def test_xml_that_grows_is_not_read(open_file, tmp_path):
    lol = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol"}">' for i in range(12))
    for extra in (f"<!DOCTYPE OME [{lol}]>", f'<!DOCTYPE OME SYSTEM "file://{tmp_path}/x.dtd">',
                  f'<!DOCTYPE OME [<!ENTITY l11 SYSTEM "file://{tmp_path}/s.txt">]>'):
        ome_tiff(tmp_path / "a.ome.tif", "a.ome.tif", extra)
        srv = open_file(tmp_path / "a.ome.tif")
        assert "'OME-XML' is left out: it declares" in srv.log
        assert srv.get("/zarr2/a.zarr/data/.zgroup").status == 200
        srv.stop()


def test_nifti_declares_no_more_than_it_has(refused, open_file, tmp_path):
    import nibabel
    a = np.arange(24, dtype="i2").reshape(2, 3, 4)
    for end in (".nii", ".nii.gz"):
        image = nibabel.Nifti1Image(a, np.eye(4))
        # 32: an XML document of its own kind; 2: DICOM. Neither is read.
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(32, b"<?xml version='1.0'?><!DOCTYPE x>"))
        path = tmp_path / f"a{end}"
        nibabel.save(image, path)
        srv = open_file(path)
        assert np.array_equal(lzr.read_array(srv, "/zarr2/a.zarr/data/0"), a.T)
        srv.stop()
        raw = path.read_bytes() if end == ".nii" else zlib.decompress(path.read_bytes(), 47)
        head = bytearray(raw)
        struct.pack_into("<8h", head, 40, 3, 32000, 32000, 32000, 1, 1, 1, 1)
        c = zlib.compressobj(9, zlib.DEFLATED, 31)
        path.write_bytes(head if end == ".nii" else c.compress(bytes(head)) + c.flush())
        assert "declares 65536000000000 bytes" in refused(path)


def test_shapes_that_no_file_can_have(refused, tmp_path):
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"
    for shape in ("1099511627776", "-1", "9" * 40, "0, 1099511627776, 1099511627776, 1099511627776"):
        text = (head % shape).ljust(117) + "\n"
        (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode())
        refused(tmp_path / "a.npy")
    refused(zarr2(tmp_path / "a.zarr", shape=[1 << 40], chunks=[1 << 40]))
    refused(zarr2(tmp_path / "b.zarr", shape=[-4]))
    refused(zarr2(tmp_path / "c.zarr", chunks=["4"]))
    refused(f"{n5(tmp_path / 'a.n5', b'', size=1 << 31)}::d")
    levels = tmp_path / "l.zarr"
    ome_zarr(levels, "0", False)
    zarr2(levels / "g/0", shape=[8, 8], chunks=[8, 8])
    zarr2(levels / "g/1", shape=[4, 4], chunks=[1 << 20, 1 << 20])
    doc = json.loads((levels / "g/.zattrs").read_text())
    doc["multiscales"][0]["datasets"].append({"path": "1"})
    (levels / "g/.zattrs").write_text(json.dumps(doc))
    said = lzr.run("describe", levels)
    assert b"'g' is left out" in said.stderr and b"larger than" in said.stderr, said.stderr


# --------------------------------------------------------------------------- no walk without end

def test_trees_without_end(open_file, tmp_path):
    def make(h5py, f):
        g = f.create_group("g")
        g["x"] = HID
        g["self"] = g
        g["up"] = f["/"]
        g["soft"] = h5py.SoftLink("/g")
        f["me"] = h5py.ExternalLink("a.h5", "/")
        p = f.create_group("b")
        p["x"] = HID
        for i in range(40):
            n = f.create_group(f"n{i}")
            n["a"] = n["b"] = p
            p = n
        p = f.create_group("deep")
        for i in range(300):
            p = p.create_group("d")
    srv = open_file(hdf5(tmp_path, make))
    assert served(srv, "g/x").tolist() == HID.tolist() and served(srv, "b/x").tolist() == HID.tolist()
    assert "'/g/self' is left out: it is the group that is served as '/g'" in srv.log
    assert "lies deeper than 256 groups" in srv.log


@pytest.mark.parametrize("end", [".zarr", ".n5"])
def test_folders_that_hold_themselves(open_file, tmp_path, end):
    z = tmp_path / f"a{end}"
    if end == ".n5":
        n5(z, b"12345678")
    else:
        zarr2(z / "d")
        (z / ".zgroup").write_text('{"zarr_format": 2}')
    for i in range(3):
        os.symlink(".", z / f"l{i}")
    os.symlink(z, z / "top")
    os.symlink("d", z / "again")
    srv = open_file(z)
    assert lzr.read_array(srv, "/zarr2/a.zarr/d").size
    assert "'l0' is left out: it is the folder that is served as '/'" in srv.log
    assert "'again' is left out: it is the folder that is served as 'd'" in srv.log


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_pages_that_lead_in_a_circle(refused, tmp_path, big, order):
    """Each page is a whole one; the last one's next is the first, or itself."""
    import tifffile
    for last in (0, 2):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.zeros((3, 8, 8), "u1"), bigtiff=big, byteorder=order, metadata=None,
                         photometric="minisblack")
        with tifffile.TiffFile(path) as t:
            offsets = [p.offset for p in t.pages]
            count, entry = (8, 20) if big else (2, 12)
            at = offsets[2] + count + entry * len(t.pages[2].tags)
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(struct.pack(order + ("Q" if big else "I"), offsets[last]))
        assert "its pages lead in a circle" in refused(path)


def test_objects_are_counted(open_file, tmp_path):
    def make(h5py, f):
        for i in range(11000):
            f.create_group(f"g/l{i}")
    srv = open_file(hdf5(tmp_path, make))
    assert "'the rest' is left out: it holds more than 10000 groups and arrays" in srv.log
    assert served(srv, "first").tolist() == HID.tolist()
    assert served(srv, "own") is None  # it comes behind them


# ------------------------------------------------------------------------------------ attributes

def nested(n):
    out = 1
    for _ in range(n):
        out = [out]
    return out


def test_attributes_that_json_cannot_hold_are_left_out_alone(open_file, prefix, tmp_path):
    good = {"fine": 1, "text": "é", "deep": nested(20), "big": 2 ** 64}
    odd = '"half": "\\ud800", "digits": ' + "7" * 5000 + ', "levels": ' + "[" * 200 + "]" * 200 + \
        ', "\\udc00": 1'
    text = json.dumps(good)[:-1] + ", " + odd + "}"
    z = tmp_path / "a.zarr"
    zarr2(z / "x")
    (z / ".zgroup").write_text('{"zarr_format": 2}')
    n = n5(tmp_path / "b.n5", b"12345678")
    for path in (z / ".zattrs", z / "x/.zattrs"):
        path.write_text(text)
    doc = (n / "d/attributes.json").read_text()
    (n / "d/attributes.json").write_text(doc[:-1] + ", " + text[1:])
    files = [z, n]
    if prefix:
        c = zarr3(tmp_path / "c.zarr")
        (c / "zarr.json").write_text((c / "zarr.json").read_text().replace('"attributes": {}',
                                                                           f'"attributes": {text}'))
        files.append(c)
    srv = open_file(files)
    for path in ("a.zarr", "a.zarr/x", "b.zarr/d") + (("c.zarr/data",) if prefix else ()):
        got = srv.get(f"/zarr2/{path}/.zattrs").json()
        assert {k: got.get(k) for k in good} == good and set(got) <= set(good) | {"lazarr", "_ARRAY_DIMENSIONS"}, (path, got)
    for name, why in (("half", "surrogate"), ("digits", "more than 300 digits"), ("levels", "nested deeper")):
        line = next(v for v in srv.log.splitlines() if f"x: attribute {name}' is left out" in v)
        assert why in line, line


def test_attributes_of_hdf5(open_file, tmp_path):
    def make(h5py, f):
        f.attrs["fine"] = 1
        f.attrs["ref"] = f["own"].ref
        f["own"].attrs["long"] = "x\ny"
        f["own"].attrs["odd"] = np.zeros(3, [("a", "i4"), ("b", "f4")])
        f.create_group("new\nline\x1b[31m")["x"] = HID
    srv = open_file(hdf5(tmp_path, make))
    assert srv.get("/zarr2/a.zarr/.zattrs").json()["fine"] == 1
    assert "attribute ref' is left out" in srv.log
    assert srv.get("/zarr2/a.zarr/own/.zattrs").json()["long"] == "x\ny"
    assert "\x1b" not in srv.log


# --------------------------------------------------------------------------------- a reader crashes

def test_a_reader_that_crashes_takes_a_worker(open_file, tmp_path):
    """An array-like that ends its process when it is sliced, as a library with a fault would."""
    np.save(tmp_path / "a.npy", HID)
    (tmp_path / "crash.py").write_text("import os\ndef f(block, x):\n    os.kill(os.getpid(), 11)\n"
                                       "def g(block, x):\n    return x\n")
    srv = open_file(tmp_path / "a.npy", "--op", "crash:f", "--op", "crash:g", cwd=tmp_path)
    assert srv.get("/zarr2/a.zarr/f/0").status == 500
    assert srv.get("/zarr2/a.zarr/g/0").status == 200
    assert srv.process.poll() is None


def test_a_reader_that_crashes_while_it_loads_is_a_line(tmp_path):
    np.save(tmp_path / "a.npy", HID)
    (tmp_path / "crash.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    r = subprocess.run([lzr.LAZARR, "describe", tmp_path / "a.npy", "--op", "crash:f"], cwd=tmp_path,
                       capture_output=True, text=True, timeout=60, env=lzr.environment())
    assert r.returncode == 1 and "worker" in r.stderr and "Traceback" not in r.stderr, r.stderr
