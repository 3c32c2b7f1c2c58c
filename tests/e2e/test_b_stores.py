"""Stores that can't be served are refused before anything is served: one line with file, array,
parameter and reason (and the Python traceback where there is one), exit status 1. Wrong usage: 2."""
import os
import re
import time

import pytest

import lzr

HEAD = "import lazarr, numpy as np\n"
GOOD = dict(shape="(8,)", chunks="(4,)", dtype="'uint8'")


def array(path="'a'", **change):
    """A store with one array, some of whose parameters are given as code."""
    given = {**GOOD, **change}
    args = ", ".join([path, *(f"{k}={v}" for k, v in given.items() if v is not None)])
    return HEAD + f"@lazarr.array({args})\ndef f(block):\n    return 0\n"


def two(a, b):
    return array(a) + array(b)[len(HEAD):]


# name: (text of the store, words of the one line beside the file's name)
CASES = {
    # names
    "duplicate": (two("'a'", "'a'"), ["a", "path", "already"]),
    "inside": (two("'a'", "'a/b'"), ["a/b", "a", "inside"]),
    "inside_reversed": (two("'a/b/d'", "'a/b'"), ["a/b/d", "inside"]),
    "inside_image": (array("'a'", shape="(8, 8)", chunks="4", axes="'yx'") + array("'a/0'")[len(HEAD):],
                     ["a/0", "inside"]),
    "group_is_array": (array() + "lazarr.group('a')\n", ["a", "group"]),
    "group_inside": (array() + "lazarr.group('a/b')\n", ["a/b", "group"]),
    **{f"name_{i}": (array(repr(n)), ["path", repr(n) if 0 < len(n) < 300 else "path"]) for i, n in enumerate(
        [".", "..", "a/..", "../a", "a/./b", "", "/", "/a", "a/", "a//b", ".zarray", ".zattrs", ".zgroup",
         ".zmetadata", ".zfoo", "a/.zarray", "zarr.json", "attributes.json", "info", "c", "a/c", "labels",
         "a/labels/b", "__x", "a/__b", "~x", "a/~b", "a b", "a?b", "a%2f", "a#", "µ", "a\\b", "a\nb",
         "a\0b", "x" * 201, "/".join(["x" * 99] * 20)])},
    "group_name": (array() + "lazarr.group('zarr.json')\n", ["group", "zarr.json"]),
    "path_type": (array("3"), ["path", "3"]),
    # shapes
    "chunk_0": (array(shape="(8, 8, 8)", chunks="(4, 4, 0)"), ["a", "chunks", "0", "axis 2"]),
    "chunk_negative": (array(chunks="(-4,)"), ["a", "chunks", "-4"]),
    "chunk_rank": (array(chunks="(4, 4)"), ["a", "chunks"]),
    "chunk_float": (array(chunks="2.5"), ["a", "chunks", "2.5"]),
    "chunk_large": (array(shape="(1 << 40,)", chunks="((256 << 20) + 1,)"), ["a", "chunks", "268435456"]),
    "chunk_large_items": (array(shape="(1 << 40,)", chunks="(32 << 20,)", dtype="'complex128'"),
                          ["a", "chunks", "536870912"]),
    "chunk_overflow": (array(shape="(2**31, 2**31)", chunks="(2**62, 2**62)"), ["a", "chunks"]),
    "no_chunks": (array(chunks=None), ["a", "chunks"]),
    "no_shape": (array(shape=None), ["a", "shape"]),
    "no_dtype": (array(dtype=None), ["a", "dtype"]),
    "negative_shape": (array(shape="(-1,)"), ["a", "shape", "-1"]),
    "nine_axes": (array(shape="(1,) * 9", chunks="(1,) * 9"), ["a", "shape", "9", "8"]),
    "too_many_elements": (array(shape="(2**62 + 1,)"), ["a", "shape"]),
    "shape_overflow": (array(shape="(2**40, 2**40)", chunks="(1, 1)"), ["a", "shape"]),
    "shape_text": (array(shape="'8'"), ["a", "shape"]),
    # types
    **{f"dtype_{i}": (array(dtype=d), ["a", "dtype"]) for i, d in enumerate(
        ["'float128'", "'complex256'", "'datetime64[s]'", "'S4'", "'U4'", "object", "'nonsense'", "'V3'",
         "[('a', 'u1')]", "'timedelta64[s]'", "'(2,)u1'"])},
    "fill_range": (array(fill_value="300"), ["a", "fill_value", "300"]),
    "fill_float": (array(fill_value="1.5"), ["a", "fill_value", "1.5"]),
    "fill_text": (array(fill_value="'x'"), ["a", "fill_value"]),
    "dims_few": (array(dims="('a', 'b')"), ["a", "dims"]),
    "dims_twice": (array(shape="(8, 8)", chunks="4", dims="('a', 'a')"), ["a", "dims"]),
    "axes_unknown": (array(shape="(8, 8)", chunks="4", axes="'qx'"), ["a", "axes"]),
    "axes_order": (array(shape="(8, 8)", chunks="4", axes="'xy'"), ["a", "axes"]),
    "axes_rank": (array(shape="(8, 8)", chunks="4", axes="'zyx'"), ["a", "axes"]),
    "units_unknown": (array(shape="(8, 8)", chunks="4", axes="'yx'", units="'furlong'"),
                      ["a", "units", "furlong"]),
    "scale_zero": (array(shape="(8, 8)", chunks="4", axes="'yx'", scale="(0, 1)"), ["a", "scale"]),
    "scale_nan": (array(shape="(8, 8)", chunks="4", axes="'yx'", scale="float('nan')"), ["a", "scale"]),
    "labels_float": (array(shape="(8, 8)", chunks="4", axes="'yx'", kind="'labels'", dtype="'float32'"),
                     ["a", "labels", "float32"]),
    "kind": (array(kind="'mesh'"), ["a", "kind", "mesh"]),
    "attributes_nan": (array(attributes="{'x': float('nan')}"), ["a", "attributes"]),
    "attributes_object": (array(attributes="{'x': object()}"), ["a", "attributes"]),
    "attributes_list": (array(attributes="[1]"), ["a", "attributes"]),
    "timeout_0": (array(timeout="0"), ["a", "timeout"]),
    "timeout_nan": (array(timeout="float('nan')"), ["a", "timeout"]),
    "separator": (array(separator="'-'"), ["a", "separator"]),
    "unknown_parameter": (array(chunk="4"), ["a", "chunk"]),
    # codecs
    "codec_unknown": (array(compressor="{'id': 'lzma'}"), ["a", "codec", "lzma"]),
    "codec_type": (array(compressor="'blosc'"), ["a", "compressor", "blosc"]),
    "codec_parameter": (array(compressor="{'id': 'gzip', 'strength': 3}"), ["a", "gzip", "parameter"]),
    "blosc_cname": (array(compressor="lazarr.Blosc('lz5')"), ["cname", "lz5"]),
    "blosc_level": (array(compressor="lazarr.Blosc(clevel=10)"), ["clevel", "10"]),
    "blosc_shuffle": (array(compressor="lazarr.Blosc(shuffle='twice')"), ["shuffle", "twice"]),
    "gzip_level": (array(compressor="lazarr.Gzip(10)"), ["level", "10"]),
    "zstd_level": (array(compressor="lazarr.Zstd(23)"), ["level", "23"]),
    # later features, refused by name
    "halo_negative": (array(halo="-1"), ["a", "halo", "-1"]),
    "halo": (array(halo="2"), ["a", "halo", "needs inputs"]),
    "inputs": (array() + "@lazarr.array('b', inputs=[f], shape=(9,), chunks=(4,), dtype='u1')\n"
               "def g(block, x):\n    return x\n", ["b", 'input "a"', "length 8", "9"]),
    "circle": (array(inputs="['b']") + "@lazarr.array('b', inputs=[f])\ndef g(block, x):\n    return x\n",
               ["inputs go in a circle: a -> b -> a"]),
    "levels": (array(levels="3"), ["a", "levels", "needs axes"]),
    "source_scalar": (HEAD + "lazarr.source('a', 5)\n", ["a", "shape"]),
    "source_raises": (HEAD + "@lazarr.source('a')\ndef f():\n    raise OSError('no such volume')\n",
                      ["no such volume"]),
    "nothing": (HEAD, ["no array"]),
    # Python
    "syntax": ("import lazarr\ndef f(:\n", ["SyntaxError", "2"]),
    "raises": (HEAD + "def inner():\n    1 / 0\ninner()\n", ["ZeroDivisionError", "division by zero"]),
    "import": ("import no_such_module_at_all\n", ["ModuleNotFoundError", "no_such_module_at_all"]),
    "exits": (HEAD + "import sys\nsys.exit(4)\n", ["SystemExit"]),
    "latin1": (None, ["SyntaxError"]),
}
TRACEBACK = {"raises": r"s\.py\", line 3, in inner", "import": r"line 1", "source_raises": r"line 4, in f"}


