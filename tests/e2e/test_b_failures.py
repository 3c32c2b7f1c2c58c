"""What user code can do wrong, and what comes of it: an honest answer, and a server that goes on."""
import re
import time

import numpy as np
import pytest

import lzr


def key(name, i=0):
    return f"/zarr2/s.zarr/{name}/{i}"


GATED = """
import lazarr, os, time
def act(block):
    order = gate(block.index)
    if order == "raise":
        def inner():
            raise ValueError("the volume has no such slice: \u00b5")
        inner()
    if order == "die":
        os._exit(7)
    if order == "crash":
        os.kill(os.getpid(), 11)
    if order == "hang":
        time.sleep(1000)
    if order == "spin":
        while True:
            pass
    return 5
@lazarr.array("a", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    return act(block)
@lazarr.array("timed", shape=(100,), chunks=(1,), dtype="uint8", compressor=None, timeout=0.5)
def timed(block):
    return act(block)
"""


def test_a_raising_function(serve, gate):
    """500 with the exception's last line, and the traceback in the log, and in the body when bound to
    loopback; remembered for a few seconds, longer on repeats."""
    srv = serve(gate.code + GATED, "--workers", "1")
    p = srv.begin(key("a"))
    gate.next().go("raise")
    r = p.result()
    assert r.status == 500 and r["Content-Type"].startswith("text/plain")
    lines = r.text.splitlines()
    assert "ValueError: the volume has no such slice: µ" in lines[0]
    assert "Traceback (most recent call last):" in r.text
    assert re.search(r"s\.py.*line \d+, in inner", r.text)
    assert "site-packages" not in r.text and "_host.py" not in r.text  # lazarr's own frames are left out
    srv.wait_log("ValueError: the volume has no such slice")
    srv.wait_log(r"line \d+, in inner")
    with srv.delta() as d:
        start = time.monotonic()
        for _ in range(10):
            again = srv.get(key("a"))
            assert again.status == 500 and again.text.splitlines()[0] == lines[0]
        assert time.monotonic() - start < 1 * lzr.SLOW
    assert d["remembered_failures_total"] == 10 and d["computed_total"] == 0
    assert r["Cache-Control"] in ("no-store", "no-cache") and r["ETag"] is None
    # It doesn't stand for its neighbours.
    p = srv.begin(key("a", 1))
    gate.next().go()
    assert p.result().body == b"\5"


@pytest.mark.limit(120)
def test_failures_are_remembered_longer_on_repeats(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "1")

    def failure():
        """Fails once; how long after that the function is called again for a client that retries."""
        p = srv.begin(key("a"))
        gate.next().go("raise")
        assert p.result().status == 500
        start = time.monotonic()
        while True:
            p = srv.begin(key("a"))
            lzr.wait_until(lambda: p.answered() or not gate.empty(), "an answer or a call")
            if not p.answered():
                return time.monotonic() - start, p
            assert p.result().status == 500
            assert time.monotonic() - start < 60
            time.sleep(0.1)

    first, p = failure()
    gate.next().go("raise")
    assert p.result().status == 500
    start = time.monotonic()
    while gate.empty():
        p = srv.begin(key("a"))
        lzr.wait_until(lambda: p.answered() or not gate.empty(), "an answer or a call")
        if p.answered():
            assert p.result().status == 500
            time.sleep(0.1)
        assert time.monotonic() - start < 60
    second = time.monotonic() - start
    assert 1 < first < 30 and second > 1.5 * first
    gate.next().go()  # now it works: forgotten
    assert p.result().body == b"\5"


def test_no_traceback_beyond_loopback(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "1", "--host", "0.0.0.0", "--no-token")
    p = srv.begin(key("a"))
    gate.next().go("raise")
    r = p.result()
    assert r.status == 500 and "ValueError: the volume has no such slice" in r.text
    assert "Traceback" not in r.text and "s.py" not in r.text
    srv.wait_log(r"line \d+, in inner")


