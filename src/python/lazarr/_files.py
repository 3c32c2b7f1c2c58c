"""Data files that code names: where their paths are relative to, and what reads them."""
from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, Union

if TYPE_CHECKING:
    import numpy.typing as npt


def readers(name: str) -> Any:
    """A module of _readers. Imported when a file is named, no sooner: and so a checker of a store's types
    needn't know the libraries of all formats."""
    return importlib.import_module(f"._readers.{name}", __package__)


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

    The array-like has shape, dtype and slices without steps; axes stand in the order t, c, z, y, x where the
    file says which they are. It is opened anew at each call: keep it in a cached function. Raises
    StoreError where the file can't be read or holds several arrays.

    >>> import lazarr, numpy as np, os, tempfile
    >>> file = os.path.join(tempfile.mkdtemp(), "a.npy")
    >>> np.save(file, np.arange(6).reshape(2, 3))
    >>> a = lazarr.open(file, dtype="float32")
    >>> a.shape, a[1, :2].tolist()
    ((2, 3), [3.0, 4.0])
    """
    return readers("opened").array_of(os.fspath(path), beside(1), level, dtype)
