"""Units of length and time in the writings that files and people have, as UDUNITS spells them."""
from __future__ import annotations

import html
import re
import unicodedata
from typing import Any, Optional

_PREFIXES = {"y": "yocto", "z": "zepto", "a": "atto", "f": "femto", "p": "pico", "n": "nano", "u": "micro",
             "m": "milli", "c": "centi", "d": "deci", "": "", "h": "hecto", "k": "kilo", "M": "mega",
             "G": "giga", "T": "tera", "P": "peta", "E": "exa", "Z": "zetta", "Y": "yotta"}
SPATIAL = {f"{p}meter" for p in _PREFIXES.values()} | {"angstrom", "foot", "inch", "mile", "parsec", "yard"}
TEMPORAL = {f"{p}second" for p in _PREFIXES.values()} | {"day", "hour", "minute"}

#: Symbols, in which case matters first: Mm is a megameter, MM a millimeter.
_SYMBOLS = {**{f"{s}m": f"{p}meter" for s, p in _PREFIXES.items()},
            **{f"{s}s": f"{p}second" for s, p in _PREFIXES.items()},
            **{f"{s}sec": f"{p}second" for s, p in _PREFIXES.items()},
            "h": "hour", "hr": "hour", "min": "minute", "d": "day",
            "\u00c5": "angstrom", "A": "angstrom", "\u00e5ngstr\u00f6m": "angstrom",
            "angstr\u00f6m": "angstrom", "micron": "micrometer", "inche": "inch", "in": "inch", '"': "inch",
            "ft": "foot", "feet": "foot", "yd": "yard", "mi": "mile", "pc": "parsec"}
_FOLDED = {**{k.lower(): v for k, v in _SYMBOLS.items() if k.lower() not in _SYMBOLS},
           **{k: v for k, v in _SYMBOLS.items() if k == k.lower()}}
del _FOLDED["a"]

#: What says that there is none.
_NONE = {"", "1", "-", "none", "null", "nan", "n/a", "na", "unknown", "undefined", "unitless",
         "dimensionless", "arbitrary", "a.u", "au", "pixel", "px", "pix", "voxel", "vx", "sample", "frame",
         "slice", "plane", "index", "channel", "reference frame", "referenceframe"}


class NoUnit(ValueError):
    """A text that is no unit of its axis."""


def _plain(text: str) -> str:
    """One spelling of what differs only in how letters are coded or what stands around them."""
    text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m[1], 16)), text)  # ImageJ's way
    text = unicodedata.normalize("NFKC", html.unescape(text)).strip().strip("[]()").strip().rstrip(".")
    text = text.replace("\u00c2\u03bc", "u").replace("\u03bc", "u")  # the first: UTF-8 read as Latin-1
    return re.sub(r"\s*(/|\bper\b)\s*(px|pix|pixel|voxel|vx|slice|frame|plane)s?$", "", text, flags=re.I)


def _name(text: str) -> Optional[str]:
    """A unit's name, or None."""
    for form in (text, text[:-1] if text.endswith(("s", "S")) and len(text) > 2 else text):
        low = form.lower()
        long = re.sub("metre$", "meter", low).replace("\u00e5", "a").replace("\u00f6", "o")
        found = _SYMBOLS.get(form) or (long if long in SPATIAL | TEMPORAL else None) or _FOLDED.get(low)
        if found:
            return found
    return None


def named(value: Any, axis: str) -> Optional[str]:
    """The unit that a text means on an axis (t, c, z, y or x), as UDUNITS spells it; None where it says that
    there is none (pixel, an empty text); NoUnit for what is no unit of that axis.

    >>> [named(u, "x") for u in ("\\u00b5m", "\\u03bcm", "um", "microns", "Micrometre", "NM", "pixel", "")]
    ['micrometer', 'micrometer', 'micrometer', 'micrometer', 'micrometer', 'nanometer', None, None]
    >>> named("msec", "t"), named("Mm", "x"), named("MM", "x"), named("m", "z")
    ('millisecond', 'megameter', 'millimeter', 'meter')
    >>> named("furlong", "x")
    Traceback (most recent call last):
    lazarr._units.NoUnit: 'furlong' is not a unit of axis x
    """
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8" if _is_utf8(value) else "latin-1")
    if isinstance(value, str) and len(value) <= 100:
        text = _plain(value)
        if text.lower() in _NONE or len(text) > 1 and text.lower().rstrip("s") in _NONE:
            return None
        name = _name(text)
        if name in (SPATIAL if axis in "zyx" else TEMPORAL if axis == "t" else ()):
            return name
    raise NoUnit(f"{value!r:.100} is not a unit of axis {axis}")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
        return True
    except UnicodeDecodeError:
        return False
