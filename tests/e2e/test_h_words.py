"""What a person sees of a failing chunk: in /api/stats, on the page, in /view/, in a 404; and what readers see that
take every status for data."""
import os
import re
import subprocess

import pytest

import lzr

STORE = """
import lazarr, numpy as np
@lazarr.array("sometimes", shape=(6, 4), chunks=(2, 2), dtype="uint8", compressor=None)
def sometimes(block):
    if block.start[0] == 4:
        raise ValueError(f"no rows beyond <4>, asked for {block.start[0]}")
    return np.full((2, 2), 7, "uint8")
@lazarr.array("img", shape=(8, 8), chunks=(4, 4), dtype="uint8", axes="yx")
def img(block):
    raise KeyError("secret_file")
@lazarr.array("of", shape=(6, 4), chunks=(2, 2), dtype="uint8", inputs=["sometimes"])
def of(block, x):
    return x
@lazarr.array("many", shape=(40,), chunks=(1,), dtype="uint8")
def many(block):
    raise RuntimeError(str(block.start[0]))
@lazarr.array("packed", shape=(4,), chunks=(2,), dtype="uint8")
def packed(block):
    raise ValueError("packed")
"""
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "User-Agent": "Mozilla/5.0"}
NAME = {"Host": "localhost"}


@pytest.fixture
def srv(tmp_path):
    store = tmp_path / "s.py"
    store.write_text(STORE)
    with lzr.Server(store, "--workers", "1") as server:
        yield server


def failures(srv, path, headers=()):
    arrays = srv.get("/api/stats", {**NAME, **dict(headers)}).json()["arrays"]
    return next(a["failures"] for a in arrays if a["path"] == path)


def test_the_last_failures_of_an_array(srv):
    assert failures(srv, "sometimes") == []
    for key in ("2/0", "2/1", "2/0", "0/0"):
        srv.get(f"/zarr3/s.zarr/sometimes/c/{key}")
    found = failures(srv, "sometimes")
    assert [f["chunk"] for f in found] == [[2, 1], [2, 0]]  # the latest first; asked again isn't failed again
    one = found[1]
    assert one["key"] == "zarr3/s.zarr/sometimes/c/2/0" and one["level"] == 0 and one["times"] == 1
    assert "no rows beyond <4>, asked for 4" in one["reason"] and "\n" not in one["reason"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["at"]) and one["seconds_ago"] < 600
    assert "Traceback" in one["traceback"] and "s.py" in one["traceback"]
    assert failures(srv, "of") == []
    # Asked for through an array that is made of it, in another format.
    srv.get("/n5/s.n5/of/1/2")
    assert any(f["chunk"] == [2, 1] and "no rows" in f["reason"] for f in failures(srv, "of"))
    # Not the code to anybody else: a proxy asks for somebody.
    for said in ({"X-Forwarded-For": "10.0.0.1"}, {"Via": "1.1 x"}):
        assert all("traceback" not in f and "s.py" not in str(f) for f in failures(srv, "sometimes", said))
    page = srv.get("/", NAME).text
    assert 'id="f-s/sometimes"' in page and "failures(f,a.failures)" in page


def test_as_many_as_are_kept(srv):
    for i in range(40):
        assert srv.get(f"/zarr2/s.zarr/many/{i}").status == 500
    assert [f["chunk"] for f in failures(srv, "many")] == [[i] for i in range(39, 31, -1)]


def test_view_says_when_its_chunk_fails(srv):
    r = srv.get("/view/s/img", BROWSER)
    assert r.status == 200 and r["Content-Type"].startswith("text/html")
    assert "zarr3/s.zarr/img/0/c/" in r.text and "secret_file" in r.text and "Traceback" not in r.text
    to = re.search(r'href="(http[^"]+)"', r.text)[1]
    assert to.replace("&amp;", "&") == srv.get("/view/s/img")["Location"]  # programs are sent on as ever
    assert srv.get("/view/s/img").status == 302


