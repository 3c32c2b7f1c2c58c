"""What the server reads itself: NumPy arrays and memory maps, handed to it once.

One worker, the loader, calls the functions that open sources. Where one gives a NumPy array, its values
go into a memfd; where it gives a memory map, the server is told file, offset and strides. All other
workers are told shape, dtype and chunks of such sources (the *facts*) and don't call the functions,
unless the store's own code slices the array. See include/lazarr/protocol.h.
"""
from __future__ import annotations

import json
import mmap
import os
import sys
from typing import Any, Callable, NamedTuple, Optional, Sequence

import numpy as np

from . import _opened

OPEN, LOADER, FACTS, KEEP, KNOWN, OTHERS = 0, 1, 2, 4, 8, 16  # the flags of CONFIG

FACTS_CAME, DATA_CAME, RENEW_CAME = 12, 13, 15  # messages, as protocol.h numbers them
RENEW_DATA, RENEW_MORE = 1, 2  # flags of RENEW_CAME

#: A store that makes an array of so many bytes while its file runs is told of the function form.
LARGE = 64 << 20

ALIGN = 64           # bytes that each array's place in the memfd is a multiple of
PIECE = 16 << 20     # bytes that are copied at once


class Facts(NamedTuple):
    """A source that another worker has opened: what a store may ask of an array without its values."""

    shape: tuple[Any, ...]
    dtype: np.dtype
    data: Optional[dict[Any, Any]]  # where the server reads it; None: workers do
    chunks: Optional[tuple[Any, ...]] = None
    dims: Optional[tuple[Any, ...]] = None

    def __getitem__(self, key: Any) -> Any:  # an array-like has it; the source opens itself instead
        raise TypeError("the values are the server's")


class Place(NamedTuple):
    """Where an array lies: the "data" of a manifest's level, in the order of the array-like's axes."""

    dtype: str
    offset: int
    strides: tuple[Any, ...]
    file: Optional[str]
    size: int
    mtime_ns: int
    inode: int


def _root(a: np.ndarray) -> Any:
    """The memory map that an array is a view of, or None."""
    while isinstance(a, np.ndarray):
        if isinstance(a, np.memmap) and isinstance(a.base, mmap.mmap):
            return a
        a = a.base  # type: ignore[assignment]
    return None


def _is_mapped(a: np.ndarray) -> bool:
    b: Any = a
    while isinstance(b, np.ndarray):
        b = b.base
    if isinstance(b, memoryview):
        b = b.obj
    return isinstance(b, mmap.mmap)


def _private_bytes(address: int) -> int:
    """Bytes of the mapping around an address that are not the file's any more (copied on write)."""
    inside, total = False, 0
    with open("/proc/self/smaps") as f:
        for line in f:
            word = line.split(None, 1)[0]
            if "-" in word and not word.endswith(":"):
                low, high = (int(v, 16) for v in word.split("-"))
                if inside:
                    break
                inside = low <= address < high
            elif inside and word in ("Anonymous:", "Swap:"):
                total += int(line.split()[1]) * 1024
    return total if inside else 1


def _address(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])


def _file_place(a: np.ndarray) -> Optional[Place]:
    """Where a view of a memory map lies in its file; None where that can't be said for sure."""
    root = _root(a)
    name = getattr(root, "filename", None)
    if name is None:
        return None
    name = os.path.abspath(os.fspath(name))
    try:
        name.encode()
        st = os.stat(name)
        if root.mode == "c" and _private_bytes(_address(root)):
            return None  # it was written to: the file doesn't have that
    except (OSError, UnicodeError):
        return None
    return Place(a.dtype.str, root.offset + _address(a) - _address(root), a.strides, name, st.st_size,
                 st.st_mtime_ns, st.st_ino & (2 ** 63 - 1))


def _served(a: Any) -> bool:
    """Whether the server can read an array-like itself: a NumPy array, nothing that behaves otherwise."""
    return type(a) in (np.ndarray, np.memmap) and a.size > 0 and a.dtype.kind in "biufc" \
        and not a.dtype.hasobject and a.dtype.itemsize <= 16


