"""Random graphs of arrays, served: every chunk of every level equals the whole-array reference of dags.py."""
import itertools
import random
import threading

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
