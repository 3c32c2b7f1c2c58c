"""What may come of data that a reader of lazarr's is given: a result, or one line why not.

Readers turn what a library raises into a StoreError or a line about what is left out, so that an exception
that says a line of lazarr's own is wrong (TypeError, KeyError …) would look like a damaged file. Here those
are found: every exception that is turned into words is looked at first, and one that a line of lazarr's own
caused, without a ``raise`` in it, is a fault.
"""
from __future__ import annotations

import contextlib
import io
import linecache
import os
import resource
import sys
import time
import traceback

import numpy as np

import lazarr
from lazarr import StoreError, _handover, _manifest, _readers
from lazarr._array import Registry
from lazarr._readers import file as _file
from lazarr._readers import hdf5, nifti, npy, tiff, zarr_open  # noqa: F401

SECONDS = 5.0      # of the processor, for one input
MEMORY = 1 << 30   # of the process, beside what its libraries have
OWN = os.path.dirname(os.path.abspath(lazarr.__file__)) + os.sep
#: Calls that reach into the machine or a library: what they raise is theirs.
THEIRS = ("np.", "nibabel", "tifffile", "zarr", "numcodecs", "lib.ZSTD", "d.decompress", "LZMADecompressor",
          "opened[", "module.Array", "need(", "opened(", "file.", "Image.from_filename")


class Fault(Exception):
    """An input that shows a fault of lazarr's."""


def is_slip(e: BaseException) -> bool:
    """Whether a line of lazarr's own raised it without meaning to."""
    if isinstance(e, (StoreError, _readers.file.Enough, MemoryError)):
        return False
    frames = traceback.extract_tb(e.__traceback__)
    if not frames or not os.path.abspath(frames[-1].filename).startswith(OWN):
        return False
    line = linecache.getline(frames[-1].filename, frames[-1].lineno).strip()
    return not line.startswith("raise") and not any(t in line for t in THEIRS)


def _watched(e: BaseException) -> str:
    if is_slip(e):
        raise Fault("a line of lazarr's own is wrong") from e
    return _why(e)


_why = _file.why
for module in list(sys.modules.values()):
    if getattr(module, "why", None) is _why:
        module.why = _watched  # type: ignore[attr-defined]


def one_line(said: str) -> None:
    if "\n" in said.rstrip("\n") or not said.strip() or len(said) > 5000:
        raise Fault(f"not one line: {said!r:.500}")


def read(path: str, inner: str = "") -> Registry:
    """A data file as a store. Raises StoreError for one that is refused."""
    registry, err = Registry(), io.StringIO()
    try:
        with contextlib.redirect_stderr(err):
            _handover.CURRENT.start(_handover.OPEN, None, lambda: -1)
            _readers.build("f", f"data:{path}::{inner}", [], registry)
            registry.finish()
            _manifest.build(registry, "f", path, b"")
    except StoreError as e:
        one_line(str(e))
        raise
    for line in err.getvalue().splitlines():
        one_line(line)
    return registry


def blocks(registry: Registry) -> None:
    """The first and the last block of each array: its shape, or an exception that isn't a slip."""
    for a in registry.arrays:
        level = a.levels[0]
        if 0 in level.shape or np.prod(level.chunks, dtype=float) > 1 << 24:
            continue
        for pos in ([0] * a.ndim, [-(-n // c) - 1 for n, c in zip(level.shape, level.chunks)]):
            spans = tuple(slice(p * c, min(n, (p + 1) * c)) for p, c, n in
                          zip(pos, level.chunks, level.shape))
            try:
                opened = a.source.open()[0]
                inner = [slice(None)] * a.ndim
                for outer, i in enumerate(a.source.transpose or range(a.ndim)):
                    inner[i] = spans[outer]
                got = np.asarray(opened[tuple(inner)])
            except Exception as e:
                if is_slip(e):
                    raise Fault("a line of lazarr's own is wrong") from e
                continue
            if got.shape != tuple(len(range(*s.indices(n))) for s, n in zip(inner, opened.shape)):
                raise Fault(f"a block of {got.shape} for {inner}")


@contextlib.contextmanager
def bounded():
    """The time and memory of one input."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    except StoreError:
        pass
    took = time.process_time() - began
    if took > SECONDS:
        raise Fault(f"it took {took:.1f} s of the processor")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if grown > MEMORY:
        raise Fault(f"it took {grown >> 20} MiB")
