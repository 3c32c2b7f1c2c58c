"""What an array takes over from its inputs beside shape and place, and what its levels become."""
import json

import numpy as np
import pytest

import lazarr
from lazarr import StoreError, _host, _source

IDS = np.kron(np.random.default_rng(0).integers(1, 9, (11, 11)) * 1000, np.ones((3, 3), int))[:32, :32].astype("u4")


def labels(path="lab", **more):
    return lazarr.source(path, IDS.astype(more.pop("dtype", "u4")), **dict(dict(axes="yx", chunks=16, kind="labels"),
                                                                           **more))


def image(path="img", dtype="u2", shape=(3, 16, 20), axes="cyx", **more):
    v = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    return lazarr.source(path, v, axes=axes, chunks=8, **more)


def same(inputs, **more):
    return lazarr.array("a", inputs=inputs, **more)(lambda block, x, *rest: x)


def invented(a):
    """Ids of coarser levels that level 0 doesn't have."""
    fine = set(np.unique(a.level(0)[...]))
    return [set(np.unique(a.level(k)[...])) - fine for k in range(1, len(a.levels))]


# ------------------------------------------------------------------------------ labels

@pytest.mark.parametrize("inputs,more", [
    (lambda: [labels()], dict(levels=3)),
    (lambda: [labels(levels=3)], {}),
    (lambda: [labels(levels=3), labels("flat")], {}),  # a further input without levels
    (lambda: [labels(levels=2)], dict(levels=3)),  # one more than the input has
    (lambda: [labels(levels=2)], dict(dtype="int64")),
    (lambda: [labels(levels=2)], dict(dtype="uint16")),
    (lambda: [lazarr.Input(labels(levels=3), level=1)], {}),
    (lambda: [same([labels(levels=2)])], {}),  # of labels made of labels
    (lambda: [labels()], dict(levels=3, factors=(3, 2))),
    (lambda: [labels()], dict(levels=2, pyramid="mode")),
], ids=str)
def test_made_of_labels_is_labels(inputs, more):
    a = same(inputs(), **more)
    assert (a.kind, a.pyramid) == ("labels", "mode") and len(a.levels) > 1
    assert invented(a) == [set()] * (len(a.levels) - 1)


def test_of_each_level_the_ids_of_the_finest():
    """A function that counts ids per block: a coarse block would count others."""
    img = image(axes="yx", shape=(32, 32), dtype="f4", levels=3)

    @lazarr.array(inputs=[img], dtype="uint32", kind="labels")
    def a(block, x):
        return np.arange(1, x.size + 1).reshape(x.shape) * x.shape[0]
    assert a.pyramid == "mode" and invented(a) == [set(), set()]
    each = lazarr.array("e", inputs=[img], dtype="uint32", kind="labels", pyramid="each")(a.function)
    assert each.pyramid == "each"  # it was said


@pytest.mark.parametrize("more,kind", [
    (dict(dtype="float32"), "image"), (dict(dtype="bool"), "image"), (dict(kind="image"), "image"),
    (dict(kind="plain"), "plain"), (dict(channels=["a"]), "image")])
def test_what_is_no_labels(more, kind):
    assert same([labels()], **more).kind == kind


def test_labels_and_an_image_make_an_image():
    img = image(axes="yx", shape=(32, 32), levels=2)
    for inputs in ([labels(levels=2), img], [img, labels(levels=2)]):
        a = same(inputs, dtype="uint32")
        assert (a.kind, a.pyramid) == ("image", "each")
    assert same([img, labels()], dtype="uint32").pyramid == "mean"  # labels has one level only


@pytest.mark.parametrize("make", [
    lambda: labels(levels=2, pyramid="mean"), lambda: same([labels(levels=2)], pyramid="mean"),
    lambda: same([image(axes="yx", levels=2, shape=(32, 32))], kind="labels", pyramid="mean"),
    lambda: lazarr.array("f", shape=(8, 8), chunks=4, dtype="u1", axes="yx", kind="labels", levels=2,
                         pyramid="mean")(lambda b: 1)])
