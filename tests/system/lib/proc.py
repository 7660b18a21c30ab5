"""Processes, ports and directories of the tests, all of which are gone afterwards whatever happens:
a finalizer stops them, else atexit, else the kernel (PDEATHSIG)."""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_live = set()
_dirs = set()
_ports = set()


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(args, preexec=None, **kw):
    """Popen for a child that dies with this process. Only from the main thread: the kernel's rule is
    that the child dies with the thread that made it."""

    def prepare():
        _die_with_parent()
        if preexec:
            preexec()

    child = subprocess.Popen([str(a) for a in args], preexec_fn=prepare, **kw)
    _live.add(child)
    return child


def reap(child, sig=signal.SIGTERM, timeout=10.0):
    """Ends a child, the hard way if it has to be; returns its exit code. Frozen ones are woken first."""
    if child.poll() is None:
        try:
            child.send_signal(sig)
            child.send_signal(signal.SIGCONT)
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    _live.discard(child)
    return child.returncode


def temp_dir(prefix="sr-"):
    """A short path: control sockets must fit into it."""
    path = tempfile.mkdtemp(prefix=prefix)
    _dirs.add(path)
    return path


def remove_dir(path):
    if not os.environ.get("SR_KEEP"):
        shutil.rmtree(path, ignore_errors=True)
    _dirs.discard(path)


def free_port():
    """A port below the range that outgoing connections take theirs from, so that a server which is
    down for a while finds its port free again."""
    while True:
        port = random.randrange(10000, 32000)
        if port in _ports:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports.add(port)
        return port


def wait_until(check, timeout=20.0, what="", every=0.05):
    """Calls check() until it returns something true, which is returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or check}; last: {value!r}")
        time.sleep(every)


def alive(pid):
    """A process that runs: neither gone nor a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def memory_mb(pid, field):
    """VmRSS or VmHWM."""
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise ValueError(field)


@atexit.register
def _cleanup():
    for child in list(_live):
        reap(child, signal.SIGKILL)
    for path in list(_dirs):
        remove_dir(path)
