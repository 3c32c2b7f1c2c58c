"""A file system that stops answering when it is told, by the kernel's own FUSE protocol; needs root and /dev/fuse.

    fuse_still.py MOUNT FLAGS SIZE        a folder with one file, v.bin, of SIZE bytes (0, 1, … 255, 0, …)

While FLAGS/open, FLAGS/stat or FLAGS/read is there, such requests are taken and not answered: who asks is then in
the kernel, where no signal ends it. "mounted" is printed once it is. It ends with the process."""
import ctypes
import os
import struct
import sys
import threading
import time

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, INTERRUPT, \
    BATCH_FORGET = 1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 28, 29, 34, 36, 42
HELD = {LOOKUP: "stat", GETATTR: "stat", OPEN: "open", READ: "read"}
FOLDER, FILE, NAME = 1, 2, b"v.bin"


def attributes(node, size):
    mode, links = (0o40755, 2) if node == FOLDER else (0o100644, 1)
    size = 0 if node == FOLDER else size
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, (size + 511) // 512, 1, 1, 1, 0, 0, 0, mode, links, 0, 0, 0,
                       4096, 0)


class FileSystem:
    def __init__(self, mount, flags, size):
        self.flags, self.size = flags, size
        self.data = bytes(range(256)) * (size // 256 + 1)
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"still", mount.encode(), b"fuse", 0, options) != 0:
            sys.exit("cannot mount: " + os.strerror(ctypes.get_errno()))
        print("mounted", flush=True)

    def answer(self, unique, payload=b"", error=0):
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(payload), -error, unique) + payload)
        except OSError:
            pass  # it was given up meanwhile

    def is_held(self, op, node):
        # The folder itself goes on answering, or no test could unmount it.
        return op in HELD and (op == LOOKUP or node != FOLDER) and os.path.exists(f"{self.flags}/{HELD[op]}")

    def handle(self, op, unique, node, body):
        while self.is_held(op, node):
            time.sleep(0.01)
        if op == LOOKUP:
            if body.rstrip(b"\0") != NAME:
                self.answer(unique, error=2)
            else:
                self.answer(unique, struct.pack("<QQQQII", FILE, 0, 0, 0, 0, 0) + attributes(FILE, self.size))
        elif op == GETATTR:
            self.answer(unique, struct.pack("<QII", 0, 0, 0) + attributes(node, self.size))
        elif op in (OPEN, OPENDIR):
            self.answer(unique, struct.pack("<QII", node, 0, 0))
        elif op == READ:
            _, at, n = struct.unpack("<QQI", body[:20])
            self.answer(unique, self.data[at:min(at + n, self.size)])
        elif op == STATFS:
            self.answer(unique, struct.pack("<QQQQQIIII", 0, 0, 0, 0, 0, 4096, 255, 4096, 0) + bytes(24))
        elif op in (RELEASE, FLUSH, RELEASEDIR, ACCESS, READDIR):
            self.answer(unique)
        else:
            self.answer(unique, error=38)

    def run(self):
        while True:
            request = os.read(self.fd, 1 << 21)
            _, op, unique, node = struct.unpack("<IIQQ", request[:24])
            if op == INIT:
                self.answer(unique, struct.pack("<IIIIHHIIHHII", 7, 31, 0, 0, 12, 8, 1 << 20, 1, 0, 0, 0, 0) + bytes(24))
            elif op in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            elif self.is_held(op, node):
                threading.Thread(target=self.handle, args=(op, unique, node, request[40:]), daemon=True).start()
            else:
                self.handle(op, unique, node, request[40:])


if __name__ == "__main__":
    FileSystem(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()
