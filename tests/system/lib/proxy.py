"""A link between replicator and server, through tests/bench/delay_proxy.c: see there for what it does."""

import os
import shutil
import subprocess

from . import proc

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..", "bench", "delay_proxy.c")
_built = None


def program():
    """The one of the build tree; without a build tree it is compiled once a process."""
    global _built
    built = os.path.join(os.environ.get("SR_BUILDDIR", "."), "tests", "bench", "delay_proxy")
    if os.path.exists(built):
        return built
    if _built is None:
        _built = os.path.join(proc.temp_dir("sr-link-"), "delay_proxy")
        cc = os.environ.get("CC") or shutil.which("cc") or "gcc"
        subprocess.run([*cc.split(), "-O2", "-D_GNU_SOURCE", "-o", _built, SOURCE], check=True)
    return _built


class Link:
    """A way to a server: port takes the place of the server's."""

    def __init__(self, target_port, rtt_ms=0):
        self.child = proc.spawn([program(), target_port], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True, bufsize=1)
        self.port = int(self.child.stdout.readline())
        if rtt_ms:
            self.rtt(rtt_ms)

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().strip()
        assert answer and answer != "what?", (line, answer)
        return answer

    def rtt(self, ms):
        self.tell(f"delay {ms / 2}")

    def rate(self, bytes_per_second):
        self.tell(f"rate {int(bytes_per_second)}")

    def freeze(self, way="both"):
        """Silence, for new connections too. way: up (to the server), down, both."""
        self.tell(f"freeze {way}")

    def freeze_now(self, way="both"):
        """Silence for the connections that are there; new ones pass."""
        self.tell(f"freeze-now {way}")

    def thaw(self):
        """What waited goes on, also bytes of connections that the replicator has given up since."""
        self.tell("thaw")

    def hold_half_record(self, way):
        """The next TLS record with data stops in the middle until thaw()."""
        self.tell(f"hold {way}")

    def cut(self):
        self.tell("cut")

    def refuse(self, on=True):
        self.tell(f"refuse {'on' if on else 'off'}")

    def stats(self):
        names = ("connections", "up_bytes", "down_bytes", "made")
        return dict(zip(names, map(int, self.tell("stats").split())))

    def close(self):
        proc.reap(self.child)
        self.child.stdin.close()
        self.child.stdout.close()
