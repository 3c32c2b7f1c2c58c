"""Other inputs out of one: values of a JSON document replaced, and bytes changed."""
from __future__ import annotations

import copy
import json
import random
import struct

ODD = [0, 1, -1, 2, 3, 2 ** 31 - 1, -2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64, 10 ** 310, 1e308, -1e308, 1e-320, .5,
       float("nan"), float("inf"), None, [], {}, "", "x", "x" * 300, True, False, [[[[1]]]], "../..", "/", ".",
       "\ud800", "\0", "a\nb", "a/b", "s0", "0", "\u00b5m", [1], [1, 1, 1], ["z", "y", "x"], {"name": "bytes"},
       {"id": "zlib"}, "zyx", "<u2", "|O", "float32", "NaN", "raw", {"raw": ""}]


MOST = 200000  # bytes of a document


def _places(doc: object) -> list:
    found, todo = [], [doc] if isinstance(doc, (dict, list)) else []
    while todo and len(found) < 20000:
        node = todo.pop()
        for k in list(node) if isinstance(node, dict) else range(len(node)):
            found.append((node, k))
            if isinstance(node[k], (dict, list)):
                todo.append(node[k])
    return found


def _deep(r: random.Random) -> object:
    value: object = 1
    for _ in range(r.choice((30, 60, 300))):
        value = [value] if r.random() < .8 else {"a": value}
    return value


def _text(value: str, r: random.Random) -> str:
    i, j = sorted(r.randrange(len(value) + 1) for _ in range(2))
    how = r.randrange(6)
    if how == 0:
        return value[:i] + value[j:]
    if how == 1:
        return value[:j] + value[i:j] * r.choice((1, 1, 40)) + value[j:]
    if how == 2:
        return value[:i] + r.choice(("\0", "\n", "\ud800", "=", "<", ">", "0", "-", ".", "/", "e9", "&#0;",
                                     "\u00b5", '"', "nan", "9" * 400, "{", "}")) + value[i:]
    if how == 3:
        words = value.replace("=", " = ").split(" ")
        words[r.randrange(len(words))] = str(r.choice(ODD))
        return " ".join(words).replace(" = ", "=")
    if how == 4:
        return value[:i] + chr(r.choice((r.randrange(128), r.randrange(0x110000)))) + value[i + 1:]
    return value.replace(value[i:i + 1] or "a", r.choice(("", "1", "-")), 1)


def document(data: bytes, r: random.Random) -> bytes:
    """Of a JSON document; data that is none comes back changed by bytes."""
    try:
        doc = json.loads(data)
        places = _places(doc)
    except (ValueError, TypeError, RecursionError):
        return some_bytes(data, r)
    if not places:
        return some_bytes(data, r)
    for node, k in r.sample(places, min(len(places), r.choice((1, 1, 1, 2, 3, 6)))):
        try:
            value = node[k]
        except (KeyError, IndexError):
            continue
        how = r.random()
        if isinstance(value, str) and how < .5:
            node[k] = _text(value, r)
        elif isinstance(value, (int, float)) and how < .4:
            node[k] = r.choice((-value, value + 1, value * 2, value * .5 if abs(value) < 1e300 else 0, str(value)[:300],
                                [value]))
        elif how < .55:
            other, j = r.choice(places)
            try:
                node[k] = copy.deepcopy(other[j])
            except (KeyError, IndexError, RecursionError):
                pass
        elif how < .62 and isinstance(node, dict):
            node[r.choice((k[:-1], _text(k, r), "a", "s1", "name"))] = node.pop(k)
        elif how < .7:
            del node[k]
        elif how < .75:
            node[k] = [value] * r.choice((2, 5, 70000 if r.random() < .02 else 40))
        elif how < .78:
            node[k] = _deep(r)
        else:
            node[k] = r.choice(ODD)
    made, size = [], 0
    try:
        for part in json.JSONEncoder().iterencode(doc):  # it may hold itself many times
            made.append(part)
            size += len(part)
            if size > MOST:
                return data
    except (RecursionError, ValueError):
        return data
    return "".join(made).encode()


def some_bytes(data: bytes, r: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 4, 16))):
        at = r.randrange(len(made) + 1)
        how = r.randrange(5)
        if how == 0 and at < len(made):
            made[at] ^= 1 << r.randrange(8)
        elif how == 1 and at < len(made):
            made[at] = r.choice((0, 1, 0x7F, 0x80, 0xFF, r.randrange(256)))
        elif how == 2:
            made[at:at + 4] = struct.pack(r.choice("<>") + "I", r.choice(
                (0, 1, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 16, r.getrandbits(32))))
        elif how == 3:
            del made[at:at + r.choice((1, 4, 60))]
        else:
            made[at:at] = made[at:at + r.choice((1, 8, 64))] * r.choice((1, 2, 50))
    return bytes(made)
