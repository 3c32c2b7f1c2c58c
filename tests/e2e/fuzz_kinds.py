"""fuzz_files.py for the files of kind_files.py, in an environment that has their libraries:

    fuzz_kinds.py FOLDER MUTATIONS SEED [NAME...]      with src/python in PYTHONPATH
"""
import contextlib
import importlib
import io
import shutil
import sys
from pathlib import Path

import fuzz_files
import kind_files

NAMES = ["plain.mrc", "packed.mrc.gz", "plain.nrrd", "packed.nrrd", "plain.mgh", "packed.mgz", "series",
         "frames.dcm", "colour.dcm", "cells.czi", "colour.czi", "leica.lif", "nikon.nd2", "levels.ims", "planes"]


def main():
    made = Path(sys.argv[1]) / "made"
    kind_files.make_all(made)

    def copier(name):
        def make(to):
            (shutil.copytree if (made / name).is_dir() else shutil.copy)(made / name, to)
        return make
    with contextlib.redirect_stderr(io.StringIO()):
        for library in ("mrcfile", "nrrd", "pydicom", "pydicom.pixels", "czifile", "liffile", "nd2", "imagecodecs"):
            importlib.import_module(library)
    fuzz_files.KINDS = {name: (copier(name), name) for name in NAMES}
    fuzz_files.main()


if __name__ == "__main__":
    main()
