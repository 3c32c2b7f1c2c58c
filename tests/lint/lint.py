#!/usr/bin/python3
"""What a script can hold the sources to: includes that run one way, sizes, banned functions, headers.

    lint.py ROOT            exits 1 and names each place that breaks a rule
"""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
MODULES = {"base": "src/base", "store": "store", "engine": "src/engine", "http": "src/http",
           "cli": "src/cli", "worker": "src/worker"}
MAY = {"base": {"base"}, "store": {"base", "store"}, "engine": {"base", "store", "engine"},
       "http": {"base", "store", "engine", "http"}, "cli": {"base", "store", "engine", "http", "cli"},
       "worker": {"base", "store", "worker"}}
OWNERS = {"microhttpd.h": "src/http/", "Python.h": "src/worker/", "numpy/": "src/worker/",
          "cJSON.h": "store/manifest", "cjson/cJSON.h": "store/manifest", "blosc.h": "store/codec"}
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|gmtime|localtime|ctime|alloca|gets|"
                    r"blosc_compress|blosc_decompress|blosc_set_splitmode|blosc_set_blocksize|"
                    r"MHD_create_response_from_iovec|Py_FinalizeEx|PyRun_\w+)\s*\(")
ALLOCATION = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup)\s*\(")
MAX_FILE, MAX_FUNCTION, MAX_LINE = 600, 80, 100

problems = []


def complain(path, line, what):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {what}")


def strip(text):
    """Comments and strings blanked, lines kept."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def module_of(path):
    rel = path.relative_to(ROOT).as_posix()
    return next((m for m, d in MODULES.items() if rel.startswith(d + "/")), None)


def check_includes(path, text):
    module = module_of(path)
    rel = path.relative_to(ROOT).as_posix()
    for i, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line)
        if not m:
            continue
        name = m.group(1)
        for owned, owner in OWNERS.items():
            if name.startswith(owned) and not rel.startswith(owner):
                complain(path, i, f"only {owner}* may include {name}")
        target = name.split("/")[0]
        if module and target in MODULES and target not in MAY[module]:
            complain(path, i, f"{module} must not include {target} ({name})")
        # Only engine and what stands on it know the driver.
        if name == "lazarr/driver.h" and module in ("base", "store", "worker"):
            complain(path, i, f"{module} must not include the driver")


def check_functions(path, code):
    """Function bodies: a '{' alone at column 0 opens one (house style), '}' at column 0 ends it."""
    start = None
    for i, line in enumerate(code.splitlines(), 1):
        if line.startswith("{"):
            start = i
        elif line.startswith("}") and start is not None:
            if i - start - 1 > MAX_FUNCTION:
                complain(path, start, f"function of {i - start - 1} lines (limit {MAX_FUNCTION})")
            start = None


def check(path):
    text = path.read_text()
    code = strip(text)
    lines = text.splitlines()
    rel = path.relative_to(ROOT).as_posix()
    if len(lines) > MAX_FILE:
        complain(path, len(lines), f"{len(lines)} lines (limit {MAX_FILE})")
    for i, line in enumerate(lines, 1):
        if "\t" in line:
            complain(path, i, "a tab")
        if len(line) > MAX_LINE:
            complain(path, i, f"{len(line)} columns (limit {MAX_LINE})")
        if line.rstrip() != line:
            complain(path, i, "blanks at the end")
    ours = module_of(path) is not None
    if ours:
        for m in BANNED.finditer(code):
            complain(path, code.count("\n", 0, m.start()) + 1, f"{m.group(1)} is banned")
        if not rel.startswith(("src/worker/", "src/base/mem.c")):
            for m in ALLOCATION.finditer(code):
                complain(path, code.count("\n", 0, m.start()) + 1, f"{m.group(1)}: use base/mem.h")
        check_includes(path, text)
    if path.suffix == ".c":
        check_functions(path, code)
    if path.suffix == ".h" and "LZR_" not in text and "LAZARR_" not in text:
        complain(path, 1, "no include guard")


def main():
    files = [p for d in ("include", "src", "store") for p in sorted((ROOT / d).rglob("*.[ch]"))]
    if len(files) < 40:
        problems.append(f"only {len(files)} sources found under {ROOT}: the check is looking elsewhere")
    for p in files:
        check(p)
    for p in sorted((ROOT / "src" / "python").rglob("*.py")):
        n = len(p.read_text().splitlines())
        if n > MAX_FILE:
            complain(p, n, f"{n} lines (limit {MAX_FILE})")
    print("\n".join(problems) if problems else f"{len(files)} C sources are fine")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
