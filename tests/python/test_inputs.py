"""Arrays made of arrays, without a server: what is taken over, what is refused, what a block sees."""
import functools
import itertools
import json

import numpy as np
import pytest

import lazarr
from lazarr import _array, _host, _levels, _local, _manifest

NUMBERS = itertools.count()
V = np.random.default_rng(5).integers(0, 250, (20, 31, 17)).astype("uint8")


def source(**more):
    return lazarr.source("t1", V, **dict(dict(axes="zyx", units="millimeter", chunks=8, levels=3,
                                              scale=(2, 1, 1), translation=(-4, 0, 7)), **more))


def store(tmp_path, text, name="s"):
    """The manifest of a store's file: another file each time, as one that has run doesn't run again."""
    folder = tmp_path / f"n{next(NUMBERS)}"
    folder.mkdir()
    path = folder / f"{name}.py"
    path.write_text("import lazarr, numpy as np\n" + text)
    return json.loads(_host._load(name, str(path)))


# -------------------------------------------------------------------- nothing said twice

def test_all_is_the_first_inputs():
    t1 = source()

    @lazarr.array(inputs=[t1], halo=8)
    def edges(block, t1):
        return t1
    for name in ("shape", "chunks", "dtype", "axes", "dims", "units", "scale", "translation", "levels"):
        assert getattr(edges, name) == getattr(t1, name), name
    assert edges.pyramid == "each" and t1.pyramid == "mean" and edges.kind == "image"
    assert np.array_equal(edges[...], V)
    for k in range(3):
        assert np.array_equal(edges.level(k)[...], t1.level(k)[...])


def test_what_is_given_wins():
    t1 = source()
    a = lazarr.array("a", inputs=[t1], chunks=(4, 5, 6), dtype="f4", units="micrometer", scale=3,
                     translation=1, levels=2, factors=(1, 2, 2))(lambda b, t: t)
    assert (a.chunks, a.dtype, a.units[0], a.scale, a.translation) == (
        (4, 5, 6), np.dtype("f4"), "micrometer", (3, 3, 3), (1, 1, 1))
    assert [v.shape for v in a.levels] == [(20, 31, 17), (20, 16, 9)] and a.pyramid == "mean"
    plain = lazarr.array("p", inputs=[t1], kind="plain")(lambda b, t: t)
    assert plain.axes is None and plain.dims == ("z", "y", "x") and len(plain.levels) == 1


def test_a_level_and_a_part():
    t1 = source()
    a = lazarr.array("a", inputs=[lazarr.Input(t1, level=1)])(lambda b, t: t)
    assert a.levels[0][:4] == t1.levels[1][:4] and len(a.levels) == 2 and a.pyramid == "each"
    assert a.levels[1].factor == (2, 2, 2) and a.levels[1][:4] == t1.levels[2][:4]
    assert np.array_equal(a[...], t1.level(1)[...])
    m = lazarr.array("m", inputs=[lazarr.Input(t1, select={"z": slice(None)})])(lambda b, t: t.max(0))
    assert m.axes == ("y", "x") and m.scale == (1, 1) and m.translation == (0, 7) and m.chunks == (8, 8)
    assert m.units == ("millimeter",) * 2 and m.pyramid == "each"
    assert np.array_equal(m[...], V.max(0))
    assert np.array_equal(m.level(2)[...], t1.level(2)[...].max(0))
    profile = lazarr.array("p", inputs=[lazarr.Input(t1, select=("z", 3, -1))])(lambda b, t: t)
    assert profile.dims == ("z",) and profile.axes is None and np.array_equal(profile[...], V[:, 3, -1])


