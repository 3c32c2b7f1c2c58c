"""Where a TIFF's images lie and what their channels are called, as OME or ImageJ say it."""
from __future__ import annotations

import math
import re
from typing import Any, Optional
from xml.etree import ElementTree

from .. import _check
from . import trust
from .attributes import attributes
from .file import File


def ome(f: File, text: Any) -> Optional[Any]:
    """The root of OME-XML; None where it isn't read, which is said. XML that declares entities can grow
    without end, and OME-XML has none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        if len(text) > trust.MAX_DOCUMENT:
            raise ValueError(f"it has {len(text)} characters")
        if re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
            raise ValueError("it declares a document type or entities")
        return ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError, RecursionError) as e:
        f.left_out("OME-XML", str(e))
        return None


def places(f: File, file: Any, i: int, root: Any) -> tuple[Any, ...]:
    """(scale by axis, units by axis, channel names, attributes) as OME or ImageJ say them."""
    if root is not None:
        return _ome_places(root, i)
    meta = attributes(file.imagej_metadata or {}) if file.is_imagej else {}
    scale, units = {}, {}
    if file.is_imagej:
        unit = {"micron": "micrometer", "um": "micrometer", "\\u00B5m": "micrometer",
                "\u00b5m": "micrometer"}.get(str(meta.get("unit")), meta.get("unit"))
        unit = unit if unit in _check.SPATIAL_UNITS or unit in _check.UNIT_SHORT else None
        for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
            value = file.pages[0].tags.get(tag)
            if value is not None and value.value[0] > 0 and unit:
                scale[axis] = value.value[1] / value.value[0]
        if isinstance(meta.get("spacing"), (int, float)) and meta["spacing"] > 0:
            scale["z"] = float(meta["spacing"])
        if isinstance(meta.get("finterval"), (int, float)) and meta["finterval"] > 0:
            scale["t"], units["t"] = float(meta["finterval"]), "second"
        units.update({a: unit for a in "zyx"} if unit else {})
    names = meta.get("Labels")
    kept = {k: v for k, v in meta.items() if k not in ("Overlays", "ROI", "LUTs", "IJMetadata")}
    shaped = file.shaped_metadata
    if shaped:
        kept.update(attributes(shaped[0]))
    return scale, units, names if isinstance(names, list) else [], {"tiff": kept} if kept else {}


def _ome_places(root: Any, i: int) -> tuple[Any, ...]:
    scale: dict[Any, Any] = {}
    units: dict[Any, Any] = {}
    names: list[Any] = []
    try:
        images = [e for e in root.iter() if e.tag.endswith("}Image")]
        pixels = next(e for e in images[i] if e.tag.endswith("}Pixels"))
    except (IndexError, StopIteration):
        return scale, units, names, {}
    for axis in "XYZ":
        size = pixels.get(f"PhysicalSize{axis}")
        if size is not None and float(size) > 0:
            scale[axis.lower()] = float(size)
            unit = pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")
            unit = _check.UNIT_SHORT.get(unit, unit)
            if unit in _check.SPATIAL_UNITS:
                units[axis.lower()] = unit
    step = pixels.get("TimeIncrement")
    if step is not None and float(step) > 0:
        scale["t"] = float(step)
        unit = _check.UNIT_SHORT.get(pixels.get("TimeIncrementUnit", "s"))
        if unit in _check.TIME_UNITS:
            units["t"] = unit
    for n, e in enumerate(e for e in pixels if e.tag.endswith("}Channel")):
        names.append(e.get("Name") or str(n))
    kept = {"ome_name": images[i].get("Name")} if images[i].get("Name") else {}
    return scale, units, names, kept
