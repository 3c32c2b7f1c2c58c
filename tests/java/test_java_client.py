"""The Java client has the weaknesses of the readers it stands in for: it is shown servers that do
what the contract forbids, and falls for it as they do. The answers are tables, none is lazarr's."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from javaclient import Forwarder, JavaError

ARRAY = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|u1", "compressor": None,
         "fill_value": 0, "order": "C", "filters": None}
BYTES = bytes(range(10))


class Wrong(BaseHTTPRequestHandler):
    """Answers what the server's table says: path -> (status, headers, body) or a function of it."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        found = self.server.table.get(self.path, (404, {}, b""))
        status, headers, body = found(self) if callable(found) else found
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def wrong():
    """wrong(table) -> URL of a server that answers so."""
    servers = []

    def start(table):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Wrong)
        server.table, server.daemon_threads = table, True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def page(text):
    return 200, {"Content-Type": "text/html"}, text.encode()


@pytest.mark.parametrize("text,directories", [
    ('<a href="s0/">s0/</a>', ["s0"]),
    ('<a href="s0/">s0/</a><a href="s1/">s1/</a><a href="f">f</a>', ["s0", "s1"]),
    ('<a href="../">../</a>\n<a href="s0/">s0/</a>  -\n<a href="s1/">s1/</a>', ["..", "s0", "s1"]),
    ('<img alt="[DIR]"><a href="s0/">s0/</a>', ["s0"]),
    ('<a href="s0/">s0/</a><a href="s1/" class=d>s1/</a>', ["s0"]),
    ('<a href="x&amp;y/">x&amp;y/</a>', ["x&amp;y"]),
    ('["s0/", "s1/"]', []), ("", [])])
def test_listings(wrong, java, text, directories):
    assert java.call("list", url=wrong({"/g": page(text)}) + "/g") == directories


def test_a_link_upwards_ends_a_deep_list(wrong, java):
    url = wrong({"/a/attributes.json": (200, {}, b'{"n5":"4.0.0"}'),
                 "/a": page('<a href="../">../</a><a href="s0/">s0/</a>')})
    with pytest.raises(JavaError, match="parent"):
        java.call("deepList", format="n5", url=url + "/a", path="")


def test_without_accept_range_all_is_asked_for_again(wrong, java):
    part = (206, {"Accept-Ranges": "bytes", "Content-Range": "bytes 2-4/10"}, BYTES[2:5])
    url = wrong({"/c": lambda r: part if r.headers["Range"] else (200, {}, BYTES)})
    with Forwarder(int(url.rsplit(":", 1)[1])) as by:
        assert java.call("read", url=by.url + "/c", offset=2, length=3)["length"] == 3
        assert java.asked() == ["GET /c bytes=2-4", "GET /c"] and by.count == 2


def test_accept_range_on_a_whole_answer_is_believed(wrong, java):
    url = wrong({"/c": (200, {"Accept-Range": "bytes"}, BYTES)})
    assert java.call("read", url=url + "/c", offset=2, length=3)["length"] == 10


def test_a_404_without_accept_range_is_asked_for_twice(wrong, java):
    with pytest.raises(JavaError, match="NoSuchKey"):
        java.call("read", url=wrong({}) + "/c", offset=2, length=3)
    assert java.statuses() == [404, 404]


def test_a_redirect_without_location_is_fatal(wrong, java):
    with pytest.raises(JavaError, match="NullPointer"):
        java.call("isDirectory", url=wrong({"/g/": (301, {}, b"")}) + "/g")


@pytest.mark.parametrize("status,exists", [(200, True), (404, False), (410, False), (403, None),
                                           (500, None)])
def test_exists(wrong, java, status, exists):
    url = wrong({"/k": (status, {}, b"")}) + "/k"
    if exists is None:
        with pytest.raises(JavaError, match=f"Refused: {status}"):
            java.call("exists", url=url)
    else:
        assert java.call("exists", url=url) is exists


@pytest.mark.parametrize("version", ["2", "2.0", "5.0.0"])
def test_versions_that_n5_refuses(wrong, java, version):
    url = wrong({"/a/attributes.json": (200, {}, json.dumps({"n5": version}).encode())}) + "/a"
    with pytest.raises(JavaError):
        java.call("open", format="n5", url=url)


def test_a_slow_head_is_taken_for_absence_by_old_readers(wrong, java):
    free = threading.Event()
    url = wrong({"/c": lambda r: (r.command == "HEAD" and free.wait(30), (200, {}, BYTES))[1]})
    with pytest.raises(JavaError, match="NoSuchKey"):
        java.call("read", url=url + "/c", old=True)
    assert java.call("isDirectory", url=url + "/c") is False
    free.set()
    assert java.call("read", url=url + "/c")["length"] == 10


@pytest.mark.parametrize("change", [{"filters": "gone"}, {"order": "gone"}, {"dtype": "|b1"},
                                    {"compressor": {"id": "lz4"}}])
def test_zarr_2_that_n5_zarr_can_not_read(wrong, java, change):
    document = {k: v for k, v in {**ARRAY, **change}.items() if v != "gone"}
    url = wrong({"/z/.zgroup": (200, {}, b'{"zarr_format":2}'), "/z/a/0": (200, {}, b"\0" * 4),
                 "/z/a/.zarray": (200, {}, json.dumps(document).encode())}) + "/z"
    assert "error" in java.call("arrays", format="zarr2", url=url, paths=["a"])["a"]


def test_a_missing_chunk_reads_as_zeros(wrong, java):
    """Which is why a chunk of fill must be served: this reader ignores a v2 fill_value."""
    url = wrong({"/z/.zgroup": (200, {}, b'{"zarr_format":2}'),
                 "/z/a/.zarray": (200, {}, json.dumps({**ARRAY, "fill_value": 7}).encode())}) + "/z"
    read = java.call("arrays", format="zarr2", url=url, paths=["a"])["a"]
    assert read["missing"] == 1
    with open(read["file"], "rb") as f:
        assert f.read() == bytes(4)


def test_s3_is_suspected(wrong, java):
    url = wrong({"/n5?acl": page("<p>hello</p>"),
                 "/n5/a?max-keys=1": (200, {"x-amz-id-2": "1"}, b"")})
    taken = [p["taken"] for p in java.call("probe", url=url + "/n5/a")]
    assert taken == [["no error from the SDK"], [], ["header x-amz-id-2"], []]