def test_levels_that_were_rounded_down():
    """Files' levels often are: what is computed from them takes them as they are."""
    fine = np.arange(11 * 7, dtype="i4").reshape(11, 7)
    s = lazarr.source("s", [fine, fine[:10:2, :6:2], fine[:8:4, :4:4]], axes="yx", chunks=4, scale=2,
                      translation=1)
    assert [v.shape for v in s.levels] == [(11, 7), (5, 3), (2, 1)]
    a = lazarr.array("a", inputs=[s], halo=1)(lambda b, t: t * b.level)
    assert a.pyramid == "each" and a.levels == s.levels
    assert np.array_equal(a.level(2)[...], fine[:8:4, :4:4] * 2)
    b = lazarr.array("b", inputs=[lazarr.Input(s, level=1)], levels=2, scale=1)(lambda b, t: t)
    assert [v.shape for v in b.levels] == [(5, 3), (2, 1)] and b.levels[1].factor == (2, 2)
    assert b.levels[1].scale == (2, 2) and b.levels[1].translation[0] == s.levels[1].translation[0] + 0.5
    m = lazarr.array("m", inputs=[lazarr.Input(s, select=(slice(None), "x"))], dims=("x",))(lambda b, t: t.max(0))
    assert m.axes is None and m.shape == (7,)
    mean = lazarr.array("mean", inputs=[s], pyramid="mean")(lambda b, t: t)
    assert [v.shape for v in mean.levels] == [(11, 7), (6, 4), (3, 2)]


def test_select():
    t1 = source()
    seen = []

    @lazarr.array("a", shape=(31, 17, 3), chunks=(8, 8, 3), dtype="u1",
                  inputs=[lazarr.Input(t1, select=(slice(2, 5), "0", "1"), halo=((1, 0), 0, (2, 1)))])
    def a(block, t):
        seen.append((block, t.shape))
        return t[block.crop].transpose(1, 2, 0)
    assert np.array_equal(a[...], V[2:5].transpose(1, 2, 0))
    block, shape = seen[0]
    assert shape == (4, 8, 11) and block.crop == np.s_[1:4, 0:8, 2:10]
    turned = lazarr.array("t", inputs=[lazarr.Input(t1, select=("2", "1", "0"))], shape=(17, 31, 20),
                          chunks=5)(lambda b, t: t.T)
    assert np.array_equal(turned[...], V.T)
    diagonal = lazarr.array("d", shape=17, chunks=5, inputs=[
        lazarr.Input(lazarr.source("sq", V[0, :17, :17], chunks=4), select=("0", "0"))])(
            lambda b, t: t.diagonal())
    assert np.array_equal(diagonal[...], V[0, :17, :17].diagonal())
    mask = lazarr.source("mask", V[0] > 99, axes="yx", chunks=8)
    both = lazarr.array("both", inputs=[t1, mask], levels=1)(lambda b, t, m: t * m)
    assert np.array_equal(both[...], V * (V[0] > 99))
    table = lazarr.array("lut", inputs=[t1, lazarr.Input(lazarr.source("l", np.arange(256)[::-1]),
                                                         select=slice(None))])(lambda b, t, lut: lut[t])
    assert np.array_equal(table[...], 255 - V) and table.pyramid == "each"


# ------------------------------------------------------------------------------- blocks

def test_block():
    t1 = source(levels=1)
    other = lazarr.source("o", V.astype(">i4"), axes="zyx", chunks=5)
    seen = {}

    @lazarr.array(inputs=[t1, lazarr.Input(other, halo=(0, (1, 0), 3))], halo=2, boundary="edge")
    def a(block, x, y):
        seen[block.chunk] = block
        assert x is block.inputs[0] and y is block.inputs[1]
        x[...] += 1  # what it writes there is its own
        return x[block.crop] - 1
    assert np.array_equal(a[...], V) and np.array_equal(t1[...], V)
    b = seen[2, 3, 2]
    assert (b.start, b.shape) == ((16, 24, 16), (4, 7, 1))
    assert [i.shape for i in b.inputs] == [(8, 11, 5), (4, 8, 7)]
    assert b.crops == [np.s_[2:6, 2:9, 2:3], np.s_[0:4, 1:8, 3:4]] and b.crop == b.crops[0] == b.halo
    assert b.inputs[1].dtype == np.dtype("i4") and b.inputs[1].dtype.isnative
    assert all(i.flags.writeable and i.flags.c_contiguous for i in b.inputs)


