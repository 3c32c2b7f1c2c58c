"""What a data file may make lazarr do (docs/security.md): no code, no other files. With Debian's libraries and with the
newest ones."""
import json
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

import lzr
from data_files import (BYTES, HID, SECRET, hdf5, n5, ome_tiff, ome_zarr, open_file, prefix, refused, served, zarr2,
                        zarr3)


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
    assert "'string' is left out: codec 'bytes' of texts isn't read" in said and "Traceback" not in said


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


def test_bigdataviewers_links_are_looked_at(open_file, tmp_path):
    """An image is no way round the rules of links, nor is the XML beside it."""
    def make(h5py, f):
        with h5py.File(tmp_path / "out/views.h5", "w") as other:
            other["cells"] = HID.reshape(2, 2, 4)
        f["s00/resolutions"] = np.ones((1, 3))
        f["t00000/s00/0/cells"] = h5py.ExternalLink("../out/views.h5", "/cells")
        f["t00001/s00/0/cells"] = HID.reshape(2, 2, 4)
        (tmp_path / "out/a.xml").write_text("<S><ViewSetup><id>0</id><voxelSize><size>7 7 7</size></voxelSize></ViewSetup></S>")
        (tmp_path / "in/a.xml").symlink_to("../out/a.xml")
    srv = open_file(hdf5(tmp_path, make))
    assert srv.get("/zarr2/a.zarr/t00000/s00/0/.zarray").status == 404
    assert srv.get("/zarr2/a.zarr/t00000/s00/0/cells/.zarray").status == 404 and "--follow" in srv.log
    assert np.array_equal(lzr.read_array(srv, "/zarr2/a.zarr/t00001/s00/0"), HID.reshape(2, 2, 4))
    assert "7" not in json.dumps(srv.get("/zarr2/a.zarr/t00001/s00/.zattrs").json()["multiscales"][0]["datasets"])
    assert "'a.xml' is left out" in srv.log
