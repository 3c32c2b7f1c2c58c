"""Files of each kind, and copies of them with bytes changed at random, through lazarr's readers.

    fuzz_files.py FOLDER MUTATIONS SEED [KIND...]      with src/python in PYTHONPATH

Each copy is loaded, and each array's first and last block read, in a process of its own. What may come of it:
values of the declared shape and dtype, arrays left out, or a StoreError while it loads; what a library raises
while it reads is an answer of 500 and no more. A process that dies takes a worker; one that takes more than
LIMIT seconds or MEMORY bytes is a fault, and so is any other exception while it loads. Prints a line of JSON a
kind: how often each came, and the copies that should be looked at, which stay in FOLDER.
"""
import contextlib
import gzip
import importlib.util
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from pathlib import Path

import numpy as np

LIMIT = 30           # seconds of one copy; a server waits 300 for a worker to start
MEMORY = 3 << 30     # bytes of address space beside what the libraries have
V = np.arange(2 * 30 * 40, dtype="u2").reshape(2, 30, 40)
ODD = [0, 1, -1, 2 ** 31 - 1, -2 ** 31, 2 ** 32, 2 ** 63, 1e308, None, [], {}, "", "x" * 300, True, [[[[1]]]],
       "../..", "\ud800"]


def npy(f):
    np.save(f, V)


def nii(f):
    import nibabel
    image = nibabel.Nifti1Image(V.astype("i2"), np.diag([2., 3, 4, 1]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"a comment"))
    nibabel.save(image, f)


def tif(f):
    import tifffile
    tifffile.imwrite(f, V, compression="zlib", tile=(16, 16), bigtiff=False, ome=True,
                     metadata={"axes": "CYX", "PhysicalSizeX": .5, "Channel": {"Name": ["a", "b"]}})


def plain_tif(f):
    import tifffile
    tifffile.imwrite(f, V, imagej=True, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"})


def h5(f):
    import h5py
    with h5py.File(f, "w") as h:
        d = h.create_dataset("g/packed", data=V, chunks=(1, 16, 16), compression="gzip", shuffle=True)
        d.attrs["unit"] = "nm"
        h["g/whole"] = V.astype(">f4")
        h["soft"] = h5py.SoftLink("/g/whole")
        h.create_dataset("sum", data=V, chunks=(1, 30, 40), fletcher32=True)
        h.attrs["title"] = "fuzz"


def views(f):
    """BigDataViewer's, and what ilastik writes."""
    import h5py
    with h5py.File(f, "w") as h:
        h["s00/resolutions"] = np.array([[1., 1, 1], [2, 2, 1]])
        for k in range(2):
            h.create_dataset(f"t00000/s00/{k}/cells", data=V[:, ::2 ** k, ::2 ** k].astype("i2"), chunks=(1, 8, 8),
                             compression="gzip")
        h["data"] = V
        h["data"].attrs["axistags"] = json.dumps({"axes": [{"key": a, "resolution": 2.0} for a in "zyx"]})


def geo(f):
    import tifffile
    tifffile.imwrite(f, V[0], metadata=None, compression="zlib", tile=(16, 16), extratags=[
        (33550, 12, 3, (30., 30., 0.), True), (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1), True), (42113, 2, 0, "7", True),
        (42112, 2, 0, '<GDALMetadata><Item sample="0" role="description">a</Item></GDALMetadata>', True)])


def colours(f):
    import nibabel
    image = nibabel.Nifti1Image(np.zeros((8, 9, 10), [(c, "u1") for c in "RGBA"]), np.eye(4))
    nibabel.save(image, f)


def zarr(f):
    (f / "img/0").mkdir(parents=True)
    for p in ("", "img"):
        (f / p / ".zgroup").write_text('{"zarr_format": 2}')
    (f / "img/.zattrs").write_text(json.dumps({"multiscales": [{
        "version": "0.4", "axes": [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, .5, .5]}]}]}],
        "omero": {"channels": [{"label": "a", "color": "FF0000",
                                "window": {"min": 0, "max": 9, "start": 0, "end": 9}}]}}))
    (f / "img/0/.zarray").write_text(json.dumps({
        "zarr_format": 2, "shape": list(V.shape), "chunks": [2, 30, 40], "dtype": "<u2", "fill_value": 0,
        "order": "C", "compressor": {"id": "zlib", "level": 1}, "filters": [{"id": "delta", "dtype": "<u2"}]}))
    (f / "img/0/.zattrs").write_text('{"fine": [1, 2.5, "x"]}')
    flat = V.reshape(-1)
    (f / "img/0/0.0.0").write_bytes(zlib.compress(np.diff(flat, prepend=flat[:1] * 0).astype("<u2").tobytes()))


