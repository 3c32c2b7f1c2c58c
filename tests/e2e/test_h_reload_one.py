"""POST /api/reload?array=STORE/PATH: one array and all that is made of it are new, with its source opened again; the
rest stays: its cached chunks, its ETags, and what its sources were."""
import os
import threading

import numpy as np
import pytest

import lzr
import test_b_changed as changed

STORE = """
import os, numpy as np, lazarr
HERE = os.path.dirname(os.path.abspath(__file__))
def value(name):
    with open(HERE + "/opened", "a") as f:
        f.write(name + " ")
    return np.full((4, 4), int(open(HERE + "/" + name).read()), "u1")

@lazarr.source("one", chunks=(2, 4), compressor=None)
def one():
    return value("one.txt")

@lazarr.source("two", chunks=(2, 4), compressor=None)
def two():
    return value("two.txt")

@lazarr.array("of_one", inputs=[one], dtype="u1", compressor=None)
def of_one(block, x):
    return x + 1

@lazarr.array("of_both", inputs=[of_one, two], dtype="u1", compressor=None)
def of_both(block, x, y):
    return x + y

@lazarr.array("of_two", inputs=[two], dtype="u1", compressor=None)
def of_two(block, x):
    return x + 1

@lazarr.array("alone", shape=(4, 4), chunks=(2, 4), dtype="u1", compressor=None)
def alone(block):
    return 7
"""
ARRAYS = ("one", "two", "of_one", "of_both", "of_two", "alone")
NEW = ("one", "of_one", "of_both")


def put(folder, one, two):
    (folder / "one.txt").write_text(str(one))
    (folder / "two.txt").write_text(str(two))


def key(name, i=0):
    return f"/zarr2/s.zarr/{name}/{i}.0"


def values(srv, i=0):
    """{array: the one value of a chunk}, {array: its tag}"""
    got = {a: srv.get(key(a, i)) for a in ARRAYS}
    assert all(r.status == 200 and len(set(r.body)) == 1 for r in got.values()), got
    return {a: r.body[0] for a, r in got.items()}, {a: r["ETag"] for a, r in got.items()}


def renew(srv, name):
    return srv.request("POST", f"/api/reload?array={name}")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_source(serve, tmp_path, workers):
    put(tmp_path, 10, 20)
    srv = serve(STORE, "--workers", workers)
    was, tags = values(srv)
    assert was == {"one": 10, "two": 20, "of_one": 11, "of_both": 31, "of_two": 21, "alone": 7}
    put(tmp_path, 100, 50)  # the second one isn't asked for
    with srv.delta() as d:
        r = renew(srv, "s/one")
        assert r.status == 200 and r.json()["reloaded"] is True and r.json()["arrays"] == 6, r
        is_now, new = values(srv)
    assert is_now == {"one": 100, "two": 20, "of_one": 101, "of_both": 121, "of_two": 21, "alone": 7}
    assert d["computed_total"] == 2 and d["source_reads_total"] == 1, dict(d)  # the rest is cached
    for a in ARRAYS:
        assert (new[a] != tags[a]) == (a in NEW), a
        assert srv.get(key(a), {"If-None-Match": tags[a]}).status == (200 if a in NEW else 304)
    # What wasn't cached of the rest is as it was, too.
    assert values(srv, 1) == (is_now, values(srv, 1)[1])
    assert (tmp_path / "opened").read_text().split().count("two.txt") == 1
    # Once more, of the other, and then of all.
    assert renew(srv, "s/two").status == 200
    again, tags = values(srv)
    assert again == {"one": 100, "two": 50, "of_one": 101, "of_both": 151, "of_two": 51, "alone": 7}
    assert all((tags[a] != new[a]) == (a in ("two", "of_two", "of_both")) for a in ARRAYS)
    put(tmp_path, 1, 2)
    assert srv.request("POST", "/api/reload").status == 200
    last, new = values(srv)
    assert last == {"one": 1, "two": 2, "of_one": 2, "of_both": 4, "of_two": 3, "alone": 7}
    assert all(new[a] != tags[a] for a in ARRAYS)


def test_an_array_in_the_middle(serve, tmp_path):
    put(tmp_path, 10, 20)
    srv = serve(STORE, "--workers", "1")
    was, tags = values(srv)
    with srv.delta() as d:
        assert renew(srv, "s%2Fof_one").status == 200
        assert values(srv)[0] == was
    assert d["computed_total"] == 2
    assert {a for a in ARRAYS if values(srv)[1][a] != tags[a]} == {"of_one", "of_both"}


