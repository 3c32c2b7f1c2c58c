"""The byte-level conformance set: small arrays of each dtype and codec as zarr-python, tensorstore and z5py
write them (data/, made by make.py) and as lazarr serves them.

For each array: lazarr has the same keys; every chunk, decoded here without any of those libraries (NumPy,
numcodecs, and what stands below), has the same values as the golden one and as NumPy says; where nothing is
compressed the bytes themselves are the same; and the metadata documents are equal as JSON but for the
differences in DIFFERENT, each with its reason, every one of which must occur."""
import base64
import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
import arrays  # noqa: E402
import lzr  # noqa: E402
import matrix  # noqa: E402  (arrays puts its folder into the path)

HOME = {"zarr2": "/zarr2/store.zarr", "zarr3": "/zarr3/store.zarr", "n5": "/n5/store.n5",
        "precomputed": "/precomputed/store"}
SETS = ["zarr-python-zarr2", "tensorstore-zarr2", "zarr-python-zarr3", "tensorstore-zarr3", "tensorstore-n5",
        "z5py-n5", "tensorstore-precomputed"]
MISSING = object()


@pytest.fixture(scope="module")
def srv():
    with lzr.Server([HERE / "store.py"], "--no-access-log") as server:
        yield server


def golden(which):
    return json.loads((HERE / "data" / f"{which}.json").read_text())


# --------------------------------------------------------------------------------------- decoding

def unpack(data, codec):
    """codec: a dict as Zarr v2 has it, or None."""
    import numcodecs
    if codec is None:
        return bytes(data)
    if codec["id"] == "gzip":
        return gzip.decompress(data)
    return bytes(numcodecs.get_codec(codec).decode(data))


def decode_zarr(doc, data):
    if doc["zarr_format"] == 2:
        codec, dtype, chunks = doc["compressor"], np.dtype(doc["dtype"]), doc["chunks"]
    else:
        chunks = doc["chunk_grid"]["configuration"]["chunk_shape"]
        first, *rest = doc["codecs"]
        assert first["name"] == "bytes" and len(rest) <= 1
        order = {"big": ">", "little": "<"}[first.get("configuration", {}).get("endian", "little")]
        dtype = np.dtype(doc["data_type"]).newbyteorder(order)
        codec = None
        if rest:
            config = dict(rest[0]["configuration"])
            for unknown in ("typesize", "checksum"):
                config.pop(unknown, None)
            if "shuffle" in config:
                config["shuffle"] = ["noshuffle", "shuffle", "bitshuffle"].index(config["shuffle"])
            codec = {"id": rest[0]["name"], **config}
    return np.frombuffer(unpack(data, codec), dtype).reshape(chunks)


def decode_n5(doc, data):
    """The block's values, x first."""
    rank = int.from_bytes(data[2:4], "big")
    assert data[:2] == b"\0\0" and rank == len(doc["dimensions"])
    extent = np.frombuffer(data[4:4 + 4 * rank], ">u4")
    c = dict(doc["compression"])
    codec = {"raw": None}.get(c.pop("type"), {"id": doc["compression"]["type"]})
    body = unpack(data[4 + 4 * rank:], codec)
    return np.frombuffer(body, np.dtype(doc["dataType"]).newbyteorder(">")).reshape(extent, order="F")


