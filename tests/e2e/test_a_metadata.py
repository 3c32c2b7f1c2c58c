"""Zarr documents: every dtype, every fill value, exact numbers, groups, codecs, images."""
import json
import math

import numpy as np
import pytest

import lzr

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
          "float32", "float64", "complex64", "complex128"]

# (dtype, what Python is given, what both documents say)
FILLS = [
    ("bool", "True", True), ("bool", "False", False),
    ("int8", "-128", -128), ("int16", "32767", 32767), ("int32", "-2147483648", -2**31),
    ("int64", "-9223372036854775808", -2**63), ("int64", "9007199254740993", 2**53 + 1),
    ("uint8", "255", 255), ("uint32", "4294967295", 2**32 - 1),
    ("uint64", "18446744073709551615", 2**64 - 1), ("uint64", "9007199254740993", 2**53 + 1),
    ("float32", "0.1", 0.1), ("float64", "0.1", 0.1), ("float64", "1e300", 1e300),
    ("float64", "5e-324", 5e-324), ("float64", "1/3", 1 / 3), ("float16", "65504", 65504),
    ("float32", "16777217", 16777216), ("float64", "-0.0", -0.0),
    ("float32", "float('nan')", "NaN"), ("float64", "float('inf')", "Infinity"),
    ("float16", "float('-inf')", "-Infinity"), ("float64", "np.nan", "NaN"),
    ("complex64", "1-2j", [1, -2]), ("complex128", "complex(float('nan'), float('inf'))",
                                    ["NaN", "Infinity"]),
    ("complex128", "0.1j", [0, 0.1]), ("complex64", "3", [3, 0]),
]


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    text = "import lazarr, numpy as np\nLEFT = {}\n"
    for i, (dtype, given, _) in enumerate(FILLS):
        for order in "<>":
            text += (f"lazarr.array('fill{i}{'be' if order == '>' else 'le'}', shape=(3,), chunks=(4,), "
                     f"dtype=np.dtype('{dtype}').newbyteorder('{order}'), fill_value={given}, "
                     f"compressor=None)(lambda block: block.data.__setitem__(slice(0, 0), 0))\n")
    for d in DTYPES:
        for order in "<>":
            text += (f"lazarr.array('{d}{'be' if order == '>' else 'le'}', shape=(4,), chunks=(4,), "
                     f"dtype=np.dtype('{d}').newbyteorder('{order}'), compressor=None)"
                     f"(lambda block: np.array([0, 1, 1, 0], '{d}'))\n")
    text += """
ATTRS = {"int": 9007199254740993, "huge": 123456789012345678901234567890, "neg": -1, "f": 0.1,
         "tiny": 5e-324, "big": 1.7976931348623157e308, "third": 1/3, "one": 1.0, "t": True, "n": None,
         "s": 'µ"\\\\\\n\\u0001\\U0001F9E0', "list": [1, [2.5, {"k": "v"}]], "empty": {}, "": "no name"}
lazarr.array('attrs', shape=(1,), chunks=(1,), dtype='u1', attributes=ATTRS)(lambda b: 0)
lazarr.group('', attributes={"title": "the root"})
lazarr.group('only/groups', attributes=ATTRS)
lazarr.array('big', shape=(2**62,), chunks=(2**20,), dtype='u1')(lambda b: 0)
lazarr.array('eight', shape=(2,)*8, chunks=(1,)*8, dtype='u1', separator='/')(lambda b: 0)
lazarr.array('slash', shape=(4, 4), chunks=(2, 2), dtype='u1', separator='/')(lambda b: 1)
lazarr.array('im', shape=(2, 3, 8, 9, 10), chunks=(1, 1, 4, 4, 4), dtype='u2', axes='tczyx',
             units=('second', None, 'nanometer', 'micrometer', 'micrometer'),
             scale=(0.5, 1, 100, 0.25, 0.25), translation=(0, 0, 50, 1, 1),
             attributes={"mine": 1})(lambda b: 0)
"""
    for cname in ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"):
        for shuffle in ("noshuffle", "shuffle", "bitshuffle"):
            text += (f"lazarr.array('codecs/{cname}_{shuffle}', shape=(9,), chunks=(5,), dtype='<i4', "
                     f"compressor=lazarr.Blosc('{cname}', 7, '{shuffle}'))(lambda b: b.coords()[0])\n")
    for level in (0, 1, 9):
        text += (f"lazarr.array('codecs/gzip{level}', shape=(9,), chunks=(5,), dtype='<i4', "
                 f"compressor=lazarr.Gzip({level}))(lambda b: b.coords()[0])\n")
    for level in (-5, 1, 22):
        text += (f"lazarr.array('codecs/zstd{level}', shape=(9,), chunks=(5,), dtype='<i4', "
                 f"compressor=lazarr.Zstd({level}))(lambda b: b.coords()[0])\n")
    path = tmp_path_factory.mktemp("meta") / "m.py"
    path.write_text(text)
    with lzr.Server(path, "--workers", "1") as server:
        yield server


