"""lazarr.open: the array-like of a file is indexed as an ndarray is, whatever its reader's takes, of every kind
(test_b_kinds.py has those that one library each knows); a source that is made of it knows its file."""
import numpy as np
import pytest

import lzr
from indices import run

pytestmark = pytest.mark.limit(180)
DEBIANS = """
import os
import fuzz_files
done = []
for kind, (make, name) in fuzz_files.KINDS.items():
    if fuzz_files.lacking(kind):
        continue
    path = os.path.join(sys.argv[3], kind, name)
    os.makedirs(os.path.dirname(path))
    make(__import__("pathlib").Path(path))
    try:
        lazarr.open(path)
    except lazarr.StoreError as e:
        path += "::" + str(e).partition("arrays (")[2].partition(",")[0].partition(")")[0]
    done.append(check(path))
"""
PRECOMPUTED = """
import tensorstore as ts
V = np.random.default_rng(1).integers(0, 60000, (5, 13, 17)).astype("<u2")
SHARD = {"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1, "hash": "identity", "minishard_bits": 1,
         "shard_bits": 1, "data_encoding": "gzip"}
def volume(name, kind, encoding, v, channels=1, **more):
    t = ts.open({"driver": "neuroglancer_precomputed", "kvstore": {"driver": "file", "path": f"{sys.argv[3]}/{name}/"},
                 "multiscale_metadata": {"type": kind, "data_type": v.dtype.name, "num_channels": channels},
                 "scale_metadata": {"size": v.shape[:-4:-1], "resolution": [1, 2, 3], "voxel_offset": [5, 6, 7],
                                    "encoding": encoding, "chunk_size": [8, 8, 4], **more}}, create=True).result()
    t[...] = v.T if channels > 1 else v.T[..., None]
    return v
wanted = {"raw": volume("raw", "image", "raw", V, sharding=SHARD),
          "two": volume("two", "image", "raw", np.stack([V, V + 1]), 2, sharding=SHARD),
          "seg": volume("seg", "segmentation", "compressed_segmentation", (V % 7).astype("u8"),
                        sharding=dict(SHARD, hash="murmurhash3_x86_128"), compressed_segmentation_block_size=[8, 8, 8]),
          "jpg": volume("jpg", "image", "jpeg", np.full(V.shape, 77, "u1"))}
if sys.argv[4] == "cloudvolume":  # which is slow
    sys.modules["tensorstore"], INDICES[:] = None, INDICES[6:11]
done = [check(f"{sys.argv[3]}/{n}", v) for n, v in wanted.items()]
assert type(lazarr.open(done[0])._array).__name__.lower() == "by" + sys.argv[4]
"""


def test_kinds_that_debians_libraries_know(tmp_path):
    assert run("/usr/bin/python3", DEBIANS, tmp_path) >= 10


@pytest.mark.parametrize("library", ["tensorstore", "cloudvolume"])
def test_shards_and_pictures_through_either_library(tmp_path, library):
    python = lzr.ENVS / "readers/bin/python"
    lzr.need(python.exists(), "the environment readers of tests/clients/setup.sh")
    assert run(python, PRECOMPUTED, tmp_path, argument=library) == 4


STORE = """
import lazarr
lazarr.source("a", lambda: lazarr.open("a.h5"))
@lazarr.source("turned")
def turned():
    return lazarr.open("a.nii.gz", dtype="f4")
"""


def test_a_source_made_of_it(serve, tmp_path):
    """It has the file's chunks, and fails once that has changed."""
    h5py, nibabel = lzr.need_module("h5py"), lzr.need_module("nibabel")
    v = np.arange(6 * 7 * 8, dtype="i2").reshape(6, 7, 8)

    def write(v):
        with h5py.File(tmp_path / "new.h5", "w") as f:
            f.create_dataset("a", data=v, chunks=(2, 7, 4), compression="gzip")
        (tmp_path / "new.h5").replace(tmp_path / "a.h5")
    write(v)
    nibabel.save(nibabel.Nifti1Image(v, np.eye(4)), tmp_path / "a.nii.gz")
    srv = serve(STORE, "--workers", "1", "--cache", "0")
    assert srv.get("/zarr2/s.zarr/a/.zarray").json()["chunks"] == [2, 7, 4]
    assert (lzr.read_array(srv, "/zarr2/s.zarr/a") == v).all()
    assert (lzr.read_array(srv, "/zarr2/s.zarr/turned") == v.T).all()
    write(v + 1)
    r = srv.get("/zarr2/s.zarr/a/0.0.0")
    assert r.status == 500 and "has changed" in r.text, r
