"""What an HDF5 file's links, external storage and virtual datasets lead to.

HDF5 itself would follow a link into any file, look for it in several folders, and say nothing. Here links
are resolved step by step, and each other file is checked (trust.other_file) before it is opened.
"""
from __future__ import annotations

import os
from typing import Any

from .._errors import StoreError
from . import netcdf4, trust
from .file import File


def link(h5py: Any, group: Any, key: Any) -> Any:
    """The link that a name in a group is, as h5py has it; another object for one of a kind that h5py doesn't know,
    or that has a name which is no UTF-8 (bytes) and isn't a hard one. None: there is no such name."""
    try:
        if isinstance(key, bytes):
            return h5py.HardLink() if group.id.links.get_info(key).type == h5py.h5l.TYPE_HARD else object()
        return group.get(key, getlink=True)
    except (TypeError, UnicodeError):
        return object()


class Links:
    """The files that are open while one is looked at; closes them all."""

    def __init__(self, f: File, h5py: Any, file: Any) -> None:
        self.f, self.h5py, self.file = f, h5py, file
        self.conventions = netcdf4.Conventions(f, file)
        self.files = {os.path.realpath(f.path): file}
        self.budget = trust.MAX_OBJECTS  # sources of virtual datasets that are looked at

    def __enter__(self) -> "Links":
        return self

    def __exit__(self, *_: Any) -> None:
        for file in self.files.values():
            file.close()

    def path(self, node: Any) -> str:
        """The real path of the file that a node lies in."""
        return os.path.realpath(os.fsdecode(node.file.filename))

    def place(self, d: Any) -> tuple[Any, ...]:
        """(path of the file that a dataset lies in, its name there), which lead to it without a link."""
        if d.name is None:
            raise StoreError("it has no name in its file")
        return self.path(d), d.name

    def identity(self, node: Any) -> tuple[Any, ...]:
        info = self.h5py.h5o.get_info(node.id)
        return info.fileno, info.addr

    def other(self, name: str, of: Any) -> Any:
        """The file that one of them names."""
        path = os.path.join(os.path.dirname(self.path(of)), name)
        real = trust.other_file(path, self.f.path, self.f.follow)
        if real not in self.files:
            if len(self.files) >= 1000:
                raise StoreError("it leads into more files than are opened")
            try:
                self.files[real] = self.h5py.File(real, "r")
            except OSError as e:
                raise StoreError(f"it leads to '{path}', which can't be opened as HDF5: {e}") from None
        return self.files[real]

    def get(self, group: Any, key: str, hops: int = 0) -> Any:
        """What a name in a group leads to, through all kinds of links. KeyError: nothing."""
        found = link(self.h5py, group, key)
        if found is None:
            raise KeyError(key)
        if hops > trust.MAX_HOPS:
            raise StoreError("it is a link that leads in a circle, or over too many others")
        if isinstance(found, self.h5py.SoftLink):
            start = group.file if found.path.startswith("/") else group
            return self.find(start, found.path, hops + 1)
        if isinstance(found, self.h5py.ExternalLink):
            return self.find(self.other(os.fsdecode(found.filename), group), found.path, hops + 1)
        if not isinstance(found, self.h5py.HardLink):
            raise StoreError("it is a link of a kind that isn't followed")
        return group[key]

    def find(self, start: Any, path: str, hops: int = 0) -> Any:
        """What a path leads to; KeyError: nothing."""
        node = start
        for key in path.split("/"):
            if key in ("", "."):
                continue
            if not isinstance(node, self.h5py.Group):
                raise KeyError(path)
            node = self.get(node, key, hops)
        return node

    def check_storage(self, d: Any, depth: int = 0) -> None:
        """StoreError for a dataset whose values lie, or may lie, where they aren't to be read from."""
        self.segments(d)
        if not d.is_virtual:
            return
        if depth > 8:
            raise StoreError("it is a virtual dataset of virtual ones, too deep")
        checked = set()
        for source in d.virtual_sources():
            key = (source.file_name, source.dset_name)
            if key in checked:
                continue
            checked.add(key)
            self.budget -= 1
            if self.budget < 0:
                raise StoreError("it has more sources than are looked at")
            self._check_source(d, *key, depth)

    def segments(self, d: Any) -> list[Any]:
        """Where the values of a dataset lie that are stored externally, (path, offset, bytes) one behind the
        other; HDF5 would look for the files where lazarr was started."""
        found = []
        left = d.size * d.dtype.itemsize
        for name, offset, size in d.external or ():
            path = os.path.join(os.path.dirname(self.path(d)), os.fsdecode(name))
            if not self.f.follow:  # any file is such a file: nothing in it says that it was meant
                raise StoreError(f"its values are stored externally, in '{path}': --follow reads it")
            try:
                real = trust.other_file(path, self.f.path, self.f.follow)
            except StoreError as e:
                raise StoreError(f"its values are stored externally: {e}") from None
            found.append((real, int(offset), min(int(size), left)))
            left -= found[-1][2]
        if found and left:
            raise StoreError("its values are stored externally, and that is less than its shape needs")
        return found

    def _check_source(self, d: Any, file_name: str, dset_name: str, depth: int) -> None:
        where = f"{file_name}:{dset_name}"
        if "%" in file_name.replace("%%", "") or "%" in dset_name.replace("%%", ""):
            if not self.f.follow:
                raise StoreError(f"it is virtual, and its source {where} is a pattern of names: --follow "
                                 "reads it")
            return
        try:
            file = d.file if file_name == "." else self.other(file_name.replace("%%", "%"), d)
            source = self.find(file, dset_name.replace("%%", "%"))
            if not isinstance(source, self.h5py.Dataset):
                raise KeyError(dset_name)
            self.check_storage(source, depth + 1)
        except KeyError:
            raise StoreError(f"it is virtual, and its source {where} isn't there") from None
        except StoreError as e:
            raise StoreError(f"it is virtual, and of its source {where}: {e}") from None
