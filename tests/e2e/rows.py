"""Rows of the matrix of data files: what lazarr must make of an array of a file, and how one interpreter, which has
a writer, tells another. Any Python and NumPy.

    rows.py MODULE FOLDER         MODULE.files(FOLDER) writes files and gives {"FILE" or "FILE:PATH": Want}; these
                                  are kept in FOLDER/MODULE.json and .npz
    rows.load(FOLDER, MODULE)     the same rows, in another interpreter
"""
import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RED = [("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF")]


class Want(NamedTuple):
    """Of one array: what isn't None is compared. Lists are by axis, in the order of `axes`."""

    values: Any
    axes: Any = None         # of an image; else dims
    scale: Any = None
    units: Any = None
    channels: Any = None     # [(label, colour)]
    attributes: Any = None   # those that must be there
    said: Any = None         # what a line of the log must hold; "": nothing of this file
    path: str = "data"
    dims: Any = None
    levels: Any = None       # values of the levels above the finest, or of some of them None
    scales: Any = None       # of the levels above the finest
    translation: Any = None  # of the finest
    kind: Any = None         # "image" or "labels"
    fill: Any = None         # what stands for no value, as Zarr has it


def save(folder, name, made):
    """Rows for load()."""
    arrays, rest = {}, {}
    for i, (row, want) in enumerate(made.items()):
        levels = [want.values, *(want.levels or [])]
        for k, v in enumerate(levels):
            if v is not None:
                arrays[f"{i}.{k}"] = v
        rest[row] = dict(want._asdict(), values=i, levels=None if want.levels is None else len(want.levels))
    np.savez(Path(folder) / f"{name}.npz", **arrays)
    (Path(folder) / f"{name}.json").write_text(json.dumps(rest))


def load(folder, name):
    """{"FILE" or "FILE:PATH": Want}"""
    out = {}
    with np.load(Path(folder) / f"{name}.npz") as arrays:
        for row, d in json.loads((Path(folder) / f"{name}.json").read_text()).items():
            i, n = d["values"], d["levels"]
            d["values"] = arrays[f"{i}.0"]
            if n is not None:
                d["levels"] = [arrays.get(f"{i}.{k + 1}") for k in range(n)]
            for key, kind in (("dims", tuple), ("channels", lambda c: [tuple(one) for one in c])):
                d[key] = d[key] if d[key] is None else kind(d[key])
            out[row] = Want(**d)
    return out


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    for module in sys.argv[1].split(","):
        save(sys.argv[2], module, importlib.import_module(module).files(Path(sys.argv[2])))
