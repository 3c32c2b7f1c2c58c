"""Functions as decorators make them, and such as can't be called."""
import pytest

from test_words import ONE, refused, run_store

HEAD = """
import asyncio, functools
def hands_in(f):
    @functools.wraps(f)
    def g(block): return f(block, 3)
    return g
def hands_in_behind(f):
    @functools.wraps(f)
    def g(*args): return f(*args, 3)
    return g
def hands_in_by_name(f):
    @functools.wraps(f)
    def g(*args, **named): return f(*args, sigma=3, **named)
    return g
def hands_in_first(f):
    @functools.wraps(f)
    def g(*args, **named): return f(3, *args, **named)
    return g
def with_input(f):
    @functools.wraps(f)
    def g(block, raw): return f(block, raw, 3)
    return g
def drops(f):
    @functools.wraps(f)
    def g(block, raw): return f(block)
    return g
def plain(f):
    @functools.wraps(f)
    def g(*args, **named): return f(*args, **named)
    return g
class Wrapped:
    def __init__(self, f): functools.update_wrapper(self, f); self.f = f
    def __call__(self, block): return self.f(block, 3)
def runs(f):
    @functools.wraps(f)
    def g(block): return asyncio.run(f(block))
    return g
def takes_next(f):
    @functools.wraps(f)
    def g(block): return next(f(block))
    return g
raw = lazarr.source('raw', np.full(4, 7, 'u1'), chunks=2)
"""


@pytest.mark.parametrize("inputs, decorators, function, value", [
    ("", "@hands_in", "def a(b, sigma): return sigma", 3),
    ("", "@hands_in", "def a(b, sigma, *more): return sigma", 3),
    ("", "@hands_in_behind", "def a(b, sigma): return sigma", 3),
    ("", "@hands_in_by_name", "def a(b, *, sigma): return sigma", 3),
    ("", "@hands_in_by_name", "def a(b, sigma): return sigma", 3),
    ("", "@hands_in_first", "def a(sigma, b): return sigma", 3),
    ("", "@Wrapped", "def a(b, sigma): return sigma", 3),
    ("", "@plain\n@hands_in", "def a(b, sigma): return sigma", 3),
    ("", "@hands_in\n@plain", "def a(b, sigma): return sigma", 3),
    ("", "@functools.lru_cache", "def a(b): return 3", 3),
    ("", "@runs", "async def a(b): return 3", 3),
    ("", "@takes_next", "def a(b): yield 3", 3),
    ("inputs=[raw], ", "@with_input", "def a(b, raw, sigma): return raw + sigma", 10),
    ("inputs=[raw], ", "@hands_in_behind", "def a(b, raw, sigma): return raw + sigma", 10),
    ("inputs=[raw], ", "@hands_in_by_name", "def a(b, raw, sigma): return raw + sigma", 10),
    ("inputs=[raw], ", "@plain", "def a(b, raw): return raw", 7),
    ("inputs=[raw], ", "@plain", "def a(b): return b.inputs[0]", 7),
    ("inputs=[raw], ", "@drops", "def a(b): return 3", 3),
    ("inputs=[raw], ", "@hands_in", "def a(b, sigma): return b.inputs[0] + np.uint8(sigma)", 10)])
def test_a_decorator_hands_arguments_in(inputs, decorators, function, value):
    given = "" if inputs else ONE
    r = run_store(HEAD + f"@lazarr.array({inputs}{given})\n{decorators}\n{function}\n")
    assert r.by_path["a"][...].tolist() == [value] * 4


@pytest.mark.parametrize("what, word", [
    ("async def a(b): return 1", "async def"), ("def a(b): yield 1", "yield"),
    ("async def a(b): yield 1", "async def"), ("def a(b): return (yield from [1])", "yield"),
    ("async def f(b, n): return 1\na = functools.partial(f, n=1)\na.__name__ = 'a'", "async def"),
    ("class F:\n    __name__ = 'a'\n    async def __call__(self, b): return 1\na = F()", "async def"),
    ("class F:\n    __name__ = 'a'\n    def __call__(self, b): yield 1\na = F()", "yield"),
    ("class F:\n    async def a(self, b): return 1\na = F().a", "async def"),
    ("class F:\n    @staticmethod\n    def a(b): yield 1\na = F.a", "yield")])
def test_what_computes_nothing_is_refused(what, word):
    said = refused("import functools\n" + what + f"\nlazarr.array('a', {ONE})(a)\n")
    assert said.startswith('array "a": the function ') and word in said and "\n" not in said
    said = refused("import functools\n" + what + "\nlazarr.source('a')(a)\n")
    assert said.startswith('array "a": the function ') and word in said


@pytest.mark.parametrize("thing", ["np.arange(4)", "[np.arange(4)]", "3", "np.arange(4).reshape(2, 2)"])
def test_a_source_needs_its_path(thing):
    assert "a source's path comes first" in refused(f"lazarr.source({thing})")


@pytest.mark.parametrize("text, words", [
    (f"@lazarr.array({ONE})\ndef a(b, sigma): return 1", "takes sigma behind the block"),
    (f"@lazarr.array({ONE})\ndef a(): return 1", "must take a block"),
    (f"import functools\n@lazarr.array({ONE})\n@functools.wraps(np.sum)\ndef a(): return 1", "must take a block"),
    ("raw = lazarr.source('raw', np.arange(4))\n@lazarr.array(inputs=[raw])\ndef a(b, c, d): return 1",
     "must take a block and 1 input")])
def test_a_wrong_number_of_arguments_is_still_said(text, words):
    assert words in refused(text)
