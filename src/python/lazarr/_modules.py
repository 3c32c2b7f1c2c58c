"""Stores as modules: what a file's module is called, and where it imports from.

A store is one module, as `import` would make it: `brain.py` is ``brain``, and a file in a package (a folder
with `__init__.py`) is ``package.brain``, imported from the folder that holds the outermost package (the
root). So what it pickles, its tests, and processes that it starts find it by the same name.

A name that is a library's stays the library's: such a store's module is ``lazarr._named.random``, and its
root comes last on ``sys.path``.
"""
from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import types
from typing import Any, NamedTuple, Optional, Sequence

from . import _code, _named, _unasked
from ._errors import StoreError

PREFIX = "module:"  # what workers are told of -m NAME

_STARTED = os.getcwd()  # before a store's code may change it


_LIBRARY = ("a module of Python is called", "a module that is loaded is called", "an installed module is called")


class Place(NamedTuple):
    """Where a store's module belongs."""

    name: str  # of the module
    root: str  # the folder that its imports begin at
    whose: str  # what has the name that it would have had; "": nothing, it has that name

    @property
    def library(self) -> bool:
        return self.whose in _LIBRARY


def root_of(path: str) -> "tuple[str, str]":
    """The root of a file, and what its module is called below it.

    >>> root_of("/nowhere/brain.py")
    ('/nowhere', 'brain')
    """
    folder, file = os.path.split(path)
    names = [os.path.splitext(file)[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")) and "." not in os.path.basename(folder):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    if names[-1] == "__init__" and len(names) > 1:
        names.pop()
    return folder, "\0".join(names)


def _is_builtin(name: str) -> bool:
    """Whether it is a module of Python itself."""
    known = getattr(sys, "stdlib_module_names", None)  # since 3.10
    if known is not None:
        return name in known
    paths = [sysconfig.get_paths()[k] for k in ("stdlib", "platstdlib")]
    return name in sys.builtin_module_names or \
        importlib.machinery.PathFinder.find_spec(name, [*paths, *(f"{p}/lib-dynload" for p in paths)]) is not None


class Modules:
    """The stores of this process that are modules."""

    def __init__(self) -> None:
        self.places: dict[Any, Any] = {}  # Place by path
        self.paths: dict[Any, Any] = {}  # path by the module's name
        self._content: dict[Any, Any] = {}  # of files that are loaded next
        self._roots: list[Any] = []

    def assign(self, paths: Sequence[str]) -> None:
        """Gives every store's module its name, before any of them runs."""
        found = [(p, *root_of(p)) for p in paths]
        self._roots = list(dict.fromkeys([*self._roots, *(root for _, root, _ in found)]))
        for path, root, name in found:
            names = name.split("\0")
            whose = self._taken(path, root, names)
            if whose:
                names[0] = self._own(names, root, path)
            self.places[path] = Place(".".join(names), root, whose)
            self.paths.setdefault(".".join(names), path)

    def _taken(self, path: str, root: str, names: list[Any]) -> str:
        """What keeps a module from the name that its file has, in words; "": nothing."""
        top, single = names[0], len(names) == 1
        if any("." in n for n in names):
            return "no module can be called"
        if _is_builtin(top):
            return _LIBRARY[0]
        if self.paths.get(".".join(names), path) != path:
            return "another store's module is called"
        mine = os.path.join(root, top)
        loaded = sys.modules.get(top)
        if loaded is not None and not _lies_at(loaded, mine):
            return _LIBRARY[1]
        if single and os.path.basename(path) != "__init__.py":
            spec = importlib.machinery.PathFinder.find_spec(top, [p for p in sys.path if p not in self._roots])
            if spec is not None and spec.loader is not None and not _is_file(spec.origin, path):
                return _LIBRARY[2]
            spec = importlib.machinery.PathFinder.find_spec(top, [root])
            if spec is None or not _is_file(spec.origin, path):
                return "a package beside it is called"
        return ""

    @staticmethod
    def _own(names: list[Any], root: str, path: str) -> str:
        """A first name of its own."""
        top = names[0]
        file = os.path.join(root, top, "__init__.py") if len(names) > 1 else path
        stem = name = _named.stem(top)
        n = 1
        while _named.FILES.setdefault(name, file) != file:
            n += 1
            name = f"{stem}_{n}"
        return f"{_named.__name__}.{name}"

    def enter(self, path: str) -> None:
        """Puts the root of a store on ``sys.path``, and, of a link, that of the file behind it."""
        if path not in self.places:
            self.assign([path])
        place = self.places[path]
        last = any(p.library and p.root == place.root for p in self.places.values())
        roots = [place.root]
        real = os.path.realpath(path)
        if real != path:
            roots.append(root_of(real)[0])
        for root in roots:
            if root not in sys.path:
                sys.path.insert(len(sys.path) if last else roots.index(root), root)
        for one in (path, real):
            _code.RECORD.add_folder(os.path.dirname(one))

    def find(self, name: str) -> str:
        """The file of the module -m NAME. Imports the packages that it is in."""
        if _STARTED not in sys.path:
            sys.path.insert(0, _STARTED)
        try:
            spec = importlib.util.find_spec(name)
        except ValueError:  # a module that was made otherwise, as __main__
            spec = None
        except ModuleNotFoundError as e:
            if not f"{name}.".startswith(f"{e.name}."):
                raise
            spec = None
        origin = spec.origin if spec is not None else None
        if origin is None or not origin.endswith(".py") or not os.path.isfile(origin):
            raise StoreError(f"-m {name}: there is no such Python file in {_STARTED}, nor in the Python of "
                             f"{sys.prefix}; another: --python PREFIX")
        self.paths[name] = origin
        self.places[origin] = Place(name, _STARTED, "")
        return origin

    def run(self, path: str, content: bytes) -> types.ModuleType:
        """The module of a store's file, which runs unless another store has imported it."""
        place = self.places[path]
        if place.name not in sys.modules:
            self._content[path] = content, compile(content, path, "exec", dont_inherit=True)
            try:
                __import__(place.name)
            finally:
                self._content.pop(path, None)
        return sys.modules[place.name]

    # A finder of sys.meta_path.
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        file = self.paths.get(fullname)
        if file is None:
            return None
        return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(fullname, file))

    def invalidate_caches(self) -> None:
        pass

    def code(self, path: str) -> Any:
        """What a store's file is compiled to, and noted as being."""
        content, code = self._content.pop(path, (None, None))
        if code is None:
            with open(path, "rb") as f:
                content = f.read()
            code = compile(content, path, "exec", dont_inherit=True)
        _code.RECORD.note(path, _code.digest(content))
        return code


MODULES = Modules()


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs the bytes that the store's digest is of; leaves no bytecode behind."""

    def get_code(self, fullname: str) -> Any:
        return MODULES.code(self.path)


def _lies_at(module: types.ModuleType, place: str) -> bool:
    """Whether a module that is loaded is the file or the package there."""
    held = _unasked.names(module)
    file, folders = held.get("__file__"), list(held.get("__path__") or ())
    return _is_file(file, place + ".py") or _is_file(file, os.path.join(place, "__init__.py")) or \
        file is None and place in folders


def _is_file(one: Optional[str], other: str) -> bool:
    try:
        return one is not None and os.path.samefile(one, other)
    except OSError:
        return False