def test_function_forms():
    t1 = source()
    assert lazarr.array("a", inputs=[t1], halo=1)(lambda b: b.inputs[0])[3, 4, 5] == V[3, 4, 5]
    assert lazarr.array("a", inputs=[t1])(lambda *all: all[1])[3, 4, 5] == V[3, 4, 5]
    assert lazarr.array("a", inputs=[t1])(lambda b, t, more=2: t * more)[3, 4, 5] == V[3, 4, 5] * 2
    assert lazarr.array("a", inputs=[t1])(lambda b, sigma=2: sigma)[3, 4, 5] == 2
    assert lazarr.array("a", inputs=[t1])(functools.partial(lambda n, b, t: t + n, 1))[3, 4, 5] == V[3, 4, 5] + 1
    for f in (lambda: 0, lambda b, x, y: 0, lambda b, *, k: 0):
        with pytest.raises(lazarr.StoreError, match='array "a": the function must take a block and 1 in'):
            lazarr.array("a", inputs=[t1])(f)
    with pytest.raises(lazarr.StoreError, match="the function takes t behind the block, and the array has no inputs"):
        lazarr.array("a", shape=3, chunks=3, dtype="u1")(lambda b, t: 0)


def test_a_result_of_the_regions_shape_is_trimmed():
    t1 = source(levels=1)
    for boundary in ("constant", "edge", "reflect", "symmetric", "wrap"):
        a = lazarr.array("a", inputs=[t1], halo=((0, 3), 2, (40, 0)), boundary=boundary)(lambda b, t: t)
        assert np.array_equal(a[...], V), boundary
    bad = lazarr.array("a", inputs=[t1], halo=2)(lambda b, t: t[1:])
    with pytest.raises(lazarr.CastError, match="expected an array of shape"):
        bad[0, 0, 0]


