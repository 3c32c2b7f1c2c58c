"""How a function of the user's is called: what it says it takes, and what can't be called at all."""
from __future__ import annotations

import functools
import inspect
import types
from typing import Any, Callable

from ._errors import StoreError

_UNUSUAL = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def refuse(function: Callable[..., Any]) -> None:
    """StoreError for one whose call computes nothing: an ``async def``, one with ``yield``. What a decorator
    has made an ordinary function of isn't one.

    >>> async def f(block): return 1
    >>> refuse(f)
    Traceback (most recent call last):
    ...
    lazarr._errors.StoreError: the function is an "async def", and is called as an ordinary one: write "def", and asyncio.run(...) in it for what is to be awaited
    """
    if type(function) is types.FunctionType and not function.__code__.co_flags & _UNUSUAL:
        return  # nearly all; stores may have ten thousands
    while isinstance(function, functools.partial):
        function = function.func
    call = function if inspect.isroutine(function) or isinstance(function, type) else \
        getattr(type(function), "__call__", function)
    if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
        raise StoreError('the function is an "async def", and is called as an ordinary one: write "def", and '
                         "asyncio.run(...) in it for what is to be awaited")
    if inspect.isgeneratorfunction(call):
        raise StoreError('the function has a "yield", and so returns no values but a generator: write "return"')


def signatures(function: Callable[..., Any]) -> "list[inspect.Signature]":
    """What a function says it takes, the first to be believed where it fits; none of one that says nothing.

    A decorator's function takes what it says itself, whatever the function that it wraps says
    (``__wrapped__``): it may hand arguments in. One with ``*args`` says nothing itself, so that the wrapped
    one is asked first.

    >>> def hands_in(f):
    ...     @functools.wraps(f)
    ...     def g(block): return f(block, 3.0)
    ...     return g
    >>> [str(s) for s in signatures(hands_in(lambda block, sigma: sigma))]
    ['(block)']
    """
    found = []
    for follow in (False, True):
        try:
            found.append(inspect.signature(function, follow_wrapped=follow))
        except (TypeError, ValueError):
            pass  # built in
    if len(found) < 2 or found[0] == found[1]:
        return found[:1]
    own, wrapped = found
    if any(p.kind is p.VAR_POSITIONAL for p in own.parameters.values()):
        return [wrapped, own]
    return [own]
