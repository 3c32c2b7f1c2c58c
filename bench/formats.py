#!/usr/bin/python3
"""Formats beside Zarr. Hits: cached N5 and precomputed chunks a second against Zarr's, of the same size.
Transcoding: chunks that are cached in Zarr and asked for in another format, against a loop of one thread that does
nothing but decode and encode (transcode.c, the same codecs): the engine's own time for a chunk, and the
whole request on one connection. 64^3 uint16 (labels: uint32), Zarr's are blosc lz4.

    formats.py [ROUNDS]        medians of ROUNDS (5) alternating runs; SECONDS_EACH (2) a run of hits
"""
import itertools
import os
import re
import subprocess
import tempfile
from pathlib import Path

import common

SECONDS = float(os.environ.get("SECONDS_EACH", "2"))
HERE = Path(__file__).resolve().parent
SIDE, COUNTS = 64, (3, 4, 4)
HITS = {"k4": ("4 KiB", 16), "k32": ("32 KiB", 32), "k256": ("256 KiB", 64), "k512": ("512 KiB", 64)}
HOME = "store_formats"


def key(face, name, pos, side=SIDE):
    z, y, x = pos
    if face == "zarr3":
        return f"/zarr3/{HOME}.zarr/{name}/0/c/{z}/{y}/{x}"
    if face == "n5":
        return f"/n5/{HOME}.n5/{name}/s0/{x}/{y}/{z}"
    return f"/precomputed/{HOME}/{name}/0/" + "_".join(f"{p * side}-{p * side + side}" for p in (x, y, z))


def positions(counts):
    return list(itertools.product(*map(range, counts)))


def metric(port, name):
    return float(re.search(rf"^lazarr_{name} (\S+)$", common.get(port, "/metrics").decode(), re.M).group(1))


def bench_hits(lz, rounds):
    rows = []
    for name, (label, side) in HITS.items():
        faces = ("zarr3", "n5", "precomputed")
        paths = {f: [key(f, name, p, side) for p in positions((4, 4, 4))] for f in faces}
        for urls in paths.values():
            for url in urls:
                common.get(lz.port, url)
        got = {f: [] for f in faces}
        for r in range(rounds + 1):
            for f in faces:
                v = common.load(lz.port, paths[f], seconds=SECONDS if r else SECONDS / 4)["per_second"]
                if r:  # the first round warms up
                    got[f].append(v)
        row = [label]
        for f in faces:
            row.append(f"{common.median(got[f]):.0f}")
            if f != "zarr3":
                row.append(f"{common.median([a / b for a, b in zip(got[f], got['zarr3'])]):.2f}")
        rows.append(row)
    common.table(["chunk", "Zarr req/s", "N5 req/s", "ratio", "precomputed req/s", "ratio"], rows)


def baseline() -> str:
    out, src = common.BUILD / "bench-transcode", HERE / "transcode.c"
    libs = [common.BUILD / f"liblazarr_{m}.a" for m in ("store", "base")]
    if not out.exists() or out.stat().st_mtime < max(p.stat().st_mtime for p in (src, *libs)):
        root = common.ROOT
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", f"-I{root}", f"-I{root}/src", f"-I{root}/include", "-o", out, src,
                        *libs, "-lblosc", "-ldeflate", "-lzstd", "-llz4", "-lcjson", "-lxxhash", "-lz", "-lm",
                        "-lpthread"], check=True)
    return str(out)


def bench_transcoding(lz, rounds):
    rows = []
    cases = [("N5 gzip 1", "n5", "gzip", "gzip"), ("N5 zstd 3", "n5", "zstd", "zstd"),
             ("N5 blosc lz4", "n5", "blosc", "blosc"), ("N5 lz4", "n5", "lz4", "lz4"), ("N5 raw", "n5", "raw", "raw"),
             ("precomputed raw", "precomputed", "gzip", "copy"),
             ("compressed_segmentation", "precomputed", "seg", "seg")]
    for label, face, name, alone in cases:
        plain, engine, request = [], [], []
        for r in range(rounds + 1):
            with tempfile.TemporaryDirectory() as d:
                for i, p in enumerate(positions(COUNTS)):
                    (Path(d) / str(i)).write_bytes(common.get(lz.port, key("zarr3", f"{name}{r}", p)))
                p = subprocess.run([baseline(), d, "3", alone], capture_output=True, text=True, check=True)
            urls = [key(face, f"{name}{r}", p) for p in positions(COUNTS)]
            before = [metric(lz.port, m) for m in ("transcoded_total", "transcode_us_total")]
            got = common.load(lz.port, urls, connections=1, seconds=60, most=len(urls))
            after = [metric(lz.port, m) for m in ("transcoded_total", "transcode_us_total")]
            if after[0] - before[0] != len(urls):
                raise RuntimeError(f"{label}: {after[0] - before[0]} chunks were transcoded, not {len(urls)}")
            if r:
                plain.append(common.median([float(v) for v in p.stdout.split()]))
                engine.append((after[1] - before[1]) / len(urls))
                request.append(1e6 / got["per_second"])
        rows.append([label, *(f"{common.median(v):.0f}" for v in (plain, engine)),
                     f"{common.median([a / b for a, b in zip(plain, engine)]):.2f}",
                     f"{common.median(request):.0f}",
                     f"{common.median([a / b for a, b in zip(plain, request)]):.2f}"])
    common.table(["to", "decode + encode µs", "transcoding µs", "speed", "request µs", "speed"], rows)


def main():
    rounds = common.rounds()
    os.environ["ROUNDS"] = str(rounds + 1)
    with common.Lazarr(str(HERE / "store_formats.py"), "--cache", "2GiB") as lz:
        bench_hits(lz, rounds)
        bench_transcoding(lz, rounds)


if __name__ == "__main__":
    main()
