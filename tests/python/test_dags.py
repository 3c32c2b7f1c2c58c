"""Random graphs of arrays, computed without a server: every level equals the whole-array reference."""
import os
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import dags  # noqa: E402


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_graphs(first):
    for seed in range(first, first + 50):
        nodes = dags.make(seed)
        made, want = dags.define(nodes, f"d{seed}"), dags.Reference(nodes)
        for i, (node, a) in enumerate(zip(nodes, made)):
            where = f"seed {seed}, node {i}"
            assert (a.shape, a.chunks, a.dtype, a.pyramid) == (
                node.shape, node.chunks, node.dtype, node.pyramid), where
            assert [v.factor for v in a.levels] == node.factors, where
            for k in range(len(node.factors)):
                got = np.asarray(a.level(k)[...])
                assert got.dtype == node.dtype and got.shape == node.level_shape(k), (where, k)
                assert got.tobytes() == want.level(i, k).astype(node.dtype).tobytes(), (where, k)


def test_they_have_everything():
    """All that the graphs are to try occurs among the 300."""
    seen = set()
    for seed in range(300):
        nodes = dags.make(seed)
        for node in nodes:
            seen |= {node.op, node.dtype.str, f"rank {len(node.shape)}", node.pyramid,
                     f"{len(node.factors)} levels"}
            for e in node.edges:
                seen |= {e.boundary, f"level {e.level}", f"{len(node.edges)} inputs"}
                seen |= {type(f).__name__ for f in e.fixed}
                if any(max(h) >= n for h, n in zip(e.halo, nodes[e.node].level_shape(e.level))):
                    seen.add("far")
                if [a for a in e.axes if a is not None] != sorted(a for a in e.axes if a is not None):
                    seen.add("turned")
                if len(e.axes) > len(node.shape):
                    seen.add("reduced")
                if node.pyramid == "each" and any(f is not None for f in e.fixed):
                    seen.add("fixed on levels")
    wanted = {"source", "made", "stencil", "trim", None, "each", *dags.PYRAMIDS, *dags.BOUNDARIES, "rank 1",
              "rank 2", "rank 3", "1 levels", "2 levels", "3 levels", "level 1", "level 2", "1 inputs",
              "3 inputs", "int", "tuple", "far", "turned", "reduced", "fixed on levels",
              *(np.dtype(d).str for d in dags.DTYPES)}
    assert wanted <= seen, wanted - seen
