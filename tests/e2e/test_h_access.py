"""Who may ask: names in the Host header, pages of other origins, the token."""
import re
import urllib.parse

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("g/a", shape=(8,), chunks=(2,), dtype="uint8", compressor=None)
def a(block):
    return 7
@lazarr.array("t", shape=(4, 4, 4), chunks=4, dtype="uint8", axes="zyx")
def t(block):
    return 7
"""
KEY = "/zarr3/s.zarr/g/a/c/0"
TOKEN = "correct-horse-battery"


def sample(srv, name):
    return float(re.search(rf"^lazarr_{re.escape(name)} (\S+)$", srv.get("/metrics").text, re.M).group(1))


# ------------------------------------------------------------------------------------------- hosts

def test_rebinding(serve):
    """A page whose name was made to mean 127.0.0.1 reads nothing, whatever it asks for."""
    srv = serve(STORE, "--workers", "1")
    for target in ("/", KEY, "/api/stats", "/metrics", "/zarr3/", "/nothing", "/view/s"):
        r = srv.get(target, {"Host": "evil.example:8080"})
        assert r.status == 421 and "evil.example" in r.text, target
    assert srv.request("POST", "/api/reload", {"Host": "evil.example"}).status == 421
    # Told once, with what to do about it, and counted.
    srv.wait_log(r"host 'evil.example:8080' was refused; to answer to it: --allow-host evil.example$")
    assert srv.log.count("evil.example:8080'") == 1
    assert sample(srv, 'http_refused_total{reason="host"}') == 8


@pytest.mark.parametrize("args, yes, no", [
    ((), ["localhost", "127.0.0.1:1", "127.9.9.9", "[::1]", "a.localhost"], ["lab.example", "192.168.1.5"]),
    (("--allow-host", "lab.example", "--allow-host", "192.168.1.5"),
     ["lab.example", "LAB.example:99", "192.168.1.5", "localhost"], ["x.lab.example", "192.168.1.55"]),
    (("--allow-host", "*"), ["evil.example", "localhost"], []),
    (("--public-url", "https://view.example:8443/x"), ["view.example", "view.example:8443"], ["x"]),
    (("--host", "::1"), ["[::1]:5", "localhost"], ["[::2]"]),
    (("--host", "0.0.0.0", "--no-token", "--allow-host", "*"), ["evil.example", "localhost"], []),
    (("--host", "0.0.0.0", "--no-token", "--allow-host", "lab.example"), ["lab.example", "127.0.0.1", "10.1.2.3:80"],
     ["evil.example"]),
])
def test_names(serve, args, yes, no):
    srv = serve(STORE, "--workers", "1", *args)
    with lzr.Http(srv.port, host="::1" if "::1" in args else "127.0.0.1") as h:
        for name in yes:
            assert h.get(KEY, {"Host": name}).status == 200, name
        for name in no:
            assert h.get(KEY, {"Host": name}).status == 421, name


# ------------------------------------------------------------------------------------------ origins

VIEWERS = ["https://neuroglancer-demo.appspot.com", "https://hms-dbmi.github.io", "https://avivator.gehlenborglab.org",
           "https://vitessce.io", "https://ome.github.io", "http://localhost:3000", "http://127.0.0.1:8081"]


def test_origins(serve):
    srv = serve(STORE, "--workers", "1", "--allow-origin", "https://lab.example:8443")
    for origin in [*VIEWERS, "https://lab.example:8443"]:
        r = srv.get(KEY, {"Origin": origin})
        assert r["Access-Control-Allow-Origin"] == origin and "Origin" in r["Vary"], origin
    for origin in ("https://lab.example", "http://evil.example", "null", "https://vitessce.io.evil.example"):
        r = srv.get(KEY, {"Origin": origin})
        assert r.status == 200 and r["Access-Control-Allow-Origin"] is None and "Origin" in r["Vary"]
        srv.wait_log(re.escape(f"to allow it: --allow-origin {origin}") + "$")
    assert srv.log.count("http://evil.example may not") == 1


def test_preflight(serve):
    srv = serve(STORE, "--workers", "1", "--token", TOKEN)
    ask = {"Origin": VIEWERS[0], "Access-Control-Request-Method": "GET",
           "Access-Control-Request-Headers": "range, authorization",
           "Access-Control-Request-Private-Network": "true"}
    r = srv.request("OPTIONS", KEY, ask)  # no credentials come with it
    assert r.status == 204 and r["Access-Control-Allow-Origin"] == VIEWERS[0]
    assert r["Access-Control-Allow-Private-Network"] == "true"
    assert r["Access-Control-Allow-Headers"] == "range, authorization"
    assert "GET" in r["Access-Control-Allow-Methods"]
    r = srv.request("OPTIONS", KEY, {**ask, "Origin": "http://evil.example"})
    assert r.status == 204 and not [n for n, _ in r.headers if n.lower().startswith("access-control")]
    assert srv.request("OPTIONS", "*").status == 204


# --------------------------------------------------------------------------------------- tracebacks

def test_tracebacks_stay_on_this_machine(serve):
    """A proxy's clients, and those of other addresses, get the line that says what failed, no more."""
    text = STORE + """
@lazarr.array("f", shape=(8,), chunks=(1,), dtype="uint8")
def f(block):
    raise ValueError("no such thing")
"""
    for args, headers, shown in (((), {}, True), ((), {"X-Forwarded-For": "1.2.3.4"}, False), ((), {"Via": "1.1 x"}, False),
                                 (("--host", "0.0.0.0", "--no-token"), {}, False),
                                 # A proxy here that says nothing of itself, but passes on the name that it was asked for.
                                 (("--allow-host", "data.example"), {"Host": "data.example"}, False),
                                 (("--public-url", "https://data.example"), {"Host": "data.example:443"}, False),
                                 (("--allow-host", "*"), {"Host": "[::1]:5"}, True)):
        srv = serve(text, "--workers", "1", *args)
        r = srv.get("/zarr3/s.zarr/f/c/0", headers)
        assert r.status == 500 and "no such thing" in r.text
        assert ("Traceback" in r.text) == ("File " in r.text) == shown, (args, headers)
        srv.wait_log("Traceback")
        srv.stop()


