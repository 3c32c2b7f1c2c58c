"""What a worker does with each message: jobs, results, pins, failures, nonsense."""
import os
import select
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import lzr
from cast_cases import CASES
from wdriver import (CONFIG, CONTROL, DONE, DROP_SLOT, EXIT_VERSIONS, FAILED, FORKED, FORMAT, JOB, LOAD_FAILED,
                     MAX_MESSAGE, MORE, PINNED, QUIT, SLOT, UNPINNED, VERSION, Worker, pack)

DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
          "float32", "float64", "complex64", "complex128"]


def array(name, body, shape=(4,), dtype="uint8"):
    chunks = tuple(max(n, 1) for n in shape)
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return (f"@lazarr.array({name!r}, shape={shape}, chunks={chunks}, dtype={dtype!r})\n"
            f"def _(block):\n{lines}\n")


ONE = array("a", "return 7")


# results

def test_every_case_of_the_checked_cast(worker):
    """Python and C agree on every case: the same values, the same words."""
    cases = [(f"c{i}", *c) for i, c in enumerate(CASES)]
    w = worker("".join(array(name, f"return {result}", shape, dtype)
                       for name, dtype, shape, result, _ in cases))
    for name, dtype, shape, result, want in cases:
        if want.startswith("np."):
            expected = np.broadcast_to(eval(want), shape).astype(dtype)
            assert np.array_equal(w.run(name), expected,
                                  equal_nan=np.dtype(dtype).kind in "fc"), result
        else:
            assert want in w.fails(name)[0], result


LAYOUTS = {"C": "x", "F": "np.asfortranarray(x)", "strided": "np.repeat(x, 2, axis=1)[:, ::2]",
           "reversed": "x[::-1].copy()[::-1]", "misaligned":
           "np.frombuffer(b'.' + x.tobytes(), 'u1')[1:].view(x.dtype).reshape(x.shape)",
           "swapped": "x.astype(x.dtype.newbyteorder())", "subclass": "x.view(np.matrix)",
           "readonly": "np.broadcast_to(x, x.shape)"}


@pytest.mark.parametrize("order", "<>")
def test_every_pair_of_integers_in_every_layout(worker, order):
    """Values at both ends of the range come through; one beyond it is named with its place."""
    ints = [d for d in DTYPES if "int" in d]
    fits, beyond = [], []
    for s in ints:
        for d in ints:
            si, di = np.iinfo(s), np.iinfo(d)
            lo, hi = max(si.min, di.min), min(si.max, di.max)
            fits.append((s, d, lo, hi))
            if si.max > di.max:
                beyond.append((s, d, di.max + 1))
            if si.min < di.min:
                beyond.append((s, d, di.min - 1))
    text = ""
    for k, layout in LAYOUTS.items():
        for i, (s, d, lo, hi) in enumerate(fits):
            text += array(f"fit{i}{k}", f"x = np.array([[{lo}, 0, 1], [{hi}, 1, 0]], {s!r})\n"
                          f"return {layout}", (2, 3), np.dtype(d).newbyteorder(order).str)
        for i, (s, d, bad) in enumerate(beyond):
            text += array(f"bad{i}{k}", f"x = np.array([[1, 0, 1], [0, {bad}, {bad}]], {s!r})\n"
                          f"return {layout}", (2, 3), np.dtype(d).newbyteorder(order).str)
    w = worker(text)
    for k in LAYOUTS:
        for i, (s, d, lo, hi) in enumerate(fits):
            assert w.run(f"fit{i}{k}").tolist() == [[lo, 0, 1], [hi, 1, 0]], (s, d, k)
        for i, (s, d, bad) in enumerate(beyond):
            line = w.fails(f"bad{i}{k}")[0]
            assert f"value {bad} at [1, 1] does not fit {d}" in line, (s, d, k)


