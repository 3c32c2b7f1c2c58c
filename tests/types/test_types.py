"""What mypy and pyright say: nothing of the package and of a store without faults, and what is wrong of others."""
import inspect
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
PACKAGE = HERE.parents[1] / "src" / "python"
sys.path.insert(0, str(PACKAGE))
import lazarr  # noqa: E402

ENV = pathlib.Path(os.environ.get("LZR_ENVS") or HERE.parents[1] / "build" / "envs") / "types"


def mypy(folder, config=()):
    """[(file, line, text)] of the errors in a folder's package or files."""
    r = subprocess.run([ENV / "bin/python", "-m", "mypy", "--cache-dir", ENV / "mypy-cache",
                        *(config or ("--strict", *sorted(p.name for p in folder.glob("*.py"))))], cwd=folder,
                       env={**os.environ, "MYPYPATH": str(PACKAGE)}, capture_output=True, text=True, timeout=250)
    assert r.returncode in (0, 1) and ("Found" in r.stdout or "Success" in r.stdout), r.stdout + r.stderr
    return [(f, int(n), t) for f, n, t in re.findall(r"^([^\n:]+):(\d+): error: (.*)$", r.stdout, re.M)]


def pyright(folder, config=()):
    program = ENV / "node_modules/pyright/index.js"
    if not program.exists():
        assert os.environ.get("CI") != "true", "pyright is missing and CI=true"
        pytest.skip("pyright is missing: tests/types/setup.sh, with npm")
    if not config:
        (folder / "pyrightconfig.json").write_text(json.dumps(
            {"extraPaths": [str(PACKAGE)], "typeCheckingMode": "standard", "include": ["*.py"],
             "reportMissingImports": False, "reportMissingModuleSource": False}))
    r = subprocess.run(["node", program, "--pythonpath", ENV / "bin/python", "--outputjson", *(config or ("-p", folder))],
                       cwd=folder, capture_output=True, text=True, timeout=250)
    out = json.loads(r.stdout)
    assert out["summary"]["filesAnalyzed"] >= (40 if config else 4), r.stdout
    return [(os.path.basename(d["file"]), d["range"]["start"]["line"] + 1, d["message"])
            for d in out["generalDiagnostics"] if d["severity"] == "error"]


@pytest.mark.limit(280)
def test_mypy_of_the_package():
    assert mypy(PACKAGE, ("--config-file", "pyproject.toml", "lazarr")) == []


@pytest.mark.limit(280)
def test_pyright_of_the_package():
    assert pyright(PACKAGE, ("-p", PACKAGE / "pyproject.toml")) == []


HEAD = "import lazarr\nimport numpy as np\ndef f(block: lazarr.Block) -> int: return 1\n" \
       "@lazarr.array(shape=(4,), chunks=4, dtype='u1')\ndef edges(block: lazarr.Block) -> int: return 1\n"
WRONG = [  # a line, and what must be in what is said of it
    ("lazarr.array(shape='ten', chunks=4)(f)", "shape"), ("lazarr.array(chunk=4)(f)", "chunk"),
    ("lazarr.array('a', shape=4, chunks=4, dtyp='u1')(f)", "dtyp"), ("lazarr.array(f, shape='ten')", "shape"),
    ("lazarr.array(f, chunk=3)", "chunk"), ("lazarr.array(3)(f)", "array"), ("lazarr.array(halo='x')(f)", "halo"),
    ("lazarr.array(boundary='mirror')(f)", "boundary"), ("lazarr.array(kind='picture')(f)", "kind"),
    ("lazarr.array(pyramid='average')(f)", "pyramid"), ("lazarr.array(on_abandon='stop')(f)", "on_abandon"),
    ("lazarr.array(inputs=edges)(f)", "inputs"), ("lazarr.array(inputs=[f])(f)", "Array"),
    ("lazarr.array(attributes=[1])(f)", "attributes"), ("lazarr.array(compressor='lz4')(f)", "compressor"),
    ("lazarr.array(axes=3)(f)", "axes"), ("lazarr.array(timeout='9')(f)", "timeout"),
    ("lazarr.source('s', [1], shape=3)", "shape"), ("lazarr.source('s', [1], unit='mm')", "unit"),
    ("lazarr.source('s', [1], transpose='zyx')", "transpose"), ("lazarr.source('s', [1], inputs=[edges])", "inputs"),
    ("lazarr.source('s', chunks='auto')(f)", "chunks"), ("lazarr.group(3)", "group"),
    ("lazarr.group('g', atributes={})", "atributes"), ("lazarr.group('g', attributes='x')", "attributes"),
    ("lazarr.Input(edges, boundary='x')", "boundary"), ("lazarr.Input(edges, hallo=2)", "hallo"),
    ("lazarr.Input(edges, halo='2')", "halo"), ("lazarr.Input(edges, level='a')", "level"), ("lazarr.Input(f)", "Array"),
    ("edges.maximum()", "maximum"), ("edges.shape = 3", "uple[int"), ("edges.foo", "foo"), ("edges.sort()", "sort"),
    ("edges.clear(1)", ""), ("edges.compute('x')", ""), ("edges.level('x')", ""), ("lazarr.clear(edges)", ""),
    ("edges[0] = 1", ""), ("lazarr.Blosc(clevel='x')", "clevel"), ("lazarr.Zstd(lvl=3)", "lvl"), ("lazarr.sauce('x')", "sauce")]


EACH = "class Odd:\n    \"\"\"Of no type that any parameter has.\"\"\"\n"


def each_parameter(name):
    """(a program, the lines that are wrong): what inspect lists is what a checker knows. A value of no type
    at all is refused of each parameter, so is each name with a letter more; None, not given, is right."""
    call = "lazarr.array({})(f)" if name == "array" else "lazarr.source('s', [1], {})"
    names = [p for p in inspect.signature(getattr(lazarr, name)).parameters if p not in ("path", "thing")]
    assert len(names) >= 25
    lines = [call.format(f"{p}=Odd()") for p in names if p != "version"] + [call.format(f"{p}x=None") for p in names] + \
        [call.format(f"{p}=None") for p in names]
    first = (HEAD + EACH).count("\n") + 1
    return HEAD + EACH + "\n".join(lines) + "\n", {first + i for i in range(2 * len(names) - 1)}


@pytest.mark.limit(280)
@pytest.mark.parametrize("check", [mypy, pyright], ids=["mypy", "pyright"])
def test_stores(check, tmp_path):
    """Of a good one nothing is said, of what is wrong its name, and every parameter has a type."""
    (tmp_path / "good.py").write_text((HERE / "good.py").read_text())
    (tmp_path / "wrong.py").write_text(HEAD + "\n".join(line for line, _ in WRONG) + "\n")
    wanted = {}
    for name in ("array", "source"):
        text, wanted[name] = each_parameter(name)
        (tmp_path / f"each_{name}.py").write_text(text)
    said = {}
    for file, n, text in check(tmp_path):
        said.setdefault(file, {}).setdefault(n, []).append(text)
    assert said.pop("good.py", {}) == {}
    first, wrong = HEAD.count("\n") + 1, said.pop("wrong.py")
    unsaid = [(line, texts) for i, (line, word) in enumerate(WRONG)
              for texts in [wrong.pop(first + i, [])] if not any(word in t for t in texts)]
    assert unsaid == [] and wrong == {}
    for name, lines in wanted.items():
        assert set(said.pop(f"each_{name}.py")) == lines
    assert said == {}
