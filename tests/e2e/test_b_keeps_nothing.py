"""--cache 0 keeps nothing: what is cached while chunks are made of others is gone with the last of them, whoever
else put something in meanwhile; and a store that was reloaded, or whose clients have left, leaves nothing either."""
import numpy as np
import pytest

import lzr

STORE = """
import lazarr, numpy as np
@lazarr.array("plain", shape=(800,), chunks=(8,), dtype="int32")
def plain(block):
    return block.coords()[0]
@lazarr.array("made", inputs=[plain], halo=2, boundary="edge")
def made(block, t):
    return t[2:-2] + 1
@lazarr.array("image", shape=(64, 64), chunks=(8, 8), axes="yx", dtype="uint8", levels=3, pyramid="stride")
def image(block):
    y, x = block.coords()
    return (y + x).astype("uint8")
lazarr.source("source", np.arange(800, dtype="int32"), chunks=(8,))
"""


def wanted(target):
    """The values of a chunk."""
    _, _, name, *rest = target[1:].split("/")
    if name == "image":
        level, y, x = (int(v) for v in rest)
        f = 1 << level
        n = np.arange(8) * f
        return ((n[:, None] + y * 8 * f) + (n + x * 8 * f)).astype("uint8")
    return np.arange(8, dtype="int32") + int(rest[-1]) * 8 + (name == "made")


def a_target(rng):
    name = rng.choice(["plain", "made", "image", "source"])
    if name == "image":
        level = int(rng.integers(3))
        n = 8 >> level
        return f"/zarr2/s.zarr/image/{level}/{rng.integers(n)}/{rng.integers(n)}"
    return f"/{rng.choice(['zarr2/s.zarr', 'n5/s.n5'])}/{name}/{rng.integers(100)}"


def raw_of(target, body, codec):
    if target.startswith("/n5/"):
        import gzip
        rank = int.from_bytes(body[2:4], "big")  # mode, rank, sizes, data in gzip
        return np.frombuffer(gzip.decompress(body[4 + 4 * rank:]), ">i4").astype("i4").tobytes()
    return lzr.decode(body, codec)


def storm(srv, seed, clients, requests, leave=0.0):
    """So many clients ask at once for anything; what they get is right."""
    codec = srv.get("/zarr2/s.zarr/plain/.zarray").json()["compressor"]

    def client(number):
        rng = np.random.default_rng([seed, number])
        with srv.connect() as h:
            for _ in range(requests):
                target = a_target(rng)
                if rng.random() < leave:
                    srv.begin(target).leave(reset=rng.random() < 0.5)
                    continue
                r = h.get(target)
                assert r.status == 200, (target, r)
                assert raw_of(target, r.body, codec) == wanted(target).tobytes(), (target, r)
    lzr.together(clients, client)


def at_rest(srv):
    def still():
        m = srv.metrics()
        return m if not m["running"] + m["queued"] + m["waiting"] + m["gathering"] + m["unsent_bytes"] else None
    return lzr.wait_until(still, "nothing under way")


def test_nothing_is_left_when_all_is_quiet(serve):
    """300 times a handful of chunks at once, of which some are made of others and some aren't: whichever is ready
    last, the cache is empty then, and its table as at the start."""
    srv = serve(STORE, "--workers", "2", "--cache", "0", "--no-access-log")
    empty, rng = srv.metrics(), np.random.default_rng(4)
    assert empty["cache_entries"] == 0
    codec = srv.get("/zarr2/s.zarr/plain/.zarray").json()["compressor"]
    there = [srv.connect() for _ in range(8)]
    for turn in range(300):
        targets = [a_target(rng) for _ in there]
        for h, target in zip(there, targets):
            h.send("GET", target)
        for h, target in zip(there, targets):
            r = h.read()
            assert r.status == 200 and raw_of(target, r.body, codec) == wanted(target).tobytes(), (target, r)
        m = at_rest(srv)
        assert m["cache_entries"] == 0 and m["cache_bytes"] == empty["cache_bytes"], (turn, m)
    assert m["cache_inserts_total"] > 0 and m["decoded_bytes"] == 0  # it was used meanwhile
    with srv.delta() as d:  # what was asked for is computed again
        assert srv.get("/zarr2/s.zarr/plain/1").status == 200
        assert srv.get("/zarr2/s.zarr/plain/1").status == 200
    assert d["computed_total"] == 2 and d["cache_hits_total"] == 0


@pytest.mark.parametrize("leave", [0.0, 0.3], ids=["all_stay", "some_leave"])
def test_nothing_is_left_by_a_storm(serve, leave):
    srv = serve(STORE, "--workers", "2", "--cache", "0", "--no-access-log")
    empty = srv.metrics()
    for seed in range(5):
        storm(srv, seed, 16, 50, leave)
        m = at_rest(srv)
        assert m["cache_entries"] == 0 and m["cache_bytes"] == empty["cache_bytes"], m


def test_nothing_is_left_by_reloads(serve):
    srv = serve(STORE, "--workers", "2", "--cache", "0", "--no-access-log")
    empty = srv.metrics()

    def reload_or_storm(i):
        if i > 0:
            return storm(srv, 9, 8, 100)
        for _ in range(5):
            assert srv.request("POST", "/api/reload").status == 200
    lzr.together(2, reload_or_storm)
    srv.wait_metric("editions", 1)
    m = at_rest(srv)
    assert m["cache_entries"] == 0 and m["cache_bytes"] == empty["cache_bytes"], m