@pytest.mark.parametrize("order", "<>")
def test_every_dtype_to_every_dtype(worker, order):
    """0 and 1 fit wherever the kinds do; the others are refused, never converted."""
    kinds = "biufc"
    text = "".join(array(f"{s}-{d}", f"return np.array([0, 1, 1], {s!r})", (3,),
                         np.dtype(d).newbyteorder(order).str) for s in DTYPES for d in DTYPES)
    w = worker(text)
    refused = 0
    for s in DTYPES:
        for d in DTYPES:
            sk, dk = np.dtype(s).kind, np.dtype(d).kind
            if kinds.index("i" if sk == "u" else sk) <= kinds.index(dk) or (sk + dk) in ("ub", "ib", "ui"):
                got = w.run(f"{s}-{d}")
                assert got.dtype == np.dtype(d).newbyteorder(order) and got.tolist() == [0, 1, 1], (s, d)
            else:
                assert f"it returned {s}, the array is {d}: return " in w.fails(f"{s}-{d}")[0], (s, d)
                refused += 1
    assert refused > 40


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2, 1, 3, 1, 2, 1, 2, 2)])
def test_shapes(worker, shape):
    n = int(np.prod(shape))
    w = worker(array("given", f"return np.arange({n}).reshape({shape})", shape, "int32") +
               array("written", f"block.data[...] = np.arange({n}).reshape({shape})", shape, "int32") +
               array("same", f"return np.arange({n}, dtype='i4').reshape({shape})", shape, "int32"))
    for name in w.arrays:
        assert w.run(name).tolist() == np.arange(n).reshape(shape).tolist()


def test_a_block_in_the_middle(worker):
    w = worker(array("a", "return block.coords()[0] * 10 + block.coords()[1]", (10, 10), "uint16"))
    assert w.run("a", start=(7, 2), extent=(2, 3)).tolist() == [[72, 73, 74], [82, 83, 84]]


