"""For tests of a store with pytest. In ``conftest.py``::

    pytest_plugins = ["lazarr.testing"]

Each test then begins without the blocks that ``array[...]`` kept of the one before, and what a test has
changed in a store's module is what its arrays are computed with.
"""
from __future__ import annotations

from typing import Iterator

import pytest

from . import clear


@pytest.fixture(autouse=True)
def lazarr_cleared() -> Iterator[None]:
    """Forgets all local blocks before and after each test: `lazarr.clear`."""
    clear()
    yield
    clear()
