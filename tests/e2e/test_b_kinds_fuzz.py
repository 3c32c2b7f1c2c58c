"""Damaged copies of kind_files.py's: an error line or right data, never a hang or another exception.
LZR_FUZZ_FILES copies a kind (4; 1000 with the label fuzz)."""
import json
import os
import subprocess

import pytest

import fuzz_kinds
import lzr
from test_b_kinds import env  # noqa: F401: a fixture

N = int(os.environ.get("LZR_FUZZ_FILES", "4"))
SEED = int(os.environ.get("LZR_FUZZ_SEED", "1"))


@pytest.mark.limit(7000)
def test_damaged_copies(env, tmp_path):  # noqa: F811
    r = subprocess.run([env / "bin/python", lzr.Path(fuzz_kinds.__file__), tmp_path, str(N), str(SEED)],
                       capture_output=True, text=True, timeout=7000, env=lzr.environment(PYTHONPATH=str(lzr.PYTHON_DIR)))
    assert r.returncode == 0, r.stderr
    done = [json.loads(line) for line in r.stdout.splitlines()]
    print(r.stdout)
    assert [k["kind"] for k in done] == fuzz_kinds.NAMES
    for kind in done:
        assert sum(kind["counts"].values()) == N
        assert set(kind["counts"]) <= {"read", "refused", "unreadable", "died"}, kind
