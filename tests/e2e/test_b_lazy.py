"""Modules and objects that do something when they are asked what they are: lazy modules (of apipkg, as Debian's pytest
has one, of importlib's LazyLoader, of a package's own `__getattr__`), proxies, what isn't a module but stands in
`sys.modules`. lazarr looks at what a store's file imports and defines, and asks nothing of it."""
import pytest

import lzr
from test_b_modules import A, HEAD, got, local, write

#: As apipkg does it: who reads its names has it import all that it stands for, which is read in turn.
NAMES = """
import sys, types
class Lazy(types.ModuleType):
    @property
    def __dict__(self):
        __import__("lazy_names", None, None, ["__doc__"])
        return types.ModuleType.__dict__["__dict__"].__get__(self)
sys.modules[__name__] = Lazy(__name__)
sys.modules[__name__].V = 7.0
"""
#: Loads what is large at the first attribute that is read, or fails at it.
LATER = """
import importlib.util
spec = importlib.util.find_spec("{0}")
spec.loader = importlib.util.LazyLoader(spec.loader)
{0} = importlib.util.module_from_spec(spec)
sys.modules["{0}"] = {0}
spec.loader.exec_module({0})
"""
ODD = """
import sys
class Odd:
    def __getattr__(self, name):
        if name != "V" and not name.startswith("__"): raise RuntimeError("asked for " + name)
        if name in ("__file__", "__path__", "__class__"): raise RuntimeError("asked for " + name)
        if name == "V": return 7.0
        raise AttributeError(name)
sys.modules[__name__] = Odd()
"""
PROXY = """
class Proxy:
    "Of a context that isn't there yet, as web frameworks have them, or of an object that is made when it is used."
    @property
    def __class__(self): raise RuntimeError("working outside of its context")
proxy, proxies = Proxy(), [Proxy()]
"""
def by(value):
    return A + f"def a(b): return {value}\n"


STORES = {
    "names": "import lazy_names\nfrom lazy_names import V\n" + HEAD + by("V"),
    "later": HEAD + LATER.format("heavy") + by("7.0 if type(heavy).__name__ == '_LazyModule' else 1.0"),
    "failing": HEAD + LATER.format("broken") + by("7.0 if type(broken).__name__ == '_LazyModule' else 1.0"),
    "odd": "import odd_one\n" + HEAD + by("odd_one.V"),
    "package": "import attributes\nfrom attributes import V\n" + HEAD + by("V"),
    "proxy": HEAD + PROXY + by("7.0"),
    "proxy_used": HEAD + PROXY + A + "def a(b): return 7.0 if proxies and proxy is not None else 0\n",
    # has its array from elsewhere, so that its own names are looked through
    "imported": "from names import a\n" + HEAD + PROXY,
}
BESIDE = {
    "lazy_names.py": NAMES, "odd_one.py": ODD,
    "heavy.py": "print('heavy was loaded')\n", "broken.py": "raise RuntimeError('broken was loaded')\n",
    "attributes/__init__.py": "V = 7.0\ndef __getattr__(name): raise RuntimeError('asked for ' + name)\n"
}


def test_nothing_is_asked_of_what_a_store_imports_and_defines(tmp_path):
    write(tmp_path, {**{f"{name}.py": text for name, text in STORES.items()}, **BESIDE})
    with lzr.Server([f"{name}.py" for name in STORES], "--workers", "1", "--no-access-log", cwd=tmp_path) as srv:
        for name in STORES:
            assert got(srv, name) == 7.0, srv.log
        assert "was loaded" not in srv.log and "asked for" not in srv.log, srv.log


@pytest.mark.parametrize("name", STORES)
def test_plain_python_has_the_same(tmp_path, name):
    """Nor is a module of these kinds one that plain Python can't import."""
    write(tmp_path, {f"{name}.py": STORES[name], "names.py": STORES["names"], **BESIDE})
    assert local(tmp_path, f"import {name}; print({name}.a[0])") == "7.0"


def test_a_folder_with_a_test_of_its_stores(tmp_path):
    """As an author has it: pytest is imported by a file that is no store. docs/authors.md says which are run."""
    write(tmp_path, {"brain.py": "V = 7.0\n" + HEAD + by("V"),
                     "test_brain.py": "import pytest\nimport brain\n\n@pytest.mark.parametrize('v', [7])\n"
                                      "def test_a(v):\n    assert brain.a[0] == v\n",
                     "conftest.py": "pytest_plugins = ['lazarr.testing']\n",
                     "script.py": "if __name__ == '__main__':\n    raise SystemExit('it was run')\n",
                     "below/script.py": "raise SystemExit('it was run')\n"})
    with lzr.Server([str(tmp_path)], "--workers", "1", "--no-access-log", cwd=tmp_path) as srv:
        assert got(srv, "brain") == 7.0
        assert "test_brain.py: skipped, it defines no array" in srv.log, srv.log
        assert srv.get("/api/stats").json()["failed_stores"] == []
