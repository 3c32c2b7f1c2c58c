"""Requests that are malformed or hostile, as bytes, with what docs/operations.md says becomes of each.

CASES is a list of (name, bytes, expected): expected is a status, a set of statuses, CLOSE (the connection
ends without an answer) or LEAVE (no request came to its end; the client goes away). Every status of 400 to
417, 421, 501 and 505 that comes from the framing of a request closes the connection as well."""

CLOSE, LEAVE = "close", "leave"

HOST = b"Host: localhost\r\n"
KEY = b"/zarr3/s.zarr/a/c/0/0"
CASES = []


def case(name, data, expected):
    CASES.append((name, data if isinstance(data, bytes) else data.encode("latin-1"), expected))


def line(name, first, expected, host=HOST):
    """A request line with a proper rest."""
    case(name, first + b"\r\n" + host + b"\r\n", expected)


def target(name, raw, expected):
    line("target " + name, b"GET " + raw + b" HTTP/1.1", expected)


def header(name, text, expected, host=HOST, method=b"GET", key=KEY):
    """One or more header lines, without the last line's end."""
    case("header " + name, method + b" " + key + b" HTTP/1.1\r\n" + host + text + b"\r\n\r\n", expected)


# ---------------------------------------------------------------------------- methods and versions

for m in (b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"PROPFIND", b"MKCOL", b"LOCK", b"get", b"Get",
          b"GETGET", b"HEADER", b"OPTION", b"DEBUG", b"LINK", b"BREW", b"M-SEARCH", b"QUERY", b"-", b"\x80"):
    line(f"method {m!r}", m + b" " + KEY + b" HTTP/1.1", 405)
line("method CONNECT", b"CONNECT localhost:80 HTTP/1.1", 405)
line("method with a control byte", b"G\x01T " + KEY + b" HTTP/1.1", 405)
line("method of 8000 letters", b"G" * 8000 + b" " + KEY + b" HTTP/1.1", 405)
for v in (b"HTTP/2.0", b"HTTP/3", b"HTTP/1.2", b"HTTP/1.10", b"HTTP/0.9", b"HTTP/1.", b"HTTP/11", b"http/1.1",
          b"HTTP/1.1x", b"ICY/1.0", b"HTTP/-1.1", b"HTTP/1.1.1"):
    line(f"version {v!r}", b"GET " + KEY + b" " + v, {400, 505})

# --------------------------------------------------------------------------------- the target's bytes

for c in list(range(1, 9)) + [0x0b, 0x0c] + list(range(0x0e, 0x20)) + [0x7f]:
    target(f"with byte {c:#04x}", KEY + bytes([c]), 400)
target("with a control byte in its query", KEY + b"?a=\x01", 400)
target("with a fragment", KEY + b"#f", 400)
target("that is *", b"*", 400)
target("that is an authority", b"localhost:80", 400)
target("that is relative", b"zarr3/", 400)
target("of another scheme", b"ftp://localhost/zarr3/", 400)
target("file:", b"file:///etc/passwd", 400)
target("http: without slashes", b"http:/zarr3/", 400)
target("absolute with userinfo", b"http://u:p@localhost/zarr3/", 400)
target("absolute without a host", b"http:///zarr3/", 400)
target("absolute with a foreign host", b"http://evil.example/zarr3/", 421)
target("absolute with a foreign host, https", b"HTTPS://evil.example:443/zarr3/", 421)
for bad in (b"/%", b"/%4", b"/%zz", b"/%4g", b"/a%", b"/%%41", b"/%-1", b"/zarr3/%u0041",
            b"/zarr3/%0x", b"/zarr3/s.zarr/a/c/0/%"):
    target(f"broken escape {bad!r}", bad, 400)

# ------------------------------------------------------------------------------------- path tricks

