"""OME-Zarr's groups that are no images: plates, wells, bioformats2raw's layout, lists of labels. They are kept
as {"ome": {"version": "0.5", "plate": …}}, whichever version the file has: the server writes 0.5 into Zarr v3
and 0.4 into Zarr v2."""
from __future__ import annotations

from typing import Any, Optional

from .file import File

#: Names of attributes that make a group more than a group, and what they must be.
KINDS: dict[Any, Any] = {"plate": dict, "well": dict, "bioformats2raw.layout": int, "series": list}
#: The file that bioformats2raw puts beside images.
XML = "METADATA.ome.xml"


def attributes(f: File, node: Any, image: Optional[Any]) -> dict[Any, Any]:
    """A group's attributes, with what OME-Zarr says of it under "ome". image: whose labels may be in it."""
    given = dict(node.attributes)
    ome = given.pop("ome", None)
    if ome is not None and not isinstance(ome, dict):
        f.left_out(f"{node.where}: ome", f"{ome!r:.100} is no object")
    found = {k: v for k, v in ome.items() if k != "version"} if isinstance(ome, dict) else {}
    for name in ("multiscales", "omero", "image-label", "labels"):
        for place in (found, given):
            value = place.pop(name, None)
            if name == "labels" and value is not None:
                _labels(f, node, value, image)
            elif value is not None and name != "multiscales":  # ngff.py has said what is wrong with those
                f.left_out(f"{node.where}: {name}", "the group is no image")
    for name, kind in KINDS.items():
        if name in given and name not in found and (isinstance(ome, dict) or isinstance(given[name], kind)):
            found[name] = given.pop(name)
        if name in found and (not isinstance(found[name], kind) or isinstance(found[name], bool)):
            f.left_out(f"{node.where}: {name}", f"{found.pop(name)!r:.100} is none")
        elif name in found and kind is dict:
            found[name] = {k: v for k, v in found[name].items() if k != "version"}
    if node.path.rpartition("/")[2] == "OME" and f.tree.exists(f"{node.path}/{XML}"):
        f.left_out(f"{node.path}/{XML}", "lazarr serves arrays and attributes")
    kept = f.attributes(node.where, given)
    ome = f.attributes(f"{node.where}: ome", found)
    return {**kept, "ome": {"version": "0.5", **ome}} if ome else kept


def _labels(f: File, node: Any, value: Any, image: Optional[Any]) -> None:
    """The server writes the list of an image's labels itself; names of which there are none are said."""
    if not isinstance(value, list):
        f.left_out(f"{node.where}: labels", f"{value!r:.100} is no list")
        return
    if image is None:
        f.left_out(f"{node.where}: labels", "the group is no image's labels")
        return
    for name in value:
        if not isinstance(name, str) or not any(
                f.tree.exists(f"{node.path}/{name}/{d}") for d in (".zgroup", "zarr.json")):
            f.left_out(f"{node.where}: labels {name!r:.100}", "there is no such group")


def named_in(node: Any) -> list[Any]:
    """The names of what is in a group as OME-Zarr's attributes say, where no listing can be had."""
    out: list[Any] = []

    def add(path: Any) -> None:
        if isinstance(path, (str, int)) and str(path) not in out and ".." not in str(path).split("/"):
            out.append(str(path))
    plate, well = node.ome("plate"), node.ome("well")
    for holder, name in ((plate, "wells"), (well, "images")):
        listed = holder.get(name) if isinstance(holder, dict) else None
        for one in listed if isinstance(listed, list) else []:
            add(one.get("path") if isinstance(one, dict) else None)
    series = node.ome("series")
    for name in series if isinstance(series, list) else []:
        add(name)
    if node.ome("bioformats2raw.layout") is not None:
        add("OME")
        for k in range(1000):
            if not any(node.f.tree.exists(f"{node.path}/{k}/{d}".lstrip("/")) for d in (".zgroup", "zarr.json")):
                break
            add(k)
    labels = node.ome("labels")
    for name in labels if isinstance(labels, list) else []:
        add(name)
    if node.ome("multiscales") is not None:
        add("labels")
    return out