LAZY = """
class Lazy:
    def __init__(self, a): self.a = a
    def __array__(self, dtype=None, copy=None): return self.a
"""
ALIASES = {  # what a function may do with the slot's own memory, and what must come out
    "itself": ("return d", [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
    "view": ("return d[...]", [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
    "transposed": ("return d.T", [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
    "reversed": ("return d[::-1, ::-1]", [[8, 7, 6], [5, 4, 3], [2, 1, 0]]),
    "row": ("return d[1:2]", [[3, 4, 5]] * 3),
    "element": ("return d[2:3, 2:3]", [[8] * 3] * 3),
    "halves": ("return d.view('i2').reshape(-1)[1:19:2].reshape(3, 3)", [[0] * 3] * 3),
    "shifted": ("return d.view('i2').reshape(-1)[:9].reshape(3, 3)", [[0, 0, 1], [0, 2, 0], [3, 0, 4]]),
    "swapped": ("return d.byteswap().view(d.dtype.newbyteorder())", [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
    "memoryview": ("return memoryview(np.asarray(d)[::-1])", [[6, 7, 8], [3, 4, 5], [0, 1, 2]]),
    "lazy": ("return Lazy(np.asarray(d).T)",
             [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
}


def test_results_that_lie_in_the_slot(worker):
    w = worker(LAZY + "".join(array(k, "d = block.data\nd[...] = np.arange(9).reshape(3, 3)\n" + code, (3, 3),
                             "int32") for k, (code, _) in ALIASES.items()))
    for k, (_, want) in ALIASES.items():
        assert w.run(k).tolist() == want, k


def test_what_is_not_written_is_fill(worker):
    w = worker("@lazarr.array('a', shape=(4,), chunks=(4,), dtype='>i2', fill_value=-7)\n"
               "def a(block):\n    block.data[1] = 5\n")
    w.slots[0].map[:8] = b"\xff" * 8
    assert w.run("a").tolist() == [-7, 5, -7, -7]


# failures

FAILURES = {
    "raises": ("raise ValueError('no voxel here')", "ValueError: no voxel here"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generator": ("raise GeneratorExit('x')", "GeneratorExit: x"),
    "memory": ("raise MemoryError", "MemoryError"),
    "recursion": ("f = lambda: f()\nf()", "RecursionError"),
    "two lines": ("raise ValueError('one\\ntwo')", "one"),
    "unprintable": ("class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E", "E"),
    "surrogate": ("raise ValueError('\\ud800x')", "x"),
    "nul": ("raise ValueError('before\\0after')", "before"),
    "nothing": ("pass", "never wrote block.data"),
    "object": ("return np.array([None] * 4)", "dtype object"),
    "cast lines": ("class L:\n    def __array__(self, *a, **k): raise ValueError('p\\nq')\nreturn L()",
                   "can't be converted"),
    "long": ("raise ValueError('é' * 100000)", "é"),
}


def test_failures(worker):
    """Each is the job's failure, one line and a traceback, and the worker goes on."""
    w = worker("".join(array(k.replace(" ", "-"), code) for k, (code, _) in FAILURES.items()) + ONE)
    for k, (_, want) in FAILURES.items():
        line, trace = w.fails(k.replace(" ", "-"))
        assert want in line, k
        if k == "raises":
            assert "Traceback" in trace and "s.py" in trace and "_host.py" not in trace
        assert w.run("a").tolist() == [7] * 4
    assert w.process.poll() is None


@pytest.mark.parametrize("text,want", [
    ("def f(:\n", "SyntaxError"), ("import nothing_like_that\n", "nothing_like_that"),
    ("raise SystemExit\n", "SystemExit"), ("", "defines no array"),
    ("lazarr.array('a', shape=4, chunks=0, dtype='u1')(lambda b: 0)\n", "chunks must be"),
    ("lazarr.array('a', shape=4, chunks=4, dtype='u1', attributes={'a': '\\ud800'})(lambda b: 0)\n",
     "surrogate"),
])
def test_stores_that_are_refused(worker, text, want):
    w = worker(text)
    assert w.refused is not None and want in w.refused[0]
    assert w.end() == 0


def test_a_manifest_of_many_messages(worker):
    w = worker(f"for i in range(200):\n    lazarr.array('a%d' % i, shape=(4,), chunks=(4,), dtype='u1',\n"
               f"        attributes={{'note': 'é' * 1000}})(lambda b: 3)\n")
    assert len(w.arrays) == 200 and w.run("a199").tolist() == [3] * 4


@pytest.mark.parametrize("program,store", [("/usr/bin/python3", "raise SystemExit\n"),
                                           ("/usr/bin/python3", ONE)])
def test_last_words_are_not_reset(worker, program, store):
    """A refusal is the first that the server reads, also when something it said is still unread."""
    env = {} if "Exit" in store else {"PYTHONHOME": "/nowhere"}
    w = worker(store, load=False, program=program, env=env)
    w.process.wait(lzr.WAIT)
    m = w.receive()  # ConnectionResetError would be an AssertionError here
    assert m.type == LOAD_FAILED


# pins

KEEP = "KEPT = []\n" + array("keep", "block.data[...] = 1\nKEPT.append(block.data)") + \
    array("drop", "KEPT.clear()\nreturn 2") + \
    array("view", "block.data[...] = 1\nKEPT.append(memoryview(block.data)[1:])") + \
    array("raise", "d = block.data\nd[...] = 1\nKEPT.append(d)\nraise ValueError('kept')") + \
    array("cycle", "block.data[...] = 1\nl = [block.data]\nl.append(l)\n") + \
    array("read", "return KEPT[0]") + array("returned", "KEPT.append(np.zeros(4, 'u1'))\nreturn KEPT[-1]")


@pytest.mark.parametrize("how", ["keep", "view", "raise"])
def test_a_kept_array_pins_its_slot(worker, how):
    w = worker(KEEP)
    m = w.job(how)
    assert m.type == (FAILED if how == "raise" else DONE) and m.flags == PINNED
    w.slots[0].map[1] = 77  # what it refers to is the slot, for as long as it is there
    assert w.silent()
    assert w.run("drop", 1).tolist() == [2] * 4
    assert w.unpinned == [0]
    assert w.silent()
    assert w.run("drop", 0).tolist() == [2] * 4


def test_pins_of_two_slots(worker):
    w = worker(KEEP, slots=3)
    assert w.job("keep", 0).flags == w.job("keep", 1).flags == PINNED
    w.run("drop", 2)
    assert sorted(w.unpinned) == [0, 1]


def test_a_cycle_is_collected_before_it_goes_idle(worker):
    w = worker(KEEP)
    assert w.job("cycle").flags == PINNED
    m = w.receive()
    assert (m.type, m.slot) == (UNPINNED, 0)
    assert w.run("drop").tolist() == [2] * 4


def test_a_thread_that_lets_go_while_it_is_idle(worker):
    w = worker(KEEP + "import threading\n" + array(
        "later", "block.data[...] = 1\nKEPT.append(block.data)\n"
        "threading.Timer(0.3, KEPT.clear).start()"))
    assert w.job("later").flags == PINNED
    m = w.receive()
    assert (m.type, m.slot) == (UNPINNED, 0)


def test_a_result_that_is_kept_pins_nothing(worker):
    w = worker(KEEP)
    assert w.run("returned").tolist() == [0] * 4


def test_a_kept_array_of_an_other_slot_can_be_returned(worker):
    w = worker(KEEP)
    assert w.job("keep").flags == PINNED
    assert w.run("read", 1).tolist() == [1] * 4


def test_a_slot_is_dropped_only_unpinned(worker):
    w = worker(KEEP)
    w.send(DROP_SLOT, slot=1)
    assert w.job("keep").flags == PINNED
    w.send(DROP_SLOT, slot=0)
    assert w.end() != 0 and "slot" in w.log


def test_a_block_that_is_over_has_no_data(worker):
    """A kept Block must not reach the next job's slot."""
    w = worker("B = []\n" + array("keep", "B.append(block)\nreturn 1") +
               array("late", "block.data[...] = 5\ntry:\n    B[0].data[...] = 9\n"
                     "except RuntimeError as e:\n    assert 'over' in str(e)\nelse:\n    assert False"))
    w.run("keep")
    assert w.run("late").tolist() == [5] * 4


def test_jobs_leave_nothing_behind(worker):
    """Memory and descriptors after many jobs of every kind are what they were after a few."""
    names = ["good", "scalar", "written", "narrow", "wrong", "raises", "shape"]
    size = (64, 64)
    w = worker("d = np.zeros((64, 64), 'u2')\n" + array("good", "return d", size, "uint16") +
               array("scalar", "return 3", size, "uint16") +
               array("written", "block.data[...] = 3", size, "uint16") +
               array("narrow", "return d.astype('i8').T", size, ">u2") +
               array("wrong", "return d - 1.5", size, "uint16") +
               array("raises", "x = block.data\nraise ValueError(bytes(1000))", size, "uint16") +
               array("shape", "return d[1:]", size, "uint16"))

    def used():
        for line in open(f"/proc/{w.process.pid}/status"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1]), len(os.listdir(f"/proc/{w.process.pid}/fd"))

    def rounds(n):
        for i in range(n):
            for k, name in enumerate(names):
                assert w.job(name, k % 2).flags == 0
        return used()

    few, many = rounds(200), rounds(1500)
    # 10 500 jobs: a block of 8 KiB lost in each would be 84 MB, one object of 64 bytes 650 KB.
    assert many[1] == few[1] and many[0] - few[0] < 500 * lzr.SLOW, (few, many)


# the process

def test_withdrawn_jobs_are_not_answered(worker):
    w = worker("N = []\n" + array("a", "N.append(1)\nreturn len(N)"))
    w.slots[0].claim(0)
    w.start("a", claim=False)
    assert w.run("a", 1).tolist() == [1] * 4
    assert w.silent()


def test_the_next_job_may_be_sent_while_one_runs(worker):
    w = worker(array("slow", "import time\ntime.sleep(0.2)\nreturn 1") + ONE)
    first, second = w.start("slow", 0), w.start("a", 1)
    assert (w.answer().seq, w.answer().seq) == (first, second)
    assert w.values("slow", 0).tolist() == [1] * 4 and w.values("a", 1).tolist() == [7] * 4


def test_output_is_there_when_the_job_is_done(worker):
    w = worker("print('loading')\n" + array(
        "a", "import sys, os\nprint('out', end='')\nprint('err', file=sys.stderr)\n"
        "os.write(1, b'raw')\nreturn 1"))
    assert "loading" in w.read_log()
    w.run("a")
    assert all(x in w.read_log() for x in ("out", "err", "raw"))


def test_broken_streams_do_no_harm(worker):
    w = worker("import sys\n" + array("a", "sys.stdout.close()\nsys.stderr = None\nreturn 1") + ONE
               .replace("'a'", "'b'"))
    w.run("a")
    assert w.run("b").tolist() == [7] * 4


@pytest.mark.parametrize("end", ["quit", "close"])
def test_exit_functions_run(worker, tmp_path, end):
    mark = tmp_path / "mark"
    w = worker(f"import atexit\natexit.register(lambda: open({str(mark)!r}, 'w').write('bye'))\n" + ONE)
    w.run("a")
    w.send(QUIT) if end == "quit" else w.socket.close()
    assert w.end() == 0 and mark.read_text() == "bye"


@pytest.mark.parametrize("guard", ["", "signal.signal(signal.SIGALRM, lambda *a: None)\n",
                                   "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"])
def test_exit_functions_have_two_seconds(worker, guard):
    w = worker("import atexit, signal, time\n" + guard +
               "atexit.register(lambda: [time.sleep(1) for _ in range(60)])\n" + ONE)
    w.run("a")
    w.send(QUIT)
    t = time.monotonic()
    w.end()
    assert 1.5 < time.monotonic() - t < 2 + 6 * lzr.SLOW


def test_quit_waits_for_no_thread_that_goes_on(worker):
    w = worker("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n" + ONE)
    w.run("a")
    w.send(QUIT)
    t = time.monotonic()
    assert w.end() == 0 and time.monotonic() - t < 2 * lzr.SLOW


def test_what_a_worker_is(worker):
    """Descriptors, priority, rights and what the interpreter says of itself."""
    w = worker("import json, os, sys\n" + array("a", """
status = open('/proc/self/status').read()
print(json.dumps({'fds': sorted(int(f) for f in os.listdir('/proc/self/fd')),
    'nice': os.nice(0), 'privs': 'NoNewPrivs:\\t1' in status, 'pgrp': os.getpgrp() == os.getpid(),
    'oom': int(open('/proc/self/oom_score_adj').read()), 'executable': sys.executable,
    'argv': sys.argv, 'utf8': sys.flags.utf8_mode, 'isolated': sys.flags.isolated,
    'first': sys.path[1], 'inherited': os.get_inheritable(3)}))
return 1"""))
    w.run("a")
    import json
    got = json.loads([line for line in w.read_log().splitlines() if line.startswith("{")][-1])
    assert got["nice"] >= 10 and got["privs"] and got["pgrp"] and not got["inherited"]
    assert got["oom"] >= 500 or os.getuid() != 0
    assert got["executable"] == "/usr/bin/python3" and got["argv"] == ["lazarr-worker"]
    assert got["utf8"] == 1 and got["isolated"] == 1 and got["first"] == str(lzr.PYTHON_DIR)


def test_a_child_process_has_no_part_in_it(worker):
    """A function that forks answers once, and what its child drops unpins nothing."""
    w = worker(KEEP + "import os\n" + array("fork", """
pid = os.fork()
if pid == 0:
    KEPT.clear()
    return 3
os.waitpid(pid, 0)
return 4"""))
    assert w.job("keep", 0).flags == PINNED
    assert w.run("fork", 1, flags=FORKED).tolist() == [4] * 4
    assert w.silent() and w.unpinned == []
    w.run("drop", 1)
    assert w.unpinned == [0]


def test_it_goes_with_its_server(tmp_path):
    """SIGKILL of the parent ends a worker in the midst of a job."""
    (tmp_path / "s.py").write_text("import lazarr\n" + array("a", "print('in it', flush=True)\nwhile True: pass"))
    code = ("import sys, time; sys.path[:0] = %r; from pathlib import Path; import lzr, wdriver\n"
            "w = wdriver.Worker(Path(%r).read_text(), folder=Path(%r)); w.start('a')\n"
            "lzr.wait_until(lambda: 'in it' in w.read_log(), 'the job'); print(w.process.pid, flush=True); time.sleep(60)" %
            ([p for p in sys.path if p], str(tmp_path / "s.py"), str(tmp_path)))
    p = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    pid = int(p.stdout.readline())
    fd = os.pidfd_open(pid)
    p.kill()
    p.wait()
    p.stdout.close()
    assert select.select([fd], [], [], lzr.WAIT)[0], "the worker is still there"
    os.close(fd)


def test_a_server_that_is_process_1(tmp_path):
    """As in a container: that its parent is process 1 doesn't mean that its server is gone."""
    code = ("import sys; sys.path[:0] = %r; import os; from pathlib import Path; import wdriver\n"
            "w = wdriver.Worker('import lazarr\\n' + %r, folder=Path(%r))\n"
            "print(os.getpid(), w.run('a').tolist(), flush=True); w.close()" %
            ([p for p in sys.path if p], ONE, str(tmp_path)))
    own = ["unshare", "--fork", "--pid"] + ([] if os.getuid() == 0 else ["--map-root-user"])
    lzr.need(subprocess.run([*own, "true"], stderr=subprocess.DEVNULL).returncode == 0,
             "a process namespace (unshare)")
    out = subprocess.run([*own, sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=lzr.WAIT)
    assert out.stdout == b"1 [7, 7, 7, 7]\n"


def test_by_hand():
    p = subprocess.run([lzr.BUILD / "lazarr-worker-3.11"], stdin=subprocess.DEVNULL, close_fds=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=lzr.WAIT)
    assert p.returncode == 2 and b"by lazarr" in p.stdout


# nonsense

def whole(**change):
    fields = dict(seq=1, array=0, rank=1, slot=0, size=4, start=(0,), extent=(4,))
    fields.update(change)
    return pack(JOB, **fields)


NONSENSE = {
    "short": b"x" * 20,
    "empty header": b"\0" * FORMAT.size,
    "version": pack(QUIT, version=VERSION + 1),
    "length": pack(CONFIG, b"a\0b\0", length=99),
    "type": pack(99),
    "a worker's": pack(DONE),
    "config again": pack(CONFIG, b"s\0/nothing\0"),
    "slot without memory": pack(SLOT, slot=5, size=4096),
    "no such slot": whole(slot=9),
    "drop of none": pack(DROP_SLOT, slot=9),
    "rank": whole(rank=9),
    "too large": whole(size=1 << 40, extent=(1 << 40,)),
    "bytes and extent": whole(size=4, extent=(1 << 30,)),
    "extent overflows": whole(rank=2, size=0, start=(0, 0), extent=(1 << 32, 1 << 32)),
    "extent is negative": whole(extent=(1 << 63,)),
    "no such store": whole(store=7),
    "no such array": whole(array=7),
    "long": pack(CONFIG, b"x" * (MAX_MESSAGE - FORMAT.size + 1)),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_ends_it_with_a_line(worker, what):
    w = worker(ONE)
    w.slots[0].claim(1)
    w.socket.send(NONSENSE[what])
    assert w.end() == (EXIT_VERSIONS if what in ("empty header", "version") else 1), w.log
    assert "lazarr-worker: " in w.log and "Traceback" not in w.log


@pytest.mark.parametrize("size,number", [(1 << 20, 7), (4095, 7), (0, 7), (4096, 0), (1 << 63, 7)])
def test_slots_that_are_none(worker, size, number):
    """Memory smaller than it is said to be, unaligned, none at all, a number that is taken."""
    w = worker(ONE)
    fd = os.memfd_create("slot")
    os.ftruncate(fd, 4096 + CONTROL)
    socket.send_fds(w.socket, [pack(SLOT, slot=number, size=size)], [fd])
    os.close(fd)
    assert w.end() == 1 and "slot" in w.log


@pytest.mark.parametrize("first", [pack(JOB, seq=1), pack(CONFIG, b"no terminator"), pack(CONFIG, b"a\0")])
def test_nonsense_before_the_store(worker, first):
    w = worker(None, load=False)
    w.socket.send(first)
    assert w.end() == 1 and "lazarr-worker: " in w.log


def test_a_configuration_in_parts(worker, tmp_path):
    """It asks for what is still to come, byte by byte if need be."""
    path = tmp_path / "own.py"
    path.write_text("import lazarr, numpy as np\n" + ONE)
    text = b"s\0" + os.fsencode(path) + b"\0"
    w = worker(None, load=False)
    w.socket.send(pack(CONFIG, text[:1], total=len(text)))
    for i in range(1, len(text)):
        m = w.receive()
        assert (m.type, m.bytes) == (MORE, i)
        w.socket.send(pack(CONFIG, text[i:i + 1], total=len(text)))
    w.load(1)
    assert w.refused is None and len(w.arrays) == 1


@pytest.mark.parametrize("second", [pack(JOB, seq=1), pack(CONFIG, b"", total=9), pack(CONFIG, b"x" * 99, total=9)])
def test_nonsense_as_the_rest_of_it(worker, second):
    w = worker(None, load=False)
    w.socket.send(pack(CONFIG, b"s\0/n", total=9))
    assert w.receive().type == MORE
    w.socket.send(second)
    assert w.end() == 1 and "lazarr-worker: " in w.log


def test_a_server_that_goes_while_it_loads(worker, tmp_path):
    w = worker("import time\nprint('loading', flush=True)\ntime.sleep(0.3)\n" + ONE, load=False)
    lzr.wait_until(lambda: "loading" in w.read_log(), "the store to load")
    w.socket.close()
    assert w.end() == 0, w.log


# speed

def test_the_way_there_and_back_is_short(worker):
    """An empty function's round trip, the driver's own Python included. Not a benchmark: a bound that
    breaks when something slow gets into every job."""
    w = worker(array("a", "return d", (32, 32, 32), "uint16") + "d = np.zeros((32, 32, 32), 'u2')\n")
    times = []
    for _ in range(400):
        t = time.perf_counter()
        w.job("a")
        times.append(time.perf_counter() - t)
    print(f"round trip: median {np.median(times) * 1e6:.0f} µs")
    assert np.median(times) < 500e-6 * lzr.SLOW
