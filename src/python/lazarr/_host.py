"""What the C worker calls. Not for users: store files never import it.

Stores and arrays are named by their place: of a store in the list that was loaded, of an array in the
store's manifest.
"""
from __future__ import annotations

import json
import os
import sys
import types
from typing import Any, Callable, Sequence

import numpy as np

from . import (_array, _block, _cast, _code, _files, _handover, _imports, _manifest, _modules, _notes, _opened,
               _output, _tell, _unloaded)
from ._array import Array
from ._block import Block
from ._errors import NoArray, StoreError
from ._registry import Registry

#: What people are told of an exception.
describe_exception = _tell.describe

#: Returned by `compute` when the function wrote block.data itself.
WRITTEN = object()

_stores: list[Any] = []  # the arrays of each, or a _Stale; none of one that didn't load
_told: set[Any] = set()  # arrays of which everything was said: several stores may have one
_start: Sequence[int] = ()  # of the block that is being computed; jobs come one after another


def load(stores: Sequence[tuple[Any, ...]], mode: int = _handover.OPEN, receive_facts: Any = None,
         make_memfd: Any = None, libraries: Any = None) -> list[str]:
    """Runs each store's file once and returns the manifests, in order. A path "data:FILE::PATH" is that of
    a data file, "found:PATH" a file of a folder, "module:NAME" what -m names; one without a name is an
    --op for data files. Of several
    stores those that fail are reported by a manifest of their own kind (_unloaded). mode and what follows
    it: _handover.Handover.start. libraries: _code.Record's."""
    _handover.CURRENT.start(mode, receive_facts, make_memfd)
    _code.RECORD.libraries = libraries
    _code.install()
    given = [path for name, path in stores if not name]
    ops = [path for path in given if path != "--follow"]
    follow = "--follow" in given
    named = [s for s in stores if s[0]]
    _output.names[:] = [name for name, _ in named]
    unloaded = _unloaded.Unloaded(len(named), bool(mode & _handover.OTHERS))
    files = [path[len(_unloaded.FOUND):] if path.startswith(_unloaded.FOUND) else path for _, path in named]
    _modules.MODULES.assign([p for p in files if p.endswith(".py") and not p.startswith("data:")])
    sys.meta_path.insert(0, _modules.MODULES)
    manifests = _load_all(named, ops, follow, unloaded)
    unloaded.settle()
    if unloaded.some and mode & _handover.FACTS:
        for i, (name, _) in enumerate(named):  # of what loads only here the server knows nothing
            manifests[i] = _handover.CURRENT.unloaded(name) or manifests[i]
    return manifests


def _load_all(named: Sequence[tuple[Any, ...]], ops: Sequence[str], follow: bool,
              unloaded: _unloaded.Unloaded) -> list[str]:
    manifests: list[str] = []
    for name, path in named:
        _handover.CURRENT.store = name
        text = unloaded.known(name)
        if text is None:
            text = _load_or_not(name, path, ops, follow, unloaded)
        manifests.append(text)
        if len(_stores) < len(manifests):
            _stores.append([])
    return manifests


def _load_or_not(name: str, path: str, ops: Sequence[str], follow: bool,
                 unloaded: _unloaded.Unloaded) -> str:
    """The manifest of a store, also of one that fails and is to be left out."""
    found = path.startswith(_unloaded.FOUND)
    path = path[len(_unloaded.FOUND):] if found else path
    try:
        return _load_data(name, path, ops, follow) if path.startswith("data:") else _load(name, path, found)
    except BaseException as e:
        return unloaded.note(name, path, found, e)


def handover() -> tuple[Any, ...]:
    """What the loader has for the server, once all stores are loaded."""
    return _handover.CURRENT.finish()


def _load(name: str, path: str, found: bool = False) -> str:
    """Runs a store's file and returns its manifest. found: in a folder, it may be no store."""
    registry = Registry()
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        if path.startswith(_modules.PREFIX):
            path = path[len(_modules.PREFIX):]
            with _imports.followed():
                path = _modules.MODULES.find(path)
        _files.check_kind(path)
        with open(path, "rb") as f:
            content = f.read()
        _code.RECORD.note(path, _code.digest(content))
        with _imports.followed():
            names = _run(path, content, registry)
        if not registry.pending and not _has_arrays(registry, names, found):
            raise NoArray("the store defines no array: put @lazarr.array or @lazarr.source above a function")
        registry.finish()
        text = _manifest.build(registry, name, path, content)
    except BaseException as e:
        _tell.failed(e, path)
        raise
    finally:
        _array.CURRENT.registry = previous
    if _handover.CURRENT.mode != _handover.FACTS:
        _say(path, names, registry)
    _stores.append(registry.arrays)
    return text


def _has_arrays(registry: Registry, names: dict[Any, Any], found: bool) -> bool:
    """A file of a folder that defines none, and has none by name, only uses other stores: a test of them."""
    return bool(registry.arrays) or bool(registry.imported) and \
        (not found or any(isinstance(v, Array) for v in list(names.values())))


