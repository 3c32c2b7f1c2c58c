"""NRRD (.nrrd, .nhdr), through pynrrd, which reads the header: values that are raw are a memory map, also in a file
of their own."""
from __future__ import annotations

import math
import os
from typing import Any, Optional

import numpy as np

from .._errors import StoreError
from . import frames, places, trust, unpack
from .file import File, need, why
from .tiff_places import Said

MAX_HEADER = 1 << 20
TYPES = {"i1": "signed char, int8, int8_t", "u1": "uchar, unsigned char, uint8, uint8_t",
         "i2": "short, short int, signed short, signed short int, int16, int16_t",
         "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
         "i4": "int, signed int, int32, int32_t", "u4": "uint, unsigned int, uint32, uint32_t",
         "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
         "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t", "f4": "float", "f8": "double"}
DTYPES = {name: code for code, names in TYPES.items() for name in names.split(", ")}
PACKED = {"gzip": "gzip", "gz": "gzip", "bzip2": "bz2", "bz2": "bz2"}
#: Fields that become something of the image.
OWN = {"type", "dimension", "sizes", "endian", "encoding", "data file", "datafile", "line skip", "lineskip",
       "byte skip", "byteskip", "content"}


def _header(f: File, nrrd: Any) -> tuple[dict[Any, Any], int]:
    """(its fields, where it ends)"""
    with open(f.path, "rb") as file:
        lines: list[bytes] = []
        while sum(map(len, lines[-1:])) or not lines:
            line = file.readline(MAX_HEADER)
            lines.append(line)
            if not line.strip(b"\r\n") or file.tell() > MAX_HEADER:
                break
        end = file.tell()
    if not lines[0].startswith(b"NRRD"):
        raise StoreError("it can't be read: it doesn't begin as an NRRD file does")
    if end > MAX_HEADER:
        raise StoreError(f"its header has more than {MAX_HEADER} bytes")
    made: dict[Any, Any] = {}
    for line in lines[1:]:
        name = line.partition(b":")[0].strip().decode("ascii", "ignore")
        try:
            own = nrrd.read_header([lines[0], line, b""])
            if set(own) & set(made):
                raise StoreError("it is there twice: the first one counts")
            made.update(own)
        except Exception as e:
            if name in OWN:
                raise StoreError(f"its header can't be read: {name}: {why(e)}") from None
            f.left_out(f"header: {name:.100}", why(e))
    return made, end


class Values:
    """Where the values of a header are; StoreError says what makes no sense."""

    def __init__(self, f: File, header: dict[Any, Any], end: int):
        get = header.get
        code = DTYPES.get(str(get("type")).lower())
        if code is None:
            raise StoreError(f"its type {get('type')!r:.100} is none")
        endian = str(get("endian", "little")).lower()
        self.dtype = np.dtype(code).newbyteorder(">" if endian == "big" else "<")
        sizes = [int(n) for n in np.atleast_1d(get("sizes", []))]
        if not sizes or min(sizes) < 1:
            raise StoreError(f"its sizes {sizes} are none")
        self.shape = tuple(sizes[::-1])
        self.size = math.prod(sizes) * self.dtype.itemsize
        self.encoding = str(get("encoding")).lower()
        if self.encoding not in ("raw", "ascii", "txt", "text", *PACKED):
            raise StoreError(f"its encoding {self.encoding!r:.100} isn't read")
        self.lines = int(get("line skip", get("lineskip", 0)))
        self.skip = int(get("byte skip", get("byteskip", 0)))
        named = get("data file", get("datafile"))
        self.path, self.start = f.path, end
        if named is not None:
            name = str(named)
            if name.split()[:1] == ["LIST"] or "%" in name:
                raise StoreError("its values lie in several files, which isn't read")
            self.path, self.start = trust.other_file(os.path.join(os.path.dirname(f.path), name), f.path, f.follow), 0
        self.root = os.path.dirname(self.path)

    def load(self) -> Any:
        if self.lines:
            with open(self.path, "rb") as file:
                file.seek(self.start)
                for _ in range(min(self.lines, 1 << 20)):
                    file.readline()
                self.start, self.lines = file.tell(), 0
        have = os.path.getsize(self.path)
        if self.encoding == "raw":
            start = have - self.size if self.skip == -1 else self.start + self.skip
            if self.skip < -1 or start < 0 or start + self.size > have:
                raise StoreError(f"its header declares {self.size} bytes of values, and {max(0, have - self.start)} "
                                 "are there")
            return np.memmap(self.path, self.dtype, "r", start, self.shape)
        trust.block((self.size,), 1, trust.MAX_WHOLE)
        if self.encoding not in PACKED:
            data = trust.read(self.path, 64 * self.size + 4096, self.root, True, self.start) or b""
            return np.array(data.split(), self.dtype.newbyteorder("=")).reshape(self.shape)
        whole = self.size + max(0, self.skip)
        data = trust.read(self.path, unpack.packed_limit(whole), self.root, True, self.start) or b""
        values = unpack.unpack(PACKED[self.encoding], data, whole, {})
        start = len(values) - self.size if self.skip == -1 else self.skip
        return np.frombuffer(values, self.dtype, math.prod(self.shape), start).reshape(self.shape)


