"""What is told of an exception, however odd: one line with its type and the first line of its message, and a
traceback with all that explains it."""
import contextlib
import functools
import sys

import pytest

import lazarr
from lazarr import _cancel, _opened, _tell

ODD = """
import dataclasses, enum, json
import numpy as np
@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    key: str
class Slots(Exception):
    __slots__ = ("a",)
class Refuses(Exception):
    def __setattr__(self, name, value): raise AttributeError(name)
class NoText(Exception):
    def __str__(self): raise RuntimeError("no text")
class NotText(Exception):
    def __str__(self): return 5
class Exits(Exception):
    def __str__(self): raise SystemExit(3)
class Takes(Exception):
    def __init__(self, a, b, *, c): super().__init__(); self.a = a
class Long(Exception):
    def __str__(self): return "x" * 100000 + "\\n" + "y" * 100000
class Blank(Exception):
    def __str__(self): return "\\n\\n  the third line\\n"
class Loop(Exception): pass
class Equal(Exception):
    def __eq__(self, other): raise ValueError("not comparable")
    __hash__ = None
class Falsy(Exception):
    def __len__(self): return 0
class Named(Exception): pass
Named.__module__ = None
Named.__qualname__ = "A name"
class Surrogate(Exception): pass
class Says(lazarr.StoreError):
    def __str__(self): raise RuntimeError("no text")
class Fits(lazarr.CastError): pass
class Syntax(SyntaxError):
    def __init__(self): pass
class Key(KeyError): pass
class Big(Exception):
    def __init__(self): super().__init__(np.arange(100000))
def loop():
    a, b = Loop("a"), Loop("b")
    a.__cause__, b.__cause__, a.__context__ = b, a, b
    return a
def noted():
    e = ValueError("with notes")
    e.__notes__ = ["the first note", "the second note"]
    return e
def deep():
    e = ValueError("the innermost")
    for i in range(3000):
        f = ValueError(f"level {i}")
        f.__cause__ = e
        e = f
    return e
"""
RAISES = [("Frozen('K')", "Frozen: K"), ("Slots('a')", "Slots: a"), ("Refuses('b')", "Refuses: b"),
          ("NoText()", "NoText"), ("NotText()", "NotText"), ("Exits()", "Exits"), ("Takes(1, 2, c=3)", "Takes"),
          ("Long()", "Long: xxx"), ("Blank()", "Blank: the third line"), ("loop()", "Loop: a"),
          ("Equal('c')", "Equal: c"), ("Falsy('d')", "Falsy: d"), ("Named('e')", "A name: e"),
          ("Surrogate('\\ud800f')", "Surrogate: \ud800f"), ("Says('g')", "Says"), ("Fits('h')", "h"),
          ("Syntax()", "Syntax"), ("Key('i')", "Key: 'i'"), ("KeyError('j')", "KeyError: 'j'"),
          ("Big()", "Big: ["), ("ValueError('k:\\n (1, 2)\\nl')", "ValueError: k:"), ("ValueError", "ValueError"),
          ("AssertionError", "AssertionError"), ("StopIteration(5)", "StopIteration: 5"),
          ("StopIteration()", "StopIteration"), ("GeneratorExit()", "GeneratorExit"),
          ("KeyboardInterrupt()", "KeyboardInterrupt"), ("SystemExit(4)", "SystemExit: 4"),
          ("OSError(2, 'No such', 'file')", "FileNotFoundError: [Errno 2] No such"),
          ("UnicodeDecodeError('utf-8', b'\\xff', 0, 1, 'bad')", "UnicodeDecodeError: 'utf-8'"),
          ("RecursionError('m')", "RecursionError: m"), ("MemoryError()", "MemoryError"),
          ("noted()", "ValueError: with notes"), ("deep()", "ValueError: level 2999")]


@functools.lru_cache
def module():
    names = {"lazarr": lazarr, "__name__": "__main__"}
    exec(compile(ODD, "/somewhere/odd.py", "exec"), names)
    return names


def caught(what, through=None):
    code = compile(f"with THROUGH:\n    raise {what}\n", "/somewhere/brain.py", "exec")
    try:
        exec(code, {**module(), "THROUGH": through or contextlib.ExitStack()})
    except BaseException as e:
        return e
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("what, line", RAISES)
def test_an_odd_exception_is_told(what, line):
    e = caught(what)
    said, text = _tell.describe(e)
    assert said.startswith(line) and "\n" not in said, said
    assert isinstance(text, str)
    if not isinstance(e, (lazarr.StoreError, lazarr.CastError)) and "deep" not in what:
        assert 'File "/somewhere/brain.py", line 2' in text, text


