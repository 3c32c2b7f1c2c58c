"""What ends a function that nobody waits for any more. Not for users: they see `Block.cancelled` and
`lazarr.Cancelled`.

The server marks the running job and sends the worker a signal; Python runs `_handle` in the main
thread, between two bytecodes of the function. It raises only while the marked job runs: never while
a store loads, an import is under way or a source is being opened, since those would be left half
done for the jobs to come; the server repeats the signal until it was heard.
"""
from __future__ import annotations

import faulthandler
import signal
import sys
import time
from types import FrameType
from typing import Callable, Optional

from . import _block
from ._errors import Cancelled

#: A function that has caught Cancelled gets it again after so many seconds.
AGAIN_S = 1.0
NOT, ASKED, TOLD = 0, 1, 2  # what ask() answers


def _nobody(take: bool) -> int:
    return NOT


_ask: Callable[[bool], int] = _nobody
_shields = 0
_told_at = 0.0


def install(ask: Callable[[bool], int], cancel_signal: int, stack_signal: int, fd: int) -> None:
    """Called by the worker once.

    ask(take): whether the running job is cancelled: NOT, ASKED, or TOLD once ask(True) has said so,
        after which the job's result is not used;
    fd: where stacks are written, also in a crash.
    """
    global _ask
    _ask = ask
    _block.is_cancelled = _poll
    signal.signal(cancel_signal, _handle)
    try:
        faulthandler.enable(fd, all_threads=True)
        faulthandler.register(stack_signal, fd, all_threads=True, chain=False)
    except (OSError, RuntimeError) as e:  # no sigaltstack, as some sandboxes have it
        signal.signal(stack_signal, signal.SIG_IGN)
        print(f"the stacks of what hangs or crashes can't be shown: {e} (sigaltstack)", file=sys.stderr)


def _poll() -> bool:
    """Block.cancelled. Who asks has a while to end by itself."""
    global _told_at
    if _ask(False) == ASKED and _ask(True) != NOT:
        _told_at = time.monotonic()
    return _ask(False) != NOT


class shield:
    """Within it nothing is cancelled: for what must not be left half done, as opening a source.

    A class, as contextlib.contextmanager sets an attribute of an exception that passes it, which a frozen
    one refuses, and makes another one of StopIteration.

    >>> with shield():
    ...     pass
    """

    def __enter__(self) -> None:
        global _shields
        _shields += 1

    def __exit__(self, *exception: object) -> None:
        global _shields
        _shields -= 1


def _importing(frame: Optional[FrameType]) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _handle(signum: int, frame: Optional[FrameType]) -> None:
    global _told_at
    state = _ask(False)
    now = time.monotonic()
    if (state == NOT or _shields > 0 or (state == TOLD and now - _told_at < AGAIN_S)
            or _importing(frame)):
        return
    if _ask(True) != NOT:
        _told_at = now
        raise Cancelled("nobody waits for this block any more")
