"""One array for each reader, whose only chunk takes LZR_SLOW_SECONDS; each call is a line in a file."""
import os
import time

import lazarr
import numpy as np

SECONDS = float(os.environ["LZR_SLOW_SECONDS"])
FOLDER = os.environ["LZR_SLOW_FOLDER"]


def add(name):
    @lazarr.array(f"slow/{name}", shape=(3, 4), chunks=(3, 4), dtype="int32", dims=(f"{name}_y", f"{name}_x"))
    def compute(block):
        with open(os.path.join(FOLDER, name), "a") as f:
            f.write("called\n")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:  # a signal may end a sleep early
            time.sleep(min(1, max(0, end - time.monotonic())))
        return np.arange(12).reshape(3, 4) + sum(map(ord, name))


for _name in os.environ["LZR_SLOW_NAMES"].split(","):
    add(_name)
