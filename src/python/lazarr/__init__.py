"""lazarr: write a function of one block, and have it served as a Zarr array.

>>> import lazarr
>>> @lazarr.array(shape=(1000, 1000), chunks=100, dtype="uint16")
... def ramp(block):
...     y, x = block.coords()
...     return y + x
>>> ramp[3, 4]
7

``lazarr serve store.py`` serves all arrays that a file defines.
"""
from __future__ import annotations

from ._array import Array, array, group, source
from ._block import Block
from ._codecs import Blosc, Gzip, Lz4, Zstd
from ._errors import Cancelled, CastError, StoreError

__version__ = "0.1.0"
__all__ = ["Array", "Block", "Blosc", "Cancelled", "CastError", "Gzip", "Lz4", "StoreError", "Zstd",
           "array", "group", "source"]
