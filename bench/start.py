#!/usr/bin/python3
"""Figure (d): milliseconds from starting `lazarr serve examples/fractal.py` to its first chunk, page
cache warm.

    start.py [ROUNDS]
"""
import re
import subprocess
import time

import common


def once() -> tuple[float, float]:
    t0 = time.perf_counter()
    p = subprocess.Popen([str(common.LAZARR), "serve", str(common.ROOT / "examples/fractal.py"),
                          "--port", "0", "--quiet"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, env=common.environment())
    port = None
    for line in p.stdout:
        m = re.search(r"listening on http://[^:/]+:(\d+)/", line)
        if m:
            port = int(m.group(1))
            break
    listening = time.perf_counter()
    common.get(port, FIRST)
    done = time.perf_counter()
    p.terminate()
    p.wait()
    return (listening - t0) * 1e3, (done - t0) * 1e3


def first_chunk() -> str:
    """The first chunk of the example's first array."""
    import json
    doc = json.loads(subprocess.run([str(common.LAZARR), "describe",
                                     str(common.ROOT / "examples/fractal.py")],
                                    capture_output=True, text=True, check=True,
                                    env=common.environment()).stdout)
    a = doc["arrays"][0]
    level = "" if a["kind"] == "plain" else "/0"
    zeros = "/0" * len(a["levels"][0]["shape"])
    return f"/zarr3/fractal.zarr/{a['path']}{level}/c{zeros}"


if __name__ == "__main__":
    FIRST = first_chunk()
    once()
    runs = [once() for _ in range(max(5, common.rounds(9)))]
    common.table(["", "listening ms", "first chunk ms"],
                 [["median", f"{common.median([r[0] for r in runs]):.0f}",
                   f"{common.median([r[1] for r in runs]):.0f}"],
                  ["fastest", f"{min(r[0] for r in runs):.0f}", f"{min(r[1] for r in runs):.0f}"],
                  ["slowest", f"{max(r[0] for r in runs):.0f}", f"{max(r[1] for r in runs):.0f}"]])
