#!/usr/bin/python3
"""Each line of the contract with readers has a test that names it, in its name or in the first
lines of what it says of itself: A01 to A55 (web and Python clients), J01 to J53 (Java clients).

    contract.py TESTS       exits 1 and names each line that has none

What is not promised yet, or was struck, is in NOT_YET: its test comes with it.
"""
import ast
import re
import sys
from pathlib import Path

LAST = {"A": 55, "J": 53}
NOT_YET = {"A44", "A55",  # sharding; the bundled client
           "J47", "J50", "J53",  # sharding; new paths for changed sources; the legacy server
           "J49"}  # struck
NAME = re.compile(r"(?<![A-Za-z0-9])([AJ])(\d\d)(?: to \1(\d\d))?(?![0-9])")


def named(text):
    """The lines that a text names; "J42 to J46" names five."""
    out = set()
    for letter, first, last in NAME.findall(text):
        for n in range(int(first), int(last or first) + 1):
            out.add(f"{letter}{n:02d}")
    return out


def claims(path):
    """{line: [test, ...]} of a file's test functions."""
    out = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        text = node.name.replace("_", " ") + "\n" + (ast.get_docstring(node) or "")
        for line in named(text):
            out.setdefault(line, []).append(f"{path.name}::{node.name}")
    return out


def main():
    found = {}
    for path in sorted(Path(sys.argv[1]).rglob("test_*.py")):
        for line, tests in claims(path).items():
            found.setdefault(line, []).extend(tests)
    wanted = {f"{k}{n:02d}" for k, last in LAST.items() for n in range(1, last + 1)} - NOT_YET
    missing = sorted(wanted - set(found))
    unknown = sorted(set(found) - wanted - NOT_YET)
    for line in missing:
        print(f"{line}: no test names it")
    for line in unknown:
        print(f"{line}: named by {found[line][0]}, but the contract has no such line")
    if not missing and not unknown:
        print(f"{len(wanted)} lines, each with a test; {len(found)} named in all")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
