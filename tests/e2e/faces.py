"""What each face of a running server says of an array, by hand: documents, chunks and what they mean; no code of
lazarr takes part.

    seen = faces.read(srv, "n5", "store", "group/image")     a Seen, or None where the face doesn't have it
"""
import gzip
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

import lzr

FACES = ("zarr2", "zarr3", "n5", "precomputed")
N5_UNITS = {"um": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
            "s": "second", "ms": "millisecond", "in": "inch", "pixel": None, "": None}
NANOMETERS = {"nanometer": 1, "micrometer": 1e3, "millimeter": 1e6, "centimeter": 1e7, "meter": 1e9, "inch": 2.54e7,
              "angstrom": .1, None: 1, "pixel": 1}


class Seen(NamedTuple):
    """As the face shows it, turned to the order of Zarr. What a face has no place for is None."""

    levels: Any            # values
    axes: Any = None       # "zyx", of an image
    dims: Any = None
    scales: Any = None     # of each level
    translations: Any = None
    units: Any = None
    channels: Any = None   # as OMERO says them
    attributes: Any = None
    fill: Any = None
    kind: Any = None       # "image", "labels" or "plain"


class Kept:
    """A server's answers through one connection."""

    def __init__(self, srv):
        self.http = srv.connect()

    def get(self, target):
        return self.http.get(target)

    def chunk(self, target):
        r = self.get(target)
        assert r.status == 200 and r.complete, (target, r)
        return r.body

    def close(self):
        self.http.close()


def read(srv, face, store, path):
    return {"zarr2": _zarr2, "zarr3": _zarr3, "n5": _n5, "precomputed": _precomputed}[face](srv, store, path)


def _json(srv, path):
    r = srv.get(path)
    assert r.status in (200, 404), (path, r)
    return r.json() if r.status == 200 else None


