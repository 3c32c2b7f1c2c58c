"""The Java client as Python sees it, and a forwarder that counts its connections."""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
import lzr  # noqa: E402

HOME = lzr.ENVS / "java"


class JavaError(Exception):
    """What the Java side threw; .requests are those it had sent."""


class Java:
    """A JVM that runs one command at a time: call(), or begin() and, later, result()."""

    def __init__(self, folder):
        lzr.need(lzr.which("java"), "java (apt-get install openjdk-17-jdk-headless)")
        lzr.need((HOME / "classes" / "Main.class").exists(),
                 "the Java client (tests/java/setup.sh compiles it)")
        env = lzr.environment()
        for name in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"):
            env.pop(name, None)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["java", "-Djava.awt.headless=true", "-Xmx1g", "-Xshare:auto", "-cp",
             f"{HOME / 'classes'}:{HOME / 'lib'}/*", "Main", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=env)
        self.requests = []

    def begin(self, op, **args):
        line = json.dumps({"op": op, **args}) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()

    def answered(self, timeout=0):
        """Whether an answer is there, within so many seconds."""
        return bool(select.select([self.process.stdout], [], [], timeout)[0])

    def result(self, timeout=None):
        if not self.answered(timeout or 60 * lzr.SLOW):
            raise AssertionError("the Java client does not answer")
        line = self.process.stdout.readline()
        assert line, f"the Java client ended:\n{self.said()}"
        answer = json.loads(line)
        self.requests = answer["requests"]
        if "error" in answer:
            raise JavaError(answer["error"])
        return answer["result"] if "result" in answer else None

    def call(self, op, **args):
        self.begin(op, **args)
        return self.result()

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")[-4000:]

    def asked(self):
        """The last command's requests: ["GET /path", ...], ranges behind the path."""
        return [f"{r['method']} /{r['url'].split('/', 3)[3]}"
                + (f" {r['range']}" if "range" in r else "") for r in self.requests]

    def statuses(self):
        return [r["status"] for r in self.requests]

    def plain(self, url, method="GET", headers=None, follow=True):
        """One request: {"status", "headers", "length", "text"}."""
        return self.call("plain", url=url, method=method, headers=headers or {}, follow=follow)[0]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(lzr.WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def array(read):
    """The array that one entry of the command "arrays" or "bdv" wrote."""
    data = np.fromfile(read["file"], np.dtype(read["type"]).newbyteorder("<"))
    os.unlink(read["file"])
    return data.reshape(read["dims"][::-1])


class Forwarder:
    """Passes bytes on to the server and counts the connections that the client opened."""

    def __init__(self, port):
        self.to, self.count, self.sockets = port, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.count += 1
            server = socket.create_connection(("127.0.0.1", self.to))
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets += [client, server]
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for s in self.sockets:
            s.close()
