"""TIFFs by the newest tifffile and imagecodecs, and what lazarr must make of each: rows of the matrix. Run by the
environment `writers` of tests/clients/setup.sh."""
import struct

import numpy as np
import tifffile

from rows import RED, Want

V = np.random.default_rng(6).integers(0, 250, (2, 3, 5, 48, 64)).astype("u1")  # tczyx
ZYX = V[0, 0]
MICRO = ["micrometer"] * 3
SIZES = {"PhysicalSizeX": .25, "PhysicalSizeY": .5, "PhysicalSizeZ": 2.0}
NAMES = {"Name": ["DAPI", "GFP", "TRITC"]}


def _plain(folder, out):
    def one(name, values=ZYX, want=None, **more):
        how = {"photometric": "minisblack", "metadata": {"axes": "TCZYX"[-values.ndim:]}, **more}
        tifffile.imwrite(folder / name, values, **how)
        out[name] = want or Want(values, "tczyx"[-values.ndim:], [1] * values.ndim, [None] * values.ndim, said="")
    for codec in ("zlib", "lzw", "zstd", "lzma", "packbits", "jpeg2000", "png"):
        one(f"tif_{codec}.tif", compression=codec, **({"compressionargs": {"reversible": True}} if codec == "jpeg2000" else {}))
    one("tif_webp.tif", V[0, :, 0].transpose(1, 2, 0).copy(), Want(V[0, :, 0], "cyx", channels=RED, said=""),
        photometric="rgb", compression="webp", compressionargs={"lossless": True}, metadata={}, tile=(32, 32))
    one("tif_predictor.tif", ZYX.astype("u2") * 200, compression="zlib", predictor=True)
    one("tif_floats.tif", ZYX.astype("f4") / 3, compression="zlib", predictor=True, tile=(16, 32))
    one("tif_tiles.tif", tile=(16, 32), compression="zlib")
    one("tif_strips.tif", rowsperstrip=7, compression="zlib")
    one("tif_big.tif", ZYX.astype(">u2"), byteorder=">")
    one("tif_double.tif", ZYX * .5)
    one("tif_signed.tif", ZYX.astype("i2") - 100)
    one("tif_bits.tif", ZYX > 100, photometric="minisblack")
    one("tif_half.tif", ZYX.astype("f2"))
    one("tif_invert.tif", photometric="miniswhite")
    one("tif_bigtiff.tf8", bigtiff=True, compression="zlib", tile=(16, 16))
    one("tif_five.tif", V)
    tifffile.imwrite(folder / "tif_complex.tif", ZYX * (1 + 1j), photometric="minisblack", metadata={"axes": "ZYX"})
    out["tif_complex.tif"] = Want(ZYX * (1 + 1j), "zyx", said="")
    lut = np.stack([np.arange(256)[::s] if s > 0 else np.zeros(256) for s in (1, -1, 0)]).astype("u2") * 257
    tifffile.imwrite(folder / "tif_palette.tif", ZYX[0], photometric="palette", colormap=np.abs(lut))
    out["tif_palette.tif"] = Want(ZYX[0], "yx", [1, 1], said="colour map")
    tifffile.imwrite(folder / "tif_meta.tif", ZYX, photometric="minisblack", resolution=(1e4, 2e4), resolutionunit="CENTIMETER",
                     metadata={"axes": "ZYX", "note": "mine"})
    out["tif_meta.tif"] = Want(ZYX, "zyx", [1, .5, 1], [None, *MICRO[:2]])
    tifffile.imwrite(folder / "tif_memmap.tif", shape=ZYX.shape, dtype="u1", photometric="minisblack", metadata={"axes": "TYX"})
    tifffile.memmap(folder / "tif_memmap.tif")[...] = ZYX
    out["tif_memmap.tif"] = Want(ZYX, "tyx", said="")
    with tifffile.TiffWriter(folder / "tif_pages.tif") as w:
        for page in ZYX:
            w.write(page, photometric="minisblack", metadata=None, contiguous=False)
    out["tif_pages.tif"] = Want(ZYX, "zyx", said="")


