"""NIfTI, one file of it (.nii, .nii.gz), through nibabel. Extensions, which may be DICOM or XML documents of
any size, are not read."""
from __future__ import annotations

import gzip
import math
import os
from typing import Any

import numpy as np

from .._errors import StoreError
from . import places
from .file import File, need, why

UNITS = {"meter": "meter", "mm": "millimeter", "micron": "micrometer", "sec": "second",
         "msec": "millisecond", "usec": "microsecond"}
#: intent_code of an atlas: the values are labels.
LABELS = 1002
RGB = [{"label": "red", "color": "FF0000"}, {"label": "green", "color": "00FF00"}, {"label": "blue", "color": "0000FF"}]
MAX_RATIO = 1032  # of what gzip unpacks to what it packs


def _image(nibabel: Any, f: File) -> Any:
    """The image by the class that its first bytes name, with a header that has no extensions."""
    opened = gzip.open if f.lower.endswith(".gz") else open
    with opened(f.path, "rb") as file:
        first = file.read(4)
    version = {348: 1, 540: 2}.get(min(int.from_bytes(first, order)
                                       for order in ("little", "big")) if len(first) == 4 else 0)
    if version is None:
        raise StoreError("it can't be read: it doesn't begin as a NIfTI file does")
    base = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image

    class NoExtensions(base.header_class.exts_klass):  # type: ignore[name-defined,misc]
        @classmethod
        def from_fileobj(cls, *_: Any) -> Any:
            return cls()

    class Header(base.header_class):  # type: ignore[name-defined,misc]
        exts_klass = NoExtensions
        odd: list[str] = []  # why its place can't be had

        def get_best_affine(self) -> Any:
            try:
                made = super().get_best_affine()
                if not np.all(np.isfinite(made)):
                    raise ValueError("it holds what is no number")
                return made
            except Exception as e:  # a rotation that is none
                self.odd.append(why(e))
                return super().get_base_affine()

    class Image(base):  # type: ignore[misc,valid-type]
        header_class = Header

    return Image.from_filename(f.path)


def nifti(f: File) -> None:
    """x is NIfTI's fastest axis and its first one: served as zyx (tzyx, tczyx), as viewers have it."""
    nibabel = need("nibabel")
    if f.inner:
        raise StoreError(f"a NIfTI file has nothing inside, got '::{f.inner}'")
    try:
        image = _image(nibabel, f)
    except StoreError:
        raise
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None
    header = image.header
    kept = f.attributes("header", {k: header[k] for k in header.keys()
                                   if k in ("descrip", "qform_code", "sform_code", "intent_code",
                                            "intent_name")})
    if header.odd:
        f.left_out("header: affine", f"{header.odd[0]}: it counts as one without a rotation, of the header's voxel sizes")
    space = time = None
    try:
        space, time = (UNITS.get(u) for u in header.get_xyzt_units())
    except KeyError:
        f.left_out("header: xyzt_units", f"{int(header['xyzt_units'])} is none of NIfTI's units")
    volume(f, image, lambda: _image(nibabel, f), (space, time), "nifti", kept)


def volume(f: File, image: Any, again: Any, units: Any, kind: str, kept: dict[Any, Any]) -> None:
    """Any image of nibabel's, as the file's only array. again: opens it anew. units: of space and of time. kept:
    attributes, which are put under the name of the kind, with the affine."""
    space, time = units
    rank = len(image.shape)
    zooms = places.scale(f, "header", [float(z) for z in image.header.get_zooms()], "xyztcuv"[:rank])
    affine = np.asarray(image.affine, float)
    aligned = np.allclose(affine[:3, :3], np.diag(np.abs(np.diag(affine[:3, :3]))))
    origin = [float(v) for v in affine[:3, 3]] if aligned else [0.0] * 3
    order = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 1, 0), 5: (3, 4, 2, 1, 0)}.get(rank)
    kept = {kind: dict(kept, **f.attributes("header", {"affine": affine}))}
    samples = _samples(f, image.header.get_data_dtype())

    def load() -> Any:
        try:
            proxy = again().dataobj
            _check_size(f, proxy)
            scaled = (proxy.slope, proxy.inter) != (1.0, 0.0)
            if samples:
                return _colours(np.asarray(proxy), samples)
            if _is_packed(f) or not scaled:
                return _ordinary(np.asanyarray(proxy))  # a map of the file, or, unpacked, in memory
            return proxy
        except Exception as e:
            raise StoreError(f"its values can't be read: {why(e)}") from None

    if order is None:
        f.add("", load, attributes=kept)
        return
    axes = "tczyx" if rank == 5 else "tzyx"[4 - rank:]
    names = "xyztc"
    per = {a: (z, (space if a in "xyz" else time if a == "t" else None), 0.0)
           for a, z in zip(names, zooms)}
    for a, o in zip("xyz", origin):
        if a in per:
            per[a] = (per[a][0], per[a][1], o)
    per.setdefault("c", (1.0, None, 0.0))
    labels = _is_atlas(image.header) and "c" not in axes
    if samples:
        if "c" in axes:
            raise StoreError("it has colours along two axes")
        order = (*order[:rank - 3], rank, *order[rank - 3:]) if rank > 3 else (rank, *order)
        axes = axes.replace("t", "tc") if "t" in axes else "c" + axes
    f.add("", load, kind="labels" if labels else None, channels=RGB if samples else None, transpose=order,
          axes=axes, units=[per[a][1] for a in axes], scale=[per[a][0] for a in axes],
          translation=[per[a][2] for a in axes], attributes=kept)


def _is_atlas(header: Any) -> bool:
    """Whether the values are labels, as NIfTI's intent says, and not scaled ones."""
    return "intent_code" in header.keys() and int(header["intent_code"]) == LABELS \
        and header.get_data_dtype().kind in "iu" and header.get_slope_inter() in ((None, None), (1.0, 0.0), (1.0, None))


def _samples(f: File, dtype: np.dtype) -> int:
    """3 of RGB and RGBA, whose alpha is left out, said; 0: the values are numbers."""
    if dtype.names is None:
        return 0
    if tuple(n.upper() for n in dtype.names[:3]) != ("R", "G", "B") or any(dtype[n] != np.uint8 for n in dtype.names):
        raise StoreError(f"its type, {dtype}, is no number's and no colour's")
    if len(dtype.names) > 3:
        f.left_out("alpha", "it says how opaque the others are; 3 are channels")
    return 3


def _colours(a: np.ndarray, samples: int) -> np.ndarray:
    """Colours as one more axis, the last."""
    return np.ascontiguousarray(a).view(np.uint8).reshape(*a.shape, -1)[..., :samples]


def _is_packed(f: File) -> bool:
    return f.lower.endswith((".gz", ".mgz"))


def _check_size(f: File, proxy: Any) -> None:
    """A header may declare any shape: nibabel takes memory for it before it reads."""
    size, wanted = os.path.getsize(f.path), math.prod(proxy.shape) * proxy.dtype.itemsize
    most = size * MAX_RATIO + 4096 if _is_packed(f) else size - proxy.offset
    if wanted > most:
        raise StoreError(f"its header declares {wanted} bytes of values, and the file can't hold more than "
                         f"{max(0, most)}")


def _ordinary(a: np.ndarray) -> np.ndarray:
    """The same values as a plain array or memory map."""
    return a if type(a) in (np.ndarray, np.memmap) else np.asarray(a)