def decode_segmentation(data, extent, dtype):
    """compressed_segmentation, from its documentation: x, y, z, channel."""
    words, size = np.frombuffer(data, "<u4"), dtype.itemsize // 4
    out = np.zeros(extent, dtype)
    boxes = [-(-n // 8) for n in extent[:3]]
    for c in range(extent[3]):
        base = int(words[c])
        for i, (z, y, x) in enumerate(np.ndindex(*boxes[::-1])):
            head, place = int(words[base + 2 * i]), int(words[base + 2 * i + 1])
            table, bits = head & 0xffffff, head >> 24
            assert bits in (0, 1, 2, 4, 8, 16, 32)
            for dz, dy, dx in np.ndindex(8, 8, 8):
                at = (8 * x + dx, 8 * y + dy, 8 * z + dz)
                if any(a >= n for a, n in zip(at, extent)):
                    continue
                bit = ((dz * 8 + dy) * 8 + dx) * bits
                k = bits and int(words[base + place + bit // 32]) >> bit % 32 & (1 << bits) - 1
                label = words[base + table + k * size:base + table + (k + 1) * size]
                out[at + (c,)] = int(label[0]) | (int(label[1]) << 32 if size == 2 else 0)
    return out


def decode_precomputed(doc, key, data):
    scale = doc["scales"][0]
    dtype = np.dtype(doc["data_type"]).newbyteorder("<")
    extent = [int(b) - int(a) for a, b in (r.rsplit("-", 1) for r in key.split("/")[1].split("_"))]
    extent.append(doc["num_channels"])
    if scale["encoding"] == "compressed_segmentation":
        return decode_segmentation(data, extent, dtype)
    return np.frombuffer(data, dtype).reshape(extent, order="F")


# ------------------------------------------------------------------------------------ comparing

def differences(ours, theirs, at=""):
    """{path: (ours, theirs)} of two documents; numbers are equal as numbers."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        out = {}
        for k in sorted(set(ours) | set(theirs)):
            out.update(differences(ours.get(k, MISSING), theirs.get(k, MISSING), f"{at}.{k}" if at else k))
        return out
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        out = {}
        for i, pair in enumerate(zip(ours, theirs)):
            out.update(differences(*pair, f"{at}[{i}]"))
        return out
    if type(ours) is not bool and ours == theirs or ours is theirs:
        return {}
    return {at: (ours, theirs)}


def absent(v):
    return v is MISSING


def null_fill(o, t):
    return o is None and t in (0, False, [0, 0])


NULL = ("fill_value", null_fill, "a fill that nobody gave is null, since xarray masks a 0")
EMPTY = ("codecs[0].configuration", lambda o, t: o == {} and absent(t),
         "of types of one byte: either is allowed; some readers want both members of each codec")
SCALAR = ("dimension_names", lambda o, t: o == [] and absent(t), "of no axes; xarray needs the key")
# set: (path, whether it may be (ours, theirs), reason)
DIFFERENT = {
    "zarr-python-zarr2": [
        NULL,
        ("_ARRAY_DIMENSIONS", lambda o, t: isinstance(o, list) and absent(t),
         "the names of axes, which Zarr v2 itself doesn't have: xarray's"),
    ],
    "tensorstore-zarr2": [NULL],
    "zarr-python-zarr3": [
        EMPTY, SCALAR,
        ("attributes._FillValue", lambda o, t: absent(t), "a fill that was given is missing, as in v2: xarray's"),
        ("storage_transformers", lambda o, t: absent(o) and t == [], "may be left out; some readers want none"),
    ],
    "tensorstore-zarr3": [
        EMPTY, SCALAR,
        ("attributes", lambda o, t: set(o) <= {"_FillValue"} and absent(t),
         "may be left out; some readers want them, xarray that of what is missing"),
        ("chunk_key_encoding.configuration", lambda o, t: o == {"separator": "/"} and absent(t),
         "the default, spelt out"),
    ],
    "tensorstore-n5": [],
    "z5py-n5": [
        ("compression.useZlib", lambda o, t: o is False and absent(t), "the default, spelt out for Neuroglancer"),
        ("compression.nthreads", lambda o, t: absent(o) and t == 1, "tensorstore refuses it, Java does without"),
    ],
    "tensorstore-precomputed": [],
}


def fetch(srv, which, name):
    """Our document and chunks under the keys that the golden array has, and the golden ones."""
    face = which.rsplit("-", 1)[1]
    theirs = golden(which)["arrays"][name]
    ours, chunks, docs = {}, {}, {}
    for key, value in theirs.items():
        r = srv.get(f"{HOME[face]}/{name}/{key}")
        assert r.status == 200, (name, key, r)
        if isinstance(value, dict):
            docs[key], ours[key] = value, r.json()
        else:
            chunks[key], ours[key] = base64.b64decode(value), r.body
    return face, ours, docs, chunks


def box(spec, face, doc, key):
    """Where a chunk stands in the array, in NumPy's order, cut to it."""
    if face == "precomputed":
        ranges = [tuple(map(int, r.rsplit("-", 1))) for r in key.split("/")[1].split("_")]
        at = [slice(a - o, b - o) for (a, b), o in zip(ranges, doc["scales"][0]["voxel_offset"])]
        return (slice(None),) * (len(spec.shape) - 3) + tuple(at[::-1])
    if face == "n5":
        pos = list(map(int, key.split("/")))[::-1]
    else:
        pos = [int(p) for p in key.replace("c", "", 1).replace(".", "/").split("/") if p][:len(spec.shape)]
    return tuple(slice(p * c, min(p * c + c, n)) for p, c, n in zip(pos, spec.chunks, spec.shape))


def decode(face, doc, key, data, spec):
    """A chunk's values in NumPy's order, with what lies behind the array's edge."""
    if face == "n5":
        return decode_n5(doc, data).transpose()
    if face == "precomputed":
        v = decode_precomputed(doc, key, data).transpose()
        return v if len(spec.shape) == 4 else v[0]
    return decode_zarr(doc, data)


def same_bytes_expected(which, spec, theirs, ours):
    """Without compression all bytes are the same, but for tensorstore's N5: it writes whole edge blocks."""
    if spec.codec not in ("none", "raw") or which == "tensorstore-n5" and len(theirs) != len(ours):
        return False
    # A NaN has many bit patterns; one library's is not another's.
    return spec.dtype.kind not in "fc"


@pytest.mark.parametrize("which", SETS)
def test_values_and_bytes(srv, which):
    seen, equal = 0, 0
    for name in golden(which)["arrays"]:
        spec = arrays.SPECS[name]
        face, ours, docs, chunks = fetch(srv, which, name)
        main, = [k for k in docs if k not in (".zattrs",)]
        want, covered = arrays.values(spec), np.zeros(spec.shape, int)
        for key, data in chunks.items():
            at = box(spec, face, ours[main], key)
            inside = tuple(slice(0, s.stop - s.start) if s.stop is not None else s for s in at)
            a, b = decode(face, ours[main], key, ours[key], spec), decode(face, docs[main], key, data, spec)
            assert matrix.same(a[inside].astype(spec.dtype), want[at]), (name, key)
            assert matrix.same(b[inside].astype(spec.dtype), want[at]), (name, key, "the golden one")
            if face.startswith("zarr"):
                assert matrix.same(a.astype(spec.dtype), b.astype(spec.dtype)), (name, key, "behind the edge")
            if same_bytes_expected(which, spec, data, ours[key]):
                assert ours[key] == data, (name, key)
            equal += ours[key] == data
            covered[at] += 1
            seen += 1
        assert (covered == 1).all(), name
    print(f"{which}: {seen} chunks, {equal} of them byte for byte the same")
    assert seen > 100


@pytest.mark.parametrize("which", SETS)
def test_documents(srv, which):
    used = set()
    for name in golden(which)["arrays"]:
        _, ours, docs, _ = fetch(srv, which, name)
        for key, theirs in docs.items():
            for path, (o, t) in differences(ours[key], theirs).items():
                reasons = [i for i, (p, may, _) in enumerate(DIFFERENT[which]) if p == path and may(o, t)]
                assert reasons, (name, key, path, o, "missing" if t is MISSING else t)
                used |= set(reasons)
    for i, (path, _, why) in enumerate(DIFFERENT[which]):
        assert i in used, f"no document differs in {path} any more: {why}"
        print(f"{which}: {path}: {why}")


def test_the_set_is_complete():
    """Every dtype and codec of each format, from each of the three libraries."""
    for which in SETS:
        got = golden(which)
        prefix = {"zarr2": "zarr/", "zarr3": "zarr/", "n5": "n5/", "precomputed": "pre/"}[which.rsplit("-", 1)[1]]
        assert set(got["arrays"]) == {n for n in arrays.SPECS if n.startswith(prefix)}
        assert got["versions"]
    names = {s.name for s in arrays.SPECS.values()}
    assert {f"zarr/{d}_{c}" for d in matrix.DTYPES for c in arrays.ZARR_CODECS} <= names
    assert {f"n5/{d}_{c}" for d in arrays.N5_TYPES for c in arrays.N5_CODECS} <= names
    assert {f"pre/{d}" for d in arrays.PRE_TYPES} <= names
