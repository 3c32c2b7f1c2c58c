"""What N5 containers say of places, in the words of their writers: pixelResolution, scales and
downsamplingFactors (n5-viewer, BigDataViewer), axes, units and resolution (tensorstore, Neuroglancer,
WEBKNOSSOS), resolution and offset (Paintera), transform (COSEM, lazarr). Lists are in the order of N5, x first,
but those of transform, which say their own. What makes no sense is left out alone and said."""
from __future__ import annotations

import posixpath
from typing import Any, Optional

from .._errors import StoreError
from . import ngff, places
from .file import File
from .ngff_places import DEFAULT

#: Attributes that become a place.
OWN = ("transform", "pixelResolution", "resolution", "units", "axes", "scales", "downsamplingFactors", "offset",
       "multiScale", "multiscales")
#: Attributes that become channels and labels, as lazarr's own N5 face has them.
LOOKS = ("omero", "image-label")


def _reversed(f: File, where: str, name: str, given: Any, rank: int) -> Optional[list[Any]]:
    """A list of N5 in C order; None where there is none of so many, which is said."""
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != rank:
        f.left_out(f"{where}: {name}", f"{given!r:.100} is no list for its {rank} axes")
        return None
    return given[::-1]


def _transform(f: File, where: str, given: Any, rank: int) -> dict[Any, Any]:
    """COSEM's transform, each list in C order: axes, units, scale, translate."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        f.left_out(f"{where}: transform", f"{given!r:.100} is no object")
        return {}
    out: dict[Any, Any] = {}
    for name in ("axes", "units", "scale", "translate"):
        if given.get(name) is None:
            continue
        if not isinstance(given[name], list) or len(given[name]) != rank:
            f.left_out(f"{where}: transform.{name}", f"{given[name]!r:.100} is no list for its {rank} axes")
        else:
            out[name] = given[name]
    names = [str(n).lower() for n in out.get("axes", ())]
    order = given.get("ordering")
    last_first = names == sorted(names, key="xyzct".find) and rank > 1 and "xyz".startswith("".join(names[:2]))
    if order == "F" or order is None and names and last_first:
        out = {k: v[::-1] for k, v in out.items()}
    return out


def _letters(f: File, where: str, given: Optional[list[Any]], rank: int) -> Optional[list[Any]]:
    """Letters of the axes in C order; None where they are no image's, which is said."""
    if given is None:
        if rank not in DEFAULT:
            return None
        return list(DEFAULT[rank])
    names = [n.lower() if isinstance(n, str) else "" for n in given]
    if sorted(set(names)) != sorted(names) or not set(names) <= set("tczyx") or not {"y", "x"} <= set(names):
        f.left_out(f"{where}: axes", f"{given!r:.100} aren't different ones out of t, c, z, y, x with y and x "
                   "among them")
        return list(DEFAULT[rank]) if rank in DEFAULT else None
    return names


def _size(f: File, where: str, metas: list[Any], rank: int) -> tuple[Any, ...]:
    """(sizes, units, of which each may be None) as pixelResolution or resolution say them, in C order; metas:
    where to look, the first that says something."""
    for meta in metas:
        given: Any = meta.get("pixelResolution")
        unit: Any = None
        if isinstance(given, dict):
            given, unit = given.get("dimensions"), given.get("unit")
        size = _reversed(f, where, "pixelResolution", given, rank)
        if size is not None:
            listed = unit if isinstance(unit, list) else None
            return size, (_reversed(f, where, "pixelResolution.unit", listed, rank) if listed else unit)
        size = _reversed(f, where, "resolution", meta.get("resolution"), rank)
        if size is not None:
            return size, None
    return None, None


def _units(f: File, where: str, metas: list[Any], rank: int) -> Any:
    for meta in metas:
        given = meta.get("units")
        if isinstance(given, list):
            given = _reversed(f, where, "units", given, rank)
        if given is not None:
            return given
    return None


