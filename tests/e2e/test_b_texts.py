"""Texts in data files: netCDF-3 and -4, HDF5, Zarr 2 and 3 of fixed and of any length, as xarray reads them."""
import gzip
import json
import struct
import subprocess

import numpy as np
import pytest

import lzr

h5py = lzr.need_module("h5py")
NAMES = np.array([["Zürich", "", "東京"], ["a", "Þingvellir", "𝄞"]], object)
READ = """
import json, sys, warnings
import xarray
warnings.simplefilter("ignore")
out = {}
for url in sys.argv[1:]:
    with xarray.open_zarr(url, consolidated=False) as d:
        out[url] = {k: [v.dims, [t.decode() if isinstance(t, bytes) else t for t in v.values.ravel().tolist()]]
                    for k, v in d.variables.items()}
print(json.dumps(out))
"""


def variable(texts):
    """A chunk of vlen-utf8."""
    parts = [t.encode() for t in texts]
    return struct.pack("<I", len(parts)) + b"".join(struct.pack("<I", len(p)) + p for p in parts)


def chunked(values, chunks=(1, 2)):
    """{the place of a chunk: its texts}; beyond the array they are empty."""
    padded = np.full((2, 4), "", object)
    padded[:, :3] = values
    return {(i, j): padded[i:i + 1, 2 * j:2 * j + 2].ravel() for i in range(2) for j in range(2)}


def zarr2(folder, dtype, pack, **more):
    folder.mkdir(parents=True)
    (folder / ".zarray").write_text(json.dumps({
        "zarr_format": 2, "shape": [2, 3], "chunks": [1, 2], "dtype": dtype, "order": "C", "fill_value": "",
        "filters": None, "compressor": {"id": "gzip", "level": 1}, **more}))
    (folder / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["y", "x"], "units": "1"}')
    for (i, j), texts in chunked(NAMES).items():
        (folder / f"{i}.{j}").write_bytes(gzip.compress(pack(texts)))


def zarr3(folder, kind, codecs, pack, **more):
    folder.mkdir(parents=True)
    (folder / "zarr.json").write_text(json.dumps({
        "zarr_format": 3, "node_type": "array", "shape": [2, 3], "data_type": kind, "fill_value": "", "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 2]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "attributes": {"units": "1"},
        "dimension_names": ["y", "x"], **more}))
    for (i, j), texts in chunked(NAMES).items():
        (folder / f"c/{i}").mkdir(parents=True, exist_ok=True)
        (folder / f"c/{i}/{j}").write_bytes(pack(texts))


