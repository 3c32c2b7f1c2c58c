"""lazarr: write a function of one block, and have it served as a Zarr array.

>>> import lazarr
>>> @lazarr.array(shape=(1000, 1000), chunks=100, dtype="uint16")
... def ramp(block):
...     y, x = block.coords()
...     return y + x
>>> int(ramp[3, 4])
7

``lazarr serve store.py`` serves all arrays that a file defines.
"""
from __future__ import annotations

from ._array import Array, ArrayLevel, array, clear, group
from ._block import Block
from ._codecs import Blosc, Gzip, Lz4, Zstd
from ._dataset import Dataset, dataset
from ._errors import Cancelled, CastError, StoreError
from ._files import open_file as open
from ._inputs import Input
from ._rechunk import rechunk
from ._source import source

__version__ = "0.1.0"
__all__ = ["Array", "ArrayLevel", "Block", "Blosc", "Cancelled", "CastError", "Dataset", "Gzip", "Input", "Lz4",
           "StoreError", "Zstd", "array", "clear", "dataset", "group", "open", "rechunk", "source"]