def _imagej(folder, out):
    def one(name, values, want, resolution=(10, 5), **meta):
        tifffile.imwrite(folder / name, values, imagej=True, resolution=resolution, metadata=meta)
        out[name] = want._replace(values=values.transpose(want.values)) if isinstance(want.values, tuple) else want
    five = np.ascontiguousarray(V.transpose(0, 2, 1, 3, 4))
    one("ijn_hyper.tif", five, Want(V, "tczyx", [.5, 1, 2, .2, .1], ["second", None, *MICRO], said=""),
        axes="TZCYX", spacing=2.0, unit="um", finterval=.5)
    one("ijn_packed.tif", ZYX, Want(ZYX, "zyx", [2, .2, .1], MICRO, said=""), axes="ZYX", spacing=2.0, unit="\\u00B5m")
    one("ijn_16.tif", ZYX.astype("u2") * 99, Want(ZYX.astype("u2") * 99, "zyx", [2, .2, .1], MICRO, said=""), axes="ZYX",
        spacing=2.0, unit="micron", min=5.0, max=900.0)
    one("ijn_float.tif", ZYX.astype("f4"), Want(ZYX.astype("f4"), "zyx", [2, .2, .1], MICRO, said=""), axes="ZYX",
        spacing=2.0, unit="um")
    one("ijn_rgb.tif", np.ascontiguousarray(V[0].transpose(1, 2, 3, 0)), Want(V[0], "czyx", channels=RED, said=""),
        axes="ZYXS")
    one("ijn_labels.tif", V[0, :, 0], Want(V[0, :, 0], "cyx", channels=[
        ("DAPI", "00FF00"), ("GFP", "FF00FF"), ("TRITC", "00FFFF")], said=""), axes="CYX", Labels=["DAPI", "GFP", "TRITC"])
    one("ijn_slices.tif", ZYX, Want(ZYX, "zyx", said=""), axes="ZYX", Labels=[f"slice {k}" for k in range(5)])
    lut = [np.stack([np.arange(256) * (i == k) for i in range(3)]).astype("u1") for k in (2, 1, 0)]
    one("ijn_luts.tif", V[0, :, 0], Want(V[0, :, 0], "cyx", channels=[
        ("0", "0000FF"), ("1", "00FF00"), ("2", "FF0000")], said=""), axes="CYX", LUTs=lut, mode="composite",
        Ranges=(5., 90., 0., 255., 1., 2.))
    one("ijn_nores.tif", ZYX, Want(ZYX, "zyx", [1] * 3, [None] * 3, said=""), resolution=(1, 1), axes="ZYX")
    one("ijn_fps.tif", V[:, 0, 0], Want(V[:, 0, 0], "tyx", [.25, .2, .1], ["second", *MICRO[:2]]), axes="TYX", fps=4.0,
        unit="um")


