"""Libraries of this folder that are preloaded into the server and its workers."""
import mmap
import os
import struct
import subprocess

import lzr


def preloaded(name):
    """What a server's environment needs for it."""
    library = lzr.BUILD / "tests" / f"lib{name}.so"
    assert library.exists(), f"{library} is not there: build it first"
    env = {"LD_PRELOAD": str(library)}
    if "libasan" in subprocess.run(["ldd", lzr.LAZARR], stdout=subprocess.PIPE, text=True).stdout:
        # It wants to be the first library. What it replaces too calls ours, or ours calls that.
        options = [os.environ.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"]
        env["ASAN_OPTIONS"] = ":".join(o for o in options if o)
    return env


class Sent:
    """The signals that servers which are started with its env send to workers (sent.c)."""

    ROOM = 4000

    def __init__(self, folder):
        path = folder / "sent"
        path.write_bytes(bytes(8 + 32 * self.ROOM))
        self.env = {**preloaded("sent"), "SENT_FILE": str(path)}
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def to(self, pid, sig):
        """[(ns on CLOCK_MONOTONIC, ns of CPU time the process had used by then)], in order."""
        n = struct.unpack("=q", self.map[:8])[0]
        assert n < self.ROOM, "more signals than there is room for"
        records = struct.iter_unpack("=4q", self.map[8:8 + 32 * n])
        return [(at, cpu) for at, cpu, to, s in records if (to, s) == (pid, sig)]
