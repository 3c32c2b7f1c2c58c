"""The checked cast as served: every case of tests/python/cast_cases.py through the worker's C."""
import sys

import numpy as np
import pytest

import lzr

sys.path.insert(0, str(lzr.ROOT / "tests" / "python"))
from cast_cases import CASES  # noqa: E402

HEAD = "import lazarr, numpy as np\n"
ONE = """
@lazarr.array("a{i}", shape={shape}, chunks={chunks}, dtype={dtype!r}, compressor=None)
def a{i}(block):
    return R{i}
R{i} = {result}
"""


@pytest.mark.parametrize("end", ["", "np.seterr(all='raise')\n"], ids=["", "seterr"])
def test_cases(serve, end):
    """Python and C agree on every case: the same values, the same words, also in a store for which every
    floating-point event raises: that is for what its functions compute, not for lazarr's cast."""
    served = [(i, c) for i, c in enumerate(CASES) if 0 not in c[1]]
    text = HEAD + "".join(
        ONE.format(i=i, shape=shape, chunks=tuple(max(n, 1) for n in shape), dtype=dtype, result=result)
        for i, (dtype, shape, result, want) in served) + end
    srv = serve(text, "--workers", "1")
    good = 0
    for i, (dtype, shape, result, want) in served:
        key = f"/zarr3/s.zarr/a{i}/c" + "/0" * len(shape)
        r = srv.get(key)
        if want.startswith("np."):
            assert r.status == 200, (CASES[i], r.text)
            got = np.frombuffer(r.body, dtype).reshape(shape)
            expected = np.broadcast_to(eval(want), shape).astype(dtype)
            assert np.array_equal(got, expected, equal_nan=np.dtype(dtype).kind in "fc"), CASES[i]
            good += 1
        else:
            assert r.status == 500 and want in r.text, (CASES[i], r.status, r.text)
    assert good > 25 and srv.metric("worker_deaths_total") == 0
