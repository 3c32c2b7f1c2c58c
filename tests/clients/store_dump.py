"""Tries real zarr readers on the store layer alone, without a server.

    store_dump.py STORE_DUMP        STORE_DUMP: the program built from store_dump.c

Makes a manifest with arrays of every dtype, codec and rank and their values with NumPy, has
STORE_DUMP write every key as a file, and reads the files back: with zarr-python 2 (v2 only) or 3
(both faces), whichever this Python has, and with xarray where it is there. Exits 1 at the first
difference. Run by hand; the served bytes are compared in tests/e2e and tests/clients.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

DIGEST = "0123456789abcdef" * 2
DTYPES = "|b1 |i1 |u1 <i2 >i2 <u2 <i4 >u4 <i8 <u8 >u8 <f2 >f2 <f4 >f4 <f8 <c8 >c16".split()
CODECS = [None] + [
    {"id": "blosc", "cname": c, "clevel": 5, "shuffle": s}
    for c, s in [("blosclz", "shuffle"), ("lz4", "noshuffle"), ("lz4hc", "bitshuffle"),
                 ("zlib", "shuffle"), ("zstd", "shuffle"), ("snappy", "shuffle")]
] + [{"id": "zstd", "level": 3}, {"id": "gzip", "level": 1}, {"id": "gzip", "level": 0}]
SHAPES = [((), ()), ((7,), (3,)), ((10, 20), (4, 8)), ((5, 4, 9), (5, 3, 4)),
          ((2, 3, 2, 5, 4), (1, 2, 2, 2, 3)), ((0, 5), (2, 2)), ((3,), (100,))]
FILLS = {"f": "NaN", "u": "7", "i": "-1", "b": True, "c": ["1.5", "-Infinity"]}


def arrays():
    for n, dtype in enumerate(DTYPES * 2):
        shape, chunks = SHAPES[n % len(SHAPES)]
        fill = FILLS[dtype[1]] if n % 3 == 0 else None
        yield {"path": f"{'g/' * (n % 3)}a{n}", "kind": "plain", "dtype": dtype, "fill_value": fill,
               "dims": [f"d{n}_{i}" for i in range(len(shape))] if n % 2 else None,
               "levels": [{"shape": list(shape), "chunks": list(chunks)}],
               "separator": "./"[n % 2], "compressor": CODECS[n % len(CODECS)],
               "attributes": {"n": n, "big": 2**63 + 1, "text": "\u00e4\U0001f600"},
               "digest": DIGEST}
    for n, (kind, axes) in enumerate([("image", "tczyx"), ("image", "yx"), ("labels", "zyx")]):
        levels = [{"shape": [9 - 4 * k] * len(axes), "chunks": [4] * len(axes),
                   "scale": [2.0**k] * len(axes), "translation": [(2**k - 1) / 2] * len(axes),
                   "factor": [2**k] * len(axes)}
                  for k in range(n)] or [{"shape": [2, 3, 4, 5, 6], "chunks": [1, 2, 3, 4, 5]}]
        yield {"path": f"images/i{n}", "kind": kind, "dtype": "<u2", "fill_value": None,
               "dims": list(axes), "units": [None] * len(axes), "levels": levels,
               "pyramid": "mean",
               "compressor": CODECS[n + 1], "attributes": {"mine": 1}, "digest": DIGEST}


def values(dtype, shape, rng):
    d = np.dtype(dtype)
    size = int(np.prod(shape, dtype=int))
    if d.kind == "f":
        v = rng.standard_normal(size).astype(d)
    elif d.kind == "c":
        v = (rng.standard_normal(size) + 1j * rng.standard_normal(size)).astype(d)
    else:
        raw = rng.integers(0, 256, size * d.itemsize, dtype=np.uint8)
        v = (raw & 1 if d.kind == "b" else raw).view(d)
    return v.reshape(shape)


def check(array, want, item, where):
    got = np.asarray(array[...])
    assert array.shape == want.shape, (where, array.shape)
    assert np.dtype(got.dtype) == want.dtype.newbyteorder("=") or got.dtype == want.dtype, where
    np.testing.assert_array_equal(got, want, err_msg=where)
    if item["kind"] == "plain":
        assert dict(array.attrs)["big"] == 2**63 + 1, where


def read_face(path, face, items, data, version):
    kw = {"zarr_format": face} if version >= 3 else {}
    count = 0
    for group in (zarr.open_group(str(path), mode="r", **kw),
                  zarr.open_consolidated(str(path), mode="r", **kw)):
        for n, item in enumerate(items):
            if version >= 3 and (item["compressor"] or {}).get("cname") == "snappy":
                continue  # no wheel of numcodecs has it; Debian's zarr-python 2 reads it
            for k in range(len(item["levels"])):
                name = item["path"] + ("" if item["kind"] == "plain" else f"/{k}")
                check(group[name], data[n, k], item, f"{path}/{name}")
                count += 1
        names = set()
        group.visit(names.add) if version < 3 else names.update(k for k, _ in group.members(None))
        want = {i["path"] for i in items} | {f"{i['path']}/{k}" for i in items
                                            for k in range(len(i["levels"]))
                                            if i["kind"] != "plain"}
        assert want <= names, want - names
    return count


def read_xarray(path, items):
    try:
        import xarray
    except ImportError:
        print("SKIPPED: no xarray in this Python")
        return
    ds = xarray.open_zarr(str(path), consolidated=True, mask_and_scale=False)
    wanted = {i["path"] for i in items if i["kind"] == "plain" and "/" not in i["path"]}
    assert wanted <= set(ds.variables), wanted - set(ds.variables)
    for name in wanted:
        ds[name].values  # noqa: B018  (reads it)
    print(f"xarray opened {len(wanted)} variables of {path.name}")


def main():
    version = int(zarr.__version__.split(".")[0])
    rng = np.random.default_rng(1)
    items = list(arrays())
    data = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "raw").mkdir()
        for n, item in enumerate(items):
            for k, level in enumerate(item["levels"]):
                data[n, k] = values(item["dtype"], level["shape"], rng)
                (folder / "raw" / f"{n}.{k}").write_bytes(data[n, k].tobytes())
        (folder / "m.json").write_text(json.dumps({"lazarr": 1, "digest": DIGEST, "arrays": items}))
        subprocess.run([sys.argv[1], folder / "m.json", folder / "raw", folder / "out"], check=True)
        for face in (2, 3) if version >= 3 else (2,):
            root = folder / "out" / f"zarr{face}" / "dump.zarr"
            count = read_face(root, face, items, data, version)
            print(f"zarr-python {zarr.__version__}: {count} arrays of zarr v{face} are right")
            read_xarray(root, items)
        for doc in (folder / "out").rglob("zarr.json"):
            json.loads(doc.read_text())


if __name__ == "__main__":
    main()
