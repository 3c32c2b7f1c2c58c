"""Fill values as Zarr's metadata write them: numbers, names of what is no number, bits in hexadecimal,
pairs for complex numbers."""
from __future__ import annotations

import re
from typing import Any

import numpy as np

from .._errors import StoreError
from . import codecs

#: Floats' bits, the most significant first: v3's way to say which NaN.
BITS = re.compile(r"0[xX][0-9a-fA-F]+\Z")


def dtype(meta: dict[Any, Any], version: int) -> np.dtype:
    """An array's dtype; StoreError where it is no number's."""
    given = meta.get("dtype" if version == 2 else "data_type")
    if version == 2:
        codecs.number(given)
    elif not isinstance(given, str) or given not in codecs.NUMBERS3:
        raise StoreError(f"its type, {given!r:.100}, is no number's")
    try:
        return np.dtype(given)
    except TypeError:
        raise StoreError(f"its type, {given!r:.100}, is none that NumPy has") from None


def part(value: Any, dt: np.dtype) -> Any:
    """A real number, or a part of a complex one.

    >>> part("0x3fc00000", np.dtype("f4")), part("-Infinity", np.dtype("f8")), part(3, np.dtype("u1"))
    (1.5, -inf, 3)
    """
    if dt.kind == "f" and isinstance(value, str):
        if BITS.match(value):
            if len(value) != 2 + 2 * dt.itemsize:
                raise StoreError(f"its fill value {value:.100} hasn't the {8 * dt.itemsize} bits of {dt.name}")
            return np.frombuffer(int(value, 16).to_bytes(dt.itemsize, "big"), dt.newbyteorder(">"))[0].item()
        try:
            return float(value)
        except ValueError:
            raise StoreError(f"its fill value {value!r:.100} is no {dt.name}") from None
    if isinstance(value, (bool, int, float)):
        return value
    raise StoreError(f"its fill value {value!r:.100} is no {dt.name}")


def given(meta: dict[Any, Any], version: int) -> Any:
    """An array's fill value, None where it isn't said. StoreError where it is no such number."""
    value, dt = meta.get("fill_value"), dtype(meta, version)
    if value is None or value == "" and version == 2:
        return None
    if dt.kind == "c":
        half = np.dtype(f"f{dt.itemsize // 2}")
        if not isinstance(value, list):
            value = [value, 0.0]
        if len(value) != 2:
            raise StoreError(f"its fill value {value!r:.100} is no {dt.name}")
        return complex(*(part(v, half) for v in value))
    if dt.kind == "b" and value in ("true", "false"):
        return value == "true"
    return part(value, dt)


def fill(meta: dict[Any, Any], version: int) -> Any:
    """The same; None also for a 0, which is what isn't said anyway.

    >>> fill({"data_type": "complex64", "fill_value": ["NaN", "0x3f800000"]}, 3)
    (nan+1j)
    """
    made = given(meta, version)
    return None if made is not None and made == 0 else made
