"""MRC and CCP4 maps (.mrc, .map …), through mrcfile, which reads the header: the values of a file that isn't
packed are a memory map. Extended headers, which may be of any size, are not read."""
from __future__ import annotations

import bz2
import gzip
import io
import math
import os
from typing import Any

import numpy as np

from .._errors import StoreError
from . import frames, trust, unpack
from .file import File, need, why
from .tiff_places import Said

HEAD = 1024
PACKED = {b"\x1f\x8b": ("gzip", gzip.open), b"BZ": ("bz2", bz2.open)}


def _header(f: File, mrcfile: Any, packed: Any) -> tuple[Any, int]:
    """(the header, where the values begin)"""
    opened: Any = packed[1] if packed else open
    try:
        with opened(f.path, "rb") as file:
            head = bytearray(file.read(HEAD))
        extended = bytes(head[92:96])
        head[92:96] = bytes(4)
        interpreter = mrcfile.mrcinterpreter.MrcInterpreter(
            iostream=io.BytesIO(head), permissive=True, header_only=True)
        header = interpreter.header
        order: Any = "big" if header.nx.dtype.byteorder == ">" else "little"
        interpreter.close()
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None
    n = int.from_bytes(extended, order, signed=True)
    if n < 0:
        raise StoreError(f"its header says that {n} bytes of another follow")
    return header, HEAD + n


def _axes(f: File, header: Any, rank: int) -> str:
    """Which axes the columns, rows and sections are, the slowest first; several volumes are t."""
    named = [int(header[k]) for k in ("maps", "mapr", "mapc")]
    if sorted(named) != [1, 2, 3]:
        if any(named):
            f.left_out("header: mapc, mapr, maps", f"{named[::-1]} are no three axes: they count as x, y, z")
        named = [3, 2, 1]
    letters = "".join(" XYZ"[k] for k in named)
    return ("T" + letters)[-rank:] if rank > 2 else letters[-2:]


def mrc(f: File) -> None:
    mrcfile = need("mrcfile")
    if f.inner:
        raise StoreError(f"an MRC file has nothing inside, got '::{f.inner}'")
    with open(f.path, "rb") as file:
        packed = PACKED.get(file.read(2))
    header, start = _header(f, mrcfile, packed)
    try:
        dtype = np.dtype(mrcfile.utils.data_dtype_from_header(header))
        shape = tuple(int(n) for n in mrcfile.utils.data_shape_from_header(header))
    except Exception as e:
        raise StoreError(f"its header makes no sense: {why(e)}") from None
    if min(shape) < 1:
        raise StoreError(f"its header declares the shape {list(shape)}")
    size = math.prod(shape) * dtype.itemsize

    def load() -> Any:
        if packed:
            trust.block((size,), 1, trust.MAX_WHOLE)
            data = trust.read(f.path, unpack.packed_limit(start + size), os.path.dirname(f.path), True)
            values = unpack.unpack(packed[0], data or b"", start + size, {})
            return np.frombuffer(values, dtype, math.prod(shape), start).reshape(shape)
        have = os.path.getsize(f.path) - start
        if have < size:
            raise StoreError(f"its header declares {size} bytes of values, and {max(0, have)} are there")
        return np.memmap(f.path, dtype, "r", start, shape)

    letters = _axes(f, header, len(shape))
    scale: dict[Any, Any] = {}
    units: dict[Any, Any] = {}
    for a in "xyz":
        if a.upper() in letters and not (a == "z" and int(header.ispg) == 0 and shape[0] > 1):  # a stack of pictures
            length, n = float(header.cella[a]), int(header[f"m{a}"])
            if length:  # 0: nobody said one
                scale[a], units[a] = (length / n if n > 0 else 0.0), "angstrom"
    if scale and "z" in letters.lower() and "z" not in scale:
        scale["z"] = 1.0
    labels = [bytes(v).decode("latin-1").rstrip(" \0") for v in np.atleast_1d(header.label)]
    kept = {"mode": int(header.mode), "ispg": int(header.ispg), "labels": [v for v in labels if v],
            "nstart": [int(header[f"n{a}start"]) for a in "xyz"],
            "exttyp": bytes(header.exttyp).decode("latin-1").strip(" \0")}
    frames.image(f, "", True, letters, shape, dtype, load,
                 Said(scale, units, [], {"mrc": f.attributes("header", kept)}),
                 origin={a: float(header.origin[a]) for a in "xyz"})
