"""What pages read through a browser, real ones: a page of a foreign origin nothing, in whatever way it asks and
whatever its browser has kept; a page that may read, all of it, whatever the browser kept of others."""
import json
import subprocess

import pytest

import browsers
import lzr

# Chunks whose bytes are a picture, a script and a style sheet: whatever loads one of them can be seen.
STORE = r"""
import lazarr, numpy as np
GIF = b"GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
TEXTS = {"gif": GIF, "js": b"window.secret = 'read'; /* ......... */", "css": b"body { outline-width: 77px; outline-style: solid }"}
def make(name, text):
    @lazarr.array(name, shape=(len(text),), chunks=(len(text),), dtype="uint8", compressor=None, n5_compressor=None)
    def f(block):
        return np.frombuffer(text, "uint8")
for name, text in TEXTS.items():
    make(name, text)
"""
KEYS = ["/zarr3/s.zarr/gif/c/0", "/zarr2/s.zarr/gif/0", "/n5/s.n5/gif/0", "/zarr3/s.zarr/zarr.json", "/zarr3/s.zarr/",
        "/", "/api/stats", "/metrics", "/zarr3/s.zarr/none"]
# Every mode and cache mode of fetch, each after the answer was kept in every way that a page can ask for it; then what
# loads without fetch. Says what was read.
SCRIPT = """
const base = BASE, keys = KEYS, read = {};
const caches = ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'];
const modes = ['no-cors', 'cors', 'same-origin'];
let n = 0;
async function attempt(name, url, mode, cache, credentials) {
  try {
    const r = await fetch(url, {mode, cache, credentials});
    n++;
    const b = await r.arrayBuffer();
    if (r.type !== 'opaque' || b.byteLength > 0 || r.status > 0) read[name] = [r.type, r.status, b.byteLength];
  } catch (e) { n++; }
}
const load = (tag, more) => new Promise(done => {
  const e = Object.assign(document.createElement(tag), more);
  e.onload = () => done([e, true]);
  e.onerror = () => done([e, false]);
  document.body.append(e);
});
(async () => {
  for (const key of keys)
    for (const first of ['default', 'reload', 'force-cache'])
      for (const mode of modes)
        for (const cache of caches) {
          const url = `${base}${key}?${first}-${mode}-${cache}`;
          try { await fetch(url, {mode: 'no-cors', cache: first}); } catch (e) {}
          await attempt(`${key} ${first} ${mode} ${cache}`, url, mode, cache, mode === 'cors' ? 'include' : 'same-origin');
        }
  for (const key of keys.slice(0, 3)) await attempt('omit ' + key, base + key, 'cors', 'default', 'omit');
  const chunk = name => `${base}/zarr3/s.zarr/${name}/c/0`;
  for (const more of [{}, {crossOrigin: 'anonymous'}, {crossOrigin: 'use-credentials'}]) {
    const kind = ' ' + (more.crossOrigin || 'plain');
    const [img] = await load('img', {...more, src: chunk('gif')});
    if (img.naturalWidth > 0) read['image' + kind] = img.naturalWidth;
    await load('script', {...more, src: chunk('js')});
    if (window.secret) read['script' + kind] = window.secret;
    window.secret = undefined;
    const [link] = await load('link', {...more, rel: 'stylesheet', href: chunk('css')});
    if (getComputedStyle(document.body).outlineWidth === '77px') read['style' + kind] = 1;
    link.remove();
  }
  for (const src of [base + '/', base + '/zarr3/']) {
    const e = document.createElement('iframe');
    await new Promise(done => { e.onload = e.onerror = done; e.src = src; document.body.append(e); });
    try { if (e.contentDocument && e.contentDocument.body.textContent) read['frame ' + src] = 1; } catch (x) {}
  }
  report({tried: n, read});
})();
"""
# What a viewer does, and what keeps the answer before.
VIEWER = """
const base = BASE, got = {};
(async () => {
  for (const key of KEYS)
    for (const first of [null, 'no-cors', 'same-origin'])
      for (const cache of ['default', 'no-cache', 'force-cache']) {
        const url = `${base}${key}?${first}-${cache}`;
        if (first) try { await fetch(url, {mode: first}); } catch (e) {}
        try { got[`${key} ${first} ${cache}`] = (await (await fetch(url, {cache})).arrayBuffer()).byteLength; }
        catch (e) { got[`${key} ${first} ${cache}`] = String(e); }
      }
  try { await fetch(base + '/zarr3/s.zarr/gif/c/0?r', {headers: {Range: 'bytes=0-3', 'X-Mine': '1'}}).then(r => r.arrayBuffer())
        .then(b => got.part = b.byteLength); } catch (e) { got.part = String(e); }
  report(got);
})();
"""


def filled(script, srv, keys=KEYS):
    return script.replace("BASE", json.dumps(f"http://127.0.0.1:{srv.port}")).replace("KEYS", json.dumps(keys))


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("browsers") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "1") as srv:
        for key in KEYS[:3]:
            srv.chunk(key)
        yield srv


@pytest.mark.limit(180)
@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_foreign_page_reads_nothing(srv, browser):
    page = browsers.Page(filled(SCRIPT, srv))
    try:
        got = page.open(browser, "http://evil.test")
    finally:
        page.close()
    assert got["read"] == {} and got["tried"] == len(KEYS) * 3 * 3 * 6 + 3
    # It did ask; and the page that it put into a frame never ran: its script asks for the live figures.
    srv.get("/end")
    srv.wait_log('GET /end HTTP/1.1" 404')
    assert "no-cors-force-cache" in srv.log and f"{KEYS[0]}?default" in srv.log
    assert 'GET /api/stats HTTP/1.1" 200' not in srv.log


@pytest.mark.limit(180)
@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_page_that_may_read(srv, browser):
    """A page of this machine; what the browser kept of requests without an origin is not in its way."""
    keys = KEYS[:5]
    page = browsers.Page(filled(VIEWER, srv, keys))
    try:
        got = page.open(browser, "http://localhost")
    finally:
        page.close()
    sizes = {key: len(srv.get(key).body) for key in keys}
    assert got.pop("part") == 4
    assert got == {name: sizes[name.split()[0]] for name in got} and len(got) == 9 * len(keys)


@pytest.mark.limit(120)
def test_the_hosted_neuroglancer(srv, tmp_path):
    """An https page of the origin that docs/viewers.md names reads http://127.0.0.1, nothing being said at the start."""
    lzr.need(lzr.which("openssl"), "openssl (apt-get install openssl)")
    host = "neuroglancer-demo.appspot.com"
    assert f"https://{host}" in (lzr.ROOT / "docs" / "viewers.md").read_text()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], check=True, stderr=subprocess.DEVNULL)
    keys = KEYS[:5]
    page = browsers.Page(filled(VIEWER, srv, keys), (tmp_path / "crt", tmp_path / "key"))
    try:
        got = page.open("chromium", f"https://{host}")
    finally:
        page.close()
    sizes = {key: len(srv.get(key).body) for key in keys}
    assert got.pop("part") == 4
    assert got == {name: sizes[name.split()[0]] for name in got}
