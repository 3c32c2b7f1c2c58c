"""What the Java tests share: one JVM a file, and where the brain's values come from."""
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent / "e2e"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))
import javaclient  # noqa: E402


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    client = javaclient.Java(tmp_path_factory.mktemp("java"))
    yield client
    client.close()