def _run(path: str, content: bytes, registry: Registry) -> dict[Any, Any]:
    """Runs a store's file, or reads a manifest. The names that it has made."""
    if not path.endswith(".py"):
        folders = [os.path.dirname(p) for p in (os.path.abspath(path), os.path.realpath(path))]
        for folder in dict.fromkeys(folders):
            _code.RECORD.add_folder(folder)
            if folder not in sys.path:
                sys.path.insert(folders.index(folder), folder)
        _manifest.load_json(content, registry)
        return {}
    _modules.MODULES.enter(path)
    registry.module = _modules.MODULES.places[path].name
    module = _modules.MODULES.run(path, content)
    _imports.finished(module, registry)
    return vars(module)


def _say(path: str, names: dict[Any, Any], registry: Registry) -> None:
    """What may surprise in a store that has loaded."""
    file = os.path.basename(path)
    place = _modules.MODULES.places.get(path)
    if place is not None and place.whose:
        print(f"{file}: its module is called {place.name} here: {place.whose} "
              f"{os.path.splitext(file)[0]}", file=sys.stderr)
    for text in registry.notes:
        print(f"{file}: {text}", file=sys.stderr)
    new = [a for a in registry.arrays if a not in _told]
    _told.update(new)
    _handover.warn_of_large(path, names, new)
    _notes.of_generators(path, new)


def _load_data(name: str, spec: str, ops: Sequence[str], follow: bool) -> str:
    from . import _readers
    known = _handover.CURRENT.ask_store()
    if known is not None:
        changed = _opened.Files.from_json(known["files"]).changed()
        if changed is not None:
            _handover.CURRENT.keep_store(known)
            _stores.append(_Stale(known["manifest"], f"{changed}: {_opened.RELOAD}"))
            return str(known["manifest"])
    registry, started = Registry(), _opened.now_ns()
    with _opened.watch() as opened:
        path, content = _readers.build(name, spec, ops, registry, follow)
    try:
        registry.finish()
        text = _manifest.build(registry, name, path, content)
    except BaseException as e:
        _tell.failed(e, path)
        raise
    _handover.CURRENT.tell_store(text, _opened.Files.of(started, opened | {path}, []))
    _stores.append(registry.arrays)
    return text


class _Stale:
    """A data file that isn't any more what its edition has loaded: its arrays as they were declared, none
    of whose blocks can be computed."""

    def __init__(self, manifest: str, why: str) -> None:
        self.why = why
        arrays = json.loads(manifest)["arrays"]
        dtypes = {a["path"]: np.dtype(a["dtype"]) for a in arrays}
        self._arrays = [types.SimpleNamespace(dtype=dtypes[a["path"]], inputs=[types.SimpleNamespace(
            array=types.SimpleNamespace(dtype=dtypes[i["array"]])) for i in a["inputs"]])
            for a in arrays]

    def __getitem__(self, i: int) -> Any:
        return self._arrays[i]


def dtype(store: int, array: int) -> np.dtype | None:
    """The declared dtype, byte order included; None: there is no such array."""
    try:
        made: np.dtype[Any] = _stores[store][array].dtype
    except IndexError:
        return None
    return made


def input_dtypes(store: int, array: int) -> list[Any]:
    """For each input the dtype in which its region comes: the input's, in the machine's byte order."""
    return [p.array.dtype.newbyteorder("=") for p in _stores[store][array].inputs]


def compute(store: int, array: int, level: int, index: int, start: tuple[Any, ...], extent: tuple[Any, ...],
            make_data: Callable[[], np.ndarray], inputs: Sequence[np.ndarray] = ()) -> Any:
    """Runs an array's function for one block. inputs: each input's region, writable. Returns its
    result, or WRITTEN."""
    whole = _stores[store]
    if isinstance(whole, _Stale):
        raise StoreError(whole.why)
    a = whole[array]
    if len(inputs) != len(a.inputs):
        raise RuntimeError(f"{len(inputs)} input regions came for {len(a.inputs)} inputs")
    chunk = tuple([s // c for s, c in zip(start, a.levels[level].chunks)])
    block = Block(a, start, extent, chunk, index, level=level, make_data=make_data,
                  fill=a.fill_value, inputs=inputs)
    global _start
    _start = block.start
    _output.who = store, a.path, index
    result = _block.run(a.function, block)
    return WRITTEN if result is None else result


def assign(target: np.ndarray, result: Any) -> None:
    """Writes what `compute` returned into the block's memory under the checked cast."""
    _cast.assign(target, result, _start)


def flush() -> Any:
    """The end of a job, or of loading: what was printed goes to the log now. Returns what local code was
    loaded since the last call: _code.Record.take."""
    _output.flush()
    _output.who = None
    return _code.RECORD.take()
