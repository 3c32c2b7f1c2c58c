"""Every level of levels_store.py through every format that this interpreter's readers know, and
tensorstore's own downsampling of level 0 where its definition is lazarr's. Usage: URL VALUES, a folder of
NAME!LEVEL.npy. Ends with a line of JSON."""
import json
import os
import sys
from importlib.metadata import version

import numpy as np
import tensorstore as ts
import zarr

url, folder = sys.argv[1:3]
want = {}
for file in sorted(os.listdir(folder)):
    if not file.endswith(".npy"):
        continue
    name, level = file[:-4].split("!")
    want.setdefault(name, []).append(np.load(os.path.join(folder, f"{name}!{level}.npy")))
with open(os.path.join(folder, "how.json")) as f:
    how = json.load(f)
counts, wrong = {}, []


def check(reader, name, level, got, expected):
    counts[reader] = counts.get(reader, 0) + 1
    if got.shape != expected.shape or not np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f"):
        wrong.append(f"{reader}: {name} level {level}: {got.shape} {got.dtype} is not "
                     f"{expected.shape} {expected.dtype}, or its values")


def tensorstore(**spec):
    return ts.open(spec, read=True).result()


for name, values in want.items():
    axes = values[0].ndim
    for k, v in enumerate(values):
        base = f"{url}/{{}}/levels_store{{}}/{name}/{{}}{k}/"
        for driver, face, ending, prefix in (("zarr", "zarr2", ".zarr", ""), ("zarr3", "zarr3", ".zarr", ""),
                                             ("n5", "n5", ".n5", "s")):
            t = tensorstore(driver=driver, kvstore=base.format(face, ending, prefix))
            got = t.read().result()
            check(f"tensorstore {driver}", name, k, got.transpose() if driver == "n5" else got, v)
        for face in ("zarr2", "zarr3"):
            a = zarr.open_array(base.format(face, ".zarr", "").rstrip("/"), mode="r")
            check(f"zarr-python {face}", name, k, a[...], v)
    if how[name]["precomputed"]:
        for k, v in enumerate(values):
            t = tensorstore(driver="neuroglancer_precomputed", scale_index=k,
                            kvstore=f"{url}/precomputed/levels_store/{name}/")
            got = t.read().result()[..., 0].transpose()  # x y z channel
            check("tensorstore precomputed", name, k, got[0] if axes == 2 else got, v)
    # The same pyramid by tensorstore, level by level. Its mean of integers rounds halves to even where
    # lazarr rounds them up: they may differ by one there, and nowhere else.
    method = how[name]["tensorstore"]
    for k, step in enumerate(how[name]["steps"]):
        if method is None:
            break
        below = ts.array(values[k])
        got = ts.downsample(below, step, method).read().result()
        v = values[k + 1]
        counts["tensorstore downsample"] = counts.get("tensorstore downsample", 0) + 1
        if method == "mean" and v.dtype.kind in "iu":
            high = ts.downsample(ts.array(values[k].astype("f8")), step, "mean").read().result()
            ties = high % 1 == 0.5
            agree = np.array_equal(got[~ties], v[~ties]) and (v[ties] == np.floor(high[ties]) + 1).all()
        elif method == "mean":
            agree = np.allclose(got, v, rtol=1e-6, atol=1e-7)  # it sums in float32
        else:
            agree = np.array_equal(got, v)
        if not agree:
            wrong.append(f"tensorstore downsample {method}: {name} level {k + 1}")
print(json.dumps({"counts": counts, "wrong": wrong,
                  "versions": {p: version(p) for p in ("tensorstore", "zarr", "numpy")}}))
sys.exit(bool(wrong))
