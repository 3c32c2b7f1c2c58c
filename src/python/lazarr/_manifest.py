"""A store's manifest: what its file defined, as JSON. store/manifest.h is the other side's contract."""
from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
from typing import Any, Optional, Sequence

import numpy as np

from . import _array, _code, _handover, _rechunk, _source
from ._array import Array
from ._errors import NoArray, StoreError, whose_python
from ._inputs import Placed
from ._registry import Registry

VERSION = "0.1.0"
MAX_MANIFEST = 64 << 20  # bytes: limits.h, LZR_MAX_MANIFEST


# One encoder of each kind: json.dumps makes its own at every call, and indented text is written by
# a slow loop in Python. `lazarr describe` indents.
_TEXT = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), check_circular=False)
_SORTED = json.JSONEncoder(sort_keys=True, default=str)


def _int(v: int) -> Any:
    """JSON readers keep integers up to 2^53; larger ones are strings of digits."""
    return v if abs(v) <= 2 ** 53 else str(v)


def _fill(a: Array) -> Any:
    if not a.fill_given:
        return None
    v = a.fill_value
    if a.dtype.kind == "b":
        return bool(v)
    if a.dtype.kind in "iu":
        return str(int(v))
    if a.dtype.kind == "f":
        return _real(float(v))
    return [_real(float(v.real)), _real(float(v.imag))]


def _real(v: float) -> str:
    if v != v:
        return "NaN"
    if v in (float("inf"), float("-inf")):
        return "Infinity" if v > 0 else "-Infinity"
    return repr(v)


def _codec(c: Any) -> Any:
    return None if c is None else dict(c.config)


def entry(a: Array) -> dict[Any, Any]:
    """An array's part of the manifest, but for its digest."""
    out = {
        "path": a.path, "kind": a.kind, "source": a.is_source, "dtype": a.dtype.str,
        "fill_value": _fill(a), "dims": list(a.dims) if a.dims else None,
        "units": list(a.units) if a.units else None,
        "levels": [{"shape": [_int(n) for n in v.shape], "chunks": [_int(n) for n in v.chunks],
                    "scale": list(v.scale), "translation": list(v.translation),
                    "factor": [_int(n) for n in v.factor]} for v in a.levels],
        "pyramid": a.pyramid, "inputs": [_input(p) for p in a.inputs], "slots": a.slots,
        "separator": a.separator, "compressor": _codec(a.compressor),
        "n5_compressor": _codec(a.n5_compressor), "precomputed_encoding": a.precomputed_encoding,
        "attributes": a.attributes, "channels": a.channels, "labels_of": a.labels_of,
        "timeout": a.timeout, "first_timeout": a.first_timeout,
        "on_abandon": a.on_abandon, "deterministic": a.deterministic, "version": a.version,
        "copied": a.copied,
    }
    if a.around is not None or a.named_by_file:
        out["dataset"] = True
    if a.around is not None and a.around.variable is not None and a.around.variable.text:
        out["text"] = True
    for k, level in enumerate(out["levels"] if a.is_source else ()):
        data = a.source.data[k] if k < len(a.source.data) else None
        if data is not None:
            level["data"] = _handover.manifest(data, a.source.transpose)
    return out


def _input(p: Placed) -> dict[Any, Any]:
    return {"array": p.array.path, "levels": list(p.levels), "axes": list(p.axes),
            "fixed": [None if f is None else [[_int(n) for n in pair] for pair in f] for f in p.fixed],
            "drop": list(p.drop), "halo": [list(h) for h in p.halo], "boundary": p.boundary}


def _digest(*parts: bytes) -> str:
    h = hashlib.blake2b(digest_size=16)
    for p in parts:
        h.update(len(p).to_bytes(8, "little"))
        h.update(p)
    return h.hexdigest()


def _dependency(d: Any, folders: Sequence[str]) -> bytes:
    """The bytes that stand for a file, of the first folder that has it, or a callable."""
    if callable(d):
        try:
            return inspect.getsource(d).encode()
        except (OSError, TypeError):
            raise StoreError(f"depends: the source of {d!r} can't be found") from None
    try:
        paths = [os.path.join(folder, os.fspath(d)) for folder in folders]
        path = next((p for p in paths if os.path.exists(p)), paths[0])
        with open(path, "rb") as f:
            content = f.read()
        _code.RECORD.note(path, _code.digest(content))
        return content
    except (OSError, TypeError) as e:
        raise StoreError(f"depends: {d!r} can't be read: {e}") from None


