"""Where the file of code lies that calls: paths in it are relative to that."""
from __future__ import annotations

import os
import sys
from typing import Any


def beside(depth: int) -> str:
    """The folder of the file of code that calls, so many calls up; where there is none, the current one."""
    frame: Any = sys._getframe(depth + 1)
    file = frame.f_globals.get("__file__")
    return os.path.dirname(os.path.abspath(file)) if isinstance(file, str) else os.getcwd()