def test_ids_are_not_averaged(make):
    with pytest.raises(StoreError, match="pyramid 'mean' of labels would make ids that aren't there"):
        make()


# -------------------------------------------------------------------------- fill value

@pytest.mark.parametrize("theirs,fill,own,want", [
    ("f4", np.nan, None, np.nan), ("f4", np.nan, "f8", np.nan), ("f4", np.nan, "u1", None),
    ("f4", np.inf, "f8", np.inf), ("f4", -np.inf, "i2", None), ("f8", 1e300, "f4", None),
    ("f8", 0.1, "f4", np.float32(0.1)), ("f8", 7.0, "u1", 7), ("f8", 7.5, "u1", None),
    ("u2", 300, "u1", None), ("u2", 255, "u1", 255), ("i2", -1, "u2", None), ("i2", -1, "f4", -1),
    ("u1", 1, "bool", True), ("u1", 2, "bool", None), ("bool", True, "u1", 1),
    ("c8", 1 + 2j, "c16", 1 + 2j), ("c8", 1 + 2j, "f4", None), ("c8", 3, "f4", 3),
    ("u8", 2 ** 64 - 1, "u8", 2 ** 64 - 1), ("u8", 2 ** 64 - 1, "i8", None), ("u2", 9, ">u4", 9)])
def test_fill_value(theirs, fill, own, want):
    a = lazarr.source("v", np.zeros(8, theirs), chunks=4, fill_value=fill)
    b = same([a], **({} if own is None else dict(dtype=own)))
    assert b.fill_given == (want is not None)
    np.testing.assert_equal(b.fill_value, b.dtype.type(0 if want is None else want))
    assert same([b], fill_value=0).fill_value == 0  # what is said wins


def test_two_filters_that_mind_nan():
    v = lazarr.source("v", np.ones(8, "f4"), chunks=4, fill_value=np.nan)

    def mean(block, x):
        return np.nanmean(np.lib.stride_tricks.sliding_window_view(x, 3), -1)
    one = lazarr.array("one", inputs=[v], halo=1)(mean)
    two = lazarr.array("two", inputs=[one], halo=1)(mean)
    assert two[...].tolist() == [1] * 8


# ------------------------------------------------------------------- channels

CHANNELS = ["DAPI", {"label": "actin", "color": "123456", "window": {"start": 100, "end": 4000}},
            {"label": "c", "active": False, "window": {"start": 0, "end": 60000}}]
WHOLE = {"u2": (0, 65535), "f4": (0, 1), "u1": (0, 255), "i2": (-32768, 32767), "bool": (0, 1)}


@pytest.mark.parametrize("own", WHOLE)
def test_channels(own):
    """Names and colours always, windows where the dtype can have them."""
    img = image(channels=CHANNELS)
    got = same([img], dtype=own).channels
    assert [(c["label"], c["color"], c["active"]) for c in got] == [
        ("DAPI", img.channels[0]["color"], True), ("actin", "123456", True), ("c", img.channels[2]["color"], False)]
    ranges = [(c["window"]["start"], c["window"]["end"]) for c in got]
    fits = {"u2": 3, "f4": 3, "i2": 2}.get(own, 1)
    assert ranges == [WHOLE[own]] + [(100, 4000), (0, 60000)][:fits - 1] + [WHOLE[own]] * (3 - fits)
    for c in got:
        assert c["window"]["min"] <= c["window"]["start"] and c["window"]["end"] <= c["window"]["max"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("nan")]}, object(), {1, 2}])
def test_a_channels_own_members_are_ones_that_json_has(value):
    """They go into readers' documents as they are."""
    with pytest.raises(StoreError, match="channels: of channel 1"):
        image(channels=["a", {"label": "b", "emission": value}, "c"])


