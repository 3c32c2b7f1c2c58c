"""What --op gets of a file that follows the CF conventions: data variables, unpacked, NaN where one is missing."""
from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

import numpy as np

from .. import _masks, _spec
from .._array import Array


def variables(arrays: Sequence[Array]) -> list[Any]:
    """The arrays that are data: neither coordinates nor what others name as theirs (bounds, a grid mapping);
    all, if none is."""
    named = set()
    for a in arrays:
        for key in ("coordinates", "bounds", "grid_mapping", "climatology", "ancillary_variables", "cell_measures"):
            value = a.attributes.get(key)
            if isinstance(value, str):
                folder = a.path.rpartition("/")[0]
                named |= {f"{folder}/{n}".lstrip("/") for n in value.replace(":", " ").split()}
    out = [a for a in arrays if a.path not in named and a.dims != (a.path.rpartition("/")[2],)]
    return out or list(arrays)


def taking(function: Callable[..., Any], a: Array) -> tuple[Any, ...]:
    """(the function with decoded data, the parameters of its array that follow from that)."""
    fill = a.fill_value if a.fill_given and a.kind == "plain" else None
    decode = _masks.decoder(a.attributes, a.dtype, fill) if a.kind == "plain" else None
    if decode is None or not _spec.takes(function, 1):
        return function, {}

    def decoding(block: Any, data: np.ndarray) -> Any:
        return function(block, decode(data))
    functools.update_wrapper(decoding, function)
    return decoding, {"dtype": _masks.decoded_dtype(a.attributes, a.dtype), "fill_value": np.nan}
