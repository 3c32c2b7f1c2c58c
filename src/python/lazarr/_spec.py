"""All parameters of an array in normal form, with what it takes over from its first input."""
from __future__ import annotations

import inspect
import math
import numbers
import types
from typing import Any, Callable, Iterable, Optional

import numpy as np

from . import _calls, _check, _codecs, _images, _inputs, _levels, _masks, _takes_over, _variables
from ._errors import StoreError
from ._inputs import Input
from ._levels import Level

DEFAULT_TIMEOUT = 300.0
DEFAULT_FIRST_TIMEOUT = 900.0
DEFAULT_COMPRESSOR = _codecs.Blosc()
DEFAULT_N5_COMPRESSOR = _codecs.Gzip(1)

KNOWN = ("shape", "chunks", "dtype", "fill_value", "dims", "axes", "units", "scale", "translation",
         "kind", "compressor", "n5_compressor", "precomputed_encoding", "channels", "labels_of",
         "attributes", "timeout", "on_abandon", "version", "depends", "deterministic", "separator",
         "levels", "factors", "pyramid", "halo", "boundary", "slots")

#: Of parameters that aren't given, where it isn't that something follows from others.
DEFAULTS = {"compressor": DEFAULT_COMPRESSOR, "n5_compressor": DEFAULT_N5_COMPRESSOR, "timeout": DEFAULT_TIMEOUT,
            "on_abandon": "interrupt", "deterministic": True}

#: What an Array has once its inputs are known.
SETTLED = ("dtype", "shape", "chunks", "fill_given", "fill_value", "dims", "axes", "units", "scale",
           "translation", "kind", "separator", "compressor", "n5_compressor", "precomputed_encoding",
           "channels", "labels_of", "attributes", "timeout", "first_timeout", "on_abandon", "version",
           "depends", "deterministic", "levels", "pyramid", "inputs", "slots", "around", "decodes")


#: What other libraries call it.
_OTHERS = {"voxel_size": "scale", "pixel_size": "scale", "spacing": "scale", "resolution": "scale",
           "origin": "translation", "offset": "translation", "depth": "halo", "overlap": "halo",
           "block_size": "chunks", "chunksize": "chunks", "mode": "boundary", "name": "path",
           "codec": "compressor", "compression": "compressor", "axis_names": "dims"}


def unknown(name: str, known: Iterable[str]) -> str:
    """Says that there is no such parameter, and which one may be meant.

    >>> unknown("chunk", KNOWN)
    "unknown parameter 'chunk': did you mean 'chunks'?"
    """
    return f"unknown parameter {name!r}{_check.meant(name, known, _OTHERS)}"


def check_known(names: Iterable[str]) -> None:
    """Raises StoreError for the first that is no parameter of an array."""
    for name in names:
        if name not in KNOWN and name != "inputs":
            raise StoreError(unknown(name, (*KNOWN, "inputs", "path")))


def check_names(g: dict[Any, Any]) -> None:
    """What can be refused before the inputs are known."""
    check_known(g)
    if g.get("halo") is not None:
        _inputs.check_halo(g["halo"])
    if g.get("boundary") is not None:
        _inputs.check_boundary(g["boundary"])


def takes(function: Callable[..., Any], inputs: int) -> bool:
    """Whether a function wants the inputs' arrays behind the block; StoreError if it can be called
    neither way. A parameter with a default isn't there for an input: ``def f(block, sigma=2)``."""
    _calls.refuse(function)
    plain = _plain_arguments(function)
    if plain is not None:
        required, most = plain
        if required <= (1 + inputs if required > 1 else 1) <= most:
            return required > 1
    said = _calls.signatures(function)
    if not said:
        return True  # built in: it says nothing
    signature, needed = said[0], 0
    for signature in said:
        kinds = [p.kind for p in signature.parameters.values() if p.default is p.empty]
        needed = sum(k in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
                     for k in kinds)
        wants = needed > 1 or inspect.Parameter.VAR_POSITIONAL in kinds
        try:
            signature.bind(*[None] * (1 + inputs if wants else 1))
            return wants
        except TypeError:
            pass
    if not inputs and needed > 1:
        more = [n for n, p in signature.parameters.items() if p.default is p.empty][1:needed]
        raise StoreError(f"the function takes {', '.join(more)} behind the block, and the array has no "
                         "inputs: say inputs=[...], the arrays that it is computed from")
    what = f"a block and {inputs} input{'s' if inputs != 1 else ''}" if inputs else "a block"
    raise StoreError(f"the function must take {what}, its arguments are {signature}")