def test_channels_of_the_same_axis_only():
    img = image(channels=CHANNELS)
    assert same([img]).channels == img.channels and same([same([img])]).channels == img.channels
    assert same([img], channels=["x", "y", "z"]).channels[0]["label"] == "x"
    flat = image("flat", axes="yx", shape=(16, 20), channels=["one"])
    assert same([flat]).channels == flat.channels
    for one, more in [(lazarr.Input(img, select={"c": 0}), {}), (lazarr.Input(img, select={"c": slice(0, 2)}), {}),
                      (img, dict(dtype="complex64")), (img, dict(kind="labels")), (img, dict(kind="plain"))]:
        assert same([one], **more).channels is None, (one, more)
    picked = lazarr.array("p", inputs=[lazarr.Input(img, select={"c": slice(0, 2)})], shape=(2, 16, 20), chunks=8,
                          axes="cyx")(lambda b, x: x)
    assert picked.channels is None
    second = same([flat, lazarr.Input(img, select={"c": 1})], channels=None)
    assert second.channels == flat.channels  # the first input's


# ------------------------------------------------------------- results that are no ndarrays

class Like:
    """What xarray, dask, torch and pandas have in common."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a if dtype is None else self.a.astype(dtype)


@pytest.mark.parametrize("make", [Like, lambda x: x.tolist(), lambda x: tuple(map(tuple, x)), memoryview,
                                  lambda x: x, np.asmatrix, lambda x: np.ma.array(x)],
                         ids=["array-like", "list", "tuple", "memoryview", "ndarray", "matrix", "masked"])
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_every_result_loses_its_halo(make):
    v = lazarr.source("v", np.arange(64.).reshape(8, 8), chunks=4)
    a = lazarr.array("a", inputs=[v], halo=((1, 2), 1), boundary="edge")(lambda b, x: make(x))
    assert np.array_equal(a[...], v[...])
    cut = lazarr.array("b", inputs=[v], halo=1)(lambda b, x: make(x[1:-1, 1:-1].copy()))
    assert np.array_equal(cut[...], v[...])
    odd = lazarr.array("odd", inputs=[v], halo=1)(lambda b, x: make(x[:-1].copy()))
    with pytest.raises(lazarr.CastError, match="expected an array of shape"):
        odd[...]


def test_scalars_under_a_halo():
    v = lazarr.source("v", np.zeros((8, 8), "u8"), chunks=4)
    for value in (7, np.uint8(7), 2 ** 64 - 1, True, Like(np.array(7))):
        a = lazarr.array("a", inputs=[v], halo=1)(lambda b, x, value=value: value)
        assert int(a[3, 3]) == int(np.asarray(value))


def test_run_asks_only_once():
    """An array-like is converted once, whatever that costs."""
    seen = []

    class Counts(Like):
        def __array__(self, dtype=None, copy=None):
            seen.append(1)
            return self.a
    v = lazarr.source("v", np.zeros((4, 4)), chunks=4)
    a = lazarr.array("a", inputs=[v], halo=1)(lambda b, x: Counts(x))
    assert a[...].shape == (4, 4) and len(seen) == 1


# ----------------------------------------------------------------------------- factors

@pytest.mark.parametrize("shape,axes,levels,want", [
    ((1, 64, 64), "zyx", 3, [(1, 1, 1), (1, 2, 2), (1, 4, 4)]),
    ((3, 64, 64), "zyx", 4, [(1, 1, 1), (2, 2, 2), (4, 4, 4), (4, 8, 8)]),
    ((1, 1), "yx", 3, [(1, 1)] * 3),
    ((5, 1, 2, 9), "tzyx", 3, [(1, 1, 1, 1), (1, 1, 2, 2), (1, 1, 2, 4)]),
    ((0, 8, 8), "zyx", 2, [(1, 1, 1), (1, 2, 2)])])
def test_an_axis_of_one_is_not_halved(shape, axes, levels, want):
    a = lazarr.source("a", np.zeros(shape, "u1"), axes=axes, chunks=32, scale=2, translation=3, levels=levels)
    assert [v.factor for v in a.levels] == want
    for v in a.levels:
        for n, s, t in zip(shape, v.scale, v.translation):
            assert n > 1 or (s, t) == (2, 3)
    assert [v.factor for v in same([a]).levels] == want
    said = lazarr.source("b", np.zeros(shape, "u1"), axes=axes, chunks=32, levels=2, factors=2)
    assert all(f == 2 for f, x in zip(said.levels[1].factor, axes) if x in "zyx")


# ------------------------------------------------------------------- chunks of plain arrays

@pytest.mark.parametrize("shape", [(300000, 3), (3, 300000), (5, 100, 900, 900), (900, 900), (10 ** 7,), (2, 10 ** 7, 2),
                                   (1000, 1000, 1000), (7, 11, 13, 17, 19, 23), (10 ** 9, 1), (4097, 4097)])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8", "c16"])
def test_chunks_of_plain_arrays(shape, dtype):
    size = np.dtype(dtype).itemsize
    chunks = _source.default_chunks(shape, None, size)
    n, whole = int(np.prod(chunks)) * size, int(np.prod(shape, dtype=object)) * size
    assert min(whole, 1 << 18) <= n <= 1 << 20
    assert all(c <= s for c, s in zip(chunks, shape))
    cut = [c for c, s in zip(chunks, shape) if c < s]
    assert all(c & (c - 1) == 0 for c in cut) and (not cut or max(cut) <= 2 * min(cut))
    short = [s for c, s in zip(chunks, shape) if c == s]
    assert not cut or all(s <= max(cut) for s in short)


def test_chunks_that_are_not_said():
    assert lazarr.source("a", np.zeros((300000, 3), "f4")).chunks == (65536, 3)
    assert lazarr.source("b", np.zeros(9)).chunks == (9,)
    assert lazarr.source("none", np.zeros((0, 3))).chunks == (1, 3)
    assert lazarr.source("d", np.zeros(())).chunks == ()
    assert lazarr.source("e", np.zeros((600, 700)), axes="yx").chunks == (512, 512)  # images stay
    assert lazarr.source("f", np.zeros((600, 700), "u1"), dims=("lat", "lon")).chunks == (600, 700)
    assert lazarr.source("g", np.zeros((2, 70, 70, 70), "u1"), axes="czyx").chunks == (1, 64, 64, 64)


# ----------------------------------------------------------------- generators of a file

GENERATOR = "rng = np.random.default_rng(1)\nold = np.random.RandomState(1)\nimport random\npure = random.Random(1)\n"


@pytest.mark.parametrize("body,name", [
    ("def a(b): return rng.random(b.shape)", "rng"), ("def a(b): return old.rand(*b.shape)", "old"),
    ("def a(b): return pure.random()", "pure"),
    ("def noise(b): return rng.random(b.shape)\ndef a(b): return noise(b)", "rng"),
    ("def a(b): return [rng.random() for _ in range(4)]", "rng"),
    ("def make(g):\n    def a(b): return g.random(b.shape)\n    return a\na = make(rng)", "g")])
def test_a_generator_of_the_file_is_said(tmp_path, capfd, body, name):
    end = "\na = lazarr.array('a', shape=(4,), chunks=2, dtype='f8'%s)(a)\n"
    for k, (more, said) in enumerate([("", True), (", deterministic=False", False)]):
        path = tmp_path / f"s{k}.py"
        path.write_text("import lazarr, numpy as np\n" + GENERATOR + body + end % more)
        json.loads(_host._load(f"s{k}", str(path)))
        text = capfd.readouterr().err
        assert (f'array "a": its random numbers come from "{name}"' in text) == said, text


def test_a_generator_of_the_block_is_not(tmp_path, capfd):
    path = tmp_path / "s.py"
    path.write_text("import lazarr, numpy as np\nrng = np.random.default_rng(2)\n"
                    "@lazarr.array(shape=(4,), chunks=2, dtype='f8')\n"
                    "def a(block): return np.random.default_rng((1, *block.chunk)).random(block.shape)\n")
    _host._load("s", str(path))
    assert "random" not in capfd.readouterr().err
