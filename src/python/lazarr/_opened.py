"""The data files of sources that workers read themselves: which they are, and whether they are what they
were when the loader opened them.

Files are found by what Python opens meanwhile (an audit hook), by the descriptors that are there after
it, and by asking the array-likes of libraries that open files in C (h5py, zarr, tensorstore, nibabel).
An array that is a folder of files (Zarr, N5) is known by a list of them.

A file is what it was as long as its size, mtime and inode are. Where its ctime alone is another, a digest
of its content decides (see `_digest`).
"""
from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
import time
from typing import Any, Iterator, NamedTuple, Optional
from urllib.parse import unquote, urlparse

from . import _code
from ._errors import StoreError

#: Files of a folder that are listed; of more only what is read after it is looked at.
MOST_LISTED = 4096
#: Bytes of content that are read whole for one loader; then files are sampled.
MOST_READ = 1 << 30
#: Files that are looked at at every block; others where they are opened for it.
MOST_NEAR = 256

RELOAD = "reload (SIGHUP, or POST /api/reload) or restart lazarr to serve it as it is"

_SYSTEM = ("/proc/", "/sys/", "/dev/", "/usr/", "/etc/", "/lib/", "/lib64/")
_OWN = os.path.dirname(os.path.abspath(__file__)) + "/"  # lazarr's own modules, which are imported when needed
_CODE = "__pycache__"
_METADATA = (".zarray", "zarr.json", "attributes.json")


def now_ns() -> int:
    """The clock that files' times are taken from (Linux's CLOCK_REALTIME_COARSE). Nothing waits by it."""
    return time.clock_gettime_ns(5)


class Identity(NamedTuple):
    """What a file was; digest: None for one of whose content nothing is known."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: Optional[str]
    pieces: int


def _digest(path: str, pieces: int, length: int) -> Optional[str]:
    """Digest of a file's content (`_code.digest_of`): whole where pieces is 0 or the file isn't larger than
    they are. None: it can't be read."""
    try:
        return _code.digest_of(path, pieces, length, pieces * length)
    except OSError:
        return None


def _pieces(size: int, left: int) -> tuple[Any, ...]:
    """(pieces, bytes of each) that stand for a file of so many bytes."""
    if left <= 0:
        return 16, 4 << 10
    return (0, 0) if size <= _code.WHOLE else (_code.PIECES, _code.PIECE)


class Looker:
    """Makes identities, and bounds what is read for them."""

    def __init__(self) -> None:
        self.left = MOST_READ

    def identity(self, path: str, content: bool = True) -> Optional[Identity]:
        """None: it isn't there, or is no file."""
        try:
            st = os.stat(path)
            if not stat.S_ISREG(st.st_mode):
                return None
            digest, pieces, length = None, 0, 0
            if content:
                pieces, length = _pieces(st.st_size, self.left)
                digest = _digest(path, pieces, length)
                self.left -= min(st.st_size, pieces * length or st.st_size)
                after = os.stat(path)
                if (after.st_ctime_ns, after.st_size) != (st.st_ctime_ns, st.st_size):
                    digest = None  # it is being written
            return Identity(st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, digest, pieces)
        except OSError:
            return None


LOOKER = Looker()


# ------------------------------------------------------------------------------- what is opened

class Recorder:
    """Paths that Python opens for reading while somebody wants to know, on any thread."""

    def __init__(self) -> None:
        self._wanted: list[Any] = []  # sets
        self._installed = False

    def install(self) -> None:
        """Once a process: audit hooks stay."""
        if not self._installed:
            self._installed = True
            sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and self._wanted:
            path, mode, flags = args
            if isinstance(path, (str, bytes)) and not (isinstance(flags, int) and flags & os.O_ACCMODE):
                path = os.fsdecode(path)
                for wanted in self._wanted:
                    wanted.add(path)

    def begin(self) -> set[Any]:
        """A set that is added to until `end`."""
        self.install()
        opened: set[Any] = set()
        self._wanted = self._wanted + [opened]
        return opened

    def end(self, opened: set[Any]) -> None:
        self._wanted = [w for w in self._wanted if w is not opened]


RECORDER = Recorder()


