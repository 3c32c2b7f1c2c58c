#!/usr/bin/python3
"""Figure (c): workers against the GIL. Fixed pure-Python work, calibrated once, the same number of
turns in every process.

 - two workers against one, blocks of 50 ms
 - misses per second of 5 ms blocks with two workers, against two bare processes looping over the same
 - misses per second of a 0.02 ms function on 32³ uint16 with blosc lz4, two workers

    scaling.py [ROUNDS]
"""
import os
import pathlib
import subprocess
import sys
import time

import common

HERE = pathlib.Path(__file__).resolve().parent
STORE = str(HERE / "store_work.py")

BARE = """
import sys, time
sys.path.insert(0, {here!r}); sys.path.insert(0, {package!r})
import store_work
n = store_work.calibrated(5)
print("ready", flush=True); sys.stdin.readline()
t0 = time.perf_counter()
for _ in range({count}): store_work.python_work(n)
print(time.perf_counter() - t0)
"""


def calibrate() -> None:
    sys.path.insert(0, str(common.ROOT / "src" / "python"))
    import store_work
    best = min(timed(store_work.python_work, 600000) for _ in range(7))
    os.environ["LZR_TURNS_PER_MS"] = str(600000 / (best * 1000))


def timed(f, *args) -> float:
    t0 = time.perf_counter()
    f(*args)
    return time.perf_counter() - t0


def misses(array: str, workers: int, first: int, count: int, connections: int) -> float:
    """Misses per second of `count` blocks."""
    with common.Lazarr(STORE, "--workers", str(workers)) as lz:
        paths = [f"/zarr3/store_work.zarr/{array}/c/{i}" for i in range(first, first + count)]
        common.load(lz.port, [f"/zarr3/store_work.zarr/{array}/c/{i}" for i in range(900000, 900008)]
                    if array == "gil5" else
                    [f"/zarr3/store_work.zarr/{array}/c/{i}" for i in range(90000, 90004)],
                    connections=2, seconds=30, most=4)
        x = common.load(lz.port, paths, connections=connections, seconds=120, most=count)
        return x["per_second"]


def small_misses(count: int = 30000) -> float:
    with common.Lazarr(STORE, "--workers", "2", "--cache", "4GiB") as lz:
        paths = [f"/zarr3/store_work.zarr/small/c/{i // 40000}/{i // 200 % 200}/{i % 200}"
                 for i in range(count + 2000)]
        common.load(lz.port, paths[count:], connections=16, seconds=5, most=1500)
        return common.load(lz.port, paths[:count], connections=16, seconds=60,
                           most=count - 64)["per_second"]


def bare_processes(count: int) -> float:
    code = BARE.format(here=str(HERE), package=str(common.ROOT / "src" / "python"), count=count)
    procs = [subprocess.Popen([common.PYTHON, "-c", code], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for p in procs:
        p.stdout.readline()
    for p in procs:
        p.stdin.write("go\n")
        p.stdin.flush()
    return sum(count / float(p.communicate()[0]) for p in procs)


def main() -> None:
    calibrate()
    n = common.rounds()
    rows = []
    ratios, shares, small = [], [], []
    for r in range(n):
        one, two = misses("gil50", 1, 0, 60, 4), misses("gil50", 2, 0, 120, 8)
        ratios.append(two / one)
        lz, bare = misses("gil5", 2, 0, 1200, 16), bare_processes(500)
        shares.append(lz / bare)
        small.append(small_misses())
        rows.append([r + 1, f"{one:.1f}", f"{two:.1f}", f"{two / one:.3f}", f"{lz:.0f}",
                     f"{bare:.0f}", f"{lz / bare:.3f}", f"{small[-1]:.0f}"])
    rows.append(["median", "", "", f"{common.median(ratios):.3f}", "", "",
                 f"{common.median(shares):.3f}", f"{common.median(small):.0f}"])
    common.table(["round", "50 ms, 1 worker /s", "2 workers /s", "ratio", "5 ms, lazarr /s",
                  "2 bare processes /s", "share", "0.02 ms 32³ /s"], rows)


if __name__ == "__main__":
    main()
