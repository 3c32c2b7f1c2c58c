"""How others put URLs together: slashes in a row, a folder that a proxy keeps for us and doesn't take away."""
import re
import urllib.parse

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("g/a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return 7
@lazarr.array("t", shape=(8, 8, 8), chunks=4, dtype="uint8", axes="zyx")
def t(block):
    return 7
"""
KEYS = ["/zarr3/s.zarr/zarr.json", "/zarr3/s.zarr/g/a/c/0", "/zarr2/s.zarr/g/a/0", "/zarr2/s.zarr/t/0/.zarray", "/n5/s.n5/g/a/0",
        "/n5/s.n5/attributes.json", "/precomputed/s/t/info", "/precomputed/s/t/0/0-4_0-4_0-4", "/bdv/s/t/dataset.xml",
        "/bdv/s/t/dataset.n5/setup0/timepoint0/s0/0/0/0", "/healthz", "/zarr3/", "/zarr3/s.zarr/", "/", "/view/s"]
TOKEN = "correct-horse-battery"


def same(a, b):
    return (a.status, a.body, a["ETag"], a["Location"]) == (b.status, b.body, b["ETag"], b["Location"])


def test_slashes_in_a_row_are_one(serve):
    """Wherever they stand, in every face, with HEAD and parts too; an escaped one stays what it is."""
    srv = serve(STORE, "--workers", "1")
    for key in KEYS:
        plain = srv.get(key)
        assert plain.status in (200, 302), key
        places = [i for i, c in enumerate(key) if c == "/"]
        for i in places:
            for more in ("/", "///"):
                odd = key[:i] + more + key[i:]
                assert same(srv.get(odd), plain), odd
                assert srv.head(odd).status == srv.head(key).status
        assert same(srv.get(key.replace("/", "//")), plain)
        assert srv.get(key[:1] + "%2f" + key[1:]).status == 404
    part = srv.get("/zarr3//s.zarr/g//a/c/0", {"Range": "bytes=0-0"})
    assert part.status == 206 and part.body == b"\7"
    assert srv.request("OPTIONS", "//zarr3//").status == 204


def test_no_redirect_leads_to_another_host(serve):
    srv = serve(STORE, "--workers", "1")
    for target in ("//zarr3", "///zarr3/s.zarr", "//zarr3//s.zarr", "////zarr3?x=//y", "//n5", "//s.zarr", "//evil.example/zarr3",
                   "//evil.example", "/zarr3/s.zarr//g", "//zarr3/s.zarr/t"):
        for said in ({}, {"X-Forwarded-Prefix": "/data"}):
            r = srv.head(target, said)
            assert r.status == (404 if "evil" in target or target == "//s.zarr" else 301), target
            if r.status != 301:
                continue
            # To the same place, with a slash, as a browser follows it.
            to = urllib.parse.urlsplit(urllib.parse.urljoin("http://localhost/zarr3/s.zarr" if said else "http://localhost/", r["Location"]))
            assert to.netloc == "localhost" and to.path.endswith("/") and not r["Location"].startswith("//"), (target, r)
            if not said:
                assert srv.get(r["Location"]).status == 200, target
    absolute = srv.head("http://localhost//zarr3/s.zarr")
    assert absolute["Location"] == "http://localhost/zarr3/s.zarr/"


def test_slashes_before_the_token(serve):
    srv = serve(STORE, "--workers", "1", "--token", TOKEN)
    for lead in ("", "/", "//"):
        assert srv.chunk(f"{lead}/t/{TOKEN}//zarr3/s.zarr//g/a/c/0") == b"\7\7"
        assert srv.get(f"{lead}/t/{TOKEN[:-1]}/zarr3/s.zarr/zarr.json").status == 401
        r = srv.head(f"{lead}/t/{TOKEN}/zarr3")
        assert r.status == 301 and r["Location"] == f"/t/{TOKEN}/zarr3/"
    assert srv.get("//zarr3/s.zarr/zarr.json").status == 401
    assert TOKEN not in srv.log


@pytest.mark.parametrize("public, folder", [("http://h.example/data", "/data"), ("http://h.example/a/b/", "/a/b"),
                                            ("http://h.example/zarr3", "/zarr3"), (None, "/data")])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_folder_that_the_proxy_leaves_in_the_path(serve, public, folder, token):
    """Served as if it had been taken away, and as before where it was."""
    args = [*(("--public-url", public) if public else ()), *(("--token", token) if token else ())]
    srv = serve(STORE, "--workers", "1", *args)
    said = {} if public else {"X-Forwarded-Prefix": folder}
    mine = f"/t/{token}" if token else ""
    for key in KEYS:
        plain = srv.get(mine + key, said)
        assert plain.status in (200, 302), key
        if (folder, key) == ("/zarr3", "/"):
            continue  # /zarr3/ is a folder of ours
        assert same(srv.get(folder + mine + key, said), plain), key
        assert same(srv.get("/" + folder + "/" + mine + key, said), plain), key
    if folder != "/zarr3":
        r = srv.get(folder + mine, said)
        to = urllib.parse.urljoin(f"http://h.example{folder}{mine}", r["Location"]) if r.status == 301 else ""
        assert r.status == 200 if not mine and r.status != 301 else to == f"http://h.example{folder}{mine}/", r
    r = srv.head(folder + mine + "/zarr3/s.zarr", said)
    assert r.status == 301 and r["Location"] == "s.zarr/"
    for other in (folder + "x/zarr3/s.zarr/zarr.json", "/x" + folder + "/zarr3/s.zarr/zarr.json", folder + "/../zarr3/s.zarr/zarr.json",
                  folder + "/nothing"):
        assert srv.get(other, said).status == (401 if token else 404), other
    page = srv.get(folder + mine + "/", said).text if folder != "/zarr3" else ""
    for url in re.findall(r"http://h\.example([^\s\"'<>)]+)", page):  # what the page says to paste is answered
        url = url.rstrip("/").split("?")[0]
        assert srv.get(url.replace("&quot;", ""), said).status in (200, 301), url


def test_only_a_trusted_proxy_s_folder(serve):
    srv = serve(STORE, "--workers", "1")
    assert srv.get("/data/zarr3/s.zarr/zarr.json").status == 404
    assert lzr.Http and srv.get("/data/zarr3/s.zarr/zarr.json", {"X-Forwarded-Prefix": "/other"}).status == 404
