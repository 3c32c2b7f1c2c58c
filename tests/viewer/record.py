"""Records what Neuroglancer asks for while somebody pans over the brain: panning.json, which other
tests replay. Run by hand when that should be anew: /usr/bin/python3 tests/viewer/record.py"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lzr  # noqa: E402
from browser import ENV, Browser  # noqa: E402

FILE = HERE / "panning.json"
LAYERS = (("t1", "image"), ("aal", "segmentation"), ("gradient", "image"))
SHAPE = {"x": 181, "y": 217, "z": 181}
STEPS = 60  # frames from one point to the next

# From corner to corner through the brain and back across it, in fractions of the shape, x y z.
POINTS = ((0.1, 0.1, 0.2), (0.9, 0.5, 0.2), (0.5, 0.9, 0.5), (0.5, 0.2, 0.9), (0.1, 0.8, 0.4))


def path():
    """Positions, one a frame, in voxels of the world of zarr3."""
    corner = {"x": -90.5, "y": -126.5, "z": -72.5}
    for a, b in zip(POINTS, POINTS[1:]):
        for i in range(STEPS):
            at = [p + (q - p) * i / STEPS for p, q in zip(a, b)]
            yield [round(corner[x] + at[k] * SHAPE[x], 2) for k, x in enumerate("xyz")]


def pan(browser, srv):
    """Opens the brain near one corner, zoomed in so that a view needs few chunks, and pans."""
    state = {"dimensions": {a: [0.001, "m"] for a in "xyz"}, "position": next(path()),
             "crossSectionScale": 1 / 8, "layout": "xy",
             "layers": [{"type": kind, "name": name, "source":
                         f"zarr3://{srv.url}/zarr3/brain.zarr/{name}/"} for name, kind in LAYERS]}
    return browser.open(state, srv.url, "panning", path=list(path()))


def main():
    browser = Browser()
    with lzr.Server([lzr.ROOT / "examples" / "brain.py"], "--no-access-log") as srv:
        look = pan(browser, srv).check()
    browser.close()
    package = json.loads((ENV / "node_modules/neuroglancer/package.json").read_text())
    first = look.requests[0]["ms"]
    head = {"what": "requests of Neuroglancer that opens the brain and pans: [ms, method, path]",
            "made_by": "tests/viewer/record.py", "neuroglancer": package["version"],
            "chromium": browser.version, "store": "examples/brain.py",
            "pan_begins_ms": look.panned - first}
    lines = [json.dumps([r["ms"] - first, r["method"], r["path"]]) for r in look.requests]
    text = json.dumps(head, indent=2)[:-2] + ',\n  "requests": [\n    ' + ",\n    ".join(lines)
    FILE.write_text(text + "\n  ]\n}\n")
    print(f"{len(lines)} requests in {look.requests[-1]['ms'] - first} ms")


if __name__ == "__main__":
    main()
