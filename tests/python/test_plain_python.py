"""What an array is to plain Python and NumPy: operators, methods, indexing with arrays, conversion."""
import copy
import itertools
import operator
import pickle

import numpy as np
import pytest

import lazarr
from lazarr import _indexed

WANT = np.arange(10 * 13 * 7, dtype="int32").reshape(10, 13, 7)


def made(values, chunks=3, **more):
    @lazarr.array("edges", shape=values.shape, chunks=chunks, dtype=values.dtype, **more)
    def edges(block):
        edges.calls += 1
        return values[block.slices]
    edges.calls = 0
    return edges


@pytest.fixture(scope="module")
def cube():
    return made(WANT, chunks=(4, 5, 3))


MASK = WANT % 5 == 0
KEYS = [
    # lists and arrays of integers, alone, with slices before, between and behind, with integers
    [1, 2], [-1, 0, -1], np.array([[1, 2], [3, 4]]), (slice(None), [3, 12, 0]), (..., [0, 6]),
    ([1, 2, 3], [4, 5, 6]), ([1, 2], slice(2, 9, 3), [0, 6]), (3, [1, 2], slice(None, None, -2)),
    ([[0], [9]], [[1, 2, 12]]), (slice(2, 4), [1, 2], [3, 4]), ([5], 2, [1]), (slice(None), 2, [1, 5]),
    np.array([], int), [], ([], slice(0, 3)), np.array([9, 0], "u1"), np.array([-10, 9], "i1"), (np.array(3),),
    range(2, 5), ([1, 2], None, [3, 4]), (np.s_[::-1], [1], None), np.array([2, 1], ">i8"),
    # masks of all, of some axes, none and one element
    MASK, MASK[..., 0], MASK[:, 0, 0], (slice(None), MASK[0, :, 0]), (slice(None), MASK[0]), (2, MASK[2]),
    np.zeros_like(MASK), np.ones_like(MASK), [True, False] * 5, (MASK[:, 0, 0], [3], slice(1, 4)),
    (MASK[0:10, 0, 0], 3), True, False, np.bool_(True), (True, [1, 2]), np.array(True),
    # None and ... in all places
    None, (None, 3), (..., None), (2, None, ..., None, 1), (None, None, slice(2)), (3, 4, 5, None), (None, 3, 4, 5),
    (), (...,), (1, ...), (..., 1), (1, ..., 2), (1, 2, 3, ...),
    # steps
    np.s_[::-1], np.s_[8:2:-3, ::-2, ::-1], np.s_[-1:-100:-4], np.s_[5:5], np.s_[100:], np.s_[:-100],
    (np.int8(3), np.uint16(2)), np.s_[True, 1, 2, 3]]


@pytest.mark.parametrize("key", KEYS, ids=lambda k: repr(k)[:40].replace("\n", ""))
def test_indexing_is_numpys(cube, key):
    want, got = WANT[key], cube[key]
    assert np.shape(got) == np.shape(want) and np.array_equal(got, want)
    assert np.asarray(got).dtype == want.dtype and type(got) is type(want)


def test_random_indices_are_numpys(cube):
    rng = np.random.default_rng(7)

    def one(n):
        kind = rng.integers(6)
        if kind == 0:
            return int(rng.integers(-n, n))
        if kind == 1:
            a, b = rng.integers(-n - 2, n + 3, 2)
            return slice(int(a), int(b), int(rng.choice([-3, -1, 1, 2])))
        if kind == 2:
            return rng.integers(-n, n, 4)
        if kind == 3:
            return rng.random(n) < 0.4
        return slice(None) if kind == 4 else rng.integers(-n, n, (2, 1))
    tried = 0
    for _ in range(400):
        key = tuple(one(n) for n in WANT.shape[:rng.integers(1, 4)])
        if rng.random() < 0.3:
            key = (*key[:1], None, *key[1:])
        try:
            want = WANT[key]
        except IndexError:  # masks that don't fit together
            with pytest.raises(IndexError):
                cube[key]
            continue
        got = cube[key]
        assert np.shape(got) == np.shape(want) and np.array_equal(got, want), key
        tried += 1
    assert tried > 200


@pytest.mark.parametrize("key", [
    [10], [0, -11], np.array([200], "u1"), ([0], [13]), (0, 0, 7), (0, 0, 0, 0), ([1], [1], [1], [1]), MASK[:9],
    MASK[:, :5], (0, MASK), [1.5], 1.5, "x", ["a"], {"a": 1}, b"x", object(), (..., ...), [[1, 2], [3]], 1j],
    ids=lambda k: repr(k)[:30].replace("\n", ""))