for p in (b"/../etc/passwd", b"/zarr3/../../../../etc/passwd", b"/..", b"/zarr3/..", b"/zarr3/../healthz", b"/./healthz",
          b"/%2e%2e/healthz", b"/%2e/healthz", b"/.%2e/healthz", b"/zarr3/%2e%2e/%2e%2e/etc/passwd",
          b"/..%2fhealthz", b"/zarr3%2fs.zarr/", b"/zarr3/s.zarr%2fa/zarr.json", b"/%2fhealthz",
          b"//evil.example/zarr3", b"//evil.example//", b"/\\..\\..\\etc", b"/%5c..%5c", b"/zarr3\\s.zarr\\a", b"/healthz%00",
          b"/%00", b"/zarr3/s.zarr/a/zarr.json%00.png", b"/healthz%0d%0aX-Injected:%20yes", b"/%0d%0aSet-Cookie:a=b",
          b"/zarr3%0a", b"/%c0%ae%c0%ae/healthz", b"/%252e%252e/healthz", b"/%e0%80%ae/", b"/\xc0\xae\xc0\xae/",
          b"/~root/", b"/zarr3/~/s.zarr/zarr.json", b"/zarr3/~0/s.zarr/zarr.json", b"/.git/config", b"/.env",
          b"/cgi-bin/x", b"/healthz/", b"/healthz;x", b"/healthz%20", b"/HEALTHZ", b"/metrics/..", b"/api", b"/api/",
          b"/api/stats/", b"/api/../api/stats", b"/t", b"/t/", b"/t/x", b"/t/0123456789abcdef/healthz",
          b"/zarr3/s.py", b"/zarr3/s.zarr/s.py", b"/zarr3/S.zarr/", b"/zarr3/s.zarr.", b"/zarr3/s.zarr/a/zarr.json/",
          b"/zarr3/s.zarr/a/.zarray", b"/zarr2/s.zarr/a/zarr.json", b"/" + b"a/" * 900, b"/" + b"a" * 3000,
          b"/" + b"%61" * 1500, b"/zarr3/s.zarr/" + b"../" * 500, b"/;/", b"/zarr3/s.zarr/a/c/0/0/0"):
    target(f"trick {p[:40]!r}", p, 404)
for p in (b"//healthz", b"/zarr3//s.zarr/", b"/zarr3/s.zarr//a/zarr.json", b"/zarr3/s.zarr/a/c/0//0", b"/zarr3//"):
    target(f"slashes in a row {p!r}", p, 200)
target("slashes in a row, no slash behind", b"//zarr3?", 200)
target("of 40 000 bytes", b"/" + b"a" * 40000, {414, 431})
target("with a query of 40 000 bytes", b"/?" + b"a" * 40000, {414, 431})
# A folder without its slash: nothing of the query is on its page.
target("folder with markup in its query", b"/zarr3?<script>alert(1)</script>", 200)
target("folder with an escaped line end", b"/zarr3?a=%0d%0aX-Injected:%20yes", 200)

# -------------------------------------------------------------------------------------- chunk keys

for k in (b"-1/0", b"0/-1", b"+0/0", b"00/0", b"0/00", b"0x0/0", b"1e0/0", b"0.0/0", b"4/0", b"0/4", b"18446744073709551616/0",
          b"18446744073709551615/0", b"9223372036854775808/0", b"99999999999999999999999999999999/0", b"a/0",
          b"4/", b"/4", b"4", b"0/0/", b"0/0/0", b"0,0", b"%34/", b"%2b0/0", b"0%2f0", b"0/0%20", b"0/0.", b"\xd9\xa0/0",
          b"%EF%BC%90/0", b"nan/0", b"inf/0", b"0/0?/", b"0/0;v=1"):
    target(f"chunk {k!r}", b"/zarr3/s.zarr/a/c/" + k, 200 if k == b"0/0?/" else 404)
for k in (b"0/", b"/0", b"0", b"%30/"):  # folders of chunks
    target(f"chunk {k!r}", b"/zarr3/s.zarr/a/c/" + k, 200)

# --------------------------------------------------------------------------------------- the Host

