"""Links into Neuroglancer (/view/), what URLs begin with, and all of it behind the real nginx under
a path prefix. test_viewer.py opens such links in a browser."""
import json
import re
import socket
import urllib.parse

import lzr
import numpy as np
import pytest
from nginx import Nginx

STORE = """
import lazarr
import numpy as np

@lazarr.array("t1", shape=(40, 50, 60), chunks=16, dtype="uint16", axes="zyx", units="micrometer",
              scale=(2, 0.5, 0.25), translation=(10, 20, 30))
def t1(block):
    z, y, x = block.coords()
    return 1000 + z + y + x

@lazarr.array("cells", shape=(40, 50, 60), chunks=16, dtype="uint32", axes="zyx", kind="labels",
              units="micrometer", scale=(2, 0.5, 0.25), translation=(10, 20, 30), labels_of="t1")
def cells(block):
    return 7

@lazarr.array("g/raw", shape=(9, 70), chunks=(4, 64), dtype="uint8", compressor=None)
def raw(block):
    y, x = block.coords()
    return y + x
"""
MORE = """
import lazarr
import numpy as np

def image(name, dtype, value, shape=(8, 8, 8), **more):
    more = {"axes": "zyx", **more}
    @lazarr.array(name, shape=shape, chunks=8, dtype=dtype, **more)
    def compute(block):
        return value(block) if callable(value) else value

image("float64", "float64", lambda b: b.coords()[2] + 0.25, units="micrometer")
image("int64", "int64", 3, kind="labels")
image("half", "float16", lambda b: b.coords()[2] / 8)
image("yes", "bool", True)
image("complex", "complex64", 1j)
image("film", "uint8", lambda b: b.coords()[0] * 10, (4, 8, 8, 8), axes="tzyx",
      units=("second", "micrometer", "micrometer", "micrometer"), scale=(2, 1, 1, 1))
image("channels", "uint16", lambda b: 100 + b.coords()[0] * 1000 + b.coords()[3], (3, 8, 8, 8),
      axes="czyx", channels=["a", {"label": "b\\"c", "color": "123456", "active": False},
                             {"label": "c", "window": {"start": 5, "end": 50}}])
image("flat", "uint8", lambda b: b.coords()[1], (64, 32), axes="yx", units="nanometer", scale=(4, 4))
image("huge", "uint8", lambda b: 5, (200000, 200000, 200000), axes="zyx")
image("nan", "float32", float("nan"))
image("spikes", "float32", lambda b: np.where(b.coords()[2] == 3, np.inf, b.coords()[2] + 0.0))
image("bigendian", ">i2", lambda b: b.coords()[2] * 100 - 400)
image("fails", "uint16", lambda b: 1 / 0)
lazarr.array("plain", shape=(4, 5, 6), chunks=4, dtype="uint8", dims=("time", "lat", "lon"))(
    lambda block: 1)
lazarr.array("many", shape=(2, 3, 4, 5), chunks=4, dtype="float64")(lambda block: 1.0)
lazarr.array("empty", shape=(0, 5), chunks=4, dtype="uint8")(lambda block: 1)
"""


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "2", "--allow-host", "*") as server:
        yield server


