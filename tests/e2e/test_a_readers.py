"""What readers make of the documents: N5's places and axes, BigDataViewer's files, no index that wraps
where levels differ in channels or times, JSON for readers of ASCII, and how a link fits."""
import itertools
import html
import json
import re
import subprocess
import urllib.parse
import xml.etree.ElementTree as ET

import lzr
import numpy as np
import pytest

#: axes -> shape, factors, parameters. Values say where they are.
IMAGES = {
    "yx": ((9, 11), 2, dict(scale=(0.5, 0.25), translation=(3, 4), units="micrometer")),
    "zyx": ((5, 9, 11), 2, dict(units="nanometer")),
    "zyx_moved": ((5, 9, 11), (1, 2, 3), dict(scale=(3, 1, 1), translation=(-7, 0.5, 1e3), units="millimeter")),
    "zyx_bare": ((5, 9, 11), 2, {}),
    "zyx_stride": ((5, 9, 11), 2, dict(pyramid="stride", scale=2)),
    "cyx": ((3, 9, 11), 2, dict(channels=["a", "b", "c"], translation=(0, 5, 6))),
    "tyx": ((3, 9, 11), 2, dict(units=["second", "micrometer", "micrometer"], scale=(0.1, 2, 2))),
    "czyx": ((2, 5, 9, 11), 2, dict(units="micrometer", scale=(1, 2, 1, 1), translation=(0, 1, 2, 3))),
    "tczyx": ((2, 3, 5, 9, 11), 2, dict(units=["hour", None, *["angstrom"] * 3])),
    "czyx_c": ((4, 5, 9, 11), 2, dict(factors=(2, 2, 2, 2))),
    "czyx_odd": ((5, 5, 9, 11), 2, dict(factors=(3, 1, 2, 2))),
    "tzyx_t": ((4, 5, 9, 11), 2, dict(factors=(2, 1, 2, 2))),
    "cyx_c": ((4, 9, 11), 2, dict(factors=(4, 1, 1))),
    "tczyx_tc": ((4, 3, 5, 9, 11), 2, dict(factors=(2, 3, 1, 1, 1))),
    "czyx_one": ((1, 5, 9, 11), 2, dict(factors=(2, 2, 2, 2))),  # one channel stays one
}
#: Those that a format can't hold, and why.
NO_BDV = {"czyx_c": "channels", "czyx_odd": "channels", "cyx_c": "channels", "tzyx_t": "timepoints",
          "tczyx_tc": "channels"}
NO_PRECOMPUTED = {n: "channels" for n in ("czyx_c", "czyx_odd", "cyx_c")}
STORE = f"""
import lazarr, numpy as np
IMAGES = {IMAGES!r}
for name, (shape, step, more) in IMAGES.items():
    more = dict(dict(factors=step), **more)
    v = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    lazarr.source(name, v, axes=name.split("_")[0], chunks=4, levels=3, compressor=None, n5_compressor=None,
                  **more)
"""


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("readers") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "1", "--allow-host", "*") as server:
        yield server


@pytest.fixture(scope="module")
def zarr(srv):
    """Each image's levels, as the Zarr face has them."""
    return {n: [lzr.read_array(srv, f"/zarr2/s.zarr/{n}/{k}") for k in range(3)] for n in IMAGES}


