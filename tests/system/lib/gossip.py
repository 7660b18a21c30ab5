"""A peer of the existing system in the gossip of a topic: it tells of values and keeps what it hears, in the
form in which that one reads and writes them, and knows nothing of numbers, positions and snapshots."""

import collections
import json
import re
import time

from .nats import time_ns

NEVER = "0001-01-01T00:00:00Z"
# what its time parser takes
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

Item = collections.namedtuple("Item", "seen_ms copied_ms advised size value raw headers")


def subject(stream="S", name="t"):
    return f"choria.stream-replicator.sync.{stream}.{name}"


def time_text(ms):
    """As it writes a time: UTC, a fraction without zeros at its end."""
    if not ms:
        return NEVER
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000))
    fraction = f".{ms % 1000:03d}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def item_text(value, seen_ms, copied_ms=0, advised=False, size=100):
    """Fields in its order, without blanks; advised only if true."""
    item = {"seen": time_text(seen_ms), "copied": time_text(copied_ms)}
    if advised:
        item["advised"] = True
    return json.dumps({**item, "size": size, "value": value}, separators=(",", ":")).encode()


def time_ms(text):
    assert RFC3339.fullmatch(text), f"{text!r} is no time that it can read"
    return 0 if text == NEVER else time_ns(text) // 1_000_000


def read_item(m):
    """Of a message, strictly: what it could not read is an error."""
    item = json.loads(m.data)
    assert set(item) <= {"seen", "copied", "advised", "size", "value"}, item
    assert isinstance(item["value"], str) and item["value"], item
    assert isinstance(item["size"], (int, float)) and isinstance(item.get("advised", False), bool), item
    return Item(time_ms(item["seen"]), time_ms(item["copied"]), item.get("advised", False), item["size"],
                item["value"], m.data, m.headers)


class Peer:
    def __init__(self, server, stream="S", name="t"):
        self.client = server.client(name="peer")
        self.subject = subject(stream, name)
        self.sub = self.client.subscribe(self.subject)
        self.client.flush()
        self.heard = []

    def tell(self, value, seen_ms, copied_ms=0, advised=False, size=100):
        self.tell_raw(item_text(value, seen_ms, copied_ms, advised, size))

    def tell_raw(self, data):
        self.client.publish(self.subject, data)
        self.client.flush()

    def listen(self, check, timeout=10.0, what="gossip"):
        """Takes items until check(items heard since the start) says yes; returns what it said."""
        deadline = time.monotonic() + timeout
        while True:
            value = check(self.heard)
            if value:
                return value
            left = deadline - time.monotonic()
            assert left > 0, f"not within {timeout} s: {what}; heard {self.heard[-5:]}"
            try:
                self.heard.append(read_item(self.client.next(self.sub, min(left, 0.5))))
            except TimeoutError:
                pass

    def table(self):
        """{value: newest item}, of what was heard so far; its rule is that the last one counts."""
        try:
            while True:
                self.heard.append(read_item(self.client.next(self.sub, 0.01)))
        except TimeoutError:
            pass
        return {i.value: i for i in self.heard}

    def close(self):
        self.client.close()