def _positions(shape, chunks):
    return itertools.product(*(range(-(-n // c)) for n, c in zip(shape, chunks)))


def _at(pos, chunks, shape):
    return tuple(slice(p * c, min((p + 1) * c, n)) for p, c, n in zip(pos, chunks, shape))


# -------------------------------------------------------------------------------------------- Zarr

def _ngff(given, attributes, kind_of=None):
    """Of an image what both versions of OME-Zarr say alike."""
    m = given["multiscales"][0]
    scales, translations = [], []
    for d in m["datasets"]:
        t = {t["type"]: t[t["type"]] for t in d["coordinateTransformations"]}
        scales.append(t["scale"])
        translations.append(t.get("translation", [0] * len(m["axes"])))
    kind = "labels" if "image-label" in given else "image"
    return dict(axes="".join(a["name"] for a in m["axes"]), scales=scales, translations=translations,
                units=[a.get("unit") for a in m["axes"]], channels=given.get("omero", {}).get("channels"),
                attributes=attributes, kind=kind), [d["path"] for d in m["datasets"]]


def _zarr2(srv, store, path):
    root = f"/zarr2/{store}.zarr/{path}"
    attrs = _json(srv, f"{root}/.zattrs") or {}
    meta = _json(srv, f"{root}/.zarray")
    if meta is None:
        assert "multiscales" in attrs, (root, attrs)
        said, names = _ngff(attrs, {k: v for k, v in attrs.items() if k not in ("multiscales", "omero", "image-label")})
        dims = (_json(srv, f"{root}/0/.zattrs") or {}).get("_ARRAY_DIMENSIONS")
        return Seen([lzr.read_array(srv, f"{root}/{n}") for n in names], dims=tuple(dims),
                    fill=_json(srv, f"{root}/0/.zarray")["fill_value"], **said)
    dims = attrs.pop("_ARRAY_DIMENSIONS", None)
    return Seen([lzr.read_array(srv, root)], dims=dims and tuple(dims), attributes=attrs, fill=meta["fill_value"],
                kind="plain")


def _zarr3(srv, store, path):
    root = f"/zarr3/{store}.zarr/{path}"
    doc = _json(srv, f"{root}/zarr.json")
    assert doc is not None, root
    attrs = doc["attributes"]
    if doc["node_type"] == "group":
        said, names = _ngff(attrs["ome"], {k: v for k, v in attrs.items() if k != "ome"})
        first = _json(srv, f"{root}/0/zarr.json")
        return Seen([_zarr3_values(srv, f"{root}/{n}") for n in names], dims=tuple(first["dimension_names"]),
                    fill=first["fill_value"], **said)
    dims = doc.get("dimension_names")
    return Seen([_zarr3_values(srv, root)], dims=dims and tuple(dims), attributes=attrs, fill=doc["fill_value"],
                kind="plain")


def _zarr3_values(srv, root):
    doc = _json(srv, f"{root}/zarr.json")
    chunks = doc["chunk_grid"]["configuration"]["chunk_shape"]
    dtype, packed = np.dtype(doc["data_type"]), None
    for c in doc["codecs"]:
        own = dict(c.get("configuration", {}))
        if c["name"] == "bytes":
            dtype = dtype.newbyteorder({"little": "<", "big": ">"}[own.get("endian", "little")])
        elif c["name"] == "blosc":
            packed = {"id": "blosc", **own}
            packed.pop("typesize")
            packed["shuffle"] = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[own["shuffle"]]
        else:
            packed = {"id": c["name"], "level": own["level"]}
    out = np.empty(doc["shape"], dtype)
    for pos in _positions(doc["shape"], chunks):
        block = np.frombuffer(lzr.decode(srv.chunk("/".join([root, "c", *map(str, pos)])), packed), dtype)
        at = _at(pos, chunks, doc["shape"])
        out[at] = block.reshape(chunks)[tuple(slice(0, a.stop - a.start) for a in at)]
    return out


# ---------------------------------------------------------------------------------------------- N5

def _n5(srv, store, path):
    root = f"/n5/{store}.n5/{path}"
    attrs = _json(srv, f"{root}/attributes.json")
    if attrs is None:
        return None
    if "dimensions" in attrs:
        dims = attrs.get("axes")
        own = {k: v for k, v in attrs.items() if k not in ("dimensions", "blockSize", "dataType", "compression", "axes")}
        return Seen([_n5_values(srv, root, attrs)], dims=dims and tuple(dims[::-1]), attributes=own, kind="plain")
    levels, scales, translations = [], [], []
    n = len(attrs.get("downsamplingFactors") or [1])
    for k in range(n):
        d = _json(srv, f"{root}/s{k}/attributes.json")
        levels.append(_n5_values(srv, f"{root}/s{k}", d))
        t = d.get("transform") or {}
        scales.append(t.get("scale") or d["resolution"][::-1])
        translations.append(t.get("translate") or [0] * len(scales[-1]))
    axes = attrs["axes"][::-1]
    units = attrs.get("units")
    return Seen(levels, "".join(axes), scales=scales, translations=translations,
                units=[N5_UNITS.get(u, u) for u in units[::-1]] if units else [None] * len(axes),
                channels=attrs.get("omero", {}).get("channels"), attributes=attrs)


def _n5_values(srv, root, doc):
    how = doc["compression"]
    out = np.zeros(doc["dimensions"], np.dtype(doc["dataType"]).newbyteorder(">"))
    rank = out.ndim
    for pos in _positions(out.shape, doc["blockSize"]):
        data = srv.chunk("/".join([root, *map(str, pos)]))
        extent = np.frombuffer(data, ">u4", rank, 4)
        body = data[4 + 4 * rank:]
        if how["type"] == "blosc":
            body = lzr.decode(body, {"id": "blosc"})
        elif how["type"] != "raw":
            body = gzip.decompress(body) if how["type"] == "gzip" else lzr.decode(body, {"id": how["type"]})
        out[_at(pos, doc["blockSize"], out.shape)] = np.frombuffer(body, out.dtype).reshape(extent, order="F")
    return out.transpose()


# ------------------------------------------------------------------------------------- precomputed

def _precomputed(srv, store, path):
    root = f"/precomputed/{store}/{path}"
    info = _json(srv, f"{root}/info")
    if info is None:
        return None
    levels, scales, translations = [], [], []
    for s in info["scales"]:
        chunk = s["chunk_sizes"][0]
        out = np.zeros([*s["size"], info["num_channels"]], info["data_type"])
        for pos in _positions(s["size"], chunk):
            at = _at(pos, chunk, s["size"])
            name = "_".join(f"{a.start + o}-{a.stop + o}" for a, o in zip(at, s["voxel_offset"]))
            data = srv.chunk(f"{root}/{s['key']}/{name}")
            shape = [a.stop - a.start for a in at] + [info["num_channels"]]
            if s["encoding"] == "raw":
                out[at] = np.frombuffer(data, out.dtype.newbyteorder("<")).reshape(shape, order="F")
            else:
                out[at] = _segments(data, shape, out.dtype, s["compressed_segmentation_block_size"])
        levels.append(out.transpose())
        scales.append(s["resolution"][::-1])
        translations.append([o * r for o, r in zip(s["voxel_offset"], s["resolution"])][::-1])
    return Seen(levels, "czyx", scales=scales, translations=translations,
                kind="labels" if info["type"] == "segmentation" else "image")


def _segments(data, shape, dtype, box):
    """compressed_segmentation, as Neuroglancer's description has it."""
    words = np.frombuffer(data, "<u4")
    out = np.zeros(shape, dtype)
    grid = [-(-n // b) for n, b in zip(shape, box)]
    for c in range(shape[3]):
        base = words[words[c]:]
        for i, (z, y, x) in enumerate(itertools.product(*(range(n) for n in grid[::-1]))):
            table, bits, at = int(base[2 * i]) & 0xFFFFFF, int(base[2 * i]) >> 24, int(base[2 * i + 1])
            n = math.prod(box)
            places = np.arange(n) * bits
            index = (base[at + places // 32].astype("u8") >> (places % 32).astype("u8")) & ((1 << bits) - 1) \
                if bits else np.zeros(n, "u8")
            values = np.frombuffer(base[table:].tobytes()[:(int(index.max()) + 1) * dtype.itemsize],
                                   dtype.newbyteorder("<"))[index.astype(int)]
            low = [p * b for p, b in zip((x, y, z), box)]
            part = tuple(slice(a, min(a + b, s)) for a, b, s in zip(low, box, shape))
            out[(*part, c)] = values.reshape(box, order="F")[tuple(slice(0, p.stop - p.start) for p in part)]
    return out
