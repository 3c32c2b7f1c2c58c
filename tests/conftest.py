"""Fixtures of the end-to-end and client tests. Every server that a test starts is killed when it ends, and a
test that hangs is ended with the stacks of all threads, so that the suite never hangs."""
import faulthandler
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))
import lzr  # noqa: E402

LIMIT = int(60 * lzr.SLOW)  # seconds a test may take, unless marked: @pytest.mark.limit(120)


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long this test may take")
    os.environ[lzr.Started.VARIABLE] = f"{os.getpid()}-0"
    os.environ.pop("VIRTUAL_ENV", None)
    os.environ.pop("CONDA_PREFIX", None)
    config.option.reportchars = (config.option.reportchars or "") + "s"  # skips are never silent


def pytest_collection_modifyitems(items):
    if not os.access(lzr.LAZARR, os.X_OK):
        pytest.exit(f"{lzr.LAZARR} is not there: build it first, or set LZR_BUILD", 1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    mark = item.get_closest_marker("limit")
    seconds = int(mark.args[0] * lzr.SLOW) if mark else LIMIT

    def late(_sig, _frame):
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError(f"the test took more than {seconds} s")

    lzr.Server.stopped.clear()
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(seconds + 60, exit=True)  # where even that is not heard
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    """No test ends with a process left of a server, or a command, that has ended."""
    (yield).get_result()
    lzr.check_left()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Nor does the suite, whatever its tests started by themselves."""
    try:
        lzr.check_left(last=True)
    except AssertionError as e:
        print(f"\nat the end of the suite {e}", file=sys.stderr)
        session.exitstatus = 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its servers said, to the end of those that have ended."""
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for srv in lzr.Server.stopped + lzr.Server.alive:
            title = f"server {srv.process.pid}"
            if srv.process.poll() is not None:
                srv.wait_end()
                title += f", ended with {srv.process.returncode}"
            report.sections.append((title, srv.log[-8000:]))


@pytest.fixture
def serve(tmp_path):
    """serve(text, *args, name="s"): writes text as a store s.py, serves it, returns the Server.
    text may also be a path, or a list of paths."""
    mine = []

    def start(store, *args, name="s", **more):
        if isinstance(store, str):
            path = tmp_path / f"{name}.py"
            path.write_text(store)
            store = path
        srv = lzr.Server(store, *args, **more)
        mine.append(srv)
        return srv

    yield start
    for srv in mine:
        srv.kill()


@pytest.fixture
def open_file():
    """open_file(file or URL, *args): serves a data file by one worker, returns the Server."""
    mine = []

    def start(what, *args, **more):
        srv = lzr.Server(what, *args, "--workers", "1", **more)
        mine.append(srv)
        return srv

    yield start
    for srv in mine:
        srv.kill()


@pytest.fixture
def gate(tmp_path):
    g = lzr.Gate(tmp_path)
    yield g
    g.close()


@pytest.fixture(scope="module")
def basic():
    """One server of stores/basic.py for all tests of a module that only read."""
    with lzr.Server(lzr.STORES / "basic.py", "--workers", "2") as srv:
        yield srv


@pytest.fixture
def stores():
    return lzr.STORES
