"""FreeSurfer's MGH and MGZ, through nibabel. MGZ is unpacked whole, in memory."""
from __future__ import annotations

from .._errors import StoreError
from .file import File, need, why
from .nifti import volume


def mgh(f: File) -> None:
    """Axes zyx, or tzyx of several frames; millimeters, and milliseconds between frames, as FreeSurfer has them."""
    nibabel = need("nibabel")
    if f.inner:
        raise StoreError(f"an MGH file has nothing inside, got '::{f.inner}'")
    try:
        image = nibabel.MGHImage.from_filename(f.path)
    except Exception as e:
        raise StoreError(f"it can't be read: {why(e)}") from None
    volume(f, image, lambda: nibabel.MGHImage.from_filename(f.path), ("millimeter", "millisecond"), "mgh", {})
