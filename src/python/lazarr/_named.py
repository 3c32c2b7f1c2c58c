"""The modules of files that can't have a name of their own: ``lazarr._named.random`` is ``random.py``.

A store may be called like a library module, which has that name, or have a file name that ``import``
can't find (``a.b.py``). Where lazarr runs it the file is known; elsewhere (a process that a store has
started, a script that reads what was pickled) it is looked for on ``sys.path``, libraries left out.
"""
from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any, Optional

__path__: list[Any] = []

#: Files by the last part of the module's name, where they are known; a package's is its __init__.py.
FILES: dict[Any, Any] = {}


def stem(name: str) -> str:
    """What follows ``lazarr._named.``: what a module's name can't hold becomes "_".

    >>> stem("a.b"), stem("random")
    ('a_b', 'random')
    """
    return name.replace(".", "_")


def _look(name: str) -> Optional[str]:
    from . import _code
    for folder in sys.path:
        folder = os.path.abspath(folder)
        try:
            there = sorted(os.listdir(folder))
        except OSError:
            continue
        for one in there:
            base, end = os.path.splitext(one)
            file = os.path.join(folder, one)
            if not end and stem(base) == name:
                file = os.path.join(file, "__init__.py")
            elif end != ".py" or stem(base) != name:
                continue
            if os.path.isfile(file) and _code.RECORD.is_local(file):
                return file
    return None


class _Finder:
    """Of the modules in here; of those in a package among them Python's own does."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> Any:
        before, _, name = fullname.rpartition(".")
        if before != __name__:
            return None
        file = FILES.get(name) or _look(name)
        return importlib.util.spec_from_file_location(fullname, file) if file else None


sys.meta_path.append(_Finder)
