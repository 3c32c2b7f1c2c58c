"""The top of a deep pyramid: a tree of 10^5 tiny base chunks, alone and over two filters of them, listed whole, made
depth first, in a small budget; and in parts where the list itself would be too long. CTest: slow_deep (minutes)."""
import math

import pytest

import lzr

# Shape of the base in chunks, how it gets smaller
DEEP = {"3d": ((47, 47, 47), 2), "2d": ((320, 320), 2), "1d": ((1, 100_000), (1, 2)), "2d, by 3": ((317, 317), 3)}

STORE = """
import lazarr
import numpy as np

@lazarr.array("raw", shape={shape}, chunks={chunk}, dtype="float32", axes="{axes}", compressor=None{raw})
def raw(block):
    return sum((i + 3) * c for i, c in enumerate(block.coords())) % 101

def step(block, a):
    low, middle, high = (tuple(slice(i, n - 2 + i) for n in a.shape) for i in range(3))
    return a[middle] * 0.5 + a[high] * 0.25 + a[low] * 0.25

one = lazarr.array("one", inputs=[raw], halo=1, boundary="symmetric", levels=1)(step)
two = lazarr.array("two", inputs=[one], halo=1, boundary="symmetric"{two})(step)
"""


def pyramid(base, factor, chunk):
    """Chunks of each level, up to one that is one chunk."""
    factor = factor if isinstance(factor, tuple) else (factor,) * len(base)
    shapes = [tuple(n * chunk for n in base)]
    while max(shapes[-1]) > chunk:
        shapes.append(tuple(-(-n // f) for n, f in zip(shapes[-1], factor)))
    return factor, [math.prod(-(-n // chunk) for n in s) for s in shapes]


def make(tmp_path, base, factor, name, chunk=4):
    """A store; the address of the top's only chunk, blocks to be computed, and chunks of levels to be made."""
    factor, chunks = pyramid(base, factor, chunk)
    levels = f', levels={len(chunks)}, factors={[factor] * (len(chunks) - 1)}, pyramid="mean"'
    (tmp_path / "s.py").write_text(STORE.format(
        shape=tuple(n * chunk for n in base), chunk=chunk, axes="zyx"[-len(base):],
        raw=levels if name == "raw" else "", two=levels if name == "two" else ", levels=1"))
    url = f"/zarr3/s.zarr/{name}/{len(chunks) - 1}/c/" + "/".join("0" * len(base))
    return url, chunks[0] * (1 if name == "raw" else 3), sum(chunks[1:])


@pytest.mark.limit(600)
@pytest.mark.parametrize("name, kind", [("raw", "3d"), ("raw", "1d")] + [("two", kind) for kind in DEEP])
def test_the_top_of_a_deep_pyramid(tmp_path, name, kind):
    """Each base chunk, each filtered one and each level's chunk once."""
    url, blocks, levels = make(tmp_path, *DEEP[kind], name)
    assert blocks > 99_999
    with lzr.Server([tmp_path / "s.py"], "--workers", "2", "--cache", "64MiB", "--first-byte", "500") as srv:
        r = srv.begin(url).result(500)
        assert r.status == 200, r.text
        m = srv.metrics()
        print(name, kind, "computed", m["computed_total"], "of", blocks, "highest", srv.rss()["VmHWM"] >> 20)
        assert (m["computed_total"], m["made_total"]) == (blocks, levels)
        assert m["budget_bytes"] <= m["budget_limit_bytes"]


@pytest.mark.limit(600)
@pytest.mark.parametrize("base, chunk, budget, most", [
    ((35, 35, 35), 4, "16MiB", 1.25),  # its list is too long
    ((240, 240), 4, "16MiB", 1.01),
    ((29, 29, 29), 8, "14MiB", 1.1),   # its list would fit, but not what is held beside it
    ((29, 29, 29), 8, "15500KiB", 1),  # both fit
])
def test_what_does_not_fit_whole(tmp_path, base, chunk, budget, most):
    """... is listed in parts, one after another, and isn't refused: neighbouring parts share a halo, which may be
    computed again."""
    url, blocks, levels = make(tmp_path, base, 2, "two", chunk)
    with lzr.Server([tmp_path / "s.py"], "--workers", "2", "--cache", budget, "--first-byte", "500") as srv:
        r = srv.begin(url).result(500)
        assert r.status == 200, r.text
        m = srv.metrics()
        print(base, "computed", m["computed_total"], "of", blocks, "highest", srv.rss()["VmHWM"] >> 20)
        assert blocks <= m["computed_total"] <= most * blocks and m["made_total"] == levels
        assert m["budget_bytes"] <= m["budget_limit_bytes"]
