"""What the contract of N5, BigDataViewer, precomputed and OME-NGFF is tested with; only reads."""
import lazarr
import numpy as np

PLACED = {"axes": "zyx", "units": "micrometer", "scale": (2, 0.5, 0.25), "translation": (10, 20, -30)}


def values(start, stop):
    """At (…, z, y, x): 10000 z + 100 y + x, and 1000000 for each step of what stands before."""
    out = 0
    for i, (a, b) in enumerate(zip(start[::-1], stop[::-1])):
        out = out + (np.arange(a, b) * (1, 100, 10000, 1000000)[min(i, 3)]).reshape((-1,) + (1,) * i)
    return out


def add(name, shape, chunks, dtype, **more):
    @lazarr.array(name, shape=shape, chunks=chunks, dtype=dtype, **more)
    def compute(block):
        return (values(block.start, block.stop) % 65536).astype(dtype)


add("img", (20, 30, 40), (8, 16, 32), "uint16", levels=2, **PLACED)
add("seg", (20, 30, 40), (8, 16, 32), "uint32", kind="labels", labels_of="img", **PLACED)
add("czyx", (3, 9, 10, 11), (2, 8, 8, 8), "uint16", axes="czyx", units="nanometer",
    channels=["red", {"label": "green", "color": "00ff00", "active": False,
                      "window": {"min": 0, "max": 4095, "start": 10, "end": 99.5}}, "blue"])
add("tczyx", (2, 2, 3, 4, 5), (1, 1, 2, 2, 2), "float32", axes="tczyx", channels=["a", "b"],
    units=("second", None, "micrometer", "micrometer", "micrometer"))
add("yx", (33, 47), (16, 16), "int16", axes="yx", units="nanometer", scale=(4, 8), n5_compressor=None)
add("alone", (8, 8, 8), 8, "uint8", axes="zyx")
add("line", (10,), (4,), "int32", dims=("x",))
add("flat", (9, 7), (4, 4), "uint8", n5_compressor=None)
add("box", (5, 6, 7), (2, 3, 4), ">u4", n5_compressor=None)
add("deep/er/box", (5, 6, 7), (2, 3, 4), "float32", attributes={"mine": 1, "dimensions": [9], "axes": ["q"]})
add("four", (2, 3, 4, 5), (2, 2, 2, 2), "uint8")
add("scalar", (), (), "int32")
add("empty", (0, 5), (2, 2), "uint8")
add("bits", (9, 7), (4, 4), "bool")
add("half", (9, 7), (4, 4), "float16")
add("wide", (9, 7), (4, 4), "float64")
add("long", (9, 7), (4, 4), "int64")
add("cplx", (9, 7), (4, 4), "complex64")
