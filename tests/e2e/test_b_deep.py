"""The top of a deep pyramid: a tree of 10^5 tiny base chunks, made in parts, depth first, in a small budget. CTest:
slow_deep (a minute)."""
import pytest

import lzr

SIDE, CHUNK, LEVELS = 188, 4, 7  # 47^3 = 103 823 base chunks

STORE = f"""
import lazarr
import numpy as np

@lazarr.array("raw", shape=({SIDE},) * 3, chunks={CHUNK}, dtype="float32", axes="zyx", levels={{raw}}, pyramid="mean")
def raw(block):
    z, y, x = block.coords()
    return (z * 3 + y * 5 + x * 7) % 101

def step(block, a):
    return a[1:-1, 1:-1, 1:-1] * 0.5 + a[2:, 2:, 2:] * 0.25 + a[:-2, :-2, :-2] * 0.25

one = lazarr.array("one", inputs=[raw], halo=1, boundary="symmetric", levels=1)(step)
two = lazarr.array("two", inputs=[one], halo=1, boundary="symmetric", levels={LEVELS}, pyramid="mean")(step)
"""


def chunks(level):
    side = SIDE
    for _ in range(level):
        side = -(-side // 2)
    return (-(-side // CHUNK)) ** 3


@pytest.mark.limit(600)
@pytest.mark.parametrize("name, functions", [("raw", 1), ("two", 3)])
def test_the_top_of_a_deep_pyramid(tmp_path, name, functions):
    """Each base chunk and each level's chunk once; of two filters at most one block in a hundred again, where parts
    of the tree that are listed one after another share a halo."""
    (tmp_path / "s.py").write_text(STORE.replace("{raw}", str(LEVELS if name == "raw" else 1)))
    with lzr.Server([tmp_path / "s.py"], "--workers", "2", "--cache", "64MiB", "--first-byte", "500") as srv:
        r = srv.begin(f"/zarr3/s.zarr/{name}/{LEVELS - 1}/c/0/0/0").result(500)
        assert r.status == 200, r.text
        m = srv.metrics()
        least = functions * chunks(0)
        print(name, "computed", m["computed_total"], "of", least)
        assert least <= m["computed_total"] <= least * (1 if functions == 1 else 1.01)
        assert m["made_total"] == sum(chunks(k) for k in range(1, LEVELS))
        assert m["budget_bytes"] <= m["budget_limit_bytes"]
