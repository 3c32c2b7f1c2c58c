"""NumPy's own files. No object is ever unpickled."""
from __future__ import annotations

from typing import Optional

import numpy as np

from .._errors import StoreError
from .file import File, why

def _empty(path: str) -> Optional[np.ndarray]:
    """An array without values, which can't be mapped; None: it isn't one."""
    try:
        with open(path, "rb") as file:
            read = np.lib.format.read_array_header_1_0 if np.lib.format.read_magic(file) == (1, 0) else \
                np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        return np.empty(shape, dtype) if 0 in shape and min(shape) == 0 else None
    except Exception:
        return None


def npy(f: File) -> None:
    if f.inner:
        raise StoreError(f"a .npy file has nothing inside, got '::{f.inner}'")

    def load() -> np.ndarray:
        with open(f.path, "rb") as file:
            magic = file.read(6)
        if magic != b"\x93NUMPY":  # np.load would look for a zip or a pickle
            raise StoreError("it can't be read: it doesn't begin as a .npy file does")
        try:
            return np.lib.format.open_memmap(f.path, mode="r")
        except Exception as e:
            if "bjects" in str(e):
                raise StoreError("Object arrays are pickles, which could run anything: they aren't "
                                 "read") from None
            empty = _empty(f.path)
            if empty is not None:
                return empty
            raise StoreError(f"it can't be read: {why(e)}") from None

    f.add("", load)
