"""What a store's author is told: names of parameters, decorators that were forgotten, masks."""
import sys

import numpy as np
import pytest

import lazarr
from lazarr import _array, _spec, _tell


def run_store(text):
    """The registry of a store whose file is `text`, after its end."""
    registry = _array.Registry()
    before, _array.CURRENT.registry = _array.CURRENT.registry, registry
    try:
        exec(compile("import lazarr, numpy as np\n" + text, "/somewhere/brain.py", "exec"), {})
    finally:
        _array.CURRENT.registry = before
    registry.finish()
    return registry


def refused(text):
    with pytest.raises(lazarr.StoreError) as e:
        run_store(text)
    return str(e.value)


ONE = "shape=(4,), chunks=2, dtype='uint8'"


def test_help_names_every_parameter():
    for name in (*_spec.KNOWN, "inputs", "path"):
        assert name in lazarr.array.__doc__, name


@pytest.mark.parametrize("text, path", [
    (f"@lazarr.array(path='b', {ONE})\ndef a(block): return 1", "b"),
    (f"@lazarr.array('b', {ONE})\ndef a(block): return 1", "b"),
    (f"def a(block): return 1\nlazarr.array(a, {ONE})", "a"),
    (f"def a(block): return 1\nx = lazarr.array(path='cc', {ONE})(a)", "cc"),
    ("lazarr.source(path='s', thing=np.arange(4))", "s"),
    ("lazarr.source('s', thing=np.arange(4))", "s"),
    ("@lazarr.source\ndef s(): return np.arange(4)", "s"),
    ("@lazarr.source()\ndef s(): return np.arange(4)", "s"),
    ("@lazarr.source(path='t')\ndef s(): return np.arange(4)", "t")])
def test_every_way_to_make_an_array(text, path):
    assert [a.path for a in run_store(text).arrays] == [path]
    assert run_store(text).arrays[0][...].shape == (4,)


@pytest.mark.parametrize("text, meant", [
    ("@lazarr.array(shape=(4,), chunk=2, dtype='u1')\ndef a(b): return 1", "chunks"),
    ("@lazarr.array(shap=(4,), chunks=2, dtype='u1')\ndef a(b): return 1", "shape"),
    ("@lazarr.array(shape=(4,), chunks=2, datatype='u1')\ndef a(b): return 1", "dtype"),
    ("@lazarr.array(shape=(4,), chunks=2, dtype='u1', input=[])\ndef a(b): return 1", "inputs"),
    ("@lazarr.array(shape=(4,), chunks=2, dtype='u1', fillvalue=1)\ndef a(b): return 1", "fill_value"),
    ("lazarr.source('s', np.arange(4), unit='mm')", "units")])
def test_a_wrong_keyword_says_which_is_meant(text, meant):
    assert f"did you mean {meant!r}?" in refused(text)


def test_an_unknown_keyword_is_refused_by_its_name():
    assert "unknown parameter 'qqq'" in refused("lazarr.source('s', np.arange(4), qqq=1)")
    assert "unknown parameter 'data'" in refused("lazarr.source(path='s', data=np.arange(4))(lambda: np.arange(4))")
    # and not as a decorator that is never applied, when the thing itself came by it
    assert "unknown parameter 'array'" in refused("lazarr.source('s', array=np.arange(4))")
    assert "unknown parameter 'f'" in refused(f"def a(block): return 1\nlazarr.array('a', f=a, {ONE})")


@pytest.mark.parametrize("text, what", [
    (f"lazarr.array('a', {ONE})\ndef a(block): return 1", "lazarr.array(...) in line 2 of brain.py"),
    (f"make = lazarr.array({ONE})", "lazarr.array(...) in line 2 of brain.py"),
    ("\nlazarr.source('s')\ndef s(): return np.arange(4)", "lazarr.source(...) in line 3 of brain.py"),
    ("lazarr.source(path='s', transpose=(0,))", "lazarr.source(...) in line 2 of brain.py")])
def test_a_decorator_that_was_never_applied_is_an_error(text, what):
    assert refused(text).startswith(f"{what} was never given a function")


def test_a_decorator_may_be_applied_twice():
    text = (f"make = lazarr.array({ONE})\n@make\ndef a(block): return 1\n"
            "@make\ndef b(block): return 2\n")
    assert [a.path for a in run_store(text).arrays] == ["a", "b"]


@pytest.mark.parametrize("thing", ["np.arange(4)", "[np.arange(4)]", "7"])
def test_a_source_without_a_path_is_refused(thing):
    assert "a source's path comes first" in refused(f"lazarr.source({thing})")


