"""Images in HDF5: BigDataViewer's setups with their levels, and what ilastik and vigra say of axes."""
from __future__ import annotations

import json
import os
import re
from typing import Any, Callable
from xml.etree import ElementTree

import numpy as np

from .. import _levels
from .._errors import StoreError
from . import places, trust
from .file import File, why


class Unsigned:
    """BigDataViewer's values, which Java has no unsigned type for: 16 bits as they are meant."""

    def __init__(self, a: Any) -> None:
        self.a, self.shape, self.dtype, self.chunks = a, a.shape, np.dtype("u2"), a.chunks

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self.a[key]).view("u2")


def _meant(a: Any) -> Any:
    if a.dtype != np.dtype("i2"):
        return a
    return a.view("u2") if isinstance(a, np.ndarray) else Unsigned(a)


def bigdataviewer(f: File, h5py: Any, links: Any, root: Any,
                  open_one: Callable[[Any, str], tuple[Any, ...]]) -> set[str]:
    """Each view of a BigDataViewer file, or those below ::path, a setup at a time, as an image t00000/s00 with its
    levels. root: the file. open_one(dataset, name): (its parameters, what opens it). Returns the names of the
    datasets that are in one."""
    def find(path: str, kind: Any) -> Any:
        try:
            node = links.find(root, path)
        except (KeyError, OSError, RuntimeError, StoreError):
            return None  # said where it is looked at by itself
        return node if isinstance(node, kind) else None

    names = sorted(n for n in root if isinstance(n, str))  # others are no UTF-8
    setups = {s: find(f"{s}/resolutions", h5py.Dataset) for s in names if re.fullmatch(r"s\d\d+", s)}
    setups = {s: d for s, d in setups.items() if d is not None}
    sizes = _sizes(f) if setups else {}
    taken: set[str] = set()
    for t in names if setups else ():
        for s, d in setups.items() if re.fullmatch(r"t\d{5,}", t) else ():
            named = not f.inner or f"{t}/{s}/".startswith(f.inner + "/")
            if not named or find(f"{t}/{s}", h5py.Group) is None:
                continue
            f.count()
            try:
                factors = _factors(d, open_one(d, f"/{s}/resolutions")[1])
                names = [f"/{t}/{s}/{k}/cells" for k in range(len(factors))]
                found = [find(n[1:], h5py.Dataset) for n in names]
                if any(one is None or one.ndim != 3 for one in found):
                    raise StoreError("its levels aren't those of its resolutions")
                loads = [open_one(one, n)[1] for one, n in zip(found, names)]
                if _image(f, f"{t}/{s}", loads, factors, sizes.get(int(s[1:]))):
                    taken.update(names)
            except Exception as e:  # a damaged one: its datasets are served as such
                f.left_out(f"/{t}/{s} as an image", why(e))
    return taken


def _factors(d: Any, load: Callable[[], Any]) -> list[Any]:
    """How much coarser each level is, z y x."""
    if d.ndim != 2 or d.shape[1] != 3 or not 1 <= d.shape[0] <= _levels.MAX_LEVELS:
        raise StoreError("its resolutions are no list of three factors")
    made = np.asarray(load()[0:d.shape[0], 0:3], float)
    if not np.all(np.isfinite(made)) or np.any(made < 1):
        raise StoreError("its resolutions are no factors")
    return [one[::-1] for one in made.tolist()]


def _image(f: File, name: str, loads: list[Any], factors: list[Any], size: Any) -> bool:
    unit, voxel = size or (None, [1.0] * 3)
    voxel = places.scale(f, f"/{name}", voxel[::-1], "zyx")
    made = f.try_add(name, lambda: [_meant(load()) for load in loads], axes="zyx",
                     scale=[[v * r for v, r in zip(voxel, one)] for one in factors],
                     units=places.units(f, f"/{name}", [unit] * 3, "zyx"))
    return made is not None


def _sizes(f: File) -> dict[int, Any]:
    """{setup: (unit, voxel size x y z)} of the XML beside it, of the same name."""
    path = os.path.splitext(f.path)[0] + ".xml"
    try:
        data = trust.read(path, trust.MAX_DOCUMENT, os.path.dirname(os.path.abspath(path)), f.follow)
        if data is None:
            return {}
        if re.search(b"<!(DOCTYPE|ENTITY)", data, re.IGNORECASE):
            raise ValueError("it declares a document type or entities")
        out = {}
        for e in ElementTree.fromstring(data).iter("ViewSetup"):
            text = e.findtext("voxelSize/size")
            if text and (e.findtext("id") or "").strip().isdecimal():
                out[int(e.findtext("id") or 0)] = (e.findtext("voxelSize/unit"), text.split())
        return out
    except (StoreError, ValueError, ElementTree.ParseError, RecursionError) as e:
        f.left_out(os.path.basename(path), str(e))
        return {}


def axistags(f: File, name: str, kept: dict[Any, Any], rank: int) -> dict[str, Any]:
    """The parameters of an image whose axes vigra names in its attribute `axistags`; {}: there is none, or it
    doesn't name an image's."""
    text = kept.get("axistags")
    if not isinstance(text, str):
        return {}
    try:
        given = json.loads(text)["axes"]
        keys = [str(a["key"]) for a in given]
    except (ValueError, KeyError, TypeError, RecursionError):
        f.left_out(f"{name}: axes", "its axistags can't be read")
        return {}
    if len(keys) != rank or len(set(keys)) != rank or not {"y", "x"} <= set(keys) <= set("tczyx"):
        f.left_out(f"{name} as an image", f"its axistags name {keys!r:.100}")
        return {}
    order = sorted(range(rank), key=lambda i: "tczyx".index(keys[i]))
    sizes = [places.number(given[i].get("resolution")) or 1.0 for i in order]
    axes = "".join(keys[i] for i in order)
    return {"axes": axes, "dims": None, "transpose": None if order == sorted(order) else tuple(order),
            "scale": places.scale(f, name, sizes, axes)}

