"""What a precomputed segmentation says of its segments (segment_properties), as properties of OME-Zarr's labels."""
from __future__ import annotations

from typing import Any, Optional

from .._errors import StoreError
from .file import File
from .tree import join

#: Segments whose properties are kept: they are in every document of the labels.
MAX_SEGMENTS = 65536


def properties(f: File, where: str, folder: str, labels: bool) -> dict[Any, Any]:
    """{"image-label": {"properties": …}}, or {} where there are none; what isn't taken is said."""
    place = f"{where}: segment_properties"
    try:
        if f.tree.leads_out(folder):
            raise StoreError("they lie outside of the folder that was named")
        doc = f.document(join(folder, "info"))
    except StoreError as e:
        f.left_out(place, str(e))
        return {}
    inline = doc.get("inline") if doc is not None else None
    if not labels or not isinstance(inline, dict) or not isinstance(inline.get("ids"), list):
        f.left_out(place, "it isn't labels" if not labels else "there is no list of ids in its info")
        return {}
    ids = [_id(v) for v in inline["ids"]]
    if len(ids) > MAX_SEGMENTS or None in ids:
        f.left_out(place, f"they are of {len(ids)} segments, more than {MAX_SEGMENTS}" if None not in ids
                   else "not all ids are whole numbers")
        return {}
    rows: list[Any] = [{"label-value": v} for v in ids]
    given = inline.get("properties")
    if given is not None and not isinstance(given, list):
        f.left_out(place, f"its properties are no list: {given!r:.100}")
    for one in given if isinstance(given, list) else ():
        name = one.get("id") if isinstance(one, dict) else None
        values = one.get("values") if isinstance(one, dict) else None
        if not isinstance(name, str) or name == "label-value" or not isinstance(values, list) or len(values) != len(rows):
            f.left_out(f"{place}: {name!r:.100}", "it is called as their ids are" if name == "label-value" else
                       f"it has no value for each of the {len(rows)} segments")
            continue
        if name == "label-value":
            f.left_out(f"{place}: {name!r}", "it is what OME-Zarr calls the id")
            continue
        tags = one.get("tags") if one.get("type") == "tags" else None
        for row, v in zip(rows, values):
            row[name] = _tags(tags, v) if isinstance(tags, list) else v
    kept = f.attributes(place, {"properties": rows})
    return {"image-label": kept} if kept and rows else {}


def _id(value: Any) -> Optional[int]:
    try:
        return int(value) if isinstance(value, (str, int)) and not isinstance(value, bool) \
            and len(str(value)) <= 20 else None
    except ValueError:
        return None


def _tags(tags: list[Any], value: Any) -> list[Any]:
    return [tags[i] for i in value if isinstance(i, int) and 0 <= i < len(tags)] \
        if isinstance(value, list) else []
