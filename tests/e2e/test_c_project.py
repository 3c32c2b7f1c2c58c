"""What stands around the server: installing it, ./quickstart."""
import json
import re
import subprocess
import time

import pytest

import lzr

STORE = """
import lazarr
@lazarr.array("a", shape=(4,), chunks=(4,), dtype="uint8", compressor=None,
              attributes={"package": lazarr.__file__})
def a(block):
    return 5
"""


@pytest.mark.limit(120)
def test_install(tmp_path):
    """cmake --install works (binaries, headers, the Python module), also without the source tree."""
    prefix = tmp_path / "usr"
    p = subprocess.run(["cmake", "--install", lzr.BUILD, "--prefix", prefix], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    assert p.returncode == 0, p.stdout.decode()
    assert (prefix / "include/lazarr/driver.h").exists()
    assert list(prefix.rglob("lazarr/_array.py"))
    store = tmp_path / "s.py"
    store.write_text(STORE)
    for command, want in ((["--version"], b"lazarr "), (["get", store, "zarr2/s.zarr/a/0"], b"\5" * 4),
                          (["describe", store], b"{")):
        p = subprocess.run([prefix / "bin/lazarr", *command], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, cwd=tmp_path, env=lzr.environment(), timeout=60)
        assert p.returncode == 0 and p.stdout.startswith(want), p
    package = json.loads(p.stdout)["arrays"][0]["attributes"]["package"]
    assert package.startswith(str(prefix)), "the installed server must use the installed package"


@pytest.mark.limit(180)
def test_quickstart_serves_the_brain_in_seconds():
    """./quickstart builds (here: nothing is left to build) and serves examples/brain.py."""
    lzr.need(lzr.BUILD == lzr.ROOT / "build", "a run on build/, which ./quickstart uses")
    lzr.need(lzr.Path("/usr/share/mricron/templates/ch2.nii.gz").exists(), "mricron-data")
    subprocess.run([lzr.ROOT / "quickstart", "build"], check=True, env=lzr.environment(), timeout=150)
    start = time.monotonic()
    p = subprocess.Popen([lzr.ROOT / "quickstart", "--port", "0"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, env=lzr.environment(), preexec_fn=lzr._die_with_parent,
                         start_new_session=True)
    try:
        for line in p.stdout:
            found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)/", line)
            if found:
                break
        else:
            pytest.fail("it never listened")
        assert time.monotonic() - start < 15 * lzr.SLOW
        with lzr.Http(int(found.group(1))) as h:
            assert h.get("/zarr3/brain.zarr/t1/0/c/1/1/1").status == 200
    finally:
        import os
        import signal
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
