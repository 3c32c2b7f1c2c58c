"""Makes the golden files of the conformance set with the libraries themselves; run by hand with an interpreter
that has them (tests/clients/setup.sh makes one): build/envs/readers/bin/python tests/golden/make.py

data/MAKER-FORMAT.json: {"versions": {...}, "arrays": {name: {key: document or base64 of a chunk}}}"""
import base64
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import arrays
import tensorstore as ts
import z5py
import zarr

HERE = Path(__file__).resolve().parent
DOCUMENTS = {".zarray", ".zattrs", "zarr.json", "attributes.json", "info"}


def collect(folder):
    """{key below the folder: document or base64}."""
    out = {}
    for p in sorted(Path(folder).rglob("*")):
        if p.is_file():
            out[str(p.relative_to(folder))] = json.loads(p.read_text()) if p.name in DOCUMENTS else \
                base64.b64encode(p.read_bytes()).decode()
    return out


def save(maker, form, made, **versions):
    text = json.dumps({"versions": {k: version(v) for k, v in versions.items()}, "arrays": made}, indent=0)
    (HERE / "data" / f"{maker}-{form}.json").write_text(text + "\n")
    print(maker, form, len(made), "arrays,", len(text), "bytes")


def specs(prefix):
    return [s for s in arrays.SPECS.values() if s.name.startswith(prefix + "/")]


def zarr_python(face):
    made = {}
    zarr.config.set({"array.write_empty_chunks": True})
    for s in specs("zarr"):
        with tempfile.TemporaryDirectory() as folder:
            codec = arrays.ZARR_CODECS[s.codec]
            big = s.dtype.str[0] == ">"
            more = {}
            if face == "zarr2":
                from numcodecs import Blosc, GZip, Zstd
                more["compressors"] = codec and {"blosc": lambda: Blosc("lz4", 5, Blosc.SHUFFLE),
                                                 "zstd": lambda: Zstd(3), "gzip": lambda: GZip(5)}[codec[0]]()
                more["chunk_key_encoding"] = {"name": "v2", "separator": "."}
            else:
                from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ZstdCodec
                more["compressors"] = codec and {
                    "blosc": lambda: BloscCodec(cname="lz4", clevel=5, shuffle="shuffle",
                                                typesize=s.dtype.itemsize),
                    "zstd": lambda: ZstdCodec(level=3), "gzip": lambda: GzipCodec(level=5)}[codec[0]]()
                if s.dtype.itemsize > 1:
                    more["serializer"] = BytesCodec(endian="big" if big else "little")
                more["dimension_names"] = [f"{s.name.split('/')[1]}_{i}" for i in range(len(s.shape))]
            fill = s.more.get("fill_value", 0)
            z = zarr.create_array(folder, shape=s.shape, chunks=s.chunks, zarr_format=int(face[-1]),
                                  dtype=s.dtype if face == "zarr2" else s.dtype.newbyteorder("="),
                                  fill_value=s.dtype.type(fill), attributes={}, overwrite=True, **more)
            z[...] = arrays.values(s)
            made[s.name] = collect(folder)
    save("zarr-python", face, made, zarr="zarr", numcodecs="numcodecs")


def write(spec, value):
    ts.open(spec, create=True).result().write(value).result()


