"""OME-Zarr readers over the images of formats.py: ome-zarr-models (validates), ome-zarr-py, ngff-zarr,
napari-ome-zarr (without a window). Usage: URL FACE READER"""
import logging
import sys
import warnings
from importlib.metadata import version

import formats
import matrix
import numpy as np
import zarr

url, face, reader = sys.argv[1:4]
report = matrix.Report()
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
HOME = f"{url}/{face}/formats_store.zarr"
IMAGES = [s for s in formats.SPECS if formats.image(s)]


def labels_of(spec):
    return [s for s in IMAGES if s.more.get("labels_of") == spec.name]


def units(spec):
    given = spec.more.get("units")
    return [None if a == "c" else given if isinstance(given, str) and a in "zyx" else None
            if not isinstance(given, tuple) else given[i] for i, a in enumerate(spec.axes)]


def places(spec, k):
    """Scale and translation of level k: its voxels are centred on those that they are made of."""
    scale = spec.more.get("scale", (1,) * len(spec.axes))
    at = spec.more.get("translation", (0,) * len(spec.axes))
    f = [2 ** k if a in "zyx" else 1 for a in spec.axes]
    return [s * n for s, n in zip(scale, f)], [t + s * (n - 1) / 2 for t, s, n in zip(at, scale, f)]


def expect(name, got, want):
    assert got == want, f"{name}: {got}, not {want}"


def transformations(spec, k, given):
    scale, translation = given
    expect("types", (scale["type"], translation["type"]), ("scale", "translation"))
    expect("placement", [list(scale["scale"]), list(translation["translation"])],
           [list(p) for p in places(spec, k)])


def channels(spec):
    """Label, colour, window, whether it is shown, of channels; None of an image without."""
    given = spec.more.get("channels")
    if given is None:
        return None
    low, high = (0, 1) if spec.dtype.kind == "f" else (np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max)
    out = []
    for c, colour in zip(given, ("00FF00", "FF00FF", "00FFFF")):
        c = {"label": c} if isinstance(c, str) else c
        w = c.get("window", {"min": low, "max": high, "start": low, "end": high})
        out.append((c["label"], c.get("color", colour), w, c.get("active", True)))
    return out


# -------------------------------------------------------------------------------- ome-zarr-models

def models(spec, at, labels):
    """Its types hold the whole specification; values through the arrays that it opened."""
    from ome_zarr_models import open_ome_zarr
    group = zarr.open_group(at, mode="r")
    model = open_ome_zarr(group)
    version = {"zarr2": "v04", "zarr3": "v05"}[face]
    kind = "image_label" if spec.more.get("kind") == "labels" else "image"
    expect("model", type(model).__module__, f"ome_zarr_models.{version}.{kind}")
    # Every level is there and opens; the library compares its own idea of the hierarchy with it.
    attributes = getattr(model, "ome_attributes", None) or model.attributes
    multiscale, = attributes.multiscales
    expect("name", multiscale.name, spec.name.split("/")[-1])
    types = {"t": "time", "c": "channel"}
    expect("axes", [(a.name, a.type, a.unit) for a in multiscale.axes],
           [(a, types.get(a, "space"), u) for a, u in zip(spec.axes, units(spec))])
    for k, d in enumerate(multiscale.datasets):
        expect("path", d.path, str(k))
        transformations(spec, k, [t.model_dump() for t in d.coordinateTransformations])
    if face == "zarr2":
        omero = attributes.omero
    else:  # its model of 0.5 has no omero; that of 0.4 is the same
        from ome_zarr_models.v04.omero import Omero
        given = group.attrs["ome"].get("omero")
        omero = given and Omero(**given)
    expect("omero", omero and [(c.model_dump()["label"], c.color, c.window.model_dump(),
                                c.model_dump()["active"]) for c in omero.channels], channels(spec))
    if kind == "image_label":
        source = attributes.image_label.source
        expect("source", source and source.image, "../../" if labels else None)
    names = [s.name.split("/")[-1] for s in labels_of(spec)]
    if names and not labels:
        listed = open_ome_zarr(zarr.open_group(f"{at}/labels", mode="r"))
        listed = getattr(listed, "ome_attributes", None) or listed.attributes
        expect("labels", list(listed.labels), names)
    return [group[d.path][...] for d in multiscale.datasets]


# ------------------------------------------------------------------------------------ ome-zarr-py

