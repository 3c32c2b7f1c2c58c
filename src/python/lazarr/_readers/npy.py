"""NumPy's own files. No object is ever unpickled."""
from __future__ import annotations

import os

import numpy as np

from .._errors import StoreError
from .file import File, why

EMPTY = 1 << 16  # bytes of a file that an array without values fits in


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
            if os.path.getsize(f.path) < EMPTY:  # an empty array can't be mapped
                try:
                    return np.load(f.path, allow_pickle=False)
                except Exception:
                    pass
            raise StoreError(f"it can't be read: {why(e)}") from None

    f.add("", load)