for h in (b"evil.example", b"evil.example:8080", b"127.0.0.1.evil.example", b"localhost.evil.example", b"evillocalhost",
          b"128.0.0.1", b"10.0.0.1", b"0.0.0.0", b"[::]", b"[fe80::1]", b"1.0.0.127", b"2130706433", b"0x7f000001",
          b"127.1", b"localhost.localdomain", b"example.com:80"):
    header(f"host {h!r}", b"X: y", 421, host=b"Host: " + h + b"\r\n")
for h in (b"", b"   ", b"a b", b"localhost:8o", b"localhost:123456", b"localhost/", b"http://localhost", b"u@localhost",
          b"localhost,evil.example", b"localhost\t", b"[::1", b"[]", b"::1", b"localhost#", b"localhost\\", b"%6c",
          b"a" * 300, b"\x80", b"<script>"):
    header(f"host {h[:20]!r}", b"X: y", 400 if h.strip() != b"localhost" else 200, host=b"Host: " + h + b"\r\n")
header("no host", b"X: y", 400, host=b"")
header("two hosts", b"Host: localhost", 400)
header("two hosts, the second foreign", b"Host: evil.example", 400)
header("two hosts, the first foreign", b"host: localhost", 400, host=b"HOST: evil.example\r\n")
case("HTTP/1.0 with a foreign host", b"GET " + KEY + b" HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421)

# ------------------------------------------------------------------------- bodies and where they end

SECOND = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
for name, text, status in (
        ("length 1", b"Content-Length: 1", 413), ("length 10^18", b"Content-Length: 1000000000000000000", 413),
        ("length 2^64", b"Content-Length: 18446744073709551616", {400, 413}), ("length -1", b"Content-Length: -1", {400, 413}),
        ("length +0", b"Content-Length: +0", {400, 413}), ("length 00", b"Content-Length: 00", 413),
        ("length 0x0", b"Content-Length: 0x0", {400, 413}), ("length 0, 0", b"Content-Length: 0, 0", {400, 413}),
        ("empty length", b"Content-Length:", {400, 413}), ("length a", b"Content-Length: a", {400, 413}),
        ("two lengths", b"Content-Length: 0\r\nContent-Length: 5", 400),
        ("two equal lengths", b"Content-Length: 0\r\nContent-Length: 0", 400),
        ("length before the colon", b"Content-Length : 5", 400), ("folded length", b"Content-Length:\r\n 5", 400),
        ("chunked", b"Transfer-Encoding: chunked", 413), ("chunked in capitals", b"TRANSFER-ENCODING: CHUNKED", 413),
        ("gzip", b"Transfer-Encoding: gzip", 413), ("identity", b"Transfer-Encoding: identity", 413),
        ("gzip, chunked", b"Transfer-Encoding: gzip, chunked", 413), ("xchunked", b"Transfer-Encoding: xchunked", 413),
        ("chunked, with a vertical tab", b"Transfer-Encoding: \x0bchunked", 400),
        ("chunked before the colon", b"Transfer-Encoding : chunked", 400),
        ("chunked with a tab before the colon", b"Transfer-Encoding\t: chunked", 400),
        ("twice chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 413),
        ("length and chunked", b"Content-Length: 4\r\nTransfer-Encoding: chunked", 413),
        ("chunked and length", b"Transfer-Encoding: chunked\r\nContent-Length: 0", 413),
        ("expect", b"Expect: 100-continue", 417), ("expect with a length", b"Expect: 100-continue\r\nContent-Length: 5", 413),
        ("expect something else", b"Expect: a-miracle", 417)):
    header(name, text, status)
    case(f"smuggled behind {name}", b"GET " + KEY + b" HTTP/1.1\r\n" + HOST + text + b"\r\n\r\n0\r\n\r\n" + SECOND, status)
for m in (b"HEAD", b"OPTIONS", b"POST"):
    header(f"{m.decode()} with a length", b"Content-Length: 3", 405 if m == b"POST" else 413, method=m)
    header(f"{m.decode()} chunked", b"Transfer-Encoding: chunked", 405 if m == b"POST" else 413, method=m)

# ----------------------------------------------------------------------------- headers as such

for c in list(range(1, 9)) + [0x0b, 0x0c] + list(range(0x0e, 0x20)) + [0x7f]:
    header(f"value with byte {c:#04x}", b"X-A: b" + bytes([c]) + b"c", 400)
for n in (b"X A", b"X\tA", b"X\x01A", b"X(A)", b"X,A", b"X;A", b"X=A", b"X@A", b"X[A]", b"X{A}", b"\"X\"", b"X/A", b"X\\A",
          b"X\x80", b"<X>", b"X?", b" X"):
    header(f"name {n!r}", n + b": b", 400)
header("without a colon", b"nonsense", 400)
header("with an empty name", b": b", 400)
header("with blanks around its value", b"X-A:\t b \t", 200)
header("without a blank", b"X-A:b\r\nX-B:", 200)
header("folded", b"X-A: b\r\n c", 400)
header("folded with a tab", b"X-A: b\r\n\tc", 400)
header("folded body", b"Transfer-Encoding:\r\n chunked", 400)
header("10 000 bytes in one", b"X-A: " + b"b" * 10000, 200)
header("40 000 bytes in one", b"X-A: " + b"b" * 40000, 431)
header("3000 of them", b"\r\n".join(b"X-%d: b" % i for i in range(3000)), 200)
header("5000 of them", b"\r\n".join(b"X-%d: b" % i for i in range(5000)), 431)
header("a name of 40 000 bytes", b"X" * 40000 + b": b", 431)
header("two origins", b"Origin: http://localhost\r\nOrigin: http://evil.example", 400)
header("two authorizations", b"Authorization: Bearer a\r\nAuthorization: Bearer b", 400)
header("an origin that would split", b"Origin: http://localhost%0d%0aX-Injected: yes", 200)
header("an origin of 8000 bytes", b"Origin: http://" + b"a" * 8000, 200)
header("an origin with markup", b"Origin: <script>", 200)
header("names that would split", b"Origin: http://localhost\r\nAccess-Control-Request-Method: GET\r\n"
       b"Access-Control-Request-Headers: a%0d%0aX-Injected: yes", 204, method=b"OPTIONS")
header("names that are none", b"Origin: http://localhost\r\nAccess-Control-Request-Method: GET\r\n"
       b"Access-Control-Request-Headers: <a>:b;c", 204, method=b"OPTIONS")
header("upgrade", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", 200)
header("websocket", b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13", 200)
for r, status in ((b"bytes=0-", 206), (b"bytes=5-4", 200), (b"bytes=-0", 416), (b"bytes=99999999999999999999-", {200, 416}),
                  (b"bytes=18446744073709551615-18446744073709551615", 416), (b"bytes=0-99999999999999999999999", {200, 206}),
                  (b"bytes=-99999999999999999999", {200, 206}), (b"bytes=" + b"0-0," * 2000 + b"0-0", 200),
                  (b"bytes=a-b", 200), (b"bytes=--1", 200), (b"bytes=0-0x5", 200), (b"bits=0-1", 200), (b"bytes", 200),
                  (b"bytes=", 200), (b"=0-1", 200), (b"bytes=0-1;x", 200), (b"bytes= 0-1", {200, 206}), (b"bytes=1", 200)):
    header(f"range {r[:30]!r}", b"Range: " + r, status)
for e in (b"*x", b"\"", b"W/", b"\"a\",,,\"b\"", b"," * 5000, b"W/\"" + b"x" * 5000, b"\"\\\"\"", b"\"a\" \"b\"", b"\xff"):
    header(f"tag {e[:20]!r}", b"If-None-Match: " + e, 200)
    header(f"range of tag {e[:20]!r}", b"Range: bytes=0-1\r\nIf-Range: " + e, 200)

# -------------------------------------------------------------------------------- what changes something

for name, text, status in (("a foreign page", b"Origin: http://evil.example", 403), ("no origin", b"Origin: null", 403),
                           ("another port", b"Origin: http://localhost:1", 403), ("cross-site", b"Sec-Fetch-Site: cross-site", 403),
                           ("a proxy", b"X-Forwarded-For: 1.2.3.4", 403), ("a body", b"Content-Length: 2", 413),
                           ("chunks", b"Transfer-Encoding: chunked", 413), ("a foreign name", b"Host: evil.example", 421)):
    header(f"reload by {name}", text, status, method=b"POST", key=b"/api/reload", host=b"" if b"Host" in text else HOST)
for m in (b"GET", b"HEAD", b"PUT", b"DELETE"):
    header(f"reload by {m.decode()}", b"X: y", 405, method=m, key=b"/api/reload")
for k in (b"/api/reload/", b"/api/reload%00", b"/api//reload", b"/API/RELOAD", b"/api/%72eload", b"/x/../api/reload"):
    header(f"reload as {k!r}", b"X: y", 405, method=b"POST", key=k)

# ------------------------------------------------------------------------------------ what is no HTTP

case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), LEAVE)
case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 505, CLOSE})
case("SSH", b"SSH-2.0-OpenSSH_9.0\r\n\r\n", {400, 405, 505, CLOSE})
case("SMTP", b"EHLO evil.example\r\n\r\n", {400, 405, 505, CLOSE})
case("memcached", b"get a\r\n\r\n", {400, 405, 505, CLOSE})
case("redis", b"*1\r\n$4\r\nPING\r\n\r\n", {400, 405, 505, CLOSE})
case("zeros", b"\0" * 1000, LEAVE)
case("zeros and an end", b"\0" * 100 + b"\r\n\r\n", LEAVE)
case("line ends", b"\r\n" * 200, LEAVE)
case("bare line feeds", b"GET " + KEY + b" HTTP/1.1\nHost: localhost\n\n", 200)
case("bare carriage returns", b"GET " + KEY + b" HTTP/1.1\rHost: localhost\r\r", {200, 400, LEAVE})
case("an empty line first", b"\r\nGET " + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n", 200)
case("a space first", b" GET " + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n", {400, 405, 505, CLOSE})
case("two spaces", b"GET  " + KEY + b"  HTTP/1.1\r\n" + HOST + b"\r\n", {400, 505, CLOSE})
case("tabs", b"GET\t" + KEY + b"\tHTTP/1.1\r\n" + HOST + b"\r\n", {400, 405, 505, CLOSE})
case("a space in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", {400, CLOSE})
case("no version", b"GET " + KEY + b"\r\n" + HOST + b"\r\n", {400, 505, CLOSE})
case("no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", {400, 505, CLOSE})
case("only a method", b"GET\r\n\r\n", {400, 505, CLOSE})
case("a zero byte in the target", b"GET /zarr3\0/x HTTP/1.1\r\n" + HOST + b"\r\n", 400)
case("a zero byte in the query", b"GET /zarr3?a\0b HTTP/1.1\r\n" + HOST + b"\r\n", 400)
case("a zero byte in the last value", b"GET " + KEY + b" HTTP/1.1\r\n" + HOST[:-2] + b"\0.evil.example\r\n\r\n", 400)
target("with 3000 parameters", b"/?" + b"a&" * 3000, {400, CLOSE})
target("with 65 parameters", b"/healthz?" + b"a=b&" * 64, {400, CLOSE})
target("with 64 parameters", b"/healthz?" + b"a=b&" * 63, 200)
case("a zero byte in a value", b"GET " + KEY + b" HTTP/1.1\r\n" + HOST + b"X-A: b\0c\r\n\r\n", {400, CLOSE})
case("a zero byte in a name", b"GET " + KEY + b" HTTP/1.1\r\n" + HOST + b"X\0A: b\r\n\r\n", {400, CLOSE})
case("half a request line", b"GET /zar", LEAVE)
case("half a head", b"GET " + KEY + b" HTTP/1.1\r\nHost: loc", LEAVE)
case("a head without its end", b"GET " + KEY + b" HTTP/1.1\r\n" + HOST, LEAVE)
case("nothing", b"", LEAVE)