def tiled(a, low, high, mode, axis):
    """numpy.pad along one axis, by laying tiles: right however far outside."""
    n = a.shape[axis]
    if mode == "constant":
        shape = list(a.shape)
        shape[axis] = low
        before = np.full(shape, 9, a.dtype)
        shape[axis] = high
        return np.concatenate([before, a, np.full(shape, 9, a.dtype)], axis)
    back = np.flip(a, axis)
    tile = {"wrap": a, "symmetric": np.concatenate([a, back], axis),
            "reflect": np.concatenate([a, np.take(back, range(1, max(n - 1, 1)), axis)], axis),
            "edge": a}[mode]
    if mode == "edge" or n == 1:
        first, last = np.take(a, [0], axis), np.take(a, [n - 1], axis)
        return np.concatenate([first] * low + [a] + [last] * high, axis)
    m = tile.shape[axis]
    left = -(-low // m)
    many = np.concatenate([tile] * (left + (n + high) // m + 1), axis)
    return np.take(many, range(left * m - low, left * m + n + high), axis)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_boundary(mode):
    """As numpy.pad, and right where older NumPys weren't: further outside than the array is long."""
    for n in (1, 2, 3, 7):
        a = np.arange(1, n + 1)
        for low in (0, 1, n - 1, n, 3 * n + 2):
            for high in (0, 1, n - 1, 2 * n + 1):
                i = _local.outside(-low, n + high, n, mode)
                got = np.where(i < 0, 9, a[i])
                assert got.tolist() == tiled(a, low, high, mode, 0).tolist(), (n, low, high)
                if max(low, high) < n:
                    more = {"constant_values": 9} if mode == "constant" else {}
                    assert got.tolist() == np.pad(a, (low, high), mode, **more).tolist()


# ----------------------------------------------------------------------------- pyramids

def windows(a, step):
    """Every window of the whole array, the ones at the end cut."""
    shape = [-(-n // f) for n, f in zip(a.shape, step)]
    for at in np.ndindex(*shape):
        yield at, a[tuple(slice(p * f, (p + 1) * f) for p, f in zip(at, step))]


DTYPES = ["?", "u1", "i1", ">u2", "<i4", "u8", "i8", "f2", ">f4", "f8", "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["mean", "mode", "max", "min", "stride"])
def test_downsample(method, dtype):
    from fractions import Fraction
    rng = np.random.default_rng(3)
    dt = np.dtype(dtype)
    if dt.kind == "c" and method in ("mode", "max", "min"):
        with pytest.raises(lazarr.StoreError, match=f"pyramid '{method}' needs real numbers"):
            lazarr.array("a", shape=(9, 9), chunks=3, axes="yx", dtype=dt, levels=2, pyramid=method)(len)
        return
    for step in ((2, 2), (1, 3), (3, 2)):
        if dt.kind in "fc":
            a = (rng.normal(size=(7, 5)) * 9).round(0 if method == "mode" else 3).astype(dt)
            a[1, 1] = np.nan
            a[4, 2:4] = np.inf
        elif dt.kind == "b":
            a = rng.random((7, 5)) > 0.5
        else:
            i = np.iinfo(dt)
            a = rng.choice(np.array([i.min, i.max, i.max - 1, i.min + 1, 0, 1, 2], dt), (7, 5))
        got = _levels.downsample(a, step, method)
        assert got.dtype == dt
        for at, w in windows(a, step):
            flat = w.ravel()
            if method == "stride":
                want = flat[0]
            elif method == "mean" and dt.kind in "fc":
                total = np.float64(0) if dt.kind == "f" else np.complex128(0)
                for v in flat:
                    total = total + v
                want = np.float64(total / len(flat)) if dt.kind == "f" else \
                    complex(total.real / len(flat), total.imag / len(flat))
                want = np.array(want).astype(dt)[()]
            elif method == "mean":
                exact = Fraction(sum(int(v) for v in flat), len(flat))
                want = (exact + Fraction(1, 2)).__floor__()
            elif method == "mode":
                values = [float(v) if dt.kind == "f" else int(v) for v in flat]
                key = [(1, 0) if v != v else (0, v) for v in values]
                want = min(key, key=lambda k: (-key.count(k), k))
                want = np.nan if want[0] else want[1]
            else:
                want = getattr(np, method)(flat)
            assert np.array_equal(got[at], np.array(want, dt), equal_nan=dt.kind in "fc"), (at, w)


def test_levels_of_functions():
    @lazarr.array("a", shape=(33, 20), chunks=8, dtype="i4", axes="yx", levels=3, factors=(2, 3),
                  pyramid="each", scale=0.5)
    def a(block):
        y, x = block.coords()
        return y * block.scale[0] * 1000 + x * block.scale[1] + block.level
    assert a.levels[2].shape == (9, 3) and a.levels[2].scale == (2, 4.5)
    assert a.levels[2].translation == (0.75, 2.0) and a.levels[2].chunks == (8, 8)
    assert a.level(2)[8, 2] == 8 * 4 * 1000 + 2 * 9 + 2
    s = lazarr.source("s", V, axes="zyx", levels=2, pyramid="stride")
    assert s.levels[1].translation == (0, 0, 0) and np.array_equal(s.level(1)[...], V[::2, ::2, ::2])
    on_it = lazarr.array("o", inputs=[s])(lambda b, t: t)
    assert on_it.levels == s.levels
    labels = lazarr.source("l", V, axes="zyx", kind="labels", levels=2)
    assert labels.pyramid == "mode"
    steps = lazarr.source("x", V, axes="zyx", factors=[(1, 2, 2), 2])
    assert [v.factor for v in steps.levels] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    with pytest.raises(IndexError):
        a.level(3)


# ------------------------------------------------------------------------------ refused

def refuse(reason, **given):
    with pytest.raises(lazarr.StoreError) as e:
        lazarr.array("edges", **given)(lambda *b: 0)
    assert str(e.value) == f'array "edges": {reason}'


@pytest.mark.parametrize("given,reason", [
    (dict(halo=-1), "halo must be ≥ 0, got -1"),
    (dict(halo=(1, (2, -3), 0)), "halo must be ≥ 0, got -3"),
    (dict(halo=1.5), "halo must be integers, got 1.5"), (dict(halo=True), "halo must be integers, got True"),
    (dict(halo="8"), "halo must be integers, got '8'"),
    (dict(halo=((1, 2, 3), 1, 1)), "halo must be integers or (lower, upper) pairs, got (1, 2, 3)"),
    (dict(halo=(1, 2)), 'input "t1": halo must be one for all or 3, one per axis of the input, got 2'),
    (dict(halo=2**31), "halo must be ≤ 2147483647, got 2147483648"),
    (dict(halo=5000), "a block with its inputs takes 1002401921024 bytes, above the limit of 2147483648: "
     "smaller chunks or a smaller halo are needed"),
    (dict(boundary="mirror"), "boundary must be one of 'constant', 'edge', 'reflect', 'symmetric', 'wrap', "
     "got 'mirror': did you mean 'reflect'?"),
    (dict(boundary="nearest"), "boundary must be one of 'constant', 'edge', 'reflect', 'symmetric', 'wrap', "
     "got 'nearest': did you mean 'edge'?"),
    (dict(boundary="Symetric"), "boundary must be one of 'constant', 'edge', 'reflect', 'symmetric', 'wrap', "
     "got 'Symetric': did you mean 'symmetric'?"),
    (dict(boundary=["edge"]), "boundary must be one of 'constant', 'edge', 'reflect', 'symmetric', 'wrap', "
     "got ['edge']"),
    (dict(kind="label"), "kind must be one of 'image', 'labels', 'plain', got 'label': did you mean 'labels'?"),
    (dict(kind="segmentation"), "kind must be one of 'image', 'labels', 'plain', got 'segmentation': did you mean "
     "'labels'?"),
    (dict(dtype="flaot32"), "unknown dtype 'flaot32': did you mean 'float32'?"),
    (dict(dtype="nonsense"), "unknown dtype 'nonsense'"),
    (dict(on_abandon="finished"), "on_abandon must be one of 'interrupt', 'finish', got 'finished': did you mean "
     "'finish'?"),
    (dict(pyramid="average"), "pyramid must be one of 'mean', 'mode', 'max', 'min', 'stride', 'each', got "
     "'average': did you mean 'mean'?"),
    (dict(shape=(20, 30, 17)), 'input "t1": its axis 1 has length 31 at level 0 and the array\'s axis 1, '
     "which it follows, 30"),
    (dict(shape=(20, 30, 17), pyramid="each"), 'input "t1": its axis 1 has length 31 at level 0 and the '
     "array's axis 1, which it follows, 30"),
    (dict(shape=(20, 31)), 'input "t1": 3 of its axes would follow 2 of the array\'s: say with '
     "lazarr.Input(..., select=) which axis follows which"),
    (dict(axes="yx"), 'input "t1": 3 of its axes would follow 2 of the array\'s: say with '
     "lazarr.Input(..., select=) which axis follows which"),
    (dict(levels=0), "levels must be an integer from 1 to 32, got 0"),
    (dict(levels=33), "levels must be an integer from 1 to 32, got 33"),
    (dict(levels=True), "levels must be an integer from 1 to 32, got True"),
    (dict(levels=1, factors=[2]), "factors must be an integer, 3 integers, or a list of those, one for each "
     "level but the first, got [2]"),
    (dict(levels=2, factors=(0, 1, 1)), "factors must be integers from 1 to 65536, got 0"),
    (dict(levels=2, factors=[(1, 2, 2), 2]), "factors has 2 steps, 2 levels have 1"),
    (dict(pyramid="median"), "pyramid must be one of 'mean', 'mode', 'max', 'min', 'stride', 'each', got "
     "'median'"),
    (dict(pyramid="each", levels=4), 'input "t1": pyramid \'each\' needs 4 levels of it, it has 3'),
    (dict(pyramid="each", levels=2, factors=3), 'input "t1": its axis 0 has length 10 at level 1 and the '
     "array's axis 0, which it follows, 7 at level 1"),
    (dict(slots=0), "slots must be an integer from 1 to 256, got 0"),
    (dict(slots="2"), "slots must be an integer from 1 to 256, got '2'"),
])
def test_refused(given, reason):
    if "factors" in given and given.get("levels") == 1:
        given = dict(given, levels=2)
    refuse(reason, **dict(dict(inputs=[source()]), **given))


@pytest.mark.parametrize("result,got", [((9, 10, 9), [9, 10, 9]), ((8, 9), [8, 9]), ((10, 10, 11), [10, 10, 11]),
                                        ((8, 8, 8, 1), [8, 8, 8, 1]), ((0, 8, 8), [0, 8, 8])])
@pytest.mark.parametrize("like", [False, True])
def test_a_result_of_neither_size_says_both(result, got, like):
    """Of the block, and of the region, whose halo would be cut off."""
    t = lazarr.source("t", np.zeros((16, 16, 16), "u1"), chunks=8)
    made = np.zeros(result)
    a = lazarr.array("edges", inputs=[t], halo=1, dtype="float64")(lambda b, t: made.tolist() if like else made)
    with pytest.raises(lazarr.CastError) as e:
        a.compute((0, 0, 0))
    if not (like and 0 in result):  # of a list's nothing
        assert str(e.value) == ("expected an array of shape [8, 8, 8] (an axis may be 1), of the first input's region "
                                f"[10, 10, 10], or a scalar, got shape {got}")


@pytest.mark.parametrize("result", [(8, 8, 8), (10, 10, 10), (1, 8, 1), ()])
def test_a_result_of_either_size_is_taken(result):
    t = lazarr.source("t", np.zeros((16, 16, 16), "u1"), chunks=8)
    a = lazarr.array("edges", inputs=[t], halo=1, dtype="float64")(lambda b, t: np.ones(result))
    assert (a.compute((1, 0, 1)) == 1).all()


@pytest.mark.parametrize("given,reason", [
    (dict(level=3), "level must be from 0 to 2, got 3"), (dict(level=-1), "level must be from 0 to 2, got -1"),
    (dict(level="0"), "level must be an integer, got '0'"),
    (dict(halo=(1, 2)), "halo must be one for all or 3, one per axis of the input, got 2"),
    (dict(boundary=3), "boundary must be one of 'constant', 'edge', 'reflect', 'symmetric', 'wrap', got 3"),
    (dict(select=(0, 0)), "select must have one entry for each of the input's 3 axes, got 2"),
    (dict(select=("z", "y", None)), "select must be names of axes, slices or integers, got None"),
    (dict(select=(slice(0, 9, 2), ...)), "select: slices can't have a step, got 2"),
    (dict(select=(slice(3, 3), ...)), "select: 3:3 of axis 0 with size 20 is empty"),
    (dict(select=(20, ...)), "select: index 20 is out of bounds for axis 0 with size 20"),
    (dict(select=(..., 3, ...)), "select can have one ... only"),
    (dict(select={"t": 3}), "select: the input has no axis 't' (z, y, x)"),
    (dict(select={3: 3}), "select: the input has no axis 3, it has 3 axes"),
    (dict(select=(4, ...), halo=(1, 0, 0)), "halo of axis 0 must be 0: an integer in select drops the axis; "
     "a slice keeps it"),
    (dict(select=("y", "q", "x"), axes="zyx"), "select: the array has no axis 'q' (z, y, x)"),
])
def test_refused_input(given, reason):
    axes = given.pop("axes", None) if "axes" in given else None
    refuse(f'input "t1": {reason}', inputs=[lazarr.Input(source(), **given)],
           **({"axes": axes, "shape": V.shape} if axes else {}))


def test_other_refusals():
    t1 = source()
    refuse("inputs must be a list of arrays, got Array", inputs=t1)
    refuse("inputs must be a list of arrays, got str", inputs="t1")
    refuse("inputs must be arrays, paths of arrays or lazarr.Input, got ndarray: lazarr.source(\"name\", it) makes one of it",
           inputs=[V])
    refuse("inputs: 257 are more than 256", inputs=[t1] * 257)
    refuse("halo needs inputs: say inputs=[...], the arrays that it is computed from", shape=(9, 9), chunks=3, dtype="u1", halo=(0, 1))
    refuse("boundary needs inputs: say inputs=[...], the arrays that it is computed from", shape=(9, 9), chunks=3, dtype="u1", boundary="edge")
    refuse("factors needs levels", shape=(9, 9), chunks=3, dtype="u1", axes="yx", factors=2)
    refuse("levels > 1 needs axes, got levels=2", shape=(9, 9), chunks=3, dtype="u1", levels=2)
    refuse("shape must be given: axis 0 follows none of the first input's", axes="zyx",
           inputs=[lazarr.Input(t1, select=(0, "y", "x"))])
    refuse("chunks must be given: axis 0 follows none of the first input's", axes="zyx", shape=(4, 31, 17),
           inputs=[lazarr.Input(t1, select=(0, "y", "x"))])
    for given, reason in ((dict(pyramid="each", levels=2), "pyramid 'each' is for functions: a source has "
                           "one level of its own"),
                          (dict(inputs=[t1]), "inputs is for arrays, a source has none"),
                          (dict(halo=2), "halo is for arrays, a source has none")):
        with pytest.raises(lazarr.StoreError) as e:
            lazarr.source("s", V, axes="zyx", **given)
        assert str(e.value) == f'array "s": {reason}'


# -------------------------------------------------------------------- paths and cycles

ONE = "def one(b, *more): return 1\n"


def test_forward_references(tmp_path):
    m = store(tmp_path, ONE + """
lazarr.array("a", inputs=["b"], halo=1)(one)
lazarr.array("b", inputs=["e"])(one)
lazarr.array("e", shape=(9, 4), chunks=3, dtype="u2", dims=("p", "q"))(one)
""")
    by = {a["path"]: a for a in m["arrays"]}
    assert list(by) == ["a", "b", "e"] and by["a"]["levels"][0]["shape"] == [9, 4]
    assert by["a"]["dims"] == ["p", "q"] and by["a"]["dtype"] == "<u2"
    assert by["a"]["inputs"] == [{"array": "b", "levels": [0], "axes": [0, 1], "fixed": [None, None],
                                  "drop": [False, False], "halo": [[1, 1], [1, 1]],
                                  "boundary": "constant"}]


@pytest.mark.parametrize("text,reason", [
    ('lazarr.array("a", inputs=["a"])(one)', 'array "a": inputs go in a circle: a -> a'),
    ('lazarr.array("a", inputs=["b"])(one)\nlazarr.array("b", inputs=["a"])(one)',
     'array "a": inputs go in a circle: a -> b -> a'),
    ('lazarr.array("x", inputs=["a"])(one)\na = lazarr.array("a", inputs=["e"])(one)\n'
     'b = lazarr.array("b", inputs=[a])(one)\nlazarr.array("e", inputs=[lazarr.Input(b)])(one)',
     'array "a": inputs go in a circle: a -> e -> b -> a'),
    ('lazarr.array("a", inputs=["nowhere"])(one)',
     'array "a": inputs: there is no array "nowhere" in this store'),
    ('lazarr.array("a", inputs=["b"], halo=(1, 1))(one)\n'
     'lazarr.array("b", shape=9, chunks=3, dtype="u1")(one)',
     'array "a": input "b": halo must be one for all or 1, one per axis of the input, got 2'),
])
def test_refused_at_the_end_of_the_file(tmp_path, text, reason):
    with pytest.raises(lazarr.StoreError) as e:
        store(tmp_path, ONE + text)
    assert str(e.value) == reason
    assert _host.describe_exception(e.value)[0] == f"s.py: {reason}"


def test_an_array_of_another_store(tmp_path, monkeypatch):
    """Each store that imports it has it, whichever was the first; what isn't imported stays refused."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shared_arrays.py").write_text("""
import lazarr
a = lazarr.array("a", shape=9, chunks=3, dtype="u1")(lambda b: 1)
""")
    text = ONE + 'import shared_arrays\nlazarr.array("b", inputs=[shared_arrays.a])(one)'
    assert [a["path"] for a in store(tmp_path, text, "first")["arrays"]] == ["a", "b"]
    assert [a["path"] for a in store(tmp_path, text, "second")["arrays"]] == ["a", "b"]
    text = ONE + 'import sys\nlazarr.array("b", inputs=[sys.modules["shared_arrays"].a])(one)'
    with pytest.raises(lazarr.StoreError, match='array "b": input "a" is not an array of this store'):
        store(tmp_path, text, "third")


def test_deep_chains(tmp_path):
    text = ONE + "".join(f'lazarr.array("a{i}", inputs=["a{i + 1}"])(one)\n' for i in range(3000))
    m = store(tmp_path, text + 'lazarr.array("a3000", shape=9, chunks=3, dtype="u1")(one)')
    assert len(m["arrays"]) == 3001 and m["arrays"][0]["levels"][0]["shape"] == [9]


def test_deep_chains_compute():
    """Deeper than Python's stack, and through levels."""
    a = lazarr.source("a", np.arange(40).reshape(8, 5), chunks=3, axes="yx", levels=2)
    for i in range(400):
        a = lazarr.array(f"a{i}", inputs=[a], halo=1, boundary="wrap")(lambda b, t: t + 1)
    assert a[3, 4] == 19 + 400 and np.array_equal(a.level(1)[...], _levels.downsample(
        np.arange(40).reshape(8, 5), (2, 2), "mean") + 400)


def test_paths_outside_of_a_store():
    lazarr.array("early", inputs=["late"])(lambda b, t: t + 1)
    early = _array.CURRENT.loose.get("early")
    keep = lazarr.array("again", inputs=["late2"])(lambda b, t: t + 1)
    late = lazarr.array("late2", shape=4, chunks=3, dtype="u1")(lambda b: 5)
    assert keep[...].tolist() == [6] * 4 and late.shape == (4,)
    del early
    with pytest.raises(lazarr.StoreError, match='array "x": inputs: there is no array "never"'):
        lazarr.array("x", inputs=["never"])(lambda b, t: t).shape


# ------------------------------------------------------------------------------ manifest

def digests(tmp_path, text):
    return {a["path"]: a["digest"] for a in store(tmp_path, text)["arrays"]}


def test_digests_follow_inputs(tmp_path):
    def text(fill, halo=1):
        return ONE + f"""
lazarr.array("e", inputs=["b"], version="1")(one)
a = lazarr.array("a", shape=9, chunks=3, dtype="u1", fill_value={fill}, version="1")(one)
lazarr.array("b", inputs=[a], halo={halo}, version="1")(one)
lazarr.array("d", shape=9, chunks=3, dtype="u1", version="1")(one)
"""
    first, second, third = (digests(tmp_path, text(*x)) for x in ((1,), (2,), (1, 2)))
    assert first["d"] == second["d"] == third["d"] and first["a"] == third["a"]
    for p in "abe":
        assert first[p] != second[p], p
    assert first["b"] != third["b"] and first["e"] != third["e"]
    assert len(set(first.values())) == 4


def test_manifest_round_trip(tmp_path):
    """What describe prints is a store again, once functions are added."""
    (tmp_path / "round_trip_functions.py").write_text("""
import numpy as np
def one(b, *more): return 1
def volume(): return np.zeros((20, 31, 17), "u1")
""")
    m = store(tmp_path, ONE + """
t1 = lazarr.source("t1", lambda: np.zeros((20, 31, 17), "u1"), axes="zyx", units="millimeter",
                   factors=[(1, 2, 2), 2], scale=(3, 1, 1), translation=(1, 2, 3))
lazarr.array("g", inputs=[t1, lazarr.Input("p", select=0)], halo=(1, (2, 0), 0), boundary="wrap", slots=2)(one)
lazarr.array("m", inputs=[lazarr.Input(t1, select=(slice(1, 7), "y", "x"), level=1)], chunks=9)(one)
lazarr.array("p", shape=5, chunks=2, dtype="f4")(one)
lazarr.array("e", shape=(31, 17), axes="yx", chunks=(9, 9), dtype="i2", levels=3, pyramid="max")(one)
""")
    again = json.loads(json.dumps(m))
    for a in again["arrays"]:
        a.pop("digest")
        if a.pop("source"):
            a["source"] = "round_trip_functions:volume"
        else:
            a["function"] = "round_trip_functions:one"
    path = tmp_path / "again.json"
    path.write_text(json.dumps(again))
    for a, b in zip(m["arrays"], json.loads(_host._load("again", str(path)))["arrays"]):
        a.pop("digest"), b.pop("digest")
        assert a == b
    registry = _array.Registry()
    _manifest.load_json(json.dumps({"arrays": [
        {"path": "a", "function": "round_trip_functions:one", "inputs": [
            {"array": "s", "halo": [1, [0, 2], 0], "boundary": "edge", "select": [[0, 5], "y", "x"]}]},
        {"path": "s", "source": "round_trip_functions:volume", "axes": "zyx"}]}).encode(), registry)
    registry.finish()
    p = registry.arrays[0].inputs[0]
    assert p.fixed[0] == ((0, 5),) and p.halo == ((1, 1), (0, 2), (0, 0)) and p.axes == (None, 0, 1)


def test_host_compute():
    t1 = lazarr.source("t1", V.astype(">i2"), chunks=8)
    a = lazarr.array("a", inputs=[t1], halo=1)(lambda b, t: t)
    _host._stores.append([t1, a])
    assert _host.input_dtypes(len(_host._stores) - 1, 1) == [np.dtype("i2")]
    region = np.zeros((10, 10, 10), "i2")
    got = _host.compute(len(_host._stores) - 1, 1, 0, 0, (0, 0, 0), (8, 8, 8), lambda: None, [region])
    assert got.shape == (8, 8, 8) and np.may_share_memory(got, region)