def _plain_arguments(function: Callable[..., Any]) -> Optional[tuple[int, int]]:
    """How many positional arguments a function needs and takes; None where that takes more to say.
    What inspect.signature would find, at a tenth of its time: stores may have ten thousands."""
    if type(function) is not types.FunctionType or function.__dict__ or function.__kwdefaults__:
        return None
    code = function.__code__
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or code.co_kwonlyargcount:
        return None
    return code.co_argcount - len(function.__defaults__ or ()), code.co_argcount


def slots(value: Any) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 1 <= int(value) <= 256:
        raise StoreError(f"slots must be an integer from 1 to 256, got {value!r}")
    return int(value)


def _depends(value: Any) -> tuple[Any, ...]:
    what = "a list of files and functions"
    if isinstance(value, (str, bytes)):
        raise StoreError(f"depends must be {what}, got {value!r}")
    return _check.listed("depends", value, what)


def _key(v: Any) -> Any:
    """A value as part of a dict's key, by which equals of another type differ (1, 1.0, True). TypeError
    for what may change, or isn't known."""
    kind = type(v)
    if kind is tuple or kind is list:
        return tuple([_key(x) for x in v])
    if kind is float:
        return kind, repr(v)  # 0.0 == -0.0
    if v is None or kind in (int, str, bool, type) or isinstance(v, np.dtype):
        return kind, v
    raise TypeError


_FORMS: dict[Any, Any] = {}  # normal forms by what was given: arrays are often made in loops
MOST_FORMS = 64


def normal_form(given: dict[Any, Any], inputs: list[Any], is_source: bool) -> dict[Any, Any]:
    """Every attribute of an Array. inputs: list of Input whose array is a settled Array."""
    if inputs or is_source or "attributes" in given or "channels" in given:
        return _normal_form(given, inputs, is_source)
    try:
        key = tuple([(k, _key(v)) for k, v in given.items()])
    except TypeError:
        return _normal_form(given, inputs, is_source)
    form = _FORMS.get(key)
    if form is None:
        form = _normal_form(given, inputs, is_source)
        if len(_FORMS) == MOST_FORMS:
            _FORMS.clear()
        _FORMS[key] = form
    return dict(form, attributes={})  # which its owner may add to


def _normal_form(given: dict[Any, Any], inputs: list[Any], is_source: bool) -> dict[Any, Any]:
    # Arrays of numbers or names are lists of them.
    g = {k: v.tolist() if isinstance(v, np.ndarray) and k != "fill_value" else v
         for k, v in given.items() if v is not None or k in ("compressor", "n5_compressor")}
    above: list[Any] = []  # levels of the first input
    if inputs:
        if inputs[0].found.around is not None:
            _variables.before(g, inputs)
        try:
            above = _inherit(g, inputs[0])
        except StoreError as e:
            raise _named(inputs[0], e) from None
    elif "halo" in g and any(v for pair in _flat(g["halo"]) for v in pair):
        raise StoreError("halo needs inputs: say inputs=[...], the arrays that it is computed from")
    elif "boundary" in g:
        raise StoreError("boundary needs inputs: say inputs=[...], the arrays that it is computed from")
    for name in ("shape", "chunks", "dtype"):
        if name not in g:
            raise StoreError(f"{name} must be given")
    if inputs:
        _takes_over.complete(g, inputs)
    out = _plain_form(g)
    _place(out, g, inputs, is_source, above)
    out["decodes"] = any(i.found.around is not None and i.found.around.decode is not None for i in inputs)
    out["around"] = _variables.derived(out, given, inputs) if inputs and inputs[0].found.around is not None else None
    return out


def _flat(halo: Any) -> tuple[Any, ...]:
    return _inputs.check_halo(halo if isinstance(halo, (tuple, list)) else (halo,))


def _named(one: Input, e: StoreError) -> StoreError:
    """The error with the input's name, where it doesn't speak of the parameter of the array."""
    text = str(e)
    return e if text.startswith(("shape", "chunks")) else StoreError(f'input "{one.found.path}": {text}')


