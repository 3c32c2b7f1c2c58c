"""Texts of files, read at the start: arrays as `lazarr.dataset` serves them, whose last axis is the characters."""
from __future__ import annotations

import functools
import math
from typing import Any, Callable, Optional

import numpy as np

from .. import _dataset, _encoded, _handover
from .._array import CURRENT, Array
from .._errors import StoreError
from .._variables import Around, Variable
from .file import File

MAX_TEXTS = 4 << 20     # of one array
MAX_BYTES = 256 << 20   # of their characters


def check(shape: tuple[Any, ...], each: int = 1) -> None:
    """StoreError for more texts than are served. each: bytes of one, where that is known."""
    n = math.prod(shape)
    if n > MAX_TEXTS or n * each > MAX_BYTES:
        raise StoreError(f"its {n} texts are more than the {MAX_TEXTS}, or {MAX_BYTES >> 20} MiB, that lazarr serves "
                         "of a file")


def add(f: File, name: str, load: Callable[[], Any], dims: Optional[tuple[Any, ...]], attributes: dict[Any, Any]) -> None:
    """An array of texts. load: gives them, as objects, <U or |S. dims: names of the axes, or None. StoreError (or what
    load raises) where they can't be served."""
    if not f.serves_texts:
        raise StoreError("it holds texts, which are no source: lazarr.dataset(\"name\", FILE) serves them")
    path = f.names.of(name)

    @functools.lru_cache(maxsize=None)
    def characters() -> np.ndarray:
        return _encoded.characters(np.asarray(load()), MAX_BYTES)
    form = _handover.CURRENT.described(path)
    if form is None:
        values = characters()
        kept = {k: v for k, v in attributes.items() if k != "_FillValue"}
        form = {"name": path.rpartition("/")[2], "dims": list(dims or (f"dim_{i}_{n}" for i, n in enumerate(
            values.shape[:-1]))), "shape": list(values.shape), "dtype": values.dtype.str, "attributes": kept,
            "fill": None, "text": True, "chunks": None, "values": None}
        _handover.CURRENT.describe(path, form)
    f.texts.append(served(path, Variable(form, characters)))


def served(path: str, v: Variable) -> Array:
    """A variable of texts as an array of the store that is being made."""
    a = _dataset.beside_of(path, v)
    a.around = Around(v, {}, {}, True)
    CURRENT.add(a)
    return a
