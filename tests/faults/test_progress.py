"""No hold-and-wait: with a budget of a few chunks, deep chains and pinned slots there is always progress, or a
clear refusal. The tests count steps: a gate lets blocks go one by one, and they give up after a number of
looks in which nothing has changed, not after seconds."""
import numpy as np
import pytest

import lzr

LOOKS = 4000  # at figures that stay the same: so long is a deadlock (a supervisor's tick is some 20 of them)

HEAD = """
import lazarr, numpy as np
KEPT = []
def note(block):
    gate(f"{block.array.path}/{block.index}")
@lazarr.array(shape=(1 << 16,), chunks=(1 << 12,), dtype="int64", compressor=None)
def a0(block):
    note(block)
    return block.coords()[0]
"""
CHAIN = HEAD + """
below = a0
for depth in range(1, 13):
    @lazarr.array(f"a{depth}", inputs=[below], halo=(1 << 12) - 1, boundary="wrap", compressor=None)
    def step(block, p):
        note(block)
        return p[block.crop] + 1
    below = step
"""
DIAMONDS = HEAD + """
left = right = a0
for depth in range(1, 7):
    l, r = left, right
    @lazarr.array(f"l{depth}", inputs=[l, r], halo=1, boundary="edge", compressor=None)
    def f(block, p, q):
        note(block)
        return p[block.crops[0]] + q[block.crops[1]]
    @lazarr.array(f"r{depth}", inputs=[r, l], halo=2, boundary="edge", compressor=None)
    def g(block, p, q):
        note(block)
        return p[block.crops[0]] - q[block.crops[1]]
    left, right = f, g
"""
PINS = HEAD + """
@lazarr.array("b", inputs=[a0], halo=1, boundary="edge", compressor=None)
def b(block, p):
    note(block)
    block.data[...] = p[block.crop] * 2
    KEPT.append((block.data, p))  # for ever
"""


def chunk(array, i):
    return f"/zarr3/s.zarr/{array}/c/{i}"


def drive(srv, gate, pending, most):
    """Lets block after block go until all are answered. The number of steps."""
    steps = same = 0
    last = None
    while not all(p.answered() for p in pending):
        if not gate.empty():
            gate.next().go()
            steps += 1
            same = 0
            assert steps <= most, f"more than {most} blocks"
            continue
        now = tuple(v for k, v in sorted(srv.metrics().items()) if not k.startswith("http"))
        same = same + 1 if now == last else 0
        last = now
        assert same < LOOKS, f"no progress after {steps} blocks: {srv.metrics()}"
    return steps


X = np.arange(1 << 16)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("cache", ["0", "64KiB"])
def test_a_deep_chain_in_a_budget_of_a_few_chunks(serve, gate, workers, cache):
    """Twelve arrays, each block of which needs three of the one below (which keep nothing): computed more than
    once, but never waiting for each other."""
    srv = serve(gate.code + CHAIN, "--workers", workers, "--cache", cache)
    p = srv.begin(chunk("a4", 3))
    steps = drive(srv, gate, [p], 2000)
    assert steps >= 13
    r = p.result()
    assert r.status == 200 and (np.frombuffer(r.body, "i8") == X[3 << 12:4 << 12] + 4).all()
    m = srv.metrics()
    assert m["running"] == m["queued"] == m["waiting"] == m["gathering"] == 0


def test_the_whole_depth_with_a_cache(serve, gate):
    srv = serve(gate.code + CHAIN, "--workers", "2", "--cache", "64MiB")
    pending = [srv.begin(chunk("a12", i)) for i in range(16)]
    assert drive(srv, gate, pending, 13 * 16) == 13 * 16  # each block once
    for i, p in enumerate(pending):
        r = p.result()
        assert r.status == 200
        assert (np.frombuffer(r.body, "i8") == X[i << 12:(i + 1) << 12] + 12).all()


@pytest.mark.parametrize("cache", ["0", "512KiB"])
def test_diamonds_with_many_roots(serve, gate, cache):
    srv = serve(gate.code + DIAMONDS, "--workers", "2", "--cache", cache)
    roots = [(side, i) for side in "lr" for i in (0, 7, 15)]
    pending = [srv.begin(chunk(f"{side}3", i)) for side, i in roots]
    drive(srv, gate, pending, 5000)
    assert all(p.result().status == 200 for p in pending)
    m = srv.metrics()
    assert m["running"] == m["queued"] == m["waiting"] == m["gathering"] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_all_slots_pinned(serve, gate, workers):
    """User code keeps every array over every slot: workers that keep too many are replaced."""
    srv = serve(gate.code + PINS, "--workers", workers, "--cache", "0")
    for n in range(64):  # which worker keeps how many is theirs to say: until one has too many
        i = n % 16
        p = srv.begin(chunk("b", i))
        drive(srv, gate, [p], 40)
        r = p.result()
        assert r.status == 200
        assert (np.frombuffer(r.body, "i8") == X[i << 12:(i + 1) << 12] * 2).all()
        if n >= 15 and srv.metric("worker_recycles_total") >= 1:
            break
    assert srv.metric("worker_recycles_total") >= 1 and srv.metric("worker_deaths_total") == 0


def test_a_root_that_dies_on_the_way_frees_what_it_held(serve, gate):
    """Clients of a deep chain leave one by one while it gathers: nothing of it stays."""
    srv = serve(gate.code + CHAIN, "--workers", "1", "--cache", "0")
    warm = srv.begin(chunk("a1", 15))  # a worker's first block of an array would not be interrupted
    drive(srv, gate, [warm], 4)
    assert warm.result().status == 200
    for n in range(6):
        p = srv.begin(chunk("a6", n))
        for _ in range(n):
            gate.next().go()
        call = gate.next()
        p.leave()
        assert call.gone()
        lzr.wait_until(lambda: all(srv.metric(k) == 0 for k in ("running", "queued", "waiting", "gathering")),
                       "nothing is left of it")
    lzr.wait_until(lambda: srv.metric("budget_bytes") < 2 << 20, "the budget is free")
    p = srv.begin(chunk("a0", 1))
    drive(srv, gate, [p], 1)
    assert p.result().status == 200
