"""OME-NGFF: multiscale groups of a Zarr folder as images with levels, axes, units, places and channels."""
from __future__ import annotations

import os
from typing import Any, Optional

from .. import _check, _levels
from .._errors import StoreError
from .file import File

#: Attributes that become the image's own parameters.
OWN = ("multiscales", "omero", "ome", "image-label", "labels")


def _axes(scales: dict[Any, Any], rank: int) -> Optional[tuple[Any, ...]]:
    """(axes, units), or None where they aren't what lazarr calls an image's."""
    given = scales.get("axes")
    if given is None:  # OME-NGFF 0.1 and 0.2
        return ("tczyx", None) if rank == 5 else None
    if not isinstance(given, list):
        return None
    names: list[Any] = [a.get("name") if isinstance(a, dict) else a for a in given]
    units = [a.get("unit") if isinstance(a, dict) else None for a in given]
    if not all(isinstance(n, str) for n in names) or not all(u is None or isinstance(u, str) for u in units):
        return None
    try:
        _check.axes(names, rank)
        _check.units(units, tuple(names))
    except StoreError:
        units = [None] * len(names)
        try:
            _check.axes(names, rank)
        except StoreError:
            return None
    return "".join(names), units if any(units) else None


def _places(scales: dict[Any, Any], rank: int) -> tuple[Any, ...]:
    """(scale, translation) of each level, with what is said of all of them; None where nothing is."""
    def of(holder: dict[Any, Any]) -> tuple[Any, ...]:
        scale, translation = [1.0] * rank, [0.0] * rank
        given = holder.get("coordinateTransformations") or []
        if not isinstance(given, list):
            raise StoreError("its coordinateTransformations make no sense")
        for t in given:
            if not isinstance(t, dict):
                raise StoreError("its coordinateTransformations make no sense")
            for name in ("scale", "translation"):
                if isinstance(t.get(name), list) and not all(
                        isinstance(v, (int, float)) and not isinstance(v, bool) for v in t[name]):
                    raise StoreError(f"its {name} makes no sense: {t[name]!r:.100}")
            if isinstance(t.get("scale"), list):
                scale = [a * b for a, b in zip(scale, t["scale"])]
                translation = [a * b for a, b in zip(translation, t["scale"])]
            if isinstance(t.get("translation"), list):
                translation = [a + b for a, b in zip(translation, t["translation"])]
        return scale, translation

    if not any(d.get("coordinateTransformations") for d in scales["datasets"]):
        return None, None
    over, shift = of(scales)
    levels = [of(d) for d in scales["datasets"]]
    return ([[a * b for a, b in zip(s, over)] for s, _ in levels],
            [[a * b + c for a, b, c in zip(t, over, shift)] for _, t in levels])


def image(f: File, node: Any, scales: dict[Any, Any], of: Optional[Any]) -> Optional[Any]:
    """A multiscale group as an image; of: the image whose labels it is in the group of. None where it is
    left out, which is said; StoreError for a level that isn't to be read."""
    if not all(isinstance(d, dict) for d in scales["datasets"]):
        raise StoreError("its multiscales name no arrays")
    if len(scales["datasets"]) > _levels.MAX_LEVELS:
        raise StoreError(f"it has more than {_levels.MAX_LEVELS} levels")
    nodes = [node.level(d.get("path")) for d in scales["datasets"]]
    shape = nodes[0].meta.get("shape")
    if not all(n.is_array for n in nodes) or not isinstance(shape, list):
        raise StoreError("its multiscales name no arrays")
    axes = _axes(scales, len(shape))
    if axes is None:
        f.left_out(f"{node.path or '/'} as an image", "its axes are none of t, c, z, y, x in that order")
        return None
    scale, translation = _places(scales, len(shape))
    labels = node.ome("image-label") is not None
    name = node.path
    if labels and of is not None:  # "labels" is a name that formats use: beside their image
        name = f"{os.path.dirname(of.path)}/{node.path.rpartition('/')[2]}".lstrip("/")
    kept = {k: v for k, v in node.attributes.items() if k not in OWN}
    omero = node.ome("omero")
    return f.try_add(name, lambda: [n.open() for n in nodes], axes=axes[0], units=axes[1], scale=scale,
                     translation=translation, kind="labels" if labels else None,
                     labels_of=of if labels else None, attributes=f.attributes(node.path or "/", kept),
                     channels=_channels(f, node.path or "/",
                                        omero.get("channels") if isinstance(omero, dict) else None),
                     fill_value=nodes[0].fill)


def _channels(f: File, place: str, given: Any) -> Optional[list[Any]]:
    """OMERO channels, with colours as lazarr wants them. A member that JSON can't have is left out, said."""
    if not isinstance(given, list) or not all(isinstance(c, dict) for c in given) or not given:
        return None
    out = []
    for c in given:
        c = f.attributes(f"{place} omero", c) | {k: c[k] for k in ("window",) if k in c}
        if not isinstance(c.get("label", ""), str):
            c["label"] = str(c["label"])
        if isinstance(c.get("color"), str):
            c["color"] = c["color"].lstrip("#")[:6]
        out.append(c)
    return out