@pytest.mark.parametrize("arguments, names", [("block, x", "x"), ("block, t1, t2", "t1, t2"),
                                              ("block, x, *, sigma=2", "x")])
def test_a_function_of_inputs_without_inputs_says_what_is_missing(arguments, names):
    said = refused(f"@lazarr.array({ONE})\ndef a({arguments}): return 1")
    assert f"the function takes {names} behind the block" in said and "inputs=[...]" in said


def test_a_masked_source_is_refused():
    for thing in (np.ma.masked_equal(np.arange(4), 2), np.ma.array([1.0, 2.0], mask=[True, False])):
        with pytest.raises(lazarr.StoreError, match="filled"):
            lazarr.source("m", thing)
        with pytest.raises(lazarr.StoreError, match="filled"):
            lazarr.source("m")(lambda thing=thing: thing)
    assert lazarr.source("m", np.ma.arange(4))[...].tolist() == [0, 1, 2, 3]  # nothing is masked


class Slices:
    """An array-like whose slices are masked, as netCDF4's are."""

    def __init__(self, values, mask):
        self.values = np.ma.array(values, mask=mask)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def __getitem__(self, key):
        return self.values[key]


def test_masked_slices_are_filled_or_refused():
    mask = [False, True, False, False]
    a = lazarr.source("a", Slices([1.0, 2.0, 3.0, 4.0], mask))
    assert np.array_equal(a[...], [1, np.nan, 3, 4], equal_nan=True)
    b = lazarr.source("b", Slices([1, 2, 3, 4], mask), fill_value=9)
    assert b[...].tolist() == [1, 9, 3, 4]
    with pytest.raises(lazarr.CastError, match="fill_value="):
        lazarr.source("cc", Slices([1, 2, 3, 4], mask))[...]
    d = lazarr.source("d", Slices([1, 2, 3, 4], [False] * 4))
    assert d[...].tolist() == [1, 2, 3, 4]


def test_masked_dask_slices_are_filled():
    import dask.array as dask
    thing = dask.ma.masked_equal(dask.arange(4, chunks=2).astype("float64"), 1.0)
    assert np.array_equal(lazarr.source("m", thing)[...], [0, np.nan, 2, 3], equal_nan=True)


def told(text, load=False):
    """(line, traceback) of an exception that a store's file ends with, or a function raises."""
    try:
        exec(compile(text, "/somewhere/brain.py", "exec"), {"__name__": "brain"})
    except BaseException as e:
        if load:
            _tell.failed(e, "/somewhere/brain.py")
        return _tell.describe(e)
    raise AssertionError("nothing was raised")


CHAIN = ("def f():\n    try:\n        open('/nonexistent/tile7')\n    except OSError as e:\n"
         "        raise RuntimeError('block failed')%s\nf()\n")


@pytest.mark.parametrize("text, holds", [
    (CHAIN % " from e", ["FileNotFoundError", "direct cause", "RuntimeError: block failed"]),
    (CHAIN % "", ["FileNotFoundError", "During handling", "RuntimeError: block failed"]),
    ("e = ValueError('a')\ne.__notes__ = ['see the manual']\nraise e", ["ValueError: a"] + (
        ["see the manual"] if sys.version_info >= (3, 11) else []))])
def test_a_traceback_holds_what_explains_it(text, holds):
    trace = told(text)[1]
    for what in holds:
        assert what in trace
    assert "_tell.py" not in trace


@pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python has no ExceptionGroup")
def test_a_group_names_its_members():
    line, trace = told("raise ExceptionGroup('many', [ValueError('the ' + 'first'), "
                       "ExceptionGroup('more', [TypeError('the ' + 'second')])])")
    assert "the first" in trace and "the second" in trace and line.startswith("ExceptionGroup: many")


@pytest.mark.parametrize("error, line", [
    ("ValueError('shapes differ:\\n  (3, 4) and (4, 3)\\nsee https://help.example')", "ValueError: shapes differ:"),
    ("ValueError('\\n\\nfirst\\nsecond')", "ValueError: first"),
    ("ValueError()", "ValueError"),
    ("KeyError('a b')", "KeyError: 'a b'")])
def test_the_line_is_the_type_and_the_first_line(error, line):
    assert told(f"raise {error}")[0] == line


