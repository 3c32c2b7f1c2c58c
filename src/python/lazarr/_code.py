"""Which code a worker runs: the stores' files and all local modules, each with a digest of what was
executed, for the server to compare with what the edition's other workers ran.

Local is what an author edits: everything but the Python's own library, its site-packages and lazarr
itself. A file is noted when it is loaded, from the very bytes that are compiled; for an extension module
or another shared library the file is read beside it. Of a module is also noted which of the files that
can be it was taken (`brain.py`, `brain/__init__.py`, `brain.so`): a package that comes to lie beside it
goes before it, and no file that was loaded has changed then.
"""
from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.util
import os
import site
import sys
import sysconfig
from typing import Any, Callable, Optional

from . import _unasked

_HERE = os.path.dirname(os.path.abspath(__file__))

#: Bytecode that was written so soon after its source may be of an older text of it.
TICK_NS = 20_000_000

#: Bytes of a message's text, as protocol.h has it.
MOST = 30_000

WHOLE, PIECE, PIECES = 64 << 20, 64 << 10, 256


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def digest_of(path: str, pieces: int = PIECES, length: int = PIECE, whole: int = WHOLE) -> str:
    """Digest of a file's content: of all of it up to `whole` bytes, else of its size and of so many pieces
    of `length` bytes at equal distances, the first and the last bytes among them. pieces: 0 for all of
    it, however large. Raises OSError."""
    h = hashlib.blake2b(digest_size=16)
    with open(path, "rb", buffering=0) as f:
        size = os.fstat(f.fileno()).st_size
        h.update(size.to_bytes(8, "little"))
        if pieces == 0 or size <= whole:
            while True:
                piece = f.read(1 << 20)
                if not piece:
                    break
                h.update(piece)
        else:
            for i in range(pieces):
                h.update(os.pread(f.fileno(), length, (size - length) * i // (pieces - 1)))
    return h.hexdigest()


def digest_or_gone(path: str) -> str:
    try:
        return digest_of(path)
    except OSError:
        return "gone"


def _libraries() -> list[Any]:
    """Folders of what isn't local."""
    found = {_HERE}
    found.update(sysconfig.get_paths().get(k, "") for k in ("stdlib", "platstdlib", "purelib", "platlib"))
    ways: tuple[Callable[[], list[str]], ...] = (site.getsitepackages, lambda: [site.getusersitepackages()])
    for more in ways:
        try:
            found.update(more())
        except Exception:  # a Python without a home, or an own site module
            pass
    return [os.path.abspath(p) for p in found if p]


def _place(path: str) -> tuple[str, str]:
    """Where a module's file lies, as a name that no file has ("/lab/./brain", of "/lab/brain.py" and of
    "/lab/brain/__init__.py"), and what follows it there. ("", "") where no import would find it."""
    folder, name = os.path.split(path)
    suffix = max((s for s in importlib.machinery.all_suffixes() if name.endswith(s)), key=len, default="")
    way = name = name[:len(name) - len(suffix)]
    if name == "__init__":
        folder, name = os.path.split(folder)
    return (f"{folder.rstrip('/')}/./{name}", ("/" if way == "__init__" else "") + suffix) if suffix and name else ("", "")


class Record:
    """What this process has loaded of local code."""

    def __init__(self) -> None:
        self.files: dict[Any, Any] = {}  # digests by path
        self._fresh: list[Any] = []
        self._folders: list[Any] = []  # of stores: what is in them is local wherever they are
        self._apart = _libraries()
        #: Of shared libraries also what the system has.
        self._apart_shared = self._apart + [sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64",
                                            "/nix/store", "/gnu/store"]
        self._nmodules = 0
        self._adds = -1
        #: libraries(n): (how many were ever loaded, their paths), or n where that is the number still.
        self.libraries: Optional[Callable[[int], Any]] = None

    def add_folder(self, folder: str) -> None:
        if folder not in self._folders:
            self._folders.append(folder)

    def is_local(self, path: str, shared: bool = False) -> bool:
        """Whether a file belongs to what an author edits."""
        path = os.path.abspath(path)
        apart = self._apart_shared if shared else self._apart
        own, other = (max([len(f) for f in folders if path.startswith(f.rstrip("/") + "/")], default=0)
                      for folders in (self._folders, apart))
        other = max(other, *(path.rfind(f"/{name}/") for name in ("site-packages", "dist-packages")))
        if own or other:
            return own > other
        real = os.path.realpath(path)
        return not any(real.startswith(f.rstrip("/") + "/") for f in apart)

    def note(self, path: str, what: str) -> None:
        """A file was loaded; what: its digest."""
        path = path if "/./" in path else os.path.abspath(path)
        if self.files.get(path) != what:
            self.files[path] = what
            self._fresh.append((path, what))

    def note_module(self, path: str, what: str) -> None:
        """A module was loaded from this file. Where another file of its place was already loaded here
        (both were named), the first one counts."""
        self.note(path, what)
        place, way = _place(os.path.abspath(path))
        if place and place not in self.files:
            self.note(place, digest(way.encode()))

    def note_file(self, path: str) -> None:
        self.note(path, digest_or_gone(path))

    def look(self) -> None:
        """Notes what came in by other ways than those that `install` watches."""
        if len(sys.modules) != self._nmodules:
            modules = list(sys.modules.values())
            self._nmodules = len(modules)
            for m in modules:
                held = _unasked.names(m)
                path = getattr(held.get("__spec__"), "origin", None)
                archive = getattr(held.get("__loader__"), "archive", None)
                path = archive if isinstance(archive, str) else path
                if isinstance(path, str) and path.startswith("/") and os.path.abspath(path) not in self.files \
                        and self.is_local(path):
                    self.note_file(path)
        if self.libraries is not None:
            answer = self.libraries(self._adds)
            if isinstance(answer, tuple):
                self._adds, paths = answer
                self._look_at_libraries(paths)

    def _look_at_libraries(self, paths: list[Any]) -> None:
        new = [p for p in paths if p.startswith("/") and p not in self.files and self.is_local(p, True)]
        if not new:
            return
        inodes = {}
        with open("/proc/self/maps", errors="surrogateescape") as f:
            for line in f:
                words = line.rstrip("\n").split(None, 5)
                if len(words) == 6:
                    inodes[words[5]] = words[4]
        for p in new:
            self.note_file(p)
            try:
                mapped = inodes.get(os.path.realpath(p))
                if mapped is None or int(mapped) != os.stat(p).st_ino:
                    self.note(p, f"replaced {os.getpid()}")  # the one that was loaded is there no more
            except OSError:
                pass

    def take(self) -> Optional[list[Any]]:
        """What is new since the last call, as messages of "path\\0digest\\0"; None: nothing."""
        self.look()
        if not self._fresh:
            return None
        out, part = [], b""
        for path, what in self._fresh:
            one = os.fsencode(path) + b"\0" + what.encode() + b"\0"
            if len(part) + len(one) > MOST and part:
                out.append(part)
                part = b""
            part += one
        out.append(part)
        self._fresh = []
        return out


RECORD = Record()


def _bytecode_is_right(path: str) -> bool:
    """Whether what is cached of a source can't be of another text with the same size and mtime: it was
    written after the source's last change of any kind."""
    try:
        cached = os.stat(importlib.util.cache_from_source(path))
    except (OSError, NotImplementedError):
        return True  # there is none: it is compiled
    try:
        return os.stat(path).st_ctime_ns + TICK_NS < cached.st_mtime_ns
    except OSError:
        return False


def _source_code(original: Callable[..., Any], loader: Any, name: str) -> Any:
    path = loader.get_filename(name)
    if not RECORD.is_local(path):
        return original(loader, name)
    content = loader.get_data(path)
    for _ in range(3):
        if not _bytecode_is_right(path):
            break
        code = original(loader, name)
        before, content = content, loader.get_data(path)
        if before == content:
            RECORD.note_module(path, digest(content))
            return code
    RECORD.note_module(path, digest(content))
    return loader.source_to_code(content, path)


def _bytecode(original: Callable[..., Any], loader: Any, name: str) -> Any:
    path = loader.get_filename(name)
    code = original(loader, name)
    if RECORD.is_local(path):
        RECORD.note_module(path, digest_or_gone(path))
    return code


def _extension(original: Callable[..., Any], loader: Any, spec: Any) -> Any:
    path = spec.origin
    if not isinstance(path, str) or not RECORD.is_local(path):
        return original(loader, spec)
    before = digest_of(path)
    made = original(loader, spec)
    try:
        after = digest_of(path)
    except OSError:
        after = "gone"
    RECORD.note_module(path, before if before == after else f"replaced {os.getpid()}")
    return made


def install() -> None:
    """From now on every local module that is imported is noted. Once a process."""
    for cls, name, mine in ((importlib.machinery.SourceFileLoader, "get_code", _source_code),
                            (importlib.machinery.SourcelessFileLoader, "get_code", _bytecode),
                            (importlib.machinery.ExtensionFileLoader, "create_module", _extension)):
        original: Any = getattr(cls, name)

        def wrapper(loader: Any, what: Any, mine: Any = mine, original: Any = original) -> Any:
            return mine(original, loader, what)

        setattr(cls, name, functools.wraps(original)(wrapper))
