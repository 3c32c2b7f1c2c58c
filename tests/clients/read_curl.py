"""curl fetches every document and every chunk; Debian's numcodecs and NumPy take them apart. Unlike the
other readers this one also looks at what lies behind an array's edge: it must be fill.
Usage: URL EXTRA FACE FOLDER"""
import itertools
import json
import os
import subprocess
import sys

import matrix
import numcodecs
import numpy as np

url, extra, face, folder = sys.argv[1:5]
report = matrix.Report()


def curl(pairs):
    """Fetches (URL, file) pairs with one curl; --fail makes any status but 2xx an error."""
    config = os.path.join(folder, "config")
    with open(config, "w") as f:
        for at, file in pairs:
            f.write(f'url = "{at}"\noutput = "{file}"\n')
    subprocess.run(["curl", "--fail", "--silent", "--show-error", "--globoff", "--config", config], check=True)


def path(i):
    return os.path.join(folder, str(i))


def understand(doc):
    """(shape, chunks, dtype, codec, fill, key of a chunk) of either format."""
    if face == "zarr2":
        sep = doc["dimension_separator"]
        codec = doc["compressor"] and numcodecs.get_codec(doc["compressor"])
        return (doc["shape"], doc["chunks"], np.dtype(doc["dtype"]), codec, doc["fill_value"],
                lambda pos: sep.join(map(str, pos)) or "0")
    endian, codec = "<", None
    for c in doc["codecs"]:
        config = dict(c.get("configuration", {}))
        if c["name"] == "bytes":
            endian = {"big": ">", "little": "<"}[config.get("endian", "little")]
        else:
            config.pop("typesize", None)
            if c["name"] == "blosc":
                config["shuffle"] = ["noshuffle", "shuffle", "bitshuffle"].index(config["shuffle"])
            config.pop("checksum", None)
            codec = numcodecs.get_codec({"id": c["name"], **config})
    return (doc["shape"], doc["chunk_grid"]["configuration"]["chunk_shape"],
            np.dtype(doc["data_type"]).newbyteorder(endian), codec, doc["fill_value"],
            lambda pos: "/".join(["c", *map(str, pos)]))


def number(fill, dtype):
    words = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
    if dtype.kind == "c" and isinstance(fill, list):
        return complex(*[words.get(p, p) for p in fill])
    return 0 if fill is None else words.get(fill, fill) if isinstance(fill, str) else fill


def assemble(doc, at, number_of_first):
    shape, chunks, dtype, codec, fill, key = understand(doc)
    out = np.zeros(shape, dtype)
    fill = np.full((), number(fill, dtype), dtype)
    for i, pos in enumerate(itertools.product(*(range(-(-s // c)) for s, c in zip(shape, chunks)))):
        with open(path(number_of_first + i), "rb") as f:
            raw = f.read()
        block = np.frombuffer(bytes(codec.decode(raw)) if codec else raw, dtype).reshape(chunks)
        corner = tuple(slice(p * c, min((p + 1) * c, s)) for p, c, s in zip(pos, chunks, shape))
        inside = tuple(slice(0, s.stop - s.start) for s in corner)
        out[corner] = block[inside]
        behind = np.ones(chunks, bool)
        behind[inside] = False
        assert matrix.same(block[behind], np.full(behind.sum(), fill, dtype)), f"padding of {key(pos)}"
    return out


arrays = list(matrix.each(report, url, face, extra))
document = ".zarray" if face == "zarr2" else "zarr.json"
curl([(f"{at}/{document}", path(f"doc{i}")) for i, (_, at, _, _) in enumerate(arrays)])
docs = [json.load(open(path(f"doc{i}"))) for i in range(len(arrays))]
pairs, firsts = [], []
for (_, at, _, _), doc in zip(arrays, docs):
    shape, chunks, _, _, _, key = understand(doc)
    firsts.append(len(pairs))
    for pos in itertools.product(*(range(-(-s // c)) for s, c in zip(shape, chunks))):
        pairs.append((f"{at}/{key(pos)}", path(len(pairs))))
curl(pairs)
for (name, at, want, _), doc, first in zip(arrays, docs, firsts):
    report.check(name, lambda: assemble(doc, at, first), want)
version = subprocess.run(["curl", "--version"], stdout=subprocess.PIPE).stdout.split()[1].decode()
report.end({"curl": version, "chunks": len(pairs), "numcodecs": numcodecs.__version__})
