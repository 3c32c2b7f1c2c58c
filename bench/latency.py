"""(f) Cached chunks, metadata and HEADs of known length while every worker is busy and 1000 misses are queued.

    /usr/bin/python3 bench/latency.py [rounds]

Two workers compute (pure Python, for ever); 1000 clients wait for chunks; then 4 keep-alive connections ask one
by one, as fast as they are answered, for 2 s a kind. Goal: p99 < 10 ms. Beside it the same with idle workers.
"""
import contextlib
import http.client
import socket
import statistics
import threading
import time

import common

STORE = '''
import lazarr
@lazarr.array("a", shape=(100000,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    if block.index:
        while True:
            pass
    return 1
@lazarr.array("packed", shape=(1000, 64, 64, 64), chunks=(1, 64, 64, 64), dtype="uint16")
def packed(block):
    return block.coords()[3] % 256
'''
KINDS = (("cached chunk, 64^3 uint16 packed", "GET", "/zarr3/{s}.zarr/packed/c/0/0/0/0"),
         ("metadata", "GET", "/zarr3/{s}.zarr/packed/zarr.json"),
         ("HEAD of a cached chunk", "HEAD", "/zarr3/{s}.zarr/packed/c/0/0/0/0"),
         ("HEAD of a raw chunk that is queued", "HEAD", "/zarr3/{s}.zarr/a/c/77"))


def sample(port, method, path, seconds, out):
    c = http.client.HTTPConnection("127.0.0.1", port)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        t = time.perf_counter()
        c.request(method, path)
        r = c.getresponse()
        r.read()
        out.append(time.perf_counter() - t)
        assert r.status == 200, (path, r.status)
    c.close()


def measure(port, store, seconds=2):
    figures = []
    for _, method, path in KINDS:
        out = []
        threads = [threading.Thread(target=sample, args=(port, method, path.format(s=store), seconds, out))
                   for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        out.sort()
        figures.append((out[len(out) // 2] * 1e3, out[len(out) * 99 // 100] * 1e3, out[-1] * 1e3))
    return figures


def main():
    import tempfile
    rounds = common.rounds(5)
    got = {False: [], True: []}
    with tempfile.TemporaryDirectory() as d:
        path = f"{d}/s.py"
        with open(path, "w") as f:
            f.write(STORE)
        for _ in range(rounds):
            for busy in (False, True):
                with common.Lazarr(path, "--workers", "2", "--first-byte", "10000") as srv, \
                        contextlib.ExitStack() as stack:
                    common.get(srv.port, "/zarr3/s.zarr/packed/c/0/0/0/0")
                    for i in range(1, 1003 if busy else 1):
                        s = stack.enter_context(socket.create_connection(("127.0.0.1", srv.port)))
                        s.sendall(f"GET /zarr3/s.zarr/a/c/{i} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                    while busy and common.json.loads(common.get(srv.port, "/api/stats"))["waiting"] < 1002:
                        time.sleep(0.01)
                    got[busy].append(measure(srv.port, "s"))
    rows = []
    for k, (name, _, _) in enumerate(KINDS):
        row = [name]
        for busy in (False, True):
            row += [f"{statistics.median(r[k][i] for r in got[busy]):.2f}" for i in range(3)]
        rows.append(row)
    common.table(["", "idle: p50 ms", "p99", "worst", "busy: p50 ms", "p99", "worst"], rows)


if __name__ == "__main__":
    main()