def zarr3(f):
    (f / "a/c/0/0").mkdir(parents=True)
    (f / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {"fine": 1}}')
    (f / "a/zarr.json").write_text(json.dumps({
        "zarr_format": 3, "node_type": "array", "shape": list(V.shape), "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 30, 40]}}, "fill_value": 0,
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "attributes": {},
        "dimension_names": ["z", "y", "x"],
        "codecs": [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [2, 30, 40], "index_codecs": [{"name": "bytes",
                                                          "configuration": {"endian": "little"}}],
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}},
                       {"name": "gzip", "configuration": {"level": 1}}]}}]}))
    c = zlib.compressobj(1, zlib.DEFLATED, 31)
    data = c.compress(V.tobytes()) + c.flush()
    (f / "a/c/0/0/0").write_bytes(data + struct.pack("<QQ", 0, len(data)))


def n5(f):
    (f / "g/s0/0/0").mkdir(parents=True)
    (f / "attributes.json").write_text('{"n5": "2.0.0"}')
    (f / "g/attributes.json").write_text(json.dumps({
        "pixelResolution": {"unit": "um", "dimensions": [.5, .5, 2.0]}, "scales": [[1, 1, 1]]}))
    (f / "g/s0/attributes.json").write_text(json.dumps({
        "dimensions": [40, 30, 2], "blockSize": [40, 30, 2], "dataType": "uint16",
        "compression": {"type": "gzip", "level": 1}}))
    c = zlib.compressobj(1, zlib.DEFLATED, 31)
    (f / "g/s0/0/0/0").write_bytes(struct.pack(">HHIII", 0, 3, 40, 30, 2) +
                                   c.compress(V.astype(">u2").tobytes()) + c.flush())


def npz(f):
    np.savez(f, whole=V, mask=V > 9)


def packed_npz(f):
    np.savez_compressed(f, whole=V, mask=V > 9)


def zipped(f):
    """A Zarr as `zip -r` packs its folder: stored and deflated members."""
    with tempfile.TemporaryDirectory() as folder:
        zarr(Path(folder) / "f.zarr")
        with zipfile.ZipFile(f, "w") as z:
            for i, member in enumerate(sorted(Path(folder).rglob("*"))):
                z.write(member, member.relative_to(folder), zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED)


def netcdf3(f):
    import scipy.io
    with scipy.io.netcdf_file(f, "w", version=2) as h:
        h.title = "fuzz"
        for name, n in (("time", None), ("lat", 30), ("lon", 40)):
            h.createDimension(name, n)
        for name, dims in (("lat", ("lat",)), ("t", ("time", "lat", "lon")), ("u", ("lat", "lon"))):
            v = h.createVariable(name, ">f8" if name == "lat" else ">i2", dims)
            v[:] = V if name == "t" else V[0] if name == "u" else np.arange(30.)
            v.units = "K"
        h.variables["t"].scale_factor, h.variables["t"]._FillValue = .5, np.int16(-1)


def precomputed(f):
    """Two levels, the first in packed chunks, and properties of its segments."""
    key = {"0": (V[0:2, :, :], 1), "1": (V[:, ::2, ::2], 2)}
    scales = [{"key": k, "size": list(v.shape[::-1]), "resolution": [4 * n, 4 * n, 40], "voxel_offset": [0, 0, 0],
               "chunk_sizes": [[20, 15, 2]], "encoding": "raw"} for k, (v, n) in key.items()]
    for k, (v, _) in key.items():
        (f / k).mkdir(parents=True)
        for y in range(0, v.shape[1], 15):
            for x in range(0, v.shape[2], 20):
                part = v[:, y:y + 15, x:x + 20].astype("<u2").tobytes()
                name = f / k / f"{x}-{x + 20}_{y}-{y + 15}_0-2"
                name.write_bytes(part) if k == "1" else Path(f"{name}.gz").write_bytes(gzip.compress(part, 1))
    (f / "props").mkdir()
    (f / "props/info").write_text(json.dumps({"@type": "neuroglancer_segment_properties", "inline": {
        "ids": ["1", "2"], "properties": [{"id": "label", "type": "label", "values": ["a", "b"]}]}}))
    (f / "info").write_text(json.dumps({"@type": "neuroglancer_multiscale_volume", "type": "segmentation", "num_channels": 1,
                                        "data_type": "uint16", "scales": scales, "segment_properties": "props"}))


