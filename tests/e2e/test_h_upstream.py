"""The nginx blocks of the documentation where lazarr stands in an `upstream` block, as people write it to keep
connections or for a second server. nginx then sends the block's name as Host unless it is told another one, and lazarr
answers 421 to names that it doesn't know."""
import re
import subprocess

import lzr
import nginx
import pytest
import test_h_nginx

KEY = test_h_nginx.KEY


def with_upstream(block):
    assert block.count("proxy_pass http://127.0.0.1:8080") == 1
    return block.replace("proxy_pass http://127.0.0.1:8080", "proxy_pass http://lazarr")


UPSTREAM = "upstream lazarr { server 127.0.0.1:8080; keepalive 8; }\n"


def test_operations(tmp_path, monkeypatch):
    block = UPSTREAM + with_upstream(test_h_nginx.documented())
    monkeypatch.setattr(test_h_nginx, "documented", lambda: block)
    (tmp_path / "s.py").write_text(test_h_nginx.STORE.replace("VALUE", "1"))
    with lzr.Server(tmp_path / "s.py", "--workers", "1", "--token", test_h_nginx.TOKEN) as srv:
        proxy = test_h_nginx.Proxy(srv.port, tmp_path)
        try:
            r = proxy.get(KEY)
            assert r.status == 200 and r.body == b"\1" * 4, r
            assert "https://data.example/zarr3/s.zarr/a" in proxy.get("/").text
        finally:
            proxy.process.terminate()
            proxy.process.wait()


@pytest.mark.parametrize("upstream", [False, True])
def test_viewers(tmp_path, upstream):
    text = (lzr.ROOT / "docs" / "viewers.md").read_text()
    block, = re.findall(r"```nginx\n(.*?)```", text, re.S)
    if upstream:
        block = with_upstream(block)
    (tmp_path / "s.py").write_text(test_h_nginx.STORE.replace("VALUE", "1"))
    with lzr.Server(tmp_path / "s.py", "--workers", "1") as srv:
        port = lzr.free_port()
        temp = "".join(f"{n}_temp_path {tmp_path}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = (f"daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error.log warn;"
                  f"{'user root;' if nginx.os.getuid() == 0 else ''} events {{}}\nhttp {{ access_log off; {temp}\n"
                  f"{UPSTREAM if upstream else ''}server {{ listen 127.0.0.1:{port};\n{block}\n}} }}")
        (tmp_path / "nginx.conf").write_text(config.replace("127.0.0.1:8080", f"127.0.0.1:{srv.port}"))
        process = subprocess.Popen([nginx.program(), "-c", tmp_path / "nginx.conf", "-p", tmp_path, "-e",
                                    tmp_path / "error.log"], stdin=subprocess.DEVNULL,
                                   preexec_fn=lzr._die_with_parent, start_new_session=True)
        try:
            def up():
                assert process.poll() is None, (tmp_path / "error.log").read_text()
                try:
                    return lzr.Http(port)
                except ConnectionError:
                    return None
            with lzr.wait_until(up, "nginx") as h:
                assert h.get("/data" + KEY).status == 200
                page = h.get("/data/")
                assert page.status == 200 and f"http://127.0.0.1:{port}/data/zarr3/s.zarr/a" in page.text
        finally:
            process.terminate()
            process.wait()
