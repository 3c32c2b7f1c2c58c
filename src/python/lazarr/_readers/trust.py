"""What a data file may make lazarr do: the rules that all readers share. docs/security.md has them as a table.

A data file comes from anybody. It may name other files, codecs and sizes; none of that is believed. A file
that it names is read where it lies below the folder of the one that the user named, or with ``--follow``.
What it says to be larger than lazarr can serve is refused before memory is taken for it.
"""
from __future__ import annotations

import os
import stat
from typing import Any, Optional

from .._errors import StoreError

#: Groups and arrays of one file that are looked at; more are left out, and that is said.
MAX_OBJECTS = 10000
#: Levels of groups in groups (a path of lazarr has at most 1024 characters anyway).
MAX_DEPTH = 256
#: Links that lead to links, before one is found to lead in a circle.
MAX_HOPS = 16
#: Bytes of a JSON or XML document.
MAX_DOCUMENT = 64 << 20
#: Bytes of one chunk, unpacked: those above what lazarr serves as one are served in smaller ones.
MAX_BLOCK = 1 << 30
#: Bytes of one strip of a TIFF, unpacked: it may be a whole page.
MAX_STRIP = 1 << 30
#: Bytes of an image that can only be unpacked whole.
MAX_WHOLE = 4 << 30


def below(path: str, folder: str) -> bool:
    """Whether a file lies in a folder or in one below, all links followed."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def other_file(path: str, named: str, follow: bool) -> str:
    """The real path of a file that the data file `named` refers to; StoreError where it isn't to be read."""
    return in_folder(path, os.path.dirname(os.path.realpath(named)), follow, "the folder of the file that was named")


def in_folder(path: str, folder: str, follow: bool, called: str = "the folder that was named") -> str:
    """The real path of a file that a folder has, or a data file in it names; StoreError where it isn't to be read."""
    try:
        real = os.path.realpath(path)
    except ValueError as e:  # a zero byte, half a character
        raise StoreError(f"it leads to a name that no file has: {e}") from None
    if not follow and not below(real, folder):
        raise StoreError(f"it leads to '{path}', which doesn't lie below {called}: --follow reads it")
    try:
        if not stat.S_ISREG(os.stat(real).st_mode):
            raise StoreError(f"it leads to '{path}', which is no file")
    except (OSError, ValueError) as e:
        raise StoreError(f"it leads to '{path}': {getattr(e, 'strerror', None) or e}") from None
    return real


def read(path: str, limit: int, root: str, follow: bool, start: int = 0,
         count: Optional[int] = None) -> Optional[bytes]:
    """A file of the folder `root`: its bytes, at most `limit`, or count of them from start (negative: from
    the end). None: there is none. StoreError for a link that leads out of the folder, a pipe or a device."""
    if not follow and os.path.islink(path) and not below(path, root) \
            and not below(path, os.path.dirname(path)):
        raise StoreError(f"'{os.path.basename(path)}' is a link that leads out of the folder that was "
                         "named: --follow reads it")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as e:  # ValueError: a zero byte, half a character
        raise StoreError(f"{os.path.basename(path)[:100]!a} can't be read: "
                         f"{getattr(e, 'strerror', None) or e}") from None
    st = os.fstat(fd)
    if not stat.S_ISREG(st.st_mode):
        os.close(fd)
        raise StoreError(f"'{os.path.basename(path)}' is no file")
    with open(fd, "rb") as f:
        at = max(0, st.st_size + start) if start < 0 else start
        size = max(0, st.st_size - at) if count is None else count
        if size > limit:
            raise StoreError(f"'{os.path.basename(path)}' has {size} bytes, more than the {limit} that it "
                             "can need")
        f.seek(at)
        return f.read(size)


def block(shape: tuple[Any, ...], itemsize: int, limit: int = MAX_BLOCK) -> int:
    """The bytes of a block as its file declares it; StoreError beyond the limit."""
    n = itemsize
    for v in shape:
        if isinstance(v, bool) or not isinstance(v, int) or v < 1:
            raise StoreError(f"its blocks can't have the shape {list(shape)!r:.200}")
        n *= v
        if n > limit:
            raise StoreError(f"its blocks of {list(shape)!r:.200} are larger than {limit} bytes")
    return n
