"""What the benchmark scripts share: starting lazarr, its peers and the load generator.

Figures are taken side by side in one run, alternating, five rounds or more, and given as medians
with their ratios. Times of user code are fixed work, never timed spins.
"""
from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("LZR_BUILD", ROOT / "build"))
LAZARR = BUILD / "lazarr"
PYTHON = "/usr/bin/python3"
TICK = os.sysconf("SC_CLK_TCK")


def loadgen() -> str:
    """The load generator, compiled when it is missing or old."""
    out, src = BUILD / "bench-load", ROOT / "bench" / "load.c"
    if not out.exists() or out.stat().st_mtime < src.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", out, src], check=True)
    return str(out)


def load(port: int, paths: list[str], connections: int = 16, seconds: float = 2.0,
         most: int | None = None) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(paths) + "\n")
        f.flush()
        cmd = [loadgen(), "127.0.0.1", str(port), str(connections), str(seconds), f.name]
        if most:
            cmd.append(str(most))
        p = subprocess.run(cmd, capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"load generator: {p.stdout} {p.stderr}")
    return json.loads(p.stdout)


def environment() -> dict[str, str]:
    env = dict(os.environ)
    env.pop("VIRTUAL_ENV", None)
    env.pop("CONDA_PREFIX", None)
    return env


class Lazarr:
    """`lazarr serve` on a free port; a context manager."""

    def __init__(self, store: str, *options: str, log=None):
        quiet = ["--quiet"] if log is None else []
        self.args = [str(LAZARR), "serve", store, "--port", "0", *quiet, *options]
        self.stderr = log  # else a file of its own

    def __enter__(self) -> "Lazarr":
        self.log = tempfile.TemporaryFile("w+")
        self.proc = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=self.stderr or self.log, text=True,
                                     env=environment())
        for line in self.proc.stdout:
            m = re.search(r"listening on http://[^:/]+:(\d+)/", line)
            if m:
                self.port = int(m.group(1))
                self.pid = self.proc.pid
                return self
        self.log.seek(0)
        raise RuntimeError("lazarr did not start: " + self.log.read())

    def __exit__(self, *exc) -> None:
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(15)
        self.proc.stdout.close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port: int, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def get(port: int, path: str) -> bytes:
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", path)
    r = c.getresponse()
    body = r.read()
    if r.status != 200:
        raise RuntimeError(f"{path}: {r.status} {body[:200]!r}")
    return body


def children(pid: int) -> list[int]:
    try:
        return [int(x) for x in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def median(values) -> float:
    return statistics.median(values)


def table(head: list[str], rows: list[list]) -> str:
    rows = [[str(x) for x in r] for r in rows]
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    out += ["| " + " | ".join(r) + " |" for r in rows]
    text = "\n".join(out)
    print(text, flush=True)
    return text


def rounds(default: int = 5) -> int:
    return int(sys.argv[1]) if len(sys.argv) > 1 else default
