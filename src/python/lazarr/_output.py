"""What user code prints: each line goes to the server's log as it comes, with the block that printed it. Not
for users: in a worker alone, `sys.stdout` and `sys.stderr` are these.

Both are one pipe. A write says of which block it is with marks around it (include/lazarr/protocol.h), in one
system call of at most PIPE_BUF bytes, so that nothing of another process comes in between. Where a stream's
descriptor was turned to something else (a file, a pipe of the user's), nothing is marked.
"""
from __future__ import annotations

import io
import os
import sys
from typing import Any, Optional

MOST = 400  # bytes of a label: LZR_MAX_LABEL
PIPE_BUF = 4096

#: Who prints: (place of its store, array, chunk) while a block is computed, None while none is.
who: "Optional[tuple[int, str, int]]" = None
names: "list[str]" = []  # of the stores

#: The stream that wrote last, where that had no newline at its end: one line, of both.
_part: "Optional[_Marked]" = None


def label() -> str:
    """Who prints, as a line of the log has it; "" where it is no block.

    >>> label()
    ''
    """
    w = who
    if w is None or w[0] >= len(names):
        return ""
    text = f"{names[w[0]]}/{w[1]}"[:MOST // 4 - 30]  # 4 bytes a character at most
    if not text.isprintable():
        text = ascii(text)[1:-1][:MOST - 30]
    return f"{text}, chunk {w[2]}"


def _cut(data: memoryview, room: int) -> memoryview:
    """The first `room` bytes at most: whole lines where there is one, whole characters in any case."""
    if len(data) <= room:
        return data
    part = bytes(data[:room])
    end = part.rfind(b"\n") + 1
    if end == 0:
        end = room
        while end > room - 4 and data[end] & 0xC0 == 0x80:
            end -= 1
    return data[:end]


class _Marked(io.FileIO):
    """The pipe, as the lowest layer of a stream."""

    def __init__(self, fd: int, name: str):
        super().__init__(fd, "w", closefd=False)
        self.name = name
        # LAZARR_WORKER: who reads it is a server (or somebody who knows the marks).
        self._is = self._identity() if "LAZARR_WORKER" in os.environ else None

    def _identity(self) -> "Optional[tuple[int, int]]":
        try:
            st = os.fstat(self.fileno())
        except (OSError, ValueError):
            return None
        return st.st_dev, st.st_ino

    def write(self, data: Any) -> Any:
        view = memoryview(data).cast("B")
        if not len(view) or self._is is None or self._identity() != self._is:
            return super().write(view)
        global _part
        begin, done = b"\x1d=" + label().encode("utf-8", "replace") + b"\x1e", 0
        while done < len(view):
            part = _cut(view[done:], (PIPE_BUF - len(begin) - 3) // 4)
            text = bytes(part).replace(b"\x1d", b"\\x1d")  # as the log shows it; no mark of the text's own
            # Up to PIPE_BUF bytes a pipe takes all or, where somebody made it non-blocking, nothing.
            if super().write(begin + text + b"\x1d.\x1e") is None:
                return done or None
            done += len(part)
            _part = None if text.endswith(b"\n") else self
        return done


def _stream(fd: int, name: str, old: Any) -> Any:
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    raw: Any = _Marked(fd, name)
    made = io.TextIOWrapper(raw if unbuffered else io.BufferedWriter(raw), encoding="utf-8",
                            errors=getattr(old, "errors", None) or "backslashreplace", newline="\n",
                            line_buffering=True, write_through=unbuffered)
    made.mode = "w"  # type: ignore[misc]
    return made


def install() -> None:
    """From now on lines go out as they come, as at a terminal; with PYTHONUNBUFFERED each write."""
    sys.stdout = sys.__stdout__ = _stream(1, "<stdout>", sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "<stderr>", sys.stderr)  # type: ignore[misc]


def flush() -> None:
    """Lets out what waits for the end of its line, and ends that."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # user code may have put anything there
    part = _part
    if part is not None:
        try:
            part.write(b"\n")
        except Exception:
            pass  # closed meanwhile
