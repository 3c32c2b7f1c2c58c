import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]
from wdriver import Worker  # noqa: E402


@pytest.fixture
def worker(tmp_path):
    """worker(text, ...): a Worker that has loaded text as its store; killed when the test ends."""
    mine = []

    def start(text, **more):
        mine.append(Worker("import lazarr, numpy as np\n" + text if text is not None else None,
                           folder=tmp_path, **more))
        return mine[-1]

    yield start
    for w in mine:
        w.close()