def n5_array(srv, path):
    """A dataset whole, axes in N5's order; every block's header and length are looked at."""
    m = srv.get(f"{path}/attributes.json").json()
    out = np.zeros(m["dimensions"], m["dataType"])
    counts = [-(-n // b) for n, b in zip(m["dimensions"], m["blockSize"])]
    for pos in itertools.product(*map(range, counts)):
        data = srv.chunk(f"{path}/{'/'.join(map(str, pos))}")
        n = len(counts)
        extent = np.frombuffer(data[4:4 + 4 * n], ">u4")
        at = tuple(slice(p * b, p * b + e) for p, b, e in zip(pos, m["blockSize"], extent))
        out[at] = np.frombuffer(data[4 + 4 * n:], np.dtype(m["dataType"]).newbyteorder(">")).reshape(extent, order="F")
    for axis, n in enumerate(counts):  # nothing lies behind the last one
        assert srv.get(f"{path}/{'/'.join(str(n if i == axis else 0) for i in range(len(counts)))}").status == 404
    return out


# ----------------------------------------------------------------- no index wraps

@pytest.mark.parametrize("name", IMAGES)
def test_n5_is_what_zarr_is(srv, zarr, name):
    for k in range(3):
        assert np.array_equal(n5_array(srv, f"/n5/s.n5/{name}/s{k}"), zarr[name][k].T)


@pytest.mark.parametrize("name", IMAGES)
def test_bigdataviewer_is_what_zarr_is(srv, zarr, name):
    """Each setup, timepoint and level; or it isn't there at all, with the reason."""
    root, axes = f"/bdv/s/{name}", name.split("_")[0]
    if name in NO_BDV:
        assert srv.get(f"{root}/dataset.xml").status == 404
        assert srv.get(f"{root}/dataset.n5/setup0/timepoint0/s1/0/0/0").status == 404
        assert f"BigDataViewer has as many {NO_BDV[name]} at each level" in said_of(srv, name)
        return
    xml = ET.fromstring(srv.get(f"{root}/dataset.xml").body)
    setups = [int(e.text) for e in xml.findall(".//ViewSetup/id")]
    times = int(xml.find(".//Timepoints/last").text) + 1
    for s, t, k in itertools.product(setups, range(times), range(3)):
        want = zarr[name][k]
        if "c" in axes:
            want = want.take(s, axes.index("c"))
        if "t" in axes:
            want = want.take(t, 0)
        got = n5_array(srv, f"{root}/dataset.n5/setup{s}/timepoint{t}/s{k}")
        assert np.array_equal(got.reshape(want.T.shape), want.T), (s, t, k)
    for beyond in (f"setup{len(setups)}/timepoint0", f"setup0/timepoint{times}"):
        assert srv.get(f"{root}/dataset.n5/{beyond}/s0/0/0/0").status == 404


@pytest.mark.parametrize("name", IMAGES)
def test_precomputed_is_what_zarr_is(srv, zarr, name):
    axes, root = name.split("_")[0], f"/precomputed/s/{name}"
    if "t" in axes or name in NO_PRECOMPUTED:
        assert srv.get(f"{root}/info").status == 404
        why = NO_PRECOMPUTED.get(name)
        assert why is None or f"precomputed has as many {why} at each level" in said_of(srv, name)
        return
    info = srv.get(f"{root}/info").json()
    for k, scale in enumerate(info["scales"]):
        size, offset, (chunk,) = scale["size"], scale["voxel_offset"], scale["chunk_sizes"]
        out = np.zeros([info["num_channels"], *size[::-1]], "u2")
        for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(size, chunk))):
            low = [p * c for p, c in zip(pos, chunk)]
            high = [min(a + c, n) for a, c, n in zip(low, chunk, size)]
            key = "_".join(f"{a + o}-{b + o}" for a, b, o in zip(low, high, offset))
            extent = [b - a for a, b in zip(low, high)]
            data = srv.chunk(f"{root}/{scale['key']}/{key}")
            out[(slice(None), *(slice(a, b) for a, b in zip(low[::-1], high[::-1])))] = \
                np.frombuffer(data, "<u2").reshape([info["num_channels"], *extent[::-1]])
        assert np.array_equal(out.reshape(zarr[name][k].shape), zarr[name][k]), k


def test_a_files_own_levels(serve):
    """Levels that a source has itself, of which the coarse ones have fewer channels or times."""
    srv = serve("""
import lazarr, numpy as np
for axes in "czyx", "tzyx":
    for name, n in ("same", 4), ("fewer", 2):
        lazarr.source(f"{axes}_{name}", [np.zeros((4, 4, 8, 8), "u2"), np.ones((n, 2, 4, 4), "u2")], axes=axes)
""")
    for axes, face in itertools.product(("czyx", "tzyx"), ("bdv/s/{}/dataset.xml", "precomputed/s/{}/info")):
        absent = axes[0] == "t" and face.startswith("pre")
        assert srv.get("/" + face.format(f"{axes}_same")).status == (404 if absent else 200)
        assert srv.get("/" + face.format(f"{axes}_fewer")).status == 404
        assert "as many" in said_of(srv, f"{axes}_fewer") and "as many" not in said_of(srv, f"{axes}_same")
    assert "as many channels" in srv.get("/").text


def said_of(srv, name):
    """What the page says of an array; the start names only the first ten."""
    part, = [x for x in html.unescape(srv.get("/").text).split("<section") if f"s / {name}<" in x]
    return part


# ------------------------------------------------------------------------------ N5

UNITS = {"micrometer": "um", "nanometer": "nm", "millimeter": "mm", "second": "s", "hour": "s", "angstrom": "nm",
         None: "pixel"}