def _descriptors() -> set[Any]:
    """The files that are open now and may be read: a log isn't."""
    found: set[Any] = set()
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for name in names:
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
            if fcntl.fcntl(int(name), fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                continue
        except OSError:
            continue
        if path.startswith("/"):
            found.add(path)
    return found


class watch:
    """What is opened meanwhile, and what is open afterwards that wasn't before. A folder that somebody tried to
    open as a file is none of it: who looks for plug-ins tries all of sys.path. (A class for the reason that
    `_cancel.shield` is one.)"""

    def __enter__(self) -> set[Any]:
        self._before = _descriptors()
        self._opened = RECORDER.begin()
        return self._opened

    def __exit__(self, kind: Any, *exception: object) -> None:
        RECORDER.end(self._opened)
        if kind is None:
            self._opened -= {p for p in self._opened if not p or os.path.isdir(p)}
            self._opened |= _descriptors() - self._before


def _is_data(path: str) -> bool:
    """Whether a file, or folder, is an author's and no code: Python itself rewrites what lies in a __pycache__."""
    return path.startswith("/") and not path.startswith(_SYSTEM) and not f"{path}/".startswith(_OWN) \
        and not path.endswith((".py", ".pyc", ".so", ".pth")) and f"/{_CODE}/" not in f"{path}/" \
        and "/.config/" not in path and "/.cache/" not in path and _code.RECORD.is_local(path)


def _local_path(text: Any) -> Optional[str]:
    """A path or file URL of this machine, absolute; None for anything else."""
    if isinstance(text, os.PathLike):
        text = os.fspath(text)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if not isinstance(text, str) or not text:
        return None
    if "://" in text:
        url = urlparse(text)
        if url.scheme != "file":
            return None
        text = unquote(url.path)
    return os.path.abspath(str(text))


def _of_h5py(a: Any) -> Iterator[str]:
    yield a.file.filename
    folder = os.path.dirname(os.path.abspath(os.fsdecode(a.file.filename)))
    for name, *_ in getattr(a, "external", None) or ():
        yield os.path.join(folder, os.fsdecode(name))
    if getattr(a, "is_virtual", False):
        for source in a.virtual_sources():
            if source.file_name != ".":
                yield os.path.join(folder, source.file_name)


def _of_zarr(a: Any) -> Iterator[str]:
    for name in ("store", "chunk_store"):
        store = getattr(a, name, None)
        for _ in range(4):  # consolidated and caching stores hold another
            root = getattr(store, "root", None)
            if not isinstance(root, (str, os.PathLike)):
                root = getattr(store, "path", None)
            if not isinstance(root, (str, os.PathLike)):
                root = getattr(store, "dir_path", lambda: None)() if hasattr(store, "dir_path") else None
            path = _local_path(root)
            if path is not None:
                inner = getattr(a, "path", "")
                yield os.path.join(path, inner) if os.path.isdir(path) and isinstance(inner, str) else path
                break
            inside = next((getattr(store, k) for k in ("_store", "store", "meta_store")
                           if getattr(store, k, None) is not None), None)
            if inside is None:
                break
            store = inside


def _of_tensorstore(a: Any) -> Iterator[str]:
    store = a.spec().to_json().get("kvstore", {})
    if isinstance(store, str):
        yield store
    elif store.get("driver") == "file":
        yield store.get("path", "")


def said(a: Any) -> set[Any]:
    """The files and folders that an array-like says it is in."""
    found: set[Any] = set(getattr(a, "opened_files", None) or ())
    module = type(a).__module__.split(".")[0]
    ways = {"h5py": _of_h5py, "zarr": _of_zarr, "tensorstore": _of_tensorstore}
    try:
        if module in ways:
            found.update(_local_path(p) for p in ways[module](a))
        for name in ("filename", "file_like", "folder"):  # memory maps, nibabel, N5 here
            found.add(_local_path(getattr(a, name, None)))
    except Exception:  # an array-like of another version of its library
        pass
    return {p for p in found if p}


# -------------------------------------------------------------------------------- what they were

def _folder_of_array(path: str) -> Optional[str]:
    """The folder that is one array, of whose metadata this is the file."""
    name = os.path.basename(path)
    if name not in _METADATA:
        return None
    try:
        with open(path, "rb") as f:
            doc = json.load(f)
        if name == ".zarray" or doc.get("node_type") == "array" or "dimensions" in doc:
            return os.path.dirname(path)
    except (OSError, ValueError, AttributeError):
        pass
    return None


class Files:
    """The files of one source. Made by the loader, given to the other workers as JSON."""

    def __init__(self) -> None:
        self.opened_ns = now_ns()
        self.near: dict[Any, Any] = {}     # identities of files that are looked at every time, by path
        self.far: dict[Any, Any] = {}      # of files in the folders
        self.folders: dict[Any, Any] = {}  # ctime_ns of folders, by path
        self.roots: list[Any] = []    # what is opened below these folders belongs to it
        self.beside: list[Any] = []   # (folder, suffix): and so do files of this name in this one

    @classmethod
    def of(cls, started_ns: int, opened: set[Any], arrays: list[Any]) -> Optional["Files"]:
        """What was opened while a source was; None: nothing."""
        self = cls()
        self.opened_ns = started_ns
        told = set().union(*(said(a) for a in arrays)) if arrays else set()
        paths = {os.path.abspath(p) for p in opened}
        for p in sorted({p for p in paths if _is_data(p)} | told):
            folder = p if os.path.isdir(p) else _folder_of_array(p)
            if folder is not None and folder not in self.roots:
                self.roots.append(folder)
                self._list(folder)
            if not os.path.isdir(p):
                one = LOOKER.identity(p)
                if one is None or len(self.far) >= MOST_LISTED:
                    continue
                (self.near if len(self.near) < MOST_NEAR else self.far)[p] = one
                place = [os.path.dirname(p), os.path.splitext(p)[1]]
                if place not in self.beside:
                    self.beside.append(place)
        return self if self.near or self.roots else None

    def _list(self, root: str) -> None:
        """All files of a folder, if they aren't too many."""
        files, folders, todo = [], [root], [root]
        while todo:
            try:
                with os.scandir(todo.pop()) as found:
                    for e in found:
                        if e.name == _CODE:
                            continue
                        if e.is_dir():
                            todo.append(e.path)
                            folders.append(e.path)
                        elif e.is_file():
                            files.append(e.path)
            except OSError:
                continue
            if len(files) + len(folders) > MOST_LISTED:
                return
        for p in folders:
            self.folders[p] = _ctime(p)
        for p in files:
            one = LOOKER.identity(p)
            if one is not None:
                (self.near if os.path.basename(p) in _METADATA else self.far)[p] = one

    def to_json(self) -> dict[Any, Any]:
        return {"opened_ns": self.opened_ns, "near": self.near, "far": self.far,
                "folders": self.folders, "roots": self.roots, "beside": self.beside}

    @classmethod
    def from_json(cls, doc: dict[Any, Any]) -> "Files":
        self = cls()
        for name in ("opened_ns", "folders", "roots", "beside"):
            setattr(self, name, doc[name])
        for name in ("near", "far"):
            setattr(self, name, {p: Identity(*v) for p, v in doc[name].items()})
        return self

    def changed(self, opened: Any = ()) -> Optional[str]:
        """What has changed, in words, or None. opened: paths that were opened since it was asked last."""
        for known in (self.near, self.far if len(self.far) < MOST_NEAR else {}):
            for p in known:
                why = self._differs(known, p)
                if why:
                    return why
        for p in self.folders:
            ctime = _ctime(p)
            if ctime != self.folders[p]:
                why = next(filter(None, (self._differs(self.far, q) for q in list(self.far)
                                         if os.path.dirname(q) == p)), None)
                if why or ctime is None:
                    return why or f"'{p}' can't be opened any more"
                self.folders[p] = ctime
        for p in {os.path.abspath(p) for p in opened if p}:
            why = self._differs(self.far, p) if p in self.far else self._is_new(p)
            if why:
                return why
        return None

    def check(self, opened: Any = ()) -> None:
        """Raises StoreError if anything has changed."""
        why = self.changed(opened)
        if why:
            raise StoreError(f"{why}: {RELOAD}")

    @staticmethod
    def _differs(known: dict[Any, Any], path: str) -> Optional[str]:
        was: Identity = known[path]
        try:
            st = os.stat(path)
        except OSError as e:
            return f"'{path}' can't be opened any more ({e.strerror})"
        if (st.st_size, st.st_mtime_ns, st.st_ino) != (was.size, was.mtime_ns, was.inode):
            return f"'{path}' has changed since it was opened"
        if st.st_ctime_ns == was.ctime_ns:
            return None
        length = 0 if not was.pieces else _code.PIECE if was.pieces == _code.PIECES else 4 << 10
        if was.digest is None or _digest(path, was.pieces, length) != was.digest:
            return f"'{path}' has changed since it was opened"
        known[path] = was._replace(ctime_ns=st.st_ctime_ns)
        return None

    def _is_new(self, path: str) -> Optional[str]:
        """Of a file that wasn't known at opening and belongs to it all the same."""
        root = next((r for r in self.roots if path.startswith(r.rstrip("/") + "/")), None)
        if path in self.near or not _is_data(path) or \
                root is None and [os.path.dirname(path), os.path.splitext(path)[1]] not in self.beside:
            return None
        try:
            st = os.stat(path)
        except OSError:
            return self._is_missed(path)
        if stat.S_ISREG(st.st_mode) and st.st_ctime_ns > self.opened_ns and st.st_mtime_ns > self.opened_ns:
            return f"'{root or os.path.dirname(path)}' has changed since it was opened ('{path}' is newer)"
        return None

    def _is_missed(self, path: str) -> Optional[str]:
        """Of a file that isn't there, and may have been: its folder tells, unless its files are listed."""
        folder = os.path.dirname(path)
        while folder != "/" and not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        if folder in self.folders or not os.path.isdir(folder):
            return None
        st = os.stat(folder)
        if st.st_ctime_ns > self.opened_ns and st.st_mtime_ns > self.opened_ns:
            return f"'{folder}' has changed since it was opened ('{path}' isn't there)"
        return None


def _ctime(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return None
