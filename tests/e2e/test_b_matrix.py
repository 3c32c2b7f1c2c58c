"""Data files by public writers × (values, axes, scale, units, channels, attributes, levels) × face: what each face
serves of a file is what its writer put into it. The rows stand in field_files.py and write_*.py; their table in
docs/sources.md is that of matrix_table.py."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import faces
import lzr
import matrix_table
import rows
import test_b_pythons

# The modules of rows, the interpreter that has their writers and the one whose libraries read them.
DEBIAN, WRITERS, READERS = "/usr/bin/python3", lzr.ENVS / "writers", lzr.ENVS / "readers"
MODULES = {"field_files": (DEBIAN, None), "write_debian": (DEBIAN, None), "write_newest": (WRITERS, WRITERS),
           "write_tiff": (WRITERS, WRITERS), "write_images": (READERS, READERS)}
PRE_TYPES = {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "float32"}
WIDENED = {"bool": "uint8", "float16": "float32"}
N5_OWN = ("units", "axes", "resolution", "offset", "translate", "transform", "n5", "omero")  # of N5's readers


def _python(where):
    if where is None:
        return []
    test_b_pythons.worker_for(where, 12, 2)
    return ["--python", where]


def _write(module, folder):
    python = MODULES[module][0]
    python = python if python == DEBIAN else python / "bin/python"
    r = subprocess.run([python, lzr.Path(rows.__file__), module, folder], capture_output=True, text=True,
                       timeout=300 * lzr.SLOW, env=lzr.environment(PYTHONDONTWRITEBYTECODE="1"))
    assert r.returncode == 0, r.stderr[-3000:]
    return rows.load(folder, module)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """{module: (folder, rows)}: each is written once, those of several interpreters beside each other."""
    for where in (WRITERS, READERS):
        lzr.need(where.is_dir(), f"the environment {where.name} of tests/clients/setup.sh")
    folders = {m: tmp_path_factory.mktemp(m) for m in MODULES}
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda m: _write(m, folders[m]), sorted(MODULES, key=lambda m: m != "write_images"))
        return {m: (folders[m], made) for m, made in zip(sorted(MODULES, key=lambda m: m != "write_images"), made)}


def store_name(file):
    return re.sub(r"[^A-Za-z0-9_]", "_", file)


def _want_in(face, want):
    """Whether a face has an array of this kind, and the dtype that it has it in."""
    v, dtype = want.values, want.values.dtype.newbyteorder("=").name
    if face == "n5":
        return v.ndim > 0 and v.dtype.kind != "c", WIDENED.get(dtype, dtype)
    if face == "precomputed":
        axes = want.axes or "zyx"[-v.ndim:]
        fits = "t" not in axes and (want.axes or v.ndim in (2, 3)) and v.size > 0
        dtype = WIDENED.get(dtype, dtype)
        return bool(fits) and dtype in PRE_TYPES, dtype
    return True, v.dtype.name


def _values(face, seen, want, dtype, name):
    wanted = [want.values, *(want.levels or [])]
    if want.levels is not None:
        assert len(seen.levels) == len(wanted), (name, len(seen.levels))
    for k, (got, v) in enumerate(zip(seen.levels, wanted)):
        if v is None:
            continue
        if face == "precomputed":
            axes = want.axes or "zyx"[-v.ndim:]
            v = v.reshape([v.shape[axes.index(a)] if a in axes else 1 for a in "czyx"])
        assert got.shape == v.shape, (name, k, got.shape, v.shape)
        assert got.dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("="), (name, k, got.dtype, dtype)
        assert np.array_equal(got, v.astype(dtype), equal_nan=got.dtype.kind in "fc"), (name, k)


def _places(face, seen, want, name):
    if face == "precomputed":
        if want.axes and want.scale and want.units:
            for a, s, u in zip(want.axes, want.scale, want.units):
                if a in "zyx":
                    assert np.isclose(seen.scales[0]["zyx".index(a)], s * faces.NANOMETERS[u]), (name, seen.scales)
        return
    if face == "n5" and want.units is not None and want.scale is not None:  # it has fewer units: lengths are compared
        want = want._replace(scale=_lengths(want.axes, want.scale, want.units), units=None, translation=want.translation and _lengths(
            want.axes, want.translation, want.units), scales=[_lengths(want.axes, s, want.units) for s in want.scales or []])
        seen = seen._replace(scales=[_lengths(seen.axes, s, seen.units) for s in seen.scales],
                             translations=[_lengths(seen.axes, t, seen.units) for t in seen.translations])
    for k, s in enumerate([want.scale, *(want.scales or [])]):
        assert s is None or np.allclose(seen.scales[k], s), (name, k, seen.scales[k], s)
    if want.translation is not None:
        assert np.allclose(seen.translations[0], want.translation), (name, seen.translations)
    if want.units is not None:
        assert seen.units == want.units, (name, seen.units)


def _lengths(axes, values, units):
    """In nanometers, of axes in space. N5 has one unit for all of those: an axis without one is in it."""
    other = next((u for u in units if u in faces.NANOMETERS and u), None)
    return [v * faces.NANOMETERS.get(u if u or a not in "zyx" else other, 1) for a, v, u in zip(axes, values, units)]


def _looks(seen, want, name):
    got = seen.channels
    if want.channels is not None:
        assert got is not None and [(c["label"], c["color"]) for c in got] == want.channels, (name, got)
        if want.channels == rows.RED:
            assert {(c["window"]["start"], c["window"]["end"]) for c in got} == \
                {(0, np.iinfo(want.values.dtype).max)}, name


def _attributes(face, seen, want, name):
    own = {k: v for k, v in seen.attributes.items() if k != "lazarr"}
    wanted = want.attributes
    if want.axes:  # of an image those that the file has; its levels' way of making and the like stand beside them
        assert {k: own.get(k) for k in wanted} == wanted, (name, own)
        return
    if face == "zarr2" and seen.fill is not None and "_FillValue" in wanted:
        own["_FillValue"] = seen.fill
    if face == "n5":
        wanted = {k: v for k, v in wanted.items() if k not in (*N5_OWN, "_FillValue")}
        own.pop("_FillValue", None)
    fill = () if "_FillValue" in wanted else ("_FillValue",)
    assert {k: v for k, v in own.items() if k not in fill} == wanted, (name, own)


def check(srv, face, store, file, want, name):
    """One row through one face."""
    name = (face, name)
    there, dtype = _want_in(face, want)
    seen = faces.read(srv, face, store, want.path)
    assert (seen is not None) == there, (name, "is not there" if there else "is there")
    if seen is None:
        return
    _values(face, seen, want, dtype, name)
    if want.kind is not None and seen.kind is not None:
        assert seen.kind == want.kind, (name, seen.kind)
    if want.axes:
        if face != "precomputed":
            assert seen.axes == want.axes, (name, seen.axes)
        _places(face, seen, want, name)
        if face != "precomputed":
            _looks(seen, want, name)
    if want.fill is not None and face.startswith("zarr"):
        assert seen.fill == want.fill, (name, seen.fill)
    if want.dims is not None and face != "precomputed":
        assert seen.dims == want.dims, (name, seen.dims)
    if want.attributes is not None and face != "precomputed":
        _attributes(face, seen, want, name)


def _said(srv, file, want, name):
    lines = [line for line in srv.log.splitlines() if f"{file}: '" in line and "is left out" in line]
    if want.said is not None:
        assert (not lines) if want.said == "" else any(want.said in line for line in lines), (name, lines)


@pytest.mark.limit(400)
@pytest.mark.parametrize("module", MODULES)
def test_the_matrix(written, module):
    """Every row through every face, by one server with one worker; all that is wrong is said at once."""
    folder, made = written[module]
    files = sorted({row.partition(":")[0] for row in made})
    wrong = []
    with lzr.Server([f"{store_name(f)}={folder / f}" for f in files], "--workers", "1", "--no-access-log",
                    *_python(MODULES[module][1])) as srv:
        kept = faces.Kept(srv)
        for row, want in made.items():
            file = row.partition(":")[0]
            for face in faces.FACES:
                try:
                    check(kept, face, store_name(file), file, want, row)
                except Exception as e:  # noqa: BLE001 - collected
                    wrong.append(f"{type(e).__name__}: {e}"[:600])
            try:
                _said(srv, file, want, row)
            except AssertionError as e:
                wrong.append(str(e)[:600])
        kept.close()
    assert not wrong, f"{len(wrong)} of {len(made)} rows:\n" + "\n".join(wrong)


def test_what_is_not_read_is_said(written, tmp_path):
    """In one line, with what helps."""
    scipy_io = lzr.need_module("scipy.io")
    scipy_io.savemat(tmp_path / "old.mat", {"v": np.eye(3)})
    lines = [(tmp_path / "old.mat", "save it with -v7.3")]
    try:
        import imagecodecs  # noqa: F401  (Debian's Python has none)
    except ImportError:
        lines.append((written["write_tiff"][0] / "tif_lzw.tif", "pip install imagecodecs"))
    for file, words in lines:
        r = lzr.run("describe", file)
        assert r.returncode == 1 and words in r.stderr.decode() and r.stderr.count(b"\n") == 1, r.stderr


def test_the_table_is_current(written):
    """docs/sources.md has the table of these rows; LZR_WRITE_TABLE=1 writes it."""
    table = matrix_table.table([made for _, made in written.values()])
    page = lzr.ROOT / "docs/sources.md"
    text = page.read_text()
    if os.environ.get("LZR_WRITE_TABLE"):
        page.write_text(matrix_table.replaced(text, table))
        text = page.read_text()
    assert table in text, "docs/sources.md: LZR_WRITE_TABLE=1 renews its table of the files that were tried"
    assert len({row.partition(":")[0] for _, made in written.values() for row in made}) >= 120
