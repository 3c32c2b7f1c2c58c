"""What lazarr raises."""
from __future__ import annotations

import sys
from typing import Optional

_HALF = 1500  # letters of a text's beginning, and of its end


class StoreError(ValueError):
    """A store says something that can't be served.

    The text names the array, the parameter and the reason; the file is put before it where it is
    known: ``brain.py: array "edges": halo must be ≥ 0, got -1``.

    >>> str(StoreError('array "a": chunks must be ≥ 1, got 0'))
    'array "a": chunks must be ≥ 1, got 0'

    What is quoted may be as long as anybody likes; of a long text the middle is left out.

    >>> len(str(StoreError("arrays must be objects, got " + "[" * 100000)))
    3026
    """

    def __init__(self, text: object = "") -> None:
        said = str(text)
        if len(said) > 2 * _HALF:
            said = f"{said[:_HALF]} [{len(said) - 2 * _HALF} letters left out] {said[-_HALF:]}"
        super().__init__(said)


class NoArray(StoreError):
    """A store's file defines no array: of a folder's files it may be a helper of the others.

    >>> issubclass(NoArray, StoreError)
    True
    """


class Cancelled(BaseException):
    """Raised in a function whose block nobody waits for any more.

    A BaseException, so that ``except Exception`` lets it pass. Functions need not catch it.

    >>> issubclass(Cancelled, Exception)
    False
    """


class CastError(TypeError):
    """A result doesn't fit the declared dtype or the block's shape.

    >>> raise CastError("value 300 at [0] does not fit uint8")
    Traceback (most recent call last):
    ...
    lazarr._errors.CastError: value 300 at [0] does not fit uint8
    """


def whose_python(e: BaseException) -> str:
    """What follows the text of an error for want of a module: the Python in which it was looked for, and how to take
    another. "" for any other error; an ImportError counts where a missing module caused it.

    >>> whose_python(ModuleNotFoundError("No module named 'x'")).split(" of ")[0]
    ' in the Python'
    >>> whose_python(ValueError("x"))
    ''
    """
    cause: Optional[BaseException] = e if isinstance(e, ImportError) else None
    for _ in range(10):  # bounded: a chain may be a ring
        if cause is None or isinstance(cause, ModuleNotFoundError):
            break
        cause = cause.__cause__ or cause.__context__
    else:
        cause = None
    return f" in the Python of {sys.prefix}; another: --python PREFIX" if cause is not None else ""
