"""Where a TIFF's images lie: as OME, ImageJ or a microscope's own tags say it, else the plain tags."""
from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional
from xml.etree import ElementTree

import numpy as np

from .._errors import StoreError
from . import places, tiff_geo, trust
from .attributes import attributes
from .file import File

#: Of ResolutionUnit: micrometers in one.
MICROMETERS = {2: 25400.0, 3: 10000.0}


class Said(NamedTuple):
    """What a file says of a series, as it says it: by axis, and of the channels as OMERO has them."""

    scale: dict[str, Any]
    units: dict[str, Any]
    channels: list[Any]
    attributes: dict[str, Any]
    fill: Any = None


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


def said(file: Any, i: int, root: Any) -> Said:
    """What the file says of its series i."""
    if root is not None:
        return _ome(_image_of(file.series, i, root))
    if file.is_imagej:
        return _imagej(file)
    if file.is_lsm:
        return _lsm(file)
    kept = attributes(file.shaped_metadata[0]) if file.shaped_metadata else {}
    kept = {"tiff": kept} if kept else {}
    geo = tiff_geo.said(file, i)
    if geo is not None:
        scale, units, bands, more, fill = geo
        return Said(scale, units, bands, {**kept, **more}, fill)
    out = _aperio(file) if file.is_svs else _tags(file, i)
    return out._replace(attributes=kept)


def _per_unit(page: Any, tag: str) -> Optional[Any]:
    """A resolution: pixels in a unit. None: there is none, or it is 0."""
    value = page.tags.get(tag)
    value = getattr(value, "value", None)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        value = value[0] / value[1] if value[1] else 0
    return value or None


def _imagej(file: Any) -> Said:
    meta = attributes(file.imagej_metadata or {})
    scale: dict[Any, Any] = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = _per_unit(file.pages[0], tag)
        scale[axis] = 1 / value if value else 1.0
    scale["z"] = meta.get("spacing", 1.0)
    if "finterval" in meta:
        scale["t"] = meta["finterval"]
    elif places.number(meta.get("fps")):
        scale["t"] = 1 / float(meta["fps"])
    unit = meta.get("unit")
    units = {"x": unit, "y": meta.get("yunit", unit), "z": meta.get("zunit", unit),
             "t": meta.get("tunit", "second" if "t" in scale else None)}
    kept = {k: v for k, v in meta.items() if k not in ("Overlays", "ROI", "LUTs", "Ranges", "IJMetadata")}
    if file.shaped_metadata:
        kept.update(attributes(file.shaped_metadata[0]))
    return Said(scale, units, _imagej_channels(file.imagej_metadata or {}), {"tiff": kept} if kept else {})


def _imagej_channels(meta: dict[Any, Any]) -> list[Any]:
    """Channels as ImageJ shows them: names where there is one of each, the colour that a lookup table leads to from
    black, and from where to where it is spread. Labels of slices are no names of channels."""
    n = max(1, int(places.number(meta.get("channels")) or 1))
    if n > places.MAX_CHANNELS:  # a text of a few bytes can say that
        return []
    names, luts, ranges = (list(v) if isinstance(v, (list, tuple)) else [] for v in (
        meta.get("Labels"), meta.get("LUTs"), meta.get("Ranges")))
    if n == 1 and not ranges:
        ranges = [meta.get("min"), meta.get("max")]
    out: list[Any] = [{} for _ in range(n)]
    colours = [_ramp(lut) for lut in luts[:n]]
    for k, one in enumerate(out):
        if len(names) == n:
            one["label"] = str(names[k])
        if len(colours) == n and set(colours) - {None, "FFFFFF"} and colours[k]:
            one["color"] = colours[k]
        low, high = (places.number(v) for v in (ranges[2 * k:2 * k + 2] if len(ranges) == 2 * n else (None, None)))
        if low is not None and high is not None and low < high:
            one["window"] = {"start": low, "end": high}
    return out if any(out) else []


def _ramp(lut: Any) -> Optional[str]:
    """The colour that a table of 3 x 256 leads to from black in even steps; None: it does something else."""
    table = np.asarray(lut)
    if table.shape != (3, 256) or table.dtype.kind not in "iu":
        return None
    even = table[:, -1:].astype(float) * np.arange(256) / 255
    return places.colour([int(v) for v in table[:, -1]]) if np.abs(table - even).max() <= 1 else None


