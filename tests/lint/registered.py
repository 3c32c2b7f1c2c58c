#!/usr/bin/python3
"""Every file of tests is run by an entry of CTest, by its name or with its folder, and none is of a file that isn't there.

    registered.py CTEST BUILD TESTS       exits 1 and names each that isn't
"""
import json
import re
import subprocess
import sys
from pathlib import Path


def run_by(entry):
    """The files and folders that pytest is given by an entry."""
    words = entry.get("command", [])
    return [Path(word).resolve() for word in words if word.startswith("/")] if "pytest" in words else []


def main():
    ctest, build, tests = sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve()
    listed = subprocess.run([ctest, "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True)
    named = [path for entry in json.loads(listed.stdout)["tests"] for path in run_by(entry)
             if path.is_relative_to(tests)]
    bad = [f"{path}: named by CTest, but there is no such file" for path in named if not path.exists()]
    files = sorted(path for path in tests.rglob("*.py") if re.match(r"test_", path.name) and ".envs" not in path.parts)
    bad += [f"{path}: no entry of CTest runs it" for path in files
            if not any(path == one or path.is_relative_to(one) for one in named)]
    print("\n".join(bad) or f"{len(files)} files of tests, each run by an entry")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
