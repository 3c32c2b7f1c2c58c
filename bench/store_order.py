"""The arrays that the recordings of panning ask for, each block taking $LZR_COST seconds of a worker."""
import os
import time

import lazarr

COST = float(os.environ.get("LZR_COST", "0.1"))
for path in ("t1", "aal", "gradient", "julia"):
    @lazarr.array(f"{path}/0", shape=(8192,) * 3, chunks=64, dtype="uint8")
    def work(block):
        time.sleep(COST)
        return block.index % 251