def tensorstore_zarr(face):
    made = {}
    for s in specs("zarr"):
        with tempfile.TemporaryDirectory() as folder:
            codec, fill = arrays.ZARR_CODECS[s.codec], s.more.get("fill_value", 0)
            words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
            text = [fill.real, fill.imag] if s.dtype.kind == "c" and fill else \
                [0, 0] if s.dtype.kind == "c" else words.get(str(fill), fill)
            if s.dtype.kind == "b":
                text = bool(fill)
            spec = {"driver": {"zarr2": "zarr", "zarr3": "zarr3"}[face], "kvstore": f"file://{folder}/",
                    "store_data_equal_to_fill_value": True}
            if face == "zarr2":
                compressor = codec and {"blosc": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1},
                                        "zstd": {"id": "zstd", "level": 3},
                                        "gzip": {"id": "gzip", "level": 5}}[codec[0]]
                spec["metadata"] = {"shape": s.shape, "chunks": s.chunks, "dtype": s.dtype.str.replace("<b", "|b")
                                    .replace("<u1", "|u1").replace("<i1", "|i1"), "compressor": compressor,
                                    "fill_value": text, "dimension_separator": ".", "filters": None, "order": "C"}
            else:
                codecs = [{"name": "bytes", **({"configuration": {"endian": "big" if s.dtype.str[0] == ">" else
                                                                  "little"}} if s.dtype.itemsize > 1 else {})}]
                if codec:
                    codecs.append({"blosc": {"name": "blosc", "configuration": {
                        "cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": s.dtype.itemsize}},
                        "zstd": {"name": "zstd", "configuration": {"level": 3}},
                        "gzip": {"name": "gzip", "configuration": {"level": 5}}}[codec[0]])
                spec["metadata"] = {
                    "shape": s.shape, "data_type": s.dtype.newbyteorder("=").name, "fill_value": text,
                    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": s.chunks}},
                    "codecs": codecs, "dimension_names": [f"{s.name.split('/')[1]}_{i}" for i in range(len(s.shape))]}
            write(spec, arrays.values(s).astype(s.dtype.newbyteorder("=")))
            made[s.name] = collect(folder)
    save("tensorstore", face, made, tensorstore="tensorstore")


def tensorstore_n5():
    made = {}
    for s in specs("n5"):
        with tempfile.TemporaryDirectory() as folder:
            compression = {"raw": {"type": "raw"}, "gzip": {"type": "gzip", "level": 1},
                           "zstd": {"type": "zstd", "level": 3},
                           "blosc": {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}}[s.codec]
            write({"driver": "n5", "kvstore": f"file://{folder}/", "store_data_equal_to_fill_value": True,
                   "metadata": {"dimensions": s.shape[::-1], "blockSize": s.chunks[::-1],
                                "dataType": s.dtype.name, "compression": compression}},
                  arrays.values(s).transpose())
            made[s.name] = collect(folder)
    save("tensorstore", "n5", made, tensorstore="tensorstore")


def z5py_n5():
    made = {}
    for s in specs("n5"):
        with tempfile.TemporaryDirectory() as folder:
            more = {"raw": {}, "gzip": {"level": 1}, "zstd": {"level": 3},
                    "blosc": {"codec": "lz4", "clevel": 5, "shuffle": 1}}[s.codec]
            with z5py.File(f"{folder}/c", mode="a", use_zarr_format=False) as f:
                d = f.create_dataset("a", shape=s.shape, chunks=s.chunks, dtype=s.dtype.name,
                                     compression=s.codec, **more)
                d[...] = arrays.values(s)
            made[s.name] = collect(Path(folder) / "c" / "a")
    save("z5py", "n5", made, z5py="z5py")


def tensorstore_precomputed():
    made = {}
    for s in specs("pre"):
        with tempfile.TemporaryDirectory() as folder:
            spatial, chunks = s.shape[-3:][::-1], s.chunks[-3:][::-1]
            scale = s.more.get("scale", (1, 1, 1))[::-1]
            offset = [round(t / r) for t, r in zip(s.more.get("translation", (0, 0, 0))[::-1], scale)]
            metadata = {"key": "0", "size": spatial, "chunk_size": chunks, "encoding": s.codec,
                        "resolution": scale, "voxel_offset": offset}
            if s.codec != "raw":
                metadata["compressed_segmentation_block_size"] = [8, 8, 8]
            v = arrays.values(s)
            v = v if v.ndim == 4 else v[None]
            write({"driver": "neuroglancer_precomputed", "kvstore": f"file://{folder}/",
                   "store_data_equal_to_fill_value": True,
                   "multiscale_metadata": {"type": "segmentation" if s.more.get("kind") == "labels" else "image",
                                           "data_type": s.dtype.name, "num_channels": v.shape[0]},
                   "scale_metadata": metadata}, v.transpose())
            made[s.name] = collect(folder)
    save("tensorstore", "precomputed", made, tensorstore="tensorstore")


if __name__ == "__main__":
    for f in ("zarr2", "zarr3"):
        zarr_python(f)
        tensorstore_zarr(f)
    tensorstore_n5()
    z5py_n5()
    tensorstore_precomputed()
