"""What a data file may make lazarr do (docs/security.md): no memory without end, no walk without end. With Debian's
libraries and with the newest ones."""
import bz2
import functools
import json
import lzma
import os
import struct
import zlib

import numpy as np
import pytest

import lzr
from data_files import (BYTES, HID, MOST, hdf5, n5, ome_tiff, ome_zarr, open_file, prefix, refused, served, zarr2,
                        zarr3)

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