@pytest.mark.parametrize("text, line", [
    ("import json\njson.loads('{')", "line 2 of brain.py"),
    ("import json\ndef f():\n    json.loads('{')\nf()", "line 3 of brain.py"),
    ("import importlib\nimportlib.import_module('no_such_module_here')", "line 2 of brain.py"),
    ("import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass NoConfig(Exception):\n    key: str\n"
     "raise NoConfig('X_CFG')", "brain.NoConfig: X_CFG (line 5 of brain.py)")])
def test_the_line_names_the_users_line(text, line):
    said = told(text, load=True)[0]
    assert said.startswith("brain.py: ") and line in said


def test_an_exception_that_cannot_be_shown():
    text = "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd()"
    assert told(text)[0] == "brain.Odd"


BAD = (5, 9)  # of a (7, 12) array in blocks of (4, 5): block (1, 1) begins at (4, 5)


@pytest.mark.parametrize("body", [
    "return full(block)", "block.data[...] = full(block)", "block.data = full(block)",
    "block.data[1] = full(block)[1]", "block.data[1:, ::-1] = full(block)[1:, ::-1]",
    "block.data[[2, 1]] = full(block)[[2, 1]]", "block.data[:, 4] = full(block)[:, 4]",
    "block.data[block.data == 0] = full(block)[block.data == 0]"])
def test_an_error_names_the_arrays_voxel(body):
    space = {"np": np, "lazarr": lazarr}
    exec("def full(block):\n"
         "    whole = np.zeros((7, 12), int)\n"
         f"    whole[{BAD}] = 300\n"
         "    return whole[block.slices]\n"
         "@lazarr.array('a', shape=(7, 12), chunks=(4, 5), dtype='uint8')\n"
         f"def a(block):\n    {body}\n", space)
    with pytest.raises(lazarr.CastError, match=r"value 300 at \[5, 9\] does not fit uint8"):
        space["a"].compute((1, 1))


def test_a_scalar_has_no_place():
    for value, said in ((300, "value 300 does not fit uint8"),
                        (2.5, r"it returned float64, the array is uint8: .*\(value 2.5 does not fit uint8\)")):
        with pytest.raises(lazarr.CastError, match=said):
            lazarr.array("a", shape=4, chunks=4, dtype="uint8")(lambda block, value=value: value).compute((0,))


@pytest.mark.parametrize("text, said", [
    ("def f(b): return 1\nlazarr.array('g', inputs=[f])(lambda b, x: x)", "'f': is @lazarr.array or"),
    (f"@lazarr.array('labels', {ONE})\ndef a(b): return 1", "call it 'cells'"),
    ("lazarr.source('s', np.zeros((3, 4)), axes='xy')", "say 'yx'"),
    ("lazarr.source('s', np.zeros((3, 4)), axes='yx', voxel_size=2)", "did you mean 'scale'?"),
    ("lazarr.source('s', np.zeros((3, 4)), axes='yx', spacing=2)", "did you mean 'scale'?")])
def test_the_way_out_is_said(text, said):
    assert said in refused(text)


class Says:
    """An array-like that says one dtype and gives another, as h5py's and netCDF4's converting ones do."""

    def __init__(self, said, given):
        self.shape, self.dtype, self.given = (4,), np.dtype(said), given

    def __getitem__(self, key):
        return np.arange(4).astype(self.given)[key]


@pytest.mark.parametrize("said,given", [("i2", "f8"), ("u1", "i4"), ("f4", "f8"), ("i4", "U5"), ("f4", "c8"),
                                        ("u8", "i8")])
def test_a_source_whose_slices_are_not_what_it_says_is_refused(said, given):
    with pytest.raises(lazarr.StoreError, match="its slices are"):
        lazarr.source("s", Says(said, given))


@pytest.mark.parametrize("said,given", [("f8", "f4"), ("i4", "u1"), ("c16", "f8"), (">i2", "<i2"), ("i2", "?")])
def test_a_source_whose_slices_are_taken_over_without_loss_is_none(said, given):
    a = lazarr.source("s", Says(said, given))
    assert a.dtype == np.dtype(said)


def test_a_source_whose_slices_have_other_axes_is_refused():
    class Given(Says):
        def __init__(self, values):
            super().__init__("f8", "f8")
            self.values = values

        def __getitem__(self, key):
            return self.values
    with pytest.raises(lazarr.StoreError, match=r"a slice of one .* whose shape is \[4\], has the shape \[1, 1\]"):
        lazarr.source("s", Given(np.zeros((1, 1))))
    lazarr.source("pieces", Given(np.zeros(2)), chunks=2)  # asked for by chunks alone, it may give them whole


