"""A store's manifest: what its file defined, as JSON. store/manifest.h is the other side's contract."""
from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
from typing import Any, Optional

import numpy as np

from . import _array
from ._array import Array, Registry
from ._errors import StoreError

VERSION = "0.1.0"


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


def entry(a: Array) -> dict:
    """An array's part of the manifest, but for its digest."""
    return {
        "path": a.path, "kind": a.kind, "source": a.is_source, "dtype": a.dtype.str,
        "fill_value": _fill(a), "dims": list(a.dims) if a.dims else None,
        "units": list(a.units) if a.units else None,
        "levels": [{"shape": [_int(n) for n in a.shape], "chunks": [_int(n) for n in a.chunks],
                    "scale": list(a.scale), "translation": list(a.translation)}],
        "separator": a.separator, "compressor": _codec(a.compressor),
        "n5_compressor": _codec(a.n5_compressor), "precomputed_encoding": a.precomputed_encoding,
        "attributes": a.attributes, "channels": a.channels, "labels_of": a.labels_of,
        "timeout": a.timeout, "first_timeout": a.first_timeout,
        "on_abandon": a.on_abandon, "deterministic": a.deterministic, "version": a.version,
    }


def _digest(*parts: bytes) -> str:
    h = hashlib.blake2b(digest_size=16)
    for p in parts:
        h.update(len(p).to_bytes(8, "little"))
        h.update(p)
    return h.hexdigest()


def _dependency(d: Any, folder: str) -> bytes:
    """The bytes that stand for a file or a callable."""
    if callable(d):
        try:
            return inspect.getsource(d).encode()
        except (OSError, TypeError):
            raise StoreError(f"depends: the source of {d!r} can't be found") from None
    try:
        with open(os.path.join(folder, os.fspath(d)), "rb") as f:
            return f.read()
    except (OSError, TypeError) as e:
        raise StoreError(f"depends: {d!r} can't be read: {e}") from None


def array_digest(a: Array, e: dict, store_digest: str, folder: str) -> str:
    """Digest of what makes an array's chunks. With version= only that and what it depends on count, so
    that an edit elsewhere in the file changes nothing."""
    own = json.dumps(e, sort_keys=True, default=str).encode()
    try:
        depends = [_dependency(d, folder) for d in a.depends]
    except StoreError as err:
        raise StoreError(f'array "{a.path}": {err}') from None
    if a.version is not None:
        return _digest(VERSION.encode(), own, a.version.encode(), *depends)
    return _digest(VERSION.encode(), own, store_digest.encode(), *depends)


def build(registry: Registry, name: str, file: str, content: bytes) -> str:
    """The manifest's JSON text. Deterministic: two processes that see the same store write the same."""
    store_digest = _digest(VERSION.encode(), content)
    folder = os.path.dirname(os.path.abspath(file))
    arrays = []
    for a in registry.arrays:
        e = entry(a)
        e["digest"] = array_digest(a, e, store_digest, folder)
        arrays.append(e)
    doc = {"lazarr": 1, "store": name, "file": os.path.basename(file), "digest": store_digest,
           "groups": [{"path": p, "attributes": at} for p, at in sorted(registry.groups.items())],
           "arrays": arrays}
    return json.dumps(doc, indent=1, allow_nan=False, ensure_ascii=False)


def _resolve(text: Any, what: str) -> Any:
    """"module:attribute" to the object it names."""
    if not isinstance(text, str) or text.count(":") != 1:
        raise StoreError(f'{what} must be "module:name", got {text!r}')
    module, attr = text.split(":")
    obj: Any = importlib.import_module(module)
    for part in attr.split("."):
        try:
            obj = getattr(obj, part)
        except AttributeError:
            raise StoreError(f"{what}: module {module!r} has no {attr!r}") from None
    return obj


#: What `describe` prints of an array and a manifest need not repeat.
_REPORTED = ("source", "digest", "levels", "first_timeout", "on_abandon")


def load_json(content: bytes, registry: Registry) -> None:
    """A store that is a manifest: the fields of the decorators as data, "function" or "source" as
    "module:name". What `lazarr describe` prints is accepted once functions are added."""
    try:
        doc = json.loads(content)
    except ValueError as e:
        raise StoreError(f"not JSON: {e}") from None
    if not isinstance(doc, dict) or not isinstance(doc.get("arrays"), list):
        raise StoreError('a manifest is an object with a list "arrays"')
    previous, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        for g in doc.get("groups") or []:
            if not isinstance(g, dict):
                raise StoreError(f"groups must be objects, got {g!r}")
            _array.group(g.get("path"), g.get("attributes"))
        for a in doc["arrays"]:
            if not isinstance(a, dict):
                raise StoreError(f"arrays must be objects, got {a!r}")
            _load_array(dict(a))
    finally:
        _array.CURRENT.registry = previous


def _load_array(a: dict) -> None:
    name = a.pop("path", None)
    function = a.pop("function", None)
    source = a.get("source") if isinstance(a.get("source"), str) else None
    levels: Optional[list] = a.get("levels") if isinstance(a.get("levels"), list) else None
    if levels:
        if len(levels) > 1 or not isinstance(levels[0], dict):
            raise StoreError(f'array "{name}": levels > 1 is not supported yet')
        for k, v in levels[0].items():
            if k in ("shape", "chunks") or a.get("kind") in ("image", "labels"):
                a.setdefault(k, v)
        a.pop("levels")
    for k in ("digest", "first_timeout") + (("source",) if "source" in a else ()):
        a.pop(k, None)
    if a.get("kind") in ("image", "labels") and a.get("dims") and not a.get("axes"):
        a["axes"] = tuple(a.pop("dims"))
    if a.get("kind") == "plain":
        a.pop("units", None)
    if a.get("kind") in ("image", "labels"):
        a.pop("separator", None)
    a = {k: v for k, v in a.items() if v is not None or k in ("compressor", "n5_compressor")}
    if source is not None:
        for own in ("shape", "dtype"):
            a.pop(own, None)
        _array.source(name, _resolve(source, f'array "{name}": source'), **a)
        return
    if function is None:
        raise StoreError(f'array "{name}": function must be given, as "module:name"')
    _array.array(name, **a)(_resolve(function, f'array "{name}": function'))
