"""Data files by the newest netCDF4, h5netcdf, xarray, h5py with hdf5plugin, anndata, hdf5storage and zarr-python 3, and
what lazarr must make of each: rows of the matrix. Run by the environment `writers` of tests/clients/setup.sh."""
import json

import anndata
import dask.array
import h5py
import hdf5plugin
import hdf5storage
import netCDF4
import numpy as np
import scipy.sparse
import xarray
import zarr
import zarr.codecs as zc

from rows import Want

V = np.random.default_rng(5).integers(0, 60000, (5, 12, 14)).astype("u2")  # zyx
PACKED = (V[:4, :3, 0] % 1000).astype("i2")
PACKED[1, 1] = -5
T2M = {"scale_factor": .5, "_FillValue": -5, "units": "K"}


def _netcdf(folder, out):
    for name, how, more in (
            ("nc_4", "NETCDF4", {}), ("nc_4c", "NETCDF4_CLASSIC", {}), ("nc_3", "NETCDF3_CLASSIC", {}),
            ("nc_64", "NETCDF3_64BIT_OFFSET", {}), ("nc_cdf5", "NETCDF3_64BIT_DATA", {}),
            ("nc_zlib", "NETCDF4", {"compression": "zlib", "shuffle": True, "chunksizes": (2, 3)}),
            ("nc_zstd", "NETCDF4", {"compression": "zstd"}), ("nc_fletcher", "NETCDF4", {"fletcher32": True}),
            ("nc_big", "NETCDF4", {"endian": "big"}), ("nc_quant", "NETCDF4", {"compression": "zlib"})):
        with netCDF4.Dataset(folder / f"{name}.nc", "w", format=how) as f:
            f.title = "T"
            f.createDimension("time", None)
            f.createDimension("lat", 3)
            f.createVariable("lat", "f8", ("lat",))[:] = [10, 20, 30]
            time = f.createVariable("time", "f8", ("time",))
            time.units = "hours since 2001-01-01"
            time[:] = np.arange(4.) * 6
            d = f.createVariable("t2m", "i2", ("time", "lat"), fill_value=-5, **more)
            d.set_auto_maskandscale(False)
            d.scale_factor, d.units = .5, "K"
            d[:] = PACKED
        # classic files are big-endian: what is served of them is what is in them
        old = name in ("nc_3", "nc_64", "nc_cdf5")
        end = ">" if old else "<"
        out[f"{name}.nc:t2m"] = Want(PACKED.astype((">" if old or name == "nc_big" else "<") + "i2"), dims=("time", "lat"),
                                     path="t2m", attributes=T2M, said="")
        out[f"{name}.nc:time"] = Want((np.arange(4.) * 6).astype(end + "f8"), dims=("time",), path="time",
                                      attributes={"units": "hours since 2001-01-01"})
    with netCDF4.Dataset(folder / "nc_groups.nc", "w") as f:
        f.createDimension("x", 14)
        g = f.createGroup("model/run1")
        g.createDimension("y", 12)
        g.note = "deep"
        g.createVariable("t", "u2", ("y", "x"))[:] = V[0]
        f.createVariable("names", str, ("x",))[:] = np.array(list("abcdefghijklmn"), object)
        f.createVariable("x", "f4", ("x",))[:] = np.arange(14)
    out["nc_groups.nc:t"] = Want(V[0], dims=("y", "x"), path="model/run1/t", attributes={}, said="")
    out["nc_groups.nc:x"] = Want(np.arange(14, dtype="f4"), dims=("x",), path="x", attributes={})


