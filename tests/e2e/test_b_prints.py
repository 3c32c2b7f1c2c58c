"""What a store prints: each line in the log as it comes, in its order, with array and block, whatever becomes
of the worker."""
import re

import pytest

import lzr

HEAD = """
import ctypes, faulthandler, io, lazarr, logging, os, signal, subprocess, sys, threading, time, warnings
import contextlib, multiprocessing
LIBC = ctypes.CDLL(None)
"""
ARRAY = """
@lazarr.array("a/b", shape=(1000,), chunks=1, dtype="uint8", compressor=None, timeout=TIMEOUT)
def a(block):
    ORDERS[block.index](block)
    return 5
"""
PLAIN = {"PYTHONUNBUFFERED": ""}  # whatever the test was started with


def store(*functions, head="", timeout=300):
    body = "\n".join(f"def f{i}(block):\n" + "".join(f"    {line}\n" for line in f.strip().split("\n"))
                     for i, f in enumerate(functions))
    names = ", ".join(f"f{i}" for i in range(len(functions)))
    return HEAD + head + body + f"\nORDERS = [{names}]\n" + ARRAY.replace("TIMEOUT", str(timeout))


def key(i):
    return f"/zarr2/s.zarr/a/b/{i}"


def said(srv, i=None):
    """The lines that a block's worker printed; of no block: None."""
    before = f"s/a/b, chunk {i}, " if i is not None else ""
    return [m[1] for m in re.finditer(rf"^lazarr: {before}worker 0: ?(.*)$", srv.log, re.M)]


DIES = {"_exit": "os._exit(3)", "segv": "ctypes.string_at(0)", "abort": "os.abort()",
        "kill": "os.kill(os.getpid(), 9)", "C's exit": "LIBC._exit(4)", "C's abort": "LIBC.abort()"}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_is_printed_before_a_crash(serve, unbuffered):
    srv = serve(store(*(f"print('before', {how!r})\nLIBC.printf(b'by C\\n')\n{what}"
                        for how, what in DIES.items())), "--workers", "1",
                env={"PYTHONUNBUFFERED": unbuffered})
    for i, how in enumerate(DIES):
        assert srv.get(key(i)).status == 500
        lzr.wait_until(lambda: srv.log.count(f"died over s/a/b, chunk {i}:") == 2, f"both ends by {how}")
        lines = [line for line in said(srv, i) if line.startswith(("before", "by C"))]
        assert lines == [f"before {how}", "by C"] * 2, srv.log
    assert srv.log.index("before _exit") < srv.log.index("worker 0 died over s/a/b, chunk 0")


def test_before_a_deadline(serve):
    """Also what a library prints, and what a thread does."""
    srv = serve(store("""
print('by Python')
print('by Python, to stderr', file=sys.stderr)
threading.Thread(target=print, args=('by a thread',)).start()
LIBC.printf(b'by C\\n')
subprocess.run(['echo', 'by a child'])
time.sleep(1000)
""", timeout=1), "--workers", "1", env=PLAIN)
    assert srv.get(key(0)).status == 503
    for what in ("Python", "Python, to stderr", "a thread", "C", "a child"):
        assert f"by {what}" in said(srv, 0)


@pytest.mark.parametrize("end", ["os._exit(3)", "raise ValueError('no')", "sys.exit(2)", "import no_such",
                                 "this is no Python", "ctypes.string_at(0)"])
def test_before_a_file_fails_to_load(tmp_path, end):
    (tmp_path / "s.py").write_text(HEAD + f"print('step 1')\nprint('step 2', end='')\nLIBC.printf(b'by C\\n')\n"
                                   + ("exec(" + repr(end) + ")" if end.startswith("this") else end))
    r = lzr.run("serve", tmp_path / "s.py", "--port", "0", "--workers", "1", **PLAIN)
    said = (r.stderr + r.stdout).decode()
    assert r.returncode == 1 and "worker 0: step 1\n" in said, said
    assert "worker 0: by C\n" in said, said


def test_a_line_comes_as_it_is_printed(serve, gate):
    srv = serve(gate.code + store("print('one')\ngate(1)\nLIBC.printf(b'two\\n')\ngate(2)\n"
                                  "print('th', end='')\nprint('ree')\ngate(3)"), "--workers", "1", env=PLAIN)
    p = srv.begin(key(0))
    for line in ("one", "two", "three"):
        call = gate.next()
        srv.wait_log(f"^lazarr: s/a/b, chunk 0, worker 0: {line}$")
        call.go()
    assert p.result().status == 200


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_order_is_that_of_the_calls(serve, unbuffered):
    srv = serve(store("""
for i in range(20):
    print('printed', i)
    logging.warning('logged %d', i)
    sys.stdout.write(f'written {i}\\n')
    print('to stderr', i, file=sys.stderr)
"""), "--workers", "1", env={"PYTHONUNBUFFERED": unbuffered})
    srv.chunk(key(0))
    srv.stop()
    want = [line for i in range(20)
            for line in (f"printed {i}", f"WARNING:root:logged {i}", f"written {i}", f"to stderr {i}")]
    assert said(srv, 0) == want


