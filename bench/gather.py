#!/usr/bin/python3
"""Putting a 96³ region together out of 64³ blosc-lz4 chunks (float32), one thread: by the server's code
(bench/gather.c), and by a NumPy loop over the chunks.

    gather.py [ROUNDS [TURNS]]        TURNS 200, each round's figure is their median

decoded: the chunks are there decoded, as the server's cache of decoded chunks has them; what is left is moving
         bytes.
encoded: each region decodes its 8 chunks first, NumPy with numcodecs (the same library, one thread).
memcpy:  numpy.copyto of as many bytes, contiguous and warm: what the machine does at best.

GB/s are those of the region. Needs python3-numcodecs."""
import itertools
import pathlib
import subprocess
import sys
import tempfile
import time

import numcodecs
import numpy as np

import common

ROUNDS = common.rounds()
TURNS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
SIDE, CHUNK, REGION = 128, 64, 96


def make_chunks(folder, codec):
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    noise = np.random.default_rng(3).random((SIDE,) * 3, dtype="f4")
    volume = (np.sin(z / 9) * np.cos(y / 7) + x / 50 + noise / 64).astype("f4")
    out = []
    for pos in itertools.product(range(SIDE // CHUNK), repeat=3):
        block = np.ascontiguousarray(volume[tuple(slice(p * CHUNK, (p + 1) * CHUNK) for p in pos)])
        out.append(codec.encode(block))
        (folder / ".".join(map(str, pos))).write_bytes(out[-1])
    return out


def compiled(folder):
    """bench/gather.c with the libraries of the build."""
    out, root = folder / "gather", common.ROOT
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", out, root / "bench" / "gather.c",
                    *(f"-I{root / d}" for d in ("include", "src", ".")),
                    common.BUILD / "liblazarr_store.a", common.BUILD / "liblazarr_base.a",
                    *"-lxxhash -lzstd -lz -ldeflate -llz4 -lcjson -lblosc -lm -lpthread".split()], check=True)
    return out


def positions():
    """Of each chunk: where its part lies in it and in the region [16, 112)."""
    spans = [(slice(16, 64), slice(0, 48)), (slice(0, 48), slice(48, 96))]
    for pos in itertools.product(range(2), repeat=3):
        yield pos, tuple(spans[p][0] for p in pos), tuple(spans[p][1] for p in pos)


def loop(parts):
    """The median of TURNS regions."""
    region, times = np.zeros((REGION,) * 3, "f4"), []
    for _ in range(TURNS):
        t0 = time.perf_counter()
        for (_, inside, at), part in zip(positions(), parts):
            region[at] = part()[inside]
        times.append(time.perf_counter() - t0)
    return common.median(times)


def memcpy():
    a, b, times = np.ones((REGION,) * 3, "f4"), np.zeros((REGION,) * 3, "f4"), []
    for _ in range(TURNS):
        t0 = time.perf_counter()
        np.copyto(b, a)
        times.append(time.perf_counter() - t0)
    return common.median(times)


def main():
    numcodecs.blosc.use_threads = False
    codec, nbytes, rows = numcodecs.Blosc("lz4"), REGION ** 3 * 4, []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        chunks = make_chunks(folder, codec)
        tool = compiled(folder)
        arrays = [np.frombuffer(codec.decode(c), "f4").reshape((CHUNK,) * 3) for c in chunks]
        for _ in range(ROUNDS):
            out = subprocess.run([tool, folder, str(TURNS)], check=True, capture_output=True, text=True)
            warm, cold = map(float, out.stdout.split())
            numpy_warm = loop([lambda a=a: a for a in arrays])
            numpy_cold = loop([lambda c=c: np.frombuffer(codec.decode(c), "f4").reshape((CHUNK,) * 3)
                               for c in chunks])
            rows.append([nbytes / s / 1e9 for s in (warm, numpy_warm, cold, numpy_cold, memcpy())])
    rows.append([common.median(c) for c in zip(*rows)])
    names = [str(i + 1) for i in range(ROUNDS)] + ["median"]
    common.table(["round", "decoded: lazarr GB/s", "NumPy GB/s", "ratio", "encoded: lazarr GB/s", "NumPy GB/s",
                  "ratio", "memcpy GB/s"],
                 [[n, f"{r[0]:.2f}", f"{r[1]:.2f}", f"{r[0] / r[1]:.2f}", f"{r[2]:.2f}", f"{r[3]:.2f}",
                   f"{r[2] / r[3]:.2f}", f"{r[4]:.2f}"] for n, r in zip(names, rows)])


main()
