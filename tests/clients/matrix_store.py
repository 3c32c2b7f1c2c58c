"""The matrix as a lazarr store."""
import lazarr
import matrix


def _codec(c):
    if c is None:
        return None
    return {"blosc": lazarr.Blosc, "zstd": lazarr.Zstd, "gzip": lazarr.Gzip}[c[0]](*c[1:])


def _add(spec):
    @lazarr.array(spec.name, shape=spec.shape, chunks=spec.chunks, dtype=spec.dtype,
                  compressor=_codec(spec.codec), fill_value=spec.fill, separator=spec.separator,
                  dims=tuple(f"{spec.name.replace('/', '_')}_{i}" for i in range(len(spec.shape))))
    def compute(block):
        return matrix.values(spec, block.start, block.stop)


for _spec in matrix.SPECS:
    _add(_spec)