@pytest.mark.parametrize("what, line", RAISES)
@pytest.mark.parametrize("through", [_cancel.shield, _opened.watch])
def test_it_stays_itself_on_its_way(what, line, through):
    """Through what lazarr does around a source's function."""
    e = caught(what, through())
    assert type(e) is type(caught(what)) and _tell.describe(e)[0].startswith(line)
    assert _cancel._shields == 0


@pytest.mark.parametrize("body, there", [
    ("try: open('/no/tile7')\nexcept OSError as e: raise RuntimeError('failed') from e", ["/no/tile7", "direct cause"]),
    ("try: open('/no/tile7')\nexcept OSError as e: raise RuntimeError('failed')", ["/no/tile7", "During handling"]),
    ("try: open('/no/tile7')\nexcept OSError as e: raise Frozen('K') from e", ["/no/tile7", "direct cause"]),
    ("try:\n  try: {}['inner']\n  except KeyError as e: raise ValueError('middle') from e\n"
     "except ValueError as e: raise RuntimeError('failed') from e", ["'inner'", "middle"]),
    ("raise noted()", ["the first note", "the second note"] if sys.version_info >= (3, 11) else []),
    ("raise RuntimeError('failed') from noted()", ["with notes"]),
    ("def g():\n  try: yield\n  finally: 1 / 0\nwith __import__('contextlib').contextmanager(g)():\n  [][3]",
     ["ZeroDivisionError", "IndexError"]),
    ("raise loop()", ["Loop: a", "Loop: b"])])
def test_what_explains_it_is_in_the_traceback(body, there):
    try:
        exec(compile(body, "/somewhere/brain.py", "exec"), dict(module()))
    except BaseException as e:
        text = _tell.describe(e)[1]
        for part in there:
            assert part in text, text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before Python 3.11 there are no groups")
@pytest.mark.parametrize("what", ["ExceptionGroup('many', [ValueError('one'), TypeError('two')])",
                                  "ExceptionGroup('many', [ExceptionGroup('some', [ValueError('one')]), KeyError('two')])",
                                  "BaseExceptionGroup('many', [KeyboardInterrupt('one'), Frozen('two')])",
                                  "RuntimeError('many') from ExceptionGroup('g', [OSError('one'), noted(), Slots('two')])"])
def test_members_of_a_group_are_there(what):
    said, text = _tell.describe(caught(what))
    assert "many" in said and "one" in text and "two" in text


LIBRARIES = ["import json\njson.loads('{')", "import ast\nast.literal_eval('a b')", "import numpy as np\nnp.zeros(3)[np.r_['x']]",
             "import re\nre.compile('(')", "import struct\nstruct.unpack('<d', b'1')", "int('x')",
             "import numpy as np\nnp.concatenate([np.zeros(3), np.zeros((2, 2))])", "import concurrent.futures\n"
             "concurrent.futures.ThreadPoolExecutor(1).submit(int, 'x').result()", "import functools\n"
             "functools.reduce(lambda a, b: a / 0, [1, 2])", "import statistics\nstatistics.mean([])"]


@pytest.mark.parametrize("text", LIBRARIES)
def test_the_line_is_the_users(text, monkeypatch):
    monkeypatch.setattr(_tell, "_failed", None)
    try:
        exec(compile(text, "/somewhere/brain.py", "exec"), {"__name__": "brain"})
    except Exception as e:
        _tell.failed(e, "/somewhere/brain.py")
        said = _tell.describe(e)[0]
    line = text.count("\n") + 1
    assert said.startswith("brain.py: ") and f"(line {line} of brain.py)" in said, said


@pytest.mark.parametrize("body, first, last", [
    ("def f(n): return g(n)\ndef g(n): return f(n)\nf(0)", "in f\n", "RecursionError: maximum"),
    ("raise deep()", "ValueError: the innermost\n", "ValueError: level 2999\n"),
    ("raise Long()", "line 1, in <module>", "y" * 500),
    *([("e = ValueError('first')\nfor i in range(5000): e.add_note(f'note {i}')\nraise e", "ValueError: first",
        "note 4999\n")] if sys.version_info >= (3, 11) else []),
    ("exec('raise ValueError(' + '\"' + '\u20ac' * 30000 + '\")')", "line 1, in <module>", "\u20ac" * 100)])
def test_of_a_long_traceback_the_middle_is_left_out(body, first, last):
    """What crosses to the server is cut at its end, where the exception itself stands."""
    try:
        exec(compile(body, "/somewhere/brain.py", "exec"), dict(module()))
    except BaseException as e:
        text = _tell.describe(e)[1]
    assert len(text.encode("utf-8", "surrogatepass")) <= _tell.MOST
    assert first in text[:len(text) // 2] and last in text[len(text) // 2:], text
    assert text.count(" left out]") >= 1


def test_a_short_traceback_is_whole():
    text = _tell.describe(caught("ValueError('x' * 300)"))[1]
    assert "left out" not in text and text.endswith("x" * 300 + "\n")
