"""Data files with what public writers put beside the values, and what lazarr must make of it: rows of test_b_fields.

files(folder) writes them with the libraries of this interpreter and gives {name: Want}."""
import h5py
import numpy as np
import scipy.io
import tifffile

from rows import RED, Want

V = np.random.default_rng(3).integers(0, 250, (2, 3, 5, 12, 16)).astype("u1")  # tczyx


def _tiff(folder, out):
    def imagej(name, values, want, resolution=(.1, .2), **meta):
        tifffile.imwrite(folder / f"ij_{name}.tif", values, imagej=True, resolution=resolution, metadata=meta)
        out[f"ij_{name}.tif"] = want
    zyx, micro = V[0, 0], ["micrometer"] * 3
    for name, unit in (("micron", "micron"), ("microns", "microns"), ("um", "um"), ("UM", "UM"),
                       ("escaped", "\\u00B5m"), ("micrometre", "micrometre")):
        imagej(name, zyx, Want(zyx, "zyx", [20, 5, 10], micro, said=""), axes="ZYX", spacing=20.0, unit=unit)
    for name, unit in (("nm", "nm"), ("mm", "mm"), ("inch", "inch"), ("cm", "cm")):
        full = {"nm": "nanometer", "mm": "millimeter", "inch": "inch", "cm": "centimeter"}[unit]
        imagej(name, zyx, Want(zyx, "zyx", [20, 5, 10], [full] * 3), axes="ZYX", spacing=20.0, unit=unit)
    imagej("none", zyx, Want(zyx, "zyx", [20, 5, 10], [None] * 3, said=""), axes="ZYX", spacing=20.0)
    imagej("pixel", zyx, Want(zyx, "zyx", [20, 5, 10], [None] * 3, said=""), axes="ZYX", spacing=20.0, unit="pixel")
    imagej("odd", zyx, Want(zyx, "zyx", [20, 5, 10], [None] * 3, said="unit of x"), axes="ZYX", spacing=20.0,
           unit="parsnip")
    imagej("back", zyx, Want(zyx, "zyx", [1, 5, 10], micro, said="scale of z"), axes="ZYX", spacing=-20.0, unit="um")
    imagej("time", V[:, 0, 0], Want(V[:, 0, 0], "tyx", [.5, 5, 10], ["second", *micro[:2]]), axes="TYX",
           finterval=.5, unit="um")
    for name, values, axes, order in (
            ("rgb", V[0, :, 0], "YXS", (1, 2, 0)), ("planar", V[0, :, 0], "SYX", (0, 1, 2)),
            ("rgb_stack", V[0], "ZYXS", (1, 2, 3, 0)), ("rgb_16", V[0, :, 0].astype("u2"), "YXS", (1, 2, 0))):
        tifffile.imwrite(folder / f"{name}.tif", np.ascontiguousarray(values.transpose(order)), photometric="rgb",
                         planarconfig="separate" if name == "planar" else None,
                         metadata={"axes": axes} if name == "rgb_stack" else {})
        out[f"{name}.tif"] = Want(values, "cyx" if values.ndim == 3 else "czyx", channels=RED, said="")
    four = np.concatenate([V[0, :, 0], V[1, :1, 0]])
    tifffile.imwrite(folder / "rgba.tif", four.transpose(1, 2, 0).copy(), photometric="rgb",
                     extrasamples=["unassalpha"])
    out["rgba.tif"] = Want(four[:3], "cyx", channels=RED, said="alpha")
    tifffile.imwrite(folder / "rgba_packed.tif", four.transpose(1, 2, 0).copy(), photometric="rgb",
                     extrasamples=["assocalpha"], compression="zlib", tile=(16, 16))
    out["rgba_packed.tif"] = Want(four[:3], "cyx", channels=RED, said="alpha")
    for name, values, axes in (("plain_2", zyx[0], "yx"), ("plain_3", zyx, "zyx"), ("plain_4", V[0], "czyx"),
                               ("plain_5", V, "tczyx")):
        tifffile.imwrite(folder / f"{name}.tif", values, photometric="minisblack")
        out[f"{name}.tif"] = Want(values, axes, [1] * values.ndim, said="")
    with tifffile.TiffWriter(folder / "pages.tif") as w:
        for page in zyx:
            w.write(page, metadata=None, contiguous=False)
    out["pages.tif"] = Want(np.stack(list(zyx)), None)
    out.pop("pages.tif")  # each page a series, where the writer doesn't say that they are one
    for name, unit, size in (("cm", "CENTIMETER", 10000), ("dpi", "INCH", 25400)):
        tifffile.imwrite(folder / f"tags_{name}.tif", zyx[0], resolution=(2, 4), resolutionunit=unit)
        out[f"tags_{name}.tif"] = Want(zyx[0], "yx", [size / 4, size / 2], micro[:2])
    tifffile.imwrite(folder / "tags_none.tif", zyx[0], resolution=(2, 4), resolutionunit="NONE")
    out["tags_none.tif"] = Want(zyx[0], "yx", [.25, .5], [None, None])
    tifffile.imwrite(folder / "big.btf", zyx, bigtiff=True)
    out["big.btf"] = Want(zyx, "zyx")
    tifffile.imwrite(folder / "slide.svs", zyx[0], description="Aperio Image Library v1\n1x1|AppMag = 20|MPP = 0.5",
                     metadata=None)
    out["slide.svs"] = Want(zyx[0], "yx", [.5, .5], micro[:2])
    _ome_tiff(folder, out)