def said(result):
    """(the one line, what follows it)."""
    lines = result.stderr.decode().splitlines()
    assert lines, result
    return lines[0], "\n".join(lines[1:])


@pytest.mark.parametrize("name", CASES)
def test_refused(tmp_path, name):
    text, words = CASES[name]
    path = tmp_path / "s.py"
    path.write_bytes(b"x = '\xff'\n" if text is None else text.encode())
    r = lzr.run("serve", path, "--port", "0", "--workers", "2")
    line, rest = said(r)
    assert r.returncode == 1, r
    assert b"listening" not in r.stdout + r.stderr
    assert "s.py" in line
    for word in words:
        assert word.lower() in line.lower(), line
    if name in TRACEBACK:
        assert "Traceback" in rest and re.search(TRACEBACK[name], rest), rest
    elif name not in ("syntax", "latin1", "exits", "nothing"):
        # One line; a traceback may say where in the file, nothing else may follow.
        assert not rest or "Traceback" in rest, rest
    if 'array("' in text if text else False:
        assert re.search(r'array "', line)


@pytest.mark.parametrize("name", ["chunk_0", "syntax", "duplicate"])
@pytest.mark.parametrize("command", ["describe", "get"])
def test_describe_and_get_refuse_too(tmp_path, name, command):
    path = tmp_path / "s.py"
    path.write_text(CASES[name][0])
    r = lzr.run(command, path, *(["zarr3/s.zarr/zarr.json"] if command == "get" else []))
    assert r.returncode == 1 and r.stdout == b"" and "s.py" in said(r)[0], r