TIMES = {"hour": 3600, "angstrom": 0.1}


@pytest.mark.parametrize("name", IMAGES)
def test_n5_says_places_and_axes_of_every_image(srv, name):
    """COSEM's transform, C order: names, units, scale and translation of all axes, at each level."""
    shape, step, more = IMAGES[name]
    axes, n = list(name.split("_")[0]), len(shape)
    units = more.get("units")
    units = [units if a in "zyx" else None for a in axes] if not isinstance(units, list) else units
    zattrs = srv.get(f"/zarr2/s.zarr/{name}/.zattrs").json()["multiscales"][0]["datasets"]
    assert srv.get(f"/n5/s.n5/{name}/attributes.json").json()["multiScale"] is True
    for k in range(3):
        t = srv.get(f"/n5/s.n5/{name}/s{k}/attributes.json").json()["transform"]
        assert t["axes"] == axes and t["units"] == [UNITS[u] for u in units] and t["ordering"] == "C"
        for key, ct in (("scale", 0), ("translate", 1)):
            want = [v * TIMES.get(u, 1) for v, u in
                    zip(zattrs[k]["coordinateTransformations"][ct]["scale" if ct == 0 else "translation"], units)]
            assert len(t[key]) == n
            np.testing.assert_allclose(t[key], want, rtol=1e-12)


def test_n5_of_plain_arrays_has_no_transform(serve):
    plain = serve("import lazarr, numpy as np\nlazarr.source('p', np.zeros((3, 4)), dims=('c', 'x'))\n")
    assert "transform" not in plain.get("/n5/s.n5/p/attributes.json").json()


# ------------------------------------------------------------------- BigDataViewer's files

@pytest.mark.parametrize("headers,base", [
    ({}, None), ({"Host": "data.example:81"}, "http://data.example:81"),
    ({"X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/data"},
     "https://a.example/data")])
def test_dataset_xml_says_where_its_data_are(srv, headers, base):
    r = srv.get("/bdv/s/czyx/dataset.xml", headers)
    n5 = ET.fromstring(r.body).find(".//n5")
    assert n5.attrib == {"type": "absolute"} and n5.text == f"{base or srv.url}/bdv/s/czyx/dataset.n5"
    assert r["Content-Type"].startswith("text/xml")
    again = srv.get("/bdv/s/czyx/dataset.xml", {**headers, "If-None-Match": r["ETag"]})
    assert again.status == 304
    head = srv.request("HEAD", "/bdv/s/czyx/dataset.xml", headers)
    assert head.status == 200 and int(head["Content-Length"]) == len(r.body)
    other = srv.get("/bdv/s/czyx/dataset.xml", {"Host": "other.example", "If-None-Match": r["ETag"]})
    assert other.status == 200 and b"http://other.example/bdv" in other.body  # not the one that is remembered


def test_dataset_xml_keeps_the_token(serve):
    token = "abcdefghijklmnop1234"
    srv = serve(STORE, "--token", token, "--public-url", "https://h.example/lab/")
    r = srv.get(f"/t/{token}/bdv/s/zyx/dataset.xml")
    assert f"https://h.example/lab/t/{token}/bdv/s/zyx/dataset.n5<" in r.text


CHANNELS = """
import lazarr, numpy as np
lazarr.source("g/film", np.zeros((2, 3, 4, 6, 8), "f4"), axes="tczyx", levels=2, channels=[
    "D\\u00c4PI <1> & 'x'", {"label": "\\U0001f9e0\\x01", "color": "FF8000", "window": {"start": 1.5, "end": 20}},
    {"label": "c", "active": False, "window": {"min": -5, "max": 9, "start": -1, "end": 3}}])
lazarr.source("plane", np.zeros((6, 8), "u1"), axes="yx", channels=["only"])
lazarr.source("none", np.zeros((2, 6, 8), "u1"), axes="cyx")
lazarr.source("plain", np.zeros((6, 8)))
"""
NAMES = ["D\u00c4PI <1> & 'x'", "\U0001f9e0\ufffd", "c"]


