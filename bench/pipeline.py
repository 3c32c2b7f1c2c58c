#!/usr/bin/python3
"""A projection of 2, 8 and 30 filters with halos over 256³ float32: by lazarr, and by dask's map_overlap chain of the
same functions on as many threads as cores. Time to one chunk of the projection, and the memory of both.

    pipeline.py [ROUNDS [STEPS...]]

lazarr: `serve` with its default options, from the request to its answer. dask: a process of its own, from after its
imports until compute() has returned, at nice 10 as lazarr's workers are. Memory: proportional (PSS), of all processes of each, at its highest.

Needs python3-dask and NumPy."""
import os
import re
import subprocess
import sys
import threading
import time

import common

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = common.rounds()
STEPS = [int(a) for a in sys.argv[2:]] or [2, 8, 30]

DASK = """
import sys, time, numpy as np, dask, dask.array as da, resource, os
steps, scheduler, cores = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def raw(block_info=None):
    i = np.ravel_multi_index(block_info[None]["chunk-location"], (4, 4, 4))
    return np.random.default_rng(i).random((64, 64, 64), "float32")
def step(a):
    return np.pad(a[2:-2, 2:-2, 2:-2] * 0.5 + a[4:, 4:, 4:] * 0.25 + a[:-4, :-4, :-4] * 0.25, 2)
if __name__ == "__main__":
    t = time.perf_counter()
    a = da.map_blocks(raw, chunks=((64,) * 4,) * 3, dtype="float32", meta=np.empty((0, 0, 0), "float32"))
    for _ in range(steps):
        a = da.map_overlap(step, a, depth=2, boundary="reflect", dtype="float32",
                           meta=np.empty((0, 0, 0), "float32"))
    out = a.max(axis=0)[:128, :128].compute(scheduler=scheduler, num_workers=cores)
    print(time.perf_counter() - t, float(out.sum()))
"""


def tree(pid):
    """A process and its descendants."""
    out = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            for child in f.read().split():
                out += tree(int(child))
    return out


def memory(pid):
    """Proportional, of all of a process's descendants and itself: MiB."""
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += int(re.search(r"^Pss: +(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total / 1024


def watch(process, until):
    most = 0
    while not until():
        try:
            most = max(most, memory(process.pid))
        except OSError:
            pass
        time.sleep(0.05)
    return most


def dask(steps, scheduler):
    p = subprocess.Popen(["nice", "-n", "10", common.PYTHON, "-c", DASK, str(steps), scheduler, str(os.cpu_count())],
                         stdout=subprocess.PIPE, text=True)
    most = watch(p, lambda: p.poll() is not None)
    seconds, total = map(float, p.stdout.read().split())
    return seconds, most, total


def lazarr(steps):
    os.environ["STEPS"] = str(steps)
    got = []
    with common.Lazarr(os.path.join(HERE, "store_pipeline.py")) as srv:
        def ask():
            t = time.perf_counter()
            common.get(srv.port, "/zarr3/store_pipeline.zarr/mip/0/c/0/0")
            got.append(time.perf_counter() - t)
        thread = threading.Thread(target=ask)
        thread.start()
        most = watch(srv.proc, lambda: not thread.is_alive())
    return got[0], most


def main():
    print("| filters | lazarr s | dask threads s | dask ÷ lazarr | lazarr MiB | dask MiB |\n|---|---|---|---|---|---|")
    for steps in STEPS:
        rounds = [(*lazarr(steps), *dask(steps, "threads")[:2]) for _ in range(ROUNDS)]
        mid = [common.statistics.median(r[i] for r in rounds) for i in range(4)]
        print(f"| {steps} | {mid[0]:.2f} | {mid[2]:.2f} | {mid[2] / mid[0]:.2f} | {mid[1]:.0f} | {mid[3]:.0f} |", flush=True)


main()
