"""Headless browsers that open a page of some origin, which reports what it saw.

    page = Page(script)                       its script calls report(object) when it is done
    page.open("chromium", "http://evil.test") {...}

No driver is needed: the page sends its report to the server that it came from. Names end at this machine: Chromium
and Firefox are told so for the page's own host, and no other name is resolved.
"""
import contextlib
import http.server
import json
import os
import queue
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import lzr

REPORT = """
const report = o => fetch('/report', {method: 'POST', body: JSON.stringify(o)});
addEventListener('unhandledrejection', e => report({error: String(e.reason)}));
addEventListener('error', e => { if (e.message) report({error: e.message}); });
"""
# What keeps a browser from asking others, and from asking a person; the last lines are for pages that ask a loopback
# address, which newer ones let a person confirm.
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False, "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
    "app.update.enabled": False, "app.normandy.enabled": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False, "browser.aboutwelcome.enabled": False,
    "services.settings.server": "http://localhost:1", "extensions.update.enabled": False,
    "termsofuse.bypassNotification": True, "browser.preonboarding.enabled": False,
    "network.lna.blocking": False, "network.lna.enabled": False,
}


class Page:
    def __init__(self, script, certificate=None):
        """certificate: (certificate, key) of a page that is served with TLS."""
        text = f"<!DOCTYPE html><meta charset=utf-8><body><script>{REPORT}{script}</script>".encode()
        self.reports = reports = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, body=b""):
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(200, text) if self.path == "/" else self.answer(404)

            def do_POST(self):
                reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(204)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def open(self, browser, origin, seconds=90):
        """What the page reports when it is opened as one of this origin; one without a port gets this server's, https
        ones keep theirs (Chromium only)."""
        host = origin.split("://")[1]
        url = f"{origin}/" if origin.startswith("https:") or ":" in host else f"{origin}:{self.port}/"
        folder = Path(tempfile.mkdtemp(prefix="lazarr-browser-"))
        start = {"chromium": self._chromium, "firefox": self._firefox}[browser]
        process = subprocess.Popen(start(folder, host.split(":")[0], url), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                   preexec_fn=lzr._die_with_parent, env=lzr.environment(HOME=str(folder)))
        try:
            got = self.reports.get(timeout=seconds * lzr.SLOW)
        except queue.Empty:
            raise AssertionError(f"{browser} reported nothing of {url}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
        assert "error" not in got, got
        return got

    def _chromium(self, folder, host, url):
        program = lzr.need(lzr.which("chromium"), "chromium (apt-get install chromium)")
        return [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--ignore-certificate-errors",
                "--disable-background-networking", "--disable-features=LocalNetworkAccessChecks", f"--user-data-dir={folder}",
                f"--host-resolver-rules=MAP {host}:443 127.0.0.1:{self.port}, MAP {host} 127.0.0.1, MAP * ~NOTFOUND, "
                "EXCLUDE 127.0.0.1", url]

    def _firefox(self, folder, host, url):
        program = lzr.need(lzr.which("firefox-esr") or lzr.which("firefox"), "Firefox (apt-get install firefox-esr)")
        wanted = {**PREFERENCES, "network.dns.localDomains": host}
        (folder / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in wanted.items()))
        return [program, "--headless", "--no-remote", "--profile", folder, url]
