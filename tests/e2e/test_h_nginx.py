"""Behind the real nginx, configured as docs/operations.md says: TLS, a token that the proxy holds, its cache,
who is believed. (test_e_view has the folder.)"""
import os
import re
import socket
import ssl
import subprocess
import urllib.parse

import pytest

import lzr
import nginx

STORE = """
import lazarr
@lazarr.array("a", shape=(8, 8), chunks=(2, 2), dtype="uint8", compressor=None)
def a(block):
    return VALUE
@lazarr.array("img", shape=(4, 4, 4), chunks=4, dtype="uint8", axes="zyx")
def img(block):
    return 7
"""
KEY = "/zarr3/s.zarr/a/c/0/0"
TOKEN = "the-proxy-knows-this-one"
OPERATIONS = lzr.ROOT / "docs" / "operations.md"


def documented():
    """The server block of the documentation, word by word."""
    return re.search(r"```nginx\n(.*?)```", OPERATIONS.read_text(), re.S).group(1)


class Tls(lzr.Http):
    """One connection with TLS, to a proxy whose certificate is checked."""

    def __init__(self, port, certificate):
        super().__init__(port)
        context = ssl.create_default_context(cafile=certificate)
        self.sock = context.wrap_socket(self.sock, server_hostname="data.example")
        self.host = "data.example"


class Proxy:
    def __init__(self, upstream, folder):
        self.port = lzr.free_port()
        self.certificate = folder / "data.example.crt"
        key = folder / "data.example.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=data.example", "-addext", "subjectAltName=DNS:data.example", "-keyout", key, "-out",
                        self.certificate], check=True, stderr=subprocess.DEVNULL)
        block = documented()
        for old, new in (("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl;"),
                         ("listen 443 ssl http2 default_server;", f"listen 127.0.0.1:{self.port} ssl default_server;"),
                         ("/etc/ssl/data.example.crt", str(self.certificate)), ("/etc/ssl/data.example.key", str(key)),
                         ("/var/cache/nginx/lazarr", str(folder / "cache")), ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
                         ("TOKEN", TOKEN)):
            assert old in block, f"docs/operations.md lacks {old}"
            block = block.replace(old, new)
        temp = "".join(f"{n}_temp_path {folder}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;"
            f"{'user root;' if os.getuid() == 0 else ''} events {{ worker_connections 256; }}"
            f"http {{ access_log off; {temp}\n{block}\n}}")
        self.folder = folder
        self.process = subprocess.Popen([nginx.program(), "-c", folder / "nginx.conf", "-p", folder, "-e",
                                         folder / "error.log"], stdin=subprocess.DEVNULL,
                                        preexec_fn=lzr._die_with_parent, start_new_session=True)
        lzr.wait_until(self.up, "nginx")

    def up(self):
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def get(self, target, headers=()):
        with Tls(self.port, self.certificate) as h:
            return h.get(target, headers)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "s.py").write_text(STORE.replace("VALUE", "1"))
    with lzr.Server(folder / "s.py", "--workers", "1", "--token", TOKEN) as srv:
        proxy = Proxy(srv.port, folder)
        try:
            yield srv, proxy
        finally:
            proxy.process.terminate()
            proxy.process.wait()


def stats(srv):
    return srv.get("/api/stats", {"Authorization": f"Bearer {TOKEN}"}).json()


def test_tls_and_a_token_that_the_proxy_holds(both):
    srv, proxy = both
    assert srv.get(KEY).status == 401
    r = proxy.get(KEY)
    assert r.status == 200 and r.body == b"\1" * 4
    assert proxy.get("/zarr3/s.zarr/nothing").status == 404
    # What the server embeds is the proxy's address, and never the token that the proxy holds.
    page, state = proxy.get("/").text, proxy.get("/view/s")["Location"]
    assert "https://data.example/zarr3/s.zarr/a" in page and "https://data.example/" in state
    assert TOKEN not in page + state and TOKEN not in srv.log


def asked_again(proxy, key):
    """The first answer for which nginx asked the server: after a second at the latest."""
    return lzr.wait_until(lambda: (lambda r: r if r["X-Cache"] != "HIT" else None)(proxy.get(key)), "the second to pass")


def test_its_cache(both):
    """nginx keeps answers, asks before it gives one again whether it still holds, and gets a 304 without a byte or a
    computation. Parts of a chunk come out of it too."""
    srv, proxy = both
    key = "/zarr3/s.zarr/a/c/1/1"
    first = proxy.get(key)
    assert first.status == 200 and first["X-Cache"] == "MISS"
    before = stats(srv)
    again = asked_again(proxy, key)
    assert again.status == 200 and again.body == first.body and again["X-Cache"] == "REVALIDATED"
    assert again["ETag"] == first["ETag"]
    assert proxy.get(key, {"If-None-Match": first["ETag"]}).status == 304
    part = proxy.get(key, {"Range": "bytes=1-2"})
    assert part.status == 206 and part.body == first.body[1:3]
    after = stats(srv)
    assert after["computed_total"] == before["computed_total"]
    assert after["cache_hits_total"] == before["cache_hits_total"]  # a 304 doesn't even look there
    # Documents as well; what failed or isn't there is not kept.
    assert proxy.get("/zarr3/s.zarr/a/zarr.json")["X-Cache"] == "MISS"
    assert asked_again(proxy, "/zarr3/s.zarr/a/zarr.json")["X-Cache"] == "REVALIDATED"
    for _ in range(2):
        assert proxy.get("/zarr3/s.zarr/a/c/9/9")["X-Cache"] == "MISS"


