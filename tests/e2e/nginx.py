"""The real nginx (Debian's package) in front of a server, under a path prefix.

    with Nginx(srv.port, tmp_path, prefix="/data", tell=True) as proxy:
        proxy.get("/data/zarr3/s.zarr/zarr.json")
"""
import contextlib
import os
import signal
import subprocess

import lzr

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location {prefix}/ {{
            proxy_pass http://127.0.0.1:{upstream}/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout {read_timeout};
            {headers}
        }}
    }}
}}
"""
# What docs/viewers.md tells to write there.
HEADERS = """
            proxy_set_header Host 127.0.0.1:{upstream};
            proxy_set_header X-Forwarded-Port "";
            proxy_set_header Forwarded "";
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Prefix {prefix};
"""


def program():
    lzr.need(lzr.which("nginx") or os.access("/usr/sbin/nginx", os.X_OK),
             "nginx (apt-get install nginx-light)")
    return lzr.which("nginx") or "/usr/sbin/nginx"


class Nginx:
    def __init__(self, upstream, folder, prefix="/data", tell=True, port=None, read_timeout="600s"):
        self.prefix, self.port = prefix, port or lzr.free_port()
        self.folder = folder / f"nginx-{self.port}"
        self.folder.mkdir()
        config = self.folder / "nginx.conf"
        config.write_text(CONFIG.format(
            folder=self.folder, port=self.port, upstream=upstream, prefix=prefix,
            read_timeout=read_timeout, user="user root;" if os.getuid() == 0 else "",
            headers=HEADERS.format(prefix=prefix, upstream=upstream) if tell else ""))
        self.process = subprocess.Popen(
            [program(), "-c", config, "-p", self.folder, "-e", self.folder / "error.log"],
            stdin=subprocess.DEVNULL, preexec_fn=lzr._die_with_parent, start_new_session=True)
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + prefix
        lzr.wait_until(self._up, "nginx")

    def _up(self):
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        with contextlib.suppress(ConnectionError):
            with lzr.Http(self.port):
                return True
        return False

    def request(self, method, target, headers=()):
        with lzr.Http(self.port) as h:
            return h.request(method, target, headers)

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(lzr.WAIT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
