"""DICOM, a file or a folder that is a series of them, through pydicom: headers at the start, a frame's values when a
block of it is read. Values are those that the file means (rescale slope and intercept applied)."""
from __future__ import annotations

import importlib
import os
import stat
from typing import Any, Optional

import numpy as np

from .._errors import StoreError, whose_python
from . import dicom_places, frames, trust
from .dicom_places import Slice
from .file import File, need, why
from .tiff_codecs import jpeg2000_size, jpeg_size
from .tiff_places import Said

MAX_FILES = 50000
PLAIN = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
PIXEL_DATA = b"\xe0\x7f\x10\x00"
RLE = "1.2.840.10008.1.2.5"
#: Compressed transfer syntaxes whose frames are pictures that say their size in a head.
PICTURES = {**{f"1.2.840.10008.1.2.4.{n}": jpeg_size for n in (50, 51, 57, 70, 80, 81)},
            **{f"1.2.840.10008.1.2.4.{n}": jpeg2000_size for n in (90, 91, 201, 202, 203)}}
KEPT = ("Modality", "SeriesDescription", "StudyDescription", "PhotometricInterpretation", "RescaleType", "Units",
        "WindowCenter", "WindowWidth", "BodyPartExamined", "Manufacturer", "ManufacturerModelName", "SeriesNumber")


def dicom(f: File) -> None:
    pydicom = need("pydicom")
    if not os.path.isdir(f.path):
        try:
            found = [_slice(pydicom, f.path)]
        except StoreError:
            raise
        except Exception as e:
            raise StoreError(f"it can't be read: {why(e)}") from None
    else:
        found = _folder(f, pydicom)
    groups: dict[Any, list[Slice]] = {}
    for s in found:
        turned = None if s.orientation is None else tuple(round(v, 2) for v in s.orientation)
        groups.setdefault((s.series, s.shape, s.samples, turned), []).append(s)
    if f.inner and not (f.inner.isdecimal() and int(f.inner) < len(groups)):
        raise StoreError(f"'::{f.inner}' must be the number of one of its {len(groups)} series")
    listed = list(groups.values())
    chosen = [int(f.inner)] if f.inner else range(len(listed))
    one = len(listed) == 1 or bool(f.inner)
    for i in chosen:
        f.count()
        _series(f, pydicom, listed[i], "" if one else f"series{i}", one)


def is_dicom(path: str) -> bool:
    """Whether a file begins as a DICOM file does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and os.pread(fd, 4, 128) == b"DICM"
    finally:
        os.close(fd)


def _folder(f: File, pydicom: Any) -> list[Slice]:
    names = sorted(n for n in os.listdir(f.path) if not n.startswith(".") and n.upper() != "DICOMDIR")
    paths = [p for p in (os.path.join(f.path, n) for n in names[:MAX_FILES]) if os.path.isfile(p)]
    if len(names) > MAX_FILES:
        f.left_out("the rest", f"the folder has more than {MAX_FILES} files")
    out = []
    for path in paths:
        name = os.path.basename(path)
        try:
            real = trust.in_folder(path, f.path, f.follow)
            if not is_dicom(real):
                continue
            out.append(_slice(pydicom, real))
        except Exception as e:
            f.left_out(name, why(e))
    if not out:
        raise StoreError("no file in this folder is a DICOM image that can be read")
    return out


def _slice(pydicom: Any, path: str) -> Slice:
    """What a file's header says of its frames; StoreError for one that isn't read."""
    with open(path, "rb") as file:
        if file.read(132)[128:] != b"DICM":
            raise StoreError("it doesn't begin as a DICOM file does")
    meta = importlib.import_module("pydicom.filereader").read_file_meta_info(path)
    syntax = str(getattr(meta, "TransferSyntaxUID", ""))
    if syntax not in PLAIN and syntax != RLE and syntax not in PICTURES:
        raise StoreError(f"its transfer syntax {syntax or 'none'!r:.100} isn't read")
    _check_decoder(pydicom, syntax)
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    s = dicom_places.read(ds, path, syntax)
    frames.check_size((s.frames, *s.shape), s.stored, 1)
    return s


def _check_decoder(pydicom: Any, syntax: str) -> None:
    """StoreError where pydicom has no plugin for a compression, which names the packages."""
    if syntax not in PICTURES or int(pydicom.__version__.split(".")[0]) < 3:
        return
    decoder = importlib.import_module("pydicom.pixels").get_decoder(syntax)
    if not decoder.is_available:
        packages = "pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
        raise StoreError(f"its pixels are {decoder.UID.name}, which pydicom needs a plugin for: pip install {packages}"
                         f"{whose_python(ModuleNotFoundError(packages))}")


class Frames:
    """One frame's values: those of a file by its number. In each process."""

    def __init__(self, pydicom: Any, slices: list[Slice], dtype: np.dtype):
        self._pydicom, self._slices, self._dtype = pydicom, slices, dtype

    def read(self, k: int, frame: int) -> np.ndarray:
        s = self._slices[k]
        if s.syntax in PICTURES:
            _check_picture(self._pydicom, s, frame)
        values = np.asarray(_pixels(self._pydicom, s, frame))
        if s.slope != 1 or s.intercept != 0:
            kind = self._dtype if self._dtype.kind == "f" else np.dtype("int64")
            return (values.astype(kind) * kind.type(s.slope) + kind.type(s.intercept)).astype(self._dtype)
        return values.astype(self._dtype, copy=False)


