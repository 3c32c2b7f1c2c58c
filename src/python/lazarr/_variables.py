"""What an array is in a dataset: a variable with coordinates, or computed from one."""
from __future__ import annotations

import base64
import functools
import threading
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Sequence

import numpy as np

from . import _encoded, _masks, _renamed, _slices
from ._errors import StoreError
from ._registry import label

if TYPE_CHECKING:
    from ._array import Array
    from ._block import Block
    from ._inputs import Input
    from ._registry import Registry

MAX_AXES = 16 << 20  # bytes of a dataset's 1-D coordinates that every worker is given
MAX_AXIS = 256 << 20  # of a coordinate that block.axis keeps decoded

#: Attributes of encoded values, which what is computed from the decoded ones hasn't.
ENCODING = {"_FillValue", "missing_value", "scale_factor", "add_offset", "valid_min", "valid_max", "valid_range",
            "_Unsigned", "dtype", "coordinates", "actual_range"}


class Variable:
    """A variable of a dataset, as xarray encodes it. The form (a dict) is what workers are told of it."""

    def __init__(self, form: dict[str, Any], opener: Callable[[], Any]) -> None:
        self.name: str = form["name"]
        self.dims: tuple[str, ...] = tuple(form["dims"])
        self.shape: tuple[int, ...] = tuple(form["shape"])
        self.dtype = np.dtype(form["dtype"])
        self.attributes: dict[str, Any] = form["attributes"]
        self.fill = form["fill"]
        self.text: bool = form["text"]
        self.chunks = None if form["chunks"] is None else tuple(form["chunks"])
        self.opener = opener
        self._stored: Optional[str] = form["values"]
        self._values: Optional[np.ndarray] = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_lock", "_values", "decode")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock(), _values=None)

    @property
    def characters(self) -> int:
        """Of texts, how long they are."""
        return self.shape[-1] if self.text else 0

    @property
    def lengths(self) -> tuple[int, ...]:
        """The shape that readers see: without the axis of the characters."""
        return self.shape[:-1] if self.text else self.shape

    def encoded(self) -> np.ndarray:
        """All its values, as they are stored."""
        if self._stored is not None:
            return np.frombuffer(base64.b64decode(self._stored), self.dtype).reshape(self.shape)
        if self.dtype.itemsize * int(np.prod(self.shape, dtype=object)) > MAX_AXIS:
            raise StoreError(f'coordinate "{self.name}": it is larger than {MAX_AXIS >> 20} MiB: make it an input')
        return np.asarray(_slices.read(self.opener()[tuple(slice(0, n) for n in self.shape)]))

    def values(self) -> np.ndarray:
        """All its values, decoded; read only, kept."""
        with self._lock:
            if self._values is None:
                made = _encoded.decoded(self.name, self.dims, self.encoded(), self.attributes, self.fill, self.text)
                made = made.view()
                made.flags.writeable = False
                self._values = made
            return self._values

    @functools.cached_property
    def decode(self) -> Optional[Callable[[np.ndarray], np.ndarray]]:
        """What makes numbers of a packed or masked region; None: they are what is stored. Times stay numbers."""
        if self.text or _encoded.is_time(self.attributes) or self.dtype.kind not in "iuf":
            return None
        return _masks.decoder(self.attributes, self.dtype, self.fill)

    def parameters(self) -> dict[str, Any]:
        """Those of the array that serves it."""
        dims = (*self.dims, f"string{self.characters}") if self.text else self.dims
        return {"dims": dims or None, "attributes": self.attributes, "fill_value": self.fill, "kind": "plain"}


def form_of(name: str, e: _encoded.Encoded, coordinate: bool, left: list[int]) -> dict[str, Any]:
    """What workers are told of an encoded variable. left: bytes of coordinates that may still be sent along."""
    values = None
    size = np.dtype(e.values.dtype).itemsize * int(np.prod(e.values.shape, dtype=object))
    if coordinate and len(e.dims) <= 1 and size <= left[0] and isinstance(e.values, np.ndarray):
        values = base64.b64encode(np.ascontiguousarray(e.values).tobytes()).decode()
        left[0] -= size
    return {"name": name, "dims": list(e.dims), "shape": [int(n) for n in e.values.shape],
            "dtype": np.dtype(e.values.dtype).str, "attributes": e.attributes, "fill": e.fill, "text": e.text,
            "chunks": None if e.chunks is None else list(e.chunks), "values": values}


class Around(NamedTuple):
    """What belongs to an array of a dataset: the variable that it is (None: it is computed), its coordinates, and
    what else its attributes name (a grid mapping), by their names. served: they are arrays where xarray looks for
    them, since the dataset is served whole."""

    variable: Optional[Variable]
    coords: dict[str, Variable]
    links: dict[str, Variable]
    served: bool = False

    @property
    def decode(self) -> Optional[Callable[[np.ndarray], np.ndarray]]:
        return None if self.variable is None else self.variable.decode


def linked(attributes: dict[str, Any], variables: dict[str, Variable]) -> dict[str, Variable]:
    """The variables that an attribute grid_mapping names."""
    text = attributes.get("grid_mapping")
    names = text.replace(":", " ").split() if isinstance(text, str) else []
    return {n: variables[n] for n in names if n in variables}