def ome_zarr(spec, at, labels):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import OMERO, Label, Labels, Multiscales, Reader
    nodes = list(Reader(parse_url(at))())
    here = next(n for n in nodes if n.zarr.path.rstrip("/") == at)
    names = [s.name.split("/")[-1] for s in labels_of(spec)]
    if not labels:  # from there it also finds the image and all its labels
        expect("labels", [n.metadata["name"] for n in nodes[1:] if any(isinstance(s, Label) for s in n.specs)],
               names)
        expect("nodes", len(nodes), 2 + len(names) if names else 1)
    kinds = {type(s) for s in here.specs}
    want = {Multiscales} | ({OMERO} if channels(spec) else set())
    expect("kinds", kinds, want | ({Label} if spec.more.get("kind") == "labels" else set()))
    expect("axes", [(a["name"], a.get("unit")) for a in here.metadata["axes"]],
           list(zip(spec.axes, units(spec))))
    for k, given in enumerate(here.metadata["coordinateTransformations"]):
        transformations(spec, k, given)
    if channels(spec):
        expect("names", here.metadata["channel_names"], [c[0] for c in channels(spec)])
        expect("limits", here.metadata["contrast_limits"],
               [[c[2]["start"], c[2]["end"]] for c in channels(spec)])
        expect("visible", here.metadata["visible"], [c[3] for c in channels(spec)])
    assert Labels not in kinds
    return [d.compute() for d in here.data]


# -------------------------------------------------------------------------------------- ngff-zarr

def ngff_zarr(spec, at, labels):
    import ngff_zarr
    m = ngff_zarr.from_ngff_zarr(at, validate=True)
    for k, image in enumerate(m.images):
        scale, translation = places(spec, k)
        expect("dims", tuple(image.dims), tuple(spec.axes))
        expect("scale", [image.scale[a] for a in spec.axes], scale)
        expect("translation", [image.translation[a] for a in spec.axes], translation)
        expect("units", [image.axes_units[a] for a in spec.axes], units(spec))
    omero = m.metadata.omero
    expect("omero", omero and [(c.label, c.color, {k: getattr(c.window, k) for k in ("min", "max", "start", "end")})
                               for c in omero.channels], channels(spec) and [c[:3] for c in channels(spec)])
    return [i.data.compute() for i in m.images]


# --------------------------------------------------------------------------------- napari-ome-zarr

def napari(spec, at, labels):
    from napari_ome_zarr import napari_get_reader
    layers = napari_get_reader(at)(at)
    # A layer for each channel, also of those that have no name.
    own = channels(spec) or [None] * (spec.shape[spec.axes.index("c")] if "c" in spec.axes else 1)
    extra = [] if labels else labels_of(spec)
    expect("layers", [(m["name"], kind) for _, m, kind in layers],
           [(f"{spec.name.split('/')[-1]}: {c[0]}" if c else spec.name.split("/")[-1], "image") for c in own]
           + [(s.name.split("/")[-1], "labels") for s in extra])
    axes = [a for a in spec.axes if a != "c"]
    scale = [s for s, a in zip(places(spec, 0)[0], spec.axes) if a in axes]
    for (data, meta, _), c in zip(layers, own + [None] * len(extra)):
        expect("axes", list(meta["axis_labels"]), axes)
        expect("scale", list(meta["scale"]), scale)
        if c:
            expect("limits", list(meta["contrast_limits"]), [c[2]["start"], c[2]["end"]])
            expect("visible", meta["visible"], c[3])
            top = meta["colormap"].colors[-1][:3]
            expect("colour", "".join(f"{round(255 * float(v)):02X}" for v in top), c[1])
    for (data, _, _), s in zip(layers[len(own):], extra):
        for k, want in enumerate(formats.levels(s)):
            expect("values of labels", matrix.same(np.asarray(data[k]), want), True)
    out = [[np.asarray(d) for d in (data if isinstance(data, (list, tuple)) else [data])]
           for data, _, _ in layers[:len(own)]]
    if "c" not in spec.axes:
        return out[0]
    return [np.stack(level, spec.axes.index("c")) for level in zip(*out)]


READ = {"ome-zarr-models": models, "ome-zarr": ome_zarr, "ngff-zarr": ngff_zarr, "napari-ome-zarr": napari}


def look(name, spec, at, labels):
    want = formats.levels(spec)

    def read():
        got = READ[reader](spec, at, labels)
        expect("levels", len(got), len(want))
        for k, (g, w) in enumerate(zip(got, want)):
            expect(f"values of level {k}", matrix.same(g, w), True)
        return got[0]
    if reader == "napari-ome-zarr" and spec.more.get("kind") == "labels":
        report.cannot(name, "napari-ome-zarr opens labels with their image only", read, want[0])
    else:
        report.check(name, read, want[0])


for spec in IMAGES:
    look(spec.name, spec, f"{HOME}/{spec.name}", False)
    image = spec.more.get("labels_of")
    if image:
        name = spec.name.split("/")[-1]
        look(f"{image}/labels/{name}", spec, f"{HOME}/{image}/labels/{name}", True)
report.end({reader: version(reader), "zarr": zarr.__version__})
