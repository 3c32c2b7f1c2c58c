"""Which module defines an array, and which modules import it: a module runs once, and what it defines is
given to every store that imports it, directly or through others.

While stores are loaded each module's definitions and imports are noted, in order. A store that imports a
module that has run already gets its arrays as if it ran now.
"""
from __future__ import annotations

import builtins
import importlib
import sys
import threading
import types
from typing import Any, Iterator, Optional

from . import _array, _code, _handover, _unasked
from ._array import Array
from ._registry import Registry


class _Log:
    """What a module has done: an Array, a group as (path, attributes), or a module's names (a dict)."""

    def __init__(self, names: dict[Any, Any]) -> None:
        self.names = names  # kept, so that no other dict gets its id
        self.events: list[Any] = []
        self.imports: set[Any] = set()  # ids of the modules' names among them


_logs: dict[int, _Log] = {}  # by the id of the module's names
_local: dict[str, bool] = {}  # whether a file is an author's, by path


def _is_local(names: dict[Any, Any]) -> bool:
    file = names.get("__file__")
    if not isinstance(file, str):
        return False
    if file not in _local:
        _local[file] = _code.RECORD.is_local(file)
    return _local[file]


def _log(names: dict[Any, Any]) -> _Log:
    return _logs.setdefault(id(names), _Log(names))


def _running() -> Optional[dict[Any, Any]]:
    """The names of the module whose file runs now, the innermost."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "<module>" and isinstance(frame.f_globals.get("__name__"), str):
            return frame.f_globals
        frame = frame.f_back
    return None


def _of(names: Optional[dict[Any, Any]], registry: Registry) -> Optional[str]:
    """The module of these names, None for the store's own."""
    name = names["__name__"] if names is not None else None
    return None if name == registry.module else name


def _defines(what: Any) -> Optional[str]:
    registry, names = _array.CURRENT.registry, _running()
    module = _of(names, registry) if registry is not None else None
    if names is not None:
        _log(names).events.append(what)
        if registry is not None:
            registry.given.add(id(what))
    if module is not None and isinstance(what, Array) and what.is_source:
        _handover.CURRENT.keep_pool()
    return module


def _all_of(names: dict[Any, Any], seen: set[Any]) -> Iterator[tuple[Any, ...]]:
    """(definition, the names of its module) of a module and of those that it imports, in the order in which
    they run where nothing has run before. Modules may import each other."""
    seen.add(id(names))
    for event in list(_logs[id(names)].events) if id(names) in _logs else ():
        if not isinstance(event, dict):
            yield event, names
        elif id(event) not in seen:
            yield from _all_of(event, seen)


def _give(names: dict[Any, Any], registry: Registry) -> None:
    for event, by in _all_of(names, set()):
        if id(event) in registry.given:
            continue
        registry.given.add(id(event))
        if isinstance(event, Array):
            registry.add(event, _of(by, registry))
            if event.is_source:
                event.source.share()
        else:
            path, attributes = event
            registry.add_group(path, attributes, _of(by, registry))


def finished(module: types.ModuleType, registry: Registry) -> None:
    """A store's file has run, now or for another store: its arrays are those of it and of all that it
    imports, in one order, whatever has run before."""
    names = _unasked.names(module)
    _give(names, registry)
    registry.order([event for event, _ in _all_of(names, set()) if isinstance(event, Array)])


def give(module: types.ModuleType) -> None:
    """The store that is being loaded imports a module, which has run by now."""
    registry, target = _array.CURRENT.registry, _unasked.names(module)
    if registry is None or not (id(target) in _logs or _is_local(target)):
        return
    by = _running()
    if by is not None and by is not target:
        log = _log(by)
        if id(target) not in log.imports:
            log.imports.add(id(target))
            log.events.append(target)
    if _of(by, registry) is None:
        _give(target, registry)  # paths may mean its arrays from now on


def _imported(name: str, fromlist: Any, level: int, got: Any) -> None:
    """An import statement has run."""
    found = []
    if not fromlist:
        if level == 0:
            found.append(sys.modules.get(name))
    else:
        for one in fromlist:
            held = _unasked.names(got)
            inner = sys.modules.get(f"{held.get('__name__', '')}.{one}")
            found.append(inner if inner is not None and held.get(one) is inner else got)
    for module in found:
        if module is not None and _unasked.is_a(module, types.ModuleType):
            give(module)


class followed:
    """Imports are followed meanwhile, those of the thread that loads. Not a generator's context: that would
    write into exceptions, of which some can't be written to."""

    def __enter__(self) -> None:
        self._imports, self._by_name = builtins.__import__, importlib.import_module
        self._thread = threading.get_ident()
        self._defines, _array.CURRENT.defines = _array.CURRENT.defines, _defines
        builtins.__import__, importlib.import_module = self._follow, self._follow_name

    def __exit__(self, *_: Any) -> None:
        self._thread = -1  # who has kept one of them goes on with Python's own
        _array.CURRENT.defines = self._defines
        if builtins.__import__ == self._follow:
            builtins.__import__ = self._imports
        if importlib.import_module == self._follow_name:
            importlib.import_module = self._by_name

    def _follow(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (),
                level: int = 0) -> Any:
        got = self._imports(name, globals, locals, fromlist, level)
        if threading.get_ident() == self._thread:
            _imported(name, fromlist, level, got)
        return got

    def _follow_name(self, name: str, package: Optional[str] = None) -> Any:
        got = self._by_name(name, package)
        if threading.get_ident() == self._thread and _unasked.is_a(got, types.ModuleType):
            give(got)
        return got
