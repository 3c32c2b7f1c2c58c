"""The matrix of data files as docs/sources.md shows it: how many files of each kind, by which writers, and in how many
of them each thing is compared."""
import re

BEGIN, END = "<!-- made by tests/e2e/test_b_matrix.py -->\n", "<!-- end -->\n"
#: By a file's name, the first that fits: (pattern, kind, writer).
KINDS = [
    (r"ijn?_", "ImageJ TIFF", "tifffile"), (r"omen?_.*\.tiff?$", "OME-TIFF", "tifffile"),
    (r"geo_", "GeoTIFF", "tifffile"), (r"pil_", "TIFF", "Pillow"), (r"bdv_|ilastik", "HDF5 (BigDataViewer, ilastik)", "h5py"),
    (r"dask_", "Zarr, HDF5", "dask"),
    (r"slide", "slides (SVS, NDPI, pyramids)", "tifffile"), (r".*\.(tif|tf8|btf)$", "TIFF", "tifffile, imagecodecs"),
    (r"nc_[34c6].*|nc_.*", "netCDF", "netCDF4"), (r"xr_.*\.nc$", "netCDF", "xarray (SciPy, netCDF4, h5netcdf)"),
    (r"old\.", "netCDF", "SciPy"), (r"cf\.", "HDF5 with scales", "h5py"),
    (r"h5_|v\.|scan|cells\.ims", "HDF5 (NeXus, Imaris)", "h5py, hdf5plugin"), (r"matlab", "MATLAB 7.3", "hdf5storage"),
    (r"cells\.h5ad|ann_", "AnnData, HDF5 and Zarr", "anndata"), (r"xr_.*zarr$", "Zarr datasets", "xarray"),
    (r"z2_", "Zarr v2", "zarr-python 2"), (r"z23_", "Zarr v2", "zarr-python 3"), (r"z3_", "Zarr v3", "zarr-python 3"),
    (r"ts2_|z5_two", "Zarr v2", "tensorstore, z5py"), (r"ts3_", "Zarr v3", "tensorstore"),
    (r"ome_.*zarr$", "OME-Zarr 0.1 to 0.4", "zarr-python 2"), (r"ozp_", "OME-Zarr 0.4, 0.5", "ome-zarr-py"),
    (r"nz_", "OME-Zarr 0.4, 0.5, zipped", "ngff-zarr"), (r"n5_", "N5", "zarr-python 2"),
    (r"ts_|z5_", "N5", "tensorstore, z5py"), (r"pre_", "precomputed", "tensorstore"), (r"cv_", "precomputed", "cloud-volume"),
    (r"nii_", "NIfTI", "nibabel"), (r"np[yz]_", "NumPy", "numpy")]
COLUMNS = ("values", "axes", "scale", "units", "channels", "attributes", "levels")


def _of(file):
    return next((kind, writer) for pattern, kind, writer in KINDS if re.match(pattern, file))


def table(modules):
    """modules: lists of {row: Want}."""
    out = {}
    for made in modules:
        for row, want in made.items():
            file = row.partition(":")[0]
            one = out.setdefault(_of(file), {c: set() for c in ("files", *COLUMNS)})
            has = {"files": True, "values": True, "axes": want.axes or want.dims, "scale": want.scale, "units": want.units,
                   "channels": want.channels, "attributes": want.attributes is not None, "levels": want.levels}
            for c, v in has.items():
                if v:
                    one[c].add(file)
    order = {(kind, writer): i for i, (_, kind, writer) in enumerate(KINDS)}
    lines = ["| kind | writer | files | axes or dims | scale | units | channels | attributes | levels |", "|---" * 9 + "|"]
    total = {c: 0 for c in ("files", *COLUMNS)}
    for key in sorted(out, key=order.get):
        numbers = {c: len(v) for c, v in out[key].items()}
        total = {c: total[c] + n for c, n in numbers.items()}
        lines.append(_line(*key, numbers))
    return "\n".join([*lines, _line("all", "", total)]) + "\n"


def _line(kind, writer, numbers):
    cells = [str(numbers[c] or "–") for c in ("files", *COLUMNS[1:])]
    return "| " + " | ".join([kind, writer, *cells]) + " |"


def replaced(text, made):
    """A page with the table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + made + "\n" + END + rest.partition(END)[2]