def segmentation(f):
    """compressed_segmentation of one chunk of two blocks: a table of two values, and 1 bit a voxel."""
    (f / "s").mkdir(parents=True)
    block = [5, 7] + [0x0F0F0F0F] * 16
    words = [1, 4 | 1 << 24, 6, 22 | 1 << 24, 24, *block[:2], *block[2:], *block]
    (f / "s/0-16_0-8_0-8").write_bytes(struct.pack(f"<{len(words)}I", *words))
    (f / "info").write_text(json.dumps({"type": "segmentation", "num_channels": 1, "data_type": "uint32", "scales": [{
        "key": "s", "size": [16, 8, 8], "resolution": [4, 4, 40], "voxel_offset": [0, 0, 0], "chunk_sizes": [[16, 8, 8]],
        "encoding": "compressed_segmentation", "compressed_segmentation_block_size": [8, 8, 8]}]}))


KINDS = {"npy": (npy, "f.npy"), "nii": (nii, "f.nii"), "niigz": (nii, "f.nii.gz"), "tif": (tif, "f.ome.tif"),
         "imagej": (plain_tif, "f.tif"), "h5": (h5, "f.h5"), "zarr": (zarr, "f.zarr"),
         "zarr3": (zarr3, "g.zarr"), "n5": (n5, "f.n5"), "npz": (npz, "f.npz"), "packednpz": (packed_npz, "p.npz"),
         "zip": (zipped, "f.zarr.zip"), "netcdf3": (netcdf3, "f.nc"), "precomputed": (precomputed, "v"),
         "segmentation": (segmentation, "w"), "views": (views, "v.h5"), "geotiff": (geo, "geo.tif"),
         "colours": (colours, "c.nii")}


def lacking(kind):
    """Whether this interpreter has no library for a kind: Debian's no zarr 3, the newest no SciPy."""
    if kind == "zarr3":
        import zarr as library
        return library.__version__.startswith("2.")
    return kind == "netcdf3" and importlib.util.find_spec("scipy") is None


def change(data, r):
    """Other bytes: some flipped, numbers put in, a part cut, doubled, moved."""
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            return bytes(r.randrange(256) for _ in range(8))
        at = min(r.randrange(len(data)), r.randrange(len(data))) if r.random() < .6 else r.randrange(len(data))
        how = r.randrange(6)
        if how < 2:
            data[at] ^= 1 << r.randrange(8)
        elif how == 2:
            data[at] = r.choice((0, 1, 0x7F, 0x80, 0xFF, r.randrange(256)))
        elif how == 3:
            value = r.choice((0, 1, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 16 - 1, r.getrandbits(32)))
            data[at:at + 4] = struct.pack(r.choice("<>") + "I", value)
        elif how == 4:
            del data[at:at + r.choice((1, 4, 100, len(data)))]
        else:
            data[at:at] = data[at:at + r.choice((1, 8, 64))] * r.choice((1, 2, 50))
    return bytes(data)


def change_json(doc, r):
    """A document with a value at some place replaced."""
    places = []

    def walk(node):
        for k in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, k))
            if isinstance(node[k], (dict, list)):
                walk(node[k])
    walk(doc)
    for node, k in r.sample(places, min(len(places), r.choice((1, 1, 2)))):
        how = r.random()
        if how < .2 and isinstance(node, dict):
            node.pop(k, None)
        elif how < .3:
            try:
                node[k] = [node[k]] * r.choice((2, 1000))
            except (KeyError, IndexError):
                pass
        else:
            node[k] = r.choice(ODD)
    return json.dumps(doc).encode()


def mutate(path, r):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    target = r.choice(files)
    data = target.read_bytes()
    if path.suffix in (".zip", ".npz") and r.random() < .6:
        return mutate_member(path, r)
    if data[:1] == b"{" and r.random() < .7:
        data = change_json(json.loads(data), r)
    elif path.name.endswith(".gz") and r.random() < .8:
        c = zlib.compressobj(1, zlib.DEFLATED, 31)
        data = c.compress(change(zlib.decompress(data, 47), r)) + c.flush()
    else:
        data = change(data, r)
    target.write_bytes(data)


