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

from . import _array, _block, _cast, _code, _handover, _manifest, _notes, _opened, _output, _tell, _unloaded
from ._array import Array, Registry
from ._block import Block
from ._errors import NoArray, StoreError

#: What people are told of an exception.
describe_exception = _tell.describe

#: What the names of the stores' modules begin with.
MODULE = "_lazarr_store_"

#: Returned by `compute` when the function wrote block.data itself.
WRITTEN = object()

_stores: list = []  # the arrays of each, or a _Stale; none of one that didn't load
_start: Sequence[int] = ()  # of the block that is being computed; jobs come one after another


def load(stores: Sequence[tuple], mode: int = _handover.OPEN, receive_facts: Any = None,
         make_memfd: Any = None, libraries: Any = None) -> list[str]:
    """Runs each store's file once and returns the manifests, in order. A path "data:FILE::PATH" is that of
    a data file, "found:PATH" a file of a folder; one without a name is an --op for data files. Of several
    stores those that fail are reported by a manifest of their own kind (_unloaded). mode and what follows
    it: _handover.Handover.start. libraries: _code.Record's."""
    _handover.CURRENT.start(mode, receive_facts, make_memfd)
    _code.RECORD.libraries = libraries
    _code.install()
    given = [path for name, path in stores if not name]
    ops = [path for path in given if not path.startswith("--")]
    follow = "--follow" in given
    named = [s for s in stores if s[0]]
    _output.names[:] = [name for name, _ in named]
    unloaded = _unloaded.Unloaded(len(named))
    manifests = []
    for name, path in named:
        _handover.CURRENT.store = name
        text = unloaded.known(name)
        if text is None:
            text = _load_or_not(name, path, ops, follow, unloaded)
        manifests.append(text)
        if len(_stores) < len(manifests):
            _stores.append([])
    unloaded.settle()
    if len(named) > 1 and mode & _handover.FACTS:
        for i, (name, _) in enumerate(named):  # of what loads only here the server knows nothing
            manifests[i] = _handover.CURRENT.unloaded(name) or manifests[i]
    return manifests


def _load_or_not(name: str, path: str, ops: Sequence[str], follow: bool,
                 unloaded: _unloaded.Unloaded) -> str:
    """The manifest of a store, also of one that fails and is to be left out."""
    found = path.startswith(_unloaded.FOUND)
    path = path[len(_unloaded.FOUND):] if found else path
    modules = set(sys.modules)
    try:
        return _load_data(name, path, ops, follow) if path.startswith("data:") else _load(name, path)
    except BaseException as e:
        text = unloaded.note(name, path, found, e)
        for module in set(sys.modules) - modules:
            if module.startswith(MODULE):
                del sys.modules[module]
        return text


def handover() -> tuple:
    """What the loader has for the server, once all stores are loaded."""
    return _handover.CURRENT.finish()


def _load(name: str, path: str) -> str:
    registry = Registry()
    try:
        with open(path, "rb") as f:
            content = f.read()
        folder = os.path.dirname(os.path.abspath(path))
        _code.RECORD.add_folder(folder)
        _code.RECORD.note(path, _code.digest(content))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        if path.endswith(".json"):
            _manifest.load_json(content, registry)
        else:
            _run(name, path, content, registry)
        if not registry.arrays and not registry.pending:
            raise NoArray("the store defines no array: put @lazarr.array or @lazarr.source above a function")
        registry.finish()
        text = _manifest.build(registry, name, path, content)
    except BaseException as e:
        _tell.failed(e, path)
        raise
    if _handover.CURRENT.mode != _handover.FACTS:
        _notes.of_generators(path, registry.arrays)
    _stores.append(registry.arrays)
    return text


def _load_data(name: str, spec: str, ops: Sequence[str], follow: bool) -> str:
    from . import _readers
    known = _handover.CURRENT.ask_store()
    if known is not None:
        changed = _opened.Files.from_json(known["files"]).changed()
        if changed is not None:
            _handover.CURRENT.keep_store(known)
            _stores.append(_Stale(known["manifest"], f"{changed}: {_opened.RELOAD}"))
            return known["manifest"]
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


def _run(name: str, path: str, content: bytes, registry: Registry) -> None:
    """The file as a module of its own, so that stores don't see each other's names; functions can be
    pickled as long as their module is in sys.modules."""
    module = types.ModuleType(f"{MODULE}{len(_stores)}_{name}")
    module.__file__ = path
    sys.modules[module.__name__] = module
    code = compile(content, path, "exec", dont_inherit=True)
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        exec(code, module.__dict__)
    finally:
        _array.CURRENT.registry = previous
    if _handover.CURRENT.mode != _handover.FACTS:
        _handover.warn_of_large(path, module.__dict__, registry.arrays)


def dtype(store: int, array: int) -> np.dtype:
    """The declared dtype, byte order included."""
    return _stores[store][array].dtype


def input_dtypes(store: int, array: int) -> list:
    """For each input the dtype in which its region comes: the input's, in the machine's byte order."""
    return [p.array.dtype.newbyteorder("=") for p in _stores[store][array].inputs]


def compute(store: int, array: int, level: int, index: int, start: tuple, extent: tuple,
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