def settings_of(data):
    """What BigDataViewer reads of it: (active, colour, min, max) of each source."""
    root = ET.fromstring(data)
    active = [e.text == "true" for e in root.findall("ViewerState/Sources/Source/active")]
    assert len(root.findall("ViewerState/SourceGroups/SourceGroup")) == 10
    assert len(root.findall("ManualSourceTransforms/SourceTransform")) == len(active)
    groups = {e.find("id").text: e for e in root.findall("SetupAssignments/MinMaxGroups/MinMaxGroup")}
    out = []
    for i, e in enumerate(root.findall("SetupAssignments/ConverterSetups/ConverterSetup")):
        low, high = float(e.find("min").text), float(e.find("max").text)
        g = groups[e.find("groupId").text]
        assert float(g.find("rangeMin").text) <= low == float(g.find("currentMin").text)
        assert float(g.find("rangeMax").text) >= high == float(g.find("currentMax").text)
        assert e.find("id").text == str(i)
        out.append((active[i], f"{int(e.find('color').text) & 0xffffff:06X}", low, high))
    assert len(out) == len(active)
    return out


def test_channels_of_bigdataviewer(serve):
    """Names in the XML; colours and windows there, for Fiji's Playground, and in the settings that
    BigDataViewer itself reads."""
    srv = serve(CHANNELS)
    xml = ET.fromstring(srv.get("/bdv/s/g/film/dataset.xml").body)
    assert [e.text for e in xml.findall(".//Channel/name")] == NAMES
    assert [e.text for e in xml.findall(".//ViewSetup/name")] == [f"film {n}" for n in NAMES]
    shown = [(e.find("color").text, float(e.find("min").text), float(e.find("max").text))
             for e in xml.findall(".//Displaysettings")]
    assert shown == [("0 255 0 255", 0, 1), ("255 128 0 255", 1.5, 20), ("0 255 255 255", -1, 3)]
    want = [(True, "00FF00", 0, 1), (True, "FF8000", 1.5, 20), (False, "00FFFF", -1, 3)]
    r = srv.get("/bdv/s/g/film/dataset.settings.xml")
    assert r["Content-Type"].startswith("text/xml") and settings_of(r.body) == want
    assert settings_of(srv.get("/bdv/s/plane/dataset.settings.xml").body) == [(True, "FFFFFF", 0, 255)]
    for name in "none", "plain":
        assert srv.get(f"/bdv/s/{name}/dataset.settings.xml").status == 404
    none = ET.fromstring(srv.get("/bdv/s/none/dataset.xml").body)
    assert [e.text for e in none.findall(".//ViewSetup/name")] == ["none channel 0", "none channel 1"]
    assert none.find(".//Attributes[@name='displaysettings']") is None
    page = srv.get("/").text
    for text in ('href="bdv/s/g/film/dataset.xml" download="film.xml"',
                 'href="bdv/s/g/film/dataset.settings.xml" download="film.settings.xml"',
                 f"curl -o film.xml {srv.url}/bdv/s/g/film/dataset.xml"):
        assert text in page, text
    assert 'download="none.settings.xml"' not in page


def test_lazarr_bdv(tmp_path):
    """The same as files: what BigDataViewer opens, and the settings beside it."""
    store, out = tmp_path / "s.py", tmp_path / "film.xml"
    store.write_text(CHANNELS)
    p = lzr.run("bdv", store, "g/film", "--url", "https://h.example/lab/", "-o", out)
    assert p.returncode == 0 and p.stdout == b"", p.stderr
    assert ET.parse(out).find(".//n5").text == "https://h.example/lab/bdv/s/g/film/dataset.n5"
    beside = tmp_path / "film.settings.xml"
    assert len(settings_of(beside.read_bytes())) == 3
    beside.write_text("mine")  # BigDataViewer saves there
    p = lzr.run("bdv", store, "g/film", "-o", out)
    assert p.returncode == 0 and b"is kept" in p.stderr and beside.read_text() == "mine"
    assert ET.parse(out).find(".//n5").text == "http://127.0.0.1:8080/bdv/s/g/film/dataset.n5"
    p = lzr.run("bdv", "--output", tmp_path / "none.xml", store, "none")
    assert p.returncode == 0 and not (tmp_path / "none.settings.xml").exists()
    p = lzr.run("bdv", store, "g/film")
    assert ET.fromstring(p.stdout).find(".//n5").text.startswith("http://127.0.0.1:8080/bdv/")


@pytest.mark.parametrize("args,status,why", [
    (["nowhere"], 1, "there is no array 'nowhere': there are g/film, "),
    (["s/plane"], 1, "there is no array 's/plane': did you mean 'plane'?"), (["plain"], 1, "BigDataViewer shows images only"),
    ([], 2, "a store and an array"), (["plane", "x"], 2, "a store and an array"),
    (["plane", "--url", "h.example"], 2, "http[s]://HOST"), (["plane", "-o"], 2, "a value must follow"),
    (["plane", "-o", "/nowhere/at/all.xml"], 1, "cannot write /nowhere/at/all.xml: No such file"),
    (["plane", "-o", "/dev/full"], 1, "cannot write /dev/full: No space left")])