def test_what_is_no_index_is_an_index_error_in_one_line(cube, key):
    with pytest.raises((IndexError, ValueError)) as e:
        cube[key]
    assert str(e.value) and "\n" not in str(e.value)
    if not isinstance(key, (list, dict)) or key == [10]:
        assert isinstance(e.value, IndexError)


def test_indexing_with_arrays_computes_what_it_names():
    a = made(np.arange(100.), chunks=10)
    assert a[[1, 2, 3, 95]].tolist() == [1, 2, 3, 95] and a.calls == 2
    assert a[np.arange(100) > 97].tolist() == [98, 99] and a.calls == 2
    assert a[[]].shape == (0,) and a[:0].shape == (0,) and a.calls == 2


def test_indexing_with_arrays_where_nobody_could_have_all():
    @lazarr.array(shape=(2**40, 2**20), chunks=(64, 64), dtype="uint8")
    def huge(block):
        y, x = block.coords()
        return (y + x) % 251
    assert huge[[5, 2**39], [7, 2**19]].tolist() == [12, (2**39 + 2**19) % 251]
    assert huge[[2**40 - 1, -1], 3:5].tolist() == [[(2**40 + 2) % 251, (2**40 + 3) % 251]] * 2
    assert huge.size == 2**60 and huge.nbytes == 2**60 and len(huge) == 2**40


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("dtype", ["u2", "f4", "c8", "i8"])
def test_byte_order_and_dtype(order, dtype):
    values = np.arange(7).astype(order + dtype)
    a = made(values, chunks=2)
    for got in (a[...], a[[1, 5]], a[values.real > 2], np.asarray(a), a.copy()):
        assert got.dtype == values.dtype
    assert (a + 1 == values + 1).all() and a[[1, 5]].tolist() == values[[1, 5]].tolist()


# -- operators ---------------------------------------------------------------------------------------------

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
          operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, operator.and_, operator.or_,
          operator.xor, operator.lshift, operator.rshift, divmod]
V = np.arange(1, 13, dtype="int64").reshape(3, 4)


@pytest.mark.parametrize("op", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("other", [2, np.int64(3), np.full((3, 4), 2), np.arange(1, 5), [[1], [2], [3]]],
                         ids=["int", "scalar", "ndarray", "row", "list"])
def test_binary_operators(op, other):
    a = made(V)
    for got, want in ((op(a, other), op(V, other)), (op(other, a), op(other, V))):
        assert np.array_equal(got, want) and np.asarray(got).dtype == np.asarray(want).dtype
        assert type(got) is type(want)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, abs, operator.invert], ids=lambda f: f.__name__)
def test_unary_operators(op):
    assert np.array_equal(op(made(-V)), op(-V))


def test_two_arrays_and_matrices():
    a, b = made(V), made(V + 5)
    assert np.array_equal(a + b, 2 * V + 5) and np.array_equal(a @ b[...].T, V @ (V + 5).T)
    assert np.array_equal(V @ np.asarray(b).T, V @ (V + 5).T)
    assert a == a and not a == b and a != b  # as objects: what sets, `in` and unittest.mock need
    assert b in [a, b] and [a, b].index(b) == 1 and len({a, b, a}) == 2
    assert not a == "edges" and a != None and not a == None and a not in ["x", None]  # noqa: E711


@pytest.mark.parametrize("op", [operator.iadd, operator.imul, operator.isub, operator.iand],
                         ids=lambda f: f.__name__)
def test_writing_is_refused_in_one_line(op):
    a = made(V)
    with pytest.raises(TypeError, match=r"edges.* is computed.*edges\[\.\.\.\]"):
        op(a, 1)
    with pytest.raises(TypeError, match="is computed"):
        np.add(V, 1, out=a)
    with pytest.raises(TypeError, match="is computed"):
        np.add.at(a, [0], 1)
    with pytest.raises(TypeError):
        a[0] = 1


def test_numbers_of_one_voxel():
    one = made(np.array([[2.5]]))
    assert (float(one), int(one), complex(one), bool(one)) == (2.5, 2, 2.5, True)
    scalar = made(np.array(3.0), chunks=())
    assert float(scalar) == 3.0 and int(scalar) == 3 and bool(scalar) and scalar[()] == 3.0 and scalar + 1 == 4
    assert scalar[None].tolist() == [3.0] and scalar[...] == 3 and scalar[True].tolist() == [3.0]
    a = made(V)
    for f in (float, int, complex):
        with pytest.raises(TypeError, match=r"12 values.*edges\[0, 0\]"):
            f(a)
    with pytest.raises(ValueError, match=r"\.any\(\).*is not None"):
        bool(a)


