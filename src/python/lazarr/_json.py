"""What of Python's values every reader of JSON takes, lazarr's own server first: Python itself writes more."""
from __future__ import annotations

from typing import Any

MAX_NESTED = 40       # the documents that hold attributes nest them some more, and readers end at 64
MAX_DIGITS = 300      # of an integer; readers take more for infinite


class Unfit(ValueError):
    """Why JSON can't hold a value."""


def text(value: str) -> str:
    """The text; Unfit for half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit("it holds half a character (a lone surrogate)") from None
    return value


def integer(value: int) -> int:
    """The integer; Unfit for one that is too long."""
    if abs(value) >= 10 ** MAX_DIGITS:
        raise Unfit(f"it has an integer of more than {MAX_DIGITS} digits")
    return value


def nested(depth: int) -> None:
    """Unfit for so many levels around a value."""
    if depth > MAX_NESTED:
        raise Unfit(f"it is nested deeper than {MAX_NESTED} levels")


def check(value: Any, depth: int = 0) -> None:
    """Unfit for what json.dumps writes and others don't read. What it doesn't write itself is its to refuse.

    >>> check({"a": [1, "b"]})
    >>> check({"a": "\\ud800"})
    Traceback (most recent call last):
    lazarr._json.Unfit: it holds half a character (a lone surrogate)
    """
    nested(depth)
    if isinstance(value, str):
        text(value)
    elif isinstance(value, int):
        integer(value)
    elif isinstance(value, dict):
        for k, v in value.items():
            text(str(k))
            check(v, depth + 1)
    elif isinstance(value, (list, tuple)):
        for v in value:
            check(v, depth + 1)