def test_lazarr_bdv_says_what_is_wrong(tmp_path, args, status, why):
    store = tmp_path / "s.py"
    store.write_text(CHANNELS)
    p = lzr.run("bdv", store, *args)
    assert p.returncode == status and why in p.stderr.decode(), p.stderr


@pytest.mark.parametrize("option", [["-o", "x"], ["--url", "http://h"]])
def test_of_bdv_alone(tmp_path, option):
    (tmp_path / "s.py").write_text(CHANNELS)
    assert lzr.run("describe", tmp_path / "s.py", *option).returncode == 2


# ------------------------------------------------------------------------- ASCII

WORDS = ["größe µm", "日本語", "\U0001f9e0", "\u007f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff", 'a"\\\n\u00e9', "plain"]
TEXTS = f"""
import lazarr, numpy as np
WORDS = {WORDS!r}
more = dict(attributes={{"words": WORDS, WORDS[0]: {{WORDS[1]: WORDS[2]}}}})
lazarr.group("g", attributes=more["attributes"])
lazarr.source("g/a", np.arange(6).reshape(2, 3), dims=("zeit", WORDS[0]), **more)
lazarr.source("i", np.zeros((2, 6, 8), "u1"), axes="cyx", channels=WORDS[:2], **more)
"""


def documents(srv, at):
    for href in re.findall(r'<a href="([^"]+)"', srv.get(at).text):
        if href.endswith("/"):
            yield from documents(srv, at + href)
        else:
            yield at + href


def test_zarr2_and_n5_are_ascii(serve):
    """zarr-python 2 takes no other bytes; the texts are the same ones."""
    srv = serve(TEXTS)
    seen = [p for root in ("/zarr2/s.zarr/", "/n5/s.n5/") for p in documents(srv, root) if not p[-1].isdigit()]  # chunks are
    assert len(seen) > 10
    for path in seen:
        body = srv.get(path).body
        assert body.isascii(), path
        assert json.loads(body) == json.loads(body.decode("ascii"))
    for path in ("/zarr2/s.zarr/g/a/.zattrs", "/zarr2/s.zarr/i/.zattrs", "/n5/s.n5/g/a/attributes.json"):
        got = srv.get(path).json()
        assert got["words"] == WORDS and got[WORDS[0]] == {WORDS[1]: WORDS[2]}
    assert srv.get("/zarr2/s.zarr/g/a/.zattrs").json()["_ARRAY_DIMENSIONS"] == ["zeit", WORDS[0]]
    whole = srv.get("/zarr2/s.zarr/.zmetadata").json()["metadata"]
    assert whole["g/.zattrs"]["words"] == WORDS and whole["i/.zattrs"]["omero"]["channels"][1]["label"] == WORDS[1]
    assert srv.get("/zarr3/s.zarr/g/a/zarr.json").json()["attributes"]["words"] == WORDS


def test_debians_zarr_reads_texts(serve):
    zarr2 = "import zarr; print(zarr.__version__)"
    p = subprocess.run(["/usr/bin/python3", "-c", zarr2], capture_output=True, text=True)
    lzr.need(p.returncode == 0 and p.stdout.startswith("2."), "Debian's zarr-python 2 (python3-zarr)")
    srv = serve(TEXTS)
    code = (f"import zarr\ng = zarr.open('{srv.url}/zarr2/s.zarr', mode='r')\n"
            f"assert g['g/a'].attrs['words'] == {WORDS!r}, g['g/a'].attrs['words']\n"
            "assert g['g/a'][...].tolist() == [[0, 1, 2], [3, 4, 5]]\n"
            f"c = zarr.open_consolidated('{srv.url}/zarr2/s.zarr', mode='r')\nassert c['g'].attrs['words'][0]\n")
    p = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, env=lzr.environment())
    assert p.returncode == 0, p.stderr


# -------------------------------------------------------------------------- a link's fit

LOOKS = """
import lazarr, numpy as np
def image(name, shape, axes="yx", **more):
    lazarr.array(name, shape=shape, chunks=64, dtype="uint8", axes=axes, **more)(lambda block: 1)
OFF = [dict(label="a", active=False)]
"""


def state_of(srv, target):
    r = srv.get(target)
    assert r.status == 302
    return json.loads(urllib.parse.unquote(r["Location"].split("#!", 1)[1]))