def test_sequence():
    a = made(V)
    assert len(a) == 3 and [r.tolist() for r in a] == V.tolist() and [r.tolist() for r in reversed(a)] == V[::-1].tolist()
    assert 5 in a and 99 not in a and list(zip(a))[1][0].tolist() == V[1].tolist()
    first, *rest = a
    assert first.tolist() == V[0].tolist() and len(rest) == 2
    scalar = made(np.array(3.0), chunks=())
    for f in (len, iter, list):
        with pytest.raises(TypeError, match="without axes"):
            f(scalar)


# -- attributes and methods --------------------------------------------------------------------------------

def test_attributes_cost_nothing():
    a = made(V)
    assert (a.shape, a.ndim, a.size, a.itemsize, a.nbytes, a.chunks, a.dtype) == \
        ((3, 4), 2, 12, 8, 96, (3, 3), np.dtype("int64"))
    names = [n for n in dir(np.ndarray) if not n.startswith("_")]
    assert all(isinstance(hasattr(a, n), bool) for n in names if n not in _indexed.VALUES)
    assert a.calls == 0 and np.shape(a) == (3, 4) and np.ndim(a) == 2 and np.size(a) == 12 and a.calls == 0


def test_all_that_an_ndarray_has_works_or_is_explained():
    """Whatever NumPy's version gives ndarray."""
    a = made(V)
    for name in (n for n in dir(np.ndarray) if not n.startswith("_")):
        try:
            getattr(a, name)
        except AttributeError as e:
            assert "edges[...]" in str(e) and "\n" not in str(e), name
    with pytest.raises(AttributeError, match="no attribute 'maximum'"):
        a.maximum
    with pytest.raises(AttributeError, match=r"x = edges\[\.\.\.\].*x\.sort"):
        a.sort()
    with pytest.raises(AttributeError, match=r"edges\[\.\.\.\]\.strides"):
        a.strides


CALLS = [("max",), ("min",), ("sum",), ("mean",), ("std",), ("var",), ("prod",), ("any",), ("all",), ("argmax",),
         ("argmin",), ("cumsum",), ("round",), ("ravel",), ("flatten",), ("tolist",), ("copy",), ("nonzero",),
         ("squeeze",), ("transpose",), ("transpose", 1, 0), ("reshape", 4, 3), ("reshape", (2, -1)), ("sum", 0),
         ("max", 1), ("astype", "f4"), ("clip", 2, 5), ("repeat", 2), ("swapaxes", 0, 1), ("take", [1, 2]), ("item", 3),
         ("dot", V.T), ("searchsorted", 3), ("view", "u8"), ("tobytes",), ("diagonal",), ("trace",), ("argsort",)]


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c[0]}{len(c) - 1}")
def test_methods(call):
    values = V.reshape(-1) if call[0] == "searchsorted" else V
    got, want = (getattr(x, call[0])(*call[1:]) for x in (made(values), values))
    assert np.array_equal(got, want) and type(got) is type(want)
    assert getattr(got, "dtype", None) == getattr(want, "dtype", None)


def test_methods_with_keywords_and_values():
    a = made(V + 0.5)
    assert a.mean(axis=1, keepdims=True).tolist() == (V + 0.5).mean(axis=1, keepdims=True).tolist()
    assert a.T.tolist() == (V + 0.5).T.tolist() and a.real.tolist() == a[...].tolist() and a.imag.sum() == 0
    assert list(a.flat) == list((V + 0.5).flat)


@pytest.mark.parametrize("f", [
    np.mean, np.max, np.min, np.sum, np.std, np.median, np.unique, np.sort, np.cumsum, np.sqrt, np.abs, np.isnan, np.ravel,
    np.transpose, np.flip, np.gradient, np.isfinite, np.ptp, np.round, np.count_nonzero, np.atleast_3d, np.squeeze,
    lambda x: np.concatenate([x, x]), lambda x: np.stack([x, x, np.ones_like(x)]), lambda x: np.where(x > 3, x, 0),
    lambda x: np.percentile(x, 30), lambda x: np.add.reduce(x), lambda x: np.multiply.outer(x, [1, 2]), np.zeros_like,
    lambda x: np.histogram(x, 3)[0], lambda x: np.pad(x, 1), lambda x: np.allclose(x, x), lambda x: np.array([x, x]),
    lambda x: np.array(x, "f2"), lambda x: np.asarray(x, dtype="complex64"), lambda x: np.array_equal(x, x),
    lambda x: np.einsum("ij->j", x), lambda x: np.maximum(x, 3, where=np.ones((3, 4), bool), out=np.zeros((3, 4)))])