def test_what_it_can_not(serve, tmp_path):
    put(tmp_path, 10, 20)
    srv = serve(STORE, "--workers", "1")
    was = values(srv)
    for target, status in (("?array=s/none", 404), ("?array=one", 404), ("?array=t/one", 404), ("?array=s/one/s0", 404),
                           ("?array=", 404), ("?array=%zz", 400), ("?array=%00", 400), ("?arrays=s/one", 400),
                           ("?all", 400), ("?array=s/one&array=s/one", 400), ("?array=s/one&foo=1", 400),
                           ("?array=s/one%2", 400), ("?array=" + "x" * 5000, 400)):
        assert srv.request("POST", "/api/reload" + target).status in (status, 414 if len(target) > 4000 else 0), target
    assert srv.request("GET", "/api/reload?array=s/one").status == 405
    assert srv.request("POST", "/api/reload?array=s/one", {"Origin": "http://evil.example"}).status == 403
    assert values(srv) == was
    assert srv.request("POST", "/api/reload?").status == 200


def test_code_that_has_changed_meanwhile(serve, tmp_path):
    """What stays would run another code under its old tags: it is refused, and nothing changes."""
    put(tmp_path, 10, 20)
    srv = serve(STORE, "--workers", "1")
    was = values(srv)
    put(tmp_path, 100, 50)
    (tmp_path / "s.py").write_text(STORE.replace("x + 1", "x + 2"))
    r = renew(srv, "s/one")
    assert r.status == 500 and "s.py has changed since it was loaded; reload with SIGHUP" in r.json()["error"], r
    assert values(srv) == was
    (tmp_path / "s.py").write_text(STORE)
    assert renew(srv, "s/one").status == 200
    assert values(srv)[0]["of_both"] == 121


def test_several_at_once(serve, tmp_path):
    """Wishes that come while one is served are served together; one of all is of all."""
    put(tmp_path, 10, 20)
    srv = serve(STORE, "--workers", "1")
    values(srv)
    put(tmp_path, 100, 50)
    wishes = [srv.begin(f"/api/reload?array=s/{a}", method="POST") for a in ("one", "two", "one", "alone")]
    assert all(w.result().status == 200 for w in wishes)
    assert values(srv)[0] == {"one": 100, "two": 50, "of_one": 101, "of_both": 151, "of_two": 51, "alone": 7}