def _xarray(folder, out):
    ds = xarray.Dataset(
        {"t2m": (("time", "lat"), np.where(PACKED == -5, np.nan, PACKED * .5), {"units": "K"}),
         "mask": (("lat",), np.array([0, 1, 1], "i1"))},
        {"time": np.array(["2001-01-01", "2001-01-02", "2001-01-03", "2001-01-04"], "M8[ns]"), "lat": [10., 20., 30.]})
    ds.t2m.encoding.update(dtype="i2", scale_factor=.5, _FillValue=np.int16(-5))
    packed = Want(PACKED, dims=("time", "lat"), path="t2m", attributes=T2M, said="")
    for name, engine in (("xr_4.nc", "netcdf4"), ("xr_h5.nc", "h5netcdf")):
        ds.to_netcdf(folder / name, engine=engine)
        out[f"{name}:t2m"] = packed
        out[f"{name}:lat"] = Want(np.array([10., 20, 30]), dims=("lat",), path="lat")
    for name, version, more in (("xr_2.zarr", 2, {}), ("xr_3.zarr", 3, {}),
                                ("xr_shards.zarr", 3, {"t2m": {**ds.t2m.encoding, "chunks": (1, 3), "shards": (2, 3)}})):
        ds.to_zarr(folder / name, zarr_format=version, encoding=more)
        out[f"{name}:t2m"] = packed
        out[f"{name}:lat"] = Want(np.array([10., 20, 30]), dims=("lat",), path="lat")
        out[f"{name}:mask"] = Want(np.array([0, 1, 1], "i1"), dims=("lat",), path="mask")
    tree = xarray.DataTree.from_dict({"/fine": ds, "/coarse": ds.isel(time=slice(0, 4, 2))})
    half = packed._replace(values=PACKED[::2], path="coarse/t2m")
    tree.to_netcdf(folder / "xr_tree.nc")
    tree.to_zarr(folder / "xr_tree.zarr", zarr_format=3)
    out["xr_tree.nc:coarse"] = half
    out["xr_tree.zarr:coarse"] = half


