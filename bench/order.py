"""(e) The order of queued chunks: until the last view is complete.

Replays what Neuroglancer sent while somebody panned (tests/viewer/panning*.json, recorded in a browser),
at the recorded times and with what it took back, against a store whose blocks take so long that a queue
grows; for each order of src/engine/queue.h (--order), alternating. The browser's own limit of six connections
is not kept, as it isn't behind a proxy that speaks HTTP/2: that is where the server's order counts. "Last
view": the last burst of requests that weren't taken back, from its first request to its last byte. Two
clients: a second one asks for 400 other chunks at once when the pan begins, as a script would.

    /usr/bin/python3 bench/order.py [rounds [RECORDING:COST]]      e.g. 1 panning.json:0.2
"""
import asyncio
import json
import os
import statistics
import sys
import time

import common

ORDERS = (("newest burst first", "0"), ("arrival", "1"), ("newest first", "2"))
RECORDINGS = (("panning.json", 0.1), ("panning.json", 0.2), ("panning_slow.json", 0.2))
PAUSE_MS = 50


def load(name):
    """[(ms, path, ms when taken back or None)] of chunks, from the first of the pan on."""
    record = json.loads((common.ROOT / "tests" / "viewer" / name).read_text())
    chunks = [(ms, path, back) for ms, _, path, back in record["requests"]
              if "/c/" in path and ms >= record["pan_begins_ms"]]
    first = chunks[0][0]
    # What came after the pan's end was held back by the browser, whose views were complete by then.
    last = record["pan_ends_ms"]
    return [(ms - first, path.replace("fractal.zarr", "store_order.zarr").replace(
        "brain.zarr", "store_order.zarr"), back and back - first) for ms, path, back in chunks
        if ms <= last]


def last_view(requests):
    """Indices of the last burst that is wanted to its end."""
    kept = [i for i, r in enumerate(requests) if r[2] is None]
    view = [kept[-1]]
    for i in reversed(kept[:-1]):
        if requests[view[0]][0] - requests[i][0] > PAUSE_MS:
            break
        view.insert(0, i)
    return view


async def ask(port, path, agent, begin, at, back, ends, i):
    await asyncio.sleep(max(0, begin + at / 1000 - time.monotonic()))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {agent}\r\n"
                 "Connection: close\r\n\r\n".encode())
    try:
        limit = None if back is None else max(0.001, begin + back / 1000 - time.monotonic())
        answer = await asyncio.wait_for(reader.read(), limit)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer[:200])
        ends[i] = time.monotonic() - begin
    except asyncio.TimeoutError:
        pass
    finally:
        writer.close()


async def replay(port, requests, crowd):
    begin, ends = time.monotonic() + 0.2, {}
    jobs = [ask(port, path, "panning viewer", begin, at, back, ends, i)
            for i, (at, path, back) in enumerate(requests)]
    view = last_view(requests)
    others = [asyncio.ensure_future(ask(port, f"/zarr3/store_order.zarr/gradient/0/c/100/100/{i % 128}"
                                        if i < 128 else f"/zarr3/store_order.zarr/gradient/0/c/101/"
                                        f"{i // 128}/{i % 128}", "script", begin, 0, None, {}, i))
              for i in range(400 if crowd else 0)]
    await asyncio.gather(*jobs)
    for o in others:
        o.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    start = requests[view[0]][0] / 1000
    done = [ends[i] - requests[i][0] / 1000 for i in ends]
    return max(ends[i] for i in view) - start, statistics.median(done), len(view)


def main():
    rounds = common.rounds(5)
    wanted = sys.argv[2] if len(sys.argv) > 2 else None
    for name, cost in RECORDINGS:
        if wanted not in (None, f"{name}:{cost}"):
            continue
        requests = load(name)
        for crowd in (False, True):
            got = {order: [] for order, _ in ORDERS}
            for _ in range(rounds):
                for order, number in ORDERS:
                    os.environ["LZR_COST"] = str(cost)
                    with common.Lazarr(str(common.ROOT / "bench" / "store_order.py"), "--workers", "2",
                                       "--order", number) as srv:
                        got[order].append(asyncio.run(replay(srv.port, requests, crowd)))
            n = got[ORDERS[0][0]][0][2]
            print(f"\n{name}: {len(requests)} chunks, {cost} s each, the last view has {n}"
                  f"{'; a script asks for 400 more' if crowd else ''}\n", flush=True)
            base = statistics.median(x[0] for x in got["arrival"])
            common.table(["order", "last view complete s", "against arrival", "median chunk s"],
                         [[o, f"{statistics.median(x[0] for x in v):.2f}",
                           f"{statistics.median(x[0] for x in v) / base:.2f}",
                           f"{statistics.median(x[1] for x in v):.2f}"] for o, v in got.items()])


if __name__ == "__main__":
    main()