def _one(f: File, where: str, metas: list[Any], rank: int) -> dict[Any, Any]:
    """axes, units, scale and translation that a dataset is given, in C order and the file's order of axes;
    {} where it isn't an image. metas: the dataset's attributes, then its group's."""
    t = _transform(f, where, metas[0].get("transform"), rank)
    size, unit = _size(f, where, metas, rank)
    axes = t.get("axes")
    if axes is None:
        for meta in metas:
            axes = axes or _reversed(f, where, "axes", meta.get("axes"), rank)
    letters = _letters(f, where, axes, rank) if t or size is not None else None
    if letters is None:
        return {}
    units = t.get("units") or _units(f, where, metas, rank) or unit
    out = {"axes": letters, "scale": places.scale(f, where, t.get("scale") or size, letters),
           "units": places.units(f, where, units, letters), "translation": [0.0] * rank}
    offset = t.get("translate")
    if offset is None:
        for meta in metas:
            offset = offset or _reversed(f, where, "offset", meta.get("offset"), rank)
    if offset is not None:
        out["translation"] = places.translation(f, where, offset, letters)
    return out


def ordered(place: dict[Any, Any]) -> dict[Any, Any]:
    """The place with its axes in the order t, c, z, y, x, as lazarr.source takes it."""
    order = sorted(range(len(place["axes"])), key=lambda i: "tczyx".index(place["axes"][i]))

    def of(v: Any) -> Any:
        return [v[i] for i in order]
    out = {"axes": "".join(of(place["axes"])), "units": of(place["units"])}
    for name in ("scale", "translation"):
        v = place[name]
        out[name] = v if v is None else [of(x) for x in v] if isinstance(v[0], list) else of(v)
    if order != sorted(order):
        out["transpose"] = order
    return out


def of_dataset(f: File, where: str, meta: dict[Any, Any], rank: int) -> dict[Any, Any]:
    """The parameters that make a dataset of its own an image, or name the axes of a plain array."""
    if meta.get("isLabelMultiset") is True:
        raise StoreError("its voxels are sets of labels (Paintera), which lazarr doesn't read")
    place = _one(f, where, [meta], rank)
    if place:
        return ordered(place)
    names = meta.get("axes")
    if isinstance(names, list) and len(names) == rank and all(isinstance(n, str) and n for n in names) \
            and len(set(names)) == rank:
        return {"dims": tuple(names[::-1])}
    return {}


def _factors(f: File, where: str, group: dict[Any, Any], meta: dict[Any, Any], k: int, rank: int) -> Optional[list[Any]]:
    """Level-0 voxels per voxel of level k, in C order; None where nothing that makes sense is said."""
    given = meta.get("downsamplingFactors")
    if given is None:
        for name in ("downsamplingFactors", "scales"):
            listed = group.get(name)
            if isinstance(listed, list) and k < len(listed) and isinstance(listed[k], list):
                given = listed[k]
                break
            if listed is not None and k:
                f.left_out(f"{where}: {name} of s{k}", f"{listed!r:.100} has none for it")
    if given is None:
        return [1.0] * rank if k == 0 else None
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        given = [given] * rank
    made = _reversed(f, where, f"downsamplingFactors of s{k}", given, rank)
    if made is None:
        return None
    numbers = [places.number(v) for v in made]
    if any(v is None or v <= 0 for v in numbers):
        f.left_out(f"{where}: downsamplingFactors of s{k}", f"{given!r:.100} are none")
        return None
    return numbers


def _listed(group: dict[Any, Any], k: int) -> Any:
    """The transform that a group's multiscales give s<k>: COSEM's, or as OME-Zarr writes them."""
    scales = group.get("multiscales")
    first: Any = scales[0] if isinstance(scales, list) and scales else None
    datasets = first.get("datasets") if isinstance(first, dict) else None
    for d in datasets if isinstance(datasets, list) else []:
        if isinstance(d, dict) and d.get("path") == f"s{k}":
            return d["transform"] if d.get("transform") is not None else _of_ngff(first, d)
    return None


def _of_ngff(scales: dict[Any, Any], dataset: dict[Any, Any]) -> Any:
    """Axes and coordinateTransformations of OME-Zarr as a transform, None where there are none."""
    given, axes = dataset.get("coordinateTransformations"), scales.get("axes")
    named = {"scale": "scale", "translation": "translate"}
    out: dict[Any, Any] = {}
    for t in given if isinstance(given, list) else []:
        kind = t.get("type") if isinstance(t, dict) else None
        if kind in named and named[kind] not in out:
            out[named[kind]] = t.get(kind)
    if out and isinstance(axes, list) and all(isinstance(a, dict) for a in axes):
        out.update(axes=[a.get("name") for a in axes], units=[a.get("unit") for a in axes])
    return out or None


