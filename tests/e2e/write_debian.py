"""Data files by the writers that Debian 12 has (zarr-python 2, its N5Store, nibabel, NumPy, xarray on SciPy), and what
lazarr must make of each: rows of the matrix."""
import json
import zipfile

import nibabel
import numcodecs
import numpy as np
import xarray
import zarr
import zarr.n5

from rows import RED, Want

V = np.random.default_rng(5).integers(0, 60000, (5, 12, 14)).astype("u2")  # zyx
MICRO = ["micrometer"] * 3


def _zarr(folder, out):
    def one(name, values, want=None, chunks=(2, 6, 14), **more):
        fill = more.pop("fill_value", 0)
        z = zarr.open(str(folder / name), mode="w", shape=values.shape, dtype=values.dtype, chunks=chunks, fill_value=fill,
                      **more)
        z[...] = values
        z.attrs.update(gain=2, who="me")
        out[name] = want or Want(values, attributes={"gain": 2, "who": "me"}, said="")
    for name, codec in (("blosc", numcodecs.Blosc("zstd", 3, 2)), ("zstd", numcodecs.Zstd(3)), ("gzip", numcodecs.GZip(2)),
                        ("zlib", numcodecs.Zlib(2)), ("lz4", numcodecs.LZ4(1)), ("bz2", numcodecs.BZ2(1)),
                        ("lzma", numcodecs.LZMA(preset=1)), ("none", None)):
        one(f"z2_{name}.zarr", V, compressor=codec)
    one("z2_order.zarr", V, order="F")
    one("z2_slash.zarr", V, dimension_separator="/")
    one("z2_delta.zarr", V, filters=[numcodecs.Delta("<u2")])
    one("z2_bits.zarr", V % 2 == 0, filters=[numcodecs.PackBits()])
    one("z2_offset.zarr", V * .5, filters=[numcodecs.FixedScaleOffset(0, 2, "<f8", "<u2")])
    one("z2_big.zarr", V.astype(">i4"))
    one("z2_half.zarr", (V % 100).astype("f2"))
    one("z2_scalar.zarr", np.array(3.5), chunks=())
    one("z2_line.zarr", np.arange(7, dtype="i8"), chunks=(3,))
    for name, dtype, fill in (("nan", "f4", np.nan), ("inf", "f8", -np.inf), ("complex", "c8", 1 - 2j)):
        values = np.full((4, 6), fill, dtype)
        z = zarr.open(str(folder / f"z2_{name}.zarr"), mode="w", shape=(4, 6), dtype=dtype, chunks=(2, 3),
                      fill_value=values[0, 0])
        z[:2] = values[:2] = np.arange(12).reshape(2, 6)
        out[f"z2_{name}.zarr"] = Want(values, said="")
    with zarr.ZipStore(str(folder / "z2_store.zarr.zip"), mode="w") as store:
        g = zarr.group(store)
        g.create_dataset("a/b", data=V, chunks=(2, 6, 14)).attrs["gain"] = 2
    out["z2_store.zarr.zip"] = Want(V, attributes={"gain": 2}, path="a/b", said="")
    g = zarr.open_group(str(folder / "z2_group.zarr"), mode="w")
    g.create_dataset("x y/deep", data=V[0]).attrs["_ARRAY_DIMENSIONS"] = ["lat", "lon"]
    zarr.consolidate_metadata(str(folder / "z2_group.zarr"))
    out["z2_group.zarr:deep"] = Want(V[0], dims=("lat", "lon"), path="x_y/deep", attributes={}, said="")
    packed = V[0].astype("i2")
    ds = xarray.Dataset({"t2m": (("lat", "lon"), np.where(packed == packed[1, 1], np.nan, packed * .5), {"units": "K"})},
                        {"lat": np.arange(12.), "lon": np.arange(14.)})
    ds.t2m.encoding.update(dtype="i2", scale_factor=.5, _FillValue=packed[1, 1])
    ds.to_zarr(str(folder / "xr_old.zarr"), consolidated=True)
    packed_want = Want(packed, dims=("lat", "lon"), path="t2m", attributes={
        "_FillValue": int(packed[1, 1]), "scale_factor": .5, "units": "K"}, said="")
    out["xr_old.zarr:t2m"] = packed_want
    out["xr_old.zarr:lat"] = Want(np.arange(12.), dims=("lat",), path="lat")
    for name, how in (("xr_64.nc", "NETCDF3_64BIT"), ("xr_3.nc", "NETCDF3_CLASSIC")):
        ds.to_netcdf(folder / name, engine="scipy", format=how)
        out[f"{name}:t2m"] = packed_want._replace(values=packed.astype(">i2"))
        out[f"{name}:lat"] = Want(np.arange(12.).astype(">f8"), dims=("lat",), path="lat")


