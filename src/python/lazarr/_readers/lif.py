"""Leica's LIF and LOF, through liffile: each image of the file one, read a plane at a time. Where liffile isn't
there, through bioio."""
from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np

from .._errors import StoreError
from . import bioio, frames, trust
from .file import File, why
from .tiff_places import Said

DIMENSIONS = {"1": "x", "2": "y", "3": "z", "4": "t"}
BLOCK = 0x70


def check_xml(text: Any) -> None:
    """StoreError for XML that declares entities, which can grow without end, or is too long."""
    if isinstance(text, str) and (len(text) > trust.MAX_DOCUMENT or re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE)):
        raise StoreError("its XML declares a document type or entities, or is too long")


def _check(path: str) -> None:
    """Of its first block: that it is Leica's, of one file, and its XML sound."""
    with open(path, "rb") as file:
        head = file.read(13)
        if len(head) < 13 or int.from_bytes(head[:4], "little") != BLOCK or head[8] != 0x2A:
            raise StoreError("it doesn't begin as a LIF file does")
        n = 2 * int.from_bytes(head[9:13], "little")
        if n > trust.MAX_DOCUMENT:
            raise StoreError(f"its XML has {n} bytes")
        check_xml(file.read(n).decode("utf-16-le", "replace"))


def lif(f: File) -> None:
    try:
        liffile = importlib.import_module("liffile")
    except ImportError as e:
        bioio.instead(f, "LIF", "liffile", str(e))
        return
    try:
        _check(f.path)
        with liffile.LifFile(f.path) as file:
            check_xml(file.xml_header())
            n = len(file.images)
            if f.inner and not (f.inner.isdecimal() and int(f.inner) < n):
                raise StoreError(f"'::{f.inner}' must be the number of one of its {n} images")
            one = n == 1 or bool(f.inner)
            for i in [int(f.inner)] if f.inner else range(n):
                f.count()
                try:
                    _image(f, liffile, file.images[i], i, "" if one else f"series{i}", one)
                except Exception as e:
                    if one:
                        raise
                    f.left_out(f"series{i}", why(e))
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None


def _image(f: File, liffile: Any, image: Any, i: int, name: str, one: bool) -> None:
    if image.is_flim:
        raise StoreError("it is of photons' times, which aren't read")
    inner = tuple(image.frames.frame_dims)
    outer = [a for a in image.dims if a not in inner]
    sizes = dict(image.sizes)
    shape = tuple(int(sizes[a]) for a in outer) + tuple(int(n) for n in image.frames.frame_shape)
    dims, dtype, path = outer + list(inner), np.dtype(image.dtype), f.path
    if image.memory_block.size < int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise StoreError(f"it declares the shape {list(shape)} of {dtype}, and {image.memory_block.size} bytes are there")
    letters = "".join(a if len(a) == 1 and a.isascii() else "?" for a in dims)
    scale, units = {}, {}
    for d in image.xml_element.findall("./Data/Image/ImageDescription/Dimensions/DimensionDescription"):
        a, count = DIMENSIONS.get(d.get("DimID", "")), int(d.get("NumberOfElements", "0"))
        if a and count > 1 and float(d.get("Length", "0")):
            scale[a], units[a] = abs(float(d.get("Length", "0"))) / (count - 1), d.get("Unit")
    for a in "xyz":
        if units.get(a) == "m":
            scale[a], units[a] = float(f"{scale[a] * 1e6:.12g}"), "micrometer"
    labels = [str(c) for c in image.coords["C"]] if "C" in image.coords else []
    luts = [c.get("LUTName") for c in image.xml_element.findall(
        "./Data/Image/ImageDescription/Channels/ChannelDescription")]
    channels: list[Any] = [{"label": label, **({"color": luts[k]} if k < len(luts) and luts[k] else {})}
                           for k, label in enumerate(labels)]
    if not channels and len(luts) == sizes.get("C", 1) and all(luts):
        channels = [{"label": str(k), "color": lut} for k, lut in enumerate(luts)]
    named = image.path if isinstance(getattr(image, "path", None), str) else image.name

    def load() -> Any:
        again = liffile.LifFile(path).images[i]
        return frames.Planes(shape, dtype, len(outer), lambda pos: again.frame(**dict(zip(outer, map(int, pos)))),
                             filename=path)

    frames.image(f, name, one, letters, shape, dtype, load,
                 Said(scale, units, channels, {"name": str(named)} if named else {}))