@pytest.mark.parametrize("kind", ["mapped", "h5py", "zarr", "like"])
def test_data_files(serve, tmp_path, kind):
    """One file is opened again; the other, which has changed as well, is an error of what isn't cached of it still,
    and of every worker."""
    text, name = changed.FILES[kind]
    for folder in ("", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        changed.write(tmp_path / folder, changed.VALUES)
    second = text[len(changed.OTHER):].replace('"a"', '"b"').replace("def a(", "def b(").replace('"/a.', '"/b/a.') \
        .replace("Like", "Other")
    srv = serve(text + second, "--workers", "2")
    tags = {}
    for a in "ab":
        r = changed.chunk(srv, 0, a)
        assert r.body == changed.VALUES[:2].tobytes()
        tags[a] = r["ETag"]
    for folder in ("", "b"):
        changed.write(tmp_path / folder, changed.VALUES + 100)
    for i in (1, 2, 3):
        assert changed.chunk(srv, i, "a").status == changed.chunk(srv, i, "b").status == 500
    assert renew(srv, "s/a").status == 200
    for i in range(4):
        assert changed.chunk(srv, i, "a").body == (changed.VALUES + 100)[2 * i:2 * i + 2].tobytes()
    r = changed.chunk(srv, 0, "b")
    assert r.body == changed.VALUES[:2].tobytes() and r["ETag"] == tags["b"]
    assert changed.chunk(srv, 0, "a")["ETag"] != tags["a"]
    for i in (1, 2, 3):
        r = changed.chunk(srv, i, "b")
        assert r.status == 500 and changed.SAID in r.text, r.text
    changed.restart(srv)
    assert changed.chunk(srv, 3, "b").status == 500 and changed.chunk(srv, 3, "a").status == 200
    assert renew(srv, "s/b").status == 200
    assert changed.chunk(srv, 3, "b").body == (changed.VALUES + 100)[6:].tobytes()


def test_two_arrays_of_one_file_whose_mtime_was_put_back(serve, tmp_path):
    """The one that is opened again is as the file is now; the other is what it was, and says that it isn't any more."""
    changed.write(tmp_path, changed.VALUES)
    srv = serve(changed.MAPPED + changed.MAPPED[len(changed.OTHER):].replace('"a"', '"b"').replace("def a(", "def b("),
                "--workers", "1")
    assert changed.chunk(srv, 0, "a").status == changed.chunk(srv, 0, "b").status == 200
    changed.with_its_mtime(tmp_path / "a.npy")
    assert changed.chunk(srv, 3, "a").status == 500
    assert renew(srv, "s/a").status == 200
    now = changed.VALUES.copy()
    now[7, 7] ^= 1
    assert changed.chunk(srv, 3, "a").body == now[6:].tobytes()
    assert changed.chunk(srv, 0, "b").body == changed.VALUES[:2].tobytes()
    assert changed.chunk(srv, 3, "b").status == 500


def test_stores_that_are_data_files(serve, tmp_path):
    changed.write(tmp_path, changed.VALUES)
    os.rename(tmp_path / "a.h5", tmp_path / "one.h5")
    changed.write(tmp_path, changed.VALUES)
    os.rename(tmp_path / "a.h5", tmp_path / "two.h5")
    srv = serve([tmp_path / "one.h5", tmp_path / "two.h5"], "--workers", "1")
    kept = srv.get("/zarr2/two.zarr/d/0.0")
    for name in ("one", "two"):
        changed.write_h5(tmp_path / f"{name}.h5", "d", changed.VALUES + 100)
        assert srv.get(f"/zarr2/{name}.zarr/d/1.0").status == 500
    assert renew(srv, "one/d").status == 200
    assert lzr.read_array(srv, "/zarr2/one.zarr/d").tobytes() == (changed.VALUES + 100).tobytes()
    again = srv.get("/zarr2/two.zarr/d/0.0")
    assert (again.body, again["ETag"]) == (kept.body, kept["ETag"])
    r = srv.get("/zarr2/two.zarr/d/2.0")
    assert r.status == 500 and changed.SAID in r.text, r.text


def test_under_load(serve, tmp_path):
    """Readers of what stays see nothing of it; those of what is new see old values, then new ones."""
    put(tmp_path, 0, 20)
    srv = serve(STORE, "--workers", "2")
    values(srv)
    stop, wrong = threading.Event(), []

    def read(name):
        last = 0
        with srv.connect() as h:
            while not stop.is_set():
                r = h.get(key(name))
                if r.status != 200 or len(set(r.body)) != 1 or r.body[0] < last or \
                        name in ("two", "of_two") and r.body[0] != {"two": 20, "of_two": 21}[name]:
                    wrong.append((name, r))
                    return
                last = r.body[0]

    threads = [threading.Thread(target=read, args=(a,)) for a in ("one", "of_both", "two", "of_two")]
    for t in threads:
        t.start()
    try:
        for v in range(1, 5):
            put(tmp_path, v, 99)
            r = lzr.wait_until(lambda: (lambda x: x.status != 503 and x)(renew(srv, "s/one")), "a reload")
            assert r.status == 200, r
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, wrong
    assert values(srv)[0]["of_both"] == 25


def test_more_of_them_than_fit_one_message(serve, gate, tmp_path):
    """Wishes that come while one is granted: hundreds of arrays with long names, some twice."""
    n, name = 600, "long" * 20
    with open(tmp_path / "s.py", "w") as f:
        f.write(f"""
import os, lazarr
{gate.code}
if os.path.exists({str(tmp_path / "slow")!r}):
    gate("load")
for i in range({n}):
    lazarr.array(f"{name}{{i}}", shape=(4,), chunks=(4,), dtype="u1", compressor=None)(lambda block: 7)
""")
    srv = serve(tmp_path / "s.py", "--workers", "1", "--no-access-log")

    def etag(i):
        return srv.get(f"/zarr2/s.zarr/{name}{i}/0")["ETag"]
    before = {i: etag(i) for i in (0, 1, n // 2, n - 2, n - 1)}
    open(tmp_path / "slow", "w").close()
    first = srv.begin("/api/reload", method="POST")
    call = gate.next()
    wishes = [srv.begin(f"/api/reload?array=s/{name}{i % n}", method="POST") for i in range(1, n + 50) if i != n - 1]
    srv.wait_metric("http_suspended", len(wishes) + 1)
    os.unlink(tmp_path / "slow")
    call.go()
    gate.close()
    assert first.result().status == 200
    for w in wishes:
        r = w.result()
        assert r.status == 200, r
    assert all(etag(i) != tag for i, tag in before.items())
    assert "killed" not in srv.log
