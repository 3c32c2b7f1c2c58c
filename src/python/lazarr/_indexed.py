"""What Python and NumPy make of something that has blocks: indexing, operators, methods, conversion."""
from __future__ import annotations

import itertools
import math
import numbers
import operator
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Tuple

import numpy as np

MOST_IMPLIED = 1 << 30  # bytes that an operator or a method computes; a[...] computes whatever it is told

#: What ndarray has and an array computes all of its values for.
METHODS = frozenset((
    "all", "any", "argmax", "argmin", "argpartition", "argsort", "astype", "choose", "clip", "compress",
    "conj", "conjugate", "copy", "cumprod", "cumsum", "diagonal", "dot", "dump", "dumps", "flatten", "item",
    "max", "mean", "min", "nonzero", "prod", "ptp", "ravel", "repeat", "reshape", "round", "searchsorted",
    "squeeze", "std", "sum", "swapaxes", "take", "tobytes", "tofile", "tolist", "trace", "transpose", "var",
    "view"))
VALUES = frozenset(("T", "mT", "flat", "imag", "real"))

#: What would change a copy that nobody sees.
IN_PLACE = frozenset(("byteswap", "fill", "itemset", "partition", "put", "resize", "setfield", "setflags",
                      "sort"))

_INDICES = ("only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean "
            "arrays are valid indices")


