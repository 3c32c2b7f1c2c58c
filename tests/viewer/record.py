"""Records what Neuroglancer asks for while somebody pans: panning.json over the brain, every chunk of
which comes at once, and panning_slow.json over the Julia set of examples/fractal.py, whose chunks take
longer than the view stays, so that Neuroglancer takes requests back. Other tests replay them:

    "requests": [[ms, method, path, taken_back_ms], ...]

in the order they were sent, from the first one on. ms is when the viewer asked (the browser then keeps
6 connections to one server busy, and sends the next when one is free); taken_back_ms is when it took the
request back, or null. Run by hand when they should be made anew:

    /usr/bin/python3 tests/viewer/record.py [brain | julia]
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402
from browser import ENV, Browser  # noqa: E402

STEPS = 60  # of 25 ms from one point to the next


class Tour:
    """A way through a store. points: fractions of the shape, x y z."""

    def __init__(self, file, store, layers, shape, corner, scale, zoom, points, downloads, workers):
        self.file, self.store, self.layers = HERE / file, store, layers
        self.shape, self.corner, self.scale, self.zoom = shape, corner, scale, zoom
        self.points, self.downloads, self.workers = points, downloads, workers

    def path(self):
        """Positions, one every 25 ms, in voxels of the world of zarr3."""
        for a, b in zip(self.points, self.points[1:]):
            for i in range(STEPS):
                at = [p + (q - p) * i / STEPS for p, q in zip(a, b)]
                yield [round(c + f * n, 2) for c, f, n in zip(self.corner, at, self.shape)]

    def state(self, srv):
        return {"dimensions": {a: self.scale for a in "xyz"}, "position": next(self.path()),
                "crossSectionScale": self.zoom, "layout": "xy", **self.downloads,
                "layers": [{"type": kind, "name": name, "source":
                            f"zarr3://{srv.url}/zarr3/{self.store}.zarr/{name}/"}
                           for name, kind in self.layers]}

    def serve(self):
        return lzr.Server([lzr.ROOT / "examples" / f"{self.store}.py"], "--no-access-log",
                          "--workers", str(self.workers))

    def pan(self, browser, srv):
        """Opens the store at the first point, zoomed in so that a view needs few chunks, and pans."""
        return browser.open(self.state(srv), srv.url, self.file.stem, path=list(self.path()),
                            seconds=300 * lzr.SLOW)


BRAIN = Tour("panning.json", "brain", (("t1", "image"), ("aal", "segmentation"),
                                       ("gradient", "image")),
             (181, 217, 181), (-90.5, -126.5, -72.5), [0.001, "m"], 1 / 8,
             # From corner to corner through the brain and back across it.
             ((0.1, 0.1, 0.2), (0.9, 0.5, 0.2), (0.5, 0.9, 0.5), (0.5, 0.2, 0.9), (0.1, 0.8, 0.4)),
             {}, 2)
JULIA = Tour("panning_slow.json", "fractal", (("julia", "image"),),
             (4096, 4096, 4096), (-0.5, -0.5, -0.5), [1e-6, "m"], 1 / 3,
             ((0.30, 0.40, 0.5), (0.60, 0.45, 0.5), (0.55, 0.62, 0.5), (0.40, 0.55, 0.52)),
             {"concurrentDownloads": 8}, 1)  # as in our links
TOURS = {"brain": BRAIN, "julia": JULIA}


def record(browser, tour):
    with tour.serve() as srv:
        look = tour.pan(browser, srv).check(aborts=True)
    package = json.loads((ENV / "node_modules/neuroglancer/package.json").read_text())
    first = look.requests[0]["ms"]
    head = {"what": "requests of Neuroglancer that opens a store and pans: "
                    "[ms, method, path, ms when it took it back or null]",
            "made_by": "tests/viewer/record.py", "neuroglancer": package["version"],
            "chromium": browser.version, "store": f"examples/{tour.store}.py",
            "pan_begins_ms": look.panned - first, "pan_ends_ms": look.pan_ended - first}
    lines = [json.dumps([r["ms"] - first, r["method"], r["path"],
                         r["ended"] - first if r.get("failed") else None]) for r in look.requests]
    text = json.dumps(head, indent=2)[:-2] + ',\n  "requests": [\n    ' + ",\n    ".join(lines)
    tour.file.write_text(text + "\n  ]\n}\n")
    taken_back = sum(bool(r.get("failed")) for r in look.requests)
    print(f"{tour.file.name}: {len(lines)} requests in {look.requests[-1]['ms'] - first} ms, "
          f"{taken_back} taken back")


def main():
    browser = Browser()
    for name in sys.argv[1:] or TOURS:
        record(browser, TOURS[name])
    browser.close()


if __name__ == "__main__":
    main()
