"""Pipelines and pyramids as they are asked for, and what they must cost: a model that knows nothing of lazarr but
which chunks a region touches.

    for p in ALL: p.text            the store; its base is computed once there is a file "go" beside it
                  p.tops            chunks to ask for: (path, level, position)
                  p.cost(tops)      distinct blocks, and W: the most bytes, step by step, of those that are being
                                    made or still wanted by a later step
"""
import itertools
from dataclasses import dataclass, field


@dataclass
class Array:
    name: str
    shape: tuple
    chunks: tuple
    inputs: list = field(default_factory=list)  # (array, halo)
    levels: int = 1
    whole: bool = False  # reads all of its input's first axis, which it hasn't itself

    def text(self, dtype):
        more = f', levels={self.levels}, pyramid="mean"' if self.levels > 1 else ""
        head = f'shape={self.shape}, chunks={self.chunks}, dtype="{dtype}", compressor=None{more}'
        axes = "zyx"[-len(self.shape):]
        if not self.inputs:
            return (f'@lazarr.array("{self.name}", {head}, axes="{axes}")\ndef {self.name}(block):\n'
                    "    while not os.path.exists(GO): time.sleep(0.01)\n"
                    f"    return np.full(block.shape, 7, '{dtype}')\n")
        if self.whole:
            of = self.inputs[0][0]
            names = ", ".join(f'"{a}"' for a in axes)
            return (f'@lazarr.array("{self.name}", inputs=[lazarr.Input({of.name}, select=(slice(None), {names}), halo=0)], '
                    f'axes="{axes}", {head})\ndef {self.name}(block, a):\n    return a.max(axis=0)\n')
        inputs = ", ".join(f"lazarr.Input({a.name}, halo={halo})" for a, halo in self.inputs)
        return (f'@lazarr.array("{self.name}", inputs=[{inputs}], axes="{axes}", {head})\ndef {self.name}(block, *a):\n'
                f"    return np.full(block.shape, float(a[0].max()), '{dtype}')\n")

    def grid(self, level):
        shape = [-(-n // 2 ** level) for n in self.shape]
        return shape, [-(-n // c) for n, c in zip(shape, self.chunks)]


def touched(low, high, chunk, length):
    low, high = max(low, 0), min(high, length)
    return range(low // chunk, (high - 1) // chunk + 1)


def needs(node):
    a, level, pos = node
    if level > 0:
        shape, _ = a.grid(level - 1)
        spans = [touched(2 * c * p, 2 * c * (p + 1), c, n) for c, p, n in zip(a.chunks, pos, shape)]
        return [(a, level - 1, at) for at in itertools.product(*spans)]
    out = []
    for of, halo in a.inputs:
        own = list(zip(a.chunks, pos, a.shape))
        spans = [touched(c * p - halo, min(c * (p + 1), n) + halo, k, m)
                 for (c, p, n), k, m in zip(own, of.chunks[-len(own):], of.shape[-len(own):])]
        if a.whole:
            spans.insert(0, range(of.grid(0)[1][0]))
        out += [(of, 0, at) for at in itertools.product(*spans)]
    return out


def key(node):
    return node[0].name, node[1], node[2]


@dataclass
class Pipeline:
    name: str
    arrays: list
    top: Array
    level: int = 0
    dtype: str = "float32"
    most: int = 16  # chunks that are asked for

    @property
    def text(self):
        return "import os, time, lazarr, numpy as np\nGO = os.path.join(os.path.dirname(__file__), 'go')\n" + "".join(a.text(self.dtype) for a in self.arrays)

    @property
    def tops(self):
        counts = self.top.grid(self.level)[1]
        every = [(self.top, self.level, at) for at in itertools.product(*map(range, counts))]
        return [every[i * len(every) // self.most] for i in range(self.most)] if len(every) > self.most else every

    def url(self, node, store="s"):
        a, level, pos = node
        levels = f"/{level}"  # all of them are images
        return f"/zarr3/{store}.zarr/{a.name}{levels}/c/" + "/".join(map(str, pos))

    def size(self, node):
        n = int(self.dtype[-2:]) // 8 if self.dtype[-2:].isdigit() else 1
        for c in node[0].chunks:
            n *= c
        return n

    def cost(self, tops):
        step, last, nodes, order, stack = {}, {}, {}, [], [(t, None) for t in tops]
        while stack:
            node, below = stack.pop()
            k = key(node)
            if below is not None:
                step[k] = 1 + max((step[key(b)] for b in below), default=0)
                order.append((k, [key(b) for b in below]))
            elif k not in nodes:
                nodes[k] = node
                below = needs(node)
                stack.append((node, below))
                stack += [(b, None) for b in below if key(b) not in nodes]
        for k, below in order:
            last[k] = max(last.get(k, 0), step[k])
            for b in below:
                last[b] = max(last.get(b, 0), step[k])
        most = max(sum(self.size(nodes[k]) for k in nodes if step[k] <= s <= last[k])
                   for s in range(1, max(step.values()) + 1))
        return len(nodes), most

    def block(self):
        """Bytes of the largest block with the regions of its inputs."""
        most = 0
        for a in self.arrays:
            n = 1
            for c in a.chunks:
                n *= c
            for of, halo in a.inputs:
                region = of.shape[0] if a.whole else 1
                for c in a.chunks:
                    region *= c + 2 * halo
                n += region
            most = max(most, n)
        return most * 4


def chain(n, shape, chunks, halo, first=None):
    out = first or [Array("raw", shape, chunks)]
    for i in range(n):
        h = halo[i % len(halo)] if isinstance(halo, tuple) else halo
        out.append(Array(f"f{len(out)}", shape, chunks[i % len(chunks)] if isinstance(chunks[0], tuple) else chunks,
                         [(out[-1], h)]))
    return out


def mip(of, name="mip", factor=2):
    return Array(name, of.shape[1:], tuple(factor * c for c in of.chunks[1:]), [(of, 0)], whole=True)


def _all():
    a = chain(8, (96, 96, 96), (16, 16, 16), 2)
    top = mip(a[-1])
    yield Pipeline("projection of 8 filters", a + [top], top)
    a = chain(50, (64, 4096), (64, 64), 3)
    yield Pipeline("50 filters in a row", a, a[-1])
    a = chain(30, (256, 256), (32, 32), 0)
    total = Array("total", (256, 256), (256, 256), [(a[-1], 0)])
    yield Pipeline("30 steps without halo, 64 read at once", a + [total], total)
    a = chain(4, (64, 64, 64), (16, 16, 16), 4)
    total = Array("total", (64, 64, 64), (64, 64, 64), [(a[-1], 0)])
    yield Pipeline("fan-in 64 over 4 filters", a + [total], total)
    a = chain(2, (512, 512), (32, 32), 4)
    for i in range(10):
        a.append(Array(f"f{len(a)}", (512, 512), (32, 32), [(a[-1], 4), (a[-2], 2)]))
    yield Pipeline("12 steps that read two before", a, a[-1])
    a = chain(3, (512, 512), (32, 32), 4)
    b = Array("g1", (512, 512), (32, 32), [(a[0], 8)])
    c = Array("g2", (512, 512), (32, 32), [(b, 8)])
    join = Array("join", (512, 512), (64, 64), [(a[-1], 1), (c, 1), (a[0], 0)])
    yield Pipeline("two branches that meet", a + [b, c, join], join)
    a = [Array("raw", (1024, 1024), (32, 32), levels=6)]
    yield Pipeline("pyramid", a, a[0], level=5)
    a = chain(2, (1024, 1024), (32, 32), 4)
    a[-1].levels = 6
    yield Pipeline("pyramid over two filters", a, a[-1], level=5)
    a = [Array("raw", (480, 480), (40, 40))]
    for i in range(8):
        a.append(Array(f"f{i}", (480, 480), ((32, 32), (48, 48))[i % 2], [(a[-1], 5)]))
    yield Pipeline("8 filters whose chunks don't meet", a, a[-1])
    a = chain(20, (1024, 16, 16), (16, 16, 16), 20)
    total = mip(a[-1], "line", 1)
    yield Pipeline("20 wide halos and a line", a + [total], total)


ALL = list(_all())
