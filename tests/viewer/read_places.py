"""Where ome-zarr-py and tensorstore say that a voxel of each level lies. Usage: URL NAME...; prints
{reader: {name: [per level: its place, z first]}}, places in the image's own units: ome-zarr-py's of the
voxel's centre, tensorstore's of its corner. The voxel is (3, 2, 1), z first."""
import json
import sys

import tensorstore as ts
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

VOXEL = (3, 2, 1)
url, names = sys.argv[1], sys.argv[2:]
out = {}


def say(reader, name, place):
    out.setdefault(reader, {}).setdefault(name, []).append([float(v) for v in place])


def in_micrometres(unit, size):
    """tensorstore's units are text and a number: "um", "nm"; none counts as micrometres."""
    return size * {"um": 1, "nm": 1e-3, "": 1}[unit]


for name in names:
    for face in ("zarr2", "zarr3"):
        node = next(iter(Reader(parse_url(f"{url}/{face}/levels_store.zarr/{name}"))()))
        for level, data in zip(node.metadata["coordinateTransformations"], node.data):
            kinds = {t["type"]: t[t["type"]] for t in level}
            assert data.ndim == 3
            say(f"ome-zarr-py {face}", name, [s * v + t for s, v, t in
                                              zip(kinds["scale"], VOXEL, kinds["translation"])])
    levels = len(node.data)
    for k in range(levels):
        n5 = ts.open({"driver": "n5", "kvstore": f"{url}/n5/levels_store.n5/{name}/s{k}/"},
                     read=True).result()
        pre = ts.open({"driver": "neuroglancer_precomputed", "scale_index": k,
                       "kvstore": f"{url}/precomputed/levels_store/{name}/"}, read=True).result()
        for reader, t in (("tensorstore n5", n5), ("tensorstore precomputed", pre)):
            units = [(u.base_unit, u.multiplier) if u is not None else ("", 1)
                     for u in t.dimension_units[:3]]
            corner = t.domain.inclusive_min[:3]
            say(reader, name, [(o + v) * in_micrometres(*u) for o, v, u in
                               zip(corner, VOXEL[::-1], units)][::-1])
print(json.dumps(out))