def test_a_source_of_nothing_is_refused():
    class Nothing:
        shape, dtype = None, np.dtype("f4")

        def __getitem__(self, key):
            raise ValueError
    with pytest.raises(lazarr.StoreError, match="holds nothing: its shape is None"):
        lazarr.source("s", Nothing())


def test_a_source_that_cannot_be_sliced_now_is_not_refused():
    class Later(Says):
        def __getitem__(self, key):
            raise OSError("not yet")
    assert lazarr.source("s", Later("i4", "i4")).shape == (4,)


def test_an_error_that_quotes_a_lot_is_one_that_can_be_read():
    """Found by fuzzing: what a file says was quoted whole, however long."""
    for make in (lambda: lazarr.array("a", shape=(4,), chunks=["x" * 100000], dtype="u1"),
                 lambda: lazarr.array("a", shape=[[1] * 100000], chunks=1, dtype="u1"),
                 lambda: lazarr.source("a", np.zeros(4), attributes=["x" * 100000])):
        with pytest.raises(lazarr.StoreError) as e:
            made = make()
            made(lambda block: 0)
        assert len(str(e.value)) < 3100 and "letters left out" in str(e.value), str(e.value)[:300]


ODD = (5, 2.5, float("nan"), 10**30, True, "zyx", "é", b"x", [], {}, (1,), [1, "a"], [None], [[1]], {"a": 1}, set(), object(),
       print, np.zeros(3), np.array(["y", "x"]))
MADE = {
    "array": lambda more: lazarr.array("a", **{**dict(shape=(4, 4), chunks=2, dtype="u1", axes="yx"), **more})(lambda b: 1),
    "plain": lambda more: lazarr.array("a", **{**dict(shape=(4, 4), chunks=2, dtype="u1"), **more})(lambda b: 1),
    "source": lambda more: lazarr.source("a", np.zeros((4, 4)), **{"axes": "yx", **more}),
    "levels": lambda more: lazarr.source("a", [np.zeros((4, 4)), np.zeros((2, 2))], **{"axes": "yx", **more}),
    "plain source": lambda more: lazarr.source("a", np.zeros((4, 4)), **more),
    "derived": lambda more: lazarr.array("a", inputs=[lazarr.source("s", np.zeros((4, 4)), axes="yx")], **more)(
        lambda b, x: 1),
    "input": lambda more: lazarr.array("a", inputs=[lazarr.Input(
        lazarr.source("s", np.zeros((4, 4)), axes="yx"), **more)])(lambda b, x: 1),
}


@pytest.mark.parametrize("name", (*_spec.KNOWN, "transpose", "select", "level", "inputs"))
def test_whatever_a_parameter_is_it_is_taken_or_refused_by_its_name(name):
    """Never a bare TypeError, nor NumPy's word about the truth of an array."""
    for make in MADE.values():
        for value in ODD:
            try:
                make({name: value})
            except lazarr.StoreError:
                pass
            except TypeError as e:  # as Python says it: no such parameter, or twice
                assert "keyword argument" in str(e), (name, value)


@pytest.mark.parametrize("given, said", [
    ("axes=5", "axes must be different names out of t, c, z, y, x, got 5"),
    ("axes=[1, 'a']", "axes must be different names"), ("units=5, axes='yx'", "units must be one for all"),
    ("dims=5", "dims must be 2 names, got 5"), ("transpose=5", "transpose must be the order of the axes, got 5"),
    ("transpose=[1, 'a']", "transpose must name each of the 2 axes once"), ("depends=5", "depends must be"),
    ("depends='data.csv'", "depends must be"), ("deterministic='no'", "deterministic must be True or False, got 'no'"),
    ("deterministic=np.zeros(3)", "deterministic must be"), ("halo=np.ones(2, int)", "halo is for arrays")])
def test_an_odd_parameter_is_refused_by_its_name(given, said):
    assert said in refused(f"lazarr.source('s', np.zeros((4, 4)), {given})")


def test_arrays_of_numbers_and_names_are_taken():
    s = lazarr.source("s", np.zeros((4, 6)), axes=np.array(["y", "x"]), scale=np.array([2.0, 3.0]), chunks=np.array([2, 3]),
                      transpose=np.array([0, 1]))
    assert (s.axes, s.scale, s.chunks) == (("y", "x"), (2.0, 3.0), (2, 3))
    a = lazarr.array("a", inputs=[s], halo=np.array([1, 0]), axes=np.array(["y", "x"]))(lambda b, x: x[b.crop])
    assert a[...].shape == (4, 6)
