"""Random graphs of arrays, served: every chunk of every level equals the whole-array reference of dags.py."""
import itertools
import json
import random
import threading

import numpy as np
import pytest

import dags
import lzr

STORE = """
import sys
sys.path.insert(0, {here!r})
import dags
for seed in range({first}, {last}):
    dags.define(dags.make(seed), f"d{{seed}}")
"""
BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}


def requests(seeds, per_store):
    """(URL, compressor, the chunk's bytes) of every chunk, in an order of no kind: most are asked for before
    what they are made of."""
    out = []
    for seed in seeds:
        nodes = dags.make(seed)
        want = dags.Reference(nodes)
        for i, node in enumerate(nodes):
            base = f"/zarr2/s{seed // per_store}.zarr/d{seed}/n{i}"
            for k in range(len(node.factors)):
                for pos, chunk in want.chunks(i, k):
                    key = ("/" if node.image else ".").join(map(str, pos))
                    out.append((f"{base}/{k}/{key}" if node.image else f"{base}/{key}",
                                node.parameters.get("compressor", BLOSC), chunk.tobytes()))
    random.Random(7).shuffle(out)
    return out


def read_all(srv, wanted, threads=4):
    """Reads and compares, a few at a time, each thread on one connection; returns what was wrong."""
    todo, wrong, lock = iter(wanted), [], threading.Lock()

    def work():
        with srv.connect() as http:
            while True:
                with lock:
                    batch = list(itertools.islice(todo, 32))
                if not batch or len(wrong) > 5:
                    return
                for url, compressor, want in batch:
                    r = http.get(url)
                    if r.status != 200 or lzr.decode(r.body, compressor) != want:
                        wrong.append((url, r.status, r.text if r.status != 200 else "other bytes"))
    everyone = [threading.Thread(target=work) for _ in range(threads)]
    for t in everyone:
        t.start()
    for t in everyone:
        t.join()
    return wrong


@pytest.mark.limit(240)
@pytest.mark.parametrize("seeds,options", [
    (range(0, 150), ("--workers", "2")),
    (range(150, 300), ("--workers", "1", "--cache", "4MiB")),
], ids=["two workers", "one worker, hardly a cache"])
def test_graphs(tmp_path, seeds, options):
    per_store = 30
    stores = []
    for first in range(seeds.start, seeds.stop, per_store):
        path = tmp_path / f"s{first // per_store}.py"
        path.write_text(STORE.format(here=str(lzr.ROOT / "tests/e2e"), first=first, last=first + per_store))
        stores.append(path)
    wanted = requests(seeds, per_store)
    assert len(wanted) > 5000
    with lzr.Server(stores, *options) as srv:
        wrong = read_all(srv, wanted)
        assert not wrong, wrong[:6]
        assert srv.metric("workers_died_total") == 0 if "workers_died_total" in srv.metrics() else True
    print(f"{len(wanted)} chunks compared")


def test_levels_that_were_rounded_down(serve):
    """A source with levels of its own, as files have them; what is computed from it runs on each."""
    fine = np.arange(50 * 31, dtype="i4").reshape(50, 31)
    levels = [fine, fine[:50:2, :30:2], fine[:48:4, :28:4]]
    srv = serve("""
import lazarr, numpy as np
fine = np.arange(50 * 31, dtype="i4").reshape(50, 31)
s = lazarr.source("s", [fine, fine[:50:2, :30:2], fine[:48:4, :28:4]], axes="yx", chunks=8)
lazarr.array("up", inputs=[s], halo=2, boundary="edge")(lambda b, t: t[1:-3, 2:-2] * 10 + b.level)
""")
    for k, want in enumerate(levels):
        assert np.array_equal(lzr.read_array(srv, f"/zarr2/s.zarr/s/{k}"), want)
        above = np.concatenate([want[:1], want[:-1]])  # the function shifts by one row
        assert np.array_equal(lzr.read_array(srv, f"/zarr2/s.zarr/up/{k}"), above * 10 + k)


def test_a_manifest_with_inputs(tmp_path):
    """A store without a .py of its own: functions by name, inputs by path, also of arrays further down."""
    (tmp_path / "dag_functions.py").write_text("""
import numpy as np
def volume(): return np.arange(60).reshape(3, 4, 5).astype("u2")
def add(block, a, b): return a[block.crop] + b
def largest(block, slab): return slab.max(axis=0)
""")
    (tmp_path / "m.json").write_text(json.dumps({"arrays": [
        {"path": "sum", "function": "dag_functions:add", "inputs": [
            {"array": "v", "select": [2, "0", "1"]}, "top"], "chunks": [2, 2]},
        {"path": "top", "function": "dag_functions:largest", "inputs": [
            {"array": "v", "select": [[0, 2], "0", "1"], "halo": [0, 0, 0], "boundary": "edge"}]},
        {"path": "v", "source": "dag_functions:volume", "chunks": [2, 3, 3]}]}))
    v = np.arange(60).reshape(3, 4, 5)
    with lzr.Server(tmp_path / "m.json", "--workers", "1") as srv:
        assert np.array_equal(lzr.read_array(srv, "/zarr2/m.zarr/sum"), v[2] + v[:2].max(0))