def test_a_good_store_beside_a_wrong_one(tmp_path):
    (tmp_path / "good.py").write_text(array())
    (tmp_path / "bad.py").write_text(array(chunks="(0,)"))
    with lzr.Server([tmp_path / "good.py", tmp_path / "bad.py"]) as srv:  # more: test_b_folders.py
        assert srv.chunk("/zarr3/good.zarr/a/c/0")
        assert "bad.py" in srv.get("/zarr3/bad.zarr/zarr.json").text


def test_files(tmp_path):
    for name, what in (("missing.py", "missing.py"), ("missing_folder/", "missing_folder")):
        r = lzr.run("serve", tmp_path / name, "--port", "0")
        assert r.returncode == 1 and what in said(r)[0], r
        assert re.search("(?i)no such file|not found|does not exist", said(r)[0])
    (tmp_path / "s.txt").write_text("x")
    r = lzr.run("serve", tmp_path / "s.txt", "--port", "0")
    assert r.returncode == 1 and "s.txt" in said(r)[0]
    (tmp_path / "empty").mkdir()
    r = lzr.run("serve", tmp_path / "empty", "--port", "0")
    assert r.returncode == 1 and "empty" in said(r)[0]
    if os.getuid() != 0:
        (tmp_path / "shut.py").write_text(array())
        (tmp_path / "shut.py").chmod(0)
        r = lzr.run("serve", tmp_path / "shut.py", "--port", "0")
        assert r.returncode == 1 and "shut.py" in said(r)[0]


def test_two_stores_with_one_stem(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    for path in ("x/s.py", "y/s.py"):
        (tmp_path / path).write_text(array())
    r = lzr.run("serve", tmp_path / "x/s.py", tmp_path / "y/s.py", "--port", "0")
    assert r.returncode == 1
    assert "x/s.py" in said(r)[0] and "y/s.py" in said(r)[0] and "'s'" in said(r)[0].replace('"', "'")


def test_two_workers_that_see_different_manifests(tmp_path):
    (tmp_path / "s.py").write_text(HEAD + """
import os
@lazarr.array("a", shape=(os.getpid(),), chunks=(4,), dtype="uint8")
def a(block):
    return 0
""")
    r = lzr.run("serve", tmp_path / "s.py", "--port", "0", "--workers", "2")
    line = said(r)[0]
    assert r.returncode == 1 and "s.py" in line and re.search("(?i)different|differ|same", line), r
    assert b"listening" not in r.stdout


def test_a_store_that_kills_its_worker_while_loading(tmp_path):
    (tmp_path / "s.py").write_text("import os\nos._exit(9)\n")
    start = time.monotonic()
    r = lzr.run("serve", tmp_path / "s.py", "--port", "0")
    assert r.returncode == 1 and "worker" in said(r)[0] and "9" in said(r)[0], r
    assert time.monotonic() - start < 30 * lzr.SLOW


@pytest.mark.parametrize("text,words", [
    ("{", ["not JSON"]), ("[]", ["arrays"]), ('{"arrays": [3]}', ["arrays"]),
    ('{"arrays": [{"path": "a", "shape": [1], "chunks": [1], "dtype": "uint8"}]}', ["a", "function"]),
    ('{"arrays": [{"path": "a", "shape": [1], "chunks": [0], "dtype": "uint8", "function": "os:getpid"}]}',
     ["a", "chunks", "0"]),
    ('{"arrays": [{"path": "a", "shape": [1], "chunks": [1], "dtype": "uint8", "function": "os:nope"}]}',
     ["a", "function", "nope"]),
    ('{"arrays": [{"path": "a", "shape": [1], "chunks": [1], "dtype": "uint8", "function": "nix_da:x"}]}',
     ["nix_da"]),
])
def test_manifests(tmp_path, text, words):
    (tmp_path / "m.json").write_text(text)
    r = lzr.run("serve", tmp_path / "m.json", "--port", "0")
    assert r.returncode == 1 and "m.json" in said(r)[0], r
    for word in words:
        assert word in said(r)[0]
