"""Somebody who keeps publishing while things break. What counts is what the source stored, so nothing
here is exactly once: a publish without answer is left alone and the next one goes on."""

import threading
import time

from .nats import ApiError, NoResponders, block


def numbered(n, prefix="s", subjects=20, size=128):
    """Message n: every third one has headers."""
    headers = block(f"Number: {n}", "Empty:", f"lower-case:{n % 7}") if n % 3 == 0 else b""
    return f"{prefix}.{n % subjects}", (b"%d " % n).ljust(size, b"x"), headers


def fill(server, count, prefix="s", first=1, **kw):
    """Stores messages first … first + count - 1; returns the stream's last sequence."""
    with server.client() as c:
        return c.publish_many(numbered(n, prefix, **kw) for n in range(first, first + count))


class Writer(threading.Thread):
    """Publishes `rate` messages a second to <prefix>.<n of subjects> until stop().

    connect() gives a new client; it is called again whenever the connection is lost.
    """

    def __init__(self, connect, prefix, rate=500, subjects=20, size=128):
        super().__init__(daemon=True)
        self.connect = connect
        self.prefix, self.rate, self.subjects, self.size = prefix, rate, subjects, size
        self.count = 0    # published
        self.stored = 0   # of which the source said so
        self.losses = 0   # connections lost
        self.ending = threading.Event()
        self.start()

    def message(self):
        self.count += 1
        return numbered(self.count, self.prefix, self.subjects, self.size)

    def run(self):
        client = None
        pause = min(0.1, 20 / self.rate)
        each = max(1, round(self.rate * pause))
        while not self.ending.is_set():
            began = time.monotonic()
            try:
                if client is None:
                    client = self.connect()
                client.publish_many([self.message() for _ in range(each)], every=each, timeout=2.0)
                self.stored += each
            except (OSError, TimeoutError, ApiError, NoResponders):
                self.losses += 1
                if client:
                    client.close()
                client = None
                self.ending.wait(0.1)
            self.ending.wait(max(0, pause - (time.monotonic() - began)))
        if client:
            client.close()

    def stop(self):
        self.ending.set()
        self.join(30)