def _pixels(pydicom: Any, s: Slice, frame: int) -> Any:
    try:
        pixels = importlib.import_module("pydicom.pixels")
    except ImportError:  # before pydicom 3
        whole = pydicom.dcmread(s.path).pixel_array
        return whole[frame] if s.frames > 1 else whole
    return pixels.pixel_array(s.path, index=frame)


def _picture(pydicom: Any, s: Slice, frame: int) -> bytes:
    """A frame as it is compressed, without those before it where that can be."""
    encaps = importlib.import_module("pydicom.encaps")
    if not hasattr(encaps, "get_frame"):  # before pydicom 3
        return bytes(list(encaps.generate_pixel_data_frame(pydicom.dcmread(s.path).PixelData, s.frames))[frame])
    with open(s.path, "rb") as file:
        pydicom.dcmread(file, stop_before_pixels=True)
        if file.read(12)[:4] == PIXEL_DATA:  # and what its values are, and their undefined length
            return bytes(encaps.get_frame(file, frame, number_of_frames=s.frames))
    return bytes(encaps.get_frame(pydicom.dcmread(s.path).PixelData, frame, number_of_frames=s.frames))


def _check_picture(pydicom: Any, s: Slice, frame: int) -> None:
    """A picture in a file says its size itself: StoreError where it is another than the file's."""
    n = PICTURES[s.syntax](_picture(pydicom, s, frame))
    if n is None or n > 8 * max(1 << 20, 4 * int(np.prod(s.shape)) * s.samples * 8):
        raise StoreError("the size of a compressed picture in it " +
                         ("can't be found" if n is None else f"would be {n} bytes"))


def _dtype(slices: list[Slice]) -> np.dtype:
    """What holds the values of all of them."""
    if all(s.slope == 1 and s.intercept == 0 for s in slices):
        return slices[0].stored
    if slices[0].stored.kind == "f" or any(v != int(v) for s in slices for v in (s.slope, s.intercept)):
        return np.dtype("f8")
    ends = [int(v) * int(s.slope) + int(s.intercept) for s in slices
            for v in (np.iinfo(s.stored).min if s.signed else 0, 2 ** s.bits - 1)]
    for code in ("u1", "i2", "u2", "i4", "i8"):
        if np.iinfo(code).min <= min(ends) and max(ends) <= np.iinfo(code).max:
            return np.dtype(code)
    return np.dtype("f8")


def _series(f: File, pydicom: Any, slices: list[Slice], name: str, one: bool) -> None:
    """The files of a series as one image: z by their places, t where a place comes several times."""
    where = name or "/"
    stored = {s.stored for s in slices}
    if len(stored) > 1:
        raise StoreError(f"{where}: its files are of {' and '.join(sorted(map(str, stored)))}")
    odd: dict[tuple[str, str], int] = {}
    for one_of in (o for s in slices for o in s.odd):
        odd[one_of] = odd.get(one_of, 0) + 1
    for (field, reason), n in odd.items():
        f.left_out(f"{where}: {field}", reason + (f" (of {n} files of {len(slices)})" if len(slices) > 1 else ""))
    placed = dicom_places.placed(f, where, slices)
    dtype = _dtype(slices)
    samples = (slices[0].samples,) if slices[0].samples > 1 else ()
    outer = placed.grid.shape
    said: dict[Any, Any] = {"folder": f.path} if os.path.isdir(f.path) else {"filename": f.path}

    def load() -> Any:
        read = Frames(pydicom, slices, dtype).read
        return frames.Planes((*outer, *slices[0].shape, *samples), dtype, len(outer),
                             lambda pos: read(*placed.numbers(pos)), **said)

    kept = f.attributes(where, {k: v for k, v in slices[0].said.items() if k in KEPT})
    if slices[0].said.get("PhotometricInterpretation") == "PALETTE COLOR":
        f.left_out(f"{where}: palette", "its values are indices of colours")
    frames.image(f, name, one, placed.letters + "YX" + ("S" if samples else ""),
                 (*outer, *slices[0].shape, *samples), dtype, load,
                 Said(placed.scale, placed.units, [], {"dicom": dict(kept, **placed.attributes)}), origin=placed.origin)
