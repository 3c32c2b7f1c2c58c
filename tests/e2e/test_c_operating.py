"""What docs/operations.md says of services and containers is done as it stands there: the token of the unit, a root
file system that can't be written to, a user without a name, SIGUSR1 for the server alone."""
import json
import os
import re
import signal
import stat
import subprocess

import lzr

PAGE = (lzr.ROOT / "docs" / "operations.md").read_text()
STORE = """
import lazarr
@lazarr.source("raw", chunks=4)
def raw():
    import numpy as np
    return np.arange(8, dtype="u1")
@lazarr.array("a", inputs=[raw], compressor=None)
def a(block, raw):
    return raw + 1
"""


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## )", PAGE, re.M | re.S).group(1)


def test_the_token_is_one_that_is_taken(tmp_path):
    """The line that makes it, and the file's mode: another user's, readable by the service's group."""
    commands, = re.findall(r"^```sh\n(useradd.*?)```", section("systemd"), re.M | re.S)
    line, = [one for one in commands.splitlines() if "urandom" in one]
    subprocess.run(["sh", "-c", line.replace("/etc/lazarr", str(tmp_path))], check=True)
    path = tmp_path / "token"
    token = path.read_text().strip()
    assert re.fullmatch(r"[A-Za-z0-9._~-]{32}", token) and stat.S_IMODE(path.stat().st_mode) == 0o640
    if os.getuid() == 0:
        os.chown(path, 1, -1)  # another user's than the server's
    else:
        path.chmod(0o600)
    (tmp_path / "s.py").write_text(STORE)
    with lzr.Server(tmp_path / "s.py", "--workers", "1", "--token-file", path) as srv:
        assert srv.get("/zarr2/s.zarr/a/0").status == 401
        how = re.search(r'curl -H "Authorization: Bearer \$\(cat /etc/lazarr/token\)" http://127\.0\.0\.1:8080(\S+)', commands)
        assert srv.get(how.group(1), headers={"Authorization": f"Bearer {token}"}).status == 200
        assert srv.get("/zarr2/s.zarr/a/0", headers={"Authorization": f"Bearer {token}"}).body == bytes([1, 2, 3, 4])


def test_the_commands_are_for_the_units_that_are_there():
    text = section("systemd")
    commands, = re.findall(r"^```sh\n(useradd.*?)```", text, re.M | re.S)
    units = re.findall(r"^# /etc/systemd/system/(\S+)$", text, re.M)
    assert re.search(r"^systemctl enable --now (.*)$", commands, re.M).group(1).split() == units
    start = re.search(r"^ExecStart=\S+ serve (\S+) --token-file (\S+)", text, re.M)
    assert start.group(1) in commands and f">{start.group(2)})" in commands
    assert f"useradd --system --no-create-home --shell /usr/sbin/nologin {re.search('^User=(.*)$', text, re.M).group(1)}" \
        in commands


#: A container's root: nothing can be written to, what is served lies at one place, and is process 1 of a user that no
#: file names. $0: a folder with the program (pfx) and the store.
CONTAINER = """
set -e
mount --bind "$0" /mnt
for place in / /mnt; do mount -o remount,bind,ro $place; done
for place in /tmp /dev/shm /var/tmp; do if [ -d $place ]; then mount -t tmpfs -o ro none $place; fi; done
exec setpriv --reuid 12345 --regid 12345 --clear-groups --no-new-privs "$@"
"""


def test_a_container(tmp_path, monkeypatch):
    """Read-only, without a name for its user, as process 1, reached from outside, its log one of JSON."""
    lzr.need(lzr.which("setpriv") and subprocess.run(["unshare", "-m", "-p", "-f", "--mount-proc", "true"],
                                                     capture_output=True).returncode == 0, "namespaces (root), setpriv")
    text = section("In a container")
    for word in ("--host 0.0.0.0", "$LAZARR_TOKEN", "/readyz", "/healthz", "--log-format json"):
        assert word in text
    subprocess.run(["cmake", "--install", lzr.BUILD, "--prefix", tmp_path / "pfx"], stdout=subprocess.DEVNULL, check=True)
    (tmp_path / "s.py").write_text(STORE + "try:\n    open('/tmp/x', 'w')\nexcept OSError as e:\n"
                                   "    print('refused', e.errno)\n")
    subprocess.run(["chmod", "-R", "a+rX", tmp_path], check=True)
    wrap = ["unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-c", CONTAINER, tmp_path]
    monkeypatch.setattr(lzr, "LAZARR", lzr.Path("/mnt/pfx/bin/lazarr"))
    with lzr.Server("/mnt/s.py", "--workers", "1", "--host", "0.0.0.0", "--log-format", "json", wrap=wrap,
                    env={"LAZARR_TOKEN": "correct-horse-battery"}) as srv:
        assert "refused 30" in srv.log  # EROFS
        for probe in ("/healthz", "/readyz"):
            assert srv.get(probe, headers={"Host": "10.1.2.3:8080"}).status == 200
        assert srv.get("/zarr2/s.zarr/a/0").status == 401
        assert srv.get("/t/correct-horse-battery/zarr2/s.zarr/a/1").body == bytes([5, 6, 7, 8])
        child, = lzr.Path(f"/proc/{srv.process.pid}/task/{srv.process.pid}/children").read_text().split()
        status = lzr.Path(f"/proc/{child}/status").read_text()
        assert re.search(r"^NSpid:.*\t1$", status, re.M) and re.search(r"^Uid:\t12345\t", status, re.M)
        line = json.loads(srv.wait_log('.*"target":"/readyz".*').group())
        assert (line["status"], line["method"]) == (200, "GET")
        os.kill(int(child), signal.SIGTERM)
        assert srv.process.wait(15 * lzr.SLOW) == 0


def test_usr1_is_for_the_server_alone(tmp_path):
    """Sent to all processes of the unit it would end the workers, which are started again."""
    assert "systemctl kill --kill-whom=main --signal=USR1 lazarr" in PAGE
    (tmp_path / "s.py").write_text(STORE)
    with lzr.Server(tmp_path / "s.py", "--workers", "1") as srv:
        worker, = srv.worker_pids()
        os.kill(worker, signal.SIGUSR1)
        srv.wait_log("ended by signal 10")
        assert srv.get("/zarr2/s.zarr/a/0").body == bytes([1, 2, 3, 4])
