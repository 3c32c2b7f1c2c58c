"""The best that Python does with cached chunks: uvicorn with uvloop and httptools, no framework, and
a dict of encoded bytes. Run with: python -m uvicorn uvicorn_dict:app"""
import os
import pathlib

CHUNKS: dict[str, bytes] = {}
HEADERS: dict[str, list] = {}


def fill(folder: str) -> None:
    for p in pathlib.Path(folder).rglob("*"):
        if p.is_file():
            key = "/" + str(p.relative_to(folder))
            CHUNKS[key] = data = p.read_bytes()
            HEADERS[key] = [(b"content-type", b"application/octet-stream"),
                            (b"content-length", str(len(data)).encode()),
                            (b"etag", b'"0123456789abcdef0123456789abcdef"'),
                            (b"cache-control", b"no-cache"),
                            (b"accept-ranges", b"bytes"),
                            (b"access-control-allow-origin", b"*")]


fill(os.environ["CHUNK_FOLDER"])


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    key = scope["path"]
    body = CHUNKS.get(key)
    if body is None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS[key]})
    await send({"type": "http.response.body", "body": body})
