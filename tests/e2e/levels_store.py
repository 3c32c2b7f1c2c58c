"""The images of levels_images.py as a store."""
import lazarr
from levels_images import IMAGES, of_level, whole


def add(name):
    shape, chunks, dtype, more = IMAGES[name]
    values = None if name == "each" else whole(name)

    @lazarr.array(name, shape=shape, chunks=chunks, dtype=dtype, **more)
    def block(b):
        if name == "each":
            return of_level(b.coords(), b.scale).astype(dtype)
        return values[b.slices]


for _name in IMAGES:
    add(_name)
