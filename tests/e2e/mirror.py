"""Copies a face of a running server to disk, as a reader of that format would keep it: all documents and chunks.

    mirror(srv, "n5", "s", folder)          the store s of the server; its N5 face becomes folder
"""
import itertools
import json
import subprocess

import lzr

ENDING = {"zarr2": ".zarr", "zarr3": ".zarr", "n5": ".n5", "precomputed": ""}


def describe(store, *args, **more):
    """The arrays of `lazarr describe`, by path, and what it said besides."""
    p = subprocess.run([str(a) for a in (lzr.LAZARR, "describe", store, *args)], capture_output=True, text=True,
                       timeout=60 * lzr.SLOW, env=lzr.environment(**more))
    assert p.returncode == 0, p.stderr
    return {a["path"]: a for a in json.loads(p.stdout)["arrays"]}, p.stderr


class Mirror:
    def __init__(self, srv, face, store, folder):
        self.http, self.face, self.folder = lzr.Http(srv.port), face, folder
        self.root = f"/{face}/{store}{ENDING[face]}"

    def keep(self, key, must=True):
        r = self.http.get(f"{self.root}/{key}")
        assert r.status == 200 or not must and r.status == 404, (key, r)
        if r.status == 200:
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(r.body)
        return json.loads(r.body) if r.status == 200 and path.name in (
            ".zarray", ".zattrs", "zarr.json", "attributes.json", "info") else None

    def chunks(self, folder):
        """Of one array, which its own document describes."""
        if self.face == "precomputed":
            return
        if self.face == "n5":
            doc = self.keep(f"{folder}/attributes.json")
            shape, chunk = doc["dimensions"], doc["blockSize"]
        elif self.face == "zarr2":
            doc = self.keep(f"{folder}/.zarray")
            self.keep(f"{folder}/.zattrs", False)
            shape, chunk = doc["shape"], doc["chunks"]
        else:
            doc = self.keep(f"{folder}/zarr.json")
            shape, chunk = doc["shape"], doc["chunk_grid"]["configuration"]["chunk_shape"]
        for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(shape, chunk))):
            if self.face == "zarr3":
                name = "/".join(["c", *map(str, pos)])
            elif not pos:
                name = "0"
            else:
                name = doc.get("dimension_separator", "/").join(map(str, pos))
            self.keep(f"{folder}/{name}")

    def volume(self, path):
        info = self.keep(f"{path}/info")
        for s in info["scales"]:
            spans = [[(o + a, o + min(a + c, n)) for a in range(0, n, c)]
                     for n, c, o in zip(s["size"], s["chunk_sizes"][0], s["voxel_offset"])]
            for box in itertools.product(*spans):
                self.keep("/".join([path, s["key"], "_".join(f"{a}-{b}" for a, b in box)]))

    def group(self, path):
        for name in {"zarr2": (".zgroup", ".zattrs"), "zarr3": ("zarr.json",), "n5": ("attributes.json",),
                     "precomputed": ()}[self.face]:
            self.keep(f"{path}/{name}".lstrip("/"), False)

    def array(self, a, labels):
        """An array or image, with its labels where the face has them in it."""
        if self.face == "precomputed":
            self.volume(a["path"])
        elif a["kind"] == "plain":
            self.chunks(a["path"])
        else:
            self.image(a["path"], a)
            if labels and self.face != "n5":
                self.group(f"{a['path']}/labels")
                for b in labels:
                    self.image(f"{a['path']}/labels/{b['path'].rpartition('/')[2]}", b)

    def parents(self, path):
        for depth in range(path.count("/") + 1):
            self.group("/".join(path.split("/")[:depth]))

    def image(self, folder, a):
        self.group(folder)
        for k in range(len(a["levels"])):
            self.chunks(f"{folder}/{'s' if self.face == 'n5' else ''}{k}")


def mirror(srv, face, store, folder, arrays):
    """arrays: those of `describe` that the face has, by path. Labels of an image, which the Zarr faces have twice,
    are kept in the image's labels/."""
    m = Mirror(srv, face, store, folder)
    for a in arrays.values():
        m.parents(a["path"])
        if face == "n5" or not a.get("labels_of"):
            m.array(a, [b for b in arrays.values() if b.get("labels_of") == a["path"]])
    m.http.close()
    return folder
