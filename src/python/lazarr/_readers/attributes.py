"""Attributes of files as JSON has them."""
from __future__ import annotations

import json
import math
from typing import Any, Optional

import numpy as np

from .._errors import StoreError
from .._json import MAX_DIGITS, Unfit, integer, nested, text

MAX_VALUES = 65536    # of an array


class Long:
    """An integer of so many digits that Python refuses to read it."""

    def __repr__(self) -> str:
        return f"an integer of more than {MAX_DIGITS} digits"


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON has it; Unfit for what it can't have (references, objects)."""
    nested(depth)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, (int, Long)):
        return integer(10 ** MAX_DIGITS if isinstance(value, Long) else value)
    if isinstance(value, np.ndarray):
        if value.size > MAX_VALUES:
            raise Unfit(f"it has {value.size} values, more than {MAX_VALUES}")
        return plain(value.tolist(), depth)
    if isinstance(value, dict):
        return {text(str(k)): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, depth + 1) for v in value]
    raise Unfit(f"JSON has no {type(value).__name__}")


def attributes(items: Any, say: Any = None) -> dict[Any, Any]:
    """All attributes that JSON can have. say(name, why): called for each that is left out."""
    made = {}
    for k, v in dict(items).items():
        try:
            value = plain(v)
            if value is not None:
                made[text(str(k))] = value
        except Unfit as e:
            if say is not None:
                say(str(k), str(e))
    return made


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= MAX_DIGITS + 1 else Long()


def document(data: bytes, place: str) -> dict[Any, Any]:
    """A JSON object out of a file's bytes. place: its name in errors."""
    try:
        doc = json.loads(data, parse_int=_integer)
    except (ValueError, RecursionError) as e:
        raise StoreError(f"'{place}' can't be read: {e}") from None
    if not isinstance(doc, dict):
        raise StoreError(f"'{place}' must be a JSON object")
    return doc
