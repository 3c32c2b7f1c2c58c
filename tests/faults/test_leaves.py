"""What a store starts ends with its worker, however that ends; at an orderly end as an interpreter's does."""
import os
import re
import signal
import time

import pytest

import lzr

HEAD = """
import atexit, ctypes, lazarr, multiprocessing, os, signal, subprocess, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]
"""
ARRAY = """
@lazarr.array("a", shape=(1000,), chunks=1, dtype="uint8", compressor=None, timeout=TIMEOUT)
def a(block):
    if block.index == 0:
        start()
    if block.index >= 100:
        act()
    return 5
"""
#: How a store starts processes: functions of the store.
STARTS = """
def executor():
    POOLS.append(ProcessPoolExecutor(2))
    POOLS[-1].submit(abs, -3).result()
def executor_busy():
    POOLS.append(ProcessPoolExecutor(2))
    POOLS[-1].submit(time.sleep, 1000)
    POOLS[-1].submit(abs, 1).result()
def pool():
    POOLS.append(multiprocessing.Pool(2))
    POOLS[-1].map(abs, [1, 2])
def spawned():
    multiprocessing.get_context("spawn").Process(target=time.sleep, args=(1000,)).start()
def forkserver():
    multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(1000,), daemon=True).start()
def a_subprocess():
    subprocess.Popen(SLEEP)
def shell():
    os.system("sleep 1000 & sleep 1000 & true")
def deaf():
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(1000)
def stopped():
    os.kill(subprocess.Popen(SLEEP).pid, signal.SIGSTOP)
"""
#: Those that leave the worker's group, which the server finds.
OUTSIDE = """
def its_own_session():
    subprocess.Popen(SLEEP, start_new_session=True)
def its_own_group():
    subprocess.Popen(SLEEP, preexec_fn=lambda: os.setpgid(0, 0))
def daemon():
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    os.waitpid(child, 0)
def session_of_a_child():
    subprocess.Popen(["sh", "-c", "setsid sleep 1000 & sleep 1000"])
"""
ALL = "POOLS = []\n" + STARTS + OUTSIDE


def start(*names):
    return f"def start():\n    for f in ({', '.join(names)},):\n        f()\n"


def names(text):
    return re.findall(r"^def (\w+)", text, re.M)


