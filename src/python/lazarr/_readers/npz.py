"""NumPy's archives of several arrays (.npz): each an array under its name. A member that isn't packed is a map of the
file, which the server reads; a packed one is unpacked once, into memory. No object is ever unpickled."""
from __future__ import annotations

import io
import math
import struct
import zipfile
from typing import Any

import numpy as np

from .._errors import StoreError
from . import trust
from .file import File, why

MAX_HEADER = 1 << 16
#: Bytes in front of a member's own: signature … lengths of its name and of what follows that.
LOCAL_HEADER = 30
ENCRYPTED = 1


def npz(f: File) -> None:
    """::NAME is one array."""
    try:
        with zipfile.ZipFile(f.path) as archive:
            members = {i.filename: i for i in archive.infolist() if not i.is_dir()}
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as e:
        raise StoreError(f"it is no archive of NumPy's that can be read: {e}") from None
    wanted = [n for n in members if not f.inner or f.inner in (n, n[:-len(".npy")])]
    if not wanted:
        raise StoreError(f"there is no '{f.inner}' in it" if f.inner else "it holds no array")
    for name in wanted:
        f.count()
        one = len(wanted) == 1
        try:
            if not name.endswith(".npy"):
                raise StoreError("it is no .npy")
            shape, fortran, dtype, offset = _header(f, members[name])
        except Exception as e:  # a damaged archive, a header that isn't one
            if one:
                raise StoreError(f"'{name}' can't be read: {why(e)}") from None
            f.left_out(name, why(e))
            continue
        load = _opener(f.path, members[name], shape, fortran, dtype, offset)
        called = "" if one and name == "arr_0.npy" else name[:-len(".npy")]
        (f.add if one else f.try_add)(called, load)


def _header(f: File, member: Any) -> tuple[Any, ...]:
    """(shape, whether it is in Fortran's order, dtype, where its values begin in the member)"""
    with zipfile.ZipFile(f.path) as archive, archive.open(member) as file:
        head = io.BytesIO(file.read(MAX_HEADER))
    version = np.lib.format.read_magic(head)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise StoreError(f"version {version} of .npy isn't known")
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(head)
    if dtype.hasobject:
        raise StoreError("arrays of objects are pickles, which could run anything: they aren't read")
    if member.file_size - head.tell() != math.prod(shape) * dtype.itemsize:
        raise StoreError(f"its header says {list(shape)} of {dtype}, and {member.file_size - head.tell()} bytes follow")
    return shape, fortran, dtype, head.tell()


def _opener(path: str, member: Any, shape: tuple[Any, ...], fortran: bool, dtype: np.dtype, offset: int) -> Any:
    order: Any = "F" if fortran else "C"

    def load() -> np.ndarray:
        whole = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
        if whole and member.file_size > offset and not member.flag_bits & ENCRYPTED:
            with open(path, "rb") as file:
                file.seek(member.header_offset)
                head = file.read(LOCAL_HEADER)
            start = member.header_offset + LOCAL_HEADER + sum(struct.unpack("<HH", head[26:30])) + offset
            return np.memmap(path, dtype, "r", start, shape or (1,), order).reshape(shape, order=order)
        trust.block((member.file_size,), 1, trust.MAX_WHOLE)
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            data = file.read(member.file_size)
        return np.frombuffer(data, dtype, offset=offset).reshape(shape, order=order)

    return load
