"""What an editor, help, doctest and other libraries see of an array: its function's signature and words."""
import doctest
import inspect
import pydoc
import sys
import types
import typing

import numpy as np
import pytest

import lazarr
import lzr

TEXT = '''
"""A store."""
import functools
import lazarr, numpy as np

@lazarr.source("t1", chunks=2)
def mri() -> np.ndarray:
    """The brain.

    >>> t1_again = mri()
    >>> int(t1_again[1])
    1
    """
    return np.arange(4)

@lazarr.array("deep/er/edges", inputs=[mri])
def edges(block: lazarr.Block, t1: np.ndarray, *, sigma: float = 2.0) -> np.ndarray:
    """Edges.

    >>> edges[...].tolist()
    [2.0, 3.0, 4.0, 5.0]
    """
    return t1 + int(sigma)
edges_wrong = edges

@lazarr.array(shape=4, chunks=2, dtype="u1")
def plain(block): return 1

def outer(f):
    @functools.wraps(f)
    def inner(*args): return f(*args)
    return inner

@lazarr.array(shape=4, chunks=2, dtype="u1")
@outer
def wrapped(block, n=3):
    """Of n."""
    return n

class Thing:
    """A thing."""
    def __call__(self, block): return 1
    def method(self, block):
        """A method."""
        return 2
called = lazarr.array("called", shape=4, chunks=2, dtype="u1")(Thing())
method = lazarr.array("method", shape=4, chunks=2, dtype="u1")(Thing().method)
partial = lazarr.array("partial", shape=4, chunks=2, dtype="u1")(functools.partial(max, 3, key=lambda v: 3))
anonymous = lazarr.array("anonymous", shape=4, chunks=2, dtype="u1")(lambda block: 1)
'''


@pytest.fixture(scope="module")
def store():
    m = types.ModuleType("brainstore")
    sys.modules[m.__name__] = m
    exec(compile(TEXT.replace("[2.0, 3.0, 4.0, 5.0]", "[2, 3, 4, 5]"), "/tmp/brainstore.py", "exec"), m.__dict__)
    yield m
    del sys.modules[m.__name__]


@pytest.mark.parametrize("name, signature, doc", [
    ("edges", "(block: lazarr._block.Block, t1: numpy.ndarray, *, sigma: float = 2.0) -> numpy.ndarray", "Edges."),
    ("mri", "() -> numpy.ndarray", "The brain."), ("plain", "(block)", None), ("wrapped", "(block, n=3)", "Of n."),
    ("called", "(block)", "A thing."), ("method", "(block)", "A method."), ("anonymous", "(block)", None)])
def test_signature_and_docstring(store, name, signature, doc):
    a = getattr(store, name)
    assert isinstance(a, lazarr.Array) and str(inspect.signature(a)) == signature
    assert a.__module__ == "brainstore"
    assert a.__doc__ is None if doc is None else a.__doc__.startswith(doc)


def test_names(store):
    assert (store.edges.__name__, store.edges.__qualname__, store.edges.path) == ("edges", "edges", "deep/er/edges")
    assert store.mri.__name__ == "mri" and store.anonymous.__name__ == "<lambda>" and store.called.__name__ == "called"
    assert typing.get_type_hints(store.edges.__wrapped__)["sigma"] is float
    assert typing.get_type_hints(store.edges)["sigma"] is float
    eye = lazarr.source("eye", np.eye(3))
    assert eye.__name__ == "eye" and eye.__module__ == "lazarr._array"


def test_what_a_function_carries_is_not_an_arrays(store):
    def f(block):
        return 1
    f.shape, f.note = (9,), "kept"
    a = lazarr.array(shape=4, chunks=2, dtype="u1")(f)
    assert a.shape == (4,) and not hasattr(a, "note") and a.__wrapped__.note == "kept"


def test_doctests_are_found_and_run(store):
    finder = doctest.DocTestFinder()
    tests = {t.name: t for t in finder.find(store, "brainstore", module=store) if t.examples}
    assert {"brainstore.edges", "brainstore.mri"} <= set(tests) and "brainstore.plain" not in tests
    runner = doctest.DocTestRunner(verbose=False)
    assert all(runner.run(t).failed == 0 and t.examples for t in tests.values())


def test_help(store):
    text = pydoc.plain(pydoc.render_doc(store.edges))
    assert "Edges." in text and "edges[...].tolist()" in text
    assert "The brain." in pydoc.plain(pydoc.render_doc(store.mri))
    assert "edges" in pydoc.plain(pydoc.render_doc(store))
    for a in (store.plain, store.anonymous):
        assert pydoc.render_doc(a)


def test_source_of_an_array(tmp_path, monkeypatch):
    (tmp_path / "sourcestore.py").write_text(TEXT)
    monkeypatch.syspath_prepend(str(tmp_path))
    import sourcestore
    assert "def edges(block" in inspect.getsource(sourcestore.edges)
    assert "def mri()" in inspect.getsource(sourcestore.mri)


def test_every_public_name_has_a_signature_that_tells():
    """The parameters are there by name also at run time: IPython and pydoc show those."""
    from lazarr import _spec
    names = set(inspect.signature(lazarr.array).parameters)
    assert names >= {*_spec.KNOWN, "inputs", "path"}
    names = set(inspect.signature(lazarr.source).parameters)
    assert {"path", "thing", "transpose", "chunks", "axes", "levels", "fill_value", "dtype"} <= names
    assert not {"shape", "inputs", "halo"} & names
    for thing in (getattr(lazarr, name) for name in lazarr.__all__):
        if not (isinstance(thing, type) and issubclass(thing, BaseException)):
            assert inspect.signature(thing) is not None


