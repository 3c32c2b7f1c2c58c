"""What a store defines is looked up, not searched; what is remembered of it is never mixed up."""
import json

import pytest

import lazarr
from lazarr import _array, _manifest
from lazarr._array import Registry
from lazarr._errors import StoreError

PLAIN = dict(shape=(8,), chunks=4, dtype="float32")


@pytest.fixture
def registry(monkeypatch):
    r = Registry()
    monkeypatch.setattr(_array.CURRENT, "registry", r)
    return r


def define(what):
    kind, path = what
    if kind == "group":
        lazarr.group(path)
    else:
        lazarr.array(path, **PLAIN)(lambda block: 0)


@pytest.mark.parametrize("first,second,error", [
    (("array", "a/b"), ("array", "a/b"), 'array "a/b": the path is already that of another array'),
    (("array", "a/b"), ("array", "a/b/x/y"), 'array "a/b/x/y": its path lies inside the array "a/b"'),
    (("array", "a/b/x/y"), ("array", "a/b"), 'array "a/b/x/y": its path lies inside the array "a/b"'),
    (("group", "a"), ("group", "a"), 'group "a": the path is already that of another group'),
    (("group", "a"), ("array", "a"), 'group "a": its path is that of, or lies inside, the array "a"'),
    (("array", "a"), ("group", "a"), 'group "a": its path is that of, or lies inside, the array "a"'),
    (("group", "a/b/x"), ("array", "a"), 'group "a/b/x": its path is that of, or lies inside, the array "a"'),
    (("array", "a"), ("group", "a/b/x"), 'group "a/b/x": its path is that of, or lies inside, the array "a"'),
])
def test_paths_that_clash(registry, first, second, error):
    define(first)
    with pytest.raises(StoreError) as e:
        define(second)
    assert str(e.value) == error


def test_paths_that_do_not(registry):
    for what in [("array", "a/b"), ("array", "a/bc"), ("array", "ab"), ("array", "a/b.c"), ("group", "a"),
                 ("group", ""), ("group", "x/y"), ("array", "x/y/z"), ("group", "x"), ("array", "x/yy")]:
        define(what)
    assert len(registry.arrays) == 6 and len(registry.groups) == 4


def fill(v):
    return lazarr.array("a", **PLAIN, fill_value=v)(lambda block: 0).fill_value


def test_equal_parameters_of_other_types_are_others():
    """1, 1.0 and True are equal, and so are 0.0 and -0.0."""
    assert str(fill(0.0)) == "0.0" and str(fill(-0.0)) == "-0.0" and str(fill(0)) == "0.0"
    for given in (dict(shape=(8,)), dict(chunks=4), dict(timeout=1), dict(slots=1)):
        name, good = next(iter(given.items()))
        lazarr.array("a", **{**PLAIN, name: good})(lambda block: 0)
        bad = (8.0,) if name == "shape" else 4.0 if name == "chunks" else True
        with pytest.raises(StoreError):
            lazarr.array("a", **{**PLAIN, name: bad})(lambda block: 0)


def test_what_one_array_adds_to_its_attributes_is_its_own():
    a, b = (lazarr.array("a", **PLAIN)(lambda block: 0) for _ in range(2))
    a.attributes["mine"] = 1
    assert b.attributes == {} and lazarr.array("a", **PLAIN)(lambda block: 0).attributes == {}


@pytest.mark.parametrize("function,takes", [
    (lambda block: 0, False), (lambda block, a: 0, True), (lambda block, a, s=1: 0, True),
    (lambda block, s=1: 0, False), (lambda *args: 0, True), (lambda block, *, k=1: 0, False),
    (lambda block=None: 0, False)])
def test_what_a_function_takes(function, takes):
    a = lazarr.array("a", **PLAIN)(lambda block: 0)
    assert lazarr.array("b", inputs=[a])(function)._takes_inputs is takes


@pytest.mark.parametrize("function", [lambda: 0, lambda block, a, b: 0, lambda block, *, k: 0])
def test_what_takes_too_little_or_too_much(function):
    a = lazarr.array("a", **PLAIN)(lambda block: 0)
    with pytest.raises(StoreError, match="the function must take"):
        lazarr.array("b", inputs=[a])(function)


def test_a_manifest_has_a_line_an_array(registry):
    for i in range(3):
        lazarr.array(f"a{i}", **PLAIN, attributes={"é": i})(lambda block: 0)
    lazarr.group("g", attributes={"x": "\n"})
    text = _manifest.build(registry, "s", "s.py", b"")
    assert len(text.splitlines()) == 5
    assert [a["attributes"] for a in json.loads(text)["arrays"]] == [{"é": 0}, {"é": 1}, {"é": 2}]


def test_how_attributes_are_ordered_makes_no_other_version(registry):
    def digest(attributes):
        r = Registry()
        _array.CURRENT.registry = r
        lazarr.array("a", **PLAIN, version="1", attributes=attributes)(lambda block: 0)
        return json.loads(_manifest.build(r, "s", "s.py", b""))["arrays"][0]["digest"]
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1})


def test_a_manifest_above_the_limit(registry, monkeypatch):
    monkeypatch.setattr(_manifest, "MAX_MANIFEST", 2 << 20)
    lazarr.array("a", **PLAIN, attributes={"é": "é" * (1 << 20)})(lambda block: 0)
    with pytest.raises(StoreError, match="the manifest of its 1 arrays and 0 groups has 2 MiB, the limit is 2 MiB"):
        _manifest.build(registry, "s", "s.py", b"")
