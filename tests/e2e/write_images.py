"""Images by ome-zarr-py, ngff-zarr, tensorstore, cloud-volume and z5py, and what lazarr must make of each: rows of the
matrix. Run by the environment `readers` of tests/clients/setup.sh."""
import json
import warnings
import zipfile

import cloudvolume
import dask
import ngff_zarr
import numpy as np
import ome_zarr.format
import ome_zarr.writer
import PIL.Image
import tensorstore as ts
import z5py
import zarr

from rows import RED, Want

V = np.random.default_rng(8).integers(0, 60000, (5, 48, 64)).astype("u2")  # zyx
MICRO = ["micrometer"] * 3
NANO = ["nanometer"] * 3
STEP = {"z": 2., "y": .5, "x": .25}


def _level(values, k):
    return values[..., ::2 ** k, ::2 ** k]


def _ome_zarr(folder, out):
    window = {"min": 0, "max": 65535, "start": 5, "end": 900}
    for name, fmt in (("ozp_04", ome_zarr.format.FormatV04()), ("ozp_05", ome_zarr.format.FormatV05())):
        def group(kind, fmt=fmt, name=name):
            return zarr.open_group(folder / f"{name}_{kind}.zarr", mode="w", zarr_format=fmt.zarr_format)
        pyramid = [_level(V, k) for k in range(3)]
        axes = "zyx"
        micro = {a: "micrometer" for a in axes}
        places = [[{"type": "scale", "scale": [2, .5 * 2 ** k, .25 * 2 ** k]}] for k in range(3)]
        levels = {"levels": pyramid[1:], "scales": [p[0]["scale"] for p in places[1:]]}
        g = group("image")
        ome_zarr.writer.write_multiscale(pyramid, g, fmt=fmt, axes=axes, axes_units=micro,
                                         coordinate_transformations=places)
        seg = (V % 5).astype("u4")
        ome_zarr.writer.write_multiscale_labels([_level(seg, k) for k in range(3)], g, "cells", fmt=fmt, axes=axes,
                                                axes_units=micro, coordinate_transformations=places, label_metadata={
                                                    "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}]})
        row = Want(V, "zyx", [2, .5, .25], MICRO, said="", kind="image", **levels)
        out[f"{name}_image.zarr"] = row
        out[f"{name}_image.zarr:cells"] = row._replace(values=seg, kind="labels", path="cells",
                                                       levels=[_level(seg, k) for k in (1, 2)])
        ome_zarr.writer.write_image(np.stack([V, V]), group("default"), fmt=fmt, axes="czyx", scale_factors=[2])
        out[f"{name}_default.zarr"] = Want(np.stack([V, V]), "czyx", [1] * 4, [None] * 4, levels=[None])
        g = group("omero")
        ome_zarr.writer.write_multiscale([V[:2]], g, fmt=fmt, axes="cyx", axes_units={"y": "micrometer", "x": "micrometer"},
                                         coordinate_transformations=[[{"type": "scale", "scale": [1, .5, .25]}]])
        doc = g.attrs.asdict()
        (doc["ome"] if "ome" in doc else doc)["omero"] = {"channels": [
            {"label": "DAPI", "color": "0000FF", "window": window}, {"label": "GFP", "color": "00FF00", "window": window}]}
        g.attrs.put(doc)
        out[f"{name}_omero.zarr"] = Want(V[:2], "cyx", [1, .5, .25], [None, *MICRO[:2]],
                                         [("DAPI", "0000FF"), ("GFP", "00FF00")])
        g = group("plate")
        ome_zarr.writer.write_plate_metadata(g, ["A"], ["1"], ["A/1"], fmt=fmt)
        well = g.require_group("A/1")
        ome_zarr.writer.write_well_metadata(well, ["0"], fmt=fmt)
        ome_zarr.writer.write_multiscale([V], well.require_group("0"), fmt=fmt, axes=axes,
                                         axes_units=micro, coordinate_transformations=places[:1])
        out[f"{name}_plate.zarr"] = Want(V, "zyx", [2, .5, .25], MICRO, path="A/1/0", said="")


def _ngff_zarr(folder, out):
    image = ngff_zarr.to_ngff_image(V, dims=["z", "y", "x"], scale=STEP, translation={"z": 10., "y": 0., "x": -5.},
                                    axes_units={a: "micrometer" for a in "zyx"}, name="cells")
    levels = ngff_zarr.to_multiscales(image, scale_factors=[2], chunks=16)
    want = Want(V, "zyx", [2, .5, .25], MICRO, said="", levels=[None], scales=[[4, 1, .5]], translation=[10, 0, -5])
    for version in ("0.4", "0.5"):
        name = f"nz_{version.replace('.', '')}.ome.zarr"
        ngff_zarr.to_ngff_zarr(folder / name, levels, version=version)
        out[name] = want
    ngff_zarr.to_ngff_zarr(folder / "nz_shards.ome.zarr", levels, version="0.5", chunks_per_shard=2)
    out["nz_shards.ome.zarr"] = want
    ngff_zarr.to_ngff_zarr(str(folder / "nz_packed.ozx"), levels, version="0.5")
    out["nz_packed.ozx"] = want
    five = np.stack([np.stack([V, V + 1])] * 2)
    image = ngff_zarr.to_ngff_image(five, dims=["t", "c", "z", "y", "x"], scale={"t": .5, "c": 1., **STEP}, axes_units={
        "t": "second", **{a: "micrometer" for a in "zyx"}})
    ngff_zarr.to_ngff_zarr(folder / "nz_five.zarr", ngff_zarr.to_multiscales(image, scale_factors=[]), version="0.4")
    out["nz_five.zarr"] = Want(five, "tczyx", [.5, 1, 2, .5, .25], ["second", None, *MICRO], said="")
    with zipfile.ZipFile(folder / "nz_zip.zarr.zip", "w") as z:  # as people pack a folder
        for f in sorted((folder / "nz_04.ome.zarr").rglob("*")):
            if f.is_file():
                z.write(f, f"cells.zarr/{f.relative_to(folder / 'nz_04.ome.zarr')}")
    out["nz_zip.zarr.zip"] = want


def _open(spec, **more):
    return ts.open(spec, create=True, delete_existing=True, **more).result()


def _tensorstore(folder, out):
    def kv(name):
        return {"driver": "file", "path": str(folder / name)}
    for name, codec in (("gzip", {"type": "gzip"}), ("raw", {"type": "raw"}), ("bzip2", {"type": "bzip2"}), ("xz", {"type": "xz"}),
                        ("zstd", {"type": "zstd"}), ("blosc", {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1})):
        t = _open({"driver": "n5", "kvstore": kv(f"ts_{name}.n5/a"), "metadata": {
            "compression": codec, "dataType": "uint16", "dimensions": [64, 48, 5], "blockSize": [32, 32, 5],
            "axes": ["x", "y", "z"], "units": ["um", "um", "um"], "resolution": [.25, .5, 2]}})
        t[...] = V.transpose()
        out[f"ts_{name}.n5"] = Want(V, "zyx", [2, .5, .25], MICRO, path="a", said="")
    for name, codec in (("blosc", {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 2}), ("none", None),
                        ("zstd", {"id": "zstd", "level": 2})):
        _open({"driver": "zarr", "kvstore": kv(f"ts2_{name}.zarr"), "metadata": {
            "compressor": codec, "dtype": "<u2", "shape": V.shape, "chunks": [2, 32, 32]}})[...] = V
        out[f"ts2_{name}.zarr"] = Want(V, said="")
    inner = [{"name": "transpose", "configuration": {"order": [2, 1, 0]}}, {"name": "bytes", "configuration": {
        "endian": "little"}}, {"name": "gzip", "configuration": {"level": 1}}, {"name": "crc32c"}]
    for name, codecs in (("plain", inner), ("shards", [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [1, 16, 16], "codecs": inner, "index_location": "start"}}])):
        _open({"driver": "zarr3", "kvstore": kv(f"ts3_{name}.zarr"), "metadata": {
            "shape": V.shape, "data_type": "uint16", "dimension_names": ["z", "y", "x"], "codecs": codecs,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 32, 32]}}}})[...] = V
        out[f"ts3_{name}.zarr"] = Want(V, dims=("z", "y", "x"), said="")
    volume = Want(V, "zyx", [200, 8, 4], NANO, translation=[1000, -8, 40], said="", kind="image")

    def pre(name, values, want, levels=1, kind="image", **scale):
        for k in range(levels):
            v = _level(values, k)
            spec = {"driver": "neuroglancer_precomputed", "kvstore": kv(name), "multiscale_metadata": {
                "type": kind, "data_type": v.dtype.name, "num_channels": v.shape[0] if v.ndim == 4 else 1}, "scale_metadata": {
                "size": list(v.shape[:-4:-1]), "resolution": [4 * 2 ** k, 8 * 2 ** k, 200], "chunk_size": [32, 32, 4],
                "voxel_offset": [10 // 2 ** k, -(1 // 2 ** k), 5], "encoding": "raw", **scale}}
            t = ts.open(spec, create=True, open=k > 0, delete_existing=k == 0).result()
            t[...] = (v if v.ndim == 4 else v[None]).transpose()
        out[name] = want._replace(values=values, levels=[_level(values, k) for k in range(1, levels)] or None)
    pre("pre_raw", V, volume)
    pre("pre_levels", V, volume._replace(translation=None, scales=[[200, 16, 8]]), levels=2)
    pre("pre_channels", np.stack([V, V + 1]), volume._replace(
        axes="czyx", scale=[1, 200, 8, 4], units=[None, *NANO], translation=[0, 1000, -8, 40]))
    pre("pre_float", V.astype("f4"), volume)
    seg = (V % 7).astype("u8")
    pre("pre_seg", seg, volume._replace(kind="labels"), kind="segmentation", encoding="compressed_segmentation",
        compressed_segmentation_block_size=[8, 8, 8])
    shard = {"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1, "minishard_bits": 1, "shard_bits": 1,
             "hash": "identity", "data_encoding": "gzip", "minishard_index_encoding": "gzip"}
    pre("pre_sharded", V, volume, sharding=shard)
    pre("pre_segshard", seg, volume._replace(kind="labels"), kind="segmentation", encoding="compressed_segmentation",
        compressed_segmentation_block_size=[8, 8, 8], sharding=dict(shard, hash="murmurhash3_x86_128"))
    flat = np.full(V.shape, 77, "u1")  # what jpeg keeps whole
    pre("pre_jpeg", flat, volume, encoding="jpeg")
    pre("pre_png", V.astype("u1"), volume, encoding="png")


def _cloudvolume(folder, out):
    for name, values, more, kind in (
            ("cv_raw", V, {}, "image"), ("cv_plain", V, {"compress": False}, "image"),
            ("cv_seg", (V % 7).astype("u8"), {"encoding": "compressed_segmentation"}, "segmentation"),
            ("cv_seg32", (V % 7).astype("u4"), {"compress": False, "encoding": "compressed_segmentation"}, "segmentation")):
        compress = more.pop("compress", None)
        info = cloudvolume.CloudVolume.create_new_info(
            1, kind, values.dtype.name, more.pop("encoding", "raw"), [4, 8, 200], [10, -1, 5], [64, 48, 5],
            chunk_size=[32, 32, 4])
        v = cloudvolume.CloudVolume(f"file://{folder / name}", info=info, compress=compress, progress=False)
        v.commit_info()
        v[...] = values.transpose()[..., None]
        out[name] = Want(values, "zyx", [200, 8, 4], NANO, translation=[1000, -8, 40], said="",
                         kind="labels" if kind == "segmentation" else "image")


def _pillow(folder, out):
    pages = [PIL.Image.fromarray((v % 251).astype("u1")) for v in V]
    for name, codec in (("pil_packed.tif", "tiff_adobe_deflate"), ("pil_plain.tif", None)):
        pages[0].save(folder / name, save_all=True, append_images=pages[1:], compression=codec, dpi=(254, 254))
        out[name] = Want((V % 251).astype("u1"), "zyx", [1, 100, 100], [None, *MICRO[:2]])
    rgb = np.stack([V[k] % 251 for k in range(3)]).astype("u1")
    PIL.Image.fromarray(rgb.transpose(1, 2, 0).copy()).save(folder / "pil_rgb.tif")
    out["pil_rgb.tif"] = Want(rgb, "cyx", [1] * 3, channels=RED, said="")


def _z5(folder, out):
    with z5py.N5File(str(folder / "z5_codecs.n5"), "w") as f:
        for name in ("gzip", "raw", "zstd"):
            f.create_dataset(name, data=V, chunks=(2, 32, 32), compression=name)
            out[f"z5_codecs.n5:{name}"] = Want(V, path=name, said="")
        g = f.create_group("setup0")
        for k in range(2):
            g.create_dataset(f"s{k}", data=_level(V, k), chunks=(2, 32, 32), compression="gzip")
        g.attrs["downsamplingFactors"] = [[1, 1, 1], [2, 2, 1]]
        g.attrs["pixelResolution"] = [.25, .5, 2.]
    out["z5_codecs.n5:image"] = Want(V, "zyx", [2, .5, .25], path="setup0", levels=[_level(V, 1)], scales=[[2, 1, .5]])
    with z5py.ZarrFile(str(folder / "z5_two.zarr"), "w") as f:
        f.create_dataset("a", data=V, chunks=(2, 32, 32), compression="zlib")
    out["z5_two.zarr"] = Want(V, path="a", said="")


def files(folder):
    """Writes all; {"FILE" or "FILE:PATH": Want}."""
    warnings.simplefilter("ignore")
    dask.config.set(scheduler="synchronous")
    out: dict = {}
    for part in (_ome_zarr, _ngff_zarr, _tensorstore, _cloudvolume, _pillow, _z5):
        part(folder, out)
    assert json.dumps(sorted(out))
    return out