# -- dask and xarray, where they are -----------------------------------------------------------------------

@lazarr.array(shape=(20, 30), chunks=(8, 10), dtype="float32")
def plane(block):
    y, x = block.coords()
    return y * 100 + x


WANT = (np.arange(20)[:, None] * 100 + np.arange(30)).astype("float32")


def test_dask():
    da = lzr.need_module("dask.array")
    from dask.base import tokenize
    d = da.from_array(plane, chunks=plane.chunks)
    assert d.chunks == ((8, 8, 4), (10, 10, 10)) and d.dtype == "float32"
    assert np.array_equal(d.compute(scheduler="threads"), WANT) and float(d[3:5, ::7].sum()) == WANT[3:5, ::7].sum()
    assert np.array_equal((d + 1).T.compute(), (WANT + 1).T)
    assert da.from_array(plane).name == da.from_array(plane).name  # one array has one name
    other = lazarr.array("plane", shape=(20, 30), chunks=(8, 10), dtype="float32")(lambda b: 1)
    assert tokenize(other) != tokenize(plane) == tokenize(plane)
    before = tokenize(plane)
    plane.clear()
    assert tokenize(plane) != before  # its values may be others now
    image = lazarr.source("v", np.arange(64.).reshape(8, 8), chunks=4, axes="yx", levels=2)
    assert tokenize(image.level(0)) != tokenize(image.level(1)) == tokenize(image.level(1))
    assert np.array_equal(da.from_array(image.level(1)).compute(), image.level(1)[...])


def test_xarray():
    xr = lzr.need_module("xarray")
    x = xr.DataArray(plane, dims=("y", "x"), coords={"y": np.arange(20)})
    assert np.array_equal(x.values, WANT) and float(x.sel(y=3).max()) == WANT[3].max()
    assert float(x.mean()) == pytest.approx(WANT.mean(), rel=1e-5)
    ds = xr.Dataset({"plane": (("y", "x"), plane[...])})
    assert np.array_equal(ds.plane, WANT)
    assert np.array_equal((plane + x).values, 2 * WANT) and np.array_equal((x + plane).values, 2 * WANT)


@pytest.mark.parametrize("dtype, value", [("float32", "np.full(4, 1e-50)"), ("float16", "np.full(4, 1e-9)"),
                                          ("float16", "np.full(4, 1e-9, 'f4')"), ("float32", "1e-50"),
                                          ("complex64", "np.full(4, 1e-50 + 1e-60j)"), ("complex64", "np.full(4, 1e-50)"),
                                          ("float16", "np.array([7, 0, 1, 3])"), ("float32", "np.full(4, 5e-324)"),
                                          ("float32", "np.array([np.nan, np.inf, -np.inf, -0.0])"),
                                          (">f4", "np.full(4, 1e-42)"), ("float16", "np.full(4, 2.0**-26, '>f8')")])
@pytest.mark.parametrize("way", ["return", "write", "write all", "fill"])
def test_casts_never_raise_for_seterr(dtype, value, way):
    values = eval(value)
    if way == "fill" and np.ndim(values):
        values = values.reshape(-1)[0]
    with np.errstate(all="ignore"):
        want = np.broadcast_to(np.asarray(values), 4).astype(dtype)
    with np.errstate(all="raise"):
        @lazarr.array(shape=4, chunks=4, dtype=dtype, fill_value=values if way == "fill" else None)
        def a(block):
            if way == "return":
                return values
            if way == "write":
                block.data[1:] = values[1:] if np.ndim(values) else values
                block.data[0] = values[0] if np.ndim(values) else values
            elif way == "write all":
                block.data = values
            else:
                block.data[:0] = 1
        got = a[...]
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("mode", ["raise", "call"])
@pytest.mark.parametrize("pyramid", ["mean", "mode", "max", "min", "stride"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "uint8", "int64"])
def test_pyramids_and_inputs_never_raise_for_seterr(pyramid, dtype, mode):
    if dtype == "complex64" and pyramid in ("mode", "max", "min"):
        return
    values = np.array([[3, 1, 1], [6, 0, 7], [1, 2, 3]]).astype(dtype)
    if np.dtype(dtype).kind in "fc":
        values[0] = [np.nan, np.finfo(dtype).max, np.finfo(dtype).tiny]
        values[2] = [np.finfo(dtype).tiny / 2, np.inf, -np.inf]

    def compute():
        v = lazarr.source("v", values, chunks=2, axes="yx", levels=2, pyramid=pyramid)
        b = lazarr.array("b", inputs=[v], halo=1, boundary="reflect", fill_value=7)(lambda block, v: v)
        return v.level(1)[...].tobytes(), b[...].tobytes(), b.level(1)[...].tobytes()
    with np.errstate(all="ignore"):
        want = compute()

    def called(*a):
        raise AssertionError(a)
    before = np.seterrcall(called)
    try:
        with np.errstate(all=mode):
            assert compute() == want
    finally:
        np.seterrcall(before)


def test_warnings_as_errors():
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = lazarr.array("a", shape=2, chunks=2, dtype="f2")(lambda b: np.array([1e-9, 3.0]))
        assert a[...].tolist() == [0.0, 3.0]
        with pytest.raises(lazarr.CastError, match="1e.20 at .1. does not fit float16"):
            lazarr.array("a", shape=2, chunks=2, dtype="f2")(lambda b: np.array([1, 1e20]))[0]


def test_what_the_function_itself_does_is_its_own():
    """The author's seterr is the author's: it still raises in the function."""
    a = lazarr.array("a", shape=2, chunks=2, dtype="f4")(lambda b: np.float64(1e300) * np.array([1e300]))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        a[0]