@pytest.fixture(scope="module")
def more(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "m.py"
    path.write_text(MORE)
    with lzr.Server(path, "--workers", "2") as server:
        yield server


def link(srv, target, headers=()):
    """What a /view link leads to: the viewer's page, and the state."""
    r = srv.get(target, headers)
    assert r.status == 302 and r.body == b"", r
    assert len(r["Location"]) <= 8192
    assert not re.search(r"[\s\"'<>{}|\\^`]", r["Location"])
    address, state = r["Location"].split("#!", 1)
    return address, json.loads(urllib.parse.unquote(state))


def state_of(srv, target, headers=()):
    return link(srv, target, headers)[1]


def sources(state):
    return [layer["source"] for layer in state["layers"]]


def window(layer):
    return json.loads(re.search(r"range=(\[[^\]]*\])", layer["shader"]).group(1))


# ------------------------------------------------------------------------------------ the state

def test_a_full_state(srv):
    """Layers by kind, dimensions, position, zoom, few requests at a time; all through one face."""
    address, state = link(srv, "/view/s")
    assert address == "https://neuroglancer-demo.appspot.com/"
    assert [(x["name"], x["type"]) for x in state["layers"]] == [("t1", "image"),
                                                                 ("cells", "segmentation")]
    assert sources(state) == [f"zarr3://{srv.url}/zarr3/s.zarr/{n}/" for n in ("t1", "cells")]
    assert state["dimensions"] == {"x": [2.5e-07, "m"], "y": [5e-07, "m"], "z": [2e-06, "m"]}
    # The middle of voxel (z 20, y 25, x 30): translation / scale + the voxel, in voxels of each.
    assert state["position"] == [30 / 0.25 + 30, 20 / 0.5 + 25, 10 / 2 + 20]
    assert state["layout"] == "4panel"
    # In the finest voxels, 15 x 25 x 80 um are 60 x 100 x 320: seen whole, and not as a dot.
    assert 320 / 500 < state["crossSectionScale"] < 320 / 300
    assert state["concurrentDownloads"] <= 8
    for source in sources(state):
        assert srv.get(source[len("zarr3://") + len(srv.url):] + "zarr.json").status == 200


@pytest.mark.parametrize("target", ["/view", "/view/", "/view/s", "/view/s/", "/view/s?x=1"])
def test_ways_to_ask(srv, target):
    assert state_of(srv, target) == state_of(srv, "/view/s")
    head = srv.head(target)
    assert (head.status, head["Location"]) == (302, srv.get(target)["Location"])
    assert head["Cache-Control"] == "no-store"


@pytest.mark.parametrize("target", ["/view/x", "/view/s/x", "/view/s/t1/0", "/view/s/g", "/views",
                                    "/view/s/t1?acl"])
def test_nothing_to_look_at(srv, target):
    r = srv.get(target)
    assert (r.status, r.body) == (404, b"")


def test_a_range_that_can_be_read(srv, more):
    """From the values in the middle of the image, not from what the type could hold."""
    low, high = window(state_of(srv, "/view/s/t1")["layers"][0])
    assert 1000 < low < 1090 and low + 20 < high < 1150  # of the chunk at (16, 16, 16)
    cases = {"float64": (0.25, 7.25), "half": (0, 7 / 8), "spikes": (0, 7), "bigendian": (-400, 300),
             "flat": (0, 7)}
    for name, (a, b) in cases.items():
        low, high = window(state_of(more, f"/view/m/{name}")["layers"][0])
        if name == "flat":  # its chunk in the middle: columns 16 to 23
            a, b = 16, 23
        assert low == pytest.approx(a, abs=0.02) and high == pytest.approx(b, abs=0.02), name
    # Where nothing can be said: what the type holds.
    assert window(state_of(more, "/view/m/nan")["layers"][0]) == [0, 1]
    assert window(state_of(more, "/view/m/fails")["layers"][0]) == [0, 65535]
    assert window(state_of(more, "/view/m/yes")["layers"][0]) == [0, 1]
    a, b = window(state_of(more, "/view/m/huge")["layers"][0])
    assert a < 5 <= b  # all values are the same


def test_one_chunk_is_enough(serve):
    """A link costs one block an image, once."""
    srv = serve(STORE)
    with srv.delta() as d:
        for _ in range(3):
            state_of(srv, "/view/s")
        state_of(srv, "/view/s/t1")
    assert d["computed_total"] == 1


def test_a_slow_function_does_not_hold_the_link(serve, gate):
    """It is waited for a few seconds; then the range is the type's, and the next link has it."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("slow", shape=(8, 8, 8), chunks=8, dtype="uint16", axes="zyx")
def slow(block):
    gate(0)
    return 500 + block.coords()[2]
""", "--workers", "1")
    p = srv.begin("/view/s/slow")
    call = gate.next()
    srv.get("/healthz")  # nothing is held up meanwhile
    r = p.result(timeout=10 * lzr.SLOW)
    layer, = json.loads(urllib.parse.unquote(r["Location"].split("#!")[1]))["layers"]
    assert window(layer) == [0, 65535]
    call.go()
    srv.wait_metric("computed_total", 1)
    layer, = state_of(srv, "/view/s/slow")["layers"]
    assert window(layer) == [500, 507]
    assert srv.metric("computed_total") == 1