def test_numpys_functions(f):
    with np.errstate(all="ignore"):
        for got, want in zip(np.atleast_1d(f(made(V + 0.5))), np.atleast_1d(f(V + 0.5))):
            assert np.array_equal(got, want) and np.asarray(got).dtype == np.asarray(want).dtype


def test_an_ndarray_of_it_is_its_own():
    a = made(V)
    x = np.asarray(a)
    x[...] = 0
    assert np.array_equal(a[...], V) and np.asarray(a, dtype=a.dtype).flags.writeable
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        with pytest.raises(ValueError, match="always a copy"):
            np.asarray(a, copy=False)
        assert np.array_equal(np.asarray(a, copy=True), V)
    with pytest.raises(ValueError, match="always a copy"):
        a.__array__(copy=False)


def test_levels_are_the_same():
    a = lazarr.source("v", np.arange(64.).reshape(8, 8), chunks=4, axes="yx", levels=2)
    b = a.level(1)
    want = b[...]
    assert (b + 1).tolist() == (want + 1).tolist() and b.max() == want.max() and b[[0, 3]].tolist() == want[[0, 3]].tolist()
    assert b[want > 20].tolist() == want[want > 20].tolist() and np.mean(b) == want.mean() and b.nbytes == want.nbytes
    with pytest.raises(AttributeError, match=r"a\[\.\.\.\]"):
        b.strides


@pytest.mark.parametrize("use", [lambda a: a + 1, lambda a: a.max(), lambda a: a.T, lambda a: a > 3, lambda a: 3 in a,
                                 np.sqrt, np.mean, lambda a: a == 3],
                         ids=["+", "max", "T", ">", "in", "sqrt", "mean", "=="])
def test_what_nobody_could_have_meant_says_what_to_write(use):
    @lazarr.array(shape=(4096, 4096, 4096), chunks=64, dtype="uint8")
    def big(block):
        raise AssertionError("computed")
    with pytest.raises(ValueError) as e:
        use(big)
    said = str(e.value)
    assert 'array "big"' in said and "64 GiB" in said and "big[...]" in said and "inputs=[big]" in said
    assert "\n" not in said


# -- the function ------------------------------------------------------------------------------------------

def test_it_is_called_as_its_function():
    @lazarr.array(shape=4, chunks=4, dtype="f4")
    def a(block, sigma=2):
        return sigma
    assert a(None) == 2 and a(None, sigma=5) == 5 and a.function(None) == 2 and a.__wrapped__ is a.function

    @lazarr.source(chunks=2)
    def s():
        return np.arange(4)
    assert s().tolist() == [0, 1, 2, 3]
    with pytest.raises(TypeError, match=r'"t" is a source without a function: .*t\[\.\.\.\]'):
        lazarr.source("t", np.arange(4))()


@lazarr.array(shape=4, chunks=4, dtype="f4")
def by_name(block):
    """Of this module."""
    return 1.0


@lazarr.source
def opened():
    return np.arange(4)


def test_pickle_and_copy():
    for a in (by_name, opened):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(a, protocol)) is a
        assert copy.copy(a) is a and copy.deepcopy([a])[0] is a
    by_name[0]
    s = lazarr.source("plain", np.arange(4))
    t = pickle.loads(pickle.dumps(s))
    assert t[...].tolist() == [0, 1, 2, 3] and t.path == "plain" and t is not s


def test_every_example_of_every_operator_is_tried():
    """An operator that NumPy's mixin has and that isn't tried above would be found here."""
    mixin = {n for n in vars(np.lib.mixins.NDArrayOperatorsMixin) if n.startswith("__") and callable(
        getattr(np.lib.mixins.NDArrayOperatorsMixin, n))}
    tried = {"__matmul__", "__rmatmul__", "__neg__", "__pos__", "__abs__", "__invert__", "__divmod__", "__rdivmod__"}
    for f in BINARY:
        name = f.__name__.strip("_")
        tried |= {f"__{name}__", f"__r{name}__", f"__i{name}__"}
    assert {n for n in mixin - tried if not n.startswith("__i")} <= set(dir(object)) | {"__class_getitem__"}


def test_two_ways_of_writing_one_index():
    a = made(WANT, chunks=(4, 5, 3))
    for i, j in itertools.product((0, -1, 5), (slice(1, 4), [1, 2, 3])):
        assert np.array_equal(a[i][j], a[i, j])