def _ome(folder, out):
    micro = [None, *MICRO]
    names = [("DAPI", "00FF00"), ("GFP", "FF00FF"), ("TRITC", "00FFFF")]

    def one(name, values, want, **more):
        meta = more.pop("metadata", {"axes": "CZYX", **SIZES, "Channel": NAMES})
        tifffile.imwrite(folder / name, values, ome=True, photometric=more.pop("photometric", "minisblack"), metadata=meta,
                         **more)
        out[name] = want
    full = Want(V[0], "czyx", [1, 2, .5, .25], micro, names, said="")
    one("omen_plain.ome.tif", V[0], full)
    one("omen_packed.ome.tif", V[0], full, compression="zlib", tile=(16, 16))
    one("omen_big.ome.tiff", V[0], full, bigtiff=True)
    one("omen_ome.tif", V[0], full)
    one("omen_time.ome.tif", V, Want(V, "tczyx", [.5, 1, 2, .5, .25], ["second", *micro], names, said=""), metadata={
        "axes": "TCZYX", **SIZES, "Channel": NAMES, "TimeIncrement": .5, "TimeIncrementUnit": "s"})
    one("omen_nm.ome.tif", ZYX, Want(ZYX, "zyx", [2, .5, .25], ["nanometer"] * 3, said=""), metadata={
        "axes": "ZYX", **SIZES, **{f"PhysicalSize{a}Unit": "nm" for a in "XYZ"}})
    one("omen_turned.ome.tif", np.ascontiguousarray(V[0].transpose(1, 0, 2, 3)), full, metadata={
        "axes": "ZCYX", **SIZES, "Channel": NAMES})
    one("omen_rgb.ome.tif", np.ascontiguousarray(V[0, :, 0].transpose(1, 2, 0)), Want(
        V[0, :, 0], "cyx", [1, .5, .25], [None, *MICRO[:2]], RED, said=""), photometric="rgb", metadata={
        "axes": "YXS", "PhysicalSizeX": .25, "PhysicalSizeY": .5})
    with tifffile.TiffWriter(folder / "omen_levels.ome.tif") as w:
        how = {"photometric": "minisblack", "tile": (16, 16), "compression": "zlib"}
        w.write(V[0], subifds=2, metadata={"axes": "CZYX", **SIZES, "Channel": NAMES}, **how)
        w.write(V[0, :, :, ::2, ::2], subfiletype=1, **how)
        w.write(V[0, :, :, ::4, ::4], subfiletype=1, **how)
    out["omen_levels.ome.tif"] = full._replace(levels=[V[0, :, :, ::s, ::s] for s in (2, 4)],
                                               scales=[[1, 2, s * .5, s * .25] for s in (2, 4)])
    with tifffile.TiffWriter(folder / "omen_series.ome.tif") as w:
        w.write(V[0], photometric="minisblack", metadata={"axes": "CZYX", **SIZES, "Channel": NAMES, "Name": "first"})
        w.write(ZYX[:, ::2], photometric="minisblack", metadata={"axes": "ZYX", "Name": "second"})
    out["omen_series.ome.tif:0"] = full._replace(path="series0", attributes={"ome_name": "first"})
    out["omen_series.ome.tif:1"] = Want(ZYX[:, ::2], "zyx", [1] * 3, path="series1", attributes={"ome_name": "second"})


