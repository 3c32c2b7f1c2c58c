"""Object stores of this machine for tests: moto's S3, a stand-in of Google's, and a gate before either that answers
for chosen keys itself.

    with moto(env) as s3: s3.put("bucket", "key", data); s3.environment
    with google(folder) as url: ...
    with gate(s3.url, {"part of a key": 403}) as url: ...          a status, or an Event that is waited for
"""
import contextlib
import http.client
import http.server
import json
import os
import subprocess
import threading
import urllib.parse
import urllib.request

import lzr

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=me/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, "
                           "Signature=x", "Content-Type": "application/octet-stream"}


class S3:
    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def ask(self, method, path, data=None):
        r = urllib.request.Request(self.url + path, method=method, data=data, headers=SIGNED)
        with urllib.request.urlopen(r, timeout=30) as answer:
            return answer.read()

    def put(self, bucket, folder, prefix=""):
        """All files of a folder."""
        self.ask("PUT", f"/{bucket}")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.ask("PUT", f"/{bucket}/{prefix}{path.relative_to(folder)}", path.read_bytes())


def credentials(url):
    """An environment as boto's users have it."""
    return {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}


@contextlib.contextmanager
def moto(env):
    """moto's server, in the Python of an environment."""
    s3 = S3(lzr.free_port())
    p = subprocess.Popen([env / "bin/python", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(s3.port)],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lzr.environment(),
                         preexec_fn=lzr._die_with_parent)

    def up():
        assert p.poll() is None, "moto ended"
        with contextlib.suppress(OSError):
            return bool(s3.ask("GET", "/"))
    try:
        lzr.wait_until(up, "moto's server", 60 * lzr.SLOW)
        yield s3
    finally:
        p.kill()
        p.wait()


class _Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in {"Content-Length": len(body), "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", **headers}.items():
            self.send_header(k.replace("_", "-"), str(v))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def gate(url, answers):
    """What is asked goes on to the URL, but for paths with one of these texts."""
    to = urllib.parse.urlsplit(url)

    class Handler(_Quiet):
        def do_GET(self):
            for text, said in answers.items():
                if text in self.path:
                    if isinstance(said, threading.Event):
                        said.wait(120)
                        said = 500
                    return self.answer(said, b"<Error><Code>InTheWay</Code><Message>the gate</Message></Error>",
                                       Content_Type="application/xml")
            c = http.client.HTTPConnection(to.hostname, to.port, timeout=60)
            c.request(self.command, self.path, headers=dict(self.headers))
            r = c.getresponse()
            body = r.read()
            self.send_response(r.status)
            for k, v in r.getheaders():
                if k.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(k, v)
            self.send_header("Content-Length", r.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            c.close()

        do_HEAD = do_GET

    with lzr.served(Handler) as made:
        yield made


@contextlib.contextmanager
def google(folder):
    """As much of Google's storage as gcsfs and obstore read: folder/BUCKET/KEY. A stand-in."""
    class Handler(_Quiet):
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            parts = url.path.removeprefix("/download").removeprefix("/storage/v1").split("/b/", 1)[-1]
            bucket, _, rest = parts.partition("/o")
            root = folder / urllib.parse.unquote(bucket).strip("/")
            if "/b/" not in url.path:  # the XML interface: /BUCKET/KEY
                if not (folder / url.path.split("/")[1]).is_dir():
                    return self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
                if "list-type" in query:
                    return self.xml(folder / url.path.strip("/"), query)
                return self.file(folder / urllib.parse.unquote(url.path.strip("/")))
            if not root.is_dir():
                return self.answer(404, b'{"error": {"code": 404, "message": "The specified bucket does not exist."}}')
            key = urllib.parse.unquote(rest.strip("/"))
            if not rest:
                return self.json({"kind": "storage#bucket", "name": bucket, "locationType": "region"})
            if not key:
                return self.listing(root, query)
            path = root / key
            if query.get("alt") == "media":
                return self.file(path)
            if not path.is_file():
                return self.answer(404, b'{"error": {"code": 404, "message": "No such object"}}')
            return self.json(self.item(root, path))

        do_HEAD = do_GET

        def file(self, path):
            if not path.is_file():
                return self.answer(404, b"No such object")
            data, asked = path.read_bytes(), self.headers.get("Range")
            if asked is None:
                return self.answer(200, data, ETag='"1"')
            low, _, high = asked.removeprefix("bytes=").partition("-")
            a = int(low) if low else max(0, len(data) - int(high))
            b = min(len(data), int(high) + 1) if low and high else len(data)
            return self.answer(206, data[a:b], Content_Range=f"bytes {a}-{b - 1}/{len(data)}", ETag='"1"')

        def item(self, root, path):
            return {"kind": "storage#object", "name": str(path.relative_to(root)), "bucket": root.name,
                    "size": str(os.path.getsize(path)), "updated": "2020-01-01T00:00:00Z", "timeCreated":
                    "2020-01-01T00:00:00Z", "generation": "1", "etag": "1"}

        def xml(self, root, query):
            prefixes, items = self.below(root, query)
            body = "".join(f"<CommonPrefixes><Prefix>{p}</Prefix></CommonPrefixes>" for p in prefixes)
            body += "".join(f"<Contents><Key>{i['name']}</Key><Size>{i['size']}</Size><LastModified>2020-01-01T00:00:00.000Z"
                            "</LastModified><ETag>1</ETag></Contents>" for i in items)
            self.answer(200, f"<ListBucketResult>{body}</ListBucketResult>".encode(), Content_Type="application/xml")

        def listing(self, root, query):
            prefixes, items = self.below(root, query)
            self.json({"kind": "storage#objects", "items": items, "prefixes": prefixes})

        def below(self, root, query):
            prefix, items, prefixes = query.get("prefix", ""), [], set()
            for p in sorted(root.rglob("*")):
                key = str(p.relative_to(root))
                if p.is_file() and key.startswith(prefix):
                    below = key[len(prefix):]
                    if query.get("delimiter") and "/" in below:
                        prefixes.add(prefix + below.split("/")[0] + "/")
                    else:
                        items.append(self.item(root, p))
            return sorted(prefixes), items

        def json(self, doc):
            self.answer(200, json.dumps(doc).encode(), Content_Type="application/json")

    with lzr.served(Handler) as url:
        yield url
