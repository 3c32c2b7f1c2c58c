"""Data files that code names: where their paths are relative to, and what reads them."""
from __future__ import annotations

import importlib
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, Optional, Union

from ._errors import StoreError

if TYPE_CHECKING:
    import numpy.typing as npt


def readers(name: str) -> Any:
    """A module of _readers. Imported when a file is named, no sooner: and so a checker of a store's types
    needn't know the libraries of all formats."""
    return importlib.import_module(f"._readers.{name}", __package__)


def check_kind(path: str) -> None:
    """Refuses what is there but holds no bytes of its own: reading it might never end. Whoever opens it says
    why nothing is there.

    >>> check_kind("/nowhere/brain.py"), check_kind("/")
    (None, None)
    >>> check_kind("/dev/null")
    Traceback (most recent call last):
    ...
    lazarr._errors.StoreError: it is no file, but a pipe, a socket or a device
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StoreError("it is no file, but a pipe, a socket or a device")


def beside(depth: int) -> str:
    """The folder of the file of code that calls, so many calls up; where there is none, the current one."""
    frame: Any = sys._getframe(depth + 1)
    file = frame.f_globals.get("__file__")
    return os.path.dirname(os.path.abspath(file)) if isinstance(file, str) else os.getcwd()


def open_file(path: Union[str, "os.PathLike[str]"], level: int = 0, dtype: Optional["npt.DTypeLike"] = None) -> Any:
    """A data file's array-like, for a function's own use: what ``lazarr serve FILE`` serves of it.

    path: a file (``"movie.tif"``, relative to the file of code that calls), a part of one
    (``"data.h5::/experiment/raw"``) or a URL of a Zarr or precomputed volume. level: of an image that
    has several, 0 the finest. dtype: what its values are read as; one that doesn't fit is a
    ValueError when it is read.

    The array-like is indexed as an ndarray is, and read as far as the index goes; ``np.asarray`` and operators take
    all of it. Its axes stand in the order t, c, z, y, x where the file says which they are. It is opened anew at
    each call: keep it in a cached function. Raises StoreError where the file can't be read or holds several
    arrays.

    >>> import lazarr, numpy as np, os, tempfile
    >>> file = os.path.join(tempfile.mkdtemp(), "a.npy")
    >>> np.save(file, np.arange(6).reshape(2, 3))
    >>> a = lazarr.open(file, dtype="float32")
    >>> a.shape, a[1, :2].tolist(), a[::-1, [0, 2]].tolist()
    ((2, 3), [3.0, 4.0], [[3.0, 5.0], [0.0, 2.0]])
    """
    return readers("opened").array_of(os.fspath(path), beside(1), level, dtype)