def test_who_leaves_is_not_waited_for(serve, gate):
    srv = serve(gate.code + """
import lazarr
@lazarr.array("slow", shape=(8, 8, 8), chunks=8, dtype="uint16", axes="zyx")
def slow(block):
    gate(0)
    return 1
""", "--workers", "1")
    p = srv.begin("/view/s/slow")
    gate.next()
    p.leave()
    srv.wait_metric("http_suspended", 0)
    srv.wait_metric("waiting", 0)
    assert srv.get("/healthz").status == 200


def test_kinds(more):
    """Which face shows an array, and how: channels, time, two dimensions, what Zarr can't show."""
    base = more.url
    one = {n: state_of(more, f"/view/m/{n}") for n in
           ("float64", "int64", "half", "yes", "film", "channels", "flat", "plain")}
    assert sources(one["float64"]) == [f"precomputed://{base}/precomputed/m/float64~float32/"]
    assert sources(one["int64"]) == [f"precomputed://{base}/precomputed/m/int64~uint64/"]
    assert one["int64"]["layers"][0]["type"] == "segmentation"
    for name in "half", "yes":
        assert sources(one[name]) == [f"precomputed://{base}/precomputed/m/{name}/"]
    for state in one.values():
        for s in sources(state):
            path = re.sub(r"^\w+://" + base, "", s)
            assert more.get(path + ("info" if "precomputed" in path else "zarr.json")).status == 200
    film = one["film"]
    assert list(film["dimensions"]) == ["x", "y", "z", "t"] and film["dimensions"]["t"] == [2, "s"]
    assert film["position"][3] == 0  # the middle of the first time
    flat = one["flat"]
    assert flat["layout"] == "xy" and flat["dimensions"] == {"x": [4e-09, "m"], "y": [4e-09, "m"]}
    channels = one["channels"]["layers"]
    assert [x["name"] for x in channels] == ["channels a", 'channels b"c', "channels c"]
    assert [x.get("visible", True) for x in channels] == [True, False, True]
    assert [x["localPosition"] for x in channels] == [[0], [1], [2]]
    assert "#123456" in channels[1]["shader"]
    assert window(channels[0]) == [100, 107] and window(channels[1]) == [1100, 1107]
    assert window(channels[2]) == [5, 50]  # as its author says
    assert all("blend" not in x or x["blend"] == "additive" for x in channels)
    plain = one["plain"]
    assert plain["dimensions"] == {n: [1, ""] for n in ("lon", "lat", "time")}
    assert sources(plain) == [f"zarr3://{base}/zarr3/m.zarr/plain/"]
    for name in "complex", "many", "empty":  # Neuroglancer has no way to show these
        assert more.get(f"/view/m/{name}").status == 404


def test_all_of_many(more):
    """Everything that can lie in one space, in the face that shows most of it, and no plain array
    among images. No more layers than a header can carry."""
    state = state_of(more, "/view/m")
    kinds = {s.split("://")[0] for s in sources(state)}
    assert kinds == {"precomputed"}
    names = {x["name"] for x in state["layers"]}
    assert {"float64", "int64", "half", "yes", "flat", "huge"} <= names
    assert not {"plain", "film", "complex", "many"} & names
    assert state["layers"][-1]["name"] == "int64"  # labels are drawn over the images
    assert sum(x.get("visible", True) for x in state["layers"] if x["type"] == "image") <= 6
    assert set(state["dimensions"]) == {"x", "y", "z"}


def test_no_flood_of_chunks(more):
    """A huge image without coarse levels begins zoomed in: a few hundred chunks, not 10^8."""
    state = state_of(more, "/view/m/huge")
    in_view = state["crossSectionScale"] * 500 / 8
    assert in_view ** 2 < 2000
    assert state["position"] == [100000] * 3


