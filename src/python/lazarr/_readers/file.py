"""A data file that is being made a store: what all readers need of it."""
from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Callable, Optional

from .. import _array, _check, _handover, _source
from .._array import Array
from .._errors import StoreError, whose_python
from .._names import ROOT, Names
from . import attributes, given, tree, trust

#: What each library is for, its package of pip, and the Debian package that has it, where one does.
LIBRARIES = {"h5py": ("HDF5", "h5py", "python3-h5py"), "tifffile": ("TIFF", "tifffile", "python3-tifffile"),
             "nibabel": ("NIfTI and MGH", "nibabel", "python3-nibabel"), "zarr": ("Zarr", "zarr", "python3-zarr"),
             "numcodecs": ("this compression", "numcodecs", "python3-numcodecs"),
             "pydicom": ("DICOM", "pydicom", "python3-pydicom"), "mrcfile": ("MRC", "mrcfile", None),
             "nrrd": ("NRRD", "pynrrd", None)}


def need(module: str) -> Any:
    """A library, or one line that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        what, own, debian = LIBRARIES[module]
        raise StoreError(f"reading {what} needs {own} ({e}): pip install {own}"
                         f"{f', or apt install {debian}' if debian else ''}{whose_python(e)}") from None


def why(e: BaseException) -> str:
    """An exception of a library in one line."""
    said = " ".join(str(e).split())
    if isinstance(e, StoreError):
        return said
    return (f"{type(e).__name__}: {said}" if said else type(e).__name__) + whose_python(e)


def shown(name: str) -> str:
    """A name out of a file on one line of the log."""
    name = name if name.isprintable() else ascii(name)[1:-1]
    return name if len(name) <= 300 else name[:297] + "..."


class Enough(Exception):
    """The file holds more objects than are looked at."""


class File:
    """One data file that is being made a store. follow: files that it names may lie anywhere."""

    serves_texts = True

    def __init__(self, path: str, inner: str, follow: bool = False, said: Any = None):
        self.given = said or given.Given([])
        self.path, self.inner, self.follow = path, inner.strip("/"), follow
        self.names = Names()
        self.made: list[Any] = []   # the arrays
        self.texts: list[Any] = []  # those of texts, which no function and no other chunks are for
        self.seen = 0
        self._tree: Any = None

    @property
    def lower(self) -> str:
        return self.path.rstrip("/").lower()

    @property
    def tree(self) -> Any:
        """The container that it is: a folder, an archive or a URL."""
        if self._tree is None:
            from . import remote, zips
            if remote.is_url(self.path):
                self._tree = remote.Remote(self.path)
            elif os.path.isfile(self.path):
                self._tree = zips.Zip(self.path)
            else:
                self._tree = tree.Folder(self.path, self.follow)
        return self._tree

    def document(self, key: str) -> Optional[dict[Any, Any]]:
        """A JSON object in the container; None: there is no such file."""
        data = self.tree.read(key, trust.MAX_DOCUMENT)
        return None if data is None else attributes.document(data, self.tree.place(key))

    def count(self, depth: int = 0) -> None:
        """One more group or array is looked at; Enough where that is one too many."""
        self.seen += 1
        if self.seen > trust.MAX_OBJECTS:
            raise Enough
        if depth > trust.MAX_DEPTH:
            raise StoreError(f"it lies deeper than {trust.MAX_DEPTH} groups")

    def add(self, name: str, opener: Callable[[], Any], **parameters: Any) -> Array:
        """A source; StoreError when lazarr can't hold it."""
        path = self.names.of(name, parameters.pop("key", None))
        opener, parameters = self.given.applied(opener, parameters)
        own = {k: v for k, v in parameters.items() if v is not None or k in ("compressor", "n5_compressor")}
        try:
            _check.dims(own.get("dims"), len(own.get("dims", ())))
        except StoreError as e:
            own.pop("dims")
            self.left_out(f"{name or '/'}: names of axes", why(e))
        try:
            a = _source.source(path, opener, **own)
        except StoreError as e:
            if own.get("channels") is None or self.given.channels:
                raise
            own.pop("channels")  # they are for looks: a file's odd ones are no reason to refuse it
            a = _source.source(path, opener, **own)
            self.left_out(f"{name or '/'}: channels", why(e))
        self.names.arrays.add(path)
        a.named_by_file = bool(own.get("dims")) and not own.get("axes")
        self.made.append(a)
        return a

    def try_add(self, name: str, opener: Callable[[], Any], **parameters: Any) -> Optional[Array]:
        """One of several: what lazarr can't hold is left out, and that is said."""
        try:
            return self.add(name, opener, **parameters)
        except Exception as e:  # whatever a library has against it
            self.left_out(name, why(e))
            return None

    def group(self, path: str, given: Any) -> None:
        """A group's attributes, under its path in the store."""
        kept = self.attributes(path or "/", given)
        try:
            _array.group(path, kept)
        except StoreError as e:
            self.left_out(f"attributes of {path}", str(e))

    def attributes(self, where: str, items: Any) -> dict[Any, Any]:
        """All attributes of `where` that JSON can have; each that is left out is said."""
        return attributes.attributes(items, lambda name, e: self.left_out(f"{where}: attribute {name}", e))

    def left_out(self, name: str, e: str) -> None:
        if _handover.CURRENT.mode != _handover.FACTS:
            print(f"{shown(os.path.basename(self.path))}: '{shown(name)}' is left out: {shown(e)}",
                  file=sys.stderr)