def write(folder):
    """{file: {array: its dims and texts}}"""
    flat = NAMES.ravel().tolist()
    with h5py.File(folder / "h.h5", "w") as f:
        f.create_dataset("g/names", data=NAMES, dtype=h5py.string_dtype())
        f["one"], f["bytes"], f["v"] = "alone", np.array([b"ab", b"c"]), np.arange(2)
        f.create_dataset("bad", data=np.array([b"\xff"], object), dtype=h5py.string_dtype())
        f["v"].make_scale("v")
        f["bytes"].dims[0].attach_scale(f["v"])
    z = folder / "two.zarr"
    zarr2(z / "fixed", "<U10", lambda t: np.array(t, "<U10").tobytes())
    zarr2(z / "any", "|O", variable, filters=[{"id": "vlen-utf8"}])
    zarr2(z / "fortran", "<U10", lambda t: b"", order="F")
    zarr2(z / "short", "|O", lambda t: variable(t)[:-1], filters=[{"id": "vlen-utf8"}])
    zarr2(z / "pickled", "|O", lambda t: b"", filters=[{"id": "pickle"}])
    zarr2(z / "filled", "<U10", lambda t: b"", fill_value="x")
    (z / ".zgroup").write_text('{"zarr_format": 2}')
    z = folder / "three.zarr"
    zarr3(z / "any", "string", [{"name": "vlen-utf8"}, {"name": "gzip", "configuration": {"level": 1}}],
          lambda t: gzip.compress(variable(t)))
    zarr3(z / "fixed", {"name": "fixed_length_utf32", "configuration": {"length_bytes": 40}},
          [{"name": "bytes", "configuration": {"endian": "big"}}], lambda t: np.array(t, ">U10").tobytes())
    (z / "fixed/c/1/1").unlink()
    (z / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    nothing = [*flat[:5], ""]
    wanted = {"h.h5": {"one": [[], ["alone"]], "bytes": [["v"], ["ab", "c"]]},
              "two.zarr": {"fixed": [["y", "x"], flat], "any": [["y", "x"], flat]},
              "three.zarr": {"any": [["y", "x"], flat], "fixed": [["y", "x"], nothing]}}
    scipy_io = lzr.need_module("scipy.io")
    f = scipy_io.netcdf_file(folder / "old.nc", "w")
    for name, n in (("station", 2), ("strlen", 5)):
        f.createDimension(name, n)
    f.createVariable("code", "c", ("station", "strlen"))[:] = np.array([list("hello"), list("wo\0\0\0")], "S1")
    f.close()
    wanted["old.nc"] = {"code": [["station"], ["hello", "wo"]]}
    return wanted


def test_texts_of_files(tmp_path):
    wanted = write(tmp_path)
    python = lzr.ENVS / "py311/bin/python"
    lzr.need(python.exists(), "the environment py311 of tests/clients/setup.sh")
    with lzr.Server([tmp_path / f for f in wanted], "--workers", "2", "--no-access-log") as srv:
        urls = {f"{srv.url}/{face}/{f.split('.')[0]}.zarr": f for f in wanted for face in ("zarr2", "zarr3")}
        r = subprocess.run([python, "-c", READ, *urls], capture_output=True, text=True, timeout=120, env=lzr.environment())
        assert r.returncode == 0, r.stderr[-2000:]
        for url, got in json.loads(r.stdout).items():
            assert {k: v for k, v in got.items() if k != "v"} == wanted[urls[url]], url
        assert srv.get("/zarr2/two.zarr/any/.zattrs").json()["units"] == "1"
        three = srv.get("/zarr3/h.zarr/g/names/zarr.json").json()
        assert three["shape"] == [2, 3] and three["data_type"]["configuration"] == {"length_bytes": 40}
        for name, said in (("bad", "can't decode"), ("fortran", "order of Fortran"), ("short", "ends too early"),
                           ("pickled", "is no number's"), ("filled", "fill value 'x' isn't the empty text")):
            line = next(v for v in srv.log.splitlines() if f"{name}' is left out" in v)
            assert said in line, line


def test_functions_and_other_chunks_leave_texts_as_they_are(tmp_path):
    write(tmp_path)
    (tmp_path / "ops.py").write_text("def twice(block, data):\n    return data * 2\n")
    with lzr.Server(tmp_path / "h.h5", "--workers", "1", "--op", "ops:twice", "--rechunk", "v=1", cwd=tmp_path) as srv:
        assert lzr.read_array(srv, "/zarr2/h.zarr/twice").tolist() == [0, 2]
        for at in ("bytes", "rechunked/bytes"):
            assert srv.get(f"/zarr2/h.zarr/{at}/.zarray").json()["dtype"] == "|S2"
            assert lzr.read_array(srv, f"/zarr2/h.zarr/{at}").tolist() == [b"ab", b"c"]


@pytest.mark.parametrize("inner,said", [("one", None), ("bad", "'/bad' can't be served: UnicodeDecodeError")])
def test_one_array_of_texts(tmp_path, inner, said):
    write(tmp_path)
    r = lzr.run("describe", f"{tmp_path / 'h.h5'}::{inner}")
    assert r.returncode == (1 if said else 0) and (said or "") in r.stderr.decode(), r.stderr


def test_texts_are_no_source(tmp_path):
    write(tmp_path)
    (tmp_path / "s.py").write_text("import lazarr\nlazarr.source('a', 'h.h5::one')\n")
    r = lzr.run("describe", tmp_path / "s.py")
    assert r.returncode == 1 and b"it holds texts, which are no source: lazarr.dataset" in r.stderr


@pytest.mark.parametrize("over,said", [
    ({"shape": [1 << 20, 1 << 20], "chunks": [1 << 20, 1]}, "are more than the"),
    ({"shape": [1 << 21, 2], "chunks": [1, 1]}, "more than 65536 chunks"), ({"dtype": "<U900000", "shape": [200, 3]}, "are more than"),
    ({"chunks": [0, 2]}, "chunks"), ({"shape": "many"}, "no list of integers")])
def test_what_declares_too_much_is_a_line(tmp_path, over, said):
    zarr2(tmp_path / "a.zarr", **{"dtype": "<U10", "pack": lambda t: b"", **over})
    r = lzr.run("describe", tmp_path / "a.zarr")
    assert r.returncode == 1 and said in r.stderr.decode() and r.stderr.count(b"\n") == 1, r.stderr
