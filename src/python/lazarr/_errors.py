"""What lazarr raises."""
from __future__ import annotations


class StoreError(ValueError):
    """A store says something that can't be served.

    The text names the array, the parameter and the reason; the file is put before it where it is
    known: ``brain.py: array "edges": halo must be ≥ 0, got -1``.

    >>> str(StoreError('array "a": chunks must be ≥ 1, got 0'))
    'array "a": chunks must be ≥ 1, got 0'
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
