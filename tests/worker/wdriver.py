"""A worker process driven by hand: the server's end of include/lazarr/protocol.h, in Python.

    w = Worker(text)                      starts it, sends the store, waits for READY
    values = w.run("a")                   the whole of array "a" as one block, as an ndarray copy
    w.fails("b")                          (line, traceback) of a job that must fail
    w.send(JOB, seq=..., ...)             any message, sensible or not
"""
import collections
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys

import numpy as np

import lzr

VERSION, CONTROL, MAX_MESSAGE = 3, 4096, 32768
EXIT_VERSIONS = 76
(CONFIG, MANIFEST_PART, READY, LOAD_FAILED, SLOT, DROP_SLOT, JOB, DONE, FAILED, UNPINNED,
 QUIT) = range(1, 12)
CODE, MORE = 14, 16
PINNED, FORKED = 1, 4
FORMAT = struct.Struct("=IIIIQIIIIIIQQ8Q8QQQ")
INPUT = struct.Struct("=Q8QII")
ALIGN = 64
FIELDS = ("type version length flags seq store array level rank slot pad bytes total start extent "
          "run_us text")
Message = collections.namedtuple("Message", FIELDS)
assert FORMAT.size == 16 + 8 + 24 + 16 + 128 + 16
assert INPUT.size == 80


def pack(kind, text=b"", *, version=VERSION, length=None, flags=0, seq=0, store=0, array=0, level=0,
         rank=0, slot=0, size=0, total=0, start=(), extent=()):
    wide = [tuple(v) + (0,) * (8 - len(v)) for v in (start, extent)]
    return FORMAT.pack(kind, version, len(text) if length is None else length, flags, seq, store, array,
                       level, rank, slot, 0, size, total, *wide[0], *wide[1], 0, 0) + text


def unpack(packet):
    f = FORMAT.unpack_from(packet)
    return Message(*f[:13], f[13:21], f[21:29], f[29], packet[FORMAT.size:])


def pack_input(offset, extent, rank=None):
    return INPUT.pack(offset, *(tuple(extent) + (0,) * (8 - len(extent))),
                      len(extent) if rank is None else rank, 0)


def keep_low_descriptors():
    """3 is the worker's socket: nothing that Popen opens for itself may come to lie there."""
    while True:
        fd = os.open(os.devnull, os.O_RDONLY)
        if fd > 9:
            os.close(fd)
            return