def test_several_stores(tmp_path):
    for name in "a", "b":
        (tmp_path / f"{name}.py").write_text(STORE)
    with lzr.Server([tmp_path / "a.py", tmp_path / "b.py"]) as srv:
        assert [x["name"] for x in state_of(srv, "/view/")["layers"]] == [
            "a/t1", "b/t1", "a/cells", "b/cells"]
        assert [x["name"] for x in state_of(srv, "/view/b")["layers"]] == ["t1", "cells"]
        assert f"lazarr: all of it in Neuroglancer: {srv.url}/view/\n" in srv.log


# --------------------------------------------------------------------------- what serve says

def test_what_serve_prints(srv, more):
    """One line an array with its URL in each face that has it, and why the others don't; one link."""
    line, = [x for x in srv.log.splitlines() if x.startswith("s/t1 ")]
    urls = line.split("  ")[1:]
    assert urls == [srv.url + p for p in ("/zarr3/s.zarr/t1/0", "/zarr2/s.zarr/t1/0",
                                          "/n5/s.n5/t1/s0", "/precomputed/s/t1",
                                          "/bdv/s/t1/dataset.xml")]
    assert f"lazarr: all of it in Neuroglancer: {srv.url}/view/s\n" in srv.log
    line, = [x for x in more.log.splitlines() if x.startswith("m/complex ")]
    assert "N5 has no complex64" in line and "/n5/" not in line
    line, = [x for x in more.log.splitlines() if x.startswith("m/float64 ")]
    assert "/precomputed/m/float64~float32" in line


def test_the_page(more):
    """For each array what to paste, or why a format is absent; every URL there is right."""
    text = more.get("/").text
    keys = set(re.findall(r"data-key='([^']+)'", text))
    assert {"n5/m.n5/half/s0", "precomputed/m/float64~float32", "bdv/m/film/dataset.xml",
            "zarr2/m.zarr/channels"} <= keys
    for key in keys:
        assert more.get("/" + key).status in (200, 301), key
    for reason in ("N5 has no complex64", "Neuroglancer precomputed has no time axis",
                   "BigDataViewer shows images only", "lacks complex64"):
        assert reason in text, reason
    assert f"{more.url}/zarr3/m.zarr/half/0" in text
    for path in re.findall(r'href="(view/[^"]*)"', text):
        assert more.get("/" + path).status == 302, path
    assert 'href="view/m/complex"' not in text


def test_nothing_of_it_can_be_looked_at(serve):
    """Then neither the page nor the start-up has a link, which would lead to a 404."""
    text = "import lazarr\nlazarr.array('a', shape=4, chunks=2, dtype='c8')(lambda block: 1)\n"
    srv = serve(text)
    assert srv.get("/view/").status == 404
    assert 'href="view/' not in srv.get("/").text and "in Neuroglancer: http" not in srv.log
    srv = serve(text + "lazarr.array('b', shape=(4, 4), chunks=2, dtype='u1')(lambda block: 1)\n")
    assert srv.get("/view/").status == 302
    assert 'href="view/"' in srv.get("/").text and "/view/" in srv.log


@pytest.mark.parametrize("option,value,why", [
    ("--neuroglancer", "viewer.example", "http"), ("--neuroglancer", 'http://a/"x', "http"),
    ("--public-url", "/data", "http"), ("--public-url", "https:///x", "http"),
    ("--trusted-proxy", "10.0.0.0/33", "address"), ("--trusted-proxy", "proxy.example", "address"),
    ("--trusted-proxy", "::/129", "address"), ("--trusted-proxy", "10.0.0.1/", "address")])
def test_options_that_make_no_sense(tmp_path, option, value, why):
    (tmp_path / "s.py").write_text(STORE)
    p = lzr.run("serve", tmp_path / "s.py", option, value)
    assert p.returncode == 2 and why in p.stderr.decode()


def test_another_neuroglancer(serve):
    """--neuroglancer: links lead there, and it may read from here."""
    srv = serve(STORE, "--neuroglancer", "https://viewer.example/v/1/#!x")
    address, state = link(srv, "/view/s")
    assert address == "https://viewer.example/v/1/" and len(state["layers"]) == 2
    r = srv.get("/zarr3/s.zarr/zarr.json", {"Origin": "https://viewer.example"})
    assert r["Access-Control-Allow-Origin"] == "https://viewer.example"


# ---------------------------------------------------------------- what URLs begin with

