"""What keeps an answer (browsers, proxies, the server itself for clients that don't read), and what it may hold."""
import re
import socket

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(8, 8), chunks=(4, 4), dtype="uint8", axes="yx")
def a(block):
    return 7
@lazarr.array("bad", shape=(4,), chunks=(4,), dtype="uint8")
def bad(block):
    raise ValueError("no such thing")
"""
KEY = "/zarr3/s.zarr/a/0/c/0/0"
HEAD = b"GET " + KEY.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
TOKEN = "correct-horse-battery"
# A request for each status, as (status, method, target, headers).
ALL = [(200, "GET", KEY, {}), (200, "HEAD", KEY, {}), (206, "GET", KEY, {"Range": "bytes=0-1"}), (301, "HEAD", "/zarr3/s.zarr", {}),
       (302, "GET", "/view/s", {}), (304, "GET", KEY, {"If-None-Match": "*"}), (404, "GET", "/nothing", {}),
       (400, "GET", "/%zz", {}), (403, "POST", "/api/reload", {"Via": "1.1 x"}), (405, "PUT", KEY, {}), (405, "GET", "/api/reload", {}),
       (412, "GET", KEY, {"If-Match": '"x"'}), (413, "GET", KEY, {"Content-Length": "5"}), (416, "GET", KEY, {"Range": "bytes=999999-"}),
       (417, "GET", KEY, {"Expect": "100-continue"}), (421, "GET", KEY, {"Host": "evil.example"}), (500, "GET", "/zarr3/s.zarr/bad/c/0", {}),
       (200, "GET", "/", {}), (200, "GET", "/zarr3/", {}), (200, "GET", "/zarr3/s.zarr/zarr.json", {}), (200, "GET", "/healthz", {}),
       (200, "GET", "/metrics", {}), (200, "GET", "/api/stats", {}), (200, "GET", "/api/workers", {}), (204, "OPTIONS", KEY, {}),
       (400, "GET", KEY, {"Content-Length": "+0"}), (413, "GET", KEY, {"Content-Length": "9" * 30})]


@pytest.mark.parametrize("args, star", [((), False), (("--allow-origin", "https://lab.example"), False),
                                        (("--allow-origin", "*"), True), (("--token", TOKEN), False)])
def test_every_answer_says_whose_it_is(serve, args, star):
    """Whatever its status, with and without an origin, whether it may read or not."""
    srv = serve(STORE, "--workers", "1", *args)
    seen = set()
    for status, method, target, headers in ALL:
        for origin in (None, "https://evil.example", "http://localhost:1", "https://lab.example"):
            r = srv.request(method, target, {**headers, **({"Origin": origin} if origin else {})})
            assert r.status == status or (r.status == 401 and TOKEN in args), r
            seen.add(r.status)
            assert "origin" in [v.strip().lower() for v in (r["Vary"] or "").split(",")], (r.status, r)
            assert r["Cross-Origin-Resource-Policy"] == ("cross-origin" if star else "same-origin"), r
            if star:
                continue
            allow = r["Access-Control-Allow-Origin"]
            assert allow in (None, origin) and allow != "*" and allow != "https://evil.example", r
            # The library's own refusals name nobody: no reader sends such a head.
            assert (allow is not None) == (origin == "http://localhost:1" or origin in args) or "+0" in headers.values() or (
                "9" * 30 in headers.values()), r
            assert (r["Access-Control-Allow-Credentials"] == "true") == (allow is not None and allow in args), r
    assert len(seen) > 5


def test_no_page_frames_it_and_nothing_is_sniffed(serve):
    srv = serve(STORE, "--workers", "1")
    for target in ("/", "/zarr3/", "/zarr3/s.zarr/", "/n5/"):
        r = srv.get(target)
        assert r["Content-Security-Policy"] == "frame-ancestors 'self'" and r["X-Frame-Options"] == "SAMEORIGIN", target
    for _, method, target, headers in ALL:
        r = srv.request(method, target, headers)
        assert r["Content-Type"] is None or r["X-Content-Type-Options"] == "nosniff", r
    srv.stop()
    srv = serve(STORE, "--workers", "1", "--allow-origin", "https://lab.example", "--allow-origin", "null")
    r = srv.get("/")
    assert r["Content-Security-Policy"] == "frame-ancestors 'self' https://lab.example" and r["X-Frame-Options"] is None


@pytest.mark.parametrize("named, browser", [
    ("https://Lab.Example", "https://lab.example"), ("HTTPS://lab.example:443", "https://lab.example"),
    ("http://lab.example:80", "http://lab.example"), ("http://lab.example:8080", "http://lab.example:8080")])
def test_origins_are_compared_as_browsers_write_them(serve, named, browser):
    srv = serve(STORE, "--workers", "1", "--allow-origin", named)
    assert srv.get(KEY, {"Origin": browser})["Access-Control-Allow-Origin"] == browser
    for other in ("https://lab.example:80", "http://lab.example:443", browser + ".evil", browser + "1", "null"):
        assert srv.get(KEY, {"Origin": other})["Access-Control-Allow-Origin"] is None, other


def test_what_is_said_of_where_we_are_is_nobody_else_s(serve):
    """Pages and redirects whose URLs follow the Host or a proxy's word; not those that --public-url settles."""
    srv = serve(STORE, "--workers", "1")
    for target in ("/", "/zarr3/s.zarr", "/view/s"):
        for said in ({}, {"Host": "a.localhost:99"}, {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Prefix": "/evil"}):
            assert re.search("private|no-store", srv.head(target, said)["Cache-Control"]), (target, said)
    assert "private" not in srv.get(KEY)["Cache-Control"] + srv.get("/zarr3/")["Cache-Control"]
    srv.stop()
    srv = serve(STORE, "--workers", "1", "--public-url", "https://data.example")
    page = srv.get("/", {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "Host": "x.localhost"})
    assert "private" not in page["Cache-Control"] and "evil" not in page.text and "x.localhost" not in page.text


PROXIES = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server",
           "X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-User", "X-Forwarded", "Forwarded",
           "Forwarded-For", "Via", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Ray", "X-Original-Host",
           "X-Original-URL", "X-Original-Forwarded-For", "Front-End-Https", "X-Cluster-Client-IP", "Fastly-Client-IP", "Fly-Client-IP",
           "X-Envoy-External-Address", "X-Amzn-Trace-Id", "CDN-Loop", "X-Url-Scheme", "X-Scheme", "x-forwarded-prefix", "X-ProxyUser-Ip",
           "X-True-Client-IP", "X-Source-IP", "X-Script-Name", "X-Ingress-Path", "X-HTTP-Host-Override", "X-Traefik-Router",
           "X-Replaced-Path", "X-Akamai-Edgescape", "X-Sucuri-ClientIP", "X-Vercel-Id", "X-Edge-Request-Id", "X-LB-Name", "X-CDN",
           "CloudFront-Viewer-Address", "Ali-CDN-Real-IP", "Remote-Addr", "Remote-User", "X-Auth-Request-User", "X-Authentik-Username",
           "X-WebAuth-User", "X-Goog-IAP-JWT-Assertion", "Tailscale-User-Login", "Oidc-Claim-Sub", "X-Bluecoat-Via", "X-Iinfo"]


def test_a_proxy_s_word_makes_it_a_proxy_s_request(serve):
    """One of them alone: no reload and no traceback, whatever it says."""
    srv = serve(STORE, "--workers", "1")
    bad = "/zarr3/s.zarr/bad/c/0"
    assert "Traceback" in srv.get(bad).text
    for name in PROXIES:
        for value in ("x", ""):
            assert srv.request("POST", "/api/reload", {name: value}).status == 403, name
            r = srv.get(bad, {name: value})
            assert r.status == 500 and "Traceback" not in r.text and "no such thing" in r.text, name
    # What clients of their own send is none.
    for name in ("User-Agent", "Accept", "X-Requested-With", "Cookie", "Referer", "Sec-Fetch-Mode", "DNT", "Priority", "Traceparent"):
        assert "Traceback" in srv.get(bad, {name: "x"}).text, name


def test_workers_tell_others_no_paths(serve, tmp_path):
    """Why a worker doesn't start names files: only this machine is told."""
    flag = tmp_path / "flag"
    srv = serve(f"import os\nif os.path.exists({str(flag)!r}): raise OSError('no ' + __file__)\n" + STORE, "--workers", "2")
    flag.touch()
    lzr.os.kill(srv.worker_pids()[0], lzr.signal.SIGKILL)
    errors = lzr.wait_until(lambda: [w["error"] for w in srv.get("/api/workers").json() if "error" in w], "a failed start")
    assert "no " in errors[0] and str(tmp_path) in errors[0]
    text = srv.get("/api/workers", {"Via": "1.1 x"}).text
    assert str(tmp_path) not in text and "OSError" not in text and "failed to start" in text


# ------------------------------------------------------------------------------- a Content-Length

NONSENSE = [b"+0", b"-0", b"-1", b"a", b"", b"0x0", b"0, 0", b"1 1", b"0;x", b"1.0", b"1e3", "\u0661".encode(), b"'0'", b"0\t0",
            b"18446744073709551616", b"18446744073709551615", b"9223372036854775808", b"9" * 40]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT"])
def test_a_content_length_without_sense(serve, method):
    """One answer with one head, whose length is right; nothing behind it; a line in the log, and counted. In one
    piece or in many, on a new connection or a kept one, with others in the middle of their heads."""
    srv = serve(STORE, "--workers", "1")
    halves = [srv.connect() for _ in range(5)]
    for h in halves:  # one of them with a nonsense that isn't complete
        h.sock.sendall(HEAD + b"Content-Length: z\r\n" if h is halves[0] else HEAD)
    srv.wait_metric("http_connections", 6)
    n = 0
    for value in NONSENSE:
        for kept in (False, True):
            for pieces in (1, 3):
                with srv.connect() as h:
                    if kept:
                        assert h.get("/healthz").status == 200
                    data = HEAD.replace(b"GET", method) + b"Content-Length: " + value + b"\r\nX-A: b\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
                    for i in range(pieces):
                        h.sock.sendall(data[i * len(data) // pieces:(i + 1) * len(data) // pieces])
                    answer = b""
                    while more := h.sock.recv(65536):
                        answer += more
                    head, body = answer.split(b"\r\n\r\n", 1)
                    assert answer.count(b"HTTP/1.") == 1 and re.match(rb"HTTP/1.1 (400|413) ", head), (value, answer)
                    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                    assert len(body) in ({0, length} if method == b"HEAD" else {length}), (value, answer)
                    assert re.search(rb"(?i)\r\nconnection: close", head) and b"\r\nDate: " in head
                    n += 1
    assert srv.metric("http_bad_heads_total") <= n
    assert sum(float(v) for c, v in re.findall(r'http_requests_total\{code="(400|413|405)"\} (\d+)', srv.get("/metrics").text)) == n
    if method == b"GET":
        srv.wait_log(r"a request was refused \(400\): the Content-Length makes no sense")
        srv.wait_log(r"a request was refused \(413\): the Content-Length makes no sense")
        srv.wait_log(rf' {KEY}( HTTP/1.1)?" 400 ')
    srv.get("/end")
    srv.wait_log('GET /end HTTP/1.1" 404')
    assert "smuggled" not in srv.log
    for h in halves[1:]:
        h.sock.sendall(b"\r\n")
        assert h.read().status == 200
    halves[0].sock.sendall(b"\r\n")
    assert halves[0].read().status == 400


# ------------------------------------------------------------------------- clients that don't read

MANY = """
import lazarr, numpy as np
for i in range(400):
    lazarr.array("a%04d_" % i + "n" * 100, shape=(8, 8, 8), chunks=(8, 8, 8), dtype="uint8", axes="zyx")(lambda block: 1)
@lazarr.array("large", shape=(100, 4 << 20), chunks=(1, 4 << 20), dtype="uint8", compressor=None)
def large(block):
    return np.uint8(block.index)
"""


class Deaf:
    """Clients that ask and never read."""

    def __init__(self, srv, n, target, headers="", source="127.0.0.1"):
        self.srv, self.all = srv, []
        for i in range(n):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.bind((source, 0))
            s.connect(("127.0.0.1", srv.port))
            host = "" if headers.startswith("Host") else "Host: 127.0.0.1\r\n"
            s.sendall(f"GET {target.format(i)} HTTP/1.1\r\n{host}{headers.format(i)}\r\n".encode())
            self.all.append(s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.all:
            s.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "s.py"
    path.write_text(MANY)
    with lzr.Server(path, "--workers", "1", "--cache", "64MiB") as srv:
        yield srv


@pytest.mark.parametrize("target, headers", [
    ("/", ""), ("/zarr3/s.zarr/", ""), ("/", "X-Forwarded-Host: h{}.example\r\n"), ("/", "X-Forwarded-Prefix: /p{}\r\n"),
    ("/", "Host: h{}.localhost\r\n"), ("/?{}", ""), ("/api/stats", ""), ("/zarr3/s.zarr/zarr.json", "")])
def test_pages_that_nobody_reads(many, target, headers):
    """Of each page there is one for all who ask, and all together have their bound, whatever makes them differ."""
    before = many.rss()["VmRSS"]
    size = len(many.get(target.format(0)).body)
    with Deaf(many, 150, target, headers):
        lzr.wait_until(lambda: many.metric("http_connections") + many.metric("http_unread_total") >= 150, "them all")
        if size > 1 << 20:  # the system takes less of each
            lzr.wait_until(lambda: many.metric("unsent_bytes") > size / 2, "answers that nobody reads")
        assert many.metric("http_sheet_bytes") <= (16 << 20) + (16 << 10) * 150
        assert many.get("/healthz").status == many.get("/zarr3/s.zarr/zarr.json").status == 200  # others are served
        if not headers:
            assert many.get(target.format(0)).status == 200  # and so is this page
        if lzr.SLOW == 1:  # sanitizers keep what is freed
            assert many.rss()["VmRSS"] < before + (64 << 20)
    lzr.wait_until(lambda: many.metric("unsent_bytes") == 0, "no answer on its way")
    assert many.get(target.format(0)).status == 200


def test_one_address_doesn_t_hold_it_all(many):
    """Chunks: after some seconds the connections end that hold too much, counted and said, and another address
    always gets its own."""
    before = many.metric("http_unread_total")
    with Deaf(many, 40, "/zarr3/s.zarr/large/c/{}/0", source="127.0.0.9"):
        lzr.wait_until(lambda: many.metric("http_unread_total") > before, "some to be ended", 40 * lzr.SLOW)
        assert many.chunk("/zarr3/s.zarr/large/c/99/0") == bytes([99]) * (4 << 20)
        many.wait_log("127.0.0.9 doesn't read what it asked for, and too much memory is held for it")
        assert many.metric("http_late_total") == 0
    lzr.wait_until(lambda: many.metric("unsent_bytes") == 0, "no answer on its way")


# ------------------------------------------------------------------------------------------ heads

def status_of(srv, data):
    """What is answered, or None if nothing is."""
    with srv.connect() as h:
        try:
            h.sock.sendall(data)
            answer = b""
            while more := h.sock.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
        assert answer.count(b"HTTP/1.1 ") <= 1
        return int(answer[9:12]) if answer else None


SHAPES = {
    "one header": lambda n: b"X-A: " + b"c" * n, "one cookie": lambda n: b"Cookie: a=" + b"c" * n,
    "many cookies": lambda n: b"Cookie: " + b"; ".join(b"name%04d=%s" % (i, b"v" * 30) for i in range(n // 41)),
    "many short headers": lambda n: b"\r\n".join(b"X%04d: b" % i for i in range(n // 10)),
    "many cookie headers": lambda n: b"\r\n".join(b"Cookie: a%d=b" % i for i in range(n // 14)),
}


def test_a_head_has_32_kib(serve):
    """To the byte, the request line and the empty line included, also where one header holds all of it; and again on
    a connection that is kept."""
    srv = serve(STORE, "--workers", "1")
    start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
    for n, status in ((32768, 200), (32769, 431), (40000, 431), (60000, 431)):
        assert status_of(srv, start + b"a" * (n - len(start) - 4) + b"\r\n\r\n") == status, n
    # A login proxy's session in three cookies, and what other programs on this host have left.
    for cookies in (b"; ".join(b"s%d=" % i + b"c" * 10000 for i in range(3)),
                    b"; ".join(b"name%04d=" % i + b"v" * 90 for i in range(230))):
        assert status_of(srv, start + b"a\r\nCookie: " + cookies + b"\r\n\r\n") == 200
    with srv.connect() as h:
        for n in (10, 30000, 10, 31000):
            assert h.get(KEY, {"X": "a" * n}).status == 200
        assert h.get(KEY, {"X": "a" * 33000}).status == 431


@pytest.mark.parametrize("shape", SHAPES)
def test_a_head_is_always_answered(serve, shape):
    """However long it is and however made up: 200 as long as it fits, then 431, and nothing else."""
    srv = serve(STORE, "--workers", "1")
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    heads = [head + SHAPES[shape](n) + b"\r\n\r\n" for n in [*range(100, 20000, 130), *range(20000, 36000, 61)]]
    got = {len(data): status_of(srv, data) for data in heads}
    assert all(status == (200 if n <= 32768 else 431) for n, status in got.items()), got
    srv.wait_log(r"a request was refused \(431\): the head is too long")
    refused = sum(status == 431 for status in got.values())
    lzr.wait_until(lambda: len(re.findall(r'/healthz( HTTP/1.1)?" 431', srv.log)) >= refused, "the last to have its line")
    text = srv.get("/metrics").text
    assert float(re.search(r'http_requests_total\{code="431"\} (\d+)', text)[1]) == refused
    assert float(re.search(r"http_bad_heads_total (\d+)", text)[1]) == refused
    srv.get("/end")
    srv.wait_log('GET /end HTTP/1.1" 404')
    assert len(re.findall(r'/healthz( HTTP/1.1)?" 431', srv.log)) == refused


@pytest.mark.parametrize("method", [b"HEAD\0", b"HEAD\0x", b"HEAD\0\0", b"GET\0", b"GET\0x", b"OPTIONS\0", b"POST\0"])
def test_a_zero_byte_in_the_method(serve, method):
    """To the library it is another method than to strcmp: nothing is answered but that it makes no sense."""
    srv = serve(STORE, "--workers", "1")
    for path in (b"/metrics", b"/", KEY.encode(), b"/healthz", b"/nothing"):
        with srv.connect() as h:
            h.sock.sendall(method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while more := h.sock.recv(65536):
                answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and body == b"the request line makes no sense\n", answer[:300]


@pytest.mark.parametrize("query", [b"a&b&c&", b"a&", b"a=1&b=2&", b"&".join([b"p"] * 60) + b"&"])
def test_long_parameters_leave_nothing(serve, query):
    """Those that don't fit into the connection's memory: the library neither answered nor ended the request."""
    srv = serve(STORE, "--workers", "1", "--no-access-log")
    ends = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def ask(lengths):
        return [status_of(srv, b"GET /?" + query + b"x" * n + ends) for n in lengths]
    assert set(ask([32600 - len(query)])) == {200}
    assert set(ask(range(65300, 65440, 10))) <= {431, 414}
    before, refused = srv.rss()["VmRSS"], srv.metric("http_bad_heads_total")
    got = ask([*range(65240, 65460, 4)] + [*range(33000, 65000, 1600)])
    assert set(got) <= {431, 414}, got
    assert lzr.SLOW > 1 or srv.rss()["VmRSS"] < before + (1 << 20)
    assert srv.metric("http_bad_heads_total") == refused + len(got)