def same(a, b):
    """Equal, a number's sign of zero and int or float kind included where that matters."""
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (str, bool)) or isinstance(b, (str, bool)):
        return type(a) is type(b) and a == b
    return a == b and math.copysign(1, a) == math.copysign(1, b)


@pytest.mark.parametrize("i", range(len(FILLS)), ids=[f"{d}-{g}" for d, g, _ in FILLS])
@pytest.mark.parametrize("order", ["le", "be"])
def test_fill_values(srv, i, order):
    """Fill values incl. NaN, infinities, uint64 above 2^53, complex, bool; numbers round-trip, in the
    documents and in the bytes behind an array's end."""
    dtype, given, want = FILLS[i]
    name = f"fill{i}{order}"
    v2, v3 = srv.get(f"/zarr2/m.zarr/{name}/.zarray"), srv.get(f"/zarr3/m.zarr/{name}/zarr.json")
    for got in (v2.json()["fill_value"], v3.json()["fill_value"]):
        if dtype == "float16" and not isinstance(want, str):
            got = float(np.float16(got))  # the fewest digits that give the same float16
        assert same(got, want)
    if "int" in dtype:
        assert type(v3.json()["fill_value"]) is int
        assert f"{want}".encode() in v3.body  # digits, not 1.8e19
    dt = np.dtype(dtype).newbyteorder("<" if order == "le" else ">")
    raw = np.frombuffer(srv.chunk(f"/zarr2/m.zarr/{name}/0"), dt)
    value = eval(given, {"np": np})
    with np.errstate(all="ignore"):
        assert raw.tobytes() == np.full(4, value, dt).tobytes() or (
            dt.kind in "fc" and np.array_equal(raw, np.full(4, value, dt), equal_nan=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["le", "be"])
def test_dtypes(srv, dtype, order):
    name, dt = dtype + order, np.dtype(dtype).newbyteorder("<" if order == "le" else ">")
    v2, v3 = srv.get(f"/zarr2/m.zarr/{name}/.zarray").json(), srv.get(f"/zarr3/m.zarr/{name}/zarr.json").json()
    assert v2["dtype"] == (dt.str if dt.itemsize > 1 else "|" + dt.str[1:])
    assert v3["data_type"] == dtype
    endian = v3["codecs"][0].get("configuration", {}).get("endian")
    assert endian == (None if dt.itemsize == 1 else "little" if order == "le" else "big")
    want = np.array([0, 1, 1, 0]).astype(dt).tobytes()
    assert srv.chunk(f"/zarr2/m.zarr/{name}/0") == srv.chunk(f"/zarr3/m.zarr/{name}/c/0") == want
    # A 0 that nobody asked for is null in v2 (but for uint64), a number in v3.
    assert v2["fill_value"] == (0 if dtype == "uint64" else None)
    assert v3["fill_value"] in (0, False, [0, 0]) and v3["fill_value"] is not None


ATTRS = {"int": 9007199254740993, "huge": 123456789012345678901234567890, "neg": -1, "f": 0.1,
         "tiny": 5e-324, "big": 1.7976931348623157e308, "third": 1 / 3, "one": 1.0, "t": True, "n": None,
         "s": 'µ"\\\n\u0001\U0001F9E0', "list": [1, [2.5, {"k": "v"}]], "empty": {}, "": "no name"}


def test_attributes_are_exact(srv):
    for doc in (srv.get("/zarr2/m.zarr/attrs/.zattrs").json(),
                srv.get("/zarr3/m.zarr/attrs/zarr.json").json()["attributes"],
                srv.get("/zarr2/m.zarr/only/groups/.zattrs").json(),
                srv.get("/zarr3/m.zarr/only/groups/zarr.json").json()["attributes"]):
        got = {k: doc[k] for k in ATTRS}
        assert got == ATTRS
        assert type(got["int"]) is type(got["huge"]) is int
    assert srv.get("/zarr2/m.zarr/.zattrs").json()["title"] == "the root"
    assert srv.get("/zarr3/m.zarr/zarr.json").json()["attributes"]["title"] == "the root"


def test_large_arrays(srv):
    meta = srv.get("/zarr3/m.zarr/big/zarr.json")
    assert meta.json()["shape"] == [2**62] and b"4611686018427387904" in meta.body
    assert srv.get("/zarr2/m.zarr/big/.zarray").json()["shape"] == [2**62]
    last = 2**42 - 1
    assert srv.get(f"/zarr2/m.zarr/big/{last}").status == 200
    assert srv.get(f"/zarr2/m.zarr/big/{last + 1}").status == 404


def test_eight_axes_and_slash_keys(srv):
    assert srv.get("/zarr2/m.zarr/eight/.zarray").json()["dimension_separator"] == "/"
    assert srv.chunk("/zarr2/m.zarr/eight/" + "/".join("1" * 8)) == srv.chunk(
        "/zarr3/m.zarr/eight/c/" + "/".join("1" * 8))
    assert srv.get("/zarr2/m.zarr/slash/0/1").status == 200
    assert srv.get("/zarr2/m.zarr/slash/0.1").status == 404
    assert srv.get("/zarr2/m.zarr/attrs/.zarray").json().get("dimension_separator", ".") == "."


@pytest.mark.parametrize("cname", ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"])
@pytest.mark.parametrize("shuffle", ["noshuffle", "shuffle", "bitshuffle"])
def test_blosc(srv, cname, shuffle):
    base = f"m.zarr/codecs/{cname}_{shuffle}"
    v2 = srv.get(f"/zarr2/{base}/.zarray").json()["compressor"]
    assert v2 == {"id": "blosc", "cname": cname, "clevel": 7, "blocksize": 0,
                  "shuffle": ["noshuffle", "shuffle", "bitshuffle"].index(shuffle)}
    v3 = srv.get(f"/zarr3/{base}/zarr.json").json()["codecs"][1]
    assert v3["name"] == "blosc" and v3["configuration"].pop("typesize") == 4
    assert v3["configuration"] == {"cname": cname, "clevel": 7, "shuffle": shuffle, "blocksize": 0}
    check_values(srv, base, v2)


@pytest.mark.parametrize("codec,level", [("gzip", 0), ("gzip", 1), ("gzip", 9), ("zstd", -5),
                                         ("zstd", 1), ("zstd", 22)])
def test_gzip_and_zstd(srv, codec, level):
    base = f"m.zarr/codecs/{codec}{level}"
    v2 = srv.get(f"/zarr2/{base}/.zarray").json()["compressor"]
    assert v2["id"] == codec and v2["level"] == level
    v3 = srv.get(f"/zarr3/{base}/zarr.json").json()["codecs"][1]
    assert v3["name"] == codec and v3["configuration"]["level"] == level
    if codec == "zstd":
        assert v3["configuration"]["checksum"] is False
    else:
        data = srv.chunk(f"/zarr2/{base}/0")
        assert data[:4] == b"\x1f\x8b\x08\0" and data[4:8] == b"\0\0\0\0"  # no name, no time
    check_values(srv, base, v2)


def check_values(srv, base, compressor):
    for chunk, want in ((0, [0, 1, 2, 3, 4]), (1, [5, 6, 7, 8, 0])):
        data = srv.chunk(f"/zarr2/{base}/{chunk}")
        assert data == srv.chunk(f"/zarr3/{base}/c/{chunk}")
        assert np.frombuffer(lzr.decode(data, compressor), "<i4").tolist() == want


def test_image_documents(srv):
    """OME 0.4 in v2 and 0.5 in v3, from the start with one level, so that URLs never change."""
    v2 = srv.get("/zarr2/m.zarr/im/.zattrs").json()
    v3 = srv.get("/zarr3/m.zarr/im/zarr.json").json()["attributes"]
    assert v2["multiscales"][0]["version"] == "0.4"
    assert v3["ome"]["version"] == "0.5" and "version" not in v3["ome"]["multiscales"][0]
    assert v2["mine"] == v3["mine"] == 1
    for ms in (v2["multiscales"][0], v3["ome"]["multiscales"][0]):
        assert [a["name"] for a in ms["axes"]] == list("tczyx")
        assert [a["type"] for a in ms["axes"]] == ["time", "channel", "space", "space", "space"]
        assert [a.get("unit") for a in ms["axes"]] == ["second", None, "nanometer", "micrometer",
                                                       "micrometer"]
        (level,) = ms["datasets"]
        assert level["path"] == "0"
        assert [t["type"] for t in level["coordinateTransformations"]] == ["scale", "translation"]
        assert level["coordinateTransformations"][0]["scale"] == [0.5, 1, 100, 0.25, 0.25]
        assert level["coordinateTransformations"][1]["translation"] == [0, 0, 50, 1, 1]
    assert srv.get("/zarr2/m.zarr/im/0/.zarray").json()["dimension_separator"] == "/"
    assert srv.get("/zarr2/m.zarr/im/0/.zarray").json()["fill_value"] == 0


def test_documents_are_json_and_the_same_twice(srv):
    doc = srv.get("/zarr2/m.zarr/.zmetadata")
    assert doc["Content-Type"] == "application/json"
    assert srv.get("/zarr2/m.zarr/.zmetadata").body == doc.body
    seen = []
    json.loads(doc.body, object_pairs_hook=lambda pairs: seen.append([k for k, _ in pairs]) or dict(pairs))
    assert all(len(keys) == len(set(keys)) for keys in seen)  # no name twice in one object
    assert len(doc.json()["metadata"]) > 2 * (len(FILLS) + len(DTYPES)) * 2
