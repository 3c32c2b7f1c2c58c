#!/usr/bin/python3
"""Figure (a): cached chunks per second, and CPU per request, against nginx serving the same bytes as
files (2 workers, sendfile on, tcp_nopush off, open_file_cache, the same headers) and against uvicorn
with a dict. 16 keep-alive connections, a load generator that reads up to 4 MiB at a time.

    hits.py [ROUNDS]        medians of ROUNDS (5) alternating runs
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import common
SIZES = {"k4": 4 << 10, "k64": 64 << 10, "k256": 256 << 10, "k512": 512 << 10}

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = float(os.environ.get("SECONDS_EACH", "2"))

NGINX = """
{user}daemon off; worker_processes 2; pid {d}/nginx.pid; error_log {d}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush off; keepalive_requests 100000000; etag off;
  open_file_cache max=10000 inactive=600s; open_file_cache_valid 600s;
  default_type application/octet-stream;
  client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;
  uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
  server {{ listen 127.0.0.1:{port}; root {d}/chunks;
    add_header ETag '"0123456789abcdef0123456789abcdef"'; add_header Cache-Control no-cache;
    add_header Accept-Ranges bytes; add_header Vary Origin; add_header X-Content-Type-Options nosniff;
    add_header Cross-Origin-Resource-Policy same-origin;
    add_header Server-Timing "cache;desc=hit"; }}
}}
"""


def bench_python() -> str:
    """A virtual environment with uvicorn, made once."""
    env = common.BUILD / "envs" / "bench"
    python = env / "bin" / "python"
    if not (env / "ready").exists():
        subprocess.run([common.PYTHON, "-m", "venv", env], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "uvicorn==0.34.0", "uvloop==0.21.0",
                        "httptools==0.6.4"], check=True)
        (env / "ready").touch()
    return str(python)


def main() -> None:
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise SystemExit("hits.py: run with /usr/bin/python3 (needs NumPy)")
    rounds = common.rounds()
    d = pathlib.Path(tempfile.mkdtemp(prefix="lazarr-hits-"))
    rows = []
    with common.Lazarr(str(HERE / "store_bytes.py")) as lz:
        paths = {n: [f"/zarr3/store_bytes.zarr/{n}/c/{i}" for i in range(64)] for n in SIZES}
        for name, urls in paths.items():
            for url in urls:
                body = common.get(lz.port, url)
                assert len(body) == SIZES[name], (url, len(body))
                f = d / "chunks" / url[1:]
                f.parent.mkdir(parents=True, exist_ok=True)
                f.write_bytes(body)
        nport, uport, fport = (common.free_port() for _ in range(3))
        (d / "nginx.conf").write_text(NGINX.format(
            d=d, port=nport, user="user root; " if os.getuid() == 0 else ""))
        nginx = subprocess.Popen(["nginx", "-c", d / "nginx.conf", "-p", d])
        env = dict(common.environment(), CHUNK_FOLDER=str(d / "chunks"), PYTHONPATH=str(HERE))
        # As pip installs it (asyncio, h11), and with the C parts that uvicorn[standard] adds.
        uv = [subprocess.Popen([bench_python(), "-m", "uvicorn", "uvicorn_dict:app", "--port",
                                str(port), "--no-access-log", "--log-level", "warning",
                                "--loop", loop, "--http", http], env=env)
              for port, loop, http in ((uport, "asyncio", "h11"), (fport, "uvloop", "httptools"))]
        try:
            for port in (nport, uport, fport):
                common.wait_port(port)
            servers = {"lazarr": (lz.port, [lz.pid]), "nginx": (nport, common.children(nginx.pid)),
                       "uvicorn": (uport, [uv[0].pid]), "uvloop": (fport, [uv[1].pid])}
            rows = measure(rounds, paths, servers)
        finally:
            for p in (nginx, *uv):
                p.terminate()
                p.wait()
            shutil.rmtree(d)
    common.table(["chunk", "lazarr req/s", "nginx req/s", "ratio", "uvicorn req/s", "ratio",
                  "uvicorn + uvloop + httptools req/s", "ratio", "CPU µs: lazarr", "nginx", "uvicorn",
                  "+ uvloop", "p99 µs: lazarr", "nginx"], rows)


def measure(rounds, paths, servers):
    rows = []
    for name in SIZES:
        got = {s: [] for s in servers}
        for r in range(rounds + 1):
            for s, (port, pids) in servers.items():
                t0 = common.cpu_seconds(pids)
                x = common.load(port, paths[name], seconds=SECONDS if r else 0.5)
                x["cpu_us"] = (common.cpu_seconds(pids) - t0) / x["requests"] * 1e6
                if r:  # the first round warms up
                    got[s].append(x)
        med = {s: common.median([x["per_second"] for x in v]) for s, v in got.items()}
        ratio = {s: common.median([a["per_second"] / b["per_second"]
                                   for a, b in zip(got["lazarr"], got[s])]) for s in servers}
        cpu = {s: common.median([x["cpu_us"] for x in v]) for s, v in got.items()}
        p99 = {s: common.median([x["p99_us"] for x in v]) for s, v in got.items()}
        row = [f"{SIZES[name] >> 10} KiB", f"{med['lazarr']:.0f}"]
        for peer in ("nginx", "uvicorn", "uvloop"):
            row += [f"{med[peer]:.0f}", f"{ratio[peer]:.2f}"]
        row += [f"{cpu[s]:.1f}" for s in servers]
        rows.append(row + [f"{p99['lazarr']:.0f}", f"{p99['nginx']:.0f}"])
    return rows


if __name__ == "__main__":
    main()
