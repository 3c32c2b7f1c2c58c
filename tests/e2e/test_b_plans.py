"""What pipelines and pyramids cost: blocks computed beside the distinct ones that they are made of (pipelines.py), at
budgets of 4 W, 1.25 W and W / 2 with blocks for the workers beside, by one client and by many.

By default a few of all; with LZR_PLANS=all every one (CTest: slow_plans), and a table as bench/README.md has it."""
import os
import time

import pytest

import lzr
from pipelines import ALL

EVERYTHING = os.environ.get("LZR_PLANS") == "all"
BUDGETS = {"4 W": 4, "1.25 W": 1.25, "W / 2": 0.5}
CASES = [(i, budget, workers, clients)
         for i in range(len(ALL)) for budget in BUDGETS for workers in (1, 2, 8) for clients in (1, 16)
         if EVERYTHING or (i + 3 * list(BUDGETS).index(budget) + workers + clients) % 9 == 0]
TABLE = []


@pytest.fixture(scope="module", autouse=True)
def table():
    yield
    if EVERYTHING:
        print("\n| pipeline | budget | workers | clients | distinct | made | refused | s |\n|---|---|---|---|---|---|---|---|")
        for row in TABLE:
            print("| " + " | ".join(map(str, row)) + " |")


@pytest.mark.limit(180)
@pytest.mark.parametrize("i, budget, workers, clients", CASES)
def test_each_block_once(tmp_path, i, budget, workers, clients):
    p = ALL[i]
    (tmp_path / "s.py").write_text(p.text)
    tops = p.tops if clients > 1 else p.tops[:1]
    distinct, most = p.cost(tops)
    size = int(most * BUDGETS[budget]) + (workers * p.block() if BUDGETS[budget] > 1 else 0)
    with lzr.Server([tmp_path / "s.py"], "--workers", str(workers), "--cache", str(size)) as srv:
        start, answers = time.monotonic(), [None] * max(clients, len(tops))

        def ask(k):
            for n in range(k, len(answers), clients):
                t0 = time.monotonic()
                answers[n] = srv.get(p.url(tops[n % len(tops)])), time.monotonic() - t0
        lzr.together(clients, ask)
        took = time.monotonic() - start
        m = srv.metrics()
        refused = [(r, s) for r, s in answers if r.status != 200]
        made = m["computed_total"] + m["made_total"]
        TABLE.append((p.name, budget, workers, clients, distinct, made, len(refused), f"{took:.1f}"))
        for r, s in refused:
            assert BUDGETS[budget] < 1 and r.status == 500 and "raise --cache" in r.text, r
        if not refused:
            assert made <= 1.05 * distinct if BUDGETS[budget] > 1 else made <= 2 * distinct, (made, distinct)
        lzr.wait_until(lambda: all(srv.metric(k) == 0 for k in ("running", "queued", "waiting", "gathering")), "rest")
        assert srv.metric("budget_bytes") <= m["budget_limit_bytes"]