def _own(a: Array, e: dict[Any, Any], text: str) -> str:
    """What an array's digest takes in of its entry, whose text is given."""
    if a.is_source:
        # Files with their size and mtime; arrays in memory only for being there: their place depends
        # on the others, and their values on what the start or version= stands for.
        e = dict(e, levels=[dict(v, data=True) if v.get("data") and v["data"]["file"] is None else v
                            for v in e["levels"]])
    elif not a.attributes and not a.channels:
        return text
    return _SORTED.encode(e)  # however a user's own members are ordered


def array_digest(a: Array, own: str, store_digest: str, folders: Sequence[str], inputs: Sequence[str]) -> str:
    """Digest of what makes an array's chunks, its inputs' digests included. With version= only that
    and what it depends on count, so that an edit elsewhere in the file changes nothing."""
    try:
        depends = [_dependency(d, folders) for d in a.depends]
    except StoreError as err:
        raise StoreError(f'array "{a.path}": {err}') from None
    if a.version is not None:
        tag = a.version
    else:
        tag = store_digest
    return _digest(VERSION.encode(), own.encode(), tag.encode(), *(d.encode() for d in inputs), *depends)


def _texts(registry: Registry, store_digest: str, folders: Sequence[str]) -> "list[str]":
    """Each array's part of the manifest, in order. An array's digest takes in those of its inputs, so
    theirs are made first. A text is kept, not the dict that it is made of, which is ten times as
    large."""
    digests: dict[Any, Any] = {}
    texts: dict[Any, Any] = {}
    for first in registry.arrays:
        todo = [first]
        while todo:
            a = todo[-1]
            below = [p.array for p in a.inputs if p.array.path not in digests]
            if below:
                todo.extend(below)
                continue
            todo.pop()
            if a.path not in digests:
                e = entry(a)
                text = _TEXT.encode(e)
                digests[a.path] = array_digest(a, _own(a, e, text), store_digest, folders,
                                               [digests[p.array.path] for p in a.inputs])
                texts[a.path] = f'{text[:-1]},"digest":"{digests[a.path]}"}}'
    return [texts[a.path] for a in registry.arrays]


def build(registry: Registry, name: str, file: str, content: bytes) -> str:
    """The manifest's JSON text, an array a line. Deterministic: two processes that see the same store
    write the same. StoreError for one that is larger than the server takes."""
    store_digest = _digest(VERSION.encode(), content)
    # Of a link: beside it, then beside what it leads to.
    folders = [os.path.dirname(p) for p in (os.path.abspath(file), os.path.realpath(file))]
    arrays = ",\n".join(_texts(registry, store_digest, folders))
    head = _TEXT.encode({
        "lazarr": 1, "store": name, "file": os.path.basename(file), "digest": store_digest,
        "groups": [{"path": p, "attributes": at} for p, at in sorted(registry.groups.items())]})
    text = f'{head[:-1]},"arrays":[\n' + arrays + "\n]}"
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_MANIFEST:
        raise StoreError(
            f"the manifest of its {len(registry.arrays)} arrays and {len(registry.groups)} groups has "
            f"{size >> 20} MiB, the limit is {MAX_MANIFEST >> 20} MiB: fewer or shorter attributes, or "
            "several stores")
    return text


def _resolve(text: Any, what: str) -> Any:
    """"module:attribute" to the object it names."""
    if not isinstance(text, str) or text.count(":") != 1:
        raise StoreError(f'{what} must be "module:name", got {text!r}')
    module, attr = text.split(":")
    try:
        obj: Any = importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{module}.".startswith(f"{e.name}."):
            raise  # one that the module imports
        meant = f": say {module[:-3]}:{attr}" if module.endswith(".py") else whose_python(e)
        raise StoreError(f"{what}: there is no module {module!r}{meant}") from None
    for part in attr.split("."):
        try:
            obj = getattr(obj, part)
        except AttributeError:
            raise StoreError(f"{what}: module {module!r} has no {attr!r}") from None
    return obj