def _ome_zarr(folder, out):
    """OME-Zarr of older versions, with zarr-python 2 as their writers did."""
    def image(name, version, axes, transforms, want, array=V, **more):
        g = zarr.open_group(str(folder / name), mode="w")
        datasets = []
        for k, t in enumerate(transforms):
            v = array[..., ::2 ** k, ::2 ** k]
            g.create_dataset(f"s{k}", data=v, chunks=(1,) * (v.ndim - 2) + (6, 7), dimension_separator="/")
            datasets.append(dict({"path": f"s{k}"}, **({} if t is None else {"coordinateTransformations": t})))
        m = {"version": version, "datasets": datasets, **({"axes": axes} if axes else {})}
        g.attrs.update(multiscales=[m], note="kept", **more)
        out[name] = want._replace(levels=[array[..., ::2 ** k, ::2 ** k] for k in range(1, len(transforms))])
    five = V.reshape(1, 1, 5, 12, 14)
    image("ome_01.zarr", "0.1", None, [None, None], Want(five, "tczyx", [1] * 5, [None] * 5, attributes={"note": "kept"},
                                                         scales=[[1, 1, 1, 2, 2]], kind="image"), array=five)
    image("ome_03.zarr", "0.3", ["z", "y", "x"], [None, None], Want(V, "zyx", [1] * 3, [None] * 3,
                                                                  scales=[[1, 2, 2]], said=""))
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    image("ome_04.zarr", "0.4", axes, [[{"type": "scale", "scale": [2, .5, .5]}], [
        {"type": "scale", "scale": [2, 1, 1]}, {"type": "translation", "translation": [0, .25, .25]}]],
        Want(V, "zyx", [2, .5, .5], MICRO, said="", scales=[[2, 1, 1]], translation=[0, 0, 0]))
    image("ome_mu.zarr", "0.4", [dict(a, unit="\u03bcm") for a in axes], [[{"type": "scale", "scale": [0, .5, .5]}]],
          Want(V, "zyx", [1, .5, .5], MICRO, said="scale of z"))
    image("ome_wide.zarr", "0.4", axes, [[{"type": "scale", "scale": [2, .5, .5]},
                                          {"type": "rotation", "rotation": []}]],
          Want(V, "zyx", [2, .5, .5], MICRO, said="rotation"))
    image("ome_rev.zarr", "0.4", axes[::-1], [[{"type": "scale", "scale": [.25, .5, 2]}]],
          Want(V.transpose(), "zyx", [2, .5, .25], MICRO, said=""))
    image("ome_labels.zarr", "0.4", axes, [[{"type": "scale", "scale": [2, .5, .5]}]],
          Want(V % 5, "zyx", [2, .5, .5], MICRO, kind="labels", said=""), array=V % 5,
          **{"image-label": {"version": "0.4", "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}]}})
    window = {"min": 0, "max": 65535, "start": 5, "end": 900}
    image("ome_omero.zarr", "0.4", [{"name": "c", "type": "channel"}, *axes[1:]],
          [[{"type": "scale", "scale": [1, .5, .25]}], [{"type": "scale", "scale": [1, 1, .5]}]],
          Want(V[:2], "cyx", [1, .5, .25], [None, *MICRO[:2]], [("DAPI", "0000FF"), ("GFP", "00FF00")], said="",
               scales=[[1, 1, .5]]), array=V[:2],
          omero={"channels": [{"label": "DAPI", "color": "0000FF", "window": window},
                              {"label": "GFP", "color": "00FF00", "window": window}]})


def _n5(folder, out):
    root = zarr.group(zarr.n5.N5Store(str(folder / "n5_codecs.n5")), overwrite=True)
    for name, codec in (("gzip", numcodecs.GZip(1)), ("raw", None), ("bz2", numcodecs.BZ2(1)),
                        ("lzma", numcodecs.LZMA(preset=1))):
        d = root.create_dataset(name, data=V, chunks=(2, 6, 8), compressor=codec)
        d.attrs["gain"] = 2
        out[f"n5_codecs.n5:{name}"] = Want(V, path=name, attributes={"gain": 2}, said="")
    for dtype in ("i1", "i4", "u8", "f4", "f8"):
        g = zarr.group(zarr.n5.N5Store(str(folder / f"n5_{dtype}.n5")), overwrite=True)
        g.create_dataset("a", data=V.astype(dtype), chunks=(5, 12, 14), compressor=numcodecs.GZip(1))
        out[f"n5_{dtype}.n5"] = Want(V.astype(dtype), path="a", said="")

    def image(name, own, want, levels=2, of_level=lambda k: {}):
        g = zarr.group(zarr.n5.N5Store(str(folder / name)), overwrite=True)
        for k in range(levels):
            g.create_dataset(f"img/s{k}", data=V[:, ::2 ** k, ::2 ** k], chunks=(2, 6, 8), compressor=numcodecs.GZip(1))
            f = folder / name / f"img/s{k}/attributes.json"
            f.write_text(json.dumps(dict(json.loads(f.read_text()), **of_level(k))))
        f = folder / name / "img/attributes.json"
        f.write_text(json.dumps(dict(json.loads(f.read_text()) if f.exists() else {}, **own)))
        out[name] = want._replace(values=V, axes="zyx", path="img", said="",
                                  levels=[V[:, ::2 ** k, ::2 ** k] for k in range(1, levels)])
    image("n5_viewer.n5", {"pixelResolution": {"unit": "um", "dimensions": [.5, .5, 2.0]}, "scales": [[1, 1, 1], [2, 2, 1]],
                           "author": "me"},
          Want(None, scale=[2, .5, .5], units=MICRO, attributes={"author": "me"}, scales=[[2, 1, 1]]))
    image("n5_cosem.n5", {"multiscales": [{"name": "img", "datasets": [{"path": f"s{k}", "transform": {
        "axes": ["z", "y", "x"], "units": ["nm"] * 3, "scale": [4, 4 * 2 ** k, 4 * 2 ** k],
        "translate": [100, 2 * 2 ** k - 2, 2 * 2 ** k - 2]}} for k in range(2)]}]},
        Want(None, scale=[4] * 3, units=["nanometer"] * 3, scales=[[4, 8, 8]], translation=[100, 0, 0]),
        of_level=lambda k: {"transform": {"axes": ["z", "y", "x"], "units": ["nm"] * 3, "translate": [
            100, 2 * 2 ** k - 2, 2 * 2 ** k - 2], "scale": [4, 4 * 2 ** k, 4 * 2 ** k]}})
    image("n5_bdv.n5", {"downsamplingFactors": [[1, 1, 1], [2, 2, 1]], "resolution": [.5, .5, 2.0], "units": ["um"] * 3},
          Want(None, scale=[2, .5, .5], units=MICRO, scales=[[2, 1, 1]]),
          of_level=lambda k: {"downsamplingFactors": [2 ** k, 2 ** k, 1]})


def _nifti(folder, out):
    a = (V.astype("i4") - 30000).astype("i2").transpose()  # xyz
    affine = np.diag([.5, .75, 2.0, 1.0])
    affine[:3, 3] = [-10, 20, 30]
    milli = ["millimeter"] * 3

    def one(name, values, want, unit="mm", cls=nibabel.Nifti1Image, matrix=affine, zooms=None, header=None):
        image = cls(values, matrix, header)
        image.set_data_dtype(values.dtype)
        image.header.set_xyzt_units(unit, "sec")
        if zooms:
            image.header.set_zooms(zooms)
        nibabel.save(image, folder / name)
        out[name] = want
    plain = Want(a.transpose(), "zyx", [2, .75, .5], milli, translation=[30, 20, -10], said="")
    one("nii_plain.nii", a, plain)
    one("nii_packed.nii.gz", a, plain)
    one("nii_two.nii", a, plain, cls=nibabel.Nifti2Image)
    one("nii_micron.nii", a, plain._replace(units=MICRO), unit="micron")
    one("nii_none.nii", a, plain._replace(units=[None] * 3), unit=0)
    one("nii_big.nii", a.astype(">i2"), plain, header=nibabel.Nifti1Header(endianness=">"))
    one("nii_float.nii.gz", a.astype("f4"), plain._replace(values=a.astype("f4").transpose()))
    t = np.stack([a, a + 1], -1)
    one("nii_time.nii.gz", t, Want(t.transpose(), "tzyx", [1.5, 2, .75, .5], ["second", *milli], said=""),
        zooms=(.5, .75, 2, 1.5))
    turned = affine.copy()
    turned[:3, :3] = [[0, .75, 0], [.5, 0, 0], [0, 0, 2]]
    one("nii_turned.nii", a, Want(a.transpose(), "zyx", [2, .75, .5], milli, translation=[0, 0, 0], said=""), matrix=turned)
    flat = a[:, :, :1]
    one("nii_flat.nii", flat, Want(flat.transpose(), "zyx", [2, .75, .5], milli, said=""))
    image = nibabel.Nifti1Image(a % 7, affine)
    image.header.set_intent("label", name="atlas")
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / "nii_atlas.nii.gz")
    out["nii_atlas.nii.gz"] = plain._replace(values=(a % 7).transpose(), kind="labels")
    for name, parts in (("rgb", "RGB"), ("rgba", "RGBA")):
        colours = np.zeros(a.shape, [(p, "u1") for p in parts])
        for k, p in enumerate(parts):
            colours[p] = (a + k) % 251
        one(f"nii_{name}.nii.gz", colours, Want(
            np.stack([colours[p].transpose() for p in "RGB"]), "czyx", [1, 2, .75, .5], [None, *milli], RED,
            said="alpha" if name == "rgba" else ""))
    one("nii_colour_time.nii", np.stack([colours, colours], -1)[["R", "G", "B"]].astype([(p, "u1") for p in "RGB"]), Want(
        np.stack([np.stack([colours[p].transpose() for p in "RGB"])] * 2), "tczyx", channels=RED, said=""))
    image = nibabel.Nifti1Image(a, affine)
    image.header.set_slope_inter(2, 3)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / "nii_slope.nii")
    out["nii_slope.nii"] = plain._replace(values=np.asarray(nibabel.load(folder / "nii_slope.nii").dataobj).transpose())


def _npy(folder, out):
    for name, values in (("c", V), ("f", np.asfortranarray(V)), ("big", V.astype(">f8")), ("bool", V > 100),
                         ("complex", V[0] * (1 + 2j)), ("scalar", np.array(7, "i4")), ("empty", np.zeros((0, 3), "f4"))):
        np.save(folder / f"npy_{name}.npy", values)
        out[f"npy_{name}.npy"] = Want(values, said="")
    np.savez(folder / "npz_two.npz", raw=V, **{"a mask": V > 100})
    np.savez_compressed(folder / "npz_packed.npz", raw=V, small=np.arange(3))
    np.savez_compressed(folder / "npz_one.npz", V)
    out["npz_two.npz:raw"] = Want(V, path="raw", said="")
    out["npz_two.npz:mask"] = Want(V > 100, path="a_mask")
    out["npz_packed.npz"] = Want(V, path="raw", said="")
    out["npz_one.npz"] = Want(V, path="data", said="")
    with zipfile.ZipFile(folder / "npz_odd.npz", "w") as z:
        z.write(folder / "npy_c.npy", "raw.npy")
        z.writestr("objects.npy", (folder / "npy_c.npy").read_bytes().replace(b"'<u2'", b"'|O' "))
        z.writestr("notes.txt", "no array")
    out["npz_odd.npz"] = Want(V, path="raw", said="objects")


def files(folder):
    """Writes all; {"FILE" or "FILE:PATH": Want}."""
    out: dict = {}
    for part in (_zarr, _ome_zarr, _n5, _nifti, _npy):
        part(folder, out)
    return out
