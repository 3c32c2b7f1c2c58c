"""Blocks of fixed work, for the benchmarks of misses."""
import numpy as np

import lazarr

RAMP = (np.arange(64 ** 3, dtype=np.uint32).reshape(64, 64, 64) % 977).astype("uint16")
SMALL = RAMP[:32, :32, :32].copy()


def python_work(n):
    """Fixed pure-Python work that holds the GIL: n turns of a loop."""
    x = 0
    for i in range(n):
        x = (x * 31 + i) & 0xFFFF
    return x


def calibrated(milliseconds):
    """How many turns take about so long here; the number is fixed per machine by LZR_TURNS_PER_MS, so
    that every process does the same work."""
    import os
    return int(float(os.environ.get("LZR_TURNS_PER_MS", "12000")) * milliseconds)


SHORT = calibrated(0.02)


@lazarr.array("ramp", shape=(64 * 40, 64 * 40, 64 * 40), chunks=64, dtype="uint16")
def ramp(block):
    return RAMP


@lazarr.array("small", shape=(32 * 200, 32 * 200, 32 * 200), chunks=32, dtype="uint16")
def small(block):
    python_work(SHORT)
    return SMALL


@lazarr.array("gil50", shape=(100000,), chunks=1, dtype="uint16")
def gil50(block):
    return python_work(calibrated(50))


@lazarr.array("gil5", shape=(1000000,), chunks=1, dtype="uint16")
def gil5(block):
    return python_work(calibrated(5))
