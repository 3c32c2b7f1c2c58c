"""The checked cast in Python: every case of cast_cases.py, both as a result and as an assignment."""
import numpy as np
import pytest

import lazarr
from cast_cases import CASES


@pytest.mark.parametrize("dtype,shape,result,want", CASES)
def test_result(dtype, shape, result, want):
    @lazarr.array("a", shape=shape, chunks=tuple(max(n, 1) for n in shape), dtype=dtype)
    def a(block):
        return eval(result)
    if want.startswith("np."):
        got = a[...]
        expected = np.broadcast_to(eval(want), shape).astype(dtype)
        assert np.asarray(got).dtype == np.dtype(dtype) and np.array_equal(
            got, expected, equal_nan=np.dtype(dtype).kind in "fc")
    else:
        with pytest.raises(lazarr.CastError) as e:
            a.compute((0,) * len(shape))
        assert want in str(e.value)


@pytest.mark.parametrize("dtype,shape,result,want", CASES)
def test_whatever_seterr_says(dtype, shape, result, want):
    """Values and errors are the same where every floating-point event raises."""
    values = eval(result)
    expected = np.broadcast_to(eval(want), shape).astype(dtype) if want.startswith("np.") else None
    a = lazarr.array("a", shape=shape, chunks=tuple(max(n, 1) for n in shape), dtype=dtype)(lambda block: values)
    with np.errstate(all="raise"):
        if expected is None:
            with pytest.raises(lazarr.CastError) as e:
                a.compute((0,) * len(shape))
            assert want in str(e.value)
        else:
            assert np.array_equal(a[...], expected, equal_nan=np.dtype(dtype).kind in "fc")


@pytest.mark.parametrize("dtype,shape,result,want",
                         [c for c in CASES if c[2] != "None" and "shape" not in c[3]])
def test_assignment(dtype, shape, result, want):
    @lazarr.array("a", shape=shape, chunks=tuple(max(n, 1) for n in shape), dtype=dtype)
    def a(block):
        block.data[...] = eval(result)
    if want.startswith("np."):
        got = a[...]
        assert np.array_equal(got, np.broadcast_to(eval(want), shape).astype(dtype),
                              equal_nan=np.dtype(dtype).kind in "fc")
    else:
        with pytest.raises(lazarr.CastError) as e:
            a.compute((0,) * len(shape))
        assert want in str(e.value)