def _hdf5(folder, out):
    def one(name, values=V, want=None, **more):
        with h5py.File(folder / name, "w") as f:
            d = f.create_dataset("g/v", data=values, **more)
            d.attrs["gain"] = 2
            f.attrs["title"] = "T"
        out[name] = want or Want(values, path="g/v", attributes={"gain": 2}, said="")
    for name, more in (("blosc", hdf5plugin.Blosc(cname="zstd")), ("blosc2", hdf5plugin.Blosc2()), ("lz4", hdf5plugin.LZ4()),
                       ("zstd", hdf5plugin.Zstd()), ("bitshuffle", hdf5plugin.Bitshuffle()), ("bzip2", hdf5plugin.BZip2())):
        one(f"h5_{name}.h5", chunks=(2, 6, 14), **more)
    one("h5_gzip.h5", chunks=(2, 5, 9), compression="gzip", shuffle=True, fletcher32=True)
    one("h5_lzf.hdf5", chunks=True, compression="lzf")
    one("h5_plain.he5")
    one("h5_userblock.h5")
    with h5py.File(folder / "h5_userblock.h5", "w", userblock_size=512) as f:
        f["g/v"] = V
        f["g/v"].attrs["gain"] = 2
    one("h5_bool.h5", V > 100)
    one("h5_complex.h5", V[0] * (1 + 2j))
    one("h5_half.h5", (V % 100).astype("f2"), chunks=(5, 12, 14))
    one("h5_big.h5", V.astype(">f4"))
    one("h5_scalar.h5", np.float64(2.5), Want(np.array(2.5), path="g/v", said=""))
    with h5py.File(folder / "h5_parts.h5", "w") as f:
        f["part"] = V[:2]
        layout = h5py.VirtualLayout((4, 12, 14), "u2")
        layout[:2] = layout[2:] = h5py.VirtualSource(f["part"])
        f.create_virtual_dataset("g/v", layout)
        f["again"] = h5py.SoftLink("/g/v")
        f["loop"] = h5py.SoftLink("/loop")
        f["record"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
    out["h5_parts.h5"] = Want(np.concatenate([V[:2]] * 2), path="g/v", said="record")
    out["h5_parts.h5:loop"] = Want(V[:2], path="part", said="loop")
    hdf5storage.savemat(str(folder / "matlab.mat"), {"v": V * 1.0, "name": "a text", "n": 3.0}, format="7.3")
    out["matlab.mat"] = Want((V * 1.0).transpose(), path="v")  # MATLAB's order is Fortran's
    with h5py.File(folder / "scan.nxs", "w") as f:
        f.attrs["default"] = "entry"
        e = f.create_group("entry/data")
        e.attrs.update(NX_class="NXdata", signal="counts", axes=["frame", "y", "x"])
        d = e.create_dataset("counts", data=V, chunks=(1, 12, 14), compression="gzip")
        d.attrs.update(units="counts", long_name="Counts")
    out["scan.nxs"] = Want(V, path="entry/data/counts", attributes={"units": "counts", "long_name": "Counts"}, said="")
    with h5py.File(folder / "cells.ims", "w") as f:  # in the layout of Imaris, but for what says so
        g = f.create_group("DataSet/ResolutionLevel 0/TimePoint 0/Channel 0")
        g.create_dataset("Data", data=V, chunks=(5, 6, 7), compression="gzip")
        g.attrs["ImageSizeX"] = np.frombuffer(b"14", "S1")
    out["cells.ims"] = Want(V, path="DataSet/ResolutionLevel_0/TimePoint_0/Channel_0/Data", said="")


def _images(folder, out):
    """HDF5 that holds images: BigDataViewer's, with and without its XML, and ilastik's."""
    for name in ("bdv_xml", "bdv_alone"):
        with h5py.File(folder / f"{name}.h5", "w") as f:
            f["s00/resolutions"] = np.array([[1., 1, 1], [2, 2, 1]])
            f["s00/subdivisions"] = np.array([[7, 6, 2], [7, 6, 2]], "i4")
            for t in range(2):
                for k in range(2):
                    f.create_dataset(f"t{t:05}/s00/{k}/cells", data=(V + t)[:, ::2 ** k, ::2 ** k].astype("i2"), chunks=(2, 6, 7),
                                     compression="gzip")
        for t in range(2):
            one = Want(V + t, "zyx", [1] * 3, [None] * 3, path=f"t{t:05}/s00", levels=[(V + t)[:, ::2, ::2]],
                       scales=[[1, 2, 2]], said="", kind="image")
            out[f"{name}.h5:{t}"] = one if name == "bdv_alone" else one._replace(
                scale=[2, .5, .25], units=["micrometer"] * 3, scales=[[2, 1, .5]])
    (folder / "bdv_xml.xml").write_text("""<?xml version="1.0"?><SpimData version="0.2"><SequenceDescription><ViewSetups>
<ViewSetup><id>0</id><size>14 12 5</size><voxelSize><unit>um</unit><size>0.25 0.5 2.0</size></voxelSize></ViewSetup>
</ViewSetups></SequenceDescription></SpimData>""")
    with h5py.File(folder / "ilastik.h5", "w") as f:
        d = f.create_dataset("exported_data", data=np.stack([V, V + 1], -1), chunks=(2, 6, 7, 2), compression="gzip")
        d.attrs["axistags"] = json.dumps({"axes": [{"key": k, "typeFlags": 2, "resolution": r, "description": ""}
                                                   for k, r in (("z", 2.), ("y", 0), ("x", 0), ("c", 0))]})
        d.attrs["drange"] = [0, 65535]
    out["ilastik.h5"] = Want(np.stack([V, V + 1]), "czyx", [1, 2, 1, 1], [None] * 4, path="exported_data", said="",
                             attributes={"drange": [0, 65535]})


def _anndata(folder, out):
    x = (V[0] % 7).astype("f4")
    a = anndata.AnnData(x, layers={"raw": scipy.sparse.csr_matrix(x)}, obsm={"X_umap": x[:, :2].copy()})
    a.write_h5ad(folder / "cells.h5ad", compression="gzip")
    anndata.settings.zarr_write_format = 3
    a.write_zarr(str(folder / "ann_3.zarr"))
    for name in ("cells.h5ad", "ann_3.zarr"):
        out[f"{name}:X"] = Want(x, path="X", attributes={"encoding-type": "array", "encoding-version": "0.2.0"})
        out[f"{name}:umap"] = Want(x[:, :2], path="obsm/X_umap")
        out[f"{name}:sparse"] = Want(scipy.sparse.csr_matrix(x).data, path="layers/raw/data")


def _dask(folder, out):
    a = dask.array.from_array(V, chunks=(2, 6, 7))
    a.to_zarr(folder / "dask_plain.zarr")
    a.to_hdf5(str(folder / "dask_plain.h5"), "/x")
    out["dask_plain.zarr"] = Want(V, said="")
    out["dask_plain.h5"] = Want(V, path="x", said="")


def _zarr(folder, out):
    def one(name, values=V, want=None, chunks=(2, 6, 7), **more):
        a = zarr.create_array(folder / name, shape=values.shape, dtype=values.dtype, chunks=chunks,
                              attributes={"gain": 2}, **more)
        a[...] = values
        out[name] = want or Want(values, attributes={"gain": 2}, said="")
    one("z3_default.zarr")
    one("z3_dims.zarr", dimension_names=["z", "lat", "lon"], want=Want(
        V, dims=("z", "lat", "lon"), attributes={"gain": 2}, said=""))
    one("z3_shards.zarr", chunks=(1, 6, 7), shards=(2, 12, 14))
    one("z3_gzip.zarr", compressors=zc.GzipCodec(level=2))
    one("z3_blosc.zarr", compressors=zc.BloscCodec(cname="lz4", typesize=2))
    one("z3_crc.zarr", compressors=[zc.ZstdCodec(level=2), zc.Crc32cCodec()])
    one("z3_turned.zarr", filters=[zc.TransposeCodec(order=(2, 0, 1))])
    one("z3_none.zarr", compressors=None)
    one("z3_big.zarr", V.astype("i4"), serializer=zc.BytesCodec(endian="big"), want=Want(V.astype("i4")))
    one("z3_dots.zarr", chunk_key_encoding={"name": "v2", "separator": "."})
    one("z3_bool.zarr", V > 100)
    one("z3_half.zarr", (V % 100).astype("f2"))
    one("z3_scalar.zarr", np.array(3, "i8"), chunks=())
    one("z23_two.zarr", zarr_format=2)
    one("z23_zip.zarr", zarr_format=2, filters=None, compressors=None)
    for name, dtype, fill in (("nan", "f4", np.nan), ("inf", "f8", -np.inf), ("complex", "c8", 1 - 2j), ("nan2", "c16", 1 + 0j),
                              ("bits", "f4", np.frombuffer(b"\1\0\xc0\x7f", "<f4")[0]), ("true", "?", True)):
        values = np.full((4, 6), fill, dtype)
        a = zarr.create_array(folder / f"z3_{name}.zarr", shape=(4, 6), dtype=dtype, chunks=(2, 3), fill_value=values[0, 0])
        a[:2] = values[:2] = np.arange(12).reshape(2, 6) % 2
        out[f"z3_{name}.zarr"] = Want(values, said="")
    with zarr.storage.ZipStore(folder / "z3_store.zarr.zip", mode="w") as store:
        g = zarr.open_group(store, mode="w", zarr_format=3)
        g.create_array("a/b", data=V, chunks=(2, 6, 7), shards=(4, 12, 14), attributes={"gain": 2})
    out["z3_store.zarr.zip"] = Want(V, attributes={"gain": 2}, path="a/b", said="")
    g = zarr.open_group(folder / "z3_group.zarr", mode="w", zarr_format=3)
    g.create_array("deep/er", data=V[0], dimension_names=["lat", "lon"])
    g.create_array("words", shape=(3,), dtype=str)
    zarr.consolidate_metadata(folder / "z3_group.zarr")
    out["z3_group.zarr"] = Want(V[0], path="deep/er", said="")


def files(folder):
    """Writes all; {"FILE" or "FILE:PATH": Want}."""
    out: dict = {}
    for part in (_netcdf, _xarray, _hdf5, _images, _anndata, _dask, _zarr):
        part(folder, out)
    return out
