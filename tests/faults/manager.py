"""A service manager that speaks as systemd does: it listens, hands its sockets to each server that it starts, and
reads what they notify. Sockets are numbers 3, 4, … in the server, whose LISTEN_PID is its own number."""
import os
import signal
import socket
import subprocess
import threading
import time

import lzr


class Manager:
    def __init__(self, folder, *args, hosts=("127.0.0.1",), notify="path", watchdog=0, extra=None, stdout=None):
        self.args, self.watchdog, self.extra, self.stdout = args, watchdog, extra or {}, stdout
        self.sockets = []
        for host in hosts:
            s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, self.sockets[0].getsockname()[1] if self.sockets else 0))
            s.listen(4096)
            self.sockets.append(s)
        self.port = self.sockets[0].getsockname()[1] if self.sockets else 0
        name = f"/tmp/lzr-notify-{os.getpid()}-{id(self):x}"
        self.notify_name = "@" + name if notify == "abstract" else name
        self.inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.inbox.bind("\0" + name if notify == "abstract" else name)
        self.messages, self.news = [], threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.log = open(os.path.join(folder, f"log-{id(self):x}"), "w+b")
        self.process = None

    def _read(self):
        while True:
            try:
                text = self.inbox.recv(4096).decode()
            except OSError:
                return
            with self.news:
                self.messages.append((time.monotonic(), dict(line.split("=", 1) for line in text.split("\n") if line)))
                self.news.notify_all()

    def wait(self, what, start=0, timeout=lzr.WAIT):
        """The place behind the first message from `start` on that has this name."""
        end, at = time.monotonic() + timeout, start
        with self.news:
            while True:
                while at < len(self.messages):
                    at += 1
                    if what in self.messages[at - 1][1]:
                        return at
                left = end - time.monotonic()
                assert left > 0 and self.process.poll() is None or what == "STOPPING", (what, self.messages, self.text())
                assert left > 0, (what, self.messages, self.text())
                self.news.wait(min(left, 0.2))

    def start(self, ready=True):
        fds, first = [s.fileno() for s in self.sockets], len(self.messages)
        env = lzr.environment(NOTIFY_SOCKET=self.notify_name, **self.extra)
        if self.watchdog:
            env["WATCHDOG_USEC"] = str(self.watchdog)

        def before():
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]  # none is where another goes
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.set_inheritable(3 + i, True)
                os.close(fd)
            lzr._die_with_parent()
        # sh knows its number, which becomes the server's
        script = "LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=x; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; " % len(fds)
        script += 'WATCHDOG_PID=$$; export WATCHDOG_PID; exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", script if fds else 'exec "$0" "$@"', str(lzr.LAZARR), "serve", *map(str, self.args)], env=env,
            stdin=subprocess.DEVNULL, stdout=self.stdout or self.log, stderr=self.log, preexec_fn=before, close_fds=False)
        if ready:
            self.wait("READY", first)
        return self

    def text(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def stop(self, timeout=20 * lzr.SLOW):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for s in [*self.sockets, self.inbox]:
            s.close()
        if not self.notify_name.startswith("@"):
            os.unlink(self.notify_name)
        self.log.close()