# (what the function does, words that the answer must hold): all are 500s.
WRONG = {
    "shape": ("np.zeros((3, 3))", "uint8", ["shape", "[3, 3]", "[4]"]),
    "longer": ("np.zeros(5, 'u1')", "uint8", ["shape", "[5]", "[4]"]),
    "shorter": ("np.zeros(3, 'u1')", "uint8", ["shape", "[3]", "[4]"]),
    "more_axes": ("np.zeros((1, 4), 'u1')", "uint8", ["shape", "[1, 4]"]),
    "no_axes_left": ("np.zeros((4, 0), 'u1')", "uint8", ["shape"]),
    "range": ("np.array([0, 1, 300, 2])", "uint8", ["300", "[2]", "uint8"]),
    "negative": ("np.array([0, -1, 0, 0])", "uint8", ["-1", "[1]", "uint8"]),
    "scalar_range": ("300", "uint8", ["300", "uint8"]),
    "scalar_huge": ("10**30", "int64", ["10" + "0" * 29, "int64"]),
    "float_for_int": ("np.array([1.5, 0, 2, 3])", "int32", ["1.5", "[0]", "int32"]),
    "whole_float_for_int": ("np.zeros(4)", "int32", ["0.0", "[0]", "int32"]),
    "scalar_float": ("1.5", "int32", ["1.5", "int32"]),
    "nan_for_int": ("np.full(4, np.nan)", "int32", ["nan", "[0]", "int32"]),
    "complex_for_float": ("np.array([1, 2j, 3, 4])", "float32", ["2j at [1]", "float32"]),
    "scalar_complex": ("1j", "float64", ["1j", "float64"]),
    "overflow": ("np.array([1, 2, 3, 1e300])", "float32", ["1e+300", "[3]", "float32"]),
    "overflow16": ("np.array([1, 70000, 3, 4])", "float16", ["70000", "[1]", "float16"]),
    "u64_for_i64": ("np.full(4, 2**63, 'u8')", "int64", ["9223372036854775808", "[0]", "int64"]),
    "int_for_bool": ("np.array([0, 1, 2, 1])", "bool", ["2", "[2]", "bool"]),
    "float_for_bool": ("np.ones(4)", "bool", ["1.0", "bool"]),
    "objects": ("np.array([1, 'a', None, []], dtype=object)", "uint8", ["object"]),
    "ragged": ("[[1], [2, 3]]", "uint8", ["list"]),
    "text": ("'hello'", "uint8", ["str"]),
    "dates": ("np.zeros(4, 'M8[s]')", "int64", ["datetime64"]),
    "records": ("np.zeros(4, 'u1,u1')", "uint8", ["dtype"]),
    "none": ("None", "uint8", ["None"]),
    "a_dict": ("{}", "uint8", ["dict"]),
    "lazy": ("Lazy()", "uint8", ["Lazy", "too lazy"]),
    "generator": ("(i for i in range(4))", "uint8", ["generator"]),
    "unwritten": ("block.coords() and None", "uint8", ["block.data"]),
    "written_range": ("block.data.__setitem__(0, 300)", "uint8", ["300", "uint8"]),
    "written_float": ("block.data.__setitem__(0, 1.5)", "int32", ["1.5", "int32"]),
    "big_endian": ("np.array([0, 1, 300, 2], '>i8')", "uint8", ["300", "[2]", "uint8"]),
}
RIGHT = {
    "int_labels": ("np.array([0, 1, 2**32 - 1, 7], 'i8')", "uint32", [0, 1, 2**32 - 1, 7]),
    "big_labels": ("np.array([0, 1, 2**32 - 1, 7], '>i8')", "uint32", [0, 1, 2**32 - 1, 7]),
    "ints_for_float": ("np.array([1, 2, 3, 4])", "float32", [1, 2, 3, 4]),
    "wide_float": ("np.array([0.1, np.inf, 1e-300, -np.inf])", "float32",
                   [np.float32(0.1), np.inf, 0, -np.inf]),
    "bools": ("np.array([True, False, True, True])", "uint8", [1, 0, 1, 1]),
    "zero_one_for_bool": ("np.array([0, 1, 1, 0])", "bool", [0, 1, 1, 0]),
    "float_for_complex": ("np.array([1.5, 2, 3, 4])", "complex64", [1.5, 2, 3, 4]),
    "array_like": ("Real()", "uint8", [4, 3, 2, 1]),
    "masked_rows": ("np.arange(16).reshape(4, 4)[:, 1].astype('i2')[::-1]", "int64", [13, 9, 5, 1]),
    "fortran": ("np.asfortranarray(np.arange(4))", "int8", [0, 1, 2, 3]),
    "scalar_bool": ("True", "uint8", [1, 1, 1, 1]),
    "np_scalar": ("np.int64(200)", "uint8", [200] * 4),
    "read_only": ("np.broadcast_to(np.uint8(9), 4)", "uint8", [9] * 4),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    text = """
import lazarr, numpy as np
class Lazy:
    shape, dtype = (4,), np.dtype("u1")
    def __array__(self, *a, **k): raise RuntimeError("too lazy")
class Real:
    shape, dtype = (4,), np.dtype("u1")
    def __array__(self, *a, **k): return np.array([4, 3, 2, 1], "u1")
"""
    for name, (code, dtype, _) in {**WRONG, **RIGHT}.items():
        text += (f"@lazarr.array('{name}', shape=(8,), chunks=(4,), dtype='{dtype}', compressor=None)\n"
                 f"def f(block):\n    return {code}\n")
    path = tmp_path_factory.mktemp("wrong") / "s.py"
    path.write_text(text)
    with lzr.Server(path, "--workers", "1") as srv:
        yield srv


@pytest.mark.parametrize("name", WRONG)
def test_results_that_do_not_fit(wrong, name):
    """Never wrong bytes: a 500 naming the value and the place, or what was expected and what came."""
    with wrong.delta() as d:
        r = wrong.get(key(name))
    assert r.status == 500, r
    line = r.text.splitlines()[0]
    for word in WRONG[name][2]:
        assert word in line, line
    assert d["compute_failures_total"] == 1 and d["worker_deaths_total"] == 0


@pytest.mark.parametrize("name", RIGHT)
def test_results_that_fit(wrong, name):
    _, dtype, want = RIGHT[name]
    got = np.frombuffer(wrong.chunk(key(name)), dtype)
    assert got.tolist() == np.array(want, dtype).tolist()


def test_numpy_adds_nothing_of_its_own(wrong):
    """Its warnings of casts that lazarr tries, or makes, are nobody's: none is in the log."""
    for name in (*WRONG, *RIGHT):
        wrong.get(key(name))
    wrong.get("/end")
    wrong.wait_log("GET /end HTTP/1.1\" 404")
    assert "Traceback" in wrong.log and "Warning" not in wrong.log


def test_a_worker_that_dies_once(serve, gate):
    """A worker that dies is restarted and its flight retried once in a fresh one."""
    srv = serve(gate.code + GATED, "--workers", "1")
    p = srv.begin(key("a", 3))
    call = gate.next()
    call.go("die")
    again = gate.next()
    assert again.pid != call.pid and again.key == call.key
    again.go()
    assert p.result().body == b"\5"
    m = srv.metrics()
    assert m["worker_deaths_total"] == 1 and m["retries_total"] == 1 and m["worker_starts_total"] == 2
    srv.wait_log(r"worker.*(exit|status|died).*7|7.*worker")


@pytest.mark.parametrize("how,said", [("die", r"7"), ("crash", r"(?i)signal 11|SIGSEGV|segmentation")])
def test_a_worker_that_dies_twice(serve, gate, how, said):
    """The second death is a 500; nobody else notices."""
    srv = serve(gate.code + GATED, "--workers", "2")
    p = srv.begin(key("a", 3))
    gate.next().go(how)
    gate.next().go(how)
    r = p.result()
    assert r.status == 500 and "worker" in r.text.lower() and re.search(said, r.text), r
    with srv.delta() as d:
        assert srv.get(key("a", 3)).status == 500  # remembered
    assert d["computed_total"] == 0 and d["worker_deaths_total"] == 0
    p = srv.begin(key("a", 4))
    gate.next().go()
    assert p.result().body == b"\5"
    srv.wait_metric("workers", 2)
    m = srv.metrics()
    assert m["worker_deaths_total"] == 2 and m["retries_total"] == 1
    assert m["running"] == m["queued"] == m["waiting"] == 0


def test_a_death_while_others_wait(serve, gate):
    """All who wait for the chunk wait on through the retry; those queued behind are served."""
    srv = serve(gate.code + GATED, "--workers", "1")
    same = [srv.begin(key("a", 1)) for _ in range(10)]
    call = gate.next()
    other = [srv.begin(key("a", i)) for i in range(2, 12)]
    srv.wait_metric("waiting", 20)
    call.go("die")
    for _ in range(11):
        gate.next().go()
    assert all(p.result().body == b"\5" for p in same + other)
    m = srv.metrics()
    assert m["worker_deaths_total"] == 1 and m["retries_total"] == 1


def test_an_idle_worker_that_dies(serve, gate):
    srv = serve(gate.code + GATED, "--workers", "2")
    import os
    import signal
    pids = srv.worker_pids()
    assert len(pids) == 2
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    srv.wait_metric("worker_deaths_total", 2)
    srv.wait_metric("workers", 2)
    p = srv.begin(key("a"))
    gate.next().go()
    assert p.result().body == b"\5"


@pytest.mark.parametrize("how", ["hang", "spin"])
def test_timeout(serve, gate, how):
    """One that outlives `timeout` is killed and the waiters get 503, the second time a remembered
    500; others keep being served."""
    srv = serve(gate.code + GATED, "--workers", "1")
    waiters = [srv.begin(key("timed", 1)) for _ in range(5)]
    call = gate.next()
    srv.wait_metric("waiting", 5)
    start = time.monotonic()
    call.go(how)
    for p in waiters:
        r = p.result()
        assert r.status == 503 and int(r["Retry-After"]) >= 0, r
    assert time.monotonic() - start < 5 * lzr.SLOW
    srv.wait_metric("worker_kills_total", 1)
    p = srv.begin(key("timed", 2))  # another chunk, in a new worker
    gate.next().go()
    assert p.result().body == b"\5"
    p = srv.begin(key("timed", 1))  # it runs again when asked again
    gate.next().go(how)
    r = p.result()
    assert r.status == 500 and re.search("time|deadline", r.text), r
    with srv.delta() as d:
        assert srv.get(key("timed", 1)).status == 500
    assert d["computed_total"] == 0 and d["remembered_failures_total"] == 1 and gate.empty()
    m = srv.metrics()
    assert m["worker_kills_total"] == 2 and m["retries_total"] == 0
    p = srv.begin(key("a", 1))
    gate.next().go()
    assert p.result().status == 200


def test_a_slow_neighbour_is_not_killed_for_waiting(serve, gate):
    """A deadline counts from when the block can run, not from when it was queued."""
    srv = serve(gate.code + GATED, "--workers", "1", "--first-byte", "1.2")
    slow = srv.begin(key("a", 1))
    call = gate.next()
    queued = srv.begin(key("timed", 1))
    for p in (slow, queued):  # told so after 1.2 s, which is longer than the timeout of `timed`
        r = p.result()
        assert r.status == 503 and "still being computed" in r.text
    call.go()
    gate.next().go()
    srv.wait_metric("encoded_total", 2)
    assert srv.get(key("a", 1)).status == srv.get(key("timed", 1)).status == 200
    m = srv.metrics()
    assert m["worker_kills_total"] == 0 and m["computed_total"] == 2


def test_kept_references_pin_their_slots(serve):
    """A kept reference pins its slot; its bytes, and those that are served, stay right."""
    srv = serve("""
import lazarr, numpy as np, gc
KEPT = []
@lazarr.array("keep", shape=(100, 1000), chunks=(1, 1000), dtype="uint16", compressor=None)
def keep(block):
    i = block.start[0]
    block.data[...] = i + 1
    KEPT.append((i, block.data, block.data[:, 10:20]))
@lazarr.array("check", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def check(block):
    return len(KEPT) if all((a == i + 1).all() and (b == i + 1).all() for i, a, b in KEPT) else 255
@lazarr.array("let_go", shape=(100,), chunks=(1,), dtype="uint8", compressor=None)
def let_go(block):
    KEPT.clear()
    gc.collect()
    return 1
""", "--workers", "1")

    def row(i):
        return np.frombuffer(srv.chunk(f"/zarr2/s.zarr/keep/{i}.0"), "u2")

    for i in range(5):
        assert (row(i) == i + 1).all()
        assert srv.metric("slots_pinned") == i + 1
        assert srv.chunk(key("check", i)) == bytes([i + 1])
    for i in range(5, 9):
        assert (row(i) == i + 1).all()
    for i in range(9):
        assert (row(i) == i + 1).all()  # from the cache
    assert srv.chunk(key("check", 50))[0] in range(10)  # a worker with many pins may be a new one
    srv.chunk(key("let_go"))
    srv.wait_metric("slots_pinned", 0)
    assert srv.metric("worker_deaths_total") == 0


def test_a_kept_reference_written_later_changes_nothing_served(serve):
    srv = serve("""
import lazarr, numpy as np
KEPT = []
@lazarr.array("a", shape=(50, 64), chunks=(1, 64), dtype="uint8", compressor=None)
def a(block):
    for old in KEPT:
        old[...] = 255
    block.data[...] = block.start[0]
    KEPT[:] = [block.data]
""", "--workers", "1", "--cache", "64MiB")
    for i in range(50):
        assert srv.chunk(f"/zarr2/s.zarr/a/{i}.0") == bytes([i]) * 64
    for i in range(50):
        assert srv.chunk(f"/zarr2/s.zarr/a/{i}.0") == bytes([i]) * 64


def test_memory_error_and_exit_are_ordinary_failures(serve):
    srv = serve("""
import lazarr, sys, numpy as np
def way(f):
    lazarr.array(f.__name__, shape=(2,), chunks=(1,), dtype="uint8")(f)
@way
def memory(block): raise MemoryError
@way
def leaves(block): sys.exit(3)
@way
def interrupted(block): raise KeyboardInterrupt
@way
def base(block): raise BaseException("rare")
@way
def deep(block): return deep_down(block)
def deep_down(block): return deep_down(block)
@way
def unprintable(block):
    class E(Exception):
        def __str__(self): raise ValueError
    raise E()
@way
def long(block): raise ValueError("x" * 1000000)
@way
def newlines(block): raise ValueError("one\\ntwo\\r\\nX-Evil: 1\\n\\n<html>")
@way
def ok(block): return 1
""", "--workers", "1")
    for name, word in (("memory", "MemoryError"), ("leaves", "SystemExit"),
                       ("interrupted", "KeyboardInterrupt"), ("base", "rare"), ("deep", "RecursionError"),
                       ("unprintable", "E"), ("long", "ValueError"), ("newlines", "ValueError")):
        r = srv.get(key(name))
        assert r.status == 500 and word in r.text, (name, r)
        assert len(r.body) < 20000 and r["X-Evil"] is None
        assert r["Content-Type"].startswith("text/plain")
    assert srv.get(key("ok")).status == 200
    assert srv.metric("worker_deaths_total") == 0


def test_user_threads_and_output_floods_do_no_harm(serve):
    srv = serve("""
import lazarr, threading, os
@lazarr.array("a", shape=(20,), chunks=(1,), dtype="uint8", compressor=None)
def a(block):
    t = threading.Thread(target=lambda: [print("y" * 200) for _ in range(500)])
    t.start()
    os.write(1, b"z" * 100000 + b"\\n")
    t.join()
    return 1
""", "--workers", "2")
    for i in range(20):
        assert srv.chunk(key("a", i)) == b"\1"


def test_every_array_counts_its_failed_chunks(serve):
    """`failed` of /api/stats: whatever failed, the chunk's own function, a chunk that it is made of, or its worker; a
    failure that is remembered isn't counted again, nor is one in another format of the same chunk."""
    srv = serve("""
import lazarr, os, numpy as np
@lazarr.array("raw", shape=(16, 16), chunks=8, dtype="uint8", axes="yx", levels=2, pyramid="mean")
def raw(block):
    if block.index == 3: raise ValueError("no such slice")
    return block.index
smooth = lazarr.array("smooth", inputs=[raw], halo=1, boundary="edge", levels=1)(lambda block, a: a[1:-1, 1:-1])
edges = lazarr.array("edges", inputs=[smooth], levels=1)(lambda block, a: a)
@lazarr.array("dies", shape=(2,), chunks=1, dtype="uint8")
def dies(block): os._exit(7)
after = lazarr.array("after", inputs=[dies])(lambda block, a: a)
@lazarr.array("fine", shape=(2,), chunks=1, dtype="uint8")
def fine(block): return 1
""", "--workers", "1")

    def failed():
        return {a["path"]: a["failed"] for a in srv.get("/api/stats").json()["arrays"]}
    assert set(failed().values()) == {0}
    assert srv.chunk("/zarr2/s.zarr/fine/0") and srv.chunk("/zarr2/s.zarr/raw/0/0/0")
    for _ in range(3):
        assert srv.get("/zarr2/s.zarr/edges/0/1/1").status == 500
    one = failed()
    assert one["raw"] >= 1 and one["edges"] == one["smooth"] == one["raw"], one  # 5 s later it would be tried again
    assert one["dies"] == one["after"] == one["fine"] == 0
    assert srv.get("/zarr2/s.zarr/raw/1/0/0").status == 500  # its level, of what has failed already
    assert srv.get("/n5/s.n5/edges/s0/1/1").status == 500
    two = failed()
    level = two["raw"] - one["raw"] - (two["smooth"] - one["smooth"])
    assert level == 1 and two["edges"] == two["smooth"], two
    r = srv.get("/zarr2/s.zarr/after/1")
    assert r.status in (500, 503), r
    three = failed()
    assert three["dies"] == three["after"] == 1 and three["fine"] == 0, three
    assert srv.metric("compute_failures_total") == two["smooth"]  # functions that raised: raw's alone
