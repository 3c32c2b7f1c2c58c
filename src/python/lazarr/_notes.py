"""What is seen of a store's functions when it is loaded and isn't wrong, but may surprise: said once."""
from __future__ import annotations

import os
import random
import sys
import types
from typing import TYPE_CHECKING, Any, Iterator, Sequence

import numpy as np

from . import _unasked

if TYPE_CHECKING:
    from ._array import Array

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


def _reached(function: Any, seen: set[Any]) -> Iterator[tuple[Any, ...]]:
    """(name, value) of the globals and closed-over variables that a function's code names, and that of
    the functions of its file that it names."""
    function = getattr(function, "func", function)  # functools.partial
    function = getattr(function, "__wrapped__", function)
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return
    seen.add(code)
    names = set(code.co_names)
    for inner in code.co_consts:  # comprehensions and nested functions
        names |= set(getattr(inner, "co_names", ()))
    for name in sorted(names):
        if name in function.__globals__:
            value = function.__globals__[name]
            yield name, value
            if type(value) is types.FunctionType and value.__globals__ is function.__globals__:
                yield from _reached(value, seen)
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            yield name, cell.cell_contents
        except ValueError:
            pass  # nothing is in it yet


def of_generators(file: str, arrays: Sequence["Array"]) -> None:
    """Says of each array whose function draws from a generator that the file made: what a block gets
    then depends on which blocks came before it, in that worker."""
    for a in arrays:
        if a.is_source or not a.deterministic:
            continue
        for name, value in _reached(a.function, set()):
            if _unasked.is_a(value, GENERATORS):
                print(f'{os.path.basename(file)}: array "{a.path}": its random numbers come from "{name}", made '
                      "when the file was loaded, and differ each time a block is computed: make a generator in "
                      "the function, np.random.default_rng((seed, *block.chunk)), or say deterministic=False",
                      file=sys.stderr)
                break