@pytest.mark.parametrize("headers,base", [
    ({"Host": "data.example"}, "http://data.example"),
    ({"Host": "[::1]:99"}, "http://[::1]:99"),
    ({"X-Forwarded-Host": "a.example"}, "http://a.example"),
    ({"X-Forwarded-Host": "a.example, b.example", "X-Forwarded-Proto": "https, http"},
     "https://a.example"),
    ({"X-Forwarded-Proto": "HTTPS", "Host": "c.example:8443"}, "https://c.example:8443"),
    ({"X-Forwarded-Host": "a.example:1", "X-Forwarded-Prefix": "/data/x/"}, "http://a.example:1/data/x"),
    ({"X-Forwarded-Prefix": "/", "Host": "d.example"}, "http://d.example"),
    # What can't be part of a URL is not believed.
    ({"X-Forwarded-Host": 'a"><script>', "Host": "e.example"}, "http://e.example"),
    ({"X-Forwarded-Prefix": "//evil.example", "Host": "f.example"}, "http://f.example"),
    ({"X-Forwarded-Prefix": "/a b", "Host": "g.example"}, "http://g.example/a"),
    ({"X-Forwarded-Proto": "javascript", "Host": "h.example"}, "http://h.example"),
])
def test_what_urls_begin_with(srv, headers, base):
    """A proxy on this machine is trusted; else the Host that was asked for counts."""
    assert sources(state_of(srv, "/view/s/t1", headers)) == [f"zarr3://{base}/zarr3/s.zarr/t1/"]
    page = srv.get("/", headers).text
    assert f"{base}/zarr3/s.zarr/t1/0" in page and "<script>\"" not in page


def test_public_url_comes_first(serve):
    srv = serve(STORE, "--public-url", "https://example.org/data/", "--allow-host", "b.example")
    state = state_of(srv, "/view/s", {"X-Forwarded-Host": "a.example", "Host": "b.example"})
    assert sources(state) == [f"zarr3://https://example.org/data/zarr3/s.zarr/{n}/"
                              for n in ("t1", "cells")]
    assert "https://example.org/data/n5/s.n5/t1/s0" in srv.get("/").text
    assert "all of it in Neuroglancer: https://example.org/data/view/s\n" in srv.log
    # Relative: right for who asks the proxy and for who asks here.
    r = srv.head("/zarr3/s.zarr/g")
    assert (r.status, r["Location"]) == (301, "g/")


def outside():
    """An address of this machine that isn't loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        address = s.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.mark.parametrize("trusted", [False, True])
def test_who_is_trusted(tmp_path, trusted):
    """X-Forwarded-* from another machine counts only with --trusted-proxy (unit_public has the
    rules; this is the way there)."""
    address = outside()
    lzr.need(address, "an address of this machine that isn't loopback (unit_public has the rules)")
    (tmp_path / "s.py").write_text(STORE)
    more = ["--trusted-proxy", address.rsplit(".", 1)[0] + ".0/24"] if trusted else []
    with lzr.Server(tmp_path / "s.py", "--host", "0.0.0.0", "--no-token", *more) as srv:
        with lzr.Http(srv.port, host=address) as h:
            r = h.get("/view/s/t1", {"X-Forwarded-Host": "evil.example"})
        base = "evil.example" if trusted else f"{address}:{srv.port}"
        state = json.loads(urllib.parse.unquote(r["Location"].split("#!")[1]))
        assert sources(state) == [f"zarr3://http://{base}/zarr3/s.zarr/t1/"]


# ------------------------------------------------------------------------------- behind nginx

@pytest.fixture(scope="module", params=["told", "public-url"])
def proxied(request, tmp_path_factory):
    """(server, nginx): the proxy says who it is, or the server was told at its start."""
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "s.py").write_text(STORE)
    port = lzr.free_port()
    told = request.param == "told"
    args = [] if told else ["--public-url", f"http://127.0.0.1:{port}/data"]
    with lzr.Server(folder / "s.py", "--workers", "2", *args) as srv:
        with Nginx(srv.port, folder, prefix="/data", tell=told, port=port) as proxy:
            yield srv, proxy


def test_nginx_links(proxied):
    """The page and the state name the proxy's address, and what they name is there."""
    _, proxy = proxied
    _, state = link(proxy, "/data/view/s")
    assert sources(state) == [f"zarr3://{proxy.url}/zarr3/s.zarr/{n}/" for n in ("t1", "cells")]
    for s in sources(state):
        path = s[len("zarr3://") + len(proxy.origin):]
        assert proxy.get(path + "zarr.json").json()["node_type"] == "group"
    page = proxy.get("/data/").text
    urls = re.findall(r"http://127\.0\.0\.1:\d+/[\w./~-]*", page)
    assert len(urls) > 10 and all(u.startswith(proxy.url + "/") for u in urls)
    for u in set(urls):
        assert proxy.get(u[len(proxy.origin):]).status in (200, 301), u
    for path in re.findall(r'href="([^"]*)"', page):
        assert proxy.get("/data/" + path).status in (200, 302), path


