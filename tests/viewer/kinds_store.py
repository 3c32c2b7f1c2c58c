"""The kinds as a lazarr store."""
import kinds
import lazarr


def _add(spec):
    more = {"axes": spec.axes, "units": spec.units, "scale": spec.scale,
            "translation": spec.translation, "kind": spec.kind} if spec.axes else \
        {"dims": tuple("zyx"[-len(spec.shape):])}
    if spec.name == "channels":
        more["channels"] = ["red", "green", {"label": "blue", "color": "0000FF"}]
    if spec.name == "labels_uint32":
        more["labels_of"] = "uint8"
    if spec.name == "raw_labels":
        more["precomputed_encoding"] = "raw"

    @lazarr.array(spec.name, shape=spec.shape, chunks=spec.chunks, dtype=spec.dtype, **more)
    def compute(block):
        return kinds.values(spec, block.start, block.stop)


for _spec in kinds.SPECS.values():
    _add(_spec)