def _ome_tiff(folder, out):
    def ome(name, want, **meta):
        tifffile.imwrite(folder / f"ome_{name}.ome.tif", V[0], metadata={"axes": "CZYX", **meta})
        out[f"ome_{name}.ome.tif"] = want
    sizes = {"PhysicalSizeX": .25, "PhysicalSizeY": .5, "PhysicalSizeZ": 2.0}
    micro = [None] + ["micrometer"] * 3
    names = [("DAPI", "0000FF"), ("GFP", "00FF00"), ("TRITC", "FF0000")]
    three = {"Name": ["DAPI", "GFP", "TRITC"], "Color": [0x0000FFFF, 0x00FF00FF, -16776961]}
    ome("all", Want(V[0], "czyx", [1, 2, .5, .25], micro, names, said=""), **sizes, Channel=three)
    ome("zero", Want(V[0], "czyx", [1, 1, .5, .25], micro, names, said="scale of z"),
        **{**sizes, "PhysicalSizeZ": 0.0}, Channel=three)
    ome("nan", Want(V[0], "czyx", [1, 2, 1, .25], micro, said="scale of y"), **{**sizes, "PhysicalSizeY": "NaN"})
    ome("missing", Want(V[0], "czyx", [1, 1, .5, .25], None, said="scale of z"),
        PhysicalSizeX=.25, PhysicalSizeY=.5)
    ome("frame", Want(V[0], "czyx", [1, 2, .5, .25], [None] * 4, said=""), **sizes,
        **{f"PhysicalSize{a}Unit": "reference frame" for a in "XYZ"})
    ome("angstrom", Want(V[0], "czyx", [1, 2, .5, .25], [None, "angstrom", "micrometer", "micrometer"]), **sizes,
        PhysicalSizeZUnit="Å")


def _hdf5(folder, out):
    def write(name):
        return h5py.File(folder / f"{name}", "w")
    t, lat = np.arange(4.0) * 6, np.array([10., 20., 30.])
    packed = np.arange(12, dtype="i2").reshape(4, 3)
    for name in ("cf.nc", "cf.h5", "cf.nc4", "cf.nxs"):
        with write(name) as f:
            for key, values in (("time", t), ("lat", lat)):
                f[key] = values
                f[key].make_scale(key)
            d = f.create_dataset("t2m", data=packed, chunks=(2, 3), fillvalue=-1)
            for key, v in (("_FillValue", np.array([5], "i2")), ("scale_factor", np.array([.5])),
                           ("valid_range", np.array([1, 100], "i2")), ("units", "K")):
                d.attrs[key] = v
            for i, key in enumerate(("time", "lat")):
                d.dims[i].attach_scale(f[key])
            f["plain"] = packed[0]
            f["plain"].attrs.update(labels=["x", "y"], units="m", omero=1, one=np.array([7]))
        out[name + ":t2m"] = Want(packed, None, dims=("time", "lat"), path="t2m", attributes={
            "_FillValue": 5, "scale_factor": .5, "valid_range": [1, 100], "units": "K"}, said="")
        out[name + ":lat"] = Want(lat, None, dims=("lat",), path="lat")
        out[name + ":plain"] = Want(packed[0], None, path="plain", attributes={
            "labels": ["x", "y"], "units": "m", "omero": 1, "one": [7] if name in ("cf.h5", "cf.nxs") else 7})
    for name in ("v.mat", "v.ims", "v.h5ad", "v.hdf5"):
        with write(name) as f:
            f["g/v"] = V[0]
            f["g/v"].attrs["_FillValue"] = "nothing"
        out[name] = Want(V[0], None, path="g/v", said="attribute _FillValue")


def _netcdf3(folder, out):
    for name, version in (("old.nc", 1), ("old.cdf", 2)):
        f = scipy.io.netcdf_file(folder / name, "w", version=version)
        f.title = "T"
        f.createDimension("time", None)
        f.createDimension("lat", 3)
        values = np.arange(12, dtype=">i2").reshape(4, 3)
        for key, dims, v in (("lat", ("lat",), np.array([1., 2, 3], ">f8")), ("t", ("time", "lat"), values),
                             ("u", ("time", "lat"), values.astype(">f4"))):
            var = f.createVariable(key, v.dtype, dims)
            var[:] = v
        f.variables["t"]._FillValue = np.int16(5)
        f.variables["t"].scale_factor = np.float64(.5)
        f.close()
        out[name + ":t"] = Want(values, dims=("time", "lat"), path="t", said="",
                                attributes={"_FillValue": 5, "scale_factor": .5})
        out[name + ":u"] = Want(values.astype(">f4"), dims=("time", "lat"), path="u", attributes={})
        out[name + ":lat"] = Want(np.array([1., 2, 3], ">f8"), dims=("lat",), path="lat")


def files(folder):
    """Writes all; {"FILE" or "FILE:PATH": Want}."""
    out: dict = {}
    _tiff(folder, out)
    _hdf5(folder, out)
    _netcdf3(folder, out)
    return out
