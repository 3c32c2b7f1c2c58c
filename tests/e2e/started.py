"""Processes that tests start, and that none is left of them."""
import contextlib
import os
import signal
import time
from pathlib import Path


class Started:
    """What tests have started, by a variable in its environment: lazarr, its workers, what their stores start.

    All of that must be gone at the end of the test in which its server, or its command, has ended."""
    VARIABLE = "LZR_TEST_STARTED"
    number = 0     # of the last mark
    looked = 0     # the last one when that was checked last
    ended = set()  # marks of servers that have ended since

    @classmethod
    def mark(cls):
        cls.number += 1
        return f"{os.getpid()}-{cls.number}"

    @classmethod
    def left(cls, alive):
        """{pid: what it is} of processes of this suite's marks, but those in `alive`."""
        found, mine = {}, f"{cls.VARIABLE}={os.getpid()}-"
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with contextlib.suppress(OSError, IndexError):
                variables = Path("/proc", name, "environ").read_bytes().decode("utf-8", "replace").split("\0")
                marks = [v[len(cls.VARIABLE) + 1:] for v in variables if v.startswith(mine)]
                state = Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()[0]
                if marks and marks[0] not in alive and state not in "ZX":
                    words = Path("/proc", name, "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                    found[int(name)] = f"{' '.join(words)[:200]} ({marks[0]})"
        return found

    @classmethod
    def check(cls, alive, patience, last=False):
        """At the end of a test, or of the suite (last), within `patience` seconds. alive: marks of servers that
        go on. Fails with the names of what is left, and ends it."""
        alive = alive | (set() if last else {f"{os.getpid()}-0"})
        if not last and cls.looked == cls.number and not cls.ended:
            return
        cls.looked, cls.ended = cls.number, set()
        end = time.monotonic() + patience
        while True:
            left = cls.left(alive)
            if not left:
                return
            if time.monotonic() > end:
                break
            time.sleep(0.02)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"processes are left: {left}")
