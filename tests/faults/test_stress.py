"""A short soak (tests/soak): for the sanitizers above all, where it is the engine's stress test."""
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))
import soak  # noqa: E402


@pytest.mark.limit(int(120 * soak.lzr.SLOW))
def test_a_short_soak(tmp_path):
    with soak.serve(tmp_path, "--cache", "1MiB", "--no-access-log") as srv:
        s = soak.Soak(srv, soak.keys(srv), 15)
        s.run(16, kill_every=0.7)
        for _ in range(3):  # a slow machine may not have come to all of it
            m = srv.metrics()
            if s.count["200"] > 100 and s.kills >= 5 and m["interrupted_total"] + m["dropped_total"] > 0:
                break
            s.end = time.monotonic() + 15
            s.run(16, kill_every=0.7)
        s.settle()
        assert not s.bad, s.bad
        assert s.count["wrong"] == s.count["lost"] == 0 and s.count["200"] > 100 and s.kills >= 5, s.count
        m = srv.metrics()
        assert m["worker_deaths_total"] >= 5 and m["interrupted_total"] + m["dropped_total"] > 0
