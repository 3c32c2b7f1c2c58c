"""zarr-python 2 or 3, whichever this interpreter has. Usage: URL EXTRA FACE fsspec|obstore|zarrs.
With zarrs the chunks are fetched and decoded by that Rust library (its wheel is a codec pipeline)."""
import sys
from importlib.metadata import version

import matrix
import numpy as np
import zarr

url, extra, face, through = sys.argv[1:5]
report = matrix.Report()
versions = {"zarr": zarr.__version__, "numpy": np.__version__}

if through == "zarrs":
    import zarrs  # noqa: F401
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True})
    versions["zarrs"] = version("zarrs")


def open_store(key):
    if through != "obstore":
        import fsspec
        versions["fsspec"] = fsspec.__version__
        return f"{url}/{face}/{key}"
    import obstore
    from zarr.storage import ObjectStore
    versions["obstore"] = obstore.__version__
    return ObjectStore(obstore.store.HTTPStore.from_url(
        f"{url}/{face}/{key}", client_options={"allow_http": True}), read_only=True)


def zarrs_cannot(spec):
    """What the Rust library gets wrong, asked of any server."""
    if through != "zarrs" or spec is None:
        return None
    if face == "zarr2" and spec.dtype.kind == "c" and spec.fill is None:
        return "zarrs has no complex numbers in Zarr v2 whose fill value is null"
    if face == "zarr2" and spec.dtype.str[0] == ">":
        return "zarrs has no big-endian Zarr v2"
    if spec.dtype.kind == "c" and spec.dtype.str[0] == ">":
        return "zarrs swaps the halves of big-endian complex numbers"
    return None


group = zarr.open_group(open_store("matrix_store.zarr"), mode="r")
for name, at, want, spec in matrix.each(report, url, face, extra):
    if not matrix.can_read(report, spec):
        continue
    if zarrs_cannot(spec):
        report.cannot(name, zarrs_cannot(spec), lambda: group[name][...], want)
    elif spec is not None:
        report.check(name, lambda: group[name][...], want)
    else:  # by its own documents, not the consolidated ones
        key = at[len(f"{url}/{face}/"):]
        report.check(name, lambda: zarr.open_array(open_store(key), mode="r")[...], want)
for name in ("dtype/uint16_blosc", "fill/float32_0", "shape/sscalar_cscalar_int32", "dtype/float64_gzip"):
    # Some of the matrix by their own documents, too.
    want = matrix.values(next(s for s in matrix.SPECS if s.name == name))
    report.check(f"alone: {name}",
                 lambda: zarr.open_array(open_store(f"matrix_store.zarr/{name}"), mode="r")[...], want)
report.end(versions)
