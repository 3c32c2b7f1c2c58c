"""Real readers of N5, Neuroglancer precomputed and OME-Zarr read the arrays of formats.py (dtype x codec
x shape, images, labels), each through every format it knows, and every value equals NumPy's.

Each reader runs in a process of its own and ends with a line of JSON (matrix.Report). What it can't read
is excluded by name and reason; matrix.Report.cannot looks that it still can't. The table here says what
may be excluded: nothing else may be left out."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import formats  # noqa: E402
import lzr  # noqa: E402

DEBIAN = Path("/usr/bin/python3")
FACES = ["zarr2", "zarr3", "n5", "precomputed"]


@pytest.fixture(scope="module")
def srv():
    with lzr.Server([HERE / "formats_store.py"], "--no-access-log") as server:
        yield server
        m = server.metrics()
        assert m["compute_failures_total"] == 0 and m["worker_deaths_total"] == 0


def python(env):
    path = lzr.ENVS / env / "bin" / "python"
    return lzr.need(path.exists() and path, f"{env} (tests/clients/setup.sh makes it)")


def little(item):
    """What is the same in either byte order."""
    return (item.want == item.want.byteswap()).all()


# reader: face: what it leaves out of what is there.
EXCLUDED = {
    "tensorstore": {"n5": lambda i: i.spec.n5 == "lz4", "precomputed": None, "zarr2": None, "zarr3": None},
    "z5py": {"n5": lambda i: i.spec.n5 == "lz4"},
    "zarr_python_2": {"n5": lambda i: i.spec.n5 == "lz4"},
    # cloud-volume is asked for images only but in precomputed.
    "cloudvolume": {"precomputed": None, "zarr2": lambda i: i.spec.axes != "zyx",
                    "zarr3": lambda i: i.spec.axes != "zyx",
                    "n5": lambda i: i.spec.axes != "zyx" or not little(i)},
}


def run(face, *command):
    """A reader's report; it must have found nothing wrong."""
    p = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE,
                       timeout=170 * lzr.SLOW, env=lzr.environment(PYTHONPATH=str(HERE)))
    lines = p.stdout.decode().splitlines()
    assert lines and lines[-1].startswith("{"), p.stdout.decode()[-3000:] + p.stderr.decode()[-3000:]
    report = json.loads(lines[-1])
    print(f"{report['versions']} {face}: {report['read']} arrays, {report['values']} values")
    for why in sorted(set(report["excluded"].values())):
        n = sum(w == why for w in report["excluded"].values())
        print(f"  excluded, {n} arrays: {why}")
    assert not report["wrong"] and p.returncode == 0, report["wrong"]
    return report


def client(reader, face, *command):
    report = run(face, *command)
    asked = [i for i in formats.items(face)
             if reader != "cloudvolume" or face == "precomputed" or formats.image(i.spec)]
    cannot = EXCLUDED[reader][face]
    out = {i.name for i in asked if i.why or (cannot and cannot(i))}
    assert set(report["excluded"]) == out
    assert report["read"] == len(asked) - len(out) > 0
    return report


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", FACES)
def test_tensorstore(srv, face):
    client("tensorstore", face, python("readers"), "read_formats_tensorstore.py", srv.url, face)


def test_tensorstore_made_python_run_once(srv):
    """All chunks of all arrays were read in all formats; Python ran once for each."""
    lzr.need(srv.metric("flights_total"), "tensorstore, which runs before this")
    assert srv.metric("computed_total") == sum(map(formats.chunks, formats.SPECS))


@pytest.mark.limit(200)
@pytest.mark.parametrize("face", FACES)
def test_cloudvolume(srv, face):
    client("cloudvolume", face, python("readers"), "read_formats_cloudvolume.py", srv.url, face)


@pytest.mark.limit(200)
def test_z5py(srv, tmp_path):
    """z5py knows only files: the container is fetched over HTTP first."""
    report = client("z5py", "n5", python("readers"), "read_formats_z5py.py", srv.url, "n5", tmp_path)
    assert report["versions"]["blocks"] > 1000


@pytest.mark.limit(200)
def test_zarr_python_2(srv):
    """Debian's, through its N5FSStore."""
    client("zarr_python_2", "n5", DEBIAN, "read_formats_zarr_python_2.py", srv.url, "n5")


def test_python_ran_once_a_chunk(srv):
    """In however many formats an array was read, each of its chunks was computed once."""
    m = srv.metrics()
    assert m["computed_total"] <= sum(map(formats.chunks, formats.SPECS))
    lzr.need(m["flights_total"], "each of the readers that run before this")
    assert m["transcoded_total"] > 0 and m["cache_evictions_total"] == 0
    assert m["cache_entries"] == m["computed_total"] + m["made_total"] + m["transcoded_total"]


def test_the_arrays_are_what_was_promised():
    specs = [s for s in formats.SPECS if s.name.startswith("dtype/")]
    assert {(s.dtype.newbyteorder("=").name, s.n5) for s in specs} == {
        (d, c) for d in formats.matrix.DTYPES for c in formats.N5_CODECS}
    assert {len(s.shape) for s in formats.SPECS} == {0, 1, 2, 3, 4, 5}
    shown = [i for i in formats.items("precomputed") if not i.why]
    assert {formats.encoding(i.spec) for i in shown} == {"raw", "compressed_segmentation"}
    assert {i.want.shape[0] for i in shown} == {1, 2, 3} and {i.level for i in shown} == {0, 1, 2}
