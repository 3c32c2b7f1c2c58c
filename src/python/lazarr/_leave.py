"""How a worker's Python ends: in the interpreter's own order, without finalising it. Not for users."""
from __future__ import annotations

import atexit
import sys

from . import _output


def leave() -> None:
    """Joins the threads that aren't daemons (an executor's are told before that to end), runs what was
    registered with `atexit`, and lets out what was printed. The worker bounds the time, and afterwards the
    process group is ended: daemons, and children that nobody waits for, go with it as with any process."""
    threading = sys.modules.get("threading")
    for step in (getattr(threading, "_shutdown", None), atexit._run_exitfuncs, _output.flush):
        try:
            if step is not None:
                step()
        except BaseException:  # also SystemExit, which ends nothing any more
            sys.excepthook(*sys.exc_info())
