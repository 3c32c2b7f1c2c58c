#!/usr/bin/python3
"""A worker that lies: it stands between the server and a real worker, passes everything on, and breaks
the answer to chunk 13 in the way that $LZR_HOSTILE names, once ($LZR_HOSTILE_ONCE is a file that it makes
then) or always. Started by the server in the place of its worker (test_hostile.py)."""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading

HEAD = struct.Struct("=IIIIQIIIIIIQQ8Q8QQQ")
MANIFEST_PART, READY, LOAD_FAILED, SLOT, DROP_SLOT, JOB, DONE, FAILED, UNPINNED, QUIT = range(2, 12)
CODE = 14
TYPE, VERSION, LENGTH, FLAGS, SEQ, STORE, ARRAY, LEVEL, RANK, SLOT_AT, PAD, BYTES, TOTAL = range(13)
HOW, ONCE = os.environ["LZR_HOSTILE"], os.environ.get("LZR_HOSTILE_ONCE")

server = socket.socket(fileno=os.dup(3))
server.set_inheritable(False)
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
slots = {}
victim = {}  # seq of the job for chunk 13


def start():
    child = os.dup(theirs.fileno())
    real = subprocess.Popen([os.environ["LZR_REAL_WORKER"], *sys.argv[1:]],
                            preexec_fn=lambda: os.dup2(child, 3), pass_fds=(3,))
    os.close(child)
    theirs.close()
    return real


def changed(packet, **fields):
    head = list(HEAD.unpack_from(packet))
    text = packet[HEAD.size:]
    for name, value in fields.items():
        if name == "text":
            text, head[LENGTH] = value, len(value)
        elif name == "run_us":
            head[29] = value
        else:
            head[globals()[name]] = value
    return HEAD.pack(*head) + text


def lie(packet):
    """What the server gets in the place of the honest DONE."""
    send = lambda p, fds=(): socket.send_fds(server, [p], list(fds))
    how = HOW
    if how == "wrong_seq":
        send(changed(packet, SEQ=999999))
    elif how == "seq_of_nothing":
        send(changed(packet, SEQ=0))
    elif how == "wrong_slot":
        send(changed(packet, SLOT_AT=77))
    elif how == "other_slot":
        own = HEAD.unpack_from(packet)[SLOT_AT]
        send(changed(packet, SLOT_AT=next(s for s in slots if s != own)))
    elif how == "long":  # says more than it sends
        send(changed(packet, LENGTH=20000))
    elif how == "short":
        send(packet[:10])
    elif how == "huge":  # more than the server reads
        send(packet + b"x" * 60000)
    elif how == "version":
        send(changed(packet, VERSION=1))
    elif how == "type":
        send(changed(packet, TYPE=99))
    elif how == "server_type":
        send(changed(packet, TYPE=JOB))
    elif how == "ready_again":
        send(changed(packet, TYPE=READY))
    elif how == "manifest_again":
        send(changed(packet, TYPE=MANIFEST_PART, text=b"{}"))
    elif how.startswith("code_"):  # files of code that it says it has loaded
        text = {"code_nothing": b"", "code_endless": b"/a\0b", "code_half": b"/a\0", "code_relative": b"a\0b\0",
                "code_long": b"/a\0" + b"b" * 65 + b"\0",
                "code_other": os.environ["LZR_HOSTILE_STORE"].encode() + b"\0another\0"}[how]
        send(changed(packet, TYPE=CODE, text=text))
        send(packet)
    elif how == "unpinned":
        send(changed(packet, TYPE=UNPINNED))
    elif how == "twice":
        send(packet)
        send(packet)
    elif how == "descriptors":
        send(packet, [0, 1, 2, 0, 1])
    elif how == "cancelled_unasked":
        send(changed(packet, TYPE=FAILED, FLAGS=2, text=b"a lie\0"))
    elif how == "flags":
        send(changed(packet, FLAGS=0xffffffff))
    elif how == "bytes":
        send(changed(packet, BYTES=2**64 - 1, run_us=2**64 - 1))
    elif how == "binary_text":
        send(changed(packet, TYPE=FAILED, text=bytes(range(1, 256)) * 120))
    elif how == "no_text":
        send(changed(packet, TYPE=FAILED, text=b""))
    elif how == "truncate":
        fd, size = slots[HEAD.unpack_from(packet)[SLOT_AT]]
        for new in (0, 10 * size):
            try:
                os.ftruncate(fd, new)
                print("the slot could be resized", flush=True)
            except PermissionError:
                pass
        send(packet)
    elif how == "scribble":  # claim word, cancel word and all behind the block
        fd, size = slots[HEAD.unpack_from(packet)[SLOT_AT]]
        os.pwrite(fd, b"\xff" * 4096, size)
        send(packet)
    elif how == "flood":
        for _ in range(200000):
            send(changed(packet, TYPE=UNPINNED, text=b"f" * 30000))
    elif how == "flood_output":
        send(packet)
        for _ in range(100):
            os.write(1, b"z" * 65536)
    elif how == "hang_up":
        server.shutdown(socket.SHUT_RDWR)
        threading.Event().wait()
    elif how == "deaf":
        threading.Event().wait()
    else:
        raise SystemExit(f"unknown: {how}")


def begun(packet):
    """Has got chunk 13 (33, 53 ...), and now the job that is sent ahead: goes on as if it had begun both."""
    head = HEAD.unpack_from(packet)
    if victim.get("seq") is not None:
        fd, size = slots[head[SLOT_AT]]
        os.pwrite(fd, b"\xff" * 8, size)
        print("both are begun", flush=True)
        for sig in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):  # which ask it for its stacks
            signal.signal(sig, signal.SIG_IGN)
        threading.Event().wait()
    victim["seq"] = head[SEQ] if head[TOTAL] % 20 == 13 else None
    return victim["seq"] is not None


def main():
    real = start()
    while True:
        for s in select.select([server, ours], [], [])[0]:
            packet, fds, _, _ = socket.recv_fds(s, 1 << 17, 8)
            if not packet:
                real.kill()
                return
            head = HEAD.unpack_from(packet)
            if s is server:
                if head[TYPE] == SLOT:
                    slots[head[SLOT_AT]] = (os.dup(fds[0]), head[BYTES])
                if HOW == "begun" and head[TYPE] == JOB and begun(packet):
                    continue
                if HOW != "begun" and head[TYPE] == JOB and head[TOTAL] == 13:
                    victim["seq"] = head[SEQ]
                socket.send_fds(ours, [packet], fds)
            elif head[TYPE] == DONE and head[SEQ] == victim.get("seq") and not (
                    ONCE and os.path.exists(ONCE)):
                if ONCE:
                    open(ONCE, "w").close()
                lie(packet)
            elif head[TYPE] == MANIFEST_PART and HOW == "large_manifest":
                socket.send_fds(server, [changed(packet, TOTAL=65 << 20)], fds)
            else:
                socket.send_fds(server, [packet], fds)
            for fd in fds:
                os.close(fd)


try:
    main()
except (BrokenPipeError, ConnectionError):
    pass
