"""Names that lazarr can serve, for those that files and datasets have, which may hold anything."""
from __future__ import annotations

import re
from typing import Any, Iterable, Optional

from . import _check

ROOT = "data"  # the name of an array that is all of its file


def segment(name: str) -> str:
    """One name, without what can't be in one.

    >>> segment("temp (K)"), segment("c"), segment("__x"), segment("ok-1.5")
    ('temp__K_', 'c_', 'x__x', 'ok-1.5')
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:_check.MAX_NAME - 8] or "_"
    if name in _check.RESERVED:
        return name + "_"
    return "x" + name if name.startswith((".", "__")) else name


def all_of(names: Iterable[Any]) -> dict[Any, str]:
    """What is served under another name, and under which: no two are one, and who can be served keeps its name.

    >>> all_of(["a b", "a_b", "c", "x"])
    {'a b': 'a_b_2', 'c': 'c_'}
    """
    names = list(names)
    taken = {n for n in names if isinstance(n, str) and n == segment(n)}
    made: dict[Any, str] = {}
    for name in names:
        if isinstance(name, str) and name in taken:
            continue
        new, i = segment(str(name)), 2
        while new in taken:
            new, i = f"{segment(str(name))}_{i}", i + 1
        taken.add(new)
        made[name] = new
    return made


class Names:
    """Paths in a store for names in a file, which may hold anything; no two are one. arrays: paths that nothing
    can lie in; what does in the file (a group of an image) lies beside them."""

    def __init__(self) -> None:
        self.arrays: set[str] = set()
        self.given: dict[Any, Any] = {}
        self.taken: set[Any] = set()
        self.next: dict[Any, Any] = {}

    def of(self, name: str, key: Optional[str] = None) -> str:
        """The path for a name; key: what it is called in the file, where that is something else.

        >>> n = Names()
        >>> n.of("/a b/c"), n.of("a_b/c"), n.of("/"), n.of("/a b/d")
        ('a_b/c_', 'a_b/c_2', 'data', 'a_b/d')
        >>> n.arrays.add("im"); n.of("im/more")
        'im_/more'
        """
        name = name.strip("/")
        key = name if key is None else key.strip("/")
        if key in self.given:
            return str(self.given[key])
        made = self._outside(self._plain(name))
        if made in self.taken:
            stem = made[:-1] if made.endswith("_") else made
            i = self.next.get(stem, 2)
            while f"{stem}_{i}" in self.taken:
                i += 1
            self.next[stem] = i + 1
            made = f"{stem}_{i}"
        self.taken.add(made)
        self.given[key] = made
        return made

    def _plain(self, name: str) -> str:
        return "/".join(segment(s) for s in name.split("/") if s) or ROOT

    def _outside(self, path: str) -> str:
        parts = path.split("/")
        for k in range(1, len(parts)):
            while "/".join(parts[:k]) in self.arrays:
                parts[k - 1] += "_"
        return "/".join(parts)

    def is_taken(self, name: str) -> bool:
        """Whether another has the path that is meant for a name."""
        return self._plain(name) in self.taken
