"""Random graphs of arrays, and what they must hold: a NumPy computation of whole arrays that knows nothing
of lazarr. test_b_dags.py serves them; tests/python/test_dags.py computes them without a server.

    nodes = make(seed)                  a list of Node: shapes, chunks, inputs ..., all decided
    define(nodes, prefix)               the same as lazarr arrays, in the store that is being loaded
    Reference(nodes).level(i, k)        level k of nodes[i], as one array

A graph's functions are one stencil: of each input the sum of three shifted copies of the region, by
which a wrong halo, crop, boundary, level, slice or axis shows in every voxel.
"""
import itertools
import random
from dataclasses import dataclass, field

import numpy as np

DTYPES = ["?", "u1", "i1", "u2", ">u2", "i4", ">i4", "u4", "i8", ">u8", "f2", "f4", ">f4", "f8", "c8", ">c16"]
BOUNDARIES = ["constant", "edge", "reflect", "symmetric", "wrap"]
PYRAMIDS = ["mean", "mode", "max", "min", "stride"]


@dataclass
class Edge:
    node: int
    level: int
    axes: list           # per axis of the input: own axis, or None
    fixed: list          # per axis: None, an int or (start, stop), at `level`
    halo: list           # (lower, upper) per axis
    boundary: str
    parameters: dict = field(default_factory=dict)  # how lazarr.Input is told


