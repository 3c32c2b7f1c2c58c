"""What an array takes over from its first input beside shape and place: kind, fill value, channels."""
from __future__ import annotations

import warnings
from typing import Any, Optional, Sequence

import numpy as np

from . import _cast, _check, _images, _inputs
from ._errors import CastError, StoreError
from ._inputs import Input


def complete(g: dict[Any, Any], inputs: Sequence[Input]) -> None:
    """Completes the parameters g, whose shape, dtype and axes are known, with the kind that the inputs
    make and the first input's fill value and channels. Raises StoreError for a dtype that is none."""
    dt = _check.dtype(g["dtype"])
    if _made_of_labels(g, inputs, dt):
        g["kind"] = "labels"
    first = inputs[0].found
    if "fill_value" not in g and first.fill_given:
        fill = held(first.fill_value, dt)
        if fill is not None:
            g["fill_value"] = fill
    if "channels" not in g and first.channels and g.get("kind", "image") == "image" and g.get("axes") \
            and dt.kind != "c" and _same_channels(g, inputs[0]):
        g["channels"] = _images.for_dtype(first.channels, first.dtype, dt)


def _made_of_labels(g: dict[Any, Any], inputs: Sequence[Input], dt: np.dtype) -> bool:
    """Whether nothing is said and everything is ids: means of them would be ids of nothing."""
    return "kind" not in g and "channels" not in g and bool(g.get("axes")) and dt.kind in "iu" \
        and all(one.found.kind == "labels" for one in inputs)


def held(value: Any, dt: np.dtype) -> Optional[Any]:
    """A value as the dtype has it, or None where that would be another one (floats are rounded).

    >>> held(np.float32("nan"), np.dtype("float64")), held(np.float32("nan"), np.dtype("uint8"))
    (nan, None)
    >>> held(np.uint16(300), np.dtype("uint8")), held(np.float64(7), np.dtype("uint8"))
    (None, 7)
    """
    a = np.asarray(value)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a complex that loses a part, NaN as an integer
        made = a.astype(dt)
    same = made.item() == a.item()
    try:
        _cast.check_values(a, dt)
    except CastError:
        return made.item() if same else None
    return made.item()


def _same_channels(g: dict[Any, Any], one: Input) -> bool:
    """Whether the channels are the input's: its channel axis is followed whole, or neither has one."""
    a = one.found
    axes = tuple(g["axes"])
    if not a.axes or ("c" in axes) != ("c" in a.axes):
        return False
    if "c" not in axes:
        return True
    shape = _check.shape(g["shape"])
    try:
        follows, _ = _inputs.follow(one, a, axes, len(shape))
    except StoreError:
        return False
    theirs, own = a.axes.index("c"), axes.index("c")
    return bool(follows[theirs] == own and
                a.levels[int(one.level)].shape[theirs] == shape[own] == len(a.channels or ()))