def of_levels(f: File, where: str, group: dict[Any, Any], metas: list[Any], rank: int, numbers: list[Any]) -> dict[Any, Any]:
    """The same of s0, s1 …: scale and translation of each, or None where the shapes tell. numbers: the k of
    each s<k>. {} where they are no image's."""
    if any(m.get("isLabelMultiset") is True for m in (group, *metas)):
        raise StoreError("its voxels are sets of labels (Paintera), which lazarr doesn't read")
    metas = [m if "transform" in m else dict(m, transform=_listed(group, k)) for m, k in zip(metas, numbers)]
    first = _one(f, where, [metas[0], group], rank)
    if not first:
        letters = _letters(f, where, None, rank)
        if letters is None:
            return {}
        first = {"axes": letters, "units": [None] * rank, "scale": [1.0] * rank, "translation": [0.0] * rank}
    scales, shifts, all_said = [first["scale"]], [first["translation"]], True
    for m, k in zip(metas[1:], numbers[1:]):
        t = _transform(f, f"{where}/s{k}", m.get("transform"), rank)
        down = _factors(f, where, group, m, k, rank)
        if t.get("scale"):
            own = places.scale(f, f"{where}/s{k}", t["scale"], first["axes"])
            scales.append(own)
            shifts.append(places.translation(f, f"{where}/s{k}", t["translate"], first["axes"])
                          if t.get("translate") else _centred(first, own))
        elif down is not None:
            scales.append([s * d for s, d in zip(first["scale"], down)])
            shifts.append(_centred(first, scales[-1]))
        else:
            all_said = False
    if not all_said:
        scales, shifts = scales[:1], shifts[:1]
    if len(scales) < len(metas):  # lazarr.source finds those of the other levels from the shapes
        return ordered(dict(first, scale=first["scale"], translation=first["translation"]))
    return ordered(dict(first, scale=scales, translation=shifts))


def _centred(first: dict[Any, Any], scale: list[Any]) -> list[Any]:
    """The place of voxels that stand for those of the first level that they cover."""
    return [t + (s - s0) / 2 for t, s, s0 in zip(first["translation"], scale, first["scale"])]


def looks(f: File, where: str, group: dict[Any, Any], meta: dict[Any, Any], place: dict[Any, Any]) -> dict[Any, Any]:
    """Channels and labels as lazarr's N5 face writes them, and what Paintera says of labels."""
    out: dict[Any, Any] = {}
    axes, shape = place["axes"], meta["dimensions"][::-1]
    shape = [shape[i] for i in place.get("transpose", range(len(shape)))]
    try:
        integer = meta.get("dataType", "").lstrip("u").startswith("int")
    except AttributeError:
        integer = False
    label, painter = group.get("image-label"), group.get("painteraData")
    if label is not None or isinstance(painter, dict) and painter.get("type") == "label":
        if integer:
            out["kind"] = "labels"
        else:
            f.left_out(f"{where} as labels", "they are integers: it is an image")
    if isinstance(label, dict):
        source = label.get("source")
        image = source.get("image") if isinstance(source, dict) else None
        more = f.attributes(f"{where}: image-label", {k: v for k, v in label.items() if k not in ("version", "source")})
        if more:
            out["attributes"] = {"image-label": more}
        if isinstance(image, str) and "kind" in out:
            named = posixpath.normpath(posixpath.join(where, image))
            if any(a.path == named and a.kind == "image" for a in f.made):
                out["labels_of"] = named
            else:
                f.left_out(f"{where}: image-label.source", f"{image!r:.100} is no image of it")
    omero = group.get("omero")
    if isinstance(omero, dict) and out.get("kind") != "labels":
        n = shape[axes.index("c")] if "c" in axes else 1
        try:
            out["channels"] = places.channels(f, f"{where}: omero", omero.get("channels"), n, meta["dataType"])
        except TypeError:
            pass  # no number's: the dataset is refused anyway
        more = ngff.looks(f, where, omero, shape, axes)
        if more and out.get("channels") is not None:
            out.setdefault("attributes", {})["omero"] = more
    return out