class Indexed(np.lib.mixins.NDArrayOperatorsMixin):
    """NumPy's view of blocks. What takes all values, as ``a + 1``, ``a > 3``, ``a.max()`` and ``np.mean(a)``,
    computes them and gives what ``a[...]`` would give; it is nothing lazy. Above 1 GiB operators and methods
    raise ValueError, which says what to write. Two arrays are equal where they are one; with numbers and
    ndarrays ``==`` compares values.

    path, shape, chunks, dtype: of what is indexed. `_block_at` gives the block at a chunk position, which
    isn't to be written to.
    """

    path: str
    shape: Tuple[int, ...]
    chunks: Tuple[int, ...]
    dtype: np.dtype[Any]

    if TYPE_CHECKING:  # see METHODS and VALUES: pyright and mypy know these, __getattr__ makes them
        all: Callable[..., Any]
        any: Callable[..., Any]
        argmax: Callable[..., Any]
        argmin: Callable[..., Any]
        argpartition: Callable[..., Any]
        argsort: Callable[..., Any]
        astype: Callable[..., Any]
        choose: Callable[..., Any]
        clip: Callable[..., Any]
        compress: Callable[..., Any]
        conj: Callable[..., Any]
        conjugate: Callable[..., Any]
        copy: Callable[..., Any]
        cumprod: Callable[..., Any]
        cumsum: Callable[..., Any]
        diagonal: Callable[..., Any]
        dot: Callable[..., Any]
        dump: Callable[..., Any]
        dumps: Callable[..., Any]
        flatten: Callable[..., Any]
        item: Callable[..., Any]
        max: Callable[..., Any]
        mean: Callable[..., Any]
        min: Callable[..., Any]
        nonzero: Callable[..., Any]
        prod: Callable[..., Any]
        ptp: Callable[..., Any]
        ravel: Callable[..., Any]
        repeat: Callable[..., Any]
        reshape: Callable[..., Any]
        round: Callable[..., Any]
        searchsorted: Callable[..., Any]
        squeeze: Callable[..., Any]
        std: Callable[..., Any]
        sum: Callable[..., Any]
        swapaxes: Callable[..., Any]
        take: Callable[..., Any]
        tobytes: Callable[..., Any]
        tofile: Callable[..., Any]
        tolist: Callable[..., Any]
        trace: Callable[..., Any]
        transpose: Callable[..., Any]
        var: Callable[..., Any]
        view: Callable[..., Any]
        T: np.ndarray[Any, Any]
        mT: np.ndarray[Any, Any]
        flat: Any
        imag: np.ndarray[Any, Any]
        real: np.ndarray[Any, Any]
    else:
        def __getattr__(self, name: str) -> Any:
            """What ndarray has; AttributeError, which says what to write, for what can't be had so."""
            if name in METHODS and hasattr(np.ndarray, name):
                def method(*args: Any, **kwargs: Any) -> Any:
                    return getattr(self._whole(f".{name}()"), name)(*args, **kwargs)
                method.__name__, method.__doc__ = name, getattr(np.ndarray, name).__doc__
                return method
            if name in VALUES and hasattr(np.ndarray, name):
                return getattr(self._whole(f".{name}"), name)
            said = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in IN_PLACE:
                said += f": {self._named} is computed; x = {self._word}[...] is an ndarray of your own, then " \
                        f"x.{name}(...)"
            elif not name.startswith("_") and hasattr(np.ndarray, name):
                said += f": its values are no memory; {self._word}[...].{name}, of all of them in an ndarray"
            raise AttributeError(said)

    def _block_at(self, pos: Tuple[int, ...]) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many voxels it has."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a voxel."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels, as an ndarray; none of them need be there."""
        return self.size * self.dtype.itemsize

    @property
    def counts(self) -> Tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks))

    @property
    def _named(self) -> str:
        return f'array "{self.path}"'

    @property
    def _word(self) -> str:
        """What it is called in an example."""
        return self.path if self.path.isidentifier() else "a"

    # -- all of it -------------------------------------------------------------------------------------

    def _whole(self, what: str) -> np.ndarray[Any, Any]:
        """All values, for `what`, which didn't say so."""
        if self.nbytes > MOST_IMPLIED:
            raise ValueError(
                f"{self._named}: {self._word}{what} would compute all of it, {self.nbytes / 2**30:.3g} GiB: say "
                f"which part, {self._word}[...] where all of it is meant; for an array made of it "
                f"@lazarr.array(inputs=[{self._word}])")
        return np.asarray(self[...])

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError(f"{self._named} is computed, so an ndarray of it is always a copy: copy=None")
        a = np.asarray(self[...])
        return a if dtype is None else a.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "at" or any(isinstance(x, Indexed) for x in kwargs.get("out") or ()):
            raise TypeError(f"{self._named} is computed and can't be written to: x = {self._word}[...] is an "
                            "ndarray of your own")
        what = f" in np.{ufunc.__name__}"
        given = [x._whole(what) if isinstance(x, Indexed) else x for x in inputs]
        if isinstance(kwargs.get("where"), Indexed):
            kwargs["where"] = kwargs["where"]._whole(what)
        return getattr(ufunc, method)(*given, **kwargs)

    def __eq__(self, other: object) -> Any:
        return self.__array_ufunc__(np.equal, "__call__", self, other) if _is_values(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return self.__array_ufunc__(np.not_equal, "__call__", self, other) if _is_values(other) else NotImplemented

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(np.equal(self._whole(" with in"), value)))

    def _only(self) -> Any:
        if self.size != 1:
            raise TypeError(f"{self._named} has {self.size} values: only one of them is a number, "
                            f"{self._word}[{', '.join('0' * self.ndim)}]")
        return self[...] if not self.shape else self[(0,) * self.ndim]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"{self._named} has {self.size} values, which together are neither true nor false: "
                             f"({self._word}[...] > 0).any() or .all(); {self._word} is not None")
        return bool(self._only())

    def __int__(self) -> int:
        return int(self._only())

    def __float__(self) -> float:
        return float(self._only())

    def __complex__(self) -> complex:
        return complex(self._only())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("an array without axes can't be iterated over")
        return (self[i] for i in range(self.shape[0]))

    # -- parts of it -----------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        """Values as NumPy's indexing gives them: integers, slices, ``...``, None, lists and arrays of
        integers or bools. An ndarray of its own, or a scalar. Raises IndexError, and what computing does."""
        whole = self._spelled_out(key)
        if any(isinstance(k, (np.ndarray, bool)) for k in whole):
            return self._picked(whole)
        ranges, final = self._ranges(whole)
        out = self._narrow(ranges) if all(ranges) else np.empty([len(r) for r in ranges], self.dtype)
        out = out[(*final, ...)]
        given = key if isinstance(key, tuple) else (key,)
        return out[()] if out.ndim == 0 and not any(k is Ellipsis for k in given) else out

    def _narrow(self, ranges: List[range]) -> np.ndarray[Any, Any]:
        """The values at places of which there are some along each axis, in an ndarray of its own."""
        out = np.empty([len(r) for r in ranges], self.dtype)
        for combo in itertools.product(*[_spans(r, c) for r, c in zip(ranges, self.chunks)]):
            block = self._block_at(tuple(p for p, _, _ in combo))
            out[tuple(o for _, _, o in combo)] = block[tuple(s for _, s, _ in combo)]
        return out

    def _spelled_out(self, key: Any) -> Tuple[Any, ...]:
        """An index as int, slice, None, bool and index arrays that take up all axes."""
        given = [_entry(k) for k in (key if isinstance(key, tuple) else (key,))]
        at = [i for i, k in enumerate(given) if k is Ellipsis]
        if len(at) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        taken = sum(_axes_of(k) for k in given)
        if taken > self.ndim:
            raise IndexError(f"too many indices: {self.path!r} has {self.ndim} axes, {taken} were indexed")
        rest = [slice(None)] * (self.ndim - taken)
        where = at[0] if at else len(given)
        return (*given[:where], *rest, *given[where + 1:])

    def _ranges(self, key: Tuple[Any, ...]) -> Tuple[List[range], Tuple[Any, ...]]:
        """Basic indexing as one range per axis, and how what they read is indexed then."""
        ranges: List[range] = []
        final: List[Any] = []
        for k in key:
            if k is None:
                final.append(None)
                continue
            axis = len(ranges)
            n = self.shape[axis]
            if isinstance(k, slice):
                ranges.append(range(*k.indices(n)))
                final.append(slice(None))
            else:
                i = _place(k, axis, n)
                ranges.append(range(i, i + 1))
                final.append(0)
        return ranges, tuple(final)

    def _picked(self, key: Tuple[Any, ...]) -> np.ndarray[Any, Any]:
        """Indexing with arrays. NumPy itself says which voxel goes where: it indexes, instead of the values,
        each axis's places, of which only those are there that the index names."""
        small, places = self._narrowed(key)
        shape = [len(p) for p in places]
        made = np.broadcast_to(np.zeros((), bool), shape)[small].shape
        out = np.empty(made, self.dtype)
        if not out.size:
            return out
        voxels = [np.broadcast_to(p.reshape([-1 if k == axis else 1 for k in range(self.ndim)]),
                                  shape)[small].reshape(-1) for axis, p in enumerate(places)]
        number = np.zeros(out.size, np.int64)  # of the chunk that a voxel is in
        for v, c, n in zip(voxels, self.chunks, self.counts):
            number = number * n + v // c
        order = np.argsort(number, kind="stable")
        ends = np.flatnonzero(np.diff(number[order])) + 1
        flat = out.reshape(-1)
        for these in np.split(order, ends):
            pos = tuple(int(v[these[0]] // c) for v, c in zip(voxels, self.chunks))
            block = self._block_at(pos)
            flat[these] = block[tuple(v[these] - p * c for v, p, c in zip(voxels, pos, self.chunks))]
        return out

    def _narrowed(self, key: Tuple[Any, ...]) -> Tuple[Tuple[Any, ...], List[np.ndarray[Any, Any]]]:
        """The index within the places that it names, and these, for each axis."""
        small: List[Any] = []
        places: List[np.ndarray[Any, Any]] = []
        for k in key:
            axis = len(places)
            if k is None or isinstance(k, bool):
                small.append(k)
            elif isinstance(k, slice):
                r = range(*k.indices(self.shape[axis]))
                small.append(slice(None))
                places.append(np.arange(r.start, r.stop, r.step) if len(r) else np.zeros(0, np.int64))
            elif isinstance(k, np.ndarray):
                for i in _whole_numbers(k, axis, self.shape):
                    named, at = np.unique(i, return_inverse=True)
                    places.append(named)
                    small.append(at.reshape(i.shape))
            else:
                small.append(0)
                places.append(np.array([_place(k, axis, self.shape[axis])]))
        return tuple(small), places


def _is_values(other: object) -> bool:
    """What an array's values are compared with, and not the array itself."""
    return isinstance(other, (numbers.Number, np.generic, np.ndarray, list))


def _entry(k: Any) -> Any:
    """One entry of an index: a slice, None, Ellipsis, int, bool or an array of integers or bools."""
    if k is None or k is Ellipsis or isinstance(k, (slice, bool)):
        return k
    if isinstance(k, np.bool_):
        return bool(k)
    try:
        if not (isinstance(k, np.ndarray) and k.dtype.kind == "b"):
            return operator.index(k)
    except TypeError:
        pass
    if isinstance(k, (str, bytes)):
        raise IndexError(f"{_INDICES}, got {type(k).__name__}")
    a = np.asarray(k)
    if a.size == 0 and not isinstance(k, np.ndarray):
        a = a.astype(np.intp)
    if a.dtype.kind not in "iub" or a.ndim == 0 and a.dtype.kind != "b":
        raise IndexError(f"{_INDICES}, got {type(k).__name__}")
    return bool(a) if a.ndim == 0 else a


def _axes_of(k: Any) -> int:
    """How many axes an entry takes up."""
    if k is None or k is Ellipsis or isinstance(k, bool):
        return 0
    return k.ndim if isinstance(k, np.ndarray) and k.dtype.kind == "b" else 1


def _place(k: int, axis: int, n: int) -> int:
    i = k + n if k < 0 else k
    if not 0 <= i < n:
        raise IndexError(f"index {k} is out of bounds for axis {axis} with size {n}")
    return i


def _whole_numbers(k: np.ndarray[Any, Any], axis: int,
                   shape: Tuple[int, ...]) -> List[np.ndarray[Any, Any]]:
    """An index array as the places that it names, ≥ 0: one array, of a mask one for each of its axes."""
    if k.dtype.kind == "b":
        for i, n in enumerate(k.shape):
            if n != shape[axis + i]:
                raise IndexError(f"boolean index did not match indexed array along axis {axis + i}; size of axis "
                                 f"is {shape[axis + i]} but size of corresponding boolean axis is {n}")
        return list(k.nonzero())
    n = shape[axis]
    bad = (k < 0) & (k < -n) | (k >= n) if k.dtype.kind == "i" else k >= n
    if bad.any():
        _place(int(k[bad].reshape(-1)[0]), axis, n)
    wide = k.astype(np.int64)
    return [np.where(wide < 0, wide + n, wide)]


def _spans(r: range, chunk: int) -> List[Tuple[int, slice, slice]]:
    """(chunk position, slice within the block, slice of the output) for each chunk that a range touches."""
    out: List[Tuple[int, slice, slice]] = []
    i = 0
    while i < len(r):
        pos = r[i] // chunk
        if r.step > 0:
            last = min(len(r), i + ((pos + 1) * chunk - 1 - r[i]) // r.step + 1)
        else:
            last = min(len(r), i + (r[i] - pos * chunk) // -r.step + 1)
        lo, hi = r[i] - pos * chunk, r[last - 1] - pos * chunk
        stop = hi + (1 if r.step > 0 else -1)
        out.append((pos, slice(lo, None if stop < 0 else stop, r.step), slice(i, last)))
        i = last
    return out