def test_a_404_in_words(srv):
    for headers in (BROWSER, {"User-Agent": "curl/7.88.1", "Accept": "*/*"}):
        r = srv.get("/zarr3/s.zarr/sometimes/c/9/<b>", headers)
        assert r.status == 404 and r["Content-Type"].startswith("text/plain") and r["X-Content-Type-Options"] == "nosniff"
        assert "/zarr3/s.zarr/sometimes/c/\n" in r.text.replace(" (it lists what it holds)", "")
    for agent in ("Java/17.0.9", "tensorstore/0.1", None):  # the JDK drops a connection whose 404 has a body
        headers = {"Accept": "text/html, image/gif, */*"} if agent == "Java/17.0.9" else {}
        r = srv.get("/zarr3/s.zarr/nothing", {**headers, **({"User-Agent": agent} if agent else {})})
        assert (r.status, r.body, r["Content-Length"]) == (404, b"", "0"), agent
    head = srv.head("/nothing", BROWSER)
    assert head.status == 404 and head.body == b""


DEBIAN = {
    "n5": 'import zarr; print(zarr.open_group(zarr.n5.N5FSStore(URL + "/n5/s.n5", mode="r"), mode="r")["NAME"][...])',
    "zarr": 'import zarr; print(zarr.open(URL + "/zarr2/s.zarr/NAME", mode="r")[...])',
    "dask": 'import dask.array; print(dask.array.from_zarr(URL + "/zarr2/s.zarr/NAME").compute())',
    "xarray": 'import xarray; print(xarray.open_zarr(URL + "/zarr2/s.zarr", drop_variables=["of", "many"])["NAME"].values)',
}


@pytest.mark.parametrize("reader", DEBIAN)
def test_debian_s_readers_fail_over_a_failed_chunk(srv, reader):
    """They take every status, and a body that is cut, for a chunk that isn't there: memory that nobody wrote."""
    for name in ("sometimes", "packed"):
        code = f"URL = {srv.url!r}\n" + DEBIAN[reader].replace("NAME", name)
        r = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, timeout=60)
        if "No module named" in r.stderr:
            lzr.need(False, "Debian's python3-zarr, python3-xarray and python3-dask")
        assert r.returncode != 0 and "rror" in r.stderr, (name, r.stdout)


def test_gdal_fails_over_a_failed_chunk(srv):
    """Told by GDAL_HTTP_USERAGENT, as docs/readers.md says."""
    lzr.need(lzr.which("gdal_translate"), "gdal_translate (gdal-bin)")
    source = f'ZARR:"/vsicurl/{srv.url}/zarr2/s.zarr":/sometimes'
    r = subprocess.run(["gdal_translate", "-q", "-of", "XYZ", source, "/vsistdout/"], capture_output=True, text=True,
                       env={**os.environ, "GDAL_HTTP_USERAGENT": "GDAL/3.6.2"}, timeout=60)
    assert r.returncode != 0, r.stdout


def test_what_readers_that_take_a_status_for_data_are_sent(srv):
    key = "/zarr2/s.zarr/sometimes/2.0"
    r = srv.get(key, {"User-Agent": "Python/3.11 aiohttp/3.8.4"})
    assert (r.status, r.body, r["Cache-Control"]) == (200, b"", "no-store") and r["ETag"] is None
    assert srv.head(key, {"User-Agent": "Python/3.11 aiohttp/3.8.4"}).status == 500
    # What Debian's zarr-python doesn't ask for has its status: scripts on the same aiohttp.
    for target, more in ((key, {"Range": "bytes=0-1"}), ("/zarr3/s.zarr/sometimes/c/2/0", {})):
        r = srv.get(target, {"User-Agent": "Python/3.11 aiohttp/3.8.4", **more})
        assert r.status == 500, (target, r)
    with pytest.raises((ConnectionError, EOFError, AssertionError)):
        r = srv.get(key, {"User-Agent": "GDAL/3.6.2"})
        assert r.complete
    # zarr-java asks by HEAD whether there is a chunk, and doesn't look at the GET's status.
    assert srv.head(key, {"User-Agent": "okhttp/2.7.5"}).status == 200
    r = srv.get(key, {"User-Agent": "okhttp/2.7.5"})
    assert (r.status, r.body, r["Cache-Control"]) == (500, b"", "no-store")
    assert srv.head("/zarr2/s.zarr/sometimes/9.0", {"User-Agent": "okhttp/2.7.5"}).status == 404
    assert srv.head(key, {"User-Agent": "okhttp/4.12.0"}).status == 500
    for agent in ("Python/3.12 aiohttp/3.14.5", "curl/8", "tensorstore/0.1", "Java/17"):
        r = srv.get(key, {"User-Agent": agent})
        assert r.status == 500 and "no rows" in r.text
    assert srv.chunk("/zarr2/s.zarr/sometimes/0.0") == b"\7" * 4
