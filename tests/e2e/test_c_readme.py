"""README's first ten minutes, typed as they stand there, in their order: the first terminal goes on serving while the
second serves a store and the third reads it. Here on the build that is there; test_c_clone.py clones and builds as a
newcomer does."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

import lzr

README = (lzr.ROOT / "README.md").read_text()
SCREENS = README[README.index("## The first ten minutes"):README.index("Nothing of it exists on disk")]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", SCREENS, re.S)
MRI = lzr.Path("/usr/share/mricron/templates/ch2.nii.gz")
NAMED = (8080, 8081)  # the ports in the text


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Terminal:
    """A shell that lines are typed into, with the PATH of a fresh login."""

    def __init__(self, folder):
        env = lzr.environment(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        self.process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=folder, env=env, start_new_session=True)
        self.text, self.news = "", threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while data := self.process.stdout.read1(65536):
            with self.news:
                self.text += data.decode("utf-8", "replace")
                self.news.notify_all()
        with self.news:
            self.text += "\n(the terminal has ended)"
            self.news.notify_all()

    def type(self, lines):
        self.process.stdin.write((lines.rstrip("\n") + "\n").encode())
        self.process.stdin.flush()

    def wait(self, pattern, timeout):
        end = time.monotonic() + timeout
        with self.news:
            while not (found := re.search(pattern, self.text)):
                assert "(the terminal has ended)" not in self.text, self.text
                assert self.news.wait(max(end - time.monotonic(), 0)), f"no /{pattern}/ in:\n{self.text}"
            return found

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(15 * lzr.SLOW)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def type_it_all(tmp_path, clone, patience):
    """Types every block. clone: build from a clone, else the folder is made of links to what is there."""
    assert [kind for kind, _ in BLOCKS] == ["sh", "python", "sh", "console", "sh", "console"]
    begin, store, serve, printed, read, values = (text for _, text in BLOCKS)
    ports = NAMED
    if not all(map(is_free, NAMED)):
        ports = (lzr.free_port(), lzr.free_port())
        print(f"ports {NAMED} are taken here: {ports} instead")
        begin = begin.replace("./quickstart ", f"./quickstart --port {ports[0]} ")

    def here(text):
        return text.replace(str(NAMED[1]), str(ports[1]))

    lines = begin.splitlines()
    assert lines[0].startswith("git clone ADDRESS lazarr") and lines[1] == "cd lazarr" and len(lines) == 3
    folder, terminals = tmp_path / "lazarr", []
    try:
        first = Terminal(tmp_path)
        terminals.append(first)
        if clone:
            lzr.need(lzr.which("git") and (lzr.ROOT / ".git").exists(), "git and a checkout")
            lines[0] = lines[0].replace("ADDRESS", f"file://{lzr.ROOT}")
        else:
            folder.mkdir()
            for entry in lzr.ROOT.iterdir():
                (folder / entry.name).symlink_to(entry)
            lines.pop(0)
        first.type("\n".join(lines))
        first.wait(rf"lazarr: listening on http://127\.0\.0\.1:{ports[0]}/", patience)
        # It says what to type next, and that is what README goes on with.
        for line in serve.splitlines():
            assert line in first.text, (line, first.text)
        assert subprocess.run(["curl", "-sf", "-o", os.devnull, "-w", "%{redirect_url}",
                               f"http://127.0.0.1:{ports[0]}/view/brain"], stdout=subprocess.PIPE,
                              timeout=60).stdout.startswith(b"https://neuroglancer")

        name = re.match(r"# (\S+)\n", store).group(1)
        assert name == "brain.py" and f"Save this as `{name}`" in SCREENS
        (folder / name).write_text(store)
        second = Terminal(folder)
        terminals.append(second)
        second.type(here(serve))
        second.wait(r"lazarr: listening on ", 60 * lzr.SLOW)
        for line in here(printed).splitlines():
            assert line.removesuffix("...").rstrip() in second.text, (line, second.text)

        third = Terminal(folder)
        terminals.append(third)
        third.type(here(read))
        third.wait(re.escape(values.strip()), 60 * lzr.SLOW)
        # What the text beside it says to type.
        curl, = re.findall(r"`(curl http://127\.0\.0\.1:8081/\S+)`", README)
        get, = re.findall(r"`(lazarr get brain\.py \S+)`", README)
        third.type(f"{serve.splitlines()[0]}\n{here(curl)} -sf | wc -c\n{get} | grep -c data_type\necho the end")
        third.wait("the end", 60 * lzr.SLOW)
        assert re.search(r"\n\d{4,}\n1\nthe end", third.text), third.text
        again, = re.findall(r"`(curl -X POST http://127\.0\.0\.1:8081/\S+)` loads it anew", SCREENS)
        (folder / name).write_text(store.replace(", 2)", ", 1)"))
        assert store.count(", 2)") == 1
        third.type(f"{here(again)}\n{here(read)}\necho the second end")
        third.wait(r'"reloaded":true[^\n]*\n(?s:.*)\[[^\n]*\]\n(?s:.*)the second end', 60 * lzr.SLOW)
        assert third.text.count(values.strip()) == 1, third.text
        assert "listening" in first.text and first.process.poll() is None
        return first.text
    finally:
        for terminal in terminals:
            terminal.close()


@pytest.mark.limit(240)
def test_the_first_ten_minutes(tmp_path):
    lzr.need(lzr.BUILD == lzr.ROOT / "build", "a run on build/, which ./quickstart uses")
    lzr.need(MRI.exists(), "mricron-data")
    type_it_all(tmp_path, clone=False, patience=150)


def whole():
    import nibabel
    from scipy import ndimage
    return ndimage.gaussian_gradient_magnitude(
        np.asarray(nibabel.load(str(MRI)).dataobj).T.astype("float32"), 2)


@pytest.mark.limit(240)
def test_the_example_equals_the_whole_array(tmp_path):
    """README's store and docs/sources.md's --op, in every voxel what SciPy makes of the whole array."""
    lzr.need(MRI.exists(), "mricron-data")
    import zarr
    want = whole()
    (tmp_path / "brain.py").write_text(BLOCKS[1][1])
    sources = (lzr.ROOT / "docs" / "sources.md").read_text()
    op, = re.findall(r"```python\n(from scipy import ndimage\n\ndef edges.*?)```", sources, re.S)
    (tmp_path / "filters.py").write_text(op)
    (tmp_path / "mri.nii.gz").symlink_to(MRI)
    for stores, name, *more in (([tmp_path / "brain.py"], "brain"),
                                ([tmp_path / "mri.nii.gz"], "mri", "--op", "filters:edges")):
        with lzr.Server(stores, "--no-access-log", *more, cwd=tmp_path) as srv:
            group = zarr.open(f"{srv.url}/zarr2/{name}.zarr/edges", mode="r")
            got = (group["0"] if hasattr(group, "keys") else group)[...]
        assert got.shape == want.shape and (got == want).all(), (name, int((got != want).sum()))
