"""What an author's objects are, without asking them: a lazy module loads at the first attribute that is read, a
proxy makes its object, or fails, at the first `isinstance`. lazarr looks at all that a store's file imports and
defines; what it doesn't use stays untouched.
"""
from __future__ import annotations

import types
from typing import Any, Union

_names: Any = vars(types.ModuleType)["__dict__"].__get__


def is_a(value: Any, kind: Union[type, tuple[type, ...]]) -> bool:
    """`isinstance`, by what the object is, not by what it says of itself (``__class__``).

    >>> class Proxy:
    ...     __class__ = property(lambda self: int)
    >>> isinstance(Proxy(), int), is_a(Proxy(), int), is_a(True, int)
    (True, False, True)
    """
    return issubclass(type(value), kind)


def names(module: Any) -> dict[Any, Any]:
    """What a module holds: its own dict. Of what is no module and stands in its place, nothing.

    >>> import json
    >>> names(json) is vars(json), names(object())
    (True, {})
    """
    held: dict[Any, Any] = _names(module) if is_a(module, types.ModuleType) else {}
    return held