def stat(pid):
    """(name, state, group) of a process; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
    except (OSError, IndexError):
        return None
    rest = rest.split()
    return (name, rest[0], int(rest[2])) if rest[0] not in "ZX" else None


class Mark:
    """A variable in the environment of a server, by which all that comes of it is found."""
    number = 0

    def __init__(self):
        Mark.number += 1
        self.text = f"{os.getpid()}-{Mark.number}"
        self.env = {"LZR_TEST_LEAVES": self.text}

    def all(self, but=()):
        want = f"LZR_TEST_LEAVES={self.text}".encode()
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in but:
                try:
                    with open(f"/proc/{name}/environ", "rb") as f:
                        mine = want in f.read().split(b"\0")
                except OSError:
                    continue
                there = stat(name) if mine else None
                if there:
                    found[int(name)] = there[0]
        return found

    def gone(self, but=()):
        try:
            lzr.wait_until(lambda: not self.all(but), "the processes that a store started end", 5 * lzr.SLOW)
        except AssertionError:
            raise AssertionError(f"left: {self.all(but)}") from None


def key(i):
    return f"/zarr2/s.zarr/a/{i}"


def serve_one(serve, start, act="pass", *args, timeout=300):
    mark = Mark()
    text = HEAD + start + f"def act():\n    {act}\n" + ARRAY.replace("TIMEOUT", str(timeout))
    srv = serve(text, "--workers", "1", *args, env=mark.env)
    own = {srv.process.pid, *srv.worker_pids()}
    srv.chunk(key(0))
    lzr.wait_until(lambda: mark.all(own), "the store's processes are there")
    return srv, mark


@pytest.mark.parametrize("how", [["executor"], names(STARTS), names(OUTSIDE)], ids=["executor", "inside", "outside"])
def test_none_outlives_a_stop(serve, how):
    srv, mark = serve_one(serve, ALL + start(*how))
    assert srv.stop() == 0
    mark.gone()
    assert ("cut off" in srv.log) == ("executor_busy" in how)


@pytest.mark.parametrize("how", [names(STARTS), names(OUTSIDE)], ids=["inside", "outside"])
def test_none_outlives_a_worker_that_dies(serve, how):
    srv, mark = serve_one(serve, ALL + start(*how), "os.kill(os.getpid(), signal.SIGKILL)")
    first = mark.all({srv.process.pid})
    assert srv.get(key(100)).status == 500
    lzr.wait_until(lambda: not set(first) & set(mark.all()), f"{first} end", 5 * lzr.SLOW)


def test_none_outlives_a_server_that_is_killed(serve):
    """But those that have left the group, which nobody looks for then."""
    srv, mark = serve_one(serve, ALL + start(*names(STARTS)))
    os.kill(srv.process.pid, signal.SIGKILL)
    srv.process.wait()
    mark.gone()


@pytest.mark.parametrize("state", ["stopped", "holds the GIL", "in C"])
def test_a_busy_worker_ends_with_a_killed_server(serve, state):
    """It can't be asked: it stands still, or computes."""
    act = {"stopped": "os.kill(os.getpid(), signal.SIGSTOP)", "in C": "time.sleep(1000)",
           "holds the GIL": "ctypes.PyDLL(None).sleep(1000)"}[state]
    srv, mark = serve_one(serve, ALL + start("a_subprocess"), act)
    p = srv.begin(key(100))
    srv.wait_metric("running", 1)
    worker = srv.worker_pids()[0]
    if state == "stopped":
        lzr.wait_until(lambda: stat(worker)[1] == "T", "the worker stands still")
    os.kill(srv.process.pid, signal.SIGKILL)
    srv.process.wait()
    mark.gone()
    p.leave()


ENDS = {"deadline": ("time.sleep(1000)", ()), "exit": ("os._exit(3)", ()),
        "segv": ("ctypes.string_at(0)", ()), "memory": ("KEPT.append(bytearray(400 << 20))",
                                                        ("--worker-memory", "0,300MiB"))}


@pytest.mark.parametrize("how", ENDS)
def test_however_a_worker_ends(serve, how):
    act, args = ENDS[how]
    srv, mark = serve_one(serve, "KEPT = []\n" + ALL + start("pool"), act, *args,
                          timeout=1 if how == "deadline" else 300)
    first = set(mark.all({srv.process.pid}))
    srv.get(key(100))
    lzr.wait_until(lambda: not first & set(mark.all()), "the first pool ends", 5 * lzr.SLOW)


def test_reloads_and_replacements_add_none(serve):
    """Whatever the number of workers that there were: what is there belongs to the one that is."""
    text = ALL + start("executor", "its_own_session") + "if __name__ != '__mp_main__':\n    start()\n"
    srv, mark = serve_one(serve, text, "pass", "--worker-jobs", "2")
    counts = []
    for i in range(1, 8):
        srv.chunk(key(i))
    for _ in range(2):
        pid = srv.worker_pids()
        srv.process.send_signal(signal.SIGHUP)
        lzr.wait_until(lambda: set(srv.worker_pids()).isdisjoint(pid), "the workers are others")
        srv.chunk(key(1))
    # The server, a worker, its executor's two and another; a second of each where block 0 ran in it.
    lzr.wait_until(lambda: counts.append(len(mark.all())) or counts[-1] <= 8, f"few processes: {counts}")
    srv.stop()
    mark.gone()


ORDER = """
def say(what):
    with open(HERE + "/order", "a") as f:
        f.write(what + "\\n")
HERE = os.path.dirname(os.path.abspath(__file__))
STOP = threading.Event()
atexit.register(say, "atexit, the first to register")
atexit.register(say, "atexit, the last to register")
def lives():
    time.sleep(0.3)
    say("thread")
def start():
    threading.Thread(target=lives).start()
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    EXECUTOR.submit(lambda: (time.sleep(0.1), say("executor's")))
EXECUTOR = ThreadPoolExecutor(1)
"""