class Slot:
    def __init__(self, number, size, inputs=0):
        self.number, self.size = number, -(-max(size, 1) // 4096) * 4096
        self.inputs = inputs
        self.fd = os.memfd_create("slot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.size + CONTROL + inputs)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS,
                    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.map = mmap.mmap(self.fd, self.size + CONTROL + inputs)

    def claim(self, seq):
        struct.pack_into("=Q", self.map, self.size, seq)

    def claimed(self):
        return struct.unpack_from("=Q", self.map, self.size)[0]

    def put(self, *arrays):
        """Writes inputs' regions; the text of a job that names them."""
        text, offset = b"", 0
        for a in arrays:
            assert offset + a.nbytes <= self.inputs
            at = self.size + CONTROL + offset
            self.map[at:at + a.nbytes] = a.tobytes()
            text += pack_input(offset, a.shape)
            offset += -(-a.nbytes // ALIGN) * ALIGN
        return text

    def close(self):
        self.map.close()
        os.close(self.fd)


class Worker:
    def __init__(self, store=None, *, program="/usr/bin/python3", binary=None, load=True, slots=2,
                 folder=None, arguments=(), env=None):
        keep_low_descriptors()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(lzr.WAIT)
        binary = binary or lzr.BUILD / "lazarr-worker-3.11"
        self.process = subprocess.Popen(
            [binary, "--program", program, "--package", lzr.PYTHON_DIR, *arguments], close_fds=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(3,), preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
            env=lzr.environment(OPENBLAS_NUM_THREADS="1", **(env or {})))
        theirs.close()
        self.log, self.slots, self.seq, self.arrays, self.unpinned = "", [], 0, {}, []
        self.refused, self.code = None, {}
        if store is not None:
            path = folder / "s.py"
            path.write_text(store)
            try:
                self.send(CONFIG, b"s\0" + os.fsencode(path) + b"\0")
            except BrokenPipeError:  # it has refused its interpreter and ended before it was told a store
                assert load
        if load:
            self.load(slots)

    def load(self, slots):
        text = b""
        while True:
            m = self.receive()
            if m.type == LOAD_FAILED:
                self.refused = m.text.decode().split("\0")
                return
            if m.type == READY:
                break
            assert m.type == MANIFEST_PART and m.store == 0
            text += m.text
            assert len(text) <= m.total
        assert len(text) == m.total or text
        for i, a in enumerate(json.loads(text)["arrays"]):
            self.arrays[a["path"]] = (i, tuple(a["levels"][0]["shape"]), np.dtype(a["dtype"]))
        largest = max(int(np.prod(s, dtype=object)) * d.itemsize for _, s, d in self.arrays.values())
        for _ in range(slots):
            self.add_slot(min(largest, 1 << 24))

    def add_slot(self, size, inputs=0):
        s = Slot(len(self.slots), size, inputs)
        self.slots.append(s)
        socket.send_fds(self.socket, [pack(SLOT, slot=s.number, size=s.size, total=inputs)], [s.fd])

    def send(self, kind, text=b"", **fields):
        self.socket.send(pack(kind, text, **fields))

    def receive(self):
        """The next message; AssertionError with the worker's log when it is gone."""
        try:
            packet = self.socket.recv(MAX_MESSAGE + 1)
        except ConnectionResetError:
            packet = b""
        if not packet:
            raise AssertionError(f"the worker ended ({self.end()}): {self.log}")
        assert FORMAT.size <= len(packet) <= MAX_MESSAGE
        m = unpack(packet)
        assert m.version == VERSION and m.length == len(m.text)
        if m.type == CODE:
            words = m.text.split(b"\0")
            assert words.pop() == b"" and len(words) % 2 == 0
            self.code.update(zip(words[::2], words[1::2]))
            return self.receive()
        return m

    def silent(self, seconds=0.2):
        """Nothing has been said, for so long."""
        return not select.select([self.socket], [], [], seconds)[0]

    def start(self, name, slot=0, *, start=None, extent=None, claim=True, inputs=b""):
        """Sends a job: the whole array unless start and extent are given; inputs: its text. Its
        number."""
        i, shape, dtype = self.arrays[name]
        extent = shape if extent is None else extent
        self.seq += 1
        if claim:
            self.slots[slot].claim(self.seq)
        self.send(JOB, inputs, seq=self.seq, array=i, rank=len(shape), slot=slot,
                  size=int(np.prod(extent, dtype=object)) * dtype.itemsize,
                  start=start or (0,) * len(shape), extent=extent)
        return self.seq

    def answer(self):
        """The next answer; UNPINNED messages before it are collected."""
        while True:
            m = self.receive()
            if m.type != UNPINNED:
                return m
            self.unpinned.append(m.slot)

    def values(self, name, slot=0, extent=None):
        _, shape, dtype = self.arrays[name]
        shape = shape if extent is None else extent
        n = int(np.prod(shape, dtype=object))
        return np.frombuffer(self.slots[slot].map, dtype, n).reshape(shape).copy()

    def job(self, name, slot=0, **more):
        seq = self.start(name, slot, **more)
        m = self.answer()
        assert m.seq == seq and m.slot == slot and self.slots[slot].claimed() == 0
        return m

    def run(self, name, slot=0, flags=0, **more):
        m = self.job(name, slot, **more)
        assert m.type == DONE, m.text
        assert m.flags == flags, "unexpectedly pinned, or forked"
        return self.values(name, slot, more.get("extent"))

    def fails(self, name, slot=0, **more):
        m = self.job(name, slot, **more)
        assert m.type == FAILED
        line, trace = m.text.decode().split("\0")
        assert line and "\n" not in line
        return line, trace

    def read_log(self):
        """What it printed so far."""
        while select.select([self.process.stdout], [], [], 0)[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                break
            self.log += data.decode(errors="replace")
        return self.log

    def end(self):
        """Waits for its end; the status. The log is complete then."""
        status = self.process.wait(lzr.WAIT)
        self.log += self.process.stdout.read().decode(errors="replace")
        return status

    def close(self):
        self.socket.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()
        for s in self.slots:
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        sys.stderr.write(self.log)
        self.close()