def _lsm(file: Any) -> Said:
    meta = file.lsm_metadata or {}
    scale = {a: float(meta.get(f"VoxelSize{a.upper()}", 0)) * 1e6 for a in "xyz"}  # it says meters
    units = {a: "micrometer" for a in "xyz"}
    if meta.get("TimeIntervall"):
        scale["t"], units["t"] = meta["TimeIntervall"], "second"
    given = meta.get("ChannelColors") or {}
    names, colours = given.get("ColorNames") or [], given.get("Colors") or []
    return Said(scale, units, [{"label": str(n), "color": list(colours[k][:3]) if k < len(colours) else None}
                               for k, n in enumerate(names)], {})


def _aperio(file: Any) -> Said:
    found = re.search(r"MPP\s*=\s*([^|\s]+)", file.pages[0].description)
    if not found:
        return _tags(file, 0)
    return Said({"x": found[1], "y": found[1]}, {"x": "micrometer", "y": "micrometer"}, [], {})


def _tags(file: Any, i: int) -> Said:
    """The plain tags: pixels in an inch or a centimeter; without a unit the ratio of the two is all they say."""
    page = file.series[i].keyframe
    x, y = _per_unit(page, "XResolution"), _per_unit(page, "YResolution")
    if not x or not y:
        return Said({}, {}, [], {})
    unit = MICROMETERS.get(getattr(page.tags.get("ResolutionUnit"), "value", 2))
    if unit is None and x == y:
        return Said({}, {}, [], {})
    size = unit or 1.0
    return Said({"x": size / x, "y": size / y}, {a: "micrometer" if unit else None for a in "xy"}, [], {})


def _pixels(image: Any) -> Any:
    return next((e for e in image if str(e.tag).endswith("}Pixels")), None)


def _image_of(series: Any, i: int, root: Any) -> Any:
    """The image of OME-XML that a series is. tifffile leaves out those that it finds no planes of: where there are
    more of them than series, the name and the sizes tell. StoreError where they don't."""
    images = [e for e in root.iter() if str(e.tag).endswith("}Image") and _pixels(e) is not None]
    if len(images) != len(series):
        own, name = series[i], getattr(series[i], "name", None)
        sizes = {str(int(n)) for a, n in zip(own.axes, own.shape) if a in "XY"}
        images = [e for e in images if {str(_pixels(e).get(f"Size{a}")) for a in "XY"} == sizes]
        named = [e for e in images if name and e.get("Name") == name]
        images = named or images
        if len(images) != 1:
            raise StoreError(f"{len(images)} images of its OME-XML could be this one")
        return images[0]
    return images[i]


def _ome(image: Any) -> Said:
    pixels: Any = _pixels(image)
    scale: dict[Any, Any] = {}
    units: dict[Any, Any] = {}
    for axis in "XYZ":
        if pixels.get(f"PhysicalSize{axis}") is not None:
            scale[axis.lower()] = pixels.get(f"PhysicalSize{axis}")
            units[axis.lower()] = pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")
    if scale:
        scale = {a: scale.get(a) if a != "z" or pixels.get("SizeZ", "1") != "1" else scale.get(a, 1.0)
                 for a in "xyz"}
    if pixels.get("TimeIncrement") is not None:
        scale["t"] = pixels.get("TimeIncrement")
        units["t"] = pixels.get("TimeIncrementUnit", "s")
    described: list[Any] = []
    for n, e in enumerate(e for e in pixels if str(e.tag).endswith("}Channel")):
        one = {"label": e.get("Name") or str(n), "color": _rgba(e.get("Color"))}
        described += [one] * max(1, min(8, int(places.number(e.get("SamplesPerPixel")) or 1)))
    if all(c["color"] in (None, "FFFFFF") for c in described) and len(described) > 1:
        described = [{"label": c["label"]} for c in described]  # OME's default, not a choice
    kept = {"ome_name": image.get("Name")} if image.get("Name") else {}
    return Said(scale, units, described, kept)


def _rgba(text: Optional[str]) -> Optional[str]:
    """OME's colour, a signed number of 32 bits: red, green, blue, alpha. What is none is given back as it is."""
    if text is None:
        return None
    try:
        return f"{int(text) % (1 << 32) >> 8:06X}"
    except ValueError:
        return text
