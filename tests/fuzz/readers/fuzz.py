"""Fuzzes one reader of metadata, with the processor's time as its bound.

    fuzz.py TARGET SECONDS FOLDER      guided by coverage where atheris is; goes on where it was ended
    fuzz.py TARGET --replay N [SEED]   what showed faults once, the first inputs, and N changed ones of each;
                                       TARGET may be all
    fuzz.py TARGET --file FILE         one input

An input that shows a fault ends it with status 77 (atheris) or 1, and stays in FOLDER. A result or one line
why not is what may come; see oracle.py.
"""
from __future__ import annotations

import glob
import os
import random
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../src/python")]


def replay(name: str, n: int, seed: str) -> int:
    import mutate
    import targets
    ran = 0
    for path in sorted(glob.glob(os.path.join(HERE, "../../corpus/readers", name, "*"))):
        with open(path, "rb") as f:
            targets.run(name, f.read())
        ran += 1
    for i, first in enumerate(targets.first_inputs(name)):
        data = first
        for k in range(n + 1):
            r = random.Random(f"{name} {seed} {i} {k}")
            try:
                targets.run(name, data)
            except BaseException:
                path = f"{name}-{seed}-{i}-{k}.input"
                with open(path, "wb") as f:
                    f.write(data)
                print(f"{name}: {os.path.abspath(path)} shows a fault", file=sys.stderr)
                raise
            ran += 1
            data = (mutate.document if targets.TARGETS[name][2] else mutate.some_bytes)(
                data if r.random() < .3 and len(data) < 20000 else first, r)
    print(f"{name}: {ran} inputs")
    return ran


def unguided(name: str, seconds: float, folder: str) -> None:
    """Without atheris: other changes of the first inputs each time."""
    print("no atheris here: changes at random, NOT guided by coverage", file=sys.stderr)
    os.chdir(folder)
    done = os.path.join(folder, f"{name}.done")
    runs, used = map(float, open(done).read().split()) if os.path.exists(done) else (0, 0)
    while used < seconds:
        began = time.process_time()
        runs += replay(name, 500, f"{runs:.0f}")
        used += time.process_time() - began
        with open(done, "w") as f:
            f.write(f"{runs:.0f} {used:.1f}\n")


def guided(name: str, seconds: float, folder: str) -> None:
    try:
        import atheris
    except ImportError:
        os.makedirs(os.path.join(folder, "corpus", name), exist_ok=True)
        return unguided(name, seconds, folder)
    with atheris.instrument_imports(include=["lazarr", "targets"]):
        import targets
    import mutate
    corpus = os.path.join(folder, "corpus", name)
    os.makedirs(corpus, exist_ok=True)
    for i, data in enumerate(targets.first_inputs(name)):
        with open(os.path.join(corpus, f"first{i}"), "wb") as f:
            f.write(data)
    done = os.path.join(folder, f"{name}.done")
    before = [float(v) for v in open(done).read().split()] if os.path.exists(done) else [0, 0]
    began, runs = time.process_time(), 0

    def write() -> float:
        used = before[1] + time.process_time() - began
        with open(done + ".new", "w") as f:
            f.write(f"{before[0] + runs:.0f} {used:.1f}\n")
        os.replace(done + ".new", done)
        return used

    def one(data: bytes) -> None:
        nonlocal runs
        targets.run(name, data)
        runs += 1
        if runs % 256 == 0 and write() > seconds:
            shutil.rmtree(targets.ROOM, True)
            os._exit(0)

    def change(data: bytes, size: int, seed: int) -> bytes:
        r = random.Random(seed)
        if targets.TARGETS[name][2] and r.random() < .9:
            made = mutate.document(data, r)
        else:
            made = atheris.Mutate(data, size)
        return made if len(made) <= size else data

    if before[1] > seconds:
        return
    atheris.Setup([sys.argv[0], corpus, "-max_len=16384", "-timeout=300", "-rss_limit_mb=3072",
                   "-print_final_stats=1", f"-artifact_prefix={folder}/{name}-"], one, custom_mutator=change)
    atheris.Fuzz()


def main() -> None:
    name = sys.argv[1]
    if sys.argv[2] == "--file":
        import targets
        with open(sys.argv[3], "rb") as f:
            targets.run(name, f.read())
    elif sys.argv[2] == "--replay":
        import targets
        for name in targets.TARGETS if name == "all" else [name]:
            replay(name, int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "1")
    else:
        guided(name, float(sys.argv[2]), os.path.abspath(sys.argv[3]))


if __name__ == "__main__":
    main()
