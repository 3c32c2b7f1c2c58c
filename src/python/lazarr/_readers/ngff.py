"""OME-Zarr 0.1 to 0.5: multiscale groups as images with levels, axes, units, places, channels and labels. Each
field is looked at alone: one that makes no sense is left out and said, and all around it stays."""
from __future__ import annotations

import posixpath
from typing import Any, Optional

from .. import _levels
from .._errors import StoreError
from . import codecs, ngff_places, places
from .file import File

#: Attributes that become the image's own parameters, or OME-Zarr's again in what is served.
OWN = ("multiscales", "omero", "ome", "image-label", "labels")
#: What is written anew of each.
SCALES = ("version", "axes", "datasets", "coordinateTransformations")
OMERO = ("version", "channels")
LABEL = ("version", "source")


def multiscale(f: File, node: Any) -> Optional[dict[Any, Any]]:
    """The multiscale image that a group says it is; None where it is none."""
    found = node.ome("multiscales")
    if found is None:
        return None
    if not isinstance(found, list) or not found or not isinstance(found[0], dict) \
            or not isinstance(found[0].get("datasets"), list) or not found[0]["datasets"]:
        f.left_out(f"{node.where}: multiscales", "it is no list that names arrays")
        return None
    if len(found) > 1:
        f.left_out(f"{node.where}: multiscales 2 to {len(found)}", "the first one is its image; the arrays of "
                   "the others are served as such")
    return found[0]


def _levels_of(f: File, node: Any, datasets: list[Any]) -> list[Any]:
    """(node, its dataset) of the levels that are there and go with the first of them; the others are said."""
    out: list[Any] = []
    for k, d in enumerate(datasets):
        where = f"{node.where}: level {k}"
        try:
            if not isinstance(d, dict):
                raise StoreError("it is no object that names an array")
            level = node.level(d.get("path"))
            if not level.is_array or "shape" not in level.meta:
                raise StoreError(f"there is no array '{d['path']:.100}'")
            shape = codecs.integers("shape", level.meta["shape"])
            dtype = level.dtype
            if out and (len(shape), dtype) != (len(out[0][0].meta["shape"]), out[0][0].dtype):
                raise StoreError(f"it has {len(shape)} axes of {dtype}, unlike the first")
            if out and 0 in shape and 0 not in out[0][0].meta["shape"]:
                raise StoreError("it has no voxels, and the first one has")
        except StoreError as e:
            f.left_out(where, str(e))
            continue
        if len(out) == _levels.MAX_LEVELS:
            f.left_out(f"{where} and all above", f"lazarr has at most {_levels.MAX_LEVELS}")
            break
        out.append((level, d))
    return out


def _rest(f: File, where: str, given: Any, own: tuple[Any, ...]) -> dict[Any, Any]:
    """What an object of OME-Zarr says besides what lazarr writes itself."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        f.left_out(where, f"{given!r:.100} is no object")
        return {}
    return f.attributes(where, {k: v for k, v in given.items() if k not in own})


def looks(f: File, where: str, omero: dict[Any, Any], shape: list[Any], axes: Any) -> dict[Any, Any]:
    """What an "omero" says besides channels, and besides the place that the server shows first anyway."""
    more = f.attributes(f"{where}: omero", {k: v for k, v in omero.items() if k not in OMERO})
    first = {"defaultT": 0, "defaultZ": shape[list(axes).index("z")] // 2 if "z" in axes else 0, "model": "color"}
    return {k: v for k, v in more.items() if (k, v) != ("rdefs", first)}


def _kept(f: File, node: Any, scales: dict[Any, Any], channels: Optional[list[Any]], shape: list[Any], axes: list[Any]) -> dict[Any, Any]:
    """The image's attributes; those of OME-Zarr under its names, for the server to put where they belong."""
    kept = f.attributes(node.where, {k: v for k, v in node.attributes.items() if k not in OWN})
    more = _rest(f, f"{node.where}: multiscales", scales, SCALES)
    if more.get("name") in (posixpath.basename(node.path), "data"):
        del more["name"]  # the server gives it that name
    if more:
        kept["multiscales"] = [more]
    omero = node.ome("omero")
    if channels is not None:
        more = looks(f, node.where, omero, shape, axes)
        if more:
            kept["omero"] = more
    more = _rest(f, f"{node.where}: image-label", node.ome("image-label"), LABEL)
    if more:
        kept["image-label"] = more
    ome = node.attributes.get("ome")
    for name in ome if isinstance(ome, dict) else ():
        if name not in (*OWN, "version"):
            f.left_out(f"{node.where}: ome.{name}"[:300], "an image has no place for it")
    return kept


