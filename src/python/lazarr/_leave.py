"""How a worker's Python ends: in the interpreter's own order, without finalising it. Not for users."""
from __future__ import annotations

import atexit
import os
import sys
import threading
import time

from . import _output

#: Seconds that threads may take; the rest of the worker's 2 s is for atexit functions.
THREADS_S = 1.2
#: ... and multiprocessing's resource tracker, at the end.
TRACKER_S = 0.3


def _others() -> "list[threading.Thread]":
    """The threads that an interpreter waits for."""
    return [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]


def _tell_executors() -> None:
    """What is registered to run before threads are joined: an executor's threads end only when told to."""
    for call in reversed(getattr(threading, "_threading_atexits", [])):
        call()


def _join() -> None:
    """What an interpreter does first, but for ever: here for THREADS_S."""
    until = time.monotonic() + THREADS_S
    telling = threading.Thread(target=_tell_executors, daemon=True)  # it may wait for them
    telling.start()
    telling.join(THREADS_S)
    while _others() and time.monotonic() < until:
        _others()[0].join(max(0.0, until - time.monotonic()))
    if telling.is_alive() or _others():
        print("lazarr-worker: it was told to end, and isn't waiting any longer for its threads: "
              + ", ".join(t.name for t in _others()), file=sys.__stderr__, flush=True)


def _let_resources_go() -> None:
    """What multiprocessing's tracker gives back when its process ends (shared memory that nobody unlinked): it
    does so when nobody holds its pipe any more, and is given TRACKER_S before the group ends."""
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    fd, pid = getattr(tracker, "_fd", None), getattr(tracker, "_pid", None)
    if fd is None or pid is None:
        return
    setattr(tracker, "_fd", None)  # its own end isn't waited for
    os.close(fd)
    until = time.monotonic() + TRACKER_S
    while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < until:
        time.sleep(0.005)


def leave() -> None:
    """Joins the threads, runs what was registered with `atexit`, and lets out what was printed. The worker
    bounds the time, and afterwards the process group is ended: daemons, and children that nobody waits for,
    go with it as with any process."""
    for step in (_join, atexit._run_exitfuncs, _let_resources_go, _output.flush):
        try:
            step()
        except BaseException as e:  # also SystemExit, which ends nothing any more
            sys.excepthook(type(e), e, e.__traceback__)
