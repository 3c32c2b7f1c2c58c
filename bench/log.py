#!/usr/bin/python3
"""A cached chunk's time while nobody reads the log, against a log that is read, and one that goes to a file.

    log.py [ROUNDS]        medians of ROUNDS (7) alternating runs

One server each, a line a request; 4 KiB chunks, 4 keep-alive connections. The stuck one's pipe and ring are full
before it is measured. Goal: p99 with a stuck reader at most 1.1 times that without.
"""
import os
import subprocess
import sys
import tempfile
import urllib.request

import common

STORE = """
import lazarr
@lazarr.array("a", shape=(65536,), chunks=(4096,), dtype="uint8", compressor=None)
def a(block):
    return 1
"""
SECONDS = float(os.environ.get("SECONDS_EACH", "2"))
PATHS = [f"/zarr3/s.zarr/a/c/{i}" for i in range(16)]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as d:
        store = os.path.join(d, "s.py")
        with open(store, "w") as f:
            f.write(STORE)
        unread, stuck = os.pipe()
        reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        with open(os.path.join(d, "log"), "w") as log, \
             common.Lazarr(store, "--workers", "1", log=reader.stdin) as read, \
             common.Lazarr(store, "--workers", "1", log=stuck) as full, \
             common.Lazarr(store, "--workers", "1", log=log) as file:
            os.close(stuck)
            for s in (read, full, file):
                for path in PATHS:
                    urllib.request.urlopen(f"http://127.0.0.1:{s.port}{path}").read()
            servers = {"read": read, "nobody reads": full, "a file": file}
            got = {name: [] for name in servers}
            for r in range(rounds + 1):
                for name, s in servers.items():
                    x = common.load(s.port, PATHS, connections=4, seconds=SECONDS)
                    if r:  # the first round fills cache, pipe and ring
                        got[name].append(x)
        reader.stdin.close()
        reader.wait()
        os.close(unread)
    rows = []
    for name, runs in got.items():
        ratio = common.median([a["p99_us"] / b["p99_us"] for a, b in zip(runs, got["read"])])
        rows.append([name, f"{common.median([x['per_second'] for x in runs]):.0f}",
                     f"{common.median([x['p50_us'] for x in runs]):.0f}",
                     f"{common.median([x['p99_us'] for x in runs]):.0f}", f"{ratio:.2f}"])
    common.table(["the log", "hits/s", "p50 µs", "p99 µs", "p99, ratio"], rows)


if __name__ == "__main__":
    main()