def image(f: File, node: Any, of: Optional[Any], levels: set[Any]) -> Optional[Any]:
    """A multiscale group as an image; of: the image whose labels it is in the group of. levels: gets the
    arrays that it is made of. None where the group is none, or is left out, which is said; StoreError for
    one that isn't to be read."""
    scales = multiscale(f, node)
    if scales is None:
        return None
    found = _levels_of(f, node, scales["datasets"])
    if not found:
        raise StoreError("its multiscales name no arrays")
    nodes = [n for n, _ in found]
    shapes = [n.meta["shape"] for n in nodes]
    axes = ngff_places.axes(f, node.where, scales, len(shapes[0]))
    if axes is None:
        return None
    order = sorted(range(len(axes)), key=lambda i: "tczyx".index(axes[i]))
    units = ngff_places.units(f, node.where, scales, axes)
    scale, translation = ngff_places.places_of(f, node.where, scales, [d for _, d in found], shapes, axes)
    labels = of is not None or node.ome("image-label") is not None
    if labels and nodes[0].dtype.kind not in "iu":
        f.left_out(f"{node.where} as labels", f"they are integers, and it is {nodes[0].dtype}: it is an image")
        labels = False
    name = node.path
    if labels and of is not None:  # "labels" is a name that formats use: beside their image
        last = posixpath.basename(node.path)
        name = f"{posixpath.dirname(of.path)}/{last}".lstrip("/")
        if f.names.is_taken(name):  # those of another image, of the same name
            name = f"{of.path}_labels/{last}"
    channels = _channels(f, node, nodes[0], axes, labels)
    made = f.try_add(
        name, lambda: [n.open() for n in nodes], key=node.path, axes="".join(axes[i] for i in order),
        transpose=None if order == sorted(order) else order, units=_in_order(units, order),
        scale=scale and [_in_order(s, order) for s in scale],
        translation=translation and [_in_order(t, order) for t in translation],
        kind="labels" if labels else None, labels_of=of if labels else None, channels=channels,
        attributes=_kept(f, node, scales, channels, shapes[0], axes), fill_value=nodes[0].fill, **nodes[0].compressor)
    if made is not None:
        levels.update(n.identity for n in nodes)
        for n in nodes:
            lost = [k for k in n.attributes if k != "_ARRAY_DIMENSIONS"]
            if lost:
                f.left_out(f"{n.where}: attributes {', '.join(lost)}", "a level of an image has none")
    return made


def _in_order(values: list[Any], order: list[Any]) -> list[Any]:
    return [values[i] for i in order]


def _channels(f: File, node: Any, level: Any, axes: list[Any], labels: bool) -> Optional[list[Any]]:
    omero = node.ome("omero")
    if omero is None:
        return None
    if not isinstance(omero, dict):
        f.left_out(f"{node.where}: omero", f"{omero!r:.100} is no object")
        return None
    if labels:
        f.left_out(f"{node.where}: omero", "labels have no channels")
        return None
    n = level.meta["shape"][axes.index("c")] if "c" in axes else 1
    return places.channels(f, f"{node.where}: omero", omero.get("channels"), n, level.dtype)