def test_each_line_has_its_own_block(serve):
    """Of functions that are over at once, of loading, and of between the blocks."""
    srv = serve(store(*["print('from', block.index)\nLIBC.printf(b'C %d\\n', block.index)"] * 40,
                      head="print('loading')\n"), "--workers", "1", env=PLAIN)
    pending = [srv.begin(key(i)) for i in range(40)]
    assert [p.result().status for p in pending] == [200] * 40
    srv.stop()
    for i in range(40):
        assert sorted(said(srv, i)) == [f"C {i}", f"from {i}"]
    assert said(srv) == ["loading"]


def test_odd_output(serve):
    srv = serve(store(
        "print('x' * 20000)",                                   # beyond what is written at once
        "print('é' * 5000)",
        "print('a\\x1db\\x1ec \\x1d=fake\\x1e \\x1d\\na\\x1d=fake\\x1eb\\na\\x1d=s/a/b, chunk 9\\x1eb')",  # like marks
        "os.write(1, b'\\xff\\xfe\\n'); sys.stdout.buffer.write(b'raw\\n'); sys.stdout.buffer.flush()",
        "sys.stdout.close()", "sys.stderr.write('still\\n')",
        "os.close(1); os.close(2)", "sys.stderr = None",
        "os.write(PIPE, b'a\\x1d=fake\\x1e\\x1db\\n')", head="PIPE = os.dup(1)\n"), "--workers", "1", env=PLAIN)
    for i in range(9):
        r = srv.get(key(i))
        assert r.status == 200, (i, r)
    srv.stop()
    assert "".join(said(srv, 0)).count("x") == 20000
    assert "".join(said(srv, 1)).count("é") == 5000
    assert "\ufffd" not in "".join(said(srv, 1))
    assert said(srv, 2) == [r"a\x1db\x1ec \x1d=fake\x1e \x1d", r"a\x1d=fake\x1eb",
                            r"a\x1d=s/a/b, chunk 9\x1eb"]
    assert said(srv, 8) == [r"a\x1d=fake\x1e\x1db"]
    assert r"\xff\xfe" in said(srv, 3) and "raw" in said(srv, 3)
    assert said(srv, 5) == ["still"]


CAPTURED = """
with tempfile.TemporaryFile() as f:
    kept = os.dup(1)
    os.dup2(f.fileno(), 1)
    try:
        print('to a file')
        LIBC.printf(b'C to a file\\n')
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    f.seek(0)
    assert f.read() == b'to a file\\nC to a file\\n'
print('back')
"""


def test_what_is_captured_has_no_marks(serve):
    """Descriptor 1 led elsewhere, sys.stdout replaced, a child whose output is read."""
    srv = serve("import tempfile\n" + store(CAPTURED, """
with contextlib.redirect_stdout(io.StringIO()) as f:
    print('redirected')
assert f.getvalue() == 'redirected\\n'
print('back')
""", """
def child():
    print('child')
r, w = os.pipe()
if os.fork() == 0:
    os.dup2(w, 1)
    print('child')
    os._exit(0)
os.close(w)
assert os.read(r, 100) == b'child\\n'
os.wait()
print('back')
"""), "--workers", "1", env=PLAIN)
    for i in range(3):
        r = srv.get(key(i))
        assert r.status == 200, r
    srv.stop()
    for i in range(3):
        assert said(srv, i) == ["back"]


def test_children_say_their_block(serve):
    """Of a pool that was forked in a block before, of a spawned process: what is known of them."""
    srv = serve(store("""
p = multiprocessing.get_context('fork').Process(target=print, args=('forked',))
p.start()
p.join()
""", "subprocess.run([sys.executable, '-c', 'print(\"executed\")'])"), "--workers", "1", env=PLAIN)
    srv.chunk(key(0))
    srv.chunk(key(1))
    srv.stop()
    assert said(srv, 0) == ["forked"] and said(srv, 1) == ["executed"]


def test_unbuffered_is_as_python_has_it(serve, gate):
    """A part of a line is there when the worker dies; without, it is lost, as at a terminal."""
    for value, there in (("", False), ("1", True), ("x", True)):
        srv = serve(store("print('a part', end='')\nos._exit(3)"), "--workers", "1", name=f"s{value}",
                    env={"PYTHONUNBUFFERED": value})
        assert srv.get(key(0).replace("s.zarr", f"s{value}.zarr")).status == 500
        assert ("a part" in srv.log) == there
        srv.stop()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_part_of_a_line_is_there_when_its_block_is_over(serve, unbuffered):
    """Nothing more comes of an idle worker: what it printed is shown all the same, however the block ended."""
    srv = serve(store("print('a part', end='')", "print('before', end=''); raise ValueError('no')",
                      "sys.stderr.write('\\r10 %'); sys.stderr.write('\\r100 %')", "print('both', end=''); "
                      "print('of them', end='', file=sys.stderr)", "print('text'); print('x', end=''); print('y')"),
                "--workers", "1", env={"PYTHONUNBUFFERED": unbuffered})
    for i, lines in enumerate([["a part"], ["before"], [r"\x0d10 %\x0d100 %"], ["bothof them"], ["text", "xy"]]):
        assert srv.get(key(i)).status == (500 if i == 1 else 200)
        lzr.wait_until(lambda: said(srv, i) == lines, f"what block {i} printed: {lines}")
