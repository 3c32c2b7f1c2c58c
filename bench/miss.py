#!/usr/bin/python3
"""Figure (b): what a miss costs beyond the function and the compression: the time of a request for a
chunk that isn't cached, less that of a plain loop in one process that calls the same function and the
same codec. 64³ uint16, blosc lz4, one keep-alive connection, one worker.

    miss.py [ROUNDS]
"""
import ctypes
import ctypes.util
import http.client
import pathlib
import socket
import sys
import time

import numpy as np

import common

HERE = pathlib.Path(__file__).resolve().parent
N = 300


def plain_loop() -> list[float]:
    """Function and codec, nothing else; the codec is the library that lazarr uses."""
    sys.path.insert(0, str(common.ROOT / "src" / "python"))
    import store_work
    lib = ctypes.CDLL(ctypes.util.find_library("blosc"))
    out = ctypes.create_string_buffer(64 ** 3 * 2 + 16)
    times = []
    for _ in range(N):
        t0 = time.perf_counter()
        a = np.ascontiguousarray(store_work.RAMP)
        n = lib.blosc_compress_ctx(5, 1, ctypes.c_size_t(2), ctypes.c_size_t(a.nbytes),
                                   a.ctypes.data_as(ctypes.c_void_p), out,
                                   ctypes.c_size_t(len(out)), b"lz4", ctypes.c_size_t(0), 1)
        bytes_ = out.raw[:0] if n <= 0 else n
        times.append(time.perf_counter() - t0)
        assert n > 0 and bytes_
    return times


def through_lazarr(port: int, first: int) -> list[float]:
    """A raw socket, so that the client's own cost is small; the body is read whole."""
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buf = bytearray(2 << 20)
    times = []
    for i in range(first, first + N):
        z, y, x = i // 1600, i // 40 % 40, i % 40
        q = (f"GET /zarr3/store_work.zarr/ramp/c/{z}/{y}/{x} HTTP/1.1\r\nHost: 127.0.0.1:{port}"
             "\r\n\r\n").encode()
        t0 = time.perf_counter()
        s.sendall(q)
        got = s.recv_into(buf)
        end = buf.find(b"\r\n\r\n")
        head = bytes(buf[:end]).lower()
        assert head.startswith(b"http/1.1 200"), head
        need = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while got < need:
            got += s.recv_into(memoryview(buf)[got:])
        times.append(time.perf_counter() - t0)
        assert b"desc=miss" in head, head
    return times


def main() -> None:
    rows, extra = [], []
    with common.Lazarr(str(HERE / "store_work.py"), "--workers", "1") as lz:
        through_lazarr(lz.port, 0)
        for r in range(common.rounds()):
            plain = common.median(plain_loop()) * 1e6
            lazarr = common.median(through_lazarr(lz.port, (r + 1) * N)) * 1e6
            extra.append(lazarr - plain)
            rows.append([r + 1, f"{plain:.0f}", f"{lazarr:.0f}", f"{lazarr - plain:.0f}"])
    rows.append(["median", "", "", f"{common.median(extra):.0f}"])
    common.table(["round", "plain loop µs", "lazarr miss µs", "extra µs"], rows)


if __name__ == "__main__":
    main()
