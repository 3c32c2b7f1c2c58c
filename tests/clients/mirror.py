"""Fetches an N5 container over HTTP into a folder, for readers that know only files: every
attributes.json from the root down to each dataset, and every block. Any answer but 200 fails."""
import itertools
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import requests

_local = threading.local()


def fetch(url, file):
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    r = _local.session.get(url)
    r.raise_for_status()
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as f:
        f.write(r.content)
    return r.content


def n5(url, folder, datasets):
    """datasets: paths below the container. Returns how many blocks were fetched."""
    documents = {""}
    for d in datasets:
        parts = d.split("/")
        documents |= {"/".join(parts[:i + 1]) + "/" for i in range(len(parts))}
    with ThreadPoolExecutor(8) as pool:
        def get(key):
            return fetch(f"{url}/{key}", os.path.join(folder, key))
        texts = dict(zip(sorted(documents), pool.map(lambda d: get(d + "attributes.json"), sorted(documents))))
        keys = []
        for d in datasets:
            meta = json.loads(texts[d + "/"])
            counts = [-(-n // c) for n, c in zip(meta["dimensions"], meta["blockSize"])]
            keys += ["/".join([d, *map(str, pos)]) for pos in itertools.product(*map(range, counts))]
        return sum(1 for _ in pool.map(get, keys))