def test_nginx_redirects(proxied):
    """A folder without its slash leads to the folder, through the proxy and beside it."""
    srv, proxy = proxied
    for path in ("zarr3", "zarr3/s.zarr", "n5/s.n5/g", "bdv/s/t1/dataset.n5"):
        for server, prefix in ((proxy, "/data/"), (srv, "/")):
            r = server.request("HEAD", prefix + path)
            assert r.status == 301 and r["Location"].endswith("/")
            target = urllib.parse.urljoin(f"http://h{prefix}{path}", r["Location"])
            assert urllib.parse.urlsplit(target).path == f"{prefix}{path}/"
            assert server.get(urllib.parse.urlsplit(target).path).status == 200


def test_nginx_passes_everything_on(proxied):
    """Bytes, statuses and headers are those of the server itself: parts, conditions, HEAD, 404,
    other origins."""
    srv, proxy = proxied
    key = "/zarr3/s.zarr/g/raw/c/0/0"
    for method in "GET", "HEAD":
        for path in (key, "/zarr2/s.zarr/.zmetadata", "/n5/s.n5/t1/s0/0/0/0", "/zarr3/s.zarr/x",
                     "/precomputed/s/cells/info", "/bdv/s/t1/dataset.n5/setup0/attributes.json",
                     "/zarr3/s.zarr/"):
            ours, theirs = (s.request(method, p + path) for s, p in ((srv, ""), (proxy, "/data")))
            assert (ours.status, ours.body) == (theirs.status, theirs.body), path
            for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control",
                         "Accept-Ranges", "Access-Control-Allow-Origin"):
                assert ours[name] == theirs[name], (path, name)
    xml = proxy.get("/data/bdv/s/t1/dataset.xml")  # says by which address it was asked for
    assert f">{proxy.url}/bdv/s/t1/dataset.n5<" in xml.text and xml.status == 200
    whole = proxy.get("/data" + key)
    part = proxy.get("/data" + key, {"Range": "bytes=3-9"})
    assert part.status == 206 and part.body == whole.body[3:10]
    assert proxy.get("/data" + key, {"If-None-Match": whole["ETag"]}).status == 304
    r = proxy.get("/data" + key, {"Origin": "http://localhost:1"})
    assert r["Access-Control-Allow-Origin"] == "http://localhost:1"


def test_nginx_a_reader(proxied):
    """Debian's zarr-python reads through the proxy."""
    import zarr
    srv, proxy = proxied
    y, x = np.indices((9, 70))
    for face in "zarr2", :
        a = zarr.open(f"{proxy.url}/{face}/s.zarr/g/raw", mode="r")
        assert np.array_equal(a[...], y + x)


def test_nginx_tells_who_left(serve, gate, tmp_path):
    """A client that closes its connection to the proxy takes its wish back here."""
    srv = serve(gate.code + """
import lazarr
@lazarr.array("slow", shape=(8,), chunks=1, dtype="uint8")
def slow(block):
    gate(block.start[0])
    return 1
""", "--workers", "1")
    with Nginx(srv.port, tmp_path) as proxy:
        h = lzr.Http(proxy.port)
        h.send("GET", "/data/zarr3/s.zarr/slow/c/0")
        gate.next()
        srv.wait_metric("http_suspended", 1)
        h.close()
        srv.wait_metric("http_suspended", 0)
