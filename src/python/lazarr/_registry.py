"""What one store consists of: what its file defines, and what the modules define that it imports.

A module runs once, whoever imports it first, so its arrays are given to each store that imports it
(`_imports`). The file's own come first: an imported array whose path is taken is left out, and said,
unless an array of the store is computed from it.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, Optional, Sequence

from ._check import path as _check_path
from ._errors import StoreError

if TYPE_CHECKING:
    from ._array import Array


def label(kind: str, name: object) -> str:
    """'array "edges"' for an error's one line, whatever the name is.

    >>> label("array", "a"), label("array", 3)
    ('array "a"', 'array "3"')
    """
    text = name if isinstance(name, str) else repr(name)
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return f'{kind} "{shown if len(shown) <= 80 else shown[:77] + "..."}"'


def _above(path: str) -> "list[str]":
    """The groups that a path lies in, the outermost first, the root not: "a/b/c" in "a", "a/b"."""
    names = path.split("/")
    return ["/".join(names[:k]) for k in range(1, len(names))]


class Registry:
    """What one store has so far. module: its module's name, if it is one."""

    def __init__(self, module: Optional[str] = None) -> None:
        self.module = module
        self.arrays: list["Array"] = []
        self.by_path: dict[str, "Array"] = {}
        self.groups: dict[str, dict[Any, Any]] = {}
        # A path that something lies in: the first array, and the first group, that was put there.
        self._outer: dict[str, str] = {}
        self._outer_of_groups: dict[str, str] = {}
        self.pending: dict[object, str] = {}  # decorators that were made and not applied yet
        self.imported: dict["Array", str] = {}  # the module of each array that isn't the file's own
        self._imported_by_path: dict[str, "Array"] = {}
        self._imported_groups: list[Any] = []  # (path, attributes)
        self._order: dict["Array", int] = {}
        self.given: set[Any] = set()  # ids of what modules have defined, as far as this store has it (_imports)
        self.notes: list[str] = []  # what is to be said of the store once it has loaded

    def find(self, path: str) -> Optional["Array"]:
        own = self.by_path.get(path)
        return own if own is not None else self._imported_by_path.get(path)

    def order(self, arrays: Sequence["Array"]) -> None:
        """In which order these are listed, before all others."""
        self._order = {a: i for i, a in enumerate(dict.fromkeys([*arrays, *self._order]))}

    def finish(self) -> None:
        """After the file ran: every input must be there, of this store, no array its own, and every
        decorator applied. Takes in what was imported."""
        for what in self.pending.values():
            raise StoreError(f"{what} was never given a function: put @ before it, or call what it "
                             "returns with the function")
        for a in _with_inputs(list(self.arrays)):
            if a in self.imported and self.by_path.get(a.path) is not a:
                self._take(a)
        for a in sorted(self.imported, key=lambda a: self._order.get(a, -1)):
            self._take_if_it_fits(a)
        for path, attributes in self._imported_groups:
            try:
                self._take_group(path, attributes)
            except StoreError:
                pass  # the store has something else there, or its own attributes
        self._take_coordinates()
        if any(a.around is not None for a in self.arrays):
            from . import _dataset, _variables
            _variables.complete(self, _dataset.beside_of)
        for a in self.arrays:
            for p in a.inputs:
                if self.by_path.get(p.array.path) is not p.array:
                    raise StoreError(f'{label("array", a.path)}: input "{p.array.path}" is not an '
                                     "array of this store")
        self.arrays.sort(key=lambda a: self._order.get(a, -1))

    def _take_coordinates(self) -> None:
        """Those that rechunked arrays have in another group, where nothing else is."""
        from . import _rechunk
        for a in [a for a in self.arrays if a.copied]:
            for made in _rechunk.coordinates(a, self):
                try:
                    self._take(made)
                except StoreError:
                    continue  # a group has its name
                self._order[made] = len(self._order)

    def _take_if_it_fits(self, a: "Array") -> None:
        """An imported array that none of the file's own needs."""
        try:
            for one in _with_inputs([a], lambda x: self.by_path.get(x.path) is x):
                if one not in self.imported:
                    raise StoreError(f'its input "{one.path}" is none of this store')
                self._take(one)
        except StoreError as e:
            self.notes.append(f'{label("array", a.path)} of the module {self.imported[a]} is left out: {e}')

    def add(self, a: "Array", module: Optional[str] = None) -> None:
        """module: that which defines it, None for the store's own. Raises StoreError where a path is
        given twice in one file."""
        if a in self._order:
            return
        if module is None:
            self._take(a)
        else:
            other = self._imported_by_path.setdefault(a.path, a)
            if other is not a and self.imported.get(other) == module:
                self._clash(a)
            self.imported[a] = module
        self._order[a] = len(self._order)

    def add_group(self, path: str, attributes: dict[Any, Any], module: Optional[str] = None) -> None:
        if module is None:
            self._take_group(path, attributes)
        else:
            self._imported_groups.append((path, attributes))

    def take_beside(self, path: str, make: Callable[..., "Array"], what: Any) -> None:
        """Takes an array that belongs beside another one: make(path, what), if the path is free. StoreError where it
        isn't."""
        _check_path(path)
        above = _above(path)
        taken = next((p for p in above if p in self.by_path), None)
        if taken is not None or path in self._outer or path in self.groups or path in self._outer_of_groups:
            raise StoreError(f'"{taken or path}" is something else')
        made = make(path, what)
        self._take(made)
        self._order[made] = len(self._order)

    @staticmethod
    def _clash(a: "Array") -> None:
        raise StoreError(f'array "{a.path}": the path is already that of another array')

    def _take(self, a: "Array") -> None:
        if a.path in self.by_path:
            self._clash(a)
        above = _above(a.path)
        inner, outer = self._outer.get(a.path), a.path
        for name in above:
            if name in self.by_path:
                inner, outer = a.path, name
        if inner is not None:
            raise StoreError(f'array "{inner}": its path lies inside the array "{outer}"')
        group = a.path if a.path in self.groups else self._outer_of_groups.get(a.path)
        if group is not None:
            self._group_clash(group, a.path)
        self.arrays.append(a)
        self.by_path[a.path] = a
        for name in above:
            self._outer.setdefault(name, a.path)

    def _take_group(self, path: str, attributes: dict[Any, Any]) -> None:
        if path in self.groups:
            raise StoreError(f'group "{path}": the path is already that of another group')
        above = _above(path)
        for name in [*above, path]:
            if name in self.by_path:
                self._group_clash(path, name)
        self.groups[path] = attributes
        for name in above:
            self._outer_of_groups.setdefault(name, path)

    @staticmethod
    def _group_clash(group: str, array: str) -> None:
        raise StoreError(f'group "{group}": its path is that of, or lies inside, the array '
                         f'"{array}"')


def _with_inputs(arrays: Sequence["Array"],
                 without: Callable[["Array"], bool] = lambda a: False) -> Iterator["Array"]:
    """Arrays and all that they are computed from, settled, each once, inputs before what needs them. without:
    those that it is true of, and what only they need, are left out."""
    done: set[Any] = set()
    for a in arrays:
        a.inputs  # settles it: cycles and inputs that aren't there are errors of that
    todo = list(reversed(arrays))
    while todo:
        a = todo[-1]
        below = [] if a in done or without(a) else [p.array for p in a.inputs if p.array not in done]
        below = [b for b in below if not without(b)]
        if below:
            todo.extend(below)
            continue
        todo.pop()
        if a not in done and not without(a):
            done.add(a)
            yield a