def mutate_member(path, r):
    """An archive that is sound, with one member that isn't."""
    with zipfile.ZipFile(path) as z:
        members = [(i, z.read(i)) for i in z.infolist()]
    chosen = r.choice([i for i, (m, _) in enumerate(members) if not m.is_dir()])
    with zipfile.ZipFile(path, "w") as z:
        for i, (member, data) in enumerate(members):
            if i == chosen:
                data = change_json(json.loads(data), r) if data[:1] == b"{" and r.random() < .7 else change(data, r)
            z.writestr(member, data)


def look(path):
    """In the process of its own: what came, as an exit status."""
    from lazarr import StoreError, _handover, _manifest, _readers
    from lazarr._array import Registry
    registry = Registry()
    try:
        _handover.CURRENT.start(_handover.OPEN, None, lambda: -1)
        _readers.build("f", f"data:{path}::", [], registry)
        registry.finish()
        _manifest.build(registry, "f", str(path), b"")
    except StoreError:
        return 10
    except Exception:
        traceback.print_exc()
        return 11
    worst = 0
    for a in registry.arrays:
        level = a.levels[0]
        if 0 in level.shape:
            continue
        for pos in ([0] * a.ndim, [-(-n // c) - 1 for n, c in zip(level.shape, level.chunks)]):
            spans = tuple(slice(p * c, min(n, (p + 1) * c)) for p, c, n in zip(pos, level.chunks, level.shape))
            opened = None
            try:
                opened = a.source.open()[0]
                order = a.source.transpose or range(a.ndim)
                inner = [slice(None)] * a.ndim
                for outer, i in enumerate(order):
                    inner[i] = spans[outer]
                got = np.asarray(opened[tuple(inner)])
                if got.shape != tuple(len(range(*s.indices(n))) for s, n in zip(inner, opened.shape)):
                    print("shape", got.shape, inner, file=sys.stderr)
                    return 13
                got.astype(a.dtype)
            except Exception:
                worst = 12
    return worst


def one(path, said):
    """(what came, in words)"""
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 14
        try:
            with open(said, "w") as f:
                os.dup2(f.fileno(), 2)
                os.dup2(f.fileno(), 1)
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 1))
            code = look(path)
        except BaseException:
            with contextlib.suppress(Exception):
                traceback.print_exc()
        finally:
            os._exit(code)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > 4 * LIMIT:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hang"
        time.sleep(0.002)
    if os.WIFSIGNALED(status):
        return "hang" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "died"
    return {0: "read", 10: "refused", 11: "RAISED", 12: "unreadable", 13: "SHAPE", 14: "BROKE"}[
        os.WEXITSTATUS(status)]


def main():
    folder, n, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with contextlib.redirect_stderr(io.StringIO()):
        import lazarr._readers  # noqa: F401
        for name in ("h5py", "tifffile", "nibabel", "numcodecs", "zarr"):
            __import__(name)
    for kind in sys.argv[4:] or KINDS:
        if lacking(kind):
            continue
        make, name = KINDS[kind]
        good = folder / "good" / name
        good.parent.mkdir(parents=True, exist_ok=True)
        make(good)
        assert one(good, folder / "said") == "read", (kind, (folder / "said").read_text())
        counts, kept = {}, []
        for i in range(n):
            r = random.Random(f"{kind} {seed} {i}")
            path = folder / "copy" / name
            shutil.rmtree(path.parent, ignore_errors=True)
            path.parent.mkdir(parents=True)
            (shutil.copytree if good.is_dir() else shutil.copy)(good, path)
            mutate(path, r)
            what = one(path, folder / "said")
            counts[what] = counts.get(what, 0) + 1
            if what not in ("read", "refused", "unreadable"):
                keep = folder / f"{what}-{kind}-{i}"
                if len(kept) < 20:
                    keep.mkdir(exist_ok=True)
                    os.rename(path, keep / name)
                    shutil.copy(folder / "said", keep / "said")
                    kept.append(str(keep / name))
        print(json.dumps({"kind": kind, "counts": counts, "kept": kept}), flush=True)


if __name__ == "__main__":
    main()