# ------------------------------------------------------------------------------------------- tokens

def test_token(serve):
    srv = serve(STORE, "--workers", "1", "--token", TOKEN)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for target in ("/", KEY, "/zarr3/", "/api/stats", "/metrics", "/view/s", "/nothing", "/t/", "/t/wrong" + KEY,
                   f"/t/{TOKEN}x{KEY}", f"/t/{TOKEN[:-1]}{KEY}", f"/T/{TOKEN}{KEY}", f"{KEY}?token={TOKEN}",
                   f"/x/t/{TOKEN}{KEY}", f"/t/{TOKEN[::-1]}{KEY}"):
        r = srv.get(target)
        assert r.status == 401 and r["WWW-Authenticate"] == "Bearer", target
        assert TOKEN not in str(r.headers) + r.text
    for headers in ({"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"},
                    {"Authorization": "Bearer"}, {"Authorization": TOKEN}, {"Cookie": f"token={TOKEN}"}):
        assert srv.get(KEY, headers).status == 401
    assert srv.head(KEY).status == 401
    assert srv.get("/healthz").status == 200  # for whoever watches; it says nothing else
    assert srv.chunk(f"/t/{TOKEN}{KEY}") == srv.get(KEY, bearer).body == b"\7\7"
    assert srv.get(f"/t/{TOKEN}/nothing").status == srv.get("/nothing", bearer).status == 404
    assert srv.get(f"/t/{TOKEN}/../healthz").status == 404
    assert srv.get(f"/t/{TOKEN}//evil.example/").status == 404
    # In no line, in no spelling.
    srv.get("/" + "".join(f"%{ord(c):02x}" for c in f"t/{TOKEN}/a"))
    srv.get(f"/%74/{TOKEN}/a")
    srv.get("/end")
    srv.wait_log('GET /end HTTP/1.1" 401')
    assert TOKEN not in srv.log and TOKEN not in urllib.parse.unquote(srv.log)
    srv.wait_log(rf'GET /t/\*\*\*{KEY} HTTP/1.1" 200')
    text = srv.get("/metrics", bearer).text
    assert float(re.search(r'http_refused_total\{reason="token"\} (\d+)', text).group(1)) > 15


def test_urls_keep_the_token(serve):
    """Whoever came with the token in the path can follow every link."""
    srv = serve(STORE, "--workers", "1", "--token", TOKEN)
    base = f"/t/{TOKEN}"
    assert srv.get(base)["Location"] == base + "/"
    assert srv.head(base + "/zarr3/s.zarr")["Location"] == base + "/zarr3/s.zarr/"
    page = srv.get(base + "/")
    assert page.status == 200 and page["Referrer-Policy"] == "no-referrer"
    assert f"{base}/zarr3/s.zarr/g/a" in page.text
    for face in ("zarr3/s.zarr/", "zarr2/s.zarr/"):  # listings have relative links
        links = re.findall(r'href="([^"]+)"', srv.get(f"{base}/{face}").text)
        assert links and not any(link.startswith("/") for link in links)
    state = urllib.parse.unquote(srv.get(base + "/view/s")["Location"])
    assert f"{base}/zarr3/s.zarr/t" in state
    # In a header it stays there.
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert TOKEN not in srv.get("/", bearer).text + srv.get("/view/s", bearer)["Location"]
    # What is printed for copying has it, but not where nobody reads it (standard output is a pipe here).
    assert "/t/***/zarr3/s.zarr/g/a" in srv.log and TOKEN not in srv.log


def test_token_file(serve, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\nmore\n")
    (tmp_path / "token").chmod(0o600)
    srv = serve(STORE, "--workers", "1", "--token-file", tmp_path / "token")
    assert srv.get(KEY).status == 401 and srv.chunk(f"/t/{TOKEN}{KEY}") == b"\7\7"
    assert TOKEN not in open(f"/proc/{srv.process.pid}/cmdline").read()


def test_without_a_token_its_paths_are_hidden_too(serve):
    """A client that still has the URLs of a server with a token doesn't write it into this one's log."""
    srv = serve(STORE, "--workers", "1")
    assert srv.get(f"/t/{TOKEN}{KEY}").status == 404
    srv.wait_log(r"GET /t/\*\*\*/zarr3")
    assert TOKEN not in srv.log


@pytest.mark.parametrize("args", [
    ["--token", "short"], ["--token", "with a blank in its text"], ["--token", "slash/slash/slash/slash"],
    ["--token", ""], ["--token-file", "/nonexistent"], ["--token-file", "/dev/null"],
    ["--allow-origin", "lab.example"], ["--allow-origin", "https://lab.example/"], ["--allow-origin", ""],
    ["--allow-host", "http://lab.example"], ["--allow-host", "lab.example:80"], ["--allow-host", ""],
])
def test_wrong_usage(tmp_path, args):
    r = lzr.run("serve", tmp_path / "s.py", *args)
    assert r.returncode == 2 and args[0].encode() in r.stderr and r.stderr.count(b"\n") == 1
    if args[0] == "--token" and args[1]:
        assert args[1].encode() not in r.stderr
