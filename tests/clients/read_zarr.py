"""zarr-python 2 or 3, whichever this interpreter has. Usage: URL EXTRA FACE fsspec|obstore"""
import sys

import matrix
import numpy as np
import zarr

url, extra, face, through = sys.argv[1:5]
report = matrix.Report()
versions = {"zarr": zarr.__version__, "numpy": np.__version__}


def open_store(key):
    if through == "fsspec":
        import fsspec
        versions["fsspec"] = fsspec.__version__
        return f"{url}/{face}/{key}"
    import obstore
    from zarr.storage import ObjectStore
    versions["obstore"] = obstore.__version__
    return ObjectStore(obstore.store.HTTPStore.from_url(
        f"{url}/{face}/{key}", client_options={"allow_http": True}), read_only=True)


group = zarr.open_group(open_store("matrix_store.zarr"), mode="r")
for name, at, want, spec in matrix.each(report, url, face, extra):
    if not matrix.can_read(report, spec):
        continue
    if spec is not None:
        report.check(name, lambda: group[name][...], want)
    else:  # by its own documents, not the consolidated ones
        key = at[len(f"{url}/{face}/"):]
        report.check(name, lambda: zarr.open_array(open_store(key), mode="r")[...], want)
for name in ("dtype/uint16_blosc", "fill/float32_0", "shape/sscalar_cscalar_int32", "big/float64_none"):
    # Some of the matrix by their own documents, too.
    want = matrix.values(next(s for s in matrix.SPECS if s.name == name))
    report.check(f"alone: {name}",
                 lambda: zarr.open_array(open_store(f"matrix_store.zarr/{name}"), mode="r")[...], want)
report.end(versions)
