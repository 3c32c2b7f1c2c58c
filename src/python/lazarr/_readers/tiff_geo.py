"""GeoTIFF: the size of a pixel on the ground, what stands for no value, and names of bands, as GDAL writes them. The
place and the reference system are kept as attributes: rows count from north to south, and an image's places can't."""
from __future__ import annotations

import re
from typing import Any, Optional
from xml.etree import ElementTree

import numpy as np

from . import places, trust
from .attributes import attributes

NODATA = 42113      # the number of a tag
METER = 9001        # of ProjLinearUnitsGeoKey
PROJECTED = 1       # of GTModelTypeGeoKey


def said(file: Any, i: int) -> Optional[tuple[Any, ...]]:
    """(scale, units, channels, attributes, fill value) of the series i; None: it is no GeoTIFF."""
    page = file.series[i].keyframe
    fill = _nodata(page, file.series[i].dtype)
    if not file.is_geotiff and fill is None:
        return None
    keys = attributes(file.geotiff_metadata or {}) if file.is_geotiff else {}
    scale, units = {}, {}
    sizes = keys.get("ModelPixelScale")
    if isinstance(sizes, list) and len(sizes) >= 2:
        scale = {"x": sizes[0], "y": sizes[1]}
        unit = "meter" if keys.get("GTModelTypeGeoKey") == PROJECTED and \
            keys.get("ProjLinearUnitsGeoKey", METER) == METER else None
        units = {a: unit for a in "xy"}
    if fill is not None:
        keys["nodata"] = fill
    return scale, units, _bands(file), {"geotiff": attributes({k: _plain(v) for k, v in keys.items()})}, fill


def _plain(value: Any) -> Any:
    """An enumeration's number."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _nodata(page: Any, dtype: Any) -> Any:
    """The value that stands for none, if the type can have it."""
    tag = page.tags.get(NODATA)
    text = getattr(tag, "value", None)
    if not isinstance(text, str) or np.dtype(dtype).kind not in "iuf":
        return None
    try:
        given = float(text.strip("\0 "))
        value = np.dtype(dtype).type(given)
    except (ValueError, OverflowError):
        return None
    fits = np.dtype(dtype).kind == "f" or value == given
    return value.item() if fits else None


def _bands(file: Any) -> list[Any]:
    """Names of the bands, where the file gives each one."""
    text = file.gdal_metadata
    if not isinstance(text, str) or len(text) > trust.MAX_DOCUMENT or re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        return []
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return []
    names = {}
    for e in root:
        number = places.number(e.get("sample"))
        if e.get("role") == "description" and number is not None and e.text:
            names[int(number)] = e.text
    return [names[k] for k in sorted(names)] if sorted(names) == list(range(len(names))) else []