def test_what_is_reloaded_is_not_answered_from_its_cache(both):
    srv, proxy = both
    key = "/zarr3/s.zarr/a/c/2/2"
    assert proxy.get(key).body == b"\1" * 4
    (proxy.folder / "s.py").write_text(STORE.replace("VALUE", "2"))
    assert srv.request("POST", f"/t/{TOKEN}/api/reload").status == 200
    r = asked_again(proxy, key)
    assert r.status == 200 and r.body == b"\2" * 4
    assert asked_again(proxy, key)["X-Cache"] == "REVALIDATED"


def test_other_pages(both):
    """Each origin gets its own answer, although nginx keeps only one of them."""
    srv, proxy = both
    key = "/zarr3/s.zarr/a/c/3/3"
    assert proxy.get(key, {"Origin": "https://evil.example"})["Access-Control-Allow-Origin"] is None
    for origin in ("https://neuroglancer-demo.appspot.com", "http://localhost:3000"):
        for _ in range(2):
            assert proxy.get(key, {"Origin": origin})["Access-Control-Allow-Origin"] == origin
    assert proxy.get(key)["Access-Control-Allow-Origin"] is None


def page(proxy, headers=(), target="/"):
    """(status, the addresses that links of a page begin with, or of a redirect); (0, …): nginx closed it."""
    try:
        r = proxy.get(target, headers)
    except (ConnectionError, OSError):
        return 0, set()
    text = "" if target.startswith("/zarr3/s.zarr/a") else r.text + urllib.parse.unquote(r["Location"] or "")
    return r.status, set(re.findall(r"https?://[\w.:\[\]-]+?(?=[/\"'])(?:/evil)?", text)) - {"http://localhost"}


SAID = [{"Host": "evil.example"}, {"Host": "data.example:8443"}, {"Host": "data.example."}, {"Host": "evil.example:443"},
        {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Prefix": "/evil"}, {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Port": "8443"}, {"Forwarded": "host=evil.example;proto=http"}, {"X-Forwarded-Server": "evil.example"},
        {"X-Original-Host": "evil.example"}, {"X-Host": "evil.example"}, {"X-Original-URL": "/evil"},
        {"X-Rewrite-URL": "/evil"}, {"X-Forwarded-For": "evil.example"}, {"Authorization": "Bearer wrong-wrong-wrong-wrong"}]


@pytest.mark.parametrize("said", SAID, ids=lambda h: ": ".join(*h.items()))
def test_what_one_visitor_says_is_in_no_other_s_answer(both, said):
    _, proxy = both
    for n, target in enumerate(("/", "/?x", "/zarr3/s.zarr", "/view/s", KEY)):
        target += f"{'&' if '?' in target else '?'}{SAID.index(said)}"  # kept by nobody yet
        page(proxy, said, target)
        status, links = page(proxy, (), target)
        assert status == {3: 302}.get(n, 200), target
        assert links <= {"https://data.example", "https://neuroglancer-demo.appspot.com"}, (target, links)
        assert n not in (0, 1) or links, target


def test_a_query_that_ends_in_an_origin(both):
    """No target and origin have the key of others: what is kept for one is never given to the other."""
    _, proxy = both
    viewer = "https://neuroglancer-demo.appspot.com"
    for sep in ("", "%20", "?", "|", "&"):
        key = f"/zarr3/s.zarr/a/c/1/2?{sep}"
        assert proxy.get(key + viewer)["Access-Control-Allow-Origin"] is None
        assert proxy.get(key, {"Origin": viewer})["Access-Control-Allow-Origin"] == viewer
        assert proxy.get(key + viewer)["Access-Control-Allow-Origin"] is None
        assert proxy.get(key, {"Origin": "https://evil.example " + viewer})["Access-Control-Allow-Origin"] is None
        assert proxy.get(key, {"Origin": viewer})["Access-Control-Allow-Origin"] == viewer


def test_what_it_keeps(both):
    """Chunks and documents, no page that depends on who asks."""
    _, proxy = both
    for target in ("/", "/api/stats", "/metrics", "/view/s"):
        for _ in range(2):
            assert proxy.get(target)["X-Cache"] in ("MISS", "EXPIRED"), target
    for target in (KEY, "/zarr3/s.zarr/zarr.json", "/zarr3/s.zarr/"):
        proxy.get(target)
        assert lzr.wait_until(lambda: proxy.get(target)["X-Cache"] == "HIT", target)


def test_nobody_reloads_through_it(both):
    """It adds the token to everything, so it must not pass on what changes something."""
    _, proxy = both
    with Tls(proxy.port, proxy.certificate) as h:
        assert h.request("POST", "/api/reload").status == 403
    with Tls(proxy.port, proxy.certificate) as h:
        assert h.request("POST", "/api/reload", {"Origin": "https://data.example"}).status == 403


def test_hostile_requests_through_it(both):
    """What nginx lets through gets an answer, and the next good request its own."""
    from hostile import CASES, LEAVE
    srv, proxy = both
    for name, data, expected in CASES:
        if expected == LEAVE or isinstance(expected, set) and LEAVE in expected or name.startswith("header host"):
            continue
        with Tls(proxy.port, proxy.certificate) as h:
            h.sock.settimeout(0.5)
            try:
                h.sock.sendall(data.replace(b"Host: localhost", b"Host: data.example"))
                r = h.read("HEAD" if data.startswith(b"HEAD") else "GET")
            except (OSError, ssl.SSLError):
                continue  # it closed, or waits for the body that was promised
            assert r.status < 500 or r.status in (501, 502, 505), (name, r)
            assert "x-injected" not in {n.lower() for n, _ in r.headers}, name
    assert proxy.get(KEY).status == 200
