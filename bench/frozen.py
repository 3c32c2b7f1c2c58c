"""(g) Sources whose files are read by the server: cached chunks while such reads hang, and what it costs that a
thread of its own reads.

    /usr/bin/python3 bench/frozen.py [rounds]                    hits, with no read that hangs and with many
    /usr/bin/python3 bench/frozen.py [rounds] OTHER/build        chunks that are read, beside another build's

hits: 4 keep-alive connections ask one by one for 2 s a kind, while 64 reads of a file hang (a preloaded library
      holds them) and their clients wait. Goal: p99 < 10 ms.
read: --cache 0, so that each request reads the file (page cache warm); 16 connections, 2 s, and 1 connection for the
      latency. A difference under 10 % is noise.
"""
import contextlib
import os
import pathlib
import socket
import statistics
import sys
import tempfile
import time

import common
import latency

STORE = '''
import lazarr, numpy as np, os
here = os.path.dirname(os.path.abspath(__file__))
far = lambda shape: np.memmap(os.path.join(here, "remote/v.bin"), dtype="uint16", mode="r", shape=shape)
packed = lazarr.source("packed", chunks=(64, 64, 64))(lambda: far((256, 256, 256)))
small = lazarr.source("small", chunks=(2048,), compressor=None)(lambda: far((1 << 24,)))
@lazarr.array("plus", inputs=[packed], halo=8, dtype="uint16", compressor=None)
def plus(block, packed):
    return packed[8:-8, 8:-8, 8:-8]
image = lazarr.source("image", chunks=(64, 64, 64), axes="zyx", levels=2)(lambda: far((256, 256, 256)))
'''
READ = (("64³ uint16, blosc", [f"/zarr3/s.zarr/packed/c/{z}/{y}/{x}" for z in range(4) for y in range(4)
                               for x in range(4)]),
        ("4 KiB, raw", [f"/zarr3/s.zarr/small/c/{i}" for i in range(4096)]),
        ("64³ of a function, halo 8", [f"/zarr3/s.zarr/plus/c/{z}/{y}/{x}" for z in range(4) for y in range(4)
                                       for x in range(4)]),
        ("first level above", [f"/zarr3/s.zarr/image/1/c/{z}/{y}/{x}" for z in range(2) for y in range(2)
                               for x in range(2)]))
latency.KINDS = (("cached chunk, 64³ uint16 packed", "GET", "/zarr3/{s}.zarr/packed/c/0/0/0"),
                 ("cached chunk, 4 KiB", "GET", "/zarr3/{s}.zarr/small/c/0"),
                 ("metadata", "GET", "/zarr3/{s}.zarr/packed/zarr.json"))


def make(folder):
    (folder / "remote").mkdir()
    data = bytes(range(256)) * (1 << 17)
    (folder / "remote/v.bin").write_bytes(data)
    (folder / "s.py").write_text(STORE)
    return str(folder / "s.py")


def hits(rounds, folder):
    store, flags = make(folder), folder / "flags"
    flags.mkdir()
    os.environ["LD_PRELOAD"], os.environ["STILL"] = str(common.BUILD / "tests/libstill.so"), str(flags)
    got = {False: [], True: []}
    for _ in range(rounds):
        for frozen in (False, True):
            with common.Lazarr(store, "--workers", "2", "--read-timeout", "1000") as srv, \
                    contextlib.ExitStack() as stack:
                for path in ("packed/c/0/0/0", "small/c/0"):
                    common.get(srv.port, f"/zarr3/s.zarr/{path}")
                if frozen:
                    (flags / "server.read").touch()
                    for i in range(64):
                        s = stack.enter_context(socket.create_connection(("127.0.0.1", srv.port)))
                        s.sendall(f"GET /zarr3/s.zarr/small/c/{1 + i} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                    while common.json.loads(common.get(srv.port, "/api/stats"))["waiting"] < 64:
                        time.sleep(0.01)
                got[frozen].append(latency.measure(srv.port, "s"))
                if frozen:
                    (flags / "server.read").unlink()
    rows = []
    for k, (name, _, _) in enumerate(latency.KINDS):
        row = [name]
        for frozen in (False, True):
            row += [f"{statistics.median(r[k][i] for r in got[frozen]):.2f}" for i in range(3)]
        rows.append(row)
    common.table(["", "none hangs: p50 ms", "p99", "worst", "64 reads hang: p50 ms", "p99", "worst"], rows)


def figures(srv, paths):
    """Chunks a second and CPU µs of the server for one, of many clients; p50 and p99 of one."""
    common.load(srv.port, paths, 16, 0.3)
    used = common.cpu_seconds([srv.pid])
    many = common.load(srv.port, paths, 16, 2)
    used = (common.cpu_seconds([srv.pid]) - used) / many["requests"] * 1e6
    one = common.load(srv.port, paths, 1, 1)
    return many["per_second"], used, one["p50_us"], one["p99_us"]


def read(rounds, folder, other):
    store, builds = make(folder), (common.LAZARR, pathlib.Path(other).resolve() / "lazarr")
    got = {(b, k): [] for b in range(2) for k in range(len(READ))}
    for turn in range(rounds):
        for b in ((0, 1) if turn % 2 == 0 else (1, 0)):
            common.LAZARR = builds[b]
            with common.Lazarr(store, "--workers", "2", "--cache", "0") as srv:
                for k, (_, paths) in enumerate(READ):
                    with contextlib.suppress(RuntimeError):  # the generator counts what it closes itself as errors
                        got[b, k].append(figures(srv, paths))
    rows = []
    for k, (name, _) in enumerate(READ):
        row = [name]
        for i in range(4):
            here, there = (statistics.median(r[i] for r in got[b, k]) for b in range(2))
            row += [f"{here:.0f}", f"{there:.0f}", f"{here / there:.2f}"]
        rows.append(row)
    common.table(["", "chunks/s", "other", "ratio", "CPU µs", "other", "ratio", "one by one: p50 µs", "other",
                  "ratio", "p99 µs", "other", "ratio"], rows)


def main():
    rounds = common.rounds(5)
    with tempfile.TemporaryDirectory() as d:
        if len(sys.argv) > 2:
            read(rounds, pathlib.Path(d), sys.argv[2])
        else:
            hits(rounds, pathlib.Path(d))


if __name__ == "__main__":
    main()