def _slides(folder, out):
    base = np.random.default_rng(7).integers(0, 255, (128, 192, 3)).astype("u1")
    rgb = base.transpose(2, 0, 1)
    how = {"photometric": "rgb", "metadata": None, "compression": "zlib"}
    text = "Aperio Image Library v12.0.15\n192x128 [0,0 192x128] (64x64) JPEG/RGB Q=70|AppMag = 40|MPP = 0.2525"
    for name in ("slide_pyramid.svs", "slide_pyramid.tif"):
        with tifffile.TiffWriter(folder / name) as w:
            w.write(base, tile=(64, 64), description=text, **how)
            w.write(base[::8, ::8], description=text + "\nthumbnail", rowsperstrip=16, **how)
            w.write(base[::4, ::4], tile=(16, 16), description=text, **how)
            w.write(base[:16, :16], description="Aperio\nlabel 16x16", subfiletype=1, **how)
            w.write(base[:16, :32], description="Aperio\nmacro 32x16", subfiletype=9, **how)
        out[name] = Want(rgb, "cyx", [1, .2525, .2525], [None, *MICRO[:2]], RED, path="series0",
                         levels=[rgb[:, ::4, ::4]], scales=[[1, 1.01, 1.01]])
    for name in ("slide_hamamatsu.ndpi", "slide_hamamatsu.tif"):
        _ndpi(folder / name, [(np.ascontiguousarray(base[::s, ::s]), (40000 // s, 20000 // s), 20. / s) for s in (1, 2, 4)])
        out[name] = Want(rgb, "cyx", [1, .5, .25], [None, *MICRO[:2]], RED, said="",
                         levels=[rgb[:, ::s, ::s] for s in (2, 4)], scales=[[1, .5 * s, .25 * s] for s in (2, 4)])
    for name in ("slide_generic.tif", "slide_generic.btf", "slide_plain.ndpi", "slide_plain.svs"):  # by what is in them
        with tifffile.TiffWriter(folder / name, bigtiff=name.endswith("btf")) as w:
            w.write(base, tile=(64, 64), subifds=2, resolution=(4e4, 4e4), resolutionunit="CENTIMETER", photometric="rgb",
                    compression="zlib")
            for s in (2, 4):
                w.write(base[::s, ::s], tile=(64, 64), subfiletype=1, photometric="rgb", compression="zlib")
        out[name] = Want(rgb, "cyx", [1, .25, .25], [None, *MICRO[:2]], RED, said="",
                         levels=[rgb[:, ::s, ::s] for s in (2, 4)], scales=[[1, .25 * s, .25 * s] for s in (2, 4)])


def _geo(folder, out):
    """GeoTIFFs with the tags that GDAL writes."""
    def tags(size, model, code, nodata=None, names=()):
        keys = (1, 1, 0, 2, 1024, 0, 1, model, 3072 if model == 1 else 2048, 0, 1, code)
        made = [(33550, 12, 3, (*size, 0.), True), (33922, 12, 6, (0., 0., 0., 5e5, 52e5, 0.), True), (34735, 3, 12, keys, True)]
        if nodata is not None:
            made.append((42113, 2, 0, nodata, True))
        if names:
            made.append((42112, 2, 0, "<GDALMetadata>" + "".join(
                f'<Item name="DESCRIPTION" sample="{k}" role="description">{n}</Item>' for k, n in enumerate(names)) +
                "</GDALMetadata>", True))
        return made
    how = {"photometric": "minisblack", "metadata": None, "compression": "zlib", "tile": (16, 16)}
    dem = (ZYX[0] * 3.5).astype("f4")
    dem[:3] = -9999
    tifffile.imwrite(folder / "geo_dem.tif", dem, extratags=tags((30., 30.), 1, 32632, "-9999", ["elevation"]), **how)
    ground = {"units": ["meter"] * 2, "said": ""}
    out["geo_dem.tif"] = Want(dem, "yx", [30, 30], channels=[("elevation", "FFFFFF")], fill=-9999, **ground)
    tifffile.imwrite(folder / "geo_nan.tif", dem, extratags=tags((30., 20.), 1, 32632, "nan"), **how)
    out["geo_nan.tif"] = Want(dem, "yx", [20, 30], fill="NaN", **ground)
    tifffile.imwrite(folder / "geo_bands.tif", V[0, :, 0], planarconfig="separate", extratags=tags(
        (10., 10.), 1, 32632, "0", ["B2", "B3", "B4"]), **how)
    out["geo_bands.tif"] = Want(V[0, :, 0], "cyx", [1, 10, 10], [None, "meter", "meter"], [
        ("B2", "00FF00"), ("B3", "FF00FF"), ("B4", "00FFFF")], said="", fill=0)
    tifffile.imwrite(folder / "geo_degrees.tif", ZYX[0], extratags=tags((.25, .5), 2, 4326, "300"), **how)
    out["geo_degrees.tif"] = Want(ZYX[0], "yx", [.5, .25], [None] * 2, said="")


def _ndpi(path, pages):
    """Hamamatsu's layout: a classic TIFF whose offsets have 64 bits, the high ones of a page's values behind its tags.
    pages: (values yxc, pixels in a centimeter, magnification)."""
    data = bytearray(b"II*\0" + bytes(8))
    link = 4
    for values, (rx, ry), magnification in pages:
        h, w, _ = values.shape
        at = len(data)
        data += values.tobytes() + struct.pack("<3H2x4I", 8, 8, 8, rx, 1, ry, 1)
        extra = at + values.nbytes
        tags = [(256, 4, 1, w), (257, 4, 1, h), (258, 3, 3, extra), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, at), (277, 3, 1, 3),
                (278, 4, 1, h), (279, 4, 1, values.nbytes), (282, 5, 1, extra + 8), (283, 5, 1, extra + 16), (296, 3, 1, 3),
                (65420, 4, 1, 1), (65421, 11, 1, struct.unpack("<I", struct.pack("<f", magnification))[0])]
        data[link:link + 8] = struct.pack("<Q", len(data))
        data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
        link = len(data)
        data += bytes(8 + 4 * len(tags))
    path.write_bytes(data)


def files(folder):
    """Writes all; {"FILE" or "FILE:PATH": Want}."""
    out: dict = {}
    for part in (_plain, _imagej, _ome, _geo, _slides):
        part(folder, out)
    return out