def test_the_order_is_an_interpreters(serve, tmp_path):
    """Executors and threads are joined, then atexit runs, last first; daemons aren't waited for."""
    srv = serve(HEAD + ORDER + "def act(): pass\n" + ARRAY.replace("TIMEOUT", "300"), "--workers", "1")
    srv.chunk(key(0))
    began = time.monotonic()
    assert srv.stop() == 0
    assert (tmp_path / "order").read_text().splitlines() == [
        "executor's", "thread", "atexit, the last to register", "atexit, the first to register"]
    assert time.monotonic() - began < 1.9 * lzr.SLOW
    assert "cut off" not in srv.log


def test_shared_memory_is_given_back(serve, tmp_path):
    """What nobody unlinked: multiprocessing's tracker does it at the end, as of any Python program."""
    text = HEAD + """
from multiprocessing import shared_memory
KEPT = []
def start():
    KEPT.append(shared_memory.SharedMemory(create=True, size=100))
    with open(os.path.dirname(os.path.abspath(__file__)) + "/names", "a") as f:
        f.write(KEPT[-1].name + "\\n")
def act(): pass
""" + ARRAY.replace("TIMEOUT", "300")
    srv = serve(text, "--workers", "1")
    srv.chunk(key(0))
    assert srv.request("POST", "/api/reload").status == 200
    lzr.wait_until(lambda: len(srv.worker_pids()) == 1, "the old worker has ended")
    srv.chunk(key(0))
    names = (tmp_path / "names").read_text().split()
    assert len(names) == 2
    lzr.wait_until(lambda: not os.path.exists("/dev/shm/" + names[0]), "the first is given back")
    assert os.path.exists("/dev/shm/" + names[1])
    assert srv.stop() == 0
    assert not os.path.exists("/dev/shm/" + names[1])
    assert "cut off" not in srv.log


ENDLESS = {"thread": "threading.Thread(target=time.sleep, args=(1000,)).start()",
           "atexit": "atexit.register(time.sleep, 1000)",
           "executor": "ThreadPoolExecutor(1).submit(time.sleep, 1000)",
           "holds the GIL": "atexit.register(ctypes.PyDLL(None).sleep, 1000)",
           "deaf": "signal.signal(signal.SIGALRM, signal.SIG_IGN); atexit.register(time.sleep, 1000)"}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_goes_on_for_ever_is_cut_off(serve, what):
    srv, mark = serve_one(serve, f"def start():\n    subprocess.Popen(SLEEP)\n    {ENDLESS[what]}\n")
    began = time.monotonic()
    assert srv.stop() == 0
    assert time.monotonic() - began < 5 * lzr.SLOW
    assert "worker 0: lazarr-worker: it was told to end, and " in srv.log
    assert ("Thread-1 (sleep)" in srv.log) == (what == "thread")
    mark.gone()


@pytest.mark.parametrize("what", ["raise ValueError('at the end')", "sys.exit(5)", "os._exit(6)",
                                  "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_an_odd_atexit_function_ends_it_too(serve, what):
    srv, mark = serve_one(serve, ALL + start("executor") + f"def end():\n    {what}\natexit.register(end)\n")
    assert srv.stop() == 0
    mark.gone()


def test_no_zombie_of_a_daemon_stays(serve):
    """The server is their parent in the end, and waits for each."""
    srv, mark = serve_one(serve, """
def start(): subprocess.Popen(SLEEP)
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
""", "daemon()")
    for i in range(100, 110):
        srv.chunk(key(i))

    def zombies():
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat") as f:
                        rest = f.read().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if rest[0] == "Z" and int(rest[1]) == srv.process.pid:
                    found.append(int(name))
        return found
    lzr.wait_until(lambda: not zombies(), "the server has waited for all")
    assert srv.stop() == 0