@pytest.mark.parametrize("hidden", [
    "image('far', (300, 300), translation=(90000, 90000), channels=OFF)",
    "image('huge', (60000, 60000), channels=OFF)",
    "image('deep', (900, 60, 60), axes='zyx', channels=OFF)",
    "image('fine', (60, 60), scale=(0.01, 0.01), channels=OFF)",
    "image('small', (10, 10), channels=OFF)\nimage('large', (9000, 9000), channels=OFF)",
], ids=["far", "huge", "deep", "fine", "two"])
def test_a_link_fits_what_is_on(serve, hidden):
    """Layers that are switched off have their axes in the state, and move nothing."""
    alone = state_of(serve(LOOKS + "image('t', (200, 300))\n"), "/view/s")
    for text in ("image('t', (200, 300))\n" + hidden, hidden + "\nimage('t', (200, 300))\n"):
        got = state_of(serve(LOOKS + text + "\n", name="s"), "/view/s")
        assert {x["name"] for x in got["layers"] if x.get("visible", True)} == {"t"}
        assert got["layout"] == alone["layout"] == "xy"
        finer = alone["dimensions"]["x"][0] / got["dimensions"]["x"][0]
        np.testing.assert_allclose(got["position"][:2], np.array(alone["position"][:2]) * finer, rtol=1e-6)
        np.testing.assert_allclose(got["crossSectionScale"], alone["crossSectionScale"] * finer, rtol=1e-3)


def test_more_images_than_are_on(serve):
    """The seventh image is off at first, and lies elsewhere."""
    text = "".join(f"image('i{k}', (200, 300))\n" for k in range(6))
    alone = state_of(serve(LOOKS + text), "/view/s")
    got = state_of(serve(LOOKS + text + "image('z', (200, 300), translation=(5000, 5000))\n"), "/view/s")
    assert not got["layers"][-1].get("visible", True)
    assert (got["position"], got["crossSectionScale"]) == (alone["position"], alone["crossSectionScale"])


@pytest.mark.parametrize("small", ["scale=(0.01, 0.01)", "scale=(0.01, 0.01), translation=(150, 200)", "levels=3"],
                         ids=["corner", "middle", "same"])
@pytest.mark.parametrize("large", ["(300, 400)", "(60000, 60000)"], ids=["whole", "begins-zoomed-in"])
def test_small_chunks_of_another_layer(serve, large, small):
    """How far a link zooms in to ask for few chunks is each layer's own matter: a detail in fine voxels on an overview
    doesn't count as if all of the overview were as fine."""
    first = f"image('large', {large})\n"
    alone = state_of(serve(LOOKS + first), "/view/s")
    got = state_of(serve(LOOKS + first + f"image('small', (60, 80), {small})\n"), "/view/s")
    finer = alone["dimensions"]["x"][0] / got["dimensions"]["x"][0]
    np.testing.assert_allclose(got["crossSectionScale"], alone["crossSectionScale"] * finer, rtol=0.02)


def test_all_are_off(serve):
    on, off = (state_of(serve(LOOKS + f"image('a', (200, 300){more})\n"), "/view/s") for more in ("", ", channels=OFF"))
    assert all(on[k] == off[k] for k in ("position", "crossSectionScale", "dimensions"))


# ------------------------------------------------------------------------- what serve says

def test_the_start_says_how_levels_are_made(serve):
    srv = serve("""
import lazarr, numpy as np
img = lazarr.source("img", np.zeros((64, 64), "u1"), axes="yx", chunks=32, levels=3)
lab = lazarr.source("lab", np.zeros((64, 64), "u4"), axes="yx", chunks=32, kind="labels")
one = lazarr.source("one", np.zeros((64, 64), "u1"), axes="yx", chunks=32)
f = lambda block, x, *rest: x
lazarr.array("all", inputs=[img])(f)
lazarr.array("some", inputs=[img, one])(f)
lazarr.array("ids", inputs=[lab], levels=2)(f)
""")
    lines = {x.split()[0]: x for x in srv.log.splitlines() if x.startswith("s/")}
    for name, says in (("img", " (3 levels: mean)  "), ("all", " (3 levels: each)  "), ("some", " (3 levels: mean)  "),
                       ("ids", " (2 levels: mode)  ")):
        assert lines[f"s/{name}"].startswith(f"s/{name}{says}"), lines[f"s/{name}"]
    assert "levels" not in lines["s/one"]