def _letters(header: dict[Any, Any], rank: int) -> list[Any]:
    """A letter for each axis, the fastest first."""
    kinds = header.get("kinds")
    rows = header.get("space directions")
    kinds = [str(k).lower() for k in kinds] if isinstance(kinds, (list, tuple)) and len(kinds) == rank else None
    if kinds is None and rows is not None and len(rows) == rank:
        kinds = ["space" if _norm(row) is not None else "list" for row in rows]
    if kinds is None or all(k in ("none", "???") for k in kinds):
        kinds = ["space"] * min(rank, 3) + ["time"] + ["other"] * rank
    free, out = list("zyx"), []
    for kind in kinds[:rank]:
        if kind in ("space", "domain"):
            out.append(free.pop().upper() if free else "?")
        else:
            out.append("T" if kind == "time" else "S" if kind == "rgb-color" else "C")
    return out


def _norm(row: Any) -> Optional[float]:
    """The length of a direction; None: there is none."""
    if row is None or not np.all(np.isfinite(np.asarray(row, float))):
        return None
    return float(np.linalg.norm(np.asarray(row, float)))


def _origin(header: dict[Any, Any], letters: list[Any]) -> dict[Any, Any]:
    """The place of voxel 0, where the axes stand as those of the space do."""
    origin, rows = header.get("space origin"), header.get("space directions")
    if origin is None or rows is None or len(rows) != len(letters):
        return {}
    spatial = [(a, np.asarray(row, float)) for a, row in zip(letters, rows) if a in "XYZ" and row is not None]
    for k, (_, row) in enumerate(spatial):
        if len(row) != len(origin) or k >= len(row) or not row[k] > 0 or np.count_nonzero(row) != 1:
            return {}
    return {a.lower(): origin[k] for k, (a, _) in enumerate(spatial)}


def nrrd(f: File) -> None:
    library = need("nrrd")
    if f.inner:
        raise StoreError(f"an NRRD file has nothing inside, got '::{f.inner}'")
    header, end = _header(f, library)
    values = Values(f, header, end)
    rank = len(values.shape)
    letters = _letters(header, rank)
    rows, spacings = header.get("space directions"), header.get("spacings")
    sizes: list[Any] = [None] * rank
    if rows is not None and len(rows) == rank:
        sizes = [_norm(row) for row in rows]
    elif spacings is not None and len(spacings) == rank:
        sizes = [places.number(v) for v in spacings]  # NaN: that axis has none
    scale = {a.lower(): s for a, s in zip(letters, sizes) if s is not None}
    own, space = header.get("units"), header.get("space units")
    units: dict[Any, Any] = {}
    if space is not None:
        units = dict(zip((a.lower() for a in letters if a in "XYZ"), space))
    if own is not None and len(own) == rank:
        units.update({a.lower(): u for a, u in zip(letters, own) if a in "TXYZ" and u})
    kept = f.attributes("header", {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in header.items()
                                   if k not in OWN})
    frames.image(f, "", True, "".join(reversed(letters)), values.shape, values.dtype, values.load,
                 Said(scale, units, [], {"nrrd": kept}), origin=_origin(header, letters))