def load_json(content: bytes, registry: Registry) -> None:
    """A store that is a manifest: the fields of the decorators as data, "function" or "source" as
    "module:name". What `lazarr describe` prints is accepted once functions are added."""
    try:
        doc = json.loads(content)
    except (ValueError, RecursionError) as e:
        raise StoreError(f"not JSON: {e}") from None
    if not isinstance(doc, dict) or "arrays" not in doc:
        raise NoArray('a manifest is an object with a list "arrays"')
    if not isinstance(doc.get("groups") or [], list):
        raise StoreError(f"groups must be a list, got {doc['groups']!r:.100}")
    if not isinstance(doc["arrays"], list):
        raise StoreError('a manifest is an object with a list "arrays"')
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        for g in doc.get("groups") or []:
            if not isinstance(g, dict):
                raise StoreError(f"groups must be objects, got {g!r}")
            _array.group(g.get("path"), g.get("attributes"))  # type: ignore[arg-type]  # it refuses what is none  # type: ignore[arg-type]  # it refuses what is none
        for a in doc["arrays"]:
            if not isinstance(a, dict):
                raise StoreError(f"arrays must be objects, got {a!r}")
            _load_array(dict(a))
    finally:
        _array.CURRENT.registry = previous


def _load_levels(name: Any, a: dict[Any, Any], levels: list[Any]) -> None:
    """The levels that `lazarr describe` prints, as parameters."""
    if not levels or not all(isinstance(v, dict) for v in levels):
        raise StoreError(f'array "{name}": levels must be an integer or a list of objects')
    for k, v in levels[0].items():
        if k in ("shape", "chunks") or k not in ("factor", "data") and a.get("kind") in ("image", "labels"):
            a.setdefault(k, v)
    if len(levels) > 1:
        try:
            a.setdefault("factors", [[int(n) // int(m) for n, m in zip(v["factor"], w["factor"])]
                                     for w, v in zip(levels, levels[1:])])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise StoreError(f'array "{name}": levels must have a factor each') from None
        a["levels"] = len(levels)


def _load_copied(name: Any, a: dict[Any, Any], levels: Any) -> None:
    """One that is another in other chunks, which stands before it."""
    try:
        of, chunks = a["inputs"][0]["array"], a.get("chunks") or levels[0]["chunks"]
    except (KeyError, IndexError, TypeError):
        raise StoreError(f'array "{name}": copied needs one input and chunks') from None
    _rechunk.rechunk(name, of, [int(c) for c in chunks] if isinstance(chunks, list) else chunks)


def _load_array(a: dict[Any, Any]) -> None:
    name = a.pop("path", None)
    function = a.pop("function", None)
    source = a.get("source") if isinstance(a.get("source"), str) else None
    levels: Optional[list[Any]] = a.get("levels") if isinstance(a.get("levels"), list) else None
    if levels is not None:
        a.pop("levels")
        _load_levels(name, a, levels)
    if "first_timeout" in a and a.pop("first_timeout") != a.get("timeout"):
        a.pop("timeout", None)  # the default, which gives a worker's first block longer
    for k in ("digest", "source", "dataset", "text"):
        a.pop(k, None)
    if a.get("kind") in ("image", "labels") and a.get("dims") and not a.get("axes"):
        a["axes"] = tuple(a.pop("dims"))
    if a.get("kind") == "plain":
        a.pop("units", None)
    if a.get("kind") in ("image", "labels"):
        a.pop("separator", None)
    a = {k: v for k, v in a.items() if v is not None or k in ("compressor", "n5_compressor")}
    if a.pop("copied", False):
        _load_copied(name, a, levels)
        return
    if source is not None:
        for own in ("shape", "dtype"):
            a.pop(own, None)
        _source.source(name, _resolve(source, f'array "{name}": source'), **a)
        return
    if function is None:
        raise StoreError(f'array "{name}": function must be given, as "module:name"')
    _array.array(name, **a)(_resolve(function, f'array "{name}": function'))