def _inherit(g: dict[Any, Any], first: Input) -> list[Any]:
    """Completes g with what the first input has; returns the levels that it takes over, but for their
    chunks: where they lie as the input has them, in its units, factors from the level that is read."""
    a = first.found
    above = a.levels[_inputs.check_level(first.level, a):]
    level = above[0]
    names = _said_names(g)
    if names is not None:
        rank = len(names)
    else:
        try:
            own = _inputs.own_axes(first, a)
        except StoreError:
            if "shape" not in g:
                raise
            own = []  # of axes that the first input doesn't have there may be more
        rank = len(_check.shape(g["shape"])) if "shape" in g else len(own)
        if rank == len(own):
            _inherit_names(g, a, tuple(n for _, n in own))
            names = g.get("axes") or g.get("dims")
    axes, _ = _inputs.follow(first, a, names, rank)
    source = [axes.index(k) if k in axes else None for k in range(rank)]
    for name in ("shape", "chunks"):
        if name not in g:
            for k, i in enumerate(source):
                if i is None:
                    raise StoreError(f"{name} must be given: axis {k} follows none of the first "
                                     "input's")
            g[name] = tuple(getattr(level, name)[i] for i in source)
    g.setdefault("dtype", a.dtype)
    if not a.axes or "axes" not in g:
        return []
    units = tuple(None if i is None or a.units is None else a.units[i] for i in source)
    if any(units):
        g.setdefault("units", units)
    g.setdefault("scale", tuple(1.0 if i is None else level.scale[i] for i in source))
    g.setdefault("translation", tuple(0.0 if i is None else level.translation[i] for i in source))
    return [Level(tuple(n if i is None else v.shape[i] for i, n in zip(source, _check.shape(g["shape"]))), (),
                  tuple(1.0 if i is None else v.scale[i] for i in source),
                  tuple(0.0 if i is None else v.translation[i] for i in source),
                  tuple(1 if i is None else max(1, v.factor[i] // level.factor[i]) for i in source))
            for v in above]


def _said_names(g: dict[Any, Any]) -> Optional[tuple[Any, ...]]:
    """The names of the axes that were given, or None."""
    if "axes" in g:
        return _check.listed("axes", g["axes"], "different names out of t, c, z, y, x")
    dims = g.get("dims")
    return (dims,) if isinstance(dims, str) else None if dims is None else _check.listed("dims", dims, "names")


def _inherit_names(g: dict[Any, Any], a: Any, names: tuple[Any, ...]) -> None:
    """The names of the axes: an image's stay an image's where that can be."""
    if g.get("kind") != "plain" and a.axes:
        try:
            g["axes"] = _check.axes(names, len(names))
            return
        except StoreError:
            pass  # what is left of an image needn't be one: a profile along z
    if names and all(names) and len(set(names)) == len(names) and g.get("kind", "plain") == "plain":
        g["dims"] = names


def _plain_form(g: dict[Any, Any]) -> dict[Any, Any]:
    """What has nothing to do with inputs and levels."""
    dt = _check.dtype(g["dtype"])
    shape = _check.shape(g["shape"])
    rank = len(shape)
    axes = _check.axes(g.get("axes"), rank)
    kind = _check.choice("kind", g.get("kind", "image" if axes else "plain"),
                         ("image", "labels", "plain"),
                         {"segmentation": "labels", "mask": "labels", "intensity": "image"})
    if kind != "plain" and axes is None:
        raise StoreError(f"kind {kind!r} needs axes")
    if kind == "labels" and dt.kind not in "iu":
        raise StoreError(f"kind 'labels' needs an integer dtype, got {dt.name}")
    if axes is None:
        for name in ("units", "scale", "translation"):
            if g.get(name) is not None:
                raise StoreError(f"{name} needs axes")
    elif g.get("dims") is not None:
        raise StoreError("dims is for plain arrays; an image's axes are its dims")
    attributes = _check.attributes(g.get("attributes"))
    fill = _masks.of_array(attributes if kind == "plain" else {}, g.get("fill_value"), dt)
    separator = "/" if axes else _check.choice("separator", g.get("separator", "."), (".", "/"))
    timeout = g.get("timeout")
    chunks = _check.chunks(g["chunks"], shape, dt)
    return {
        "dtype": dt, "shape": shape, "chunks": chunks,
        "fill_given": fill is not None,
        "fill_value": dt.type(0) if fill is None else _check.fill_value(fill, dt),
        "dims": tuple(axes) if axes else _check.dims(g.get("dims"), rank), "axes": axes,
        "units": _check.units(g.get("units"), axes) if axes else None,
        "scale": _check.reals("scale", g.get("scale"), rank, 1.0, True),
        "translation": _check.reals("translation", g.get("translation"), rank, 0.0, False),
        "kind": kind, "separator": separator,
        "compressor": _codecs.from_config(g.get("compressor", DEFAULT_COMPRESSOR)),
        "n5_compressor": _codecs.from_config(g.get("n5_compressor", DEFAULT_N5_COMPRESSOR), n5=True),
        "precomputed_encoding": _images.precomputed_encoding(g.get("precomputed_encoding"), dt, chunks,
                                                             axes),
        "channels": _images.channels(g.get("channels"), axes, shape, dt, kind),
        "labels_of": _images.labels_of(g.get("labels_of"), kind),
        "attributes": attributes,
        "timeout": _check.seconds("timeout", DEFAULT_TIMEOUT if timeout is None else timeout),
        "first_timeout": DEFAULT_FIRST_TIMEOUT if timeout is None else float(timeout),
        "on_abandon": _check.choice("on_abandon", g.get("on_abandon", "interrupt"),
                                    ("interrupt", "finish")),
        "version": None if g.get("version") is None else str(g["version"]),
        "depends": _depends(g.get("depends", ())),
        "deterministic": _check.truth("deterministic", g.get("deterministic", True)),
        "slots": slots(g.get("slots")),
    }


def _place(out: dict[Any, Any], g: dict[Any, Any], inputs: list[Any], is_source: bool, inherited: list[Any]) -> None:
    """levels, pyramid and inputs: which depend on each other."""
    steps = _levels.steps(g.get("levels"), g.get("factors"), out["axes"], out["shape"], [
        tuple(max(1, b // a) for a, b in zip(fine.factor, coarse.factor))
        for fine, coarse in zip(inherited, inherited[1:])])
    pyramid = _levels.check_pyramid(g.get("pyramid"), out["dtype"], is_source, out["kind"])

    def levels(method: Any) -> tuple[Any, ...]:
        made = _levels.make(out["shape"], out["chunks"], out["scale"], out["translation"], steps,
                            method != "stride")
        theirs = inherited[:len(made)]
        if method == "each" and len(theirs) == len(made) and (
                not g.get("factors") or [v.factor for v in made] == [v.factor for v in theirs]):
            # The input's own, which needn't be what steps make of level 0: files often round down.
            return tuple(_moved(v, theirs[0], out) for v in theirs)
        return made

    def placed(runs: int) -> tuple[Any, ...]:
        own = levels("each" if runs > 1 else None)
        made = []
        for one in inputs:
            try:
                made.append(_inputs.place(one, one.array, out["dims"], own, runs,
                                          g.get("halo", 0), g.get("boundary", "constant")))
            except StoreError as e:
                raise StoreError(f'input "{one.array.path}": {e}') from None
        return tuple(made)

    out["inputs"] = placed(1)
    if pyramid == "each" and steps:
        out["inputs"] = placed(len(steps) + 1)
    if not steps:
        pyramid = None
    elif pyramid is None:
        pyramid = "mode" if out["kind"] == "labels" else "mean"
        if inputs and pyramid == "mean":  # labels computed on each level would be other labels there
            try:
                out["inputs"], pyramid = placed(len(steps) + 1), "each"
            except StoreError:
                pass  # an input hasn't the levels: they are made of this array's own finest
    if pyramid == "mean" and out["dtype"].kind not in "biufc":
        raise StoreError(f"pyramid 'mean' needs numbers, got {out['dtype'].name}")
    out["pyramid"] = pyramid
    out["levels"] = levels(pyramid)
    _check_bytes(out)


def _moved(v: Level, first: Level, out: dict[Any, Any]) -> Level:
    """An input's level as the array's own: where it has another scale or place, that goes for all."""
    if (first.scale, first.translation) == (out["scale"], out["translation"]):
        return v._replace(chunks=out["chunks"])
    sizes = [own / theirs for own, theirs in zip(out["scale"], first.scale)]
    return v._replace(
        chunks=out["chunks"], scale=tuple(s * x for s, x in zip(v.scale, sizes)),
        translation=tuple(own + (t - t0) * x for own, t, t0, x in
                          zip(out["translation"], v.translation, first.translation, sizes)))


def _check_bytes(out: dict[Any, Any]) -> None:
    """A block and its inputs must fit into a worker's slot."""
    for k, level in enumerate(out["levels"] if out["pyramid"] == "each" else out["levels"][:1]):
        extent = level.chunks if not out["inputs"] else \
            tuple(min(n, c) for n, c in zip(level.shape, level.chunks))
        size = math.prod(level.chunks) * out["dtype"].itemsize
        for p in out["inputs"]:
            size += p.array.dtype.itemsize * math.prod(
                b - a for a, b in p.region((0,) * len(extent), extent, k))
        if size > _inputs.MAX_JOB_BYTES:
            raise StoreError(f"a block with its inputs takes {size} bytes, above the limit of "
                             f"{_inputs.MAX_JOB_BYTES}: smaller chunks or a smaller halo are needed")