@dataclass
class Node:
    shape: tuple
    chunks: tuple
    dtype: np.dtype
    names: tuple         # axis names or None
    image: bool
    fill: object
    factors: list        # cumulative, per level
    pyramid: str
    op: str              # "source", "made", "stencil", "trim"
    seed: int
    edges: list = field(default_factory=list)
    parameters: dict = field(default_factory=dict)  # how lazarr.array is told

    def level_shape(self, k):
        shape = self.shape
        for a, b in zip(self.factors[:k], self.factors[1:k + 1]):
            shape = tuple(-(-n * x // y) for n, x, y in zip(shape, a, b))
        return shape

    def runs(self):
        return len(self.factors) if self.pyramid == "each" else 1


def edge_fixed(nodes, e, i, k):
    """What is read of a fixed axis on own level k: whole axes stay whole, parts are scaled."""
    other = nodes[e.node]
    level = e.level + k if any(a is not None for a in e.axes) else e.level
    f = other.factors[level][i] // other.factors[e.level][i]
    n = other.level_shape(level)[i]
    if isinstance(e.fixed[i], int):
        return e.fixed[i] // f, e.fixed[i] // f + 1
    start, stop = e.fixed[i]
    return start // f, min(n, -(-stop // f))


# ------------------------------------------------------------------------------- making

def _values(rng, shape, dt):
    if dt.kind == "b":
        return rng.random(shape) > 0.5
    if dt.kind in "iu":
        i = np.iinfo(dt)
        return rng.integers(max(i.min, -2 ** 40), min(i.max, 2 ** 40), shape).astype(dt)
    if dt.kind == "f":
        return (rng.integers(-400, 400, shape) / 8).astype(dt)
    return (rng.integers(-400, 400, shape) / 8 + 1j * rng.integers(-400, 400, shape) / 8).astype(dt)


def data(node):
    """The values of a source or of a function without inputs."""
    return _values(np.random.default_rng(node.seed), node.shape, node.dtype)


def _fill(r, dt):
    if r.random() < 0.6:
        return None
    return {"b": True, "f": -2.5, "c": complex(1, -2)}.get(dt.kind, r.randrange(1, 100))


def _holds(dt, v):
    """Whether a dtype has one of _fill's values."""
    if dt.kind == "b":
        return v in (0, 1)
    if isinstance(v, complex):
        return dt.kind == "c"
    return dt.kind in "fc" or isinstance(v, (bool, int))


def _chunks(r, shape):
    return tuple(r.randint(max(1, n // 4), max(1, n // 2) if r.random() < 0.7 else n + 2) for n in shape)


def _levels(r, node, steps=None):
    """Cumulative factors out of a step for each level but the first."""
    out = [(1,) * len(node.shape)]
    for s in steps if steps is not None else []:
        out.append(tuple(a * b for a, b in zip(out[-1], s)))
    return out


def _random_steps(r, node):
    n = r.choice([0, 0, 1, 2]) if node.image else 0
    return [tuple(r.choice([1, 2, 2, 3]) for _ in node.shape) for _ in range(n)]


def _names(r, rank):
    """(names, image): an image where it can be one."""
    if rank >= 2 and r.random() < 0.6:
        pool = ["zyx", "yx"] if rank == 2 else ["zyx"]
        spatial = r.choice([p for p in pool if len(p) <= rank])[-rank:]
        extra = sorted(r.sample("tc", rank - len(spatial)), key="tc".index) if rank - len(spatial) <= 2 else None
        if extra is not None:
            return tuple(extra) + tuple(spatial), True
    return (tuple("abcdefgh"[:rank]) if r.random() < 0.5 else None), False


def _pick_pyramid(r, dt, image_levels):
    if image_levels == 1:
        return None
    return r.choice(["mean", "stride"] if dt.kind == "c" else PYRAMIDS)


def _leaf(r, nodes, base):
    """A source, or a function of the place alone."""
    shape = base if r.random() < 0.7 else tuple(r.randint(1, 12) for _ in range(r.randint(1, 3)))
    dt = np.dtype(r.choice(DTYPES))
    names, image = _names(r, len(shape))
    node = Node(shape, _chunks(r, shape), dt, names, image, _fill(r, dt), [], None,
                r.choice(["source", "source", "made"]), r.randrange(2 ** 32))
    steps = _random_steps(r, node)
    node.factors = _levels(r, node, steps)
    node.pyramid = _pick_pyramid(r, dt, len(node.factors))
    p = dict(chunks=node.chunks, fill_value=node.fill)
    p["axes" if image else "dims"] = names
    if node.op == "made":
        p.update(shape=shape, dtype=dt)
    if steps:
        p.update(factors=steps, pyramid=node.pyramid)
    node.parameters = {k: v for k, v in p.items() if v is not None}
    return node


def _halo(r, edge, ranked):
    """Random context; and as Input or array is told it."""
    kind = r.choice(["none", "int", "pairs", "far"])
    if kind == "int":
        h = r.randint(1, 3)
        edge.halo = [(h, h) if a is not None else (0, 0) for a in edge.axes]
        edge.parameters["halo"] = h
    elif kind in ("pairs", "far"):
        most = 4 if kind == "pairs" else 17
        edge.halo = [(0, 0) if isinstance(f, int) else (r.randint(0, most), r.randint(0, 3))
                     for f in edge.fixed]
        edge.parameters["halo"] = tuple(edge.halo)
    else:
        edge.halo = [(0, 0)] * ranked
    edge.boundary = r.choice(BOUNDARIES)
    edge.parameters["boundary"] = edge.boundary


def _fix(r, n):
    if r.random() < 0.4:
        return r.randrange(n)
    start = r.randrange(n)
    return (start, r.randint(start + 1, n)) if r.random() < 0.7 else (0, n)


def _select(edge, names, explicit):
    """select as a tuple for lazarr.Input."""
    out = []
    for own, f in zip(edge.axes, edge.fixed):
        if own is None:
            out.append(f if isinstance(f, int) else slice(*f))
        else:
            out.append(names[own] if names and explicit != "number" else str(own))
    edge.parameters["select"] = tuple(out)


def _first(r, nodes, i):
    """The first input: which of its axes the array takes over, in which order."""
    other = nodes[i]
    rank = len(other.shape)
    e = Edge(i, r.randrange(len(other.factors)), [], [], [], "constant")
    lengths = other.level_shape(e.level)
    plain = r.random() < 0.5
    follows = [k for k in range(rank) if plain or r.random() < 0.75] or [r.randrange(rank)]
    e.axes = [follows.index(k) if k in follows else None for k in range(rank)]
    e.fixed = [None if k in follows else _fix(r, lengths[k]) for k in range(rank)]
    if e.level or r.random() < 0.3:
        e.parameters["level"] = e.level
    return e, follows, lengths


def _op(r, nodes):
    e, follows, lengths = _first(r, nodes, r.randrange(len(nodes)))
    other = nodes[e.node]
    names = tuple(other.names[k] for k in follows) if other.names else None
    image = other.image and {"y", "x"} <= set(names)
    shape = tuple(lengths[k] for k in follows)
    dt = other.dtype if r.random() < 0.4 else np.dtype(r.choice(DTYPES))
    node = Node(shape, tuple(other.chunks[k] for k in follows), dt, names, image, _fill(r, dt), [], None,
                "stencil", r.randrange(2 ** 32))
    p = {"dtype": dt} if dt != other.dtype or r.random() < 0.3 else {}
    if node.fill is not None:
        p["fill_value"] = node.fill
    elif other.fill is not None and _holds(dt, other.fill):
        node.fill = other.fill  # the first input's
    if r.random() < 0.5:
        node.chunks = _chunks(r, shape)
        p["chunks"] = node.chunks
    if r.random() < 0.2:
        p["shape"] = shape
    if len(follows) < len(other.shape):
        _select(e, names, "name")
    _halo(r, e, len(other.shape))
    node.edges = [e]
    node.edges += [x for x in (_further(r, nodes, node) for _ in range(r.choice([0, 0, 1, 1, 2, 3]))) if x]
    steps = [tuple(b // a for a, b in zip(x, y)) for x, y in
             zip(other.factors[e.level:], other.factors[e.level + 1:])] if image else []
    steps = [tuple(s[k] for k in follows) for s in steps]
    if image and r.random() < 0.3:
        steps = _random_steps(r, node)
        if steps:
            p.update(levels=len(steps) + 1, factors=steps)
        else:
            p.update(levels=1)
    node.factors = _levels(r, node, steps)
    if len(node.factors) > 1:
        node.pyramid = "each"
        if not _has_levels(nodes, node):
            node.pyramid = "mean"
        if r.random() < 0.3:
            node.pyramid = _pick_pyramid(r, dt, len(node.factors))
            p["pyramid"] = node.pyramid
    if r.random() < 0.25 and all(f is None for f in e.fixed):
        node.op = "trim"
        node.edges = node.edges[:1]
        if node.pyramid == "mean" and "pyramid" not in p and _has_levels(nodes, node):
            node.pyramid = "each"
    if r.random() < 0.3:
        p["compressor"] = None
    node.parameters = p
    return node


def _has_levels(nodes, node):
    """Whether the function can run on every level."""
    for e in node.edges:
        other = nodes[e.node]
        if all(a is None for a in e.axes):
            continue
        for k in range(len(node.factors)):
            if e.level + k >= len(other.factors):
                return False
            shape = other.level_shape(e.level + k)
            if any(a is not None and shape[i] != node.level_shape(k)[a] for i, a in enumerate(e.axes)):
                return False
    return True


def _further(r, nodes, node):
    """Another input: its axes follow own axes of the same length, others are fixed."""
    i = r.randrange(len(nodes))
    other = nodes[i]
    e = Edge(i, r.randrange(len(other.factors)), [], [], [], "constant")
    lengths = other.level_shape(e.level)
    free = list(range(len(node.shape)))
    for n in lengths:
        match = [k for k in free if node.shape[k] == n and r.random() < 0.85]
        e.axes.append(r.choice(match) if match else None)
        if match:
            free.remove(e.axes[-1])
        e.fixed.append(None if match else _fix(r, n))
    if e.level:
        e.parameters["level"] = e.level
    _select(e, node.names, r.choice(["name", "number"]))
    _halo(r, e, len(lengths))
    return e


def make(seed):
    r = random.Random(seed)
    base = tuple(r.randint(1, 22) for _ in range(r.choice([1, 2, 2, 3])))
    nodes = [_leaf(r, [], base) for _ in range(r.randint(1, 2))]
    for _ in range(r.randint(3, 6)):
        nodes.append(_op(r, nodes))
    return nodes


# ------------------------------------------------------------------------- the functions

def whole(a):
    """Any values as int64: eighths of floats, real and imaginary parts together."""
    with np.errstate(all="ignore"):
        if a.dtype.kind == "c":
            return np.floor(a.real * 8).astype("i8") + 3 * np.floor(a.imag * 8).astype("i8")
        if a.dtype.kind == "f":
            return np.floor(a.astype("f8") * 8).astype("i8")
        return a.astype("i8")


def fit(v, dt):
    """int64 to a dtype, so that every voxel counts and no value needs rounding."""
    if dt.kind == "b":
        return v % 2 == 1
    if dt.kind in "iu":
        i = np.iinfo(dt)
        low, high = max(i.min, -2 ** 40), min(i.max, 2 ** 40)
        return (v % (high - low + 1) + low).astype(dt)
    v = v % 1000 - 500
    return (v / 8).astype(dt) if dt.kind == "f" else (v / 8 - 1j * (v % 7)).astype(dt)


def stencil(regions, edges, shape):
    """regions: each edge's region with its halo, dropped axes gone; shape: the block's."""
    out = np.zeros(shape, "i8")
    for weight, (a, e) in enumerate(zip(regions, edges), 2):
        a = whole(a)
        kept = [i for i, f in enumerate(e.fixed) if not isinstance(f, int)]
        parts = [a]
        for place in ("low", "high", "middle"):
            cut = []
            for axis, i in enumerate(kept):
                low, high = e.halo[i]
                n = a.shape[axis] - low - high
                at = {"low": 0, "high": low + high, "middle": low}[place]
                cut.append(slice(at, at + n) if e.axes[i] is not None else slice(None))
            parts.append(a[tuple(cut)])
        v = parts[1] + 3 * parts[2] + 5 * parts[3]
        follows = [e.axes[i] for i in kept if e.axes[i] is not None]
        v = v.sum(axis=tuple(k for k, i in enumerate(kept) if e.axes[i] is None), dtype="i8")
        v = v.transpose(np.argsort(follows)) if follows else v
        out += weight * v.reshape([shape[k] if k in follows else 1 for k in range(len(shape))])
    return out


# ------------------------------------------------------------------------------ in lazarr

def define(nodes, prefix):
    """The graph as arrays; the last inputs are given by path, so that both ways are used."""
    import lazarr
    made = []
    for i, node in enumerate(nodes):
        path = f"{prefix}/n{i}"
        if node.op == "source":
            made.append(lazarr.source(path, data(node), **node.parameters))
            continue
        if node.op == "made":
            def function(block, node=node):
                block.data = data(node)[block.slices]
            made.append(lazarr.array(path, **node.parameters)(function))
            continue
        inputs = [lazarr.Input(made[e.node] if k % 2 == 0 else f"{prefix}/n{e.node}", **e.parameters)
                  for k, e in enumerate(node.edges)]

        def function(block, *regions, node=node):
            assert [a.shape for a in regions] == [a.shape for a in block.inputs]
            if node.op == "trim":
                out = fit(whole(regions[0]) * 5 + 1, node.dtype)
            else:
                out = fit(stencil(regions, node.edges, block.shape), node.dtype)
            for a in regions:
                a[...] = 1  # its own: nobody else may see it
            return out
        made.append(lazarr.array(path, inputs=inputs, **node.parameters)(function))
    return made


# ------------------------------------------------------------------------------ reference

def pad(a, halo, boundary, fill):
    """numpy.pad, by laying tiles side by side: older NumPys wrap wrongly beyond one array's length."""
    for axis, (low, high) in enumerate(halo):
        n = a.shape[axis]
        if boundary == "constant":
            shape = [(low, high) if k == axis else (0, 0) for k in range(a.ndim)]
            a = np.pad(a, shape, "constant", constant_values=fill)
            continue
        order = list(range(n))
        if boundary == "edge" or n == 1:
            places = [0] * low + order + [n - 1] * high
        else:
            tile = {"wrap": order, "symmetric": order + order[::-1], "reflect": order + order[-2:0:-1]}[boundary]
            left = -(-low // len(tile)) * len(tile)
            many = tile * (left // len(tile) + (n + high) // len(tile) + 1)
            places = many[left - low: left + n + high]
        a = np.take(a, places, axis)
    return a


def reduce(a, step, method):
    """One level from the one below, window by window, all windows at once."""
    if method == "stride":
        return a[tuple(slice(None, None, f) for f in step)]
    shape = [-(-n // f) for n, f in zip(a.shape, step)]
    more = [(0, m * f - n) for n, m, f in zip(a.shape, shape, step)]

    def cut(x):
        x = np.pad(x, more)
        x = x.reshape([v for m, f in zip(shape, step) for v in (m, f)])
        return x.transpose(list(range(0, x.ndim, 2)) + list(range(1, x.ndim, 2))).reshape(*shape, -1)
    there, w = cut(np.ones(a.shape, bool)), cut(a)
    n = there.sum(-1)
    if method == "mean":
        if a.dtype.kind in "fc":
            wide = "c16" if a.dtype.kind == "c" else "f8"
            total = np.cumsum(w.astype(wide), axis=-1)[..., -1]
            if wide == "c16":
                return (total.real / n + 1j * (total.imag / n)).astype(a.dtype)
            return (total / n).astype(a.dtype)
        total = w.astype("i8").sum(-1, dtype="i8")
        return ((2 * total + n) // (2 * n)).astype(a.dtype)
    if method in ("max", "min"):
        best = w[..., 0]
        for k in range(1, w.shape[-1]):
            best = np.where(there[..., k], getattr(np, f"{method}imum")(best, w[..., k]), best)
        return best.astype(a.dtype)
    votes = ((w[..., :, None] == w[..., None, :]) & there[..., None, :]).sum(-1)
    votes = np.where(there, votes, 0)
    winners = votes == votes.max(-1, keepdims=True)
    order = np.argsort(w, axis=-1, kind="stable")
    first = np.argmax(np.take_along_axis(winners, order, -1), -1)
    return np.take_along_axis(np.take_along_axis(w, order, -1), first[..., None], -1)[..., 0].astype(a.dtype)


class Reference:
    def __init__(self, nodes):
        self.nodes, self._have = nodes, {}

    def level(self, i, k=0):
        if (i, k) not in self._have:
            self._have[i, k] = self._make(i, k)
        return self._have[i, k]

    def _make(self, i, k):
        node = self.nodes[i]
        if k > 0 and node.pyramid != "each":
            step = [b // a for a, b in zip(node.factors[k - 1], node.factors[k])]
            return reduce(self.level(i, k - 1), step, node.pyramid)
        if node.op in ("source", "made"):
            return data(node)
        if node.op == "trim":
            return fit(whole(self.level(node.edges[0].node, node.edges[0].level + k)) * 5 + 1, node.dtype)
        regions = []
        for e in node.edges:
            other = self.nodes[e.node]
            a = self.level(e.node, e.level + k if any(x is not None for x in e.axes) else e.level)
            padded = pad(a, e.halo, e.boundary, 0 if other.fill is None else other.fill)
            cut = []
            for axis, own in enumerate(e.axes):
                if own is None:
                    start, stop = edge_fixed(self.nodes, e, axis, k)
                    cut.append(start if isinstance(e.fixed[axis], int)
                               else slice(start, stop + sum(e.halo[axis])))
                else:
                    cut.append(slice(None))
            regions.append(padded[tuple(cut)])
        return fit(stencil(regions, node.edges, node.level_shape(k)), node.dtype)

    def chunks(self, i, k):
        """(position, whole chunk, padded with the fill value) for every chunk of a level."""
        node, a = self.nodes[i], self.level(i, k)
        for pos in itertools.product(*(range(-(-n // c)) for n, c in zip(a.shape, node.chunks))):
            chunk = np.full(node.chunks, 0 if node.fill is None else node.fill, node.dtype)
            part = a[tuple(slice(p * c, (p + 1) * c) for p, c in zip(pos, node.chunks))]
            chunk[tuple(slice(0, n) for n in part.shape)] = part
            yield pos, chunk
