"""What the parameters of the public functions may be, for type checkers, editors and `inspect.signature`.
What a value must be beyond its type is said, and checked, by the functions themselves."""
from __future__ import annotations

import inspect
import os
from typing import (TYPE_CHECKING, Any, Callable, Dict, Literal, Mapping, Optional, Sequence, SupportsFloat,
                    SupportsIndex, TypedDict, Union)

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._array import Array
    from ._codecs import Codec
    from ._inputs import Input

    Whole = Union[SupportsIndex, Sequence[SupportsIndex], np.ndarray[Any, Any]]
    Real = Union[SupportsFloat, Sequence[SupportsFloat], np.ndarray[Any, Any]]
    RealOfLevels = Union[Real, Sequence[Sequence[SupportsFloat]]]
    Halo = Union[SupportsIndex, Sequence[Union[SupportsIndex, Sequence[SupportsIndex]]], np.ndarray[Any, Any]]
    Factors = Union[SupportsIndex, Sequence[Union[SupportsIndex, Sequence[SupportsIndex]]]]
    Fill = Union[complex, np.generic, str, Sequence[float]]
    Compressor = Union[Codec, Dict[str, Any], None]
    AnyInput = Union[Array, str, Input, Dict[str, Any]]
    Fixed = Union[str, slice, SupportsIndex]
    Select = Union[Sequence[Any], Mapping[Union[str, int], Fixed], Fixed]
    Rechunks = Union[Whole, Mapping[Any, SupportsIndex]]  # by names and positions
    Dependency = Union[str, "os.PathLike[str]", Callable[..., Any]]

Boundary = Literal["constant", "edge", "reflect", "symmetric", "wrap"]
Kind = Literal["image", "labels", "plain"]
Pyramid = Literal["mean", "mode", "max", "min", "stride", "each"]


class Parameters(TypedDict, total=False):
    """Of `lazarr.source` and `lazarr.array`, which explains each."""

    chunks: Optional[Whole]
    fill_value: Optional[Fill]
    dims: Union[str, Sequence[str], None]
    axes: Union[str, Sequence[str], None]
    units: Union[str, Sequence[Optional[str]], None]
    scale: Optional[RealOfLevels]
    translation: Optional[RealOfLevels]
    kind: Optional[Kind]
    channels: Optional[Sequence[Union[str, Dict[str, Any]]]]
    labels_of: Union[Array, str, None]
    compressor: Compressor
    n5_compressor: Compressor
    precomputed_encoding: Optional[Literal["raw", "compressed_segmentation"]]
    attributes: Optional[Dict[str, Any]]
    levels: Optional[SupportsIndex]
    factors: Optional[Factors]
    pyramid: Optional[Pyramid]
    separator: Optional[Literal[".", "/"]]
    slots: Optional[SupportsIndex]
    timeout: Optional[float]
    on_abandon: Optional[Literal["interrupt", "finish"]]
    version: Optional[object]
    depends: Optional[Sequence[Dependency]]
    deterministic: Optional[bool]


class ArrayParameters(Parameters, total=False):
    """What `lazarr.array` has beside them."""

    shape: Optional[Whole]
    dtype: Optional[npt.DTypeLike]
    inputs: Optional[Sequence[AnyInput]]
    halo: Optional[Halo]
    boundary: Optional[Boundary]


FIRST = ("shape", "chunks", "dtype", "inputs", "halo", "boundary")  # what one looks for first


def signature(function: Callable[..., Any], parameters: Any, defaults: Mapping[str, Any]) -> inspect.Signature:
    """A function's own signature with `parameters`, one of the above, by name in the place of its
    ``**parameters``: what inspect, pydoc and IPython show. defaults: those that aren't None."""
    own = inspect.signature(function)
    order = {n: i for i, n in enumerate(FIRST)}
    made = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(n),
                              annotation=getattr(h, "__forward_arg__", h))
            for n, h in sorted(parameters.__annotations__.items(), key=lambda v: order.get(v[0], len(order)))]
    kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return own.replace(parameters=[*kept, *made])
