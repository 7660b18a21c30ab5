"""A worker process without its supervisor: the test speaks the pipe's protocol to it (common/proto.h, from
which the numbers of frames, states and figures are read)."""

import os
import re
import select
import socket
import struct
import time

from . import proc, replicator

PIPE_FD = 3
HEADER = struct.Struct("<HHIQ")
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "common", "proto.h")


def _header_text():
    with open(SOURCE) as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


def _enum(text, prefix, begin):
    """Names of an enum that counts from `begin` without a hole, by number."""
    body = re.search(r"enum %s \{(.*?)\};" % begin[0], text, re.S).group(1)
    names = [n for n in re.findall(r"%s(\w+)" % prefix, body) if not n.endswith("END")]
    return {n: begin[1] + i for i, n in enumerate(names)}


TEXT = _header_text()
TYPES = _enum(TEXT, "PROTO_", ("proto_type", 1))
TYPE_NAMES = {v: k for k, v in TYPES.items()}
STATES = {v: k.lower() for k, v in _enum(TEXT, "WORKER_", ("worker_state", 0)).items()}
FIGURES = re.findall(r'X\(\w+, "(\w+)"\)', TEXT)
UNKNOWN = 2**64 - 1


def text_of(data, at=0):
    length = struct.unpack_from("<I", data, at)[0]
    return data[at + 4:at + 4 + length].decode(), at + 4 + length


def put_text(text):
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw


class Worker:
    """A replicating worker of topic "t". Frames are taken whenever something is waited for."""

    def __init__(self, options, generation=1, job="replicate", checkpoint=None, paused=False, name="HERE", **top):
        self.generation, self.checkpoint = generation, checkpoint
        self.serial = self.done = 0
        self.state, self.reason, self.ready = "", "", False
        self.states, self.logs, self.incidents, self.figures = [], [], [], {}
        self.buffer, self.closed = b"", False
        ours, theirs = socket.socketpair()
        self.pipe = ours
        self.pipe.setblocking(False)
        self.child = proc.spawn([replicator.environment()["STREAM_REPLICATOR_WORKER"], generation, "t", job],
                                preexec=lambda: os.dup2(theirs.fileno(), PIPE_FD), close_fds=False)
        theirs.close()
        self.dir = f"worker {self.child.pid}"
        self.send("CONFIG", replicator.conf_text({"name": name, "state_dir": "/nonexistent", **top},
                                                 {"t": options}).encode())
        if job == "replicate":
            self.send("POSITION", self.position(checkpoint, paused))
        self.wait(lambda: self.ready, 10, "READY")

    # ---- frames ------------------------------------------------------------------------------------

    def send(self, kind, payload=b""):
        data = HEADER.pack(1, TYPES[kind], len(payload), self.generation) + payload
        while data:
            select.select([], [self.pipe], [], 5)
            data = data[self.pipe.send(data):]

    @staticmethod
    def position(checkpoint, paused):
        return (b"\1" + checkpoint if checkpoint else b"\0") + struct.pack("<BBI", paused, 0, 0)

    def take(self, timeout=0.0):
        """Takes what has come; waits for so long for the first byte."""
        if self.closed or not select.select([self.pipe], [], [], timeout)[0]:
            return
        try:
            data = self.pipe.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        self.closed = not data
        self.buffer += data
        while len(self.buffer) >= HEADER.size:
            _, kind, length, _ = HEADER.unpack_from(self.buffer)
            if len(self.buffer) < HEADER.size + length:
                break
            self.took(TYPE_NAMES[kind], self.buffer[HEADER.size:HEADER.size + length])
            self.buffer = self.buffer[HEADER.size + length:]

    def took(self, kind, data):
        if kind == "READY":
            self.ready = True
        elif kind == "STATE":
            self.state, self.reason = STATES[data[0]], text_of(data, 1)[0]
            self.states.append((time.monotonic(), self.state, self.reason))
        elif kind == "STATS":
            values = struct.unpack(f"<{len(data) // 8}Q", data)
            self.figures = {n: None if v == UNKNOWN else v for n, v in zip(FIGURES, values)}
        elif kind == "LOG":
            self.logs.append(text_of(data, 1)[0])
        elif kind == "INCIDENT":
            kind_, at = text_of(data)
            self.incidents.append((kind_, text_of(data, at)[0]))
        elif kind == "CHECKPOINT":
            self.checkpoint = bytes(data)
        elif kind == "ROLE_DONE":
            self.done = struct.unpack("<Q", data)[0]

    def wait(self, check, timeout=20.0, what=""):
        deadline = time.monotonic() + timeout
        while True:
            self.take(0.01)
            value = check()
            if value:
                return value
            if time.monotonic() > deadline or self.closed:
                raise AssertionError(f"not within {timeout} s: {what}; {self.state} {self.reason!r} "
                                     f"{self.figures}\n{self.log()}")

    def wait_state(self, state, timeout=20.0):
        return self.wait(lambda: self.state == state, timeout, f"state {state}")

    # ---- roles -------------------------------------------------------------------------------------

    def role(self, leader, term=0, lease_s=0.0, doubt=False, settle=False):
        self.serial += 1
        end = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + int(lease_s * 1e9)
        self.send("ROLE", struct.pack("<QBQQBB", self.serial, leader, term, end if leader else 0, doubt, settle))
        return self.serial

    def lead(self, term, lease_s=60.0, doubt=False):
        return self.role(True, term, lease_s, doubt)

    def stand_by(self, settle=False):
        return self.role(False, settle=settle)

    def wait_done(self, serial, timeout=10.0):
        self.wait(lambda: self.done >= serial, timeout, f"ROLE_DONE {serial}, have {self.done}")

    # ---- end ---------------------------------------------------------------------------------------

    def log(self, lines=int(os.environ.get("SR_PIPE_LOG", "60"))):
        self.take()
        return "\n".join(self.logs[-lines:])

    def signal(self, sig):
        self.child.send_signal(sig)

    def close(self):
        import signal
        proc.reap(self.child, signal.SIGKILL)
        self.pipe.close()
