"""What people are told of an exception: one line for clients and the log, and the traceback."""
from __future__ import annotations

import os
import sysconfig
import traceback
from typing import Any, Iterator, Optional

from ._errors import CastError, StoreError, whose_python

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

#: Folders whose files aren't the user's: Python's own and installed packages.
_LIBRARIES = tuple({os.path.abspath(p) + os.sep for k, p in sysconfig.get_paths().items()
                    if k in ("stdlib", "platstdlib", "purelib", "platlib")})

#: Bytes of a traceback that the server is told, and letters of one of its lines.
MOST, _LONGEST = 12288, 1000

#: The exception that ended the load of a file, and the file. Kept here and not in the exception, which
#: may be frozen; the last one only.
_failed: Optional[tuple[Any, ...]] = None


def failed(e: BaseException, path: str) -> None:
    """Notes which store's file an exception has kept from loading."""
    global _failed
    _failed = (e, path)


def _file_of(e: BaseException) -> Optional[str]:
    return _failed[1] if _failed is not None and _failed[0] is e else None


def _name(path: str) -> str:
    return os.path.basename(path)


def _is_library(filename: str) -> bool:
    path = os.path.abspath(filename)
    return filename.startswith("<") or path.startswith(_LIBRARIES) or \
        f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path


def _text(e: BaseException) -> str:
    """What an exception says; "" of one that can't."""
    try:
        return str(e)
    except BaseException:  # its __str__ is the user's
        return ""


def _first_line(e: BaseException) -> str:
    """The exception's type and the first line of what it says."""
    said = _text(e).strip().split("\n")[0].strip()
    kind = type(e)
    name = kind.__qualname__
    if isinstance(kind.__module__, str) and kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    return f"{name}: {said}" if said else name


def _chain(t: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """An exception, its causes and contexts, and the members of groups."""
    todo: list[Optional[traceback.TracebackException]] = [t]
    seen = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]


def _traceback(e: BaseException) -> tuple[Any, ...]:
    """The whole text without lazarr's own frames, and the frames of the exception itself."""
    whole = traceback.TracebackException(type(e), e, e.__traceback__)
    for one in _chain(whole):
        kept = [f for f in one.stack if not os.path.abspath(f.filename).startswith(_HERE)]
        one.stack = traceback.StackSummary.from_list(kept)
    return "".join(whole.format()), list(whole.stack)


def _shortened(text: str) -> str:
    """A long traceback without its middle: its beginning says what was called, its end what was raised.

    >>> _shortened("a\\n" * 9000).count("a"), _shortened("abc\\n")
    (6118, 'abc\\n')
    """
    lines = [one if len(one) <= _LONGEST else f"{one[:_LONGEST // 2]} [{len(one) - _LONGEST} letters left out] "
             f"{one[-_LONGEST // 2:]}" for one in text.split("\n")]
    sizes = [len(one.encode("utf-8", "surrogatepass")) + 1 for one in lines]
    if sum(sizes) <= MOST:
        return "\n".join(lines)
    first, last, room = 0, len(lines), MOST - 50  # for the line that says so
    begins = room // 3
    while sizes[first] <= begins:
        begins, room, first = begins - sizes[first], room - sizes[first], first + 1
    while sizes[last - 1] <= room:
        room, last = room - sizes[last - 1], last - 1
    return "\n".join([*lines[:first], f"  [{last - first} lines left out]", *lines[last:]])


def _is_of_a_file(e: Any) -> bool:
    """Whether it is about a file of the user's that isn't Python; not about a text that a library parsed."""
    return isinstance(e, SyntaxError) and isinstance(e.filename, str) and isinstance(e.msg, str) \
        and not _is_library(e.filename)


def describe(e: BaseException) -> tuple[Any, ...]:
    """(one line for people, the traceback without lazarr's own frames).

    The line is the type and the first line of the message; of an exception that a store's file ended
    with, the file stands before it and the last line of the user's own code behind it. The traceback
    holds causes, contexts, notes and the members of groups, of a long one beginning and end.

    >>> describe(ValueError("shapes differ:\\n  (3, 4) and (4, 3)"))[0]
    'ValueError: shapes differ:'
    """
    file = _file_of(e)
    try:
        text, frames = _traceback(e)
        text = _shortened(text)
    except BaseException:  # an exception may be as odd as user code can make it
        text, frames = "", []
    if isinstance(e, (StoreError, CastError)):
        what = _text(e) or _first_line(e)
        text = text if frames or e.__cause__ is not None else ""
    elif _is_of_a_file(e):
        return f"{_name(e.filename)}:{e.lineno}: {type(e).__name__}: {e.msg}", text  # type: ignore[attr-defined]
    else:
        what = _first_line(e) + whose_python(e)
        own = [f for f in frames if not _is_library(f.filename)]
        if own and file is not None:
            what = f"{what} (line {own[-1].lineno} of {_name(own[-1].filename)})"
    return (f"{_name(file)}: {what}" if file is not None else what), text