class Pool:
    """The one memfd for all arrays in memory of a loader; make: the C worker's memfd_create, which not
    every Python has."""

    def __init__(self, make: Callable[[], int]) -> None:
        self.fd, self.size, self._make = -1, 0, make

    def add(self, a: np.ndarray) -> Place:
        """Copies an array's values, in the order in which they lie in memory."""
        if self.fd < 0:
            self.fd = self._make()
        one: Any = (*[slice(0, 1) if s == 0 else slice(None) for s in a.strides], ...)  # of broadcast axes
        once: np.ndarray = a[one]
        order = sorted(range(a.ndim), key=lambda i: -abs(once.strides[i]))
        forward: Any = (*[slice(None, None, -1 if s < 0 else 1) for s in once.strides], ...)
        flipped: np.ndarray = once[forward]
        flat = flipped.transpose(order)
        offset = first = -(-self.size // ALIGN) * ALIGN
        strides, step = [0] * a.ndim, a.dtype.itemsize
        for i in reversed(order):
            sign = -1 if once.strides[i] < 0 else 1
            first += step * (once.shape[i] - 1) if sign < 0 else 0
            strides[i] = 0 if a.strides[i] == 0 else sign * step
            step *= once.shape[i]
        self._write(flat, offset)
        self.size = offset + flat.nbytes
        return Place(a.dtype.str, first, tuple(strides), None, self.size, 0, 0)

    def _write(self, a: np.ndarray, at: int) -> int:
        if a.nbytes > PIECE and not a.flags.c_contiguous:
            if len(a) == 1:
                return self._write(a[0], at)
            step = max(1, len(a) * PIECE // a.nbytes)
            for i in range(0, len(a), step):
                at = self._write(a[i:i + step], at)
            return at
        view = np.ascontiguousarray(a).reshape(-1).view(np.uint8).data
        while len(view):
            n = os.pwrite(self.fd, view, at)
            view, at = view[n:], at + n
        return at

    def cut(self, size: int) -> None:
        """Gives back what was added since the pool had this size."""
        self.size = size
        if self.fd >= 0 and size > 0:
            os.ftruncate(self.fd, size)
        elif self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def take(self) -> tuple[Any, ...]:
        """The descriptor, which is the caller's from now on, and its bytes; or (-1, 0)."""
        return self.fd, self.size


class Handover:
    """The state of one worker while it loads its stores."""

    def __init__(self) -> None:
        self.mode = OPEN
        self.receive: Optional[Callable[[], tuple[Any, ...]]] = None
        self.make: Callable[[], int] = lambda: -1
        #: What the loader knows: of sources by "store/path", of stores that are data files by name.
        self.known: Optional[dict[Any, Any]] = None
        self.pool = Pool(self.make)
        #: What an edition before knew, of what isn't to be opened again; and its arrays in memory.
        self.kept: Optional[dict[Any, Any]] = None
        self._kept_data: Any = None
        self._renewed: set[Any] = set()
        self.end = False  # the loader opened what nobody needs to keep
        self.loaded = False  # another worker, the loader, has loaded: what it knows is on its way
        self._store = ""
        self._pool_before = 0  # bytes of the pool when the store's load began
        self._others: set[Any] = set()  # keys of sources that other stores may have, too

    @property
    def store(self) -> str:
        """The name of the store that is being loaded."""
        return self._store

    @store.setter
    def store(self, name: str) -> None:
        self._store, self._pool_before = name, self.pool.size

    def start(self, mode: int, receive: Optional[Callable[[], tuple[Any, ...]]], make: Callable[[], int]) -> None:
        """receive: waits for a message of the server, (type, descriptor, bytes, flags, text). make: a new
        memfd."""
        keeps, known, mode = mode & KEEP, mode & KNOWN, mode & ~(KEEP | KNOWN | OTHERS)
        self.mode, self.receive, self.make = mode, receive, make
        self.known = {"sources": {}, "described": {}, "stores": {}, "unloaded": {}} if mode == LOADER else None
        self.pool = Pool(make)
        self.loaded = bool(known)
        if keeps:
            self._keep()

    def _wait(self, kind: int) -> tuple[Any, ...]:
        """The next message, which must be of this kind: (descriptor, bytes, flags, text)."""
        assert self.receive is not None
        got, *rest = self.receive()
        if got != kind:
            raise RuntimeError(f"the server said {got}, not {kind}")
        return tuple(rest)

    def _facts(self) -> dict[Any, Any]:
        fd, size, _, _ = self._wait(FACTS_CAME)
        try:
            facts: dict[Any, Any] = json.loads(_read(fd, size))
            return facts
        finally:
            os.close(fd)

    def _keep(self) -> None:
        """Takes what the edition before knew."""
        flags, self._renewed = RENEW_MORE, set()
        while flags & RENEW_MORE:
            _, _, flags, names = self._wait(RENEW_CAME)
            self._renewed.update(os.fsdecode(names).split("\0")[:-1])
        self.kept = self._facts()
        if flags & RENEW_DATA:
            fd, size, _, _ = self._wait(DATA_CAME)
            self._kept_data = mmap.mmap(fd, size, prot=mmap.PROT_READ)
            os.close(fd)

    def _receive(self) -> dict[Any, Any]:
        """What the loader knows; waits for it."""
        if self.known is None:
            self.known = self._facts()
        return self.known

    def ask(self, path: str) -> Optional[tuple[Any, ...]]:
        """(Facts of a source's levels, its Files or None), as the loader opened it. None: it is for this
        worker to open first."""
        key = self._key(path)
        if self.mode == FACTS:
            known = self._receive()["sources"].get(key)
        else:
            known = self.kept["sources"].get(key) if self.kept and key not in self._renewed else None
        if known is None:
            return None
        levels = [Facts(tuple(k["shape"]), np.dtype(k["dtype"]), k["data"],
                        *(None if k[n] is None else tuple(k[n]) for n in ("chunks", "dims")))
                  for k in known["levels"]]
        files = None if known["files"] is None else _opened.Files.from_json(known["files"])
        if self.mode == LOADER:
            levels = [self._again(f) for f in levels]
            self._note(path, levels, files)
        return levels, files

    def _again(self, f: Facts) -> Facts:
        """What the edition before had in memory goes into this one's memory."""
        if f.data is None or f.data["file"] is not None:
            return f
        a: np.ndarray = np.ndarray(f.shape, f.dtype, self._kept_data, f.data["offset"], f.data["strides"])
        return f._replace(data=self.pool.add(a)._asdict())

    def ask_store(self) -> Optional[dict[Any, Any]]:
        """What the loader knows of a store that is a data file: its manifest and its files."""
        if self.mode == FACTS:
            known: Optional[dict[Any, Any]] = self._receive()["stores"].get(self.store)
            return known
        mine = self.store + "/"
        if self.kept is None or any(r.startswith(mine) for r in self._renewed):
            return None
        if any(f["data"] and f["data"]["file"] is None for key, s in self.kept["sources"].items()
               if key.startswith(mine) for f in s["levels"]):
            return None  # its manifest says where in memory they were
        kept: Optional[dict[Any, Any]] = self.kept["stores"].get(self.store)
        return kept

    def keep_store(self, known: dict[Any, Any]) -> None:
        """A store that is a data file which has changed: what the edition before knew of it goes on."""
        if self.mode == LOADER:
            assert self.known is not None and self.kept is not None
            self.known["stores"][self.store] = known
            for key, source in self.kept["sources"].items():
                if key.startswith(self.store + "/"):
                    self.known["sources"][key] = source

    def unloaded(self, name: str, wait: bool = True) -> Optional[str]:
        """What the loader says of a store that it has not loaded: its manifest. wait: until it has loaded all.
        None: it has loaded this one, or isn't waited for."""
        if self.mode != FACTS or not (wait or self.loaded):
            return None
        manifest: Optional[str] = self._receive()["unloaded"].get(name)
        return manifest

    def drop_store(self, name: str, manifest: str) -> None:
        """The store whose load began last has not loaded: what it has opened is given back."""
        self.pool.cut(self._pool_before)
        if self.mode == LOADER:
            assert self.known is not None
            self.known["stores"].pop(name, None)
            self.known["unloaded"][name] = manifest
            for kind in ("sources", "described"):
                for key in [k for k in self.known[kind] if k.startswith(name + "/") and k not in self._others]:
                    del self.known[kind][key]

    def keep_pool(self) -> None:
        """What is known by now stays, whether or not this store loads: others may have it, too."""
        self._pool_before = self.pool.size
        if self.mode == LOADER:
            assert self.known is not None
            self._others.update(k for kind in ("sources", "described") for k in self.known[kind]
                                if k.startswith(self.store + "/"))

    def told(self, path: str) -> Optional[dict[Any, Any]]:
        """What is known of a source of this store."""
        return self.known["sources"].get(self._key(path)) if self.mode == LOADER and self.known else None

    def described(self, path: str) -> Optional[dict[Any, Any]]:
        """What the loader has said of something at this path that is more than a source. None: it is for this
        worker to find out."""
        key = self._key(path)
        if self.mode == FACTS:
            known: Optional[dict[Any, Any]] = self._receive()["described"].get(key)
            return known
        if self.kept is None or any(r == key or r.startswith(key.rstrip("/") + "/") for r in self._renewed):
            return None
        kept: Optional[dict[Any, Any]] = self.kept["described"].get(key)
        if kept is not None:
            self.describe(path, kept)
        return kept

    def describe(self, path: str, what: dict[Any, Any]) -> None:
        """Says to the other workers what is at a path, as JSON has it."""
        if self.mode == LOADER:
            assert self.known is not None
            self.known["described"][self._key(path)] = what

    def share(self, path: str, told: Optional[dict[Any, Any]]) -> None:
        """A source of another store is one of this store, too."""
        if self.mode == LOADER and told is not None:
            assert self.known is not None
            self.known["sources"][self._key(path)] = told

    def tell_store(self, manifest: str, files: Optional["_opened.Files"]) -> None:
        if self.mode == LOADER and files is not None:
            assert self.known is not None
            self.known["stores"][self.store] = {"manifest": manifest, "files": files.to_json()}

    def tell(self, path: str, levels: list[Any], opened: bool,
             files: Optional["_opened.Files"]) -> Optional[list[Any]]:
        """The loader opened a source (opened: by a function): the "data" of each level if the server
        can read all of them, else None. files: what it opened for it."""
        if self.mode != LOADER or not all(_served(a) for a in levels):
            return None
        places = [_file_place(a) for a in levels]
        if any(p is None and _is_mapped(a) for p, a in zip(places, levels)):
            return None  # a map of no known file, or one that was written to: it stays
        places = [p or self.pool.add(a) for p, a in zip(places, levels)]
        self._note(path, [Facts(a.shape, a.dtype, p._asdict()) for p, a in zip(places, levels) if p],
                   files)
        self.end = self.end or opened
        return [p._asdict() for p in places if p is not None]

    def tell_files(self, path: str, levels: list[Any], files: Optional["_opened.Files"]) -> None:
        """The loader opened a source that workers read. levels: Facts."""
        if self.mode == LOADER:
            self._note(path, levels, files)

    def _note(self, path: str, levels: list[Any], files: Optional["_opened.Files"]) -> None:
        assert self.known is not None
        self.known["sources"][self._key(path)] = {
            "levels": [dict(f._asdict(), dtype=f.dtype.str) for f in levels],
            "files": files and files.to_json()}

    def finish(self) -> tuple[Any, ...]:
        """((descriptor, bytes) of the arrays, the same of the facts, whether the worker is done)."""
        facts = Pool(self.make)
        facts.add(np.frombuffer(json.dumps(self.known).encode(), np.uint8))
        pool, self.pool, self.known = self.pool, Pool(self.make), None
        return pool.take(), facts.take(), self.end

    def _key(self, path: str) -> str:
        return f"{self.store}/{path}"


def _read(fd: int, size: int) -> bytes:
    """All of a memfd: one read gives at most 2 GiB."""
    out = bytearray()
    while len(out) < size:
        more = os.pread(fd, size - len(out), len(out))
        if not more:
            raise RuntimeError("what the server gave is shorter than it said")
        out += more
    return bytes(out)


CURRENT = Handover()


def manifest(data: Optional[dict[Any, Any]], transpose: Optional[Sequence[int]]) -> Optional[dict[Any, Any]]:
    """A level's "data" in the manifest: the strides in the order of the served axes."""
    if data is None:
        return None
    def number(v: int) -> Any:
        return v if abs(v) <= 2 ** 53 else str(v)

    strides = list(data["strides"])
    if transpose is not None:
        strides = [strides[i] for i in transpose]
    size = data["size"]
    out = {"dtype": data["dtype"], "offset": number(data["offset"]), "strides": strides,
           "file": data["file"], "bytes": number(size)}
    if data["file"] is not None:
        out.update(mtime_ns=number(data["mtime_ns"]), inode=number(data["inode"]))
    return out


def warn_of_large(file: str, names: dict[Any, Any], arrays: list[Any]) -> None:
    """Says which large arrays a store's file made while it ran: each worker has a copy of them."""
    found = {f'array "{a.path}"': v for a in arrays if a.is_source for v in a.source.held()}
    found.update({f"'{name}'": v for name, v in names.items()
                  if isinstance(v, np.ndarray) and not any(v is w for w in found.values())})
    seen: set[Any] = set()
    for what, a in found.items():
        if a.nbytes >= LARGE and not _is_mapped(a) and _address(a) not in seen:
            seen.add(_address(a))
            print(f"{os.path.basename(file)}: {what}: {a.nbytes >> 20} MiB are made while the file runs, "
                  "so every worker has a copy; decorate a function that returns the array with "
                  "lazarr.source instead", file=sys.stderr)
