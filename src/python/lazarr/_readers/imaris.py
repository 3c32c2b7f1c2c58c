"""Imaris 5 (.ims), HDF5 of a certain layout, through h5py: one image with its levels. FILE::/path is a part of it as
HDF5 has it."""
from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from .._errors import StoreError
from . import hdf5, hdf5_links, places
from .blocks import Blocks
from .file import File, need, why

MAX_LEVELS = 32
MAX_NUMBERED = 100000  # times, and channels


def is_imaris(path: str) -> bool:
    h5py = need("h5py")
    try:
        with h5py.File(path, "r") as file:
            return _below(file, "DataSetInfo") is not None and _below(file, "DataSet", "ResolutionLevel 0") is not None
    except Exception:  # hdf5 says what is wrong with it
        return False


def _below(group: Any, *names: str) -> Any:
    """What lies in a group in the same file, and not behind a link that may lead elsewhere; None: nothing does."""
    h5py = need("h5py")
    for name in names:
        if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return None
        group = group[name]
    return group


def _found(group: Any, *names: str) -> Any:
    made = _below(group, *names)
    if made is None:
        raise StoreError(f"there is no '{'/'.join(names)}' in {group.name}")
    return made


def _text(f: File, node: Any, name: str) -> Optional[str]:
    """Imaris writes texts as arrays of one letter each. None: there is none, or none that can be read, which is said."""
    if node is None:
        return None
    try:
        value = node.attrs.get(name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "S":
            return b"".join(bytes(v) for v in value.reshape(-1)[:1000]).decode("latin-1").strip("\0 ")
    except Exception as e:  # whatever HDF5 has against a damaged one
        f.left_out(f"{node.name}: {name}", why(e))
        return None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if np.ndim(value) == 0 and isinstance(value, np.number):
        return str(value)
    f.left_out(f"{node.name}: {name}", f"{value!r:.100} is no text")
    return None


class Level(Blocks):
    """A level as tczyx, of datasets that each hold a time and a channel, cut to the image's own size. Each is opened
    when it is first read: there may be thousands."""

    def __init__(self, path: str, size: tuple[int, ...], loads: list[list[Callable[[], Any]]]):
        self._loads, self.filename = loads, path
        self._opened: dict[tuple[Any, ...], Any] = {}
        first = self._dataset(0, 0)
        self.dtype = first.dtype
        self.shape = (len(loads), len(loads[0]), *size)
        own = getattr(first, "chunks", None) or (min(size[0], 16), min(size[1], 256), min(size[2], 256))
        self.chunks = (1, 1, *(min(int(c), n) for c, n in zip(own, size)))

    def _dataset(self, t: int, c: int) -> Any:
        made = self._opened.get((t, c))
        if made is None:
            made = self._opened[t, c] = self._loads[t][c]()
        return made

    def block(self, pos: tuple[Any, ...]) -> np.ndarray:
        low = [p * c for p, c in zip(pos[2:], self.chunks[2:])]
        high = [min(a + c, n) for a, c, n in zip(low, self.chunks[2:], self.shape[2:])]
        values = np.asarray(self._dataset(*pos[:2])[tuple(slice(a, b) for a, b in zip(low, high))])
        return values[None, None]


def _numbered(group: Any, name: str) -> int:
    n = 0
    while n < MAX_NUMBERED and _below(group, f"{name} {n}") is not None:
        n += 1
    return n


def imaris(f: File) -> None:
    h5py = need("h5py")
    hdf5.without_plugins_of(f, h5py)
    with h5py.File(f.path, "r") as file, hdf5_links.Links(f, h5py, file) as links:
        root = _found(file, "DataSet")
        levels = min(_numbered(root, "ResolutionLevel"), MAX_LEVELS)
        top = _found(root, "ResolutionLevel 0")
        times, channels = _numbered(top, "TimePoint"), _numbered(_found(top, "TimePoint 0"), "Channel")
        if not times or not channels:
            raise StoreError("it has no TimePoint 0/Channel 0")
        made = []
        for k in range(levels):
            try:
                made.append(_level(f, h5py, links, _found(root, f"ResolutionLevel {k}"), times, channels))
                if made[-1][1] != made[0][1]:
                    raise StoreError(f"its values are {made.pop()[1]}, unlike the first")
            except Exception as e:
                if k == 0:
                    raise StoreError(f"its finest level can't be read: {why(e)}") from None
                f.left_out(f"level {k} and those below", why(e))
                break
        parameters = _said(f, _found(file, "DataSetInfo"), [size for size, _, _ in made], made[0][1], times, channels)
    path = f.path

    def load() -> Any:
        return [Level(path, size, loads) for size, _, loads in made]

    f.count()
    f.add("", load, axes="tczyx", **parameters)


def _level(f: File, h5py: Any, links: Any, group: Any, times: int, channels: int) -> tuple[Any, ...]:
    """(size as zyx, dtype, what opens each of its datasets)"""
    first = _found(group, "TimePoint 0", "Channel 0")
    stored = _found(first, "Data").shape
    said = [_text(f, first, f"ImageSize{a}") for a in "ZYX"]
    size = tuple(int(v) if v and v.isdecimal() else n for v, n in zip(said, stored))
    for a, v in zip("ZYX", said):
        if v and not v.isdecimal():
            f.left_out(f"{first.name}: ImageSize{a}", f"{v!r:.50} is no size: that of its values counts")
    if len(stored) != 3 or any(not 0 < n <= m for n, m in zip(size, stored)):
        raise StoreError(f"its size {list(size)} isn't within {list(stored)}, that of its values")
    loads, types = [], set()
    for t in range(times):
        row = []
        for c in range(channels):
            d = _found(group, f"TimePoint {t}", f"Channel {c}", "Data")
            if d.shape != stored:
                raise StoreError(f"{d.name} has the shape {list(d.shape)}, others {list(stored)}")
            types.add(np.dtype(d.dtype))
            links.check_storage(d)
            row.append(hdf5._open(f, h5py, links, d, d.name)[1])
        loads.append(row)
    if len(types) > 1:
        raise StoreError("its channels are of different types")
    return size, types.pop(), loads


def _said(f: File, info: Any, sizes: list[Any], dtype: Any, times: int, channels: int) -> dict[str, Any]:
    """Places, units and channels of DataSetInfo."""
    image = _below(info, "Image")
    low, extent = {}, {}
    for k, a in enumerate("xyz"):
        ends = [places.number(_text(f, image, f"Ext{m}{k}")) for m in ("Min", "Max")]
        if ends[0] is not None and ends[1] is not None:
            low[a], extent[a] = ends[0], ends[1] - ends[0]
    step = {a: extent[a] / n for a, n in zip("zyx", sizes[0]) if a in extent}
    first = places.scale(f, "DataSetInfo/Image", step, "tczyx") if step else [1.0] * 5
    scales, shifts = [], []
    for size in sizes:
        scales.append(first[:2] + [v * n / m for v, n, m in zip(first[2:], sizes[0], size)])
        # Extents are those of edges, and lazarr counts from the centre of voxel 0.
        shifts.append([0.0, 0.0] + [low.get(a, -v0 / 2) + v / 2
                                    for a, v0, v in zip("zyx", first[2:], scales[-1][2:])])
    named = []
    for c in range(channels):
        own = _below(info, f"Channel {c}")
        said = _text(f, own, "Color")
        colour: Any = [places.number(v) for v in (said or "").split()]
        named.append({"label": _text(f, own, "Name") or str(c),
                      "color": colour if len(colour) == 3 and None not in colour else said})
    unit = _text(f, image, "Unit") if extent else None
    single = len(sizes) == 1
    return {"scale": scales[0] if single else scales, "translation": shifts[0] if single else shifts,
            "units": places.units(f, "DataSetInfo/Image", {a: unit for a in "zyx"}, "tczyx"),
            "channels": places.channels(f, "DataSetInfo", named, channels, dtype), "attributes": {}}