def decoded_inputs(a: "Array", regions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The regions of a block's inputs, those of packed or masked variables as the numbers that they mean."""
    out = list(regions)
    for i, p in enumerate(a.inputs):
        around = p.array.around
        if around is not None and around.decode is not None:
            out[i] = around.decode(out[i])
    return out


def before(g: dict[Any, Any], inputs: "Sequence[Input]") -> None:
    """Completes an array's parameters g with what follows from its first input being a packed or masked
    variable: the dtype, and that NaN stands for what is missing."""
    around = inputs[0].found.around
    if around is not None and around.decode is not None and around.variable is not None:
        dt = _masks.decoded_dtype(around.variable.attributes, around.variable.dtype)
        g.setdefault("dtype", dt)
        if np.dtype(g["dtype"]).kind == "f":
            g.setdefault("fill_value", float("nan"))


def derived(out: dict[Any, Any], given: dict[Any, Any], inputs: "Sequence[Input]") -> Optional[Around]:
    """What an array has of its first input's dataset: the coordinates of the axes that it shares with it. Puts the
    input's attributes into `out` where none were given, and those that say which its coordinates are."""
    first = inputs[0].found
    if first.around is None or out["kind"] != "plain" or out["dims"] is None:
        return None
    lengths = dict(zip(out["dims"], out["shape"]))
    fits = {n: v for n, v in first.around.coords.items()
            if all(lengths.get(d) == m for d, m in zip(v.dims, v.lengths))}
    attributes = dict(given["attributes"]) if given.get("attributes") is not None else \
        {k: v for k, v in first.attributes.items() if k not in ENCODING}
    besides = [n for n, v in fits.items() if (n,) != v.dims and " " not in n]
    if besides:
        attributes.setdefault("coordinates", " ".join(sorted(besides)))
    if "grid_mapping" in first.attributes and first.around.links:
        attributes.setdefault("grid_mapping", first.attributes["grid_mapping"])
    out["attributes"] = attributes
    return Around(None, fits, linked(attributes, first.around.links))


# ------------------------------------------------------------------------------- beside the arrays

def _beside(path: str, name: str) -> str:
    folder = path.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def complete(registry: "Registry", make: Callable[[str, Variable], "Array"]) -> None:
    """Puts the coordinates of each array beside it, where nothing has their path. make: an array of a path and a
    variable."""
    put: dict[str, Variable] = {}
    for a in list(registry.arrays):
        if a.around is None or a.around.served:
            continue
        for name, v in {**a.around.coords, **a.around.links}.items():
            path = _beside(a.path, name)
            there = registry.by_path.get(path)
            if there is None:
                try:
                    registry.take_beside(path, make, v)
                    put[path] = v
                except StoreError as e:
                    registry.notes.append(f'{label("array", a.path)}: its coordinate "{name}" is left out: {e}')
            elif there is not a and not _same(put.get(path), there, v):
                registry.notes.append(f'{label("array", a.path)}: its coordinate "{name}" is left out: "{path}" is '
                                      "another array")


def _same(put: Optional[Variable], there: "Array", v: Variable) -> bool:
    """Whether what has a coordinate's path is that coordinate, or one that the author has put there for it."""
    own = put if put is not None else there.around.variable if there.around is not None else None
    if own is None or own is v:
        return own is v or there.shape == v.shape
    if (own.dims, own.shape, own.attributes) != (v.dims, v.shape, v.attributes):
        return False
    try:
        return bool(np.array_equal(own.values(), v.values(), equal_nan=own.values().dtype.kind in "fcmM"))
    except StoreError:
        return True  # too large to compare: they are called alike and are as long


# ------------------------------------------------------------------------------------ block.axis

def axis(block: "Block", name: str) -> np.ndarray:
    """`Block.axis`."""
    a = block.array
    if a is None:
        raise StoreError("this block is of no array")
    v = _find(a, name)
    if v is None:
        names = sorted({n for b in (a, *(p.array for p in a.inputs)) if b.around for n in b.around.coords})
        raise StoreError(f'{label("array", a.path)} has no coordinate {name!r}'
                         + (f"; there are {', '.join(names)}" if names else ""))
    where = tuple(_region(block, a, d, n, name) for d, n in zip(v.dims, v.lengths))
    return np.array(v.values()[where])


def _find(a: "Array", name: str) -> Optional[Variable]:
    """A coordinate of an array, of its inputs, or an array beside it that is one by its name."""
    for b in (a, *(p.array for p in a.inputs)):  # its own first: an input's may be of another length
        if b.around is not None:
            for key, v in b.around.coords.items():
                if name == key or name == v.attributes.get(_renamed.ORIGINAL) != key:
                    return v
        found = b.beside(name)
        if found is not None and found.dims == (name,) and found.is_source:
            if found.around is not None and found.around.variable is not None:
                return found.around.variable
            return _of_array(found, name)
    return None


def _of_array(found: "Array", name: str) -> Variable:
    """A source that somebody has put there by hand, as a coordinate."""
    kept: Optional[Variable] = vars(found).get("_as_coordinate")
    if kept is None:
        fill = found.fill_value if found.fill_given else None
        kept = Variable({"name": name, "dims": [name], "shape": list(found.shape), "dtype": found.dtype.str,
                         "attributes": found.attributes, "fill": fill, "text": False, "chunks": None,
                         "values": None}, lambda: found)
        setattr(found, "_as_coordinate", kept)
    return kept


def _region(block: "Block", a: "Array", dim: str, length: int, name: str) -> slice:
    """What a block has of an axis: its own part; of an axis that only an input has, the part of it that is read."""
    dims = a.dims or ()
    if dim in dims and a.levels[block.level].shape[dims.index(dim)] == length:
        k = dims.index(dim)
        return slice(block.start[k], block.start[k] + block.shape[k])
    for p in a.inputs:
        theirs = p.array.dims or ()
        if dim in theirs and p.array.shape[theirs.index(dim)] == length and p.levels[0] == 0:
            i = theirs.index(dim)
            own = p.axes[i]
            if own is None:
                return slice(*p.fixed[i][block.level])
            return slice(block.start[own], block.start[own] + block.shape[own])
    raise StoreError(f'{label("array", a.path)}: coordinate {name!r} is along {dim!r}, which neither this array nor '
                     "an input of it has")
